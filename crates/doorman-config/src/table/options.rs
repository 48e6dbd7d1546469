//! Directives that a route, a site and a policy share.

use super::Kind::{Any, Choice, Field, Size, Template};
use super::Within::{Body, Buffer, Policy, Route, Site};
use super::{Directive, Within, one, optional};

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
];
