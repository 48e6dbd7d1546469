//! Reading: at once from the page cache, else by threads of its own.
//!
//! A core never waits for a disk: it asks the system for what is in memory already
//! (`RWF_NOWAIT`), and hands everything else to the readers through a bounded queue. Nothing is
//! handed out before its checksums and its key were compared.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use super::directory::Name;
use super::format::{Cut, Facts, HEADER, Header, Kind, Secret, Tags, Variant, is_whole};
use super::{Disk, Location, health, hold};

/// Reads that wait for a reader. More would be answered by the origin sooner.
const READS_MAX: usize = 1024;

/// An object as it was written.
#[derive(Clone, Debug)]
pub struct Loaded {
    header: Header,
    /// The head block.
    block: Bytes,
    /// Bytes of the packed head at the end of the block.
    head: usize,
    body: Bytes,
}

impl Loaded {
    /// The packed response head.
    #[must_use]
    pub fn head(&self) -> Bytes {
        self.block.slice(self.block.len() - self.head..)
    }

    /// The whole body, without a copy.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Freshness, as it was offered.
    #[must_use]
    pub fn meta(&self) -> &[u8] {
        self.facts().meta
    }

    /// The URL key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.facts().key
    }

    /// The selector.
    #[must_use]
    pub fn selector(&self) -> &[u8] {
        self.facts().selector
    }

    /// Vary.
    #[must_use]
    pub fn vary(&self) -> &[u8] {
        self.facts().vary
    }

    /// Purge tags.
    #[must_use]
    pub fn tags(&self) -> Tags<'_> {
        self.facts().tags
    }

    /// As it was offered.
    #[must_use]
    pub const fn hash(&self) -> u128 {
        self.header.hash
    }

    /// Which variant it is.
    #[must_use]
    pub const fn variant(&self) -> Variant {
        self.header.variant
    }

    /// Whether it was stale when it was written; later soft purges are for the index to know.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.header.stale
    }

    fn facts(&self) -> Facts<'_> {
        Facts::decode(&mut Cut(&self.block)).unwrap_or(Facts {
            meta: &[],
            key: &[],
            selector: &[],
            vary: &[],
            tags: Tags::default(),
        })
    }

    /// The object in a record that was read whole, if every part of it is what was written.
    pub(super) fn check(
        record: &Bytes,
        secret: Secret,
        location: Location,
        key: &[u8],
    ) -> Option<Self> {
        let header = Header::decode(record, secret, location.file, location.offset.into())?;
        if header.kind != Kind::Object || header.record() != record.len() as u64 {
            return None;
        }
        let head_end = HEADER + header.head as usize;
        let checks_end = head_end + usize::try_from(header.checks()).ok()?;
        if crc32fast::hash(record.get(HEADER..checks_end)?) != header.head_crc {
            return None;
        }
        let block = record.slice(HEADER..head_end);
        let mut cut = Cut(&block);
        let facts = Facts::decode(&mut cut)?;
        let head = cut.0.len();
        let checks = record.get(head_end..checks_end)?;
        let body = record.slice(checks_end..);
        let is_it = facts.key == key && is_whole(&body, checks);
        is_it.then_some(Self { header, block, head, body })
    }
}

/// What came of an attempt to read without waiting.
#[derive(Debug)]
pub enum Tried {
    /// Here it is.
    Ready(Loaded),
    /// Its place is gone, or what is there is not what was written: a miss. Counted already.
    Damaged,
    /// It is not in memory: ask [`Disk::read`].
    WouldBlock,
}

/// Why there is nothing to serve. Each is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// What is there is not what was written, or the system could not read it: forget it.
    Damaged,
    /// The file went to make room.
    Gone,
    /// Too many reads wait already; the object is as good as before.
    Busy,
}

/// Where a reader puts what it read.
struct Slot<T> {
    done: Option<Result<T, ReadError>>,
    waker: Option<Waker>,
}

type Shared<T> = Arc<Mutex<Slot<T>>>;

/// Becomes the object. Dropping it gives up the read.
#[must_use = "nothing comes of a read that nobody waits for"]
#[derive(Debug)]
pub struct Reading(Shared<Loaded>);

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("done", &self.done.is_some()).finish()
    }
}

impl Future for Reading {
    type Output = Result<Loaded, ReadError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        poll_slot(&self.0, context)
    }
}

fn poll_slot<T>(slot: &Shared<T>, context: &Context<'_>) -> Poll<Result<T, ReadError>> {
    let mut slot = hold(slot);
    if let Some(done) = slot.done.take() {
        return Poll::Ready(done);
    }
    slot.waker = Some(context.waker().clone());
    Poll::Pending
}

