//! Idle connections to one server, kept by one core.
//!
//! Reuse is earned (invariant I5): only a connection whose last exchange ended at a message
//! boundary with nothing left over comes back, and before it is lent again it is looked at, so
//! that one that died or spoke while idle is never given a request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use doorman_http::Instant;

use super::h1::Upstream;
use super::open::Open;
use super::shared::{Seat, Sessions};
use crate::Clock;
use crate::seam::Stream;

/// How long and how many connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Idle connections per core.
    pub idle: usize,
    /// How long one may be idle.
    pub idle_timeout: Duration,
    /// How old one may become.
    pub max_age: Duration,
    /// Requests on one connection.
    pub max_requests: u64,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle: 1024,
            // Below the 60 s and more at which most origins close first, so that a request seldom
            // meets a connection that is just being closed.
            idle_timeout: Duration::from_secs(50),
            max_age: Duration::from_secs(3600),
            max_requests: u64::MAX,
        }
    }
}

/// A connection that was idle for so long is looked at with a system call before it is lent.
///
/// The event loop's word is as old as its last turn, and what came since is not in it. Under load a
/// connection is lent again within that turn, right behind a read that came back short: then the
/// system itself has said a moment ago that nothing more is there. To ask again would cost every
/// request a system call and make the gap hardly smaller, since bytes that are still on the wire
/// are seen by nobody. A turn is at most 61 tasks, each of some ten microseconds.
const ASK_AFTER: Duration = Duration::from_millis(1);

/// Idle connections to one server.
pub struct Pool<S: Stream> {
    limits: Cell<PoolLimits>,
    idle: RefCell<Vec<Box<Upstream<S>>>>,
    /// Connections that requests share.
    sessions: Sessions<S>,
    open: Open,
}

impl<S: Stream> Pool<S> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Rc<Self> {
        Rc::new(Self {
            limits: Cell::new(limits),
            idle: RefCell::default(),
            sessions: Sessions::default(),
            open: Open::default(),
        })
    }

    /// New limits, after a reload.
    pub fn set_limits(&self, limits: PoolLimits) {
        self.limits.set(limits);
    }

    /// Connections that are idle now.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.borrow().len() + self.sessions.idle()
    }

    pub(super) const fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// A place on a connection that requests share, if there is one.
    pub(super) fn seat(&self, clock: Clock) -> Option<Seat> {
        self.sessions.seat(clock, &self.limits.get())
    }

    /// Connections that are open now, idle or not.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open.count()
    }

    /// Counts its open connections there, too, from now on.
    pub fn count_in(&self, shared: &Arc<AtomicU32>) {
        self.open.count_in(shared);
    }

    pub(super) fn opened(&self) {
        self.open.opened();
    }

    pub(super) fn closed(&self) {
        self.open.closed();
    }

    /// A connection that is fit for a request, or `None`: then one has to be opened. The one that
    /// was used last comes first, so that a pool shrinks when load does.
    #[must_use]
    pub fn take(&self, now: Instant) -> Option<Box<Upstream<S>>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if !self.fits(&connection, now) {
                continue;
            }
            let rested = now.since(connection.idle_since) >= ASK_AFTER;
            if if rested { connection.is_surely_quiet() } else { connection.is_quiet() } {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, mut connection: Box<Upstream<S>>, now: Instant) {
        connection.idle_since = now;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.limits.get().idle && self.fits(&connection, now) {
            idle.push(connection);
        }
    }

    /// Closes what has been idle or alive for too long, or was closed by its server. Called now
    /// and then, so that an unused pool holds nothing.
    pub fn sweep(&self, now: Instant) {
        let mut idle = std::mem::take(&mut *self.idle.borrow_mut());
        idle.retain_mut(|connection| self.fits(connection, now) && connection.is_quiet());
        let mut kept = self.idle.borrow_mut();
        idle.append(&mut kept);
        *kept = idle;
        self.sessions.sweep(now, &self.limits.get());
    }

    /// Closes all idle connections, and shared ones once their last request has ended.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.sessions.clear();
    }

    fn fits(&self, connection: &Upstream<S>, now: Instant) -> bool {
        let limits = self.limits.get();
        now.since(connection.idle_since) < limits.idle_timeout
            && now.since(connection.born) < limits.max_age
            && connection.requests < limits.max_requests
    }
}
