//! Counts frames that cost work but bring no request.
//!
//! The crate has limits for single attacks; this is one budget for all of them: PING, SETTINGS,
//! PRIORITY, RST_STREAM, empty DATA and CONTINUATION, and frames of unknown type draw on it, it
//! fills again slowly, and a connection that empties it is told to calm down and closed. Frame
//! headers are followed in the bytes as they are read, so what the crate discards is seen too.

use doorman_http::Instant;

/// What a connection may spend at once, in frames. Browsers that cancel a page full of images
/// stay well below.
const BUDGET: u32 = 400;
/// What flows back per second, in frames.
const REFILL_PER_SECOND: u64 = 40;

/// Length of the client's connection preface (RFC 9113 section 3.4), bytes.
const PREFACE: usize = 24;
/// Length of a frame header (RFC 9113 section 4.1), bytes.
const HEADER: usize = 9;

/// Follows the frames that a client sends.
#[derive(Debug)]
pub(super) struct Watch {
    skip: usize,
    header: [u8; HEADER],
    have: usize,
    budget: u32,
    refilled: Instant,
}

impl Watch {
    pub(super) const fn new(now: Instant) -> Self {
        Self { skip: PREFACE, header: [0; HEADER], have: 0, budget: BUDGET, refilled: now }
    }

    /// Whether the budget is spent.
    pub(super) const fn is_flooded(&self) -> bool {
        self.budget == 0
    }

    /// Looks at bytes from the client. `now` is asked only when something is to be counted.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + n].copy_from_slice(&bytes[..n]);
            self.have += n;
            bytes = &bytes[n..];
            if self.have == HEADER {
                self.have = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.skip = length;
                if is_glitch(kind, flags, length) {
                    self.count(&now);
                }
            }
        }
    }

    /// Spends one frame's worth.
    pub(super) fn count(&mut self, now: &impl Fn() -> Instant) {
        let now = now();
        let elapsed = now.since(self.refilled).as_millis();
        let back = u32::try_from(elapsed * u128::from(REFILL_PER_SECOND) / 1000).unwrap_or(BUDGET);
        if back > 0 && self.budget > 0 {
            self.budget = (self.budget + back).min(BUDGET);
            self.refilled = now;
        }
        self.budget = self.budget.saturating_sub(1);
    }
}

/// Frames that a client needs only now and then (types: RFC 9113 section 6).
const fn is_glitch(kind: u8, flags: u8, length: usize) -> bool {
    const END_STREAM: u8 = 0x1;
    match kind {
        // DATA, empty and without an end.
        0x0 => length == 0 && flags & END_STREAM == 0,
        // HEADERS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE: counted by what they cause.
        0x1 | 0x5 | 0x7 | 0x8 => false,
        // CONTINUATION: needed only for heads beyond one frame.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + payload, 0);
        frame
    }

    fn watch(bytes: &[u8], cut: usize, now: Instant) -> Watch {
        let mut watch = Watch::new(Instant(0));
        watch.read(&[b'x'; PREFACE], || now);
        for piece in bytes.chunks(cut) {
            watch.read(piece, || now);
        }
        watch
    }

    #[test]
    fn only_glitches_are_counted_however_the_bytes_are_cut() {
        let frames = [
            (0x0, 0, 100, 0),
            (0x0, 1, 0, 0),
            (0x0, 0, 0, 1),
            (0x1, 4, 30, 0),
            (0x2, 0, 5, 1),
            (0x3, 0, 4, 1),
            (0x4, 0, 0, 1),
            (0x6, 0, 8, 1),
            (0x8, 0, 4, 0),
            (0x9, 0, 0, 1),
            (0x42, 0, 7, 1),
        ];
        let all: Vec<u8> = frames.iter().flat_map(|&(k, f, n, _)| frame(k, f, n)).collect();
        let counted: u32 = frames.iter().map(|f| f.3).sum();
        for cut in [1, 2, 8, 9, 10, 1000] {
            assert_eq!(watch(&all, cut, Instant(0)).budget, BUDGET - counted, "cut at {cut}");
        }
    }

    #[test]
    fn a_flood_empties_the_budget_and_it_stays_empty() {
        let pings: Vec<u8> = (0..BUDGET).flat_map(|_| frame(0x6, 0, 8)).collect();
        let mut watch = watch(&pings, 4096, Instant(0));
        assert!(watch.is_flooded());
        let later = Instant(0) + Duration::from_secs(60);
        watch.read(&frame(0x6, 0, 8), || later);
        assert!(watch.is_flooded());
    }

    #[test]
    fn slow_pings_never_empty_it() {
        let mut watch = Watch::new(Instant(0));
        watch.read(&[0; PREFACE], || Instant(0));
        for second in 0..10_000 {
            watch.read(&frame(0x6, 0, 8), || Instant(0) + Duration::from_secs(second));
        }
        assert!(!watch.is_flooded());
    }
}
