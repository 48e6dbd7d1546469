//! The two halves of a stream.
//!
//! The library ends what is dropped as if it were whole. A message that was cut must look cut
//! (invariant I4), so a half that is dropped before its end is reset here.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use doorman_h3::{Code, Fault, MessageReader, Piece, Sender};
use doorman_http::Chunk;
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};

/// Bytes that are taken of a stream at once where frames are looked for.
const READ_MAX: usize = 16 * 1024;

pub(crate) const fn number(code: Code) -> VarInt {
    VarInt::from_u32(code.number())
}

/// Why a half ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The peer reset it, or the connection is gone.
    Gone,
    /// The peer broke the rules of the connection.
    Fault(Fault),
}

impl From<Fault> for Cut {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a peer sends on a request stream.
pub(crate) struct Reading {
    stream: RecvStream,
    frames: MessageReader,
    /// What was read and not yet looked at.
    input: Bytes,
    /// The stream's end was seen, or the peer's reset, or we told it to stop.
    is_over: bool,
    /// What the peer reset it with.
    reset: Option<u64>,
    /// What the peer is told when we want no more.
    farewell: Code,
}

impl Reading {
    /// A request's. The rest of one that was answered is not needed (RFC 9114 section 4.1).
    pub(crate) fn new(stream: RecvStream, section_max: usize) -> Self {
        Self::of(Sender::Client, stream, section_max, Code::NoError)
    }

    /// A response's. One that nobody wants any more is cancelled.
    pub(crate) fn of_response(stream: RecvStream, section_max: usize) -> Self {
        Self::of(Sender::Server, stream, section_max, Code::RequestCancelled)
    }

    fn of(sender: Sender, stream: RecvStream, section_max: usize, farewell: Code) -> Self {
        let frames = MessageReader::of(sender, section_max);
        Self { stream, frames, input: Bytes::new(), is_over: false, reset: None, farewell }
    }

    /// See [`MessageReader::was_interim`].
    pub(crate) const fn was_interim(&mut self) {
        self.frames.was_interim();
    }

    /// What the peer reset the stream with, if it did.
    pub(crate) const fn reset(&self) -> Option<u64> {
        self.reset
    }

    /// The next piece, `None` at a clean end behind a request or ahead of one.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, Cut>> {
        loop {
            if let Some(piece) = self.frames.read(&mut self.input)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.is_over {
                return Poll::Ready(Ok(None));
            }
            let read = ready!(pin!(self.stream.read_chunk(READ_MAX, true)).poll(cx));
            match read {
                Ok(Some(chunk)) => self.input = chunk.bytes,
                Ok(None) => {
                    self.is_over = true;
                    self.frames.end()?;
                }
                Err(error) => return Poll::Ready(Err(self.cut(&error))),
            }
        }
    }

    /// Content, read straight into `chunk`, where the stream stands within a frame of it: packets are
    /// small, and each piece costs a write to the origin. `Ok(false)` where it does not stand so.
    pub(crate) fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Chunk,
    ) -> Poll<Result<bool, Cut>> {
        let left = self.frames.content_left().filter(|_| self.is_within_content());
        let Some(left) = left else { return Poll::Ready(Ok(false)) };
        let room = chunk.room();
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        match ready!(self.stream.poll_read(cx, &mut room[..n])) {
            Ok(0) => {
                self.is_over = true;
                self.frames.end()?;
                Poll::Ready(Ok(false))
            }
            Ok(n) => {
                chunk.fill(n);
                self.frames.took_content(n);
                Poll::Ready(Ok(true))
            }
            Err(error) => Poll::Ready(Err(self.cut(&error))),
        }
    }

    /// Whether the next bytes of the stream are content, as far as it is known.
    pub(crate) fn is_within_content(&self) -> bool {
        self.input.is_empty() && !self.is_over && self.frames.content_left().is_some()
    }

    fn cut(&mut self, error: &ReadError) -> Cut {
        self.is_over = true;
        if let ReadError::Reset(code) = error {
            self.reset = Some((*code).into());
        }
        Cut::Gone
    }

    /// See [`MessageReader::take_glitches`].
    pub(crate) const fn take_glitches(&mut self) -> u32 {
        self.frames.take_glitches()
    }

    /// Asks the peer to stop sending.
    pub(crate) fn stop(&mut self, code: Code) {
        if !self.is_over {
            self.is_over = true;
            let _ = self.stream.stop(number(code));
        }
        self.input.clear();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop(self.farewell);
    }
}

/// What we send on a stream.
pub(crate) struct Writing {
    stream: SendStream,
    /// Frame heads and small pieces, waiting to be written together.
    out: Vec<u8>,
    /// What is being written: what was in `out`, and a large piece behind it.
    queue: [Bytes; 2],
    is_over: bool,
}

impl Writing {
    pub(crate) const fn new(stream: SendStream) -> Self {
        Self { stream, out: Vec::new(), queue: [Bytes::new(), Bytes::new()], is_over: false }
    }

    /// Where frames are encoded; what is written here leaves with the next flush.
    pub(crate) const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether a large piece may be added.
    pub(crate) fn takes_piece(&self) -> bool {
        self.queue.iter().all(Bytes::is_empty)
    }

    /// Adds a large piece behind what was encoded.
    pub(crate) fn piece(&mut self, piece: Bytes) {
        debug_assert!(self.takes_piece(), "a piece must leave first");
        self.queue = [std::mem::take(&mut self.out).into(), piece];
    }

    /// Ready once the connection has taken everything.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        loop {
            if self.takes_piece() {
                if self.out.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.queue[0] = std::mem::take(&mut self.out).into();
            }
            let first = usize::from(!self.queue[0].has_remaining());
            ready!(pin!(self.stream.write_chunks(&mut self.queue[first..])).poll(cx))?;
        }
    }

    /// Ends the stream. Only right behind a flush.
    pub(crate) fn finish(&mut self) {
        self.is_over = true;
        let _ = self.stream.finish();
    }

    /// Cuts the stream.
    pub(crate) fn reset(&mut self, code: Code) {
        if !self.is_over {
            self.is_over = true;
            let _ = self.stream.reset(number(code));
        }
    }

    /// The stream's number (RFC 9000 section 2.1).
    pub(crate) fn id(&self) -> u64 {
        VarInt::from(self.stream.id()).into()
    }

    /// Ready when the peer wants no more of the stream, or has all of it.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + 'static {
        let stopped = self.stream.stopped();
        async move {
            let _ = stopped.await;
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.reset(Code::RequestCancelled);
    }
}
