//! HTTP/1.1 to clients.
//!
//! One task owns the connection from accept to close: it reads heads, calls the handler, and
//! writes what it gets, so a request needs no task, channel or box of its own. The parts of the
//! connection that a request's body needs too (the stream, what was read ahead) are shared with it
//! in a cell.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorman_h1::{
    CHUNK_END, Coding, Decoder, Framing, Progress, Reply, read_request, write_chunk_head,
    write_interim, write_last_chunk, write_response_head,
};
use doorman_http::{
    Body, BodyError, Chunk, Conn, Data, Frame, Interim, Length, Method, Request, RequestHead,
    Response, ResponseHead, Scheme, Source, Version,
};
use tokio::io::AsyncWrite;

use super::early::{Content, may_be_early};
use super::pace::Pace;
use super::{Handler, Refused, weigh};
use crate::alarm::Alarm;
use crate::core::{Core, ServeSettings, Ticket};
use crate::heads;
use crate::link::{Link, Outbox, split, with_room};
use crate::seam::{Glimpse, Stream};

/// What is read and thrown away of a body that the house did not want, so that the connection can
/// go on; a longer rest closes it (RFC 9112 section 9.6).
const DRAIN_MAX: usize = 64 * 1024;
/// How long we go on reading after the last response of a connection, so that the client gets it
/// before a reset could destroy it (RFC 9112 section 9.6). Many clients read only when all of a long
/// body is written, so it is long; one that is silent meanwhile has got its answer or never will.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_IDLE: Duration = Duration::from_secs(2);
/// How much is read so: more than what is sent without looking, and little work to throw away.
const LINGER_BYTES_MAX: usize = 256 << 20;
/// How often a client whose bytes we leave unread is looked at: an origin is to learn within a
/// second that nobody waits for its answer any more.
const VIGIL: Duration = Duration::from_millis(500);
/// How often a response is sent on in one turn, up to 256 KiB each time, before others of the core have theirs. A
/// client that takes all that it gets would else keep them waiting for as many sends as tokio lets one task make.
const SENDS: u32 = 2;
/// A body with at least this many bytes to come is read in large buffers.
const LARGE_FROM: u64 = 64 * 1024;

/// A connection, shared by the task that serves it and the bodies of its requests.
struct Wire<S: Stream> {
    io: RefCell<Io<S>>,
}

struct Io<S> {
    link: Link<S>,
    input: Option<Chunk>,
    outbox: Outbox,
    decoder: Option<Decoder>,
    alarm: Alarm,
    /// For a body whose length is declared.
    pace: Pace,
    is_paced: bool,
    vigil: Alarm,
    settings: Rc<ServeSettings>,
    /// The client waits for `100 Continue`.
    expects_continue: bool,
    /// The client may get 1xx responses.
    takes_interim: bool,
    /// The body of a request that asked for an upgrade was pulled: its bytes are a tunnel's.
    tunnel: bool,
    filled_last: bool,
    /// In this turn the body was asked for and waits for the client: its end wakes us.
    awaited: bool,
    body_failed: bool,
    /// A message was refused: what follows it is read by nobody.
    refused: bool,
    /// HTTP/3 is there and was not yet spoken of.
    announces: bool,
}

/// How a message ended, for the connection.
enum Next {
    /// It may bring another.
    Request,
    /// Close it, after what was written has been read.
    Close,
    /// Close it so that the client sees an error.
    Abort,
}

