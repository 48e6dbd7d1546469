//! One exchange with an origin over HTTP/1.1.
//!
//! The connection is the body: the box that holds a pooled connection becomes the source of the
//! response's body and goes back to its pool when the body has ended, so an exchange allocates
//! nothing. Whoever pulls the response also sends what is left of the request, so uploads go on
//! under an early response, and two full pipes never wait for each other.
//!
//! ```text
//! idle --ask--> sending --head--> receiving --end, all sent, nothing left over--> idle
//!                  \---- any error, any doubt ----> closed
//! ```

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use doorman_h1::{
    Asked, CHUNK_END, Decoder, Framing, Limits, Progress, RequestLine, ResponseFraming,
    read_response, write_chunk_head, write_last_chunk, write_request_head,
};
use doorman_http::{
    Body, BodyError, Chunk, FieldId, Frame, Instant, Length, ResponseHead, SMALL, Source,
};
use tokio::io::AsyncWrite;

use super::{Answer, Asking, CONTINUE_WAIT, DialError, DialTimeouts, INTERIM_MAX, Pool};
use crate::alarm::Alarm;
use crate::http2::websocket::sha1;
use crate::link::{Link, Outbox, split, with_room};
use crate::seam::Stream;
use crate::{Clock, heads};

/// A body with at least this many bytes to come is read in large buffers.
const LARGE_FROM: u64 = 64 * 1024;

/// A connection to an origin.
pub struct Upstream<S: Stream> {
    link: Link<S>,
    clock: Clock,
    pool: Rc<Pool<S>>,
    pub(super) born: Instant,
    pub(super) idle_since: Instant,
    pub(super) requests: u64,
    input: Option<Chunk>,
    outbox: Outbox,
    upload: Upload,
    decoder: Option<Decoder>,
    ended: bool,
    tunnel: bool,
    keep_alive: bool,
    /// Somebody proves on this connection who he is, or it begins with whom it is for: it is nobody
    /// else's from then on.
    personal: bool,
    filled_last: bool,
    interim: usize,
    phase: Phase,
    alarm: Alarm,
    limits: Limits,
    timeouts: DialTimeouts,
}

/// What an exchange without a response waits for; each has a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The origin is to read.
    Writing,
    /// The client is to send more of its body: its own wire keeps the time.
    Uploading,
    /// The origin is to say `100 Continue`.
    Holding,
    /// The origin is to answer.
    Waiting,
}

/// What is left to send of a request.
enum Upload {
    /// Nothing.
    Done,
    /// A body, not before the origin says `100 Continue`, or switches protocols.
    Held(Body, Coding),
    /// A body. A sized one counts down what is left of it.
    Sending(Body, Coding),
    /// The end of a tunnel's client side is to be passed on.
    Ending,
    /// The origin stopped reading; it may still answer.
    Broken,
    /// The client's body failed.
    Failed(BodyError),
}

/// How a request's body is framed towards the origin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Sized(u64),
    Chunked,
    Tunnel,
}

impl<S: Stream> Upstream<S> {
    pub(super) fn new(link: Link<S>, pool: Rc<Pool<S>>, clock: Clock) -> Box<Self> {
        pool.opened();
        let now = clock.instant();
        Box::new(Self {
            link,
            clock,
            pool,
            born: now,
            idle_since: now,
            requests: 0,
            input: None,
            outbox: Outbox::default(),
            upload: Upload::Done,
            decoder: None,
            ended: false,
            tunnel: false,
            keep_alive: false,
            personal: false,
            filled_last: false,
            interim: 0,
            phase: Phase::Waiting,
            alarm: Alarm::new(clock),
            limits: Limits::default(),
            timeouts: DialTimeouts::default(),
        })
    }

    /// Keeps the connection out of its pool.
    pub(super) const fn keep_for_one(&mut self) {
        self.personal = true;
    }

