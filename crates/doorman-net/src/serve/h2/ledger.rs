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

/// The account of a connection.
#[derive(Default)]
pub(super) struct Ledger {
    active: Cell<u32>,
    held: Cell<usize>,
    queued: Cell<usize>,
    sent: Cell<u32>,
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

    /// Counts a stream in; it is counted out when the result is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Running {
        self.active.set(self.active.get() + 1);
        Running { ledger: Rc::clone(self) }
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
}

impl Running {
    /// The account that it is counted on.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
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
        if active == 0
            && let Some(waker) = &*self.ledger.connection.borrow()
        {
            // The connection is idle from now on.
            waker.wake_by_ref();
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
        let running = ledger.enter();
        let cx = Context::from_waker(Waker::noop());
        let pieces: Vec<_> = (0..HELD_MAX / SMALL).map(|_| running.hold(1)).collect();
        assert!(ledger.poll_room(Length::Unknown, &cx).is_pending(), "held");
        assert!(ledger.poll_room(Length::Known(SHORT_MAX), &cx).is_ready(), "a short answer");
        pieces.into_iter().for_each(Holding::hand_over);
        assert!(ledger.poll_room(Length::Unknown, &cx).is_pending(), "queued");
        assert_eq!(ledger.take_sent(), 64);
        ledger.all_written();
        assert!(ledger.poll_room(Length::Unknown, &cx).is_ready());
        assert!(ledger.streams.borrow().is_empty());
        drop(running);
        assert_eq!(ledger.active(), 0);
    }
}
