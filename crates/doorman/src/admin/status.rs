//! What `doorman status` shows. The names of the fields are a public contract.

use std::sync::Arc;

use doorman_control::overrides::Override;
use doorman_proxy::CoreCounters;
use doorman_proxy::plan::PlanServer;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineState, Origin};
use crate::harden::{self, Hardened};

/// A look at a running proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Version of the binary.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Since the start, whole seconds.
    pub uptime_seconds: u64,
    /// Whether it serves or ends.
    pub state: RunState,
    /// How long requests still have while it ends, whole seconds.
    pub drain_seconds_left: Option<u64>,
    /// The configuration.
    pub config: ConfigStatus,
    /// Sockets of sites.
    pub listeners: Vec<ListenerStatus>,
    /// Sockets of relays.
    #[serde(default)]
    pub relays: Vec<RelayStatus>,
    /// Client connections that are open.
    pub connections: u64,
    /// Upstreams and their servers.
    pub upstreams: Vec<UpstreamStatus>,
    /// Stores of cached responses.
    #[serde(default)]
    pub stores: Vec<StoreStatus>,
    /// Automatic certificates that somebody should look at.
    #[serde(default)]
    pub certificate_problems: Vec<super::certs::Cert>,
    /// What operators have changed on servers.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// When this was told, unix seconds.
    #[serde(default)]
    pub now: u64,
    /// Lines of the access log that were lost.
    pub access_log_dropped: u64,
    /// Faults of doorman's own that ended a task.
    pub panics: u64,
    /// What the operator should mend, each in a line.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What the process has given up.
    #[serde(default)]
    pub hardening: Option<Hardened>,
}

/// A store of cached responses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreStatus {
    /// Its name.
    pub name: String,
    /// What is kept where.
    pub tiers: Vec<super::cache::Tier>,
    /// Requests that did not pass it by.
    pub requests: u64,
    /// Those of them that were answered from it.
    pub answered: u64,
}

/// Whether a proxy serves or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunState {
    /// It serves.
    Running,
    /// It accepts nothing new and lets requests end.
    Draining,
}

/// The configuration in force and what became of the last reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfigStatus {
    /// Where it comes from.
    pub origin: String,
    /// Tells configurations apart.
    pub hash: String,
    /// How many have been in force.
    pub generation: u64,
    /// When it came into force, unix seconds.
    pub loaded_at: u64,
    /// The last reload, if there was one.
    pub last_reload: Option<ReloadStatus>,
}

/// A reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReloadStatus {
    /// `ok` or `failed`.
    pub result: String,
    /// When, unix seconds.
    pub at: u64,
    /// What stood against it.
    pub error: Option<String>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerStatus {
    /// Its name in metrics.
    pub name: String,
    /// Addresses that are bound.
    pub addresses: Vec<String>,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// A relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayStatus {
    /// Its name in metrics.
    pub name: String,
    /// Addresses that are bound.
    pub addresses: Vec<String>,
    /// Connections, or clients that send datagrams, that are open.
    pub open: u64,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    /// Its name.
    pub name: String,
    /// Requests that it works on.
    pub in_flight: u32,
    /// How often it was chosen.
    pub picks: u64,
    /// Whether it refused connections so lately that others go first.
    pub resting: bool,
    /// How it stands: `ready`, `slow-start`, `draining`, `down`, `probed-down`, `ejected` or `resting`.
    #[serde(default)]
    pub state: String,
    /// Since when, unix seconds, as far as it is known.
    #[serde(default)]
    pub since: Option<u64>,
    /// Why; empty if there is nothing to say.
    #[serde(default)]
    pub why: String,
    /// What its checks have found.
    #[serde(default)]
    pub checks: Vec<CheckStatus>,
    /// The last changes of its health, the newest last.
    #[serde(default)]
    pub changes: Vec<ChangeStatus>,
}

/// A check of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckStatus {
    /// What is asked, in the configuration's words.
    pub check: String,
    /// Whether the server is up by it; `None` before the first answer.
    pub up: Option<bool>,
    /// Answers in a row that speak against that.
    pub against: u32,
    /// When it was made last, unix seconds.
    pub made: Option<u64>,
    /// How long that took.
    pub took_ms: u64,
    /// Why it failed; `None`: it passed.
    pub fault: Option<String>,
}

/// A change of a server's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeStatus {
    /// When, unix seconds.
    pub at: u64,
    /// Whether it takes requests from then on.
    pub up: bool,
    /// Why.
    pub why: String,
}

impl Status {
    /// Whether all is as the operator wants it.
    #[must_use]
    pub(crate) fn is_healthy(&self) -> bool {
        self.problems.is_empty()
            && self.certificate_problems.is_empty()
            && self.config.last_reload.as_ref().is_none_or(|reload| reload.result == "ok")
    }
}

/// The status of a proxy.
#[must_use]
pub(crate) fn of(engine: &Engine) -> Status {
    let state = engine.state();
    let (started, now) = engine.times();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: now.instant.since(started.instant).as_secs(),
        state: if state.stopping { RunState::Draining } else { RunState::Running },
        drain_seconds_left: state.drain_left.map(|left| left.as_secs()),
        config: config(engine, &state),
        listeners: listeners(&state),
        relays: relays(engine, &state),
        connections: crate::metrics::open_connections(engine),
        upstreams: upstreams(&state, now),
        stores: stores(engine, &state),
        certificate_problems: super::certs::of(engine)
            .certificates
            .into_iter()
            .filter(|cert| cert.problem)
            .collect(),
        overrides: engine.overrides().report().0,
        now: now.unix_seconds(),
        access_log_dropped: engine.access_log().dropped(),
        panics: crate::log::error::panics(),
        problems: problems(engine, &state),
        hardening: harden::told().cloned(),
    }
}

