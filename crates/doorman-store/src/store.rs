//! The store: what is there for a request, who fetches what is not, and what goes when memory is
//! full.
//!
//! What shaped it: a hit takes one lock of one shard for less than a microsecond and writes two
//! counters. No lock is held while another is taken, but for the log of purges, which is taken
//! inside of a shard's and takes none itself; none is held while somebody is woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorman_cache::{KeySeed, NotStored, UrlKey, VaryNames, vary_of};
use doorman_http::{Instant, Now, mix};

use crate::chooser::Chooser;
use crate::fill::lock;
use crate::line::{Busy, Key, LINE_MAX, Lead, Led, Seat, Told, Undone, Wait};
use crate::object::Object;
use crate::policy::Policy;
use crate::shard::Shard;

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
}

/// What there is for a request.
#[derive(Debug)]
#[must_use]
pub enum Found {
    /// A response, whole or still coming; fresh or not.
    Hit(Arc<Object>),
    /// Nothing: [`Store::lead`] says who fetches it.
    Miss,
    /// Nothing, and waiting for it would be in vain: responses for this URL proved uncacheable.
    Uncacheable,
}

/// What became of a response whose head has come.
pub(crate) enum Published {
    Found,
    /// A purge came between: only those who waited already may have it.
    Hidden,
    /// Another was stored meanwhile.
    Superseded(Arc<Object>),
}

/// Stored responses. Shared by all cores.
pub struct Store {
    name: Box<str>,
    seed: KeySeed,
    shards: Box<[Mutex<Shard>]>,
    policy: Mutex<Policy>,
    memory: AtomicU64,
    max_object: AtomicU64,
    /// Bytes of what is in the index, overhead included.
    used: AtomicU64,
    /// Bytes of bodies that are still coming.
    held: Arc<AtomicU64>,
    ids: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What an object in the index counts for.
fn charge(object: &Object) -> u64 {
    object.size() + OVERHEAD
}

impl Store {
    /// An empty store. `seed` must be drawn anew for every store: who knows it can make keys that
    /// share a hash.
    #[must_use]
    pub fn open(settings: Settings, seed: KeySeed) -> Arc<Self> {
        Arc::new(Self {
            name: settings.name,
            seed,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            policy: Mutex::default(),
            memory: AtomicU64::new(settings.memory),
            max_object: AtomicU64::new(settings.max_object),
            used: AtomicU64::new(0),
            held: Arc::default(),
            ids: AtomicU64::new(0),
        })
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

    pub(crate) fn max_object(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.held)
    }

    pub(crate) fn shard(&self, hash: u128) -> &Mutex<Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the upper half will do")]
        let upper = (hash >> 64) as usize;
        &self.shards[upper % SHARDS]
    }

    /// What there is for a request. A hit counts as a use.
    pub fn look(&self, key: &UrlKey, chooser: &Chooser<'_>, now: Now) -> Found {
        let shard = lock(self.shard(key.hash()));
        match find(&shard, key, chooser) {
            Some(object) => {
                object.touch();
                Found::Hit(Arc::clone(object))
            }
            None if shard.is_marked(key.hash(), now.instant) => Found::Uncacheable,
            None => Found::Miss,
        }
    }

    /// Who fetches what is not there, or not fresh enough: the caller, or one whom he waits for, at
    /// most `patience`. `instead_of` is what was found and will not do.
    pub fn lead(
        self: &Arc<Self>,
        key: &UrlKey,
        chooser: &Chooser<'_>,
        instead_of: Option<Arc<Object>>,
        patience: Duration,
        now: Now,
    ) -> Led {
        self.lead_until(key, chooser, instead_of, now.instant + patience, now)
    }

    pub(crate) fn lead_until(
        self: &Arc<Self>,
        key: &UrlKey,
        chooser: &Chooser<'_>,
        instead_of: Option<Arc<Object>>,
        deadline: Instant,
        now: Now,
    ) -> Led {
        let mut shard = lock(self.shard(key.hash()));
        if let Some(object) = find(&shard, key, chooser)
            && !instead_of.as_ref().is_some_and(|known| Arc::ptr_eq(known, object))
        {
            object.touch();
            return Led::Found(Arc::clone(object));
        }
        if shard.is_marked(key.hash(), now.instant) {
            drop(shard);
            return Led::Alone(self.alone(key, chooser, instead_of));
        }
        let names = newest_names(&shard, key);
        let selector = chooser.selector_for(names);
        let busy = self.busy_hash(key, &selector);
        let fetches = shard.busy.entry(busy).or_default();
        let same = fetches.iter_mut().find(|fetch| fetch.may_be_joined(key, &selector));
        let Some(fetch) = same else {
            let id = self.next_id();
            let lead = self.new_lead(Key::of(key), busy, id, instead_of, false);
            fetches.push(Busy::new(&lead, selector));
            return Led::Lead(lead);
        };
        if fetch.line.len() >= LINE_MAX {
            drop(shard);
            return Led::Alone(self.alone(key, chooser, instead_of));
        }
        let (ticket, seat) = (self.next_id(), Arc::new(Seat::default()));
        fetch.line.insert(ticket, Arc::clone(&seat));
        let (store, key, id) = (Arc::clone(self), key.clone(), fetch.id);
        Led::Wait(Wait { store, key, busy, id, ticket, seat, deadline, instead_of })
    }

