//! Counters of one core. Only that core writes them, by plain additions; a scrape reads them from
//! another thread, so the cells are atomics without read-modify-write.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_http::Version;

/// A number that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only by the thread that owns the counter: not a locked instruction.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts, for gauges.
    #[inline]
    pub fn subtract(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the duration buckets, microseconds: the advice of OpenTelemetry's HTTP
/// conventions.
pub const BUCKETS_MICROS: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Durations by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Count per bucket, not cumulated; the last is for what lies above all bounds.
    pub buckets: [Counter; BUCKETS_MICROS.len() + 1],
    /// Sum, microseconds.
    pub sum_micros: Counter,
}

impl Histogram {
    /// Counts a duration in.
    #[inline]
    pub fn add(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS_MICROS.iter().position(|&bound| micros <= bound);
        self.buckets[place.unwrap_or(BUCKETS_MICROS.len())].add(1);
        self.sum_micros.add(micros);
    }
}

/// Statuses with a series of their own. All others count together, under `code="_OTHER"`, so that
/// an origin cannot make series at will.
pub const STATUSES: [u16; 40] = [
    101, 200, 201, 202, 203, 204, 205, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403,
    404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 416, 417, 421, 422, 429, 431, 500, 501, 502,
    503, 504,
];

/// Requests by status.
#[derive(Debug)]
pub struct ByStatus(pub [Counter; STATUSES.len() + 1]);

impl Default for ByStatus {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl ByStatus {
    /// Counts one in.
    #[inline]
    pub fn add(&self, status: u16) {
        let place = STATUSES.binary_search(&status).unwrap_or(STATUSES.len());
        self.0[place].add(1);
    }
}

/// Counters of a route.
#[derive(Debug, Default)]
pub struct RouteCounters {
    /// Requests by protocol (1.0, 1.1, 2, 3) and status.
    pub requests: [ByStatus; 4],
    /// From head read to last byte written.
    pub duration: Histogram,
    /// From head read to the response's head.
    pub first_byte: Histogram,
    /// Content bytes received.
    pub bytes_in: Counter,
    /// Content bytes sent.
    pub bytes_out: Counter,
}

/// Which place of [`RouteCounters::requests`] a version has.
#[must_use]
pub const fn version_place(version: Version) -> usize {
    match version {
        Version::Http10 => 0,
        Version::Http11 => 1,
        Version::Http2 => 2,
        Version::Http3 => 3,
    }
}

/// Counters of a server.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Requests by status of the answer.
    pub requests: ByStatus,
    /// Tries without an answer.
    pub failures: Counter,
    /// Requests sent again on a fresh connection because a pooled one had died.
    pub retries_stale: Counter,
    /// Requests sent to another server because this one could not be connected to.
    pub retries_connect: Counter,
    /// From request sent to the response's head.
    pub duration: Histogram,
}

/// Counters of a listener.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Open connections.
    pub open: Counter,
    /// Connections accepted and served.
    pub accepted: Counter,
    /// Connections turned away by a limit.
    pub refused: Counter,
    /// Failed TLS handshakes.
    pub handshakes_failed: Counter,
    /// Connections closed for a protocol error or a flood.
    pub protocol_errors: Counter,
}

/// Name of a site and a route.
pub type RouteKey = (Box<str>, Box<str>);
/// Name of an upstream and a server.
pub type ServerKey = (Box<str>, Box<str>);

/// All counters of one core. Names are added when a plan comes in, never on the way of a request,
/// and stay over reloads.
#[derive(Debug, Default)]
pub struct CoreCounters {
    routes: Mutex<BTreeMap<RouteKey, Arc<RouteCounters>>>,
    servers: Mutex<BTreeMap<ServerKey, Arc<ServerCounters>>>,
    listeners: Mutex<BTreeMap<Box<str>, Arc<ListenerCounters>>>,
}

impl CoreCounters {
    /// The counters of a route, made at the first call.
    #[must_use]
    pub fn route(&self, site: &str, route: &str) -> Arc<RouteCounters> {
        entry(&self.routes, (site.into(), route.into()))
    }

    /// The counters of a server, made at the first call.
    #[must_use]
    pub fn server(&self, upstream: &str, server: &str) -> Arc<ServerCounters> {
        entry(&self.servers, (upstream.into(), server.into()))
    }

    /// The counters of a listener, made at the first call.
    #[must_use]
    pub fn listener(&self, name: &str) -> Arc<ListenerCounters> {
        entry(&self.listeners, name.into())
    }

    /// Every route's counters.
    #[must_use]
    pub fn routes(&self) -> Vec<(RouteKey, Arc<RouteCounters>)> {
        entries(&self.routes)
    }

    /// Every server's counters.
    #[must_use]
    pub fn servers(&self) -> Vec<(ServerKey, Arc<ServerCounters>)> {
        entries(&self.servers)
    }

    /// Every listener's counters.
    #[must_use]
    pub fn listeners(&self) -> Vec<(Box<str>, Arc<ListenerCounters>)> {
        entries(&self.listeners)
    }
}

fn entry<K: Ord, V: Default>(map: &Mutex<BTreeMap<K, Arc<V>>>, key: K) -> Arc<V> {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(key).or_default())
}

fn entries<K: Clone, V>(map: &Mutex<BTreeMap<K, Arc<V>>>) -> Vec<(K, Arc<V>)> {
    let map = map.lock().unwrap_or_else(PoisonError::into_inner);
    map.iter().map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sorted_for_the_search() {
        assert!(STATUSES.is_sorted());
        let by_status = ByStatus::default();
        by_status.add(404);
        by_status.add(299);
        let at = |status| STATUSES.binary_search(&status).unwrap();
        assert_eq!(by_status.0[at(404)].read(), 1);
        assert_eq!(by_status.0[STATUSES.len()].read(), 1);
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 5_000, 5_001, 10_000_001] {
            histogram.add(Duration::from_micros(micros));
        }
        let counts: Vec<u64> = histogram.buckets.iter().map(Counter::read).collect();
        assert_eq!((counts[0], counts[1], counts[14]), (2, 1, 1));
    }
}
