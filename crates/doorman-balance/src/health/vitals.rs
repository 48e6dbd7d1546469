//! What is known of a server's health, in words: for those who ask why it is out.
//!
//! Whoever probes and ejects writes here, and status, metrics and `explain` read; a request does
//! neither. So a lock is good enough.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorman_http::Now;

/// Changes that are remembered: enough to see a server flap through a night.
const CHANGES_MAX: usize = 16;

/// A server's health as it was found; the same value over reloads.
#[derive(Debug, Default)]
pub struct Vitals {
    passed: AtomicU64,
    failed: AtomicU64,
    ejected: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    checks: Vec<CheckReport>,
    changes: VecDeque<Change>,
}

/// What a check has found of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The check, in the configuration's words.
    pub check: String,
    /// Its verdict; `None` before the first answer.
    pub up: Option<bool>,
    /// Answers in a row that speak against the verdict.
    pub against: u32,
    /// When it was made last; `None`: not yet.
    pub made: Option<Now>,
    /// How long that took.
    pub took: Duration,
    /// Why it failed; `None`: it passed.
    pub fault: Option<String>,
}

/// A change for the better or the worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Now,
    /// Whether it takes requests from then on.
    pub up: bool,
    /// Why.
    pub why: String,
}

impl Vitals {
    /// These checks are made of it from now on.
    pub fn begin(&self, checks: Vec<CheckReport>) {
        self.known().checks = checks;
    }

    /// Takes note of an answer to the check at that place.
    pub fn note(&self, at: usize, report: CheckReport) {
        let count = if report.fault.is_none() { &self.passed } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = self.known().checks.get_mut(at) {
            *slot = report;
        }
    }

    /// Takes note that its requests took it out.
    pub fn eject(&self, change: Change) {
        self.ejected.fetch_add(1, Ordering::Relaxed);
        self.change(change);
    }

    /// How often its requests took it out, since the process started.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Takes note of a change.
    pub fn change(&self, change: Change) {
        let mut known = self.known();
        if known.changes.len() == CHANGES_MAX {
            known.changes.pop_front();
        }
        known.changes.push_back(change);
    }

    /// Checks that it passed, and that it failed, since the process started.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// What its checks have found; empty if it has none.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckReport> {
        self.known().checks.clone()
    }

    /// The last changes, the newest last.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.known().changes.iter().cloned().collect()
    }

    /// The last change.
    #[must_use]
    pub fn last(&self) -> Option<Change> {
        self.known().changes.back().cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered() {
        let vitals = Vitals::default();
        let report = |fault: Option<&str>| CheckReport {
            check: "tcp".to_owned(),
            up: Some(fault.is_none()),
            against: 0,
            made: Some(Now::default()),
            took: Duration::from_millis(2),
            fault: fault.map(str::to_owned),
        };
        vitals.begin(vec![CheckReport { up: None, made: None, ..report(None) }]);
        vitals.note(0, report(Some("refused")));
        vitals.note(0, report(None));
        // Of a check that is no more.
        vitals.note(1, report(None));
        assert_eq!(vitals.counts(), (2, 1));
        assert_eq!(vitals.checks(), [report(None)]);
        for n in 0..100 {
            vitals.change(Change { at: Now::default(), up: n % 2 == 0, why: n.to_string() });
        }
        let changes = vitals.changes();
        assert_eq!(changes.len(), CHANGES_MAX);
        assert_eq!(changes.first().map(|change| &*change.why), Some("84"));
        assert_eq!(vitals.last().map(|change| change.why), Some("99".to_owned()));
    }
}
