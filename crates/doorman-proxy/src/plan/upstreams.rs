//! Upstreams of the plan.

use std::path::Path;
use std::sync::Arc;

use doorman_balance::{Admin, Group, Method, Role};
use doorman_config::{
    Balance, Config, FastCgi, ProxyProtocol, RouteTimeouts, Scheme, ServerAddress, ServerHost,
    ServerRole, Spanned, Upstream, UpstreamProtocol, Verify,
};
use doorman_net::Address;
use doorman_net::dial::{
    DialManner, DialTimeouts, DialTls, PoolLimits, Protocol, ProxyVersion, fastcgi,
};
use doorman_net::tls::{
    self, Certificate, CertificateWarning, ClientTls, ClientTlsOptions, MinimumVersion, Pin, Roots,
};

use super::compile::{self, Faults, code};
use super::discovered::{self, Listed};
use super::health;
use super::{Ground, PlanCgi, PlanKey, PlanServer, PlanSticky, PlanUpstream, RouteTimes};

pub(super) fn compile(config: &Config, ground: &Ground, faults: &mut Faults) -> Vec<PlanUpstream> {
    config.upstreams.iter().map(|upstream| one(config, ground, upstream, faults)).collect()
}

fn one(config: &Config, ground: &Ground, upstream: &Upstream, faults: &mut Faults) -> PlanUpstream {
    let times = &config.global.timeouts;
    let listed = discovered::servers(ground, upstream);
    let tls = client_tls(ground, upstream, faults);
    let group = ground.group(&upstream.name.value);
    let servers: Vec<_> = listed
        .iter()
        .filter_map(|listed| {
            let place = Within { upstream, group: &group, zone: config.global.zone.as_ref() };
            server(ground, &place, listed, tls.as_ref(), faults)
        })
        .collect();
    let method = method(upstream.balance.value);
    let group_keys = method.uses_key().then(|| {
        let members: Vec<_> = servers.iter().map(PlanServer::member).collect();
        group.keys(method, &members)
    });
    let pool = &upstream.pool;
    let limits = PoolLimits {
        idle: pool.idle.value as usize,
        idle_timeout: pool.idle_timeout.value,
        max_age: pool.max_age.value,
        max_requests: pool.max_requests.as_ref().map_or(u64::MAX, |n| u64::from(n.value)),
    };
    let cgi =
        (upstream.protocol.value == UpstreamProtocol::FastCgi).then(|| cgi(&upstream.fastcgi));
    PlanUpstream {
        name: upstream.name.value.as_str().into(),
        sticky: PlanSticky::compile(ground, upstream, &group, &servers, faults),
        servers,
        group,
        settings: health::settings(upstream),
        checks: health::checks(upstream, faults),
        passive: upstream.passive.as_ref().map(|passive| health::passive(&passive.value)),
        outlier: upstream.outlier.as_ref().map(|outlier| health::outlier(&outlier.value)),
        method,
        key: key(upstream),
        _keys: group_keys.flatten(),
        pool: match &cgi {
            None => limits,
            Some(_) => fastcgi::limits(limits, pool.idle.span.map(|_| limits.idle)),
        },
        cgi,
        resilience: super::resilience::compile(upstream, ground),
        times: route_times(&upstream.timeouts),
        defaults: DialTimeouts {
            connect: times.connect.value,
            response: times.response_head.value,
            idle: times.response_idle.value,
            tunnel_idle: times.tunnel_idle.value,
        },
        manner: DialManner {
            source: upstream.source.as_ref().map(|source| source.value),
            announce: upstream.proxy_protocol.as_ref().map(|version| match version.value {
                ProxyProtocol::V1 => ProxyVersion::V1,
                ProxyProtocol::V2 => ProxyVersion::V2,
            }),
        },
    }
}

const fn method(balance: Balance) -> Method {
    match balance {
        Balance::RoundRobin => Method::RoundRobin,
        Balance::LeastRequests => Method::LeastRequests,
        Balance::LeastConnections => Method::LeastConnections,
        Balance::LeastBytes => Method::LeastBytes,
        Balance::LeastTime => Method::LeastTime,
        Balance::Random => Method::Random,
        Balance::P2c => Method::P2c,
        Balance::PeakEwma => Method::PeakEwma,
        Balance::Hash | Balance::ClientIp => Method::Hash,
        Balance::Maglev => Method::Maglev,
    }
}

