//! One connection to an origin, shared by requests, and the task that moves it.
//!
//! Streams hand frames to the crate; the task writes all that are ready in one turn at once, as it
//! is done towards clients.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_h1::Limits;
use doorman_http::{Data, Instant};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};

use super::pulse::{PING_AFTER, PING_WAIT, Pulse};
use super::{STREAMS_MAX, Seat};
use crate::Clock;
use crate::alarm::Alarm;
use crate::dial::{DialError, Pool, PoolLimits};
use crate::http2::io::{self, Written};
use crate::link::Link;
use crate::seam::Stream;

/// Receive window of a stream, bytes: what waits here for a client that reads slowly.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Receive window of a connection: as many streams as it takes, each with its window full, so that
/// slow clients never hold up the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX;
/// What the crate may hold of a stream's request, bytes.
const SEND_BUFFER_MAX: usize = 64 * 1024;
/// Streams that were reset by us and may still get frames. All that a connection takes may be: when
/// as many clients leave at once.
const RESET_STREAMS_MAX: usize = STREAMS_MAX as usize;
/// How long the origin's socket may take nothing before the connection is given up.
const WRITE_STALL: Duration = Duration::from_secs(30);

type Shared<S> = io::Shared<S, Pulse>;
type Connection<S> = h2::client::Connection<io::Coalesced<S, Pulse>, Data>;

/// A connection, as its requests see it.
pub(in crate::dial) struct Session {
    sender: SendRequest<Data>,
    state: Rc<State>,
    born: Instant,
    requests: Cell<u64>,
}

