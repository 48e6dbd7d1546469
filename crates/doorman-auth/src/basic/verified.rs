//! Which passwords were found right or wrong not long ago, so that a second request with the same costs no hash.
//!
//! One decision shaped these tables: they hold neither names nor passwords, but seals over a name, its
//! password and its stored hash, made with a secret of the process. So an entry says nothing to who reads it,
//! and falls by itself once the stored hash changes: its seal is sought no more. They outlive plans therefore,
//! and a reload does not make everybody's password be hashed again.
//!
//! Right and wrong ones have a table each: whoever guesses pushes out other guesses and nobody else.
//!
//! All cores share them without a lock. A place is three numbers that are written one by one; each of the
//! seal's halves is kept mixed with the time, so that numbers of two writers do not make an entry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::{Instant, mix};

use crate::password::PasswordHash;
use crate::seal::Secret;

/// How long a password that was right is taken without being hashed again.
pub const LIFETIME: Duration = Duration::from_secs(300);
/// How long a password that was wrong is refused without being hashed again. Programs repeat the one that they have.
pub const WRONG_LIFETIME: Duration = Duration::from_secs(60);
/// Wrong ones that are remembered: more at once are guesses, none of which comes again.
const WRONG: usize = 4_096;
/// Places that an entry may lie in.
const WAYS: usize = 4;
/// Most entries: 24 bytes each.
const ENTRIES_MAX: usize = 1 << 20;

/// A seal's first half and its second.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(pub(super) u64, pub(super) u64);

#[derive(Debug, Default)]
struct Place {
    first: AtomicU64,
    second: AtomicU64,
    /// Until when, nanoseconds; 0: nobody's.
    until: AtomicU64,
}

impl Place {
    fn read(&self) -> (Tag, u64) {
        let until = self.until.load(Ordering::Acquire);
        let mask = mix(until);
        let (first, second) =
            (self.first.load(Ordering::Acquire), self.second.load(Ordering::Acquire));
        (Tag(first ^ mask, second ^ mask), until)
    }

    fn write(&self, tag: Tag, until: u64) {
        let mask = mix(until);
        self.first.store(tag.0 ^ mask, Ordering::Release);
        self.second.store(tag.1 ^ mask, Ordering::Release);
        self.until.store(until, Ordering::Release);
    }
}

/// Passwords that were found right or wrong, of all gates.
#[derive(Debug)]
pub struct Verified {
    secret: Secret,
    right: Table,
    wrong: Table,
}

#[derive(Debug)]
struct Table {
    places: Box<[Place]>,
    lifetime: Duration,
}

impl Verified {
    /// Empty tables for about `entries` users at once (at least 4, at most about a million), 24 bytes each, and for
    /// 4,096 wrong passwords. `secret` is fresh chance of this process.
    #[must_use]
    pub fn new(secret: &[u8; 32], entries: usize) -> Self {
        Self {
            secret: Secret::new(secret),
            right: Table::new(entries, LIFETIME),
            wrong: Table::new(WRONG, WRONG_LIFETIME),
        }
    }

    pub(super) fn tag(&self, user: &str, password: &[u8], hash: &PasswordHash) -> Tag {
        let seal = self.secret.seal("basic", &[user.as_bytes(), password, hash.mark()]);
        let half = |at: usize| seal[at..at + 8].iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        Tag(half(0), half(8))
    }

    /// What is known of a password: whether it is right.
    pub(super) fn known(&self, tag: Tag, now: Instant) -> Option<bool> {
        if self.right.has(tag, now) {
            return Some(true);
        }
        self.wrong.has(tag, now).then_some(false)
    }

    /// Remembers whether it is right.
    pub(super) fn add(&self, tag: Tag, is_right: bool, now: Instant) {
        let table = if is_right { &self.right } else { &self.wrong };
        table.add(tag, now);
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        for place in self.right.places.iter().chain(&self.wrong.places) {
            place.write(Tag(0, 0), 0);
        }
    }
}

impl Table {
    fn new(entries: usize, lifetime: Duration) -> Self {
        let places = entries.clamp(WAYS, ENTRIES_MAX).next_power_of_two();
        let places = std::iter::repeat_with(Place::default).take(places).collect();
        Self { places, lifetime }
    }

