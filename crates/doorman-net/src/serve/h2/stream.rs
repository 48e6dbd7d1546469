//! One stream: a request, the handler, a response. It ends at once when the client resets the
//! stream, and takes the work at the origin with it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use doorman_h2::{Code, End, Stream};
use doorman_http::{
    BodyError, FieldId, Interim, Length, Method, Request, RequestHead, Response, ResponseHead,
};

use super::house::{House, Talk};
use super::incoming::Incoming;
use super::pump::Pump;
use crate::alarm::Alarm;
use crate::heads;
use crate::http2::websocket;
use crate::serve::early::{Content, may_be_early};
use crate::serve::ledger::Running;
use crate::serve::pace::Pace;
use crate::serve::tunnel::{self, Opening};
use crate::serve::{Handler, Refused};

const CLOSED_TUNNEL: Refused = Refused::of(400, "a tunnel that ends at once");

/// A request that a client sent.
pub(super) struct Asked {
    pub(super) stream: Stream,
    pub(super) head: Box<RequestHead>,
    /// The length that it declares, or why it is refused.
    pub(super) judged: Result<Option<u64>, Refused>,
    pub(super) is_ended: bool,
    pub(super) running: Running,
}

/// Serves a stream until it ends.
pub(super) async fn serve<H: Handler>(house: Rc<House>, handler: Rc<H>, asked: Asked) {
    let Asked { stream, mut head, judged, is_ended, running } = asked;
    let talk = Rc::new(Talk::new(house, stream));
    let conn = Rc::clone(&talk.house.conn);
    let terms = Terms {
        is_head: head.method == Method::Head,
        key: head.insists.then(|| websocket::key(|| handler.dice())),
        running: &running,
    };
    let judged = match judged {
        Ok(_) if head.insists && is_ended => Err(CLOSED_TUNNEL),
        judged => judged,
    };
    let length = match judged {
        Ok(length) => length,
        Err(refused) => {
            // What was refused for its size must not wait in memory for a slow reader.
            talk.with(|connection, stream| connection.ignore(stream));
            let response = handler.refuse(&conn, head, refused);
            return write(&talk, response, &terms).await;
        }
    };
    if length == Some(0) && !is_ended {
        // An origin would take the head alone for the whole request.
        let mut alarm = Alarm::new(talk.house.clock);
        alarm.set_if_clear(talk.house.settings.body_idle);
        if !poll_fn(|cx| Incoming::poll_none(&talk, &mut alarm, cx)).await {
            return heads::reuse_request(head);
        }
    }
    if let Some(shaking) = talk.house.shaking.as_ref().filter(|shaking| !shaking.is_over()) {
        let content = if is_ended { Content::None } else { Content::Some };
        if may_be_early(&head, content) {
            head.early = true;
        } else if attend(&talk, pin!(shaking.over())).await.is_none() {
            return heads::reuse_request(head);
        }
    }
    let body = match &terms.key {
        Some(key) => {
            head.fields.push_id(FieldId::SecWebSocketKey, key);
            Incoming::tunnel(&talk)
        }
        None => Incoming::body(&talk, length, head.expects_continue),
    };
    debug_assert_ne!(head.method, Method::Connect, "the codec refuses CONNECT");
    let interim: Rc<dyn Interim> = Rc::clone(&talk) as Rc<dyn Interim>;
    let answer = pin!(handler.handle(&conn, Request { head, body, interim: Some(interim) }));
    if let Some(response) = attend(&talk, answer).await {
        write(&talk, response, &terms).await;
    }
}

/// What of a request the way back depends on.
struct Terms<'a> {
    /// HEAD: no content follows, whatever the head declares.
    is_head: bool,
    /// The key that we added to a request for a WebSocket.
    key: Option<Vec<u8>>,
    running: &'a Running,
}

/// Waits for the handler, or for what it has to wait for, unless the stream is cut first.
async fn attend<T>(talk: &Talk, mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(response) => Poll::Ready(Some(response)),
        Poll::Pending if talk.is_cut() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Writes a response.
async fn write(talk: &Talk, response: Response, terms: &Terms<'_>) {
    let Response { mut head, mut body } = response;
    let settings = &talk.house.settings;
    let opening = tunnel::open(terms.key.as_deref(), &mut head);
    if let Opening::Wrong(why) = opening {
        heads::reuse_response(head);
        talk.answer(&ResponseHead::new(502), None, End::Here);
        return body.close(Err(BodyError::UpstreamMalformed(why)));
    }
    if let Some(alt_svc) = &settings.alt_svc
        && terms.running.ledger().is_first_response()
    {
        heads::announce(&mut head, alt_svc);
    }
    let is_tunnel = matches!(opening, Opening::Done);
    let bodiless =
        terms.is_head || head.is_bodiless() || body.length() == Length::Known(0) && !is_tunnel;
    let ended = bodiless || body.is_finished();
    let is_there = poll_fn(|_| {
        talk.with(|connection, stream| {
            if connection.is_cut(stream) {
                return Poll::Ready(false);
            }
            if connection.has_room() {
                return Poll::Ready(true);
            }
            // The connection's task polls this again.
            connection.wait_for_room(stream);
            Poll::Pending
        })
    })
    .await;
    talk.answer(&head, declared(&head, body.length()), if ended { End::Here } else { End::Open });
    heads::reuse_response(head);
    let end = if !is_there {
        Err(BodyError::ClientClosed)
    } else if ended {
        Ok(())
    } else {
        let pace = Pace::new(talk.house.clock, settings.write_idle);
        let end = {
            let mut pump = Pump::new(&mut body, talk, terms.running, pace);
            poll_fn(|cx| pump.poll(cx)).await
        };
        if end.is_err() {
            // A cut body must look cut (invariant I4): no END_STREAM, but a reset.
            // A tunnel's reset is told as one (RFC 8441 section 5).
            let code = if is_tunnel { Code::Cancel } else { Code::InternalError };
            talk.with(|connection, stream| connection.reset(stream, code));
        }
        end
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

/// What a head says of its content's length.
fn declared(head: &ResponseHead, length: Length) -> Option<u64> {
    let declared = match length {
        Length::Known(n) => Some(n),
        Length::Absent => head.declared_length,
        Length::Unknown => None,
    };
    declared.filter(|_| !matches!(head.status, 100..=199 | 204))
}
