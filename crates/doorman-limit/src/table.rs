//! Levels of many keys, shared by all cores.
//!
//! # Shape
//!
//! ```text
//! bucket, 128 bytes:  | lock | spill | key tat | key tat | key tat |      one cache line
//!                     | key tat | key tat | key tat | key tat |           and its neighbour
//! sketch, 4 rows:     | tat | tat | tat | ...
//! ```
//!
//! A key belongs into one bucket of seven places. A place is a key and its theoretical arrival time (`tat`). Taking is
//! one compare-and-swap of the time. A time that has passed says nothing, so its place may be given to another key,
//! and that loses nothing: this is exact, unlike the eviction of a cache. There is no clock hand, no list and no
//! clean-up.
//!
//! Where seven live keys are in a bucket already, an eighth is counted in the sketch: a count-min sketch (Cormode and
//! Muthukrishnan, 2005) whose cells hold arrival times instead of counts, with conservative update (Estan and Varghese,
//! 2002). The key's time is the least of its four cells. When a place becomes free, the key takes it over with that
//! time.
//!
//! # What is exact, and what is not
//!
//! - A key that has a place is judged exactly by [`Rate`], over all cores: no unit too much, no unit too little. A
//!   flood of other keys cannot take its place while it is live.
//! - A key in the sketch is judged by a time that is never too early, so it never gets too much. It may get too little,
//!   if in each of its four cells others were counted. With `n` units of others in the sketch within the time in which
//!   a burst comes back, and `w` cells a row, it is charged at most `e * n / w` units too much with a chance of 98 %
//!   (`1 - exp(-4)`). No cell is ever further ahead than one burst, so it waits at most that long, and each cell lets
//!   pass as much as one key might.
//! - About 2 % of the keys are in the sketch when as many are live as the table was made for; then its cells
//!   are so few used that these are exact too but for one in about a thousand.
//! - A core that loses the processor while it gives a place to a key makes others that ask for the same key at that
//!   moment wait for an interval, as if nothing were left. That takes a few nanoseconds of bad luck.
//!
//! Cores' clocks may differ by 10 ms without harm; by more, the bounds of [`Rate`] hold for a span that is longer by
//! the difference. A clock that goes back makes keys wait at most for one burst.

mod bucket;
mod sketch;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicU64;

use doorman_http::Instant;

use crate::key::Key;
use crate::names::Names;
use crate::rate::{Level, Rate, Taken};

use bucket::{BUCKET_WORDS, Bucket};
use sketch::Sketch;

/// Most keys that a table may be made for: about 600 MiB.
pub const KEYS_MAX: usize = 1 << 24;

/// Live keys for each bucket of seven places when the table is full: then one in fifty finds none.
const KEYS_IN_BUCKET: usize = 4;

/// Most keys that [`Table::top`] tells.
const TOP_MAX: usize = 10_000;

/// One request of one key.
#[derive(Clone, Copy, Debug)]
struct Ask<'a> {
    key: u64,
    rate: &'a Rate,
    cost: u32,
    now: u64,
}

/// Levels of many keys under one limit. Nothing is allocated on use, and nobody waits for anybody.
#[derive(Debug)]
pub struct Table {
    words: Box<[AtomicU64]>,
    /// The first word of the first bucket: buckets begin at a cache line.
    start: usize,
    buckets: usize,
    sketch: Sketch,
    names: Names,
}

/// A key with much taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heavy {
    /// The key.
    pub key: Key,
    /// Who it is, if it has been refused of late.
    pub name: Option<Box<str>>,
    /// How it stands.
    pub level: Level,
}

