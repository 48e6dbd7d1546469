//! What the streams of a connection and the connection's task tell each other.
//!
//! Memory is the point. A client chooses its windows, so it chooses how many responses stand still
//! half sent. What they hold is counted over the whole connection, and a stream takes its next piece
//! from the origin only while the connection holds little (CVE-2019-9517 and its kin).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use doorman_http::{Length, SMALL};

/// Response bytes that a connection may hold before its streams stop taking more from origins: four
/// large pieces, so that one fast stream is never held up.
const HELD_MAX: usize = 1024 * 1024;
/// A response that declares no more than this goes on all the same, so that downloads that stand
/// still do not hold up short answers, bytes.
const SHORT_MAX: u64 = 64 * 1024;

/// What request heads may take while their streams are open, bytes as SETTINGS_MAX_HEADER_LIST_SIZE
/// counts them (RFC 9113 section 6.5.2): a hundred streams with the longest cookies that browsers
/// send. Header compression makes a head of 32 KiB out of 30 bytes, and a client that lets its
/// responses stand still would have us keep them all (H2D-11).
const HEADS_MAX: usize = 1024 * 1024;
/// What request heads may take on a core, all connections together: as much as 64 of them may have
/// each. A crowd of hostile clients gets no more than one that is small.
const HEADS_CORE_MAX: usize = 64 * 1024 * 1024;
/// What a connection may have of it even when others have taken all: two of the longest heads, so that
/// nobody is shut out by them.
const HEADS_ALWAYS: usize = 64 * 1024;

thread_local! {
    /// What request heads take on this core.
    static HEADS: Cell<usize> = const { Cell::new(0) };
}

/// The account of a connection.
#[derive(Default)]
pub(super) struct Ledger {
    active: Cell<u32>,
    heads: Cell<usize>,
    held: Cell<usize>,
    queued: Cell<usize>,
    sent: Cell<u32>,
    has_answered: Cell<bool>,
    streams: RefCell<Vec<Waker>>,
    connection: RefCell<Option<Waker>>,
}

