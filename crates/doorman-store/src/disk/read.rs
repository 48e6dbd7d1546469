//! Reading: at once from the page cache, else by threads of its own.
//!
//! A core never waits for a disk: it asks the system for what is in memory already
//! (`RWF_NOWAIT`), and hands everything else to the readers through a bounded queue. Nothing is
//! handed out before its checksums and its key were compared.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use super::directory::Name;
use super::format::{Cut, Facts, HEADER, Header, Kind, Secret, Tags, Variant, is_whole};
use super::large::{Large, ReadAt, is_large};
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
    body: Body,
}

/// The body of an object on disk.
#[derive(Clone, Debug)]
pub enum Body {
    /// All of it, in memory.
    Whole(Bytes),
    /// To be read by parts.
    Large(Large),
}

impl Body {
    /// Bytes of it.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Large(large) => large.length(),
        }
    }
}

impl Loaded {
    /// The packed response head.
    #[must_use]
    pub fn head(&self) -> Bytes {
        self.block.slice(self.block.len() - self.head..)
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
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
        let checks = record.get(head_end..checks_end)?;
        let body = record.slice(checks_end..);
        let is_good = is_whole(&body, checks);
        Self::of(header, block, Body::Whole(body), key).filter(|_| is_good)
    }

    /// The object in a large file of which all but the body was checked.
    pub(super) fn large(header: Header, block: Bytes, large: Large, key: &[u8]) -> Option<Self> {
        Self::of(header, block, Body::Large(large), key)
    }

    fn of(header: Header, block: Bytes, body: Body, key: &[u8]) -> Option<Self> {
        let mut cut = Cut(&block);
        let facts = Facts::decode(&mut cut)?;
        let (is_it, head) = (facts.key == key, cut.0.len());
        is_it.then_some(Self { header, block, head, body })
    }
}

/// What came of an attempt to read without waiting.
#[derive(Debug)]
pub enum Tried<T> {
    /// Here it is.
    Ready(T),
    /// What is there is not what was written: a miss, counted already. Forget it.
    Damaged,
    /// It is not in memory: have it read.
    WouldBlock,
}

/// Why there is nothing to serve. Each is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// What is there is not what was written, or the system could not read it: forget it.
    Damaged,
    /// The file went to make room.
    Gone,
    /// Too many reads wait already, or a reader failed; the object is as good as before.
    Busy,
}

/// Where a reader puts what it read.
struct Slot<T> {
    done: Option<Result<T, ReadError>>,
    waker: Option<Waker>,
    /// Whether `done` was there, taken or not.
    is_told: bool,
}

type Shared<T> = Arc<Mutex<Slot<T>>>;

/// Becomes what was asked for. Dropping it gives up the read.
#[must_use = "nothing comes of a read that nobody waits for"]
#[derive(Debug)]
pub struct Reading<T>(Shared<T>);

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("done", &self.done.is_some()).finish()
    }
}

impl<T> Future for Reading<T> {
    type Output = Result<T, ReadError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = hold(&self.0);
        if let Some(done) = slot.done.take() {
            return Poll::Ready(done);
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// The duty to say what became of a read. One that is dropped without a word, because a reader
/// panicked, says that it could not be read now: nobody waits for ever.
struct Promise<T>(Shared<T>);

impl<T> Promise<T> {
    fn new() -> (Self, Reading<T>) {
        let slot = Arc::new(Mutex::new(Slot { done: None, waker: None, is_told: false }));
        (Self(Arc::clone(&slot)), Reading(slot))
    }

    /// Whether somebody still waits for it.
    fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn keep(&self, done: Result<T, ReadError>) {
        let mut held = hold(&self.0);
        if held.is_told {
            return;
        }
        (held.is_told, held.done) = (true, Some(done));
        let waker = held.waker.take();
        drop(held);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.keep(Err(ReadError::Busy));
    }
}

/// A read that waits for a reader.
enum Wanted {
    Object(Location, Box<[u8]>, Promise<Loaded>),
    Part(Large, u64, Promise<Bytes>),
}

impl Wanted {
    /// Whether somebody still waits for it.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Object(_, _, promise) => promise.is_awaited(),
            Self::Part(_, _, promise) => promise.is_awaited(),
        }
    }

