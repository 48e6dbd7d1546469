//! Moves frames from a body to a stream, at the client's pace.

use std::task::{Context, Poll, ready};

use bytes::Buf;
use doorman_http::{Body, BodyError, Data, Frame};

use super::house::Talk;
use crate::serve::ledger::{Holding, Running};
use crate::serve::pace::Pace;

pub(super) struct Pump<'a> {
    body: &'a mut Body,
    talk: &'a Talk,
    running: &'a Running,
    pace: Pace,
    /// A piece that waits for windows and for room.
    piece: Option<(Data, Holding<'a>)>,
}

impl<'a> Pump<'a> {
    pub(super) const fn new(
        body: &'a mut Body,
        talk: &'a Talk,
        running: &'a Running,
        pace: Pace,
    ) -> Self {
        Self { body, talk, running, pace, piece: None }
    }

    /// Ready when all of the body was handed over, or why it was not.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.talk.is_cut() {
                return Poll::Ready(Err(BodyError::ClientClosed));
            }
            if let Some((data, holding)) = self.piece.take() {
                ready!(self.poll_piece(data, holding, cx))?;
                continue;
            }
            if self.running.ledger().poll_room(self.body.length(), cx).is_pending() {
                // Others hold the connection's share. A client that gives this stream no window
                // meanwhile has only itself to wait for.
                if self.talk.with(|connection, stream| connection.capacity(stream)) == 0 {
                    return self.poll_late(cx);
                }
                // From here on it waits for the others.
                self.pace.stop();
                self.body.poll_drive(cx);
                return Poll::Pending;
            }
            match self.body.poll_frame(cx) {
                Poll::Pending => {
                    self.body.poll_drive(cx);
                    return Poll::Pending;
                }
                Poll::Ready(None) => {
                    self.talk.with(|connection, stream| connection.finish(stream));
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(Ok(Frame::Trailers(fields)))) => {
                    self.talk.with(|connection, stream| connection.trailers(stream, &fields));
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    let holding = self.running.hold(data.len());
                    self.piece = Some((data, holding));
                }
            }
        }
    }

    /// Hands a piece over as the client's window opens.
    fn poll_piece(
        &mut self,
        mut data: Data,
        holding: Holding<'a>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        let n = self.talk.with(|connection, stream| connection.data(stream, data.as_slice()));
        data.advance(n);
        if data.is_empty() {
            self.pace.moved(n);
            holding.hand_over();
            return Poll::Ready(Ok(()));
        }
        self.piece = Some((data, holding));
        if n > 0 {
            self.pace.moved(n);
            // What is left waits: this names the reason.
            self.talk.with(|connection, stream| connection.capacity(stream));
        }
        self.poll_late(cx)
    }

    /// Ready when the client has kept us waiting for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.body.poll_drive(cx);
        self.pace.poll_late(cx).map(|()| Err(BodyError::ClientTimeout))
    }
}
