//! The store: what is there for a request, and what goes when memory is full.
//!
//! What shaped it: a hit takes one lock of one shard for less than a microsecond and writes two
//! counters.
//!
//! Locks, and what may be taken while they are held: a shard's, then the log of purges or the disk's
//! queue; a fill's, a seat's, that of an object's siblings, that of the order in which objects go, those
//! of the notes: none. None is held while somebody is woken or memory of an object is freed, and none
//! across an await point. All are taken whether or not a thread panicked in them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use doorman_cache::evict::Method;
use doorman_cache::{KeySeed, UrlKey};
use doorman_http::Now;

use crate::chooser::Chooser;
use crate::disk::{self, Disk, OpenError, Worker};
use crate::fill::lock;
use crate::notes::Notes;
use crate::object::Object;
use crate::policy::Policy;
use crate::purge::PurgeLog;
use crate::seen::Seen;
use crate::shard::Shard;
use crate::sibling::Family;
use crate::tier::{self, OnDisk};

/// Shards of the index. Enough that cores seldom meet in one, few enough that a walk over all is
/// short.
const SHARDS: usize = 64;
/// What an object costs beside its bytes, in memory and in the index: measured by the test
/// `overhead`, rounded up.
pub const OVERHEAD: u64 = 200;

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Bytes of memory that stored responses may take.
    pub memory: u64,
    /// Bytes of the largest body that is stored.
    pub max_object: u64,
    /// How room is made in memory.
    pub evict: Method,
}

/// What there is for a request.
#[derive(Debug)]
#[must_use]
pub enum Found {
    /// A response, whole or still coming; fresh or not.
    Hit(Arc<Object>),
    /// A response whose body is on disk: [`Store::load`] reads it.
    Disk(OnDisk),
    /// Nothing: [`Store::lead`] says who fetches it.
    Miss,
    /// Nothing, and waiting for it would be in vain: responses for this URL proved uncacheable.
    Uncacheable,
}

impl Found {
    /// Counts a use of what was found.
    pub(crate) fn touched(self) -> Self {
        match &self {
            Self::Hit(object) => object.touch(),
            Self::Disk(on_disk) => on_disk.touch(),
            Self::Miss | Self::Uncacheable => {}
        }
        self
    }

    /// Whether it is exactly this object.
    pub(crate) fn is(&self, object: &Arc<Object>) -> bool {
        match self {
            Self::Hit(found) => Arc::ptr_eq(found, object),
            Self::Disk(on_disk) => Arc::ptr_eq(&on_disk.known(), object),
            Self::Miss | Self::Uncacheable => false,
        }
    }
}

