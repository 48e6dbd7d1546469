//! The operating system's network: TCP and Unix sockets on epoll, through tokio.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use doorman_http::Peer;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::seam::{Address, Glimpse, Listener, Net, Stream};

/// Sockets of the operating system.
#[derive(Clone)]
pub struct Os {
    dice: Rc<Cell<u64>>,
}

impl Os {
    /// A network whose dice start from `seed`, which must come from the system's entropy.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { dice: Rc::new(Cell::new(seed)) }
    }
}

impl Net for Os {
    type Stream = OsStream;
    type Listener = OsListener;

    async fn connect(&self, to: &Address) -> io::Result<OsStream> {
        match to {
            Address::Inet(address) => connect(*address).await,
            Address::Name(name, port) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "name has no address");
                for address in tokio::net::lookup_host((&**name, *port)).await? {
                    match connect(address).await {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            #[expect(clippy::disallowed_methods, reason = "this is the seam's other side")]
            Address::Unix(path) => Ok(OsStream::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): for load spreading and ids; keys come from aws-lc-rs.
    fn dice(&self) -> u64 {
        let state = self.dice.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.dice.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the seam's other side")]
async fn connect(address: SocketAddr) -> io::Result<OsStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(OsStream::Tcp(stream))
}

/// A TCP or Unix stream.
#[derive(Debug)]
pub enum OsStream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl Stream for OsStream {
    fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse> {
        let mut byte = [0u8; 1];
        let seen = match self {
            Self::Tcp(stream) => {
                let mut buffer = ReadBuf::new(&mut byte);
                ready!(stream.poll_peek(cx, &mut buffer))
            }
            // tokio has no peek for Unix sockets, and a local client that goes away is noticed at
            // the next write.
            Self::Unix(_) => return Poll::Pending,
        };
        Poll::Ready(match seen {
            Ok(0) => Glimpse::Finished,
            Ok(_) => Glimpse::Bytes,
            Err(_) => Glimpse::Reset,
        })
    }

    fn reset_on_close(&mut self) {
        if let Self::Tcp(stream) = self {
            // Best effort: on failure the close is a FIN in the middle of a counted or chunked
            // body, which a reader must take for an error as well.
            let _ = SockRef::from(&*stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsyncRead for OsStream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for OsStream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A listening socket of the operating system.
#[derive(Debug)]
pub enum OsListener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

impl Listener<OsStream> for OsListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(OsStream, Peer, Peer)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                // TCP_NODELAY is inherited from the listening socket.
                let local = stream.local_addr().map_or(Peer::Unix, Peer::Inet);
                Poll::Ready(Ok((OsStream::Tcp(stream), Peer::Inet(peer), local)))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((OsStream::Unix(stream), Peer::Unix, Peer::Unix)))
            }
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An address and port.
    Inet(SocketAddr),
    /// A Unix socket at this path.
    Unix(std::path::PathBuf),
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket that is not yet part of any runtime, so that a new configuration can bind all
/// it needs before anything is changed.
#[derive(Debug)]
pub struct Bound {
    socket: OwnedFd,
    address: ListenAddress,
}

/// Connections that the kernel may hold for us before we accept them.
pub const BACKLOG: i32 = 4096;

impl Bound {
    /// Binds and listens. TCP sockets take `SO_REUSEPORT`, so that every core has its own; a
    /// stale Unix socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// What the system says: in use, not permitted, no such address.
    pub fn listen(address: &ListenAddress, backlog: i32) -> io::Result<Self> {
        let socket = match address {
            ListenAddress::Inet(inet) => {
                let socket =
                    Socket::new(Domain::for_address(*inet), Type::STREAM, Some(Protocol::TCP))?;
                socket.set_reuse_address(true)?;
                socket.set_reuse_port(true)?;
                socket.set_tcp_nodelay(true)?;
                if inet.is_ipv6() {
                    socket.set_only_v6(true)?;
                }
                socket.bind(&(*inet).into())?;
                socket
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&socket2::SockAddr::unix(path)?)?;
                socket
            }
        };
        socket.set_nonblocking(true)?;
        socket.listen(backlog)?;
        Ok(Self { socket: socket.into(), address: address.clone() })
    }

    /// Finds out whether nobody listens on an address, without listening on it.
    ///
    /// # Errors
    /// What binding it would say.
    pub fn probe(address: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        // Binding alone succeeds beside a listener that set SO_REUSEADDR; listening does not.
        socket.listen(1)
    }

    /// Another handle on the same socket: for Unix sockets, which all cores share.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, address: self.address.clone() })
    }

    /// The address it is bound to, with the port that the system chose if none was given.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        let address = SockRef::from(&self.socket.as_fd()).local_addr()?;
        Ok(address.as_socket().map_or_else(|| self.address.clone(), ListenAddress::Inet))
    }

    /// Makes it a listener of the runtime that this is called in.
    ///
    /// # Errors
    /// What the system says.
    pub fn into_listener(self) -> io::Result<OsListener> {
        match self.address {
            ListenAddress::Inet(_) => Ok(OsListener::Tcp(TcpListener::from_std(
                std::net::TcpListener::from(self.socket),
            )?)),
            ListenAddress::Unix(_) => Ok(OsListener::Unix(UnixListener::from_std(
                std::os::unix::net::UnixListener::from(self.socket),
            )?)),
        }
    }
}

/// A socket file that nobody answers on is left over from a process that is gone.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(facts) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !facts.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is in the way",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens here")),
        Err(_) => std::fs::remove_file(path),
    }
}
