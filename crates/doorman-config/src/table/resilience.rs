//! Directives of `upstream` for servers that fail or have no room.

use super::Kind::{Any, Duration, Number, Size};
use super::Within::{Breaker, Park, Queue, Retry, Upstream};
use super::{Directive, one, some};

const CONDITIONS: super::Kind =
    Any("connect-error, timeout, reset, malformed, or statuses of errors such as 503 or 500-599");

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "retry",
        &[Upstream],
        &[one("N", Any("further tries of a request, 1 to 15, or off"))],
        "Try a request again when a server fails it, at another server if there is one. What never reached a server is always tried again, other requests only if their method is idempotent. With off, each request is sent to one server.",
        "retry 2 on connect-error reset 502 503",
    )
    .block(Retry)
    .default("2, for what never reached a server"),
    Directive::new("on", &[Retry, Breaker], &[some("CONDITION", CONDITIONS)], "What counts as failed: no connection, no answer in time, closed before an answer, an answer that is no HTTP, or one with these statuses.", "on connect-error timeout 502 503"),
    Directive::new("budget", &[Retry], &[one("SHARE", Any("a share such as 20%"))], "Of the requests of the last ten seconds, how many may be tried again, over all cores; and three a second in any case.", "budget 20%")
        .default("20%"),
    Directive::new("try-timeout", &[Retry], &[one("TIME", Duration)], "How long one try may take to connect, and from the request sent to the head of its response.", "try-timeout 2s")
        .default("`timeout connect` and `timeout head`"),
    Directive::new("unsafe", &[Retry], &[], "Try requests again whose method is not idempotent, too: a server may then do the same twice.", "unsafe"),
    Directive::new("keep", &[Retry], &[one("SIZE", Size)], "Bytes of a request's body that are kept for a further try. One with a longer body is not tried again once its body has been sent from.", "keep 1MiB")
        .default("64KiB"),
    Directive::new("breaker", &[Upstream], &[], "Stop asking an upstream that fails, and answer 503 at once, until some trials go well.", "breaker { errors 50%; min 20; within 10s; open 10s }")
        .block(Breaker),
    Directive::new("errors", &[Breaker], &[one("SHARE", Any("a share such as 50%, or off"))], "The share of failed tries at which it opens.", "errors 50%")
        .default("50%"),
    Directive::new("min", &[Breaker], &[one("N", Number(1, 1_000_000))], "Tries below which no share opens it.", "min 20")
        .default("20"),
    Directive::new("within", &[Breaker], &[one("TIME", Duration)], "How far back it looks.", "within 10s")
        .default("10s"),
    Directive::new("open", &[Breaker], &[one("TIME", Duration)], "How long it stays open before it lets trials through.", "open 10s")
        .default("10s"),
    Directive::new("trials", &[Breaker], &[one("N", Number(1, 1_000))], "Requests that are let through as trials; when all of them went well, it closes.", "trials 3")
        .default("3"),
    Directive::new("in-flight", &[Breaker], &[one("N", Number(1, 10_000_000))], "Requests at once, over all servers and cores; more are answered 503 at once.", "in-flight 500")
        .default("no bound"),
    Directive::new("queue", &[Upstream], &[one("N", Number(1, 1_000_000))], "Let so many requests wait when every server is full, in the order in which they came.", "queue 100 timeout 5s")
        .block(Queue)
        .default("none waits"),
    Directive::new("timeout", &[Queue], &[one("TIME", Duration)], "How long one waits before it is answered 503.", "timeout 5s")
        .default("10s"),
    Directive::new("park", &[Upstream], &[one("TIME", Duration)], "Let requests wait so long when no server can be reached, and send them when one is back.", "park 30s")
        .block(Park)
        .default("none waits"),
    Directive::new("requests", &[Park], &[one("N", Number(1, 1_000_000))], "Requests that wait at once.", "requests 1000")
        .default("1000"),
    Directive::new("bytes", &[Park], &[one("SIZE", Size)], "Bytes of bodies that they hold in memory, together.", "bytes 64MiB")
        .default("64MiB"),
];
