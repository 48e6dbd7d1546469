//! One connection to an origin, shared by requests, and the task that watches over it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_h3::{Code, Fault, write_client_preface};
use doorman_http::Instant;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};

use super::control::Opened;
use super::socket::Rumour;
use super::{Place, STREAMS_MAX, Seat, control};
use crate::Clock;
use crate::alarm::Alarm;
use crate::dial::{Pool, PoolLimits};
use crate::http3::budget::Budget;
use crate::http3::halves::{Reading, Writing, number};
use crate::seam::Stream;

/// How long an origin may say nothing once the system has told that nobody is there. Such news can be
/// forged, so it is not believed alone; but what it answers was sent again well before.
const RUMOUR_WAIT: Duration = Duration::from_secs(1);

/// A connection, as its requests see it. When the last of them and the pool have let go of it, it
/// closes.
pub(in crate::dial) struct Session {
    connection: Connection,
    state: Rc<State>,
    clock: Clock,
    born: Instant,
    requests: Cell<u64>,
    /// The first stream. A connection is none before the origin gives out one, so that no more and
    /// more of them are made to one that gives out none.
    first: Cell<Option<(Writing, Reading)>>,
    /// What a field section may take on the wire.
    section_max: usize,
    /// Where it is told how many streams the origin takes.
    streams: Rc<Cell<u32>>,
}

/// What requests and the connection's tasks tell each other.
pub(super) struct State {
    active: Cell<u32>,
    idle_since: Cell<Instant>,
    /// It takes no more requests.
    ended: Cell<bool>,
    /// The first stream that the origin does not take.
    goaway: Cell<Option<u64>>,
    /// What we closed it for.
    fault: Cell<Option<&'static str>>,
    budget: Budget,
    pub(super) opened: Opened,
    /// Requests without a response's head, that a GOAWAY may concern.
    waiting: RefCell<Vec<(u64, Waker)>>,
}

impl Session {
    /// A place for one more request, if there is one.
    pub(in crate::dial) fn seat(
        self: &Rc<Self>,
        clock: Clock,
        limits: &PoolLimits,
    ) -> Option<Seat> {
        let state = &self.state;
        let now = clock.recent();
        let active = state.active.get();
        if active >= STREAMS_MAX || self.has_ended() || !self.is_young(now, limits) {
            return None;
        }
        let first = self.first.take();
        let (writing, reading) = first.or_else(|| self.open(active))?;
        state.active.set(active + 1);
        self.streams.set(self.streams.get().max(active + 1));
        let before = self.requests.replace(self.requests.get() + 1);
        let place = Place { session: Rc::clone(self), stream: writing.id(), clock };
        Some(Seat { writing, reading, reused: before > 0, place })
    }

    /// Opens a stream, if the origin lets us now.
    fn open(&self, active: u32) -> Option<(Writing, Reading)> {
        let opened = pin!(self.connection.open_bi()).poll(&mut Context::from_waker(Waker::noop()));
        match opened {
            Poll::Ready(Ok(halves)) => Some(wrap(halves, self.section_max)),
            Poll::Ready(Err(_)) => {
                self.state.ended.set(true);
                None
            }
            Poll::Pending => {
                self.streams.set(active.max(1));
                None
            }
        }
    }

    fn is_young(&self, now: Instant, limits: &PoolLimits) -> bool {
        now.since(self.born) < limits.max_age && self.requests.get() < limits.max_requests
    }

    pub(super) fn leave(&self, stream: u64, clock: Clock) {
        let state = &self.state;
        state.waiting.borrow_mut().retain(|(id, _)| *id != stream);
        let active = state.active.get().saturating_sub(1);
        state.active.set(active);
        if active == 0 {
            state.idle_since.set(clock.recent());
        }
    }

    pub(in crate::dial) fn is_idle(&self) -> bool {
        self.state.active.get() == 0
    }

    /// Whether it takes no more requests.
    pub(in crate::dial) fn has_ended(&self) -> bool {
        self.state.ended.get()
    }

    /// Takes no more requests from now on; those that it has go on.
    pub(super) fn retire(&self) {
        self.state.ended.set(true);
    }

    pub(in crate::dial) fn is_worth_keeping(&self, now: Instant, limits: &PoolLimits) -> bool {
        let idle_for = now.since(self.state.idle_since.get());
        let is_stale = self.is_idle() && idle_for >= limits.idle_timeout;
        !self.has_ended() && !is_stale && self.is_young(now, limits)
    }

    /// Whether the origin said that it does not process that stream.
    pub(super) fn leaves_out(&self, stream: u64) -> bool {
        self.state.goaway.get().is_some_and(|first| stream >= first)
    }

    /// Has whoever asks woken when a GOAWAY leaves that stream out, until the stream is left.
    pub(super) fn watch(&self, stream: u64, waker: &Waker) {
        let mut waiting = self.state.waiting.borrow_mut();
        match waiting.iter_mut().find(|(id, _)| *id == stream) {
            Some((_, known)) if known.will_wake(waker) => {}
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((stream, waker.clone())),
        }
    }

