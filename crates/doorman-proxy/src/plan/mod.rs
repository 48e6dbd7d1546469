//! The plan: what runs. Immutable, compiled from a configuration, swapped as a whole.
//!
//! Everything that can be worked out before a request comes is worked out here: expressions are
//! compiled, names are indices, files are read. This folder is the only part of the crate that
//! names the configuration.

mod access;
mod cache;
mod clients;
mod compile;
mod compress;
mod cookie;
mod delivery;
mod discovered;
mod edits;
mod forward;
mod guard;
mod health;
mod identity;
mod materials;
mod mirror;
mod optimize;
mod overload;
mod pages;
mod relays;
mod resilience;
mod routes;
mod sessions;
mod share;
mod sign_in;
mod sites;
mod sticky;
mod stored;
mod stores;
mod upstreams;
mod waf;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::crowd::{Crowd, CrowdLimits};
use crate::errand::Errands;
use crate::form::Made;
use crate::gate::PlanGuard;
use crate::hints::Hints;
use crate::inspection::Events;
use crate::provider::ProviderRing;
use crate::remote_keys::KeyRing;
use crate::workshop::Workshop;
pub(crate) use cache::PlanCache;
pub(crate) use clients::{CLIENT_CERT, CLIENT_CERT_CHAIN};
use compile::Faults;
pub(crate) use compress::{PlanCode, PlanCompress};
pub(crate) use cookie::{Number, PlanCookie};
pub(crate) use delivery::{PlanDelivery, PlanHints};
pub use discovered::{Found, Lists, WantedSource, is_discovered, wanted_sources};
use doorman_balance::health::outlier::OutlierRules;
use doorman_balance::health::passive::PassiveRules;
use doorman_balance::health::{Check, Watching};
use doorman_balance::{
    Admin, Group, Keys, Member, Method as BalanceMethod, Role, ServerState, Settings, Standing,
};
pub use doorman_balance::{BreakerState, BreakerStep, Line, Refused, Resilience};
use doorman_config::{
    Config, Diagnostic, Listener, Relay, RelayProtocol, SocketAddress, Span, Transport,
};
use doorman_http::template::Template;
use doorman_http::{Instant, Peer};
use doorman_limit::Priority;
use doorman_net::dial::{DialManner, DialTimeouts, DialTls, Handshakes, PoolLimits, Protocol};
use doorman_net::os::ListenAddress;
use doorman_net::seal::SealKey;
use doorman_net::tls::{
    CertificateSource, Keyring, LocalCa, Proofs, ServerTls, SiteClients, TicketKeys,
};
use doorman_net::{Address, Clock, Limits, ServeSettings};
use doorman_route::{AddressSet, Table};
use doorman_store::Store;
pub(crate) use edits::{HostEdit, RouteEdits};
use materials::{Broken, Materials};
pub(crate) use mirror::{PlanMirror, Seat};
pub(crate) use optimize::{PlanForms, PlanImages, PlanOptimize};
pub use overload::MemoryBound;
pub(crate) use overload::PlanOverload;
pub(crate) use pages::{ErrorContent, ErrorPages};
pub use relays::PlanRelay;
pub(crate) use resilience::{PlanResilience, PlanRetry};
pub use sessions::Sessions;
pub(crate) use share::{PlanKey, PlanShare, ShareBy};
pub use sites::{automatic_names, demanded_names};
pub(crate) use sticky::{By, Learning, Numbered, Place, PlanSticky};
pub use stored::Variant;
pub use stores::StoreWorker;
pub use waf::{InspectedRoute, RuleSeen, RuleSetSeen, level_of, rule_files};
pub(crate) use waf::{PlanRules, PlanWaf, RuleGround};