/// Serves a connection until it ends. `input` is what was read of it already.
pub(super) async fn serve<S: Stream, H: Handler>(
    core: Rc<Core>,
    ticket: Ticket,
    conn: Rc<Conn>,
    link: Link<S>,
    input: Option<Chunk>,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
) {
    let wire = Rc::new(Wire {
        io: RefCell::new(Io {
            link,
            input,
            outbox: Outbox::default(),
            decoder: None,
            alarm: Alarm::new(core.clock),
            pace: Pace::new(core.clock, settings.body_idle),
            is_paced: false,
            vigil: Alarm::new(core.clock),
            announces: settings.alt_svc.is_some(),
            settings,
            expects_continue: false,
            takes_interim: false,
            tunnel: false,
            filled_last: false,
            awaited: false,
            body_failed: false,
            refused: false,
        }),
    });
    poll_fn(|cx| {
        ticket.register(cx.waker());
        Poll::Ready(())
    })
    .await;
    let mut served = 0;
    loop {
        match turn(&core, &ticket, &wire, &conn, &*handler, served).await {
            Next::Request => served += 1,
            Next::Close => return wire.linger(&core).await,
            Next::Abort => return wire.io.borrow_mut().link.reset_on_close(),
        }
    }
}

/// One request and its response.
async fn turn<S: Stream, H: Handler>(
    core: &Core,
    ticket: &Ticket,
    wire: &Rc<Wire<S>>,
    conn: &Rc<Conn>,
    handler: &H,
    served: u64,
) -> Next {
    let mut head = heads::request();
    head.scheme = if conn.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let mut arrive =
        |cx: &mut Context<'_>| wire.io.borrow_mut().poll_request(cx, core, ticket, &mut head);
    let framing = match poll_fn(&mut arrive).await {
        Arrival::Request(framing) => framing,
        Arrival::Nothing => {
            heads::reuse_request(head);
            return Next::Close;
        }
        Arrival::Refused(refused) => {
            let reply =
                Reply { client: version(head.version), head_request: false, keep_alive: false };
            wire.io.borrow_mut().refused = true;
            let response = handler.refuse(conn, head, refused);
            let _ = wire.write(core, response, reply).await;
            return Next::Close;
        }
    };
    if wire.io.borrow().link.is_early() {
        if may_be_early(&head, content(framing.body)) {
            head.early = true;
        } else if !wire.shaken(core).await {
            heads::reuse_request(head);
            return Next::Abort;
        }
    }
    let keep_alive = framing.keep_alive && served + 1 < wire.io.borrow().settings.requests_max;
    let client = version(head.version);
    let head_request = head.method == Method::Head;
    let body = wire.body(&head, framing.body);
    let interim: Rc<dyn Interim> = Rc::clone(wire) as Rc<dyn Interim>;
    let request = Request { head, body, interim: Some(interim) };

    let Some(response) = wire.attend(core, pin!(handler.handle(conn, request))).await else {
        return Next::Abort;
    };
    let stays = !core.is_draining() && !core.is_pressed();
    let keep_alive = keep_alive && stays && wire.io.borrow().can_go_on();
    wire.write(core, response, Reply { client, head_request, keep_alive }).await
}

const fn content(framing: Framing) -> Content {
    match framing {
        Framing::Empty | Framing::Known(0) => Content::None,
        _ => Content::Some,
    }
}

fn version(version: Version) -> Version {
    if version == Version::Http10 { Version::Http10 } else { Version::Http11 }
}

enum Arrival {
    Request(doorman_h1::RequestFraming),
    Nothing,
    Refused(Refused),
}

