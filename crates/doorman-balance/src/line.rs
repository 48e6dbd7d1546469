//! A line of requests that wait, over all cores, in the order in which they came.
//!
//! A line is used in two ways: by requests that wait for a free server (each one that becomes free calls
//! the next), and by requests that wait for a server to come back (the first in line tries again now and
//! then). The way of a request that need not wait looks at one counter. Only who waits takes the mutex,
//! for a step in a tree: an order over all cores needs one place where it is kept, and who holds the
//! mutex neither allocates under it more than a node nor waits for anything.
//!
//! ```text
//! waiting --call--> called --looked at--> trying --got nothing--> waiting
//!                      ^                   |  ^-- a call: tries once more
//!                      +---- joined first--+
//! any --drop--> out of the line, and the next one is called
//! ```
//!
//! Who is called and does not use it (its client is gone, its time is up, it got what it wanted and there
//! may be more) calls the next one by leaving, and a call during a try is kept for its end, so no call is
//! ever lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use doorman_http::Instant;

/// Bounds of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineBounds {
    /// Requests that wait at once.
    pub requests: u32,
    /// Bytes of bodies that they hold in memory, together.
    pub bytes: u64,
}

/// Requests that wait.
#[derive(Debug, Default)]
pub struct Line {
    length: AtomicU32,
    joined: AtomicU64,
    /// Nanoseconds of the monotonic clock at which everybody leaves; 0: there is no such moment.
    closes: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    bytes: u64,
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    step: Step,
    waker: Option<Waker>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    Called,
    Trying,
    TryingCalled,
}

impl Line {
    /// Stands at the end; `None` if the line is full.
    #[must_use]
    pub fn join(self: &Arc<Self>, bounds: LineBounds, bytes: u64) -> Option<Waiting> {
        let mut inner = self.lock();
        let full = inner.waiters.len() >= bounds.requests as usize
            || inner.bytes.saturating_add(bytes) > bounds.bytes.max(inner.bytes);
        if full {
            return None;
        }
        let ticket = inner.next;
        inner.next += 1;
        inner.bytes += bytes;
        // Only the first may look at once: the others would overtake.
        let step = if inner.waiters.is_empty() { Step::Called } else { Step::Waiting };
        inner.waiters.insert(ticket, Waiter { step, waker: None, bytes });
        self.count(&inner);
        drop(inner);
        self.joined.fetch_add(1, Ordering::Relaxed);
        // Whoever frees a server frees it and then looks at the length; we change the length and then look
        // for a server: one of the two sees the other.
        fence(Ordering::SeqCst);
        Some(Waiting { line: Arc::clone(self), ticket })
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.length.load(Ordering::Relaxed)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many have joined since the process started.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that those who wait hold.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Something has become free: calls the first one that has not been called. One look at the length
    /// if nobody waits.
    pub fn call_next(&self) {
        fence(Ordering::SeqCst);
        if !self.is_empty() {
            self.call_one(self.lock());
        }
    }

    /// Everybody leaves at this moment at the latest. The first such moment stays.
    pub fn close_at(&self, at: Instant) {
        let _ = self.closes.compare_exchange(0, at.0.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// When everybody leaves.
    #[must_use]
    pub fn closes(&self) -> Option<Instant> {
        Some(self.closes.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Instant)
    }

    fn call_one(&self, mut inner: MutexGuard<'_, Inner>) {
        let uncalled = |waiter: &&mut Waiter| matches!(waiter.step, Step::Waiting | Step::Trying);
        let waker = inner.waiters.values_mut().find(uncalled).and_then(|waiter| {
            let trying = waiter.step == Step::Trying;
            waiter.step = if trying { Step::TryingCalled } else { Step::Called };
            waiter.waker.take()
        });
        drop(inner);
        // Not under the mutex: a waker runs code of the runtime.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn count(&self, inner: &Inner) {
        let length = u32::try_from(inner.waiters.len()).unwrap_or(u32::MAX);
        self.length.store(length, Ordering::Relaxed);
    }

    /// Nothing that runs under the mutex can leave the line half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place in a line. Dropping it leaves the line and calls the next one.
#[derive(Debug)]
#[must_use = "dropping it leaves the line"]
pub struct Waiting {
    line: Arc<Line>,
    ticket: u64,
}

impl Waiting {
    /// The line.
    #[must_use]
    pub const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Ready when it is this one's turn to look for a server. Who looks and finds none polls again.
    pub fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.line.lock();
        let Some(waiter) = inner.waiters.get_mut(&self.ticket) else { return Poll::Ready(()) };
        if matches!(waiter.step, Step::Called | Step::TryingCalled) {
            waiter.step = Step::Trying;
            return Poll::Ready(());
        }
        waiter.step = Step::Waiting;
        if waiter.waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            waiter.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Looks for a server without having been called.
    pub fn try_now(&self) {
        if let Some(waiter) = self.line.lock().waiters.get_mut(&self.ticket) {
            waiter.step = Step::Trying;
        }
    }

    /// Whether nobody stands before this one.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.line.lock().waiters.first_key_value().is_some_and(|(first, _)| *first == self.ticket)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut inner = self.line.lock();
        if let Some(waiter) = inner.waiters.remove(&self.ticket) {
            inner.bytes -= waiter.bytes;
            self.line.count(&inner);
        }
        self.line.call_one(inner);
    }
}

#[cfg(test)]
mod tests;
