//! Requests in a time, as the Generic Cell Rate Algorithm judges them.
//!
//! The ATM Forum's Traffic Management Specification 4.0 (section 4.4.2, ITU-T I.371 annex A) gives two forms that
//! decide alike: the leaky bucket as a meter, and virtual scheduling. This is the second: all that is known of a
//! client is the theoretical arrival time of its next request, were it to keep exactly to its rate. Requests ahead
//! of it by more than the tolerance have to wait. Over any span of time, whatever the clients do,
//!
//! ```text
//! units let pass <= burst + span / interval
//! ```
//!
//! There is no window that begins anew, so nobody gets twice a limit around its edge.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The shortest time between two units, so that what is lost by rounding it up to whole nanoseconds stays within
/// one percent: 10,000,000 units a second.
pub const INTERVAL_MIN: Duration = Duration::from_nanos(100);

/// The longest time that a whole burst may take to come back. It keeps all sums far from the end of 64 bits.
pub const DEPTH_MAX: Duration = Duration::from_hours(24 * 366);

/// A level that lies further ahead than its depth and this was left by another rate, or by a clock that went back.
/// It counts as a burst that is used up and no more, so nobody is locked out by it. Cores may differ by less.
const STRAY: u64 = 1_000_000_000;

/// Requests in a time, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
    burst: NonZeroU32,
    /// Nanoseconds between two units, rounded up: never more than was asked for.
    interval: u64,
    /// Nanoseconds in which a whole burst comes back.
    depth: u64,
}

/// Why a rate is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateError {
    /// Less than [`INTERVAL_MIN`] lies between two units.
    TooFast,
    /// A whole burst takes longer than [`DEPTH_MAX`] to come back.
    TooSlow,
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFast => "more than 10,000,000 a second cannot be counted: give a lower rate, or none",
            Self::TooSlow => "so large a burst takes more than a year to come back: give a smaller burst or a higher rate",
        })
    }
}

impl std::error::Error for RateError {}

/// How a key stands, for the fields of an answer and for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Level {
    /// Units that would pass now, at once.
    pub left: u32,
    /// In how long there is one more than that; zero if the whole burst is there.
    pub next: Duration,
    /// In how long the whole burst is there again.
    pub reset: Duration,
}

/// The time in which a key's whole burst is there again. [`Rate::level`] makes of it what people are told, which takes
/// a division that most requests can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt(u64);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request that is not let pass has to be refused"]
pub enum Taken {
    /// It passes, and this is how its key stands behind it.
    Pass(Debt),
    /// It has to wait, and nothing was taken.
    Wait {
        /// The least time after which it would pass, if nothing else were taken; [`Duration::MAX`] if it costs more
        /// than a whole burst.
        wait: Duration,
        /// How its key stands.
        debt: Debt,
    },
}

impl Taken {
    /// Whether it passes.
    #[must_use]
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass(_))
    }

    /// How its key stands.
    #[must_use]
    pub const fn debt(&self) -> Debt {
        match self {
            Self::Pass(debt) | Self::Wait { debt, .. } => *debt,
        }
    }
}

/// What a moment leads to.
pub(crate) enum Step {
    /// The next moment to be kept, and what to say.
    Pass(u64, Taken),
    /// What to say.
    Wait(Taken),
}

impl Rate {
    /// `count` units per `per`, of which `burst` may come at once.
    ///
    /// # Errors
    /// If units lie closer than [`INTERVAL_MIN`] (which a `per` of zero asks for), or a burst lasts longer than
    /// [`DEPTH_MAX`].
    pub fn new(count: NonZeroU32, per: Duration, burst: NonZeroU32) -> Result<Self, RateError> {
        let interval = per.as_nanos().div_ceil(u128::from(count.get()));
        let depth = interval.saturating_mul(u128::from(burst.get()));
        if interval < INTERVAL_MIN.as_nanos() {
            return Err(RateError::TooFast);
        }
        if depth > DEPTH_MAX.as_nanos() {
            return Err(RateError::TooSlow);
        }
        let narrow = |nanos: u128| u64::try_from(nanos).map_err(|_| RateError::TooSlow);
        Ok(Self { count, per, burst, interval: narrow(interval)?, depth: narrow(depth)? })
    }

    /// The burst where none is written: what the rate gives in one second, at least 1.
    #[must_use]
    pub fn usual_burst(count: NonZeroU32, per: Duration) -> NonZeroU32 {
        let second = u128::from(count.get()) * 1_000_000_000 / per.as_nanos().max(1);
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        NonZeroU32::new(second).unwrap_or(NonZeroU32::MIN)
    }