/// What runs.
pub struct Plan {
    /// Sockets.
    pub listeners: Vec<PlanListener>,
    /// Sites, in file order; those made for redirects to HTTPS come last.
    pub sites: Vec<PlanSite>,
    /// Upstreams, in the order of the configuration.
    pub upstreams: Vec<PlanUpstream>,
    /// Relays, in file order.
    pub relays: Vec<PlanRelay>,
    /// Peers whose word about the client is believed.
    pub trusted: AddressSet,
    /// Bounds on client connections.
    pub crowd_limits: CrowdLimits,
    /// Client connections of the process.
    pub(crate) crowd: Arc<Crowd>,
    /// The configuration that it was made from, for `explain`.
    pub config: Arc<Config>,
    /// Files of TLS that cannot be used, and in whose place something older is; each in a line.
    pub stale: Vec<String>,
    /// How many things of TLS were made of files anew for it.
    pub remade: usize,
    /// What shows a certificate authority that names are ours; `None` where no site has automatic certificates.
    pub(crate) proofs: Option<Arc<Proofs>>,
    /// Rules that its routes are inspected by, each once.
    pub(crate) rule_sets: Vec<Arc<PlanRules>>,
    /// What rules found last, in this plan and those before it.
    pub waf_events: Arc<Events>,
    pub(crate) table: Table,
    /// By what rules servers are asked about requests.
    pub(crate) asking: PlanRoute,
    /// When it matters how late a core is; `None`: never.
    pub(crate) overload: Option<PlanOverload>,
    /// The memory that the process may take; `None`: all that there is.
    pub memory: Option<MemoryBound>,
    /// What requests under way have left when the process ends.
    pub(crate) drain: Duration,
    pub(crate) upstream_limits: Limits,
    /// Where what is kept is made smaller.
    pub(crate) workshop: Arc<Workshop>,
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
    /// Certificates whose authorities are asked about them, over OCSP.
    pub stapled: Vec<CertificateSource>,
    /// Whose connections begin with the PROXY protocol; `None`: nobody's.
    pub announcers: Option<Arc<PlanAnnouncers>>,
    /// Timeouts and bounds.
    pub settings: ServeSettings,
}

/// Peers that must send the PROXY protocol.
#[derive(Debug)]
pub struct PlanAnnouncers {
    pub(crate) ranges: AddressSet,
    pub(crate) unix: bool,
}

impl PlanAnnouncers {
    /// Whether this peer is one of them.
    #[must_use]
    pub fn contains(&self, peer: &Peer) -> bool {
        peer.ip().map_or(self.unix, |ip| self.ranges.contains(ip))
    }
}

/// A site.
pub struct PlanSite {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// Its routes, in file order.
    pub routes: Vec<PlanRoute>,
    /// The rules for certificates of its clients; `None`: it asks for none.
    pub clients: Option<SiteClients>,
    /// Whether its safe requests may come before the handshake has ended.
    pub early_data: bool,
    /// Paths by which browsers come back from a provider or sign out, and the route whose gate takes them: they are
    /// the house's, whatever routes say of them.
    pub(crate) sign_ins: Vec<(Box<str>, usize)>,
}

/// A route.
pub struct PlanRoute {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    pub(crate) ending: PlanEnding,
    /// What keeps clients on their side of a split; `None`: nothing.
    pub(crate) share: Option<PlanShare>,
    /// What is kept of its answers; `None`: nothing.
    pub(crate) cache: Option<PlanCache>,
    /// What is done to the codings of its answers; `None`: nothing.
    pub(crate) code: Option<PlanCode>,
    /// What its requests must pass first; `None`: nothing.
    pub(crate) guard: Option<Box<PlanGuard>>,
    /// How much it matters when there is too much to do.
    pub(crate) priority: Priority,
    /// By which rules its requests are inspected; `None`: by none.
    pub(crate) waf: Option<Box<PlanWaf>>,
    /// Whether pages are made smaller as they pass.
    pub(crate) html: bool,
    /// Where copies of requests go; `None`: nowhere.
    pub(crate) mirror: Option<PlanMirror>,
    /// What its answers get on their way to browsers; `None`: nothing.
    pub(crate) delivery: Option<Box<PlanDelivery>>,
    pub(crate) edits: RouteEdits,
    pub(crate) pages: ErrorPages,
    /// Whether clients must have shown a certificate.
    pub mtls: bool,
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
    Redirect(Template, u16),
    /// Status and text.
    Respond(u16, Option<Template>),
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
    /// What all cores share of it and outlives the plan.
    pub group: Arc<Group>,
    pub(crate) settings: Settings,
    /// What its servers are asked.
    pub checks: Vec<Check>,
    /// When failures of requests take a server out.
    pub passive: Option<Arc<PassiveRules>>,
    /// When a server is an outlier.
    pub outlier: Option<OutlierRules>,
    pub(crate) method: BalanceMethod,
    /// What of a request its method makes its choice by; `None`: nothing.
    pub(crate) key: Option<PlanKey>,
    /// Held for the cores, which share it: which server a key belongs to.
    pub(crate) _keys: Option<Arc<Keys>>,
    /// What keeps clients on their servers; `None`: nothing.
    pub(crate) sticky: Option<PlanSticky>,
    pub(crate) pool: PoolLimits,
    pub(crate) times: RouteTimes,
    pub(crate) defaults: DialTimeouts,
    /// How its servers are connected to.
    pub manner: DialManner,
    /// What is told to its servers if they are FastCGI applications.
    pub(crate) cgi: Option<PlanCgi>,
    /// What it does when its servers fail or have no room; `None`: nothing is written.
    pub(crate) resilience: Option<Box<PlanResilience>>,
}

