//! HTTP/3 to clients (RFC 9114), over QUIC from the `quinn` crate.
//!
//! QUIC is the crate's; frames, field sections and their bounds are ours (`doorman-h3`), as is what
//! lies between the two: one socket per core, connection ids that say whose core a datagram is for
//! ([`steer`]), certificates by server name as over TCP ([`crypto`]), and a budget for what a client
//! may have us do for nothing ([`crate::http3::budget`]).
//!
//! The address of a client is the one that it shook hands from. It may move to another, and QUIC then
//! sends there; but rules, limits and logs go by an address that was proved, and the library does not
//! say when a new one has been.
//!
//! No type of the crate leaves this module.

mod batch;
mod control;
mod crypto;
mod endpoint;
mod house;
mod incoming;
mod outgoing;
mod socket;
mod steer;
mod stream;
mod tokens;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorman_h3::{Code, write_goaway, write_server_preface};
use doorman_http::Conn;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};

pub use endpoint::accept_datagrams;
pub use steer::{Lane, Lanes, Quic, QuicCounts, QuicError};

use self::budget::Budget;
use self::control::Opened;
use self::endpoint::Door;
use self::halves::{Writing, number};
use self::house::House;
use super::early::Shaking;
use super::ledger::Ledger;
use super::{Doorway, Handler, Lost};
use crate::alarm::Alarm;
use crate::core::{Core, ServeSettings, Ticket};
use crate::http3::{budget, halves, runtime};

/// The shortest time between the two GOAWAY frames. The first says that an end is coming, the second
/// where it is; requests that were on their way meanwhile are still served (RFC 9114 section 5.2).
const GOAWAY_GAP_MIN: Duration = Duration::from_millis(20);
/// How long streams get to notice that their connection is gone.
const FAREWELL: Duration = Duration::from_millis(500);

/// Serves a connection until it ends. `shaking`: its handshake is still under way.
#[expect(clippy::too_many_arguments, reason = "what a connection is made of")]
async fn serve<H: Handler>(
    core: Rc<Core>,
    ticket: Ticket,
    door: Rc<Door>,
    conn: Rc<Conn>,
    connection: Connection,
    shaking: Option<Rc<Shaking>>,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
) {
    let ledger: Rc<Ledger> = Rc::default();
    let house = Rc::new(House {
        clock: core.clock,
        conn: Rc::clone(&conn),
        settings: Rc::clone(&settings),
        connection: connection.clone(),
        shaking,
        ledger: Rc::clone(&ledger),
        budget: Budget::new(core.clock.instant()),
        is_at_fault: Cell::new(false),
        is_cut_off: Cell::new(false),
        client_leaves: Cell::new(false),
    });
    let mut session = Session {
        core: Rc::clone(&core),
        ticket,
        door,
        house: Rc::clone(&house),
        handler: Rc::clone(&handler),
        control: None,
        opened: Rc::default(),
        idle: Alarm::new(core.clock),
        gap: Alarm::new(core.clock),
        leaving: Leaving::No,
        next: 0,
        requests: 0,
    };
    let end = session.run().await;
    if house.is_at_fault.get() || matches!(end, End::Protocol) {
        handler.lost(&conn, Lost::Protocol);
    }
    farewell(&house).await;
}

/// Lets streams notice the end, and the last packet leave.
async fn farewell(house: &House) {
    let mut alarm = Alarm::new(house.clock);
    alarm.set(house.clock.instant() + FAREWELL);
    poll_fn(|cx| {
        house.ledger.register(cx.waker());
        if house.ledger.active() == 0 { Poll::Ready(()) } else { alarm.poll(cx) }
    })
    .await;
    // The connection's own task was woken before this one will be again.
    tokio::task::yield_now().await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client or we closed in order, or the client is gone.
    Closed,
    /// The client broke QUIC's rules.
    Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// An end was announced; requests are still taken.
    Announced,
    /// The end was named; requests behind it are turned away.
    Named,
}

/// What a connection does next.
enum Turn {
    Stream(Result<(SendStream, RecvStream), ConnectionError>),
    Unidirectional(Result<RecvStream, ConnectionError>),
    Close,
}

struct Session<H: Handler> {
    core: Rc<Core>,
    ticket: Ticket,
    door: Rc<Door>,
    house: Rc<House>,
    handler: Rc<H>,
    /// Our control stream, once the client's limits let us open it.
    control: Option<Writing>,
    opened: Rc<Opened>,
    /// For a connection without requests.
    idle: Alarm,
    gap: Alarm,
    leaving: Leaving,
    /// The id of the first stream that was not taken.
    next: u64,
    requests: u64,
}