    /// Units in [`Rate::per`].
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count.get()
    }

    /// The time in which [`Rate::count`] units pass.
    #[must_use]
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Units that may come at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The time between two units, rounded up to whole nanoseconds: at most one percent too long.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// What becomes of `cost` units of a key with this theoretical arrival time.
    pub(crate) fn step(&self, arrival: u64, cost: u32, now: u64) -> Step {
        let debt = self.debt(arrival, now);
        if cost > self.burst.get() {
            return Step::Wait(Taken::Wait { wait: Duration::MAX, debt: Debt(debt) });
        }
        // No overflow: a debt is below depth and `STRAY`, and a cost is within a depth.
        let behind = debt + u64::from(cost) * self.interval;
        if behind <= self.depth {
            return Step::Pass(now.saturating_add(behind), Taken::Pass(Debt(behind)));
        }
        let wait = Duration::from_nanos(behind - self.depth);
        Step::Wait(Taken::Wait { wait, debt: Debt(debt) })
    }

    /// How a key with this theoretical arrival time stands.
    pub(crate) fn stands(&self, arrival: u64, now: u64) -> Level {
        self.level(Debt(self.debt(arrival, now)))
    }

    /// What to keep in place of an arrival time that cannot be of this rate and this clock.
    pub(crate) const fn mend(&self, arrival: u64, now: u64) -> Option<u64> {
        if self.is_stray(arrival, now) { Some(now.saturating_add(self.depth)) } else { None }
    }

    /// What to say to somebody who could not be judged in time: as if nothing were left.
    pub(crate) fn used_up(&self) -> Taken {
        Taken::Wait { wait: self.interval(), debt: Debt(self.depth) }
    }

    const fn is_stray(&self, arrival: u64, now: u64) -> bool {
        arrival.saturating_sub(now) > self.depth + STRAY
    }

    /// Nanoseconds by which the arrival time lies ahead.
    const fn debt(&self, arrival: u64, now: u64) -> u64 {
        if self.is_stray(arrival, now) { self.depth } else { arrival.saturating_sub(now) }
    }

    /// How a key stands that has this debt.
    #[must_use]
    pub fn level(&self, Debt(debt): Debt) -> Level {
        let room = self.depth.saturating_sub(debt);
        let left = room / self.interval;
        // The debt at which there is one more. A debt past the depth has the more to go.
        let more = self.depth.saturating_sub((left + 1) * self.interval);
        let next = if debt == 0 { 0 } else { debt - more };
        Level {
            left: u32::try_from(left).unwrap_or(u32::MAX),
            next: Duration::from_nanos(next),
            reset: Duration::from_nanos(debt),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, per: Duration, burst: u32) -> Result<Rate, RateError> {
        let positive = |n| NonZeroU32::new(n).expect("positive");
        Rate::new(positive(count), per, positive(burst))
    }

    /// One key, told as the outcome of each of its requests.
    fn story(rate: &Rate, takes: &[(u64, u32)]) -> Vec<Taken> {
        let mut arrival = 0;
        let mut tell = |&(now, cost): &(u64, u32)| match rate.step(arrival, cost, now) {
            Step::Pass(next, taken) => {
                arrival = next;
                taken
            }
            Step::Wait(taken) => taken,
        };
        takes.iter().map(&mut tell).collect()
    }

    /// Whether it passes or how long it waits, and the level behind it.
    type Told = (Option<Duration>, Level);

    fn told(rate: &Rate, taken: Taken) -> Told {
        let wait = if let Taken::Wait { wait, .. } = taken { Some(wait) } else { None };
        (wait, rate.level(taken.debt()))
    }

    fn pass(left: u32, next: u64, reset: u64) -> Told {
        let (next, reset) = (Duration::from_millis(next), Duration::from_millis(reset));
        (None, Level { left, next, reset })
    }

    fn wait(wait: u64, left: u32, next: u64, reset: u64) -> Told {
        (Some(Duration::from_millis(wait)), pass(left, next, reset).1)
    }

    const MILLI: u64 = 1_000_000;

    #[test]
    fn levels_are_exact() {
        let ten = rate(10, Duration::from_secs(1), 3).unwrap();
        assert_eq!(
            story(
                &ten,
                &[
                    (0, 1),
                    (0, 1),
                    (0, 1),
                    (0, 1),
                    (40 * MILLI, 1),
                    (100 * MILLI, 1),
                    (250 * MILLI, 2),
                    (350 * MILLI, 2),
                    (5_000 * MILLI, 4),
                    (5_000 * MILLI, 0),
                    (5_000 * MILLI, 3),
                ]
            )
            .into_iter()
            .map(|taken| told(&ten, taken))
            .collect::<Vec<_>>(),
            [
                pass(2, 100, 100),
                pass(1, 100, 200),
                pass(0, 100, 300),
                wait(100, 0, 100, 300),
                wait(60, 0, 60, 260),
                pass(0, 100, 300),
                wait(50, 1, 50, 150),
                pass(0, 50, 250),
                (Some(Duration::MAX), pass(3, 0, 0).1),
                pass(3, 0, 0),
                pass(0, 100, 300),
            ]
        );
    }

    #[test]
    fn a_rate_has_bounds() {
        for (count, per, burst, expect) in [
            (100, Duration::from_secs(1), 100, Ok((10_000_000, 100))),
            // Rounded up: three of it last longer than a second, not shorter.
            (3, Duration::from_secs(1), 1, Ok((333_333_334, 1))),
            (10_000_000, Duration::from_secs(1), 1, Ok((100, 1))),
            (10_101_011, Duration::from_secs(1), 1, Err(RateError::TooFast)),
            (1, Duration::ZERO, 1, Err(RateError::TooFast)),
            (1, DEPTH_MAX, 1, Ok((31_622_400_000_000_000, 1))),
            (1, DEPTH_MAX, 2, Err(RateError::TooSlow)),
            (1, Duration::MAX, u32::MAX, Err(RateError::TooSlow)),
        ] {
            let made = rate(count, per, burst).map(|rate| (rate.interval, rate.burst()));
            assert_eq!(made, expect, "{count} {per:?} {burst}");
        }
        for (count, per, burst) in [(100, 1, 100), (600, 60, 10), (59, 60, 1), (1000, 3600, 1)] {
            let count = NonZeroU32::new(count).unwrap();
            assert_eq!(Rate::usual_burst(count, Duration::from_secs(per)).get(), burst);
        }
    }

    #[test]
    fn another_rate_and_a_clock_that_went_back_lock_nobody_out() {
        let slow = rate(1_000, Duration::from_hours(1), 1_000).unwrap();
        let quick = rate(100, Duration::from_secs(1), 10).unwrap();
        let Step::Pass(arrival, _) = slow.step(0, 1_000, 0) else { panic!("a whole burst") };
        // What took an hour to come back is a used up burst of the new rate, and no more.
        let Step::Wait(taken) = quick.step(arrival, 1, 0) else { panic!() };
        assert_eq!(told(&quick, taken), wait(10, 0, 10, 100));
        assert_eq!(quick.mend(arrival, 0), Some(100 * MILLI));
        // A core that is a little behind mends nothing.
        assert_eq!(slow.mend(arrival + STRAY, 0), None);
        assert_eq!(slow.mend(arrival + STRAY + 1, 0), Some(arrival));
    }

    proptest! {
        /// The law of the GCRA, over every span between two requests.
        #[test]
        fn never_more_than_burst_and_rate(
            count in 1u32..2_000,
            per in 1u64..100_000_000,
            burst in 1u32..50,
            steps in prop::collection::vec((0u64..3_000_000, 0u32..4), 1..120),
        ) {
            let Ok(rate) = rate(count, Duration::from_nanos(per), burst) else { return Ok(()) };
            let mut now = 0;
            let takes: Vec<_> =
                steps.iter().map(|&(gap, cost)| { now += gap; (now, cost) }).collect();
            let told = story(&rate, &takes);
            for from in 0..takes.len() {
                let mut units = 0;
                for at in from..takes.len() {
                    let (moment, cost) = takes[at];
                    units += u64::from(told[at].is_pass()) * u64::from(cost);
                    let span = u128::from(moment - takes[from].0);
                    let most = u128::from(burst) + span * u128::from(count) / u128::from(per);
                    prop_assert!(u128::from(units) <= most, "{units} > {most} in {span}");
                }
            }
        }

        /// What is said of a wait is exact: a nanosecond earlier it would not have passed.
        #[test]
        fn waits_and_levels_are_to_the_nanosecond(
            count in 1u32..2_000, per in 1_000_000u64..100_000_000, burst in 1u32..50,
            debt in 0u64..200_000_000, cost in 1u32..50, now in 0u64..1_000_000_000,
        ) {
            let rate = rate(count, Duration::from_nanos(per), burst).unwrap();
            let arrival = now + debt;
            let passes = |cost, now| matches!(rate.step(arrival, cost, now), Step::Pass(..));
            let nanos = |wait: Duration| u64::try_from(wait.as_nanos()).unwrap();
            let level = rate.stands(arrival, now);
            prop_assert!(passes(level.left, now) || debt > rate.depth);
            prop_assert!(!passes(level.left + 1, now));
            if level.left < burst {
                let next = now + nanos(level.next);
                prop_assert!(passes(level.left + 1, next) && !passes(level.left + 1, next - 1));
            }
            prop_assert!(passes(burst, now + nanos(level.reset)));
            if let Step::Wait(Taken::Wait { wait, .. }) = rate.step(arrival, cost, now) {
                if cost > burst {
                    prop_assert_eq!(wait, Duration::MAX);
                } else {
                    let then = now + nanos(wait);
                    prop_assert!(passes(cost, then) && !passes(cost, then - 1));
                    // RFC draft: `Retry-After` is not before the end of the effective window.
                    prop_assert!(wait >= level.next);
                }
            }
        }
    }
}
