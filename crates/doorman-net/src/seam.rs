//! The one seam to the outside: listen, accept, connect, streams, dice.
//!
//! Production runs on the operating system ([`crate::os::Os`]), the simulation on an in-memory
//! network. Dispatch is static, so the seam is free at run time. Time needs no trait: both sides
//! run on tokio's timers, and the simulation pauses them ([`crate::Clock`]).

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::task::{Context, Poll};

use doorman_http::Peer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is seen of a peer without taking bytes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glimpse {
    /// Bytes wait to be read.
    Bytes,
    /// The peer has finished sending; it may still read.
    Finished,
    /// The connection is dead.
    Reset,
}

/// A byte stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Copies bytes that wait, up to the buffer's room, and leaves them where they are. None at all
    /// mean that the peer has finished.
    ///
    /// # Errors
    /// What a read would say.
    fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>)
    -> Poll<io::Result<()>>;

    /// Ready when there is something to see; takes nothing from the stream. Costs no system call
    /// while nothing has happened.
    fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse>;

    /// Whether the connection is known to be dead, however much of it waits to be read: unread
    /// bytes hide a reset from a glimpse. Costs no system call, and wakes nobody when it changes.
    fn is_gone(&mut self) -> bool;

    /// Whether there is anything to read, an end and an error included, as the system knows at this
    /// moment. Costs a system call.
    fn has_news(&mut self) -> bool;

    /// Makes the close of this stream a reset, so that a peer can't take a cut message for a
    /// whole one.
    fn reset_on_close(&mut self);
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An address and port.
    Inet(SocketAddr),
    /// A host name and port, looked up when it is dialled.
    Name(Box<str>, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A place where connections arrive.
pub trait Listener<S>: 'static {
    /// The next connection: the stream, its other end and our end.
    ///
    /// # Errors
    /// What the system says; the caller waits and tries again.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(S, Peer, Peer)>>;

    /// Whether what was accepted last took one of the last descriptors that are for connections.
    fn is_scarce(&self) -> bool {
        false
    }
}

/// A network.
pub trait Net: Clone + 'static {
    /// Its streams.
    type Stream: Stream;
    /// Its listeners.
    type Listener: Listener<Self::Stream>;

    /// Connects.
    ///
    /// # Errors
    /// What the system says: refused, unreachable, no such name.
    fn connect(&self, to: &Address) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Connects from an address of ours, to addresses of its family only. A Unix socket is connected
    /// to as it is.
    ///
    /// # Errors
    /// What the system says: no such address of ours, refused, unreachable, no such name.
    fn connect_from(
        &self,
        from: IpAddr,
        to: &Address,
    ) -> impl Future<Output = io::Result<Self::Stream>>;

    /// A uniformly random number.
    fn dice(&self) -> u64;
}
