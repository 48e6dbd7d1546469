//! What an upstream does when its servers fail or have no room: try again, stop asking, wait.

use std::time::Duration;

use crate::{Setting, Span, Spanned, StatusRange};

/// What a failed try is tried again for, and what a breaker counts as failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// `connect-error`: there was no connection.
    pub connect: bool,
    /// `timeout`: no response in time.
    pub timeout: bool,
    /// `reset`: the server closed or reset before its response's head was whole.
    pub reset: bool,
    /// `malformed`: the response's head broke the rules.
    pub malformed: bool,
    /// Statuses of errors.
    pub statuses: Vec<StatusRange>,
}

/// `retry`.
#[derive(Clone, Debug)]
pub enum Retry {
    /// `retry off`: each request is sent to one server.
    Off(Span),
    /// `retry N on ...`.
    On(RetryRules),
}

/// `retry N on ...`.
#[derive(Clone, Debug)]
pub struct RetryRules {
    /// Further tries of one request.
    pub tries: Spanned<u32>,
    /// What is tried again, beside what never reached a server.
    pub on: Failures,
    /// Of 10,000 requests, how many may be sent again; 2,000.
    pub budget: Setting<u32>,
    /// How long one try may take to connect, and to answer.
    pub try_timeout: Option<Spanned<Duration>>,
    /// Whether requests of unsafe methods are sent again, too.
    pub unsafe_too: Option<Span>,
    /// Bytes of a body that are kept for a further try; 64 KiB.
    pub keep: Setting<u64>,
    /// The line.
    pub span: Span,
}

/// `breaker`.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// Of 10,000 tries, how many must fail for it to open; `None`: failures do not open it. 5,000.
    pub errors: Setting<Option<u32>>,
    /// Tries in the window below which no share counts; 20.
    pub min: Setting<u32>,
    /// How far back it looks; 10 s.
    pub within: Setting<Duration>,
    /// What counts as failed; all but statuses below 500.
    pub on: Option<Spanned<Failures>>,
    /// How long it stays open; 10 s.
    pub open: Setting<Duration>,
    /// Requests let through before it closes; 3.
    pub trials: Setting<u32>,
    /// Requests at once, over all cores.
    pub in_flight: Option<Spanned<u32>>,
    /// The line.
    pub span: Span,
}

/// `queue`.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Requests that wait at once.
    pub requests: Spanned<u32>,
    /// How long one waits; 10 s.
    pub timeout: Setting<Duration>,
}

/// `park`.
#[derive(Clone, Debug)]
pub struct Park {
    /// How long a request waits.
    pub timeout: Spanned<Duration>,
    /// Requests that wait at once; 1,000.
    pub requests: Setting<u32>,
    /// Bytes of bodies that they hold in memory, together; 64 MiB.
    pub bytes: Setting<u64>,
}
