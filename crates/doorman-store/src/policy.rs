//! Which object goes when memory is full.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::object::Object;

#[derive(Default)]
pub(crate) struct Policy {
    queue: VecDeque<Weak<Object>>,
}

impl Policy {
    pub(crate) fn insert(&mut self, object: &Arc<Object>) {
        self.queue.push_back(Arc::downgrade(object));
    }

    /// The next object to go. It is for the caller to find out whether it is still in the index.
    pub(crate) fn evict(&mut self) -> Option<Arc<Object>> {
        loop {
            let Some(object) = self.queue.pop_front()?.upgrade() else { continue };
            if object.touched().swap(0, Ordering::Relaxed) == 0 {
                return Some(object);
            }
            self.insert(&object);
        }
    }
}