impl Table {
    /// A table for so many live keys, 1 to [`KEYS_MAX`]: 36 bytes each. It never grows.
    ///
    /// The memory is asked for at once and cleared by the system when it is first used, so few keys use little.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        let keys = keys.clamp(1, KEYS_MAX);
        let buckets = keys.div_ceil(KEYS_IN_BUCKET);
        let words = zeros((buckets + 1) * BUCKET_WORDS);
        let past = words.as_ptr().addr() % (BUCKET_WORDS * 8);
        let start = (BUCKET_WORDS - past / 8) % BUCKET_WORDS;
        Self { words, start, buckets, sketch: Sketch::new(keys), names: Names::default() }
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.words.len() + self.sketch.words()) * 8
    }

    /// Takes `cost` units from a key, or says how long it has to wait. Safe under any number of cores.
    pub fn take(&self, key: Key, rate: &Rate, cost: u32, now: Instant) -> Taken {
        let ask = Ask { key: key.number(), rate, cost, now: now.0 };
        let bucket = self.bucket(key);
        if let Some(taken) = bucket.charge(&ask) {
            return taken;
        }
        if let Some(taken) = bucket.insert(&ask, &self.sketch) {
            return taken;
        }
        let taken = self.sketch.take(&ask, bucket.spill());
        if !taken.is_pass() {
            return taken;
        }
        // Somebody may have given the key a place meanwhile, and not have seen what we have written into the sketch.
        // Either he sees it, or we see the place; then what the place says holds.
        bucket.charge(&ask).unwrap_or(taken)
    }

    /// How a key stands. Nothing is taken.
    #[must_use]
    pub fn show(&self, key: Key, rate: &Rate, now: Instant) -> Level {
        let bucket = self.bucket(key);
        let in_sketch = || {
            if bucket.has_spilt(now.0) { self.sketch.arrival(key.number()) } else { 0 }
        };
        let arrival = bucket.arrival(key.number()).unwrap_or_else(in_sketch);
        rate.stands(arrival, now.0)
    }

    /// Notes who a refused key is, for [`Table::top`]. `name` is called only if that is not known; no more than
    /// [`crate::NAMES_MAX`] names are kept, of [`crate::NAME_BYTES_MAX`] bytes. It allocates: call it off the fast
    /// path.
    pub fn refused(&self, key: Key, name: impl FnOnce() -> String) {
        self.names.note(key, name);
    }

    /// Who a key is, if it has been refused of late.
    #[must_use]
    pub fn name(&self, key: Key) -> Option<Box<str>> {
        self.names.name(key)
    }

    /// Gives a key its whole burst back. Tells whether it had a place: what the sketch holds is not one key's alone,
    /// and stays until its time.
    pub fn reset(&self, key: Key) -> bool {
        self.bucket(key).reset(key.number())
    }

    /// Gives every key its whole burst back. Requests under way on other cores may leave their unit behind.
    pub fn reset_all(&self) {
        for at in 0..self.buckets {
            self.bucket_at(at).reset_all();
        }
        self.sketch.reset_all();
    }

    /// The `n` keys from which most is taken now, heaviest first; at most 10,000, and none out of the sketch. It walks
    /// over the whole table, some milliseconds for a million keys: for a page, not for a path.
    #[must_use]
    pub fn top(&self, n: usize, rate: &Rate, now: Instant) -> Vec<Heavy> {
        let n = n.min(TOP_MAX);
        let mut heap = BinaryHeap::new();
        for (key, arrival) in self.live(now) {
            heap.push(Reverse((arrival, key)));
            if heap.len() > n {
                heap.pop();
            }
        }
        let heavy = |Reverse((arrival, key)): Reverse<(u64, Key)>| Heavy {
            key,
            name: self.names.name(key),
            level: rate.stands(arrival, now.0),
        };
        heap.into_sorted_vec().into_iter().map(heavy).collect()
    }

    /// Keys that have a place and of which something is taken. It walks over the whole table.
    #[must_use]
    pub fn count(&self, now: Instant) -> usize {
        self.live(now).count()
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = (Key, u64)> + '_ {
        let entries = (0..self.buckets).flat_map(|at| self.bucket_at(at).entries());
        entries.filter_map(move |(key, arrival)| {
            (arrival > now.0).then(|| Key::from_number(key).map(|key| (key, arrival))).flatten()
        })
    }

    fn bucket(&self, key: Key) -> Bucket<'_> {
        self.bucket_at(below(key.number(), self.buckets))
    }

    /// `at` is below the number of buckets.
    fn bucket_at(&self, at: usize) -> Bucket<'_> {
        Bucket::new(&self.words[self.start..].as_chunks().0[at])
    }
}

/// One of `0..count`, from the upper bits of a hash.
pub(crate) fn below(hash: u64, count: usize) -> usize {
    let wide = u128::from(hash) * count as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// Words that are zero. The system gives zeroed memory page by page as it is used, and the step to atomics is made in
/// place.
fn zeros(count: usize) -> Box<[AtomicU64]> {
    vec![0_u64; count].into_iter().map(AtomicU64::new).collect()
}

#[cfg(test)]
mod tests;
