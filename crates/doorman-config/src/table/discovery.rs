//! Directives of servers that are found at run time.

use super::Kind::{Any, Choice, Duration, Number};
use super::Within::{Discover, Global, Upstream};
use super::{Directive, one, optional, some};

/// Kinds of sources that are settled and come later.
const LATER: &[&str] = &["docker", "consul", "kubernetes"];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "resolver",
        &[Global],
        &[some("ADDRESS", Any("IP addresses of DNS servers, with a port where it is not 53"))],
        "The DNS servers that `discover` and `resolve` ask.",
        "resolver 10.0.0.2 10.0.0.3:5353",
    )
    .default("those of /etc/resolv.conf"),
    Directive::new(
        "resolve",
        &[Upstream],
        &[one("every", Choice(&["every"], &[])), one("TIME", Duration)],
        "Look the names in `server` lines up so often in DNS, and take each of their addresses for a server. Without it a name is one server, which the system looks up for each new connection.",
        "resolve every 30s",
    ),
    Directive::new(
        "discover",
        &[Upstream],
        &[
            one("dns|srv|file", Choice(&["dns", "srv", "file"], LATER)),
            one("NAME|FILE", Any("a name in DNS, or a file")),
            optional("PORT", Number(1, 65_535)),
        ],
        "Find servers at run time: each address of a name in DNS, with a port; what SRV records of a name say; or the servers of a file, as JSON or one a line.",
        "discover dns app.internal 8080",
    )
    .block(Discover)
    .often(),
    Directive::new("scheme", &[Discover], &[one("SCHEME", Choice(&["http", "https"], &[]))], "What is spoken to servers that DNS finds. Their certificates are checked against the name that was looked up.", "scheme https")
        .default("http"),
    Directive::new("family", &[Discover], &[one("FAMILY", Choice(&["any", "ipv4", "ipv6"], &[]))], "Which addresses of a name are servers.", "family ipv4")
        .default("any"),
    Directive::new("ttl", &[Discover], &[one("LEAST", Duration), one("MOST", Duration)], "Bounds on how long an answer of DNS counts, whatever it says itself.", "ttl 5s 1m")
        .default("1s 5m"),
    Directive::new("keep", &[Discover], &[one("TIME", Duration)], "How long the last good list counts while looking it up fails.", "keep 1h")
        .default("24h"),
    Directive::new("most", &[Discover], &[one("N", Number(1, 2_048))], "Servers that are taken of a list; the first of them in the order of their addresses.", "most 64")
        .default("1024"),
];
