//! The plan: what runs. Immutable, compiled from a configuration, swapped as a whole.
//!
//! Everything that can be worked out before a request comes is worked out here: expressions are
//! compiled, names are indices, files are read. This folder is the only part of the crate that
//! names the configuration.

mod compile;
mod edits;
mod pages;
mod routes;
mod sites;
mod upstreams;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::crowd::{Crowd, CrowdLimits};
use doorman_balance::{Method as BalanceMethod, ServerState};
use doorman_config::{Config, Diagnostic, Listener, SocketAddress, Transport};
use doorman_net::dial::{DialTimeouts, DialTls, PoolLimits};
use doorman_net::os::ListenAddress;
use doorman_net::tls::{LocalCa, ServerTls, TicketKeys};
use doorman_net::{Address, Clock, Limits, ServeSettings};
use doorman_route::{AddressSet, Table};
pub(crate) use edits::{HostEdit, RouteEdits};
pub(crate) use pages::{ErrorContent, ErrorPages};

/// What runs.
pub struct Plan {
    /// Sockets.
    pub listeners: Vec<PlanListener>,
    /// Sites, in file order; those made for redirects to HTTPS come last.
    pub sites: Vec<PlanSite>,
    /// Upstreams, in the order of the configuration.
    pub upstreams: Vec<PlanUpstream>,
    /// Peers whose word about the client is believed.
    pub trusted: AddressSet,
    /// Bounds on client connections.
    pub crowd_limits: CrowdLimits,
    /// Client connections of the process.
    pub(crate) crowd: Arc<Crowd>,
    /// The configuration that it was made from, for `explain`.
    pub config: Arc<Config>,
    pub(crate) table: Table,
    pub(crate) upstream_limits: Limits,
}

/// A socket.
pub struct PlanListener {
    /// Its id: the same in every plan of the process that has this listener, so that a connection
    /// still belongs to it after a reload.
    pub id: usize,
    /// Its name in metrics: the address.
    pub name: Box<str>,
    /// Addresses to bind: one, or the two families of "every address".
    pub addresses: Vec<ListenAddress>,
    /// Length of the kernel's queue.
    pub backlog: i32,
    /// TLS, if it speaks it.
    pub tls: Option<Arc<ServerTls>>,
    /// Timeouts and bounds.
    pub settings: ServeSettings,
}

/// A site.
pub struct PlanSite {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// Its routes, in file order.
    pub routes: Vec<PlanRoute>,
}

/// A route.
pub struct PlanRoute {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    pub(crate) ending: PlanEnding,
    pub(crate) edits: RouteEdits,
    pub(crate) pages: ErrorPages,
    pub(crate) body_max: Option<u64>,
    pub(crate) buffer_request: Option<usize>,
    pub(crate) buffer_response: Option<usize>,
    pub(crate) timeouts: RouteTimes,
}

/// What becomes of a request.
pub(crate) enum PlanEnding {
    /// Upstream and its share of 10,000.
    Proxy(Vec<(usize, u32)>),
    /// `Location` and status.
    Redirect(doorman_http::template::Template, u16),
    /// Status and text.
    Respond(u16, Option<doorman_http::template::Template>),
}

/// Timeouts that a route sets; the upstream's count where it sets none.
#[derive(Clone, Copy, Default)]
pub(crate) struct RouteTimes {
    pub(crate) connect: Option<Duration>,
    pub(crate) head: Option<Duration>,
    pub(crate) whole: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

/// An upstream.
pub struct PlanUpstream {
    /// Its name.
    pub name: Box<str>,
    /// Its servers.
    pub servers: Vec<PlanServer>,
    pub(crate) method: BalanceMethod,
    pub(crate) pool: PoolLimits,
    pub(crate) times: RouteTimes,
    pub(crate) defaults: DialTimeouts,
}

/// A server.
pub struct PlanServer {
    /// Its name.
    pub name: Box<str>,
    /// Where it is.
    pub address: Address,
    /// What its address is as a URL's authority: for `host upstream` and redirects.
    pub authority: Box<str>,
    /// TLS towards it.
    pub tls: Option<DialTls>,
    /// Part of the load.
    pub weight: u32,
    /// Requests at once over all cores.
    pub max_connections: Option<u32>,
    /// Counters that all cores share and that outlive the plan.
    pub state: Arc<ServerState>,
    pub(crate) pool_key: String,
}

impl PlanRoute {
    /// Shares of the upstreams, if there are several.
    pub(crate) fn shares(&self) -> Option<Vec<u32>> {
        match &self.ending {
            PlanEnding::Proxy(targets) if targets.len() > 1 => {
                Some(targets.iter().map(|(_, share)| *share).collect())
            }
            _ => None,
        }
    }

