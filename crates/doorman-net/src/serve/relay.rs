//! Connections whose bytes are passed on as they are.
//!
//! One task owns both ends and moves bytes between them. A direction holds a buffer only while bytes
//! wait in it for a slow reader, so an idle relay holds none; not reading is the back-pressure. Ends
//! are passed on one by one: who has finished sending may still receive.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorman_http::{Chunk, Conn, Holding, Peer, SMALL, Wire};
use doorman_preface::{HELLO_BYTES_MAX, Hello, HelloFault, read_hello};
use tokio::io::ReadBuf;

use crate::alarm::Alarm;
use crate::core::{Core, Ticket};
use crate::seam::Stream;

/// The house, as it takes connections that are relayed.
pub trait Carrier<S>: 'static {
    /// Takes one to its end.
    fn carry(&self, caller: Caller<S>) -> impl Future<Output = ()>;
}

/// A connection that came to a relay.
pub struct Caller<S> {
    /// The other end.
    pub peer: Peer,
    /// Our end.
    pub local: Peer,
    /// The listener's id.
    pub listener: usize,
    stream: S,
    core: Rc<Core>,
    ticket: Ticket,
    /// What was read of it and belongs to the server.
    ahead: Option<Chunk>,
}

/// Why the front of a connection names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// It is malformed.
    Malformed(HelloFault),
    /// It did not come in time.
    Timeout,
    /// The connection ended within it.
    Closed,
    /// The proxy's drain is over.
    Draining,
}

/// What a relay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from the client that the server took.
    pub bytes_in: u64,
    /// Bytes from the server that the client took.
    pub bytes_out: u64,
    /// How it ended.
    pub end: RelayedEnd,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayedEnd {
    /// Both sides have finished.
    Finished,
    /// The client's connection broke.
    Client,
    /// The server's connection broke.
    Server,
    /// Nothing moved for too long.
    Idle,
    /// The proxy's drain is over.
    Draining,
}

impl<S: Stream> Caller<S> {
    pub(super) const fn new(
        stream: S,
        (peer, local): (Peer, Peer),
        listener: usize,
        core: Rc<Core>,
        ticket: Ticket,
    ) -> Self {
        Self { peer, local, listener, stream, core, ticket, ahead: None }
    }

    /// What is known of it.
    #[must_use]
    pub fn conn(&self) -> Conn {
        let Self { peer, local, listener, .. } = *self;
        Conn { peer, local, wire: Wire::H1, tls: None, listener, held: Holding::default() }
    }

    /// Closes it so that the client sees an error.
    pub fn refuse(mut self) {
        self.stream.reset_on_close();
    }

