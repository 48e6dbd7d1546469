//! Counters of one core. Only that core writes them, by plain additions; a scrape reads them from
//! another thread, so the cells are atomics without read-modify-write.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use doorman_http::coding::Coding;
use doorman_http::desync::Anomaly;
use doorman_http::{Version, WIRES, Wire};

use crate::again::Again;
use crate::form::Tally;

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

    /// Puts another number in its place, for gauges.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
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
    /// Counts a duration in, microseconds.
    #[inline]
    pub fn add(&self, micros: u64) {
        let place = BUCKETS_MICROS.iter().position(|&bound| micros <= bound);
        self.buckets[place.unwrap_or(BUCKETS_MICROS.len())].add(1);
        self.sum_micros.add(micros);
    }
}

/// Statuses with a series of their own. All others count together, under `code="_OTHER"`, so that
/// an origin cannot make series at will.
pub const STATUSES: [u16; 41] = [
    101, 200, 201, 202, 203, 204, 205, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403,
    404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 416, 417, 421, 422, 425, 429, 431, 500, 501,
    502, 503, 504,
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
    /// Requests that came in early data and went on before the handshake had ended.
    pub early: Counter,
    /// Early hints that were sent.
    pub hinted: Counter,
    /// Copies to another upstream, in the order of [`Mirrored::ALL`].
    pub mirrored: [Counter; Mirrored::ALL.len()],
    /// Questions to another server about requests, in the order of [`Asked::ALL`].
    pub asked: [Counter; Asked::ALL.len()],
    /// How long those took, microseconds.
    pub asked_micros: Counter,
    /// Content bytes received.
    pub bytes_in: Counter,
    /// Content bytes sent.
    pub bytes_out: Counter,
}

/// What another server said of a request that it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It may pass.
    Passed,
    /// It may not.
    Refused,
    /// Nothing, or what means nothing.
    Failed,
}

impl Asked {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 3] = [Self::Passed, Self::Refused, Self::Failed];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What became of a copy of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// It was answered.
    Answered,
    /// It was sent, or tried to, and nobody answered in time.
    Failed,
    /// Too many were under way.
    Full,
    /// Its body was too large to be kept.
    TooLarge,
    /// The request ended before its body was whole.
    Cut,
}

impl Mirrored {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 5] =
        [Self::Answered, Self::Failed, Self::Full, Self::TooLarge, Self::Cut];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Full => "full",
            Self::TooLarge => "too-large",
            Self::Cut => "cut",
        }
    }
}

impl RouteCounters {
    /// Counts a question in, and the time it took, microseconds.
    pub(crate) fn asked(&self, what: Asked, micros: u64) {
        self.asked[what as usize].add(1);
        self.asked_micros.add(micros);
    }

    /// Counts a copy in.
    pub(crate) fn mirrored(&self, what: Mirrored) {
        self.mirrored[what as usize].add(1);
    }
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
    /// Requests sent again because the server refused them before it processed them.
    pub retries_refused: Counter,
    /// Requests sent to another server because this one could not be connected to.
    pub retries_connect: Counter,
    /// Requests of clients that are kept on their servers, in the order of
    /// [`Sticky::ALL`](crate::Sticky::ALL).
    pub sticky: [Counter; crate::Sticky::ALL.len()],
    /// Requests sent again because of how this server took them, in the order of [`Again::WORDS`].
    pub retries: [Counter; Again::COUNT],
    /// From request sent to the response's head.
    pub duration: Histogram,
}

/// Counts by the wire that a connection speaks, in the order of [`WIRES`]; the last is for those
/// of which it is not known, because their handshake or their first bytes have not come.
pub type ByWire = [Counter; WIRES.len() + 1];

/// Which place of [`ByWire`] a connection has.
#[must_use]
pub const fn wire_place(wire: Option<Wire>) -> usize {
    match wire {
        Some(wire) => wire.place(),
        None => WIRES.len(),
    }
}

