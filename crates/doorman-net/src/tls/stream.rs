//! A stream under TLS, over rustls: both roles, to clients and to origins.
//!
//! It is ours for two reasons. A server's stream can be read while its handshake is under way, which is what early
//! data (RFC 8446 section 2.3) is for. And what has to be said last in a handshake waits for what is said first after
//! it, so that both leave in one write: a session ticket with a response, a client's Finished with a request.
//!
//! ```text
//! Shaking ── Finished ──────────────────────────────> Open
//!    └─ early data taken ─> Early ── Finished ─────────┘
//! ```
//!
//! Records that wait to be written are bounded by rustls (64 KiB), as is what was decrypted and not read yet: nothing
//! is read from the socket while some of it is there. A stream without traffic holds one read buffer of 4 KiB, rustls's
//! own.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{CommonState, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alarm::Alarm;
use crate::seam::{Glimpse, Stream};

/// A stream under TLS.
pub(crate) struct TlsStream<S> {
    io: S,
    session: Connection,
    /// Early data was taken, and some of it may still come or wait to be read.
    early: Option<Box<Early>>,
    /// We have said that nothing more comes from us.
    has_closed: bool,
}

/// Why a handshake that early data came ahead of was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It took too long.
    Late,
    /// The client went away or broke the rules.
    Failed,
}

/// Hears of the end of such a handshake, once.
type Ended = Box<dyn FnOnce(Result<(), Unfinished>)>;

#[derive(Default)]
struct Early {
    watch: Option<Watch>,
}

struct Watch {
    alarm: Alarm,
    ended: Ended,
}

impl<S: Stream> TlsStream<S> {
    /// A stream whose handshake is to be gone through, by [`Self::poll_handshake`] or [`Self::begin`].
    pub(crate) fn new(io: S, session: impl Into<Connection>) -> Self {
        Self { io, session: session.into(), early: None, has_closed: false }
    }

    /// What TLS has settled.
    pub(crate) fn session(&self) -> &CommonState {
        &self.session
    }

