//! Sessions that servers named themselves, and where each belongs: learned from responses, looked
//! up in requests, shared by all cores.
//!
//! A table of a fixed size, and two words a session. A key hashes to a set of eight places next to
//! each other; a new session takes a free place of its set or that of the one which would be
//! forgotten first. So neither many sessions nor a flood of them can make it grow, nobody waits for
//! a lock, and a look is one walk over two cache lines.
//!
//! The two words of a place cannot be written at once. So the first holds the key xor the second: a
//! reader that sees the halves of two sessions sees a key that is neither's, and finds nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Most sessions that a table may be made for: 256 MiB.
pub const ENTRIES_MAX: usize = 1 << 24;

/// Places that a key may have.
const WAYS: usize = 8;

#[derive(Debug, Default)]
struct Place {
    /// The key xor `data`.
    check: AtomicU64,
    /// The server, and the second at which the session is forgotten; 0: free.
    data: AtomicU64,
}

/// A table of sessions.
#[derive(Debug)]
pub struct Learned {
    sets: Box<[[Place; WAYS]]>,
}

/// A session that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whose it is, as [`Learned::put`] was told.
    pub server: u32,
    /// The second at which it is forgotten.
    pub until: u32,
}

impl Learned {
    /// A table for about so many sessions; it is never empty and never above [`ENTRIES_MAX`].
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let sets = entries.clamp(WAYS, ENTRIES_MAX).div_ceil(WAYS).next_power_of_two();
        Self { sets: (0..sets).map(|_| <[Place; WAYS]>::default()).collect() }
    }

    /// Sessions that it has room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// Where the session of that key belongs; `now` in seconds.
    #[must_use]
    pub fn find(&self, key: u64, now: u32) -> Option<Known> {
        self.set(key).iter().find_map(|place| {
            let data = place.data.load(Ordering::Relaxed);
            let known = known(data);
            let same = place.check.load(Ordering::Relaxed) ^ data == key;
            (same && known.until > now).then_some(known)
        })
    }

    /// Notes that the session of that key belongs to `server` until that second. Tells whether it
    /// pushed another one out before its time.
    pub fn put(&self, key: u64, server: u32, until: u32, now: u32) -> bool {
        let set = self.set(key);
        let data = |place: &Place| place.data.load(Ordering::Relaxed);
        let same =
            set.iter().find(|place| place.check.load(Ordering::Relaxed) ^ data(place) == key);
        let place = same.or_else(|| set.iter().min_by_key(|place| known(data(place)).until));
        let Some(place) = place else { return false };
        let pushed = same.is_none() && known(data(place)).until > now;
        let new = u64::from(server) << 32 | u64::from(until);
        // Two cores that meet here leave one session or none, never one that is of neither.
        place.data.store(new, Ordering::Relaxed);
        place.check.store(key ^ new, Ordering::Relaxed);
        pushed
    }

    /// Sessions that are known at `now`. It walks over the whole table: for a page, not for a path.
    #[must_use]
    pub fn count(&self, now: u32) -> usize {
        let live = |place: &&Place| known(place.data.load(Ordering::Relaxed)).until > now;
        self.sets.iter().flatten().filter(live).count()
    }

    fn set(&self, key: u64) -> &[Place; WAYS] {
        // The number of sets is a power of two, so this stays within them.
        &self.sets[(key >> 32) as usize & (self.sets.len() - 1)]
    }
}

const fn known(data: u64) -> Known {
    Known { server: (data >> 32) as u32, until: (data & 0xFFFF_FFFF) as u32 }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use doorman_http::mix;
    use proptest::prelude::*;

    use super::*;

    fn server(table: &Learned, key: u64, now: u32) -> Option<u32> {
        table.find(key, now).map(|known| known.server)
    }

    #[test]
    fn a_session_is_known_until_its_time() {
        let table = Learned::new(100);
        assert!(!table.put(mix(1), 7, 50, 10));
        assert_eq!(table.find(mix(1), 10), Some(Known { server: 7, until: 50 }));
        assert_eq!(server(&table, mix(1), 50), None);
        assert_eq!(server(&table, mix(2), 10), None);
        assert_eq!(server(&table, 0, 10), None, "a free place is nobody's");
        assert!(!table.put(mix(1), 8, 60, 20), "the same session again");
        assert_eq!(table.find(mix(1), 55), Some(Known { server: 8, until: 60 }));
        assert_eq!(table.count(20), 1);
    }

    #[test]
    fn a_flood_pushes_out_what_would_go_first_and_takes_no_more_room() {
        let table = Learned::new(64);
        let room = table.capacity();
        for key in 0..10_000u32 {
            table.put(mix(u64::from(key)), 1, 1000 + key, 0);
        }
        assert_eq!(table.capacity(), room);
        assert!(table.count(0) <= room);
        // Each set holds its eight newest.
        for key in 9_990..10_000 {
            assert_eq!(server(&table, mix(key), 0), Some(1), "{key}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(Learned::new(0).capacity(), 8);
        assert_eq!(Learned::new(100_000).capacity(), 131_072);
        // A set of eight is two cache lines.
        assert_eq!(size_of::<[Place; WAYS]>(), 128);
    }

    /// Cores write into one set while others read: nobody ever reads a server that the key never had.
    #[test]
    fn torn_places_are_never_believed() {
        let table = Learned::new(8);
        let done = AtomicBool::new(false);
        let key = |n: u32| mix(u64::from(n));
        std::thread::scope(|scope| {
            for writer in 0..2u32 {
                let (table, done) = (&table, &done);
                scope.spawn(move || {
                    for round in 0..40_000u32 {
                        let n = (round * 7 + writer) % 32;
                        table.put(key(n), n, 1000 + round, 0);
                    }
                    done.store(true, Ordering::Relaxed);
                });
            }
            let mut found = 0u32;
            while !done.load(Ordering::Relaxed) || found == 0 {
                for n in 0..32 {
                    if let Some(known) = table.find(key(n), 0) {
                        assert_eq!(known.server, n);
                        found += 1;
                    }
                }
            }
        });
    }

    proptest! {
        #[test]
        fn few_sessions_are_all_known(keys in prop::collection::hash_set(any::<u64>(), 1..8)) {
            let table = Learned::new(4096);
            for (at, key) in (0..).zip(&keys) {
                table.put(mix(*key), at, 100, 0);
            }
            for (at, key) in (0..).zip(&keys) {
                prop_assert_eq!(server(&table, mix(*key), 99), Some(at));
            }
        }
    }
}
