//! HTTP/2 to clients, over the `h2` crate.
//!
//! Two things are ours. All frames that are ready in one turn of the event loop leave in one
//! write: the crate would flush after each, so its flushes are ignored and the connection's task
//! writes when the crate has nothing more to do. And every frame that costs us work but brings no
//! request is counted against a budget of the connection ([`watch`]), whoever caused it; what half
//! sent responses hold is counted as well ([`ledger`]).
//!
//! No type of the crate leaves this module.

mod convert;
mod io;
mod ledger;
mod stream;
mod watch;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorman_http::{Conn, Data};
use h2::Reason;

use self::io::{Coalesced, Shared, Written};
use self::ledger::Ledger;
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
/// Streams that were reset before we looked at them (Rapid Reset, CVE-2023-44487): a browser may
/// leave several pages at once. No work begins for them, and [`watch`], which counts them, ends the
/// reading before this many.
const PENDING_RESETS_MAX: usize = 400;
/// What the crate may hold of a stream's response, bytes.
const SEND_BUFFER_MAX: usize = 64 * 1024;
/// How long we go on reading after the last frame, so that the client gets it before a reset could
/// destroy it, and how many bytes.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 256 * 1024;

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
        core: Rc::clone(&core),
        ticket,
        conn: Rc::clone(&conn),
        handler: Rc::clone(&handler),
        settings: Rc::clone(&settings),
        shared: Rc::clone(&shared),
        connection,
        ledger: Rc::default(),
        stall: Alarm::new(core.clock),
        idle: Alarm::new(core.clock),
        block: Alarm::new(core.clock),
        leaving: Leaving::No,
        opened: 0,
    };
    let end = poll_fn(|cx| session.poll(cx)).await;
    let _ticket = session.ticket;
    // Streams that are still open learn by this that the client is gone.
    drop(session.connection);
    if end == End::Protocol {
        handler.lost(&conn, Lost::Protocol);
    }
    if end == End::Stalled {
        return shared.borrow_mut().abort();
    }
    close(&shared, end, &settings, alarm).await;
}

/// Closes so that the client gets what was said last (GOAWAY).
async fn close<S: Stream>(
    shared: &Rc<RefCell<Shared<S>>>,
    end: End,
    settings: &ServeSettings,
    mut alarm: Alarm,
) {
    poll_fn(|cx| {
        alarm.set_if_clear(settings.write_idle);
        if alarm.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        shared.borrow_mut().poll_close(cx).map(drop)
    })
    .await;
    if end != End::Protocol {
        return;
    }
    alarm.clear();
    let mut left = LINGER_BYTES_MAX;
    poll_fn(|cx| {
        alarm.set_if_clear(LINGER);
        if alarm.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        shared.borrow_mut().poll_discard(cx, &mut left)
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
        .max_send_buffer_size(SEND_BUFFER_MAX)
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
    /// The client does not read.
    Stalled,
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
    ledger: Rc<Ledger>,
    /// For a client that does not read.
    stall: Alarm,
    /// For a connection without streams.
    idle: Alarm,
    /// For the rest of a header block.
    block: Alarm,
    leaving: Leaving,
    opened: u64,
}

impl<S: Stream, H: Handler> Session<S, H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.ticket.register(cx.waker());
        self.ledger.register(cx.waker());
        self.heed_drain();
        if let Poll::Ready(end) = self.poll_streams(cx) {
            return Poll::Ready(end);
        }
        if self.leaving != Leaving::Now && self.is_unbearable(cx) {
            self.leaving = Leaving::Now;
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            // GOAWAY leaves first, even if the connection has been idle for long enough.
            self.idle.set(self.core.clock.instant() + self.settings.write_idle);
            cx.waker().wake_by_ref();
        }
        if let Poll::Ready(end) = self.poll_write(cx) {
            return Poll::Ready(end);
        }
        self.poll_idle(cx)
    }

    /// Reads frames and opens streams until nothing more is there.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.open(request, respond, cx),
                Poll::Ready(Some(Err(error))) => {
                    let calm = error.is_io() || error.reason() == Some(Reason::NO_ERROR);
                    return Poll::Ready(if calm { End::Closed } else { End::Protocol });
                }
                Poll::Ready(None) => {
                    let flood = self.shared.borrow().watch().is_flooded();
                    return Poll::Ready(if flood { End::Protocol } else { End::Closed });
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the client floods us, or keeps a header block open for too long.
    fn is_unbearable(&mut self, cx: &mut Context<'_>) -> bool {
        let mut shared = self.shared.borrow_mut();
        shared.refund(self.ledger.take_sent());
        match shared.watch().block_since() {
            Some(since) => self.block.set(since + self.settings.head_timeout),
            None => self.block.clear(),
        }
        shared.watch().is_flooded() || self.block.poll(cx).is_ready()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let written = self.shared.borrow_mut().poll_write_out(cx);
        match written {
            Poll::Ready(Err(_)) => return Poll::Ready(End::Closed),
            Poll::Ready(Ok(Written::All)) => {
                self.stall.clear();
                self.ledger.all_written();
            }
            Poll::Ready(Ok(Written::CrateHasMore)) => {
                self.stall.clear();
                cx.waker().wake_by_ref();
            }
            Poll::Pending => {
                self.stall.set_if_clear(self.settings.write_idle);
                return self.stall.poll(cx).map(|()| End::Stalled);
            }
        }
        Poll::Pending
    }

    /// Ends a connection that has no streams. Frames that are no requests do not prolong it.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.ledger.active() > 0 {
            self.idle.clear();
            return Poll::Pending;
        }
        let wait = match self.leaving {
            Leaving::No => self.settings.keep_alive,
            Leaving::Gracefully | Leaving::Now => self.settings.write_idle,
        };
        self.idle.set_if_clear(wait);
        if self.idle.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.leaving != Leaving::No {
            return Poll::Ready(End::Closed);
        }
        self.leave();
        self.idle.set(self.core.clock.instant() + self.settings.write_idle);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn leave(&mut self) {
        self.leaving = Leaving::Gracefully;
        self.connection.graceful_shutdown();
    }

    fn heed_drain(&mut self) {
        if self.core.is_closing() && self.leaving != Leaving::Now {
            self.leaving = Leaving::Now;
            self.connection.abrupt_shutdown(Reason::NO_ERROR);
        } else if self.core.is_draining() && self.leaving == Leaving::No {
            self.leave();
        }
    }

    fn open(
        &mut self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Data>,
        cx: &mut Context<'_>,
    ) {
        if respond.poll_reset(cx).is_ready() {
            // Nobody waits for the answer: no work begins.
            return;
        }
        self.opened += 1;
        if self.opened >= self.settings.requests_max && self.leaving == Leaving::No {
            self.leave();
        }
        // A stream that was reset is off the crate's count at once; its work is off ours only when
        // it has stopped (invariant I6).
        if self.ledger.active() >= self.settings.h2_streams {
            self.shared.borrow_mut().count_glitch();
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let task = stream::serve(
            self.core.clock,
            Rc::clone(&self.conn),
            Rc::clone(&self.settings),
            Rc::clone(&self.handler),
            request,
            respond,
            self.ledger.enter(),
        );
        tokio::task::spawn_local(task);
    }
}
