//! One exchange on a stream.
//!
//! The exchange is the body: it becomes the source of the response's body, and whoever pulls that
//! also sends what is left of the request, as over HTTP/1.1. The origin's window opens when a piece
//! is handed on, so an origin never sends more than clients take and the windows hold.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use doorman_h1::Limits;
use doorman_http::{
    Body, BodyError, Data, FieldId, Frame, Length, Method, ResponseHead, Source, Upgrade,
};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};

use super::Seat;
use super::convert::{self, Manner};
use super::upload::{Stage, Upload};
use crate::alarm::Alarm;
use crate::dial::h1::proves_a_connection;
use crate::dial::{Answer, Asking, CONTINUE_WAIT, DialError, DialTimeouts, INTERIM_MAX};
use crate::heads;
use crate::http2::{fields, websocket};

/// Sends a request and waits for the head of its response.
pub(super) async fn ask(
    seat: Seat,
    asking: Asking<'_>,
    body: &mut Option<Body>,
) -> Result<Answer, DialError> {
    let mut credentials = asking.head.fields.all(FieldId::Authorization);
    if credentials.any(proves_a_connection) {
        // Who comes later must not be taken for this user.
        seat.session.retire();
    }
    drop(credentials);
    let wants_tunnel = asking.head.upgrade == Some(Upgrade::WebSocket);
    let tunnel = wants_tunnel && poll_fn(|cx| seat.session.poll_takes_tunnels(cx)).await;
    let manner = Manner { host: asking.host, secure: asking.secure, tunnel };
    let length = body.as_ref().map_or(Length::Absent, Body::length);
    let request = convert::request(asking.head, &manner, length)?;
    // A body that waits for an upgrade which cannot be asked for is none.
    let is_none = asking.head.upgrade.is_some() && !tunnel && length == Length::Absent;
    let taken = body.take_if(|body| !body.is_finished() && !is_none);
    let stage = if asking.head.expects_continue || tunnel { Stage::Held } else { Stage::Sending };
    let upload = Upload::new(taken, stage);
    let ends = upload.stage() == Stage::Done && !tunnel;
    let mut exchange = match seat.session.send(request, ends) {
        Ok((response, stream)) => Pending {
            response,
            exchange: Box::new(Exchange::new(seat, stream, upload, &asking, tunnel)),
            interim: 0,
            phase: Phase::Waiting,
        },
        Err(error) => {
            let mut upload = upload;
            give_back(body, &mut upload);
            return Err(lost(&error, seat.reused));
        }
    };
    let found = poll_fn(|cx| exchange.poll_head(cx, &asking)).await;
    let mut exchange = exchange.exchange;
    match found {
        Ok(Found { incoming, head, length }) => {
            exchange.upload.forget();
            exchange.answer(incoming, head, length).await
        }
        Err(error) => {
            if matches!(error, DialError::Unprocessed) {
                give_back(body, &mut exchange.upload);
            }
            Err(error)
        }
    }
}

/// A request that was not processed may be sent again, with all of its body.
fn give_back(body: &mut Option<Body>, upload: &mut Upload) {
    if let Some(again) = upload.again() {
        *body = Some(again);
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

/// An exchange without a response.
struct Pending {
    response: ResponseFuture,
    exchange: Box<Exchange>,
    interim: usize,
    phase: Phase,
}

/// A response's head.
struct Found {
    incoming: RecvStream,
    head: Box<ResponseHead>,
    length: Option<u64>,
}

impl Pending {
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
            while let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
                self.on_interim(&interim, asking)?;
            }
            match Pin::new(&mut self.response).poll(cx) {
                Poll::Ready(Ok(response)) => return Poll::Ready(self.found(response, asking)),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(lost(&error, self.exchange.seat.reused)));
                }
                Poll::Pending => match ready!(self.poll_overdue(cx)) {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => self.exchange.upload.let_go(),
                },
            }
        }
    }

    fn on_interim(
        &mut self,
        interim: &http::Response<()>,
        asking: &Asking<'_>,
    ) -> Result<(), DialError> {
        self.interim += 1;
        if self.interim > INTERIM_MAX {
            return Err(DialError::Malformed("too many interim responses"));
        }
        if interim.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9113 section 8.6.
            return Err(DialError::Malformed("101 in HTTP/2"));
        }
        if interim.status() == http::StatusCode::CONTINUE {
            // A tunnel opens with a final response and nothing else.
            if !self.exchange.tunnel {
                self.exchange.upload.let_go();
            }
            return Ok(());
        }
        let Some(way_back) = asking.interim else { return Ok(()) };
        let mut head = heads::response();
        let read = convert::response(interim.status(), interim.headers(), asking.limits, &mut head);
        if read.is_ok() {
            way_back.send(&head);
        }
        heads::reuse_response(head);
        read.map(drop).map_err(DialError::Malformed)
    }

    fn found(
        &self,
        response: http::Response<RecvStream>,
        asking: &Asking<'_>,
    ) -> Result<Found, DialError> {
        let (parts, incoming) = response.into_parts();
        let mut head = heads::response();
        match convert::response(parts.status, &parts.headers, asking.limits, &mut head) {
            Ok(length) => Ok(Found { incoming, head, length }),
            Err(why) => {
                heads::reuse_response(head);
                Err(DialError::Malformed(why))
            }
        }
    }

    /// Ready when the wait has lasted too long: with the error, or with none when a held body is
    /// to be sent now.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Option<DialError>> {
        let exchange = &mut *self.exchange;
        let timeouts = &exchange.timeouts;
        let (phase, wait) = match exchange.upload.stage() {
            _ if exchange.upload.waits_for_origin() => (Phase::Writing, timeouts.idle),
            Stage::Sending => (Phase::Uploading, Duration::MAX),
            Stage::Held if !exchange.tunnel => (Phase::Holding, CONTINUE_WAIT),
            _ => (Phase::Waiting, timeouts.response),
        };
        if phase != self.phase {
            self.phase = phase;
            exchange.alarm.clear();
        }
        if phase == Phase::Uploading {
            return Poll::Pending;
        }
        exchange.alarm.set_if_clear(wait);
        ready!(exchange.alarm.poll(cx));
        Poll::Ready(match phase {
            Phase::Holding => None,
            Phase::Writing => Some(DialError::WriteTimeout),
            Phase::Uploading | Phase::Waiting => Some(DialError::ResponseTimeout),
        })
    }
}

