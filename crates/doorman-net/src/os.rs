//! The operating system's network: TCP, UDP and Unix sockets on epoll, through tokio.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use doorman_http::Peer;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, send, sendmsg};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixListener, UnixStream};

use crate::descriptors::{self, Use};
use crate::seam::{Address, Glimpse, Listener, Net, Stream};
use crate::socket::Socket as _;

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
        connect_to(None, to).await
    }

    async fn connect_from(&self, from: IpAddr, to: &Address) -> io::Result<OsStream> {
        connect_to(Some(from), to).await
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

async fn connect_to(from: Option<IpAddr>, to: &Address) -> io::Result<OsStream> {
    match to {
        Address::Inet(address) => connect(from, *address).await,
        Address::Name(name, port) => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "name has no address");
            for address in tokio::net::lookup_host((&**name, *port)).await? {
                if from.is_some_and(|from| from.is_ipv4() != address.is_ipv4()) {
                    continue;
                }
                match connect(from, address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        #[expect(clippy::disallowed_methods, reason = "this is the seam's other side")]
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            if descriptors::is_reserved(&stream, Use::Server) {
                return Err(descriptors::exhausted());
            }
            Ok(OsStream::Unix(stream))
        }
    }
}

async fn connect(from: Option<IpAddr>, address: SocketAddr) -> io::Result<OsStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if descriptors::is_reserved(&socket, Use::Server) {
        return Err(descriptors::exhausted());
    }
    if let Some(from) = from {
        // The port is chosen before it is known where to, so it is taken for every destination:
        // one source has some 28,000 connections (ip_local_port_range) in all.
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(OsStream::Tcp(stream))
}

/// The addresses of a server that takes datagrams, as far as `from` may reach them.
pub(crate) async fn find(from: Option<IpAddr>, to: &Address) -> io::Result<Vec<SocketAddr>> {
    match to {
        Address::Inet(address) => Ok(vec![*address]),
        Address::Name(name, port) => {
            let found = tokio::net::lookup_host((&**name, *port)).await?;
            let fits = |to: &SocketAddr| from.is_none_or(|from| from.is_ipv4() == to.is_ipv4());
            let found: Vec<_> = found.filter(fits).collect();
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "name has no address"));
            }
            Ok(found)
        }
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A socket that exchanges datagrams with one server only: the system then tells what it hears of
/// that server, and nobody else is heard.
pub(crate) fn datagrams_with(from: Option<IpAddr>, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    if descriptors::is_reserved(&socket, Use::Server) {
        return Err(descriptors::exhausted());
    }
    // What the kernel does not give it does not give; nothing depends on it but speed.
    let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
    let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect(&to.into())?;
    UdpSocket::from_std(socket.into())
}

/// A TCP or Unix stream.
#[derive(Debug)]
pub enum OsStream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

