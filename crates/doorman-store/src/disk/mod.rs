//! The disk tier: stored responses that survive a restart, and a `kill -9` at any point.
//!
//! The decision that shaped it: **append and mark**. Objects are records appended to segments by
//! one writer; nothing that was written is changed. What is forgotten is forgotten by a mark that is
//! appended too, and marks outrank what was told before them by sequence number. The oldest segment
//! goes as a whole, and by then all that its marks speak of has gone before it. So there is no free
//! list, no index file and no repair: a restart reads tables and marks, and a torn end is cut off.
//! Objects too large for that are files of their own.
//!
//! What is promised is for a process that dies. Nothing is synced: after a loss of power the last
//! seconds of objects and of marks may be missing. No damaged byte is served then either, but an
//! object that was forgotten in those seconds may come back.
//!
//! Whoever owns the index over this tier is its [`Owner`]: it is told where things lie and asked
//! what shall stay. This crate starts no threads: [`Disk::open`] returns [`Worker`]s, and each wants
//! one.

mod device;
mod directory;
mod evict;
mod files;
mod format;
mod health;
mod large;
mod queue;
mod read;
mod recover;
mod segment;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_http::Now;

use device::{Device, System};
use directory::Directory;
use files::Files;
use format::Mark;
use health::{Counts, Health};
use queue::{Job, Put, Queue};
use read::Reads;
use writer::Writer;

pub use directory::OpenError;
pub use format::{Forget, Tags, Variant};
pub use health::Stats;
pub use large::{Large, PART};
pub use read::{Body, Loaded, ReadError, Reading, Tried};
pub use stream::Stream;

/// Objects with a longer body become files of their own: 1 MiB. A segment holds at least three
/// records, so none wastes more than a third of it.
const LARGE_FROM: u64 = 1024 * 1024;
/// Segments a store is made of, so that the oldest one is a small part of all.
const SEGMENTS: u64 = 64;
/// Bounds of a segment: records must fit, and the table of one is held in memory while it is filled.
const SEGMENT_MIN: u64 = 4 * 1024 * 1024;
const SEGMENT_MAX: u64 = 64 * 1024 * 1024;
/// The smallest store: fewer segments than four cannot tell old from new.
pub const BYTES_MIN: u64 = 4 * SEGMENT_MIN;
/// Bytes that may wait to be written.
const QUEUE: usize = 64 * 1024 * 1024;
/// Threads that read what is not in the page cache.
const READERS: usize = 2;

/// What is wanted of a disk tier.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A directory of its own; made if it is missing.
    pub directory: PathBuf,
    /// Bytes it may take, at least [`BYTES_MIN`]; less counts as that.
    pub bytes: u64,
}

/// How the space is cut, by its size; tests choose smaller pieces.
#[derive(Clone, Copy, Debug)]
struct Layout {
    segment: u64,
    large_from: u64,
    queue: usize,
}

impl Layout {
    fn of(bytes: u64) -> Self {
        let segment = (bytes / SEGMENTS).clamp(SEGMENT_MIN, SEGMENT_MAX);
        Self { segment, large_from: LARGE_FROM, queue: QUEUE }
    }
}

/// An object on its way to the disk.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Handed back to [`Owner::written`].
    pub token: u64,
    /// The index's hash of the key. It is kept as it is, so it must be seeded by [`Disk::seed`].
    pub hash: u128,
    /// The URL key.
    pub key: &'a [u8],
    /// What else was asked for.
    pub selector: &'a [u8],
    /// What the response says it depends on.
    pub vary: &'a [u8],
    /// What it can be purged by.
    pub tags: &'a [&'a [u8]],
    /// Freshness, in a form that does not depend on this process.
    pub meta: &'a [u8],
    /// The packed response head.
    pub head: &'a [u8],
    /// It must be validated before use.
    pub stale: bool,
}

/// Where an object lies. Only the store that gave it can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    file: u64,
    offset: u32,
    length: u32,
}

