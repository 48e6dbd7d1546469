//! The seam's types on the simulated network.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorman_http::Peer;
use doorman_net::seam::{Glimpse, Listener, Stream};
use doorman_net::{Address, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::faults::{Answer, Side};
use super::line::Line;
use super::trace::What;
use super::world::{State, World, register};
use crate::sums::Dice;

/// When the system gives up an attempt to connect that nobody answers: Linux's default.
const SYN_PATIENCE: Duration = Duration::from_secs(127);
/// The first port of a caller's end.
const CALLER_PORT: u16 = 32_768;

/// The simulated network as a program on one host sees it.
#[derive(Clone)]
pub struct SimNet {
    world: Rc<World>,
    ip: IpAddr,
    dice: Rc<RefCell<Dice>>,
}

impl SimNet {
    pub(super) fn new(world: Rc<World>, ip: IpAddr, dice: Dice) -> Self {
        Self { world, ip, dice: Rc::new(RefCell::new(dice)) }
    }

    async fn dial(&self, to: &Address) -> io::Result<SimStream> {
        let (fate, wait) = self.world.change(|state| {
            let fate = state.fate(to);
            state.record(None, Side::Caller, What::Dial, &[]);
            let wait = Duration::from_millis(fate.delay_ms(&mut state.dice));
            (fate, wait)
        });
        if fate.answer == Answer::Silence {
            self.world.wait(SYN_PATIENCE).await;
            self.note(What::TimedOut);
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !wait.is_zero() {
            self.world.wait(wait).await;
        }
        if fate.answer == Answer::Refuse {
            self.note(What::Refused);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let line = self.world.change(|state| {
            state.callers = (state.callers + 1) % (u16::MAX - CALLER_PORT);
            let from = match to {
                Address::Unix(_) => Peer::Unix,
                _ => Peer::Inet(SocketAddr::new(self.ip, CALLER_PORT + state.callers)),
            };
            state.open(from, to, fate)
        })?;
        Ok(SimStream { world: Rc::clone(&self.world), line, side: Side::Caller })
    }

    fn note(&self, what: What) {
        self.world.change(|state| state.record(None, Side::Caller, what, &[]));
    }
}

impl Net for SimNet {
    type Stream = SimStream;
    type Listener = SimListener;

    /// A host of the simulation has one address, so there is nothing to choose.
    async fn connect_from(&self, _: IpAddr, to: &Address) -> io::Result<SimStream> {
        self.connect(to).await
    }

    async fn connect(&self, to: &Address) -> io::Result<SimStream> {
        let Address::Name(name, port) = to else { return self.dial(to).await };
        let known = (name.clone(), *port);
        let found = self.world.change(|state| state.names.get(&known).copied());
        let address = found.ok_or(io::ErrorKind::NotFound)?;
        self.dial(&Address::Inet(address)).await
    }

    fn dice(&self) -> u64 {
        self.dice.borrow_mut().roll()
    }
}

/// A listener on the simulated network. Dropping it resets what it has not accepted.
pub struct SimListener {
    world: Rc<World>,
    address: Address,
    closed: Cell<bool>,
}

impl SimListener {
    pub(super) const fn new(world: Rc<World>, address: Address) -> Self {
        Self { world, address, closed: Cell::new(false) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection: the stream, its other end and ours.
    ///
    /// # Errors
    /// None so far: the signature is that of the seam.
    pub async fn accept(&mut self) -> io::Result<(SimStream, Peer, Peer)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

impl Listener<SimStream> for SimListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SimStream, Peer, Peer)>> {
        ready!(budget(cx));
        let local = match self.address {
            Address::Inet(address) => Peer::Inet(address),
            _ => Peer::Unix,
        };
        self.world.change(|state| {
            let door = state.doors.get_mut(&self.address).expect("open while its listener lives");
            let Some((line, peer)) = door.queue.pop_front() else {
                register(&mut door.waker, cx);
                return Poll::Pending;
            };
            state.record(Some(line), Side::Callee, What::Accept, &[]);
            let world = Rc::clone(&self.world);
            Poll::Ready(Ok((SimStream { world, line, side: Side::Callee }, peer, local)))
        })
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if self.closed.replace(true) {
            return;
        }
        self.world.change(|state| {
            let Some(door) = state.doors.remove(&self.address) else { return };
            for (line, _) in door.queue {
                state.with_line(line, |connection, state| {
                    connection.reset_on_close(Side::Callee);
                    connection.close(line, Side::Callee, state);
                });
            }
        });
    }
}

/// One end of a connection on the simulated network.
pub struct SimStream {
    world: Rc<World>,
    line: usize,
    side: Side,
}

impl SimStream {
    /// The number of the connection in the trace.
    #[must_use]
    pub const fn connection(&self) -> usize {
        self.line
    }

    fn on_line<T>(&self, act: impl FnOnce(&mut Line, &mut State) -> T) -> T {
        self.world
            .change(|state| state.with_line(self.line, act))
            .expect("a line lives while one of its ends does")
    }
}

impl Stream for SimStream {
    fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(budget(cx));
        self.on_line(|line, _| line.peek(self.side, buffer, cx))
    }

    fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse> {
        ready!(budget(cx));
        self.on_line(|line, _| line.glimpse(self.side, cx))
    }

    fn is_gone(&mut self) -> bool {
        self.on_line(|line, _| line.is_dead(self.side))
    }

    fn has_news(&mut self) -> bool {
        self.on_line(|line, _| line.has_news(self.side))
    }

    fn reset_on_close(&mut self) {
        self.on_line(|line, _| line.reset_on_close(self.side));
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(budget(cx));
        let place = (self.line, self.side);
        self.on_line(|line, state| line.read(place, buffer, state, cx))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(budget(cx));
        let place = (self.line, self.side);
        self.on_line(|line, state| line.write(place, slices, state, cx))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.on_line(|line, state| line.finish(self.line, self.side, state));
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.world.change(|state| {
            state.with_line(self.line, |line, state| line.close(self.line, self.side, state));
        });
    }
}

/// Takes part in tokio's cooperative scheduling as its sockets do: a task that always finds bytes
/// must still let others run.
fn budget(cx: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::coop::consume_budget()).poll(cx)
}
