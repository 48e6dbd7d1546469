//! Which addresses the cores still have sockets of.
//!
//! A core closes a listener in a turn of its own, a moment after it was told to. A reload that wants an address back
//! which the one before let go of waits for that moment; otherwise it would find it taken, by ourselves.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use doorman_net::os::ListenAddress;

/// How long a reload waits for the cores to close sockets. They do so in their next turn; only HTTP/3 keeps a socket
/// until its last connection has ended, for which nobody wants to wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Kept by whatever owns a core's socket, for as long as it does.
pub(super) type Hold = Sender<Infallible>;

/// The addresses that are or were bound.
#[derive(Default)]
pub(super) struct Holds(BTreeMap<ListenAddress, Receiver<Infallible>>);

impl Holds {
    /// Waits until no core has a socket of these any more, but not for long.
    pub(super) fn wait(&self, addresses: &BTreeSet<ListenAddress>) {
        let mut patience = PATIENCE;
        for held in addresses.iter().filter_map(|address| self.0.get(address)) {
            if held.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                patience = Duration::ZERO;
            }
        }
    }

    /// What is to be kept with each socket of this address.
    pub(super) fn hold(&mut self, address: &ListenAddress) -> Hold {
        let (hold, held) = channel();
        self.0.insert(address.clone(), held);
        hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_free_when_all_of_its_sockets_are_gone() {
        let address = ListenAddress::Inet(([127, 0, 0, 1], 80).into());
        let both =
            BTreeSet::from([address.clone(), ListenAddress::Udp(([127, 0, 0, 1], 80).into())]);
        let mut holds = Holds::default();
        holds.wait(&both);
        let first = holds.hold(&address);
        let second = first.clone();
        let core = std::thread::spawn(move || drop((first, second)));
        holds.wait(&both);
        assert_eq!(holds.0[&address].try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
        core.join().unwrap();
    }
}