    pub(crate) fn timeouts(&self, upstream: &PlanUpstream) -> DialTimeouts {
        let pick = |route: Option<Duration>, group: Option<Duration>, default: Duration| {
            route.or(group).unwrap_or(default)
        };
        let (own, group, defaults) = (&self.timeouts, &upstream.times, &upstream.defaults);
        DialTimeouts {
            connect: pick(own.connect, group.connect, defaults.connect),
            response: pick(own.head, group.head, defaults.response),
            idle: pick(own.idle, group.idle, defaults.idle),
            tunnel_idle: pick(own.idle, group.idle, defaults.tunnel_idle),
        }
    }

    /// Deadline of the whole exchange.
    pub(crate) fn whole(&self, upstream: &PlanUpstream) -> Option<Duration> {
        self.timeouts.whole.or(upstream.times.whole)
    }
}

/// What plans need from outside, and what outlives them.
pub struct Ground {
    /// Folder for the local CA.
    pub data: PathBuf,
    /// The clock.
    pub clock: Clock,
    /// Keys of session tickets.
    pub tickets: Arc<TicketKeys>,
    pub(crate) keeping: Keeping,
    authority: Mutex<Option<Arc<LocalCa>>>,
    servers: Mutex<HashMap<String, Arc<ServerState>>>,
    listeners: Mutex<Vec<(SocketAddress, Transport)>>,
    crowd: Arc<Crowd>,
}

/// Whether what a plan needs for good is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// A local CA that is missing is made in the data folder.
    Disk,
    /// One that is missing is imagined.
    Nothing,
}

impl Ground {
    /// The ground for all plans of a process.
    #[must_use]
    pub fn new(data: PathBuf, clock: Clock, tickets: Arc<TicketKeys>) -> Self {
        Self {
            data,
            clock,
            tickets,
            keeping: Keeping::Disk,
            authority: Mutex::default(),
            servers: Mutex::default(),
            listeners: Mutex::default(),
            crowd: Arc::default(),
        }
    }

    /// The ground for plans that are only looked at: compiling them writes nothing.
    #[must_use]
    pub fn looking(data: PathBuf, clock: Clock, tickets: Arc<TicketKeys>) -> Self {
        Self { keeping: Keeping::Nothing, ..Self::new(data, clock, tickets) }
    }

    /// The id of a listener, the same for every plan that has it. Plain and TLS on one address are
    /// two listeners: what came in the clear must not be taken for secure after a reload.
    fn listener(&self, listener: &Listener) -> usize {
        let mut known = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (listener.address.clone(), listener.transport);
        known.iter().position(|other| *other == name).unwrap_or_else(|| {
            known.push(name);
            known.len() - 1
        })
    }

    /// The counters of a server, the same for every plan that names it.
    fn server(&self, key: &str) -> Arc<ServerState> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(servers.entry(key.to_owned()).or_default())
    }

    fn now(&self) -> u64 {
        self.clock.now().unix_seconds()
    }
}

/// What a compilation yields: a plan if nothing stands against it, and all that is to be said.
pub struct Compiled {
    /// The plan; `None` if a diagnostic is an error.
    pub plan: Option<Plan>,
    /// All faults at once.
    pub diagnostics: Vec<Diagnostic>,
}

impl Plan {
    /// Compiles a configuration.
    #[must_use]
    pub fn compile(config: &Arc<Config>, ground: &Ground) -> Compiled {
        compile::compile(config, ground)
    }
}

impl Plan {
    /// The longest queue that any listener asks for.
    #[must_use]
    pub fn backlog(&self) -> i32 {
        self.listeners
            .iter()
            .map(|listener| listener.backlog)
            .max()
            .unwrap_or(doorman_net::os::BACKLOG)
    }
}
