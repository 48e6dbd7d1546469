//! A body that is still coming: one writer, any number of readers, on any core.
//!
//! What shaped it: readers go by position, not by piece. So the writer may join small pieces into
//! larger ones behind their backs, a reader may begin in the middle, and one that comes late reads
//! what is there before it waits for the rest. Nobody is woken while the lock is held.
//!
//! ```text
//! growing --finish--> whole           readers end with the last byte
//!    |  \--cut------> cut             readers get `Cut` behind the last byte that came
//!    \----window----> growing, window nobody may join; the writer waits for the slowest reader
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Largest piece of a body, bytes: what one read of a socket brings at most.
pub(crate) const PIECE_MAX: usize = 256 * 1024;
/// Pieces below this size, bytes, are joined with their neighbours, so that a body that comes byte by
/// byte does not cost 32 bytes of book-keeping a byte.
const JOIN_BELOW: usize = 32 * 1024;
/// How far the writer of a window may be ahead of its slowest reader, bytes.
pub(crate) const WINDOW: u64 = 1024 * 1024;
/// The same where memory is full already: of windows there may be as many as there are readers that do
/// not read, and what they hold is more than the store was given.
pub(crate) const NARROW: u64 = 64 * 1024;

/// The body ended before its end: what was read so far must not be taken for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body was cut short while it was stored")
    }
}

impl std::error::Error for Cut {}

/// Whether a writer may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Room {
    /// There is room for at least one piece more.
    Free,
    /// The body is not to be stored and nobody reads it any more: the writer should stop.
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Growing,
    Whole,
    Cut,
}

/// Takes a lock whether or not a thread panicked while it held it: every change under these locks
/// leaves them consistent, and a panic in one request must not end the store.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a task's waker. What it takes the place of is given back, to be dropped without a lock: the
/// last waker of a task may drop the task, and that a reader of the same body.
#[must_use = "to be dropped without a lock"]
pub(crate) fn keep(place: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match place {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => place.replace(cx.waker().clone()),
    }
}

pub(crate) fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// The shared body. The bytes that it holds are counted in `held` until they are handed to an
/// object or dropped.
pub(crate) struct Fill {
    held: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    /// Pieces with their offsets, without gaps.
    pieces: VecDeque<(u64, Bytes)>,
    /// Offset of the first byte that is still here.
    start: u64,
    /// Bytes that came so far.
    len: u64,
    end: End,
    /// How far the writer may be ahead, bytes; `None` if this is no window.
    window: Option<u64>,
    /// Bytes that `held` counts for this fill.
    counted: u64,
    readers: Vec<Option<Seat>>,
    /// Places in `readers` that nobody has.
    free: Vec<usize>,
    /// In a window: readers that have not yet read all of the first piece.
    behind: usize,
    writer: Option<Waker>,
}

struct Seat {
    at: u64,
    waker: Option<Waker>,
}

impl Fill {
    pub(crate) fn new(held: Arc<AtomicU64>) -> Self {
        Self {
            held,
            state: Mutex::new(State {
                pieces: VecDeque::new(),
                start: 0,
                len: 0,
                end: End::Growing,
                window: None,
                counted: 0,
                readers: Vec::new(),
                free: Vec::new(),
                behind: 0,
                writer: None,
            }),
        }
    }

    /// Bytes that came so far.
    pub(crate) fn len(&self) -> u64 {
        lock(&self.state).len
    }

    pub(crate) fn end(&self) -> End {
        lock(&self.state).end
    }

    /// Copies `data` behind what is there and wakes the readers. Once the body has ended nothing
    /// is taken any more.
    pub(crate) fn push(&self, data: &[u8]) {
        // Copied outside of the lock, and in pieces of exactly their size: the store owns what it
        // counts, whatever larger buffer the data came in.
        let pieces = data.chunks(PIECE_MAX).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let mut state = lock(&self.state);
        if state.end != End::Growing {
            return;
        }
        for piece in pieces {
            let (at, size) = (state.len, piece.len() as u64);
            state.pieces.push_back((at, piece));
            state.len = at.saturating_add(size);
            state.counted = state.counted.saturating_add(size);
            self.held.fetch_add(size, Ordering::Relaxed);
        }
        state.join();
        if state.window.is_some() && state.behind == 0 {
            state.recount();
            state.trim(&self.held);
        }
        let wakers = state.waiting();
        drop(state);
        wake(wakers);
    }

    /// The last byte has come.
    pub(crate) fn finish(&self) {
        self.close(End::Whole);
    }

    /// No byte will come any more, and the body is not whole. Nothing happens if it has ended.
    pub(crate) fn cut(&self) {
        self.close(End::Cut);
    }

    fn close(&self, end: End) {
        let mut state = lock(&self.state);
        if state.end != End::Growing {
            return;
        }
        state.end = end;
        let wakers = state.waiting();
        drop(state);
        wake(wakers);
    }

    /// From now on nobody may join, what every reader has read is dropped, and the writer is at most
    /// `ahead` bytes and a piece before the slowest.
    pub(crate) fn open_window(&self, ahead: u64) {
        let mut state = lock(&self.state);
        state.window = Some(ahead);
        state.recount();
        state.trim(&self.held);
    }

