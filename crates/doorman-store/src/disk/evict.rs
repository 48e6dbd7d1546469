//! Making room: the oldest segment goes as a whole, and what is in use moves to the newest.
//!
//! What moves keeps its sequence number, so that a mark for it still outranks it wherever it lies.
//! A segment is removed only after its survivors are written, and never a newer one before it: the
//! marks in a segment speak of older ones.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use doorman_http::Now;

use super::directory::Name;
use super::format::{HEADER, Header, Variant};
use super::read::Loaded;
use super::segment::{self, Entry};
use super::writer::{Unwritten, Writer};
use super::{Keep, Location, Owner, health};

/// An object that its owner wants to stay.
struct Survivor {
    location: Location,
    hash: u128,
    variant: Variant,
    stale: bool,
    /// Bytes of its facts, which go into a table again.
    facts: usize,
    key: Box<[u8]>,
}

impl Writer {
    /// Makes room for the segment in work, which is new.
    pub(super) fn fit(&mut self, owner: &dyn Owner) -> Result<(), Unwritten> {
        let segment = self.disk.layout.segment;
        // What stays may take half of the new segment at most, so that each round frees space. As
        // much is kept free for the moment in which it is there twice.
        let mut again = segment / 2;
        while self.used + segment + segment / 2 > self.limit() {
            let before = self.end();
            if !self.evict_one(owner, again)? {
                break;
            }
            again = again.saturating_sub(self.end().saturating_sub(before));
        }
        Ok(())
    }

    /// Makes room if the store has become smaller.
    pub(super) fn shrink(&mut self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        while self.used + self.end() > self.limit() && !self.disk.health.is_paused() {
            match self.evict_one(owner, 0) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => self.pause(why, clock),
            }
        }
    }

    fn end(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.end)
    }

    /// Removes the oldest segment; at most `again` bytes of it are kept. False if there is none.
    pub(super) fn evict_one(&mut self, owner: &dyn Owner, again: u64) -> Result<bool, Unwritten> {
        let Some(oldest) = self.segments.front() else { return Ok(false) };
        let (id, size) = (oldest.id, oldest.size);
        let survivors = self.ask(id, owner);
        let mut left = again;
        for survivor in survivors {
            let length = u64::from(survivor.location.length);
            let to = if length <= left { self.again(&survivor) } else { None };
            left = if to.is_some() { left - length } else { left };
            let count = &self.disk.counts;
            if to.is_some() {
                health::add(&count.kept, 1);
            } else {
                health::add(&count.evictions, 1);
                health::subtract(&count.objects, 1);
            }
            owner.moved(survivor.hash, survivor.variant, survivor.location, to);
        }
        let disk = &self.disk;
        disk.device
            .remove(&disk.directory, Name::Segment(id))
            .map_err(|error| Unwritten::Failed("removing a segment", error))?;
        disk.files.remove(id);
        health::subtract(&disk.counts.bytes, size);
        self.segments.pop_front();
        self.used = self.used.saturating_sub(size);
        Ok(true)
    }

    /// Tells the owner of each object of a segment that it goes; returns those that shall stay.
    fn ask(&self, id: u64, owner: &dyn Owner) -> Vec<Survivor> {
        let disk = &self.disk;
        // What cannot be read cannot be told either: whoever looks for it finds it gone.
        let Ok(file) = disk.open_file(id) else { return Vec::new() };
        let Ok(found) = segment::find(&file, id, disk.directory.secret) else { return Vec::new() };
        let mut survivors = Vec::new();
        for entry in found.table.entries() {
            let Entry::Object(row) = entry else { continue };
            let location = Location { file: id, offset: row.offset, length: row.length };
            match owner.evicted(row.hash, row.variant, location) {
                Keep::Unknown => {}
                Keep::Drop => {
                    health::add(&disk.counts.evictions, 1);
                    health::subtract(&disk.counts.objects, 1);
                }
                Keep::Again { stale } => survivors.push(Survivor {
                    location,
                    hash: row.hash,
                    variant: row.variant,
                    stale,
                    facts: row.facts.size(),
                    key: row.facts.key.into(),
                }),
            }
        }
        survivors
    }

    /// Appends a record once more, if it is whole and there is room for it in the segment in work.
    fn again(&mut self, survivor: &Survivor) -> Option<Location> {
        let disk = Arc::clone(&self.disk);
        let location = survivor.location;
        let mut record = vec![0; location.length as usize];
        let file = disk.open_file(location.file).ok()?;
        file.read_exact_at(&mut record, location.offset.into()).ok()?;
        let record = Bytes::from(record);
        let secret = disk.directory.secret;
        Loaded::check(&record, secret, location, &survivor.key)?;
        let header = Header::decode(&record, secret, location.file, location.offset.into())?;
        let active = self.active.as_ref()?;
        let size = u64::from(location.length) + survivor.facts as u64 + HEADER as u64;
        if active.end + active.table.size() + size > disk.layout.segment {
            return None;
        }
        let head_end = HEADER + header.head as usize;
        let checks_end = head_end + usize::try_from(header.checks()).ok()?;
        let header = Header { stale: header.stale || survivor.stale, ..header };
        let head = &record[HEADER..head_end];
        let checks = &record[head_end..checks_end];
        let (header, to) = self.append(header, head, checks, &[&record[checks_end..]]).ok()?;
        let active = self.active.as_mut()?;
        active.table.object(&header, to.length, &head[..survivor.facts]);
        Some(to)
    }

    /// Removes everything, the oldest first: a mark goes only after all that it speaks of.
    pub(super) fn remove_all(&mut self, owner: &dyn Owner) -> Result<(), Unwritten> {
        if self.active.as_ref().is_some_and(|active| active.end > 0) {
            self.abandon();
        }
        while self.evict_one(owner, 0)? {}
        Ok(())
    }
}
