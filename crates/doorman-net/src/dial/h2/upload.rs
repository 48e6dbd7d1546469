//! What is left to send of a request.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Frame, Length};
use h2::{Reason, SendStream};

use crate::dial::kept::Kept;
use crate::http2::fields;
use crate::http2::gather::gather;

/// The way of a body to the origin.
pub(super) struct Upload {
    body: Option<Body>,
    length: Length,
    /// What is missing of a declared length.
    left: Option<u64>,
    /// A piece that waits for the origin's window.
    piece: Option<Data>,
    /// What came behind that piece.
    following: Option<Frame>,
    /// Nothing comes behind that piece.
    body_ended: bool,
    stage: Stage,
    kept: Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not before the origin says `100 Continue`, or opens the tunnel.
    Held,
    Sending,
    Done,
    /// The origin does not want the rest; it may still answer.
    Refused,
    /// The client's body failed.
    Failed(BodyError),
}

impl Upload {
    pub(super) fn new(body: Option<Body>, stage: Stage) -> Self {
        let length = body.as_ref().map_or(Length::Absent, Body::length);
        let left = match length {
            Length::Known(n) => Some(n),
            Length::Absent | Length::Unknown => None,
        };
        let stage = if body.is_some() { stage } else { Stage::Done };
        let kept = Kept::default();
        Self { body, length, left, piece: None, following: None, body_ended: false, stage, kept }
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the origin's window is waited for.
    pub(super) const fn waits_for_origin(&self) -> bool {
        self.piece.is_some()
    }

    /// Lets a held body go.
    pub(super) fn let_go(&mut self) {
        if self.stage == Stage::Held {
            self.stage = Stage::Sending;
        }
    }

    /// Gives the rest up.
    pub(super) fn give_up(&mut self) {
        if matches!(self.stage, Stage::Held | Stage::Sending) {
            self.stage = Stage::Refused;
        }
        self.piece = None;
    }

    /// Nothing will be sent again: the response has begun.
    pub(super) fn forget(&mut self) {
        self.kept.forget();
    }

    /// The body from its beginning, if that can still be told.
    pub(super) fn again(&mut self) -> Option<Body> {
        let body = self.body.take()?;
        if matches!(self.stage, Stage::Failed(_)) {
            return None;
        }
        self.kept.again(body, self.following.take(), self.length)
    }

    /// Sends what can be sent. Pending while the client or the origin's window is waited for.
    pub(super) fn poll(&mut self, stream: &mut SendStream<Data>, cx: &mut Context<'_>) -> Poll<()> {
        while self.stage == Stage::Sending {
            if self.piece.is_some() {
                if self.poll_piece(stream, cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            let frame = match self.following.take() {
                Some(frame) => Some(Ok(frame)),
                None => match self.pull(cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => return Poll::Pending,
                },
            };
            let frame = match frame {
                Some(Ok(Frame::Data(data))) => Some(self.join(data, cx).map(Frame::Data)),
                frame => frame,
            };
            self.take(frame, stream);
        }
        Poll::Ready(())
    }

    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match &mut self.body {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    /// Adds to a piece what is at hand behind it.
    fn join(&mut self, data: Data, cx: &mut Context<'_>) -> Result<Data, BodyError> {
        let (data, following) = gather(data, || self.pull(cx));
        match following {
            None => {}
            Some(None) => self.body_ended = true,
            Some(Some(frame)) => self.following = Some(frame?),
        }
        Ok(data)
    }

    fn take(&mut self, frame: Option<Result<Frame, BodyError>>, stream: &mut SendStream<Data>) {
        match frame {
            Some(Ok(Frame::Data(data))) => {
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(data.len() as u64);
                }
                self.piece = Some(self.kept.keep(data));
            }
            Some(Ok(Frame::Trailers(trailers))) => {
                let map = fields::trailer_map(&trailers);
                self.kept.keep_trailers(trailers);
                self.end(stream.send_trailers(map));
            }
            None => self.end(stream.send_data(Data::Shared(Bytes::new()), true)),
            Some(Err(error)) => self.fail(error, stream),
        }
    }

    fn fail(&mut self, error: BodyError, stream: &mut SendStream<Data>) {
        // A cut body must look cut (invariant I4).
        stream.send_reset(Reason::CANCEL);
        self.stage = Stage::Failed(error);
        self.body = None;
    }

    fn end(&mut self, sent: Result<(), h2::Error>) {
        self.stage = if sent.is_ok() { Stage::Done } else { Stage::Refused };
    }

    fn poll_piece(&mut self, stream: &mut SendStream<Data>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(data) = self.piece.take() else { return Poll::Ready(()) };
        stream.reserve_capacity(data.len().max(1));
        let granted = match poll_window(stream, cx) {
            Poll::Ready(Some(granted)) => granted,
            Poll::Ready(None) => {
                self.give_up();
                return Poll::Ready(());
            }
            Poll::Pending => {
                self.piece = Some(data);
                return Poll::Pending;
            }
        };
        if granted < data.len() {
            let mut bytes = match data {
                Data::Shared(bytes) => bytes,
                Data::Lent(chunk) => Bytes::from_owner(chunk),
            };
            let part = bytes.split_to(granted);
            self.piece = Some(Data::Shared(bytes));
            if stream.send_data(part.into(), false).is_err() {
                self.give_up();
            }
            return Poll::Ready(());
        }
        // A sized body is whole with its last byte; of another one frame ahead is looked at, so
        // that its last one can carry END_STREAM.
        let mut ends = self.left == Some(0) || self.body_ended;
        if !ends
            && self.following.is_none()
            && let Poll::Ready(frame) = self.pull(cx)
        {
            match frame {
                Some(Err(error)) => {
                    self.fail(error, stream);
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => self.following = Some(frame),
                None => ends = true,
            }
        }
        match stream.send_data(data, ends) {
            Ok(()) if ends => self.stage = Stage::Done,
            Ok(()) => {}
            Err(_) => self.give_up(),
        }
        Poll::Ready(())
    }
}

/// Ready with what the origin's window and the crate's buffer take, or with nothing when the stream
/// is over.
fn poll_window(stream: &mut SendStream<Data>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
    // A window that is large enough already is not announced again.
    if stream.capacity() > 0 {
        return Poll::Ready(Some(stream.capacity()));
    }
    loop {
        match ready!(stream.poll_capacity(cx)) {
            // News of a window that was taken back since: nobody is woken for the next one yet.
            Some(Ok(0)) => {}
            Some(Ok(n)) => return Poll::Ready(Some(n)),
            None | Some(Err(_)) => return Poll::Ready(None),
        }
    }
}
