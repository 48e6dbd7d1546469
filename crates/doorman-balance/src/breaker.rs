//! Whether an upstream is asked at all.
//!
//! ```text
//! closed --too many tries failed--> open --its time is over--> half-open --all trials went well--> closed
//!                                     ^                           |
//!                                     +------- a trial failed ----+
//! ```
//!
//! Half-open lets a bounded number of requests through and judges by nothing else (RXU-08). The whole
//! state is one word, so that cores agree on each step without a lock, and a request through a closed
//! breaker reads it once. A trial carries the number of its half-open spell: what is said of an
//! earlier one changes nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::window::Window;

/// When a breaker opens, and how it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failed tries, of 10,000, at which it opens.
    pub errors: u32,
    /// Tries in the window below which no share counts.
    pub least: u32,
    /// How far back it looks.
    pub within: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// Requests let through half-open; at least 1.
    pub trials: u32,
    /// Requests at once over all cores; past it requests are refused, open or not.
    pub in_flight: Option<u32>,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None passes until then.
    Open {
        /// When the first trial is let through.
        until: Instant,
    },
    /// Some pass, to see whether the upstream is well.
    HalfOpen,
}

impl BreakerState {
    /// The word for it in metrics and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A step that a breaker made, for whoever writes it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a breaker's steps are told to the operator"]
pub enum BreakerStep {
    /// None.
    Stays,
    /// It opened, because so many of so many tries failed.
    Opened {
        /// Tries that failed.
        failed: u64,
        /// Tries in the window.
        tries: u64,
    },
    /// It opened again, because a trial failed.
    Reopened,
    /// It lets trials through.
    HalfOpened,
    /// It closed: all trials went well.
    Closed,
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerRefusal {
    /// It is open for so much longer, or its trials are under way.
    Open(Duration),
    /// As many requests as may be at once are under way.
    Full,
}

/// What a passing request has to give back, and what it is tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPass {
    spell: Option<u32>,
    counted: bool,
}

/// The breaker of one upstream, over all cores.
#[derive(Debug)]
pub struct Breaker {
    word: AtomicU64,
    in_flight: AtomicU32,
    opened: AtomicU64,
    tries: Window,
    failed: Window,
}

/// What the word says. Closed is zero, so that the usual look is one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Closed,
    Open { until: u64 },
    HalfOpen { spell: u32, begun: u32, well: u32 },
}

const KIND: u32 = 62;
/// Bits of the two counts of trials.
const TRIALS_BITS: u32 = 16;
/// Trials that fit the word.
pub const TRIALS_MAX: u32 = (1 << TRIALS_BITS) - 1;
const SPELL_MASK: u64 = (1 << (KIND - 2 * TRIALS_BITS)) - 1;

/// The low bits of a word as a spell's number.
const fn spell_of(bits: u64) -> u32 {
    (bits & SPELL_MASK) as u32
}

/// The low bits of a word as a count of trials.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves 16 bits")]
const fn trials_of(bits: u64) -> u32 {
    (bits & TRIALS_MAX as u64) as u32
}

impl Word {
    const fn read(word: u64) -> Self {
        let rest = word & !(3 << KIND);
        match word >> KIND {
            0 => Self::Closed,
            1 => Self::Open { until: rest },
            _ => Self::HalfOpen {
                spell: spell_of(rest >> (2 * TRIALS_BITS)),
                begun: trials_of(rest >> TRIALS_BITS),
                well: trials_of(rest),
            },
        }
    }

    const fn write(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until } => 1 << KIND | (until & !(3 << KIND)),
            Self::HalfOpen { spell, begun, well } => {
                2 << KIND
                    | (spell as u64 & SPELL_MASK) << (2 * TRIALS_BITS)
                    | (begun as u64) << TRIALS_BITS
                    | well as u64
            }
        }
    }
}

