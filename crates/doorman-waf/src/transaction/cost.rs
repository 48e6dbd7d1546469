//! How often each rule was asked, and how much it had to look at.
//!
//! Each worker counts on a table of its own, with plain loads and stores, so that counting costs no
//! more than the additions and cores never meet on it; whoever wants to know adds the tables up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::rule::Rule;

/// What a rule has cost all workers of an engine so far.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Values that it was asked about: those that a gate kept away from it are not among them.
    pub asked: u64,
    /// Bytes of these values, as it was asked about them.
    pub bytes: u64,
    /// Transactions in which it matched as a whole.
    pub hits: u64,
}

/// The counts of one worker: one for each item of the set.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Counts>);

#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    bytes: AtomicU64,
    hits: AtomicU64,
}

/// Adds where nobody else does.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Table {
    fn new(items: usize) -> Self {
        Self(std::iter::repeat_with(Counts::default).take(items).collect())
    }

    /// A rule is asked about a value of so many bytes. Only the table's own worker calls this.
    pub(crate) fn ask(&self, item: usize, bytes: usize) {
        if let Some(counts) = self.0.get(item) {
            add(&counts.asked, 1);
            add(&counts.bytes, bytes as u64);
        }
    }

    /// A rule has matched as a whole. Only the table's own worker calls this.
    pub(crate) fn hit(&self, item: usize) {
        if let Some(counts) = self.0.get(item) {
            add(&counts.hits, 1);
        }
    }

    /// Adds these counts to a table that no worker has.
    fn add_to(&self, sum: &Self) {
        for (one, sum) in self.0.iter().zip(&sum.0) {
            add(&sum.asked, one.asked.load(Ordering::Relaxed));
            add(&sum.bytes, one.bytes.load(Ordering::Relaxed));
            add(&sum.hits, one.hits.load(Ordering::Relaxed));
        }
    }
}

/// The tables of all workers of an engine.
#[derive(Debug)]
pub(crate) struct Tables {
    items: usize,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    /// Of workers that are gone.
    past: Table,
    live: Vec<Arc<Table>>,
}

impl Tables {
    pub(crate) fn new(items: usize) -> Self {
        let all = All { past: Table::new(items), live: Vec::new() };
        Self { items, all: Mutex::new(all) }
    }

    /// A table for one more worker.
    pub(crate) fn table(&self) -> Arc<Table> {
        let table = Arc::new(Table::new(self.items));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let All { past, live } = &mut *all;
        live.retain(|one| {
            let is_used = Arc::strong_count(one) > 1;
            if !is_used {
                one.add_to(past);
            }
            is_used
        });
        live.push(Arc::clone(&table));
        table
    }

    /// What was asked, the bytes, and what matched of each of these items.
    pub(crate) fn sums(&self, items: impl Iterator<Item = usize>) -> Vec<[u64; 3]> {
        let sum = Table::new(self.items);
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.past.add_to(&sum);
        all.live.iter().for_each(|table| table.add_to(&sum));
        drop(all);
        let read = |counts: &Counts| {
            [&counts.asked, &counts.bytes, &counts.hits].map(|count| count.load(Ordering::Relaxed))
        };
        items.map(|item| sum.0.get(item).map_or([0; 3], read)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_workers_are_added_up_also_when_they_are_gone() {
        let tables = Tables::new(2);
        let (one, other) = (tables.table(), tables.table());
        one.ask(0, 10);
        one.ask(0, 5);
        one.hit(0);
        other.ask(1, 3);
        other.ask(0, 1);
        other.ask(7, 1);
        let sums = || tables.sums(0..2);
        assert_eq!(sums(), [[3, 16, 1], [1, 3, 0]]);
        drop(one);
        let third = tables.table();
        assert_eq!(sums(), [[3, 16, 1], [1, 3, 0]]);
        third.hit(1);
        assert_eq!(sums(), [[3, 16, 1], [1, 3, 1]]);
    }
}
