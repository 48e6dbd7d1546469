//! Responses to frames, and the output.

use doorman_http::{Fields, ResponseHead};

use super::{Connection, OUTPUT_KEPT_MAX, OUTPUT_MAX};
use crate::frame::{HEAD, Head, PAYLOAD_MAX, flag, kind};
use crate::response::{End, write_response, write_trailers};
use crate::streams::{For, Stream};

impl Connection {
    /// What is to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.get(self.written..).unwrap_or_default()
    }

    /// Hears that `n` bytes of the output were written.
    pub fn wrote(&mut self, n: usize) {
        self.budget.wrote(n);
        self.written += n;
        if self.written >= self.output.len() {
            self.written = 0;
            self.tail = None;
            self.output.clear();
            if self.output.capacity() > OUTPUT_KEPT_MAX || self.streams.len() == 0 {
                self.output = Vec::new();
            }
        } else if self.written >= OUTPUT_KEPT_MAX {
            // A client that is always a little behind must not make the buffer grow for ever.
            self.output.drain(..self.written);
            self.tail = self.tail.and_then(|(at, id)| Some((at.checked_sub(self.written)?, id)));
            self.written = 0;
        }
    }

    /// Whether the output takes more of responses.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.output.len() - self.written < OUTPUT_MAX
    }

    /// Says that the stream waits to send a head until the output has room.
    pub fn wait_for_room(&mut self, stream: Stream) {
        if let Some(state) = self.streams.get(stream) {
            state.waits = Some(For::Head);
        }
    }

    /// Sends a head, interim or final, unless the stream was cut. `length` is what it declares of its
    /// content.
    pub fn head(&mut self, stream: Stream, head: &ResponseHead, length: Option<u64>, end: End) {
        let Some(state) = self.streams.get(stream) else { return };
        if state.cut.is_some() || state.has_sent_end {
            return;
        }
        state.has_sent_end = end == End::Here;
        let (encoder, output) = (&mut self.encoder, &mut self.output);
        write_response(encoder, stream.id(), head, length, end, output);
    }

    /// What the windows and the output take of content now. If it is nothing, the stream waits.
    pub fn capacity(&mut self, stream: Stream) -> usize {
        let room = OUTPUT_MAX.saturating_sub(self.output.len() - self.written);
        let send = self.send;
        let Some(state) = self.streams.get(stream) else { return 0 };
        let window = usize::try_from(state.send.min(send)).unwrap_or(0);
        let capacity = room.min(window);
        if capacity == 0 {
            state.waits = Some(For::Content);
        }
        capacity
    }

    /// Sends the front of `content` and says how much that was.
    pub fn data(&mut self, stream: Stream, content: &[u8]) -> usize {
        let n = self.capacity(stream).min(content.len());
        let Some(state) = self.streams.get(stream) else { return 0 };
        if n == 0 || state.cut.is_some() || state.has_sent_end {
            return 0;
        }
        let spent = i64::try_from(n).unwrap_or(i64::MAX);
        state.send -= spent;
        self.send -= spent;
        let content = content.get(..n).unwrap_or_default();
        if !self.extend(stream, content) {
            self.output.reserve(n + HEAD * n.div_ceil(PAYLOAD_MAX));
            for piece in content.chunks(PAYLOAD_MAX) {
                self.tail = Some((self.output.len(), stream.id()));
                let id = stream.id();
                Head { length: piece.len(), kind: kind::DATA, flags: 0, stream: id }
                    .write(&mut self.output);
                self.output.extend_from_slice(piece);
            }
        }
        n
    }

    /// Adds content to the last frame, if that is the stream's and has not begun to leave: a peer
    /// counts small frames, since each costs it more than its bytes.
    fn extend(&mut self, stream: Stream, content: &[u8]) -> bool {
        let Some(at) = self.tail_of(stream) else { return false };
        let length = self.output.len() - at - HEAD + content.len();
        if length > PAYLOAD_MAX {
            return false;
        }
        let [.., a, b, c] = length.to_be_bytes();
        if let Some(place) = self.output.get_mut(at..at + 3) {
            place.copy_from_slice(&[a, b, c]);
        }
        self.output.extend_from_slice(content);
        true
    }

    /// Where the last frame begins, if it is the stream's and DATA. Whatever else was written behind
    /// it made it another's.
    fn tail_of(&self, stream: Stream) -> Option<usize> {
        let (at, id) = self.tail?;
        let head = Head::read(self.output.get(at..)?)?;
        let is_last = at + HEAD + head.length == self.output.len();
        (id == stream.id() && at >= self.written && is_last).then_some(at)
    }

    /// Ends a response whose head is sent.
    pub fn finish(&mut self, stream: Stream) {
        let tail = self.tail_of(stream);
        let Some(state) = self.streams.get(stream) else { return };
        if state.cut.is_some() || state.has_sent_end {
            return;
        }
        state.has_sent_end = true;
        match tail.and_then(|at| self.output.get_mut(at + 4)) {
            Some(flags) => *flags |= flag::END_STREAM,
            None => {
                let flags = flag::END_STREAM;
                Head { length: 0, kind: kind::DATA, flags, stream: stream.id() }
                    .write(&mut self.output);
            }
        }
    }

    /// Ends a response with trailers.
    pub fn trailers(&mut self, stream: Stream, fields: &Fields) {
        let Some(state) = self.streams.get(stream) else { return };
        if state.cut.is_some() || state.has_sent_end {
            return;
        }
        state.has_sent_end = true;
        write_trailers(&mut self.encoder, stream.id(), fields, &mut self.output);
    }
}
