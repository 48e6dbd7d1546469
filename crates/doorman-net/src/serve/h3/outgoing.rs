//! A response's content and trailers, handed to its stream as the client takes them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Frame, Length, ResponseHead};

use super::stream::Talk;
use crate::link::COPY_MAX;
use crate::serve::ledger::Running;
use crate::serve::pace::Pace;

/// The length that a response's head declares.
pub(super) fn declared(head: &ResponseHead, length: Length) -> Option<u64> {
    let declared = match length {
        Length::Known(n) => Some(n),
        Length::Absent => head.declared_length,
        Length::Unknown => None,
    };
    declared.filter(|_| !matches!(head.status, 100..=199 | 204))
}

/// Moves frames from a body to a stream, at the client's pace. Content of a known length goes as one
/// DATA frame, whatever pieces it comes in.
pub(super) struct Pump<'a, G> {
    body: &'a mut Body,
    talk: &'a Talk,
    running: &'a Running,
    pace: Pace,
    gone: Pin<&'a mut G>,
    /// What is left of the one frame.
    left: Option<u64>,
}

impl<'a, G: Future<Output = ()>> Pump<'a, G> {
    pub(super) fn new(
        body: &'a mut Body,
        talk: &'a Talk,
        running: &'a Running,
        pace: Pace,
        gone: Pin<&'a mut G>,
    ) -> Self {
        Self { body, talk, running, pace, gone, left: None }
    }

    pub(super) async fn run(&mut self) -> Result<(), BodyError> {
        if let Length::Known(length) = self.body.length() {
            doorman_h3::write_data_head(length, self.talk.writing.borrow_mut().out());
            self.left = Some(length);
        }
        loop {
            match poll_fn(|cx| self.poll_next(cx)).await? {
                Some(Frame::Data(data)) => self.send(data).await?,
                Some(Frame::Trailers(fields)) => {
                    self.check_end()?;
                    let mut writing = self.talk.writing.borrow_mut();
                    doorman_h3::write_trailers(&fields, writing.out());
                }
                None => {
                    self.check_end()?;
                    return self.flush().await;
                }
            }
        }
    }

    /// Waits until the connection has taken all that was written.
    pub(super) async fn flush(&mut self) -> Result<(), BodyError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// The next frame. What was written leaves meanwhile: a head must not wait for its content.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, BodyError>> {
        let may_take = self.running.ledger().poll_room(self.body.length(), cx).is_ready();
        if may_take && let Poll::Ready(frame) = self.body.poll_frame(cx) {
            return Poll::Ready(frame.transpose());
        }
        // The client is waited for only while it does not take what is there.
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => self.pace.stop(),
            Poll::Pending => {}
        }
        self.poll_gone(cx)
    }

    /// Ready when the client wants no more.
    fn poll_gone<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, BodyError>> {
        self.body.poll_drive(cx);
        self.gone.as_mut().poll(cx).map(|()| Err(BodyError::ClientClosed))
    }

    async fn send(&mut self, data: Data) -> Result<(), BodyError> {
        let n = data.len();
        match &mut self.left {
            Some(left) => {
                *left = left
                    .checked_sub(n as u64)
                    .ok_or(BodyError::UpstreamMalformed("content is longer than declared"))?;
            }
            None => {
                doorman_h3::write_data_head(n as u64, self.talk.writing.borrow_mut().out());
            }
        }
        if n <= COPY_MAX {
            // The buffer it came in is larger, and would wait for the client's acknowledgement.
            if self.copy(data.as_slice()) >= COPY_MAX {
                self.flush().await?;
            }
        } else {
            let holding = self.running.hold(n);
            self.flush_queue().await?;
            self.talk.writing.borrow_mut().piece(match data {
                Data::Shared(bytes) => bytes,
                Data::Lent(chunk) => Bytes::from_owner(chunk),
            });
            self.flush().await?;
            drop(holding);
        }
        self.pace.moved(n);
        Ok(())
    }

    /// Puts a small piece behind what waits to be written; how much that is.
    fn copy(&self, bytes: &[u8]) -> usize {
        let mut writing = self.talk.writing.borrow_mut();
        writing.out().extend_from_slice(bytes);
        writing.out().len()
    }

    /// Waits until a large piece may be added.
    async fn flush_queue(&mut self) -> Result<(), BodyError> {
        poll_fn(|cx| {
            if self.talk.writing.borrow().takes_piece() {
                return Poll::Ready(Ok(()));
            }
            self.poll_flush(cx)
        })
        .await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match self.talk.writing.borrow_mut().poll_flush(cx) {
            Poll::Ready(flushed) => {
                return Poll::Ready(flushed.map_err(|_| BodyError::ClientClosed));
            }
            Poll::Pending => {}
        }
        self.body.poll_drive(cx);
        ready!(self.pace.poll_late(cx));
        Poll::Ready(Err(BodyError::ClientTimeout))
    }

    /// A body must not end before its declared length.
    const fn check_end(&self) -> Result<(), BodyError> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(_) => Err(BodyError::UpstreamClosed),
        }
    }
}
