//! What is left to send of a request.

use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_h3::{Code, write_data_head, write_trailers};
use doorman_http::{Body, BodyError, Data, Frame, Length};

use crate::dial::kept::Kept;
use crate::http3::halves::Writing;
use crate::link::COPY_MAX;

/// The way of a body to the origin.
pub(super) struct Upload {
    body: Option<Body>,
    length: Length,
    /// What is missing of a declared length, which goes as one DATA frame.
    left: Option<u64>,
    stage: Stage,
    /// What was encoded waits for the origin's window.
    waits: bool,
    kept: Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not before the origin says `100 Continue`.
    Held,
    Sending,
    /// All is encoded; the stream ends when it has left.
    Ending,
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
            Length::Known(n) if body.is_some() => Some(n),
            _ => None,
        };
        let stage = if body.is_some() { stage } else { Stage::Ending };
        Self { body, length, left, stage, waits: false, kept: Kept::default() }
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the origin's window is waited for.
    pub(super) const fn waits_for_origin(&self) -> bool {
        self.waits
    }

    /// Lets a held body go.
    pub(super) fn let_go(&mut self) {
        if self.stage == Stage::Held {
            self.stage = Stage::Sending;
        }
    }

    /// Gives the rest up.
    pub(super) fn give_up(&mut self) {
        if matches!(self.stage, Stage::Held | Stage::Sending | Stage::Ending) {
            self.stage = Stage::Refused;
        }
        self.waits = false;
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
        self.kept.again(body, None, self.length)
    }

    /// Sends what can be sent. Pending while the client or the origin's window is waited for.
    pub(super) fn poll(&mut self, writing: &mut Writing, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let is_drained = self.encode(writing, cx);
            if matches!(self.stage, Stage::Done | Stage::Refused | Stage::Failed(_)) {
                return Poll::Ready(());
            }
            match writing.poll_flush(cx) {
                Poll::Pending => {
                    self.waits = true;
                    return Poll::Pending;
                }
                // The origin wants no more, or the connection is gone: the response tells.
                Poll::Ready(Err(_)) => self.give_up(),
                Poll::Ready(Ok(())) => self.waits = false,
            }
            match self.stage {
                Stage::Ending => {
                    writing.finish();
                    self.stage = Stage::Done;
                }
                Stage::Sending if is_drained => return Poll::Pending,
                Stage::Sending => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Encodes what the client has sent, up to what leaves in one write; says whether that is all.
    fn encode(&mut self, writing: &mut Writing, cx: &mut Context<'_>) -> bool {
        while self.stage == Stage::Sending {
            if !writing.takes_piece() || writing.out().len() >= COPY_MAX {
                return false;
            }
            let pulled = match &mut self.body {
                Some(body) => body.poll_frame(cx),
                None => Poll::Ready(None),
            };
            let Poll::Ready(frame) = pulled else { return true };
            if let Err(error) = self.take(frame, writing) {
                // A cut body must look cut (invariant I4).
                writing.reset(Code::RequestCancelled);
                self.stage = Stage::Failed(error);
                self.body = None;
            }
        }
        false
    }

    fn take(
        &mut self,
        frame: Option<Result<Frame, BodyError>>,
        writing: &mut Writing,
    ) -> Result<(), BodyError> {
        match frame.transpose()? {
            Some(Frame::Data(data)) => {
                let data = self.kept.keep(data);
                self.frame(data.len() as u64, writing)?;
                if data.len() <= COPY_MAX {
                    // The buffer it came in is larger, and would wait for the acknowledgement.
                    writing.out().extend_from_slice(data.as_slice());
                    return Ok(());
                }
                writing.piece(match data {
                    Data::Shared(bytes) => bytes,
                    Data::Lent(chunk) => Bytes::from_owner(chunk),
                });
                return Ok(());
            }
            Some(Frame::Trailers(trailers)) => {
                write_trailers(&trailers, writing.out());
                self.kept.keep_trailers(trailers);
            }
            None => {}
        }
        if self.left.is_some_and(|left| left > 0) {
            return Err(BodyError::ClientMalformed("content is shorter than declared"));
        }
        self.stage = Stage::Ending;
        Ok(())
    }

    /// Writes the head of the frame that `n` bytes of content stand in, unless they go on in one.
    fn frame(&mut self, n: u64, writing: &mut Writing) -> Result<(), BodyError> {
        let Some(left) = self.left else {
            write_data_head(n, writing.out());
            return Ok(());
        };
        if Length::Known(left) == self.length {
            write_data_head(left, writing.out());
        }
        let longer = BodyError::ClientMalformed("content is longer than declared");
        self.left = Some(left.checked_sub(n).ok_or(longer)?);
        Ok(())
    }
}
