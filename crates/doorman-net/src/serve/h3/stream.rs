//! One request stream: a request, the handler, a response. A task of its own, which ends at once when
//! the client gives the stream up, and takes the work at the origin with it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use doorman_h3::{Code, Limits, Piece, RequestFault, read_request};
use doorman_http::{
    Body, BodyError, FieldId, Interim, Length, Method, Request, RequestHead, Response, ResponseHead,
};
use quinn::{RecvStream, SendStream};

use super::halves::{Cut, Reading, Writing};
use super::house::House;
use super::incoming::Incoming;
use super::outgoing::{self, Pump};
use crate::alarm::Alarm;
use crate::core::ServeSettings;
use crate::heads;
use crate::http2::websocket;
use crate::serve::early::{Content, may_be_early};
use crate::serve::ledger::Running;
use crate::serve::pace::Pace;
use crate::serve::tunnel::{self, Opening};
use crate::serve::{Handler, Refused, note_odds, weigh};

const CLOSED_TUNNEL: RequestFault = RequestFault::Refused(400, "a tunnel that ends at once");

/// What both directions of a stream share.
pub(super) struct Talk {
    pub(super) writing: RefCell<Writing>,
    /// What the stream is cut with, once the request has turned out to be malformed.
    pub(super) verdict: Cell<Option<Code>>,
    /// What a client sends through a tunnel that is over.
    pub(super) rest: Cell<Option<Reading>>,
}

impl Interim for Talk {
    fn send(&self, head: &ResponseHead) {
        // 101 has no meaning in HTTP/3 (RFC 9114 section 4.5).
        if head.status != 101 {
            doorman_h3::write_interim(head, self.writing.borrow_mut().out());
        }
    }

    fn takes_hints(&self) -> bool {
        true
    }
}

/// The bounds of a head.
pub(super) const fn head_limits(settings: &ServeSettings) -> Limits {
    Limits { section_bytes: settings.limits.head_bytes, fields: settings.limits.fields }
}

/// The bounds of trailers.
pub(super) const fn trailer_limits(settings: &ServeSettings) -> Limits {
    let limits = &settings.limits;
    Limits { section_bytes: limits.trailer_bytes, fields: limits.trailer_fields }
}

/// Serves a stream until it ends.
pub(super) async fn serve<H: Handler>(
    house: Rc<House>,
    handler: Rc<H>,
    send: SendStream,
    recv: RecvStream,
    running: Running,
) {
    let writing = Writing::new(send);
    let mut gone = pin!(writing.stopped());
    let talk = Rc::new(Talk {
        writing: RefCell::new(writing),
        verdict: Cell::new(None),
        rest: Cell::new(None),
    });
    let reading = Reading::new(recv, house.settings.limits.head_bytes);
    let end = {
        let mut exchange = Exchange {
            house: &house,
            handler: &*handler,
            talk: &talk,
            running: &running,
            gone: gone.as_mut(),
        };
        exchange.run(reading).await
    };
    match end {
        Ok(()) => {
            // Until the client has it all, the stream counts: a drain waits for it.
            house.budget.refund(1);
            let mut alarm = Alarm::new(house.clock);
            alarm.set(house.clock.instant() + house.settings.write_idle);
            poll_fn(|cx| match gone.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => alarm.poll(cx),
            })
            .await;
        }
        Err(Stop::Fault(fault)) => house.fault(fault),
        Err(Stop::Reset(code)) => {
            talk.writing.borrow_mut().reset(code);
            house.count_glitches(1);
        }
    }
}

/// What of a request the way back depends on.
struct Asked {
    /// HEAD: no content follows, whatever the head declares.
    head: bool,
    /// The key that we added to a request for a WebSocket.
    key: Option<Vec<u8>>,
}

/// Why a stream ends without a whole response.
pub(super) enum Stop {
    /// The connection ends.
    Fault(doorman_h3::Fault),
    /// The stream is reset.
    Reset(Code),
}

impl From<Cut> for Stop {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Gone => Self::Reset(Code::RequestCancelled),
            Cut::Fault(fault) => Self::Fault(fault),
        }
    }
}

struct Exchange<'a, H, G> {
    house: &'a Rc<House>,
    handler: &'a H,
    talk: &'a Rc<Talk>,
    running: &'a Running,
    /// Ready when the client wants no more of the response.
    gone: Pin<&'a mut G>,
}

