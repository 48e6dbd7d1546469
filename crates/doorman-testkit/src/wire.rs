//! A connection whose every byte is sent as given and kept as received.
//!
//! Clients and origins, on sockets and in the simulation, plain and under TLS, are all made of
//! this: one reader, so that what "cut" means is decided in one place.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use doorman_net::seam::Stream;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tls::Tls;

/// A stream, plain or under TLS.
pub enum Lane<S> {
    /// As the network gave it.
    Plain(S),
    /// Under TLS, the rig being the client.
    Client(Box<tokio_rustls::client::TlsStream<S>>),
    /// Under TLS, the rig being the server.
    Server(Box<tokio_rustls::server::TlsStream<S>>),
}

impl<S: Stream> Lane<S> {
    /// Shakes hands as a client.
    ///
    /// # Errors
    /// The peer refused, or is not whom we believe; a name that is none is `InvalidInput`.
    pub async fn client(stream: S, tls: &Tls) -> io::Result<Self> {
        let name = ServerName::try_from(tls.name.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(tls.client()).connect(name, stream).await?;
        Ok(Self::Client(Box::new(stream)))
    }

    /// Shakes hands as a server.
    ///
    /// # Errors
    /// The peer refused or spoke no TLS.
    pub async fn server(stream: S, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self::Server(Box::new(TlsAcceptor::from(config).accept(stream).await?)))
    }

    /// Makes the close of this stream a reset.
    pub fn reset_on_close(&mut self) {
        match self {
            Self::Plain(stream) => stream.reset_on_close(),
            Self::Client(tls) => tls.get_mut().0.reset_on_close(),
            Self::Server(tls) => tls.get_mut().0.reset_on_close(),
        }
    }

    /// What TLS agreed on, if there is TLS.
    #[must_use]
    pub fn session(&self) -> Option<&CommonState> {
        match self {
            Self::Plain(_) => None,
            Self::Client(tls) => Some(tls.get_ref().1),
            Self::Server(tls) => Some(tls.get_ref().1),
        }
    }
}

impl<S: Stream> AsyncRead for Lane<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Client(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
            Self::Server(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl<S: Stream> AsyncWrite for Lane<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Client(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
            Self::Server(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Client(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
            Self::Server(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Client(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Self::Server(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Client(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::Server(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

/// How what a peer sends came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: a FIN, under TLS after a close-notify.
    Finished,
    /// A FIN without TLS's close-notify: anybody on the way may have cut it.
    Truncated,
    /// A reset.
    Reset,
    /// Another error.
    Failed(ErrorKind),
}

/// How much one read may bring.
const READ_SIZE: usize = 16 * 1024;

/// Sees what arrives.
trait Tap: FnMut(&[u8]) {}

impl<F: FnMut(&[u8])> Tap for F {}

/// A connection whose every byte is kept.
pub struct Wire<S> {
    lane: Lane<S>,
    received: Vec<u8>,
    taken: usize,
    end: Option<End>,
    tap: Box<dyn Tap>,
}

impl<S: Stream> Wire<S> {
    /// On a plain stream.
    pub fn new(stream: S) -> Self {
        Self::on(Lane::Plain(stream))
    }

    /// On a lane.
    pub fn on(lane: Lane<S>) -> Self {
        Self { lane, received: Vec::new(), taken: 0, end: None, tap: Box::new(|_: &[u8]| ()) }
    }

    /// The lane below.
    pub const fn lane(&self) -> &Lane<S> {
        &self.lane
    }

    /// Shows everything received from now on to `tap` as well.
    pub fn tap(&mut self, tap: impl FnMut(&[u8]) + 'static) {
        self.tap = Box::new(tap);
    }

    /// The lane alone; what was received and not taken is lost.
    pub fn into_lane(self) -> Lane<S> {
        self.lane
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// What the stream says.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lane.write_all(bytes).await?;
        self.lane.flush().await
    }

    /// Sends these bytes while keeping what arrives meanwhile, so that a peer that answers early
    /// and at length cannot block the sending.
    ///
    /// # Errors
    /// What the stream says about the writing; what it says about the reading is kept as the end.
    pub async fn send_while_reading(&mut self, bytes: &[u8]) -> io::Result<()> {
        let known = self.received.len();
        let (mut read, mut write) = tokio::io::split(&mut self.lane);
        let (received, end) = (&mut self.received, &mut self.end);
        let keep = async move {
            while end.is_none() {
                *end = read_some(&mut read, received).await;
            }
            std::future::pending::<()>().await
        };
        let send = async move {
            write.write_all(bytes).await?;
            write.flush().await
        };
        let sent = tokio::select! {
            biased;
            sent = send => sent,
            () = keep => unreachable!("reading goes on for ever"),
        };
        (self.tap)(&self.received[known..]);
        sent
    }

    /// Ends our direction: a FIN, under TLS after a close-notify.
    ///
    /// # Errors
    /// What the stream says.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.lane.shutdown().await
    }

    /// Closes by a reset.
    pub fn reset(mut self) {
        self.lane.reset_on_close();
    }

    /// Waits for more bytes. `false` when there will be none.
    pub async fn more(&mut self) -> bool {
        if self.end.is_none() {
            let known = self.received.len();
            self.end = read_some(&mut self.lane, &mut self.received).await;
            (self.tap)(&self.received[known..]);
        }
        self.end.is_none()
    }

    /// How it ended, once it has.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Everything received since the beginning, or since [`Self::forget`].
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// What was received and not taken yet.
    pub fn waiting(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// Forgets what was taken, so that long bodies need no memory.
    pub fn forget(&mut self) {
        self.received.drain(..self.taken);
        self.taken = 0;
    }

    /// Takes the next `n` bytes of those that wait; fewer if fewer wait.
    pub fn take(&mut self, n: usize) -> &[u8] {
        let from = self.taken;
        self.taken = self.received.len().min(from + n);
        &self.received[from..self.taken]
    }

    /// Takes exactly `n` bytes, waiting for them.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer ends before; what is there is not taken.
    pub async fn take_exactly(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.waiting().len() < n {
            if !self.more().await {
                return Err(ended(self.end));
            }
        }
        Ok(self.take(n))
    }

    /// Takes everything up to and with `needle`, waiting for it.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer ends before; what is there is not taken.
    pub async fn take_until(&mut self, needle: &[u8]) -> io::Result<&[u8]> {
        let mut looked = 0;
        loop {
            let place =
                self.waiting()[looked..].windows(needle.len()).position(|window| window == needle);
            if let Some(place) = place {
                return Ok(self.take(looked + place + needle.len()));
            }
            looked = self.waiting().len().saturating_sub(needle.len().saturating_sub(1));
            if !self.more().await {
                return Err(ended(self.end));
            }
        }
    }

    /// Receives until the peer ends; says how it did.
    pub async fn read_to_end(&mut self) -> End {
        while self.more().await {}
        self.end.unwrap_or(End::Finished)
    }

    /// The protocol that TLS agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.lane.session()?.alpn_protocol()
    }

    /// The certificates that the peer showed.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.lane.session().and_then(CommonState::peer_certificates).unwrap_or_default()
    }
}

fn ended(end: Option<End>) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("the peer ended before: {end:?}"))
}

/// Reads once; the end, if that is what it found.
async fn read_some(lane: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> Option<End> {
    into.reserve(READ_SIZE);
    match lane.read_buf(into).await {
        Ok(0) => Some(End::Finished),
        Ok(_) => None,
        Err(error) => Some(match error.kind() {
            ErrorKind::UnexpectedEof => End::Truncated,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset,
            kind => End::Failed(kind),
        }),
    }
}
