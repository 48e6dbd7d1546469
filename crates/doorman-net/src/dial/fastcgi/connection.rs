//! A connection to an application, and one request on it.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use doorman_fastcgi::{
    Ended, KeepConnection, Progress, Protocol, Reader, ReplyLimits, What, read_reply,
};
use doorman_http::{Body, BodyError, Chunk, Data, Frame, Instant, Length, ResponseHead, Source};

use super::sending::Sending;
use super::{Asking, Complaints, Pool};
use crate::alarm::Alarm;
use crate::dial::{Answer, DialError, DialTimeouts};
use crate::link::{Link, split, with_room};
use crate::seam::Stream;
use crate::{Clock, heads};

/// Bytes of complaints that are passed on for one request: a page of text. An application that goes
/// on must not fill a disk by being asked.
const COMPLAINTS_BYTES_MAX: usize = 4096;

/// A connection to an application.
pub struct Connection<S: Stream> {
    link: Link<S>,
    clock: Clock,
    pool: Rc<Pool<S>>,
    pub(super) born: Instant,
    pub(super) idle_since: Instant,
    pub(super) requests: u64,
    keep: KeepConnection,
    input: Option<Chunk>,
    sending: Sending,
    reader: Reader,
    /// Bytes of content to come, if the application said how many there are.
    left: Option<u64>,
    filled_last: bool,
    /// Bytes have come for this request.
    heard: bool,
    /// The request ended in order.
    ended: bool,
    complaints: Option<Rc<dyn Complaints>>,
    complaints_left: usize,
    phase: Phase,
    alarm: Alarm,
    timeouts: DialTimeouts,
}

/// What a request without a response waits for; each has a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The application is to read.
    Writing,
    /// The client is to send more of its body: its own wire keeps the time.
    Uploading,
    /// The application is to answer.
    Waiting,
}

/// A head that was read: what it says of the content's length, and content that came with it.
struct Found {
    length: Option<u64>,
    content: Vec<u8>,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(
        link: Link<S>,
        pool: Rc<Pool<S>>,
        clock: Clock,
        keep: KeepConnection,
    ) -> Box<Self> {
        pool.opened();
        let now = clock.instant();
        Box::new(Self {
            link,
            clock,
            pool,
            born: now,
            idle_since: now,
            requests: 0,
            keep,
            input: None,
            sending: Sending::default(),
            reader: Reader::new(),
            left: None,
            filled_last: false,
            heard: false,
            ended: false,
            complaints: None,
            complaints_left: 0,
            phase: Phase::Waiting,
            alarm: Alarm::new(clock),
            timeouts: DialTimeouts::default(),
        })
    }

