//! How an upstream's servers are found to be ill.

use std::time::Duration;

use super::StatusRange;
use crate::{Setting, Span, Spanned};

/// A `health` line.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: HealthKind,
    /// From one check of a server to the next; 5 s.
    pub every: Setting<Duration>,
    /// The same while it is up and passes; `None`: no other.
    pub while_healthy: Option<Spanned<Duration>>,
    /// How long one may take; 2 s.
    pub timeout: Setting<Duration>,
    /// Failures in a row that take a server out; 3.
    pub fall: Setting<u32>,
    /// Passes in a row that bring it back; 2.
    pub rise: Setting<u32>,
    /// The port that is asked; `None`: the server's own.
    pub port: Option<Spanned<u16>>,
    /// What `Host` says; `None`: the server's own address.
    pub host: Option<Spanned<String>>,
    /// Fields of the request: name in lower case and value.
    pub headers: Vec<Spanned<(String, String)>>,
    /// Statuses that pass; empty: 200 to 399.
    pub statuses: Vec<Spanned<StatusRange>>,
    /// Expressions that must be found in the body.
    pub body: Vec<Spanned<String>>,
    /// Fields that the answer must have, and what must be found in them.
    pub fields: Vec<Spanned<(String, Option<String>)>>,
    /// What a server counts as before its first check; up.
    pub initial: Setting<InitialHealth>,
    /// The line.
    pub span: Span,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthKind {
    /// That a connection can be made.
    Tcp,
    /// That a request is answered: its method and its path.
    Http(String, String),
    /// The health service of gRPC; the name of the service, empty for the server as a whole.
    Grpc(String),
}

/// What a server counts as before its first check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialHealth {
    /// It takes requests.
    Up,
    /// It takes none.
    Down,
}

/// A `passive` block.
#[derive(Clone, Debug)]
pub struct Passive {
    /// Failures that take a server out, and the time within; 3 within 10 s.
    pub fails: Setting<(u32, Duration)>,
    /// How long it is out; 30 s.
    pub eject: Setting<Duration>,
    /// What a failure is; empty: all that is no answer.
    pub on: Vec<Spanned<FailureSign>>,
}

/// What a failure of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureSign {
    /// No connection.
    ConnectError,
    /// No answer in time.
    Timeout,
    /// A connection that broke before the answer, or an answer that is none.
    Reset,
    /// An answer with one of these statuses.
    Status(StatusRange),
}

impl Default for Passive {
    fn default() -> Passive {
        Passive {
            fails: Setting::default_of((3, Duration::from_secs(10))),
            eject: Setting::default_of(Duration::from_secs(30)),
            on: Vec::new(),
        }
    }
}

/// An `outlier` block.
#[derive(Clone, Debug)]
pub struct Outlier {
    /// The share of failed requests, of 10,000; `None`: it does not matter.
    pub errors: Setting<Option<u32>>,
    /// How many times the median, in hundredths; `None`: it does not matter.
    pub latency: Setting<Option<u32>>,
    /// How often servers are compared; 10 s.
    pub every: Setting<Duration>,
    /// How long an outlier is out the first time; 30 s.
    pub eject: Setting<Duration>,
    /// The share of servers that may be out, of 10,000; a tenth.
    pub at_most: Setting<u32>,
    /// Requests without which nothing is said; 20.
    pub requests_min: Setting<u32>,
}

impl Default for Outlier {
    fn default() -> Outlier {
        Outlier {
            errors: Setting::default_of(Some(5_000)),
            latency: Setting::default_of(None),
            every: Setting::default_of(Duration::from_secs(10)),
            eject: Setting::default_of(Duration::from_secs(30)),
            at_most: Setting::default_of(1_000),
            requests_min: Setting::default_of(20),
        }
    }
}
