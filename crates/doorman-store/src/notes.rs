//! What a store counts, and why it last did not store something.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use doorman_cache::{NotStored, UrlKey};
use doorman_http::Now;

use crate::fill::lock;
use crate::line::Key;
use crate::store::Store;

/// Refusals that are remembered.
const REFUSALS_MAX: usize = 4_096;
/// Bytes of a key that are remembered with a refusal: 2 MiB for all of them.
const KEY_MAX: usize = 512;

/// A response that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its URL, for people; cut if it is very long.
    pub url: String,
    /// Why.
    pub why: NotStored,
    /// When.
    pub at: Now,
}

struct Noted {
    hash: u128,
    key: Box<[u8]>,
    why: NotStored,
    at: Now,
}

/// Counted since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Responses that were stored, whole.
    pub stored: u64,
    /// Responses that were updated by a validation or an answer to HEAD.
    pub freshened: u64,
    /// Responses that were to be stored, and were cut while they came.
    pub aborted: u64,
    /// Objects that went because memory was full.
    pub evicted: u64,
    /// Objects that were purged.
    pub purged: u64,
    /// Fetches that began with a lead.
    pub leads: u64,
    /// Requests that waited for another's fetch.
    pub waits: u64,
    /// Responses that were not stored, in the order of [`NotStored::WORDS`].
    pub refused: Vec<u64>,
}

pub(crate) struct Notes {
    refusals: Mutex<VecDeque<Noted>>,
    refused: Box<[AtomicU64]>,
    stored: AtomicU64,
    freshened: AtomicU64,
    aborted: AtomicU64,
    evicted: AtomicU64,
    purged: AtomicU64,
    leads: AtomicU64,
    waits: AtomicU64,
}

impl Default for Notes {
    fn default() -> Self {
        let refused = NotStored::WORDS.iter().map(|_| AtomicU64::new(0)).collect();
        let zero = || AtomicU64::new(0);
        Self {
            refusals: Mutex::default(),
            refused,
            stored: zero(),
            freshened: zero(),
            aborted: zero(),
            evicted: zero(),
            purged: zero(),
            leads: zero(),
            waits: zero(),
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Notes {
    pub(crate) fn stored(&self) {
        add(&self.stored, 1);
    }

    pub(crate) fn freshened(&self) {
        add(&self.freshened, 1);
    }

    pub(crate) fn aborted(&self) {
        add(&self.aborted, 1);
    }

    pub(crate) fn evicted(&self) {
        add(&self.evicted, 1);
    }

    pub(crate) fn purged(&self, n: u64) {
        add(&self.purged, n);
    }

    pub(crate) fn led(&self) {
        add(&self.leads, 1);
    }

    pub(crate) fn waited(&self) {
        add(&self.waits, 1);
    }

    pub(crate) fn refused(&self, hash: u128, key: &[u8], why: NotStored, at: Now) {
        if let Some(counter) = self.refused.get(why.index()) {
            add(counter, 1);
        }
        let key = key.get(..KEY_MAX).unwrap_or(key).into();
        let mut refusals = lock(&self.refusals);
        let oldest = if refusals.len() == REFUSALS_MAX { refusals.pop_front() } else { None };
        refusals.push_back(Noted { hash, key, why, at });
        drop(refusals);
        drop(oldest);
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            stored: read(&self.stored),
            freshened: read(&self.freshened),
            aborted: read(&self.aborted),
            evicted: read(&self.evicted),
            purged: read(&self.purged),
            leads: read(&self.leads),
            waits: read(&self.waits),
            refused: self.refused.iter().map(read).collect(),
        }
    }
}

impl Store {
    /// Remembers and counts that a response was not stored, for whom no lead was held.
    pub fn refuse(&self, key: &UrlKey, why: NotStored, now: Now) {
        self.notes.refused(key.hash(), key.bytes(), why, now);
    }

    pub(crate) fn refuse_key(&self, key: &Key, why: NotStored, now: Now) {
        self.notes.refused(key.hash, &key.bytes, why, now);
    }

    /// Why responses for this URL were not stored, the latest first: what is left of the last 4,096
    /// refusals of all URLs, at most `most`.
    #[must_use]
    pub fn why(&self, key: &UrlKey, most: usize) -> Vec<Refusal> {
        let kept = key.bytes().get(..KEY_MAX).unwrap_or(key.bytes());
        self.refusals(most, |noted| noted.hash == key.hash() && *noted.key == *kept)
    }

    /// The last refusals of all URLs, the latest first, at most `most`.
    #[must_use]
    pub fn last_refusals(&self, most: usize) -> Vec<Refusal> {
        self.refusals(most, |_| true)
    }

    fn refusals(&self, most: usize, wanted: impl Fn(&Noted) -> bool) -> Vec<Refusal> {
        let refusals = lock(&self.notes.refusals);
        let wanted = refusals.iter().rev().filter(|noted| wanted(noted)).take(most);
        wanted
            .map(|noted| Refusal {
                url: doorman_cache::url_of(&noted.key),
                why: noted.why,
                at: noted.at,
            })
            .collect()
    }
}
