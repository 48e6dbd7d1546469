//! The metrics page. Each core counts for itself; a scrape adds the cores up.
//!
//! Labels come from the configuration or from a closed set, never from a request. A ceiling on
//! series holds all the same, since a configuration may have any number of sites: what comes
//! after it is counted under `_other`.

mod cache;
mod coding;
mod guard;
mod managed;
mod optimize;
mod overload;
mod process;
mod resilience;
mod sign_in;
mod text;
mod waf;

pub(crate) use process::resident_bytes;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use doorman_control::ocsp::{StapleReport, StapleState};
use doorman_http::WIRES;
use doorman_http::desync::Anomaly;
use doorman_proxy::metrics::{
    Asked, BUCKETS_MICROS, ByStatus, Histogram, ListenerCounters, Mirrored, RouteCounters,
    STATUSES, ServerCounters,
};
use doorman_proxy::{Again, RelayEnd, Sticky};

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
    let open = |counters: &ListenerCounters| {
        counters.open.iter().fold(0u64, |sum, counter| sum.wrapping_add(counter.read()))
    };
    gauge(listeners.fold(0u64, |sum, (_, counters)| sum.wrapping_add(open(&counters))))
}

/// Open connections of a relay, of all cores.
#[must_use]
pub(crate) fn relay_connections(engine: &Engine, name: &str) -> u64 {
    let relays = engine.counters().flat_map(|core| core.relays());
    let own = relays.filter(|(relay, _)| **relay == *name);
    gauge(own.fold(0u64, |sum, (_, counters)| sum.wrapping_add(counters.open.read())))
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
        relays(&mut page, engine);
        self.routes(&mut page, engine);
        self.servers(&mut page, engine);
        servers_now(&mut page, engine);
        resilience::write(&mut page, engine);
        cache::write(&mut page, engine);
        coding::write(&mut page, engine);
        optimize::write(&mut page, engine);
        waf::write(&mut page, engine);
        guard::write(&mut page, engine);
        sign_in::write(&mut page, engine);
        overload::write(&mut page, engine);
        managed::overrides(&mut page, engine);
        managed::discovery(&mut page, engine);
        handshakes(&mut page, engine);
        quic(&mut page, engine);
        certificates(&mut page, engine);
        orders(&mut page, engine);
        staples(&mut page, engine);
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
        let help = "Requests in early data that were handled before the handshake had ended.";
        page.family("doorman_http_early_requests_total", help, Kind::Counter);
        for ((site, route), sum) in sums.iter().filter(|(_, sum)| sum.early > 0) {
            page.sample("", &[("site", site), ("route", route)], sum.early);
        }
        let help = "Answers ahead of which clients were told what earlier ones linked.";
        page.family("doorman_early_hints_total", help, Kind::Counter);
        for ((site, route), sum) in sums.iter().filter(|(_, sum)| sum.hinted > 0) {
            page.sample("", &[("site", site), ("route", route)], sum.hinted);
        }
        let help = "Copies of requests to another upstream, by what became of them.";
        page.family("doorman_mirror_requests_total", help, Kind::Counter);
        for ((site, route), sum) in
            sums.iter().filter(|(_, sum)| sum.mirrored.iter().any(|count| *count > 0))
        {
            for (result, count) in Mirrored::ALL.iter().zip(&sum.mirrored) {
                let result = ("result", result.as_str());
                page.sample("", &[("site", site), ("route", route), result], *count);
            }
        }
        asked(page, &sums);
        anomalies(page, engine);
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
        let mut sticky: BTreeMap<(Box<str>, Box<str>), [u64; Sticky::ALL.len()]> = BTreeMap::new();
        let mut upstreams: BTreeMap<Box<str>, UpstreamSum> = BTreeMap::new();
        for ((upstream, server), counters) in engine.counters().flat_map(|core| core.servers()) {
            let (upstream, server) = self.ceiling.pair("server", upstream, server, 1);
            let group = upstreams.entry(upstream.clone()).or_default();
            group.add(&counters);
            if counters.sticky.iter().any(|counter| counter.read() > 0) {
                let sums = sticky.entry((upstream.clone(), server.clone())).or_default();
                sums.iter_mut().zip(&counters.sticky).for_each(|(sum, one)| *sum += one.read());
            }
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
            for (reason, count) in Again::WORDS.iter().zip(sum.retries) {
                page.sample("", &[("upstream", upstream), ("reason", reason)], count);
            }
        }
        let help = "Requests of clients that are kept on their servers, by what became of that.";
        page.family("doorman_upstream_sticky_total", help, Kind::Counter);
        for ((upstream, server), counts) in &sticky {
            for (outcome, count) in Sticky::ALL.iter().zip(counts) {
                let outcome = ("outcome", outcome.as_str());
                page.sample("", &[("upstream", upstream), ("server", server), outcome], *count);
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
    early: u64,
    hinted: u64,
    mirrored: [u64; Mirrored::ALL.len()],
    asked: [u64; Asked::ALL.len()],
    asked_micros: u64,
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
        self.early += counters.early.read();
        self.hinted += counters.hinted.read();
        for (sum, one) in self.mirrored.iter_mut().zip(&counters.mirrored) {
            *sum += one.read();
        }
        for (sum, one) in self.asked.iter_mut().zip(&counters.asked) {
            *sum += one.read();
        }
        self.asked_micros += counters.asked_micros.read();
        self.bytes_in += counters.bytes_in.read();
        self.bytes_out += counters.bytes_out.read();
    }
}

#[derive(Default)]
struct UpstreamSum {
    duration: HistogramSum,
    /// In the order of [`Again::WORDS`].
    retries: [u64; Again::COUNT],
}

impl UpstreamSum {
    fn add(&mut self, counters: &ServerCounters) {
        self.duration.add(&counters.duration);
        for (sum, counter) in self.retries.iter_mut().zip(&counters.retries) {
            *sum += counter.read();
        }
    }
}

fn anomalies(page: &mut Page, engine: &Engine) {
    let help = "Requests that two readers could understand in different ways.";
    page.family("doorman_desync_total", help, Kind::Counter);
    for anomaly in Anomaly::ALL {
        let count: u64 =
            engine.counters().map(|core| core.anomalies()[anomaly as usize].read()).sum();
        if count > 0 {
            let (class, reason) = (anomaly.class().word(), anomaly.word());
            page.sample("", &[("class", class), ("reason", reason)], count);
        }
    }
}

fn asked(page: &mut Page, sums: &BTreeMap<(Box<str>, Box<str>), RouteSum>) {
    let asking = || sums.iter().filter(|(_, sum)| sum.asked.iter().any(|count| *count > 0));
    let help = "Questions to another server whether a request may pass, by what it said.";
    page.family("doorman_forward_auth_total", help, Kind::Counter);
    for ((site, route), sum) in asking() {
        for (result, count) in Asked::ALL.iter().zip(&sum.asked) {
            let result = ("result", result.as_str());
            page.sample("", &[("site", site), ("route", route), result], *count);
        }
    }
    let help = "Time that requests waited for that, in seconds.";
    page.family("doorman_forward_auth_seconds_total", help, Kind::Counter);
    for ((site, route), sum) in asking() {
        page.text("", &[("site", site), ("route", route)], &text::seconds(sum.asked_micros));
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
    let mut sums: BTreeMap<Box<str>, ListenerSum> = BTreeMap::new();
    for (name, counters) in engine.counters().flat_map(|core| core.listeners()) {
        sums.entry(name).or_default().add(&counters);
    }
    let name = "doorman_connections_open";
    page.family(name, "Client connections that are open.", Kind::Gauge);
    for (listener, sum) in &sums {
        for (proto, open, _) in sum.by_wire() {
            page.sample("", &[("listener", listener), ("proto", proto)], gauge(open));
        }
    }
    let help = "Client connections that came, by whether a limit turned them away.";
    page.family("doorman_connections_total", help, Kind::Counter);
    for (listener, sum) in &sums {
        let sample = |page: &mut Page, proto, result, count| {
            let labels = [("listener", &**listener), ("proto", proto), ("result", result)];
            page.sample("", &labels, count);
        };
        for (proto, _, accepted) in sum.by_wire() {
            sample(page, proto, "accepted", accepted);
        }
        // Who is turned away is not asked what he speaks.
        sample(page, NO_PROTO, "refused", sum.refused);
    }
    let help = "Accepted connections that ended by a failed handshake, a refused client certificate, a protocol error or a bad PROXY header.";
    page.family("doorman_connections_failed_total", help, Kind::Counter);
    for (listener, sum) in &sums {
        for (reason, count) in FAILURES.iter().zip(sum.failed) {
            page.sample("", &[("listener", listener), ("reason", reason)], count);
        }
    }
}

/// Why accepted connections end before they bring a request.
const FAILURES: [&str; 4] = ["client-certificate", "handshake", "protocol", "proxy-protocol"];

/// What connections speak of which it is not known.
const NO_PROTO: &str = "_none";

/// Counters of a listener, added up.
#[derive(Default)]
struct ListenerSum {
    open: [u64; WIRES.len() + 1],
    accepted: [u64; WIRES.len() + 1],
    refused: u64,
    /// In the order of [`FAILURES`].
    failed: [u64; FAILURES.len()],
}

impl ListenerSum {
    fn add(&mut self, counters: &ListenerCounters) {
        let ListenerCounters { open, accepted, refused, .. } = counters;
        for (sum, counter) in self.open.iter_mut().zip(open) {
            *sum = sum.wrapping_add(counter.read());
        }
        for (sum, counter) in self.accepted.iter_mut().zip(accepted) {
            *sum += counter.read();
        }
        self.refused += refused.read();
        let ListenerCounters {
            clients_refused,
            handshakes_failed,
            protocol_errors,
            prefaces_failed,
            ..
        } = counters;
        let failed = [clients_refused, handshakes_failed, protocol_errors, prefaces_failed];
        for (sum, counter) in self.failed.iter_mut().zip(failed) {
            *sum += counter.read();
        }
    }

    /// What is spoken, with the connections that are open and those that came: what was never spoken
    /// here is left out, so that a listener has no series that it cannot have.
    fn by_wire(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let names = WIRES.into_iter().map(|wire| wire.as_str()).chain([NO_PROTO]);
        let counts = self.open.into_iter().zip(self.accepted);
        names
            .zip(counts)
            .map(|(proto, (open, accepted))| (proto, open, accepted))
            .filter(|(proto, open, accepted)| *proto == NO_PROTO || (*open, *accepted) != (0, 0))
    }
}

fn relays(page: &mut Page, engine: &Engine) {
    let mut sums: BTreeMap<Box<str>, RelaySum> = BTreeMap::new();
    for (name, counters) in engine.counters().flat_map(|core| core.relays()) {
        let sum = sums.entry(name).or_default();
        sum.open = sum.open.wrapping_add(counters.open.read());
        sum.bytes_in += counters.bytes_in.read();
        sum.bytes_out += counters.bytes_out.read();
        for (sum, counter) in sum.ended.iter_mut().zip(&counters.ended) {
            *sum += counter.read();
        }
    }
    if sums.is_empty() {
        return;
    }
    let name = "doorman_relay_connections_open";
    page.family(name, "Relayed connections, or clients that send datagrams.", Kind::Gauge);
    for (relay, sum) in &sums {
        page.sample("", &[("relay", relay)], gauge(sum.open));
    }
    let help = "Relayed connections that are over, by how they ended.";
    page.family("doorman_relay_connections_total", help, Kind::Counter);
    for (relay, sum) in &sums {
        for (end, count) in RelayEnd::ALL.iter().zip(sum.ended).filter(|(_, count)| *count > 0) {
            page.sample("", &[("relay", relay), ("end", end.as_str())], count);
        }
    }
    let help = "Bytes of relayed connections that are over.";
    page.family("doorman_relay_bytes_total", help, Kind::Counter);
    for (relay, sum) in &sums {
        page.sample("", &[("relay", relay), ("direction", "in")], sum.bytes_in);
        page.sample("", &[("relay", relay), ("direction", "out")], sum.bytes_out);
    }
}

/// Counters of a relay, added up.
#[derive(Default)]
struct RelaySum {
    open: u64,
    ended: [u64; RelayEnd::ALL.len()],
    bytes_in: u64,
    bytes_out: u64,
}

/// Gauges of the servers of the plan in force.
fn servers_now(page: &mut Page, engine: &Engine) {
    let plan = engine.plan();
    // As many as the ceiling has room for: a gauge under _other would tell nothing.
    let servers = plan
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.servers.iter().map(move |server| (&*upstream.name, server)))
        .take(SERIES_MAX);
    let name = "doorman_upstream_inflight";
    page.family(name, "Requests that a server works on.", Kind::Gauge);
    for (upstream, server) in servers.clone() {
        let labels = [("upstream", upstream), ("server", &*server.name)];
        page.sample("", &labels, u64::from(server.state.in_flight()));
    }
    let (_, now) = engine.times();
    let learning =
        plan.upstreams.iter().filter_map(|up| Some((&*up.name, up.sessions()?))).take(SERIES_MAX);
    let help = "Sessions that are remembered, where they are learned from servers.";
    page.family("doorman_upstream_sessions", help, Kind::Gauge);
    for (upstream, sessions) in learning.clone() {
        page.sample("", &[("upstream", upstream)], sessions.count(now.instant) as u64);
    }
    let help = "Sessions that were forgotten before their time, to make room for others.";
    page.family("doorman_upstream_sessions_pushed_out_total", help, Kind::Counter);
    for (upstream, sessions) in learning {
        page.sample("", &[("upstream", upstream)], sessions.pushed_out());
    }
    let help = "Whether a server is asked in its turn: 0 while checks, its answers, a refused connection or an operator stand against it.";
    page.family("doorman_upstream_server_up", help, Kind::Gauge);
    for (upstream, server) in servers.clone() {
        let labels = [("upstream", upstream), ("server", &*server.name)];
        page.sample("", &labels, u64::from(server.state.standing(now.instant).is_up()));
    }
    let help = "Checks of servers, by whether they passed.";
    page.family("doorman_upstream_checks_total", help, Kind::Counter);
    for (upstream, server) in servers.clone() {
        let (passed, failed) = server.state.health().vitals.counts();
        if passed + failed > 0 {
            for (result, count) in [("failed", failed), ("passed", passed)] {
                let labels =
                    [("upstream", upstream), ("server", &*server.name), ("result", result)];
                page.sample("", &labels, count);
            }
        }
    }
    let help = "Times that its requests took a server out.";
    page.family("doorman_upstream_ejections_total", help, Kind::Counter);
    for (upstream, server) in servers {
        let count = server.state.health().vitals.ejections();
        if count > 0 {
            let labels = [("upstream", upstream), ("server", &*server.name)];
            page.sample("", &labels, count);
        }
    }
}

/// TLS towards servers of the plan in force.
fn handshakes(page: &mut Page, engine: &Engine) {
    let plan = engine.plan();
    let help = "TLS handshakes with servers, by whether they resumed a session.";
    page.family("doorman_upstream_tls_handshakes_total", help, Kind::Counter);
    let servers = plan
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.servers.iter().map(move |server| (&*upstream.name, server)))
        .filter_map(|(upstream, server)| Some((upstream, &*server.name, server.tls.as_ref()?)))
        .take(SERIES_MAX);
    for (upstream, server, tls) in servers {
        let (full, resumed) = tls.handshakes.counts();
        for (kind, count) in [("false", full), ("true", resumed)] {
            let labels = [("upstream", upstream), ("server", server), ("resumed", kind)];
            page.sample("", &labels, count);
        }
    }
}

