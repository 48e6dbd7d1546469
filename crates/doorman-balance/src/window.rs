//! Events of the last while, counted over all cores.
//!
//! Time is cut into turns, and each turn has a word with its own number in it, so that a word of long
//! ago is told from one of now and nobody has to clear anything: adding is one atomic step.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

/// Turns that a sum reaches back over, the one that has begun included.
const TURNS: u64 = 10;
/// Words kept: more than [`TURNS`], so that a core whose clock lags finds its turn still there.
const WORDS: usize = 16;
/// Bits of a word that hold the count; the others hold the turn's number. 2^32 events in one turn
/// are more than a machine can bring about.
const COUNT_BITS: u32 = 32;

/// Counts of the last ten turns.
#[derive(Debug)]
pub(crate) struct Window {
    words: [AtomicU64; WORDS],
    /// Nanoseconds of a turn.
    turn: AtomicU64,
}

impl Window {
    /// A window over the last `length`, cut into ten turns.
    pub(crate) fn new(length: Duration) -> Self {
        Self { words: Default::default(), turn: AtomicU64::new(turn_of(length)) }
    }

    /// Another length from now on. If it is another one, what was counted is forgotten.
    pub(crate) fn set_length(&self, length: Duration) {
        if self.turn.swap(turn_of(length), Ordering::Relaxed) != turn_of(length) {
            self.clear();
        }
    }

    /// Counts one more.
    pub(crate) fn add(&self, now: Instant) {
        let (word, stamp) = self.word(self.turn_at(now));
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            if seen & !COUNT_MASK == stamp {
                word.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let fresh = stamp | 1;
            match word.compare_exchange(seen, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// Counts one more, unless `most` are there already; exactly, however many cores ask at once.
    pub(crate) fn add_below(&self, most: u64, now: Instant) -> bool {
        let (word, stamp) = self.word(self.turn_at(now));
        let step = |seen: u64| {
            let mine = if seen & !COUNT_MASK == stamp { seen & COUNT_MASK } else { 0 };
            (self.sum_before(now) + mine < most).then_some(stamp | (mine + 1))
        };
        word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }

    /// How many there were in the window that ends now.
    pub(crate) fn sum(&self, now: Instant) -> u64 {
        self.sum_before(now) + self.count(self.turn_at(now))
    }

    /// Forgets everything. What others count at the same moment may stay or go.
    pub(crate) fn clear(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    fn sum_before(&self, now: Instant) -> u64 {
        let turn = self.turn_at(now);
        (turn.saturating_sub(TURNS - 1)..turn).map(|turn| self.count(turn)).sum()
    }

    fn turn_at(&self, now: Instant) -> u64 {
        now.0 / self.turn.load(Ordering::Relaxed)
    }

    fn count(&self, turn: u64) -> u64 {
        let (word, stamp) = self.word(turn);
        let seen = word.load(Ordering::Relaxed);
        if seen & !COUNT_MASK == stamp { seen & COUNT_MASK } else { 0 }
    }

    fn word(&self, turn: u64) -> (&AtomicU64, u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below WORDS")]
        let place = (turn % WORDS as u64) as usize;
        (&self.words[place], turn << COUNT_BITS)
    }
}

fn turn_of(length: Duration) -> u64 {
    (u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) / TURNS).max(1)
}

const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant(millis * 1_000_000)
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let window = Window::new(Duration::from_secs(10));
        for second in 0..40 {
            window.add(at(second * 1000));
            window.add(at(second * 1000 + 999));
            assert_eq!(window.sum(at(second * 1000 + 999)), 2 * (second + 1).min(10));
        }
        assert_eq!(window.sum(at(47_000)), 4, "two turns are left");
        assert_eq!(window.sum(at(49_000)), 0);
        // A word that was used in another round of the ring is not of this one.
        assert_eq!(window.sum(at(55_000)), 0);
    }

    #[test]
    fn a_cleared_window_holds_nothing() {
        let window = Window::new(Duration::from_secs(10));
        window.add(at(5_000));
        window.clear();
        assert_eq!(window.sum(at(5_000)), 0);
    }

    #[test]
    fn a_bound_is_exact_over_threads() {
        let window = Window::new(Duration::from_secs(10));
        window.add(at(3_000));
        let taken = std::thread::scope(|scope| {
            let ask = || (0..1_000).filter(|_| window.add_below(501, at(4_000))).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!((taken, window.sum(at(4_000))), (500, 501));
        assert!(!window.add_below(501, at(11_999)));
        assert!(window.add_below(501, at(13_000)), "the first one has left the window");
    }
}
