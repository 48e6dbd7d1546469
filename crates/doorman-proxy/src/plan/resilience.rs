//! What an upstream does when its servers fail or have no room, compiled.

use std::sync::Arc;
use std::time::Duration;

use doorman_balance::{BreakerRules, LineBounds, Resilience};
use doorman_config::{Breaker, Failures, Park, Queue, Retry, RetryRules, Upstream};
use doorman_net::dial::DialTimeouts;

use super::Ground;

/// Of an upstream that says anything about it. The others have none, and what is here costs them
/// nothing.
pub(crate) struct PlanResilience {
    /// What all cores share of it and outlives the plan.
    pub(crate) state: Arc<Resilience>,
    pub(crate) retry: Option<PlanRetry>,
    pub(crate) breaker: Option<PlanBreaker>,
    pub(crate) queue: Option<PlanWait>,
    pub(crate) park: Option<PlanWait>,
}

/// Whether and on what a request is sent again.
#[derive(Clone, Debug)]
pub(crate) struct PlanRetry {
    /// Further tries; 0: none, not even of what never reached a server.
    pub(crate) tries: u32,
    pub(crate) on: Conditions,
    /// Of 10,000.
    pub(crate) budget: u32,
    pub(crate) try_timeout: Option<Duration>,
    pub(crate) unsafe_too: bool,
    pub(crate) keep: usize,
}

/// When it is not asked.
#[derive(Clone, Debug)]
pub(crate) struct PlanBreaker {
    pub(crate) rules: BreakerRules,
    pub(crate) on: Conditions,
}

/// A wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanWait {
    pub(crate) bounds: LineBounds,
    pub(crate) timeout: Duration,
}

/// What counts as failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) connect: bool,
    pub(crate) timeout: bool,
    pub(crate) reset: bool,
    pub(crate) malformed: bool,
    /// A bit for each status from 400 to 599.
    statuses: [u64; 4],
}

/// The first status that can be an error's.
const FIRST: u16 = 400;

impl Conditions {
    fn of(written: &Failures) -> Self {
        let mut on = Self {
            connect: written.connect,
            timeout: written.timeout,
            reset: written.reset,
            malformed: written.malformed,
            statuses: [0; 4],
        };
        for range in &written.statuses {
            for status in range.first..=range.last {
                if let Some((word, bit)) = place(status) {
                    on.statuses[word] |= bit;
                }
            }
        }
        on
    }

    /// What a breaker counts if nothing is written: all that is the server's fault.
    fn faults() -> Self {
        let statuses = vec![doorman_config::StatusRange { first: 500, last: 599 }];
        Self::of(&Failures { connect: true, timeout: true, reset: true, malformed: true, statuses })
    }

    /// Whether an answer with this status counts.
    #[inline]
    pub(crate) fn has_status(&self, status: u16) -> bool {
        place(status).is_some_and(|(word, bit)| self.statuses[word] & bit != 0)
    }

    /// In the configuration's words.
    pub(crate) fn words(&self) -> String {
        let named = [
            (self.connect, "connect-error"),
            (self.timeout, "timeout"),
            (self.reset, "reset"),
            (self.malformed, "malformed"),
        ];
        let named = named.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned());
        let statuses = (FIRST..600).filter(|status| self.has_status(*status));
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for status in statuses {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == status => *last = status,
                _ => ranges.push((status, status)),
            }
        }
        let ranges = ranges.iter().map(|(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        named.chain(ranges).collect::<Vec<_>>().join(" ")
    }
}

fn place(status: u16) -> Option<(usize, u64)> {
    let n = status.checked_sub(FIRST).filter(|n| *n < 200)?;
    Some((usize::from(n / 64), 1 << (n % 64)))
}

pub(super) fn compile(upstream: &Upstream, ground: &Ground) -> Option<Box<PlanResilience>> {
    let Upstream { retry, breaker, queue, park, .. } = upstream;
    if retry.is_none() && breaker.is_none() && queue.is_none() && park.is_none() {
        return None;
    }
    Some(Box::new(PlanResilience {
        state: ground.resilience(&upstream.name.value),
        retry: retry.as_ref().map(self::retry),
        breaker: breaker.as_ref().map(self::breaker),
        queue: queue.as_ref().map(self::queue),
        park: park.as_ref().map(self::park),
    }))
}

