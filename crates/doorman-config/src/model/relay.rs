//! Relays: sockets whose connections or datagrams are passed on as they are.

use std::time::Duration;

use ipnet::IpNet;

use super::{HostPattern, ProxyProtocol, SocketAddress, UpstreamId};
use crate::{Setting, Span, Spanned};

/// A `relay` block.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Where it listens.
    pub address: Spanned<SocketAddress>,
    /// What it relays.
    pub protocol: Setting<RelayProtocol>,
    /// Where connections go that no name sends elsewhere; `None`: they are refused.
    pub target: Option<Spanned<UpstreamId>>,
    /// Where TLS connections go by the host that they ask for.
    pub names: Vec<Spanned<NamedTarget>>,
    /// The PROXY protocol's version in which connections name their client.
    pub proxy_protocol: Option<Spanned<ProxyProtocol>>,
    /// Only these clients, if any is written.
    pub allow: Vec<Spanned<IpNet>>,
    /// Not these clients.
    pub deny: Vec<Spanned<IpNet>>,
    /// Connections, or clients that send datagrams, at once over all cores; 10,000.
    pub connections: Setting<u32>,
    /// To connect to a server; `None`: the upstream's, or the global one.
    pub connect: Option<Spanned<Duration>>,
    /// How long nothing may move; 5 m, and 1 m for datagrams.
    pub idle: Option<Spanned<Duration>>,
    /// The head of the block.
    pub span: Span,
}

/// What a relay passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayProtocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl RelayProtocol {
    /// The word for it in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RelayProtocol::Tcp => "tcp",
            RelayProtocol::Udp => "udp",
        }
    }
}

/// An `sni` line.
#[derive(Clone, Debug)]
pub struct NamedTarget {
    /// The hosts: names and `*.name`.
    pub hosts: Vec<HostPattern>,
    /// Where they lead.
    pub upstream: UpstreamId,
}
