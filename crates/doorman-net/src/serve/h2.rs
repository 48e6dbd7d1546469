//! HTTP/2 to clients, over the `h2` crate.
//!
//! Two things are ours. All frames that are ready in one turn of the event loop leave in one
//! write: the crate would flush after each, so its flushes are ignored and the connection's task
//! writes when the crate has nothing more to do. And every frame that costs us work but brings no
//! request is counted against a budget of the connection ([`watch`]), whoever caused it.
//!
//! No type of the crate leaves this module.

mod convert;
mod io;
mod stream;
mod watch;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use doorman_http::{Conn, Data};
use h2::Reason;

use self::io::{Coalesced, Shared};
use super::{Handler, Lost};
use crate::alarm::Alarm;
use crate::core::{Core, ServeSettings, Ticket};
use crate::link::Link;
use crate::seam::Stream;

/// Receive windows, bytes: what a client may send ahead of an origin that reads slowly, per
/// stream and per connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that we reset for the client's errors before the connection ends (MadeYouReset).
const LOCAL_RESETS_MAX: usize = 100;
/// Streams that were reset before we looked at them (Rapid Reset, CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;

type Connection<S> = h2::server::Connection<Coalesced<S>, Data>;

/// Serves a connection until it ends.
pub(super) async fn serve<S: Stream, H: Handler>(
    core: Rc<Core>,
    ticket: Ticket,
    conn: Rc<Conn>,
    link: Link<S>,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
) {
    let shared = Rc::new(RefCell::new(Shared::new(link, core.clock)));
    let mut alarm = Alarm::new(core.clock);
    alarm.set(core.clock.instant() + settings.head_timeout);
    let Some(connection) = shake(&shared, &settings, &mut alarm).await else {
        return handler.lost(&conn, Lost::Protocol);
    };
    alarm.clear();
    let mut session = Session {
        core,
        ticket,
        conn,
        handler,
        settings,
        shared,
        connection,
        active: Rc::new(Cell::new(0)),
        alarm,
        leaving: Leaving::No,
    };
    let end = poll_fn(|cx| session.poll(cx)).await;
    if end == End::Protocol {
        session.handler.lost(&session.conn, Lost::Protocol);
    }
    // What was said last (GOAWAY) still has to leave.
    let mut alarm = Alarm::new(session.core.clock);
    poll_fn(|cx| {
        alarm.set_if_clear(session.settings.write_idle);
        if alarm.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        session.shared.borrow_mut().poll_close(cx)
    })
    .await;
}

/// Exchanges prefaces (RFC 9113 section 3.4).
async fn shake<S: Stream>(
    shared: &Rc<RefCell<Shared<S>>>,
    settings: &ServeSettings,
    alarm: &mut Alarm,
) -> Option<Connection<S>> {
    let list_max = u32::try_from(settings.limits.head_bytes).unwrap_or(u32::MAX);
    let mut handshake = h2::server::Builder::new()
        .max_concurrent_streams(settings.h2_streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(list_max)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .handshake::<_, Data>(Coalesced::new(Rc::clone(shared)));
    poll_fn(|cx| {
        let shaken = Pin::new(&mut handshake).poll(cx);
        if let Poll::Ready(Err(_)) = shared.borrow_mut().poll_write_out(cx) {
            return Poll::Ready(None);
        }
        match shaken {
            Poll::Ready(connection) => Poll::Ready(connection.ok()),
            Poll::Pending => alarm.poll(cx).map(|()| None),
        }
    })
    .await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client or we closed in order.
    Closed,
    /// A protocol error or a flood.
    Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// GOAWAY was said; streams that are open go on.
    Gracefully,
    /// GOAWAY was said and everything ends.
    Now,
}

struct Session<S: Stream, H: Handler> {
    core: Rc<Core>,
    ticket: Ticket,
    conn: Rc<Conn>,
    handler: Rc<H>,
    settings: Rc<ServeSettings>,
    shared: Rc<RefCell<Shared<S>>>,
    connection: Connection<S>,
    active: Rc<Cell<u32>>,
    alarm: Alarm,
    leaving: Leaving,
}

impl<S: Stream, H: Handler> Session<S, H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.ticket.register(cx.waker());
        self.heed_drain();
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.open(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    let ours = error.is_go_away() || error.is_io() || error.is_reset();
                    let calm = error.reason() == Some(Reason::NO_ERROR);
                    return Poll::Ready(if calm || (ours && error.is_io()) {
                        End::Closed
                    } else {
                        End::Protocol
                    });
                }
                Poll::Ready(None) => {
                    let flood = self.shared.borrow().is_flooded();
                    return Poll::Ready(if flood { End::Protocol } else { End::Closed });
                }
                Poll::Pending => break,
            }
        }
        if self.shared.borrow().is_flooded() && self.leaving != Leaving::Now {
            self.leaving = Leaving::Now;
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            cx.waker().wake_by_ref();
        }
        let mut shared = self.shared.borrow_mut();
        match shared.poll_write_out(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(End::Closed),
            Poll::Ready(Ok(wrote)) => {
                if wrote || self.active.get() > 0 {
                    self.alarm.clear();
                }
                if self.active.get() > 0 {
                    return Poll::Pending;
                }
                self.alarm.set_if_clear(self.settings.keep_alive);
            }
            Poll::Pending => self.alarm.set_if_clear(self.settings.write_idle),
        }
        drop(shared);
        if self.alarm.poll(cx).is_pending() {
            return Poll::Pending;
        }
        // Idle for too long, or not reading: say goodbye once, then leave.
        if self.leaving != Leaving::No {
            return Poll::Ready(End::Closed);
        }
        self.leaving = Leaving::Gracefully;
        self.connection.graceful_shutdown();
        self.alarm.set(self.core.clock.instant() + self.settings.write_idle);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn heed_drain(&mut self) {
        if self.core.is_closing() && self.leaving != Leaving::Now {
            self.leaving = Leaving::Now;
            self.connection.abrupt_shutdown(Reason::NO_ERROR);
        } else if self.core.is_draining() && self.leaving == Leaving::No {
            self.leaving = Leaving::Gracefully;
            self.connection.graceful_shutdown();
        }
    }

    fn open(
        &mut self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Data>,
    ) {
        // A stream that was reset is off the crate's count at once; its work is off ours only when
        // it has stopped (invariant I6).
        if self.active.get() >= self.settings.h2_streams {
            self.shared.borrow_mut().count_glitch();
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let running = Running::new(&self.active);
        let task = stream::serve(
            self.core.clock,
            Rc::clone(&self.conn),
            Rc::clone(&self.settings),
            Rc::clone(&self.handler),
            request,
            respond,
            running,
        );
        tokio::task::spawn_local(task);
    }
}

/// A stream's work, counted while it lasts.
struct Running {
    active: Rc<Cell<u32>>,
}

impl Running {
    fn new(active: &Rc<Cell<u32>>) -> Self {
        active.set(active.get() + 1);
        Self { active: Rc::clone(active) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.active.set(self.active.get().saturating_sub(1));
    }
}
