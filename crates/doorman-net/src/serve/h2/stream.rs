//! One stream: a request, the handler, a response. A task of its own, which ends at once when the
//! client resets the stream, and takes the work at the origin with it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use doorman_http::{
    Body, BodyError, Conn, Data, Frame, Instant, Interim, Length, Method, Request, Response,
    ResponseHead, Source,
};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};

use super::convert;
use super::ledger::Running;
use crate::alarm::Alarm;
use crate::core::ServeSettings;
use crate::serve::Handler;
use crate::{Clock, heads};

/// What a client has to take within the time that a write may stand still, bytes per stream. A
/// client that opens its window by one byte a second would hold a stream for ever otherwise.
const TAKEN_MIN: usize = 16 * 1024;

/// Serves a stream until it ends.
pub(super) async fn serve<H: Handler>(
    clock: Clock,
    conn: Rc<Conn>,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Data>,
    running: Running,
) {
    let (parts, mut incoming) = request.into_parts();
    let mut head = heads::request();
    let sender = Rc::new(Sender { respond: RefCell::new(respond) });
    let head_request = parts.method == http::Method::HEAD;
    let length = match convert::request(&parts, &settings.limits, &mut head) {
        Ok(length) => length,
        Err(refused) => {
            // What was refused for its size must not wait in memory for a slow reader.
            drop((parts, incoming));
            let response = handler.refuse(&conn, head, refused);
            return write(clock, &settings, &sender, response, head_request, &running).await;
        }
    };
    drop(parts);
    if length == Some(0) && !incoming.is_end_stream() {
        // An origin would take the head alone for the whole request: see `Incoming::last`.
        let mut source = Incoming::new(clock, &settings, incoming, length);
        let ends = poll_fn(|cx| match sender.respond.borrow_mut().poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => source.poll_frame(cx).map(|frame| !matches!(frame, Some(Err(_)))),
        });
        if !ends.await {
            return heads::reuse_request(head);
        }
        incoming = source.stream;
    }
    let body = incoming_body(clock, &settings, &sender, incoming, length, head.expects_continue);
    debug_assert_ne!(head.method, Method::Connect, "convert refuses CONNECT");
    let interim: Rc<dyn Interim> = Rc::clone(&sender) as Rc<dyn Interim>;
    let answer = pin!(handler.handle(&conn, Request { head, body, interim: Some(interim) }));
    if let Some(response) = attend(&sender, answer).await {
        write(clock, &settings, &sender, response, head_request, &running).await;
    }
}

/// Waits for the handler, unless the client resets the stream first.
async fn attend(
    sender: &Sender,
    mut answer: Pin<&mut impl Future<Output = Response>>,
) -> Option<Response> {
    poll_fn(|cx| {
        if let Poll::Ready(response) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        sender.respond.borrow_mut().poll_reset(cx).map(|_| None)
    })
    .await
}

/// The way back to the client, shared with what sends 1xx responses.
struct Sender {
    respond: RefCell<SendResponse<Data>>,
}

impl Interim for Sender {
    fn send(&self, head: &ResponseHead) {
        // 101 has no meaning in HTTP/2 (RFC 9113 section 8.6).
        if head.status != 101 {
            let response = convert::response(head, Length::Absent);
            let _ = self.respond.borrow_mut().send_informational(response);
        }
    }
}

fn incoming_body(
    clock: Clock,
    settings: &Rc<ServeSettings>,
    sender: &Rc<Sender>,
    incoming: RecvStream,
    length: Option<u64>,
    expects_continue: bool,
) -> Body {
    if incoming.is_end_stream() {
        return match length {
            Some(_) => Body::whole(Bytes::new()),
            None => Body::empty(),
        };
    }
    let mut source = Incoming::new(clock, settings, incoming, length);
    source.sender = expects_continue.then(|| Rc::clone(sender));
    Body::pulled(Box::new(source), length.map_or(Length::Unknown, Length::Known))
}

/// A request's body.
struct Incoming {
    stream: RecvStream,
    alarm: Alarm,
    settings: Rc<ServeSettings>,
    sender: Option<Rc<Sender>>,
    /// What is missing of a declared length.
    remaining: Option<u64>,
    /// The piece that fulfils the declared length, kept until the stream's end is seen: an origin
    /// that counts bytes would take the request for whole, though the client may still send more
    /// than it declared (RFC 9113 section 8.1.1).
    last: Option<Bytes>,
    /// What came behind that piece.
    trailers: Option<http::HeaderMap>,
    in_trailers: bool,
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(sender) = self.sender.take() {
            sender.send(&ResponseHead::new(100));
        }
        let polled = self.poll_stream(cx);
        if polled.is_pending() {
            self.alarm.set_if_clear(self.settings.body_idle);
            ready!(self.alarm.poll(cx));
            return Poll::Ready(Some(Err(BodyError::ClientTimeout)));
        }
        self.alarm.clear();
        polled
    }
}

