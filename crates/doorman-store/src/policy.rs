//! Which object goes when memory is full: by S3-FIFO or by LRU over all objects of a store, by their bytes.

use std::sync::Arc;

use doorman_cache::evict::{Entry, Eviction, Method, Slot};
use doorman_http::KeyHash;

use crate::object::Object;

/// An object in the order in which objects go.
struct Held(Arc<Object>);

impl Entry for Held {
    fn uses(&self) -> u8 {
        self.0.uses()
    }

    fn set_uses(&self, uses: u8) {
        self.0.set_uses(uses);
    }

    fn hash(&self) -> u64 {
        // The key's hash is seeded; variants of one URL must not be taken for each other.
        KeyHash::of(self.0.hash(), self.0.selector())
    }
}

pub(crate) struct Policy(Eviction<Held>, Method);

impl Policy {
    pub(crate) fn new(method: Method, budget: u64) -> Self {
        Self(Eviction::new(method, budget), method)
    }

    /// Makes room in another way from now on. Objects go over in the order in which they would have
    /// gone.
    pub(crate) fn set_method(&mut self, method: Method, budget: u64) {
        if method == self.1 {
            return;
        }
        let mut next = Self::new(method, budget);
        self.0.set_budget(0);
        while let Some(Held(object)) = self.0.evict() {
            object.set_slot(Slot::NONE);
            let bytes = crate::store::charge(&object);
            next.insert(&object, bytes);
        }
        *self = next;
    }

    /// Says that an object was asked for, where the method must be told.
    pub(crate) fn touch(&mut self, object: &Arc<Object>) {
        self.0.touch(object.slot(), |held| Arc::ptr_eq(&held.0, object));
    }

    /// Takes an object in, unless it is out of the index already. It may be in the index without
    /// being here only for as long as its owner holds no lock.
    pub(crate) fn insert(&mut self, object: &Arc<Object>, bytes: u64) {
        // It may be here already if it was taken out and put back in at the same time.
        if object.is_gone() || object.slot() != Slot::NONE {
            return;
        }
        if let Some(slot) = self.0.insert(Held(Arc::clone(object)), bytes) {
            object.set_slot(slot);
        }
    }

    /// As [`Policy::insert`], for one that takes the place of another that was used.
    pub(crate) fn insert_used(&mut self, object: &Arc<Object>, bytes: u64, uses: u8) {
        self.insert(object, bytes);
        object.set_uses(uses);
    }

    /// Takes an object out that is out of the index.
    #[must_use = "memory is freed where this is dropped: not under a lock"]
    pub(crate) fn remove(&mut self, object: &Arc<Object>) -> Option<Arc<Object>> {
        let slot = object.slot();
        let held = self.0.remove(slot, |held| Arc::ptr_eq(&held.0, object))?;
        object.set_slot(Slot::NONE);
        Some(held.0)
    }

    /// The next object to go if all are to have at most `budget` bytes; `None` if they do.
    pub(crate) fn evict(&mut self, budget: u64) -> Option<Arc<Object>> {
        self.0.set_budget(budget);
        let held = self.0.evict()?;
        held.0.set_slot(Slot::NONE);
        Some(held.0)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}