    /// Whether the writer may push: always unless this is a window.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        let mut state = lock(&self.state);
        let Some(ahead) = state.window else { return Poll::Ready(Room::Free) };
        let slowest = state.readers.iter().flatten().map(|seat| seat.at).min();
        match slowest {
            None => Poll::Ready(Room::Abandoned),
            Some(at) if state.len.saturating_sub(at) < ahead => Poll::Ready(Room::Free),
            Some(_) => {
                let old = keep(&mut state.writer, cx);
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }

    /// All pieces of a body that ended whole, and their count taken off `held`: whoever takes them
    /// counts them from now on.
    pub(crate) fn take_over(&self) -> Vec<Bytes> {
        let mut state = lock(&self.state);
        let counted = std::mem::take(&mut state.counted);
        self.held.fetch_sub(counted, Ordering::Relaxed);
        state.pieces.iter().map(|(_, piece)| piece.clone()).collect()
    }

    /// A reader from `at` on; `None` if these bytes are gone because the body has become a window.
    pub(crate) fn join(self: &Arc<Self>, at: u64) -> Option<FillReader> {
        let mut state = lock(&self.state);
        if state.window.is_some() {
            return None;
        }
        let seat = Some(Seat { at, waker: None });
        let index = state.free.pop().unwrap_or(state.readers.len());
        match state.readers.get_mut(index) {
            Some(place) => *place = seat,
            None => state.readers.push(seat),
        }
        drop(state);
        Some(FillReader { fill: Arc::clone(self), index })
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.held.fetch_sub(state.counted, Ordering::Relaxed);
    }
}

impl State {
    fn waiting(&mut self) -> Vec<Waker> {
        self.readers.iter_mut().flatten().filter_map(|seat| seat.waker.take()).collect()
    }

    /// Joins the last pieces while they are small and the one before is not much larger than the
    /// one behind it: a byte is copied as often as its piece doubles, so at most 16 times.
    fn join(&mut self) {
        // The first piece of a window is counted by readers and stays as it is.
        let keep = if self.window.is_some() { 2 } else { 1 };
        while self.pieces.len() > keep {
            let last = self.pieces.len() - 1;
            let (at, before) = &self.pieces[last - 1];
            let behind = &self.pieces[last].1;
            if before.len() + behind.len() > JOIN_BELOW || before.len() > 2 * behind.len() {
                return;
            }
            let mut joined = Vec::with_capacity(before.len() + behind.len());
            joined.extend_from_slice(before);
            joined.extend_from_slice(behind);
            let joined = (*at, Bytes::from(joined));
            self.pieces.pop_back();
            self.pieces[last - 1] = joined;
        }
    }

    fn first_end(&self) -> u64 {
        self.pieces.front().map_or(self.len, |(at, piece)| at + piece.len() as u64)
    }

    fn recount(&mut self) {
        let end = self.first_end();
        let all = self.pieces.len();
        self.behind = self.readers.iter().flatten().filter(|seat| seat.at < end && all > 0).count();
    }

    /// Drops first pieces that no reader needs any more.
    fn trim(&mut self, held: &AtomicU64) {
        while self.behind == 0 {
            let Some((at, piece)) = self.pieces.pop_front() else { break };
            let size = piece.len() as u64;
            self.start = at + size;
            let size = size.min(self.counted);
            self.counted -= size;
            held.fetch_sub(size, Ordering::Relaxed);
            self.recount();
        }
    }

    /// A reader moved from `from` on, or left if `to` is `None`: what it alone held back goes.
    fn moved(&mut self, from: u64, to: Option<u64>, held: &AtomicU64) -> Option<Waker> {
        self.window?;
        let end = self.first_end();
        if from < end && to.is_none_or(|to| to >= end) && !self.pieces.is_empty() {
            self.behind = self.behind.saturating_sub(1);
            self.trim(held);
        }
        self.writer.take()
    }

    /// The bytes at `at`, to the end of their piece.
    fn piece(&self, at: u64) -> Option<Bytes> {
        let next = self.pieces.partition_point(|(start, _)| *start <= at);
        let (start, piece) = self.pieces.get(next.checked_sub(1)?)?;
        let skip = usize::try_from(at - start).ok()?;
        (skip < piece.len()).then(|| piece.slice(skip..))
    }
}

/// One reader's place in a fill. Leaving is dropping it.
pub(crate) struct FillReader {
    fill: Arc<Fill>,
    index: usize,
}

impl FillReader {
    /// The next bytes, at most `most`; `None` at the end of a whole body.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        most: u64,
    ) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut state = lock(&self.fill.state);
        let Some(at) = state.readers.get(self.index).and_then(Option::as_ref).map(|s| s.at) else {
            return Poll::Ready(Some(Err(Cut)));
        };
        if at < state.len {
            let Some(mut piece) = state.piece(at) else { return Poll::Ready(Some(Err(Cut))) };
            piece.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            let to = at + piece.len() as u64;
            if let Some(Some(seat)) = state.readers.get_mut(self.index) {
                seat.at = to;
            }
            let writer = state.moved(at, Some(to), &self.fill.held);
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match state.end {
            End::Whole => Poll::Ready(None),
            End::Cut => Poll::Ready(Some(Err(Cut))),
            End::Growing => {
                let seat = state.readers.get_mut(self.index).and_then(Option::as_mut);
                let old = seat.and_then(|seat| keep(&mut seat.waker, cx));
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl Drop for FillReader {
    fn drop(&mut self) {
        let mut state = lock(&self.fill.state);
        let Some(seat) = state.readers.get_mut(self.index).and_then(Option::take) else { return };
        let writer = state.moved(seat.at, None, &self.fill.held);
        state.free.push(self.index);
        if state.free.len() == state.readers.len() {
            // A crowd that left must not slow down every push.
            state.readers.clear();
            state.free.clear();
        }
        drop(state);
        drop(seat);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}
