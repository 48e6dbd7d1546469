//! A configuration becomes a plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorman_config::{Config, Diagnostic, Listener, SocketAddress, Span, Transport};
use doorman_net::os::ListenAddress;
use doorman_net::{Limits, ServeSettings};
use doorman_route::AddressSet;

use crate::crowd::CrowdLimits;

use super::{Compiled, Ground, Plan, PlanListener, routes, sites, upstreams};

/// Codes of what only compiling can find.
pub(super) mod code {
    pub(crate) const FILE: &str = "E0601";
    pub(crate) const EXPRESSION: &str = "E0602";
    pub(crate) const CERTIFICATE: &str = "E0603";
    pub(crate) const CERTIFICATE_WARNING: &str = "W0604";
    pub(crate) const LOCAL_CA: &str = "E0605";
    pub(crate) const UPSTREAM_TLS: &str = "E0606";
    pub(crate) const ROUTES: &str = "E0607";
    pub(crate) const EDIT: &str = "E0608";
}

/// Faults found so far.
pub(super) struct Faults {
    pub(super) list: Vec<Diagnostic>,
}

impl Faults {
    pub(super) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic::error(code, span, message));
    }

    pub(super) fn warning(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic::warning(code, span, message));
    }
}

pub(super) fn compile(config: &Arc<Config>, ground: &Ground) -> Compiled {
    let mut faults = Faults { list: Vec::new() };
    let trusted = config.global.trusted_proxies.iter();
    let trusted = address_set(trusted.map(|range| range.value));
    let upstreams = upstreams::compile(config, ground, &mut faults);
    let (sites, table) = routes::compile(config, ground, &mut faults);
    let listeners = sites::listeners(config, ground, &mut faults);
    let whole = !faults.list.iter().any(Diagnostic::is_error);
    let plan = table.filter(|_| whole).map(|table| Plan {
        listeners,
        sites,
        upstreams,
        trusted,
        crowd_limits: CrowdLimits {
            connections: u64::from(config.global.limits.connections.value),
            per_client: config.global.limits.client_connections.as_ref().map(|max| max.value),
        },
        crowd: Arc::clone(&ground.crowd),
        config: Arc::clone(config),
        table,
        upstream_limits: upstream_limits(),
    });
    Compiled { plan, diagnostics: faults.list }
}

/// Bounds of what origins may answer: twice what clients may send, since origins are on our side,
/// but still bounded.
fn upstream_limits() -> Limits {
    let limits = Limits::default();
    Limits { head_bytes: limits.head_bytes * 2, fields: limits.fields * 2, ..limits }
}

pub(super) fn address_set(ranges: impl Iterator<Item = ipnet::IpNet>) -> AddressSet {
    // The configuration's ranges are valid, so there is nothing to refuse.
    AddressSet::new(ranges.map(|range| (range.addr(), range.prefix_len()))).unwrap_or_default()
}

/// The addresses to bind for a socket: "every address" is both families, each on its own socket.
pub(super) fn bind_addresses(config: &Config, address: &SocketAddress) -> Vec<ListenAddress> {
    match address {
        SocketAddress::Any(port) => {
            let chosen: Vec<IpAddr> = if config.global.bind.is_empty() {
                vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
            } else {
                config.global.bind.iter().map(|ip| ip.value).collect()
            };
            chosen.into_iter().map(|ip| ListenAddress::Inet(SocketAddr::new(ip, *port))).collect()
        }
        SocketAddress::Ip(address) => vec![ListenAddress::Inet(*address)],
        SocketAddress::Unix(path) => vec![ListenAddress::Unix(path.clone())],
    }
}

pub(super) fn listener(
    config: &Config,
    ground: &Ground,
    listener: &Listener,
    tls: Option<Arc<doorman_net::tls::ServerTls>>,
) -> PlanListener {
    debug_assert_eq!(
        listener.transport == Transport::Tls,
        tls.is_some(),
        "TLS as the transport says"
    );
    PlanListener {
        id: ground.listener(listener),
        name: listener.address.to_string().into(),
        addresses: bind_addresses(config, &listener.address),
        backlog: i32::try_from(listener.backlog).unwrap_or(i32::MAX),
        tls,
        settings: settings(config),
    }
}

fn settings(config: &Config) -> ServeSettings {
    let (limits, times) = (&config.global.limits, &config.global.timeouts);
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let at_least = |time: Duration| time.max(Duration::from_millis(1));
    ServeSettings {
        limits: Limits {
            head_bytes: bytes(limits.header_bytes.value),
            fields: limits.headers.value as usize,
            request_line: bytes(limits.request_line.value),
            ..Limits::default()
        },
        head_timeout: at_least(times.head.value),
        body_idle: at_least(times.body_idle.value),
        write_idle: at_least(times.write_idle.value),
        keep_alive: at_least(times.keep_alive.value),
        handshake_timeout: at_least(times.tls_handshake.value),
        h2_streams: limits.h2_streams.value,
        requests_max: limits
            .requests_per_connection
            .as_ref()
            .map_or(u64::MAX, |limit| u64::from(limit.value)),
    }
}

/// Reads a file that the configuration names, with a bound.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("not a file".to_owned());
    }
    if facts.len() > bytes_max {
        return Err(format!("larger than {bytes_max} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}
