//! Binding all sockets of a plan before anything changes.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use doorman_net::os::{Bound, ListenAddress};
use doorman_proxy::Plan;

use super::Sockets;

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
            (io::ErrorKind::PermissionDenied, ListenAddress::Inet(address))
                if address.port() < 1024 =>
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
    plan.listeners.iter().flat_map(|listener| listener.addresses.iter().cloned()).collect()
}

/// Binds every address once per core. All or nothing.
pub(super) fn bind(
    addresses: &BTreeSet<ListenAddress>,
    cores: usize,
    backlog: i32,
) -> Result<Vec<Sockets>, Vec<BindError>> {
    let mut sockets: Vec<Sockets> = (0..cores).map(|_| Vec::new()).collect();
    let mut errors = Vec::new();
    for address in addresses {
        match bind_one(address, cores, backlog) {
            Ok(bound) => {
                for (core, bound) in sockets.iter_mut().zip(bound) {
                    core.push((address.clone(), bound));
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
        ListenAddress::Inet(inet) => {
            // Sockets that share a port would also share it with another process of the same
            // user, and each would get a part of the connections: so the port must be free first.
            Bound::probe(*inet)?;
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
    let any_v6 = matches!(address, ListenAddress::Inet(inet) if inet.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    any_v6
        && (error.raw_os_error() == Some(EAFNOSUPPORT)
            || error.kind() == io::ErrorKind::AddrNotAvailable)
}
