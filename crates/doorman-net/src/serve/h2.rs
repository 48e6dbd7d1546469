//! HTTP/2 to clients. Frames and header compression are `doorman-h2`'s; this is what moves them.
//!
//! One task serves a connection and all of its streams. A turn of it reads what is there, polls the
//! streams that something happened to, and writes what both had to say, all in one write. Streams
//! are futures in a slab ([`Crew`]), not tasks of their own.

mod crew;
mod house;
mod incoming;
mod pump;
mod stream;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorman_h2::{
    Code, Connection, Event, Fault, Limits, Opened, RequestFault, Settings, Stream as Id,
};
use doorman_http::{BodyError, Chunk, Conn, Scheme};
use tokio::io::AsyncWrite;

use self::crew::Crew;
use self::house::House;
use self::stream::Asked;
use super::early::Content;
use super::early::Shaking;
use super::{Handler, Lost, Refused, note_odds, weigh};
use crate::alarm::Alarm;
use crate::core::{Core, ServeSettings, Ticket};
use crate::heads;
use crate::link::{Link, with_room};
use crate::seam::Stream;

/// How long we go on reading after the last frame, and how many bytes: what the client had on its
/// way would otherwise reset the connection, and a reset may destroy what it has not read yet. The
/// windows that we open let it send no more than half of it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 8 << 20;
/// Rounds of reading, working and writing in a turn, and reads in a round: then others have theirs.
const ROUNDS_MAX: usize = 4;
const READS_MAX: usize = 8;

/// What compression made of a head is more than the connection's account bears.
const UNPAID: Refused = Refused::plain(431, "heads many times as long as what was sent of them");

/// What a connection and its streams go by.
pub(super) struct Shared {
    pub(super) core: Rc<Core>,
    pub(super) conn: Rc<Conn>,
    pub(super) settings: Rc<ServeSettings>,
    /// A handshake that is under way while requests come.
    pub(super) shaking: Option<Rc<Shaking>>,
}

/// Serves a connection until it ends. `input` is what was read of it already.
pub(super) async fn serve<S: Stream, H: Handler>(
    shared: Shared,
    ticket: Ticket,
    link: Link<S>,
    input: Option<Chunk>,
    handler: Rc<H>,
) {
    let Shared { core, conn, settings, shaking } = shared;
    let limits = Limits {
        head_bytes: settings.limits.head_bytes,
        fields: settings.limits.fields,
        streams: settings.h2_streams,
    };
    let scheme = if conn.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let may_trail = doorman_h1::may_be_trailer;
    let codec = Settings { limits, scheme, head: heads::request, may_trail };
    let crew = Crew::new(usize::try_from(settings.h2_streams).unwrap_or(usize::MAX));
    let connection = Connection::new(codec, core.clock.instant());
    let ready = crew.ready().clone();
    let house = House::new(core.clock, (conn, shaking), settings, connection, ready);
    let [mut greeting, stall, idle, block] = [(); 4].map(|()| Alarm::new(core.clock));
    greeting.set(core.clock.instant() + house.settings.head_timeout);
    let mut session = Session {
        core,
        ticket,
        handler,
        house,
        crew,
        link,
        input,
        is_bulk: false,
        greeting,
        stall,
        idle,
        block,
        leaving: Leaving::No,
        opened: 0,
    };
    // The budget of a task would be one for all of its streams; a turn has bounds of its own.
    let end = tokio::task::unconstrained(poll_fn(|cx| session.turn(cx))).await;
    // Streams that are still open learn by this that the client is gone.
    session.crew.dismiss_all();
    if matches!(end, End::Protocol | End::Silent) {
        session.handler.lost(&session.house.conn, Lost::Protocol);
    }
    match end {
        End::Silent => {}
        End::Stalled => session.link.reset_on_close(),
        End::Closed | End::Protocol => session.close().await,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client or we closed in order.
    Closed,
    /// A protocol error or a flood.
    Protocol,
    /// The client never began.
    Silent,
    /// The client does not read.
    Stalled,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// GOAWAY was said; streams that are open go on.
    Gracefully,
}

struct Session<S: Stream, H: Handler> {
    core: Rc<Core>,
    ticket: Ticket,
    handler: Rc<H>,
    house: Rc<House>,
    crew: Crew<Id>,
    link: Link<S>,
    /// What was read and not understood yet.
    input: Option<Chunk>,
    /// Whether the last read came full, so that a larger chunk is worth its memory.
    is_bulk: bool,
    /// For what a client has to say first.
    greeting: Alarm,
    /// For a client that does not read.
    stall: Alarm,
    /// For a connection without streams.
    idle: Alarm,
    /// For the rest of a header block.
    block: Alarm,
    leaving: Leaving,
    opened: u64,
}

/// Whether something is left to do at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
}

