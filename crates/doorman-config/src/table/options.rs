//! Directives that a route, a site and a policy share.

use super::Kind::{Any, Choice, Duration, Field, Number, Size, Template};
use super::Within::{Body, Buffer, Mirror, Policy, Route, Site};
use super::{Directive, Within, many, one, optional};

/// Where options may stand.
pub(super) const OPTIONS_WITHIN: &[Within] = &[Policy, Site, Route];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "host",
        OPTIONS_WITHIN,
        &[one("preserve|upstream|VALUE", Any("preserve, upstream, or a host with placeholders"))],
        "The Host that the upstream sees: the client's, the server's own address, or this.",
        "host upstream",
    )
    .default("preserve"),
    Directive::new(
        "request-header",
        OPTIONS_WITHIN,
        &[
            one("ACTION", Choice(&["set", "add", "remove"], &[])),
            one("NAME", Field),
            optional("VALUE", Template),
        ],
        "Set, add or remove a field of the request before it is passed on.",
        "request-header set X-Request-Id {request-id}",
    )
    .often(),
    Directive::new(
        "response-header",
        OPTIONS_WITHIN,
        &[
            one("ACTION", Choice(&["set", "add", "remove"], &[])),
            one("NAME", Field),
            optional("VALUE", Template),
        ],
        "Set, add or remove a field of the response.",
        "response-header remove Server",
    )
    .often(),
    Directive::new(
        "forwarded",
        OPTIONS_WITHIN,
        &[one("FORM", Choice(&["x-forwarded", "rfc7239", "both", "off"], &[]))],
        "How the upstream learns who asked.",
        "forwarded both",
    )
    .default("x-forwarded"),
    Directive::new(
        "hsts",
        OPTIONS_WITHIN,
        &[
            one("TIME", Duration),
            many("include-subdomains|preload", Choice(&["include-subdomains", "preload"], &[])),
        ],
        "Tell browsers, in responses over TLS, to come by TLS alone for so long (RFC 6797).",
        "hsts 365d include-subdomains",
    )
    .default("off"),
    Directive::new(
        "mtls",
        OPTIONS_WITHIN,
        &[],
        "Only for clients that showed a certificate; others get 403. For routes of a site with `client-auth optional`.",
        "mtls",
    ),
    Directive::new(
        "client-cert",
        OPTIONS_WITHIN,
        &[one("FORM", Choice(&["rfc9440", "off"], &[]))],
        "Pass the client's certificate on as Client-Cert and Client-Cert-Chain (RFC 9440). What clients send under these names never reaches an upstream.",
        "client-cert rfc9440",
    )
    .default("off"),
    Directive::new(
        "rewrite-location",
        OPTIONS_WITHIN,
        &[
            one("auto|off|FROM", Any("auto, off, or the start of a Location")),
            optional("TO", Template),
        ],
        "Make Location, Content-Location and Refresh of the upstream fit the site.",
        "rewrite-location http://app.internal:3000/ /",
    )
    .often()
    .default("auto"),
    Directive::new(
        "rewrite-cookie",
        OPTIONS_WITHIN,
        &[
            one("ATTRIBUTE", Choice(&["domain", "path"], &[])),
            one("FROM", Any("the domain, or the start of the path, as the upstream sets it")),
            one("TO", Template),
        ],
        "Change the Domain or the Path of cookies that the upstream sets.",
        "rewrite-cookie path / /app/",
    )
    .often(),
    Directive::new("body", OPTIONS_WITHIN, &[], "Bounds on the request's body.", "body max 10MiB")
        .block(Body)
        .often(),
    Directive::new("max", &[Body], &[one("SIZE", Size)], "Bytes of a request body.", "max 10MiB")
        .default("limits { body }"),
    Directive::new(
        "buffer",
        OPTIONS_WITHIN,
        &[],
        "Whether bodies are collected before they are passed on.",
        "buffer request 64KiB",
    )
    .block(Buffer)
    .often(),
    Directive::new(
        "request",
        &[Buffer],
        &[one("on|off|SIZE", Any("on (1MiB), off or a size up to 1GiB"))],
        "Collect up to so much of the request's body first.",
        "request on",
    )
    .default("off"),
    Directive::new(
        "response",
        &[Buffer],
        &[one("on|off|SIZE", Any("on (1MiB), off or a size up to 1GiB"))],
        "Collect up to so much of the response's body first.",
        "response off",
    )
    .default("off"),
    Directive::new(
        "mirror",
        OPTIONS_WITHIN,
        &[
            one("UPSTREAM|off", Any("an upstream's name, an address, or off")),
            optional("N%", Any("a share, such as 5%")),
        ],
        "Send a copy of requests, or of a share of them, to another upstream too, and throw its answers away.",
        "mirror 127.0.0.1:3001 5%",
    )
    .block(Mirror)
    .default("no copies; without a share, of every request"),
    Directive::new("body", &[Mirror], &[one("SIZE", Size)], "Bytes of a body that are kept for the copy, up to 16MiB; a request with a longer one is not mirrored.", "body 64KiB")
        .default("64KiB"),
    Directive::new("concurrency", &[Mirror], &[one("N", Number(1, 100_000))], "Copies under way at once, over all cores; what comes on top is not mirrored.", "concurrency 100")
        .default("100"),
    Directive::new("timeout", &[Mirror], &[one("TIME", Duration)], "How long a copy may take, to the end of its answer.", "timeout 10s")
        .default("10s"),
    Directive::new("marker", &[Mirror], &[one("NAME|off", Any("the name of a field, or off"))], "The field that marks copies. A request that has it is not mirrored again.", "marker X-Mirror")
        .default("X-Mirror"),
];
