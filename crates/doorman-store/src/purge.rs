//! Purges: what was stored is made stale or taken out, by URL, by prefix, by site, by tag, or all.
//!
//! What shaped it: a purge wins against every fetch that began before it. Fetches under way are known
//! to their shard by key, and what is purged of them is marked there; their tags are not known before
//! the head comes, so purges by tag are kept in a log, and a head that comes looks there. It finds
//! what it purges by order or by tag, and holds a lock for a few hundred objects at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use doorman_cache::UrlKey;
use doorman_http::KeyHash;

use crate::disk::{Forget, Settled};
use crate::fill::lock;
use crate::line::Undone;
use crate::object::Object;
use crate::shard::Shard;
use crate::store::{Store, table_hash};

/// Objects that are purged in one hold of a lock: a tenth of a millisecond, with what the disk is
/// told of them.
const STEP: usize = 250;
/// Purges by tag that are remembered; a fetch that was under way for longer than that many is taken
/// for purged if its response has tags.
const LOG_MAX: usize = 4_096;

/// What is purged.
#[derive(Clone, Copy, Debug)]
pub enum Purge<'a> {
    /// All variants of a URL.
    Url(&'a UrlKey),
    /// All URLs whose keys begin so: see [`doorman_cache::prefix`] and [`doorman_cache::site`].
    Below(&'a [u8]),
    /// All responses with this tag.
    Tag(&'a [u8]),
    /// Everything.
    All,
}

/// How it is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It becomes stale: it is validated before it is used, and may be served when its origin fails.
    Soft,
    /// It goes. So must what an unsafe method has invalidated (RFC 9111 section 4.4).
    Hard,
}

impl How {
    const fn undone(self) -> Undone {
        match self {
            Self::Soft => Undone::Soft,
            Self::Hard => Undone::Hard,
        }
    }
}

/// How the disk is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// Of each object by itself.
    Each,
    /// Of all of them at once, afterwards.
    OneForAll,
}

/// What was purged.
#[derive(Default)]
pub struct Purged {
    /// Responses.
    pub objects: u64,
    /// Their bytes, with the content that is on disk only.
    pub bytes: u64,
    /// Becomes whether a crash cannot bring back what was purged of the disk tier; `None` if there
    /// is none, or nothing of it was purged. It need not be waited for.
    pub settled: Option<Settled>,
}

impl std::fmt::Debug for Purged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Purged").field("objects", &self.objects).finish_non_exhaustive()
    }
}

/// Recent purges by tag.
#[derive(Default)]
pub(crate) struct PurgeLog {
    next: AtomicU64,
    recent: Mutex<VecDeque<(u64, u64, How)>>,
}

impl PurgeLog {
    /// The number that the next purge by tag will have.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    fn push(&self, tag: &[u8], how: How) {
        let mut recent = lock(&self.recent);
        let number = self.next.load(Ordering::Relaxed);
        if recent.len() == LOG_MAX {
            recent.pop_front();
        }
        recent.push_back((number, KeyHash::of(0, tag), how));
        self.next.store(number + 1, Ordering::Release);
    }

    /// What purges by tag have undone of a response that was asked for after purge `began`.
    pub(crate) fn undone(&self, object: &Object, began: u64) -> Undone {
        self.undone_between(object, began, self.next())
    }

    /// The same, by the purges before `end`.
    pub(crate) fn undone_between(&self, object: &Object, began: u64, end: u64) -> Undone {
        if began >= end || object.tags().next().is_none() {
            return Undone::No;
        }
        let own: Vec<u64> = object.tags().map(|tag| KeyHash::of(0, tag)).collect();
        let recent = lock(&self.recent);
        if recent.front().is_some_and(|(oldest, ..)| began < *oldest) {
            return Undone::Hard;
        }
        let before = recent.iter().rev().skip_while(|(number, ..)| *number >= end);
        let since = before.take_while(|(number, ..)| *number >= began);
        let mut undone = Undone::No;
        for (_, tag, how) in since {
            if own.contains(tag) {
                undone = undone.max(how.undone());
            }
        }
        undone
    }
}

