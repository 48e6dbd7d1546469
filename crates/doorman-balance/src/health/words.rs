//! How a server stands, in words for an operator.

use doorman_http::Now;

use crate::{Ejected, ServerState, Standing};

/// How a server stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// One of `ready`, `slow-start`, `draining`, `down`, `probed-down`, `ejected` and `resting`.
    pub word: &'static str,
    /// Since when, unix seconds; `None`: not known.
    pub since: Option<u64>,
    /// Why; empty if there is nothing to say.
    pub why: String,
}

impl Standing {
    /// The word for it: the same in status, metrics and docs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::SlowStart { .. } => "slow-start",
            Self::Draining => "draining",
            Self::Down => "down",
            Self::ProbedDown { .. } => "probed-down",
            Self::Ejected { .. } => "ejected",
            Self::Resting { .. } => "resting",
        }
    }

    /// Whether requests that are bound to nobody go to it in its turn.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Ready | Self::SlowStart { .. })
    }
}

impl ServerState {
    /// How it stands, in words.
    #[must_use]
    pub fn told(&self, now: Now) -> Told {
        let standing = self.standing(now.instant);
        // The moment on the wall clock, as it goes now.
        let unix = |since: doorman_http::Instant| {
            now.unix_seconds().saturating_sub(now.instant.since(since).as_secs())
        };
        let written = |up: bool| self.health().vitals.last().filter(|change| change.up == up);
        let (since, why) = match standing {
            Standing::Ready => {
                (written(true).map(|change| change.at.unix_seconds()), String::new())
            }
            Standing::SlowStart { since, .. } => (Some(unix(since)), "it has just come".to_owned()),
            Standing::Draining => (None, "it takes only requests that are bound to it".to_owned()),
            Standing::Down => (None, "taken out by hand".to_owned()),
            Standing::ProbedDown { since } => {
                let why = written(false).map(|change| change.why);
                (Some(unix(since)), why.unwrap_or_else(|| "its checks fail".to_owned()))
            }
            Standing::Ejected { since, why, .. } => {
                let known = written(false).map(|change| change.why);
                let kind = match why {
                    Ejected::Failures => "it failed requests",
                    Ejected::Errors => "it fails more than the others",
                    Ejected::Latency => "it is slower than the others",
                };
                (Some(unix(since)), known.unwrap_or_else(|| kind.to_owned()))
            }
            Standing::Resting { .. } => {
                (None, "it refused a connection; others go first".to_owned())
            }
        };
        Told { word: standing.word(), since, why }
    }
}