/// An object that was there when the store was opened. All of it but head and body.
#[derive(Clone, Copy, Debug)]
pub struct Recovered<'a> {
    /// As it was offered.
    pub hash: u128,
    /// As [`Disk::variant`] makes it of the parts below.
    pub variant: Variant,
    /// Where it lies.
    pub location: Location,
    /// Later ones are larger.
    pub sequence: u64,
    /// Bytes of the body.
    pub body: u64,
    /// It was soft-purged: to be validated before use.
    pub stale: bool,
    /// As it was offered; so are the rest.
    pub meta: &'a [u8],
    /// The URL key.
    pub key: &'a [u8],
    /// The selector.
    pub selector: &'a [u8],
    /// Vary.
    pub vary: &'a [u8],
    /// Purge tags.
    pub tags: Tags<'a>,
}

/// What becomes of an object whose segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The index does not know it at this place: it was forgotten or replaced.
    Unknown,
    /// The index has let go of it just now.
    Drop,
    /// It is in use and shall stay, if there is room.
    Again {
        /// It was soft-purged meanwhile.
        stale: bool,
    },
}

/// Who keeps the index over this tier. Called by the writer's thread, with no lock of the tier held.
///
/// The rule that keeps what was forgotten from coming back: an owner takes an object out of its
/// index *before* it calls [`Disk::forget`].
pub trait Owner: Send + Sync {
    /// The object with this token lies there, or could not be written. Says whether it is still
    /// wanted; if not, the owner has called or will call [`Disk::forget`].
    fn written(&self, token: u64, hash: u128, location: Option<Location>) -> bool;

    /// The place of this object is about to go.
    fn evicted(&self, hash: u128, variant: Variant, location: Location) -> Keep;

    /// What [`Owner::evicted`] wanted kept lies elsewhere now, or is gone after all.
    fn moved(&self, hash: u128, variant: Variant, from: Location, to: Option<Location>);
}

/// The disk tier, shared by all cores.
pub struct Disk {
    directory: Directory,
    device: Box<dyn Device>,
    layout: Layout,
    limit: AtomicU64,
    queue: Arc<Queue>,
    files: Files,
    reads: Reads,
    health: Health,
    counts: Counts,
}

/// A loop that wants a thread of its own.
pub struct Worker {
    disk: Arc<Disk>,
    /// The writer, or one of the readers.
    writer: Option<Box<Writer>>,
}

impl Worker {
    /// What to call the thread.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        if self.writer.is_some() { "cache-write" } else { "cache-read" }
    }

    /// Works until [`Disk::close`]; blocks. `clock` is asked when writing has failed.
    pub fn run(self, owner: &dyn Owner, clock: &dyn Fn() -> Now) {
        match self.writer {
            Some(mut writer) => writer.run(owner, clock),
            None => self.disk.serve_reads(),
        }
    }
}

/// Becomes whether what was forgotten is safely so on disk.
///
/// Safe from a crash of the process, not from a loss of power. `false` means that the disk cannot be
/// written now, or that the store is closed: what an index has let go of is not served by this
/// process, but it could come back at the next start.
#[must_use = "a purge is safe from a crash only once this has become true"]
pub struct Settled {
    queue: Arc<Queue>,
    sequence: u64,
}

impl Future for Settled {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        match self.queue.settled(self.sequence, context.waker()) {
            Some(settled) => Poll::Ready(settled),
            None => Poll::Pending,
        }
    }
}

