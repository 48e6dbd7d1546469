//! The bytes of a record: written once, checked in every part before any of it is believed.
//!
//! A record is a header, a head block, the checksums of the body's blocks, and the body. The header
//! names the store (by a secret that nobody outside can know), the file and the place in it: what
//! lies elsewhere than where it was written is no record, and neither is a piece of a stored body
//! that was made to look like one. All numbers are little-endian.

use doorman_http::mix;

/// Of everything in the directory. Another version is not read.
pub(super) const VERSION: u16 = 1;
/// Bytes of a header.
pub(super) const HEADER: usize = 96;
/// Bytes of a body that one checksum covers.
pub(super) const BLOCK: usize = 64 * 1024;
/// Bytes of a head block, 512 KiB: a head is bounded far below that, and so are keys and tags. A
/// length above it is damage, and no memory is taken for it.
pub(super) const HEAD_MAX: usize = 512 * 1024;
/// Bytes of one mark.
pub(super) const MARK: usize = 32;
/// Marks in one record.
pub(super) const MARKS_MAX: usize = HEAD_MAX / MARK;

/// What every header begins with.
pub(super) const MAGIC: [u8; 4] = *b"DMrc";
const STALE: u8 = 1;

/// Reads numbers and pieces from the front of bytes; nothing is there behind the end.
pub(super) struct Cut<'a>(pub(super) &'a [u8]);

impl<'a> Cut<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}

/// What this store is called in its files, and what its hashes are seeded with: 128 random bits
/// that no response can contain but by a leak of the disk itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub(super) [u64; 2]);

impl Secret {
    /// Which variant these bytes name: the same after a restart, and not to be made to collide
    /// from outside.
    pub(super) fn variant(self, parts: [&[u8]; 3]) -> Variant {
        let lane = |seed: u64| {
            let mut state = mix(seed);
            for part in parts {
                state = mix(state ^ part.len() as u64);
                for chunk in part.chunks(8) {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    state = mix(state ^ u64::from_le_bytes(word));
                }
            }
            state
        };
        Variant(u128::from(lane(self.0[0])) << 64 | u128::from(lane(self.0[1])))
    }
}

/// One stored response among all: made from URL key, selector and Vary by [`super::Disk::variant`].
///
/// Two that collide by chance would forget each other; content is never mixed up by it, since keys
/// are compared whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant(pub(super) u128);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    /// A list of [`Mark`]s.
    Marks,
}

/// The start of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// It must be validated before use, whatever its freshness says.
    pub(super) stale: bool,
    /// The file it was written to.
    pub(super) file: u64,
    /// Where in the file it starts.
    pub(super) offset: u32,
    /// Bytes of the head block.
    pub(super) head: u32,
    /// Bytes of the body; zero in a large file, whose trailer knows it.
    pub(super) body: u64,
    /// The order in which the store was told.
    pub(super) sequence: u64,
    /// The index's own hash of the URL key.
    pub(super) hash: u128,
    pub(super) variant: Variant,
    /// Over head block and checksums of the body's blocks.
    pub(super) head_crc: u32,
}

impl Header {
    pub(super) fn encode(&self, secret: Secret) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.push(match self.kind {
            Kind::Object => 1,
            Kind::Marks => 2,
        });
        bytes.push(if self.stale { STALE } else { 0 });
        bytes.extend(secret.0[0].to_le_bytes());
        bytes.extend(self.file.to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.head.to_le_bytes());
        bytes.extend(self.body.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.hash.to_le_bytes());
        bytes.extend(self.variant.0.to_le_bytes());
        bytes.extend(self.head_crc.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    /// The header at the start of `bytes`, if it was written there by this store.
    pub(super) fn decode(bytes: &[u8], secret: Secret, file: u64, offset: u64) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        let (body, crc) = bytes.split_at_checked(HEADER - 4)?;
        if crc32fast::hash(body).to_le_bytes() != *crc {
            return None;
        }
        let mut cut = Cut(body);
        let is_ours = cut.take(4)? == MAGIC && cut.u16()? == VERSION;
        let kind = match cut.u8()? {
            1 => Kind::Object,
            2 => Kind::Marks,
            _ => return None,
        };
        let stale = cut.u8()? & STALE != 0;
        let is_ours = is_ours && cut.u64()? == secret.0[0];
        let header = Self {
            kind,
            stale,
            file: cut.u64()?,
            offset: cut.u32()?,
            head: cut.u32()?,
            body: cut.u64()?,
            sequence: cut.u64()?,
            hash: cut.u128()?,
            variant: Variant(cut.u128()?),
            head_crc: cut.u32()?,
        };
        let is_here = header.file == file && u64::from(header.offset) == offset;
        (is_ours && is_here && header.head as usize <= HEAD_MAX).then_some(header)
    }