/// What tokio has for TCP only.
fn poll_peek_unix(
    stream: &UnixStream,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let room = buffer.initialize_unfilled();
        let peek = || rustix::net::recv(stream, room, RecvFlags::PEEK).map_err(io::Error::from);
        match stream.try_io(Interest::READABLE, peek) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
            Ok((n, _)) => {
                buffer.advance(n);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Stream for OsStream {
    fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_peek(cx, buffer).map_ok(|_| ()),
            Self::Unix(stream) => poll_peek_unix(stream, cx, buffer),
        }
    }

    fn poll_glimpse(&mut self, cx: &mut Context<'_>) -> Poll<Glimpse> {
        let mut byte = [0u8; 1];
        let seen = match self {
            Self::Tcp(stream) => {
                let mut buffer = ReadBuf::new(&mut byte);
                ready!(stream.poll_peek(cx, &mut buffer))
            }
            Self::Unix(stream) => {
                let mut buffer = ReadBuf::new(&mut byte);
                ready!(poll_peek_unix(stream, cx, &mut buffer)).map(|()| buffer.filled().len())
            }
        };
        Poll::Ready(match seen {
            // A Unix socket has no reset: one that is closed for both directions is dead.
            Ok(0) if matches!(self, Self::Unix(_)) && self.is_gone() => Glimpse::Reset,
            Ok(0) => Glimpse::Finished,
            Ok(_) => Glimpse::Bytes,
            Err(_) => Glimpse::Reset,
        })
    }

    /// epoll reports a hang-up for a connection that is closed for both directions, whether or not
    /// its bytes were read, and tokio keeps it as "closed for writing".
    fn is_gone(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(Interest::WRITABLE)).poll(cx),
            Self::Unix(stream) => pin!(stream.ready(Interest::WRITABLE)).poll(cx),
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_write_closed())
    }

    fn has_news(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let seen = match self {
            Self::Tcp(stream) => SockRef::from(&*stream).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(&*stream).peek(&mut byte),
        };
        !matches!(seen, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
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
            Self::Tcp(stream) => stream.poll_receive(cx, buffer),
            Self::Unix(stream) => stream.poll_receive(cx, buffer),
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
        let send = |socket: BorrowedFd<'_>| Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
        match self.get_mut() {
            Self::Tcp(stream) => stream.poll_send(cx, bytes.len(), send),
            Self::Unix(stream) => stream.poll_send(cx, bytes.len(), send),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        let send = |socket: BorrowedFd<'_>| {
            let mut none = SendAncillaryBuffer::default();
            Ok(sendmsg(socket, slices, &mut none, SendFlags::NOSIGNAL)?)
        };
        match self.get_mut() {
            Self::Tcp(stream) => stream.poll_send(cx, len, send),
            Self::Unix(stream) => stream.poll_send(cx, len, send),
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
pub struct OsListener {
    socket: ListenSocket,
    /// Whether the last connection took a descriptor that is kept for others.
    is_scarce: bool,
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener<OsStream> for OsListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(OsStream, Peer, Peer)>> {
        match &self.socket {
            ListenSocket::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                self.is_scarce = descriptors::is_reserved(&stream, Use::Client);
                // TCP_NODELAY is inherited from the listening socket.
                let local = stream.local_addr().map_or(Peer::Unix, Peer::Inet);
                Poll::Ready(Ok((OsStream::Tcp(stream), Peer::Inet(peer), local)))
            }
            ListenSocket::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                self.is_scarce = descriptors::is_reserved(&stream, Use::Client);
                Poll::Ready(Ok((OsStream::Unix(stream), Peer::Unix, Peer::Unix)))
            }
        }
    }

    fn is_scarce(&self) -> bool {
        self.is_scarce
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An address and port.
    Inet(SocketAddr),
    /// An address and port for datagrams: HTTP/3, or a relay.
    Udp(SocketAddr),
    /// A Unix socket at this path.
    Unix(std::path::PathBuf),
}

impl ListenAddress {
    /// The port, if it has one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) | Self::Udp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Udp(address) => write!(f, "udp:{address}"),
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

/// What a UDP socket may hold each way, bytes: what arrives or leaves while its core is busy for a few
/// milliseconds. The kernel cuts it to its own bound (`net.core.rmem_max`, `net.core.wmem_max`).
const DATAGRAM_BUFFER: usize = 2 * 1024 * 1024;

impl Bound {
    /// Binds and listens. TCP and UDP sockets take `SO_REUSEPORT`, so that every core has its own;
    /// a stale Unix socket that nobody listens on is replaced.
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
            ListenAddress::Udp(inet) => return Self::datagrams(*inet),
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

    fn datagrams(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // What the kernel does not give it does not give; nothing depends on it but speed.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self { socket: socket.into(), address: ListenAddress::Udp(address) })
    }

    /// Finds out whether nobody has an address, without keeping it.
    ///
    /// # Errors
    /// What binding it would say.
    pub fn probe(address: &ListenAddress) -> io::Result<()> {
        let (inet, kind) = match address {
            ListenAddress::Inet(inet) => (*inet, Type::STREAM),
            ListenAddress::Udp(inet) => (*inet, Type::DGRAM),
            ListenAddress::Unix(_) => return Ok(()),
        };
        let socket = Socket::new(Domain::for_address(inet), kind, None)?;
        if inet.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if kind == Type::DGRAM {
            return socket.bind(&inet.into());
        }
        socket.set_reuse_address(true)?;
        socket.bind(&inet.into())?;
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
        Ok(match (&self.address, address.as_socket()) {
            (ListenAddress::Inet(_), Some(address)) => ListenAddress::Inet(address),
            (ListenAddress::Udp(_), Some(address)) => ListenAddress::Udp(address),
            _ => self.address.clone(),
        })
    }

    /// Makes it a UDP socket of the runtime that this is called in.
    ///
    /// # Errors
    /// What the system says; and it must have been bound for datagrams.
    pub fn into_datagrams(self) -> io::Result<UdpSocket> {
        match self.address {
            ListenAddress::Udp(_) => UdpSocket::from_std(std::net::UdpSocket::from(self.socket)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Makes it a listener of the runtime that this is called in.
    ///
    /// # Errors
    /// What the system says; and it must have been bound for connections.
    pub fn into_listener(self) -> io::Result<OsListener> {
        let socket = match self.address {
            ListenAddress::Udp(_) => return Err(io::ErrorKind::InvalidInput.into()),
            ListenAddress::Inet(_) => {
                ListenSocket::Tcp(TcpListener::from_std(std::net::TcpListener::from(self.socket))?)
            }
            ListenAddress::Unix(_) => ListenSocket::Unix(UnixListener::from_std(
                std::os::unix::net::UnixListener::from(self.socket),
            )?),
        };
        Ok(OsListener { socket, is_scarce: false })
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
