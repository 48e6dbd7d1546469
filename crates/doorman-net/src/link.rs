//! A stream that may be wrapped in TLS, and the bytes waiting to be written to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use doorman_http::{Chunk, Data, SMALL};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::heads::Out;
use crate::seam::{Glimpse, Stream};
use crate::tls::TlsStream;

/// A stream, plain or under TLS. The TLS state is boxed, so that a plain connection does not pay
/// for its size.
pub(crate) enum Link<S> {
    /// As the network gave it.
    Plain(S),
    /// Under TLS, we being the one or the other.
    Tls(Box<TlsStream<S>>),
}

impl<S: Stream> Link<S> {
    /// See [`Stream::poll_glimpse`]; of the stream below TLS.
    pub(crate) fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse> {
        match self {
            Self::Plain(stream) => stream.poll_glimpse(cx),
            Self::Tls(tls) => tls.poll_glimpse(cx),
        }
    }

    /// Whether what is read now was sent ahead of the client's handshake.
    pub(crate) fn is_early(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.is_early(),
        }
    }

    /// Ready when the client's handshake is over.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_handshake(cx),
        }
    }

    /// See [`Stream::is_gone`].
    pub(crate) fn is_gone(&mut self) -> bool {
        self.stream().is_gone()
    }

    /// See [`Stream::has_news`]; of the stream below TLS.
    pub(crate) fn has_news(&mut self) -> bool {
        self.stream().has_news()
    }

    /// See [`Stream::reset_on_close`].
    pub(crate) fn reset_on_close(&mut self) {
        self.stream().reset_on_close();
    }

    fn stream(&mut self) -> &mut S {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.below(),
        }
    }

    /// Reads into the chunk's room. Zero bytes mean the peer has finished.
    #[inline]
    pub(crate) fn poll_read_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Chunk,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(chunk.room());
        ready!(Pin::new(self).poll_read(cx, &mut buffer))?;
        let n = buffer.filled().len();
        chunk.fill(n);
        Poll::Ready(Ok(n))
    }

    /// Reads what is there and throws it away, undeciphered: after our last word nobody looks at it. How
    /// much it was; zero bytes mean the peer has finished. Nothing can be read any more after it.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_discard(self.stream(), cx)
    }
}

