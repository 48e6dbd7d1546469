//! Relays of the plan.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use doorman_config::{Config, ProxyProtocol, Relay, RelayProtocol, SocketAddress};
use doorman_http::Peer;
use doorman_net::dial::ProxyVersion;
use doorman_net::os::ListenAddress;
use doorman_route::AddressSet;

use super::compile::{address_set, inet_addresses};
use super::{Ground, PlanUpstream};

/// How long nothing may move where nothing is written: that of other tunnels, and for datagrams what
/// a name server, a game or a call needs at the most between two of them.
const IDLE_TCP: Duration = Duration::from_secs(300);
const IDLE_UDP: Duration = Duration::from_secs(60);

/// A relay.
pub struct PlanRelay {
    /// Its id among the listeners: the same in every plan of the process that has it.
    pub id: usize,
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// Addresses to bind.
    pub addresses: Vec<ListenAddress>,
    /// Where it goes if no name leads elsewhere: index of the upstream.
    pub target: Option<usize>,
    /// Upstreams by the hosts that TLS asks for; `*.` stands for one label.
    pub names: HashMap<Box<str>, usize>,
    /// The version of the PROXY protocol that it says itself.
    pub announce: Option<ProxyVersion>,
    /// Connections at once, over all cores.
    pub connections: u64,
    /// How long nothing may move.
    pub idle: Duration,
    pub(crate) allow: Option<AddressSet>,
    pub(crate) deny: AddressSet,
    pub(crate) connect: Option<Duration>,
    /// For the first message of TLS to come.
    pub(crate) hello: Duration,
    pub(crate) open: Arc<AtomicU64>,
}

impl PlanRelay {
    /// Whether a client may come. A Unix socket's clients have no address: who may open it is the
    /// file system's to say.
    #[must_use]
    pub fn lets_in(&self, client: &Peer) -> bool {
        let Some(ip) = client.ip() else { return true };
        !self.deny.contains(ip) && self.allow.as_ref().is_none_or(|allow| allow.contains(ip))
    }

    /// How long connecting to a server of this upstream may take.
    #[must_use]
    pub fn connect_within(&self, upstream: &PlanUpstream) -> Duration {
        self.connect.or(upstream.times.connect).unwrap_or(upstream.defaults.connect)
    }

    /// The version of the PROXY protocol that connections to this upstream begin with.
    #[must_use]
    pub fn announces(&self, upstream: &PlanUpstream) -> Option<ProxyVersion> {
        self.announce.or(upstream.manner.announce)
    }

    /// The upstream for a host in lower case.
    #[must_use]
    pub fn named(&self, host: &str) -> Option<usize> {
        let wildcard = || {
            let (_, parent) = host.split_once('.')?;
            self.names.get(format!("*.{parent}").as_str())
        };
        self.names.get(host).or_else(wildcard).copied()
    }
}

pub(super) fn compile(config: &Config, ground: &Ground) -> Vec<PlanRelay> {
    config.relays.iter().map(|relay| one(config, ground, relay)).collect()
}

fn one(config: &Config, ground: &Ground, relay: &Relay) -> PlanRelay {
    let (id, open) = ground.relay(relay);
    let protocol = relay.protocol.value;
    let inet = inet_addresses(config, &relay.address.value).into_iter();
    let addresses = match (&relay.address.value, protocol) {
        (SocketAddress::Unix(path), _) => vec![ListenAddress::Unix(path.clone())],
        (_, RelayProtocol::Tcp) => inet.map(ListenAddress::Inet).collect(),
        (_, RelayProtocol::Udp) => inet.map(ListenAddress::Udp).collect(),
    };
    let mut names = HashMap::new();
    for name in &relay.names {
        for host in &name.value.hosts {
            names.insert(host.to_string().into(), name.value.upstream.0 as usize);
        }
    }
    let allow = relay.allow.iter().map(|range| range.value);
    let default_idle = if protocol == RelayProtocol::Udp { IDLE_UDP } else { IDLE_TCP };
    PlanRelay {
        id,
        name: match protocol {
            RelayProtocol::Tcp => relay.address.value.to_string().into(),
            RelayProtocol::Udp => format!("udp:{}", relay.address.value).into(),
        },
        addresses,
        target: relay.target.as_ref().map(|target| target.value.0 as usize),
        names,
        announce: relay.proxy_protocol.as_ref().map(|version| match version.value {
            ProxyProtocol::V1 => ProxyVersion::V1,
            ProxyProtocol::V2 => ProxyVersion::V2,
        }),
        connections: u64::from(relay.connections.value),
        idle: relay.idle.as_ref().map_or(default_idle, |idle| idle.value),
        allow: (!relay.allow.is_empty()).then(|| address_set(allow)),
        deny: address_set(relay.deny.iter().map(|range| range.value)),
        connect: relay.connect.as_ref().map(|connect| connect.value),
        hello: config.global.timeouts.tls_handshake.value,
        open,
    }
}

impl PlanRelay {
    /// Whether it listens on this port.
    #[must_use]
    pub fn listens_on(&self, port: u16, protocol: RelayProtocol) -> bool {
        self.addresses.iter().any(|address| match (address, protocol) {
            (ListenAddress::Inet(inet), RelayProtocol::Tcp)
            | (ListenAddress::Udp(inet), RelayProtocol::Udp) => inet.port() == port,
            _ => false,
        })
    }
}