impl<H: Handler, G: Future<Output = ()>> Exchange<'_, H, G> {
    async fn run(&mut self, mut reading: Reading) -> Result<(), Stop> {
        let house = self.house;
        let settings = Rc::clone(&house.settings);
        let mut alarm = Alarm::new(self.house.clock);
        alarm.set(self.house.clock.instant() + settings.head_timeout);
        let piece = poll_fn(|cx| self.poll_piece(cx, &mut reading, &mut alarm)).await?;
        let mut head = heads::request();
        let read = match &piece {
            Some(Piece::Section(section)) => {
                read_request(section, &head_limits(&settings), &mut head)
            }
            Some(Piece::TooLarge) => Err(RequestFault::Refused(431, "header section is too large")),
            // Content cannot stand first: the reader of frames has refused it.
            Some(Piece::Content(_)) | None => return Err(Stop::Reset(Code::RequestIncomplete)),
        };
        drop(piece);
        let length = match read {
            Ok(length) => length,
            Err(fault) => {
                if matches!(fault, RequestFault::Malformed(_)) {
                    reading.stop(Code::MessageError);
                }
                return self.refuse(fault, head, reading).await;
            }
        };
        if !self.running.bear(head.fields.size()) {
            return Err(Stop::Reset(Code::RequestRejected));
        }
        let mut source = Incoming::new(self.house, self.talk, reading, length);
        if head.insists {
            source.is_tunnel = true;
        }
        if let Err(reason) = self.peek(&mut source, &head, &mut alarm).await? {
            return self.refuse(RequestFault::Malformed(reason), head, source).await;
        }
        if head.insists && source.is_empty() {
            return self.refuse(CLOSED_TUNNEL, head, source).await;
        }
        let content = if source.is_empty() { Content::None } else { Content::Some };
        note_odds(&mut head, length, content);
        if let Err(refused) = weigh(settings.desync, &mut head) {
            return self.turn_away(refused, head, source).await;
        }
        if let Some(shaking) = house.shaking.as_ref().filter(|shaking| !shaking.is_over()) {
            if may_be_early(&head, content) {
                head.early = true;
            } else {
                self.attend(pin!(shaking.over()))
                    .await
                    .ok_or(Stop::Reset(Code::RequestCancelled))?;
            }
        }
        let asked = Asked {
            head: head.method == Method::Head,
            key: head.insists.then(|| websocket::key(|| self.handler.dice())),
        };
        let body = match &asked.key {
            Some(key) => {
                head.fields.push_id(FieldId::SecWebSocketKey, key);
                source.into_tunnel()
            }
            None => source.into_body(head.expects_continue),
        };
        let interim: Rc<dyn Interim> = Rc::clone(self.talk) as Rc<dyn Interim>;
        let request = Request { head, body, interim: Some(interim) };
        let answer = pin!(self.handler.handle(&self.house.conn, request));
        let response = self.attend(answer).await.ok_or(Stop::Reset(Code::RequestCancelled))?;
        self.write(response, &asked).await
    }

    /// The next piece within the time that a head may take.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
        alarm: &mut Alarm,
    ) -> Poll<Result<Option<Piece>, Stop>> {
        let polled = reading.poll_piece(cx);
        self.house.count_glitches(reading.take_glitches());
        if let Poll::Ready(piece) = polled {
            return Poll::Ready(piece.map_err(Stop::from));
        }
        if self.gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Stop::Reset(Code::RequestCancelled)));
        }
        alarm.poll(cx).map(|()| Err(Stop::Reset(Code::RequestIncomplete)))
    }
    /// Looks ahead in the content, so that the end of a request that has none is seen before an
    /// origin hears of it: it comes with the head, but not always in the same packet. Only methods
    /// that go without content are waited for, and a declared length of zero, for which an origin
    /// would take the head alone for the whole request.
    async fn peek(
        &mut self,
        source: &mut Incoming,
        head: &RequestHead,
        alarm: &mut Alarm,
    ) -> Result<Result<(), &'static str>, Stop> {
        let is_empty = source.declared() == Some(0);
        // What comes through a tunnel comes when it is open.
        let has_none = source.declared().is_none() && head.method.is_safe() && !head.insists;
        let waits = is_empty || has_none && !head.expects_continue;
        let is_seen = poll_fn(|cx| {
            if source.poll_peek(cx).is_ready() || !waits {
                return Poll::Ready(Some(true));
            }
            if self.gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            alarm.poll(cx).map(|()| Some(false))
        })
        .await;
        match is_seen {
            Some(true) => Ok(source.malformed().map_or(Ok(()), Err)),
            Some(false) if is_empty => Err(Stop::Reset(Code::RequestIncomplete)),
            Some(false) => Ok(Ok(())),
            None => Err(Stop::Reset(Code::RequestCancelled)),
        }
    }

    /// Waits for the handler, or for what it has to wait for, unless the client gives the stream up first.
    async fn attend<T>(&mut self, mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| {
            if let Poll::Ready(response) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            // Interim responses.
            let _ = self.talk.writing.borrow_mut().poll_flush(cx);
            self.gone.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Answers what is no request. `rest` is what was not read of it.
    async fn refuse<R>(
        &mut self,
        fault: RequestFault,
        head: Box<RequestHead>,
        rest: R,
    ) -> Result<(), Stop> {
        let house = self.house;
        match fault {
            RequestFault::Connection(fault) => Err(Stop::Fault(fault)),
            RequestFault::Malformed(reason) => {
                let refused = Refused::of(400, reason);
                let mut response = self.handler.refuse(&house.conn, head, refused);
                response.body.close(Err(BodyError::ClientMalformed(reason)));
                Err(Stop::Reset(Code::MessageError))
            }
            RequestFault::Refused(status, reason) => {
                self.turn_away(Refused::of(status, reason), head, rest).await
            }
        }
    }

    /// Answers a request that is refused. `rest` is what was not read of it.
    async fn turn_away<R>(
        &mut self,
        refused: Refused,
        head: Box<RequestHead>,
        rest: R,
    ) -> Result<(), Stop> {
        let asked = Asked { head: head.method == Method::Head, key: None };
        // It must not wait in memory for a slow reader.
        drop(rest);
        let response = self.handler.refuse(&self.house.conn, head, refused);
        self.write(response, &asked).await
    }

    /// Writes a response.
    async fn write(&mut self, response: Response, asked: &Asked) -> Result<(), Stop> {
        let Response { mut head, mut body } = response;
        let opening = tunnel::open(asked.key.as_deref(), &mut head);
        if let Opening::Wrong(why) = opening {
            body.close(Err(BodyError::UpstreamMalformed(why)));
            (head, body) = (Box::new(ResponseHead::new(502)), Body::empty());
        }
        let is_tunnel = matches!(opening, Opening::Done);
        let bodiless =
            asked.head || head.is_bodiless() || body.length() == Length::Known(0) && !is_tunnel;
        let ended = bodiless || body.is_finished();
        let length = outgoing::declared(&head, body.length());
        doorman_h3::write_response(&head, length, self.talk.writing.borrow_mut().out());
        heads::reuse_response(head);
        let end = {
            let pace = Pace::new(self.house.clock, self.house.settings.write_idle);
            let mut pump = Pump::new(&mut body, self.talk, self.running, pace, self.gone.as_mut());
            if ended { pump.flush().await } else { pump.run().await }
        };
        if bodiless && !body.is_finished() {
            // Lets a source that is at its end go back to its pool.
            poll_fn(|cx| {
                let _ = body.poll_frame(cx);
                Poll::Ready(())
            })
            .await;
        }
        let end = match end {
            Err(BodyError::ClientClosed) if self.house.is_cut_off.get() => Err(BodyError::Draining),
            end => end,
        };
        // A tunnel's break is told as one (RFC 9220 section 3).
        let broken = (is_tunnel && end.is_err()).then_some(Code::RequestCancelled);
        let verdict = self.talk.verdict.get().or(broken);
        let stop = match (verdict, end) {
            (Some(code), _) => Err(Stop::Reset(code)),
            (None, Ok(())) => {
                self.talk.writing.borrow_mut().finish();
                Ok(())
            }
            (None, Err(BodyError::ClientClosed | BodyError::ClientTimeout)) => {
                Err(Stop::Reset(Code::RequestCancelled))
            }
            // A cut body must look cut (invariant I4).
            (None, Err(_)) => Err(Stop::Reset(Code::InternalError)),
        };
        body.close(end);
        if let (Some(mut rest), Some(code)) = (self.talk.rest.take(), broken) {
            rest.stop(code);
        }
        stop
    }
}
