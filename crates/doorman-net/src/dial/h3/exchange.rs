//! One exchange on a stream, up to its response's head.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use doorman_h3::{Code, Limits, Piece, ResponseFault, read_response, write_request};
use doorman_http::{Body, BodyError, FieldId, Length, Method, ResponseHead};

use super::incoming::Incoming;
use super::upload::{Stage, Upload};
use super::{Place, Seat};
use crate::alarm::Alarm;
use crate::dial::h1::proves_a_connection;
use crate::dial::{Answer, Asking, CONTINUE_WAIT, DialError, DialTimeouts, INTERIM_MAX};
use crate::heads;
use crate::http3::halves::{Cut, Reading, Writing};

/// Sends a request and waits for the head of its response.
pub(super) async fn ask(
    mut seat: Seat,
    asking: Asking<'_>,
    body: &mut Option<Body>,
) -> Result<Answer, DialError> {
    if asking.head.method == Method::Connect {
        return Err(DialError::Unsendable("HTTP/3 cannot carry the request's target"));
    }
    let mut credentials = asking.head.fields.all(FieldId::Authorization);
    if credentials.any(proves_a_connection) {
        // Who comes later must not be taken for this user.
        seat.place.session.retire();
    }
    drop(credentials);
    let length = body.as_ref().map_or(Length::Absent, Body::length);
    let declared = match length {
        Length::Known(n) => Some(n),
        Length::Absent | Length::Unknown => None,
    };
    write_request(asking.head, asking.host, declared, seat.writing.out());
    // A body that waits for an upgrade, which is not asked for here, is none.
    let is_none = asking.head.upgrade.is_some() && length == Length::Absent;
    let taken = body.take_if(|body| !body.is_finished() && !is_none);
    let stage = if asking.head.expects_continue { Stage::Held } else { Stage::Sending };
    let upload = Upload::new(taken, stage);
    let mut pending = Pending::new(seat, upload, &asking);
    let found = poll_fn(|cx| pending.poll_head(cx, &asking)).await;
    let exchange = &mut pending.exchange;
    match found {
        Ok(found) => {
            exchange.upload.forget();
            answer(pending.exchange, found, &asking).await
        }
        Err(error) => {
            match &error {
                DialError::Unprocessed => {
                    // It may be sent again, with all of its body.
                    if let Some(again) = exchange.upload.again() {
                        *body = Some(again);
                    }
                }
                DialError::Malformed(_) => exchange.reject(),
                _ => {}
            }
            Err(error)
        }
    }
}

/// A stream: what is left of the request, and where the response comes from.
pub(super) struct Exchange {
    pub(super) writing: Writing,
    pub(super) reading: Reading,
    pub(super) upload: Upload,
    reused: bool,
    /// Last, so that the place is given back when the stream is gone.
    pub(super) place: Place,
}

impl Exchange {
    /// Sends what is left of the request.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) {
        let _ = self.upload.poll(&mut self.writing, cx);
    }

    /// Gives a malformed response up (RFC 9114 section 4.1.2).
    pub(super) fn reject(&mut self) {
        self.reading.stop(Code::MessageError);
        self.writing.reset(Code::MessageError);
    }

    /// The next piece of the response.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, Cut>> {
        let polled = self.reading.poll_piece(cx);
        // Frames that bring nothing bring no piece either.
        self.place.session.count_glitches(self.reading.take_glitches());
        polled
    }

    /// Why there is no response's head.
    fn lost(&self, cut: Cut) -> DialError {
        let session = &self.place.session;
        match (cut, self.reading.reset()) {
            (Cut::Fault(fault), _) => {
                session.close_for(fault);
                DialError::Malformed(fault.reason)
            }
            _ if session.leaves_out(self.place.stream) => DialError::Unprocessed,
            (Cut::Gone, Some(code)) if code == u64::from(Code::RequestRejected.number()) => {
                DialError::Unprocessed
            }
            (Cut::Gone, Some(code)) => DialError::Reset(Code::name_of(code)),
            (Cut::Gone, None) => match session.fault() {
                Some(reason) => DialError::Malformed(reason),
                None => DialError::Closed { reused: self.reused },
            },
        }
    }

    /// Why a response's body was cut.
    pub(super) fn cut(&self, cut: Cut) -> BodyError {
        match cut {
            Cut::Fault(fault) => {
                self.place.session.close_for(fault);
                BodyError::UpstreamMalformed(fault.reason)
            }
            Cut::Gone => match self.place.session.fault() {
                Some(reason) if self.reading.reset().is_none() => {
                    BodyError::UpstreamMalformed(reason)
                }
                _ => BodyError::UpstreamClosed,
            },
        }
    }
}

/// What an exchange without a response waits for; each has a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The origin is to open its window.
    Writing,
    /// The client is to send more of its body: its own wire keeps the time.
    Uploading,
    /// The origin is to say `100 Continue`.
    Holding,
    /// The origin is to answer.
    Waiting,
}

/// A response's head.
struct Found {
    head: Box<ResponseHead>,
    length: Option<u64>,
}

/// An exchange without a response.
struct Pending {
    exchange: Exchange,
    interim: usize,
    phase: Phase,
    alarm: Alarm,
    timeouts: DialTimeouts,
}

impl Pending {
    fn new(seat: Seat, upload: Upload, asking: &Asking<'_>) -> Self {
        let Seat { writing, reading, reused, place } = seat;
        let alarm = Alarm::new(place.clock);
        Self {
            exchange: Exchange { writing, reading, upload, reused, place },
            interim: 0,
            phase: Phase::Waiting,
            alarm,
            timeouts: asking.timeouts,
        }
    }

