//! Upstreams: groups of servers that answer for a route.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{RouteTimeouts, Scheme};
use crate::{Setting, Span, Spanned};

/// Index of an upstream in `Config::upstreams`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u32);

/// An `upstream` block, or the bare address of a `proxy` line.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name; for a bare address, that address as written.
    pub name: Spanned<String>,
    /// Whether it has a block of its own.
    pub origin: UpstreamOrigin,
    /// At least one.
    pub servers: Vec<Server>,
    /// How one of them is chosen.
    pub balance: Setting<Balance>,
    /// Kept-alive connections, per core.
    pub pool: Pool,
    /// Timeouts for all routes that come here and say nothing themselves.
    pub timeouts: RouteTimeouts,
    /// TLS towards servers with an `https://` address.
    pub tls: UpstreamTls,
    /// What is spoken.
    pub protocol: Setting<UpstreamProtocol>,
    /// The head of the block, or the target of the `proxy` line.
    pub span: Span,
}

/// Where an upstream was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamOrigin {
    /// In an `upstream NAME` block.
    Named,
    /// As a bare address in a `proxy` line; lines with the same address share it.
    Inline,
}

/// A `server` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: Spanned<ServerAddress>,
    /// Its name in logs and metrics: `name N`, or the address as written. Distinct within its upstream.
    pub name: String,
    /// Its part of the load, 1 to 65,535; 1.
    pub weight: Setting<u32>,
    /// Connections at once, over all cores; `None`: no bound.
    pub max_connections: Option<Spanned<u32>>,
}

/// `[http://|https://]HOST:PORT`, `unix:PATH`, or a bare port of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Whether TLS is spoken.
    pub scheme: Scheme,
    /// Where.
    pub host: ServerHost,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerHost {
    /// An address.
    Ip {
        /// Address.
        ip: IpAddr,
        /// Port.
        port: u16,
    },
    /// A name to look up at run time, in lower case.
    Name {
        /// Name.
        name: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Https {
            f.write_str("https://")?;
        }
        match &self.host {
            ServerHost::Ip { ip: IpAddr::V6(ip), port } => write!(f, "[{ip}]:{port}"),
            ServerHost::Ip { ip, port } => write!(f, "{ip}:{port}"),
            ServerHost::Name { name, port } => write!(f, "{name}:{port}"),
            ServerHost::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn, by weight.
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastRequests,
}

/// Kept-alive connections of one upstream, per core.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Idle connections kept to each server; 0 keeps none; 64.
    pub idle: Setting<u32>,
    /// How long an idle one is kept; 60 s.
    pub idle_timeout: Setting<Duration>,
    /// How old a connection may grow; 1 h.
    pub max_age: Setting<Duration>,
    /// Requests on one connection; `None`: no bound.
    pub max_requests: Option<Spanned<u32>>,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            idle: Setting::default_of(64),
            // Below the 75 s after which common servers close, so that a close rarely meets a request.
            idle_timeout: Setting::default_of(Duration::from_secs(60)),
            // A name that moved is noticed within the hour.
            max_age: Setting::default_of(Duration::from_secs(3600)),
            max_requests: None,
        }
    }
}

/// TLS towards servers.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// File of CA certificates (PEM) to trust instead of the public ones.
    pub ca: Option<Spanned<PathBuf>>,
    /// Name to send as SNI and to look for in the certificate; `None`: the server's host.
    pub name: Option<Spanned<String>>,
    /// Whether the certificate is checked.
    pub verify: Setting<Verify>,
}

impl Default for UpstreamTls {
    fn default() -> UpstreamTls {
        UpstreamTls { ca: None, name: None, verify: Setting::default_of(Verify::On) }
    }
}

/// Whether a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// It must be valid.
    On,
    /// Anything goes: encryption without knowing with whom.
    Off,
}

/// What is spoken to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    H1,
}