impl<H: Handler> Session<H> {
    async fn run(&mut self) -> End {
        let connection = self.house.connection.clone();
        let door = Rc::clone(&self.door);
        let mut closing = pin!(door.closing.notified());
        let mut over = pin!(door.over.notified());
        let mut control = pin!(connection.open_uni());
        loop {
            let turn = tokio::select! {
                biased;
                () = poll_fn(|cx| self.poll(cx, closing.as_mut(), over.as_mut())) => Turn::Close,
                opened = control.as_mut(), if self.control.is_none() => match opened {
                    Ok(stream) => {
                        self.preface(stream);
                        continue;
                    }
                    Err(error) => Turn::Unidirectional(Err(error)),
                },
                stream = connection.accept_bi() => Turn::Stream(stream),
                stream = connection.accept_uni() => Turn::Unidirectional(stream),
            };
            match turn {
                Turn::Close => {
                    connection.close(number(Code::NoError), b"");
                    return End::Closed;
                }
                Turn::Stream(Ok((send, recv))) => self.open(send, recv),
                Turn::Unidirectional(Ok(stream)) => {
                    let (opened, house) = (Rc::clone(&self.opened), Rc::clone(&self.house));
                    tokio::task::spawn_local(control::serve(stream, opened, house));
                }
                Turn::Stream(Err(error)) | Turn::Unidirectional(Err(error)) => {
                    return match error {
                        ConnectionError::TransportError(_) => End::Protocol,
                        _ => End::Closed,
                    };
                }
            }
        }
    }

    fn preface(&mut self, stream: SendStream) {
        let mut control = Writing::new(stream);
        write_server_preface(self.house.settings.limits.head_bytes, control.out());
        self.control = Some(control);
    }

    /// Ready when the connection is to be closed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        closing: Pin<&mut tokio::sync::futures::Notified<'_>>,
        over: Pin<&mut tokio::sync::futures::Notified<'_>>,
    ) -> Poll<()> {
        self.ticket.register(cx.waker());
        self.house.ledger.register(cx.waker());
        // As below; after it nothing is polled any more.
        let is_over = self.door.is_over.get() || over.poll(cx).is_ready();
        if self.core.is_closing() || is_over {
            self.house.is_cut_off.set(true);
            return Poll::Ready(());
        }
        if self.leaving == Leaving::No {
            // It is ready once; what it told is remembered by the door.
            let is_closed = self.door.is_closed.get() || closing.poll(cx).is_ready();
            if is_closed || self.core.is_draining() || self.house.client_leaves.get() {
                self.announce();
            }
        }
        if self.leaving == Leaving::Announced && self.gap.poll(cx).is_ready() {
            self.leaving = Leaving::Named;
            let next = self.next;
            self.goaway(Some(next));
        }
        let ended = self.poll_idle(cx);
        if let Some(control) = &mut self.control {
            // What does not leave now leaves when the client makes room for it.
            let _ = control.poll_flush(cx);
        }
        ended
    }

    /// Ends a connection that has no requests.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.house.ledger.active() > 0 {
            self.idle.clear();
            return Poll::Pending;
        }
        match self.leaving {
            Leaving::Named => Poll::Ready(()),
            Leaving::Announced => Poll::Pending,
            Leaving::No => {
                if self.core.is_pressed() && self.requests > 0 {
                    self.announce();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.idle.set_if_clear(self.house.settings.keep_alive);
                if self.idle.poll(cx).is_ready() {
                    self.announce();
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    fn announce(&mut self) {
        self.leaving = Leaving::Announced;
        self.goaway(None);
        // A client's answer to the first comes a round trip later.
        let gap = GOAWAY_GAP_MIN.max(2 * self.house.connection.rtt());
        self.gap.set(self.core.clock.instant() + gap);
    }

    fn goaway(&mut self, id: Option<u64>) {
        if let Some(control) = &mut self.control {
            write_goaway(id, control.out());
        }
    }

    fn open(&mut self, send: SendStream, recv: RecvStream) {
        /// Ids of a client's bidirectional streams are four apart (RFC 9000 section 2.1).
        const APART: u64 = 4;
        let id = u64::from(quinn::VarInt::from(send.id()));
        if self.leaving == Leaving::Named && id >= self.next {
            let (mut send, mut recv) = (send, recv);
            let _ = send.reset(number(Code::RequestRejected));
            let _ = recv.stop(number(Code::RequestRejected));
            return;
        }
        self.next = self.next.max(id + APART);
        self.requests += 1;
        if self.requests >= self.house.settings.requests_max && self.leaving == Leaving::No {
            self.announce();
        }
        // Its head is counted when it is known, so that there is room for it now.
        let Some(running) = self.house.ledger.enter(0) else { return };
        let (house, handler) = (Rc::clone(&self.house), Rc::clone(&self.handler));
        tokio::task::spawn_local(stream::serve(house, handler, send, recv, running));
    }
}
