//! A stored response: immutable, shared by the index and all who read it.
//!
//! What shaped it: a million small responses must cost little more than their bytes. So the key, the
//! selector, the tags and a small body lie in one allocation, and a change of any of them makes a new
//! object. Only counters and marks change in place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use bytes::Bytes;

use doorman_cache::evict::{Slot, USES_MAX};
use doorman_cache::{Meta, PackedHead};

use crate::body::{Body, Long, SmallBody};
use crate::fill::End;
use crate::reader::ObjectReader;
use crate::sibling::Kinship;

/// Bodies up to this size, bytes, lie in one allocation with the rest of their object.
pub const SMALL_MAX: usize = 32 * 1024;
/// Tags of a response beyond this many are not kept: it could be purged by none of them.
pub const TAGS_MAX: usize = 64;
/// Tags longer than this, bytes, are not kept.
pub const TAG_LEN_MAX: usize = 256;

/// What a tag costs in the index beside its bytes: an entry of a table, and a set with one entry.
const TAG_OVERHEAD: u64 = 256;

/// Bits of `marks`.
const STALE: u8 = 1;
const REFRESHING: u8 = 2;
const GONE: u8 = 4;

/// What a response is stored with, beside the key of its URL and its body.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// What tells it from other variants of the URL, made with the names of its `Vary`.
    pub selector: &'a [u8],
    /// What purges by tag know it by; what is beyond [`TAGS_MAX`] and [`TAG_LEN_MAX`] is left out.
    pub tags: &'a [&'a [u8]],
    /// Its head.
    pub head: PackedHead,
    /// What its freshness is made of.
    pub meta: Meta,
}

/// A stored response.
pub struct Object {
    /// Key, selector, tags, small body: in this order.
    blob: Box<[u8]>,
    head: PackedHead,
    long: Option<Arc<Long>>,
    kinship: Kinship,
    meta: Meta,
    hash: u64,
    key_len: u32,
    selector_len: u32,
    hits: AtomicU32,
    /// Its place in the order in which objects go.
    slot: AtomicU32,
    tags_len: u16,
    uses: AtomicU8,
    marks: AtomicU8,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("url", &doorman_cache::url_of(self.key()))
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

impl Object {
    /// `None` if a part is too large to be stored.
    pub(crate) fn new(key: &[u8], hash: u64, parts: Parts<'_>, body: Body<'_>) -> Option<Self> {
        let tags = packed_tags(parts.tags);
        Self::build(key, hash, parts, &tags, body)
    }

    fn build(key: &[u8], hash: u64, parts: Parts<'_>, tags: &[u8], body: Body<'_>) -> Option<Self> {
        let (small, long) = match body {
            Body::Small(bytes) => (bytes, None),
            Body::Long(long) => (&[][..], Some(long)),
        };
        let all = [key, parts.selector, tags, small];
        let mut blob = Vec::with_capacity(all.iter().map(|part| part.len()).sum());
        all.iter().for_each(|part| blob.extend_from_slice(part));
        Some(Self {
            blob: blob.into_boxed_slice(),
            head: parts.head,
            long,
            kinship: Kinship::default(),
            meta: parts.meta,
            hash,
            key_len: u32::try_from(key.len()).ok()?,
            selector_len: u32::try_from(parts.selector.len()).ok()?,
            hits: AtomicU32::new(0),
            tags_len: u16::try_from(tags.len()).ok()?,
            slot: AtomicU32::new(Slot::NONE.number()),
            uses: AtomicU8::new(0),
            marks: AtomicU8::new(0),
        })
    }

    /// The same response with the body that has come, or as it goes to disk or comes from there.
    pub(crate) fn with_parts(&self, head: PackedHead, body: Body<'_>) -> Option<Self> {
        self.remade(head, self.meta, body)
    }

    /// The same response with another head, as a 304 or an answer to HEAD makes it (RFC 9111
    /// sections 4.3.4 and 4.3.5). A small body is copied, a long one is shared, and so are siblings.
    pub(crate) fn with_head(&self, head: PackedHead, meta: Meta) -> Option<Self> {
        let made = match &self.long {
            Some(long) => self.remade(head, meta, Body::Long(Arc::clone(long))),
            None => self.remade(head, meta, Body::Small(self.small())),
        }?;
        if let Some(siblings) = self.kinship.shared() {
            made.kinship.share(siblings);
        }
        Some(made)
    }

