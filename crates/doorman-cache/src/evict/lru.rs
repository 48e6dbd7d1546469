//! The one goes that was not asked for the longest.

use super::list::{Lists, Queue, Slot};

#[derive(Debug)]
pub(super) struct Lru<E> {
    lists: Lists<E>,
    budget: u64,
}

impl<E> Lru<E> {
    pub(super) const fn new(budget: u64) -> Self {
        Self { lists: Lists::new(), budget }
    }

    pub(super) fn insert(&mut self, entry: E, bytes: u64) -> Option<Slot> {
        self.lists.push(Queue::Main, entry, bytes)
    }

    pub(super) fn remove(&mut self, slot: Slot, the: impl FnOnce(&E) -> bool) -> Option<E> {
        self.lists.entry(slot).is_some_and(the).then(|| self.lists.take(slot)).flatten()
    }

    pub(super) fn touch(&mut self, slot: Slot, the: impl FnOnce(&E) -> bool) {
        if self.lists.entry(slot).is_some_and(the) {
            self.lists.make_newest(Queue::Main, slot);
        }
    }

    pub(super) fn evict(&mut self) -> Option<E> {
        let (slot, _) = self.lists.oldest(Queue::Main)?;
        self.lists.take(slot)
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.lists.bytes(Queue::Main)
    }

    pub(super) const fn len(&self) -> usize {
        self.lists.len(Queue::Main)
    }

    pub(super) const fn budget(&self) -> u64 {
        self.budget
    }

    pub(super) const fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
    }
}