const fn role(role: ServerRole) -> Role {
    match role {
        ServerRole::Regular => Role::Regular,
        ServerRole::Spare => Role::Spare,
        ServerRole::Standby => Role::Standby,
    }
}

/// What of a request the method looks at.
fn key(upstream: &Upstream) -> Option<PlanKey> {
    match upstream.balance.value {
        Balance::ClientIp => Some(PlanKey::ClientIp),
        _ => upstream.balancing.key.as_ref().map(|key| PlanKey::new(key.value.clone())),
    }
}

fn cgi(written: &FastCgi) -> PlanCgi {
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.value.clone());
    PlanCgi {
        root: text(&written.root).unwrap_or_default(),
        index: text(&written.index),
        split: text(&written.split_path),
        params: written.params.iter().map(|param| param.value.clone()).collect(),
    }
}

pub(super) fn route_times(times: &RouteTimeouts) -> RouteTimes {
    RouteTimes {
        connect: times.connect.map(|t| t.value),
        head: times.head.map(|t| t.value),
        whole: times.response.map(|t| t.value),
        idle: times.idle.map(|t| t.value),
    }
}

/// What a server is a part of.
struct Within<'a> {
    upstream: &'a Upstream,
    group: &'a Group,
    /// Where this proxy stands.
    zone: Option<&'a Spanned<String>>,
}

fn server(
    ground: &Ground,
    within: &Within<'_>,
    listed: &Listed,
    tls: Option<&UpstreamClientTls>,
    faults: &mut Faults,
) -> Option<PlanServer> {
    let Within { upstream, group, zone } = within;
    let Listed { server, known_as } = listed;
    let written = &server.address.value;
    let (address, host, authority) = place(written, known_as.as_deref());
    let key = format!("{}|{}|{written}", upstream.name.value, server.name);
    let handshakes = ground.handshakes(&key);
    let mut dial_tls = |tls: &ClientTls| match tls.server_name(&host) {
        Ok(name) => {
            let (config, handshakes) = (tls.config().clone(), Arc::clone(&handshakes));
            Some(DialTls { config, name, handshakes })
        }
        Err(error) => {
            faults.error(code::UPSTREAM_TLS, server.address.span, error.to_string());
            None
        }
    };
    let (tls, tls_single) = match (written.scheme, tls) {
        (Scheme::Http, _) => (None, None),
        // The fault with the upstream's TLS has been told.
        (Scheme::Https, None) => return None,
        (Scheme::Https, Some(both)) => {
            let single = both.single.as_ref().and_then(&mut dial_tls);
            (Some(dial_tls(&both.first)?), single)
        }
    };
    // A pooled connection is only as good as what it was made with (reliability: pool key).
    let identity = tls.as_ref().map(|_| format!("{:?} {known_as:?}", upstream.tls));
    let manner = (
        upstream.protocol.value,
        upstream.source.as_ref().map(|source| source.value),
        upstream.proxy_protocol.as_ref().map(|version| version.value),
    );
    let pool_key =
        format!("{}|{}|{written}|{identity:?}|{manner:?}", upstream.name.value, server.name);
    Some(PlanServer {
        name: server.name.as_str().into(),
        address,
        authority: authority.into(),
        tls,
        tls_single,
        protocol: match upstream.protocol.value {
            // What speaks FastCGI is dialled by itself.
            UpstreamProtocol::H1 | UpstreamProtocol::FastCgi => Protocol::H1,
            UpstreamProtocol::H2 | UpstreamProtocol::H2c => Protocol::H2,
            UpstreamProtocol::H3 => Protocol::H3,
            UpstreamProtocol::Auto => Protocol::Auto,
        },
        weight: server.weight.value,
        in_flight_max: {
            let bounds = [&server.max_connections, &server.max_requests];
            bounds.into_iter().flatten().map(|bound| bound.value).min()
        },
        tier: server.tier.value,
        role: role(server.role),
        near: match (zone, &server.zone) {
            (Some(here), Some(there)) => here.value == there.value,
            _ => true,
        },
        admin: if server.drain { Admin::Drain } else { Admin::Ready },
        state: group.server(&format!("{}|{written}", server.name)),
        pool_key,
    })
}