/// Reads what is there and throws it away; see [`Link::poll_discard`].
pub(crate) fn poll_discard<S: Stream>(
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    // On the stack, for one call: a connection that ends holds no memory.
    let mut scratch = [0; 16 * 1024];
    let mut buffer = ReadBuf::new(&mut scratch);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

impl<S: Stream> AsyncRead for Link<S> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl<S: Stream> AsyncWrite for Link<S> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // Nothing is held back below us.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

/// A body piece up to this size is copied behind the head, so that both leave in one plain write;
/// above it a vectored write saves the copy. Measured: below 8 KiB the copy is the cheaper one.
pub(crate) const COPY_MAX: usize = 8 * 1024;

/// The chunk, or a larger one with its bytes, so that there is room to read into. A chunk that is
/// large and full stays full: the caller's bounds are below its size. One that was fitted becomes a
/// small one again.
pub(crate) fn with_room(mut chunk: Chunk) -> Chunk {
    if !chunk.room().is_empty() {
        return chunk;
    }
    chunk.compact();
    if !chunk.room().is_empty() {
        return chunk;
    }
    let mut larger = if chunk.len() < SMALL { Chunk::small() } else { Chunk::large() };
    larger.append(chunk.filled());
    larger
}

/// Cuts a chunk in two: the content at `content`, and what lies behind `consumed`, each if there is
/// any. Only if there are both, the shorter one is copied.
pub(crate) fn split(
    mut chunk: Chunk,
    content: std::ops::Range<usize>,
    consumed: usize,
) -> (Option<Chunk>, Option<Chunk>) {
    let copy = |bytes: &[u8]| {
        let mut copy = if bytes.len() > SMALL { Chunk::large() } else { Chunk::small() };
        copy.append(bytes);
        copy
    };
    let (wanted, left) = (content.len(), chunk.len() - consumed);
    match (wanted, left) {
        (0, 0) => (None, None),
        (_, 0) => {
            chunk.consume(content.start);
            chunk.truncate(wanted);
            (Some(chunk), None)
        }
        (0, _) => {
            chunk.consume(consumed);
            (None, Some(chunk))
        }
        _ if wanted <= left => {
            let front = copy(&chunk.filled()[content]);
            chunk.consume(consumed);
            (Some(front), Some(chunk))
        }
        _ => {
            let rest = copy(&chunk.filled()[consumed..]);
            chunk.consume(content.start);
            chunk.truncate(wanted);
            (Some(chunk), Some(rest))
        }
    }
}

/// Bytes on their way to a link: first what was encoded (heads, chunk sizes, small pieces), then
/// at most one large piece that is not copied, then its tail.
#[derive(Default)]
pub(crate) struct Outbox {
    out: Out,
    piece: Option<Data>,
    tail: &'static [u8],
}

impl Outbox {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.out.is_empty() && self.piece.is_none() && self.tail.is_empty()
    }

    /// Where heads are encoded. Only while no piece waits.
    pub(crate) fn encode(&mut self) -> &mut Vec<u8> {
        debug_assert!(
            self.piece.is_none() && self.tail.is_empty(),
            "a piece must leave before more is encoded"
        );
        self.out.buffer()
    }

    /// How many encoded bytes wait.
    pub(crate) fn encoded(&self) -> usize {
        self.out.pending().len()
    }

    /// Whether another small piece may be encoded before a write is due.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_none() && self.tail.is_empty() && self.encoded() < COPY_MAX
    }

    /// Adds a body piece and the bytes that follow it.
    pub(crate) fn add(&mut self, data: Data, tail: &'static [u8]) {
        if data.len() + self.encoded() <= COPY_MAX {
            let out = self.encode();
            out.extend_from_slice(data.as_slice());
            out.extend_from_slice(tail);
            return;
        }
        self.piece = Some(data);
        self.tail = tail;
    }

    /// Forgets everything.
    pub(crate) fn discard(&mut self) {
        self.out.reuse();
        self.piece = None;
        self.tail = b"";
    }

    /// Writes as much as the link takes; ready once all of it is written and flushed.
    pub(crate) fn poll_send<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link<S>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let n = match &self.piece {
                None if self.tail.is_empty() => {
                    ready!(Pin::new(&mut *link).poll_write(cx, self.out.pending()))?
                }
                piece => {
                    let piece = piece.as_ref().map_or(&b""[..], Data::as_slice);
                    let slices = [self.out.pending(), piece, self.tail].map(IoSlice::new);
                    let first = usize::from(self.out.is_empty());
                    ready!(Pin::new(&mut *link).poll_write_vectored(cx, &slices[first..]))?
                }
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        Pin::new(link).poll_flush(cx)
    }

    fn advance(&mut self, mut n: usize) {
        let encoded = n.min(self.encoded());
        if encoded > 0 {
            self.out.advance(encoded);
            n -= encoded;
        }
        if let Some(data) = &mut self.piece {
            let piece = n.min(data.len());
            bytes::Buf::advance(data, piece);
            n -= piece;
            if data.is_empty() {
                self.piece = None;
            }
        }
        self.tail = &self.tail[n.min(self.tail.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_cut_without_losing_a_byte() {
        let check = |content: std::ops::Range<usize>, consumed, front: &str, rest: &str| {
            let mut chunk = Chunk::small();
            chunk.append(b"0123456789");
            let (a, b) = split(chunk, content, consumed);
            let text = |chunk: Option<Chunk>| {
                chunk.map(|c| String::from_utf8_lossy(c.filled()).into_owned()).unwrap_or_default()
            };
            assert_eq!((text(a).as_str(), text(b).as_str()), (front, rest));
        };
        check(0..10, 10, "0123456789", "");
        check(2..8, 10, "234567", "");
        check(0..0, 10, "", "");
        check(0..0, 3, "", "3456789");
        check(1..3, 4, "12", "456789");
        check(1..8, 9, "1234567", "9");
    }
}