impl<S: Stream, H: Handler> Session<S, H> {
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.ticket.register(cx.waker());
        self.crew.ready().register(cx.waker());
        self.house.set_in_turn(true);
        let end = self.rounds(cx);
        self.house.set_in_turn(false);
        match end {
            Ok(poll) => poll,
            Err(Stop::End(end)) => Poll::Ready(end),
            Err(Stop::Fault(fault)) => {
                self.house.connection.borrow_mut().leave_now(fault.code);
                Poll::Ready(End::Protocol)
            }
        }
    }

    fn rounds(&mut self, cx: &mut Context<'_>) -> Result<Poll<End>, Stop> {
        self.heed_drain()?;
        let mut left = Left::More;
        for _ in 0..ROUNDS_MAX {
            left = self.read(cx)?;
            self.work();
            self.write(cx)?;
            if self.crew.is_called() {
                left = Left::More;
            }
            if left == Left::Nothing {
                break;
            }
        }
        if left == Left::More {
            cx.waker().wake_by_ref();
        }
        self.check_waits(cx)?;
        self.check_idle(cx)
    }

    /// Reads frames until no more are there.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<Left, Stop> {
        for _ in 0..READS_MAX {
            self.understand()?;
            // Nothing is read from a client that does not read: each frame may call for an answer.
            if !self.house.connection.borrow().has_room() {
                return Ok(Left::Nothing);
            }
            let mut chunk = match self.input.take() {
                Some(chunk) => with_room(chunk),
                None if self.is_bulk => Chunk::large(),
                None => Chunk::small(),
            };
            let read = self.link.poll_read_chunk(cx, &mut chunk);
            self.is_bulk = chunk.room().is_empty();
            if !chunk.is_empty() {
                self.input = Some(chunk);
            }
            match read {
                Poll::Pending => return Ok(Left::Nothing),
                Poll::Ready(Ok(n)) if n > 0 => {}
                Poll::Ready(_) => {
                    let is_greeted = self.house.connection.borrow().is_greeted();
                    return Err(Stop::End(if is_greeted { End::Closed } else { End::Silent }));
                }
            }
        }
        self.understand()?;
        Ok(Left::More)
    }

    /// Does what the bytes that were read call for.
    fn understand(&mut self) -> Result<(), Stop> {
        let Some(mut chunk) = self.input.take() else { return Ok(()) };
        let now = self.core.clock.recent();
        let mut input = chunk.filled();
        loop {
            let event = self.house.connection.borrow_mut().read(&mut input, now)?;
            let Some(event) = event else { break };
            match event {
                Event::Request(opened) => self.open(opened)?,
                Event::News(stream) => {
                    self.crew.call(stream.slot());
                    self.house.call_reader(stream);
                }
                Event::Gone(stream) => self.close_stream(stream),
                Event::Room => self.call_unblocked(),
            }
        }
        let left = input.len();
        chunk.consume(chunk.len() - left);
        if !chunk.is_empty() {
            self.input = Some(chunk);
        }
        Ok(())
    }

    /// The client gave a stream up: its work ends at once.
    fn close_stream(&mut self, stream: Id) {
        self.crew.dismiss(stream.slot());
        self.house.call_reader(stream);
        self.house.connection.borrow_mut().release(stream);
    }

    fn call_unblocked(&mut self) {
        let crew = &self.crew;
        self.house.connection.borrow_mut().unblocked(|stream| crew.call(stream.slot()));
    }

    fn open(&mut self, opened: Opened) -> Result<(), Stop> {
        let Opened { stream, mut head, verdict, is_ended, size, is_paid } = opened;
        let house = &self.house;
        self.opened += 1;
        if self.opened >= house.settings.requests_max && self.leaving == Leaving::No {
            self.leaving = Leaving::Gracefully;
            house.connection.borrow_mut().leave();
        }
        if let Err(RequestFault::Malformed(reason)) = verdict {
            let refused = Refused::of(400, reason);
            let mut response = self.handler.refuse(&house.conn, head, refused);
            response.body.close(Err(BodyError::ClientMalformed(reason)));
            return Ok(self.fail(stream, Code::ProtocolError)?);
        }
        let Some(running) = house.ledger.enter(size) else {
            heads::reuse_request(head);
            house.connection.borrow_mut().spend(self.core.clock.recent())?;
            return Ok(self.fail(stream, Code::RefusedStream)?);
        };
        let judged = match verdict {
            Ok(_) if !is_paid => Err(UNPAID),
            Ok(length) => {
                let content = if is_ended { Content::None } else { Content::Some };
                note_odds(&mut head, length, content);
                weigh(house.settings.desync, &mut head).map(|()| length)
            }
            Err(RequestFault::Malformed(reason)) => Err(Refused::of(400, reason)),
            Err(RequestFault::Refused(status, reason)) => Err(Refused::of(status, reason)),
        };
        let asked = Asked { stream, head, judged, is_ended, running };
        let work = stream::serve(Rc::clone(house), Rc::clone(&self.handler), asked);
        self.crew.add(stream.slot(), stream, Box::pin(work));
        Ok(())
    }

    fn fail(&self, stream: Id, code: Code) -> Result<(), Fault> {
        let mut connection = self.house.connection.borrow_mut();
        let failed = connection.fail(stream, code);
        connection.release(stream);
        failed
    }

    /// Lets the streams work that something happened to.
    fn work(&mut self) {
        let house = &self.house;
        self.crew.poll(|stream| house.connection.borrow_mut().release(stream));
        let sent = house.ledger.take_sent();
        if sent > 0 {
            house.connection.borrow_mut().refund(sent);
        }
    }

    /// Writes what was said.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        match poll_write_out(&mut self.link, &self.house, cx) {
            Poll::Ready(Err(_)) => Err(Stop::End(End::Closed)),
            Poll::Ready(Ok(has_written)) => {
                self.stall.clear();
                if has_written {
                    self.house.ledger.all_written();
                    self.call_unblocked();
                }
                Ok(())
            }
            Poll::Pending => {
                self.stall.set_if_clear(self.house.settings.write_idle);
                match self.stall.poll(cx) {
                    Poll::Ready(()) => Err(Stop::End(End::Stalled)),
                    Poll::Pending => Ok(()),
                }
            }
        }
    }

    /// Ends a connection whose client keeps us waiting for its first words, or for the rest of a
    /// head.
    fn check_waits(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let (is_greeted, since) = {
            let connection = self.house.connection.borrow();
            (connection.is_greeted(), connection.block_since())
        };
        if is_greeted {
            self.greeting.clear();
        } else if self.greeting.poll(cx).is_ready() {
            return Err(Stop::End(End::Silent));
        }
        match since {
            Some(since) => self.block.set(since + self.house.settings.head_timeout),
            None => self.block.clear(),
        }
        if self.block.poll(cx).is_ready() {
            self.house.connection.borrow_mut().leave_now(Code::EnhanceYourCalm);
            return Err(Stop::End(End::Protocol));
        }
        Ok(())
    }

    /// Ends a connection that has no streams. Frames that are no requests do not prolong it.
    fn check_idle(&mut self, cx: &mut Context<'_>) -> Result<Poll<End>, Stop> {
        let (open, has_left) = {
            let connection = self.house.connection.borrow();
            (connection.open(), connection.has_left())
        };
        if open > 0 {
            self.ticket.work();
            self.idle.clear();
            return Ok(Poll::Pending);
        }
        if self.ticket.rest() {
            // It says which requests were not taken on, so those that cross with it can be sent again.
            self.house.connection.borrow_mut().leave_now(Code::NoError);
            return Ok(Poll::Ready(End::Closed));
        }
        if has_left {
            return Ok(Poll::Ready(End::Closed));
        }
        let wait = match self.leaving {
            Leaving::No => self.house.settings.keep_alive,
            Leaving::Gracefully => self.house.settings.write_idle,
        };
        self.idle.set_if_clear(wait);
        if self.idle.poll(cx).is_pending() {
            return Ok(Poll::Pending);
        }
        if self.leaving == Leaving::Gracefully {
            return Ok(Poll::Ready(End::Closed));
        }
        self.leave();
        self.idle.set(self.core.clock.instant() + self.house.settings.write_idle);
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    fn leave(&mut self) {
        self.leaving = Leaving::Gracefully;
        self.house.connection.borrow_mut().leave();
    }

    fn heed_drain(&mut self) -> Result<(), Stop> {
        if self.core.is_closing() {
            self.house.connection.borrow_mut().leave_now(Code::NoError);
            return Err(Stop::End(End::Closed));
        }
        if self.core.is_draining() && self.leaving == Leaving::No {
            self.leave();
            // From now on it is idle for another reason.
            self.idle.clear();
        }
        Ok(())
    }

    /// Closes so that the client gets what was said last (GOAWAY): says that we are done, then reads
    /// on until it has closed too.
    async fn close(&mut self) {
        let mut alarm = Alarm::new(self.core.clock);
        alarm.set_if_clear(self.house.settings.write_idle);
        let closed = poll_fn(|cx| {
            if alarm.poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            if ready!(poll_write_out(&mut self.link, &self.house, cx)).is_err() {
                return Poll::Ready(false);
            }
            Pin::new(&mut self.link).poll_shutdown(cx).map(|closed| closed.is_ok())
        })
        .await;
        if !closed {
            return;
        }
        alarm.clear();
        alarm.set_if_clear(LINGER);
        let mut left = LINGER_BYTES_MAX;
        poll_fn(|cx| {
            if self.core.is_closing() || alarm.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            loop {
                match ready!(self.link.poll_discard(cx)) {
                    Ok(n) if n > 0 && n <= left => left -= n,
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}

/// Why a turn is the last.
enum Stop {
    End(End),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Writes the output; ready once all of it has left, and whether there was any.
fn poll_write_out<S: Stream>(
    link: &mut Link<S>,
    house: &House,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    let mut connection = house.connection.borrow_mut();
    if connection.output().is_empty() {
        return Poll::Ready(Ok(false));
    }
    while !connection.output().is_empty() {
        let n = ready!(Pin::new(&mut *link).poll_write(cx, connection.output()))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        connection.wrote(n);
    }
    ready!(Pin::new(link).poll_flush(cx))?;
    Poll::Ready(Ok(true))
}
