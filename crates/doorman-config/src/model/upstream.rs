//! Upstreams: groups of servers that answer for a route.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorman_http::template::Template;

use super::{
    Breaker, Discover, DiscoverSource, HealthCheck, Outlier, Park, Passive, Queue, Retry,
    RouteTimeouts, Scheme, Sticky,
};
use crate::{Balance, BalanceOptions, ServerRole, Setting, Span, Spanned};

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
    /// At least one, unless servers are discovered.
    pub servers: Vec<Server>,
    /// Where servers are found at run time.
    pub discover: Vec<Discover>,
    /// How often names of servers are looked up, each address of which is a server then; `None`: a name is one server.
    pub resolve: Option<Spanned<Duration>>,
    /// How one of them is chosen.
    pub balance: Setting<Balance>,
    /// What is said besides of how one is chosen.
    pub balancing: BalanceOptions,
    /// What keeps a client on its server; `None`: nothing.
    pub sticky: Option<Sticky>,
    /// Kept-alive connections, per core.
    pub pool: Pool,
    /// Timeouts for all routes that come here and say nothing themselves.
    pub timeouts: RouteTimeouts,
    /// TLS towards servers with an `https://` address.
    pub tls: UpstreamTls,
    /// What is tried again; `None`: what never reached a server, twice.
    pub retry: Option<Retry>,
    /// When it is not asked at all.
    pub breaker: Option<Breaker>,
    /// How requests wait for a server that has room.
    pub queue: Option<Queue>,
    /// How requests wait for a server that is there.
    pub park: Option<Park>,
    /// What is spoken.
    pub protocol: Setting<UpstreamProtocol>,
    /// What a FastCGI application is told.
    pub fastcgi: FastCgi,
    /// How its servers are asked whether they are well, in file order.
    pub health: Vec<HealthCheck>,
    /// When failures of requests take a server out; `None`: never.
    pub passive: Option<Spanned<Passive>>,
    /// When doing worse than others takes a server out; `None`: never.
    pub outlier: Option<Spanned<Outlier>>,
    /// How long a server that comes back takes to get all of its part; `None`: no time.
    pub slow_start: Option<Spanned<Duration>>,
    /// Where it says that ill servers are used when none is well; `None`: they aren't.
    pub fail_open: Option<Span>,
    /// The PROXY protocol's version in which connections name their client; `None`: they don't.
    pub proxy_protocol: Option<Spanned<ProxyProtocol>>,
    /// The address of ours that connections come from.
    pub source: Option<Spanned<IpAddr>>,
    /// The head of the block, or the target of the `proxy` line.
    pub span: Span,
}

impl Upstream {
    /// What is spoken to servers, as far as it is written here.
    pub(crate) fn schemes(&self) -> impl Iterator<Item = Scheme> + '_ {
        let by_dns = |one: &&Discover| !matches!(one.source.value, DiscoverSource::File(_));
        let found = self.discover.iter().filter(by_dns).map(|one| one.scheme.value);
        self.servers.iter().map(|server| server.address.value.scheme).chain(found)
    }

    /// Whether there may be a server to which this is spoken. What a file of servers says is not known here.
    #[must_use]
    pub fn may_have(&self, scheme: Scheme) -> bool {
        let by_file = |one: &Discover| matches!(one.source.value, DiscoverSource::File(_));
        self.schemes().any(|one| one == scheme) || self.discover.iter().any(by_file)
    }

    /// Whether there is no server, and none can be found.
    pub(crate) fn has_none(&self) -> bool {
        self.servers.is_empty() && self.discover.is_empty()
    }
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
    /// Its part of the load, 0 to 65,535; 1. With 0 it takes only requests that are bound to it.
    pub weight: Setting<u32>,
    /// A higher one is used when the ones below it have no server; 0.
    pub tier: Setting<u32>,
    /// When it takes part in its tier.
    pub role: ServerRole,
    /// Connections at once, over all cores; `None`: no bound.
    pub max_connections: Option<Spanned<u32>>,
    /// Requests at once, over all cores; `None`: no bound.
    pub max_requests: Option<Spanned<u32>>,
    /// It takes only requests that are bound to it.
    pub drain: bool,
    /// Where it stands, by the operator's name.
    pub zone: Option<Spanned<String>>,
}

impl Server {
    /// Whether it can be full.
    pub(crate) fn is_bounded(&self) -> bool {
        self.max_connections.is_some() || self.max_requests.is_some()
    }

    /// A server about which nothing more is said.
    #[must_use]
    pub fn plain(name: String, address: Spanned<ServerAddress>) -> Server {
        Server {
            address,
            name,
            weight: Setting::default_of(1),
            tier: Setting::default_of(0),
            role: ServerRole::Regular,
            max_connections: None,
            max_requests: None,
            drain: false,
            zone: None,
        }
    }
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

/// Kept-alive connections of one upstream, per core.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Idle connections kept to each server; 0 keeps none; 1024, of which what load leaves unused goes by its idle
    /// time.
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
            idle: Setting::default_of(1024),
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
    /// File of the certificate (PEM) to show; with it goes `key`.
    pub cert: Option<Spanned<PathBuf>>,
    /// File of its key (PEM).
    pub key: Option<Spanned<PathBuf>>,
    /// SHA-256 of the public keys of which the server must have one; empty: any key.
    pub pins: Vec<Spanned<[u8; 32]>>,
}

impl Default for UpstreamTls {
    fn default() -> UpstreamTls {
        UpstreamTls {
            ca: None,
            name: None,
            verify: Setting::default_of(Verify::On),
            cert: None,
            key: None,
            pins: Vec::new(),
        }
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

/// What a FastCGI application is told of its scripts.
#[derive(Clone, Debug, Default)]
pub struct FastCgi {
    /// The folder of the scripts as the application sees it, without a slash at its end.
    pub root: Option<Spanned<String>>,
    /// The script of a path that ends with a slash.
    pub index: Option<Spanned<String>>,
    /// The suffix behind which a script's name ends.
    pub split_path: Option<Spanned<String>>,
    /// More variables, in file order; each name once.
    pub params: Vec<Spanned<(String, Template)>>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What is spoken to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2, over TLS.
    H2,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
    /// HTTP/3.
    H3,
    /// HTTP/2 or HTTP/1.1, as the server's TLS chooses.
    Auto,
    /// FastCGI.
    FastCgi,
}

impl UpstreamProtocol {
    /// The word for it in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            UpstreamProtocol::H1 => "h1",
            UpstreamProtocol::H2 => "h2",
            UpstreamProtocol::H2c => "h2c",
            UpstreamProtocol::H3 => "h3",
            UpstreamProtocol::Auto => "auto",
            UpstreamProtocol::FastCgi => "fastcgi",
        }
    }
}