impl<S: Stream> Io<S> {
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        ticket: &Ticket,
        head: &mut RequestHead,
    ) -> Poll<Arrival> {
        loop {
            if let Some(input) = &mut self.input {
                match read_request(input.filled(), &self.settings.limits, head) {
                    Ok(Progress::Done { consumed, mut framing }) => {
                        input.consume(consumed);
                        if input.is_empty() {
                            self.input = None;
                        }
                        self.alarm.clear();
                        if let Err(refused) = weigh(self.settings.desync, head) {
                            return Poll::Ready(Arrival::Refused(refused));
                        }
                        framing.keep_alive &= !head.alone;
                        return Poll::Ready(Arrival::Request(framing));
                    }
                    Ok(Progress::Partial) => {}
                    Err(refusal) => {
                        return Poll::Ready(Arrival::Refused(Refused {
                            status: refusal.status,
                            reason: refusal.reason,
                            anomaly: refusal.anomaly(),
                        }));
                    }
                }
            }
            if core.is_closing() || (core.is_draining() && self.input.is_none()) {
                return Poll::Ready(Arrival::Nothing);
            }
            let begun = self.input.is_some();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Arrival::Nothing),
                Poll::Ready(Err(error)) => {
                    // TLS has sent an alert; what lies unread must not turn it into a reset.
                    self.refused |= error.kind() == std::io::ErrorKind::InvalidData;
                    return Poll::Ready(Arrival::Nothing);
                }
                Poll::Ready(Ok(_)) => {
                    if !begun {
                        ticket.work();
                        // From the first byte on the head has an absolute deadline.
                        self.alarm.clear();
                    }
                }
                Poll::Pending => {
                    // What has brought nothing yet is no loss if it has to go.
                    if !begun && ticket.rest() {
                        return Poll::Ready(Arrival::Nothing);
                    }
                    let wait =
                        if begun { self.settings.head_timeout } else { self.settings.keep_alive };
                    self.alarm.set_if_clear(wait);
                    // Who sends a head byte by byte shall hold its bytes and not a whole buffer.
                    self.input = self.input.take().map(Chunk::fitted);
                    ready!(self.alarm.poll(cx));
                    return Poll::Ready(if begun {
                        Arrival::Refused(Refused::plain(408, "request head took too long"))
                    } else {
                        Arrival::Nothing
                    });
                }
            }
        }
    }

    /// Reads more input. A buffer is held only while bytes are in it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut chunk = self.input.take().map_or_else(|| self.next_chunk(), with_room);
        let read = self.link.poll_read_chunk(cx, &mut chunk);
        self.filled_last = chunk.room().is_empty();
        if !chunk.is_empty() {
            self.input = Some(chunk);
        }
        read
    }

    fn next_chunk(&self) -> Chunk {
        let expected = self.decoder.as_ref().and_then(Decoder::remaining).unwrap_or(0);
        if expected >= LARGE_FROM || self.filled_last { Chunk::large() } else { Chunk::small() }
    }

    /// Whether the request's body is at its end, or absent.
    fn is_at_boundary(&self) -> bool {
        self.decoder.as_ref().is_none_or(Decoder::is_done) && !self.tunnel
    }

    /// Whether another request may follow, as far as can be told before the response is written:
    /// the rest of an unwanted body must be short enough to be read away.
    fn can_go_on(&self) -> bool {
        if self.body_failed || self.tunnel {
            return false;
        }
        let Some(decoder) = &self.decoder else { return true };
        // A client that still waits for 100 Continue may send its body or not: there is no telling
        // what its next byte is (RFC 9110 section 10.1.1).
        decoder.is_done()
            || (!self.expects_continue && decoder.remaining().is_none_or(|n| n <= DRAIN_MAX as u64))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.expects_continue {
            self.expects_continue = false;
            write_interim(self.outbox.encode(), &ResponseHead::new(100));
        }
        if !self.outbox.is_empty() {
            let _ = self.outbox.poll_send(cx, &mut self.link);
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
            if decoder.is_done() {
                let trailers = decoder.take_trailers();
                self.alarm.clear();
                return Poll::Ready(trailers.map(|t| Ok(Frame::Trailers(t))));
            }
            if let Some(chunk) = self.input.take() {
                if let Some(frame) = self.cut(chunk) {
                    self.alarm.clear();
                    if self.is_paced
                        && let Ok(Frame::Data(data)) = &frame
                    {
                        self.pace.moved(data.len());
                    }
                    return Poll::Ready(Some(frame));
                }
                continue;
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    let clean = self.decoder.as_mut().is_some_and(|d| d.end_of_input().is_ok());
                    if clean {
                        self.decoder = None;
                        return Poll::Ready(None);
                    }
                    return self.fail(BodyError::ClientClosed);
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return self.fail(BodyError::ClientClosed),
                Poll::Pending => {
                    self.awaited = true;
                    if self.tunnel {
                        return Poll::Pending;
                    }
                    if self.is_paced {
                        ready!(self.pace.poll_late(cx));
                    } else {
                        self.alarm.set_if_clear(self.settings.body_idle);
                        ready!(self.alarm.poll(cx));
                    }
                    return self.fail(BodyError::ClientTimeout);
                }
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        self.body_failed = true;
        Poll::Ready(Some(Err(error)))
    }

    /// Cuts the content at the front of `chunk` out as a frame; what follows the body's end stays
    /// as input: it is the next request.
    fn cut(&mut self, mut chunk: Chunk) -> Option<Result<Frame, BodyError>> {
        let decoder = self.decoder.as_mut()?;
        let step = match decoder.decode(chunk.filled_mut()) {
            Ok(step) => step,
            Err(fault) => {
                self.body_failed = true;
                return Some(Err(BodyError::ClientMalformed(fault.reason)));
            }
        };
        let (content, rest) = split(chunk, step.content, step.consumed);
        self.input = rest;
        content.map(|content| Ok(Frame::Data(Data::Lent(content))))
    }

    /// Ready when the client is gone, while we wait for others. Costs nothing while nothing comes.
    fn poll_gone(&mut self, cx: &mut Context<'_>, core: &Core) -> Poll<()> {
        if core.is_closing() {
            return Poll::Ready(());
        }
        if std::mem::take(&mut self.awaited) {
            return Poll::Pending;
        }
        if self.is_at_boundary() && self.input.is_none() {
            match ready!(self.link.poll_glimpse(cx)) {
                Glimpse::Reset => return Poll::Ready(()),
                // A client that has finished sending may still want its answer (UPB-18).
                Glimpse::Bytes | Glimpse::Finished => {}
            }
        }
        // What we do not read yet stands before the client's end, and nothing wakes us for it.
        loop {
            if self.link.is_gone() {
                return Poll::Ready(());
            }
            self.vigil.set_if_clear(VIGIL);
            ready!(self.vigil.poll(cx));
        }
    }
}

impl<S: Stream> Wire<S> {
    /// Makes the body of the request that `framing` describes.
    fn body(self: &Rc<Self>, head: &RequestHead, framing: Framing) -> Body {
        let mut io = self.io.borrow_mut();
        io.takes_interim = head.version != Version::Http10;
        io.expects_continue = false;
        io.tunnel = false;
        io.filled_last = false;
        io.awaited = false;
        io.is_paced = matches!(framing, Framing::Known(n) if n > 0);
        if io.is_paced {
            io.pace.restart();
        }
        let length = match framing {
            Framing::Known(0) => {
                io.decoder = None;
                return Body::whole(bytes::Bytes::new());
            }
            Framing::Empty if head.upgrade.is_some() => {
                io.decoder = None;
                return Body::pulled(
                    Box::new(TunnelBody { wire: Rc::clone(self) }),
                    Length::Absent,
                );
            }
            Framing::Empty | Framing::UntilClose | Framing::Tunnel => {
                io.decoder = None;
                return Body::empty();
            }
            Framing::Known(n) => Length::Known(n),
            Framing::Chunked => Length::Unknown,
        };
        io.decoder = Some(Decoder::new(framing, &io.settings.limits));
        io.expects_continue = head.expects_continue && io.takes_interim;
        Body::pulled(Box::new(ClientBody { wire: Rc::clone(self) }), length)
    }

    /// Waits for the end of the client's handshake, which has a deadline of its own. `false`: it failed.
    async fn shaken(&self, core: &Core) -> bool {
        poll_fn(|cx| {
            if core.is_closing() {
                return Poll::Ready(false);
            }
            self.io.borrow_mut().link.poll_handshake(cx).map(|shaken| shaken.is_ok())
        })
        .await
    }

    /// Waits for the handler while watching for a client that goes away: then the exchange is
    /// dropped, and with it whatever the origin was asked for.
    async fn attend(
        &self,
        core: &Core,
        mut answer: Pin<&mut impl Future<Output = Response>>,
    ) -> Option<Response> {
        poll_fn(|cx| {
            if let Poll::Ready(response) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            self.io.borrow_mut().poll_gone(cx, core).map(|()| None)
        })
        .await
    }

    /// Writes a response and says what becomes of the connection.
    async fn write(&self, core: &Core, response: Response, reply: Reply) -> Next {
        let Response { mut head, mut body } = response;
        let tunnel = head.status == 101;
        let mut outgoing = {
            let mut io = self.io.borrow_mut();
            if std::mem::take(&mut io.announces)
                && let Some(alt_svc) = &io.settings.alt_svc
            {
                heads::announce(&mut head, alt_svc);
            }
            io.alarm.clear();
            // The final head is the answer to the expectation (RFC 9110 section 10.1.1): a 100
            // behind it would be taken for the beginning of the next response.
            io.expects_continue = false;
            let coding = write_response_head(io.outbox.encode(), &head, &reply, body.length());
            Outgoing { coding, ended: coding == Coding::None, last_chunk: false }
        };
        heads::reuse_response(head);
        let end = poll_fn(|cx| self.poll_out(cx, core, &mut body, &mut outgoing)).await;
        if outgoing.coding == Coding::None && !reply.head_request {
            // No frame was wanted of it; its source is at its end or is given up.
            while let Some(Ok(_)) = poll_fn(|cx| Poll::Ready(now(body.poll_frame(cx)))).await {}
        }
        body.close(end);
        if end.is_err() {
            return Next::Abort;
        }
        if tunnel || !reply.keep_alive || outgoing.coding == Coding::UntilClose {
            return Next::Close;
        }
        self.finish_request().await
    }

    /// Moves frames from the body to the socket. Small ones gather behind the head, so that a
    /// whole small response leaves in one write.
    fn poll_out(
        &self,
        cx: &mut Context<'_>,
        core: &Core,
        body: &mut Body,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), BodyError>> {
        let mut sends = 0;
        loop {
            while !outgoing.ended && self.io.borrow().outbox.has_room() {
                match body.poll_frame(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(frame))) => {
                        outgoing.encode(&mut self.io.borrow_mut().outbox, frame);
                    }
                    Poll::Ready(None) => outgoing.end(&mut self.io.borrow_mut().outbox),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                }
            }
            if core.is_closing() {
                return Poll::Ready(Err(BodyError::Draining));
            }
            let sent = self.io.borrow_mut().poll_send(cx);
            match sent {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Sent::Something)) if outgoing.ended || sends + 1 < SENDS => {
                    sends += 1;
                }
                Poll::Ready(Ok(Sent::Something)) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Sent::Nothing)) if outgoing.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Sent::Nothing)) => {
                    ready!(self.io.borrow_mut().poll_gone(cx, core));
                    return Poll::Ready(Err(BodyError::ClientClosed));
                }
                Poll::Pending => {
                    body.poll_drive(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Brings the connection to the end of the request, reading away what the house did not want.
    async fn finish_request(&self) -> Next {
        let mut drained = 0;
        loop {
            if self.io.borrow().is_at_boundary() {
                self.io.borrow_mut().decoder = None;
                return Next::Request;
            }
            match poll_fn(|cx| self.io.borrow_mut().poll_body(cx)).await {
                None | Some(Ok(Frame::Trailers(_))) => {}
                Some(Ok(Frame::Data(data))) => {
                    drained += data.len();
                    if drained > DRAIN_MAX {
                        return Next::Close;
                    }
                }
                Some(Err(_)) => return Next::Close,
            }
        }
    }

    /// Closes so that the client gets what was written: says that we are done, then reads on for
    /// a while if bytes may be on their way (RFC 9112 section 9.6).
    async fn linger(&self, core: &Core) {
        let unread = {
            let io = self.io.borrow();
            io.input.is_some() || io.decoder.as_ref().is_some_and(|d| !d.is_done()) || io.refused
        };
        let mut left = LINGER_BYTES_MAX;
        let end = core.clock.instant() + LINGER;
        self.io.borrow_mut().alarm.clear();
        poll_fn(|cx| {
            let io = &mut *self.io.borrow_mut();
            io.alarm.set_if_clear(LINGER_IDLE);
            if io.alarm.poll(cx).is_ready() || core.is_closing() {
                return Poll::Ready(());
            }
            if ready!(io.outbox.poll_send(cx, &mut io.link)).is_err() {
                return Poll::Ready(());
            }
            if ready!(Pin::new(&mut io.link).poll_shutdown(cx)).is_err() || !unread {
                return Poll::Ready(());
            }
            loop {
                match ready!(io.link.poll_discard(cx)) {
                    Ok(n) if n > 0 && n <= left => left -= n,
                    _ => return Poll::Ready(()),
                }
                io.alarm.set(end.min(core.clock.instant() + LINGER_IDLE));
            }
        })
        .await;
    }
}

fn now<T>(poll: Poll<Option<T>>) -> Option<T> {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => None,
    }
}

