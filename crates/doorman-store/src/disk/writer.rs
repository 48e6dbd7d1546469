//! The writer: the one thread that changes the disk.
//!
//! ```text
//! writes --- an error ---> paused, 30 seconds ---> writes
//! ```
//! While it is paused objects are refused and marks are kept, so that nothing that was forgotten is
//! believed to be safely so before it is.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorman_http::{Instant, Now};

use super::device::write_all;
use super::directory::{Name, is_taken};
use super::evict::Spare;
use super::format::{Checks, HEADER, Header, Kind, MARKS_MAX, Mark, Variant};
use super::queue::{Job, Next, Put};
use super::recover::Start;
use super::segment::{TRAILER, Table};
use super::stream::{Kept, Open, Shelf};
use super::{Disk, Forget, Location, Owner, health};

/// Seconds for which nothing is written after an error: long enough for an operator's disk to be
/// spared, short enough to notice when there is room again.
pub(super) const PAUSE: u64 = 30;
/// Marks that are kept while they cannot be written, about 50 MB; then all is forgotten instead.
const KEPT_MAX: usize = 1 << 20;

/// Names that are tried: more that are taken have not come there by chance, and writing pauses.
const NAMES_MAX: u32 = 64;

/// A segment that is full.
pub(super) struct Sealed {
    pub(super) id: u64,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Objects in it that are not known to be dead.
    pub(super) live: u64,
}

/// The segment that is written.
pub(super) struct Active {
    pub(super) id: u64,
    pub(super) file: Arc<File>,
    /// Where the next record goes.
    pub(super) end: u64,
    pub(super) table: Table,
    /// Objects in it that are not known to be dead.
    pub(super) live: u64,
}

/// Why something was not written.
pub(super) enum Unwritten {
    /// It does not fit, and never will.
    TooLarge,
    /// Nothing is written for now, or the object was given up.
    Paused,
    /// The system failed; with what was tried.
    Failed(&'static str, io::Error),
}

/// See the module.
pub(super) struct Writer {
    pub(super) disk: Arc<Disk>,
    /// From the oldest to the newest.
    pub(super) segments: VecDeque<Sealed>,
    pub(super) active: Option<Active>,
    pub(super) next_file: u64,
    /// Large objects on disk.
    pub(super) shelf: Shelf,
    /// Large objects that are being written, by their sequence numbers.
    pub(super) streams: HashMap<u64, Open>,
    /// Large files to be removed.
    pub(super) doomed: Vec<Kept>,
    /// Large files to be marked stale.
    pub(super) soften: Vec<u64>,
    /// Bytes of sealed segments and of large files.
    pub(super) used: u64,
    /// Marks that are not on disk yet.
    pub(super) marks: Vec<Mark>,
    /// All is to be forgotten, up to this number.
    forget_all: Option<u64>,
    /// When to write again.
    pub(super) resume: Option<Instant>,
}

impl Writer {
    pub(super) fn new(disk: Arc<Disk>, start: Start) -> Self {
        let segments: u64 = start.segments.iter().map(|segment| segment.size).sum();
        if let Some(active) = &start.active {
            disk.files.add(active.id, Arc::clone(&active.file));
        }
        Self {
            disk,
            segments: start.segments,
            active: start.active,
            next_file: start.next_file,
            used: segments + start.shelf.bytes(),
            shelf: start.shelf,
            streams: HashMap::new(),
            doomed: Vec::new(),
            soften: Vec::new(),
            marks: Vec::new(),
            forget_all: None,
            resume: None,
        }
    }