    /// The right to fetch a response that nobody waits for: for those who will not wait, or who want
    /// a new one whatever is there. What comes of it is stored all the same, unless another response
    /// than `instead_of` has been stored meanwhile.
    pub fn alone(
        self: &Arc<Self>,
        key: &UrlKey,
        chooser: &Chooser<'_>,
        instead_of: Option<Arc<Object>>,
    ) -> Lead {
        let id = self.next_id();
        let lead = self.new_lead(Key::of(key), mix(id), id, instead_of, true);
        let mut shard = lock(self.shard(key.hash()));
        let selector = chooser.selector_for(newest_names(&shard, key));
        shard.busy.entry(lead.busy).or_default().push(Busy::new(&lead, selector));
        lead
    }

    fn new_lead(
        self: &Arc<Self>,
        key: Arc<Key>,
        busy: u64,
        id: u64,
        instead_of: Option<Arc<Object>>,
        is_alone: bool,
    ) -> Lead {
        let (store, began) = (Arc::clone(self), 0);
        Lead { store, key, busy, id, began, instead_of, is_alone, is_over: false }
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn busy_hash(&self, key: &UrlKey, selector: &[u8]) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let (key, selector) = (key.hash() as u64, self.seed.hash(selector) as u64);
        mix(key ^ selector.rotate_left(17))
    }

    /// The head of a fetch's response has come: it is found from now on, and those in line get it.
    pub(crate) fn publish(lead: &mut Lead, object: &Arc<Object>) -> Published {
        let store = Arc::clone(&lead.store);
        let mut shard = lock(store.shard(lead.key.hash));
        let variants = shard.variants(object.hash(), object.key());
        let same = variants.iter().find(|other| other.selector() == object.selector());
        if let Some(same) = same
            && !lead.instead_of.as_ref().is_some_and(|known| Arc::ptr_eq(known, same))
        {
            return Published::Superseded(Arc::clone(same));
        }
        let Some(fetch) = shard.fetch(lead) else { return Published::Hidden };
        let (undone, line) = (fetch.undone, std::mem::take(&mut fetch.line));
        fetch.published = Some(Arc::clone(object));
        let mut gone = None;
        if undone != Undone::Hard {
            if undone == Undone::Soft {
                object.make_stale();
            }
            gone = store.put_in(&mut shard, object);
            shard.unmark(lead.key.hash);
        }
        drop(shard);
        drop(gone);
        for seat in line.into_values() {
            let _ = seat.tell(Told::Published(Arc::clone(object)));
        }
        if undone == Undone::Hard { Published::Hidden } else { Published::Found }
    }

    /// The body has come: the object with all of it takes the place of the one that was filled.
    pub(crate) fn seal(
        &self,
        lead: &mut Lead,
        filled: &Arc<Object>,
        sealed: &Arc<Object>,
    ) -> Result<(), crate::NotKept> {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        let fetch = shard.end_fetch(lead);
        if !shard.remove(filled) {
            let undone = fetch.is_none_or(|fetch| fetch.undone == Undone::Hard);
            return Err(if undone { crate::NotKept::Purged } else { crate::NotKept::Superseded });
        }
        self.used.fetch_sub(charge(filled), Ordering::Relaxed);
        if filled.is_purged() {
            sealed.make_stale();
        }
        let gone = self.put_in(&mut shard, sealed);
        drop(shard);
        drop(gone);
        lock(&self.policy).insert(sealed);
        self.make_room(0);
        Ok(())
    }

    /// Takes a response that is not to be stored out, if it is there, and ends its fetch.
    pub(crate) fn withdraw(&self, lead: &mut Lead, object: &Arc<Object>, until: Option<Instant>) {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        if shard.remove(object) {
            self.used.fetch_sub(charge(object), Ordering::Relaxed);
        }
        if let Some(until) = until {
            shard.mark(lead.key.hash, until);
        }
        let fetch = shard.end_fetch(lead);
        drop(shard);
        drop(fetch);
    }

    /// Ends a fetch without a response and gives back who stood in line.
    pub(crate) fn end_lead(&self, lead: &mut Lead, until: Option<Instant>) -> Vec<Arc<Seat>> {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        if let Some(until) = until {
            shard.mark(lead.key.hash, until);
        }
        shard.end_fetch(lead).map(|fetch| fetch.line.into_values().collect()).unwrap_or_default()
    }

