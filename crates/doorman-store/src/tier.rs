//! The index over the disk tier: what of it lies there, what comes back, what is forgotten.
//!
//! What shaped it: an object that leaves memory but lies on disk stays in the index without head and
//! body, so that looking, purging and listing know no difference. What is on disk is named by its
//! variant, which is how the disk names it; a place says whether it is written already.
//!
//! An object is offered to the disk while its shard's lock is held, and only while it is in the
//! index: so a purge, which takes it out first and then has it forgotten, is never overtaken by it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use doorman_cache::{Meta, PackedHead};
use doorman_http::{Now, ResponseHead};

use crate::body::{Body, Long, Pieces};
use crate::disk::{
    self, Disk, Entry, Forget, Keep, Loaded, Location, Owner, ReadError, Reading, Recovered,
    Settled, Tried, Variant,
};
use crate::fill::lock;
use crate::object::{Object, Parts, SMALL_MAX};
use crate::shard::Shard;
use crate::store::{Store, table_hash};

/// Where a variant is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// It waits to be written.
    Offered(u64),
    Here(Location),
}

/// What of an object of the index is on disk.
pub(crate) struct Placed {
    pub(crate) object: Arc<Object>,
    pub(crate) at: At,
}

/// A stored response whose body is on disk only.
#[derive(Clone, Debug)]
pub struct OnDisk {
    known: Arc<Object>,
    location: Location,
}

impl OnDisk {
    /// What its freshness is made of: says whether it is worth reading.
    #[must_use]
    pub fn meta(&self) -> Meta {
        self.known.meta()
    }

    /// Length of its body, bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.known.length().unwrap_or(0)
    }

    pub(crate) fn touch(&self) {
        self.known.touch();
    }

    /// What the index keeps of it: to be replaced by a fetch, if reading fails.
    #[must_use]
    pub fn known(&self) -> Arc<Object> {
        Arc::clone(&self.known)
    }
}

/// Becomes the object, or `None` if it cannot be read now or any more: then it is a miss.
#[must_use = "nothing comes of a read that nobody waits for"]
pub struct Load {
    store: Arc<Store>,
    on_disk: OnDisk,
    reading: Option<Reading<Loaded>>,
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("on_disk", &self.on_disk).finish_non_exhaustive()
    }
}

impl Future for Load {
    type Output = Option<Arc<Object>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(disk) = self.store.disk.clone() else { return Poll::Ready(None) };
        let OnDisk { known, location } = self.on_disk.clone();
        let reading = match &mut self.reading {
            Some(reading) => reading,
            none => match disk.try_read(&location, known.key()) {
                Tried::Ready(loaded) => {
                    return Poll::Ready(self.store.promote(&disk, &known, &loaded));
                }
                Tried::Damaged => {
                    self.store.lose(&disk, &known, location);
                    return Poll::Ready(None);
                }
                Tried::WouldBlock => none.insert(disk.read(&location, known.key())),
            },
        };
        match std::task::ready!(Pin::new(reading).poll(cx)) {
            Ok(loaded) => Poll::Ready(self.store.promote(&disk, &known, &loaded)),
            Err(ReadError::Damaged) => {
                self.store.lose(&disk, &known, location);
                Poll::Ready(None)
            }
            // It went to make room, which the index is told by itself; or too many read.
            Err(ReadError::Gone | ReadError::Busy) => Poll::Ready(None),
        }
    }
}

impl Store {
    /// Reads a response that is on disk: at once if the system has it in memory, else by one of the
    /// disk's readers. A body that is not long comes to memory.
    pub fn load(self: &Arc<Self>, on_disk: &OnDisk) -> Load {
        Load { store: Arc::clone(self), on_disk: on_disk.clone(), reading: None }
    }

    /// The disk tier, if there is one.
    #[must_use]
    pub const fn disk(&self) -> Option<&Arc<Disk>> {
        self.disk.as_ref()
    }

    fn promote(
        &self,
        disk: &Arc<Disk>,
        known: &Arc<Object>,
        loaded: &Loaded,
    ) -> Option<Arc<Object>> {
        let head = PackedHead::from_disk(&loaded.head()).ok();
        let (Some(head), true) = (head, loaded.selector() == known.selector()) else {
            return None;
        };
        let object = match loaded.body() {
            disk::Body::Whole(bytes) if bytes.len() <= SMALL_MAX => {
                known.with_parts(head, Body::Small(bytes))
            }
            disk::Body::Whole(bytes) => {
                // The record's front stays with it, which is small beside such a body.
                let pieces = Pieces::new(vec![bytes.clone()]);
                known.with_parts(head, Body::Long(Arc::new(Long::Pieces(pieces))))
            }
            disk::Body::Large(large) => {
                let (disk, large) = (Arc::clone(disk), large.clone());
                known.with_parts(head, Body::Long(Arc::new(Long::Disk { disk, large })))
            }
        };
        let object = Arc::new(object?);
        if known.is_purged() {
            object.make_stale();
        }
        if object.is_large() {
            return Some(object);
        }
        let mut shard = lock(self.shard(self.seed().hash(object.key())));
        let is_there = self.swap(&mut shard, known, &object);
        drop(shard);
        if is_there {
            self.settle(&object);
        }
        Some(object)
    }