    /// Works until the store is closed, and leaves it so that it opens quickly.
    pub(super) fn run(&mut self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        loop {
            let wait =
                self.resume.map(|at| at.since(clock().instant).max(Duration::from_millis(1)));
            let disk = Arc::clone(&self.disk);
            match disk.queue.next(wait) {
                Next::Jobs(jobs) => self.work(jobs, owner, clock),
                Next::Nothing => self.work(VecDeque::new(), owner, clock),
                Next::Closed => break,
            }
        }
        // What was not finished is nothing; what cannot be removed now is at the next start.
        self.streams.drain().for_each(|(_, open)| drop(self.disk.directory.remove(open.name())));
        if self.resume.is_none() {
            // What cannot be sealed is read record by record.
            let _ = self.seal();
        }
    }

    /// Does what waits, and returns.
    #[cfg(test)]
    pub(super) fn drain(&mut self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let jobs = self.disk.queue.take();
        self.work(jobs, owner, clock);
    }

    fn work(&mut self, jobs: VecDeque<Job>, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        if self.resume.is_some_and(|at| clock().instant >= at) {
            self.resume = None;
            self.disk.health.resume();
            self.write_marks(owner, clock);
        }
        for job in jobs {
            let weight = job.weight();
            match job {
                Job::Forget(mark, location) => {
                    self.mark_large(&mark, owner, clock);
                    self.forget(mark, location);
                }
                Job::ForgetAll(sequence) => {
                    self.marks.clear();
                    self.forget_all = Some(sequence);
                }
                other => {
                    self.write_marks(owner, clock);
                    self.write(other, owner, clock);
                }
            }
            self.disk.queue.release(weight);
        }
        self.write_marks(owner, clock);
        self.shrink(owner, clock);
    }

    fn write(&mut self, job: Job, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        match job {
            Job::Put(put) if put.length > self.disk.layout.large_from => {
                self.large(put, owner, clock);
            }
            Job::Put(put) => self.put(&put, owner, clock),
            Job::Begin(put) => self.begin(put, owner, clock),
            Job::Part(sequence, piece) => self.part(sequence, &piece, owner, clock),
            Job::Finish(sequence) => self.finish(sequence, owner, clock),
            Job::Abort(sequence) => self.abort(sequence, owner, clock),
            Job::Forget(..) | Job::ForgetAll(_) => {}
        }
    }

    fn forget(&mut self, mark: Mark, location: Option<Location>) {
        if let Some(location) = location.filter(|_| mark.how == Forget::Hard) {
            self.bury(location.file);
        }
        self.marks.push(mark);
        if self.marks.len() > KEPT_MAX {
            self.marks.clear();
            self.forget_all = Some(mark.sequence);
        }
    }

    /// An object of a segment is dead.
    fn bury(&mut self, file: u64) {
        let live = match &mut self.active {
            Some(active) if active.id == file => Some(&mut active.live),
            _ => {
                let at = self.segments.binary_search_by_key(&file, |segment| segment.id).ok();
                at.and_then(|at| self.segments.get_mut(at)).map(|segment| &mut segment.live)
            }
        };
        if let Some(live) = live.filter(|live| **live > 0) {
            *live -= 1;
            health::subtract(&self.disk.counts.objects, 1);
        }
    }

    /// The segment in work has one object more.
    pub(super) fn bear(&mut self) {
        if let Some(active) = &mut self.active {
            active.live += 1;
            health::add(&self.disk.counts.objects, 1);
        }
    }

    fn put(&mut self, put: &Put, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let written = if self.resume.is_some() { None } else { Some(self.record(put, owner)) };
        let location = match written {
            Some(Ok(location)) => {
                self.doom(put.variant);
                self.disk.health.works();
                health::add(&self.disk.counts.writes, 1);
                Some(location)
            }
            Some(Err(why)) => {
                self.pause(why, clock);
                None
            }
            None => None,
        };
        if location.is_none() {
            self.refused(put.variant, put.sequence);
        }
        if owner.written(put.token, put.hash, location) && location.is_some() {
            self.bear();
        }
    }

    /// What was offered is not on disk: then neither is what it stood for before.
    pub(super) fn refused(&mut self, variant: Variant, sequence: u64) {
        health::add(&self.disk.counts.refused, 1);
        self.doom(variant);
        self.marks.push(Mark { variant, sequence, how: Forget::Hard });
    }