/// Stored responses. Shared by all cores.
pub struct Store {
    name: Box<str>,
    seed: KeySeed,
    pub(crate) shards: Box<[Mutex<Shard>]>,
    policy: Mutex<Policy>,
    is_lru: AtomicBool,
    memory: AtomicU64,
    max_object: AtomicU64,
    /// Bytes of what is in the index, overhead included.
    used: AtomicU64,
    /// Bytes of bodies that are still coming.
    held: Arc<AtomicU64>,
    family: Arc<Family>,
    pub(crate) ids: AtomicU64,
    /// Whether a slice was ever stored or fetched: purges of URLs look for theirs then.
    pub(crate) has_slices: AtomicBool,
    pub(crate) purges: PurgeLog,
    pub(crate) notes: Notes,
    seen: Seen,
    pub(crate) disk: Option<Arc<Disk>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What an object in the index counts for: always the same, as long as it is there.
pub(crate) fn charge(object: &Object) -> u64 {
    // What the index keeps of objects on disk is bounded by the size of the disk tier, and no object
    // in memory would have to go for it.
    if object.is_stub() { 0 } else { object.size() + OVERHEAD + object.tags_cost() }
}

impl Store {
    /// An empty store. `seed` must be drawn anew for every store: who knows it can make keys that
    /// share a hash.
    #[must_use]
    pub fn open(settings: Settings, seed: KeySeed) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self::made(settings, seed, shards, None))
    }

    /// A store over a disk tier, with what is there already. The keys' seed is the disk's own. Each
    /// of the workers wants a thread; the store is their owner.
    ///
    /// Blocks for as long as the disk takes to be opened; see [`Disk::open`].
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open_with_disk(
        settings: Settings,
        on: &disk::Settings,
        now: Now,
    ) -> Result<(Arc<Self>, Vec<Worker>), OpenError> {
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        let (disk, workers) = Disk::open(on, &mut |told| {
            if let Some(shard) = shards.get_mut(shard_of(told.hash)) {
                // What cannot be understood is from no version of ours that matters.
                let _ = tier::recovered(shard, &told, now);
            }
        })?;
        let [low, high] = disk.seed();
        let seed = KeySeed::new(low, high);
        let shards = shards.into_iter().map(Mutex::new).collect();
        Ok((Arc::new(Self::made(settings, seed, shards, Some(disk))), workers))
    }

    fn made(
        settings: Settings,
        seed: KeySeed,
        shards: Box<[Mutex<Shard>]>,
        disk: Option<Arc<Disk>>,
    ) -> Self {
        Self {
            name: settings.name,
            seed,
            shards,
            policy: Mutex::new(Policy::new(settings.evict, settings.memory)),
            is_lru: AtomicBool::new(settings.evict == Method::Lru),
            memory: AtomicU64::new(settings.memory),
            max_object: AtomicU64::new(settings.max_object),
            used: AtomicU64::new(0),
            held: Arc::default(),
            family: Arc::default(),
            ids: AtomicU64::new(0),
            has_slices: AtomicBool::new(false),
            purges: PurgeLog::default(),
            notes: Notes::default(),
            seen: Seen::default(),
            disk,
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What keys for this store are hashed with.
    #[must_use]
    pub const fn seed(&self) -> &KeySeed {
        &self.seed
    }

    /// Changes its limits: bytes of memory, and bytes of the largest body. What is too much now goes
    /// before this returns, one object at a time, so nobody waits for long meanwhile.
    pub fn set_limits(&self, memory: u64, max_object: u64) {
        self.memory.store(memory, Ordering::Relaxed);
        self.max_object.store(max_object, Ordering::Relaxed);
        self.make_room(0);
    }

    /// Bytes of the largest body that is stored.
    #[must_use]
    pub fn max_object(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }

    /// Bytes of memory that stored responses may take.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Bytes of memory that they take: objects and their siblings with what they cost beside their
    /// bytes, and bodies that are still coming.
    #[must_use]
    pub fn used(&self) -> u64 {
        let objects = self.used.load(Ordering::Relaxed);
        objects
            .saturating_add(self.held.load(Ordering::Relaxed))
            .saturating_add(self.family.bytes())
    }

    /// What siblings count.
    pub(crate) const fn family(&self) -> &Arc<Family> {
        &self.family
    }

    pub(crate) fn held(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.held)
    }

    pub(crate) fn shard(&self, hash: u128) -> &Mutex<Shard> {
        &self.shards[shard_of(hash)]
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// What there is for a request. A hit counts as a use.
    pub fn look(&self, key: &UrlKey, chooser: &Chooser<'_>, now: Now) -> Found {
        let shard = lock(self.shard(key.hash()));
        match self.hit(&shard, key, chooser) {
            Some(found) => {
                drop(shard);
                self.told(&found);
                found.touched()
            }
            None if shard.is_marked(key.hash(), chooser.is_personal(), now.instant) => {
                Found::Uncacheable
            }
            None => Found::Miss,
        }
    }

    /// By LRU each use is told to the policy, by S3-FIFO none.
    fn told(&self, found: &Found) {
        if self.is_lru.load(Ordering::Relaxed)
            && let Found::Hit(object) = found
        {
            lock(&self.policy).touch(object);
        }
    }

    /// Makes room in another way from now on; what is stored stays. Takes about a second for a million
    /// objects, in which nothing is stored.
    pub fn set_evict(&self, method: Method) {
        lock(&self.policy).set_method(method, self.memory());
        self.is_lru.store(method == Method::Lru, Ordering::Relaxed);
    }

    /// What is there for a request and can be used.
    pub(crate) fn hit(&self, shard: &Shard, key: &UrlKey, chooser: &Chooser<'_>) -> Option<Found> {
        let object = find(shard, key, chooser)?;
        let found = if object.is_stub() {
            // What is not written yet cannot be read.
            Found::Disk(self.on_disk(shard, object)?)
        } else {
            Found::Hit(Arc::clone(object))
        };
        Some(found)
    }

    /// Counts a miss of a key and says how many there were, about: at most 255, fewer with time, and
    /// more only if other keys share all of its counters. For rules that store nothing before a
    /// number of uses.
    pub fn seen(&self, key: &UrlKey) -> u32 {
        self.seen.count(key.hash())
    }

    /// Puts an object into the index and counts it. What it takes the place of is out, and not
    /// counted any more; it is for the caller to end that with [`Store::forget`].
    pub(crate) fn put_in(&self, shard: &mut Shard, object: &Arc<Object>) -> Option<Arc<Object>> {
        self.used.fetch_add(charge(object), Ordering::Relaxed);
        if UrlKey::is_slice(object.key()) {
            self.has_slices.store(true, Ordering::Relaxed);
        }
        let gone = shard.insert(object);
        if let Some(gone) = &gone {
            self.used.fetch_sub(charge(gone), Ordering::Relaxed);
        }
        gone
    }

    /// Takes an object out of the index, if it is there; see [`Store::put_in`].
    pub(crate) fn take_out(&self, shard: &mut Shard, object: &Arc<Object>) -> bool {
        let was_there = shard.remove(object);
        if was_there {
            self.used.fetch_sub(charge(object), Ordering::Relaxed);
        }
        was_there
    }

    /// Lets a whole object that is in the index be evicted, and makes room for it.
    pub(crate) fn settle(&self, object: &Arc<Object>) {
        let (bytes, uses) = (charge(object), object.uses());
        lock(&self.policy).insert_used(object, bytes, uses);
        self.make_room(0);
    }

    /// Ends what was taken out of the index: it is kept for eviction no more.
    pub(crate) fn forget<'o>(&self, gone: impl IntoIterator<Item = &'o Arc<Object>>) {
        let mut policy = lock(&self.policy);
        let held: Vec<_> = gone.into_iter().filter_map(|object| policy.remove(object)).collect();
        drop(policy);
        drop(held);
    }

    /// Evicts until `more` bytes fit. `false` if nothing is left to evict and they do not.
    pub(crate) fn make_room(&self, more: u64) -> bool {
        loop {
            let (used, memory) = (self.used().saturating_add(more), self.memory());
            if used <= memory {
                return true;
            }
            let victim = {
                let mut policy = lock(&self.policy);
                // What is not in the order of going: bodies that come, siblings, which go with their
                // objects, and what must fit.
                let others = used.saturating_sub(policy.bytes());
                policy.evict(memory.saturating_sub(others))
            };
            let Some(victim) = victim else { return false };
            let mut shard = lock(self.shard(self.seed.hash(victim.key())));
            let went = self.retire(&mut shard, &victim) || self.take_out(&mut shard, &victim);
            drop(shard);
            if went {
                self.notes.evicted();
            }
        }
    }
}

/// The variant for a request: the most recent of those that match (RFC 9111 section 4.1).
fn find<'s>(shard: &'s Shard, key: &UrlKey, chooser: &Chooser<'_>) -> Option<&'s Arc<Object>> {
    let variants = shard.variants(table_hash(key.hash()), key.bytes());
    let newest_first = || variants.iter().rev();
    let index = chooser.first_of(newest_first().map(|object| object.selector()))?;
    newest_first().nth(index)
}

fn shard_of(hash: u128) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "any bits of the upper half will do")]
    let upper = (hash >> 64) as usize;
    upper % SHARDS
}

/// The half of a key's hash by which tables find it.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
pub(crate) const fn table_hash(hash: u128) -> u64 {
    hash as u64
}
