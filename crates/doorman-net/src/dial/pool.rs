//! Idle connections to one server, kept by one core.
//!
//! Reuse is earned (invariant I5): only a connection whose last exchange ended at a message
//! boundary with nothing left over comes back, and before it is lent again it is looked at, so
//! that one that died or spoke while idle is never given a request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use doorman_http::Instant;

use crate::seam::Stream;

use super::h1::Upstream;

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
            idle: 256,
            // Below the 60 s and more at which most origins close first, so that a request seldom
            // meets a connection that is just being closed.
            idle_timeout: Duration::from_secs(50),
            max_age: Duration::from_secs(3600),
            max_requests: u64::MAX,
        }
    }
}

/// Idle connections to one server.
pub struct Pool<S: Stream> {
    limits: Cell<PoolLimits>,
    idle: RefCell<Vec<Box<Upstream<S>>>>,
    open: Cell<usize>,
}

impl<S: Stream> Pool<S> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Rc<Self> {
        Rc::new(Self { limits: Cell::new(limits), idle: RefCell::default(), open: Cell::new(0) })
    }

    /// New limits, after a reload.
    pub fn set_limits(&self, limits: PoolLimits) {
        self.limits.set(limits);
    }

    /// Connections that are idle now.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Connections that are open now, idle or not.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open.get()
    }

    pub(super) fn opened(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(super) fn closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
    }

    /// A connection that is fit for a request, or `None`: then one has to be opened. The one that
    /// was used last comes first, so that a pool shrinks when load does.
    #[must_use]
    pub fn take(&self, now: Instant) -> Option<Box<Upstream<S>>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if self.fits(&connection, now) && connection.is_quiet() {
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
    }

    /// Closes all idle connections.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    fn fits(&self, connection: &Upstream<S>, now: Instant) -> bool {
        let limits = self.limits.get();
        now.since(connection.idle_since) < limits.idle_timeout
            && now.since(connection.born) < limits.max_age
            && connection.requests < limits.max_requests
    }
}
