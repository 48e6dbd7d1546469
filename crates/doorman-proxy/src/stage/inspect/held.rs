//! A body that is held back, in the pieces that it came in.
//!
//! Pieces that fill their buffers are kept as they are and go on without a copy. Small ones are put
//! together: a buffer for each would let a client that sends byte by byte hold a thousand times what
//! it has sent.

use std::cell::Cell;
use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use doorman_http::{Body, BodyError, Data, Fields, Frame, LARGE, Length, SMALL, Source};

/// A shared piece that is shorter may belong to something much larger, and is copied.
const SHARED_MIN: usize = 4 * 1024;

/// Content that one core holds back at once, bytes. Rules keep about three times as much of it besides. Without a
/// bound, ten thousand uploads that never end would take all memory, each within its own.
const CORE_MAX: u64 = 128 << 20;

thread_local! {
    /// What this core holds back now.
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// A part of what a core may hold back, given back when it is dropped.
#[derive(Default)]
struct Share(u64);

impl Share {
    /// Takes so much more.
    fn take(&mut self, bytes: u64) {
        self.0 += bytes;
        HELD.set(HELD.get() + bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        HELD.set(HELD.get() - self.0);
    }
}

/// Whether this core holds back as much as it may.
pub(super) fn is_full_up() -> bool {
    HELD.get() >= CORE_MAX
}

/// What is held back of a body.
#[derive(Default)]
pub(super) struct Held {
    pieces: VecDeque<Data>,
    /// Small pieces, behind the others.
    tail: BytesMut,
    bytes: u64,
    share: Share,
    end: Option<Option<Fields>>,
}

impl Held {
    /// Takes a piece.
    pub(super) fn push(&mut self, data: Data) {
        self.bytes += data.len() as u64;
        self.share.take(data.len() as u64);
        if !is_full(&data) {
            return self.tail.extend_from_slice(data.as_slice());
        }
        self.flush();
        self.pieces.push_back(data);
    }

    /// Takes the end of a body that has trailers.
    pub(super) fn end(&mut self, trailers: Fields) {
        self.end = Some(Some(trailers));
    }

    /// Bytes of content.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            let tail: Bytes = self.tail.split().freeze();
            self.pieces.push_back(tail.into());
        }
    }

    /// The whole body again: what was held back, and then what is left of it. `length` is what it said.
    pub(super) fn join(mut self, rest: Body, length: Length) -> Body {
        self.flush();
        let is_whole = rest.is_finished() && self.end.is_none();
        if is_whole && self.pieces.len() <= 1 {
            return match self.pieces.pop_front() {
                Some(Data::Shared(bytes)) => Body::whole(bytes),
                Some(lent) => one(lent),
                None => Body::whole(Bytes::new()),
            };
        }
        let length = if is_whole { Length::Known(self.bytes) } else { length };
        let Self { pieces, share, end, .. } = self;
        Body::pulled(Box::new(Joined { pieces, _share: share, end, rest }), length)
    }
}

fn one(piece: Data) -> Body {
    let length = Length::Known(piece.len() as u64);
    let (pieces, _share) = (VecDeque::from([piece]), Share::default());
    Body::pulled(Box::new(Joined { pieces, _share, end: None, rest: Body::empty() }), length)
}

/// Whether a piece holds little more memory than it has bytes.
fn is_full(data: &Data) -> bool {
    match data {
        Data::Shared(bytes) => bytes.len() >= SHARED_MIN,
        Data::Lent(chunk) => {
            let whole = if chunk.capacity() > SMALL { LARGE } else { SMALL };
            chunk.filled().len() >= whole / 2
        }
    }
}

struct Joined {
    pieces: VecDeque<Data>,
    /// Held until the last of it is gone.
    _share: Share,
    /// The body's trailers, if its end was held back with them.
    end: Option<Option<Fields>>,
    rest: Body,
}

impl Source for Joined {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::Data(piece))));
        }
        match &mut self.end {
            Some(trailers) => {
                Poll::Ready(trailers.take().map(|fields| Ok(Frame::Trailers(fields))))
            }
            None => self.rest.poll_frame(cx),
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.rest.poll_drive(cx);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use doorman_http::Chunk;

    use super::*;

    fn lent(bytes: &[u8]) -> Data {
        let mut chunk = Chunk::small();
        chunk.append(bytes);
        Data::Lent(chunk)
    }

    fn pull(body: &mut Body) -> (Vec<u8>, usize, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut all, mut frames, mut trailers) = (Vec::new(), 0, false);
        while let Poll::Ready(Some(Ok(frame))) = body.poll_frame(&mut cx) {
            match frame {
                Frame::Data(data) => {
                    all.extend_from_slice(data.as_slice());
                    frames += 1;
                }
                Frame::Trailers(_) => trailers = true,
            }
        }
        (all, frames, trailers)
    }

    #[test]
    fn small_pieces_are_put_together_and_full_ones_kept() {
        let mut held = Held::default();
        let full = vec![b'x'; SMALL / 2];
        for piece in [&b"a"[..], b"b", &full, b"c", b"d"] {
            held.push(lent(piece));
        }
        assert_eq!(held.bytes(), SMALL as u64 / 2 + 4);
        let mut body = held.join(Body::empty(), Length::Unknown);
        assert_eq!(body.length(), Length::Known(SMALL as u64 / 2 + 4));
        let (all, frames, trailers) = pull(&mut body);
        assert_eq!(all, [b"ab", &full[..], b"cd"].concat());
        assert_eq!((frames, trailers), (3, false));
    }

    #[test]
    fn what_is_left_follows() {
        let mut held = Held::default();
        held.push(Data::Shared(Bytes::from_static(b"front ")));
        let mut body = held.join(Body::whole(Bytes::from_static(b"rest")), Length::Known(10));
        assert_eq!(body.length(), Length::Known(10));
        assert_eq!(pull(&mut body).0, b"front rest");
    }

    #[test]
    fn trailers_end_it_and_its_length_stays_unknown() {
        let mut held = Held::default();
        held.push(Data::Shared(Bytes::from_static(b"all")));
        held.end(Fields::default());
        let mut body = held.join(Body::empty(), Length::Unknown);
        assert_eq!(body.length(), Length::Unknown);
        assert_eq!(pull(&mut body), (b"all".to_vec(), 1, true));
    }

    #[test]
    fn nothing_is_nothing() {
        let body = Held::default().join(Body::empty(), Length::Unknown);
        assert!(body.is_finished());
    }

    #[test]
    fn what_is_held_is_given_back_however_it_ends() {
        let most = usize::try_from(CORE_MAX).unwrap();
        let mut held = Held::default();
        held.push(Bytes::from(vec![0; most]).into());
        assert!(is_full_up());
        drop(held);
        assert!(!is_full_up());
        let mut held = Held::default();
        for _ in 0..2 {
            held.push(Bytes::from(vec![0; most / 2]).into());
        }
        let mut body = held.join(Body::empty(), Length::Unknown);
        assert!(is_full_up());
        assert_eq!(pull(&mut body).0.len() as u64, CORE_MAX);
        drop(body);
        assert!(!is_full_up() && HELD.get() == 0);
    }
}
