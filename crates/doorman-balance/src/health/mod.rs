//! Which servers are ill.
//!
//! Three witnesses, each a room of its own: checks ask a server on purpose ([`Check`], [`Trend`]),
//! passive counting looks at how tries of requests end ([`passive`]), and outliers are found by
//! holding a server against its peers ([`outlier`]). None of them does anything: whoever probes hands
//! answers and time in, and takes a verdict out.
//!
//! What was found is kept in words in [`Vitals`], so that an operator reads why a server is out, and
//! not a number.

mod check;
mod expect;
pub mod grpc;
pub mod outlier;
pub mod passive;
mod trend;
mod vitals;
mod words;

use std::sync::Arc;

use doorman_http::Instant;

use crate::{Ejected, Outcome, ServerState};

pub use check::{Check, CheckKind, Initial, Pace};
pub use expect::{Expect, FieldExpect, Pattern, PatternError, StatusSpan};
pub use trend::{Trend, Turn};
pub use vitals::{Change, CheckReport, Vitals};
pub use words::Told;

/// What is known of one server beside its standing, shared by all cores and kept over reloads.
#[derive(Debug, Default)]
pub struct Health {
    /// What was found, in words.
    pub vitals: Vitals,
    /// Its failures, where an upstream has rules for them.
    pub failures: passive::Failures,
    /// Its tries, where an upstream looks for outliers.
    pub tally: outlier::Tally,
}

/// What the cores of an upstream do about health when a try has ended.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// When failures take a server out.
    pub passive: Option<Arc<passive::PassiveRules>>,
    /// Whether tries are counted.
    pub tallied: bool,
}

impl Watching {
    /// Takes note of how a try at a server ended, where it is not the only one of its upstream.
    pub(crate) fn note(&self, state: &ServerState, outcome: Outcome, now: Instant) {
        if let Some(rules) = &self.passive
            && rules.on.has(outcome)
            && let Some(until) = state.health().failures.note(rules, now)
        {
            state.eject(until, Ejected::Failures, now);
        }
        if self.tallied {
            state.health().tally.note(outcome);
        }
    }
}