/// Whether a turn of sending had anything to do.
enum Sent {
    Something,
    Nothing,
}

impl<S: Stream> Io<S> {
    /// Ready when all that waits has left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sent, BodyError>> {
        if self.outbox.is_empty() {
            return Poll::Ready(Ok(Sent::Nothing));
        }
        match self.outbox.poll_send(cx, &mut self.link) {
            Poll::Ready(Ok(())) => {
                self.alarm.clear();
                Poll::Ready(Ok(Sent::Something))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(BodyError::ClientClosed)),
            Poll::Pending => {
                self.alarm.set_if_clear(self.settings.write_idle);
                ready!(self.alarm.poll(cx));
                Poll::Ready(Err(BodyError::ClientTimeout))
            }
        }
    }
}

/// A response body on its way out.
struct Outgoing {
    coding: Coding,
    ended: bool,
    last_chunk: bool,
}

impl Outgoing {
    fn encode(&mut self, outbox: &mut Outbox, frame: Frame) {
        match frame {
            Frame::Data(data) if self.coding == Coding::Chunked => {
                write_chunk_head(outbox.encode(), data.len());
                outbox.add(data, CHUNK_END);
            }
            Frame::Data(data) => outbox.add(data, b""),
            Frame::Trailers(trailers) => {
                if self.coding == Coding::Chunked {
                    write_last_chunk(outbox.encode(), Some(&trailers));
                    self.last_chunk = true;
                }
            }
        }
    }