    /// Appends an object.
    fn record(&mut self, put: &Put, owner: &dyn Owner) -> Result<Location, Unwritten> {
        let mut checks = Checks::default();
        put.body.iter().for_each(|piece| checks.push(piece));
        let checks = checks.finish();
        let header = Header {
            kind: Kind::Object,
            stale: put.stale,
            file: 0,
            offset: 0,
            head: u32::try_from(put.head.len()).map_err(|_| Unwritten::TooLarge)?,
            body: put.length,
            sequence: put.sequence,
            hash: put.hash,
            variant: put.variant,
            head_crc: 0,
        };
        self.make_room(header.record() + put.facts as u64 + HEADER as u64, owner)?;
        let body: Vec<&[u8]> = put.body.iter().map(|piece| &piece[..]).collect();
        let (header, location) = self.append(header, &put.head, &checks, &body)?;
        if let Some(active) = &mut self.active {
            active.table.object(&header, location.length, &put.head[..put.facts]);
        }
        Ok(location)
    }

    /// Appends a record to the segment in work, which has room for it.
    pub(super) fn append(
        &mut self,
        header: Header,
        head: &[u8],
        checks: &[u8],
        body: &[&[u8]],
    ) -> Result<(Header, Location), Unwritten> {
        let device = &*self.disk.device;
        let active = self.active.as_mut().ok_or(Unwritten::TooLarge)?;
        let length = u32::try_from(header.record()).map_err(|_| Unwritten::TooLarge)?;
        let offset = u32::try_from(active.end).map_err(|_| Unwritten::TooLarge)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(head);
        crc.update(checks);
        let header = Header { file: active.id, offset, head_crc: crc.finalize(), ..header };
        let front = header.encode(self.disk.directory.secret);
        let mut parts = vec![&front[..], head, checks];
        parts.extend(body);
        if let Err(error) = write_all(device, &active.file, &parts, active.end) {
            // A piece of a record must not stay behind where shorter ones may come to stand.
            if device.cut(&active.file, active.end).is_err() {
                self.abandon();
            }
            return Err(Unwritten::Failed("writing a segment", error));
        }
        active.end += u64::from(length);
        health::add(&self.disk.counts.bytes, length.into());
        Ok((header, Location { file: header.file, offset, length }))
    }

    /// Writes the marks that wait, if it may write.
    fn write_marks(&mut self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        if self.resume.is_some() {
            if !self.marks.is_empty() || self.forget_all.is_some() {
                self.disk.queue.stick();
            }
            return;
        }
        if let Some(sequence) = self.forget_all {
            match self.remove_all(owner, clock) {
                Ok(()) => {
                    self.forget_all = None;
                    self.disk.queue.settle(sequence);
                }
                Err(why) => return self.pause(why, clock),
            }
        }
        if let Err(why) = self.clean() {
            return self.pause(why, clock);
        }
        while !self.marks.is_empty() {
            if let Err(why) = self.some_marks(owner) {
                return self.pause(why, clock);
            }
        }
    }

    /// Writes as many of the marks as one record holds.
    pub(super) fn some_marks(&mut self, owner: &dyn Owner) -> Result<(), Unwritten> {
        let count = self.marks.len().min(MARKS_MAX);
        let mut block = Vec::new();
        self.marks.iter().take(count).for_each(|mark| mark.encode(&mut block));
        let last = self.marks.iter().take(count).map(|mark| mark.sequence).max().unwrap_or(0);
        let header = Header {
            kind: Kind::Marks,
            stale: false,
            file: 0,
            offset: 0,
            head: u32::try_from(block.len()).map_err(|_| Unwritten::TooLarge)?,
            body: 0,
            sequence: last,
            hash: 0,
            variant: Variant(0),
            head_crc: 0,
        };
        loop {
            // A mark in the table is one byte longer than in its record.
            let written = self
                .make_room(header.record() + (block.len() + count) as u64, owner)
                .and_then(|()| self.append(header, &block, &[], &[]));
            match written {
                Ok(_) => break,
                // That it was forgotten matters more than the oldest objects do.
                Err(Unwritten::Failed(what, error)) if is_full(&error) => {
                    if !self.evict_one(owner, &mut Spare::none())? {
                        return Err(Unwritten::Failed(what, error));
                    }
                }
                Err(why) => return Err(why),
            }
        }
        for mark in self.marks.drain(..count) {
            if let Some(active) = &mut self.active {
                active.table.forgotten(&mark);
            }
        }
        self.disk.health.works();
        self.disk.queue.settle(last);
        Ok(())
    }