impl Breaker {
    /// A closed breaker that looks back over `within`.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        Self {
            word: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            opened: AtomicU64::new(0),
            tries: Window::new(within),
            failed: Window::new(within),
        }
    }

    /// Looks back over `within` from now on.
    pub fn look_back(&self, within: Duration) {
        self.tries.set_length(within);
        self.failed.set_length(within);
    }

    /// How it stands. An open one whose time is over stays open until somebody asks to pass.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match Word::read(self.word.load(Ordering::Relaxed)) {
            Word::Closed => BreakerState::Closed,
            Word::Open { until } => BreakerState::Open { until: Instant(until) },
            Word::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether requests pass freely.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0
    }

    /// How often it opened since the process started.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Requests under way, where a bound on them makes it count them.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Tries in the window that ends now, and how many of them failed.
    #[must_use]
    pub fn counts(&self, now: Instant) -> (u64, u64) {
        (self.tries.sum(now), self.failed.sum(now))
    }

    /// Lets a request pass, or not. Every pass is given back by [`Breaker::leave`].
    ///
    /// # Errors
    /// Why not.
    pub fn enter(
        &self,
        rules: &BreakerRules,
        now: Instant,
    ) -> Result<(BreakerPass, BreakerStep), BreakerRefusal> {
        let counted = rules.in_flight.is_some();
        if let Some(most) = rules.in_flight {
            let step = |n: u32| (n < most).then(|| n + 1);
            let counted = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
            counted.map_err(|_| BreakerRefusal::Full)?;
        }
        match self.spell(rules, now) {
            Ok((spell, step)) => Ok((BreakerPass { spell, counted }, step)),
            Err(left) => {
                if counted {
                    self.in_flight.fetch_sub(1, Ordering::Relaxed);
                }
                Err(BreakerRefusal::Open(left))
            }
        }
    }

    fn spell(
        &self,
        rules: &BreakerRules,
        now: Instant,
    ) -> Result<(Option<u32>, BreakerStep), Duration> {
        let trials = rules.trials.clamp(1, TRIALS_MAX);
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let (next, spell, step) = match Word::read(seen) {
                Word::Closed => return Ok((None, BreakerStep::Stays)),
                Word::Open { until } if now.0 < until => {
                    return Err(Duration::from_nanos(until - now.0));
                }
                Word::Open { until } => {
                    // A number that the spell before did not have: its end is in it.
                    let spell = spell_of(until / 1_000);
                    let next = Word::HalfOpen { spell, begun: 1, well: 0 };
                    (next, spell, BreakerStep::HalfOpened)
                }
                Word::HalfOpen { begun, .. } if begun >= trials => return Err(rules.open),
                Word::HalfOpen { spell, begun, well } => {
                    let next = Word::HalfOpen { spell, begun: begun + 1, well };
                    (next, spell, BreakerStep::Stays)
                }
            };
            match self.swap(seen, next) {
                Ok(()) => return Ok((Some(spell), step)),
                Err(other) => seen = other,
            }
        }
    }

    /// A try of a request ended well. Only a trial's first word counts.
    pub fn went_well(
        &self,
        pass: &mut BreakerPass,
        rules: &BreakerRules,
        now: Instant,
    ) -> BreakerStep {
        let Some(spell) = pass.spell.take() else {
            self.tries.add(now);
            return BreakerStep::Stays;
        };
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let next = match Word::read(seen) {
                Word::HalfOpen { spell: now, begun, well } if now == spell => {
                    Word::HalfOpen { spell, begun, well: well + 1 }
                }
                _ => return BreakerStep::Stays,
            };
            let all = matches!(next, Word::HalfOpen { well, .. } if well >= rules.trials.clamp(1, TRIALS_MAX));
            match self.swap(seen, if all { Word::Closed } else { next }) {
                Ok(()) if all => {
                    // What failed before must not open it again.
                    self.tries.clear();
                    self.failed.clear();
                    return BreakerStep::Closed;
                }
                Ok(()) => return BreakerStep::Stays,
                Err(other) => seen = other,
            }
        }
    }

    /// A try of a request failed.
    pub fn failed(
        &self,
        pass: &mut BreakerPass,
        rules: &BreakerRules,
        now: Instant,
    ) -> BreakerStep {
        let until = Word::Open { until: (now + rules.open).0 };
        if let Some(spell) = pass.spell.take() {
            let mut seen = self.word.load(Ordering::Relaxed);
            while matches!(Word::read(seen), Word::HalfOpen { spell: now, .. } if now == spell) {
                match self.swap(seen, until) {
                    Ok(()) => {
                        self.opened.fetch_add(1, Ordering::Relaxed);
                        return BreakerStep::Reopened;
                    }
                    Err(other) => seen = other,
                }
            }
            return BreakerStep::Stays;
        }
        self.tries.add(now);
        self.failed.add(now);
        let (tries, failed) = self.counts(now);
        let too_many = tries >= u64::from(rules.least)
            && failed.saturating_mul(10_000) >= tries.saturating_mul(u64::from(rules.errors));
        if too_many && self.swap(0, until).is_ok() {
            self.opened.fetch_add(1, Ordering::Relaxed);
            return BreakerStep::Opened { failed, tries };
        }
        BreakerStep::Stays
    }

    /// Gives a pass back. A trial that nobody judged makes room for another.
    pub fn leave(&self, pass: BreakerPass) {
        if pass.counted {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(spell) = pass.spell else { return };
        let _ =
            self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
                match Word::read(seen) {
                    Word::HalfOpen { spell: now, begun, well } if now == spell => {
                        let begun = begun.saturating_sub(1);
                        Some(Word::HalfOpen { spell, begun, well }.write())
                    }
                    _ => None,
                }
            });
    }

    fn swap(&self, from: u64, to: Word) -> Result<(), u64> {
        self.word.compare_exchange(from, to.write(), Ordering::Relaxed, Ordering::Relaxed).map(drop)
    }
}

#[cfg(test)]
mod tests;
