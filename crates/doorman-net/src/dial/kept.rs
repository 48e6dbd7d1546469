//! What of a request can be sent again.
//!
//! A stream that the origin refuses was certainly not processed, so the request goes to another, if
//! its body can still be told from the beginning. What of it has been sent is kept for that while
//! it is short: calls of gRPC always have a body, and each restart of an origin would fail some.

use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Fields, Frame, Length, Source};

/// Bytes of a request's body that are kept until its response begins.
const KEPT_MAX: usize = 64 * 1024;

/// What was sent of a body, while it can be sent again.
pub(super) struct Kept(Option<Sent>);

#[derive(Default)]
struct Sent {
    pieces: Vec<Bytes>,
    size: usize,
    trailers: Option<Fields>,
}

impl Default for Kept {
    fn default() -> Self {
        Self(Some(Sent::default()))
    }
}

impl Kept {
    /// Keeps nothing from now on: nothing will be sent again.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// Keeps a piece for another try, without a copy.
    pub(super) fn keep(&mut self, data: Data) -> Data {
        let Some(sent) = &mut self.0 else { return data };
        if sent.size + data.len() > KEPT_MAX {
            self.0 = None;
            return data;
        }
        let bytes = match data {
            Data::Shared(bytes) => bytes,
            Data::Lent(chunk) => Bytes::from_owner(chunk),
        };
        sent.size += bytes.len();
        sent.pieces.push(bytes.clone());
        Data::Shared(bytes)
    }

    /// Keeps trailers for another try.
    pub(super) fn keep_trailers(&mut self, trailers: Fields) {
        if let Some(sent) = &mut self.0 {
            sent.trailers = Some(trailers);
        }
    }

    /// The body from its beginning, if that can still be told: what was sent, what was seen but not
    /// sent, and the rest.
    pub(super) fn again(
        &mut self,
        rest: Body,
        seen: Option<Frame>,
        length: Length,
    ) -> Option<Body> {
        let sent = self.0.take()?;
        if sent.size == 0 && sent.trailers.is_none() && seen.is_none() {
            return Some(rest);
        }
        let pieces = sent.pieces.into_iter().map(|bytes| Frame::Data(bytes.into()));
        let mut frames: Vec<Frame> = pieces.collect();
        frames.extend(sent.trailers.map(Frame::Trailers));
        frames.extend(seen);
        let again = Again { frames: frames.into_iter(), rest };
        Some(Body::pulled(Box::new(again), length))
    }
}

/// A body that was sent in part, from its beginning.
struct Again {
    frames: std::vec::IntoIter<Frame>,
    rest: Body,
}

impl Source for Again {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self.frames.next() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.rest.poll_frame(cx),
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.rest.poll_drive(cx);
    }
}
