//! The streams of a connection: a slab, and the ids of those that are open, in order.
//!
//! ```text
//! idle -> open -> half-closed, either way -> closed
//!              -> cut by a reset          -> closed
//! ```
//!
//! A stream stays in its slot until the shell lets go of it, since its work has not ended before.

use std::collections::VecDeque;

use crate::inbox::Inbox;
use crate::window::{STREAM_START, Window};

/// How far back it is known which streams were reset by us, in streams. Frames for those may have
/// been on their way, and frames for still older ones are taken for such.
const KNOWN: u32 = 1024;

/// A stream that a client opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    id: u32,
    slot: u32,
}

impl Stream {
    /// Its number on the wire.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.id
    }

    /// A small number that no other open stream of the connection has.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Who cut a stream, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    ByClient,
    ByUs,
    Malformed(&'static str),
}

/// What is known of an open stream.
#[derive(Debug)]
pub(crate) struct State {
    id: u32,
    pub(crate) inbox: Inbox,
    /// What the client may send.
    pub(crate) receive: Window,
    /// What we may send; below nothing after the client has shrunk it (RFC 9113 section 6.9.2).
    pub(crate) send: i64,
    pub(crate) cut: Option<Cut>,
    pub(crate) has_sent_end: bool,
    /// It waits for room: in the output, and for content in the windows.
    pub(crate) waits: Option<For>,
}

/// What a stream waits to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Head,
    Content,
}

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Open(Stream),
    /// It may still be opened.
    Idle,
    /// The client knows that it is over.
    Closed,
    /// We reset it, which the client may not have known.
    Reset,
}

#[derive(Debug)]
pub(crate) struct Streams {
    slots: Vec<State>,
    free: Vec<u32>,
    /// Ids and slots of those that are open, by id.
    open: VecDeque<(u32, u32)>,
    /// Which of the last [`KNOWN`] streams we reset.
    resets: [u64; KNOWN as usize / 64],
    last: u32,
}

impl Streams {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            open: VecDeque::new(),
            resets: [0; KNOWN as usize / 64],
            last: 0,
        }
    }

    /// The highest stream that the client opened.
    pub(crate) const fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    #[inline]
    pub(crate) fn find(&self, id: u32) -> Found {
        if id > self.last || id.is_multiple_of(2) {
            return Found::Idle;
        }
        let newest = self.open.back().filter(|newest| newest.0 == id);
        let slot = match newest {
            Some((_, slot)) => Some(*slot),
            None => self
                .open
                .binary_search_by_key(&id, |known| known.0)
                .ok()
                .and_then(|at| self.open.get(at))
                .map(|known| known.1),
        };
        match slot {
            Some(slot) => Found::Open(Stream { id, slot }),
            None if self.was_reset(id) => Found::Reset,
            None => Found::Closed,
        }
    }

    /// Opens a stream; `id` is odd and the highest.
    pub(crate) fn open(&mut self, id: u32, send: i64) -> Stream {
        self.pass(id);
        let state = State {
            id,
            inbox: Inbox::default(),
            receive: Window::new(STREAM_START),
            send,
            cut: None,
            has_sent_end: false,
            waits: None,
        };
        let slot = self.free.pop();
        let slot = match slot.and_then(|slot| Some((slot, self.slots.get_mut(slot as usize)?))) {
            Some((slot, place)) => {
                *place = state;
                slot
            }
            None => {
                self.slots.push(state);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.open.push_back((id, slot));
        Stream { id, slot }
    }

    /// Passes over the streams up to `id`.
    pub(crate) fn pass(&mut self, id: u32) {
        // Those in between are closed by it (RFC 9113 section 5.1.1).
        let mut next = self.last + 1 + self.last % 2;
        next = next.max(id.saturating_sub(2 * KNOWN) | 1);
        while next <= id {
            let (word, bit) = place(next);
            if let Some(word) = self.resets.get_mut(word) {
                *word &= !bit;
            }
            next += 2;
        }
        self.last = id;
    }

    /// Remembers that a stream was reset by us.
    pub(crate) fn note_reset(&mut self, id: u32) {
        let (word, bit) = place(id);
        if let Some(word) = self.resets.get_mut(word) {
            *word |= bit;
        }
    }

    fn was_reset(&self, id: u32) -> bool {
        if (self.last - id) / 2 >= KNOWN {
            return true;
        }
        let (word, bit) = place(id);
        self.resets.get(word).is_some_and(|word| word & bit != 0)
    }

    #[inline]
    pub(crate) fn get(&mut self, stream: Stream) -> Option<&mut State> {
        self.slots.get_mut(stream.slot()).filter(|state| state.id == stream.id)
    }

    /// Closes a stream and gives back what was known of it.
    pub(crate) fn close(&mut self, stream: Stream) -> Option<&mut State> {
        let at = self.open.binary_search_by_key(&stream.id, |known| known.0).ok()?;
        self.open.remove(at);
        self.free.push(stream.slot);
        let state = self.slots.get_mut(stream.slot())?;
        state.id = 0;
        Some(state)
    }

    /// Every open stream.
    pub(crate) fn each(&mut self, mut each: impl FnMut(Stream, &mut State)) {
        for &(id, slot) in &self.open {
            if let Some(state) = self.slots.get_mut(slot as usize) {
                each(Stream { id, slot }, state);
            }
        }
    }
}

/// Where a stream is in the ring of resets.
const fn place(id: u32) -> (usize, u64) {
    let n = (id / 2 % KNOWN) as usize;
    (n / 64, 1 << (n % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_found_until_they_are_closed_and_slots_are_used_again() {
        let mut streams = Streams::new();
        assert_eq!(streams.find(1), Found::Idle);
        let one = streams.open(1, 0);
        let five = streams.open(5, 0);
        assert_eq!((streams.find(1), streams.find(5)), (Found::Open(one), Found::Open(five)));
        assert_eq!(
            (streams.find(3), streams.find(2), streams.find(7)),
            (Found::Closed, Found::Idle, Found::Idle)
        );
        assert!(streams.close(one).is_some() && streams.close(one).is_none());
        assert_eq!(streams.find(1), Found::Closed);
        let seven = streams.open(7, 0);
        assert_eq!(seven.slot(), one.slot());
        assert!(streams.get(one).is_none(), "another stream has its slot");
        assert!(streams.get(seven).is_some());
    }

    #[test]
    fn resets_of_ours_are_remembered_for_a_while() {
        let mut streams = Streams::new();
        let one = streams.open(1, 0);
        streams.note_reset(1);
        streams.close(one);
        assert_eq!(streams.find(1), Found::Reset);
        let mut id = 3;
        while id < 2 * KNOWN + 10 {
            let stream = streams.open(id, 0);
            streams.close(stream);
            assert_eq!(streams.find(id), Found::Closed, "{id}");
            id += 2;
        }
        assert_eq!(streams.find(1), Found::Reset, "too old to know better");
        assert_eq!(streams.find(2 * KNOWN + 1), Found::Closed, "its place was cleared");
        streams.note_reset(id - 2);
        streams.pass(u32::MAX >> 1);
        assert_eq!(streams.find(u32::MAX >> 1), Found::Closed);
    }
}
