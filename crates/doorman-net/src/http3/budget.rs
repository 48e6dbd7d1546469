//! One budget for everything that costs us work but brings no request or response: streams that are reset before
//! they are answered, malformed requests, frames without content or meaning, streams of unknown
//! types. It fills again slowly and with every exchange that succeeds; a connection that empties it
//! is closed (RFC 9114 section 10.5).

use std::cell::Cell;

use doorman_http::Instant;

/// What a connection may spend at once. Browsers that cancel a page full of images stay below.
const BUDGET: u32 = 400;
/// What flows back per second.
const REFILL_PER_SECOND: u64 = 40;

#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<u32>,
    refilled: Cell<Instant>,
}

impl Budget {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { left: Cell::new(BUDGET), refilled: Cell::new(now) }
    }

    /// Spends `n`; says whether anything is left.
    #[must_use]
    pub(crate) fn spend(&self, n: u32, now: Instant) -> bool {
        let elapsed = now.since(self.refilled.get()).as_millis();
        let back = u32::try_from(elapsed * u128::from(REFILL_PER_SECOND) / 1000).unwrap_or(BUDGET);
        if back > 0 {
            self.refund(back);
            self.refilled.set(now);
        }
        self.left.set(self.left.get().saturating_sub(n));
        self.left.get() > 0
    }

    /// Gives `n` back; a budget that was spent stays spent.
    pub(crate) fn refund(&self, n: u32) {
        if self.left.get() > 0 {
            self.left.set(self.left.get().saturating_add(n).min(BUDGET));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_empties_it_and_it_stays_empty() {
        let budget = Budget::new(Instant(0));
        for _ in 1..BUDGET {
            assert!(budget.spend(1, Instant(0)));
        }
        assert!(!budget.spend(1, Instant(0)));
        budget.refund(100);
        assert!(!budget.spend(1, Instant(0) + Duration::from_secs(60)));
    }

    #[test]
    fn slow_spending_and_served_requests_never_empty_it() {
        let budget = Budget::new(Instant(0));
        for second in 0..10_000 {
            assert!(budget.spend(30, Instant(0) + Duration::from_secs(second)));
        }
        for _ in 0..10 * BUDGET {
            assert!(budget.spend(1, Instant(0)));
            budget.refund(1);
        }
    }
}