    /// Bytes of the checksums of the body's blocks.
    pub(super) fn checks(&self) -> u64 {
        blocks(self.body).saturating_mul(4)
    }

    /// Bytes of the record as a whole.
    pub(super) fn record(&self) -> u64 {
        (HEADER as u64 + u64::from(self.head))
            .saturating_add(self.checks())
            .saturating_add(self.body)
    }
}

/// Blocks of a body.
pub(super) const fn blocks(body: u64) -> u64 {
    body.div_ceil(BLOCK as u64)
}

/// Checksums of a body's blocks, from pieces of any length.
#[derive(Default)]
pub(super) struct Checks {
    done: Vec<u8>,
    open: crc32fast::Hasher,
    /// Bytes in the open block.
    filled: usize,
}

impl Checks {
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.open.update(now);
            self.filled += now.len();
            bytes = rest;
            if self.filled == BLOCK {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let block = std::mem::take(&mut self.open);
        self.done.extend(block.finalize().to_le_bytes());
        self.filled = 0;
    }

    /// Four bytes a block.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close();
        }
        self.done
    }
}

/// Whether every block of `body` has its checksum in `checks`.
pub(super) fn is_whole(body: &[u8], checks: &[u8]) -> bool {
    let same = |(block, check): (&[u8], &[u8])| crc32fast::hash(block).to_le_bytes() == *check;
    body.len().div_ceil(BLOCK) * 4 == checks.len()
        && body.chunks(BLOCK).zip(checks.chunks(4)).all(same)
}

/// What an index must know of an object without reading it: the front of a head block, and its
/// entry in a segment's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    pub(super) meta: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) selector: &'a [u8],
    pub(super) vary: &'a [u8],
    pub(super) tags: Tags<'a>,
}

/// Purge tags of an object, in the order in which they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut cut = Cut(self.0);
        let length = cut.u16()?;
        let tag = cut.take(length.into());
        self.0 = cut.0;
        tag
    }
}

/// The front of a head block; none if a part is too long for its length field.
pub(super) fn encode_facts(entry: &super::Entry<'_>) -> Option<Vec<u8>> {
    let mut tags = Vec::new();
    for tag in entry.tags {
        tags.extend(u16::try_from(tag.len()).ok()?.to_le_bytes());
        tags.extend_from_slice(tag);
    }
    let parts = [entry.meta, entry.key, entry.selector, entry.vary, &tags];
    let mut facts = Vec::with_capacity(20 + parts.iter().map(|part| part.len()).sum::<usize>());
    for part in parts {
        facts.extend(u32::try_from(part.len()).ok()?.to_le_bytes());
    }
    for part in parts {
        facts.extend_from_slice(part);
    }
    Some(facts)
}

impl<'a> Facts<'a> {
    /// Bytes they take.
    pub(super) const fn size(&self) -> usize {
        let parts = self.meta.len() + self.key.len() + self.selector.len() + self.vary.len();
        20 + parts + self.tags.0.len()
    }

    /// The facts at the front of `bytes`, which go on behind them.
    pub(super) fn decode(cut: &mut Cut<'a>) -> Option<Self> {
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = cut.u32()? as usize;
        }
        let [meta, key, selector, vary, tags] = lengths;
        Some(Self {
            meta: cut.take(meta)?,
            key: cut.take(key)?,
            selector: cut.take(selector)?,
            vary: cut.take(vary)?,
            tags: Tags(cut.take(tags)?),
        })
    }
}

/// How something is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forget {
    /// It never comes back.
    Hard,
    /// It comes back stale: to be validated before use.
    Stale,
}

/// Everything of a variant that the store was told up to a sequence number is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) variant: Variant,
    pub(super) sequence: u64,
    pub(super) how: Forget,
}

impl Mark {
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        into.extend(self.variant.0.to_le_bytes());
        into.extend(self.sequence.to_le_bytes());
        let how: u64 = match self.how {
            Forget::Hard => 1,
            Forget::Stale => 2,
        };
        into.extend(how.to_le_bytes());
    }

    pub(super) fn decode(cut: &mut Cut<'_>) -> Option<Self> {
        let variant = Variant(cut.u128()?);
        let sequence = cut.u64()?;
        // What cannot be told is forgotten for good: that is never wrong.
        let how = if cut.u64()? == 2 { Forget::Stale } else { Forget::Hard };
        Some(Self { variant, sequence, how })
    }
}
