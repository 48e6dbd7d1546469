//! The stream as the `h2` crate sees it: writes gather in a buffer, and leave when the connection's
//! task says so. Whoever serves the connection may look at the bytes as they pass.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use doorman_http::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Clock;
use crate::link::Link;
use crate::seam::Stream;

/// Bytes that may wait for a client that reads slowly; beyond it the crate has to wait.
const WAITING_MAX: usize = 128 * 1024;
/// A buffer that grew beyond this is freed once it is empty.
const KEPT_MAX: usize = 64 * 1024;

/// Who looks at the bytes of a connection as they pass.
pub(crate) trait Observe {
    /// Bytes came. `now` reads the clock.
    fn read(&mut self, bytes: &[u8], now: impl Fn() -> Instant);

    /// So many bytes left.
    fn wrote(&mut self, n: usize);

    /// Whether nothing more is to be read: the connection's task ends it next.
    fn has_enough(&self) -> bool;
}

/// A link, and what waits to be written to it.
pub(crate) struct Shared<S, O> {
    link: Link<S>,
    waiting: Vec<u8>,
    written: usize,
    observer: O,
    clock: Clock,
    /// The crate has more to write and waits for room.
    crate_waits: bool,
}

/// What came of a turn of writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Everything.
    All,
    /// What waited; the crate, which had found no room, has more.
    CrateHasMore,
}

impl<S: Stream, O: Observe> Shared<S, O> {
    pub(crate) fn new(link: Link<S>, observer: O, clock: Clock) -> Self {
        Self { link, waiting: Vec::new(), written: 0, observer, clock, crate_waits: false }
    }

    pub(crate) const fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Writes what waits; ready once all of it has left.
    pub(crate) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Written>> {
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
            self.observer.wrote(n);
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
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        Pin::new(&mut self.link).poll_shutdown(cx)
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
pub(crate) struct Coalesced<S, O>(Rc<RefCell<Shared<S, O>>>);

impl<S, O> Coalesced<S, O> {
    pub(crate) const fn new(shared: Rc<RefCell<Shared<S, O>>>) -> Self {
        Self(shared)
    }
}

impl<S: Stream, O: Observe> AsyncRead for Coalesced<S, O> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let shared = &mut *self.0.borrow_mut();
        if shared.observer.has_enough() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let clock = shared.clock;
        ready!(Pin::new(&mut shared.link).poll_read(cx, buffer))?;
        shared.observer.read(&buffer.filled()[before..], || clock.instant());
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream, O: Observe> AsyncWrite for Coalesced<S, O> {
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
