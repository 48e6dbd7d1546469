//! Ports for processes that are about to be started.
//!
//! A port that the system gave out and took back may be somebody else's before its process binds it,
//! and doorman shares ports, so that nobody would notice. Ports are therefore taken from below the
//! range that systems give out, and none is given twice.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where ports begin, and how many there are: up to the first that Linux gives out by itself.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of the loopback that nobody has for TCP or UDP, and that this process has not given out
/// before.
///
/// # Panics
/// If every port is taken.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "it looks whether the system has the port")]
pub fn free() -> u16 {
    // Processes that run at once begin at places of their own.
    let own = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = FIRST + own.wrapping_add(step) % COUNT;
        let Ok(port) = u16::try_from(place) else { continue };
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_comes_twice() {
        let ports: HashSet<u16> = (0..100).map(|_| super::free()).collect();
        assert_eq!(ports.len(), 100);
    }
}
