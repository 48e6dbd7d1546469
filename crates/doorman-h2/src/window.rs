//! Receive windows: how much a client may send ahead, and how that grows (RFC 9113 section 5.2).
//!
//! A window that is smaller than what a path holds (bandwidth times round trip) stops the sender once
//! a round trip; one that is larger is only memory. So windows begin modestly, and a round trip is
//! measured by a PING while content is being taken: what took at least half of its window within
//! one was, or soon would be, stopped by it, and the window doubles. Credit is given only for what
//! the handler took, so a slow origin never makes a window grow.

use std::time::Duration;

use doorman_http::Instant;

/// Where the window of a stream begins, bytes: what HTTP/2 begins with (RFC 9113 section 6.9.2), so
/// that clients that send before they have read our settings are right.
pub(crate) const STREAM_START: u32 = 65_535;
/// Where the window of a connection begins: room for four streams.
pub(crate) const CONNECTION_START: u32 = 256 * 1024;
/// The largest window of a stream: 2 MiB a round trip is 160 Mbit/s at 100 ms.
pub const STREAM_MAX: u32 = 2 * 1024 * 1024;
/// The largest window of a connection, which bounds what its clients can have us hold: twice a
/// stream's, so that one upload never stops the others.
pub const CONNECTION_MAX: u32 = 4 * 1024 * 1024;
/// How long a path that left windows half empty is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A receive window.
#[derive(Debug)]
pub(crate) struct Window {
    /// What the client may still send; below nothing never.
    left: u32,
    /// What the client may send ahead.
    size: u32,
    /// What was taken and the client has not been told of.
    owed: u32,
    /// What was taken since the round trip that is being measured began.
    taken: u32,
}

impl Window {
    pub(crate) const fn new(size: u32) -> Self {
        Self { left: size, size, owed: 0, taken: 0 }
    }

    #[cfg(test)]
    pub(crate) const fn size(&self) -> u32 {
        self.size
    }

    /// Counts what came. Whether the client was allowed to send it.
    #[must_use]
    pub(crate) fn receive(&mut self, n: u32) -> bool {
        match self.left.checked_sub(n) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Counts what was taken. How much the client is to be told of, once that is worth a frame.
    #[must_use]
    pub(crate) fn take(&mut self, n: u32) -> Option<u32> {
        self.owed = self.owed.saturating_add(n);
        self.taken = self.taken.saturating_add(n);
        if self.owed < self.size / 2 { None } else { self.announce() }
    }

    /// Gives back what came and nobody will take: it says nothing about the path.
    #[must_use]
    pub(crate) fn discard(&mut self, n: u32) -> Option<u32> {
        self.owed = self.owed.saturating_add(n);
        if self.owed < self.size / 2 { None } else { self.announce() }
    }

    fn announce(&mut self) -> Option<u32> {
        let owed = std::mem::take(&mut self.owed);
        self.left = self.left.saturating_add(owed);
        (owed > 0).then_some(owed)
    }

    /// A round trip that is measured begins.
    pub(crate) const fn start(&mut self) {
        self.taken = 0;
    }

    /// A round trip is over. Doubles the window if at least half of it was taken meanwhile, and says
    /// how much the client is to be told of.
    #[must_use]
    pub(crate) fn grow(&mut self, max: u32) -> Option<u32> {
        if self.taken < self.size / 2 || self.size >= max {
            return None;
        }
        let size = self.size.saturating_mul(2).min(max);
        self.owed = self.owed.saturating_add(size - self.size);
        self.size = size;
        self.announce()
    }

    pub(crate) const fn is_at(&self, max: u32) -> bool {
        self.size >= max
    }
}

/// When round trips are measured.
#[derive(Debug)]
pub(crate) struct Probe {
    is_out: bool,
    /// Content that was taken since the last measurement, bytes.
    taken: u32,
    not_before: Instant,
}

impl Probe {
    pub(crate) const fn new() -> Self {
        Self { is_out: false, taken: 0, not_before: Instant(0) }
    }

    /// Hears of content that was taken. Whether a measurement is to begin: once half of a small
    /// window was taken, so that short uploads cost no PING.
    #[must_use]
    pub(crate) fn take(&mut self, n: u32, now: Instant) -> bool {
        if self.is_out {
            return false;
        }
        self.taken = self.taken.saturating_add(n);
        if self.taken < STREAM_START / 2 || now < self.not_before {
            return false;
        }
        self.is_out = true;
        self.taken = 0;
        true
    }

    /// The answer came. Whether one was waited for.
    #[must_use]
    pub(crate) const fn answer(&mut self) -> bool {
        std::mem::replace(&mut self.is_out, false)
    }

    /// Nothing grew: the path has what it needs.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.not_before = now + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_given_for_what_was_taken_and_in_large_pieces() {
        let mut window = Window::new(1000);
        assert!(window.receive(1000) && !window.receive(1), "the window is spent");
        assert_eq!(window.take(499), None);
        assert_eq!(window.take(1), Some(500));
        assert!(window.receive(500) && !window.receive(1));
        assert_eq!(window.discard(600), Some(600));
    }

    /// What a window becomes in `rounds` round trips of a path that holds so many bytes, with an
    /// origin that takes at most `taken` of them in one.
    fn after(path: u32, taken: u32, rounds: usize) -> u32 {
        let mut window = Window::new(STREAM_START);
        for _ in 0..rounds {
            window.start();
            let n = path.min(taken).min(window.size());
            assert!(window.receive(n.min(window.left)));
            let _ = window.take(n);
            let _ = window.grow(STREAM_MAX);
        }
        window.size()
    }

    #[test]
    fn windows_grow_to_what_the_path_holds_and_no_further() {
        let check = |path, taken, rounds, expected| {
            assert_eq!(after(path, taken, rounds), expected, "{path} {taken} {rounds}");
        };
        check(10_000, u32::MAX, 100, STREAM_START);
        check(500_000, u32::MAX, 1, 2 * STREAM_START);
        check(500_000, u32::MAX, 100, 16 * STREAM_START);
        check(u32::MAX, u32::MAX, 5, 32 * STREAM_START);
        check(u32::MAX, u32::MAX, 100, STREAM_MAX);
        // A slow origin behind a fast path.
        check(u32::MAX, 0, 100, STREAM_START);
        check(u32::MAX, 20_000, 100, STREAM_START);
    }

    #[test]
    fn growth_is_told_at_once_with_what_is_owed() {
        let mut window = Window::new(1000);
        assert!(window.receive(700));
        assert_eq!(window.take(400), None);
        assert_eq!(window.take(200), Some(600));
        assert_eq!(window.grow(1500), Some(500));
        assert!(window.is_at(1500) && window.grow(1500).is_none());
    }

    #[test]
    fn measurements_follow_content_one_at_a_time_and_pause_when_nothing_grows() {
        let mut probe = Probe::new();
        let now = Instant(0);
        assert!(!probe.answer(), "a client's own idea");
        assert!(!probe.take(100, now), "too little to be worth it");
        assert!(probe.take(STREAM_START, now));
        assert!(!probe.take(STREAM_START, now), "one is out");
        assert!(probe.answer());
        assert!(probe.take(STREAM_START, now));
        assert!(probe.answer());
        probe.rest(now);
        assert!(!probe.take(STREAM_START, now + Duration::from_millis(999)));
        assert!(probe.take(STREAM_START, now + PAUSE));
    }
}
