//! What all cores know of one server: how much it does now, and whether it lately refused.
//!
//! Only atomics, so that the value can be shared by every core's balancer and outlive a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

/// Rest after the first refused connection: long enough for the next picks to go elsewhere, short
/// enough that a server that merely restarted is soon back.
pub const REST_FIRST: Duration = Duration::from_secs(1);
/// The rest doubles with every refusal in a row up to this; more would leave a server that came
/// back unused for longer than an operator understands.
pub const REST_LONGEST: Duration = Duration::from_secs(10);

/// Place of a server in its upstream's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);

impl ServerId {
    /// The place as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a try at a server ended, as far as it tells whether the server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A connection stood or an answer came, whatever the answer was.
    Reached,
    /// No connection could be made.
    Refused,
}

/// Counters of one server, shared by all cores and kept over a reload. On a cache line of its own:
/// two busy servers must not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServerState {
    in_flight: AtomicU32,
    refusals: AtomicU32,
    /// Nanoseconds of the monotonic clock; 0: not resting.
    rests_until: AtomicU64,
    picks: AtomicU64,
}

impl ServerState {
    /// A server that nobody has asked yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Requests that it works on now, over all cores.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How often it was picked since the process started.
    #[must_use]
    pub fn picks(&self) -> u64 {
        self.picks.load(Ordering::Relaxed)
    }

    /// Whether it refused a connection so lately that others go first.
    #[must_use]
    pub fn is_resting(&self, now: Instant) -> bool {
        self.rests_until.load(Ordering::Relaxed) > now.0
    }

    /// Takes note of how a try ended. Refusals during a rest do not lengthen it: they come from
    /// requests that were on their way when it began.
    pub fn report(&self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Reached => {
                // Read first: a store each request would pass the line from core to core.
                if self.refusals.load(Ordering::Relaxed) != 0 {
                    self.refusals.store(0, Ordering::Relaxed);
                    self.rests_until.store(0, Ordering::Relaxed);
                }
            }
            Outcome::Refused => {
                let until = self.rests_until.load(Ordering::Relaxed);
                if until > now.0 {
                    return;
                }
                let before = self.refusals.load(Ordering::Relaxed);
                let rest = REST_FIRST.saturating_mul(1 << before.min(16)).min(REST_LONGEST);
                // One core wins when several see the same refusal; the others' rest is the same.
                let next = (now + rest).0;
                let won = self.rests_until.compare_exchange(
                    until,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if won.is_ok() {
                    self.refusals.store(before.saturating_add(1), Ordering::Relaxed);
                }
            }
        }
    }

    /// Counts one more request, unless `max` are under way already.
    pub(crate) fn reserve(&self, max: Option<u32>) -> bool {
        let max = max.unwrap_or(u32::MAX);
        let step = |n: u32| (n < max).then(|| n + 1);
        let reserved =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok();
        if reserved {
            self.picks.fetch_add(1, Ordering::Relaxed);
        }
        reserved
    }
}

/// A place at a server, given back on drop: hold it until the response has ended.
#[derive(Debug)]
#[must_use = "dropping it frees the server's place"]
pub struct Lease {
    server: ServerId,
    state: Arc<ServerState>,
}

impl Lease {
    pub(crate) fn new(server: ServerId, state: Arc<ServerState>) -> Self {
        Self { server, state }
    }

    /// Which server.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.server
    }

    /// Its counters.
    #[must_use]
    pub fn state(&self) -> &ServerState {
        &self.state
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