fn quic(page: &mut Page, engine: &Engine) {
    let counts = engine.quic().counts();
    let help = "Datagrams that landed on another core's socket, by what became of them.";
    page.family("doorman_quic_datagrams_total", help, Kind::Counter);
    page.sample("", &[("result", "dropped")], counts.dropped);
    page.sample("", &[("result", "passed")], counts.passed);
    let help = "QUIC connections that were not let in at once, by what was done instead.";
    page.family("doorman_quic_screened_total", help, Kind::Counter);
    page.sample("", &[("result", "refused")], counts.turned_away);
    page.sample("", &[("result", "retry")], counts.sent_back);
}

/// Automatic certificates: orders by authority, and the names that fail.
fn orders(page: &mut Page, engine: &Engine) {
    let certs = crate::admin::certs::of(engine);
    if certs.issuers.is_empty() {
        return;
    }
    let help = "Orders of certificates, by authority and result.";
    page.family("doorman_acme_orders_total", help, Kind::Counter);
    for issuer in &certs.issuers {
        for (result, count) in [("obtained", issuer.obtained), ("failed", issuer.failed)] {
            page.sample("", &[("issuer", &issuer.directory), ("result", result)], count);
        }
    }
    let help = "Failures in a row of the orders for a name.";
    page.family("doorman_acme_failures", help, Kind::Gauge);
    for cert in certs.certificates.iter().take(SERIES_MAX) {
        page.sample("", &[("name", &cert.name)], u64::from(cert.failures));
    }
}