/// Counters of a listener.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Open connections.
    pub open: ByWire,
    /// Connections that were let in. Counted once it is known what they speak, or when they end
    /// before that.
    pub accepted: ByWire,
    /// Connections turned away by a limit.
    pub refused: Counter,
    /// Failed TLS handshakes.
    pub handshakes_failed: Counter,
    /// Handshakes that failed for the client's certificate.
    pub clients_refused: Counter,
    /// Connections closed for a protocol error or a flood.
    pub protocol_errors: Counter,
    /// Connections without a good header of the PROXY protocol where one was due.
    pub prefaces_failed: Counter,
}

/// Counters of a relay.
#[derive(Debug, Default)]
pub struct RelayCounters {
    /// Open connections, or clients that send datagrams.
    pub open: Counter,
    /// Those that are over, by the word of how they ended, in the order of
    /// [`RelayEnd::ALL`](crate::RelayEnd::ALL).
    pub ended: [Counter; crate::RelayEnd::ALL.len()],
    /// Bytes from clients, of connections that are over.
    pub bytes_in: Counter,
    /// Bytes to clients, of connections that are over.
    pub bytes_out: Counter,
}

/// Counters of what a store had to do with requests.
#[derive(Debug, Default)]
pub struct CacheCounters {
    /// Requests by what the cache had to do with them, in the order of
    /// [`Cached::ALL`](crate::Cached::ALL).
    pub requests: [Counter; crate::Cached::ALL.len()],
    /// Content bytes that came from the store and not from an origin.
    pub bytes: Counter,
    /// Refreshes in the background that were begun.
    pub refreshes: Counter,
}

/// Counters of what was done to bodies by one coding in one direction.
#[derive(Debug, Default)]
pub struct CodingCounters {
    /// Bodies, on their way to clients or made for a store.
    pub bodies: Counter,
    /// Bytes that were taken in.
    pub bytes_in: Counter,
    /// Bytes that came out.
    pub bytes_out: Counter,
    /// Time of this core that it took, nanoseconds.
    pub nanos: Counter,
}

/// Counters of all codings: by direction in the order of [`Direction::ALL`](crate::Direction::ALL),
/// then by coding in the order of [`Coding::ALL`].
pub type CodingTable = [[CodingCounters; Coding::ALL.len()]; crate::Direction::ALL.len()];

/// How late a core is, and what it refused for that.
#[derive(Debug, Default)]
pub struct OverloadCounters {
    /// How much is refused: 0, nothing, to 1,000, nearly everything.
    pub level: Counter,
    /// How late it was when it looked last, microseconds.
    pub late_micros: Counter,
    /// Requests that were refused because it is late, by priority: low, normal, high.
    pub refused: [Counter; 3],
    /// Requests that were refused because memory is scarce.
    pub refused_memory: Counter,
    /// Connections that were turned away because no descriptor was left for them.
    pub unplaced: Counter,
    /// Requests that were not sent on because no descriptor was left for it.
    pub unsent: Counter,
}

/// Counters of what rules made of the requests of a site.
#[derive(Debug, Default)]
pub struct WafCounters {
    /// Requests, in the order of [`WafAction::ALL`](crate::WafAction::ALL).
    pub decisions: [Counter; crate::WafAction::ALL.len()],
    /// Time of this core that it took, nanoseconds.
    pub nanos: Counter,
}

/// Rules of which a core counts matches. The largest set has a few hundred that can match; what comes
/// after that many is counted together.
const RULES_COUNTED: usize = 1_024;

/// Matches of rules, and those of rules that came when there was no more room.
#[derive(Debug, Default)]
struct RuleHits {
    by_rule: BTreeMap<u32, u64>,
    others: u64,
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
    relays: Mutex<BTreeMap<Box<str>, Arc<RelayCounters>>>,
    caches: Mutex<BTreeMap<Box<str>, Arc<CacheCounters>>>,
    codings: CodingTable,
    wafs: Mutex<BTreeMap<Box<str>, Arc<WafCounters>>>,
    rule_hits: Mutex<RuleHits>,
    overload: Arc<OverloadCounters>,
    anomalies: Anomalies,
}

/// Requests by how two readers could understand them in different ways.
#[derive(Debug)]
struct Anomalies([Counter; Anomaly::ALL.len()]);

