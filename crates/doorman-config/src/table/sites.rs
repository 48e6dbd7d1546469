//! Directives of `upstream`, of `tls` and of what ends a route.

use super::Kind::{Any, Choice, Duration, File, Host, Number, Server as Address, Status, Template};
use super::Within::{Pool, Proxy, Route, Server, Site, SiteTls, Timeout, Upstream, UpstreamTls};
use super::{Directive, many, one, optional, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "server",
        &[Upstream],
        &[one("ADDRESS", Address)],
        "A server: [http://|https://]HOST:PORT, a port of this machine, or unix:PATH.",
        "server https://10.0.1.11:8443 weight 2",
    )
    .block(Server)
    .often(),
    Directive::new("weight", &[Server], &[one("N", Number(1, 65_535))], "Its part of the load.", "weight 2")
        .default("1"),
    Directive::new("name", &[Server], &[one("NAME", super::Kind::Name)], "Its name in logs and metrics.", "name web-1")
        .default("its address"),
    Directive::new("max-connections", &[Server], &[one("N", Number(1, 10_000_000))], "Connections at once.", "max-connections 512")
        .default("no bound"),
    Directive::new(
        "balance",
        &[Upstream],
        &[
            one(
                "METHOD",
                Choice(
                    &["round-robin", "least-requests"],
                    &["least-connections", "least-bytes", "least-time", "random", "p2c", "peak-ewma", "hash", "maglev", "client-ip"],
                ),
            ),
        ],
        "How a server is chosen.",
        "balance least-requests",
    )
    .default("round-robin"),
    Directive::new("pool", &[Upstream], &[], "Connections that are kept for the next request, per core.", "pool { idle 64; idle-timeout 60s }")
        .block(Pool)
        .often(),
    Directive::new("idle", &[Pool], &[one("N", Number(0, 100_000))], "Idle connections kept to each server.", "idle 64")
        .default("64"),
    Directive::new("idle-timeout", &[Pool], &[one("TIME", Duration)], "How long an idle one is kept.", "idle-timeout 60s")
        .default("60s"),
    Directive::new("max-age", &[Pool], &[one("TIME", Duration)], "How old a connection may grow.", "max-age 1h")
        .default("1h"),
    Directive::new("max-requests", &[Pool], &[one("N", Number(1, u32::MAX as u64))], "Requests on one connection.", "max-requests 10000")
        .default("no bound"),
    Directive::new("tls", &[Upstream], &[], "TLS towards https:// servers.", "tls { ca internal-ca.pem; name api.internal }")
        .block(UpstreamTls)
        .often(),
    Directive::new("ca", &[UpstreamTls], &[one("FILE", File)], "CA certificates (PEM) to trust instead of the public ones.", "ca internal-ca.pem"),
    Directive::new("name", &[UpstreamTls], &[one("HOST", Host)], "Name to ask for and to look for in the certificate.", "name api.internal")
        .default("the server's host"),
    Directive::new("verify", &[UpstreamTls], &[one("VERIFY", Choice(&["on", "off"], &[]))], "Whether the certificate is checked.", "verify on")
        .default("on"),
    Directive::new("protocol", &[Upstream], &[one("PROTOCOL", Choice(&["h1"], &["h2", "h2c", "h3", "fastcgi", "auto"]))], "What is spoken to the servers.", "protocol h1")
        .default("h1"),
    Directive::new(
        "timeout",
        &[Upstream, super::Within::Policy, Site, Route],
        &[],
        "How long the upstream may take; a route's goes before its upstream's.",
        "timeout connect 2s head 10s",
    )
    .block(Timeout)
    .often(),
    Directive::new("connect", &[Timeout], &[one("TIME", Duration)], "Look up, connect and TLS.", "connect 2s")
        .default("5s"),
    Directive::new("head", &[Timeout], &[one("TIME", Duration)], "From the request sent to the head of the response.", "head 10s")
        .default("60s"),
    Directive::new("response", &[Timeout], &[one("TIME", Duration)], "From the request sent to the end of the response.", "response 30s")
        .default("no bound"),
    Directive::new("idle", &[Timeout], &[one("TIME", Duration)], "Between two reads of a response body, and the silence of a tunnel.", "idle 1m")
        .default("60s; 5m for a tunnel"),
    // site
    Directive::new(
        "tls",
        &[Site],
        &[
            optional("SOURCE", Choice(&["internal", "off", "cert"], &["auto", "on-demand"])),
            optional("FILE", File),
        ],
        "Where the site's certificate comes from: files, the local CA, or no TLS at all. Several `tls cert` lines may stand in a site.",
        "tls cert shop.pem key shop.key { min 1.3 }",
    )
    .block(SiteTls)
    .often()
    .default("internal for localhost, *.localhost, *.internal and IP addresses"),
    Directive::new("key", &[SiteTls], &[one("FILE", File)], "The private key (PEM) of `tls cert`.", "key shop.key"),
    Directive::new("min", &[SiteTls], &[one("VERSION", Choice(&["1.2", "1.3"], &[]))], "Least version of TLS.", "min 1.3")
        .default("1.2"),
    Directive::new("alpn", &[SiteTls], &[some("h1|h2", Choice(&["h1", "h2"], &["h3"]))], "Protocols to offer.", "alpn h2 h1")
        .default("all that the listener speaks"),
    // endings
    Directive::new(
        "proxy",
        &[Route, Site],
        &[some("TARGET [N%]", Any("an upstream's name or an address, each with or without its share, such as 95%"))],
        "Pass the request on to an upstream or to a bare address; with shares, to several.",
        "proxy 127.0.0.1:3000",
    )
    .block(Proxy)
    .often(),
    Directive::new("idle-timeout", &[Proxy], &[one("TIME", Duration)], "The same as `timeout idle`, for this route.", "idle-timeout 1h"),
    Directive::new(
        "redirect",
        &[Route, Site],
        &[one("URL", Template), optional("STATUS", Status)],
        "Send the client elsewhere; 301, 302, 303, 307 or 308.",
        "redirect https://shop.example.com{uri} 308",
    )
    .often()
    .default("status 302"),
    Directive::new(
        "respond",
        &[Route, Site],
        &[one("STATUS", Status), optional("BODY", Template)],
        "Answer with a status and a text.",
        "respond 200 \"hello {client-ip}\"",
    )
    .often(),
    Directive::new(
        "when",
        &[Route],
        &[
            one(
                "WHAT",
                Choice(&["header", "query", "cookie", "method", "client", "host", "protocol", "not"], &[]),
            ),
            some("VALUE", Any("header|query|cookie NAME [VALUE | ~ REGEX], method NAME..., client RANGE..., host HOST, protocol h1|h2, not WHAT...")),
        ],
        "One more condition of the route; several must all hold.",
        "when header X-Beta yes",
    )
    .often(),
    Directive::new(
        "strip-prefix",
        super::options::OPTIONS_WITHIN,
        &[one("PREFIX", Any("a path that begins with / and doesn't end with one"))],
        "Take this off the start of the path before it is passed on.",
        "strip-prefix /app",
    ),
    Directive::new(
        "error-page",
        super::options::OPTIONS_WITHIN,
        &[some("STATUS... FILE | STATUS... respond [STATUS] BODY", Any("statuses from 400 to 599, then a file, or `respond` with a text"))],
        "What is sent instead of an error of these statuses.",
        "error-page 502 503 504 respond \"back soon\"",
    )
    .often(),
    Directive::new(
        "rewrite",
        super::options::OPTIONS_WITHIN,
        &[many("[path|query|host] FROM TO", Any("a regex and what stands instead; {1} is its first group"))],
        "Change the path, the query or the host by a regex before it is passed on.",
        "rewrite ^/old/(.*)$ /new/{1}",
    )
    .often(),
];
