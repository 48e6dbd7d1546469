//! Writing large objects, whole ones and those whose body is still coming.
//!
//! A body that comes faster than the disk takes it is given up: whoever fills waits for no disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use doorman_http::Now;
use rustix::fs::OFlags;

use super::device::write_all;
use super::directory::Name;
use super::format::{Checks, Forget, HEADER, Header, Kind, Mark, Variant};
use super::large::{self, Trailer};
use super::queue::{Job, Put, Queue};
use super::writer::{Unwritten, Writer};
use super::{Disk, Entry, Owner, health};

/// An object whose body goes to disk as it comes. Dropped, nothing of it stays.
#[must_use = "dropped, nothing of it stays on disk"]
pub struct Stream {
    queue: Arc<Queue>,
    sequence: u64,
    open: bool,
}

impl Stream {
    /// More of the body; never waits. False if the disk does not keep up: the object is given up
    /// then, and [`Owner::written`] says so.
    #[must_use]
    pub fn push(&mut self, bytes: Bytes) -> bool {
        let weight = Job::Part(0, bytes.clone()).weight();
        let part = |_| Job::Part(self.sequence, bytes);
        if self.open && self.queue.offer(weight, part).is_none() {
            self.end(Job::Abort(self.sequence));
        }
        self.open
    }

    /// The body is complete. [`Owner::written`] says whether it is on disk.
    pub fn finish(mut self) {
        self.end(Job::Finish(self.sequence));
    }

    fn end(&mut self, job: Job) {
        if std::mem::take(&mut self.open) {
            self.queue.end(job);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end(Job::Abort(self.sequence));
    }
}

impl Disk {
    /// Begins an object whose body is still coming; never waits. None, and counted, if it is not
    /// taken. For objects that are likely to be long: each is a file of its own.
    pub fn begin(&self, entry: &Entry<'_>) -> Option<Stream> {
        let put = self.put(entry, Vec::new());
        let begun = put.and_then(|put| {
            self.queue.offer(put.weight(), |sequence| Job::Begin(Put { sequence, ..put }))
        });
        if begun.is_none() {
            health::add(&self.counts.refused, 1);
        }
        begun.map(|sequence| Stream { queue: Arc::clone(&self.queue), sequence, open: true })
    }
}

/// A large object that is on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) id: u64,
    /// Bytes of the file.
    pub(super) size: u64,
    pub(super) hash: u128,
    pub(super) variant: Variant,
    pub(super) sequence: u64,
}

/// The large objects that are on disk, by the order in which they go.
#[derive(Default)]
pub(super) struct Shelf {
    order: BTreeMap<u64, Kept>,
    of: HashMap<Variant, u64>,
}

impl Shelf {
    /// There is none of its variant.
    pub(super) fn add(&mut self, order: u64, kept: Kept) {
        self.of.insert(kept.variant, order);
        self.order.insert(order, kept);
    }

    pub(super) fn oldest(&self) -> Option<(u64, Kept)> {
        self.order.first_key_value().map(|(order, kept)| (*order, *kept))
    }

    pub(super) fn find(&self, variant: Variant) -> Option<Kept> {
        self.of.get(&variant).and_then(|order| self.order.get(order)).copied()
    }

    pub(super) fn take(&mut self, variant: Variant) -> Option<Kept> {
        self.of.remove(&variant).and_then(|order| self.order.remove(&order))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.order.values().map(|kept| kept.size).sum()
    }
}

/// A large object that is being written.
pub(super) struct Open {
    id: u64,
    file: File,
    header: Header,
    token: u64,
    checks: Checks,
    /// Where the body begins.
    start: u64,
    /// Bytes of the body so far.
    body: u64,
}

impl Open {
    /// Where the next part goes.
    fn end(&self) -> u64 {
        self.start + self.body
    }

    pub(super) const fn name(&self) -> Name {
        Name::Large(self.id)
    }
}

impl Writer {
    /// Writes a whole object as a file of its own.
    pub(super) fn large(&mut self, put: Put, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let Put { sequence, body, .. } = put;
        self.begin(Put { body: Vec::new(), ..put }, owner, clock);
        for piece in body {
            self.part(sequence, &piece, owner, clock);
        }
        self.finish(sequence, owner, clock);
    }

