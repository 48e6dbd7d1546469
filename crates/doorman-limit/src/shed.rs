//! Load that a core cannot get done in time is refused early, the least important first.
//!
//! What is measured is how long work waited before the core came to it. From CoDel (RFC 8289) come the measure and the
//! control law: the *least* delay in an interval, as a burst makes a queue that is gone at once and only a standing
//! queue shows in the minimum (section 4.2); and steps that follow each other by `interval / sqrt(count)` while it
//! stands (section 5.4). Facebook's servers watch their queues so (Maurer, *Fail at Scale*, 2015). From WeChat's DAGOR
//! (Zhou and others, *Overload Control for Scaling WeChat Microservices*, 2018) comes what a step does: it moves a cut
//! through priorities, so that what matters least is refused completely before anything that matters more is touched.
//!
//! ```text
//! level     0 ........ 333 ........ 667 ........ 1000
//! low       some......  all
//! normal               some......   all
//! high                              some......   nearly all
//! ```
//!
//! A level that has risen falls slowly at first and faster the longer all is well, so it settles around what the core
//! can do and does not swing. Between half the target and the target nothing moves.
//!
//! One value for each core; nothing is shared.

use std::time::Duration;

use doorman_http::Instant;

/// The highest level.
const LEVEL_MAX: u16 = 1_000;

/// How much of a level one interval over the target adds.
const RISE: u16 = 25;

/// Intervals in a row below half the target, after which a level falls as fast as it ever does.
const CALM_MAX: u16 = 16;

/// The part of a level by which the first calm interval lowers it; the n-th lowers it n times as much.
const FALL: u16 = 128;

/// Steps that the control law counts: below a fifteenth of an interval there are no samples to speak of.
const COUNT_MAX: u32 = 200;

/// Intervals of a delay that pass without any other sample and count as such. A process that was stopped for a while
/// finds one long delay, which says little about the next; a core that is so late again and again will soon tell.
const STOOD_MAX: u32 = 4;

/// What is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShedRules {
    /// Work may stand for so long.
    pub target: Duration,
    /// The time in which a burst has to be gone. More than the delays of usual bursts; RFC 8289 takes 100 ms.
    pub interval: Duration,
}

impl Default for ShedRules {
    /// 50 ms of waiting on a core are far above what a healthy one shows; bursts have 100 ms.
    fn default() -> Self {
        Self { target: Duration::from_millis(50), interval: Duration::from_millis(100) }
    }
}

/// How much a request matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Refused first.
    Low,
    /// What nobody said anything about.
    #[default]
    Normal,
    /// Refused last.
    High,
}

/// How much of its load a core refuses.
#[derive(Clone, Debug)]
pub struct Shed {
    rules: ShedRules,
    /// 0 to 1,000.
    level: u16,
    /// Steps up in a row.
    count: u32,
    /// Calm intervals in a row.
    calm: u16,
    /// The least delay of this interval, in nanoseconds.
    least: Option<u64>,
    /// The least delay of the interval before.
    before: u64,
    begun: Instant,
}

impl Shed {
    /// Refuses nothing yet.
    #[must_use]
    pub const fn new(rules: ShedRules, now: Instant) -> Self {
        Self { rules, level: 0, count: 0, calm: 0, least: None, before: 0, begun: now }
    }

    /// Goes on by other rules.
    pub const fn set_rules(&mut self, rules: ShedRules) {
        self.rules = rules;
    }

    /// Work that the core has just come to had waited for so long. To be told of work that is let pass and of nothing
    /// else; a few samples in each interval are enough. Through intervals that passed while it waited, and of which
    /// nothing else is known, it stood.
    pub fn observe(&mut self, delay: Duration, now: Instant) {
        let delay = nanos(delay);
        self.turn(now, Instant(now.0.saturating_sub(delay)));
        self.least = Some(self.least.map_or(delay, |least| least.min(delay)));
    }

    /// How much is refused: 0, nothing, to 1,000, nearly everything.
    #[must_use]
    pub fn level(&mut self, now: Instant) -> u16 {
        self.turn(now, now);
        self.level
    }

    /// Whether a request may pass. `dice` is any random number; one look if all is well.
    #[must_use]
    pub fn admits(&mut self, priority: Priority, dice: u32, now: Instant) -> bool {
        admits(self.level(now), priority, dice)
    }

    /// Ends intervals that are over, of which nothing is known but that work waited since `came`. A clock that went
    /// back begins one anew.
    fn turn(&mut self, now: Instant, came: Instant) {
        if now < self.begun {
            self.begun = now;
            return;
        }
        let mut stood = 0;
        loop {
            let end = self.begun + Duration::from_nanos(self.length());
            if end > now {
                return;
            }
            if self.least.is_none() && came < end {
                if stood == STOOD_MAX {
                    self.begun = now;
                    return;
                }
                if came > self.begun {
                    // What came in the midst of it tells nothing of the whole.
                    self.begun = end;
                    continue;
                }
                stood += 1;
                self.least = Some(end.0 - came.0);
            }
            self.judge();
            self.begun = end;
            if self.level == 0 && self.count == 0 && self.least.is_none() {
                // Nobody came: more such intervals change nothing.
                let passed = came.min(now).0.saturating_sub(self.begun.0);
                let whole = passed - passed % self.length().max(1);
                self.begun = self.begun + Duration::from_nanos(whole);
            }
        }
    }

    /// How long this interval is.
    fn length(&self) -> u64 {
        let interval = u128::from(nanos(self.rules.interval));
        let square = interval * interval / u128::from(self.count.max(1));
        u64::try_from(square.isqrt()).unwrap_or(u64::MAX).max(1)
    }

    fn judge(&mut self) {
        let least = self.least.take().unwrap_or(0);
        let target = nanos(self.rules.target);
        if least > target {
            self.calm = 0;
            // A queue that gets shorter is on its way: more would be too much.
            if least >= self.before - self.before / 16 {
                self.level = (self.level + RISE).min(LEVEL_MAX);
                self.count = (self.count + 1).min(COUNT_MAX);
            }
        } else {
            self.count = 0;
            if least <= target / 2 {
                self.calm = (self.calm + 1).min(CALM_MAX);
                let fall = (self.level / FALL).max(1) * self.calm;
                self.level = self.level.saturating_sub(fall);
            } else {
                self.calm = 0;
            }
        }
        self.before = least;
    }
}

/// Whether a request may pass at this level. `dice` is any random number; one look if all is well.
#[must_use]
pub fn admits(level: u16, priority: Priority, dice: u32) -> bool {
    level == 0 || refused(level, priority) <= dice % 1_000
}

/// How many of 1,000 requests of a priority are refused.
fn refused(level: u16, priority: Priority) -> u32 {
    let over = u32::from(level) * 3;
    match priority {
        Priority::Low => over.min(1_000),
        Priority::Normal => over.saturating_sub(1_000).min(1_000),
        // One of a hundred always passes: without any sample nothing would be known.
        Priority::High => over.saturating_sub(2_000).min(990),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