/// A stream: what is left of the request, and the response's body.
struct Exchange {
    stream: SendStream<Data>,
    upload: Upload,
    incoming: Option<RecvStream>,
    /// What is missing of a declared length.
    remaining: Option<u64>,
    /// The piece that fulfils the declared length, kept until the stream's end is seen: a client
    /// that counts bytes would take the response for whole, though the origin may still send more
    /// than it declared (RFC 9113 section 8.1.1).
    last: Option<Bytes>,
    trailers: Option<http::HeaderMap>,
    in_trailers: bool,
    tunnel: bool,
    /// What proves to a client of HTTP/1.1 that its key was understood.
    accept: Option<[u8; 28]>,
    head_request: bool,
    limits: Limits,
    timeouts: DialTimeouts,
    alarm: Alarm,
    /// Last, so that the place is given back when the stream is gone.
    seat: Seat,
}

impl Exchange {
    fn new(
        seat: Seat,
        stream: SendStream<Data>,
        upload: Upload,
        asking: &Asking<'_>,
        tunnel: bool,
    ) -> Self {
        let key = asking.head.fields.first(FieldId::SecWebSocketKey);
        Self {
            stream,
            upload,
            incoming: None,
            remaining: None,
            last: None,
            trailers: None,
            in_trailers: false,
            tunnel,
            accept: key.filter(|_| tunnel).map(websocket::accept),
            head_request: asking.head.method == Method::Head,
            limits: asking.limits.clone(),
            timeouts: asking.timeouts,
            alarm: Alarm::new(seat.clock),
            seat,
        }
    }