/// What requests and the connection's task tell each other.
struct State {
    active: Cell<u32>,
    idle_since: Cell<Instant>,
    /// It takes no more requests.
    ended: Cell<bool>,
    /// It takes no more requests, though those that it has go on.
    retired: Cell<bool>,
    /// The origin's SETTINGS are in force.
    settled: Cell<bool>,
    /// A request was sent on it.
    used: Cell<bool>,
    driver: RefCell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
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
        let is_full = state.active.get() >= self.streams_max();
        if is_full || self.has_ended() || !self.is_young(now, limits) {
            return None;
        }
        // A GOAWAY shows here; nothing waits, since there is room for a stream.
        let mut sender = self.sender.clone();
        match sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                state.ended.set(true);
                return None;
            }
            Poll::Pending => return None,
        }
        state.active.set(state.active.get() + 1);
        let before = self.requests.replace(self.requests.get() + 1);
        Some(Seat { session: Rc::clone(self), reused: before > 0, clock })
    }

    /// Streams at once: what the origin takes, and what we do.
    fn streams_max(&self) -> u32 {
        u32::try_from(self.sender.current_max_send_streams()).unwrap_or(u32::MAX).min(STREAMS_MAX)
    }

    fn is_young(&self, now: Instant, limits: &PoolLimits) -> bool {
        now.since(self.born) < limits.max_age && self.requests.get() < limits.max_requests
    }

    pub(super) fn leave(&self, clock: Clock) {
        let state = &self.state;
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
        self.state.ended.get() || self.state.retired.get()
    }

    /// Takes no more requests from now on.
    pub(super) fn retire(&self) {
        self.state.retired.set(true);
    }

    pub(in crate::dial) fn is_worth_keeping(&self, now: Instant, limits: &PoolLimits) -> bool {
        let idle_for = now.since(self.state.idle_since.get());
        let is_stale = self.is_idle() && idle_for >= limits.idle_timeout;
        !self.has_ended() && !is_stale && self.is_young(now, limits)
    }

    /// Opens a stream.
    pub(super) fn send(
        &self,
        request: http::Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Data>), h2::Error> {
        let mut sender = self.sender.clone();
        let sent = sender.send_request(request, ends);
        let state = &self.state;
        match &sent {
            Ok(_) => {
                state.used.set(true);
                if let Some(driver) = &*state.driver.borrow() {
                    driver.wake_by_ref();
                }
            }
            Err(_) => state.ended.set(true),
        }
        sent
    }

    /// Ready with whether the origin takes extended CONNECT, once its SETTINGS are known.
    pub(super) fn poll_takes_tunnels(&self, cx: &Context<'_>) -> Poll<bool> {
        self.poll_settled(cx).map(|()| self.sender.is_extended_connect_protocol_enabled())
    }

    /// Ready once the origin's SETTINGS are known, or never will be.
    pub(super) fn poll_settled(&self, cx: &Context<'_>) -> Poll<()> {
        let state = &self.state;
        if state.settled.get() || state.ended.get() {
            return Poll::Ready(());
        }
        let mut waiting = state.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl State {
    fn tell(&self) {
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// Begins HTTP/2 on a link. Nothing of it has been said yet when this is ready: the preface leaves
/// with the first request.
pub(in crate::dial) async fn open<S: Stream>(
    link: Link<S>,
    limits: &Limits,
    pool: Rc<Pool<S>>,
    clock: Clock,
) -> Result<Rc<Session>, DialError> {
    let now = clock.instant();
    let shared = Rc::new(RefCell::new(Shared::new(link, Pulse::new(now), clock)));
    let list_max = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
    let (sender, mut connection) = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(pool.sessions().streams().get() as usize)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(list_max)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .max_send_buffer_size(SEND_BUFFER_MAX)
        .handshake::<_, Data>(io::Coalesced::new(Rc::clone(&shared)))
        .await
        .map_err(|_| DialError::Malformed("HTTP/2 could not begin"))?;
    let state = Rc::new(State {
        active: Cell::new(0),
        idle_since: Cell::new(now),
        ended: Cell::new(false),
        retired: Cell::new(false),
        settled: Cell::new(false),
        used: Cell::new(false),
        driver: RefCell::default(),
        waiting: RefCell::default(),
    });
    let driver = Driver {
        clock,
        pool,
        state: Rc::clone(&state),
        shared,
        pings: connection.ping_pong(),
        connection,
        stall: Alarm::new(clock),
        silence: Alarm::new(clock),
    };
    tokio::task::spawn_local(driver.run());
    Ok(Rc::new(Session { sender, state, born: now, requests: Cell::new(0) }))
}

/// The task of a connection.
struct Driver<S: Stream> {
    clock: Clock,
    pool: Rc<Pool<S>>,
    state: Rc<State>,
    shared: Rc<RefCell<Shared<S>>>,
    connection: Connection<S>,
    pings: Option<PingPong>,
    /// For an origin that does not read.
    stall: Alarm,
    /// For an origin that says nothing.
    silence: Alarm,
}

impl<S: Stream> Driver<S> {
    async fn run(mut self) {
        self.pool.opened();
        poll_fn(|cx| self.poll(cx)).await;
        self.state.ended.set(true);
        self.state.tell();
        // Streams that are still open learn by this that the connection is gone.
        drop(self.connection);
        let (shared, mut alarm) = (self.shared, self.stall);
        alarm.clear();
        poll_fn(|cx| {
            alarm.set_if_clear(WRITE_STALL);
            if alarm.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            shared.borrow_mut().poll_close(cx).map(drop)
        })
        .await;
        self.pool.closed();
    }

    /// Ready when the connection has ended, or is given up.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        {
            let place = &mut *self.state.driver.borrow_mut();
            if place.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
                *place = Some(cx.waker().clone());
            }
        }
        if Pin::new(&mut self.connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.state.settled.get() && self.shared.borrow_mut().observer().has_greeted() {
            self.state.settled.set(true);
            let streams = u32::try_from(self.connection.max_concurrent_send_streams());
            // One that takes none for now is asked all the same when it is dialled anew.
            let streams = streams.unwrap_or(STREAMS_MAX).clamp(1, STREAMS_MAX);
            self.pool.sessions().streams().set(streams);
            self.state.tell();
        }
        if self.poll_silence(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_write(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.shared.borrow_mut().poll_write_out(cx);
        match written {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(Written::All)) => self.stall.clear(),
            Poll::Ready(Ok(Written::CrateHasMore)) => {
                self.stall.clear();
                cx.waker().wake_by_ref();
            }
            Poll::Pending => {
                self.stall.set_if_clear(WRITE_STALL);
                return self.stall.poll(cx);
            }
        }
        Poll::Pending
    }

    /// Ready when the origin was asked for a sign of life and gave none.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &mut *self.shared.borrow_mut();
        let pulse = shared.observer();
        if let Some(pings) = &mut self.pings {
            // Takes the answer, so that another may be asked for.
            let _ = pings.poll_pong(cx);
        }
        let sent = self.state.used.take();
        if self.state.active.get() == 0 {
            self.silence.clear();
            return Poll::Pending;
        }
        if sent && pulse.owes().is_none() {
            let now = self.clock.instant();
            if pulse.is_quiet(now) && pulse.may_ask(now) {
                ask(&mut self.pings, pulse, now);
            }
        }
        loop {
            let (from, wait) = match pulse.owes() {
                Some(since) => (since, PING_WAIT),
                None => (pulse.heard(), PING_AFTER),
            };
            self.silence.set(from + wait);
            if self.silence.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if pulse.owes().is_some() {
                return Poll::Ready(());
            }
            let now = self.clock.instant();
            if pulse.may_ask(now) {
                ask(&mut self.pings, pulse, now);
                // The frame leaves in another turn of the crate.
                cx.waker().wake_by_ref();
            } else {
                self.silence.set(now + PING_AFTER);
                return self.silence.poll(cx);
            }
        }
    }
}

fn ask(pings: &mut Option<PingPong>, pulse: &mut Pulse, now: Instant) {
    if let Some(pings) = pings
        && pings.send_ping(Ping::opaque()).is_ok()
    {
        pulse.ask(now);
    }
}
