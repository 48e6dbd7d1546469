//! Failures of requests, counted: so many within a time take a server out for another.
//!
//! The rules are those of nginx's `max_fails` and `fail_timeout`: the count begins with a failure and
//! ends a while later, whatever succeeded in between; who comes back is on probation for that while and
//! leaves again at its first failure. A success touches nothing, so it costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use super::StatusSpan;
use crate::Outcome;

/// When failures take a server out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassiveRules {
    /// So many failures, at least 1,
    pub fails: u32,
    /// within this time
    pub within: Duration,
    /// take it out for this time.
    pub eject: Duration,
    /// What a failure is.
    pub on: Signs,
}

/// What counts as a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signs {
    /// No connection.
    pub connect_error: bool,
    /// No answer in time.
    pub timeout: bool,
    /// A connection that broke before the answer, or an answer that is none.
    pub reset: bool,
    /// Answers with these statuses.
    pub statuses: Vec<StatusSpan>,
}

impl Default for Signs {
    /// What no application answers on purpose.
    fn default() -> Self {
        Self { connect_error: true, timeout: true, reset: true, statuses: Vec::new() }
    }
}

impl Signs {
    /// Whether a try that ended so is a failure.
    #[must_use]
    pub fn has(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered { status, .. } => {
                self.statuses.iter().any(|span| (span.first..=span.last).contains(&status))
            }
            Outcome::Reached => false,
            Outcome::Refused => self.connect_error,
            Outcome::TimedOut => self.timeout,
            Outcome::Failed => self.reset,
        }
    }
}

/// Failures of one server, counted over all cores.
///
/// One word, so that no lock is needed: when the count began, in milliseconds, and the count.
#[derive(Debug, Default)]
pub struct Failures(AtomicU64);

/// Bits of the count; milliseconds of more than a century lie in the rest.
const COUNT_BITS: u32 = 20;
/// The largest number of failures that can be asked for.
pub const FAILS_MAX: u32 = (1 << COUNT_BITS) - 1;

impl Failures {
    /// Takes note of a failure; the time until which the server is out, if this was the last straw.
    /// Of several cores that count at once only one is told.
    pub fn note(&self, rules: &PassiveRules, now: Instant) -> Option<Instant> {
        let now_millis = millis(now);
        let fails = rules.fails.clamp(1, FAILS_MAX);
        let mut until = None;
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            until = None;
            let (begun, count) = (word >> COUNT_BITS, word & u64::from(FAILS_MAX));
            if now_millis < begun {
                // It is out: this request was on its way when that began.
                return None;
            }
            let fresh = count == 0 || now_millis - begun > span(rules.within);
            let (begun, count) = if fresh { (now_millis, 1) } else { (begun, count + 1) };
            if count < u64::from(fails) {
                return Some(begun << COUNT_BITS | count);
            }
            let end = now + rules.eject;
            until = Some(end);
            // On probation from then on. With a single failure asked for that is the rule anyhow.
            Some(millis(end) << COUNT_BITS | u64::from(fails - 1))
        });
        until
    }
}

fn millis(at: Instant) -> u64 {
    at.0 / 1_000_000
}

fn span(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(fails: u32) -> PassiveRules {
        PassiveRules {
            fails,
            within: Duration::from_secs(10),
            eject: Duration::from_secs(30),
            on: Signs::default(),
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    /// Failures at these seconds; which of them take the server out.
    fn check(fails: u32, failures: &[u64], expect: &[u64]) {
        let counted = Failures::default();
        let out: Vec<u64> = failures
            .iter()
            .copied()
            .filter(|&second| match counted.note(&rules(fails), at(second)) {
                None => false,
                Some(until) => {
                    assert_eq!(until, at(second + 30));
                    true
                }
            })
            .collect();
        assert_eq!(out, expect, "{fails} of {failures:?}");
    }

    #[test]
    fn counts() {
        check(1, &[5, 6, 34, 35, 66], &[5, 35, 66]);
        check(3, &[1, 2, 3], &[3]);
        check(3, &[1, 2, 12, 13], &[]);
        check(3, &[1, 2, 12, 13, 14], &[14]);
        // Late failures of requests that were under way do not count.
        check(2, &[1, 2, 3, 4, 5], &[2]);
        // On probation the first failure is enough; behind it the count is whole again.
        check(3, &[1, 2, 3, 40], &[3, 40]);
        check(3, &[1, 2, 3, 44], &[3]);
        check(3, &[1, 2, 3, 44, 45, 46], &[3, 46]);
    }

    #[test]
    fn one_of_many_cores_is_told() {
        let counted = Failures::default();
        let told: usize = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| counted.note(&rules(5), at(1)).is_some()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(told, 1);
    }

    #[test]
    fn signs() {
        let answered = |status| Outcome::Answered { status, after: Duration::ZERO };
        let default = Signs::default();
        for outcome in [Outcome::Refused, Outcome::Failed, Outcome::TimedOut] {
            assert!(default.has(outcome));
        }
        assert!(!default.has(answered(503)));
        let only = Signs {
            connect_error: false,
            timeout: false,
            reset: false,
            statuses: vec![StatusSpan { first: 502, last: 504 }],
        };
        for outcome in [Outcome::Refused, Outcome::Failed, Outcome::TimedOut, answered(501)] {
            assert!(!only.has(outcome));
        }
        assert!(only.has(answered(502)) && only.has(answered(504)));
    }
}
