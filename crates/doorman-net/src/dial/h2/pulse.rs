//! Whether an origin is still there.
//!
//! A connection can be dead without a word: the machine at its other end lost power, or a box in
//! between forgot it. A PING (RFC 9113 section 6.7) tells, but servers of gRPC close connections for
//! pings that come more often than every five minutes without anything being sent in between, so it
//! is asked only when somebody waits for an answer, and seldom.

use std::time::Duration;

use doorman_http::Instant;

use crate::http2::io::Observe;

/// A connection with open streams that is silent for so long is asked for a sign of life.
pub(super) const PING_AFTER: Duration = Duration::from_secs(30);
/// A connection that was silent for so long is asked when a request is sent on it.
const QUIET: Duration = Duration::from_secs(10);
/// How long the origin may take to show it.
pub(super) const PING_WAIT: Duration = Duration::from_secs(10);
/// While nothing else comes, it is not asked again before this: the least that servers of gRPC
/// take without complaint, and a little.
const PING_AGAIN: Duration = Duration::from_secs(310);
/// Length of an acknowledged PING, bytes.
const PONG: u64 = 17;
/// Length of a frame header (RFC 9113 section 4.1), bytes.
const HEADER: u64 = 9;

/// Follows what comes from an origin.
#[derive(Debug)]
pub(super) struct Pulse {
    heard: Instant,
    bytes: u64,
    /// The length of the first frame, as far as it is known.
    first: u64,
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    /// What had come by then.
    bytes: u64,
}

impl Pulse {
    pub(super) const fn new(now: Instant) -> Self {
        Self { heard: now, bytes: 0, first: 0, asked: None }
    }

    /// Whether the first frame is there, which must be the origin's SETTINGS (RFC 9113 section 3.4).
    pub(super) const fn has_greeted(&self) -> bool {
        self.bytes >= HEADER + self.first
    }

    /// When something came last.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether the connection was silent for so long that it may be dead.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now.since(self.heard) >= QUIET
    }

    /// Whether the origin owes a sign of life, and since when.
    pub(super) fn owes(&self) -> Option<Instant> {
        self.asked.filter(|asked| asked.bytes == self.bytes).map(|asked| asked.at)
    }

    /// Whether it may be asked now.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| {
            self.bytes > asked.bytes + PONG || now.since(asked.at) >= PING_AGAIN
        })
    }

    /// It was asked.
    pub(super) const fn ask(&mut self, now: Instant) {
        self.asked = Some(Asked { at: now, bytes: self.bytes });
    }
}

impl Observe for Pulse {
    fn read(&mut self, bytes: &[u8], now: impl Fn() -> Instant) {
        let from = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        // The first three bytes are the length of the first frame.
        for &byte in bytes.iter().take(3usize.saturating_sub(from)) {
            self.first = self.first << 8 | u64::from(byte);
        }
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if !bytes.is_empty() {
            self.heard = now();
        }
    }

    fn wrote(&mut self, _: usize) {}

    fn has_enough(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_frame_is_seen_however_the_bytes_are_cut() {
        let settings = [&[0, 0, 6, 4, 0, 0, 0, 0, 0][..], &[0, 3, 0, 0, 0, 9]].concat();
        for cut in 1..=settings.len() {
            let mut pulse = Pulse::new(at(0));
            let mut read = 0;
            for piece in settings.chunks(cut) {
                assert!(!pulse.has_greeted(), "{read} of {}", settings.len());
                pulse.read(piece, || at(1));
                read += piece.len();
            }
            assert!(pulse.has_greeted());
        }
    }

    #[test]
    fn a_pong_alone_does_not_allow_another_ping() {
        let mut pulse = Pulse::new(at(0));
        assert!(pulse.may_ask(at(0)) && pulse.owes().is_none());
        pulse.ask(at(30));
        assert_eq!(pulse.owes(), Some(at(30)));
        pulse.read(&[0; 17], || at(31));
        assert!(pulse.owes().is_none() && !pulse.may_ask(at(100)));
        assert!(pulse.may_ask(at(400)), "long enough ago");
        pulse.read(&[0; 9], || at(101));
        assert!(pulse.may_ask(at(102)), "the origin said something else");
    }
}
