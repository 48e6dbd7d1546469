//! A part of the index: which objects there are for a key, and in which order keys lie.
//!
//! What shaped it is what an object costs here: one pointer in a table found by hash, one in a set
//! ordered by key (so that a purge by prefix or site finds what it names and nothing else), and no
//! copy of its key. Only URLs with several variants have a list.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use doorman_http::Instant;

use crate::disk::Variant;
use crate::line::Busy;
use crate::object::Object;
use crate::tier::Placed;

/// Variants of a URL that are kept; the oldest goes first. A million variants of one URL must not
/// make every look at it slow.
pub const VARIANTS_MAX: usize = 128;
/// Keys that are marked as uncacheable, in one shard; the oldest goes first.
const MARKERS_MAX: usize = 1_024;
/// What tells the mark of a key for personal requests alone from the one for everybody.
const FOR_PERSONAL: u128 = 1 << 64;

/// Hashes of keys are good already.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }
}

pub(crate) type Hashed = BuildHasherDefault<AsIs>;

/// What is found by a key's hash and told apart by its bytes.
trait Keyed {
    fn probe(&self) -> (u64, &[u8]);
}

impl Hash for dyn Keyed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.probe().0);
    }
}

impl PartialEq for dyn Keyed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.probe() == other.probe()
    }
}

impl Eq for dyn Keyed + '_ {}

impl Keyed for (u64, &[u8]) {
    fn probe(&self) -> (u64, &[u8]) {
        *self
    }
}

/// The one variant of a URL, or all of them with the newest at the end; never empty.
struct One(Arc<Object>);
struct Several(Vec<Arc<Object>>);

impl Keyed for One {
    fn probe(&self) -> (u64, &[u8]) {
        (self.0.hash(), self.0.key())
    }
}

impl Keyed for Several {
    fn probe(&self) -> (u64, &[u8]) {
        self.0.first().map_or((0, &[]), |object| (object.hash(), object.key()))
    }
}

macro_rules! found_by_key {
    ($name:ident) => {
        impl<'a> Borrow<dyn Keyed + 'a> for $name {
            fn borrow(&self) -> &(dyn Keyed + 'a) {
                self
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u64(self.probe().0);
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.probe() == other.probe()
            }
        }

        impl Eq for $name {}
    };
}

found_by_key!(One);
found_by_key!(Several);

/// A place in the order of keys. Variants of a URL lie in the order of their addresses: any will do.
trait Ordered {
    fn place(&self) -> (&[u8], usize);
}

impl PartialEq for dyn Ordered + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn Ordered + '_ {}

impl PartialOrd for dyn Ordered + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Ordered + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Ordered for (&[u8], usize) {
    fn place(&self) -> (&[u8], usize) {
        *self
    }
}

/// An object told apart from others by where it lies, in an order by key.
struct Entry(Arc<Object>);

impl Ordered for Entry {
    fn place(&self) -> (&[u8], usize) {
        (self.0.key(), Arc::as_ptr(&self.0) as usize)
    }
}

