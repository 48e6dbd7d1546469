//! Other forms of a stored body: coded, minified, made anew in another format.
//!
//! What shaped it: they hang on their object, so they live and die with it and nothing of them is in
//! the index; and a hit on one must cost no more than a hit on the body itself. So what there is of
//! them is a short list that is read without a lock and replaced as a whole.
//!
//! An object that takes the place of another with the same body (the whole one that of the one that was
//! filled, one with a new head that of the old) has the same siblings. Whoever still holds the old one
//! when the first of them is made is led to the new one, so that nothing is made twice.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use doorman_cache::PackedHead;
use doorman_http::ResponseHead;

use crate::body::Pieces;
use crate::fill::{End, Fill, lock};
use crate::object::{Object, SMALL_MAX};
use crate::reader::ObjectReader;

/// Forms of one body that are kept or remembered as refused: some codings, times some formats and sizes
/// of an image. More could only be asked for by somebody who wants memory filled.
pub const SIBLINGS_MAX: usize = 32;
/// A reason that the store itself gives: the form is larger than what may be stored.
pub const TOO_LARGE: u8 = u8::MAX;
/// The same: whoever made it panicked.
pub const PANICKED: u8 = u8::MAX - 1;
/// What a sibling costs beside its bytes.
const SIBLING_OVERHEAD: u64 = 128;
/// What a kept head costs beside its bytes: itself, and an object that is gone, without what it held.
const HEAD_OVERHEAD: u64 = 256;
/// What a list of them costs, and each entry in it.
const LIST_OVERHEAD: u64 = 112;
const ENTRY_OVERHEAD: u64 = size_of::<Entry>() as u64;
/// Objects that took the place of one another, one after the other, that are looked through for
/// siblings: who holds an older one makes his own.
const HEIRS_MAX: usize = 8;

/// Which form of a body: whoever makes forms gives each its number, and the store only compares them. It
/// has room for more than codings and formats, such as the hash of a dictionary (RFC 9842).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form(pub u128);

/// What there is of a form.
#[derive(Clone, Debug)]
pub enum Kin {
    /// It is here, whole or still coming.
    Here(Arc<Sibling>),
    /// It was tried and is of no use; the reason is the maker's own.
    Refused(u8),
}

/// One other form of a stored body.
pub struct Sibling {
    body: Body,
    note: u32,
    /// Whether a better one is being made, or none will be.
    is_final: AtomicBool,
    found: AtomicU8,
    /// The head that it was last served with.
    head: ArcSwapOption<KeptHead>,
    counted: Option<Counted>,
}

/// A head that is finished, and by what it was made.
struct KeptHead {
    head: PackedHead,
    /// Kept, so that no other object can have its address.
    of: Weak<Object>,
    stamp: u64,
    _counted: Counted,
}

enum Body {
    Coming(Arc<Fill>),
    Small(Bytes),
    Long(Pieces),
}