    /// Puts `new` into the index in the place of `old`, with what is on disk of it; `false` if `old`
    /// is not there any more.
    pub(crate) fn swap(&self, shard: &mut Shard, old: &Arc<Object>, new: &Arc<Object>) -> bool {
        if !self.take_out(shard, old) {
            return false;
        }
        if old.is_purged() {
            new.make_stale();
        }
        let at = self.unplace(shard, old);
        // Nothing can be in its way: `old` had the same selector.
        self.put_in(shard, new);
        if let Some(at) = at {
            self.place(shard, new, at);
        }
        true
    }

    /// What is on disk is not what was written: it is forgotten there and here.
    fn lose(&self, disk: &Arc<Disk>, known: &Arc<Object>, location: Location) {
        let mut shard = lock(self.shard(self.seed().hash(known.key())));
        let was_there = self.take_out(&mut shard, known);
        if was_there {
            self.unplace(&mut shard, known);
            drop(disk.forget(self.variant(disk, known), Some(location), Forget::Hard));
        }
    }

    fn variant(&self, disk: &Disk, object: &Object) -> Variant {
        disk.variant(object.key(), object.selector(), b"")
    }

    fn place(&self, shard: &mut Shard, object: &Arc<Object>, at: At) {
        if let Some(disk) = &self.disk {
            let object = Arc::clone(object);
            shard.placed.insert(self.variant(disk, &object), Placed { object, at });
        }
    }

    /// Where an object was on disk that is out of the index; from now on nothing is known of it.
    pub(crate) fn unplace(&self, shard: &mut Shard, object: &Arc<Object>) -> Option<At> {
        let disk = self.disk.as_ref()?;
        let variant = self.variant(disk, object);
        let placed = shard.placed.get(&variant)?;
        if !Arc::ptr_eq(&placed.object, object) {
            return None;
        }
        shard.placed.remove(&variant).map(|placed| placed.at)
    }

    /// Where an object of the index is on disk, if it can be read there.
    pub(crate) fn on_disk(&self, shard: &Shard, known: &Arc<Object>) -> Option<OnDisk> {
        let variant = self.variant(self.disk.as_ref()?, known);
        let placed = shard.placed.get(&variant)?;
        match placed.at {
            At::Here(location) if Arc::ptr_eq(&placed.object, known) => {
                Some(OnDisk { known: Arc::clone(known), location })
            }
            _ => None,
        }
    }

    /// Brings back the place of an object that is in the index again.
    pub(crate) fn replace_at(&self, shard: &mut Shard, object: &Arc<Object>, at: Option<At>) {
        match at {
            Some(At::Here(_)) => {}
            // It may have been written while nobody knew it.
            Some(At::Offered(token)) if shard.offered.contains_key(&token) => {}
            _ => return,
        }
        if let Some(at) = at {
            self.place(shard, object, at);
        }
    }

    /// Offers an object that is in the index to the disk. What was there of its variant before is
    /// forgotten, whether it is taken or not.
    pub(crate) fn offer(&self, shard: &mut Shard, object: &Arc<Object>, was_there: bool) {
        let Some(disk) = &self.disk else { return };
        let token = self.next_id();
        let variant = self.variant(disk, object);
        let mut head = Vec::new();
        object.head().to_disk(&mut head);
        let tags: Vec<&[u8]> = object.tags().collect();
        let entry = Entry {
            token,
            hash: self.seed().hash(object.key()),
            key: object.key(),
            selector: object.selector(),
            vary: b"",
            tags: &tags,
            meta: &object.meta().to_bytes(),
            head: &head,
            stale: object.is_purged(),
        };
        if disk.offer(&entry, object.pieces()) {
            shard.offered.insert(token, variant);
            self.place(shard, object, At::Offered(token));
        } else if was_there {
            drop(disk.forget(variant, None, Forget::Hard));
        }
    }

    /// Has what was purged forgotten on disk, too.
    pub(crate) fn forget_on_disk(
        &self,
        shard: &mut Shard,
        object: &Arc<Object>,
        how: Forget,
    ) -> Option<Settled> {
        let disk = self.disk.as_ref()?;
        let variant = self.variant(disk, object);
        let at = match how {
            Forget::Hard => self.unplace(shard, object),
            Forget::Stale => shard.placed.get(&variant).map(|placed| placed.at),
        };
        let location = match at {
            Some(At::Here(location)) => Some(location),
            _ => None,
        };
        Some(disk.forget(variant, location, how))
    }

