//! How much a server has to do, by what a method looks at. Less is better; weights divide it.

use doorman_http::Instant;

use crate::ServerState;

/// What is taken for the length of an answer while none was seen.
const ANSWER_BYTES: f64 = 1_024.0;
/// Seconds that each request in flight is taken to last at a server that has never answered: more
/// than any that has, so that it gets one to show what it can do, and no crowd.
const UNKNOWN_SECONDS: f64 = 1e6;

/// Requests in flight. This one is not counted in: of servers that have nothing to do, the heaviest
/// would get everything.
pub(crate) fn requests(state: &ServerState) -> f64 {
    f64::from(state.in_flight())
}

/// Open connections. What it works on decides among equals: by less than a connection, so that it
/// never decides more.
pub(crate) fn connections(state: &ServerState) -> f64 {
    let open = state.connections().load(std::sync::atomic::Ordering::Relaxed);
    f64::from(open) + f64::from(state.in_flight()) / f64::from(u32::MAX)
}

/// The length of an answer of this server, on average.
pub(crate) fn mean_bytes(state: &ServerState) -> f64 {
    let mean = state.bytes() as f64 / (state.picks() as f64).max(1.0);
    mean.max(ANSWER_BYTES)
}

/// Bytes moved, with what is in flight taken to be that long.
pub(crate) fn bytes(state: &ServerState, mean: f64) -> f64 {
    state.level() as f64 + f64::from(state.in_flight()) * mean
}

/// Seconds until an answer, if each request in flight takes as long as lately.
pub(crate) fn seconds(state: &ServerState, now: Instant) -> f64 {
    let in_flight = f64::from(state.in_flight());
    match state.pace.seconds(now) {
        Some(seconds) => f64::from(seconds) * (in_flight + 1.0),
        None => in_flight * UNKNOWN_SECONDS,
    }
}