/// Where a server is, its bare host, and its authority as a client of it would write it.
fn place(written: &ServerAddress, known_as: Option<&str>) -> (Address, String, String) {
    let default = if written.scheme == Scheme::Https { 443 } else { 80 };
    let authority = |host: &str, port: u16| {
        if port == default { host.to_owned() } else { format!("{host}:{port}") }
    };
    match &written.host {
        ServerHost::Ip { ip, port } => {
            let at = Address::Inet((*ip, *port).into());
            if let Some(name) = known_as {
                return (at, name.to_owned(), authority(name, *port));
            }
            let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            (at, ip.to_string(), authority(&host, *port))
        }
        ServerHost::Name { name, port } => {
            (Address::Name(name.as_str().into(), *port), name.clone(), authority(name, *port))
        }
        ServerHost::Unix(path) => {
            (Address::Unix(path.clone()), "localhost".to_owned(), "localhost".to_owned())
        }
    }
}

/// TLS towards an upstream's servers.
struct UpstreamClientTls {
    first: ClientTls,
    /// For upgrades, where `first` may settle on HTTP/2 as well.
    single: Option<ClientTls>,
}

fn client_tls(
    ground: &Ground,
    upstream: &Upstream,
    faults: &mut Faults,
) -> Option<UpstreamClientTls> {
    if !upstream.may_have(Scheme::Https) {
        return None;
    }
    let mut options = ClientTlsOptions::new(Arc::new(ground.clock));
    options.alpn = match upstream.protocol.value {
        UpstreamProtocol::H1 | UpstreamProtocol::FastCgi => vec![b"http/1.1".to_vec()],
        UpstreamProtocol::H2 | UpstreamProtocol::H2c => vec![b"h2".to_vec()],
        UpstreamProtocol::H3 => {
            // QUIC begins with TLS 1.3 (RFC 9001 section 4.2).
            options.minimum = MinimumVersion::Tls13;
            vec![b"h3".to_vec()]
        }
        UpstreamProtocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    options.name = upstream.tls.name.as_ref().map(|name| name.value.clone());
    if upstream.tls.verify.value == Verify::Off {
        options.verify = tls::Verify::Off;
    }
    if let Some(file) = &upstream.tls.ca {
        let path = file.value.as_path();
        // Judged before it is taken over: roots of which nothing can be made are none.
        let judged = ground.material("roots", &[path], faults, || judge(path, &options));
        match judged {
            Ok(roots) => options.roots = Roots::clone(&roots),
            Err(error) => {
                // An unreadable CA fails closed: the upstream is not used without it.
                faults.error(code::UPSTREAM_TLS, file.span, error.to_string());
                return None;
            }
        }
    }
    options.pins = upstream.tls.pins.iter().map(|pin| Pin(pin.value)).collect();
    if let (Some(cert), Some(key)) = (&upstream.tls.cert, &upstream.tls.key) {
        let paths = [cert.value.as_path(), key.value.as_path()];
        let loaded = ground
            .material("certificate", &paths, faults, || Certificate::load(&cert.value, &key.value));
        match loaded {
            Ok(identity) => {
                let warnings = identity.warnings(&[], ground.now());
                // Names are for servers: a certificate that is shown as a client's needs none.
                for warning in warnings.iter().filter(|w| **w != CertificateWarning::NoNames) {
                    faults.warning(code::CERTIFICATE_WARNING, cert.span, warning.to_string());
                }
                compile::warn_of_open_key(key, faults);
                options.identity = Some(identity);
            }
            Err(error) => {
                faults.error(code::UPSTREAM_TLS, cert.span, error.to_string());
                return None;
            }
        }
    }
    let single = (upstream.protocol.value == UpstreamProtocol::Auto)
        .then(|| ClientTlsOptions { alpn: vec![b"http/1.1".to_vec()], ..options.clone() });
    let made = ClientTls::new(options)
        .and_then(|first| Ok((first, single.map(ClientTls::new).transpose()?)));
    match made {
        Ok((first, single)) => Some(UpstreamClientTls { first, single }),
        Err(error) => {
            faults.error(code::UPSTREAM_TLS, upstream.span, error.to_string());
            None
        }
    }
}

fn judge(path: &Path, options: &ClientTlsOptions) -> Result<Roots, String> {
    let roots = Roots::load(path).map_err(|error| error.to_string())?;
    let tried = ClientTlsOptions { roots: roots.clone(), ..options.clone() };
    ClientTls::new(tried).map_err(|error| error.to_string())?;
    Ok(roots)
}
