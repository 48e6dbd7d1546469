//! Collections that outlive a transaction: GLOBAL, IP, RESOURCE, SESSION and USER.
//!
//! They are kept in memory and shared by all cores. A transaction reads the state of a collection
//! as it was when it opened it, and writes through at once; sums are added to what the store has by
//! then, so that no core loses what another counted. Records are bounded in number and in size:
//! what nobody touched for longest goes first, so that a flood of new keys costs the old ones their
//! memory and never the host.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::named::Named;
use crate::rule::Collection;

/// Shards: cores that write to different keys seldom wait for each other.
const SHARDS: usize = 16;
/// Names of one record; more are not taken.
const NAMES_MAX: usize = 256;
/// Bytes of one record; more are not taken.
const BYTES_MAX: usize = 16 * 1_024;
/// Bytes of a key; longer ones are cut.
const KEY_MAX: usize = 256;

/// What a collection says of itself.
const ABOUT: [&[u8]; 7] = [
    b"KEY",
    b"IS_NEW",
    b"CREATE_TIME",
    b"LAST_UPDATE_TIME",
    b"UPDATE_COUNTER",
    b"UPDATE_RATE",
    b"TIMEOUT",
];

/// Records of all persistent collections.
#[derive(Debug)]
pub struct Store {
    shards: Vec<Mutex<Shard>>,
    /// Records of one shard.
    records_max: usize,
    /// What a record begins with: nothing, but the names of what each says of itself are known.
    begin: Named,
}

#[derive(Debug, Default)]
struct Shard {
    records: HashMap<Key, Record>,
    /// Keys by when they were touched last, the longest ago first.
    order: BTreeMap<u64, Key>,
    /// Touches so far.
    touches: u64,
}

/// Which record: one collection's, by what `initcol` gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    collection: Collection,
    key: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Record {
    named: Named,
    touched: u64,
    /// Seconds since the epoch.
    created: u64,
    updated: u64,
    updates: u64,
    expires: u64,
}

/// A change of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// To this.
    Set(&'a [u8]),
    /// By this much.
    Add(i64),
    /// Away.
    Unset,
    /// Gone from this second on.
    Expire(u64),
}

/// What a transaction sees of a record: its names, and what is known of itself.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) key: Key,
    pub(crate) named: Named,
}

impl Default for Store {
    /// Room for 65 536 records.
    fn default() -> Self {
        Self::new(65_536)
    }
}

impl Store {
    /// A store with room for about so many records.
    #[must_use]
    pub fn new(records_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let begin = Named::default().over(ABOUT);
        Self { shards, records_max: records_max.div_ceil(SHARDS).max(1), begin }
    }

    /// Records that are kept now.
    #[must_use]
    pub fn records(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).records.len()).sum()
    }

    /// Opens a record, and makes it where there is none. It ends when nobody has touched it for
    /// `timeout` seconds.
    pub(crate) fn open(
        &self,
        collection: Collection,
        key: &[u8],
        now: u64,
        timeout: u32,
    ) -> Opened {
        let key = Key { collection, key: key[..key.len().min(KEY_MAX)].to_vec() };
        let mut shard = self.lock(key.shard());
        let record = shard.touch(&key, self, now);
        record.expires = now.saturating_add(timeout.into());
        record.named.sweep(now);
        let mut named = record.named.clone();
        for (name, value) in ABOUT.iter().zip(record.about(&key, now, timeout)) {
            named.set(name, value, now);
        }
        Opened { key, named }
    }

    /// Changes a name of a record. What would go over the bounds of a record is not taken.
    pub(crate) fn change(&self, key: &Key, name: &[u8], change: &Change<'_>, now: u64) {
        let mut shard = self.lock(key.shard());
        let record = shard.touch(key, self, now);
        record.updated = now;
        record.updates += 1;
        record.named.change(name, change, now);
    }

    /// A panic elsewhere leaves a shard as it was: each change is whole.
    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn touch(&mut self, key: &Key, of: &Store, now: u64) -> &mut Record {
        self.touches += 1;
        let before = self.records.remove(key);
        if let Some(record) = &before {
            self.order.remove(&record.touched);
        }
        while self.records.len() >= of.records_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.records.remove(&oldest);
        }
        let live = before.filter(|record| now < record.expires);
        let fresh = || {
            let (named, expires) = (of.begin.clone(), u64::MAX);
            Record { named, created: now, updated: now, expires, ..Record::default() }
        };
        let record = Record { touched: self.touches, ..live.unwrap_or_else(fresh) };
        self.order.insert(self.touches, key.clone());
        self.records.entry(key.clone()).or_insert(record)
    }
}

