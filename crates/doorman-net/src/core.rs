//! What the connections of one core share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use doorman_h1::Limits;
use doorman_http::desync::Desync;

use crate::Clock;

/// How connections to clients are served; fixed for a connection when it is accepted.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Bounds of heads and bodies' framing.
    pub limits: Limits,
    /// From the first byte of a head to its last, absolute.
    pub head_timeout: Duration,
    /// Between two reads of a request body.
    pub body_idle: Duration,
    /// Between two writes to a client that does not read.
    pub write_idle: Duration,
    /// From a response to the next request on the same connection.
    pub keep_alive: Duration,
    /// For a TLS handshake, absolute.
    pub handshake_timeout: Duration,
    /// What is spoken where there is no TLS to settle it.
    pub cleartext: Cleartext,
    /// Streams that a client may have open at once on one HTTP/2 connection.
    pub h2_streams: u32,
    /// The same on one HTTP/3 connection.
    pub h3_streams: u32,
    /// What responses over TCP say of HTTP/3 on the same port (`Alt-Svc`, RFC 7838), if it is there.
    pub alt_svc: Option<Box<str>>,
    /// What becomes of requests that can be read in two ways.
    pub desync: Desync,
    /// Requests on one connection before it is closed.
    pub requests_max: u64,
    /// What connections have left whose UDP socket is no longer wanted: they hold its port.
    pub drain: Duration,
}

/// What a listener without TLS speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// HTTP/1.1.
    H1,
    /// HTTP/2 by prior knowledge (RFC 9113 section 3.3).
    H2,
    /// Whichever the client begins with.
    Either,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            cleartext: Cleartext::H1,
            h2_streams: 100,
            h3_streams: 100,
            alt_svc: None,
            desync: Desync::default(),
            requests_max: u64::MAX,
            drain: Duration::from_secs(30),
        }
    }
}

/// What the connections of one core share with the one who steers it.
#[derive(Debug)]
pub struct Core {
    /// The clock.
    pub clock: Clock,
    draining: Cell<bool>,
    closing: Cell<bool>,
    connections: RefCell<Connections>,
    watcher: RefCell<Option<Waker>>,
}

#[derive(Debug, Default)]
struct Connections {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Core {
    /// A core with that clock.
    #[must_use]
    pub fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self {
            clock,
            draining: Cell::new(false),
            closing: Cell::new(false),
            connections: RefCell::default(),
            watcher: RefCell::default(),
        })
    }

    /// Whether connections are to end after the message they are at.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether connections are to end now.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        let connections = self.connections.borrow();
        connections.wakers.len() - connections.free.len()
    }

    /// Tells every connection to end after the message it is at.
    pub fn drain(&self) {
        self.draining.set(true);
        self.wake_all();
    }

    /// Tells every connection to end now: the drain's deadline has passed.
    pub fn close(&self) {
        self.draining.set(true);
        self.closing.set(true);
        self.wake_all();
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        poll_fn(|cx| {
            if self.open_connections() == 0 {
                return Poll::Ready(());
            }
            *self.watcher.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake_all(&self) {
        for waker in self.connections.borrow().wakers.iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Counts a connection in; it is counted out when the ticket is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Ticket {
        let mut connections = self.connections.borrow_mut();
        let slot = connections.free.pop().unwrap_or_else(|| {
            connections.wakers.push(None);
            connections.wakers.len() - 1
        });
        Ticket { core: Rc::clone(self), slot }
    }
}

/// A connection's place among those that are told about a drain.
#[derive(Debug)]
pub(crate) struct Ticket {
    core: Rc<Core>,
    slot: usize,
}

impl Ticket {
    /// Says whom to wake; once a task is enough, since a task's waker stays the same.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut connections = self.core.connections.borrow_mut();
        let place = &mut connections.wakers[self.slot];
        if place.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *place = Some(waker.clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut connections = self.core.connections.borrow_mut();
        connections.wakers[self.slot] = None;
        connections.free.push(self.slot);
        let empty = connections.free.len() == connections.wakers.len();
        if empty && let Some(watcher) = self.core.watcher.borrow_mut().take() {
            watcher.wake();
        }
    }
}