impl Store {
    /// Purges what is stored now and what is on its way. It may be called on any thread; it takes
    /// about as long as there are objects to purge.
    pub fn purge(&self, what: &Purge<'_>, how: How) -> Purged {
        if let Purge::Tag(tag) = what {
            self.purges.push(tag, how);
        }
        let mut purged = Purged::default();
        match what {
            Purge::Url(key) => self.purge_url(key, how, &mut purged),
            Purge::Below(prefix) => {
                self.purge_below((None, prefix), how, Marks::Each, &mut purged);
            }
            Purge::Tag(tag) => self.purge_below((Some(tag), b""), how, Marks::Each, &mut purged),
            Purge::All => match (how, self.disk()) {
                (How::Hard, Some(disk)) => {
                    self.purge_below((None, b""), how, Marks::OneForAll, &mut purged);
                    // This reaches what the index has never known, too.
                    purged.settled = Some(disk.forget_all());
                }
                _ => self.purge_below((None, b""), how, Marks::Each, &mut purged),
            },
        }
        self.notes.purged(purged.objects);
        purged
    }

    fn purge_url(&self, key: &UrlKey, how: How, purged: &mut Purged) {
        let mut shard = lock(self.shard(key.hash()));
        shard.undo(how, |other| other == key.bytes());
        shard.unmark(key.hash());
        let variants = shard.variants(table_hash(key.hash()), key.bytes()).to_vec();
        let gone = self.purge_these(&mut shard, variants, how, Marks::Each, purged);
        drop(shard);
        self.forget(&gone);
        if self.has_slices.load(Ordering::Relaxed) {
            self.purge_below((None, &key.slices()), how, Marks::Each, purged);
        }
    }

    fn purge_below(
        &self,
        (tag, prefix): (Option<&[u8]>, &[u8]),
        how: How,
        marks: Marks,
        purged: &mut Purged,
    ) {
        for shard in &self.shards {
            let mut after = None;
            loop {
                let mut shard = lock(shard);
                if after.is_none() && tag.is_none() {
                    shard.undo(how, |key| key.starts_with(prefix));
                    if prefix.is_empty() {
                        shard.unmark_all();
                    }
                }
                let step = shard.below(tag, prefix, after.as_ref(), STEP);
                after = step.last().cloned();
                let is_last = step.len() < STEP;
                let gone = self.purge_these(&mut shard, step, how, marks, purged);
                drop(shard);
                self.forget(&gone);
                if is_last {
                    break;
                }
            }
        }
    }

    /// Purges these, and gives them back: their memory is freed without the lock.
    fn purge_these(
        &self,
        shard: &mut Shard,
        these: Vec<Arc<Object>>,
        how: How,
        marks: Marks,
        purged: &mut Purged,
    ) -> Vec<Arc<Object>> {
        for object in &these {
            purged.objects += 1;
            purged.bytes += object.size() + object.bytes_elsewhere();
            // Out of the index first: what is forgotten on disk cannot be offered again then.
            let forget = match how {
                How::Soft => {
                    object.make_stale();
                    Forget::Stale
                }
                How::Hard => {
                    self.take_out(shard, object);
                    Forget::Hard
                }
            };
            if marks == Marks::OneForAll {
                self.unplace(shard, object);
                continue;
            }
            // The disk settles in order: the last one settles all.
            purged.settled = self.forget_on_disk(shard, object, forget).or(purged.settled.take());
        }
        match how {
            How::Soft => Vec::new(),
            How::Hard => these,
        }
    }
}

impl Shard {
    /// Marks the fetches under way for such keys: what comes of them is older than the purge.
    fn undo(&mut self, how: How, is_purged: impl Fn(&[u8]) -> bool) {
        let fetches = self.busy.values_mut().flatten();
        for fetch in fetches.filter(|fetch| is_purged(&fetch.key.bytes)) {
            fetch.undone = fetch.undone.max(how.undone());
        }
    }
}