    /// Whether a request has gone over this connection before.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.requests > 0
    }

    /// Whether an idle connection is alive and has nothing to say.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let mut buffer = tokio::io::ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        tokio::io::AsyncRead::poll_read(Pin::new(&mut self.link), &mut cx, &mut buffer).is_pending()
    }

    /// Sends a request and waits for the head of its response. `body` is taken out if it holds
    /// bytes: while it is still there, the request can be sent again.
    ///
    /// # Errors
    /// Why there is no response. The connection is closed then.
    pub async fn ask(
        mut self: Box<Self>,
        asking: Asking<'_>,
        body: &mut Option<Body>,
    ) -> Result<Answer, DialError> {
        self.timeouts = asking.timeouts;
        self.complaints = Some(Rc::clone(&asking.complaints));
        self.complaints_left = COMPLAINTS_BYTES_MAX;
        self.reader = Reader::new();
        self.heard = false;
        self.alarm.clear();
        // What a client would send behind an upgrade is no body: there is no upgrade here.
        let body = body.take_if(|body| !body.is_finished() && body.length() != Length::Absent);
        self.sending.begin(self.keep, asking.variables, body);
        let mut head = heads::response();
        let mut gathered = Vec::new();
        let found =
            poll_fn(|cx| self.poll_answer(cx, asking.limits, &mut gathered, &mut head)).await;
        match found {
            Ok(found) => self.into_answer(found, head, asking.is_head),
            Err(error) => {
                heads::reuse_response(head);
                Err(error)
            }
        }
    }

    /// One turn: send what can be sent, then look for a head.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        limits: ReplyLimits,
        gathered: &mut Vec<u8>,
        head: &mut ResponseHead,
    ) -> Poll<Result<Found, DialError>> {
        self.poll_sending(cx);
        if let Some(error) = self.sending.failure() {
            return Poll::Ready(Err(DialError::Client(error)));
        }
        match self.poll_head(cx, limits, gathered, head) {
            Poll::Ready(found) => Poll::Ready(found),
            Poll::Pending => self.poll_overdue(cx).map(Err),
        }
    }

    /// Sends what can be sent.
    fn poll_sending(&mut self, cx: &mut Context<'_>) {
        let mut moved = false;
        let _ = self.sending.poll(cx, &mut self.link, &mut moved);
        if moved {
            self.alarm.clear();
        }
    }

    /// Ready when a wait for the head has lasted too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<DialError> {
        let (phase, wait) = if self.sending.waits_for_reader() {
            (Phase::Writing, self.timeouts.idle)
        } else if self.sending.waits_for_body() {
            (Phase::Uploading, Duration::MAX)
        } else {
            (Phase::Waiting, self.timeouts.response)
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
            Phase::Writing => DialError::WriteTimeout,
            Phase::Uploading | Phase::Waiting => DialError::ResponseTimeout,
        })
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: ReplyLimits,
        gathered: &mut Vec<u8>,
        head: &mut ResponseHead,
    ) -> Poll<Result<Found, DialError>> {
        loop {
            match self.step() {
                Err(why) => return Poll::Ready(Err(DialError::Malformed(why))),
                Ok(Some(Piece::Content(data))) => {
                    gathered.extend_from_slice(data.as_slice());
                    match read_reply(gathered, limits, head) {
                        Err(fault) => return Poll::Ready(Err(DialError::Malformed(fault.0))),
                        Ok(Progress::Partial) => {}
                        Ok(Progress::Done { consumed, length }) => {
                            let content = gathered.split_off(consumed);
                            return Poll::Ready(Ok(Found { length, content }));
                        }
                    }
                    continue;
                }
                Ok(Some(Piece::End(ended))) => return Poll::Ready(Err(without_head(ended))),
                Ok(None) => {}
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) if self.heard => return Poll::Ready(Err(DialError::ClosedInHead)),
                Ok(0) | Err(_) => {
                    return Poll::Ready(Err(DialError::Closed { reused: self.is_reused() }));
                }
                Ok(_) => {}
            }
        }
    }

    /// The next piece of what the application sent, as far as it is at hand.
    fn step(&mut self) -> Result<Option<Piece>, &'static str> {
        while let Some(chunk) = self.input.take() {
            let step = self.reader.read(chunk.filled()).map_err(|fault| fault.as_str())?;
            let (content, rest) = split(chunk, step.content, step.consumed);
            self.input = rest;
            match (step.what, content) {
                (What::Output, Some(content)) => {
                    return Ok(Some(Piece::Content(Data::Lent(content))));
                }
                (What::Complaint, Some(content)) => self.complain(content.filled()),
                (What::End(ended), _) => return Ok(Some(Piece::End(ended))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn complain(&mut self, text: &[u8]) {
        let n = text.len().min(self.complaints_left);
        self.complaints_left -= n;
        if let Some(complaints) = &self.complaints
            && n > 0
        {
            complaints.heard(&text[..n]);
        }
    }

    /// Reads more input. A buffer is held only while bytes are in it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let large = self.filled_last || self.left.is_some_and(|left| left >= LARGE_FROM);
        let fresh = || if large { Chunk::large() } else { Chunk::small() };
        let mut chunk = self.input.take().map_or_else(fresh, with_room);
        let read = self.link.poll_read_chunk(cx, &mut chunk);
        self.filled_last = chunk.room().is_empty();
        if !chunk.is_empty() {
            self.heard = true;
            self.input = Some(chunk);
        }
        read
    }

    fn into_answer(
        mut self: Box<Self>,
        found: Found,
        mut head: Box<ResponseHead>,
        is_head: bool,
    ) -> Result<Answer, DialError> {
        self.alarm.clear();
        self.requests += 1;
        self.left = found.length;
        self.ended = false;
        let no_content = is_head || head.is_bodiless();
        if no_content || found.length == Some(0) {
            if !no_content && !found.content.is_empty() {
                heads::reuse_response(head);
                return Err(DialError::Malformed(LONGER));
            }
            // Whatever content follows is nobody's; the connection is worth keeping if the end of
            // the request is here already.
            head.declared_length = found.length.filter(|_| is_head);
            self.left = None;
            self.ended = found.content.is_empty()
                && matches!(self.step(), Ok(Some(Piece::End(ended))) if ended.protocol == Protocol::Complete);
            self.release();
            let body = if no_content { Body::empty() } else { Body::whole(bytes::Bytes::new()) };
            return Ok(Answer { head, body });
        }
        let length = found.length.map_or(Length::Unknown, Length::Known);
        let front = if found.content.is_empty() { None } else { Some(found.content) };
        if front.as_ref().is_some_and(|front| self.count(front.len()).is_err()) {
            heads::reuse_response(head);
            return Err(DialError::Malformed(LONGER));
        }
        let front = front.map(|front| Data::Shared(front.into()));
        Ok(Answer {
            head,
            body: Body::pulled(Box::new(Receiving { front, connection: self }), length),
        })
    }

    /// Counts content against the length that was announced.
    fn count(&mut self, n: usize) -> Result<(), BodyError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        *left = left.checked_sub(n as u64).ok_or(BodyError::UpstreamMalformed(LONGER))?;
        Ok(())
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            self.poll_sending(cx);
            if let Some(error) = self.sending.failure() {
                return Poll::Ready(Some(Err(error)));
            }
            match self.step() {
                Err(why) => return Poll::Ready(Some(Err(BodyError::UpstreamMalformed(why)))),
                Ok(Some(Piece::Content(data))) => {
                    self.alarm.clear();
                    let counted = self.count(data.len());
                    return Poll::Ready(Some(counted.map(|()| Frame::Data(data))));
                }
                Ok(Some(Piece::End(ended))) => {
                    return Poll::Ready(self.end(ended).err().map(Err));
                }
                Ok(None) => {}
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Some(Err(BodyError::UpstreamClosed)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    self.alarm.set_if_clear(self.timeouts.idle);
                    ready!(self.alarm.poll(cx));
                    return Poll::Ready(Some(Err(BodyError::UpstreamTimeout)));
                }
            }
        }
    }

    fn end(&mut self, ended: Ended) -> Result<(), BodyError> {
        if ended.protocol != Protocol::Complete {
            return Err(BodyError::UpstreamMalformed("the application gave the request up"));
        }
        if self.left.is_some_and(|left| left > 0) {
            return Err(BodyError::UpstreamMalformed("content is shorter than Content-Length"));
        }
        self.ended = true;
        Ok(())
    }

    /// Goes back to the pool, if the request ended in order and nothing is left over.
    fn release(mut self: Box<Self>) {
        let kept = self.keep == KeepConnection::Yes;
        if !(kept && self.ended && self.sending.is_done() && self.input.is_none()) {
            return;
        }
        self.ended = false;
        self.left = None;
        self.complaints = None;
        self.alarm.clear();
        let pool = Rc::clone(&self.pool);
        let now = self.clock.recent();
        pool.put(self, now);
    }
}