    /// The name that a client asked for.
    pub(crate) fn server_name(&self) -> Option<&str> {
        match &self.session {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// The stream below.
    pub(crate) const fn below(&mut self) -> &mut S {
        &mut self.io
    }

    /// The stream below, for what is to be said after TLS.
    pub(crate) fn into_below(self) -> S {
        self.io
    }

    /// Whether what is read now was sent ahead of the handshake, by somebody who has not yet proved to be there.
    pub(crate) fn is_early(&self) -> bool {
        self.early.is_some() && self.session.is_handshaking()
    }

    /// Has the rest of a handshake watched while the stream is used: `alarm` is its deadline, `ended` hears its end.
    pub(crate) fn watch(&mut self, alarm: Alarm, ended: Ended) {
        if let Some(early) = &mut self.early {
            early.watch = Some(Watch { alarm, ended });
        }
    }

    /// Takes up the rest of what came with a client's first message, and goes through the handshake; or, where there is
    /// early data, goes as far as to that.
    pub(crate) async fn begin(&mut self) -> io::Result<()> {
        poll_fn(|cx| Poll::Ready(self.take_up(cx))).await?;
        if let Connection::Server(server) = &mut self.session
            && server.early_data().is_some()
        {
            self.early = Some(Box::default());
            // Our part of the handshake. What does not leave now leaves when the stream is used.
            return poll_fn(|cx| match self.poll_write_out(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(())),
            })
            .await;
        }
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    /// Goes on with the handshake; ready when it is over.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.is_handshaking() {
            let turn = match self.poll_write_out(cx) {
                Poll::Ready(Ok(())) => self.poll_receive(cx),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            };
            match turn {
                Poll::Ready(Ok(n)) if n > 0 => {}
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_late(cx).map(Err),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// See [`Stream::poll_glimpse`]; of the stream below, once the handshake is over. Until then it goes on with that:
    /// whoever waits for something else must not keep a client's Finished from being seen.
    pub(crate) fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse> {
        if self.is_early() && ready!(self.poll_handshake(cx)).is_err() {
            return Poll::Ready(Glimpse::Reset);
        }
        self.io.poll_glimpse(cx)
    }

    /// Reads once from below, and takes up what came. Zero bytes: it has ended.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.session.read_tls(&mut Below { io: &mut self.io, cx });
        let n = match read {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => {
                self.end_early(Err(Unfinished::Failed));
                return Poll::Ready(Err(error));
            }
        };
        self.take_up(cx)?;
        if n == 0 && self.session.is_handshaking() {
            self.end_early(Err(Unfinished::Failed));
        }
        Poll::Ready(Ok(n))
    }

    /// Does what records that were read call for.
    fn take_up(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Err(error) = self.session.process_new_packets() {
            // It may have left an alert. Whether that gets there changes nothing.
            let _ = self.poll_write_out(cx);
            self.end_early(Err(Unfinished::Failed));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        if self.early.is_some() && !self.session.is_handshaking() {
            self.end_early(Ok(()));
        }
        Ok(())
    }

    /// Tells that the handshake behind early data is over.
    fn end_early(&mut self, how: Result<(), Unfinished>) {
        let watch = self.early.as_mut().and_then(|early| early.watch.take());
        if let Some(watch) = watch {
            (watch.ended)(how);
        }
    }

    /// Ready when the handshake behind early data has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let watch = self.early.as_mut().and_then(|early| early.watch.as_mut());
        let Some(watch) = watch else { return Poll::Pending };
        ready!(watch.alarm.poll(cx));
        self.end_early(Err(Unfinished::Late));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Reads early data. It all comes ahead of anything else.
    fn read_early(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
        let Connection::Server(server) = &mut self.session else { return Ok(0) };
        let Some(mut early) = server.early_data() else { return Ok(0) };
        let n = early.read(buffer.initialize_unfilled())?;
        buffer.advance(n);
        if n == 0 && !self.session.is_handshaking() {
            self.early = None;
        }
        Ok(n)
    }

    /// Writes the records that wait; ready when all have left.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Below { io: &mut self.io, cx }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts by `seal`, which says how much it took, and writes what that makes.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        mut seal: impl FnMut(&mut Connection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let n = seal(&mut self.session)?;
            let written = self.poll_write_out(cx)?;
            if n > 0 {
                return Poll::Ready(Ok(n));
            }
            // There was no room. There is when what waits has left, or, for what may not be said yet, when the
            // handshake is over; with early data it may.
            ready!(written);
            if self.early.is_none() {
                ready!(self.poll_handshake(cx))?;
            }
        }
    }
}

impl<S: Stream> AsyncRead for TlsStream<S> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.early.is_some() && this.read_early(buffer)? > 0 {
                return Poll::Ready(Ok(()));
            }
            match this.session.reader().read(buffer.initialize_unfilled()) {
                // None at all: the peer has said that nothing more comes.
                Ok(n) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Its end came without: it may have been cut (RFC 8446 section 6.1).
                Err(error) => return Poll::Ready(Err(error)),
            }
            if this.poll_receive(cx)?.is_pending() {
                // Nobody has said anything meanwhile that these could have left with. That they cannot leave is a
                // writer's matter: a peer that takes no more may have answered, and its answer is seen only in the next
                // turn.
                let _ = this.poll_write_out(cx);
                return this.poll_late(cx).map(Err);
            }
        }
    }
}

impl<S: Stream> AsyncWrite for TlsStream<S> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.get_mut().poll_seal(cx, |session| session.writer().write(bytes))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.get_mut().poll_seal(cx, |session| session.writer().write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_out(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.has_closed, true) {
            this.session.send_close_notify();
        }
        ready!(this.poll_write_out(cx))?;
        match ready!(Pin::new(&mut this.io).poll_shutdown(cx)) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

/// The stream below, as rustls wants it: what would have to wait is an error.
pub(crate) struct Below<'a, 'b, S> {
    pub(crate) io: &'a mut S,
    pub(crate) cx: &'a mut Context<'b>,
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: Stream> Read for Below<'_, '_, S> {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(room);
        now(Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl<S: Stream> Write for Below<'_, '_, S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.io).poll_write(self.cx, bytes))
    }

    /// Most writes are of one record, for which the system has a cheaper call.
    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => self.write(one),
            _ => now(Pin::new(&mut *self.io).poll_write_vectored(self.cx, slices)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