    /// Closes the connection for what the origin did.
    pub(super) fn close_for(&self, fault: Fault) {
        self.state.close_for(&self.connection, fault);
    }

    /// Counts `n` things that cost work and bring no response.
    pub(super) fn count_glitches(&self, n: u32) {
        self.state.count_glitches(&self.connection, n, self.clock.recent());
    }

    /// A response came to its end.
    pub(super) fn succeeded(&self) {
        self.state.budget.refund(1);
    }

    /// What the connection ended for, if it was the origin's fault.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let broken = || match self.connection.close_reason() {
            Some(ConnectionError::TransportError(_)) => Some("against the rules of QUIC"),
            _ => None,
        };
        self.state.fault.get().or_else(broken)
    }
}

fn wrap((send, recv): (SendStream, RecvStream), section_max: usize) -> (Writing, Reading) {
    (Writing::new(send), Reading::of_response(recv, section_max))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.close(number(Code::NoError), b"");
    }
}

impl State {
    pub(super) fn close_for(&self, connection: &Connection, fault: Fault) {
        self.ended.set(true);
        self.fault.set(Some(fault.reason));
        connection.close(number(fault.code), fault.reason.as_bytes());
    }

    pub(super) fn count_glitches(&self, connection: &Connection, n: u32, now: Instant) {
        if n > 0 && !self.budget.spend(n, now) {
            let reason = "too much work without a response";
            self.close_for(connection, Fault { code: Code::ExcessiveLoad, reason });
        }
    }

    /// The origin takes no streams from this one on.
    pub(super) fn goes_away(&self, first: u64) {
        self.ended.set(true);
        self.goaway.set(Some(first));
        for (stream, waker) in &*self.waiting.borrow() {
            if *stream >= first {
                waker.wake_by_ref();
            }
        }
    }
}

/// Begins HTTP/3 on a connection, once the origin gives out a stream.
///
/// # Errors
/// It ends before.
pub(super) async fn begin<S: Stream>(
    connection: Connection,
    rumour: Arc<Rumour>,
    section_max: usize,
    pool: Rc<Pool<S>>,
    clock: Clock,
) -> Result<Rc<Session>, ConnectionError> {
    let first = Cell::new(Some(wrap(connection.open_bi().await?, section_max)));
    let now = clock.instant();
    let state = Rc::new(State {
        active: Cell::new(0),
        idle_since: Cell::new(now),
        ended: Cell::new(false),
        goaway: Cell::new(None),
        fault: Cell::new(None),
        budget: Budget::new(now),
        opened: Opened::default(),
        waiting: RefCell::default(),
    });
    let streams = Rc::clone(pool.sessions().streams());
    let watch = Watch {
        connection: connection.clone(),
        state: Rc::clone(&state),
        rumour,
        silence: Alarm::new(clock),
        clock,
    };
    tokio::task::spawn_local(async move {
        pool.opened();
        watch.run(section_max).await;
        pool.closed();
    });
    let requests = Cell::new(0);
    let session =
        Session { connection, state, clock, born: now, requests, first, section_max, streams };
    Ok(Rc::new(session))
}

/// The task of a connection.
struct Watch {
    connection: Connection,
    state: Rc<State>,
    rumour: Arc<Rumour>,
    /// Runs since the system told that nobody is there.
    silence: Alarm,
    clock: Clock,
}

impl Watch {
    async fn run(mut self, section_max: usize) {
        let connection = self.connection.clone();
        let mut opening = pin!(preface(&connection, section_max));
        // Our control stream: it stays open for as long as the connection does.
        let mut control: Option<SendStream> = None;
        let mut datagrams = 0;
        loop {
            tokio::select! {
                biased;
                _ = connection.closed() => break,
                opened = opening.as_mut(), if control.is_none() => match opened {
                    Some(stream) => control = Some(stream),
                    None => break,
                },
                stream = connection.accept_uni() => {
                    let Ok(stream) = stream else { break };
                    let (state, connection) = (Rc::clone(&self.state), connection.clone());
                    let clock = self.clock;
                    tokio::task::spawn_local(control::serve(stream, state, connection, clock));
                }
                _ = self.rumour.heard() => {
                    self.state.ended.set(true);
                    datagrams = connection.stats().udp_rx.datagrams;
                    self.silence.set_if_clear(RUMOUR_WAIT);
                }
                () = poll_fn(|cx| self.silence.poll(cx)) => {
                    if connection.stats().udp_rx.datagrams == datagrams {
                        connection.close(number(Code::NoError), b"");
                    }
                }
            }
        }
        self.state.ended.set(true);
    }
}

/// Opens our control stream and says what it begins with; `None` when the connection ends.
async fn preface(connection: &Connection, section_max: usize) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    let mut settings = Vec::new();
    write_client_preface(section_max, &mut settings);
    stream.write_all(&settings).await.ok()?;
    Some(stream)
}
