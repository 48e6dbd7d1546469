//! To the origins: connections, pools and exchanges.

pub mod fastcgi;
mod h1;
mod h2;
mod h3;
mod kept;
mod open;
mod pool;
mod shared;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_h1::Limits;
use doorman_http::{Body, BodyError, Conn, Instant, Interim, RequestHead, ResponseHead};
use doorman_preface::{Transport, write_header};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use tokio::io::AsyncWriteExt;

pub use crate::http2::websocket::accept as websocket_accept;
pub use doorman_preface::ProxyVersion;
pub use h1::Upstream;
pub use pool::{Pool, PoolLimits};
use shared::{Reached, Seat, Session};

use crate::alarm::Alarm;
use crate::descriptors::is_exhausted;
use crate::link::Link;
use crate::seam::{Address, Net, Stream};
use crate::tls::TlsStream;
use crate::{Clock, within};

/// 1xx responses that one request may get before its final one. Early Hints come once or twice; an
/// origin that sends more keeps a client waiting at will (H1P-10).
const INTERIM_MAX: usize = 16;
/// How long the origin may take to say `100 Continue` before the body is sent all the same
/// (RFC 9110 section 10.1.1 asks not to wait for ever; curl waits as long).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What is spoken to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2: under TLS by its handshake, without TLS by prior knowledge (RFC 9113 section 3.3).
    H2,
    /// HTTP/3, which is always under TLS.
    H3,
    /// What the TLS handshake settles; HTTP/1.1 without TLS.
    Auto,
}

/// A request to an origin.
pub struct Asking<'a> {
    /// Method, target and fields as they are to be sent.
    pub head: &'a RequestHead,
    /// What `Host` says.
    pub host: &'a [u8],
    /// Whether the connection is under TLS.
    pub secure: bool,
    /// Where 1xx responses go.
    pub interim: Option<&'a dyn Interim>,
    /// Bounds of the response's head.
    pub limits: &'a Limits,
    /// Deadlines.
    pub timeouts: DialTimeouts,
}

/// A response from an origin.
pub struct Answer {
    /// Status and fields.
    pub head: Box<ResponseHead>,
    /// Content.
    pub body: Body,
}

/// What a request needs of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// That it carries requests.
    Request,
    /// That it can switch to another protocol.
    Upgrade,
}

/// A way for one request to a server.
pub enum Lane<S: Stream> {
    /// A connection of its own, HTTP/1.1.
    Single(Box<Upstream<S>>),
    /// A stream of a shared one, HTTP/2 or HTTP/3.
    Shared(Seat),
}

impl<S: Stream> Lane<S> {
    /// Sends a request and waits for the head of its response. `body` is taken out as soon as its
    /// bytes may have been touched, and put back where it can be told again: while it is there, the
    /// request can be sent again.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn ask(
        self,
        asking: Asking<'_>,
        body: &mut Option<Body>,
    ) -> Result<Answer, DialError> {
        match self {
            Self::Single(upstream) => upstream.ask(asking, body).await,
            // In a box: what HTTP/1.1 has to move must not grow by it.
            Self::Shared(seat) => Box::pin(seat.ask(asking, body)).await,
        }
    }
}

/// How long each step towards an origin may take.
#[derive(Clone, Copy, Debug)]
pub struct DialTimeouts {
    /// To connect, TLS handshake included.
    pub connect: Duration,
    /// From the request's last byte to the response's head, absolute.
    pub response: Duration,
    /// Between two reads of a response body, or two writes of a request.
    pub idle: Duration,
    /// For a tunnel in which nothing moves either way.
    pub tunnel_idle: Duration,
}

impl Default for DialTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

