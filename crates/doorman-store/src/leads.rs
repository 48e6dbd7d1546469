//! Fetches of a store: who leads, what becomes of what he fetched, and of his line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_cache::{UrlKey, VaryNames, vary_of};
use doorman_http::{Instant, Now, mix};

use crate::NotKept;
use crate::chooser::Chooser;
use crate::disk::Forget;
use crate::fill::lock;
use crate::line::{Busy, Key, LINE_MAX, Lead, Led, Patience, Seat, Told, Undone, Wait};
use crate::object::Object;
use crate::shard::Shard;
use crate::store::{Found, Store, charge, table_hash};
use crate::tier::At;

/// What a response took the place of while it came.
pub(crate) struct Before {
    object: Arc<Object>,
    /// Where it is on disk.
    at: Option<At>,
    /// The purges that came before it was set aside.
    since: u64,
    _counted: Counted,
}

/// Bytes that count as those of a body that comes: of what is in nobody's sight, and may come back.
struct Counted {
    held: Arc<AtomicU64>,
    bytes: u64,
}

impl Counted {
    fn new(held: Arc<AtomicU64>, bytes: u64) -> Self {
        held.fetch_add(bytes, Ordering::Relaxed);
        Self { held, bytes }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What became of a response whose head has come.
pub(crate) enum Published {
    /// It is found, in the place of what is given here.
    Found(Option<Before>),
    /// A purge came between: only those who waited already may have it.
    Hidden,
    /// Another was stored meanwhile.
    Superseded(Arc<Object>),
}

impl Store {
    /// Who fetches what is not there, or not fresh enough: the caller, or one whom he waits for, at
    /// most `patience`. `instead_of` is what was found and will not do, whether it is stale or not for
    /// this request: without it, what is there is found again.
    pub fn lead(
        self: &Arc<Self>,
        key: &UrlKey,
        chooser: &Chooser<'_>,
        instead_of: Option<Arc<Object>>,
        patience: Duration,
        now: Now,
    ) -> Led {
        self.lead_until(key, chooser, instead_of, Patience::new(patience, now), now)
    }

    pub(crate) fn lead_until(
        self: &Arc<Self>,
        key: &UrlKey,
        chooser: &Chooser<'_>,
        instead_of: Option<Arc<Object>>,
        patience: Patience,
        now: Now,
    ) -> Led {
        let mut shard = lock(self.shard(key.hash()));
        let found = self.hit(&shard, key, chooser);
        let news = found.filter(|found| !instead_of.as_ref().is_some_and(|known| found.is(known)));
        match news.map(Found::touched) {
            Some(Found::Hit(object)) => return Led::Found(object),
            Some(Found::Disk(on_disk)) => return Led::Disk(on_disk),
            _ => {}
        }
        if shard.is_marked(key.hash(), chooser.is_personal(), now.instant) {
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
        self.notes.waited();
        let (ticket, seat) = (self.next_id(), Arc::new(Seat::default()));
        fetch.line.insert(ticket, Arc::clone(&seat));
        let (store, key, id) = (Arc::clone(self), key.clone(), fetch.id);
        let since = self.purges.next();
        Led::Wait(Wait { store, key, busy, id, ticket, seat, patience, instead_of, since })
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
        let mut lead = self.new_lead(Key::of(key), mix(id), id, instead_of, true);
        let mut shard = lock(self.shard(key.hash()));
        let selector = chooser.selector_for(newest_names(&shard, key));
        lead.beside = self.busy_hash(key, &selector);
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
        // Before it is known to its shard: a purge that finds no mark finds no fetch either.
        if UrlKey::is_slice(&key.bytes) {
            self.has_slices.store(true, Ordering::Relaxed);
        }
        let (store, began) = (Arc::clone(self), self.purges.next());
        self.notes.led();
        Lead { store, key, busy, id, began, instead_of, is_alone, beside: busy, is_over: false }
    }

    fn busy_hash(&self, key: &UrlKey, selector: &[u8]) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let (key, selector) = (key.hash() as u64, self.seed().hash(selector) as u64);
        mix(key ^ selector.rotate_left(17))
    }

    /// The head of a fetch's response has come: it is found from now on, and those in line get it.
    pub(crate) fn publish(&self, lead: &mut Lead, object: &Arc<Object>) -> Published {
        let mut shard = lock(self.shard(lead.key.hash));
        if let Some(same) = shard.same(object)
            && !lead.instead_of.as_ref().is_some_and(|known| Arc::ptr_eq(known, &same))
            // What was to be replaced may have left memory since.
            && !same.is_stub()
        {
            return Published::Superseded(same);
        }
        let Some(fetch) = shard.fetch(lead) else { return Published::Hidden };
        let undone = fetch.undone.max(self.purges.undone(object, lead.began));
        fetch.undone = undone;
        fetch.is_published = true;
        let line = std::mem::take(&mut fetch.line);
        let beside = shard.lines_beside(lead);
        let (mut gone, mut before) = (None, None);
        if undone != Undone::Hard {
            if undone == Undone::Soft {
                object.make_stale();
            }
            gone = self.put_in(&mut shard, object);
            shard.unmark(lead.key.hash);
            before = gone.clone().and_then(|gone| self.set_aside(&mut shard, gone, object));
        }
        drop(shard);
        self.forget(&gone);
        for line in std::iter::once(line).chain(beside) {
            tell(line, || Told::Published(Arc::clone(object), lead.began));
        }
        match undone {
            Undone::Hard => Published::Hidden,
            Undone::No | Undone::Soft => Published::Found(before),
        }
    }

    /// What had to go for `object` is kept aside if it is the same variant; the oldest of too many is
    /// forgotten.
    fn set_aside(
        &self,
        shard: &mut Shard,
        gone: Arc<Object>,
        object: &Arc<Object>,
    ) -> Option<Before> {
        if gone.selector() == object.selector() {
            let at = self.unplace(shard, &gone);
            let counted = Counted::new(self.held(), charge(&gone));
            return Some(Before { object: gone, at, since: self.purges.next(), _counted: counted });
        }
        drop(self.forget_on_disk(shard, &gone, Forget::Hard));
        None
    }

    /// The body has come: the object with all of it takes the place of the one that was filled.
    pub(crate) fn seal(
        &self,
        lead: &mut Lead,
        filled: &Arc<Object>,
        sealed: &Arc<Object>,
        before: Option<Before>,
    ) -> Result<(), NotKept> {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        shard.end_fetch(lead);
        if !self.take_out(&mut shard, filled) {
            let by_another = shard.same(filled).is_some();
            return Err(if by_another { NotKept::Superseded } else { NotKept::Purged });
        }
        if filled.is_purged() {
            sealed.make_stale();
        }
        filled.kinship().hand_on(sealed);
        self.put_in(&mut shard, sealed);
        self.offer(&mut shard, sealed, before.is_some());
        drop(shard);
        self.settle(sealed);
        self.notes.stored();
        Ok(())
    }

    /// Takes a response that is not to be stored out, if it is there, and ends its fetch. What it had
    /// taken the place of comes back unless it was purged meanwhile: something stale is worth more
    /// than nothing when an origin fails.
    pub(crate) fn withdraw(
        &self,
        lead: &mut Lead,
        object: &Arc<Object>,
        before: Option<Before>,
        until: Option<Instant>,
    ) {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        let was_there = self.take_out(&mut shard, object);
        if let Some(until) = until {
            shard.mark(lead.key.hash, false, until);
        }
        let fetch = shard.end_fetch(lead);
        let back = before.filter(|_| was_there);
        let back = back.and_then(|back| self.bring_back(&mut shard, back, object));
        drop(shard);
        if let Some(back) = back {
            self.settle(&back);
        }
        // Nobody can be in line: it was dissolved when the response was published.
        drop(fetch);
    }

    /// Puts what was set aside for `object` into the index again, unless a purge has named it since.
    /// It is given back if it is in memory, and may be evicted again.
    fn bring_back(
        &self,
        shard: &mut Shard,
        before: Before,
        object: &Object,
    ) -> Option<Arc<Object>> {
        let Before { object: back, at, since, .. } = before;
        let undone = self.purges.undone(&back, since);
        if undone == Undone::Hard {
            drop(self.forget_on_disk(shard, &back, Forget::Hard));
            return None;
        }
        self.put_in(shard, &back);
        self.replace_at(shard, &back, at);
        if back.is_stub() && self.on_disk(shard, &back).is_none() {
            self.take_out(shard, &back);
            return None;
        }
        if undone == Undone::Soft || object.is_purged() {
            back.make_stale();
            drop(self.forget_on_disk(shard, &back, Forget::Stale));
        }
        (!back.is_stub()).then_some(back)
    }

    /// Ends a fetch without a response, and tells all in line.
    pub(crate) fn end_lead(
        &self,
        lead: &mut Lead,
        mark: Option<(bool, Instant)>,
        told: impl Fn() -> Told,
    ) {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        if let Some((is_personal, until)) = mark {
            shard.mark(lead.key.hash, is_personal, until);
        }
        let fetch = shard.end_fetch(lead);
        // What is marked as uncacheable for all is not to be waited for behind another fetch either.
        let is_for_all = mark.is_some_and(|(is_personal, _)| !is_personal);
        let beside = if is_for_all { shard.lines_beside(lead) } else { Vec::new() };
        drop(shard);
        for line in fetch.map(|fetch| fetch.line).into_iter().chain(beside) {
            tell(line, &told);
        }
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

    /// When one whose patience is over looks again, because another has just gone to fetch in his
    /// place; `None`: he goes himself.
    pub(crate) fn overtake(&self, wait: &Wait, now: Instant) -> Option<Instant> {
        let mut shard = lock(self.shard(wait.key.hash()));
        let fetches = shard.busy.get_mut(&wait.busy)?;
        let fetch = fetches.iter_mut().find(|fetch| fetch.id == wait.id)?;
        let later = wait.patience.later(fetch.overtaken, now);
        if later.is_none() {
            fetch.overtaken = Some(now);
        }
        later
    }

    pub(crate) fn leave(&self, wait: &Wait) {
        let mut shard = lock(self.shard(wait.key.hash()));
        let fetches = shard.busy.get_mut(&wait.busy);
        if let Some(fetch) = fetches.and_then(|all| all.iter_mut().find(|f| f.id == wait.id)) {
            fetch.line.remove(&wait.ticket);
        }
    }
}

/// Tells all in line, and drops what could not be told because somebody has left.
pub(crate) fn tell(line: BTreeMap<u64, Arc<Seat>>, told: impl Fn() -> Told) {
    for seat in line.into_values() {
        drop(seat.tell(told()));
    }
}

fn newest_names<'s>(shard: &'s Shard, key: &UrlKey) -> VaryNames<'s> {
    let variants = shard.variants(table_hash(key.hash()), key.bytes());
    variants.last().map(|object| vary_of(object.selector())).unwrap_or_default()
}

impl Busy {
    fn new(lead: &Lead, selector: Vec<u8>) -> Self {
        Self {
            id: lead.id,
            key: Arc::clone(&lead.key),
            selector: selector.into(),
            is_alone: lead.is_alone,
            undone: Undone::No,
            is_published: false,
            overtaken: None,
            line: BTreeMap::new(),
        }
    }