fn finish<T>(slot: &Shared<T>, done: Result<T, ReadError>) {
    let mut held = hold(slot);
    held.done = Some(done);
    let waker = held.waker.take();
    drop(held);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A read that waits for a reader.
struct Wanted {
    location: Location,
    key: Box<[u8]>,
    slot: Shared<Loaded>,
}

#[derive(Default)]
struct State {
    wanted: VecDeque<Wanted>,
    closed: bool,
}

/// Reads that wait for a reader.
#[derive(Default)]
pub(super) struct Reads {
    state: Mutex<State>,
    bell: Condvar,
}

impl Reads {
    pub(super) fn close(&self) {
        hold(&self.state).closed = true;
        self.bell.notify_all();
    }

    fn push(&self, wanted: Wanted) {
        let mut state = hold(&self.state);
        if state.closed || state.wanted.len() >= READS_MAX {
            drop(state);
            finish(&wanted.slot, Err(ReadError::Busy));
            return;
        }
        state.wanted.push_back(wanted);
        self.bell.notify_one();
    }

    /// The next one; none once the store is closed.
    fn next(&self) -> Option<Wanted> {
        let state = hold(&self.state);
        let is_idle = |state: &mut State| state.wanted.is_empty() && !state.closed;
        let waited = self.bell.wait_while(state, is_idle);
        waited.unwrap_or_else(|held| held.into_inner()).wanted.pop_front()
    }
}

impl Disk {
    /// Reads what is in memory already. Never waits for a disk; checks cost about a tenth of a
    /// microsecond a kilobyte.
    #[must_use]
    pub fn try_read(&self, location: &Location, key: &[u8]) -> Tried {
        let Some(file) = self.files.find(location.file) else { return Tried::WouldBlock };
        let mut buffer = vec![0; location.length as usize];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let offset = location.offset.into();
        match rustix::io::preadv2(&file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == buffer.len() => match self.check(buffer.into(), *location, key) {
                Ok(loaded) => Tried::Ready(loaded),
                Err(_) => Tried::Damaged,
            },
            // A part is in memory, or none; a file system may not know the question either. A file
            // that is too short comes out when it is read in earnest.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::INVAL) => {
                Tried::WouldBlock
            }
            Err(_) => {
                health::add(&self.counts.errors, 1);
                Tried::Damaged
            }
        }
    }

    /// Has a reader read it.
    pub fn read(&self, location: &Location, key: &[u8]) -> Reading {
        let slot = Arc::new(Mutex::new(Slot { done: None, waker: None }));
        let wanted = Wanted { location: *location, key: key.into(), slot: Arc::clone(&slot) };
        self.reads.push(wanted);
        Reading(slot)
    }

    /// A reader's loop.
    pub(super) fn serve_reads(&self) {
        while let Some(wanted) = self.reads.next() {
            // Nobody waits for it any more.
            if Arc::strong_count(&wanted.slot) == 1 {
                continue;
            }
            finish(&wanted.slot, self.read_now(wanted.location, &wanted.key));
        }
        // Those who came too late are not left waiting.
        let left = std::mem::take(&mut hold(&self.reads.state).wanted);
        for wanted in left {
            finish(&wanted.slot, Err(ReadError::Busy));
        }
    }

    /// Reads and waits for the disk.
    pub(super) fn read_now(&self, location: Location, key: &[u8]) -> Result<Loaded, ReadError> {
        let file = self.open_file(location.file).map_err(|error| self.unread(&error))?;
        let mut buffer = vec![0; location.length as usize];
        match file.read_exact_at(&mut buffer, location.offset.into()) {
            Ok(()) => self.check(buffer.into(), location, key),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(location.file))
            }
            Err(error) => Err(self.unread(&error)),
        }
    }

    fn check(&self, record: Bytes, location: Location, key: &[u8]) -> Result<Loaded, ReadError> {
        Loaded::check(&record, self.directory.secret, location, key)
            .ok_or_else(|| self.damaged(location.file))
    }

    /// Counts damage and tells of it.
    fn damaged(&self, file: u64) -> ReadError {
        health::add(&self.counts.damaged, 1);
        let place = self.directory.path().join(Name::of(file).path());
        self.health.say_damaged(file, &place.display().to_string());
        ReadError::Damaged
    }

    /// What a failed call means.
    fn unread(&self, error: &io::Error) -> ReadError {
        if error.kind() == io::ErrorKind::NotFound {
            return ReadError::Gone;
        }
        health::add(&self.counts.errors, 1);
        ReadError::Damaged
    }

    /// A file of the store, open for reading.
    pub(super) fn open_file(&self, id: u64) -> io::Result<Arc<File>> {
        if let Some(file) = self.files.find(id) {
            return Ok(file);
        }
        let file = Arc::new(self.directory.file(Name::of(id), OFlags::RDONLY)?);
        self.files.add(id, Arc::clone(&file));
        Ok(file)
    }
}
