//! A form of a stored body on its way into the store, and to those who read it meanwhile.
//!
//! What shaped it: nobody waits for it, so a client that is slow or leaves does not stop it, and it works
//! for a bounded time before others of its core have their turn. A body that is still coming is flushed
//! when it pauses, as one is that is coded on its way to one client.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use doorman_net::{Alarm, Clock};
use doorman_store::{Making, ObjectReader, Room};
use doorman_transform::Coder;

use super::Desk;
use super::coded::{PAUSE, PIECE, TURN};
use super::sibling::LARGER;
use crate::form::{Direction, Tally};
use crate::house::Books;

/// Makes a form. What can be made at once is when this returns; if that is all, there is no task.
pub(super) fn start(making: Making, body: ObjectReader, coder: Coder, desk: &Desk<'_>) {
    let tally = Tally::new(coder.coding(), Direction::Keep);
    let (clock, books) = (desk.clock, Rc::clone(desk.books));
    let mut maker = Maker {
        making: Some(making),
        body,
        coder,
        clock,
        alarm: Alarm::new(clock),
        rest: None,
        out: Vec::new(),
        tally,
        books,
    };
    let mut cx = Context::from_waker(Waker::noop());
    if maker.poll(&mut cx).is_pending() {
        tokio::task::spawn_local(async move { poll_fn(|cx| maker.poll(cx)).await });
    }
}

struct Maker {
    /// `None` once it is over.
    making: Option<Making>,
    body: ObjectReader,
    coder: Coder,
    clock: Clock,
    alarm: Alarm,
    /// What has come and is not coded yet.
    rest: Option<Bytes>,
    /// What came out and is not in the store yet.
    out: Vec<u8>,
    tally: Rc<Tally>,
    books: Rc<Books>,
}

enum Ended {
    Whole,
    /// The body was, or nobody reads this any more.
    Cut,
}

impl Maker {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(self.make(cx));
        self.books.counters().coded(&self.tally);
        let is_smaller = self.tally.bytes_out() < self.tally.bytes_in();
        match (self.making.take(), ended) {
            (Some(making), Ended::Whole) if is_smaller => drop(making.finish(0)),
            (Some(making), Ended::Whole) => making.finish_unkept(LARGER),
            (making, _) => drop(making),
        }
        Poll::Ready(())
    }

    fn make(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut left = TURN;
        loop {
            let Some(making) = &mut self.making else { return Poll::Ready(Ended::Cut) };
            if ready!(making.poll_room(cx)) == Room::Abandoned {
                return Poll::Ready(Ended::Cut);
            }
            if self.out.len() >= PIECE {
                self.emit();
            }
            if left == 0 {
                self.emit();
                // Others have their turn; nothing will wake this but itself.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut piece = match self.rest.take() {
                Some(rest) => rest,
                None => match self.body.poll_next(cx) {
                    Poll::Ready(Some(Ok(piece))) => piece,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Ended::Cut),
                    Poll::Ready(None) => {
                        self.timed(0, Coder::finish);
                        self.emit();
                        return Poll::Ready(Ended::Whole);
                    }
                    Poll::Pending => {
                        ready!(self.poll_pause(cx));
                        continue;
                    }
                },
            };
            self.alarm.clear();
            let now = piece.split_to(piece.len().min(left));
            self.timed(now.len(), |coder, out| coder.push(&now, out));
            left -= now.len();
            self.rest = Some(piece).filter(|rest| !rest.is_empty());
        }
    }

    /// Nothing is there to be coded: what is inside of the coder is brought out if that lasts.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.emit();
        if self.coder.is_flushed() {
            return Poll::Pending;
        }
        self.alarm.set_if_clear(PAUSE);
        ready!(self.alarm.poll(cx));
        self.timed(0, Coder::flush);
        self.emit();
        Poll::Ready(())
    }

    fn emit(&mut self) {
        if let Some(making) = self.making.as_mut().filter(|_| !self.out.is_empty()) {
            making.push(&self.out);
            self.out.clear();
        }
    }

    fn timed(&mut self, bytes_in: usize, work: impl FnOnce(&mut Coder, &mut Vec<u8>)) {
        let (began, before) = (self.clock.instant(), self.out.len());
        work(&mut self.coder, &mut self.out);
        let nanos = self.clock.instant().0.saturating_sub(began.0);
        self.tally.add(bytes_in, self.out.len() - before, nanos);
    }
}
