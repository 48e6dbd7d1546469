//! What the connections of one core share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use doorman_h1::Limits;
use doorman_http::Instant;
use doorman_http::desync::Desync;

use crate::Clock;

/// Connections that are closed at once when descriptors are scarce: at least so many, and this part of all.
const RECLAIMED_MIN: usize = 2;
const RECLAIMED_PART: usize = 64;

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
    pressed: Cell<bool>,
    connections: RefCell<Connections>,
    watcher: RefCell<Option<Waker>>,
}

#[derive(Debug, Default)]
struct Connections {
    places: Vec<Place>,
    free: Vec<usize>,
}

/// What is known of a connection.
#[derive(Debug, Default)]
struct Place {
    waker: Option<Waker>,
    /// Since when it waits for a request; `None`: it has one, or has not shaken hands yet.
    resting: Option<Instant>,
    /// Whether it is to end because others need its place more.
    leaves: bool,
}

impl Core {
    /// A core with that clock.
    #[must_use]
    pub fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self {
            clock,
            draining: Cell::new(false),
            closing: Cell::new(false),
            pressed: Cell::new(false),
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

    /// Whether memory is scarce: no connection is kept for a request that may come.
    #[must_use]
    pub const fn is_pressed(&self) -> bool {
        self.pressed.get()
    }

    /// Says whether memory is scarce. Connections that rest end at once, others after the message they are at.
    pub fn press(&self, pressed: bool) {
        if self.pressed.replace(pressed) != pressed && pressed {
            self.wake_all();
        }
    }

    /// Ends some of the connections that rest, and says whether there were any: a part of all, so that what it takes to
    /// find them is paid seldom however many there are.
    pub fn make_room(&self) -> bool {
        self.reclaim(RECLAIMED_MIN.max(self.open_connections() / RECLAIMED_PART)) > 0
    }

    /// Ends so many of the connections that have had no request for the longest, and says how many it found. They
    /// close in their next turn.
    fn reclaim(&self, most: usize) -> usize {
        let mut connections = self.connections.borrow_mut();
        let resting = |(at, place): (usize, &Place)| {
            place.resting.filter(|_| !place.leaves).map(|since| (since, at))
        };
        let mut idle: Vec<_> = connections.places.iter().enumerate().filter_map(resting).collect();
        if most == 0 || idle.is_empty() {
            return 0;
        }
        let count = most.min(idle.len());
        idle.select_nth_unstable(count - 1);
        for (_, at) in &idle[..count] {
            let place = &mut connections.places[*at];
            place.leaves = true;
            if let Some(waker) = &place.waker {
                waker.wake_by_ref();
            }
        }
        count
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        let connections = self.connections.borrow();
        connections.places.len() - connections.free.len()
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
        let connections = self.connections.borrow();
        for waker in connections.places.iter().filter_map(|place| place.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// Counts a connection in; it is counted out when the ticket is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Ticket {
        let mut connections = self.connections.borrow_mut();
        let slot = connections.free.pop().unwrap_or_else(|| {
            connections.places.push(Place::default());
            connections.places.len() - 1
        });
        Ticket { core: Rc::clone(self), slot, has_worked: Cell::new(false) }
    }
}

/// A connection's place among those that are told about a drain.
#[derive(Debug)]
pub(crate) struct Ticket {
    core: Rc<Core>,
    slot: usize,
    /// Whether it has ever had a request.
    has_worked: Cell<bool>,
}

impl Ticket {
    /// Says whom to wake; once a task is enough, since a task's waker stays the same.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut connections = self.core.connections.borrow_mut();
        let known = &mut connections.places[self.slot].waker;
        if known.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Says that the connection waits for a request and has nothing else to do. Whether it is to end instead.
    pub(crate) fn rest(&self) -> bool {
        // What has just come gets to say what it came for.
        if self.core.is_pressed() && self.has_worked.get() {
            return true;
        }
        let mut connections = self.core.connections.borrow_mut();
        let place = &mut connections.places[self.slot];
        place.resting.get_or_insert_with(|| self.core.clock.recent());
        place.leaves
    }

    /// Says that a request has come.
    pub(crate) fn work(&self) {
        self.has_worked.set(true);
        let mut connections = self.core.connections.borrow_mut();
        let place = &mut connections.places[self.slot];
        (place.resting, place.leaves) = (None, false);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut connections = self.core.connections.borrow_mut();
        connections.places[self.slot] = Place::default();
        connections.free.push(self.slot);
        let empty = connections.free.len() == connections.places.len();
        if empty && let Some(watcher) = self.core.watcher.borrow_mut().take() {
            watcher.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicU32);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_rested_for_the_longest_leaves_first_rxc_07() {
        let core = Core::new(Clock::simulated(0));
        let calls: Vec<Arc<Calls>> = (0..4).map(|_| Arc::default()).collect();
        let tickets: Vec<_> = calls.iter().map(|_| core.enter()).collect();
        for (ticket, calls) in tickets.iter().zip(&calls) {
            ticket.register(&Waker::from(Arc::clone(calls)));
        }
        assert_eq!(core.reclaim(4), 0, "who shakes hands has a deadline of its own");
        for at in [2, 0, 1] {
            assert!(!tickets[at].rest());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        tickets[0].work();
        assert!(!tickets[0].rest(), "it rests anew");
        assert_eq!(core.reclaim(2), 2);
        let called = || calls.iter().map(|one| one.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(called(), [0, 1, 1, 0]);
        assert_eq!([0, 1, 2].map(|at| tickets[at].rest()), [false, true, true]);
        assert_eq!(core.reclaim(2), 1, "none is told twice");
        tickets[1].work();
        assert!(!tickets[1].rest(), "its request came first");
        core.press(true);
        core.press(true);
        assert_eq!(called(), [2, 2, 2, 1], "all hear of it, once");
        assert!(!tickets[3].rest(), "it has had no request yet");
        tickets[3].work();
        assert!(tickets[3].rest());
        core.press(false);
        assert!(!tickets[3].rest());
    }
}