    pub(super) fn begin(&mut self, put: Put, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let Put { token, hash, variant, sequence, .. } = put;
        match self.make(put, owner) {
            Ok(open) => {
                self.streams.insert(sequence, open);
            }
            Err(why) => {
                self.pause(why, clock);
                self.refused(variant, sequence);
                owner.written(token, hash, None);
            }
        }
    }

    /// Makes the file and writes its front.
    fn make(&mut self, put: Put, owner: &dyn Owner) -> Result<Open, Unwritten> {
        let head = u32::try_from(put.head.len()).map_err(|_| Unwritten::TooLarge)?;
        let start = HEADER as u64 + u64::from(head);
        self.fit_large(0, start, owner)?;
        let failed = |error| Unwritten::Failed("writing a large file", error);
        let (id, file) = self.create(Name::Large).map_err(failed)?;
        let header = Header {
            kind: Kind::Object,
            stale: put.stale,
            file: Name::Large(id).file(),
            offset: 0,
            head,
            body: 0,
            sequence: put.sequence,
            hash: put.hash,
            variant: put.variant,
            head_crc: crc32fast::hash(&put.head),
        };
        let disk = &self.disk;
        let front = header.encode(disk.directory.secret);
        if let Err(error) = write_all(&*disk.device, &file, &[&front, &put.head], 0) {
            let _ = disk.device.remove(&disk.directory, Name::Large(id));
            return Err(failed(error));
        }
        self.grow(start);
        let (token, checks) = (put.token, Checks::default());
        Ok(Open { id, file, header, token, checks, start, body: 0 })
    }

    pub(super) fn part(
        &mut self,
        sequence: u64,
        piece: &[u8],
        owner: &dyn Owner,
        clock: &dyn Fn() -> Now,
    ) {
        // One that was given up has parts in the queue still.
        let Some(mut open) = self.streams.remove(&sequence) else { return };
        let length = piece.len() as u64;
        let written = self.fit_large(open.end(), length, owner).and_then(|()| {
            let device = &*self.disk.device;
            write_all(device, &open.file, &[piece], open.end())
                .map_err(|error| Unwritten::Failed("writing a large file", error))
        });
        match written {
            Ok(()) => {
                open.checks.push(piece);
                open.body += length;
                self.grow(length);
                self.streams.insert(sequence, open);
            }
            Err(why) => self.give_up(open, why, owner, clock),
        }
    }

    pub(super) fn finish(&mut self, sequence: u64, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let Some(mut open) = self.streams.remove(&sequence) else { return };
        let (checks, crc) = large::close(std::mem::take(&mut open.checks));
        let secret = self.disk.directory.secret;
        let id = open.header.file;
        let trailer = Trailer { body: open.body, crc }.encode(id, secret);
        let more = (checks.len() + trailer.len()) as u64;
        let Header { hash, variant, sequence, .. } = open.header;
        // Records of the variant may lie in a segment that outlives this file, the one in work
        // above all. They must not come back when this goes.
        let before = sequence.saturating_sub(1);
        self.marks.push(Mark { variant, sequence: before, how: Forget::Hard });
        let marked = self.fit_large(open.end(), more, owner).and_then(|()| self.some_marks(owner));
        let written = marked.and_then(|()| {
            let device = &*self.disk.device;
            write_all(device, &open.file, &[&checks, &trailer], open.end())
                .map_err(|error| Unwritten::Failed("writing a large file", error))
        });
        if let Err(why) = written {
            return self.give_up(open, why, owner, clock);
        }
        self.grow(more);
        let size = open.end() + more;
        let kept = Kept { id: open.id, size, hash, variant, sequence };
        self.doom(variant);
        self.shelf.add(open.id, kept);
        health::add(&self.disk.counts.objects, 1);
        self.disk.health.works();
        health::add(&self.disk.counts.writes, 1);
        // One that is not wanted any more is forgotten by its owner in a moment.
        owner.written(open.token, hash, Some(large::place_of(open.id)));
    }