    /// Sees to it that a segment is in work that has room for `bytes` of record and table.
    pub(super) fn make_room(&mut self, bytes: u64, owner: &dyn Owner) -> Result<(), Unwritten> {
        let segment = self.disk.layout.segment;
        let whole = bytes.saturating_add(TRAILER as u64);
        if whole > segment {
            return Err(Unwritten::TooLarge);
        }
        let has_room = |active: &Active| active.end + active.table.size() + bytes <= segment;
        if self.active.as_ref().is_some_and(has_room) {
            return Ok(());
        }
        self.seal().map_err(|error| Unwritten::Failed("writing a segment", error))?;
        let created = self.create(Name::Segment);
        let (id, file) = created.map_err(|error| Unwritten::Failed("making a segment", error))?;
        let file = Arc::new(file);
        self.disk.files.add(id, Arc::clone(&file));
        self.active = Some(Active { id, file, end: 0, table: Table::default(), live: 0 });
        self.fit(0, owner).map(drop)
    }

    /// Makes a file with the next number whose name is not taken by something that is not ours.
    pub(super) fn create(&mut self, name: fn(u64) -> Name) -> io::Result<(u64, File)> {
        let mut tries = NAMES_MAX;
        loop {
            let id = self.next_file;
            self.next_file += 1;
            tries -= 1;
            match self.disk.device.create(&self.disk.directory, name(id)) {
                Ok(file) => return Ok((id, file)),
                Err(error) if is_taken(&error) && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the table of the segment in work, which is over with that even if it fails.
    fn seal(&mut self) -> io::Result<()> {
        let Some(active) = &self.active else { return Ok(()) };
        let (device, secret) = (&*self.disk.device, self.disk.directory.secret);
        let written = active.table.write(device, &active.file, active.id, secret, active.end);
        match written {
            Ok(()) => health::add(&self.disk.counts.bytes, active.table.size()),
            // It can be read record by record; a piece of a table is of no use.
            Err(_) => drop(device.cut(&active.file, active.end)),
        }
        self.abandon();
        written
    }

    /// Leaves the segment in work as it is.
    pub(super) fn abandon(&mut self) {
        if let Some(active) = self.active.take() {
            let size = active.file.metadata().map_or(active.end, |metadata| metadata.len());
            self.used += size;
            self.segments.push_back(Sealed { id: active.id, size, live: active.live });
        }
    }

    /// Nothing is written for a while, unless the fault was the object's own.
    pub(super) fn pause(&mut self, why: Unwritten, clock: &dyn Fn() -> Now) {
        let Unwritten::Failed(what, error) = why else { return };
        health::add(&self.disk.counts.errors, 1);
        let place = format!("{what} in {}", self.disk.directory.path().display());
        self.disk.health.pause(&place, &error, PAUSE);
        self.resume = Some(clock().instant + Duration::from_secs(PAUSE));
        if !self.marks.is_empty() || self.forget_all.is_some() {
            self.disk.queue.stick();
        }
    }

    /// Bytes the store may take.
    pub(super) fn limit(&self) -> u64 {
        self.disk.limit.load(Ordering::Relaxed)
    }
}

/// Whether an error says that there is no room, which removing something can change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
