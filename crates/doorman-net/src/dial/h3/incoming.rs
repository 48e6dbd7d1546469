//! A response's content and trailers, pulled from its stream.
//!
//! Whoever pulls also sends what is left of the request, as over HTTP/1.1. The origin's window opens
//! because pieces are taken, so an origin never sends more than clients take and the windows hold.

use std::task::{Context, Poll, ready};

use doorman_h1::may_be_trailer;
use doorman_h3::{Limits, Piece, RequestFault, read_trailers};
use doorman_http::{BodyError, Chunk, Data, Fields, Frame, Source};

use super::exchange::Exchange;
use super::upload::Stage;
use crate::alarm::Alarm;
use crate::dial::{Asking, DialError, DialTimeouts};
use crate::http3::halves::Cut;

/// What a pull gives.
type Pulled = Option<Result<Frame, BodyError>>;

pub(super) struct Incoming {
    exchange: Exchange,
    /// What is missing of a declared length.
    remaining: Option<u64>,
    /// The piece that fulfils the declared length, kept until the stream's end is seen: a client
    /// that counts bytes would take the response for whole, though the origin may still send more
    /// than it declared (RFC 9114 section 4.1.2).
    last: Option<Data>,
    trailers: Option<Fields>,
    is_ended: bool,
    /// What was seen by looking ahead.
    peeked: Option<Pulled>,
    /// Whether the last chunk came full, so that a larger one is worth its memory.
    is_bulk: bool,
    trailer_limits: Limits,
    timeouts: DialTimeouts,
    alarm: Alarm,
}

impl Incoming {
    pub(super) fn new(exchange: Exchange, length: Option<u64>, asking: &Asking<'_>) -> Self {
        let alarm = Alarm::new(exchange.place.clock);
        let trailer_limits = Limits {
            section_bytes: asking.limits.trailer_bytes,
            fields: asking.limits.trailer_fields,
        };
        Self {
            exchange,
            remaining: length,
            last: None,
            trailers: None,
            is_ended: false,
            peeked: None,
            is_bulk: false,
            trailer_limits,
            timeouts: asking.timeouts,
            alarm,
        }
    }

    /// Ready at the end of a response that may have no content. It is waited for so that the stream
    /// ends in order: origins count streams that are reset.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        self.exchange.poll_upload(cx);
        match self.poll_stream(cx) {
            Poll::Ready(None | Some(Ok(Frame::Trailers(_)))) => Poll::Ready(Ok(())),
            Poll::Ready(Some(Ok(Frame::Data(_)) | Err(BodyError::UpstreamMalformed(_)))) => {
                Poll::Ready(Err(DialError::Malformed("content where there can be none")))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(DialError::ClosedInHead)),
            Poll::Pending => {
                self.alarm.set_if_clear(self.timeouts.idle);
                self.alarm.poll(cx).map(|()| Err(DialError::ResponseTimeout))
            }
        }
    }

    /// Whether the response is known to have come to its end. What is seen is kept for the first
    /// pull.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>) -> bool {
        if let Poll::Ready(pulled) = self.poll_stream(cx) {
            self.peeked = Some(pulled);
        }
        matches!(self.peeked, Some(None))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Pulled> {
        let pulled = match ready!(self.poll_frame_or_end(cx)) {
            Ok(frame) => frame.map(Ok),
            Err(error) => {
                if matches!(error, BodyError::UpstreamMalformed(_)) {
                    self.exchange.reject();
                }
                Some(Err(error))
            }
        };
        Poll::Ready(pulled)
    }

    fn poll_frame_or_end(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, BodyError>> {
        while !self.is_ended {
            match ready!(self.poll_content(cx))? {
                Some(data) => {
                    if let Some(data) = self.keep_last(data)? {
                        return Poll::Ready(Ok(Some(Frame::Data(data))));
                    }
                }
                None if self.remaining.is_some_and(|left| left > 0) => {
                    let why = "content is shorter than declared";
                    return Poll::Ready(Err(BodyError::UpstreamMalformed(why)));
                }
                None => {
                    self.is_ended = true;
                    self.exchange.place.session.succeeded();
                }
            }
        }
        if let Some(data) = self.last.take() {
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
        Poll::Ready(Ok(self.trailers.take().map(Frame::Trailers)))
    }

    /// The next piece of content, `None` at the stream's end. Trailers are kept.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Data>, BodyError>> {
        loop {
            let exchange = &mut self.exchange;
            if exchange.reading.is_within_content() {
                let mut chunk = if self.is_bulk { Chunk::large() } else { Chunk::small() };
                let read = ready!(exchange.reading.poll_content(cx, &mut chunk));
                if read.map_err(|cut| exchange.cut(cut))? {
                    self.is_bulk = chunk.room().is_empty();
                    return Poll::Ready(Ok(Some(Data::Lent(chunk))));
                }
            }
            let piece = ready!(exchange.poll_piece(cx)).map_err(|cut| exchange.cut(cut))?;
            match piece {
                None => return Poll::Ready(Ok(None)),
                Some(Piece::Content(bytes)) => return Poll::Ready(Ok(Some(bytes.into()))),
                Some(Piece::Section(section)) => self.take_trailers(&section)?,
                Some(Piece::TooLarge) => {
                    let why = "trailer section is too large";
                    return Poll::Ready(Err(BodyError::UpstreamMalformed(why)));
                }
            }
        }
    }

    fn take_trailers(&mut self, section: &[u8]) -> Result<(), BodyError> {
        match read_trailers(section, &self.trailer_limits, may_be_trailer) {
            Ok(fields) => {
                self.trailers = Some(fields);
                Ok(())
            }
            Err(RequestFault::Connection(fault)) => Err(self.exchange.cut(Cut::Fault(fault))),
            Err(RequestFault::Malformed(why) | RequestFault::Refused(_, why)) => {
                Err(BodyError::UpstreamMalformed(why))
            }
        }
    }

    /// Gives back what may go on at once.
    fn keep_last(&mut self, data: Data) -> Result<Option<Data>, BodyError> {
        let Some(remaining) = &mut self.remaining else { return Ok(Some(data)) };
        *remaining = remaining
            .checked_sub(data.len() as u64)
            .ok_or(BodyError::UpstreamMalformed("content is longer than declared"))?;
        if *remaining > 0 {
            return Ok(Some(data));
        }
        self.last = Some(data);
        Ok(None)
    }
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Pulled> {
        self.exchange.poll_upload(cx);
        if let Stage::Failed(error) = self.exchange.upload.stage() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = match self.peeked.take() {
            Some(pulled) => Poll::Ready(pulled),
            None => self.poll_stream(cx),
        };
        if polled.is_pending() {
            self.alarm.set_if_clear(self.timeouts.idle);
            ready!(self.alarm.poll(cx));
            return Poll::Ready(Some(Err(BodyError::UpstreamTimeout)));
        }
        self.alarm.clear();
        polled
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.exchange.poll_upload(cx);
    }
}