impl Record {
    /// What a collection says of itself, by the names of [`ABOUT`].
    fn about(&self, key: &Key, now: u64, timeout: u32) -> [Vec<u8>; ABOUT.len()] {
        let text = |number: u64| number.to_string().into_bytes();
        let minutes = (now.saturating_sub(self.created) / 60).max(1);
        [
            key.key.clone(),
            text(u64::from(self.updates == 0)),
            text(self.created),
            text(self.updated),
            text(self.updates),
            text(self.updates / minutes),
            text(timeout.into()),
        ]
    }
}

impl Named {
    /// Changes a name, within the bounds of a record.
    pub(crate) fn change(&mut self, name: &[u8], change: &Change<'_>, now: u64) {
        match change {
            Change::Set(value) => self.set_within(name, value.to_vec(), now),
            Change::Add(difference) => {
                let lower = name.to_ascii_lowercase();
                let value = crate::operator::number(self.get(&lower, now).unwrap_or_default());
                let value = value.saturating_add(*difference).to_string().into_bytes();
                self.set_within(name, value, now);
            }
            Change::Unset => self.unset(name),
            Change::Expire(at) => self.expire(name, *at),
        }
    }

    fn set_within(&mut self, name: &[u8], value: Vec<u8>, now: u64) {
        let fits = self.bytes() + 2 * name.len() + value.len() <= BYTES_MAX;
        if fits && self.len() < NAMES_MAX {
            self.set(name, value, now);
        }
    }
}

impl Key {
    /// FNV-1a; an attacker who makes keys fall into one shard gains a queue and no more.
    fn shard(&self) -> usize {
        let seed = 0xcbf2_9ce4_8422_2325 ^ self.collection as u64;
        let hash = self
            .key
            .iter()
            .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from(hash >> 32 & 0xf).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(store: &Store, key: &[u8], now: u64) -> Option<Vec<u8>> {
        store.open(Collection::Ip, key, now, 60).named.get(b"n", now).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_two_transactions_count_is_summed() {
        let store = Store::default();
        let first = store.open(Collection::Ip, b"a", 0, 60);
        let second = store.open(Collection::Ip, b"a", 0, 60);
        store.change(&first.key, b"n", &Change::Add(2), 0);
        store.change(&second.key, b"N", &Change::Add(3), 0);
        assert_eq!(count(&store, b"a", 1), Some(b"5".to_vec()));
        assert_eq!(count(&store, b"b", 1), None);
        let global = store.open(Collection::Global, b"a", 1, 60);
        assert_eq!(global.named.get(b"n", 1), None);
    }

    #[test]
    fn records_end_when_nobody_touches_them() {
        let store = Store::default();
        let opened = store.open(Collection::Ip, b"a", 0, 60);
        store.change(&opened.key, b"n", &Change::Set(b"x"), 0);
        assert_eq!(count(&store, b"a", 59), Some(b"x".to_vec()));
        assert_eq!(count(&store, b"a", 118), Some(b"x".to_vec()));
        assert_eq!(count(&store, b"a", 178), None);
    }

    #[test]
    fn a_flood_of_keys_costs_the_oldest_theirs() {
        let store = Store::new(64);
        for number in 0..10_000_u32 {
            let opened = store.open(Collection::Ip, &number.to_be_bytes(), 0, 60);
            store.change(&opened.key, b"n", &Change::Add(1), 0);
        }
        assert!(store.records() <= 64);
        assert_eq!(count(&store, &9_999_u32.to_be_bytes(), 0), Some(b"1".to_vec()));
        assert_eq!(count(&store, &0_u32.to_be_bytes(), 0), None);
    }

    #[test]
    fn a_record_takes_no_more_than_its_bounds() {
        let store = Store::default();
        let opened = store.open(Collection::Ip, b"a", 0, 60);
        for number in 0..1_000_u32 {
            store.change(&opened.key, &number.to_be_bytes(), &Change::Set(&[b'x'; 100]), 0);
        }
        let named = store.open(Collection::Ip, b"a", 0, 60).named;
        assert!(named.bytes() <= BYTES_MAX + 200, "{}", named.bytes());
    }
}
