//! Connections that requests share, whatever is spoken on them.
//!
//! Requests of one core share few connections to a server: the first connection with a free stream
//! is taken, and another is dialled only when all are full, so that connections beyond what the load
//! needs turn idle and end. A dial belongs to no request: it is a task of its own that others wait
//! for as well, so that a thousand requests at once do not dial a thousand times, and a client that
//! goes away takes no connection from the others.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use doorman_http::{Body, Instant};

use super::{Answer, Asking, DialError, Lane, PoolLimits, h2, h3};
use crate::Clock;
use crate::seam::Stream;

/// A connection.
pub(super) enum Session {
    /// HTTP/2.
    H2(Rc<h2::Session>),
    /// HTTP/3.
    H3(Rc<h3::Session>),
}

impl Session {
    fn seat(&self, clock: Clock, limits: &PoolLimits) -> Option<Seat> {
        match self {
            Self::H2(session) => session.seat(clock, limits).map(Seat::H2),
            Self::H3(session) => session.seat(clock, limits).map(|seat| Seat::H3(Box::new(seat))),
        }
    }

    fn is_idle(&self) -> bool {
        match self {
            Self::H2(session) => session.is_idle(),
            Self::H3(session) => session.is_idle(),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::H2(session) => session.has_ended(),
            Self::H3(session) => session.has_ended(),
        }
    }

    fn is_worth_keeping(&self, now: Instant, limits: &PoolLimits) -> bool {
        match self {
            Self::H2(session) => session.is_worth_keeping(now, limits),
            Self::H3(session) => session.is_worth_keeping(now, limits),
        }
    }
}

/// A place on a connection for one request.
pub enum Seat {
    /// A stream of HTTP/2, which is opened with the request.
    H2(h2::Seat),
    /// A stream of HTTP/3.
    H3(Box<h3::Seat>),
}

impl Seat {
    /// Sends a request and waits for the head of its response. As long as it can be sent again,
    /// `body` is there when this fails.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn ask(
        self,
        asking: Asking<'_>,
        body: &mut Option<Body>,
    ) -> Result<Answer, DialError> {
        match self {
            Self::H2(seat) => seat.ask(asking, body).await,
            Self::H3(seat) => seat.ask(asking, body).await,
        }
    }
}

/// The connections of one core to one server that are shared, and those that are being made.
pub(super) struct Sessions<S: Stream> {
    open: RefCell<Vec<Session>>,
    dials: RefCell<Vec<Rc<Dial<S>>>>,
    /// What the server spoke last, where that is settled by the handshake.
    spoken: Cell<Option<Spoken>>,
    /// Streams at once that the server said it takes, when it said so last. A new connection keeps
    /// to it before it hears.
    streams: Rc<Cell<u32>>,
}

/// Streams at once on a connection to a server that has not said yet how many it takes; fewer than
/// this none should (RFC 9113 section 6.5.2, RFC 9114 section 6.1).
const STREAMS_GUESSED: u32 = 100;

/// What a handshake settled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// One request after the other.
    Single,
    /// Many at once.
    Shared,
}

impl<S: Stream> Default for Sessions<S> {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            dials: RefCell::default(),
            spoken: Cell::new(None),
            streams: Rc::new(Cell::new(STREAMS_GUESSED)),
        }
    }
}

impl<S: Stream> Sessions<S> {
    /// Streams at once that the server said it takes; who hears of another number sets it.
    pub(super) const fn streams(&self) -> &Rc<Cell<u32>> {
        &self.streams
    }

    /// A place on the first connection that has one.
    pub(super) fn seat(&self, clock: Clock, limits: &PoolLimits) -> Option<Seat> {
        self.open.borrow().iter().find_map(|session| session.seat(clock, limits))
    }

    /// A dial that has room for one more, if any is under way.
    pub(super) fn join(&self) -> Option<Rc<Dial<S>>> {
        // A connection that may turn out to be HTTP/1.1 serves only one.
        let room = if self.spoken.get() == Some(Spoken::Single) { 1 } else { self.streams.get() };
        let dials = self.dials.borrow();
        let dial = dials.iter().find(|dial| dial.riders.get() < room)?;
        dial.riders.set(dial.riders.get() + 1);
        Some(Rc::clone(dial))
    }

    /// Begins a dial; the caller brings it to its end.
    pub(super) fn begin(&self) -> Rc<Dial<S>> {
        let dial = Rc::new(Dial { riders: Cell::new(1), state: RefCell::default() });
        self.dials.borrow_mut().push(Rc::clone(&dial));
        dial
    }

    /// Ends a dial, and tells those who wait for it.
    pub(super) fn finish(&self, dial: &Rc<Dial<S>>, reached: Result<Reached<S>, DialError>) {
        self.dials.borrow_mut().retain(|other| !Rc::ptr_eq(other, dial));
        let outcome = match reached {
            Ok(Reached::Shared(session)) => {
                self.spoken.set(Some(Spoken::Shared));
                let mut open = self.open.borrow_mut();
                open.retain(|session| !session.has_ended());
                open.push(session);
                Ok(None)
            }
            Ok(Reached::Single(lane)) => {
                self.spoken.set(Some(Spoken::Single));
                Ok(Some(lane))
            }
            Err(error) => Err(error),
        };
        let mut state = dial.state.borrow_mut();
        state.outcome = Some(outcome);
        for waker in state.wakers.drain(..) {
            waker.wake();
        }
    }

    /// Lets go of connections that ended, are too old, or have been idle for too long. They close
    /// once their last request has ended.
    pub(super) fn sweep(&self, now: Instant, limits: &PoolLimits) {
        let mut idle = 0;
        self.open.borrow_mut().retain(|session| {
            idle += usize::from(session.is_idle());
            session.is_worth_keeping(now, limits) && (!session.is_idle() || idle <= limits.idle)
        });
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.open.borrow_mut().clear();
    }

    /// Connections without a request.
    pub(super) fn idle(&self) -> usize {
        self.open.borrow().iter().filter(|session| session.is_idle()).count()
    }
}

/// What a dial came to.
pub(super) enum Reached<S: Stream> {
    /// A connection that many requests share.
    Shared(Session),
    /// A connection for one request after the other.
    Single(Lane<S>),
}

/// A connection that is being made, and those who wait for it.
pub(super) struct Dial<S: Stream> {
    riders: Cell<u32>,
    state: RefCell<DialState<S>>,
}

struct DialState<S: Stream> {
    /// `None` while it is under way; then the lane, if it serves one alone, for whoever comes first.
    outcome: Option<Result<Option<Lane<S>>, DialError>>,
    wakers: Vec<Waker>,
}

impl<S: Stream> Default for DialState<S> {
    fn default() -> Self {
        Self { outcome: None, wakers: Vec::new() }
    }
}

impl<S: Stream> Dial<S> {
    /// Waits until it is over.
    pub(super) async fn over(&self) -> Result<Option<Lane<S>>, DialError> {
        poll_fn(|cx| {
            let state = &mut *self.state.borrow_mut();
            match &mut state.outcome {
                None => {
                    if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                        state.wakers.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
                Some(Ok(lane)) => Poll::Ready(Ok(lane.take())),
                Some(Err(error)) => Poll::Ready(Err(error.clone())),
            }
        })
        .await
    }
}
