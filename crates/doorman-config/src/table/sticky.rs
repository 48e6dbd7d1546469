//! What keeps clients on their servers.

use super::Kind::{Any, Choice, Duration, Number};
use super::Within::{Sticky, Upstream};
use super::{Directive, one, optional};

const CHOOSE: &[super::Argument] = &[one("choose|refuse", Choice(&["choose", "refuse"], &[]))];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "sticky",
        &[Upstream],
        &[
            one("KIND", Choice(&["cookie", "app-cookie", "query", "header", "learn"], &[])),
            one("NAME", Any("a name; cookie or header behind `learn`")),
            optional("NAME", Any("the name behind `learn cookie` and `learn header`")),
        ],
        "Keep a client on its server: by a signed cookie of doorman's own, by the application's cookie, by a parameter of the query or a field of its requests, or by what servers name in responses.",
        "sticky cookie dm_web ttl 1h",
    )
    .block(Sticky)
    .default("each request goes where `balance` says"),
    Directive::new("ttl", &[Sticky], &[one("TIME|session", Any("a time up to 30d, or session"))], "How long the cookie is good after it was set; it is set anew while the client comes. With session, until the browser ends, 30 days at most.", "ttl 1h")
        .default("1d"),
    Directive::new("path", &[Sticky], &[one("PATH", Any("a path that begins with /"))], "The cookie's Path.", "path /app/")
        .default("/"),
    Directive::new("domain", &[Sticky], &[one("HOST", Any("a host"))], "The cookie's Domain.", "domain example.com")
        .default("the host that was asked"),
    Directive::new("secure", &[Sticky], &[one("auto|on|off", Choice(&["auto", "on", "off"], &[]))], "Whether the cookie goes over TLS alone; with auto, if the request came by it.", "secure on")
        .default("auto"),
    Directive::new("http-only", &[Sticky], &[one("on|off", Choice(&["on", "off"], &[]))], "Whether scripts of the page see nothing of the cookie.", "http-only on")
        .default("on"),
    Directive::new("same-site", &[Sticky], &[one("lax|strict|none|off", Choice(&["lax", "strict", "none", "off"], &[]))], "Whether the cookie goes along when another site sends the client here; off says nothing of it.", "same-site lax")
        .default("lax"),
    Directive::new("separator", &[Sticky], &[one("SIGN", Any("one sign, such as . or !"))], "What stands between a session and the name of its server, in an application's cookie, a parameter or a field.", "separator !")
        .default("."),
    Directive::new("lookup", &[Sticky], &[one("WHERE", Choice(&["cookie", "header", "query"], &[])), one("NAME", Any("its name"))], "Where a learned session is looked for in requests.", "lookup query sid")
        .default("where it is learned from"),
    Directive::new("expire", &[Sticky], &[one("TIME", Duration)], "How long a learned session is remembered after its last request, 1s to 7d.", "expire 10m")
        .default("10m"),
    Directive::new("entries", &[Sticky], &[one("N", Number(100, 16_777_216))], "Learned sessions that are remembered, 16 bytes each; the next one takes the place of one that is about to be forgotten.", "entries 100000")
        .default("100000"),
    Directive::new("when-down", &[Sticky], CHOOSE, "When a client's server is down: choose another one and stay there, or refuse the request with 503.", "when-down choose")
        .default("choose"),
    Directive::new("when-full", &[Sticky], CHOOSE, "When a client's server takes no further request at the moment: choose another one and stay there, or refuse the request with 503.", "when-full choose")
        .default("choose"),
];
