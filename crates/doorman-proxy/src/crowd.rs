//! How many clients are in the house, over all cores.
//!
//! A connection is given an [`Admitted`] when it is accepted and is counted out when that is dropped,
//! however its task ends. What it was counted in as stays with it, so a reload between the two
//! cannot make the counts drift.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use doorman_http::{Holding, Wire};
use doorman_limit::Prefixes;

use crate::metrics::{ListenerCounters, wire_place};

/// Bounds on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrowdLimits {
    /// All of them.
    pub connections: u64,
    /// Those of one client, an IPv4 address or a /64 of IPv6; `None`: no bound of its own.
    pub per_client: Option<u32>,
}

/// What counts as one client: an IPv4 address, and of IPv6 a network of 64 bits, since whoever has one address of it
/// has all of them (RXC-09).
const CLIENT: Prefixes = Prefixes { v4: 32, v6: 64 };

/// Connections that are open now. One for the process; kept over reloads.
#[derive(Debug, Default)]
pub struct Crowd {
    open: AtomicU64,
    /// Only filled while a configuration bounds it. Locked when a connection comes and goes, never
    /// on the way of a request; holds at most one entry for each open connection.
    clients: Mutex<HashMap<IpAddr, u32>>,
}

impl Crowd {
    /// Lets a connection in, or not: then it has not been counted.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        limits: CrowdLimits,
    ) -> Option<Entry> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        // From here on a drop counts it out.
        let mut entry = Entry { crowd: Arc::clone(self), client: None };
        if before >= limits.connections {
            return None;
        }
        entry.name(client, limits).then_some(entry)
    }

    fn enter_client(&self, client: IpAddr, max: u32) -> bool {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let open = clients.entry(client).or_default();
        if *open >= max {
            if *open == 0 {
                clients.remove(&client);
            }
            return false;
        }
        *open += 1;
        true
    }
}

impl Entry {
    /// Counts a connection that was let in as nobody's in with those of its client, or not.
    pub(crate) fn name(&mut self, client: Option<IpAddr>, limits: CrowdLimits) -> bool {
        let (None, Some(client), Some(max)) = (self.client, client, limits.per_client) else {
            return true;
        };
        let client = CLIENT.network(client);
        let entered = self.crowd.enter_client(client, max);
        self.client = entered.then_some(client);
        entered
    }
}

/// One connection, counted.
#[derive(Debug)]
pub(crate) struct Entry {
    crowd: Arc<Crowd>,
    client: Option<IpAddr>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.crowd.open.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.crowd.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = clients.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Admitted {
    counters: Option<Arc<ListenerCounters>>,
    pub(crate) entry: Entry,
    /// What is held for it beside that.
    held: Holding,
    /// What it speaks, once that is known.
    wire: Option<Wire>,
    is_refused: bool,
}

impl Admitted {
    pub(crate) fn new(
        counters: Option<Arc<ListenerCounters>>,
        entry: Entry,
        held: Holding,
    ) -> Self {
        if let Some(counters) = &counters {
            counters.open[wire_place(None)].add(1);
        }
        Self { counters, entry, held, wire: None, is_refused: false }
    }

    /// Counts it among those that speak the same.
    pub(crate) fn settle(&mut self, wire: Wire) {
        if self.wire.is_some() {
            return;
        }
        self.wire = Some(wire);
        if let Some(counters) = &self.counters {
            counters.open[wire_place(None)].subtract(1);
            counters.open[wire_place(self.wire)].add(1);
            counters.accepted[wire_place(self.wire)].add(1);
        }
    }

    /// It is turned away after all.
    pub(crate) fn refuse(mut self) {
        self.is_refused = true;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        // Records that speak of the connection may outlive it.
        self.held.let_go();
        let Some(counters) = &self.counters else { return };
        let place = wire_place(self.wire);
        counters.open[place].subtract(1);
        if self.is_refused {
            counters.refused.add(1);
        } else if self.wire.is_none() {
            counters.accepted[place].add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_makes_room_and_nothing_is_left_behind() {
        let crowd = Arc::new(Crowd::default());
        let limits = CrowdLimits { connections: 3, per_client: Some(2) };
        let enter = |last: u8| crowd.enter(Some(IpAddr::from([192, 0, 2, last])), limits);
        let (first, second) = (enter(1).unwrap(), enter(1).unwrap());
        assert!(enter(1).is_none(), "two of one client");
        let third = enter(2).unwrap();
        assert!(enter(3).is_none(), "three in all");
        drop(first);
        assert!(enter(2).is_some() && enter(1).is_some());
        drop((second, third));
        assert_eq!(crowd.open.load(Ordering::Relaxed), 0);
        assert!(crowd.clients.lock().unwrap().is_empty());
        assert!(crowd.enter(None, CrowdLimits { connections: 0, per_client: None }).is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_rxc_09() {
        let crowd = Arc::new(Crowd::default());
        let limits = CrowdLimits { connections: 9, per_client: Some(1) };
        let enter = |address: &str| crowd.enter(Some(address.parse().unwrap()), limits);
        let held = enter("2001:db8:0:1::1").unwrap();
        assert!(enter("2001:db8:0:1:ffff::2").is_none(), "another address of the same network");
        assert!(enter("2001:db8:0:2::1").is_some(), "another network");
        drop(held);
        let held = enter("192.0.2.1").unwrap();
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same by a socket of IPv6");
        assert!(enter("192.0.2.2").is_some(), "its neighbour");
        drop(held);
        assert!(crowd.clients.lock().unwrap().is_empty());
    }

    #[test]
    fn each_connection_is_counted_once_by_what_it_speaks() {
        let crowd = Arc::new(Crowd::default());
        let counters = Arc::new(ListenerCounters::default());
        let admit = || {
            let limits = CrowdLimits { connections: 9, per_client: None };
            Admitted::new(
                Some(Arc::clone(&counters)),
                crowd.enter(None, limits).unwrap(),
                Holding::default(),
            )
        };
        let read = |of: &crate::metrics::ByWire| of.each_ref().map(crate::metrics::Counter::read);
        let (mut settled, lost, refused) = (admit(), admit(), admit());
        assert_eq!(read(&counters.open), [0, 0, 0, 0, 0, 3]);
        settled.settle(Wire::H2);
        settled.settle(Wire::H1);
        assert_eq!(read(&counters.open), [0, 0, 1, 0, 0, 2]);
        drop(lost);
        refused.refuse();
        drop(settled);
        assert_eq!(read(&counters.open), [0; 6]);
        assert_eq!(read(&counters.accepted), [0, 0, 1, 0, 0, 1]);
        assert_eq!(counters.refused.read(), 1);
    }

    #[test]
    fn a_limit_that_changes_lets_no_count_drift() {
        let crowd = Arc::new(Crowd::default());
        let client = Some(IpAddr::from([192, 0, 2, 1]));
        let with = |per_client| crowd.enter(client, CrowdLimits { connections: 9, per_client });
        let uncounted = with(None).unwrap();
        let counted = with(Some(1)).unwrap();
        drop(uncounted);
        assert!(with(Some(1)).is_none(), "the counted one is still there");
        drop(counted);
        assert!(with(Some(1)).is_some());
        assert!(with(Some(0)).is_none() && crowd.clients.lock().unwrap().is_empty());
    }
}
