//! A configuration becomes a plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use doorman_config::{
    Announcer, Config, Diagnostic, Listener, Protocol, SocketAddress, Span, Spanned, Transport,
};
use doorman_net::os::ListenAddress;
use doorman_net::tls::{ClientTls, ClientTlsOptions, Roots};
use doorman_net::{Cleartext, Limits, ServeSettings};
use doorman_route::AddressSet;

use crate::crowd::CrowdLimits;

use super::materials::Broken;
use super::{
    Compiled, Ground, Plan, PlanAnnouncers, PlanListener, PlanRoute, clients, guard, overload,
    relays, routes, sites, upstreams, waf,
};

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
    pub(crate) const CLIENT_CA: &str = "E0609";
    pub(crate) const CLIENT_CA_WARNING: &str = "W0610";
    pub(crate) const OPEN_KEY: &str = "W0611";
    pub(crate) const SEAL_KEY: &str = "E0612";
    pub(crate) const STORE: &str = "E0613";
    pub(crate) const RULES: &str = "E0614";
    pub(crate) const RULES_WARNING: &str = "W0615";
    pub(crate) const GUARD: &str = "E0616";
}

/// Faults found so far.
pub(super) struct Faults {
    pub(super) list: Vec<Diagnostic>,
    /// What becomes of files that cannot be used.
    pub(super) broken: Broken,
    /// Files in whose place something older is used, and why.
    pub(super) stale: Vec<String>,
    /// Things that were made of files anew.
    pub(super) remade: usize,
}

impl Faults {
    pub(super) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic::error(code, span, message));
    }

    pub(super) fn warning(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic::warning(code, span, message));
    }
}

