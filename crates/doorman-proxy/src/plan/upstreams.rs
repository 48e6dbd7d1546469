//! Upstreams of the plan.

use std::sync::Arc;

use doorman_balance::Method;
use doorman_config::{
    Balance, Config, RouteTimeouts, Scheme, Server, ServerAddress, ServerHost, Upstream, Verify,
};
use doorman_net::Address;
use doorman_net::dial::{DialTimeouts, DialTls, PoolLimits};
use doorman_net::tls::{self, ClientTls, ClientTlsOptions, Roots};

use super::compile::{Faults, code};
use super::{Ground, PlanServer, PlanUpstream, RouteTimes};

pub(super) fn compile(config: &Config, ground: &Ground, faults: &mut Faults) -> Vec<PlanUpstream> {
    config.upstreams.iter().map(|upstream| one(config, ground, upstream, faults)).collect()
}

fn one(config: &Config, ground: &Ground, upstream: &Upstream, faults: &mut Faults) -> PlanUpstream {
    let times = &config.global.timeouts;
    let tls = client_tls(ground, upstream, faults);
    let servers = upstream
        .servers
        .iter()
        .filter_map(|server| self::server(ground, upstream, server, tls.as_ref(), faults))
        .collect();
    let pool = &upstream.pool;
    PlanUpstream {
        name: upstream.name.value.as_str().into(),
        servers,
        method: match upstream.balance.value {
            Balance::RoundRobin => Method::RoundRobin,
            Balance::LeastRequests => Method::LeastRequests,
        },
        pool: PoolLimits {
            idle: pool.idle.value as usize,
            idle_timeout: pool.idle_timeout.value,
            max_age: pool.max_age.value,
            max_requests: pool.max_requests.as_ref().map_or(u64::MAX, |n| u64::from(n.value)),
        },
        times: route_times(&upstream.timeouts),
        defaults: DialTimeouts {
            connect: times.connect.value,
            response: times.response_head.value,
            idle: times.response_idle.value,
            tunnel_idle: times.tunnel_idle.value,
        },
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

fn server(
    ground: &Ground,
    upstream: &Upstream,
    server: &Server,
    tls: Option<&ClientTls>,
    faults: &mut Faults,
) -> Option<PlanServer> {
    let written = &server.address.value;
    let (address, host, authority) = place(written);
    let tls = match (written.scheme, tls) {
        (Scheme::Http, _) => None,
        // The fault with the upstream's TLS has been told.
        (Scheme::Https, None) => return None,
        (Scheme::Https, Some(tls)) => match tls.server_name(&host) {
            Ok(name) => Some(DialTls { config: tls.config().clone(), name }),
            Err(error) => {
                faults.error(code::UPSTREAM_TLS, server.address.span, error.to_string());
                return None;
            }
        },
    };
    // A pooled connection is only as good as what it was made with (reliability: pool key).
    let identity = tls.as_ref().map(|_| format!("{:?}", upstream.tls));
    let pool_key = format!("{}|{}|{written}|{identity:?}", upstream.name.value, server.name);
    Some(PlanServer {
        name: server.name.as_str().into(),
        address,
        authority: authority.into(),
        tls,
        weight: server.weight.value,
        max_connections: server.max_connections.as_ref().map(|n| n.value),
        state: ground.server(&format!("{}|{}|{written}", upstream.name.value, server.name)),
        pool_key,
    })
}

/// Where a server is, its bare host, and its authority as a client of it would write it.
fn place(written: &ServerAddress) -> (Address, String, String) {
    let default = if written.scheme == Scheme::Https { 443 } else { 80 };
    let authority = |host: &str, port: u16| {
        if port == default { host.to_owned() } else { format!("{host}:{port}") }
    };
    match &written.host {
        ServerHost::Ip { ip, port } => {
            let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            let authority = authority(&host, *port);
            (Address::Inet((*ip, *port).into()), ip.to_string(), authority)
        }
        ServerHost::Name { name, port } => {
            (Address::Name(name.as_str().into(), *port), name.clone(), authority(name, *port))
        }
        ServerHost::Unix(path) => {
            (Address::Unix(path.clone()), "localhost".to_owned(), "localhost".to_owned())
        }
    }
}

fn client_tls(ground: &Ground, upstream: &Upstream, faults: &mut Faults) -> Option<ClientTls> {
    if upstream.servers.iter().all(|server| server.address.value.scheme == Scheme::Http) {
        return None;
    }
    let mut options = ClientTlsOptions::new(Arc::new(ground.clock));
    options.alpn = vec![b"http/1.1".to_vec()];
    options.name = upstream.tls.name.as_ref().map(|name| name.value.clone());
    if upstream.tls.verify.value == Verify::Off {
        options.verify = tls::Verify::Off;
    }
    if let Some(file) = &upstream.tls.ca {
        match Roots::load(&file.value) {
            Ok(roots) => options.roots = roots,
            Err(error) => {
                // An unreadable CA fails closed: the upstream is not used without it.
                faults.error(code::UPSTREAM_TLS, file.span, error.to_string());
                return None;
            }
        }
    }
    match ClientTls::new(options) {
        Ok(tls) => Some(tls),
        Err(error) => {
            faults.error(code::UPSTREAM_TLS, upstream.span, error.to_string());
            None
        }
    }
}
