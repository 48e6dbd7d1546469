//! Bodies as pull sources of frames.
//!
//! Pulling is the back-pressure: no frame is asked of a source until the sink can take it. A body
//! that has not been pulled to its end was cut short, and whoever writes it must make the cut
//! visible to its reader (invariant I4: never complete by accident).

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::{Data, Fields};

/// One pull's worth of a body.
#[derive(Debug)]
pub enum Frame {
    /// Content bytes; never empty.
    Data(Data),
    /// Trailer fields (RFC 9110 section 6.5); always the last frame.
    Trailers(Fields),
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The client closed or reset before its body was whole.
    ClientClosed,
    /// The client's body broke its framing; the text says how.
    ClientMalformed(&'static str),
    /// The client sent nothing for too long.
    ClientTimeout,
    /// The client's body is larger than the route allows.
    TooLarge,
    /// The origin closed or reset before its body was whole.
    UpstreamClosed,
    /// The origin's body broke its framing; the text says how.
    UpstreamMalformed(&'static str),
    /// The origin sent nothing for too long.
    UpstreamTimeout,
    /// The proxy is going away and the drain deadline has passed.
    Draining,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientClosed => f.write_str("client closed before its body was whole"),
            Self::ClientMalformed(why) => write!(f, "malformed request body: {why}"),
            Self::ClientTimeout => f.write_str("client sent nothing for too long"),
            Self::TooLarge => f.write_str("request body larger than the route allows"),
            Self::UpstreamClosed => f.write_str("origin closed before its body was whole"),
            Self::UpstreamMalformed(why) => write!(f, "malformed response body: {why}"),
            Self::UpstreamTimeout => f.write_str("origin sent nothing for too long"),
            Self::Draining => f.write_str("drain deadline passed"),
        }
    }
}

/// How long a body is, as far as its head told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is no body, and nothing declared one.
    Absent,
    /// Exactly this many bytes.
    Known(u64),
    /// Until it ends.
    Unknown,
}

/// Where frames come from.
pub trait Source {
    /// The next frame, `None` at the clean end. After `None` or an error it is not asked again.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>>;

    /// Makes progress that does not depend on the reader of this body: a body that comes from an
    /// origin goes on sending the request's body while its own reader is slow, so that two full
    /// pipes never wait for each other.
    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Gives the source back when nobody will pull it again: a connection at a message boundary
    /// returns to its pool, anything else is closed.
    fn release(self: Box<Self>) {}
}

/// Who wants to know how a body's journey ended: the record of the exchange.
pub trait Watch {
    /// `n` more content bytes were pulled.
    fn data(&mut self, n: usize);

    /// The journey is over: `Ok` once the last byte was handed to the reader's socket.
    fn close(self: Box<Self>, end: Result<(), BodyError>);
}

enum Kind {
    Empty,
    Whole(Bytes),
    Pulled(Box<dyn Source>),
}

/// A message's content.
pub struct Body {
    kind: Kind,
    length: Length,
    watch: Option<Box<dyn Watch>>,
    failed: Option<BodyError>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Body {
    /// No body at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self { kind: Kind::Empty, length: Length::Absent, watch: None, failed: None }
    }

    /// A body that is at hand as a whole; may be of zero length.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        let length = Length::Known(bytes.len() as u64);
        let kind = if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) };
        Self { kind, length, watch: None, failed: None }
    }

    /// A body that is pulled from `source`.
    #[must_use]
    pub fn pulled(source: Box<dyn Source>, length: Length) -> Self {
        Self { kind: Kind::Pulled(source), length, watch: None, failed: None }
    }

    /// How long the body is.
    #[must_use]
    pub const fn length(&self) -> Length {
        self.length
    }

    /// Whether no frame is left to pull.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Lets `watch` see what happens to this body; there is one watch a body.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.watch = Some(watch);
    }

    /// The next frame, `None` at the clean end.
    ///
    /// # Errors
    /// Why the body was cut; it then has no further frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let frame = match &mut self.kind {
            Kind::Empty => return Poll::Ready(self.failed.map(Err)),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Some(Ok(Frame::Data(bytes.into())))
            }
            Kind::Pulled(source) => match source.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => frame,
            },
        };
        match &frame {
            Some(Ok(Frame::Data(data))) => {
                if let Some(watch) = &mut self.watch {
                    watch.data(data.len());
                }
            }
            Some(Ok(Frame::Trailers(_))) => {}
            None => self.release(),
            Some(Err(error)) => {
                self.failed = Some(*error);
                self.release();
            }
        }
        Poll::Ready(frame)
    }

    /// The next frame, `None` at the clean end.
    ///
    /// # Errors
    /// Why the body was cut.
    pub async fn frame(&mut self) -> Option<Result<Frame, BodyError>> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// See [`Source::poll_drive`].
    pub fn poll_drive(&mut self, cx: &mut Context<'_>) {
        if let Kind::Pulled(source) = &mut self.kind {
            source.poll_drive(cx);
        }
    }

    /// Tells the watch how the journey ended. The wire calls this after the last byte was
    /// written (`Ok`) or when it gave up; a body dropped without it counts as cut.
    pub fn close(&mut self, end: Result<(), BodyError>) {
        self.release();
        if let Some(watch) = self.watch.take() {
            watch.close(end);
        }
    }

    /// The watch, if there is one: for a body that replaces this one.
    pub fn take_watch(&mut self) -> Option<Box<dyn Watch>> {
        self.watch.take()
    }

    fn release(&mut self) {
        if let Kind::Pulled(source) = std::mem::replace(&mut self.kind, Kind::Empty) {
            source.release();
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.release();
        if let Some(watch) = self.watch.take() {
            watch.close(Err(self.failed.unwrap_or(BodyError::ClientClosed)));
        }
    }
}
