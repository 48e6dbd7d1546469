//! How slowly a client may take a response's content, on wires with windows, and give a request's content whose length
//! it has declared.
//!
//! Waiting alone is no measure: a client that opens its window, or sends, by one byte a second would hold a
//! stream for ever. So time runs only while the client is waited for, and starts anew only when enough has moved.
//!
//! Content without a length may be a conversation (gRPC, an upload as things happen), of which silence is a part: of
//! that only the gaps are measured.

use std::task::{Context, Poll};
use std::time::Duration;

use doorman_http::Instant;

use crate::Clock;
use crate::alarm::Alarm;

/// What a client has to take or to give within the time that it may keep us waiting, bytes per stream.
const MOVED_MIN: usize = 16 * 1024;

/// How slowly a client may take what it asked for, or give what it announced.
pub(super) struct Pace {
    clock: Clock,
    alarm: Alarm,
    patience: Duration,
    left: Duration,
    since: Option<Instant>,
    moved: usize,
}

impl Pace {
    /// Of a client that has `patience` for each piece that it has to take or to give.
    pub(super) const fn new(clock: Clock, patience: Duration) -> Self {
        Self { clock, alarm: Alarm::new(clock), patience, left: patience, since: None, moved: 0 }
    }

    /// Begins with another message.
    pub(super) fn restart(&mut self) {
        self.stop();
        (self.left, self.moved) = (self.patience, 0);
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

    /// Hears of `n` bytes that the client made room for, or sent.
    pub(super) fn moved(&mut self, n: usize) {
        self.stop();
        self.moved += n;
        if self.moved >= MOVED_MIN {
            self.moved = 0;
            self.left = self.patience;
        }
    }
}