impl fmt::Debug for Sibling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sibling")
            .field("length", &self.length())
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl Sibling {
    pub(crate) fn coming(fill: &Arc<Fill>) -> Self {
        Self {
            body: Body::Coming(Arc::clone(fill)),
            note: 0,
            is_final: AtomicBool::new(false),
            found: AtomicU8::new(0),
            head: ArcSwapOption::empty(),
            counted: None,
        }
    }

    /// One that has come whole.
    pub(crate) fn of(pieces: Vec<Bytes>, note: u32, is_final: bool, family: &Arc<Family>) -> Self {
        let len: usize = pieces.iter().map(Bytes::len).sum();
        let body = if len <= SMALL_MAX {
            Body::Small(Bytes::from(pieces.concat()))
        } else {
            Body::Long(Pieces::new(pieces))
        };
        let size = match &body {
            Body::Long(pieces) => pieces.size(),
            Body::Small(_) | Body::Coming(_) => len as u64,
        };
        let counted = Counted::one(family, size + SIBLING_OVERHEAD);
        Self {
            body,
            note,
            is_final: AtomicBool::new(is_final),
            found: AtomicU8::new(0),
            head: ArcSwapOption::empty(),
            counted: Some(counted),
        }
    }

    /// All of it, if it lies here in one piece; shared, not copied.
    #[must_use]
    pub fn whole(&self) -> Option<Bytes> {
        match &self.body {
            Body::Small(bytes) => Some(bytes.clone()),
            Body::Long(_) | Body::Coming(_) => None,
        }
    }

    /// Its bytes from `range.start` to `range.end` or to its end, whatever comes first: at once if
    /// they are here, as they come if it is still made. `None` if there was no room for it while it was
    /// made, so that only those who read it already have it.
    #[must_use]
    pub fn read(self: &Arc<Self>, range: Range<u64>) -> Option<ObjectReader> {
        match &self.body {
            Body::Coming(fill) => Some(ObjectReader::of_filling(fill.join(range.start)?, range)),
            Body::Small(_) | Body::Long(_) => {
                Some(ObjectReader::of_sibling(Arc::clone(self), range))
            }
        }
    }

    /// Its length, bytes; `None` while it is made.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        match &self.body {
            Body::Coming(_) => None,
            Body::Small(bytes) => Some(bytes.len() as u64),
            Body::Long(pieces) => Some(pieces.len()),
        }
    }

    /// What its maker has written down with it; 0 while it is made.
    #[must_use]
    pub const fn note(&self) -> u32 {
        self.note
    }

    /// Makes `head` the one that was kept for this object under this stamp. `false`: none was.
    #[must_use]
    pub fn unpack_head(&self, object: &Arc<Object>, stamp: u64, head: &mut ResponseHead) -> bool {
        let kept = self.head.load();
        let kept = kept.as_deref().filter(|kept| {
            kept.stamp == stamp && std::ptr::eq(kept.of.as_ptr(), Arc::as_ptr(object))
        });
        if let Some(kept) = kept {
            kept.head.unpack(head);
        }
        kept.is_some()
    }

    /// Keeps a head that is to be served with it, so that the next hit need not make it: it holds for
    /// this object alone, since the next one with the same body has another head, and under this stamp,
    /// which stands for the rules by which it was made. One that is still made keeps none.
    pub fn keep_head(&self, object: &Arc<Object>, stamp: u64, head: &ResponseHead) {
        let (Some(counted), Some(head)) = (&self.counted, PackedHead::pack(head)) else { return };
        let counted = Counted::new(&counted.family, head.size() as u64 + HEAD_OVERHEAD, 0);
        let of = Arc::downgrade(object);
        self.head.store(Some(Arc::new(KeptHead { head, of, stamp, _counted: counted })));
    }

    /// Whether its maker gave up before its end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(&self.body, Body::Coming(fill) if fill.end() == End::Cut)
    }

    /// Whether it is worth making a better one: this is whole and asked for again, and nobody makes one
    /// or has made one. Each call counts as a use, until that is so.
    #[must_use]
    pub fn wants_better(&self) -> bool {
        if self.is_final() || matches!(self.body, Body::Coming(_)) {
            return false;
        }
        // Two cores may lose one between them; nothing depends on the exact number.
        let found = self.found.load(Ordering::Relaxed);
        if found < 2 {
            self.found.store(found + 1, Ordering::Relaxed);
        }
        found > 0
    }

    /// The bytes at `at`, to the end of their piece.
    pub(crate) fn piece(&self, at: u64) -> Option<Bytes> {
        match &self.body {
            Body::Coming(_) => None,
            Body::Small(bytes) => {
                let at = usize::try_from(at).ok().filter(|at| *at < bytes.len())?;
                Some(bytes.slice(at..))
            }
            Body::Long(pieces) => pieces.piece(at),
        }
    }

    pub(crate) fn is_final(&self) -> bool {
        self.is_final.load(Ordering::Relaxed)
    }

    /// The right to make a better one, which one at a time has.
    pub(crate) fn close(&self) -> bool {
        !self.is_final.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn reopen(&self) {
        self.is_final.store(false, Ordering::Release);
    }
}

/// Bytes of all siblings of a store, with what they cost beside their bytes, and their number. They
/// count until the last of their readers lets go.
#[derive(Default)]
pub(crate) struct Family {
    bytes: AtomicU64,
    count: AtomicU64,
}

impl Family {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Bytes that count as those of siblings as long as this lives.
struct Counted {
    family: Arc<Family>,
    bytes: u64,
    siblings: u64,
}

impl Counted {
    fn one(family: &Arc<Family>, bytes: u64) -> Self {
        Self::new(family, bytes, 1)
    }

    fn new(family: &Arc<Family>, bytes: u64, siblings: u64) -> Self {
        family.bytes.fetch_add(bytes, Ordering::Relaxed);
        family.count.fetch_add(siblings, Ordering::Relaxed);
        Self { family: Arc::clone(family), bytes, siblings }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.family.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.family.count.fetch_sub(self.siblings, Ordering::Relaxed);
    }
}

/// Where an object finds its siblings. Nothing while there are none.
#[derive(Default)]
pub(crate) struct Kinship(ArcSwapOption<Found>);

enum Found {
    Here(Siblings),
    /// With the object that has taken its place.
    With(Weak<Object>),
}

/// The siblings of a body, shared by all objects that have it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Found>);

struct Siblings {
    list: ArcSwap<List>,
    /// Taken by those who change the list.
    changing: Mutex<()>,
}

struct List {
    entries: Box<[Entry]>,
    _counted: Counted,
}

#[derive(Clone)]
struct Entry {
    form: Form,
    kin: Kin,
}

impl Kinship {
    /// What there is of a form; or the object that knows.
    pub(crate) fn find(&self, form: Form) -> Result<Option<Kin>, Arc<Object>> {
        let found = self.0.load();
        match found.as_deref() {
            None => Ok(None),
            Some(Found::Here(siblings)) => Ok(siblings.list.load().find(form).cloned()),
            Some(Found::With(heir)) => heir.upgrade().map_or(Ok(None), Err),
        }
    }

