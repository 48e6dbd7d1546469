//! Directives of `relay`.

use super::Kind::{Any, Choice, Number, Range, Socket};
use super::Within::{Relay, Top};
use super::{Directive, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "relay",
        &[Top],
        &[one("ADDRESS", Socket)],
        "A socket whose connections or datagrams are passed on to servers as they are.",
        "relay 127.0.0.1:5432 { proxy 10.0.0.5:5432 }",
    )
    .block(Relay)
    .often(),
    Directive::new(
        "proxy",
        &[Relay],
        &[one("TARGET", Any("an upstream's name or an address"))],
        "Where connections go; those that `sni` names go elsewhere.",
        "proxy 10.0.0.5:5432",
    ),
    Directive::new(
        "protocol",
        &[Relay],
        &[one("PROTOCOL", Choice(&["tcp", "udp"], &[]))],
        "What is relayed.",
        "protocol udp",
    )
    .default("tcp"),
    Directive::new(
        "sni",
        &[Relay],
        &[some(
            "HOST... TARGET",
            Any("hosts, *.example.com among them, then an upstream's name or an address"),
        )],
        "TLS connections that ask for these hosts go there, undecrypted.",
        "sni mail.example.com *.mail.example.com 10.0.0.6:443",
    )
    .often(),
    Directive::new(
        "allow",
        &[Relay],
        &[some("RANGE", Range)],
        "Only these clients.",
        "allow 10.0.0.0/8",
    )
    .often()
    .default("everybody"),
    Directive::new(
        "deny",
        &[Relay],
        &[some("RANGE", Range)],
        "Not these clients, whatever `allow` says.",
        "deny 10.6.6.0/24",
    )
    .often()
    .default("nobody"),
    Directive::new(
        "connections",
        &[Relay],
        &[one("N", Number(1, 10_000_000))],
        "Connections, or clients that send datagrams, at once.",
        "connections 1000",
    )
    .default("10000"),
];
