//! The metrics page. Each core counts for itself; a scrape adds the cores up.
//!
//! Labels come from the configuration or from a closed set, never from a request. A ceiling on
//! series holds all the same, since a configuration may have any number of sites: what comes
//! after it is counted under `_other`.

mod process;
mod text;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use doorman_proxy::metrics::{
    BUCKETS_MICROS, ByStatus, Histogram, ListenerCounters, RouteCounters, STATUSES, ServerCounters,
};

use crate::engine::Engine;
use text::{Kind, Page};

/// Series on one page; more make a scrape slow and a time-series database unhappy.
const SERIES_MAX: usize = 20_000;
/// Series of a histogram: buckets, `+Inf`, sum and count.
const HISTOGRAM_SERIES: usize = BUCKETS_MICROS.len() + 3;
/// What series beyond the ceiling are counted under.
const OTHER: &str = "_other";
/// Versions in the order of [`RouteCounters::requests`].
const VERSIONS: [&str; 4] = ["1.0", "1.1", "2", "3"];

/// Open client connections of all cores.
#[must_use]
pub(crate) fn open_connections(engine: &Engine) -> u64 {
    let listeners = engine.counters().flat_map(|core| core.listeners());
    gauge(listeners.fold(0u64, |sum, (_, counters)| sum.wrapping_add(counters.open.read())))
}

/// A gauge is read while it changes on other cores: a moment's shortfall is no huge number.
fn gauge(sum: u64) -> u64 {
    u64::try_from(sum.cast_signed().max(0)).unwrap_or_default()
}

/// Makes pages. It remembers which series it has shown, so that the ceiling never takes one away.
#[derive(Default)]
pub(crate) struct Exporter {
    ceiling: Ceiling,
}

impl Exporter {
    /// The page, in the text format 0.0.4 of Prometheus.
    pub(crate) fn export(&mut self, engine: &Engine) -> String {
        let mut page = Page::default();
        let state = engine.state();
        let history = engine.history();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.one("doorman_build_info", "The binary.", Kind::Gauge, &version, 1);
        let hash = [("hash", state.hash.as_str())];
        page.one("doorman_config_info", "The configuration in force.", Kind::Gauge, &hash, 1);
        page.one(
            "doorman_config_last_reload_success_timestamp_seconds",
            "When a configuration last came into force.",
            Kind::Gauge,
            &[],
            history.succeeded_at,
        );
        page.family("doorman_config_reloads_total", "Reloads.", Kind::Counter);
        page.sample("", &[("result", "failed")], history.failed);
        page.sample("", &[("result", "ok")], history.succeeded);
        connections(&mut page, engine);
        self.routes(&mut page, engine);
        self.servers(&mut page, engine);
        inflight(&mut page, engine);
        certificates(&mut page, engine);
        page.one(
            "doorman_access_log_dropped_total",
            "Lines of the access log that were lost.",
            Kind::Counter,
            &[],
            engine.access_log().dropped(),
        );
        page.one(
            "doorman_panics_total",
            "Faults of doorman's own that ended a task.",
            Kind::Counter,
            &[],
            crate::log::error::panics(),
        );
        page.one(
            "doorman_metrics_folded_total",
            "Sets of labels that are counted under _other, because there are too many.",
            Kind::Counter,
            &[],
            self.ceiling.folded.len() as u64,
        );
        let (started, _) = engine.times();
        process::write(&mut page, started);
        page.finish()
    }

    fn routes(&mut self, page: &mut Page, engine: &Engine) {
        let mut sums: BTreeMap<(Box<str>, Box<str>), RouteSum> = BTreeMap::new();
        for ((site, route), counters) in engine.counters().flat_map(|core| core.routes()) {
            // A route that was never asked for has nothing to tell.
            if counters.requests.iter().all(|by| by.0.iter().all(|count| count.read() == 0)) {
                continue;
            }
            let key = self.ceiling.pair("route", site, route, 2 * HISTOGRAM_SERIES + 2);
            sums.entry(key).or_default().add(&counters);
        }
        let help = "Requests by the status of their answer.";
        page.family("doorman_http_requests_total", help, Kind::Counter);
        for ((site, route), sum) in &sums {
            for (by_status, proto) in sum.requests.iter().zip(VERSIONS) {
                for (code, count) in self.codes(by_status, &["request", site, route, proto]) {
                    let labels =
                        [("site", &**site), ("route", route), ("code", &code), ("proto", proto)];
                    page.sample("", &labels, count);
                }
            }
        }
        histograms(page, &sums);
        let help = "Content bytes from clients.";
        page.family("doorman_http_request_bytes_total", help, Kind::Counter);
        for ((site, route), sum) in &sums {
            page.sample("", &[("site", site), ("route", route)], sum.bytes_in);
        }
        let help = "Content bytes to clients.";
        page.family("doorman_http_response_bytes_total", help, Kind::Counter);
        for ((site, route), sum) in &sums {
            page.sample("", &[("site", site), ("route", route)], sum.bytes_out);
        }
    }

