//! How slowly a client may take a response's content, on wires with windows.
//!
//! Waiting alone is no measure: a client that opens its window by one byte a second would hold a
//! stream for ever. So time runs only while the client is waited for, and starts anew only when it
//! has taken enough.

use std::task::{Context, Poll};
use std::time::Duration;

use doorman_http::Instant;

use crate::Clock;
use crate::alarm::Alarm;

/// What a client has to take within the time that a write may stand still, bytes per stream.
const TAKEN_MIN: usize = 16 * 1024;

/// How slowly a client may take what it asked for.
pub(super) struct Pace {
    clock: Clock,
    alarm: Alarm,
    patience: Duration,
    left: Duration,
    since: Option<Instant>,
    taken: usize,
}

impl Pace {
    /// Of a client that has `patience` for each piece that it has to take.
    pub(super) const fn new(clock: Clock, patience: Duration) -> Self {
        Self { clock, alarm: Alarm::new(clock), patience, left: patience, since: None, taken: 0 }
    }

    /// Ready when the client has kept us waiting for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = self.clock.instant();
            self.since = Some(now);
            self.alarm.set(now + self.left);
        }
        self.alarm.poll(cx)
    }

    /// The client is not waited for any longer.
    pub(super) fn stop(&mut self) {
        if let Some(since) = self.since.take() {
            self.alarm.clear();
            self.left = self.left.saturating_sub(self.clock.instant().since(since));
        }
    }

    /// Hears of `n` bytes that the client made room for.
    pub(super) fn took(&mut self, n: usize) {
        self.stop();
        self.taken += n;
        if self.taken >= TAKEN_MIN {
            self.taken = 0;
            self.left = self.patience;
        }
    }
}
