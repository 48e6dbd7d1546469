//! Directives about what pages of other sites may do.

use super::Kind::{Any, Choice, Duration, Field};
use super::Within::{Cors, Csrf};
use super::options::OPTIONS_WITHIN;
use super::{Directive, Kind, one, some};

const SWITCH: Kind = Choice(&["on", "off"], &[]);

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "cors",
        OPTIONS_WITHIN,
        &[some("ORIGIN|off", Any("https://HOST[:PORT], https://*.HOST for all below it, * for everybody, or off"))],
        "Let scripts of pages of these origins use what is here, and answer the questions of their browsers (CORS). What upstreams say about it themselves is replaced. A nearer line replaces one of the site or a policy as a whole.",
        "cors https://app.example.com methods GET POST PUT credentials on",
    )
    .block(Cors)
    .default("off: what upstreams say goes through"),
    Directive::new("methods", &[Cors], &[some("METHOD", Any("methods in upper case"))], "Methods that they may use.", "methods GET POST PUT DELETE")
        .default("GET HEAD POST"),
    Directive::new("headers", &[Cors], &[some("NAME|*", Any("names of fields, or * for all that they ask for"))], "Fields that they may send, beside those that need no leave.", "headers Content-Type Authorization")
        .default("none"),
    Directive::new("expose", &[Cors], &[some("NAME", Field)], "Fields of answers that they may read, beside those that need no leave.", "expose ETag X-Total")
        .often()
        .default("none"),
    Directive::new("credentials", &[Cors], &[one("on|off", SWITCH)], "Whether cookies and passwords may come along; not with the origin *.", "credentials on")
        .default("off"),
    Directive::new("max-age", &[Cors], &[one("TIME", Duration)], "How long browsers remember the answer to a question, up to 1d.", "max-age 1h")
        .default("10m"),
    Directive::new("private-network", &[Cors], &[one("on|off", SWITCH)], "Whether pages of public networks may ask a private one.", "private-network on")
        .default("off"),
    Directive::new(
        "csrf",
        OPTIONS_WITHIN,
        &[one("on|off", SWITCH)],
        "Refuse with 403 what browsers send on behalf of pages of other sites and what changes something, by Sec-Fetch-Site and Origin. A nearer line replaces one of the site or a policy.",
        "csrf on allow https://pay.example.com",
    )
    .block(Csrf)
    .default("off"),
    Directive::new("allow", &[Csrf], &[some("ORIGIN", Any("https://HOST[:PORT], or https://*.HOST for all below it"))], "Origins whose pages may.", "allow https://pay.example.com")
        .often()
        .default("the site's own alone"),
    Directive::new(
        "security-headers",
        OPTIONS_WITHIN,
        &[one("WHICH", Choice(&["basic", "strict", "off"], &[]))],
        "Fields of answers that make browsers careful, where the upstream sends none of the name: basic breaks no page, strict also keeps scripts, frames and windows of others out.",
        "security-headers basic",
    )
    .default("off"),
];
