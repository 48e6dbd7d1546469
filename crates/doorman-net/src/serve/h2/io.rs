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
}

impl<S: Stream> Shared<S> {
    pub(super) fn new(link: Link<S>, clock: Clock) -> Self {
        Self { link, waiting: Vec::new(), written: 0, watch: Watch::new(clock.instant()), clock }
    }

    pub(super) const fn is_flooded(&self) -> bool {
        self.watch.is_flooded()
    }

    pub(super) fn count_glitch(&mut self) {
        let clock = self.clock;
        self.watch.count(&|| clock.instant());
    }

    /// Writes what waits. Ready with whether there was anything, once all of it has left.
    pub(super) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(false));
        }
        while self.written < self.waiting.len() {
            let n = ready!(Pin::new(&mut self.link).poll_write(cx, &self.waiting[self.written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        ready!(Pin::new(&mut self.link).poll_flush(cx))?;
        self.written = 0;
        self.waiting.clear();
        if self.waiting.capacity() > KEPT_MAX {
            self.waiting = Vec::new();
        }
        Poll::Ready(Ok(true))
    }

    /// Writes what waits and closes; errors end it as well.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_write_out(cx)).is_err() {
            return Poll::Ready(());
        }
        Pin::new(&mut self.link).poll_shutdown(cx).map(|_| ())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.len() - self.written >= WAITING_MAX {
            ready!(self.poll_write_out(cx))?;
        }
        Poll::Ready(Ok(()))
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
        ready!(shared.poll_write_out(cx))?;
        Pin::new(&mut shared.link).poll_shutdown(cx)
    }
}
