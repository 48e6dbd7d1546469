//! The stream as the `h2` crate sees it: writes gather in a buffer, and leave when the connection's
//! task says so.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Watch;
use crate::Clock;
use crate::link::Link;
use crate::seam::Stream;

/// Bytes that may wait for a client that reads slowly; beyond it the crate has to wait.
const WAITING_MAX: usize = 128 * 1024;
/// A buffer that grew beyond this is freed once it is empty.
const KEPT_MAX: usize = 64 * 1024;

/// A link, and what waits to be written to it.
pub(super) struct Shared<S> {
    link: Link<S>,
    waiting: Vec<u8>,
    written: usize,
    watch: Watch,
    clock: Clock,
    /// The crate has more to write and waits for room.
    crate_waits: bool,
}

/// What came of a turn of writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything.
    All,
    /// What waited; the crate, which had found no room, has more.
    CrateHasMore,
}

impl<S: Stream> Shared<S> {
    pub(super) fn new(link: Link<S>, clock: Clock) -> Self {
        Self {
            link,
            waiting: Vec::new(),
            written: 0,
            watch: Watch::new(clock.instant()),
            clock,
            crate_waits: false,
        }
    }

    pub(super) const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Makes the close a reset.
    pub(super) fn abort(&mut self) {
        self.link.reset_on_close();
    }

    /// See [`Watch::refund`].
    pub(super) fn refund(&mut self, frames: u32) {
        self.watch.refund(frames);
    }

    pub(super) fn count_glitch(&mut self) {
        let clock = self.clock;
        self.watch.count(&|| clock.instant());
    }

    /// Writes what waits; ready once all of it has left.
    pub(super) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Written>> {
        ready!(self.poll_empty(cx))?;
        let crate_waited = std::mem::take(&mut self.crate_waits);
        Poll::Ready(Ok(if crate_waited { Written::CrateHasMore } else { Written::All }))
    }

    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.waiting.len() {
            let rest = &self.waiting[self.written..];
            let Poll::Ready(n) = Pin::new(&mut self.link).poll_write(cx, rest)? else {
                self.forget_written();
                return Poll::Pending;
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
            self.watch.wrote(n);
        }
        ready!(Pin::new(&mut self.link).poll_flush(cx))?;
        self.written = 0;
        self.waiting.clear();
        if self.waiting.capacity() > KEPT_MAX {
            self.waiting = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Frees what has left, so that a client that is always a little behind does not make the
    /// buffer grow for ever.
    fn forget_written(&mut self) {
        if self.written >= KEPT_MAX {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
    }

    /// Writes what waits and says that we are done; errors end it as well.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        Pin::new(&mut self.link).poll_shutdown(cx)
    }

    /// Reads and throws away; ready when the client has closed or sent more than `left` bytes.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.link).poll_read(cx, &mut buffer));
            let n = buffer.filled().len();
            if read.is_err() || n == 0 || n > *left {
                return Poll::Ready(());
            }
            *left -= n;
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.len() - self.written < WAITING_MAX {
            return Poll::Ready(Ok(()));
        }
        let emptied = self.poll_empty(cx);
        self.crate_waits = emptied.is_pending();
        emptied
    }
}

/// What the crate reads from and writes to.
pub(super) struct Coalesced<S>(Rc<RefCell<Shared<S>>>);

impl<S> Coalesced<S> {
    pub(super) const fn new(shared: Rc<RefCell<Shared<S>>>) -> Self {
        Self(shared)
    }
}

impl<S: Stream> AsyncRead for Coalesced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let shared = &mut *self.0.borrow_mut();
        if shared.watch.is_flooded() {
            // The connection's task looks at this next and ends the connection.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut shared.link).poll_read(cx, buffer))?;
        let clock = shared.clock;
        shared.watch.read(&buffer.filled()[before..], || clock.instant());
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Coalesced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *self.0.borrow_mut();
        ready!(shared.poll_room(cx))?;
        shared.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *self.0.borrow_mut();
        ready!(shared.poll_room(cx))?;
        for slice in slices {
            shared.waiting.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Not now: the connection's task writes once for all frames of this turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *self.0.borrow_mut();
        shared.poll_close(cx)
    }
}
