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
    Body, BodyError, Conn, Data, Frame, Interim, Length, Method, Request, Response, ResponseHead,
    Source,
};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};

use super::{Running, convert};
use crate::alarm::Alarm;
use crate::core::ServeSettings;
use crate::serve::Handler;
use crate::{Clock, heads};

/// The most that is handed to the crate at once, bytes: what may wait in it for a client's window.
const PIECE_MAX: usize = 64 * 1024;

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
    let _running = running;
    let (parts, incoming) = request.into_parts();
    let mut head = heads::request();
    let sender = Rc::new(Sender { respond: RefCell::new(respond) });
    let head_request = parts.method == http::Method::HEAD;
    let length = match convert::request(&parts, &settings.limits, &mut head) {
        Ok(length) => length,
        Err(refused) => {
            let response = handler.refuse(&conn, head, refused);
            return write(clock, &settings, &sender, response, head_request).await;
        }
    };
    drop(parts);
    let body = incoming_body(clock, &settings, &sender, incoming, length, head.expects_continue);
    debug_assert_ne!(head.method, Method::Connect, "convert refuses CONNECT");
    let interim: Rc<dyn Interim> = Rc::clone(&sender) as Rc<dyn Interim>;
    let answer = pin!(handler.handle(&conn, Request { head, body, interim: Some(interim) }));
    if let Some(response) = attend(&sender, answer).await {
        write(clock, &settings, &sender, response, head_request).await;
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
    let source = Incoming {
        stream: incoming,
        alarm: Alarm::new(clock),
        idle: settings.body_idle,
        sender: expects_continue.then(|| Rc::clone(sender)),
        in_trailers: false,
    };
    Body::pulled(Box::new(source), length.map_or(Length::Unknown, Length::Known))
}

/// A request's body.
struct Incoming {
    stream: RecvStream,
    alarm: Alarm,
    idle: Duration,
    sender: Option<Rc<Sender>>,
    in_trailers: bool,
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(sender) = self.sender.take() {
            sender.send(&ResponseHead::new(100));
        }
        let polled = self.poll_stream(cx);
        if polled.is_pending() {
            self.alarm.set_if_clear(self.idle);
            ready!(self.alarm.poll(cx));
            return Poll::Ready(Some(Err(BodyError::ClientTimeout)));
        }
        self.alarm.clear();
        polled
    }
}

impl Incoming {
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        while !self.in_trailers {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // The window opens because the frame was taken: that is the back-pressure.
                    let _ = self.stream.flow_control().release_capacity(bytes.len());
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::Data(bytes.into()))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(cause(&error)))),
                None => self.in_trailers = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(map)) => Poll::Ready(Some(Ok(Frame::Trailers(convert::trailers(&map))))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(cause(&error)))),
        }
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
            let end = pump(clock, settings.write_idle, &mut body, &mut stream).await;
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

/// Moves frames from the body to the stream, at the client's pace.
async fn pump(
    clock: Clock,
    write_idle: Duration,
    body: &mut Body,
    stream: &mut SendStream<Data>,
) -> Result<(), BodyError> {
    let mut alarm = Alarm::new(clock);
    let mut held = match next(body, stream).await? {
        Some(Frame::Data(data)) => Some(data),
        Some(Frame::Trailers(trailers)) => return end_with(stream, &trailers),
        None => None,
    };
    while let Some(data) = held.take() {
        // One frame ahead, so that the last one can carry END_STREAM.
        let following = poll_fn(|cx| Poll::Ready(at_hand(body, cx))).await;
        let last = matches!(following, Some(None));
        send(&mut alarm, write_idle, body, stream, data, last).await?;
        if last {
            return Ok(());
        }
        let following = match following {
            Some(Some(frame)) => Some(frame?),
            Some(None) => None,
            None => next(body, stream).await?,
        };
        match following {
            Some(Frame::Data(data)) => held = Some(data),
            Some(Frame::Trailers(trailers)) => return end_with(stream, &trailers),
            None => break,
        }
    }
    stream.send_data(Data::Shared(Bytes::new()), true).map_err(|_| BodyError::ClientClosed)
}

/// What the body has at once: `None` if it has to be waited for.
#[expect(clippy::option_option, reason = "not yet, the end, and a frame are three answers")]
fn at_hand(body: &mut Body, cx: &mut Context<'_>) -> Option<Option<Result<Frame, BodyError>>> {
    match body.poll_frame(cx) {
        Poll::Ready(frame) => Some(frame),
        Poll::Pending => None,
    }
}

async fn next(body: &mut Body, stream: &mut SendStream<Data>) -> Result<Option<Frame>, BodyError> {
    poll_fn(|cx| {
        if let Poll::Ready(frame) = body.poll_frame(cx) {
            return Poll::Ready(frame.transpose());
        }
        stream.poll_reset(cx).map(|_| Err(BodyError::ClientClosed))
    })
    .await
}

fn end_with(
    stream: &mut SendStream<Data>,
    trailers: &doorman_http::Fields,
) -> Result<(), BodyError> {
    stream.send_trailers(convert::trailer_map(trailers)).map_err(|_| BodyError::ClientClosed)
}

/// Hands `data` over as the client's window opens.
async fn send(
    alarm: &mut Alarm,
    write_idle: Duration,
    body: &mut Body,
    stream: &mut SendStream<Data>,
    data: Data,
    last: bool,
) -> Result<(), BodyError> {
    let mut data = data;
    loop {
        let wanted = data.len().min(PIECE_MAX);
        stream.reserve_capacity(wanted);
        let granted = poll_fn(|cx| {
            // A window that is large enough already is not announced again.
            if stream.capacity() > 0 {
                return Poll::Ready(Ok(stream.capacity()));
            }
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(n))) if n > 0 => Poll::Ready(Ok(n)),
                Poll::Ready(Some(Ok(_))) => Poll::Pending,
                Poll::Ready(None | Some(Err(_))) => Poll::Ready(Err(BodyError::ClientClosed)),
                Poll::Pending => {
                    body.poll_drive(cx);
                    alarm.set_if_clear(write_idle);
                    ready!(alarm.poll(cx));
                    Poll::Ready(Err(BodyError::ClientTimeout))
                }
            }
        })
        .await?;
        alarm.clear();
        if granted >= data.len() {
            return stream.send_data(data, last).map_err(|_| BodyError::ClientClosed);
        }
        let mut shared = match data {
            Data::Shared(bytes) => bytes,
            Data::Lent(chunk) => Bytes::from_owner(chunk),
        };
        let piece = shared.split_to(granted);
        stream.send_data(Data::Shared(piece), false).map_err(|_| BodyError::ClientClosed)?;
        data = Data::Shared(shared);
    }
}