fn retry(written: &Retry) -> PlanRetry {
    match written {
        Retry::Off(_) => PlanRetry {
            tries: 0,
            on: Conditions::default(),
            budget: 0,
            try_timeout: None,
            unsafe_too: false,
            keep: 0,
        },
        Retry::On(RetryRules { tries, on, budget, try_timeout, unsafe_too, keep, .. }) => {
            PlanRetry {
                tries: tries.value,
                on: Conditions::of(on),
                budget: budget.value,
                try_timeout: try_timeout.as_ref().map(|time| time.value),
                unsafe_too: unsafe_too.is_some(),
                keep: usize::try_from(keep.value).unwrap_or(usize::MAX),
            }
        }
    }
}

fn breaker(written: &Breaker) -> PlanBreaker {
    PlanBreaker {
        rules: BreakerRules {
            // A share above the whole is reached by nothing.
            errors: written.errors.value.unwrap_or(10_001),
            least: written.min.value,
            within: written.within.value,
            open: written.open.value,
            trials: written.trials.value,
            in_flight: written.in_flight.as_ref().map(|most| most.value),
        },
        on: written.on.as_ref().map_or_else(Conditions::faults, |on| Conditions::of(&on.value)),
    }
}

const fn queue(written: &Queue) -> PlanWait {
    // A queue is bounded by its number: what its requests hold is bounded by `buffer request`.
    let bounds = LineBounds { requests: written.requests.value, bytes: u64::MAX };
    PlanWait { bounds, timeout: written.timeout.value }
}

const fn park(written: &Park) -> PlanWait {
    let bounds = LineBounds { requests: written.requests.value, bytes: written.bytes.value };
    PlanWait { bounds, timeout: written.timeout.value }
}

impl PlanResilience {
    /// Brings what outlives the plan in line with it.
    pub(crate) fn settle(&self) {
        if let Some(breaker) = &self.breaker {
            self.state.breaker.look_back(breaker.rules.within);
        }
    }

    /// What is written, and what holds where nothing is.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        if let Some(retry) = &self.retry {
            words.push(("retry", retry.words()));
        }
        if let Some(PlanBreaker { rules, on }) = &self.breaker {
            let mut text = String::new();
            if rules.errors <= 10_000 {
                text = format!(
                    "opens for {} at {} of at least {} tries in {} ({}), closes after {} trials",
                    time(rules.open),
                    percent(rules.errors),
                    rules.least,
                    time(rules.within),
                    on.words(),
                    rules.trials
                );
            }
            if let Some(most) = rules.in_flight {
                let and = if text.is_empty() { "" } else { "; " };
                text.push_str(&format!("{and}{most} requests at once"));
            }
            words.push(("breaker", text));
        }
        for (name, what, wait) in
            [("queue", "is full", &self.queue), ("park", "is gone", &self.park)]
        {
            if let Some(PlanWait { bounds, timeout }) = wait {
                let text = format!(
                    "{} requests wait up to {} when every server {what}",
                    bounds.requests,
                    time(*timeout)
                );
                words.push((name, text));
            }
        }
        words
    }

    /// The timeouts of one try.
    pub(crate) fn shorten(&self, timeouts: DialTimeouts) -> DialTimeouts {
        match self.retry.as_ref().and_then(|retry| retry.try_timeout) {
            None => timeouts,
            Some(limit) => DialTimeouts {
                connect: timeouts.connect.min(limit),
                response: timeouts.response.min(limit),
                ..timeouts
            },
        }
    }
}

impl PlanRetry {
    fn words(&self) -> String {
        if self.tries == 0 {
            return "off".to_owned();
        }
        let mut text = format!("{} on {}", self.tries, self.on.words());
        if self.unsafe_too {
            text.push_str(", whatever the method");
        }
        text.push_str(&format!(", budget {}", percent(self.budget)));
        if let Some(limit) = self.try_timeout {
            text.push_str(&format!(", {} for a try", time(limit)));
        }
        text.push_str(&format!(", keeps bodies up to {} bytes", self.keep));
        text
    }
}

/// Hundredths of a percent, as people write them.
fn percent(share: u32) -> String {
    if share.is_multiple_of(100) {
        format!("{}%", share / 100)
    } else {
        format!("{}.{:02}%", share / 100, share % 100)
    }
}

fn time(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_a_set() {
        let range = |first, last| doorman_config::StatusRange { first, last };
        let written = Failures {
            timeout: true,
            statuses: vec![range(400, 400), range(502, 504), range(599, 599)],
            ..Failures::default()
        };
        let on = Conditions::of(&written);
        let has: Vec<u16> = (0..=1000).filter(|status| on.has_status(*status)).collect();
        assert_eq!(has, [400, 502, 503, 504, 599]);
        assert_eq!(on.words(), "timeout 400 502-504 599");
        assert_eq!(Conditions::faults().words(), "connect-error timeout reset malformed 500-599");
    }
}
