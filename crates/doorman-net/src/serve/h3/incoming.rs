//! A request's content and trailers, pulled from its stream. The client's window opens because
//! they were taken: that is the back-pressure.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_h3::{Code, Fault, Piece, RequestFault, read_trailers};
use doorman_http::{
    Body, BodyError, Chunk, Data, Fields, Frame, Interim, Length, ResponseHead, Source,
};

use super::halves::{Cut, Reading};
use super::house::House;
use super::stream::{Talk, trailer_limits};
use crate::alarm::Alarm;
use crate::serve::pace::Pace;

/// What a pull gives.
type Pulled = Option<Result<Frame, BodyError>>;

pub(super) struct Incoming {
    house: Rc<House>,
    talk: Rc<Talk>,
    reading: Reading,
    alarm: Alarm,
    /// Of content whose length is declared.
    pace: Option<Pace>,
    declared: Option<u64>,
    /// What is missing of the declared length.
    remaining: Option<u64>,
    /// The piece that fulfils the declared length, kept until the stream's end is seen: an origin
    /// that counts bytes would take the request for whole, though the client may still send more
    /// than it declared (RFC 9114 section 4.1.2).
    last: Option<Data>,
    trailers: Option<Fields>,
    is_ended: bool,
    /// What was seen by looking ahead.
    peeked: Option<Pulled>,
    malformed: Option<&'static str>,
    wants_continue: bool,
    /// What a client sends through a tunnel: whoever asked the origin keeps the time.
    pub(super) is_tunnel: bool,
    /// Whether the last chunk came full, so that a larger one is worth its memory.
    is_bulk: bool,
}

impl Incoming {
    pub(super) fn new(
        house: &Rc<House>,
        talk: &Rc<Talk>,
        reading: Reading,
        declared: Option<u64>,
    ) -> Self {
        Self {
            house: Rc::clone(house),
            talk: Rc::clone(talk),
            reading,
            alarm: Alarm::new(house.clock),
            pace: declared.map(|_| Pace::new(house.clock, house.settings.body_idle)),
            declared,
            remaining: declared,
            last: None,
            trailers: None,
            is_ended: false,
            peeked: None,
            malformed: None,
            wants_continue: false,
            is_tunnel: false,
            is_bulk: false,
        }
    }