impl PlanUpstream {
    /// How long a server that comes back takes to get all of its part; `None`: it has it at once.
    #[must_use]
    pub fn slow_start(&self) -> Option<Duration> {
        Some(self.settings.slow_start).filter(|time| !time.is_zero())
    }

    /// Whether ill servers are used when none is well.
    #[must_use]
    pub const fn fails_open(&self) -> bool {
        self.settings.fail_open
    }

    /// What its cores do about health when a try has ended.
    pub(crate) fn watching(&self) -> Watching {
        Watching { passive: self.passive.clone(), tallied: self.outlier.is_some() }
    }
}

/// FastCGI applications: where their scripts are, and what they are told besides.
pub(crate) struct PlanCgi {
    /// Empty if it is not known.
    pub(crate) root: String,
    pub(crate) index: Option<String>,
    pub(crate) split: Option<String>,
    pub(crate) params: Vec<(String, Template)>,
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
    /// TLS that settles on HTTP/1.1, where the protocol is chosen by TLS.
    pub tls_single: Option<DialTls>,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Part of the load.
    pub weight: u32,
    /// Requests at once over all cores.
    pub in_flight_max: Option<u32>,
    /// A higher tier is used when the ones below it have no server.
    pub tier: u32,
    /// When it takes part in its tier.
    pub role: Role,
    /// Whether it is in the proxy's own zone, or zones do not matter.
    pub near: bool,
    /// What the file says about using it.
    pub admin: Admin,
    /// Counters that all cores share and that outlive the plan.
    pub state: Arc<ServerState>,
    pub(crate) pool_key: String,
}

impl PlanUpstream {
    /// The books of what it does when its servers fail or have no room, if it does anything.
    #[must_use]
    pub fn resilience(&self) -> Option<&Resilience> {
        self.resilience.as_ref().map(|resilience| &*resilience.state)
    }

    /// What it does then, in the configuration's words: a directive and what it says.
    #[must_use]
    pub fn resilience_words(&self) -> Vec<(&'static str, String)> {
        self.resilience.as_ref().map_or_else(Vec::new, |resilience| resilience.words())
    }
}

impl PlanServer {
    /// Whether it takes all of its part.
    #[must_use]
    pub fn is_ready(&self, now: Instant) -> bool {
        matches!(self.state.standing(now), Standing::Ready)
    }

    /// When it takes part in its tier, in a word.
    #[must_use]
    pub const fn role_word(&self) -> &'static str {
        match self.role {
            Role::Regular => "regular",
            Role::Spare => "spare",
            Role::Standby => "standby",
        }
    }

    /// What is said of when and how much it takes part, besides its weight.
    #[must_use]
    pub fn part(&self) -> String {
        let mut text = String::new();
        if self.tier > 0 {
            let _ = write!(text, "  tier {}", self.tier);
        }
        if self.role != Role::Regular {
            let _ = write!(text, "  {}", self.role_word());
        }
        if self.admin == Admin::Drain {
            text.push_str("  drain");
        }
        if !self.near {
            text.push_str("  another zone");
        }
        if let Some(max) = self.in_flight_max {
            let _ = write!(text, "  {max} at once");
        }
        text
    }

    /// It as a member of its upstream.
    pub(crate) fn member(&self) -> Member {
        Member {
            in_flight_max: self.in_flight_max,
            admin: self.admin,
            tier: self.tier,
            role: self.role,
            near: self.near,
            ..Member::new(Arc::clone(&self.state), self.weight)
        }
    }

    /// What is spoken to it, in the configuration's word.
    #[must_use]
    pub const fn spoken(&self) -> &'static str {
        match (self.protocol, &self.tls) {
            (Protocol::H1, _) => "h1",
            (Protocol::H2, Some(_)) => "h2",
            (Protocol::H2, None) => "h2c",
            (Protocol::H3, _) => "h3",
            (Protocol::Auto, _) => "auto",
        }
    }
}