impl Incoming {
    fn new(
        clock: Clock,
        settings: &Rc<ServeSettings>,
        stream: RecvStream,
        length: Option<u64>,
    ) -> Self {
        Self {
            stream,
            alarm: Alarm::new(clock),
            settings: Rc::clone(settings),
            sender: None,
            remaining: length,
            last: None,
            trailers: None,
            in_trailers: false,
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        while !self.in_trailers {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // The window opens because the frame was taken: that is the back-pressure.
                    let _ = self.stream.flow_control().release_capacity(bytes.len());
                    if let Some(bytes) = self.keep_last(bytes) {
                        return Poll::Ready(Some(Ok(Frame::Data(bytes.into()))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(cause(&error)))),
                None => self.in_trailers = true,
            }
        }
        // Trailers end the stream as well; a fault that comes with them is seen here.
        let trailers = ready!(self.stream.poll_trailers(cx));
        if let (Ok(_), Some(bytes)) = (&trailers, self.last.take()) {
            self.trailers = trailers.unwrap_or_default();
            return Poll::Ready(Some(Ok(Frame::Data(bytes.into()))));
        }
        match trailers {
            Ok(map) => Poll::Ready(map.or_else(|| self.trailers.take()).map(|map| {
                convert::trailers(&map, &self.settings.limits)
                    .map(Frame::Trailers)
                    .map_err(BodyError::ClientMalformed)
            })),
            Err(error) => Poll::Ready(Some(Err(cause(&error)))),
        }
    }

    /// Gives back what may go on at once.
    fn keep_last(&mut self, bytes: Bytes) -> Option<Bytes> {
        if bytes.is_empty() {
            return None;
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(bytes.len() as u64);
            if *remaining == 0 && !self.stream.is_end_stream() {
                self.last = Some(bytes);
                return None;
            }
        }
        Some(bytes)
    }
}

fn cause(error: &h2::Error) -> BodyError {
    match error.reason() {
        Some(Reason::PROTOCOL_ERROR) => {
            BodyError::ClientMalformed("body against its Content-Length or framing")
        }
        _ => BodyError::ClientClosed,
    }
}

/// Writes a response.
async fn write(
    clock: Clock,
    settings: &ServeSettings,
    sender: &Sender,
    response: Response,
    head_request: bool,
    running: &Running,
) {
    let Response { head, mut body } = response;
    let bodiless = head_request || head.is_bodiless() || body.length() == Length::Known(0);
    let ended = bodiless || body.is_finished();
    let message = convert::response(&head, body.length());
    heads::reuse_response(head);
    let sent = sender.respond.borrow_mut().send_response(message, ended);
    let end = match sent {
        Err(_) => Err(BodyError::ClientClosed),
        Ok(_) if ended => Ok(()),
        Ok(mut stream) => {
            let end = {
                let pace = Pace::new(clock, settings.write_idle);
                Pump { body: &mut body, stream: &mut stream, running, pace }.run().await
            };
            if end.is_err() {
                // A cut body must look cut (invariant I4): no END_STREAM, but a reset.
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            end
        }
    };
    if bodiless && !body.is_finished() {
        // Lets a source that is at its end go back to its pool.
        poll_fn(|cx| {
            let _ = body.poll_frame(cx);
            Poll::Ready(())
        })
        .await;
    }
    body.close(end);
}

/// Moves frames from a body to a stream, at the client's pace.
struct Pump<'a> {
    body: &'a mut Body,
    stream: &'a mut SendStream<Data>,
    running: &'a Running,
    pace: Pace,
}

impl Pump<'_> {
    async fn run(&mut self) -> Result<(), BodyError> {
        let mut next = poll_fn(|cx| self.poll_next(cx)).await?;
        loop {
            match next {
                None => return self.end(),
                Some(Frame::Trailers(fields)) => {
                    return self
                        .stream
                        .send_trailers(convert::trailer_map(&fields))
                        .map_err(|_| BodyError::ClientClosed);
                }
                Some(Frame::Data(data)) => match self.send(data).await? {
                    Sent::Last => return Ok(()),
                    Sent::Before(frame) => next = frame,
                    Sent::Middle => next = poll_fn(|cx| self.poll_next(cx)).await?,
                },
            }
        }
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.stream.send_data(Data::Shared(Bytes::new()), true).map_err(|_| BodyError::ClientClosed)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, BodyError>> {
        if self.running.ledger().poll_room(self.body.length(), cx).is_pending() {
            // Others hold the connection's share. A client that gives this stream no window
            // meanwhile has only itself to wait for.
            self.stream.reserve_capacity(1);
            match self.poll_window(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // From here on it waits for the others.
                Poll::Ready(Ok(_)) => self.pace.stop(),
                Poll::Pending => {}
            }
            return self.poll_gone(cx);
        }
        if let Poll::Ready(frame) = self.body.poll_frame(cx) {
            return Poll::Ready(frame.transpose());
        }
        self.poll_gone(cx)
    }

    /// Ready when the client has reset the stream.
    fn poll_gone<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, BodyError>> {
        self.body.poll_drive(cx);
        self.stream.poll_reset(cx).map(|_| Err(BodyError::ClientClosed))
    }

    /// Hands `data` over as the client's window opens.
    async fn send(&mut self, mut data: Data) -> Result<Sent, BodyError> {
        let holding = self.running.hold(data.len());
        loop {
            self.stream.reserve_capacity(data.len().max(1));
            let granted = poll_fn(|cx| self.poll_window(cx)).await?;
            if granted >= data.len() {
                break;
            }
            let mut shared = match data {
                Data::Shared(bytes) => bytes,
                Data::Lent(chunk) => Bytes::from_owner(chunk),
            };
            let piece = shared.split_to(granted);
            self.hand(piece.into(), End::Open)?;
            data = Data::Shared(shared);
        }
        // One frame ahead, so that the last one can carry END_STREAM.
        let following = match poll_fn(|cx| Poll::Ready(self.body.poll_frame(cx))).await {
            Poll::Pending => None,
            Poll::Ready(frame) => Some(frame),
        };
        let end = if matches!(following, Some(None)) { End::Here } else { End::Open };
        self.hand(data, end)?;
        holding.hand_over();
        match following {
            Some(None) => Ok(Sent::Last),
            Some(Some(frame)) => Ok(Sent::Before(Some(frame?))),
            None => Ok(Sent::Middle),
        }
    }

    fn hand(&mut self, data: Data, end: End) -> Result<(), BodyError> {
        self.pace.took(data.len());
        self.stream.send_data(data, end == End::Here).map_err(|_| BodyError::ClientClosed)
    }

    /// Ready with what the client's window and the crate's buffer take.
    fn poll_window(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, BodyError>> {
        // A window that is large enough already is not announced again.
        if self.stream.capacity() > 0 {
            return Poll::Ready(Ok(self.stream.capacity()));
        }
        match self.stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(n))) if n > 0 => return Poll::Ready(Ok(n)),
            Poll::Ready(None | Some(Err(_))) => {
                return Poll::Ready(Err(BodyError::ClientClosed));
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        self.body.poll_drive(cx);
        self.pace.poll_late(cx).map(|()| Err(BodyError::ClientTimeout))
    }
}

/// What came of a piece.
enum Sent {
    /// It was the last.
    Last,
    /// This comes next.
    Before(Option<Frame>),
    /// What comes next has to be waited for.
    Middle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Here,
    Open,
}

/// How slowly a client may take what it asked for.
struct Pace {
    clock: Clock,
    alarm: Alarm,
    patience: Duration,
    left: Duration,
    since: Option<Instant>,
    taken: usize,
}

impl Pace {
    const fn new(clock: Clock, patience: Duration) -> Self {
        Self { clock, alarm: Alarm::new(clock), patience, left: patience, since: None, taken: 0 }
    }

    /// Ready when the client has kept us waiting for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = self.clock.instant();
            self.since = Some(now);
            self.alarm.set(now + self.left);
        }
        self.alarm.poll(cx)
    }

    /// The client is not waited for any longer.
    fn stop(&mut self) {
        if let Some(since) = self.since.take() {
            self.alarm.clear();
            self.left = self.left.saturating_sub(self.clock.instant().since(since));
        }
    }

    /// Hears of `n` bytes that the client made room for.
    fn took(&mut self, n: usize) {
        self.stop();
        self.taken += n;
        if self.taken >= TAKEN_MIN {
            self.taken = 0;
            self.left = self.patience;
        }
    }
}
