//! The key of a request: what methods and splits that look at requests make their choice by.
//!
//! Equal on all cores, after a restart and on every machine, since the hash has no secret.

use std::net::IpAddr;

use doorman_http::{KeyHash, Peer};
use doorman_transform::{Context, hash_key};

use crate::exchange::Exchange;
use crate::plan::{PlanKey, PlanUpstream};
use crate::stage::edit;

/// The key of a request; `None` if it has nothing of what the key is made of.
pub(crate) fn of(key: &PlanKey, exchange: &mut Exchange) -> Option<u64> {
    match key {
        PlanKey::ClientIp => exchange.client().map(client),
        PlanKey::Text(template) => {
            edit::with_facts(exchange, |head, facts| hash_key(template, &Context { head, facts }))
        }
    }
}

/// The key of a connection or a flow of datagrams, of which nothing but its client is known.
pub(crate) fn of_connection(upstream: &PlanUpstream, peer: &Peer) -> Option<u64> {
    match upstream.key {
        Some(PlanKey::ClientIp) => peer.ip().map(client),
        Some(PlanKey::Text(_)) | None => None,
    }
}

/// A client of IPv6 changes its address within its network of 64 bits (RFC 8981), and stays who it is.
pub(crate) fn client(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => KeyHash::of(4, &ip.octets()),
        IpAddr::V6(ip) => KeyHash::of(6, &ip.octets()[..8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_its_address_or_its_network() {
        let of = |text: &str| client(text.parse().unwrap());
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
