//! How much longer heads may become than what the client sent of them.
//!
//! A reference of one byte to the table of header compression (RFC 7541 section 6.1) stands for a
//! field of thousands, and the origin gets the field. Honest clients live by that: a cookie of
//! 4 KiB costs them a byte in every request but the first. So each request has an allowance, and
//! only what goes beyond it, and beyond ten times what was sent, draws on an account of the
//! connection that fills again with time (H2D-11).

use doorman_http::Instant;

/// What every head may hold whatever it came in as, bytes.
const FREE: u64 = 4 * 1024;
/// What a byte of a header block may become.
const TIMES: u64 = 10;
/// What a connection may draw at once, bytes: a page of two hundred requests with 8 KiB of cookies.
const BALANCE_MAX: u64 = 1024 * 1024;
/// What flows back a second, bytes.
const REFILL_PER_SECOND: u64 = 256 * 1024;

/// The account of a connection.
#[derive(Debug)]
pub(crate) struct Expansion {
    /// What header blocks have paid in. Several are read at once, so it is no one head's.
    earned: u64,
    balance: u64,
    refilled: Instant,
}

impl Expansion {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { earned: 0, balance: BALANCE_MAX, refilled: now }
    }

    /// Whether a head of `head` bytes is paid for; header blocks of `sent` bytes came since the last.
    pub(crate) fn pays(&mut self, head: usize, sent: usize, now: Instant) -> bool {
        let earned = (sent as u64).saturating_mul(TIMES);
        self.earned = self.earned.saturating_add(earned).min(BALANCE_MAX);
        let wanted = (head as u64).saturating_sub(FREE);
        let excess = wanted.saturating_sub(self.earned);
        self.earned = self.earned.saturating_sub(wanted);
        if excess > self.balance {
            self.refill(now);
        }
        match self.balance.checked_sub(excess) {
            Some(balance) => {
                self.balance = balance;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = u64::try_from(now.since(self.refilled).as_millis()).unwrap_or(u64::MAX);
        let back = elapsed.saturating_mul(REFILL_PER_SECOND) / 1000;
        self.balance = self.balance.saturating_add(back).min(BALANCE_MAX);
        self.refilled = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many heads of `head` bytes, each sent as `sent`, are paid for when all come at once.
    fn paid(head: usize, sent: usize) -> usize {
        let mut account = Expansion::new(Instant(0));
        (0..100_000).take_while(|_| account.pays(head, sent, Instant(0))).count()
    }

    #[test]
    fn only_long_heads_out_of_few_bytes_cost_something() {
        assert_eq!(paid(4_000, 20), 100_000, "what browsers send");
        assert_eq!(paid(30_000, 3_000), 100_000, "long, but sent");
        assert_eq!(paid(8 * 1024, 0), 256, "long cookies out of the table");
        assert_eq!(paid(32 * 1024, 30), 36, "the longest head out of the table");
    }

    #[test]
    fn time_pays_back_up_to_the_bound() {
        let mut account = Expansion::new(Instant(0));
        while account.pays(32 * 1024, 0, Instant(0)) {}
        let later = Instant(0) + Duration::from_millis(500);
        let again = (0..100).take_while(|_| account.pays(32 * 1024, 0, later)).count();
        assert_eq!(again, 5, "128 KiB came back, and a little was left");
        let much_later = Instant(0) + Duration::from_secs(3600);
        let again = (0..1000).take_while(|_| account.pays(32 * 1024, 0, much_later)).count();
        assert_eq!(again, 36);
    }
}