impl Disk {
    /// Opens a store or makes one. What is in it is told to `recovered`, one call a variant.
    ///
    /// Blocks for as long as it takes to read the tables: about a second a million objects.
    ///
    /// # Errors
    /// When the directory cannot be used; see [`OpenError`].
    pub fn open(
        settings: &Settings,
        recovered: &mut dyn FnMut(Recovered<'_>),
    ) -> Result<(Arc<Self>, Vec<Worker>), OpenError> {
        let bytes = settings.bytes.max(BYTES_MIN);
        let settings = Settings { bytes, ..settings.clone() };
        Self::open_on(Box::new(System), Layout::of(bytes), &settings, recovered)
    }

    fn open_on(
        device: Box<dyn Device>,
        layout: Layout,
        settings: &Settings,
        recovered: &mut dyn FnMut(Recovered<'_>),
    ) -> Result<(Arc<Self>, Vec<Worker>), OpenError> {
        let mut directory = Directory::open(&settings.directory)?;
        let note = directory.note.take();
        let health = Health::default();
        if let Some(note) = note {
            health.say(note);
        }
        let counts = Counts::default();
        let limit = settings.bytes;
        let place = recover::Place { directory: &directory, device: &*device, layout };
        let state = recover::recover(&place, &health, &counts, recovered).map_err(|error| {
            let action = format!("read the store in {}", settings.directory.display());
            OpenError::System { action, error }
        })?;
        let queue = Arc::new(Queue::new(layout.queue, state.sequence));
        let disk = Arc::new(Self {
            directory,
            device,
            layout,
            limit: AtomicU64::new(limit),
            queue,
            files: Files::default(),
            reads: Reads::default(),
            health,
            counts,
        });
        let writer = Writer::new(Arc::clone(&disk), state);
        let mut workers = vec![Worker { disk: Arc::clone(&disk), writer: Some(Box::new(writer)) }];
        let readers = (0..READERS).map(|_| Worker { disk: Arc::clone(&disk), writer: None });
        workers.extend(readers);
        Ok((disk, workers))
    }

    /// What the index's hashes must be seeded with, so that they are the same after a restart.
    /// It is a secret: who knows it can make keys collide.
    #[must_use]
    pub const fn seed(&self) -> [u64; 2] {
        self.directory.secret.0
    }

    /// Names a variant.
    #[must_use]
    pub fn variant(&self, key: &[u8], selector: &[u8], vary: &[u8]) -> Variant {
        self.directory.secret.variant([key, selector, vary])
    }

    /// Offers an object for writing; never waits. False, and counted, if it is not taken: the queue
    /// is full, the disk is not well, or a part is too long.
    ///
    /// An object of the same variant that was offered before is forgotten by this once it is taken,
    /// whether it can be written or not.
    #[must_use]
    pub fn offer(&self, entry: &Entry<'_>, body: Vec<Bytes>) -> bool {
        let put = self.put(entry, body);
        let taken = put.and_then(|put| {
            self.queue.offer(put.weight(), |sequence| Job::Put(Put { sequence, ..put }))
        });
        if taken.is_none() {
            health::add(&self.counts.refused, 1);
        }
        taken.is_some()
    }

    /// What the writer needs of an entry, if writing is of any use now.
    fn put(&self, entry: &Entry<'_>, body: Vec<Bytes>) -> Option<Put> {
        if self.health.is_paused() {
            // Only the writer knows the time.
            self.queue.nudge();
            return None;
        }
        let mut head = format::encode_facts(entry)?;
        let facts = head.len();
        head.extend_from_slice(entry.head);
        let length = body.iter().map(|piece| piece.len() as u64).sum();
        (head.len() <= format::HEAD_MAX).then(|| Put {
            token: entry.token,
            hash: entry.hash,
            variant: self.variant(entry.key, entry.selector, entry.vary),
            sequence: 0,
            stale: entry.stale,
            head,
            facts,
            body,
            length,
        })
    }

    /// Forgets what was offered of a variant before this call, wherever it is by now. Never waits;
    /// the future says when it is safe from a crash, and need not be polled.
    ///
    /// `location` is where the index had it, if it knew; it only makes [`Stats::objects`] exact.
    pub fn forget(&self, variant: Variant, location: Option<Location>, how: Forget) -> Settled {
        let mark = |sequence| Job::Forget(Mark { variant, sequence, how }, location);
        Settled { sequence: self.queue.forget(mark), queue: Arc::clone(&self.queue) }
    }

    /// Forgets everything that was offered before this call, for good. Never waits.
    pub fn forget_all(&self) -> Settled {
        Settled { sequence: self.queue.forget(Job::ForgetAll), queue: Arc::clone(&self.queue) }
    }

    /// Changes how many bytes the store may take; the writer makes room when it next writes.
    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes.max(BYTES_MIN), Ordering::Relaxed);
        self.queue.nudge();
    }

    /// What was done and what is there.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counts.stats()
    }

    /// Why nothing is written at present, in words for an operator.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.health.problem()
    }

    /// Lines for the log since the last call: what was removed at the start, what is damaged (once
    /// a file), when writing stopped and when it went on.
    #[must_use]
    pub fn take_news(&self) -> Vec<String> {
        self.health.take_news()
    }

    /// Ends the workers once all that waits is written. The store can then be opened quickly.
    pub fn close(&self) {
        self.queue.close();
        self.reads.close();
    }
}

/// A panic elsewhere does not make what a lock guards unusable: every change of it is complete
/// before anything can fail.
fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
