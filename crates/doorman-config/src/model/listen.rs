//! Sockets to bind. Sites imply them by their ports; a `listen` line replaces the implied socket of its port, or adds
//! a Unix socket. The loader has already put both together, so that nobody downstream derives sockets a second time.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use doorman_http::desync::Desync;
use ipnet::IpNet;

use crate::{Setting, Span};

/// One socket to bind. On a Unix socket, which has no port, every site answers, found by host alone; on TCP the sites
/// of the port.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where.
    pub address: SocketAddress,
    /// Plain or TLS.
    pub transport: Transport,
    /// What may be spoken, never empty, in order of preference; HTTP/3 not on a Unix socket. Sites may narrow it by
    /// `alpn`.
    pub protocols: Vec<Protocol>,
    /// Length of the kernel's queue of new connections.
    pub backlog: u32,
    /// What becomes of requests that can be read in two ways.
    pub desync: Setting<Desync>,
    /// Peers whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<Announcer>,
    /// The `listen` line, or the first site address that implied the socket, or none for the port that only redirects.
    pub span: Option<Span>,
}

/// Peers that must send the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcer {
    /// Those of a range.
    Range(IpNet),
    /// Those of a Unix socket.
    Unix,
}

/// An address of a socket of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    /// This port on every address of the machine, IPv6 and IPv4.
    Any(u16),
    /// One address.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl SocketAddress {
    /// The TCP port, if it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            SocketAddress::Any(port) => Some(*port),
            SocketAddress::Ip(address) => Some(address.port()),
            SocketAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketAddress::Any(port) => write!(f, ":{port}"),
            SocketAddress::Ip(address) => write!(f, "{address}"),
            SocketAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What stands between TCP and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Nothing.
    Plain,
    /// TLS; the certificate comes from the site that SNI names.
    Tls,
}

/// A version of HTTP that a listener may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/1.0.
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
    /// HTTP/3, over UDP on the same port.
    H3,
}

impl Protocol {
    /// The word for it in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Protocol::H1 => "h1",
            Protocol::H2 => "h2",
            Protocol::H2c => "h2c",
            Protocol::H3 => "h3",
        }
    }
}