pub(super) fn compile(config: &Arc<Config>, ground: &Ground, broken: Broken) -> Compiled {
    let mut faults = Faults { list: Vec::new(), broken, stale: Vec::new(), remade: 0 };
    let trusted = config.global.trusted_proxies.iter();
    let trusted = address_set(trusted.map(|range| range.value));
    let upstreams = upstreams::compile(config, ground, &mut faults);
    let clients = clients::compile(config, ground, &mut faults);
    let mut inspecting = waf::Maker::new(&ground.rules);
    let mut guarding = guard::Maker::new(config, ground, &mut faults);
    let (mut sites, table) =
        routes::compile(config, ground, &mut inspecting, &mut guarding, &mut faults);
    clients::place(config, &clients, &mut sites);
    let listeners = sites::listeners(config, ground, &clients, &mut faults);
    let relays = relays::compile(config, ground);
    for ca in config.global.acme.iter().filter_map(|acme| acme.ca.as_ref()) {
        let clock = Arc::new(ground.clock);
        let tls = Roots::load(&ca.value).map_err(|error| error.to_string()).and_then(|roots| {
            let options = ClientTlsOptions { roots, ..ClientTlsOptions::new(clock) };
            ClientTls::new(options).map_err(|error| error.to_string())
        });
        if let Err(error) = tls {
            faults.error(code::CERTIFICATE, ca.span, error);
        }
    }
    let admin = config.global.admin.as_ref();
    if let Some(token) = admin.and_then(|admin| admin.value.token_file.as_ref()) {
        warn_of_open_key(token, &mut faults);
    }
    let automatic = sites::has_automatic(config);
    let whole = !faults.list.iter().any(Diagnostic::is_error);
    if whole {
        ground.settle_materials();
    }
    let stale = std::mem::take(&mut faults.stale);
    let plan = table.filter(|_| whole).map(|table| Plan {
        stale,
        remade: faults.remade,
        listeners,
        sites,
        rule_sets: inspecting.sets,
        waf_events: Arc::clone(&ground.rules.events),
        relays,
        upstreams,
        trusted,
        crowd_limits: CrowdLimits {
            connections: u64::from(config.global.limits.connections.value),
            per_client: config.global.limits.client_connections.as_ref().map(|max| max.value),
        },
        crowd: Arc::clone(&ground.crowd),
        workshop: Arc::clone(&ground.workshop),
        config: Arc::clone(config),
        proofs: automatic.then(|| Arc::clone(ground.keyring.proofs())),
        table,
        asking: PlanRoute::asking(),
        overload: overload::rules(config),
        memory: overload::memory(config),
        upstream_limits: upstream_limits(),
        drain: config.global.drain.value,
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

/// The addresses to bind for a socket: "every address" is both families, each on its own socket. None
/// for a Unix socket.
pub(super) fn inet_addresses(config: &Config, address: &SocketAddress) -> Vec<SocketAddr> {
    match address {
        SocketAddress::Any(port) => {
            let chosen: Vec<IpAddr> = if config.global.bind.is_empty() {
                vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
            } else {
                config.global.bind.iter().map(|ip| ip.value).collect()
            };
            chosen.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect()
        }
        SocketAddress::Ip(address) => vec![*address],
        SocketAddress::Unix(_) => Vec::new(),
    }
}

/// What a listener of sites binds. HTTP/3 has a UDP socket beside each for TCP.
fn bind_addresses(config: &Config, listener: &Listener) -> Vec<ListenAddress> {
    if let SocketAddress::Unix(path) = &listener.address {
        return vec![ListenAddress::Unix(path.clone())];
    }
    let inet = inet_addresses(config, &listener.address);
    let has = |wanted: &[Protocol]| listener.protocols.iter().any(|known| wanted.contains(known));
    let tcp = inet.iter().copied().filter(|_| has(&[Protocol::H1, Protocol::H2, Protocol::H2c]));
    let udp = inet.iter().copied().filter(|_| has(&[Protocol::H3]));
    tcp.map(ListenAddress::Inet).chain(udp.map(ListenAddress::Udp)).collect()
}

pub(super) fn listener(
    config: &Config,
    ground: &Ground,
    listener: &Listener,
    tls: Option<(Arc<doorman_net::tls::ServerTls>, Vec<doorman_net::tls::CertificateSource>)>,
) -> PlanListener {
    debug_assert_eq!(
        listener.transport == Transport::Tls,
        tls.is_some(),
        "TLS as the transport says"
    );
    let (tls, stapled) = tls.unzip();
    PlanListener {
        id: ground.listener(listener),
        name: listener.address.to_string().into(),
        addresses: bind_addresses(config, listener),
        backlog: i32::try_from(listener.backlog).unwrap_or(i32::MAX),
        tls,
        stapled: stapled.unwrap_or_default(),
        announcers: announcers(listener),
        settings: ServeSettings {
            alt_svc: alt_svc(listener),
            desync: listener.desync.value,
            ..settings(config, &listener.protocols)
        },
    }
}

/// What responses over TCP say of HTTP/3 on the same port (RFC 7838 section 3). A day: what browsers
/// know of a port that has stopped speaking it costs them one attempt.
fn alt_svc(listener: &Listener) -> Option<Box<str>> {
    let port = listener.address.port()?;
    listener
        .protocols
        .contains(&Protocol::H3)
        .then(|| format!("h3=\":{port}\"; ma=86400").into_boxed_str())
}

fn announcers(listener: &Listener) -> Option<Arc<PlanAnnouncers>> {
    let mut ranges = Vec::new();
    let mut unix = false;
    for announcer in &listener.proxy_protocol {
        match announcer {
            Announcer::Range(range) => ranges.push(*range),
            Announcer::Unix => unix = true,
        }
    }
    let any = unix || !ranges.is_empty();
    any.then(|| Arc::new(PlanAnnouncers { ranges: address_set(ranges.into_iter()), unix }))
}

pub(super) fn settings(config: &Config, protocols: &[Protocol]) -> ServeSettings {
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
        cleartext: match (protocols.contains(&Protocol::H1), protocols.contains(&Protocol::H2c)) {
            (_, false) => Cleartext::H1,
            (true, true) => Cleartext::Either,
            (false, true) => Cleartext::H2,
        },
        h2_streams: limits.h2_streams.value,
        h3_streams: limits.h3_streams.value,
        alt_svc: None,
        desync: config.global.desync.value,
        drain: config.global.drain.value,
        requests_max: limits
            .requests_per_connection
            .as_ref()
            .map_or(u64::MAX, |limit| u64::from(limit.value)),
    }
}

/// What others than the owner and its group may do with a key, or the group may do beyond reading it.
const OPEN: u32 = 0o027;

/// Warns of a key that others can read or that more than its owner can replace. Reading is left to the
/// group: that is how distributions give keys to services.
pub(super) fn warn_of_open_key(key: &Spanned<PathBuf>, faults: &mut Faults) {
    let Ok(facts) = std::fs::metadata(&key.value) else { return };
    let mode = facts.permissions().mode() & 0o777;
    if mode & OPEN != 0 {
        let message = format!(
            "others can get at the key {} (mode {mode:03o}): chmod 600 it",
            key.value.display()
        );
        faults.warning(code::OPEN_KEY, key.span, message);
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