    /// Whether an exchange has gone over this connection before.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.requests > 0
    }

    /// Whether an idle connection is alive and has nothing to say, as the event loop knows. An origin
    /// that speaks before it is asked would have its words taken for the next client's answer
    /// (H1P-18).
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let mut buffer = tokio::io::ReadBuf::new(&mut byte);
        let link = &mut self.link;
        let read = poll_fn(|cx| tokio::io::AsyncRead::poll_read(Pin::new(link), cx, &mut buffer));
        // A task that has used up its turn is told that every read must wait: that is no answer.
        let read = pin!(tokio::task::coop::unconstrained(read));
        read.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// As [`Upstream::is_quiet`], and by the system's word. What comes below TLS counts as speech, too:
    /// a session ticket this late is rare, and a handshake is cheaper than a mixed-up answer.
    pub(super) fn is_surely_quiet(&mut self) -> bool {
        self.is_quiet() && !self.link.has_news()
    }

    /// Sends a request and waits for the head of its response. `body` is taken out as soon as its
    /// bytes may have been touched: while it is still there, the request can be sent again.
    ///
    /// # Errors
    /// Why there is no response. The connection is closed then.
    pub async fn ask(
        mut self: Box<Self>,
        asking: Asking<'_>,
        body: &mut Option<Body>,
    ) -> Result<Answer, DialError> {
        self.begin(&asking, body);
        let mut head = heads::response();
        let asked = Asked::of(asking.head, sha1);
        let found = poll_fn(|cx| self.poll_answer(cx, &asking, &asked, &mut head)).await;
        let framing = match found {
            Ok(framing) => framing,
            Err(error) => {
                heads::reuse_response(head);
                return Err(error);
            }
        };
        Ok(self.into_answer(framing, head))
    }

    fn begin(&mut self, asking: &Asking<'_>, body: &mut Option<Body>) {
        self.timeouts = asking.timeouts;
        self.limits = asking.limits.clone();
        self.interim = 0;
        self.alarm.clear();
        let proof = asking.head.fields.first(FieldId::Authorization);
        // What an origin may read in another way must not stand in front of somebody else's request.
        self.personal |= proof.is_some_and(proves_a_connection) || asking.head.alone;
        let length = body.as_ref().map_or(Length::Absent, Body::length);
        let line = RequestLine { host: asking.host };
        write_request_head(self.outbox.encode(), asking.head, &line, length);
        let coding = match length {
            Length::Absent => Coding::Tunnel,
            Length::Known(n) => Coding::Sized(n),
            Length::Unknown => Coding::Chunked,
        };
        self.upload = match body.take_if(|body| !body.is_finished()) {
            None => Upload::Done,
            Some(body) if asking.head.expects_continue || coding == Coding::Tunnel => {
                Upload::Held(body, coding)
            }
            Some(body) => Upload::Sending(body, coding),
        };
    }

    /// One turn: send what can be sent, then look for a head.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        asking: &Asking<'_>,
        asked: &Asked<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<ResponseFraming, DialError>> {
        loop {
            let _ = self.poll_upload(cx);
            if let Upload::Failed(error) = self.upload {
                return Poll::Ready(Err(DialError::Client(error)));
            }
            match self.poll_head(cx, asked, head) {
                Poll::Ready(Ok(framing)) if head.status >= 200 || head.status == 101 => {
                    return Poll::Ready(Ok(framing));
                }
                Poll::Ready(Ok(_)) => {
                    self.interim += 1;
                    if self.interim > INTERIM_MAX {
                        return Poll::Ready(Err(DialError::Malformed(
                            "too many interim responses",
                        )));
                    }
                    self.on_interim(asking, head);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => match ready!(self.poll_overdue(cx)) {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => self.let_go(),
                },
            }
        }
    }

    fn on_interim(&mut self, asking: &Asking<'_>, head: &mut ResponseHead) {
        if head.status == 100 {
            // A tunnel opens with 101 and nothing else: what the client sent behind its request is
            // the next request until then (H1P-11).
            if !matches!(self.upload, Upload::Held(_, Coding::Tunnel)) {
                self.let_go();
            }
        } else if let Some(interim) = asking.interim {
            interim.send(head);
        }
        head.clear();
    }

    /// Lets a held body go.
    fn let_go(&mut self) {
        match std::mem::replace(&mut self.upload, Upload::Done) {
            Upload::Held(body, coding) => self.upload = Upload::Sending(body, coding),
            other => self.upload = other,
        }
    }

    /// Ready when the wait has lasted too long: with the error, or with none when a held body is
    /// to be sent now.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Option<DialError>> {
        let (phase, wait) = match self.upload {
            _ if !self.outbox.is_empty() => (Phase::Writing, self.timeouts.idle),
            Upload::Sending(..) => (Phase::Uploading, Duration::MAX),
            Upload::Held(_, Coding::Sized(_) | Coding::Chunked) => (Phase::Holding, CONTINUE_WAIT),
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

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<ResponseFraming, DialError>> {
        loop {
            if let Some(input) = &mut self.input {
                match read_response(input.filled(), &self.limits, asked, head) {
                    Ok(Progress::Done { consumed, framing }) => {
                        input.consume(consumed);
                        if input.is_empty() {
                            self.input = None;
                        }
                        return Poll::Ready(Ok(framing));
                    }
                    Ok(Progress::Partial) => {}
                    Err(fault) => return Poll::Ready(Err(DialError::Malformed(fault.reason))),
                }
            }
            let begun = self.input.is_some();
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) if begun => return Poll::Ready(Err(DialError::ClosedInHead)),
                Ok(0) | Err(_) => {
                    return Poll::Ready(Err(DialError::Closed { reused: self.is_reused() }));
                }
                Ok(_) => {}
            }
        }
    }

    /// Reads more input. A buffer is held only while bytes are in it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut chunk = self.input.take().map_or_else(|| self.next_chunk(), with_room);
        let before = chunk.is_empty();
        let read = self.link.poll_read_chunk(cx, &mut chunk);
        self.filled_last = chunk.room().is_empty();
        if !(before && chunk.is_empty()) {
            self.input = Some(chunk);
        }
        read
    }

    fn next_chunk(&self) -> Chunk {
        let expected = self.decoder.as_ref().and_then(Decoder::remaining).unwrap_or(0);
        if expected >= LARGE_FROM || self.filled_last { Chunk::large() } else { Chunk::small() }
    }

    fn into_answer(
        mut self: Box<Self>,
        framing: ResponseFraming,
        head: Box<ResponseHead>,
    ) -> Answer {
        self.alarm.clear();
        self.requests += 1;
        self.keep_alive = framing.keep_alive && !self.personal;
        self.filled_last = false;
        self.tunnel = framing.body == Framing::Tunnel;
        if self.tunnel {
            self.let_go();
        } else {
            self.give_up_held();
        }
        let length = match framing.body {
            Framing::Empty => Length::Absent,
            Framing::Known(n) => Length::Known(n),
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => Length::Unknown,
        };
        if matches!(length, Length::Absent | Length::Known(0)) {
            // A request that is not wholly sent yet is given up with the connection: the origin
            // has said all it will say.
            self.ended = true;
            self.release();
            let whole = length == Length::Known(0);
            let body = if whole { Body::whole(bytes::Bytes::new()) } else { Body::empty() };
            return Answer { head, body };
        }
        self.ended = false;
        self.decoder = Some(Decoder::new(framing.body, &self.limits));
        Answer { head, body: Body::pulled(self, length) }
    }

    /// The origin answered without wanting the body. A connection on which a body was announced
    /// but not sent is at no message boundary; a tunnel's bytes were never announced.
    fn give_up_held(&mut self) {
        match &self.upload {
            Upload::Held(_, Coding::Tunnel) => self.upload = Upload::Done,
            Upload::Held(..) => self.upload = Upload::Broken,
            _ => {}
        }
    }

    /// Sends what is left of the request. Pending while bytes or a body's frames are waited for.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if matches!(self.upload, Upload::Broken | Upload::Failed(_)) {
                return Poll::Ready(());
            }
            self.gather(cx);
            if self.outbox.is_empty() && !matches!(self.upload, Upload::Ending) {
                let waiting = matches!(self.upload, Upload::Sending(..));
                return if waiting { Poll::Pending } else { Poll::Ready(()) };
            }
            match ready!(self.outbox.poll_send(cx, &mut self.link)) {
                Ok(()) => self.alarm_moved(),
                Err(_) => {
                    self.outbox.discard();
                    self.upload = Upload::Broken;
                }
            }
            if matches!(self.upload, Upload::Ending) {
                let _ = ready!(Pin::new(&mut self.link).poll_shutdown(cx));
                self.upload = Upload::Done;
            }
        }
    }

    /// Bytes moved: a tunnel's or a body's idle time begins anew.
    const fn alarm_moved(&mut self) {
        if self.decoder.is_some() {
            self.alarm.clear();
        }
    }

    /// Encodes frames of the request's body while they are at hand and the outbox has room.
    fn gather(&mut self, cx: &mut Context<'_>) {
        while self.outbox.has_room() {
            let Upload::Sending(body, coding) = &mut self.upload else { return };
            let coding = *coding;
            let Poll::Ready(frame) = body.poll_frame(cx) else { return };
            match frame {
                Some(Ok(Frame::Data(data))) if coding == Coding::Chunked => {
                    write_chunk_head(self.outbox.encode(), data.len());
                    self.outbox.add(data, CHUNK_END);
                }
                Some(Ok(Frame::Data(data))) => {
                    if let Upload::Sending(_, Coding::Sized(left)) = &mut self.upload {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                    self.outbox.add(data, b"");
                }
                Some(Ok(Frame::Trailers(trailers))) => {
                    if coding == Coding::Chunked {
                        write_last_chunk(self.outbox.encode(), Some(&trailers));
                    }
                    self.upload = Upload::Done;
                }
                None => {
                    match coding {
                        Coding::Chunked => write_last_chunk(self.outbox.encode(), None),
                        Coding::Sized(_) => {}
                        Coding::Tunnel => {
                            self.upload = Upload::Ending;
                            return;
                        }
                    }
                    self.upload = Upload::Done;
                }
                Some(Err(error)) => {
                    self.outbox.discard();
                    self.link.reset_on_close();
                    self.upload = Upload::Failed(error);
                }
            }
        }
    }

    /// Cuts the next frame out of the input, if there is input.
    fn next_frame(&mut self) -> Option<Result<Frame, BodyError>> {
        let decoder = self.decoder.as_mut()?;
        let mut chunk = self.input.take()?;
        let step = match decoder.decode(chunk.filled_mut()) {
            Ok(step) => step,
            Err(fault) => return Some(Err(BodyError::UpstreamMalformed(fault.reason))),
        };
        let done = decoder.is_done();
        let (content, rest) = split(chunk, step.content, step.consumed);
        if done && rest.is_some() {
            // Bytes behind the end of the message: nobody asked for them (H1P-19).
            self.keep_alive = false;
        } else {
            self.input = rest;
        }
        content.map(|content| Ok(Frame::Data(doorman_http::Data::Lent(content))))
    }

    fn idle_limit(&self) -> Duration {
        if self.tunnel { self.timeouts.tunnel_idle } else { self.timeouts.idle }
    }
}