impl<'a> Borrow<dyn Ordered + 'a> for Entry {
    fn borrow(&self) -> &(dyn Ordered + 'a) {
        self
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

#[derive(Default)]
pub(crate) struct Shard {
    ones: HashSet<One, Hashed>,
    several: HashSet<Several, Hashed>,
    ordered: BTreeSet<Entry>,
    /// Objects of which the body is on disk only.
    stubs: usize,
    tags: HashMap<Box<[u8]>, BTreeSet<Entry>>,
    markers: HashMap<u128, Instant>,
    marked: VecDeque<u128>,
    /// What of this shard's objects is on disk.
    pub(crate) placed: HashMap<Variant, Placed>,
    /// What waits to be written there.
    pub(crate) offered: HashMap<u64, Variant, Hashed>,
    /// Fetches under way, by the hash of key and selector.
    pub(crate) busy: HashMap<u64, Vec<Busy>, Hashed>,
}

impl Shard {
    /// All variants of a URL, the newest at the end.
    pub(crate) fn variants(&self, hash: u64, key: &[u8]) -> &[Arc<Object>] {
        let probe: &dyn Keyed = &(hash, key);
        if let Some(One(object)) = self.ones.get(probe) {
            return std::slice::from_ref(object);
        }
        self.several.get(probe).map_or(&[], |several| &several.0)
    }

    /// Whether exactly this object is in the index.
    pub(crate) fn has(&self, object: &Arc<Object>) -> bool {
        let variants = self.variants(object.hash(), object.key());
        variants.iter().any(|other| Arc::ptr_eq(other, object))
    }

    /// Puts an object in as the newest of its URL. What it takes the place of is out of the index
    /// and given back: the variant with the same selector, or the oldest of too many.
    #[expect(clippy::mutable_key_type, reason = "only key and address are compared")]
    pub(crate) fn insert(&mut self, object: &Arc<Object>) -> Option<Arc<Object>> {
        let probe: &dyn Keyed = &(object.hash(), object.key());
        let gone = {
            let variants = self.variants(object.hash(), object.key());
            let same = variants.iter().find(|other| other.selector() == object.selector());
            let oldest = variants.first().filter(|_| variants.len() >= VARIANTS_MAX);
            same.or(oldest).cloned()
        };
        if let Some(gone) = &gone {
            self.remove(gone);
        }
        if let Some(One(first)) = self.ones.take(probe) {
            self.several.insert(Several(vec![first, Arc::clone(object)]));
        } else if let Some(Several(mut variants)) = self.several.take(probe) {
            variants.push(Arc::clone(object));
            self.several.insert(Several(variants));
        } else {
            self.ones.insert(One(Arc::clone(object)));
        }
        object.come();
        self.stubs += usize::from(object.is_stub());
        self.ordered.insert(Entry(Arc::clone(object)));
        for tag in object.tags() {
            match self.tags.get_mut(tag) {
                Some(entries) => entries.insert(Entry(Arc::clone(object))),
                None => {
                    let entries = self.tags.entry(tag.into()).or_default();
                    entries.insert(Entry(Arc::clone(object)))
                }
            };
        }
        gone
    }

    /// Takes exactly this object out. `false` if it was not there any more.
    pub(crate) fn remove(&mut self, object: &Arc<Object>) -> bool {
        if !self.has(object) {
            return false;
        }
        let probe: &dyn Keyed = &(object.hash(), object.key());
        if self.ones.take(probe).is_none()
            && let Some(Several(mut variants)) = self.several.take(probe)
        {
            variants.retain(|other| !Arc::ptr_eq(other, object));
            if variants.len() > 1 {
                self.several.insert(Several(variants));
            } else if let Some(last) = variants.pop() {
                self.ones.insert(One(last));
            }
        }
        object.go();
        self.stubs -= usize::from(object.is_stub());
        let entry = Entry(Arc::clone(object));
        self.ordered.remove(&entry);
        for tag in object.tags() {
            if let Some(entries) = self.tags.get_mut(tag) {
                entries.remove(&entry);
                if entries.is_empty() {
                    self.tags.remove(tag);
                }
            }
        }
        true
    }

    /// At most `most` objects whose keys begin with `prefix`, in order, behind `after`; only those
    /// with a tag, if one is given.
    #[expect(clippy::mutable_key_type, reason = "only key and address are compared")]
    pub(crate) fn below(
        &self,
        tag: Option<&[u8]>,
        prefix: &[u8],
        after: Option<&Arc<Object>>,
        most: usize,
    ) -> Vec<Arc<Object>> {
        let set = match tag {
            None => &self.ordered,
            Some(tag) => match self.tags.get(tag) {
                Some(set) => set,
                None => return Vec::new(),
            },
        };
        let place = after.map(|object| (object.key(), Arc::as_ptr(object) as usize));
        let from = (prefix, 0);
        let bound: Bound<&dyn Ordered> = match &place {
            Some(place) => Bound::Excluded(place),
            None => Bound::Included(&from),
        };
        set.range::<dyn Ordered, _>((bound, Bound::Unbounded))
            .take_while(|entry| entry.0.key().starts_with(prefix))
            .take(most)
            .map(|entry| Arc::clone(&entry.0))
            .collect()
    }

    /// Objects in this shard.
    pub(crate) fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Objects of which the body is on disk only.
    pub(crate) const fn stubs(&self) -> usize {
        self.stubs
    }

    /// Keys that are marked as uncacheable.
    pub(crate) fn markers(&self) -> usize {
        self.markers.len()
    }

    /// Whether a key is marked as uncacheable: for everybody, or for requests such as this.
    pub(crate) fn is_marked(&self, hash: u128, is_personal: bool, now: Instant) -> bool {
        let has = |hash| self.markers.get(&hash).is_some_and(|until| now < *until);
        has(hash) || is_personal && has(hash ^ FOR_PERSONAL)
    }

    /// Marks a key as uncacheable, for everybody or for personal requests alone.
    pub(crate) fn mark(&mut self, hash: u128, is_personal: bool, until: Instant) {
        let hash = if is_personal { hash ^ FOR_PERSONAL } else { hash };
        if self.markers.insert(hash, until).is_none() {
            self.marked.push_back(hash);
        }
        while self.marked.len() > MARKERS_MAX {
            if let Some(oldest) = self.marked.pop_front() {
                self.markers.remove(&oldest);
            }
        }
    }

    pub(crate) fn unmark(&mut self, hash: u128) {
        for hash in [hash, hash ^ FOR_PERSONAL] {
            if self.markers.remove(&hash).is_some() {
                self.marked.retain(|marked| *marked != hash);
            }
        }
    }

    pub(crate) fn unmark_all(&mut self) {
        self.markers.clear();
        self.marked.clear();
    }
}
