//! Binding all sockets of a plan before anything changes.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use doorman_net::os::{Bound, ListenAddress};
use doorman_net::serve::{Lanes, Quic};
use doorman_proxy::Plan;

use super::holds::Holds;
use super::{Socket, Sockets};
use crate::harden;

/// A socket that cannot be bound.
#[derive(Debug)]
pub(crate) struct BindError {
    /// Where.
    pub address: ListenAddress,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.error)?;
        match (self.error.kind(), &self.address) {
            (io::ErrorKind::AddrInUse, ListenAddress::Inet(address)) => {
                write!(f, "\n  help: see who has it: ss -ltnp 'sport = :{}'", address.port())
            }
            (io::ErrorKind::AddrInUse, ListenAddress::Udp(address)) => {
                let port = address.port();
                write!(
                    f,
                    "\n  help: this is HTTP/3's socket; see who has it: ss -lunp 'sport = :{port}', \
                 or do without: listen :{port} {{ protocols h2 h1 }}"
                )
            }
            (io::ErrorKind::Other, ListenAddress::Udp(_)) => {
                write!(f, "\n  help: take one of them away, reload, then add the other; or restart")
            }
            (io::ErrorKind::PermissionDenied, address)
                if address.port().is_some_and(|port| port < 1024) && harden::told().is_some() =>
            {
                write!(
                    f,
                    "\n  help: a running doorman has this right only if it started with such a port: restart it"
                )
            }
            (io::ErrorKind::PermissionDenied, address)
                if address.port().is_some_and(|port| port < 1024) =>
            {
                write!(
                    f,
                    "\n  help: ports below 1024 need a right: setcap cap_net_bind_service=+ep $(command -v doorman), \
                 or AmbientCapabilities=CAP_NET_BIND_SERVICE in the service unit"
                )
            }
            _ => Ok(()),
        }
    }
}

/// Every address that a plan listens on.
pub(super) fn wanted(plan: &Plan) -> BTreeSet<ListenAddress> {
    let listeners = plan.listeners.iter().flat_map(|listener| listener.addresses.iter().cloned());
    listeners.chain(plan.relays.iter().flat_map(|relay| relay.addresses.iter().cloned())).collect()
}

/// Sockets of datagrams that would change between HTTP/3 and a relay. What owns one lives as long as
/// its last connection, so it cannot be handed over; and bound beside it, the two would take each
/// other's datagrams.
pub(super) fn handed_over(before: &Plan, after: &Plan) -> Vec<BindError> {
    let of_relays = |plan: &Plan| -> BTreeSet<ListenAddress> {
        let all = plan.relays.iter().flat_map(|relay| relay.addresses.iter().cloned());
        all.filter(|address| matches!(address, ListenAddress::Udp(_))).collect()
    };
    let of_sites = |plan: &Plan| -> BTreeSet<ListenAddress> {
        plan.listeners.iter().flat_map(|listener| listener.addresses.iter().cloned()).collect()
    };
    let moved = &(&of_relays(before) & &of_sites(after)) | &(&of_sites(before) & &of_relays(after));
    let error = || io::Error::other("HTTP/3 and a relay cannot follow each other on a socket");
    moved.into_iter().map(|address| BindError { address, error: error() }).collect()
}

/// Binds every address once per core. All or nothing.
pub(super) fn bind(
    addresses: &BTreeSet<ListenAddress>,
    cores: usize,
    backlog: i32,
    quic: &Arc<Quic>,
    holds: &mut Holds,
) -> Result<Vec<Sockets>, Vec<BindError>> {
    holds.wait(addresses);
    let mut sockets: Vec<Sockets> = (0..cores).map(|_| Vec::new()).collect();
    let mut errors = Vec::new();
    for address in addresses {
        match bind_one(address, cores, backlog) {
            Ok(bound) => {
                let lanes = matches!(address, ListenAddress::Udp(_))
                    .then(|| Lanes::new(Arc::clone(quic), cores));
                let hold = holds.hold(address);
                for (index, (core, bound)) in sockets.iter_mut().zip(bound).enumerate() {
                    let lane = lanes.as_ref().map(|lanes| lanes.lane(index));
                    let hold = hold.clone();
                    core.push(Socket { address: address.clone(), bound, lane, hold });
                }
            }
            Err(error) if is_missing_ipv6(address, &error) => {}
            Err(error) => errors.push(BindError { address: address.clone(), error }),
        }
    }
    if errors.is_empty() { Ok(sockets) } else { Err(errors) }
}

fn bind_one(address: &ListenAddress, cores: usize, backlog: i32) -> io::Result<Vec<Bound>> {
    match address {
        ListenAddress::Inet(_) | ListenAddress::Udp(_) => {
            // Sockets that share a port would also share it with another process of the same
            // user, and each would get a part of the connections: so the port must be free first.
            Bound::probe(address)?;
            (0..cores).map(|_| Bound::listen(address, backlog)).collect()
        }
        ListenAddress::Unix(_) => {
            let first = Bound::listen(address, backlog)?;
            let mut bound = (1..cores).map(|_| first.share()).collect::<io::Result<Vec<_>>>()?;
            bound.push(first);
            Ok(bound)
        }
    }
}

/// "Every address" means both families; a machine without IPv6 has only one.
fn is_missing_ipv6(address: &ListenAddress, error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    let any_v6 = match address {
        ListenAddress::Inet(inet) | ListenAddress::Udp(inet) => {
            inet.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        }
        ListenAddress::Unix(_) => false,
    };
    any_v6
        && (error.raw_os_error() == Some(EAFNOSUPPORT)
            || error.kind() == io::ErrorKind::AddrNotAvailable)
}