    /// A large object of this variant is dead, if there is one.
    pub(super) fn doom(&mut self, variant: Variant) {
        if let Some(kept) = self.shelf.take(variant) {
            health::subtract(&self.disk.counts.objects, 1);
            self.doomed.push(kept);
        }
    }

    pub(super) fn abort(&mut self, sequence: u64, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        if let Some(open) = self.streams.remove(&sequence) {
            self.give_up(open, Unwritten::Paused, owner, clock);
        }
    }

    /// Removes what is there of an object and says so.
    fn give_up(&mut self, open: Open, why: Unwritten, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        self.used = self.used.saturating_sub(open.end());
        health::subtract(&self.disk.counts.bytes, open.end());
        // Without a trailer it is no object; if it cannot be removed, the next start does it.
        let _ = self.disk.device.remove(&self.disk.directory, Name::Large(open.id));
        self.pause(why, clock);
        self.refused(open.header.variant, open.header.sequence);
        owner.written(open.token, open.header.hash, None);
    }

    /// Makes room for `more` bytes of an object that has `so_far`; half of the store is the most
    /// that one may take.
    fn fit_large(&mut self, so_far: u64, more: u64, owner: &dyn Owner) -> Result<(), Unwritten> {
        if self.resume.is_some() {
            return Err(Unwritten::Paused);
        }
        if so_far.saturating_add(more) > self.limit() / 2 {
            return Err(Unwritten::TooLarge);
        }
        if self.fit(more, owner)? { Ok(()) } else { Err(Unwritten::TooLarge) }
    }

    fn grow(&mut self, bytes: u64) {
        self.used += bytes;
        health::add(&self.disk.counts.bytes, bytes);
    }

    /// Applies a mark to what is no record in a segment.
    pub(super) fn mark_large(&mut self, mark: &Mark, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        let is_marked = |open: &Open| {
            open.header.variant == mark.variant && open.header.sequence <= mark.sequence
        };
        let marked = self.streams.values().filter(|open| is_marked(open));
        for (sequence, id) in marked.map(|open| (open.header.sequence, open.id)).collect::<Vec<_>>()
        {
            match mark.how {
                Forget::Hard => self.abort(sequence, owner, clock),
                Forget::Stale => self.soften.push(id),
            }
        }
        let kept = self.shelf.find(mark.variant).filter(|kept| kept.sequence <= mark.sequence);
        if let Some(kept) = kept {
            match mark.how {
                Forget::Hard => self.doom(mark.variant),
                Forget::Stale => self.soften.push(kept.id),
            }
        }
    }

    /// Removes files of which nothing may come back, and marks those that came to be stale.
    pub(super) fn clean(&mut self) -> Result<(), Unwritten> {
        while let Some(kept) = self.doomed.last().copied() {
            self.remove_large(kept)?;
            self.doomed.pop();
        }
        while let Some(id) = self.soften.last().copied() {
            self.soften_large(id)
                .map_err(|error| Unwritten::Failed("marking a large file", error))?;
            self.soften.pop();
        }
        Ok(())
    }

    pub(super) fn remove_large(&mut self, kept: Kept) -> Result<(), Unwritten> {
        let disk = &self.disk;
        let name = Name::Large(kept.id);
        disk.device
            .remove(&disk.directory, name)
            .map_err(|error| Unwritten::Failed("removing a large file", error))?;
        disk.files.remove(name.file());
        health::subtract(&disk.counts.bytes, kept.size);
        self.used = self.used.saturating_sub(kept.size);
        Ok(())
    }

    /// Writes the header again, in its place: it is the one thing that is ever changed, by one
    /// write of a hundred bytes within a page.
    pub(super) fn soften_large(&self, id: u64) -> io::Result<()> {
        let (disk, name) = (&self.disk, Name::Large(id));
        let file = match disk.directory.file(name, OFlags::RDWR) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0)?;
        let secret = disk.directory.secret;
        match Header::decode(&bytes, secret, name.file(), 0) {
            Some(header) => {
                let header = Header { stale: true, ..header }.encode(secret);
                write_all(&*disk.device, &file, &[&header], 0)
            }
            // What is damaged is never served.
            None => Ok(()),
        }
    }
}
