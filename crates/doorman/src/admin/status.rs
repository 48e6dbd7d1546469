//! What `doorman status` shows. The names of the fields are a public contract.

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineState, Origin};

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
    /// Client connections that are open.
    pub connections: u64,
    /// Upstreams and their servers.
    pub upstreams: Vec<UpstreamStatus>,
    /// Lines of the access log that were lost.
    pub access_log_dropped: u64,
    /// Faults of doorman's own that ended a task.
    pub panics: u64,
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
}

impl Status {
    /// Whether all is as the operator wants it.
    #[must_use]
    pub(crate) fn is_healthy(&self) -> bool {
        self.config.last_reload.as_ref().is_none_or(|reload| reload.result == "ok")
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
        connections: crate::metrics::open_connections(engine),
        upstreams: upstreams(&state, now.instant),
        access_log_dropped: engine.access_log().dropped(),
        panics: crate::log::error::panics(),
    }
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

fn upstreams(state: &EngineState, now: doorman_http::Instant) -> Vec<UpstreamStatus> {
    let upstreams = state.plan.upstreams.iter().map(|upstream| UpstreamStatus {
        name: upstream.name.to_string(),
        servers: upstream
            .servers
            .iter()
            .map(|server| ServerStatus {
                name: server.name.to_string(),
                in_flight: server.state.in_flight(),
                picks: server.state.picks(),
                resting: server.state.is_resting(now),
            })
            .collect(),
    });
    upstreams.collect()
}