/// Why there is no answer from an origin.
#[derive(Clone, Debug)]
pub enum DialError {
    /// It could not be connected to.
    Connect(io::ErrorKind),
    /// Connecting took too long.
    ConnectTimeout,
    /// No descriptor is left to connect with: the server has nothing to do with it.
    Exhausted,
    /// The TLS handshake failed; the text names the reason.
    Tls(String),
    /// It closed or reset before a byte of a response; `reused` tells whether the connection had
    /// served before, so that the close may have crossed with the request.
    Closed {
        /// Whether the connection came from a pool.
        reused: bool,
    },
    /// It closed or reset within the response's head.
    ClosedInHead,
    /// Its response's head is malformed; the text says how.
    Malformed(&'static str),
    /// No response's head in time.
    ResponseTimeout,
    /// It did not read the request in time.
    WriteTimeout,
    /// The request's body failed on the client's side.
    Client(BodyError),
    /// It refused the request before processing it (RFC 9113 section 8.7, RFC 9114 section 4.1.1).
    Unprocessed,
    /// It reset the stream; the text is the error code's name.
    Reset(&'static str),
    /// It does not speak the protocol that is configured.
    Protocol(&'static str),
    /// The protocol to the origin cannot carry the request; the text says why.
    Unsendable(&'static str),
}

impl DialError {
    /// What went wrong with a connection that could not be made.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        if is_exhausted(error) { Self::Exhausted } else { Self::Connect(error.kind()) }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(kind) => write!(f, "connect: {kind}"),
            Self::ConnectTimeout => f.write_str("connect: timed out"),
            Self::Exhausted => f.write_str("connect: no file descriptor is left"),
            Self::Tls(why) => write!(f, "TLS handshake: {why}"),
            Self::Closed { .. } => f.write_str("closed before a response"),
            Self::ClosedInHead => f.write_str("closed within the response's head"),
            Self::Malformed(why) => write!(f, "malformed response: {why}"),
            Self::ResponseTimeout => f.write_str("no response in time"),
            Self::WriteTimeout => f.write_str("did not read the request in time"),
            Self::Client(error) => error.fmt(f),
            Self::Unprocessed => f.write_str("refused before it was processed"),
            Self::Reset(code) => write!(f, "reset the stream: {code}"),
            Self::Protocol(why) | Self::Unsendable(why) => f.write_str(why),
        }
    }
}

/// TLS towards a server.
#[derive(Clone)]
pub struct DialTls {
    /// What is trusted and offered.
    pub config: Arc<ClientConfig>,
    /// The name that its certificate must hold.
    pub name: ServerName<'static>,
    /// Counts its handshakes.
    pub handshakes: Arc<Handshakes>,
}

/// TLS handshakes with a server, over all cores.
#[derive(Debug, Default)]
pub struct Handshakes {
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Handshakes {
    /// How many were made in full, and how many resumed a session.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.full.load(Ordering::Relaxed), self.resumed.load(Ordering::Relaxed))
    }
}

/// How a server is connected to, beside its address.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialManner {
    /// The address of ours that connections come from; `None`: the system's choice.
    pub source: Option<IpAddr>,
    /// The version of the PROXY protocol in which each connection begins with its client's address.
    pub announce: Option<ProxyVersion>,
}

/// A way to one server: its address, its TLS, and the connections to it that this core keeps.
pub struct Dialler<N: Net> {
    net: N,
    clock: Clock,
    server: Rc<Server>,
    pool: Rc<Pool<N::Stream>>,
}

/// A server, as it is dialled.
pub struct Server {
    /// Its address.
    pub address: Address,
    /// TLS towards it.
    pub tls: Option<DialTls>,
    /// TLS that settles on HTTP/1.1, where [`Protocol::Auto`] may settle on something else: for
    /// upgrades, which only HTTP/1.1 knows for certain.
    pub tls_single: Option<DialTls>,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Where connections come from, and what they begin with.
    pub manner: DialManner,
    /// Bounds of its responses' heads.
    pub limits: Limits,
}

impl<N: Net> Clone for Dialler<N> {
    fn clone(&self) -> Self {
        let (server, pool) = (Rc::clone(&self.server), Rc::clone(&self.pool));
        Self { net: self.net.clone(), clock: self.clock, server, pool }
    }
}

impl<N: Net> Dialler<N> {
    /// A way to `server`, with connections kept in `pool`.
    pub fn new(net: N, clock: Clock, server: Server, pool: Rc<Pool<N::Stream>>) -> Self {
        Self { net, clock, server: Rc::new(server), pool }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The connections kept.
    pub const fn pool(&self) -> &Rc<Pool<N::Stream>> {
        &self.pool
    }

    /// A way that is open already, if one is fit.
    #[must_use]
    pub fn pooled(&self, now: Instant, need: Need) -> Option<Lane<N::Stream>> {
        match self.server.protocol {
            Protocol::Auto if need == Need::Upgrade => self.pool.take(now).map(Lane::Single),
            Protocol::H1 => self.pool.take(now).map(Lane::Single),
            Protocol::H2 | Protocol::H3 => self.pool.seat(self.clock).map(Lane::Shared),
            Protocol::Auto => {
                let shared = self.pool.seat(self.clock).map(Lane::Shared);
                shared.or_else(|| self.pool.take(now).map(Lane::Single))
            }
        }
    }

    /// A new way: a connection of its own, or a place on one that others share.
    ///
    /// # Errors
    /// [`DialError::Connect`], [`DialError::ConnectTimeout`], [`DialError::Tls`] or
    /// [`DialError::Protocol`].
    pub async fn connect(
        &self,
        timeouts: &DialTimeouts,
        need: Need,
        client: &Conn,
    ) -> Result<Lane<N::Stream>, DialError> {
        let mut alarm = Alarm::new(self.clock);
        alarm.set(self.clock.instant() + timeouts.connect);
        let server = &*self.server;
        let single = match (server.protocol, need) {
            (Protocol::H1, _) => Some(&server.tls),
            (Protocol::Auto, Need::Upgrade) => Some(&server.tls_single),
            (Protocol::H2 | Protocol::H3 | Protocol::Auto, _) => None,
        };
        if let Some(tls) = single {
            let link = within(&mut alarm, Box::pin(self.open(tls.as_ref(), Some(client))))
                .await
                .unwrap_or(Err(DialError::ConnectTimeout))?;
            let mut upstream = Upstream::new(link, Rc::clone(&self.pool), self.clock);
            if server.manner.announce.is_some() {
                // The server takes all that comes on it for this client's.
                upstream.keep_for_one();
            }
            return Ok(Lane::Single(upstream));
        }
        within(&mut alarm, Box::pin(self.board(timeouts.connect)))
            .await
            .unwrap_or(Err(DialError::ConnectTimeout))
    }

    /// A new connection for bytes that are passed on as they are.
    ///
    /// # Errors
    /// [`DialError::Connect`] or [`DialError::ConnectTimeout`].
    pub async fn connect_bare(
        &self,
        limit: Duration,
        announce: Option<ProxyVersion>,
        client: &Conn,
    ) -> Result<N::Stream, DialError> {
        let mut alarm = Alarm::new(self.clock);
        alarm.set(self.clock.instant() + limit);
        let server = &*self.server;
        let announce = announce.or(server.manner.announce);
        let manner = DialManner { announce, ..server.manner };
        let opened = Box::pin(open(&self.net, &server.address, &manner, Some(client)));
        match within(&mut alarm, opened).await {
            Some(opened) => opened.map_err(|error| DialError::of_connect(&error)),
            None => Err(DialError::ConnectTimeout),
        }
    }

    /// Waits for a place on a connection that is being made, or makes one.
    async fn board(&self, limit: Duration) -> Result<Lane<N::Stream>, DialError> {
        loop {
            let sessions = self.pool.sessions();
            let dial = sessions.join().unwrap_or_else(|| {
                let dial = sessions.begin();
                let (dialler, begun) = (self.clone(), Rc::clone(&dial));
                tokio::task::spawn_local(async move {
                    let mut alarm = Alarm::new(dialler.clock);
                    alarm.set(dialler.clock.instant() + limit);
                    let reached = within(&mut alarm, Box::pin(dialler.reach()))
                        .await
                        .unwrap_or(Err(DialError::ConnectTimeout));
                    dialler.pool.sessions().finish(&begun, reached);
                });
                dial
            });
            if let Some(lane) = dial.over().await? {
                return Ok(lane);
            }
            if let Some(seat) = self.pool.seat(self.clock) {
                return Ok(Lane::Shared(seat));
            }
        }
    }

    /// Connects, and begins what the handshake settles.
    async fn reach(&self) -> Result<Reached<N::Stream>, DialError> {
        let server = &*self.server;
        if server.protocol == Protocol::H3 {
            let pool = Rc::clone(&self.pool);
            let opened = h3::open(server, pool, self.clock).await;
            return opened.map(|session| Reached::Shared(Session::H3(session)));
        }
        let link = self.open(server.tls.as_ref(), None).await?;
        let is_h2 = match &link {
            Link::Tls(tls) => tls.session().alpn_protocol() == Some(b"h2"),
            Link::Plain(_) => server.protocol == Protocol::H2,
        };
        if is_h2 {
            let pool = Rc::clone(&self.pool);
            let opened = h2::open(link, &server.limits, pool, self.clock).await;
            return opened.map(|session| Reached::Shared(Session::H2(session)));
        }
        if server.protocol == Protocol::H2 {
            return Err(DialError::Protocol("the TLS handshake did not settle on HTTP/2"));
        }
        let upstream = Upstream::new(link, Rc::clone(&self.pool), self.clock);
        Ok(Reached::Single(Lane::Single(upstream)))
    }

    /// Connects for this client, or for all who will share the connection.
    async fn open(
        &self,
        tls: Option<&DialTls>,
        client: Option<&Conn>,
    ) -> Result<Link<N::Stream>, DialError> {
        let server = &*self.server;
        let connected = open(&self.net, &server.address, &server.manner, client).await;
        let stream = connected.map_err(|error| DialError::of_connect(&error))?;
        let Some(tls) = tls else { return Ok(Link::Plain(stream)) };
        let session = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone())
            .map_err(|error| DialError::Tls(error.to_string()))?;
        let mut stream = Box::new(TlsStream::new(stream, session));
        poll_fn(|cx| stream.poll_handshake(cx))
            .await
            .map_err(|error| DialError::Tls(error.to_string()))?;
        let kind = stream.session().handshake_kind();
        let count = match kind {
            Some(HandshakeKind::Resumed) => &tls.handshakes.resumed,
            _ => &tls.handshakes.full,
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Link::Tls(stream))
    }
}

/// Connects, and says whom the connection is for, where that is wanted.
pub(crate) async fn open<N: Net>(
    net: &N,
    address: &Address,
    manner: &DialManner,
    client: Option<&Conn>,
) -> io::Result<N::Stream> {
    let mut stream = match manner.source {
        None => net.connect(address).await?,
        Some(source) => net.connect_from(source, address).await?,
    };
    if let (Some(version), Some(client)) = (manner.announce, client) {
        let mut header = Vec::with_capacity(128);
        write_header(&mut header, version, Transport::Stream, client.peer, client.local);
        stream.write_all(&header).await?;
    }
    Ok(stream)
}
