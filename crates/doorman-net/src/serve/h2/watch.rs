//! Counts frames that cost work but bring no request.
//!
//! The crate has limits for single attacks; this is one budget for all of them: PING, SETTINGS,
//! PRIORITY, RST_STREAM, empty DATA and CONTINUATION, frames of unknown type, and WINDOW_UPDATE
//! beyond what our own bytes can explain draw on it. It fills again slowly and with every piece of a
//! response that the client takes, and a connection that empties it is told to calm down and closed.
//! Frame headers are followed in the bytes as they are read, so what the crate discards is seen too.

use doorman_http::Instant;

/// What a connection may spend at once, in frames. Browsers that cancel a page full of images
/// stay well below.
const BUDGET: u32 = 400;
/// What flows back per second, in frames.
const REFILL_PER_SECOND: u64 = 40;
/// WINDOW_UPDATE frames that cost nothing, at once.
const UPDATES: u32 = 1000;
/// The most of them that may be saved up.
const UPDATES_MAX: u32 = 100_000;
/// One more costs nothing for this many bytes that we wrote; the smallest response with content
/// is about twice as long, and a client updates at most two windows for it.
const BYTES_PER_UPDATE: usize = 64;

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
    updates: u32,
    refilled: Instant,
    /// Where we are in a header block, from the HEADERS frame to END_HEADERS.
    block: Block,
    /// When that block was first seen unfinished.
    block_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    None,
    /// The frame with END_HEADERS is being read.
    Last,
    /// More frames have to come.
    Open,
}

impl Watch {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE,
            header: [0; HEADER],
            have: 0,
            budget: BUDGET,
            updates: UPDATES,
            refilled: now,
            block: Block::None,
            block_since: None,
        }
    }

    /// Whether the budget is spent.
    pub(super) const fn is_flooded(&self) -> bool {
        self.budget == 0
    }

    /// Since when the client owes us the rest of a header block. While one is open no other frame
    /// may come (RFC 9113 section 4.3), so it stops every stream of the connection.
    pub(super) const fn block_since(&self) -> Option<Instant> {
        self.block_since
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
                self.frame(&now);
            }
        }
        if self.block == Block::Last && self.skip == 0 {
            self.block = Block::None;
        }
        if self.block == Block::None {
            self.block_since = None;
        } else if self.block_since.is_none() {
            self.block_since = Some(now());
        }
    }

    fn frame(&mut self, now: &impl Fn() -> Instant) {
        const END_HEADERS: u8 = 0x4;
        let [a, b, c, kind, flags, ..] = self.header;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        self.block = match kind {
            HEADERS | CONTINUATION if flags & END_HEADERS == 0 => Block::Open,
            HEADERS | CONTINUATION => Block::Last,
            _ => Block::None,
        };
        if kind == WINDOW_UPDATE && self.updates > 0 {
            self.updates -= 1;
        } else if is_glitch(kind, flags, length) {
            self.count(now);
        }
    }

    /// Spends one frame's worth.
    pub(super) fn count(&mut self, now: &impl Fn() -> Instant) {
        let now = now();
        let elapsed = now.since(self.refilled).as_millis();
        let back = u32::try_from(elapsed * u128::from(REFILL_PER_SECOND) / 1000).unwrap_or(BUDGET);
        if back > 0 {
            self.refund(back);
            self.refilled = now;
        }
        self.budget = self.budget.saturating_sub(1);
    }

    /// Gives `n` frames' worth back; a budget that was spent stays spent.
    pub(super) fn refund(&mut self, n: u32) {
        if self.budget > 0 {
            self.budget = self.budget.saturating_add(n).min(BUDGET);
        }
    }

    /// Hears of `n` bytes that left for the client.
    pub(super) fn wrote(&mut self, n: usize) {
        let more = u32::try_from(n / BYTES_PER_UPDATE).unwrap_or(UPDATES_MAX);
        self.updates = self.updates.saturating_add(more).min(UPDATES_MAX);
    }
}

/// Frame types (RFC 9113 section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PUSH_PROMISE: u8 = 0x5;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

/// Frames that a client needs only now and then.
const fn is_glitch(kind: u8, flags: u8, length: usize) -> bool {
    const END_STREAM: u8 = 0x1;
    match kind {
        DATA => length == 0 && flags & END_STREAM == 0,
        // HEADERS are counted by what they cause; the crate ends the connection for PUSH_PROMISE,
        // and we leave after a GOAWAY.
        HEADERS | PUSH_PROMISE | GOAWAY => false,
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

    #[test]
    fn window_updates_are_free_as_far_as_our_bytes_explain_them() {
        let updates = |n: u32| -> Vec<u8> { (0..n).flat_map(|_| frame(0x8, 0, 4)).collect() };
        let mut watch = watch(&updates(UPDATES), 4096, Instant(0));
        assert_eq!(watch.budget, BUDGET);
        watch.wrote(10 * BYTES_PER_UPDATE);
        watch.read(&updates(11), || Instant(0));
        assert_eq!(watch.budget, BUDGET - 1);
        watch.read(&updates(BUDGET), || Instant(0));
        assert!(watch.is_flooded());
    }

    #[test]
    fn what_a_client_takes_refunds_what_it_spends_but_not_a_spent_budget() {
        let mut watch = watch(&[], 1, Instant(0));
        for _ in 0..10 * BUDGET {
            watch.read(&frame(0x6, 0, 8), || Instant(0));
            watch.refund(1);
        }
        assert_eq!(watch.budget, BUDGET);
        for _ in 0..BUDGET {
            watch.read(&frame(0x6, 0, 8), || Instant(0));
        }
        watch.refund(100);
        assert!(watch.is_flooded());
    }

    #[test]
    fn an_unfinished_header_block_is_timed_from_where_it_stopped() {
        let at = Instant(0) + Duration::from_secs(5);
        let whole = frame(0x1, 0x4, 20);
        let open = frame(0x1, 0, 20);
        let end = frame(0x9, 0x4, 3);
        let check = |pieces: &[&[u8]], since: Option<Instant>| {
            let mut watch = watch(&[], 1, Instant(0));
            for piece in pieces {
                watch.read(piece, || at);
            }
            assert_eq!(watch.block_since(), since, "{pieces:?}");
        };
        check(&[&whole], None);
        check(&[&whole[..12]], Some(at));
        check(&[&whole[..12], &whole[12..]], None);
        check(&[&open], Some(at));
        check(&[&open, &end], None);
        check(&[&open, &frame(0x9, 0, 0)], Some(at));
        check(&[&open, &end[..9]], Some(at));
    }
}
