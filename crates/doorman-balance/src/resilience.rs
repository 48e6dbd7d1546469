//! What all cores share of an upstream for when its servers fail or have no room; kept over reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::{Breaker, Budget, Line};

/// Between the first two tries at a server that is gone: a process that restarts needs longer, and
/// a client does not notice it.
pub const KNOCK_FIRST: Duration = Duration::from_millis(25);
/// The wait between two tries doubles up to this: what a client waits for a server that is back
/// already, at the most.
pub const KNOCK_LONGEST: Duration = Duration::from_millis(400);

/// The books of one upstream.
#[derive(Debug)]
pub struct Resilience {
    /// What may be sent again.
    pub budget: Budget,
    /// Whether it is asked at all.
    pub breaker: Breaker,
    /// Requests that wait for a server with room.
    pub queue: Arc<Line>,
    /// Requests that wait for a server that is there.
    pub park: Arc<Line>,
    /// What was refused, by [`Refused`].
    refused: [AtomicU64; Refused::ALL.len()],
    shut: AtomicBool,
    knocks: AtomicU32,
    knock_at: AtomicU64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The breaker was open.
    BreakerOpen,
    /// The breaker's bound on requests at once.
    BreakerFull,
    /// The queue was full.
    QueueFull,
    /// It waited in the queue for too long.
    QueueTimeout,
    /// No more could be parked.
    ParkFull,
    /// It was parked for too long.
    ParkTimeout,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BreakerOpen,
        Self::BreakerFull,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::ParkFull,
        Self::ParkTimeout,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker-open",
            Self::BreakerFull => "breaker-full",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::ParkFull => "park-full",
            Self::ParkTimeout => "park-timeout",
        }
    }
}

impl Resilience {
    /// Nothing has failed yet, and nobody waits.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::default(),
            breaker: Breaker::new(Duration::from_secs(10)),
            queue: Arc::default(),
            park: Arc::default(),
            refused: Default::default(),
            shut: AtomicBool::new(false),
            knocks: AtomicU32::new(0),
            knock_at: AtomicU64::new(0),
        })
    }

    /// Counts what was refused.
    pub fn refuse(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How much was refused for that.
    #[must_use]
    pub fn refused(&self, why: Refused) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }

    /// Whether no server could be reached when one was last tried: then a request does not try by
    /// itself, but joins those who wait.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed)
    }

    /// No server could be reached. The next one to knock does it a while later.
    pub fn shut(&self, now: Instant) {
        let was = self.shut.swap(true, Ordering::Relaxed);
        let knocks = if was { self.knocks.load(Ordering::Relaxed) } else { 0 };
        let wait = KNOCK_FIRST.saturating_mul(1 << knocks.min(16)).min(KNOCK_LONGEST);
        self.knocks.store(knocks.saturating_add(1), Ordering::Relaxed);
        self.knock_at.store((now + wait).0, Ordering::Relaxed);
    }

    /// When the first of those who wait tries again.
    #[must_use]
    pub fn knock_at(&self) -> Instant {
        Instant(self.knock_at.load(Ordering::Relaxed))
    }

    /// A server was reached: those who wait go, in their order.
    pub fn reached(&self) {
        // Read first: this is on the way of every request to an upstream that parks.
        if self.is_shut() && self.shut.swap(false, Ordering::Relaxed) {
            self.park.call_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knocks_grow_rarer_and_begin_anew() {
        let resilience = Resilience::new();
        let mut waits = Vec::new();
        for _ in 0..7 {
            resilience.shut(Instant(0));
            waits.push(resilience.knock_at().0 / 1_000_000);
        }
        assert_eq!(waits, [25, 50, 100, 200, 400, 400, 400]);
        assert!(resilience.is_shut());
        resilience.reached();
        assert!(!resilience.is_shut());
        resilience.shut(Instant(1_000_000));
        assert_eq!(resilience.knock_at(), Instant(26_000_000));
    }

    #[test]
    fn every_refusal_is_counted_by_itself() {
        let resilience = Resilience::new();
        for (n, why) in Refused::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| resilience.refuse(why));
        }
        let counts = Refused::ALL.map(|why| resilience.refused(why));
        assert_eq!(counts, [1, 2, 3, 4, 5, 6]);
    }
}
