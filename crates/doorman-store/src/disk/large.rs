//! A large object: a file of its own, written from front to end and read by pieces.
//!
//! Header and head block, then the body, then a checksum for each block of it, then a trailer that
//! makes the file an object. Without the trailer it is nothing, so there is no name to change and no
//! order of writes to keep. What is read is read by blocks and checked before it is handed out, so
//! a range costs what the range is long.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::directory::{LARGE, Name};
use super::format::{
    BLOCK, Checks, Cut, Facts, HEADER, Header, Kind, Secret, VERSION, blocks, is_whole,
};
use super::read::{Loaded, ReadError, Reading, Tried};
use super::{Disk, Location};

/// Bytes that one read hands out at most: enough for a disk to be busy, little enough to wait in
/// memory for a slow client.
pub const PART: u64 = 256 * 1024;
/// Bytes of a trailer.
const TRAILER: usize = 40;
const MAGIC: u32 = u32::from_le_bytes(*b"DMlt");
/// What is read first: header and head of most.
const FRONT: usize = 8 * 1024;

/// A large object that is open: it can be read to its end even if it goes meanwhile.
#[derive(Clone, Debug)]
pub struct Large {
    file: Arc<File>,
    id: u64,
    /// Where the body begins.
    start: u64,
    length: u64,
    /// Four bytes a block.
    checks: Bytes,
}

/// How bytes of a file are read: all of them, or an error.
pub(super) type ReadAt<'a> = &'a dyn Fn(&File, &mut [u8], u64) -> io::Result<()>;

/// What a file begins with.
pub(super) struct Front {
    pub(super) header: Header,
    /// The head block.
    pub(super) block: Bytes,
}

impl Front {
    /// Header and head block; none if they are not what was written.
    pub(super) fn read(
        file: &File,
        id: u64,
        secret: Secret,
        read: ReadAt<'_>,
    ) -> io::Result<Option<Self>> {
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut front = vec![0; size.min(FRONT)];
        read(file, &mut front, 0)?;
        let Some(header) = Header::decode(&front, secret, id, 0) else { return Ok(None) };
        let until = HEADER + header.head as usize;
        if header.kind != Kind::Object || until > size {
            return Ok(None);
        }
        if until > front.len() {
            front.resize(until, 0);
            read(file, &mut front, 0)?;
        }
        let block = Bytes::from(front).slice(HEADER..until);
        let is_good =
            crc32fast::hash(&block) == header.head_crc && Facts::decode(&mut Cut(&block)).is_some();
        Ok(is_good.then_some(Self { header, block }))
    }

    /// Where the body begins.
    pub(super) fn end(&self) -> u64 {
        (HEADER + self.block.len()) as u64
    }
}

/// What makes a file an object.
pub(super) struct Trailer {
    /// Bytes of the body.
    pub(super) body: u64,
    /// Over the checksums of its blocks.
    pub(super) crc: u32,
}

impl Trailer {
    pub(super) fn encode(&self, id: u64, secret: Secret) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER);
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(secret.0[0].to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes.extend(self.body.to_le_bytes());
        bytes.extend(self.crc.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], id: u64, secret: Secret) -> Option<Self> {
        let (front, crc) = bytes.split_at_checked(TRAILER - 4)?;
        if crc32fast::hash(front).to_le_bytes() != *crc {
            return None;
        }
        let mut cut = Cut(front);
        let is_ours = cut.u32()? == MAGIC && cut.u16()? == VERSION;
        cut.take(2)?;
        let is_ours = is_ours && cut.u64()? == secret.0[0] && cut.u64()? == id;
        let trailer = Self { body: cut.u64()?, crc: cut.u32()? };
        is_ours.then_some(trailer)
    }

    /// The trailer of a file whose body begins at `start`; none if the file is not complete.
    pub(super) fn read(
        file: &File,
        id: u64,
        secret: Secret,
        start: u64,
        read: ReadAt<'_>,
    ) -> io::Result<Option<Self>> {
        let size = file.metadata()?.len();
        let Some(at) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut bytes = [0; TRAILER];
        read(file, &mut bytes, at)?;
        let fits = |it: &Self| {
            let checks = blocks(it.body).saturating_mul(4);
            start.checked_add(it.body).and_then(|end| end.checked_add(checks)) == Some(at)
        };
        Ok(Self::decode(&bytes, id, secret).filter(fits))
    }
}

impl Large {
    /// Opens the object of a file, if every part of it but the body is what was written.
    pub(super) fn open(
        file: Arc<File>,
        location: Location,
        secret: Secret,
        key: &[u8],
        read: ReadAt<'_>,
    ) -> io::Result<Option<Loaded>> {
        let id = location.file;
        let Some(front) = Front::read(&file, id, secret, read)? else { return Ok(None) };
        let start = front.end();
        let Some(trailer) = Trailer::read(&file, id, secret, start, read)? else {
            return Ok(None);
        };
        let checks_at = start + trailer.body;
        let Ok(count) = usize::try_from(blocks(trailer.body) * 4) else { return Ok(None) };
        let mut checks = vec![0; count];
        read(&file, &mut checks, checks_at)?;
        if crc32fast::hash(&checks) != trailer.crc {
            return Ok(None);
        }
        let large = Self { file, id, start, length: trailer.body, checks: checks.into() };
        Ok(Loaded::large(front.header, front.block, large, key))
    }

    /// Bytes of the body.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the body from `at` to the end of the part it lies in; empty at the end of the body,
    /// none if they are damaged.
    fn part(&self, at: u64, read: ReadAt<'_>) -> io::Result<Option<Bytes>> {
        let end = (at / PART + 1).saturating_mul(PART).min(self.length);
        if at >= end {
            return Ok(Some(Bytes::new()));
        }
        let block = BLOCK as u64;
        let first = at / block;
        let from = first * block;
        let length = usize::try_from(end - from).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        read(&self.file, &mut bytes, self.start + from)?;
        let first = usize::try_from(first).map_err(io::Error::other)?;
        let checks = self.checks.get(first * 4..(first + length.div_ceil(BLOCK)) * 4);
        let is_good = checks.is_some_and(|checks| is_whole(&bytes, checks));
        let skip = usize::try_from(at - from).map_err(io::Error::other)?;
        Ok(is_good.then(|| Bytes::from(bytes).slice(skip..)))
    }
}

impl Disk {
    /// A piece of a large body from byte `at` on, at most [`PART`] long, if it is in memory.
    /// Empty at the end of the body. Never waits for a disk.
    #[must_use]
    pub fn try_part(&self, large: &Large, at: u64) -> Tried<Bytes> {
        self.tried(large.part(at, &super::read::at_once), large.id)
    }

    /// Has a reader read a piece of a large body; see [`Disk::try_part`].
    pub fn part(&self, large: &Large, at: u64) -> Reading<Bytes> {
        self.want_part(large.clone(), at)
    }

    /// Reads a piece and waits for the disk.
    pub(super) fn part_now(&self, large: &Large, at: u64) -> Result<Bytes, ReadError> {
        self.waited(large.part(at, &super::read::in_earnest), large.id)
    }
}

/// Whether a place is that of a large file.
pub(super) const fn is_large(location: Location) -> bool {
    location.file & LARGE != 0
}

/// The place of a large file.
pub(super) const fn place_of(id: u64) -> Location {
    Location { file: Name::Large(id).file(), offset: 0, length: 0 }
}

/// Checksums of a body and what they sum up to.
pub(super) fn close(checks: Checks) -> (Vec<u8>, u32) {
    let checks = checks.finish();
    let crc = crc32fast::hash(&checks);
    (checks, crc)
}