impl PlanUpstream {
    /// The sessions that its servers named, if it learns them.
    #[must_use]
    pub fn sessions(&self) -> Option<&Sessions> {
        self.sticky.as_ref()?.sessions().map(|sessions| &**sessions)
    }
}

impl PlanRoute {
    /// What early hints are made of, if it sends any.
    pub(crate) fn hints(&self) -> Option<&PlanHints> {
        self.delivery.as_ref()?.hints.as_ref()
    }

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
    /// Certificates that come and change by themselves.
    pub keyring: Arc<Keyring>,
    pub(crate) keeping: Keeping,
    authority: Mutex<Option<Arc<LocalCa>>>,
    seal_key: Mutex<Option<Arc<SealKey>>>,
    groups: Mutex<HashMap<String, Weak<Group>>>,
    sessions: Mutex<HashMap<String, Weak<Sessions>>>,
    handshakes: Mutex<HashMap<String, Arc<Handshakes>>>,
    materials: Mutex<Materials>,
    findings: discovered::Findings,
    listeners: Mutex<Vec<(SocketAddress, Trade)>>,
    relays: Mutex<HashMap<usize, Arc<AtomicU64>>>,
    /// By upstream. Weak: what no plan and no request holds any more is forgotten.
    resilience: Mutex<HashMap<String, Weak<Resilience>>>,
    stores: stores::Stores,
    /// Where work is done that no request waits for.
    pub workshop: Arc<Workshop>,
    /// Where questions to other servers wait for whoever asks them.
    pub errands: Arc<Errands>,
    /// Keys of issuers that are fetched.
    pub keys: Arc<KeyRing>,
    /// OpenID providers.
    pub providers: Arc<ProviderRing>,
    /// What was made of stored answers.
    pub made: Arc<Made>,
    hints: Mutex<Weak<Hints>>,
    pub(crate) rules: RuleGround,
    guards: guard::GuardGround,
    crowd: Arc<Crowd>,
}

/// Counts of handshakes above which those of servers that are gone are forgotten: more than an ordinary configuration
/// has servers.
const HANDSHAKES_KEPT: usize = 4_096;