impl Ledger {
    /// Says which task serves the connection.
    pub(super) fn register(&self, waker: &Waker) {
        let place = &mut *self.connection.borrow_mut();
        if place.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *place = Some(waker.clone());
        }
    }

    /// Streams whose work has not ended (invariant I6).
    pub(super) const fn active(&self) -> u32 {
        self.active.get()
    }

    /// Whether no stream has asked this before.
    pub(super) fn is_first_response(&self) -> bool {
        !self.has_answered.replace(true)
    }

    /// Counts a stream in whose request head takes so many bytes; it is counted out when the result
    /// is dropped. `None`: the heads of the streams that are open leave no room for another.
    pub(super) fn enter(self: &Rc<Self>, head: usize) -> Option<Running> {
        if !self.take_heads(head) {
            return None;
        }
        self.active.set(self.active.get() + 1);
        Some(Running { ledger: Rc::clone(self), head: Cell::new(head) })
    }

    /// Counts `n` bytes of heads, if there is room for them.
    fn take_heads(&self, n: usize) -> bool {
        let (own, all) = (self.heads.get() + n, HEADS.get() + n);
        if own > HEADS_MAX || (own > HEADS_ALWAYS && all > HEADS_CORE_MAX) {
            return false;
        }
        self.heads.set(own);
        HEADS.set(all);
        true
    }

    fn give_heads(&self, n: usize) {
        self.heads.set(self.heads.get().saturating_sub(n));
        HEADS.set(HEADS.get().saturating_sub(n));
    }

    /// Ready when a stream may take another piece of a response of that length from its origin.
    pub(super) fn poll_room(&self, length: Length, cx: &Context<'_>) -> Poll<()> {
        let is_short = matches!(length, Length::Known(n) if n <= SHORT_MAX);
        if is_short || self.held.get() + self.queued.get() < HELD_MAX {
            return Poll::Ready(());
        }
        let mut streams = self.streams.borrow_mut();
        if !streams.iter().any(|known| known.will_wake(cx.waker())) {
            streams.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Lets the connection's task look again.
    pub(super) fn wake_connection(&self) {
        if let Some(waker) = &*self.connection.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Everything that was handed to the codec has left.
    pub(super) fn all_written(&self) {
        self.queued.set(0);
        self.wake_streams();
    }

    /// Frames with content that were handed over since this was asked last.
    pub(super) fn take_sent(&self) -> u32 {
        self.sent.take()
    }

    fn wake_streams(&self) {
        if self.held.get() + self.queued.get() >= HELD_MAX {
            return;
        }
        for waker in self.streams.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// A stream's work, counted while it lasts.
pub(super) struct Running {
    ledger: Rc<Ledger>,
    head: Cell<usize>,
}

impl Running {
    /// The account that it is counted on.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts the stream's request head, where it was not known when the stream was counted in.
    /// Whether there was room for it.
    #[must_use]
    pub(super) fn bear(&self, head: usize) -> bool {
        if !self.ledger.take_heads(head) {
            return false;
        }
        self.head.set(self.head.get() + head);
        true
    }

    /// Counts a piece of `n` bytes as held. It counts in full until the last of it is handed over:
    /// until then the memory is there, and a small piece may stand in a buffer that is not small.
    pub(super) fn hold(&self, n: usize) -> Holding<'_> {
        let size = n.max(SMALL);
        self.ledger.held.set(self.ledger.held.get() + size);
        Holding { ledger: &self.ledger, size }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let active = self.ledger.active.get().saturating_sub(1);
        self.ledger.active.set(active);
        self.ledger.give_heads(self.head.get());
        if active == 0 {
            // The connection is idle from now on.
            self.ledger.wake_connection();
        }
    }
}

/// A piece that a stream holds.
pub(super) struct Holding<'a> {
    ledger: &'a Ledger,
    size: usize,
}

impl Holding<'_> {
    /// All of it was handed to the codec.
    pub(super) fn hand_over(self) {
        let ledger = self.ledger;
        ledger.queued.set(ledger.queued.get() + self.size);
        ledger.sent.set(ledger.sent.get().saturating_add(1));
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.ledger.held.set(self.ledger.held.get().saturating_sub(self.size));
        self.ledger.wake_streams();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_with_what_is_held_or_queued_and_comes_back() {
        let ledger = Rc::new(Ledger::default());
        let running = ledger.enter(1).unwrap();
        let cx = Context::from_waker(Waker::noop());
        let pieces: Vec<_> = (0..HELD_MAX.div_ceil(SMALL)).map(|_| running.hold(1)).collect();
        assert!(ledger.poll_room(Length::Unknown, &cx).is_pending(), "held");
        assert!(ledger.poll_room(Length::Known(SHORT_MAX), &cx).is_ready(), "a short answer");
        pieces.into_iter().for_each(Holding::hand_over);
        assert!(ledger.poll_room(Length::Unknown, &cx).is_pending(), "queued");
        assert_eq!(ledger.take_sent(), 52, "of 20 KiB each");
        ledger.all_written();
        assert!(ledger.poll_room(Length::Unknown, &cx).is_ready());
        assert!(ledger.streams.borrow().is_empty());
        drop(running);
        assert_eq!(ledger.active(), 0);
    }

    #[test]
    fn heads_of_open_streams_share_one_bound_h2d_11() {
        let ledger = Rc::new(Ledger::default());
        let head = HEADS_MAX / 4;
        let mut open: Vec<_> = (0..4).map(|_| ledger.enter(head).unwrap()).collect();
        assert!(ledger.enter(1).is_none(), "no room");
        assert_eq!(ledger.active(), 4, "what found no room is not counted");
        open.pop();
        assert!(ledger.enter(head).is_some(), "room again, which is given back at once");
        assert!(ledger.enter(head).is_some());
        drop(open);
        assert_eq!((ledger.active(), ledger.heads.get()), (0, 0));
    }

    #[test]
    fn connections_of_a_core_share_one_bound_h2d_11() {
        let crowd: Vec<Rc<Ledger>> =
            (0..HEADS_CORE_MAX / HEADS_MAX).map(|_| Rc::default()).collect();
        let mut open: Vec<_> = crowd.iter().map(|one| one.enter(HEADS_MAX).unwrap()).collect();
        let late = Rc::new(Ledger::default());
        let first = late.enter(HEADS_ALWAYS).expect("nobody is shut out");
        assert!(!first.bear(1) && late.enter(1).is_none(), "but the core has no more");
        open.pop();
        assert!(first.bear(1));
        drop((open, first));
        assert_eq!(HEADS.get(), 0);
    }
}
