//! Servers that fail more requests than the others do get less, until they do better.
//!
//! Every few seconds one core compares what each server has failed with what all the others have. An
//! anomalous one is cut at once to a tenth of its part, enough to see whether it has got better; one
//! that does no worse than the others gets a tenth back each time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::group::Shared;
use crate::view::PARTS;
use crate::{Member, Outcome};

/// How often servers are compared.
const WINDOW: Duration = Duration::from_secs(5);
/// What an anomalous server is left with, and what it gets back at a time.
const TENTH: u32 = PARTS.div_ceil(10);
/// With fewer servers that were asked, nobody can say which one is odd.
const COMPARED_MIN: usize = 3;
/// Fewer failures than this in a window are chance.
const FAILED_MIN: u32 = 3;

/// What a server was asked and failed since the last comparison.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: AtomicU32,
    failed: AtomicU32,
}

impl Tally {
    pub(crate) fn note(&self, outcome: Outcome) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let failed = match outcome {
            Outcome::Answered { status, .. } => status >= 500,
            Outcome::Refused | Outcome::Failed | Outcome::TimedOut => true,
            Outcome::Reached => false,
        };
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> (u32, u32) {
        let failed = self.failed.swap(0, Ordering::Relaxed);
        // A request counted between the two is counted as asked twice over, which errs to the mild side.
        (self.asked.swap(0, Ordering::Relaxed).max(failed), failed)
    }
}

/// Compares the servers if it is time; exactly one core does.
pub(crate) fn judge(members: &[Member], shared: &Shared, now: Instant) {
    let due = shared.judge_at.load(Ordering::Relaxed);
    if now.0 < due {
        return;
    }
    let (next, relaxed) = ((now + WINDOW).0, Ordering::Relaxed);
    if shared.judge_at.compare_exchange(due, next, relaxed, relaxed).is_err() {
        return;
    }
    let tallies: Vec<_> = members.iter().map(|member| member.state.tally.take()).collect();
    // The very first time only begins a window.
    if due == 0 {
        return;
    }
    let asked: u64 = tallies.iter().map(|&(asked, _)| u64::from(asked)).sum();
    let failed: u64 = tallies.iter().map(|&(_, failed)| u64::from(failed)).sum();
    let comparable = tallies.iter().filter(|&&(asked, _)| asked > 0).count() >= COMPARED_MIN;
    let mut changed = false;
    for (member, &(own_asked, own_failed)) in members.iter().zip(&tallies) {
        let part = member.state.part.load(Ordering::Relaxed);
        let others = (asked - u64::from(own_asked), failed - u64::from(own_failed));
        let odd = comparable && is_odd((own_asked, own_failed), others, part < PARTS);
        let next = if odd { TENTH } else { (part + TENTH).min(PARTS) };
        if next != part {
            member.state.part.store(next, Ordering::Relaxed);
            changed = true;
        }
    }
    if changed {
        shared.touch();
    }
}

/// Whether a server fails so much more than the others that it is not chance: more than twice their
/// rate and a twentieth on top. One that was cut is asked little, so each failure of it counts.
fn is_odd((asked, failed): (u32, u32), others: (u64, u64), cut: bool) -> bool {
    let few = if cut { 1 } else { FAILED_MIN };
    if failed < few || others.0 == 0 {
        return false;
    }
    let rate = f64::from(failed) / f64::from(asked.max(1));
    let usual = others.1 as f64 / others.0 as f64;
    rate > usual * 2.0 + 0.05
}
