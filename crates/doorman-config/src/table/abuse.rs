//! Directives against clients that behave like no browser.

use super::Kind::{Any, Choice, Duration, Number};
use super::Within::{Ban, Challenge};
use super::options::OPTIONS_WITHIN;
use super::{Directive, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "challenge",
        OPTIONS_WITHIN,
        &[one("WHEN", Choice(&["always", "when-busy", "suspicious", "off"], &[]))],
        "Let browsers do some work before they may come in, which costs one of them a moment and a farm of bots its profit: always; with when-busy, while requests wait for their core or memory runs out (`overload`); or with suspicious, where a request for a page is without a browser's User-Agent (Mozilla/5.0) or without Accept-Language. Only requests for pages (Accept: text/html) are asked; programs that call an interface are let pass. A nearer line replaces one of the site or a policy as a whole.",
        "challenge suspicious difficulty 18 ttl 1d",
    )
    .block(Challenge)
    .default("off"),
    Directive::new("difficulty", &[Challenge], &[one("N", Number(8, 24))], "Zero bits that a hash must begin with; each further one doubles the work.", "difficulty 18")
        .default("16"),
    Directive::new("ttl", &[Challenge], &[one("TIME", Duration)], "How long a proof is good, 1m to 30d.", "ttl 1d")
        .default("1h"),
    Directive::new("bind", &[Challenge], &[one("WHAT", Choice(&["client-ip", "none"], &[]))], "Whether a proof is good only for the address that made it.", "bind none")
        .default("client-ip"),
    Directive::new("no-script", &[Challenge], &[one("on|off", Choice(&["on", "off"], &[]))], "Whether there is a way for browsers without scripts: they wait for 15 seconds instead.", "no-script on")
        .default("off"),
    Directive::new(
        "ban",
        OPTIONS_WITHIN,
        &[one("N|off", Any("a number from 1 to 1000000, or off"))],
        "Keep a client out for some time, with 403, after so many signs of abuse. Lines add up, those of a policy and of the site too; routes with the same line count together. `ban off` ends all lines before it.",
        "ban 10 within 1m for 1h on auth-failure waf-block",
    )
    .block(Ban)
    .often()
    .default("nobody is"),
    Directive::new("within", &[Ban], &[one("TIME", Duration)], "The time in which the signs are counted, 1s to 1d.", "within 1m"),
    Directive::new("for", &[Ban], &[one("TIME", Duration)], "How long the client is kept out, 1s to 30d.", "for 1h"),
    Directive::new("on", &[Ban], &[some("SIGN", Any("not-found, auth-failure, waf-block, limit, malformed, challenge-failure, or statuses such as 401 or 500-599"))], "What counts: a path that is not there, a password or token that is not good, a request that `waf` refused, one above a bound, what is no request, a proof that is not good, or an answer with one of these statuses.", "on auth-failure waf-block 404")
        .often(),
    Directive::new("per", &[Ban], super::CLIENT_PER, "The bits of an address that make a client.", "per client-ip /24 /56")
        .default("client-ip /32 /64"),
];