    fn remade(&self, head: PackedHead, meta: Meta, body: Body<'_>) -> Option<Self> {
        let parts = Parts { selector: self.selector(), tags: &[], head, meta };
        let made = Self::build(self.key(), self.hash, parts, self.packed_tags(), body)?;
        made.hits.store(self.hits.load(Ordering::Relaxed), Ordering::Relaxed);
        made.set_uses(self.uses());
        Some(made)
    }

    fn bounds(&self) -> [usize; 3] {
        let key = self.key_len as usize;
        let selector = key + self.selector_len as usize;
        let tags = selector + usize::from(self.tags_len);
        [key, selector, tags]
    }

    /// The bytes of its URL's key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.blob[..self.bounds()[0]]
    }

    /// What tells it from the other variants of its URL.
    #[must_use]
    pub fn selector(&self) -> &[u8] {
        let [key, selector, ..] = self.bounds();
        &self.blob[key..selector]
    }

    fn packed_tags(&self) -> &[u8] {
        let [_, selector, tags] = self.bounds();
        &self.blob[selector..tags]
    }

    /// What purges by tag know it by.
    pub fn tags(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.packed_tags();
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk::<2>()?;
            let (tag, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            rest = behind;
            Some(tag)
        })
    }

    /// Bytes that the index needs to find it by its tags: at worst no other object has any of them.
    pub(crate) fn tags_cost(&self) -> u64 {
        self.tags().map(|tag| tag.len() as u64 + TAG_OVERHEAD).sum()
    }

    /// Its head.
    #[must_use]
    pub const fn head(&self) -> &PackedHead {
        &self.head
    }

    fn small_range(&self) -> Range<usize> {
        self.bounds()[2]..self.blob.len()
    }

    pub(crate) fn small(&self) -> &[u8] {
        &self.blob[self.small_range()]
    }

    pub(crate) fn long(&self) -> Option<&Arc<Long>> {
        self.long.as_ref()
    }

    /// The whole body, if it lies here in one piece; shared, not copied.
    #[must_use]
    pub fn whole(self: &Arc<Self>) -> Option<Bytes> {
        self.long.is_none().then(|| Bytes::from_owner(SmallBody(Arc::clone(self))))
    }

    /// The body from `range.start` to `range.end` or to its end, whatever comes first: at once if
    /// it is here, as it comes if it is still filled. `None` if these bytes are not in memory: the
    /// object has been given up for its size while it was filled, or is on disk only.
    #[must_use]
    pub fn read(self: &Arc<Self>, range: Range<u64>) -> Option<ObjectReader> {
        ObjectReader::new(self, range)
    }

    /// Length of the body, bytes; `None` while it is filled and nothing declared it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self.long.as_deref() {
            None => Some(self.small().len() as u64),
            Some(Long::Pieces(pieces)) => Some(pieces.len()),
            Some(Long::Filling { declared, .. }) => *declared,
            Some(Long::Disk { large, .. }) => Some(large.length()),
            Some(Long::Elsewhere(length)) => Some(*length),
        }
    }

    /// Where its siblings are.
    pub(crate) const fn kinship(&self) -> &Kinship {
        &self.kinship
    }

    /// The body as the disk takes it, which shares its bytes.
    pub(crate) fn pieces(self: &Arc<Self>) -> Vec<Bytes> {
        match self.long.as_deref() {
            None if self.small().is_empty() => Vec::new(),
            None => vec![Bytes::from_owner(SmallBody(Arc::clone(self)))],
            Some(Long::Pieces(pieces)) => pieces.iter().cloned().collect(),
            Some(_) => Vec::new(),
        }
    }

    /// Whether all of the body is in memory.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.long.as_deref(), None | Some(Long::Pieces(_)))
    }

    /// Whether it is only what the index keeps of an object on disk.
    pub(crate) fn is_stub(&self) -> bool {
        matches!(self.long.as_deref(), Some(Long::Elsewhere(_)))
    }

    /// Whether its body is read from disk by parts.
    pub(crate) fn is_large(&self) -> bool {
        matches!(self.long.as_deref(), Some(Long::Disk { .. }))
    }

    /// Whether the body is still coming.
    #[must_use]
    pub fn is_filling(&self) -> bool {
        matches!(self.long.as_deref(), Some(Long::Filling { .. }))
    }

    /// Whether its body ended before its end.
    pub(crate) fn is_cut(&self) -> bool {
        match self.long.as_deref() {
            Some(Long::Filling { fill, .. }) => fill.end() == End::Cut,
            _ => false,
        }
    }

    /// What its freshness is made of; stale if it was purged softly.
    #[must_use]
    pub fn meta(&self) -> Meta {
        let mut meta = self.meta;
        if self.is_purged() {
            meta.make_stale();
        }
        meta
    }

    /// Whether a soft purge has made it stale.
    #[must_use]
    pub fn is_purged(&self) -> bool {
        self.marks.load(Ordering::Acquire) & STALE != 0
    }

    /// Its origin has said that it does not hold any more: it is validated before it is used again (RFC
    /// 9111 section 4.3.5).
    pub fn outdate(&self) {
        self.make_stale();
    }

    pub(crate) fn make_stale(&self) {
        self.marks.fetch_or(STALE, Ordering::Release);
    }

    /// How often it was found since it was stored.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Hash of its URL's key: other keys may have the same.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    /// Counts a use. Two cores may lose one between them; nothing depends on the exact number.
    pub(crate) fn touch(&self) {
        self.hits.store(self.hits().saturating_add(1), Ordering::Relaxed);
        let uses = self.uses();
        if uses < USES_MAX {
            self.set_uses(uses + 1);
        }
    }

    pub(crate) fn uses(&self) -> u8 {
        self.uses.load(Ordering::Relaxed)
    }

    pub(crate) fn set_uses(&self, uses: u8) {
        self.uses.store(uses, Ordering::Relaxed);
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot::from_number(self.slot.load(Ordering::Relaxed))
    }

    pub(crate) fn set_slot(&self, slot: Slot) {
        self.slot.store(slot.number(), Ordering::Relaxed);
    }

    /// Whether it is out of the index.
    pub(crate) fn is_gone(&self) -> bool {
        self.marks.load(Ordering::Acquire) & GONE != 0
    }

    pub(crate) fn come(&self) {
        self.marks.fetch_and(!GONE, Ordering::AcqRel);
    }

    pub(crate) fn go(&self) {
        self.marks.fetch_or(GONE, Ordering::AcqRel);
    }

    /// Bytes that it holds, without what the index needs for it.
    pub(crate) fn size(&self) -> u64 {
        let pieces = match self.long.as_deref() {
            Some(Long::Pieces(pieces)) => pieces.size(),
            _ => 0,
        };
        (self.blob.len() + self.head.size()) as u64 + pieces
    }

    /// Bytes of its body that are on disk only.
    pub(crate) fn bytes_elsewhere(&self) -> u64 {
        if self.is_stub() { self.length().unwrap_or(0) } else { 0 }
    }

    /// The right to refresh it in the background, which one at a time has.
    #[must_use]
    pub fn refresh(self: &Arc<Self>) -> Option<Refresh> {
        let before = self.marks.fetch_or(REFRESHING, Ordering::AcqRel);
        (before & REFRESHING == 0).then(|| Refresh { object: Arc::clone(self) })
    }
}

/// The right to refresh an object. It ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Refresh {
    object: Arc<Object>,
}

impl Refresh {
    /// The object that is to be refreshed.
    #[must_use]
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.object.marks.fetch_and(!REFRESHING, Ordering::AcqRel);
    }
}

fn packed_tags(tags: &[&[u8]]) -> Vec<u8> {
    let mut packed = Vec::new();
    let fits = tags.iter().filter(|tag| !tag.is_empty() && tag.len() <= TAG_LEN_MAX);
    for tag in fits.take(TAGS_MAX) {
        #[expect(clippy::cast_possible_truncation, reason = "at most TAG_LEN_MAX")]
        packed.extend_from_slice(&(tag.len() as u16).to_le_bytes());
        packed.extend_from_slice(tag);
    }
    packed
}