    /// Reads the first message of TLS, and keeps it for the server.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn hello(&mut self, limit: Duration) -> Result<Hello, HelloError> {
        let mut alarm = Alarm::new(self.core.clock);
        alarm.set(self.core.clock.instant() + limit);
        let Self { stream, core, ticket, ahead, .. } = self;
        let chunk = ahead.insert(Chunk::small());
        poll_fn(|cx| {
            ticket.register(cx.waker());
            loop {
                match read_hello(chunk.filled()) {
                    Ok(Hello::Partial) => {}
                    Ok(hello) => return Poll::Ready(Ok(hello)),
                    Err(fault) => return Poll::Ready(Err(HelloError::Malformed(fault))),
                }
                if core.is_closing() {
                    return Poll::Ready(Err(HelloError::Draining));
                }
                match poll_fill(Pin::new(&mut *stream), cx, chunk) {
                    Poll::Ready(Ok(0)) if chunk.is_empty() => {
                        // It has nothing to say, or waits for the server to speak first.
                        return Poll::Ready(Ok(Hello::NotTls));
                    }
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(HelloError::Closed)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => {
                        ready!(alarm.poll(cx));
                        return Poll::Ready(Err(HelloError::Timeout));
                    }
                }
            }
        })
        .await
    }

    /// What `future` yields, or `None` if the proxy's drain is over first.
    pub async fn attend<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.ticket.register(cx.waker());
            if self.core.is_closing() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Moves bytes between the client and `server` until both have finished, or it has to end: `stop` says when.
    pub async fn relay(
        self,
        server: S,
        idle: Duration,
        mut stop: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Relayed {
        let Self { stream: mut client, core, ticket, ahead, .. } = self;
        let mut server = server;
        let mut inward = Direction { waiting: ahead, ..Direction::default() };
        let mut outward = Direction::default();
        let mut alarm = Alarm::new(core.clock);
        let end = poll_fn(|cx| {
            ticket.register(cx.waker());
            let before = (inward.moved, outward.moved);
            let inward_done = match inward.poll(cx, &mut client, &mut server) {
                Poll::Ready(Err(Broken::Source)) => return Poll::Ready(RelayedEnd::Client),
                Poll::Ready(Err(Broken::Sink)) => return Poll::Ready(RelayedEnd::Server),
                done => done.is_ready(),
            };
            let outward_done = match outward.poll(cx, &mut server, &mut client) {
                Poll::Ready(Err(Broken::Source)) => return Poll::Ready(RelayedEnd::Server),
                Poll::Ready(Err(Broken::Sink)) => return Poll::Ready(RelayedEnd::Client),
                done => done.is_ready(),
            };
            if inward_done && outward_done {
                return Poll::Ready(RelayedEnd::Finished);
            }
            if core.is_closing() || stop(cx).is_ready() {
                return Poll::Ready(RelayedEnd::Draining);
            }
            if before != (inward.moved, outward.moved) {
                alarm.clear();
            }
            alarm.set_if_clear(idle);
            alarm.poll(cx).map(|()| RelayedEnd::Idle)
        })
        .await;
        if end != RelayedEnd::Finished {
            // Neither side may take what it has for all there is.
            client.reset_on_close();
            server.reset_on_close();
        }
        Relayed { bytes_in: inward.moved, bytes_out: outward.moved, end }
    }
}

/// Bytes on their way from one end to the other.
#[derive(Default)]
struct Direction {
    waiting: Option<Chunk>,
    /// The last read filled its buffer: there is more, and a large one moves it cheaper.
    large: bool,
    finished: bool,
    shut: bool,
    moved: u64,
}

/// Which end broke.
enum Broken {
    Source,
    Sink,
}

impl Direction {
    /// Moves what can be moved. Ready when the source has finished and the sink knows.
    fn poll<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut S,
        to: &mut S,
    ) -> Poll<Result<(), Broken>> {
        loop {
            while let Some(chunk) = &mut self.waiting {
                if !chunk.is_empty() {
                    let n = ready!(Pin::new(&mut *to).poll_write(cx, chunk.filled()));
                    let n = n.ok().filter(|n| *n > 0);
                    let Some(n) = n else { return Poll::Ready(Err(Broken::Sink)) };
                    chunk.consume(n);
                    self.moved += n as u64;
                }
                if chunk.is_empty() {
                    self.waiting = None;
                }
            }
            if self.finished {
                if !self.shut {
                    let shut = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.shut = true;
                    if shut.is_err() {
                        return Poll::Ready(Err(Broken::Sink));
                    }
                }
                return Poll::Ready(Ok(()));
            }
            let mut chunk = if self.large { Chunk::large() } else { Chunk::small() };
            match ready!(poll_fill(Pin::new(&mut *from), cx, &mut chunk)) {
                Ok(0) => self.finished = true,
                Ok(n) => {
                    self.large = chunk.room().is_empty() || (self.large && n >= SMALL);
                    self.waiting = Some(chunk);
                }
                Err(_) => return Poll::Ready(Err(Broken::Source)),
            }
        }
    }
}

fn poll_fill<S: Stream>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    chunk: &mut Chunk,
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(chunk.room());
    ready!(stream.poll_read(cx, &mut buffer))?;
    let n = buffer.filled().len();
    chunk.fill(n);
    Poll::Ready(Ok(n))
}

// The whole message fits the buffer that it is read into.
const _: () = assert!(HELLO_BYTES_MAX <= SMALL);
