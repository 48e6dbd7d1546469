//! Idle connections to one application, kept by one core. As with HTTP/1.1, reuse is earned: a
//! connection comes back only at the end of a request, and is looked at before it is lent again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use doorman_http::Instant;

use super::Connection;
use crate::dial::PoolLimits;
use crate::dial::open::Open;
use crate::seam::Stream;

/// Idle connections to one application.
pub struct Pool<S: Stream> {
    limits: Cell<PoolLimits>,
    idle: RefCell<Vec<Box<Connection<S>>>>,
    open: Open,
}

impl<S: Stream> Pool<S> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Rc<Self> {
        Rc::new(Self { limits: Cell::new(limits), idle: RefCell::default(), open: Open::default() })
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
        self.open.count()
    }

    /// Whether any connection is kept at all.
    pub(super) const fn keeps(&self) -> bool {
        self.limits.get().idle > 0
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

    /// A connection that is fit for a request; the one that was used last comes first.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection<S>>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if self.fits(&connection, now) && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, mut connection: Box<Connection<S>>, now: Instant) {
        connection.idle_since = now;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.limits.get().idle && self.fits(&connection, now) {
            idle.push(connection);
        }
    }

    /// Closes what has been idle or alive for too long, or was closed by its application.
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

    fn fits(&self, connection: &Connection<S>, now: Instant) -> bool {
        let limits = self.limits.get();
        now.since(connection.idle_since) < limits.idle_timeout
            && now.since(connection.born) < limits.max_age
            && connection.requests < limits.max_requests
    }
}