/// A body with at least this many bytes to come is read in large buffers.
const LARGE_FROM: u64 = 64 * 1024;
const LONGER: &str = "content is longer than Content-Length";

/// A piece of what an application sends.
enum Piece {
    Content(Data),
    End(Ended),
}

/// Why there is no response although the application ended the request.
const fn without_head(ended: Ended) -> DialError {
    match ended.protocol {
        Protocol::Overloaded => DialError::Unprocessed,
        Protocol::CannotMultiplex => {
            DialError::Malformed("the application takes one request at a time")
        }
        Protocol::UnknownRole => DialError::Malformed("the application does not answer requests"),
        Protocol::Complete => {
            DialError::Malformed("the application ended without a response's head")
        }
    }
}

impl<S: Stream> Drop for Connection<S> {
    fn drop(&mut self) {
        self.pool.closed();
    }
}

/// A response's content: what came with its head, then the connection.
struct Receiving<S: Stream> {
    front: Option<Data>,
    connection: Box<Connection<S>>,
}

impl<S: Stream> Source for Receiving<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self.front.take() {
            Some(front) => Poll::Ready(Some(Ok(Frame::Data(front)))),
            None => self.connection.poll_content(cx),
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.connection.poll_sending(cx);
    }

    fn release(self: Box<Self>) {
        if self.front.is_none() {
            self.connection.release();
        }
    }
}
