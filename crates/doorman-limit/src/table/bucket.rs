//! Seven places for keys, in two neighbouring cache lines.
//!
//! Why a charge is never lost. The time of a place goes only up, but for an operator's reset and for times that are
//! mended. A place is given to another key only when its time has passed, and then it first becomes `LOCKED`, and then
//! a time in the future. So whoever read key, time, key, and swaps the time he read, swaps it for the key he read: had
//! the place changed hands between, the time would be another.
//!
//! Why a key never has two places. Only who holds the bucket's lock gives places away, and looks for the key once more
//! under it. The lock is tried, never waited for: who does not get it counts in the sketch.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Ask;
use super::sketch::Sketch;
use crate::rate::{Step, Taken};

/// Words of a bucket: two of its own, and two for each place.
pub(super) const BUCKET_WORDS: usize = 16;

const WAYS: usize = 7;

/// In place of a time: the place is changing hands.
const LOCKED: u64 = u64::MAX;

/// A place is free so much later than its time, so that a core whose clock is behind by less loses nothing.
const SKEW: u64 = 10_000_000;

/// Looks at a place that is changing hands, which takes a few nanoseconds unless its core lost the processor.
const SPINS: u32 = 2_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'a>(&'a [AtomicU64; BUCKET_WORDS]);

/// The right to give places away; given back when it goes.
struct Held<'a>(&'a AtomicU64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<'a> Bucket<'a> {
    pub(super) const fn new(words: &'a [AtomicU64; BUCKET_WORDS]) -> Self {
        Self(words)
    }

    /// The latest time that a key of this bucket has in the sketch.
    pub(super) fn spill(self) -> &'a AtomicU64 {
        &self.0[1]
    }

    /// Whether a key of this bucket may have a time in the sketch that is ahead.
    pub(super) fn has_spilt(self, now: u64) -> bool {
        self.spill().load(Ordering::SeqCst) > now
    }

    fn key(self, way: usize) -> &'a AtomicU64 {
        &self.0[2 + way * 2]
    }

    fn time(self, way: usize) -> &'a AtomicU64 {
        &self.0[3 + way * 2]
    }

    /// Charges a key that has a place; `None` if it has none.
    pub(super) fn charge(self, ask: &Ask<'_>) -> Option<Taken> {
        (0..WAYS).find_map(|way| self.charge_way(way, ask))
    }

    fn charge_way(self, way: usize, ask: &Ask<'_>) -> Option<Taken> {
        let (key, time) = (self.key(way), self.time(way));
        let mut spins = 0;
        while key.load(Ordering::SeqCst) == ask.key {
            let seen = time.load(Ordering::SeqCst);
            if seen == LOCKED {
                spins += 1;
                if spins > SPINS {
                    return Some(ask.rate.used_up());
                }
                spin_loop();
                continue;
            }
            // Only now is it known whose time was read.
            if key.load(Ordering::SeqCst) != ask.key {
                return None;
            }
            let (next, taken) = match ask.rate.step(seen, ask.cost, ask.now) {
                Step::Pass(next, taken) => (next, taken),
                Step::Wait(taken) => match ask.rate.mend(seen, ask.now) {
                    Some(next) => (next, taken),
                    None => return Some(taken),
                },
            };
            if time.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Some(taken);
            }
        }
        None
    }

    /// Gives a place to a key and charges it. `None`: there is none free, or another core is giving one away.
    pub(super) fn insert(self, ask: &Ask<'_>, sketch: &Sketch) -> Option<Taken> {
        (0..WAYS).find(|&way| is_free(self.time(way).load(Ordering::Relaxed), ask.now))?;
        let _held = self.hold()?;
        if let Some(taken) = self.charge(ask) {
            return Some(taken);
        }
        let way = (0..WAYS).find(|&way| self.close(way, ask.now))?;
        self.key(way).store(ask.key, Ordering::SeqCst);
        // Behind the store, so that who counts in the sketch and then looks here is not missed by both.
        let kept = if self.has_spilt(ask.now) { sketch.arrival(ask.key) } else { 0 };
        let (time, taken) = match ask.rate.step(kept, ask.cost, ask.now) {
            Step::Pass(next, taken) => (next, taken),
            Step::Wait(taken) => (ask.rate.mend(kept, ask.now).unwrap_or(kept), taken),
        };
        self.time(way).store(time, Ordering::SeqCst);
        Some(taken)
    }

    fn hold(self) -> Option<Held<'a>> {
        let lock = &self.0[0];
        let free = lock.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        free.then_some(Held(lock))
    }

    /// Closes a free place to everybody. Not if somebody charges it just now.
    fn close(self, way: usize, now: u64) -> bool {
        let time = self.time(way);
        let seen = time.load(Ordering::SeqCst);
        is_free(seen, now)
            && time.compare_exchange(seen, LOCKED, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// The time of a key that has a place.
    pub(super) fn arrival(self, key: u64) -> Option<u64> {
        self.entries().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    /// Keys and their times, as they are this moment; a pair that is changing hands is left out.
    pub(super) fn entries(self) -> impl Iterator<Item = (u64, u64)> + 'a {
        (0..WAYS).filter_map(move |way| {
            let key = self.key(way).load(Ordering::SeqCst);
            let time = self.time(way).load(Ordering::SeqCst);
            let same = self.key(way).load(Ordering::SeqCst) == key;
            (same && key != 0 && time != LOCKED).then_some((key, time))
        })
    }

    /// Gives a key its whole burst back; whether it has a place.
    pub(super) fn reset(self, key: u64) -> bool {
        let mut had = false;
        for way in 0..WAYS {
            if self.key(way).load(Ordering::SeqCst) == key {
                had = true;
                self.clear(way);
            }
        }
        had
    }

    pub(super) fn reset_all(self) {
        (0..WAYS).for_each(|way| self.clear(way));
        self.spill().store(0, Ordering::SeqCst);
    }

    /// A place that is changing hands is left alone.
    fn clear(self, way: usize) {
        let open = |time: u64| (time != LOCKED).then_some(0);
        let _ = self.time(way).fetch_update(Ordering::SeqCst, Ordering::SeqCst, open);
    }
}

/// Whether a time says nothing any more. `LOCKED` is never past.
const fn is_free(time: u64, now: u64) -> bool {
    time == 0 || time.saturating_add(SKEW) <= now
}