    /// An object leaves memory. `true` if it stays in the index because it is on disk, or soon is.
    pub(crate) fn retire(&self, shard: &mut Shard, object: &Arc<Object>) -> bool {
        let Some(disk) = &self.disk else { return false };
        let placed = shard.placed.get(&self.variant(disk, object));
        if !placed.is_some_and(|placed| Arc::ptr_eq(&placed.object, object)) {
            return false;
        }
        let empty = PackedHead::pack(&ResponseHead::new(200));
        let length = object.length().unwrap_or(0);
        let body = Body::Long(Arc::new(Long::Elsewhere(length)));
        let known = empty.and_then(|head| object.with_parts(head, body));
        known.is_some_and(|known| {
            // Uses in memory say nothing about uses from now on.
            known.set_uses(0);
            self.swap(shard, object, &Arc::new(known))
        })
    }
}

/// What the disk told of an object when it was opened, as the index keeps it.
pub(crate) fn recovered(shard: &mut Shard, told: &Recovered<'_>, now: Now) -> Option<()> {
    let bytes = told.meta.first_chunk::<{ Meta::BYTES }>()?;
    let meta = Meta::from_bytes(bytes)?.recovered(now);
    let head = PackedHead::pack(&ResponseHead::new(meta.status()))?;
    let tags: Vec<&[u8]> = told.tags.collect();
    let parts = Parts { selector: told.selector, tags: &tags, head, meta };
    let body = Body::Long(Arc::new(Long::Elsewhere(told.body)));
    let object = Arc::new(Object::new(told.key, table_hash(told.hash), parts, body)?);
    if told.stale {
        object.make_stale();
    }
    if let Some(gone) = shard.insert(&object) {
        shard.placed.retain(|_, placed| !Arc::ptr_eq(&placed.object, &gone));
    }
    shard.placed.insert(told.variant, Placed { object, at: At::Here(told.location) });
    Some(())
}

/// A store as the owner of its disk tier, for threads that must not keep it: what is stored goes when
/// the last plan lets go of it.
#[derive(Debug)]
pub struct WeakOwner(Weak<Store>);

impl WeakOwner {
    /// The owner that this store is while it is there.
    #[must_use]
    pub const fn new(store: Weak<Store>) -> Self {
        Self(store)
    }
}

impl Owner for WeakOwner {
    /// A store that is gone has not forgotten what was stored: a later one finds it.
    fn written(&self, token: u64, hash: u128, location: Option<Location>) -> bool {
        self.0.upgrade().is_none_or(|store| store.written(token, hash, location))
    }

    fn evicted(&self, hash: u128, variant: Variant, location: Location) -> Keep {
        self.0.upgrade().map_or(Keep::Drop, |store| store.evicted(hash, variant, location))
    }

    fn moved(&self, hash: u128, variant: Variant, from: Location, to: Option<Location>) {
        if let Some(store) = self.0.upgrade() {
            store.moved(hash, variant, from, to);
        }
    }
}

/// The disk's threads end with it, and write what waits before that.
impl Drop for Store {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }
}

impl Owner for Store {
    fn written(&self, token: u64, hash: u128, location: Option<Location>) -> bool {
        let mut shard = lock(self.shard(hash));
        let Some(variant) = shard.offered.remove(&token) else { return false };
        let Some(placed) = shard.placed.get_mut(&variant) else { return false };
        if placed.at != At::Offered(token) {
            return false;
        }
        if let Some(location) = location {
            placed.at = At::Here(location);
            return true;
        }
        self.drop_place(&mut shard, variant);
        false
    }

    fn evicted(&self, hash: u128, variant: Variant, location: Location) -> Keep {
        let mut shard = lock(self.shard(hash));
        let Some(placed) = shard.placed.get(&variant) else { return Keep::Unknown };
        if placed.at != At::Here(location) {
            return Keep::Unknown;
        }
        if placed.object.uses() > 0 {
            if placed.object.is_stub() {
                placed.object.set_uses(0);
            }
            return Keep::Again { stale: placed.object.is_purged() };
        }
        self.drop_place(&mut shard, variant);
        Keep::Drop
    }

    fn moved(&self, hash: u128, variant: Variant, from: Location, to: Option<Location>) {
        let mut shard = lock(self.shard(hash));
        let Some(placed) = shard.placed.get_mut(&variant) else { return };
        if placed.at != At::Here(from) {
            return;
        }
        match to {
            Some(to) => placed.at = At::Here(to),
            None => self.drop_place(&mut shard, variant),
        }
    }
}

impl Store {
    /// A variant is on disk no more; what was nowhere else is gone.
    fn drop_place(&self, shard: &mut Shard, variant: Variant) {
        if let Some(placed) = shard.placed.remove(&variant)
            && placed.object.is_stub()
        {
            self.take_out(shard, &placed.object);
        }
    }
}