/// Files that cannot be used, certificates that clients refuse, and others who are asked and do not answer.
fn problems(engine: &Engine, state: &EngineState) -> Vec<String> {
    let mut problems = state.plan.stale.clone();
    problems.extend(super::cache::problems(&state.plan));
    problems.extend(engine.memory().and_then(|memory| memory.trouble()));
    problems.extend(engine.counters().enumerate().filter_map(late));
    let staples = super::certs::of(engine).ocsp;
    for staple in staples.iter().filter(|staple| staple.problem) {
        let name = staple.names.first().unwrap_or(&staple.serial);
        problems.push(match (&staple.revocation_reason, &staple.last_error) {
            (Some(reason), _) => format!("the certificate of {name} is revoked ({reason})"),
            (None, Some(error)) => format!("{name} must be stapled and is not: {error}"),
            (None, None) => format!("{name} must be stapled and is not"),
        });
    }
    problems.extend(engine.discoveries().into_iter().filter_map(|source| {
        let list = match source.count {
            None => "no servers until it is known".to_owned(),
            Some(count) => format!("the last good list of {count} counts on"),
        };
        Some(format!("discover {}: {}; {list}", source.key, source.trouble?))
    }));
    problems.extend(state.plan.providers().into_iter().filter_map(|provider| {
        let meanwhile =
            if provider.is_known { "what it said before counts on" } else { "nobody can sign in" };
        Some(format!("OpenID provider {}: {}; {meanwhile}", provider.issuer, provider.trouble?))
    }));
    problems
}

/// A core that refuses requests because it is late.
fn late((index, core): (usize, &Arc<CoreCounters>)) -> Option<String> {
    let (level, late) = (core.overload().level.read(), core.overload().late_micros.read());
    (level > 0).then(|| {
        format!(
            "core {index} has too much to do, {} ms late: overload level {level} of 1000",
            late / 1_000
        )
    })
}

fn config(engine: &Engine, state: &EngineState) -> ConfigStatus {
    ConfigStatus {
        origin: match engine.origin() {
            Origin::File(path) => path.display().to_string(),
            Origin::Text(name, _) => name.clone(),
        },
        hash: state.hash.clone(),
        generation: state.generation,
        loaded_at: state.loaded_at,
        last_reload: engine.history().last.map(|last| ReloadStatus {
            result: if last.succeeded { "ok" } else { "failed" }.to_owned(),
            at: last.at,
            error: (!last.succeeded).then_some(last.message),
        }),
    }
}

fn listeners(state: &EngineState) -> Vec<ListenerStatus> {
    let listeners = state.plan.listeners.iter().map(|listener| ListenerStatus {
        name: listener.name.to_string(),
        addresses: listener
            .addresses
            .iter()
            .filter(|address| state.bound.contains(address))
            .map(ToString::to_string)
            .collect(),
        tls: listener.tls.is_some(),
    });
    listeners.collect()
}

fn relays(engine: &Engine, state: &EngineState) -> Vec<RelayStatus> {
    let relays = state.plan.relays.iter().map(|relay| RelayStatus {
        name: relay.name.to_string(),
        addresses: relay
            .addresses
            .iter()
            .filter(|address| state.bound.contains(address))
            .map(ToString::to_string)
            .collect(),
        open: crate::metrics::relay_connections(engine, &relay.name),
    });
    relays.collect()
}

fn upstreams(state: &EngineState, now: doorman_http::Now) -> Vec<UpstreamStatus> {
    let upstreams = state.plan.upstreams.iter().map(|upstream| UpstreamStatus {
        name: upstream.name.to_string(),
        servers: upstream.servers.iter().map(|server| self::server(server, now)).collect(),
    });
    upstreams.collect()
}

fn stores(engine: &Engine, state: &EngineState) -> Vec<StoreStatus> {
    let sums = super::cache::sums(engine);
    let stores = state.plan.stores().map(|store| {
        let (answered, requests) = sums.get(store.name()).map_or((0, 0), super::cache::Sum::ratio);
        let tiers = super::cache::tiers(&state.plan, store, &store.stats());
        StoreStatus { name: store.name().to_owned(), tiers, requests, answered }
    });
    stores.collect()
}

fn server(server: &PlanServer, now: doorman_http::Now) -> ServerStatus {
    let state = &server.state;
    let told = state.told(now);
    let vitals = &state.health().vitals;
    let checks = vitals.checks().into_iter().map(|check| CheckStatus {
        check: check.check,
        up: check.up,
        against: check.against,
        made: check.made.map(doorman_http::Now::unix_seconds),
        took_ms: u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX),
        fault: check.fault,
    });
    let changes = vitals.changes().into_iter().map(|change| ChangeStatus {
        at: change.at.unix_seconds(),
        up: change.up,
        why: change.why,
    });
    ServerStatus {
        name: server.name.to_string(),
        in_flight: state.in_flight(),
        picks: state.picks(),
        resting: state.is_resting(now.instant),
        state: told.word.to_owned(),
        since: told.since,
        why: told.why,
        checks: checks.collect(),
        changes: changes.collect(),
    }
}