    /// Sends what is left of the request. Heads leave at once, but content waits for the origin's
    /// SETTINGS: what was sent by the default window would be far beyond a smaller one.
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if self.seat.session.poll_settled(cx).is_pending() {
            return;
        }
        let _ = self.upload.poll(&mut self.stream, cx);
    }

    /// The answer that a head begins.
    async fn answer(
        mut self: Box<Self>,
        incoming: RecvStream,
        mut head: Box<ResponseHead>,
        length: Option<u64>,
    ) -> Result<Answer, DialError> {
        self.alarm.clear();
        if self.tunnel && (200..300).contains(&head.status) {
            // The house knows a tunnel by the 101 that HTTP/1.1 opens it with.
            head.status = 101;
            head.upgrade = Some(Upgrade::WebSocket);
            head.fields.remove_id(FieldId::SecWebSocketAccept);
            if let Some(accept) = &self.accept {
                head.fields.push_id(FieldId::SecWebSocketAccept, accept);
            }
            self.upload.let_go();
            self.incoming = Some(incoming);
            return Ok(Answer { head, body: Body::pulled(self, Length::Unknown) });
        }
        self.tunnel = false;
        if self.upload.stage() == Stage::Held {
            // The origin answered without wanting the body.
            self.upload.give_up();
        }
        if self.head_request || head.is_bodiless() {
            head.declared_length = length;
            self.incoming = Some(incoming);
            return match poll_fn(|cx| self.poll_end(cx)).await {
                Ok(()) => Ok(Answer { head, body: Body::empty() }),
                Err(error) => {
                    heads::reuse_response(head);
                    Err(error)
                }
            };
        }
        if incoming.is_end_stream() {
            let body = if length == Some(0) { Body::whole(Bytes::new()) } else { Body::empty() };
            return Ok(Answer { head, body });
        }
        self.remaining = length;
        self.incoming = Some(incoming);
        Ok(Answer { head, body: Body::pulled(self, length.map_or(Length::Unknown, Length::Known)) })
    }

    /// Ready at the end of a response that may have no content. It is waited for so that the stream
    /// ends in order: origins count streams that are reset.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        match self.poll_stream(cx) {
            Poll::Ready(None | Some(Ok(Frame::Trailers(_)))) => Poll::Ready(Ok(())),
            Poll::Ready(Some(Ok(Frame::Data(_)))) => {
                Poll::Ready(Err(DialError::Malformed("content where there can be none")))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(DialError::ClosedInHead)),
            Poll::Pending => {
                self.alarm.set_if_clear(self.timeouts.idle);
                self.alarm.poll(cx).map(|()| Err(DialError::ResponseTimeout))
            }
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        while !self.in_trailers {
            match ready!(incoming.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // The window opens because the frame is handed on: that is the back-pressure.
                    let _ = incoming.flow_control().release_capacity(bytes.len());
                    if bytes.is_empty() {
                        continue;
                    }
                    if let Some(remaining) = &mut self.remaining {
                        *remaining = remaining.saturating_sub(bytes.len() as u64);
                        if *remaining == 0 && !incoming.is_end_stream() {
                            self.last = Some(bytes);
                            continue;
                        }
                    }
                    return Poll::Ready(Some(Ok(Frame::Data(bytes.into()))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(cause(&error)))),
                None => self.in_trailers = true,
            }
        }
        let trailers = ready!(incoming.poll_trailers(cx));
        if let (Ok(_), Some(bytes)) = (&trailers, self.last.take()) {
            self.trailers = trailers.unwrap_or_default();
            return Poll::Ready(Some(Ok(Frame::Data(bytes.into()))));
        }
        match trailers {
            Ok(map) => Poll::Ready(map.or_else(|| self.trailers.take()).map(|map| {
                fields::trailers(&map, &self.limits)
                    .map(Frame::Trailers)
                    .map_err(BodyError::UpstreamMalformed)
            })),
            Err(error) => Poll::Ready(Some(Err(cause(&error)))),
        }
    }

    const fn idle_limit(&self) -> Duration {
        if self.tunnel { self.timeouts.tunnel_idle } else { self.timeouts.idle }
    }
}

impl Source for Exchange {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.poll_upload(cx);
        if let Stage::Failed(error) = self.upload.stage() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = self.poll_stream(cx);
        if polled.is_pending() {
            let limit = self.idle_limit();
            self.alarm.set_if_clear(limit);
            ready!(self.alarm.poll(cx));
            self.stream.send_reset(Reason::CANCEL);
            return Poll::Ready(Some(Err(BodyError::UpstreamTimeout)));
        }
        self.alarm.clear();
        polled
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.poll_upload(cx);
    }
}

/// Why there is no response's head. Streams above the last one that a GOAWAY names, and those that
/// are refused, were not processed (RFC 9113 section 8.7); about all others there is no telling.
fn lost(error: &h2::Error, reused: bool) -> DialError {
    if error.is_remote() && error.is_go_away() {
        return DialError::Unprocessed;
    }
    if error.is_remote() && error.is_reset() {
        return match error.reason() {
            Some(Reason::REFUSED_STREAM) => DialError::Unprocessed,
            reason => DialError::Reset(name(reason)),
        };
    }
    if error.is_library() {
        return DialError::Malformed("against the rules of HTTP/2");
    }
    DialError::Closed { reused }
}

/// Why a response's body was cut.
fn cause(error: &h2::Error) -> BodyError {
    if error.is_library() {
        return BodyError::UpstreamMalformed("body against its Content-Length or framing");
    }
    BodyError::UpstreamClosed
}

/// The names of RFC 9113 section 7.
fn name(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::NO_ERROR) => "NO_ERROR",
        Some(Reason::PROTOCOL_ERROR) => "PROTOCOL_ERROR",
        Some(Reason::INTERNAL_ERROR) => "INTERNAL_ERROR",
        Some(Reason::FLOW_CONTROL_ERROR) => "FLOW_CONTROL_ERROR",
        Some(Reason::STREAM_CLOSED) => "STREAM_CLOSED",
        Some(Reason::FRAME_SIZE_ERROR) => "FRAME_SIZE_ERROR",
        Some(Reason::CANCEL) => "CANCEL",
        Some(Reason::ENHANCE_YOUR_CALM) => "ENHANCE_YOUR_CALM",
        Some(Reason::INADEQUATE_SECURITY) => "INADEQUATE_SECURITY",
        Some(Reason::HTTP_1_1_REQUIRED) => "HTTP_1_1_REQUIRED",
        _ => "another reason",
    }
}
