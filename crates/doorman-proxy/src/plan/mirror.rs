//! Copies of requests to another upstream, ready to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use doorman_config::Mirror;

/// Where copies go, and how many at once.
pub(crate) struct PlanMirror {
    /// Index of the upstream in the plan.
    pub(crate) upstream: usize,
    /// How many of 10,000 requests.
    pub(crate) share: u32,
    /// Bytes of a body that are kept for the copy.
    pub(crate) body_max: usize,
    /// How long a copy may take.
    pub(crate) timeout: Duration,
    /// The field that marks a copy.
    pub(crate) marker: Option<Box<str>>,
    room: Arc<Room>,
}

/// Copies under way, over all cores.
struct Room {
    under_way: AtomicU32,
    most: u32,
}

/// A place for a copy, given back on drop.
pub(crate) struct Seat(Arc<Room>);

impl PlanMirror {
    pub(super) fn compile(written: &Mirror) -> Self {
        Self {
            upstream: written.upstream.value.0 as usize,
            share: written.share,
            body_max: usize::try_from(written.body.value).unwrap_or(usize::MAX),
            timeout: written.timeout.value,
            marker: written.marker.value.as_deref().map(Into::into),
            room: Arc::new(Room { under_way: AtomicU32::new(0), most: written.concurrency.value }),
        }
    }

    /// A place for one more copy, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let step = |n: u32| (n < self.room.most).then(|| n + 1);
        let taken = self.room.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        taken.is_ok().then(|| Seat(Arc::clone(&self.room)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