    fn end(&mut self, outbox: &mut Outbox) {
        if self.coding == Coding::Chunked && !self.last_chunk {
            write_last_chunk(outbox.encode(), None);
        }
        self.ended = true;
    }
}

impl<S: Stream> Interim for Wire<S> {
    fn send(&self, head: &ResponseHead) {
        let io = &mut *self.io.borrow_mut();
        if !io.takes_interim || !io.outbox.has_room() {
            return;
        }
        write_interim(io.outbox.encode(), head);
        // Tried at once; what does not leave goes ahead of the final head.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = io.outbox.poll_send(&mut cx, &mut io.link);
    }

    fn takes_hints(&self) -> bool {
        false
    }
}

/// A request's body, pulled from the connection it came by.
struct ClientBody<S: Stream> {
    wire: Rc<Wire<S>>,
}

impl<S: Stream> Source for ClientBody<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.wire.io.borrow_mut().poll_body(cx)
    }
}

/// What a client sends through a tunnel. It is pulled only after the origin has switched
/// protocols; until then the client's bytes are requests.
struct TunnelBody<S: Stream> {
    wire: Rc<Wire<S>>,
}

impl<S: Stream> Source for TunnelBody<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let io = &mut *self.wire.io.borrow_mut();
        if !io.tunnel {
            io.tunnel = true;
            io.decoder = Some(Decoder::new(Framing::Tunnel, &io.settings.limits));
        }
        io.poll_body(cx)
    }
}