    fn may_be_joined(&self, key: &UrlKey, selector: &[u8]) -> bool {
        !self.is_alone
            && self.undone == Undone::No
            && !self.is_published
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

    /// Those who wait behind other fetches for what a fetch that is alone has got; they wait no more.
    pub(crate) fn lines_beside(&mut self, lead: &Lead) -> Vec<BTreeMap<u64, Arc<Seat>>> {
        let fetches = self.busy.get_mut(&lead.beside).filter(|_| lead.is_alone);
        let fetches = fetches.into_iter().flatten();
        let same = fetches.filter(|fetch| fetch.key.bytes == lead.key.bytes);
        same.map(|fetch| std::mem::take(&mut fetch.line)).collect()
    }

    /// The variant for the same requests as `object`.
    pub(crate) fn same(&self, object: &Object) -> Option<Arc<Object>> {
        let variants = self.variants(object.hash(), object.key());
        variants.iter().find(|other| other.selector() == object.selector()).cloned()
    }

    pub(crate) fn end_fetch(&mut self, lead: &Lead) -> Option<Busy> {
        let fetches = self.busy.get_mut(&lead.busy)?;
        let index = fetches.iter().position(|fetch| fetch.id == lead.id)?;
        let fetch = fetches.swap_remove(index);
        if fetches.is_empty() {
            self.busy.remove(&lead.busy);
        }
        Some(fetch)
    }
}