    /// One turn: send what can be sent, then look for a head.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        asking: &Asking<'_>,
    ) -> Poll<Result<Found, DialError>> {
        loop {
            self.exchange.poll_upload(cx);
            if let Stage::Failed(error) = self.exchange.upload.stage() {
                return Poll::Ready(Err(DialError::Client(error)));
            }
            let exchange = &mut self.exchange;
            match exchange.poll_piece(cx) {
                Poll::Ready(Ok(Some(Piece::Section(section)))) => {
                    match self.on_section(&section, asking) {
                        Ok(Some(found)) => return Poll::Ready(Ok(found)),
                        Ok(None) => continue,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Ok(Some(Piece::TooLarge))) => {
                    return Poll::Ready(Err(DialError::Malformed("header section is too large")));
                }
                // Content cannot stand first: the reader of frames has refused it.
                Poll::Ready(Ok(Some(Piece::Content(_)) | None)) => {
                    return Poll::Ready(Err(DialError::ClosedInHead));
                }
                Poll::Ready(Err(cut)) => return Poll::Ready(Err(exchange.lost(cut))),
                Poll::Pending => {}
            }
            let Place { session, stream, .. } = &exchange.place;
            if session.leaves_out(*stream) {
                return Poll::Ready(Err(DialError::Unprocessed));
            }
            session.watch(*stream, cx.waker());
            match ready!(self.poll_overdue(cx)) {
                Some(error) => return Poll::Ready(Err(error)),
                None => self.exchange.upload.let_go(),
            }
        }
    }

    /// The final head and the length that it declares, if that is what the section is.
    fn on_section(
        &mut self,
        section: &Bytes,
        asking: &Asking<'_>,
    ) -> Result<Option<Found>, DialError> {
        let limits =
            Limits { section_bytes: asking.limits.head_bytes, fields: asking.limits.fields };
        let mut head = heads::response();
        let judged = match read_response(section, &limits, &mut head) {
            Ok(length) if head.status >= 200 => return Ok(Some(Found { head, length })),
            Ok(_) => self.on_interim(&head, asking),
            Err(ResponseFault::Malformed(why)) => Err(DialError::Malformed(why)),
            Err(ResponseFault::Connection(fault)) => Err(self.exchange.lost(Cut::Fault(fault))),
        };
        heads::reuse_response(head);
        judged.map(|()| None)
    }

    fn on_interim(&mut self, head: &ResponseHead, asking: &Asking<'_>) -> Result<(), DialError> {
        self.exchange.reading.was_interim();
        self.interim += 1;
        if self.interim > INTERIM_MAX {
            return Err(DialError::Malformed("too many interim responses"));
        }
        match (head.status, asking.interim) {
            // RFC 9114 section 4.5.
            (101, _) => return Err(DialError::Malformed("101 in HTTP/3")),
            (100, _) => self.exchange.upload.let_go(),
            (_, Some(way_back)) => way_back.send(head),
            (_, None) => {}
        }
        Ok(())
    }

    /// Ready when the wait has lasted too long: with the error, or with none when a held body is
    /// to be sent now.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Option<DialError>> {
        let upload = &self.exchange.upload;
        let (phase, wait) = match upload.stage() {
            _ if upload.waits_for_origin() => (Phase::Writing, self.timeouts.idle),
            Stage::Sending => (Phase::Uploading, Duration::MAX),
            Stage::Held => (Phase::Holding, CONTINUE_WAIT),
            _ => (Phase::Waiting, self.timeouts.response),
        };
        if phase != self.phase {
            self.phase = phase;
            self.alarm.clear();
        }
        if phase == Phase::Uploading {
            return Poll::Pending;
        }
        self.alarm.set_if_clear(wait);
        ready!(self.alarm.poll(cx));
        Poll::Ready(match phase {
            Phase::Holding => None,
            Phase::Writing => Some(DialError::WriteTimeout),
            Phase::Uploading | Phase::Waiting => Some(DialError::ResponseTimeout),
        })
    }
}

/// The answer that a head begins.
async fn answer(
    mut exchange: Exchange,
    found: Found,
    asking: &Asking<'_>,
) -> Result<Answer, DialError> {
    let Found { mut head, length } = found;
    if exchange.upload.stage() == Stage::Held {
        // The origin answered without wanting the body.
        exchange.upload.give_up();
    }
    let is_bodiless = asking.head.method == Method::Head || head.is_bodiless();
    if is_bodiless || length == Some(0) {
        let mut incoming = Incoming::new(exchange, Some(0), asking);
        return match poll_fn(|cx| incoming.poll_end(cx)).await {
            Ok(()) if is_bodiless => {
                head.declared_length = length;
                Ok(Answer { head, body: Body::empty() })
            }
            Ok(()) => Ok(Answer { head, body: Body::whole(Bytes::new()) }),
            Err(error) => {
                heads::reuse_response(head);
                Err(error)
            }
        };
    }
    let mut incoming = Incoming::new(exchange, length, asking);
    // The end of a response without content comes with its head as a rule.
    let is_over = poll_fn(|cx| Poll::Ready(incoming.poll_peek(cx))).await;
    let body = if is_over {
        Body::empty()
    } else {
        Body::pulled(Box::new(incoming), length.map_or(Length::Unknown, Length::Known))
    };
    Ok(Answer { head, body })
}