/// What authorities say about certificates over OCSP.
fn staples(page: &mut Page, engine: &Engine) {
    let (counts, staples) = match &*engine.stapler() {
        Some(stapler) => (stapler.counts(), stapler.report()),
        None => return,
    };
    let help = "Questions of OCSP, by what came of them.";
    page.family("doorman_tls_ocsp_questions_total", help, Kind::Counter);
    for (result, count) in
        [("good", counts.good), ("revoked", counts.revoked), ("failed", counts.failed)]
    {
        page.sample("", &[("result", result)], count);
    }
    let label = |staple: &StapleReport| staple.names.first().unwrap_or(&staple.serial).clone();
    let shown: Vec<_> =
        staples.iter().take(SERIES_MAX).map(|staple| (label(staple), staple)).collect();
    let help = "Whether an answer of OCSP about a certificate is good, missing, or revokes it.";
    page.family("doorman_tls_ocsp_state", help, Kind::Gauge);
    for (name, staple) in &shown {
        let labels = [("name", name.as_str()), ("serial", &staple.serial)];
        for state in [StapleState::Good, StapleState::Missing, StapleState::Revoked] {
            let labels = [labels[0], labels[1], ("state", state.word())];
            page.sample("", &labels, u64::from(staple.state == state));
        }
    }
    let families = [
        ("doorman_tls_ocsp_update_timestamp_seconds", "When what is stapled was known to be so."),
        ("doorman_tls_ocsp_expiry_timestamp_seconds", "When what is stapled ends."),
    ];
    for (family, help) in families {
        page.family(family, help, Kind::Gauge);
        let is_end = family.contains("expiry");
        for (name, staple) in &shown {
            let time = if is_end { staple.until } else { staple.since };
            if let Some(time) = time {
                page.sample("", &[("name", name), ("serial", &staple.serial)], time);
            }
        }
    }
}

fn certificates(page: &mut Page, engine: &Engine) {
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for tls in engine.plan().listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        let certificates = tls.certificates();
        for (name, end) in certificates.expiries().chain(certificates.kept_expiries()) {
            let known = ends.entry(name.to_owned()).or_insert(end);
            *known = (*known).min(end);
        }
    }
    let help = "Files of TLS that cannot be used, and in whose place something older is.";
    let stale = engine.plan().stale.len() as u64;
    page.one("doorman_tls_stale_files", help, Kind::Gauge, &[], stale);
    let name = "doorman_tls_certificate_expiry_timestamp_seconds";
    page.family(name, "When the certificate of a name ends.", Kind::Gauge);
    for (name, end) in ends.iter().take(SERIES_MAX) {
        page.sample("", &[("name", name)], *end);
    }
}

#[cfg(test)]
mod tests;