    /// The length that the head declared.
    pub(super) const fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Why the request is malformed, if that is seen already.
    pub(super) const fn malformed(&self) -> Option<&'static str> {
        self.malformed
    }

    /// Ready once the first frame, or the end, is seen. It is kept for the first pull.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.peeked.is_none() {
            self.peeked = Some(ready!(self.poll_stream(cx)));
        }
        Poll::Ready(())
    }

    /// The request's body.
    pub(super) fn into_body(mut self, expects_continue: bool) -> Body {
        if self.is_empty() {
            return match self.declared {
                Some(_) => Body::whole(Bytes::new()),
                None => Body::empty(),
            };
        }
        self.wants_continue = expects_continue;
        let length = self.declared.map_or(Length::Unknown, Length::Known);
        Body::pulled(Box::new(self), length)
    }

    /// What the client sends through a tunnel.
    pub(super) fn into_tunnel(self) -> Body {
        Body::pulled(Box::new(Tunnel(Some(self))), Length::Absent)
    }

    /// Whether the end was seen already, and nothing ahead of it.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.peeked, Some(None))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Pulled> {
        let pulled = match ready!(self.poll_frame_or_end(cx)) {
            Ok(frame) => frame.map(Ok),
            Err(error) => Some(Err(error)),
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
                    return Poll::Ready(Err(self.malform("content is shorter than declared")));
                }
                None => self.is_ended = true,
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
            if self.reading.is_within_content() {
                let mut chunk = if self.is_bulk { Chunk::large() } else { Chunk::small() };
                let read = ready!(self.reading.poll_content(cx, &mut chunk));
                if read.map_err(|cut| self.cut(cut))? {
                    self.is_bulk = chunk.room().is_empty();
                    return Poll::Ready(Ok(Some(Data::Lent(chunk))));
                }
            }
            let polled = self.reading.poll_piece(cx);
            // Frames that bring nothing bring no piece either.
            self.house.count_glitches(self.reading.take_glitches());
            let piece = ready!(polled).map_err(|cut| self.cut(cut))?;
            match piece {
                None => return Poll::Ready(Ok(None)),
                Some(Piece::Content(bytes)) => return Poll::Ready(Ok(Some(bytes.into()))),
                Some(_) if self.is_tunnel => {
                    // RFC 9114 section 4.4: DATA and nothing else that is known.
                    let reason = "HEADERS in a tunnel";
                    let fault = Fault { code: Code::FrameUnexpected, reason };
                    return Poll::Ready(Err(self.cut(Cut::Fault(fault))));
                }
                Some(Piece::Section(section)) => self.take_trailers(&section)?,
                Some(Piece::TooLarge) => {
                    return Poll::Ready(Err(self.malform("trailer section is too large")));
                }
            }
        }
    }

    fn take_trailers(&mut self, section: &[u8]) -> Result<(), BodyError> {
        let limits = trailer_limits(&self.house.settings);
        match read_trailers(section, &limits, doorman_h1::may_be_trailer) {
            Ok(fields) => {
                self.trailers = Some(fields);
                Ok(())
            }
            Err(RequestFault::Connection(fault)) => Err(self.cut(Cut::Fault(fault))),
            Err(RequestFault::Malformed(reason) | RequestFault::Refused(_, reason)) => {
                Err(self.malform(reason))
            }
        }
    }

    /// Gives back what may go on at once.
    fn keep_last(&mut self, data: Data) -> Result<Option<Data>, BodyError> {
        let Some(remaining) = &mut self.remaining else { return Ok(Some(data)) };
        let n = data.len() as u64;
        if n > *remaining {
            return Err(self.malform("content is longer than declared"));
        }
        *remaining -= n;
        if *remaining > 0 {
            return Ok(Some(data));
        }
        self.last = Some(data);
        Ok(None)
    }

    fn malform(&mut self, reason: &'static str) -> BodyError {
        self.malformed = Some(reason);
        self.talk.verdict.set(Some(Code::MessageError));
        self.reading.stop(Code::MessageError);
        BodyError::ClientMalformed(reason)
    }

    fn cut(&self, cut: Cut) -> BodyError {
        match cut {
            Cut::Gone => BodyError::ClientClosed,
            Cut::Fault(fault) => {
                self.house.fault(fault);
                BodyError::ClientMalformed(fault.reason)
            }
        }
    }
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Pulled> {
        if std::mem::take(&mut self.wants_continue) {
            self.talk.send(&ResponseHead::new(100));
        }
        let polled = match self.peeked.take() {
            Some(pulled) => Poll::Ready(pulled),
            None => self.poll_stream(cx),
        };
        if let Some(pace) = self.pace.as_mut().filter(|_| !self.is_tunnel) {
            if polled.is_pending() {
                return pace.poll_late(cx).map(|()| Some(Err(BodyError::ClientTimeout)));
            }
            if let Poll::Ready(Some(Ok(Frame::Data(data)))) = &polled {
                pace.moved(data.len());
            }
        } else if polled.is_pending() && !self.is_tunnel {
            self.alarm.set_if_clear(self.house.settings.body_idle);
            ready!(self.alarm.poll(cx));
            return Poll::Ready(Some(Err(BodyError::ClientTimeout)));
        }
        self.alarm.clear();
        polled
    }
}

/// What a client sends through a tunnel. When nobody wants more of it, how the tunnel ended decides what
/// the client is told, so the stream goes back to who knows that.
struct Tunnel(Option<Incoming>);

impl Source for Tunnel {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Pulled> {
        self.0.as_mut().map_or(Poll::Ready(None), |incoming| incoming.poll_frame(cx))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(Incoming { talk, reading, .. }) = self.0.take() {
            talk.rest.set(Some(reading));
        }
    }
}
