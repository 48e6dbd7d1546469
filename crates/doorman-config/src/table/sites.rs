//! Directives of `upstream`, of `tls` and of what ends a route.

use super::Kind::{
    Any, Choice, Duration, File, Host, Ip, Number, Server as Address, Status, Template,
};
use super::Within::{
    ClientAuth, Pool, Proxy, Relay, Route, Server, Site, SiteTls, Timeout, Upstream, UpstreamTls,
};
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
    Directive::new("weight", &[Server], &[one("N", Number(0, 65_535))], "Its part of the load; with 0 it takes only requests that are bound to it.", "weight 2")
        .default("1"),
    Directive::new("name", &[Server], &[one("NAME", super::Kind::Name)], "Its name in logs and metrics.", "name web-1")
        .default("its address"),
    Directive::new("max-connections", &[Server], &[one("N", Number(1, 10_000_000))], "Connections at once.", "max-connections 512")
        .default("no bound"),
    Directive::new("max-requests", &[Server], &[one("N", Number(1, 10_000_000))], "Requests at once, over all cores.", "max-requests 512")
        .default("no bound"),
    Directive::new("tier", &[Server], &[one("N", Number(0, 255))], "A higher tier is used when the ones below it have no server.", "tier 1")
        .default("0"),
    Directive::new("spare", &[Server], &[], "Stands in for a server of its tier that cannot be used, one for one.", "spare"),
    Directive::new("standby", &[Server], &[], "Takes part when its tier has no other server.", "standby"),
    Directive::new("drain", &[Server], &[], "Takes only requests that are bound to it.", "drain"),
    Directive::new("zone", &[Server], &[one("ZONE", super::Kind::Name)], "Where it stands: servers in the zone of `global` go first.", "zone berlin-1")
        .default("the zone of `global`"),
    Directive::new(
        "balance",
        &[Upstream],
        &[
            one(
                "METHOD",
                Choice(
                    &[
                        "round-robin", "least-requests", "least-connections", "least-bytes", "least-time", "random", "p2c",
                        "peak-ewma", "hash", "maglev", "client-ip",
                    ],
                    &[],
                ),
            ),
            optional("KEY", Any("what decides, for hash and maglev, such as \"{path}\"")),
            optional("mitigate", Any("mitigate: a server that fails more requests than the others do gets less")),
        ],
        "How a server is chosen.",
        "balance least-requests",
    )
    .default("round-robin"),
    Directive::new("pool", &[Upstream], &[], "Connections that are kept for the next request, per core.", "pool { idle 64; idle-timeout 60s }")
        .block(Pool)
        .often(),
    Directive::new("idle", &[Pool], &[one("N", Number(0, 100_000))], "Idle connections kept to each server, per core.", "idle 64")
        .default("1024"),
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
    Directive::new("cert", &[UpstreamTls], &[one("FILE", File)], "A certificate (PEM) to show to servers that ask for one; with `key`.", "cert proxy.pem"),
    Directive::new("key", &[UpstreamTls], &[one("FILE", File)], "The private key (PEM) of `cert`.", "key proxy.key"),
    Directive::new(
        "pin",
        &[UpstreamTls],
        &[some("KEY", Any("the SHA-256 of a public key in base64, 44 characters"))],
        "Keys of which the server must have one, whoever vouches for it; with `verify off` they are all that counts.",
        "pin 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    )
    .default("any key"),
    Directive::new("protocol", &[Upstream], &[one("PROTOCOL", Choice(&["h1", "h2", "h2c", "h3", "auto", "fastcgi"], &[]))], "What is spoken to the servers: h2 over TLS, h2c without it, h3 over QUIC, auto (h2 or h1) as the server's TLS chooses.", "protocol h1")
        .default("h1"),
    Directive::new("root", &[Upstream], &[one("DIR", Any("the folder of the scripts, as the application sees it; begins with /"))], "Where a FastCGI application finds its scripts: DOCUMENT_ROOT, and the front of SCRIPT_FILENAME.", "root /var/www/app"),
    Directive::new("index", &[Upstream], &[one("FILE", Any("a file's name"))], "The FastCGI script of a path that ends with a slash.", "index index.php"),
    Directive::new(
        "split-path",
        &[Upstream],
        &[one("SUFFIX", Any("a dot and the letters behind it"))],
        "Where a FastCGI script's name ends: behind the first such suffix that a slash or the end follows. What follows is its PATH_INFO. A path without one is answered by 404.",
        "split-path .php",
    )
    .default("the whole path is the script"),
    Directive::new(
        "param",
        &[Upstream],
        &[one("NAME", Any("letters, digits and underscores")), one("VALUE", Template)],
        "One more variable for a FastCGI application, or another value for one of doorman's.",
        "param APP_ENV production",
    )
    .often(),
    Directive::new(
        "proxy-protocol",
        &[Upstream, Relay],
        &[one("VERSION", Choice(&["v1", "v2"], &[]))],
        "Begin each connection with a header of the PROXY protocol that names the client. Such a connection serves one request and is not kept.",
        "proxy-protocol v2",
    )
    .default("off"),
    Directive::new("source", &[Upstream], &[one("IP", Ip)], "The address of this machine that connections come from.", "source 10.0.0.2")
        .default("the system's choice"),
    Directive::new(
        "timeout",
        &[Upstream, Relay, super::Within::Policy, Site, Route],
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
            optional("SOURCE", Choice(&["auto", "internal", "off", "cert"], &[])),
            optional("FILE", File),
        ],
        "Where the site's certificates come from: by itself from a certificate authority (one for each name), the local CA, files, or no TLS at all. Several `tls cert` lines may stand in a site.",
        "tls cert shop.pem key shop.key { min 1.3 }",
    )
    .block(SiteTls)
    .often()
    .default("internal for localhost, *.localhost, *.internal and IP addresses, auto for other names"),
    Directive::new("key", &[SiteTls], &[one("FILE", File)], "The private key (PEM) of `tls cert`.", "key shop.key"),
    Directive::new("on-demand", &[SiteTls], &[one("ask", Choice(&["ask"], &[])), one("URL", Any("an http:// or https:// URL"))], "Get a certificate for a name that a client asks for, if this URL answers 200 to `?domain=NAME`.", "on-demand ask http://127.0.0.1:9000/may-have"),
    Directive::new("min", &[SiteTls], &[one("VERSION", Choice(&["1.2", "1.3"], &[]))], "Least version of TLS.", "min 1.3")
        .default("1.2"),
    Directive::new("policy", &[SiteTls], &[one("NAME", super::Kind::Name)], "What its handshakes may use: intermediate, modern, or a `tls-policy` of `global`. The stricter of its `min` and the site's counts.", "policy modern")
        .default("tls-policy of global"),
    Directive::new("alpn", &[SiteTls], &[some("h1|h2|h3", Choice(&["h1", "h2", "h3"], &[]))], "Protocols to offer.", "alpn h2 h1")
        .default("all that the listener speaks"),
    Directive::new("early-data", &[SiteTls], &[one("MODE", Choice(&["off", "safe"], &[]))], "Whether clients that come back may send requests with their first packets, ahead of the TLS handshake. With safe, GET, HEAD and OPTIONS without a body go on at once, with Early-Data: 1, and all others wait for the handshake.", "early-data safe")
        .default("off"),
    Directive::new("ocsp", &[SiteTls], &[one("MODE", Choice(&["on", "off"], &[]))], "Whether handshakes carry what the certificate's authority says about it, as far as the certificate names somebody to ask.", "ocsp off")
        .default("on"),
    Directive::new(
        "client-auth",
        &[SiteTls],
        &[one("MODE", Choice(&["require", "optional"], &[]))],
        "Ask clients for a certificate. One that is shown must be good; with require, one must be shown.",
        "client-auth require ca clients.pem crl revoked.pem",
    )
    .block(ClientAuth),
    Directive::new("ca", &[ClientAuth], &[one("FILE", File)], "Authorities (PEM) whose certificates are good.", "ca clients.pem"),
    Directive::new("crl", &[ClientAuth], &[one("FILE", File)], "Revocation lists (PEM): one for each authority of a chain below the ones in `ca`, and none past its time.", "crl revoked.pem")
        .default("nothing is revoked"),
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
    Directive::new(
        "sticky-share",
        &[Proxy],
        &[
            one("cookie|client-ip|KEY", Any("cookie with a name, client-ip, or text with placeholders")),
            optional("NAME", Any("the name of the cookie")),
        ],
        "Keep a client on its side of the split: by a signed cookie, by its address, or by something of its requests.",
        "sticky-share cookie dm_side",
    )
    .default("each request goes its way, in turn"),
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
