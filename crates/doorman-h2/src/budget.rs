//! Counts frames that cost work but bring no request.
//!
//! One budget for all of them: PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, CONTINUATION that is
//! not full, frames of unknown type, refused streams, and WINDOW_UPDATE beyond what our own bytes can explain
//! draw on it. It fills again slowly and with every piece of a response that the client takes, and a
//! connection that empties it is told to calm down and closed.

use doorman_http::Instant;

use crate::code::{Code, Fault};

/// What a connection may spend at once, in frames. Browsers that cancel a page full of images
/// stay well below.
const BUDGET: u32 = 400;
/// What flows back per second, in frames.
const REFILL_PER_SECOND: u64 = 40;
/// WINDOW_UPDATE frames that cost nothing, at once.
const UPDATES: u32 = 1000;
/// The most of them that may be saved up.
const UPDATES_MAX: u32 = 100_000;
/// One more costs nothing for this many bytes that we wrote; the smallest response with content
/// is about twice as long, and a client updates at most two windows for it.
const BYTES_PER_UPDATE: usize = 64;

/// The budget of a connection.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    updates: u32,
    /// Bytes that we wrote and that have not bought an update yet.
    wrote: usize,
    refilled: Instant,
}

impl Budget {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { left: BUDGET, updates: UPDATES, wrote: 0, refilled: now }
    }

    /// Spends one frame's worth.
    pub(crate) fn spend(&mut self, now: Instant) -> Result<(), Fault> {
        let elapsed = now.since(self.refilled).as_millis();
        let back = u32::try_from(elapsed * u128::from(REFILL_PER_SECOND) / 1000).unwrap_or(BUDGET);
        if back > 0 {
            self.refund(back);
            self.refilled = now;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Err(Fault::new(Code::EnhanceYourCalm, "too many frames that bring no request"));
        }
        Ok(())
    }

    /// Counts a WINDOW_UPDATE.
    #[inline]
    pub(crate) fn update(&mut self, now: Instant) -> Result<(), Fault> {
        if self.updates == 0 {
            return self.spend(now);
        }
        self.updates -= 1;
        Ok(())
    }

    /// Gives `n` frames' worth back; a budget that was spent stays spent.
    #[inline]
    pub(crate) fn refund(&mut self, n: u32) {
        if self.left > 0 {
            self.left = self.left.saturating_add(n).min(BUDGET);
        }
    }

    /// Hears that `n` bytes left.
    pub(crate) fn wrote(&mut self, n: usize) {
        self.wrote = self.wrote.saturating_add(n);
        let more = u32::try_from(self.wrote / BYTES_PER_UPDATE).unwrap_or(UPDATES_MAX);
        self.wrote %= BYTES_PER_UPDATE;
        self.updates = self.updates.saturating_add(more).min(UPDATES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many frames are borne before the connection ends, out of a thousand.
    fn borne(budget: &mut Budget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.spend(now).is_ok()).count()
    }

    #[test]
    fn a_flood_empties_the_budget_and_it_stays_empty() {
        let mut budget = Budget::new(Instant(0));
        assert_eq!(borne(&mut budget, Instant(0)), 399);
        let later = Instant(0) + Duration::from_secs(60);
        assert_eq!(borne(&mut budget, later), 0);
        budget.refund(100);
        assert_eq!(borne(&mut budget, later), 0);
    }

    #[test]
    fn slow_pings_never_empty_it() {
        let mut budget = Budget::new(Instant(0));
        for second in 0..10_000 {
            budget.spend(Instant(0) + Duration::from_secs(second)).unwrap();
        }
    }

    #[test]
    fn updates_are_free_as_far_as_our_bytes_explain_them() {
        let mut budget = Budget::new(Instant(0));
        for _ in 0..UPDATES {
            budget.update(Instant(0)).unwrap();
        }
        assert_eq!(budget.left, BUDGET);
        for _ in 0..2 * BYTES_PER_UPDATE {
            budget.wrote(5);
        }
        for _ in 0..11 {
            budget.update(Instant(0)).unwrap();
        }
        assert_eq!(budget.left, BUDGET - 1);
        assert_eq!(borne(&mut budget, Instant(0)), 398);
    }

    #[test]
    fn what_a_client_takes_refunds_what_it_spends() {
        let mut budget = Budget::new(Instant(0));
        for _ in 0..10 * BUDGET {
            budget.spend(Instant(0)).unwrap();
            budget.refund(1);
        }
        assert_eq!(budget.left, BUDGET);
    }
}