    fn servers(&mut self, page: &mut Page, engine: &Engine) {
        let mut servers: BTreeMap<(Box<str>, Box<str>), (StatusSum, u64)> = BTreeMap::new();
        let mut upstreams: BTreeMap<Box<str>, UpstreamSum> = BTreeMap::new();
        for ((upstream, server), counters) in engine.counters().flat_map(|core| core.servers()) {
            let (upstream, server) = self.ceiling.pair("server", upstream, server, 1);
            let group = upstreams.entry(upstream.clone()).or_default();
            group.add(&counters);
            let sum = servers.entry((upstream, server)).or_default();
            sum.0.add(&counters.requests);
            sum.1 += counters.failures.read();
        }
        let help = "Answers of servers by status; code=\"_none\" counts tries without an answer.";
        page.family("doorman_upstream_requests_total", help, Kind::Counter);
        for ((upstream, server), (by_status, failures)) in &servers {
            let mut counts = self.codes(by_status, &["server", upstream, server, ""]);
            if *failures > 0 {
                counts.push(("_none".to_owned(), *failures));
            }
            for (code, count) in counts {
                let labels = [("upstream", &**upstream), ("server", server), ("code", &code)];
                page.sample("", &labels, count);
            }
        }
        let name = "doorman_upstream_duration_seconds";
        page.family(name, "From a request sent to the head of its answer.", Kind::Histogram);
        for (upstream, sum) in upstreams.iter().filter(|(_, sum)| sum.duration.count() > 0) {
            sum.duration.write(page, &[("upstream", upstream)]);
        }
        let help = "Requests that were sent again, by the reason.";
        page.family("doorman_upstream_retries_total", help, Kind::Counter);
        for (upstream, sum) in &upstreams {
            for (reason, count) in [("connect", sum.connect), ("stale", sum.stale)] {
                page.sample("", &[("upstream", upstream), ("reason", reason)], count);
            }
        }
    }

    /// The codes that were seen, as far as the ceiling has room for a series each.
    fn codes(&mut self, sum: &StatusSum, labels: &[&str]) -> Vec<(String, u64)> {
        let mut seen = Vec::new();
        let mut rest = sum.0[STATUSES.len()];
        for (status, &count) in STATUSES.iter().zip(&sum.0) {
            if count == 0 {
                continue;
            }
            let code = status.to_string();
            let mut key = labels.to_vec();
            key.push(&code);
            if self.ceiling.admits(&key, 1) {
                seen.push((code, count));
            } else {
                rest += count;
            }
        }
        if rest > 0 {
            seen.push(("_OTHER".to_owned(), rest));
        }
        seen
    }
}

/// Who came first stays: a series that was shown once is shown for ever, or its counter would
/// seem to start again.
#[derive(Default)]
struct Ceiling {
    series: usize,
    admitted: HashSet<u64>,
    folded: HashSet<u64>,
    hasher: RandomState,
}

impl Ceiling {
    fn admits(&mut self, labels: &[&str], series: usize) -> bool {
        let key = self.hasher.hash_one(labels);
        if self.admitted.contains(&key) {
            return true;
        }
        if self.folded.contains(&key) || self.series + series > SERIES_MAX {
            // The set is as bounded as what is admitted; beyond that the number is no use.
            if self.folded.len() < SERIES_MAX {
                self.folded.insert(key);
            }
            return false;
        }
        self.series += series;
        self.admitted.insert(key);
        true
    }

    fn pair(
        &mut self,
        what: &str,
        a: Box<str>,
        b: Box<str>,
        series: usize,
    ) -> (Box<str>, Box<str>) {
        if self.admits(&[what, &a, &b], series) { (a, b) } else { (OTHER.into(), OTHER.into()) }
    }
}

/// Counters by status, added up.
struct StatusSum([u64; STATUSES.len() + 1]);

impl Default for StatusSum {
    fn default() -> Self {
        Self([0; STATUSES.len() + 1])
    }
}

impl StatusSum {
    fn add(&mut self, counters: &ByStatus) {
        for (sum, counter) in self.0.iter_mut().zip(&counters.0) {
            *sum += counter.read();
        }
    }
}

/// A histogram, added up.
#[derive(Default)]
struct HistogramSum {
    buckets: [u64; BUCKETS_MICROS.len() + 1],
    sum_micros: u64,
}