impl Default for Anomalies {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl CoreCounters {
    /// How late the core is, and what it refused for that.
    #[must_use]
    pub const fn overload(&self) -> &Arc<OverloadCounters> {
        &self.overload
    }

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

    /// Forgets the counters of servers that are gone: those that are discovered could be without end.
    pub(crate) fn forget_servers(&self, is_gone: impl Fn(&str, &str) -> bool) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|(upstream, server), _| !is_gone(upstream, server));
    }

    /// The counters of a listener, made at the first call.
    #[must_use]
    pub fn listener(&self, name: &str) -> Arc<ListenerCounters> {
        entry(&self.listeners, name.into())
    }

    /// The counters of a relay, made at the first call.
    #[must_use]
    pub fn relay(&self, name: &str) -> Arc<RelayCounters> {
        entry(&self.relays, name.into())
    }

    /// The counters of a store, made at the first call.
    #[must_use]
    pub fn cache(&self, store: &str) -> Arc<CacheCounters> {
        entry(&self.caches, store.into())
    }

    /// Every store's counters.
    #[must_use]
    pub fn caches(&self) -> Vec<(Box<str>, Arc<CacheCounters>)> {
        entries(&self.caches)
    }

    /// The counters of what rules made of requests of a site, made at the first call.
    #[must_use]
    pub fn waf(&self, site: &str) -> Arc<WafCounters> {
        entry(&self.wafs, site.into())
    }

    /// Every site's counters of that kind.
    #[must_use]
    pub fn wafs(&self) -> Vec<(Box<str>, Arc<WafCounters>)> {
        entries(&self.wafs)
    }

    /// Counts rules in that matched. Most requests match none.
    pub(crate) fn rules_matched(&self, rules: &[u32]) {
        if rules.is_empty() {
            return;
        }
        let mut hits = self.rule_hits.lock().unwrap_or_else(PoisonError::into_inner);
        for &rule in rules {
            if hits.by_rule.len() < RULES_COUNTED || hits.by_rule.contains_key(&rule) {
                *hits.by_rule.entry(rule).or_default() += 1;
            } else {
                hits.others += 1;
            }
        }
    }

    pub(crate) fn anomaly(&self, anomaly: Anomaly) {
        self.anomalies.0[anomaly as usize].add(1);
    }

    /// Requests by how two readers could understand them in different ways, in the order of [`Anomaly::ALL`].
    #[must_use]
    pub const fn anomalies(&self) -> &[Counter; Anomaly::ALL.len()] {
        &self.anomalies.0
    }

    /// Requests that each rule matched, and those that other rules did.
    #[must_use]
    pub fn rule_matches(&self) -> (BTreeMap<u32, u64>, u64) {
        let hits = self.rule_hits.lock().unwrap_or_else(PoisonError::into_inner);
        (hits.by_rule.clone(), hits.others)
    }

    /// What coding bodies took.
    #[must_use]
    pub const fn codings(&self) -> &CodingTable {
        &self.codings
    }

    /// Counts a body in that was coded, or of which a coding was taken off.
    pub(crate) fn coded(&self, tally: &Tally) {
        let counters = &self.codings[tally.direction as usize][tally.coding as usize];
        counters.bodies.add(1);
        counters.bytes_in.add(tally.bytes_in());
        counters.bytes_out.add(tally.bytes_out());
        counters.nanos.add(tally.nanos());
    }

    /// Every relay's counters.
    #[must_use]
    pub fn relays(&self) -> Vec<(Box<str>, Arc<RelayCounters>)> {
        entries(&self.relays)
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
    fn every_wire_has_a_place_of_its_own() {
        let places: Vec<_> = WIRES.into_iter().map(|wire| wire_place(Some(wire))).collect();
        assert_eq!(places, [0, 1, 2, 3, 4]);
        assert_eq!(wire_place(None), 5);
    }

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
            histogram.add(micros);
        }
        let counts: Vec<u64> = histogram.buckets.iter().map(Counter::read).collect();
        assert_eq!((counts[0], counts[1], counts[14]), (2, 1, 1));
    }
}