    /// Gives a lead to the next in line who is still there, if there is one.
    pub(crate) fn pass_on(lead: &Lead) {
        let store = Arc::clone(&lead.store);
        let instead_of = lead.instead_of.clone();
        let (key, is_alone) = (Arc::clone(&lead.key), lead.is_alone);
        let mut heir = store.new_lead(key, lead.busy, lead.id, instead_of, is_alone);
        loop {
            let next = {
                let mut shard = lock(store.shard(heir.key.hash));
                let next = shard.fetch(&heir).and_then(|fetch| {
                    // His fetch begins after whatever was purged.
                    fetch.undone = Undone::No;
                    fetch.line.pop_first()
                });
                if next.is_none() {
                    heir.is_over = true;
                    shard.end_fetch(&heir);
                }
                next
            };
            let Some((_, seat)) = next else { return };
            match seat.tell(Told::Next(heir)) {
                Some(Told::Next(back)) => heir = back,
                _ => return,
            }
        }
    }

    pub(crate) fn leave(&self, wait: &Wait) {
        let mut shard = lock(self.shard(wait.key.hash()));
        let fetches = shard.busy.get_mut(&wait.busy);
        if let Some(fetch) = fetches.and_then(|all| all.iter_mut().find(|f| f.id == wait.id)) {
            fetch.line.remove(&wait.ticket);
        }
    }

    /// Puts an object into the index and counts it. What it takes the place of is not counted any
    /// more.
    fn put_in(&self, shard: &mut Shard, object: &Arc<Object>) -> Option<Arc<Object>> {
        self.used.fetch_add(charge(object), Ordering::Relaxed);
        let gone = shard.insert(object);
        if let Some(gone) = &gone {
            self.used.fetch_sub(charge(gone), Ordering::Relaxed);
        }
        gone
    }

    /// Evicts until `more` bytes fit. `false` if nothing is left to evict and they do not.
    pub(crate) fn make_room(&self, more: u64) -> bool {
        loop {
            let used = self.used.load(Ordering::Relaxed) + self.held.load(Ordering::Relaxed);
            if used.saturating_add(more) <= self.memory.load(Ordering::Relaxed) {
                return true;
            }
            let Some(victim) = lock(&self.policy).evict() else { return false };
            let removed = lock(self.shard(self.seed.hash(victim.key()))).remove(&victim);
            if removed {
                self.used.fetch_sub(charge(&victim), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn note_refusal(&self, _key: &Key, _why: NotStored, _now: Now) {}

    pub(crate) fn count_aborted(&self) {}
}

fn find<'s>(shard: &'s Shard, key: &UrlKey, chooser: &Chooser<'_>) -> Option<&'s Arc<Object>> {
    let variants = shard.variants(table_hash(key.hash()), key.bytes());
    if variants.is_empty() {
        return None;
    }
    // The most recent of those that match (RFC 9111 section 4.1).
    let newest_first = variants.iter().rev();
    let index = chooser.first_of(newest_first.clone().map(|object| object.selector()))?;
    newest_first.clone().nth(index)
}

fn newest_names<'s>(shard: &'s Shard, key: &UrlKey) -> VaryNames<'s> {
    let variants = shard.variants(table_hash(key.hash()), key.bytes());
    variants.last().map(|object| vary_of(object.selector())).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
pub(crate) const fn table_hash(hash: u128) -> u64 {
    hash as u64
}

impl Busy {
    fn new(lead: &Lead, selector: Vec<u8>) -> Self {
        Self {
            id: lead.id,
            key: Arc::clone(&lead.key),
            selector: selector.into(),
            is_alone: lead.is_alone,
            undone: Undone::No,
            published: None,
            line: std::collections::BTreeMap::new(),
        }
    }

    fn may_be_joined(&self, key: &UrlKey, selector: &[u8]) -> bool {
        !self.is_alone
            && self.undone == Undone::No
            && self.published.is_none()
            && *self.selector == *selector
            && *self.key.bytes == *key.bytes()
    }
}

impl Key {
    pub(crate) const fn table_hash(&self) -> u64 {
        table_hash(self.hash)
    }
}

impl Shard {
    fn fetch(&mut self, lead: &Lead) -> Option<&mut Busy> {
        self.busy.get_mut(&lead.busy)?.iter_mut().find(|fetch| fetch.id == lead.id)
    }

    fn end_fetch(&mut self, lead: &Lead) -> Option<Busy> {
        let fetches = self.busy.get_mut(&lead.busy)?;
        let index = fetches.iter().position(|fetch| fetch.id == lead.id)?;
        let fetch = fetches.swap_remove(index);
        if fetches.is_empty() {
            self.busy.remove(&lead.busy);
        }
        Some(fetch)
    }
}
