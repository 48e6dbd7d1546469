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
use super::stream::Kept;
use super::writer::{Unwritten, Writer};
use super::{Keep, Location, Owner, health, large};

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

/// How much of what goes may stay: each round must free space.
pub(super) struct Spare {
    /// Of records that are appended again.
    bytes: u64,
    /// Large files that get a new place in the order.
    files: u32,
}

impl Spare {
    pub(super) const fn none() -> Self {
        Self { bytes: 0, files: 0 }
    }
}

/// Large files that stay in one round.
const FILES: u32 = 16;

impl Writer {
    /// Makes room for a segment in work and `more` bytes. False if there is not enough.
    pub(super) fn fit(&mut self, more: u64, owner: &dyn Owner) -> Result<bool, Unwritten> {
        let segment = self.disk.layout.segment;
        // What stays may take half of a segment, and for a moment it is there twice.
        let mut spare = Spare { bytes: segment / 2, files: FILES };
        let wanted = segment.saturating_add(segment / 2).saturating_add(more);
        while self.used.saturating_add(wanted) > self.limit() {
            if !self.evict_one(owner, &mut spare)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes room if the store has become smaller.
    pub(super) fn shrink(&mut self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let end = |writer: &Self| writer.active.as_ref().map_or(0, |active| active.end);
        while self.resume.is_none() && self.used + end(self) > self.limit() {
            match self.evict_one(owner, &mut Spare::none()) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => self.pause(why, clock),
            }
        }
    }

    /// Takes the oldest away. False if there is nothing.
    pub(super) fn evict_one(
        &mut self,
        owner: &dyn Owner,
        spare: &mut Spare,
    ) -> Result<bool, Unwritten> {
        let segment = self.segments.front().map(|segment| (segment.id, segment.size));
        match (segment, self.shelf.oldest()) {
            (Some((id, size)), large) if large.is_none_or(|(order, _)| id < order) => {
                self.evict_segment(id, size, owner, spare).map(|()| true)
            }
            (_, Some((_, kept))) => self.evict_large(kept, owner, spare).map(|()| true),
            (_, None) => Ok(false),
        }
    }

    fn evict_large(
        &mut self,
        kept: Kept,
        owner: &dyn Owner,
        spare: &mut Spare,
    ) -> Result<(), Unwritten> {
        let location = large::place_of(kept.id);
        let keep = owner.evicted(kept.hash, kept.variant, location);
        if let Keep::Again { stale } = keep {
            let is_marked = !stale || self.soften_large(kept.id).is_ok();
            if spare.files > 0 && is_marked {
                spare.files -= 1;
                self.shelf.take(kept.variant);
                self.shelf.add(self.next_file, kept);
                self.next_file += 1;
                health::add(&self.disk.counts.kept, 1);
                owner.moved(kept.hash, kept.variant, location, Some(location));
                return Ok(());
            }
            owner.moved(kept.hash, kept.variant, location, None);
        }
        if keep != Keep::Unknown {
            health::add(&self.disk.counts.evictions, 1);
        }
        self.remove_large(kept)?;
        self.shelf.take(kept.variant);
        health::subtract(&self.disk.counts.objects, 1);
        Ok(())
    }

    /// Removes a segment, which is the oldest.
    fn evict_segment(
        &mut self,
        id: u64,
        size: u64,
        owner: &dyn Owner,
        spare: &mut Spare,
    ) -> Result<(), Unwritten> {
        for survivor in self.ask(id, owner) {
            let length = u64::from(survivor.location.length);
            let to = if length <= spare.bytes { self.again(&survivor) } else { None };
            if to.is_some() {
                spare.bytes -= length;
                self.bear();
                health::add(&self.disk.counts.kept, 1);
            } else {
                health::add(&self.disk.counts.evictions, 1);
            }
            owner.moved(survivor.hash, survivor.variant, survivor.location, to);
        }
        let disk = &self.disk;
        disk.device
            .remove(&disk.directory, Name::Segment(id))
            .map_err(|error| Unwritten::Failed("removing a segment", error))?;
        disk.files.remove(id);
        health::subtract(&disk.counts.bytes, size);
        let live = self.segments.pop_front().map_or(0, |segment| segment.live);
        health::subtract(&disk.counts.objects, live);
        self.used = self.used.saturating_sub(size);
        Ok(())
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
    pub(super) fn remove_all(
        &mut self,
        owner: &dyn Owner,
        clock: &dyn Fn() -> Now,
    ) -> Result<(), Unwritten> {
        for sequence in self.streams.keys().copied().collect::<Vec<_>>() {
            self.abort(sequence, owner, clock);
        }
        if self.active.as_ref().is_some_and(|active| active.end > 0) {
            self.abandon();
        }
        while self.evict_one(owner, &mut Spare::none())? {}
        Ok(())
    }
}
