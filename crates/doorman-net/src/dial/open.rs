//! How many connections of a pool are open, for the pool and for whoever counts over all cores.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A count of open connections.
#[derive(Debug, Default)]
pub(super) struct Open {
    count: Cell<u32>,
    shared: OnceCell<Arc<AtomicU32>>,
}

impl Open {
    pub(super) const fn count(&self) -> usize {
        self.count.get() as usize
    }

    /// Counts in there, too, from now on, with what is open already.
    pub(super) fn count_in(&self, shared: &Arc<AtomicU32>) {
        if self.shared.set(Arc::clone(shared)).is_ok() {
            shared.fetch_add(self.count.get(), Ordering::Relaxed);
        }
    }

    pub(super) fn opened(&self) {
        self.count.set(self.count.get() + 1);
        if let Some(shared) = self.shared.get() {
            shared.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn closed(&self) {
        let Some(count) = self.count.get().checked_sub(1) else { return };
        self.count.set(count);
        if let Some(shared) = self.shared.get() {
            shared.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_over_all_returns_to_nothing() {
        let shared = Arc::default();
        let (one, two) = (Open::default(), Open::default());
        one.opened();
        one.count_in(&shared);
        one.count_in(&shared);
        two.count_in(&shared);
        two.opened();
        assert_eq!((one.count(), two.count(), shared.load(Ordering::Relaxed)), (1, 1, 2));
        one.closed();
        one.closed();
        two.closed();
        assert_eq!((one.count(), two.count(), shared.load(Ordering::Relaxed)), (0, 0, 0));
    }
}