impl HistogramSum {
    fn add(&mut self, histogram: &Histogram) {
        for (sum, counter) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += counter.read();
        }
        self.sum_micros += histogram.sum_micros.read();
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn write(&self, page: &mut Page, labels: &[(&str, &str)]) {
        let mut below = 0;
        for (count, bound) in self.buckets.iter().zip(BUCKETS_MICROS) {
            below += count;
            page.bucket(labels, &text::seconds(bound), below);
        }
        page.bucket(labels, "+Inf", self.count());
        page.text("_sum", labels, &text::seconds(self.sum_micros));
        page.sample("_count", labels, self.count());
    }
}

#[derive(Default)]
struct RouteSum {
    requests: [StatusSum; 4],
    duration: HistogramSum,
    first_byte: HistogramSum,
    bytes_in: u64,
    bytes_out: u64,
}

impl RouteSum {
    fn add(&mut self, counters: &RouteCounters) {
        for (sum, by_status) in self.requests.iter_mut().zip(&counters.requests) {
            sum.add(by_status);
        }
        self.duration.add(&counters.duration);
        self.first_byte.add(&counters.first_byte);
        self.bytes_in += counters.bytes_in.read();
        self.bytes_out += counters.bytes_out.read();
    }
}

#[derive(Default)]
struct UpstreamSum {
    duration: HistogramSum,
    stale: u64,
    connect: u64,
}

impl UpstreamSum {
    fn add(&mut self, counters: &ServerCounters) {
        self.duration.add(&counters.duration);
        self.stale += counters.retries_stale.read();
        self.connect += counters.retries_connect.read();
    }
}

fn histograms(page: &mut Page, sums: &BTreeMap<(Box<str>, Box<str>), RouteSum>) {
    let name = "doorman_http_request_duration_seconds";
    let help = "From a request's head to the last byte of its answer.";
    page.family(name, help, Kind::Histogram);
    for ((site, route), sum) in sums {
        sum.duration.write(page, &[("site", site), ("route", route)]);
    }
    let name = "doorman_http_response_first_byte_seconds";
    let help = "From a request's head to the head of the origin's answer.";
    page.family(name, help, Kind::Histogram);
    for ((site, route), sum) in sums.iter().filter(|(_, sum)| sum.first_byte.count() > 0) {
        sum.first_byte.write(page, &[("site", site), ("route", route)]);
    }
}

fn connections(page: &mut Page, engine: &Engine) {
    let mut sums: BTreeMap<Box<str>, [u64; 5]> = BTreeMap::new();
    for (name, counters) in engine.counters().flat_map(|core| core.listeners()) {
        let ListenerCounters { open, accepted, refused, handshakes_failed, protocol_errors } =
            &*counters;
        let counts = [open, accepted, refused, handshakes_failed, protocol_errors];
        for (sum, counter) in sums.entry(name).or_default().iter_mut().zip(counts) {
            *sum = sum.wrapping_add(counter.read());
        }
    }
    let name = "doorman_connections_open";
    page.family(name, "Client connections that are open.", Kind::Gauge);
    for (listener, [open, ..]) in &sums {
        page.sample("", &[("listener", listener)], gauge(*open));
    }
    let help = "Client connections that came, by whether a limit turned them away.";
    page.family("doorman_connections_total", help, Kind::Counter);
    for (listener, [_, accepted, refused, ..]) in &sums {
        page.sample("", &[("listener", listener), ("result", "accepted")], *accepted);
        page.sample("", &[("listener", listener), ("result", "refused")], *refused);
    }
    let help = "Accepted connections that ended by a failed handshake or a protocol error.";
    page.family("doorman_connections_failed_total", help, Kind::Counter);
    for (listener, [.., handshakes, protocol]) in &sums {
        page.sample("", &[("listener", listener), ("reason", "handshake")], *handshakes);
        page.sample("", &[("listener", listener), ("reason", "protocol")], *protocol);
    }
}

fn inflight(page: &mut Page, engine: &Engine) {
    let name = "doorman_upstream_inflight";
    page.family(name, "Requests that a server works on.", Kind::Gauge);
    let plan = engine.plan();
    // As many as the ceiling has room for: a gauge under _other would tell nothing.
    let servers = plan
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.servers.iter().map(move |server| (&*upstream.name, server)));
    for (upstream, server) in servers.take(SERIES_MAX) {
        let labels = [("upstream", upstream), ("server", &*server.name)];
        page.sample("", &labels, u64::from(server.state.in_flight()));
    }
}

fn certificates(page: &mut Page, engine: &Engine) {
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for tls in engine.plan().listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        for (name, end) in tls.certificates().expiries() {
            let known = ends.entry(name.to_owned()).or_insert(end);
            *known = (*known).min(end);
        }
    }
    let name = "doorman_tls_certificate_expiry_timestamp_seconds";
    page.family(name, "When the certificate of a name ends.", Kind::Gauge);
    for (name, end) in ends.iter().take(SERIES_MAX) {
        page.sample("", &[("name", name)], *end);
    }
}

#[cfg(test)]
mod tests;