impl<S: Stream> Source for Upstream<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            let _ = self.poll_upload(cx);
            if let Upload::Failed(error) = self.upload {
                return Poll::Ready(Some(Err(error)));
            }
            if self.decoder.is_some() && self.input.is_some() {
                if let Some(frame) = self.next_frame() {
                    self.alarm.clear();
                    return Poll::Ready(Some(frame));
                }
                if self.input.is_some() {
                    continue;
                }
            }
            let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
            if decoder.is_done() {
                self.ended = true;
                let trailers = decoder.take_trailers();
                self.decoder = None;
                return Poll::Ready(trailers.map(|t| Ok(Frame::Trailers(t))));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    self.keep_alive = false;
                    let clean = self.decoder.as_mut().is_some_and(|d| d.end_of_input().is_ok());
                    self.decoder = None;
                    self.ended = clean;
                    return Poll::Ready(if clean {
                        None
                    } else {
                        Some(Err(BodyError::UpstreamClosed))
                    });
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(BodyError::UpstreamClosed))),
                Poll::Pending => {
                    let limit = self.idle_limit();
                    self.alarm.set_if_clear(limit);
                    ready!(self.alarm.poll(cx));
                    return Poll::Ready(Some(Err(BodyError::UpstreamTimeout)));
                }
            }
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        let _ = self.poll_upload(cx);
    }

    fn release(mut self: Box<Self>) {
        // A sized body is whole with its last byte, whether or not its end was pulled.
        let all_sent = matches!(self.upload, Upload::Done | Upload::Sending(_, Coding::Sized(0)))
            && self.outbox.is_empty();
        if !(self.ended && self.keep_alive && all_sent && self.input.is_none() && !self.tunnel) {
            if self.tunnel && !self.ended {
                // A tunnel that breaks must look so: its bytes have no framing that an end would
                // contradict.
                self.link.reset_on_close();
            }
            return;
        }
        self.upload = Upload::Done;
        self.decoder = None;
        self.ended = false;
        self.alarm.clear();
        let pool = Rc::clone(&self.pool);
        // The response's head was read a moment ago, or its body's last bytes.
        let now = self.clock.recent();
        pool.put(self, now);
    }
}

impl<S: Stream> Drop for Upstream<S> {
    fn drop(&mut self) {
        self.pool.closed();
    }
}

/// Whether credentials are of a scheme that origins take as the proof of a whole connection, against
/// RFC 9110 section 11.1: the next request on it would be answered as that user's (H1P-20).
pub(super) fn proves_a_connection(credentials: &[u8]) -> bool {
    let scheme = credentials.split(|&b| b == b' ').next().unwrap_or_default();
    [&b"ntlm"[..], b"negotiate"].iter().any(|name| scheme.eq_ignore_ascii_case(name))
}

// A small buffer must hold what is copied behind a head.
const _: () = assert!(SMALL > crate::link::COPY_MAX);