    /// All forms that there are.
    pub(crate) fn all(&self) -> Vec<(Form, Kin)> {
        let found = self.0.load();
        let Some(Found::Here(siblings)) = found.as_deref() else { return Vec::new() };
        let list = siblings.list.load();
        list.entries.iter().map(|entry| (entry.form, entry.kin.clone())).collect()
    }

    pub(crate) fn shared(&self) -> Option<Shared> {
        let found = self.0.load_full()?;
        matches!(*found, Found::Here(_)).then_some(Shared(found))
    }

    /// The object that took the place of this one's.
    pub(crate) fn heir(&self) -> Option<Arc<Object>> {
        match self.0.load().as_deref() {
            Some(Found::With(heir)) => heir.upgrade(),
            _ => None,
        }
    }

    /// The siblings of an object that is in the index; its shard is locked, so nobody else begins them.
    pub(crate) fn begin(&self, family: &Arc<Family>) -> Shared {
        self.shared().unwrap_or_else(|| {
            let list = ArcSwap::from_pointee(List::of(Vec::new(), family));
            let found = Arc::new(Found::Here(Siblings { list, changing: Mutex::default() }));
            self.0.store(Some(Arc::clone(&found)));
            Shared(found)
        })
    }

    pub(crate) fn share(&self, shared: Shared) {
        self.0.store(Some(shared.0));
    }

    /// Another object with the same body has taken the place of this one's; their shard is locked.
    pub(crate) fn hand_on(&self, heir: &Arc<Object>) {
        match self.shared() {
            Some(shared) => heir.kinship().share(shared),
            None => self.0.store(Some(Arc::new(Found::With(Arc::downgrade(heir))))),
        }
    }
}

impl List {
    fn of(entries: Vec<Entry>, family: &Arc<Family>) -> Self {
        let bytes = LIST_OVERHEAD + entries.len() as u64 * ENTRY_OVERHEAD;
        Self { entries: entries.into(), _counted: Counted::new(family, bytes, 0) }
    }

    fn find(&self, form: Form) -> Option<&Kin> {
        self.entries.iter().find(|entry| entry.form == form).map(|entry| &entry.kin)
    }
}

impl Shared {
    /// Puts in a form of which nothing is known. `false` if something is, or there are too many.
    pub(crate) fn claim(&self, form: Form, sibling: &Arc<Sibling>, family: &Arc<Family>) -> bool {
        self.change(family, |list| {
            if list.entries.len() >= SIBLINGS_MAX || list.find(form).is_some() {
                return None;
            }
            let entry = Entry { form, kin: Kin::Here(Arc::clone(sibling)) };
            Some(list.entries.iter().cloned().chain([entry]).collect())
        })
    }

    /// Puts something else in the place of a sibling, or nothing; `false` if it is not there any more.
    pub(crate) fn replace(
        &self,
        sibling: &Arc<Sibling>,
        by: Option<Kin>,
        family: &Arc<Family>,
    ) -> bool {
        self.change(family, |list| {
            let is_it = |kin: &Kin| matches!(kin, Kin::Here(one) if Arc::ptr_eq(one, sibling));
            let place = list.entries.iter().position(|entry| is_it(&entry.kin))?;
            let mut entries = list.entries.to_vec();
            match (by, entries.get_mut(place)) {
                (Some(by), Some(entry)) => entry.kin = by,
                _ => drop(entries.remove(place)),
            }
            Some(entries)
        })
    }

    pub(crate) fn find(&self, form: Form) -> Option<Kin> {
        match &*self.0 {
            Found::Here(siblings) => siblings.list.load().find(form).cloned(),
            Found::With(_) => None,
        }
    }

    fn change(
        &self,
        family: &Arc<Family>,
        change: impl FnOnce(&List) -> Option<Vec<Entry>>,
    ) -> bool {
        let Found::Here(siblings) = &*self.0 else { return false };
        let changing = lock(&siblings.changing);
        let before = siblings.list.load_full();
        let after = change(&before).map(|entries| Arc::new(List::of(entries, family)));
        let is_changed = after.is_some();
        if let Some(after) = after {
            siblings.list.store(after);
        }
        // What the old list alone held is freed without the lock.
        drop(changing);
        drop(before);
        is_changed
    }
}

impl Object {
    /// What there is of another form of its body. `None`: nothing yet.
    #[must_use]
    pub fn sibling(&self, form: Form) -> Option<Kin> {
        let mut heir = match self.kinship().find(form) {
            Ok(kin) => return kin,
            Err(heir) => heir,
        };
        for _ in 0..HEIRS_MAX {
            heir = match heir.kinship().find(form) {
                Ok(kin) => return kin,
                Err(next) => next,
            };
        }
        None
    }
}