    fn serve(self, disk: &Disk) {
        match self {
            Self::Object(location, key, promise) => promise.keep(disk.read_now(location, &key)),
            Self::Part(large, at, promise) => promise.keep(disk.part_now(&large, at)),
        }
    }
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
            // Too many wait: this is told where it is dropped.
            return drop(wanted);
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
    /// Reads what is in memory already. Never waits for a disk; to check it costs about a tenth of
    /// a microsecond a kilobyte.
    #[must_use]
    pub fn try_read(&self, location: &Location, key: &[u8]) -> Tried<Loaded> {
        let Some(file) = self.files.find(location.file) else { return Tried::WouldBlock };
        self.tried(self.load(file, *location, key, &at_once), location.file)
    }

    /// Has a reader read it.
    pub fn read(&self, location: &Location, key: &[u8]) -> Reading<Loaded> {
        let (promise, reading) = Promise::new();
        self.reads.push(Wanted::Object(*location, key.into(), promise));
        reading
    }

    pub(super) fn want_part(&self, large: Large, at: u64) -> Reading<Bytes> {
        let (promise, reading) = Promise::new();
        self.reads.push(Wanted::Part(large, at, promise));
        reading
    }

    /// A reader's loop.
    pub(super) fn serve_reads(&self) {
        while let Some(wanted) = self.reads.next() {
            if wanted.is_awaited() {
                // A fault of ours costs this one read: its promise tells, and the reader goes on. The
                // program's hook has counted and logged it.
                let _ = catch_unwind(AssertUnwindSafe(|| wanted.serve(self)));
            }
        }
    }

    /// Reads and waits for the disk.
    pub(super) fn read_now(&self, location: Location, key: &[u8]) -> Result<Loaded, ReadError> {
        let read = self
            .open_file(location.file)
            .and_then(|file| self.load(file, location, key, &in_earnest));
        self.waited(read, location.file)
    }

    /// The object at a place; none if what is there is not what was written.
    fn load(
        &self,
        file: Arc<File>,
        location: Location,
        key: &[u8],
        read: ReadAt<'_>,
    ) -> io::Result<Option<Loaded>> {
        let secret = self.directory.secret;
        if is_large(location) {
            return Large::open(file, location, secret, key, read);
        }
        let mut record = vec![0; location.length as usize];
        read(&file, &mut record, location.offset.into())?;
        Ok(Loaded::check(&record.into(), secret, location, key))
    }

    /// What an attempt without waiting came to.
    pub(super) fn tried<T>(&self, read: io::Result<Option<T>>, file: u64) -> Tried<T> {
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Tried::WouldBlock,
            read => self.waited(read, file).map_or(Tried::Damaged, Tried::Ready),
        }
    }

    /// What a read came to: damage and errors are counted and told.
    pub(super) fn waited<T>(&self, read: io::Result<Option<T>>, file: u64) -> Result<T, ReadError> {
        let count = match read {
            Ok(Some(loaded)) => return Ok(loaded),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Gone),
            Ok(None) => &self.counts.damaged,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => &self.counts.damaged,
            Err(_) => &self.counts.errors,
        };
        health::add(count, 1);
        let place = self.directory.path().join(Name::of(file).path());
        self.health.say_damaged(file, &place.display().to_string());
        Err(ReadError::Damaged)
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

/// Reads what is in memory; everything else would block.
pub(super) fn at_once(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let length = buffer.len();
    let mut parts = [IoSliceMut::new(buffer)];
    match rustix::io::preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == length => Ok(()),
        // A part is in memory, or none; a file system may not know the question either. That a file
        // is too short comes out when it is read in earnest.
        Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::INVAL) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads and waits for it.
pub(super) fn in_earnest(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<T>(reading: &mut Reading<T>) -> Poll<Result<T, ReadError>> {
        Pin::new(reading).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// OPS-09: whoever waits for a reader that panics is told.
    #[test]
    fn a_promise_that_is_broken_is_told() {
        let (promise, mut reading) = Promise::<u8>::new();
        assert!(promise.is_awaited() && poll(&mut reading).is_pending());
        drop(promise);
        assert!(matches!(poll(&mut reading), Poll::Ready(Err(ReadError::Busy))));
        let (promise, mut reading) = Promise::new();
        promise.keep(Ok(7));
        drop(promise);
        assert!(matches!(poll(&mut reading), Poll::Ready(Ok(7))));
        let (promise, reading) = Promise::<u8>::new();
        drop(reading);
        assert!(!promise.is_awaited());
    }
}
