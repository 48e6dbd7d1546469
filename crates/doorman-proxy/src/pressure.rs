//! More to do than can be done: how late a core is, how scarce memory is, and who is refused for it.
//!
//! **How late a core is** is told by a timer of its own. When it is due its task stands behind all that is ready on the
//! core by then, so it is as late as anything that had come in at the same time. That takes nothing from requests, and
//! counts whatever keeps the core from its work: requests, handshakes, long turns of others, and a system that gives
//! it no time. A core that nobody asks for anything sets no timer.
//!
//! **How scarce memory is** comes from outside, where somebody looks at the process, and each step does more than the
//! one before ([`Squeeze`]).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use doorman_limit::{Priority, Shed, ShedRules, admits};
use doorman_net::{Alarm, Net};

use crate::house::Proxy;
use crate::metrics::OverloadCounters;
use crate::plan::{PlanOverload, PlanRoute};
use crate::stop::Fault;

/// When clients may come again, in seconds: a core needs seconds to find its level.
const RETRY_AFTER: u32 = 2;

/// How often a core looks how late it is: several times in an interval, and seldom enough to cost nothing.
const TICK_MIN: Duration = Duration::from_millis(5);
const TICK_MAX: Duration = Duration::from_millis(25);
const TICKS: u32 = 8;

/// What is done because memory is scarce. Each step includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Squeeze {
    /// Nothing.
    #[default]
    None,
    /// Stores give half of their memory back, and half of the rest with each further step.
    Stores,
    /// No connection is kept for a request that may come.
    Connections,
    /// Requests of low priority are refused.
    Low,
    /// All requests are refused, and their connections closed.
    All,
}

impl Squeeze {
    /// Every step, the mildest first.
    pub const ALL: [Self; 5] = [Self::None, Self::Stores, Self::Connections, Self::Low, Self::All];

    /// What is done, in a few words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "nothing is refused",
            Self::Stores => "stores give half of their memory back",
            Self::Connections => "no connection is kept open for another request",
            Self::Low => "requests of low priority are refused",
            Self::All => "all requests are refused",
        }
    }
}

/// How hard-pressed a core is.
pub(crate) struct Meter {
    level: Cell<u16>,
    squeeze: Cell<Squeeze>,
    /// Whether anybody has asked for something since the last look.
    is_asked: Cell<bool>,
    sleeper: RefCell<Option<Waker>>,
    counters: Arc<OverloadCounters>,
}

impl Meter {
    pub(crate) fn new(counters: &Arc<OverloadCounters>) -> Self {
        Self {
            level: Cell::default(),
            squeeze: Cell::default(),
            is_asked: Cell::default(),
            sleeper: RefCell::default(),
            counters: Arc::clone(counters),
        }
    }

    /// Whether there is more to do than can be done.
    pub(crate) const fn is_busy(&self) -> bool {
        self.level.get() > 0 || (self.squeeze.get() as u8) >= Squeeze::Low as u8
    }

    /// Somebody asks for something, so it matters from now on how late the core is.
    fn touch(&self) {
        if !self.is_asked.replace(true) {
            self.call();
        }
    }

    /// Lets whoever measures look again.
    pub(crate) fn call(&self) {
        if let Some(waker) = self.sleeper.borrow_mut().take() {
            waker.wake();
        }
    }

    async fn called(&self) {
        let mut is_first = true;
        poll_fn(|cx| {
            if std::mem::replace(&mut is_first, false) {
                *self.sleeper.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if self.sleeper.borrow().is_some() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn set(&self, level: u16, late: Duration) {
        self.level.set(level);
        self.counters.level.set(u64::from(level));
        self.counters.late_micros.set(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
    }
}

impl<N: Net> Proxy<N> {
    /// Measures how late this core is while its plan wants to know and somebody asks for something. Never ends.
    pub async fn measure(&self) {
        let clock = self.core.clock;
        let mut alarm = Alarm::new(clock);
        let mut shed: Option<Shed> = None;
        loop {
            let Some(PlanOverload { rules, .. }) = self.plan().plan.overload else {
                shed = None;
                self.meter.set(0, Duration::ZERO);
                self.meter.called().await;
                continue;
            };
            if self.meter.level.get() == 0 && !self.meter.is_asked.replace(false) {
                self.meter.called().await;
                continue;
            }
            let due = clock.instant() + tick(rules);
            alarm.set(due);
            alarm.wait().await;
            let now = clock.instant();
            let late = now.since(due);
            let shed = shed.get_or_insert_with(|| Shed::new(rules, due));
            shed.set_rules(rules);
            shed.observe(late, now);
            self.meter.set(shed.level(now), late);
        }
    }

    /// Does from now on what this step says about memory.
    pub fn squeeze(&self, step: Squeeze) {
        self.meter.squeeze.set(step);
        self.core.press(step >= Squeeze::Connections);
        if step >= Squeeze::Connections {
            self.hang_up();
        }
    }

    /// Whether a request may pass, as far as there is time and memory for it.
    pub(crate) fn shed(
        &self,
        overload: Option<&PlanOverload>,
        route: &PlanRoute,
    ) -> Result<(), Fault> {
        let meter = &self.meter;
        let squeeze = meter.squeeze.get();
        if squeeze == Squeeze::All || (squeeze == Squeeze::Low && route.priority == Priority::Low) {
            meter.counters.refused_memory.add(1);
            return Err(Fault::Overloaded("memory is scarce", RETRY_AFTER));
        }
        let Some(overload) = overload else { return Ok(()) };
        meter.touch();
        let level = meter.level.get();
        if level == 0 || !overload.sheds || admits(level, route.priority, self.roll()) {
            return Ok(());
        }
        meter.counters.refused[route.priority as usize].add(1);
        Err(Fault::Overloaded("requests wait too long for their core", RETRY_AFTER))
    }

    /// Whether a connection may come in. What it will ask for is not known, so it counts as important: connections are
    /// refused when refusing requests has not helped.
    pub(crate) fn may_connect(&self) -> bool {
        let Some(overload) = self.plan().plan.overload else { return true };
        self.meter.touch();
        let level = self.meter.level.get();
        level == 0 || !overload.sheds || admits(level, Priority::High, self.roll())
    }

    /// Makes room for descriptors that a request needs: of what is kept for others that may come.
    pub(crate) fn make_room(&self) {
        self.hang_up();
        self.core.make_room();
    }

    fn roll(&self) -> u32 {
        // The upper half of it is as random as the whole.
        u32::try_from(self.net.dice() >> 32).unwrap_or_default()
    }
}

fn tick(rules: ShedRules) -> Duration {
    (rules.interval / TICKS).clamp(TICK_MIN, TICK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_looks_in_every_interval() {
        for (millis, tick_millis) in [(20, 5), (100, 12), (200, 25), (10_000, 25)] {
            let rules =
                ShedRules { interval: Duration::from_millis(millis), ..ShedRules::default() };
            assert_eq!(tick(rules).as_millis(), tick_millis, "{millis}");
        }
        assert!(Squeeze::ALL.is_sorted());
    }
}