/// What a listener is for. Two trades on one address are two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trade {
    Site(Transport),
    Relay(RelayProtocol),
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
            keyring: Arc::default(),
            keeping: Keeping::Disk,
            authority: Mutex::default(),
            seal_key: Mutex::default(),
            groups: Mutex::default(),
            sessions: Mutex::default(),
            handshakes: Mutex::default(),
            materials: Mutex::default(),
            findings: discovered::Findings::default(),
            listeners: Mutex::default(),
            relays: Mutex::default(),
            resilience: Mutex::default(),
            stores: stores::Stores::default(),
            workshop: Arc::default(),
            errands: Arc::default(),
            keys: Arc::default(),
            providers: Arc::default(),
            made: Arc::default(),
            hints: Mutex::default(),
            rules: RuleGround::default(),
            guards: guard::GuardGround::default(),
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
        self.listener_id((listener.address.clone(), Trade::Site(listener.transport)))
    }

    /// The id of a relay among the listeners, and the count of its connections.
    fn relay(&self, relay: &Relay) -> (usize, Arc<AtomicU64>) {
        let name = (relay.address.value.clone(), Trade::Relay(relay.protocol.value));
        let id = self.listener_id(name);
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        (id, Arc::clone(relays.entry(id).or_default()))
    }

    fn listener_id(&self, name: (SocketAddress, Trade)) -> usize {
        let mut known = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().position(|other| *other == name).unwrap_or_else(|| {
            known.push(name);
            known.len() - 1
        })
    }

    /// What cores share of an upstream, the same for every plan that names it, as long as one is held.
    fn group(&self, upstream: &str) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(upstream).and_then(Weak::upgrade) {
            return group;
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let group = Group::new(Settings::default());
        groups.insert(upstream.to_owned(), Arc::downgrade(&group));
        group
    }

    /// The books of an upstream's resilience, the same for every plan that names it, as long as one
    /// is held.
    fn resilience(&self, upstream: &str) -> Arc<Resilience> {
        let mut known = self.resilience.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(books) = known.get(upstream).and_then(Weak::upgrade) {
            return books;
        }
        known.retain(|_, books| books.strong_count() > 0);
        let books = Resilience::new();
        known.insert(upstream.to_owned(), Arc::downgrade(&books));
        books
    }

    /// A store, the same for every plan that names it, as long as one is held.
    fn store(&self, written: &doorman_config::Store, faults: &mut Faults) -> Option<Arc<Store>> {
        self.stores.store(written, self.keeping, self.clock.now(), faults)
    }

    /// What stores want threads for since the last call; it is to be called when a plan has come into
    /// force.
    #[must_use]
    pub fn take_workers(&self) -> Vec<StoreWorker> {
        self.stores.take_workers()
    }

    /// The sessions of an upstream, the same for every plan that has room for as many; they go with
    /// the last plan that learns them.
    fn sessions(&self, upstream: &str, entries: u32) -> Arc<Sessions> {
        let mut known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = known.get(upstream).and_then(Weak::upgrade)
            && sessions.entries() == entries
        {
            return sessions;
        }
        known.retain(|_, sessions| sessions.strong_count() > 0);
        let sessions = Arc::new(Sessions::new(upstream, entries));
        known.insert(upstream.to_owned(), Arc::downgrade(&sessions));
        sessions
    }

    /// The count of TLS handshakes with a server, the same for every plan that names it.
    fn handshakes(&self, key: &str) -> Arc<Handshakes> {
        let mut known = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= HANDSHAKES_KEPT {
            // Servers that are discovered could be without end: those that nobody holds are forgotten.
            known.retain(|_, counts| Arc::strong_count(counts) > 1);
        }
        Arc::clone(known.entry(key.to_owned()).or_default())
    }

    /// The key of what clients keep for us, opened or made at the first need.
    fn seal_key(&self, span: Span, faults: &mut Faults) -> Option<Arc<SealKey>> {
        let mut known = self.seal_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Some(Arc::clone(key));
        }
        let opened = match self.keeping {
            Keeping::Disk => SealKey::open_or_create(&self.data),
            Keeping::Nothing => SealKey::open_or_imagine(&self.data),
        };
        match opened {
            Ok(key) => Some(Arc::clone(known.insert(Arc::new(key)))),
            Err(error) => {
                faults.error(compile::code::SEAL_KEY, span, error.to_string());
                None
            }
        }
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
        compile::compile(config, ground, Broken::Refused)
    }

    /// Makes the plan of a configuration that is in force anew, because files that it names have changed.
    /// One that cannot be used leaves what was made of its predecessor in force; [`Plan::stale`] tells.
    #[must_use]
    pub fn renew(config: &Arc<Config>, ground: &Ground) -> Compiled {
        compile::compile(config, ground, Broken::Outlived)
    }
}

impl Plan {
    /// Whether any site gets its certificates by itself.
    #[must_use]
    pub const fn has_automatic(&self) -> bool {
        self.proofs.is_some()
    }

    /// Where what is kept is made smaller.
    #[must_use]
    pub const fn workshop(&self) -> &Arc<Workshop> {
        &self.workshop
    }

    /// Whether there can be work for it.
    #[must_use]
    pub fn wants_workshop(&self) -> bool {
        let mut routes = self.sites.iter().flat_map(|site| &site.routes);
        let codes =
            |route: &PlanRoute| route.code.as_ref().is_some_and(|code| code.compress.is_some());
        routes.any(|route| {
            let cache = route.cache.as_ref();
            cache.is_some_and(|cache| cache.optimize.is_some() || codes(route))
        })
    }

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
