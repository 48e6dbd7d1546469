//! What is in a store, for people.

use doorman_cache::{Meta, UrlKey, url_of};
use doorman_http::Now;

use crate::disk;
use crate::fill::lock;
use crate::notes::Counts;
use crate::object::Object;
use crate::sibling::{Form, Kin};
use crate::store::{Store, table_hash};

/// Figures of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Responses in the index, those that are still coming included.
    pub objects: u64,
    /// Those of them whose body is on disk only.
    pub on_disk: u64,
    /// Bytes of memory that they take, with all that belongs to them.
    pub bytes: u64,
    /// Bytes that they may take.
    pub limit: u64,
    /// URLs that are marked as uncacheable.
    pub markers: u64,
    /// Fetches under way.
    pub fetches: u64,
    /// Other forms of stored bodies, whole.
    pub siblings: u64,
    /// Bytes of memory that they take, which `bytes` has in it.
    pub sibling_bytes: u64,
    /// The disk tier's own figures, if there is one.
    pub disk: Option<disk::Stats>,
    /// What was counted.
    pub counts: Counts,
}

/// A stored response, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its URL.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// Its age in seconds (RFC 9111 section 4.2.3).
    pub age: u32,
    /// Seconds for which it stays fresh; not above zero when it is stale.
    pub ttl: i64,
    /// Whether a soft purge has made it stale.
    pub is_purged: bool,
    /// Length of its body in bytes; `None` while it comes and nothing declared it.
    pub length: Option<u64>,
    /// Bytes that it takes in memory.
    pub bytes: u64,
    /// Whether it is still coming.
    pub is_filling: bool,
    /// What its freshness is made of; stale if it was purged softly.
    pub meta: Meta,
    /// What tells it from other variants of the URL; [`doorman_cache::tell`] reads it.
    pub selector: Box<[u8]>,
    /// Whether its body is on disk only.
    pub is_on_disk: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// How often it was found.
    pub hits: u32,
    /// Other forms of its body, in the order in which they were first asked for.
    pub siblings: Vec<DescribedSibling>,
}

/// Another form of a stored body, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSibling {
    /// Which form, as its maker names it.
    pub form: Form,
    /// What came of it.
    pub standing: Standing,
}

/// What came of another form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is being made.
    Coming,
    /// It is kept.
    Whole {
        /// Its length in bytes.
        length: u64,
        /// What its maker has written down with it.
        note: u32,
        /// Whether a better one is being made, or none will be.
        is_final: bool,
    },
    /// It was tried and is of no use; the reason is the maker's own.
    Refused(u8),
}

impl Store {
    /// Its figures at this moment. They are taken shard by shard, so they need not fit each other
    /// to the last byte.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            bytes: self.used(),
            limit: self.memory(),
            siblings: self.family().count(),
            sibling_bytes: self.family().bytes(),
            disk: self.disk().map(|disk| disk.stats()),
            counts: self.notes.counts(),
            ..Stats::default()
        };
        for shard in &self.shards {
            let shard = lock(shard);
            stats.objects += shard.len() as u64;
            stats.on_disk += shard.stubs() as u64;
            stats.markers += shard.markers() as u64;
            stats.fetches += shard.busy.values().map(Vec::len).sum::<usize>() as u64;
        }
        stats
    }

    /// The variants of a URL, the newest first.
    #[must_use]
    pub fn show(&self, key: &UrlKey, now: Now) -> Vec<Described> {
        let shard = lock(self.shard(key.hash()));
        let variants = shard.variants(table_hash(key.hash()), key.bytes()).to_vec();
        drop(shard);
        variants.iter().rev().map(|object| Described::of(object, now)).collect()
    }

    /// At most `most` responses whose keys begin with `prefix`, in the order of their keys.
    #[must_use]
    pub fn list(&self, prefix: &[u8], most: usize, now: Now) -> Vec<Described> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let step = lock(shard).below(None, prefix, None, most);
            found.extend(step);
            // Only the first of all shards are wanted; so no more than twice as many are held.
            if found.len() > most {
                found.sort_by(|one, other| one.key().cmp(other.key()));
                found.truncate(most);
            }
        }
        found.sort_by(|one, other| one.key().cmp(other.key()));
        found.iter().map(|object| Described::of(object, now)).collect()
    }
}

impl Described {
    fn of(object: &Object, now: Now) -> Self {
        let meta = object.meta();
        Self {
            url: url_of(object.key()),
            status: meta.status(),
            age: meta.age(now),
            ttl: meta.ttl(now),
            is_purged: object.is_purged(),
            length: object.length(),
            bytes: object.size(),
            is_filling: object.is_filling(),
            meta,
            selector: object.selector().into(),
            is_on_disk: object.is_stub(),
            tags: object.tags().map(|tag| String::from_utf8_lossy(tag).into_owned()).collect(),
            hits: object.hits(),
            siblings: object.kinship().all().iter().map(DescribedSibling::of).collect(),
        }
    }
}

impl DescribedSibling {
    fn of((form, kin): &(Form, Kin)) -> Self {
        let standing = match kin {
            Kin::Refused(reason) => Standing::Refused(*reason),
            Kin::Here(sibling) => sibling.length().map_or(Standing::Coming, |length| {
                let (note, is_final) = (sibling.note(), sibling.is_final());
                Standing::Whole { length, note, is_final }
            }),
        };
        Self { form: *form, standing }
    }
}