    fn has(&self, tag: Tag, now: Instant) -> bool {
        self.ways(tag).iter().any(|place| place.read().0 == tag && place.read().1 > now.0)
    }

    fn add(&self, tag: Tag, now: Instant) {
        let until = (now + self.lifetime).0.max(1);
        let ways = self.ways(tag);
        let own = ways.iter().find(|place| place.read().0 == tag);
        // Else the one that would be nobody's first.
        let place = own.or_else(|| ways.iter().min_by_key(|place| place.read().1));
        if let Some(place) = place {
            place.write(tag, until);
        }
    }

    fn ways(&self, tag: Tag) -> &[Place] {
        let sets = self.places.len() / WAYS;
        let set = usize::try_from(tag.0 % sets as u64).unwrap_or(0);
        &self.places[set * WAYS..(set + 1) * WAYS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn entries_expire_and_the_oldest_gives_way() {
        let verified = Table::new(4, LIFETIME);
        let now = Instant(10 * SECOND);
        for n in 1..=4 {
            verified.add(Tag(n, n), now + Duration::from_secs(n));
        }
        assert!((1..=4).all(|n| verified.has(Tag(n, n), now)));
        verified.add(Tag(5, 5), now + Duration::from_secs(5));
        assert!(!verified.has(Tag(1, 1), now));
        assert!((2..=5).all(|n| verified.has(Tag(n, n), now)));
        assert!(verified.has(Tag(2, 2), now + Duration::from_secs(301)));
        assert!(!verified.has(Tag(2, 2), now + Duration::from_secs(302)));
        assert!(!verified.has(Tag(2, 3), now));
        // Renewed in its own place.
        verified.add(Tag(2, 2), now + Duration::from_secs(100));
        assert!((2..=5).all(|n| verified.has(Tag(n, n), now)));
    }

    #[test]
    fn guesses_push_out_guesses() {
        let verified = Verified::new(&[1; 32], 4);
        let now = Instant(SECOND);
        verified.add(Tag(0, 1), true, now);
        for n in 1..100_000 {
            verified.add(Tag(n, n), false, now + Duration::from_nanos(n));
        }
        assert_eq!(verified.known(Tag(0, 1), now), Some(true));
        let known = (1..100_000).filter(|n| verified.known(Tag(*n, *n), now) == Some(false));
        assert_eq!(known.count(), WRONG);
        assert_eq!(verified.known(Tag(99_999, 99_999), now + WRONG_LIFETIME * 2), None);
        verified.clear();
        assert_eq!(verified.known(Tag(0, 1), now), None);
        assert_eq!(verified.known(Tag(99_999, 99_999), now), None);
    }

    #[test]
    fn an_empty_place_is_nobodys() {
        let verified = Table::new(0, LIFETIME);
        assert_eq!(verified.places.len(), WAYS);
        assert!(!verified.has(Tag(0, 0), Instant(0)));
        assert!(!verified.has(Tag(mix(0), mix(0)), Instant(0)));
    }

    #[test]
    fn halves_of_two_writers_make_no_entry() {
        let verified = Table::new(4, LIFETIME);
        verified.add(Tag(4, 40), Instant(SECOND));
        verified.places[0].first.store(8 ^ mix(77), Ordering::Relaxed);
        let until = verified.places[0].until.load(Ordering::Relaxed);
        assert!(!verified.has(Tag(8, 40), Instant(0)), "{until}");
        assert!(!verified.has(Tag(4, 40), Instant(0)));
    }

    #[test]
    fn what_a_tag_hangs_on() {
        let hash = |text| PasswordHash::read(text).unwrap();
        let one = hash("$5$abc$bBHLwRRW2Li0XKaX13kz/g2fkDil4Jx46aNvd.48MS8");
        let two = hash("$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq");
        let verified = Verified::new(&[1; 32], 4);
        let tag = verified.tag("ann", b"secret", &one);
        assert!(tag == verified.tag("ann", b"secret", &one));
        for other in [
            verified.tag("anns", b"ecret", &one),
            verified.tag("bob", b"secret", &one),
            verified.tag("ann", b"secret", &two),
            Verified::new(&[2; 32], 4).tag("ann", b"secret", &one),
        ] {
            assert!(tag != other);
        }
    }
}
