//! Directives that bound how much clients may ask for.

use super::Kind::{Any, Choice, Duration, Name, Number, Size};
use super::Within::{Concurrency, Connections, Limit, Throttle};
use super::options::OPTIONS_WITHIN;
use super::{Directive, one, some};

const PER: super::Kind = Any(
    "client-ip, perhaps with prefixes of IPv4 and IPv6 (client-ip /24 /56), header NAME, cookie NAME, path, host, user, claim NAME or all; several make one key",
);

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "limit",
        OPTIONS_WITHIN,
        &[one("RATE|off", Any("requests in a second, a minute, an hour or a day, such as 100/s, 600/m, 1000/h or 5000/d; or off"))],
        "Refuse requests above a rate with 429, and tell clients in RateLimit and RateLimit-Policy what is left. Lines add up, those of a policy and of the site too: each must let a request pass. Routes with the same line count together; `limit off` ends all lines before it.",
        "limit 100/s burst 50 per client-ip",
    )
    .block(Limit)
    .often()
    .default("no bound"),
    Directive::new("burst", &[Limit], &[one("N", Number(1, 10_000_000))], "How many may come at once before the rate counts.", "burst 50")
        .default("what the rate gives in a second, at least 1"),
    Directive::new("per", &[Limit], &[some("KEY", PER)], "What requests are counted by.", "per client-ip /24 /56 header X-Tenant")
        .default("client-ip /32 /64"),
    Directive::new("name", &[Limit], &[one("NAME", Name)], "Its name in metrics, logs and `doorman limits`; each in a site has its own.", "name login")
        .default("its place in the file"),
    Directive::new("shadow", &[Limit], &[], "Refuse nothing: only count and log what would be.", "shadow"),
    Directive::new("status", &[Limit], &[one("429|503", Choice(&["429", "503"], &[]))], "What those get who are above it.", "status 503")
        .default("429"),
    Directive::new("rate-header", &[Limit], &[one("on|off", Choice(&["on", "off"], &[]))], "Tell clients in RateLimit and RateLimit-Policy what is left (draft-ietf-httpapi-ratelimit-headers); with shadow they are never told.", "rate-header off")
        .default("on"),
    Directive::new("keys", &[Limit], &[one("N", Number(1_000, 16_777_216))], "Most keys that are kept, 36 bytes each. While all of them are in use, new ones share what is left of the memory, and may be refused early and never let pass late.", "keys 100000")
        .default("1000000"),
    Directive::new(
        "connections",
        OPTIONS_WITHIN,
        &[one("N|off", Any("a number from 1 to 1000000, or off"))],
        "Connections of one client that have asked for something here, until they close; what comes on top is refused with 429. A nearer line replaces one of the site or a policy.",
        "connections 20 per client-ip",
    )
    .block(Connections)
    .default("no bound; `client-connections` in `limits` counts all of the process"),
    Directive::new("per", &[Connections], super::CLIENT_PER, "The bits of an address that make a client.", "per client-ip /24 /56")
        .default("client-ip /32 /64"),
    Directive::new(
        "concurrency",
        OPTIONS_WITHIN,
        &[one("N|off", Any("a number from 1 to 1000000, or off"))],
        "Requests at once, over all cores; what comes on top waits in `queue`, or is refused with 503. A nearer line replaces one of the site or a policy.",
        "concurrency 200 queue 100 timeout 2s",
    )
    .block(Concurrency)
    .default("no bound"),
    Directive::new("queue", &[Concurrency], &[one("N", Number(1, 1_000_000))], "How many more may wait, in the order in which they came.", "queue 100")
        .default("none waits"),
    Directive::new("timeout", &[Concurrency], &[one("TIME", Duration)], "How long one waits before it is answered 503, up to 1h.", "timeout 2s")
        .default("10s"),
    Directive::new("per", &[Concurrency], &[some("KEY", PER)], "What requests are counted by.", "per client-ip")
        .default("all"),
    Directive::new(
        "throttle",
        OPTIONS_WITHIN,
        &[one("RATE|off", Any("bytes of a second, from 1KiB/s to 64GiB/s, such as 1MiB/s; or off"))],
        "Send the body of an answer that an upstream or the cache gave no faster than this, each answer for itself, in the form in which it is sent; what a tenth of a second gives goes at once. A nearer line replaces one of the site or a policy.",
        "throttle 1MiB/s after 10MiB",
    )
    .block(Throttle)
    .default("as fast as the client takes it"),
    Directive::new("after", &[Throttle], &[one("SIZE", Size)], "Bytes that go before it begins.", "after 10MiB")
        .default("0B"),
];
