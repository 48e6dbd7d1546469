//! How a try at a server ended, and how its health is spoken of.

use std::time::Duration;

use doorman_http::Instant;

/// How a try at a server ended, as far as it tells something about the server. Reported once a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A connection stood, and nothing more is known: of relays.
    Reached,
    /// The head of a response came.
    Answered {
        /// Its status.
        status: u16,
        /// How long it took from when the server was asked.
        after: Duration,
    },
    /// No connection could be made.
    Refused,
    /// The connection broke before there was a response, or what came was none.
    Failed,
    /// No response came in time.
    TimedOut,
}

/// Whether a server is to be used: the file says so, or an override of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admin {
    /// It takes requests.
    #[default]
    Ready,
    /// It takes only requests that are bound to it.
    Drain,
    /// It takes none.
    Down,
}

/// What active checks have found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// Nothing yet, or nobody checks.
    #[default]
    Unknown,
    /// It is well.
    Up,
    /// It is ill.
    Down,
}

/// Why a server was taken out by what its answers were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejected {
    /// It failed too many requests.
    Failures,
    /// It fails more than the others do.
    Errors,
    /// It is slower than the others are.
    Latency,
}

/// How a server stands: the one reason that decides, by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes its part.
    Ready,
    /// It takes less than its part, because it has just come.
    SlowStart {
        /// When it began.
        since: Instant,
        /// When it takes all of its part.
        until: Instant,
    },
    /// It takes only requests that are bound to it.
    Draining,
    /// It was taken out by hand.
    Down,
    /// Active checks fail.
    ProbedDown {
        /// Since when.
        since: Instant,
    },
    /// It was taken out for what its answers were.
    Ejected {
        /// Since when.
        since: Instant,
        /// When it comes back.
        until: Instant,
        /// Why.
        why: Ejected,
    },
    /// It refused a connection just now, and is asked only if there is no other.
    Resting {
        /// When the rest ends.
        until: Instant,
    },
}
