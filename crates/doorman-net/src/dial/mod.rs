//! To the origins: connections, pools and exchanges.

mod h1;
mod pool;

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_http::{BodyError, Instant};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

pub use h1::{Answer, Asking, Upstream};
pub use pool::{Pool, PoolLimits};

use crate::alarm::Alarm;
use crate::link::Link;
use crate::seam::{Address, Net};
use crate::{Clock, within};

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
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(kind) => write!(f, "connect: {kind}"),
            Self::ConnectTimeout => f.write_str("connect: timed out"),
            Self::Tls(why) => write!(f, "TLS handshake: {why}"),
            Self::Closed { .. } => f.write_str("closed before a response"),
            Self::ClosedInHead => f.write_str("closed within the response's head"),
            Self::Malformed(why) => write!(f, "malformed response: {why}"),
            Self::ResponseTimeout => f.write_str("no response in time"),
            Self::WriteTimeout => f.write_str("did not read the request in time"),
            Self::Client(error) => error.fmt(f),
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
}

/// A way to one server: its address, its TLS, and the connections to it that this core keeps.
pub struct Dialler<N: Net> {
    net: N,
    clock: Clock,
    address: Address,
    tls: Option<DialTls>,
    pool: Rc<Pool<N::Stream>>,
}

impl<N: Net> Dialler<N> {
    /// A way to the server at `address`, with connections kept in `pool`.
    pub const fn new(
        net: N,
        clock: Clock,
        address: Address,
        tls: Option<DialTls>,
        pool: Rc<Pool<N::Stream>>,
    ) -> Self {
        Self { net, clock, address, tls, pool }
    }

    /// The server's address.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The connections kept.
    pub const fn pool(&self) -> &Rc<Pool<N::Stream>> {
        &self.pool
    }

    /// An idle connection, if one is fit.
    #[must_use]
    pub fn pooled(&self, now: Instant) -> Option<Box<Upstream<N::Stream>>> {
        self.pool.take(now)
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`DialError::Connect`], [`DialError::ConnectTimeout`] or [`DialError::Tls`].
    pub async fn connect(
        &self,
        timeouts: &DialTimeouts,
    ) -> Result<Box<Upstream<N::Stream>>, DialError> {
        let mut alarm = Alarm::new(self.clock);
        alarm.set(self.clock.instant() + timeouts.connect);
        let link = within(&mut alarm, Box::pin(self.open()))
            .await
            .unwrap_or(Err(DialError::ConnectTimeout))?;
        Ok(Upstream::new(link, Rc::clone(&self.pool), self.clock))
    }

    async fn open(&self) -> Result<Link<N::Stream>, DialError> {
        let stream =
            self.net.connect(&self.address).await.map_err(|e| DialError::Connect(e.kind()))?;
        let Some(tls) = &self.tls else { return Ok(Link::Plain(stream)) };
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let stream = connector
            .connect(tls.name.clone(), stream)
            .await
            .map_err(|error| DialError::Tls(error.to_string()))?;
        Ok(Link::Client(Box::new(stream)))
    }
}
