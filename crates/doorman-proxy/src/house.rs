//! What a core's requests share: the plan in force, the connections to origins, the books.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use doorman_balance::{Balancer, BreakerStep, Split};
use doorman_net::dial::{self, Dialler, Pool, fastcgi};
use doorman_net::seam::Stream;
use doorman_net::{Clock, Core, Net};
use doorman_transform::Coders;

use crate::gate::{PlanBan, Tokens};
use crate::inspection::Desk;
use crate::leash::Leash;
use crate::metrics::{CoreCounters, ListenerCounters};
use crate::plan::{Plan, PlanRoute, PlanServer, PlanSite};
use crate::pressure::Meter;
use crate::record::{Place, Record, ServerPlace};
use crate::relay::{RelayPlace, RelayRecord};

/// Where records go: the access log.
pub trait Journal: 'static {
    /// Takes a finished record down. It must not block.
    fn write(&self, record: &Record);

    /// Takes the record of a relayed connection down. It must not block.
    fn relayed(&self, record: &RelayRecord) {
        let _ = record;
    }

    /// Hears that the breaker of an upstream made a step. It must not block.
    fn breaker(&self, upstream: &str, step: BreakerStep) {
        let _ = (upstream, step);
    }

    /// Hears a part of what a server complains of while it works on a request. It must not block.
    fn complained(&self, server: &ServerPlace, request_id: &[u8], text: &[u8]) {
        let _ = (server, request_id, text);
    }
}

/// A journal that keeps nothing.
#[derive(Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn write(&self, _: &Record) {}
}

/// Where a core writes down what happened.
pub struct Books {
    pub(crate) clock: Clock,
    counters: Arc<CoreCounters>,
    journal: RefCell<Rc<dyn Journal>>,
    date: RefCell<DateLine>,
}

struct DateLine {
    second: u64,
    text: [u8; 29],
}

impl Books {
    /// Counters, and the journal for records.
    #[must_use]
    pub fn new(clock: Clock, counters: Arc<CoreCounters>, journal: Rc<dyn Journal>) -> Rc<Self> {
        let date = RefCell::new(DateLine { second: 0, text: doorman_http::date::write(0) });
        Rc::new(Self { clock, counters, journal: RefCell::new(journal), date })
    }

    /// Another journal from now on.
    pub fn set_journal(&self, journal: Rc<dyn Journal>) {
        *self.journal.borrow_mut() = journal;
    }

    /// The core's counters.
    #[must_use]
    pub const fn counters(&self) -> &Arc<CoreCounters> {
        &self.counters
    }

    /// The date as HTTP writes it; formatted once a second.
    pub(crate) fn date(&self, unix_seconds: u64) -> [u8; 29] {
        let mut date = self.date.borrow_mut();
        if date.second != unix_seconds {
            date.second = unix_seconds;
            date.text = doorman_http::date::write(unix_seconds);
        }
        date.text
    }

    pub(crate) fn breaker(&self, upstream: &str, step: BreakerStep) {
        let journal = Rc::clone(&*self.journal.borrow());
        journal.breaker(upstream, step);
    }

    pub(crate) fn complained(&self, server: &ServerPlace, request_id: &[u8], text: &[u8]) {
        let journal = Rc::clone(&*self.journal.borrow());
        journal.complained(server, request_id, text);
    }

    pub(crate) fn close_relay(&self, record: &RelayRecord) {
        let counters = &record.place.counters;
        counters.ended[record.end.place()].add(1);
        counters.bytes_in.add(record.bytes_in);
        counters.bytes_out.add(record.bytes_out);
        let journal = Rc::clone(&*self.journal.borrow());
        journal.relayed(record);
    }

    pub(crate) fn close(&self, record: &Record) {
        if let Some(place) = &record.place {
            let counters = &place.counters;
            if let Some(head) = &record.head {
                counters.requests[crate::metrics::version_place(head.version)].add(record.status);
                if head.early {
                    counters.early.add(1);
                }
                if record.hinted > 0 {
                    counters.hinted.add(1);
                }
            }
            counters.duration.add(record.ended.micros_since(record.started.instant));
            if let Some(answered) = record.answered {
                counters.first_byte.add(answered.micros_since(record.started.instant));
            }
            counters.bytes_in.add(record.bytes_in);
            counters.bytes_out.add(record.bytes_out);
            if let (Some(cache), Some(cached)) = (&place.cache, record.cached) {
                cache.requests[cached as usize].add(1);
                if record.server.is_none() {
                    cache.bytes.add(record.bytes_out);
                }
            }
        }
        if let Some(inspected) = &record.inspected {
            if let Some(waf) = record.place.as_ref().and_then(|place| place.waf.as_ref()) {
                waf.decisions[inspected.action as usize].add(1);
                waf.nanos.add(inspected.nanos);
            }
            self.counters.rules_matched(&inspected.hits);
        }
        for tally in record.coded.iter().chain(&record.decoded) {
            self.counters.coded(tally);
        }
        if let Some(anomaly) = record.anomaly {
            self.counters.anomaly(anomaly);
        }
        if let (Some(server), Some(sticky)) = (&record.server, record.sticky) {
            server.counters.sticky[sticky as usize].add(1);
        }
        if let (Some(server), Some(answered)) = (&record.server, record.answered) {
            server.counters.requests.add(record.status);
            let since = record.connected.unwrap_or(record.started.instant);
            server.counters.duration.add(answered.micros_since(since));
        }
        if let Some(place) = &record.place {
            place.bans.iter().for_each(|ban| ban.watch(record));
        }
        let journal = Rc::clone(&*self.journal.borrow());
        journal.write(record);
    }
}

/// The plan with what one core keeps for it.
pub(crate) struct CorePlan<N: Net> {
    pub(crate) plan: Arc<Plan>,
    pub(crate) upstreams: Vec<CoreUpstream<N>>,
    pub(crate) splits: Vec<Vec<Option<Split>>>,
    pub(crate) places: Vec<Vec<Rc<Place>>>,
    /// What it runs rules with, in the order of the plan's sets.
    pub(crate) desks: Vec<Rc<Desk>>,
    pub(crate) no_route: Vec<Rc<Place>>,
    pub(crate) no_site: Rc<Place>,
    /// Where what a certificate authority asks is counted, if it may ask.
    pub(crate) proofs: Option<Rc<Place>>,
    /// In the plan's order.
    pub(crate) relays: Vec<Rc<RelayPlace>>,
    /// By listener id; looked through when a connection comes, not when a request does.
    pub(crate) listeners: Vec<(usize, Arc<ListenerCounters>)>,
}

impl<N: Net> CorePlan<N> {
    /// The counters of a listener; `None` if it is in this plan no more.
    pub(crate) fn listener(&self, id: usize) -> Option<&Arc<ListenerCounters>> {
        self.listeners.iter().find(|(known, _)| *known == id).map(|(_, counters)| counters)
    }
}

pub(crate) struct CoreUpstream<N: Net> {
    pub(crate) balancer: Balancer,
    pub(crate) servers: Vec<CoreServer<N>>,
}

pub(crate) struct CoreServer<N: Net> {
    pub(crate) dialler: Dialler<N>,
    /// The way to it if it is a FastCGI application.
    pub(crate) cgi: Option<fastcgi::Dialler<N>>,
    pub(crate) place: Rc<ServerPlace>,
    /// What ends its tunnels.
    pub(crate) leash: Rc<Leash>,
}

/// Connections to servers, by the keys of [`PlanServer`].
struct Pools<S: Stream> {
    http: HashMap<String, Rc<Pool<S>>>,
    cgi: HashMap<String, Rc<fastcgi::Pool<S>>>,
    leashes: HashMap<String, Rc<Leash>>,
}

impl<S: Stream> Default for Pools<S> {
    fn default() -> Self {
        Self { http: HashMap::new(), cgi: HashMap::new(), leashes: HashMap::new() }
    }
}

/// The proxy as one core runs it. Everything that outlives a plan is here.
pub struct Proxy<N: Net> {
    pub(crate) net: N,
    pub(crate) core: Rc<Core>,
    pub(crate) books: Rc<Books>,
    current: RefCell<Rc<CorePlan<N>>>,
    pools: RefCell<Pools<N::Stream>>,
    /// What bodies are coded with.
    pub(crate) coders: Coders,
    /// What is remembered of tokens.
    pub(crate) tokens: Rc<Tokens>,
    /// How hard-pressed the core is.
    pub(crate) meter: Rc<Meter>,
    /// Books that nobody reads, for what is no request of a client.
    unread: OnceCell<Rc<Books>>,
}

/// Names in metrics for requests that found no site or no route: a closed set, never the client's
/// words.
const NO_SITE: &str = "_unmatched";
const NO_ROUTE: &str = "_none";
/// The route of what a certificate authority asks to see that a name is ours.
const PROOF: &str = "_acme";

impl<N: Net> Proxy<N> {
    /// A proxy that follows `plan`.
    #[must_use]
    pub fn new(net: N, core: Rc<Core>, books: Rc<Books>, plan: Arc<Plan>) -> Rc<Self> {
        let pools = RefCell::default();
        let current = Rc::new(core_plan(&net, core.clock, &books, &pools, &[], plan));
        let unread = OnceCell::new();
        let (coders, tokens) = (Coders::new(), Rc::default());
        let current = RefCell::new(current);
        let meter = Rc::new(Meter::new(books.counters().overload()));
        Rc::new(Self { net, core, books, current, pools, coders, tokens, meter, unread })
    }

    /// Follows another plan from now on. Requests under way end with the plan they began with;
    /// connections to servers that are in both plans are kept.
    pub fn follow(&self, plan: Arc<Plan>) {
        let before = self.plan();
        let (clock, desks) = (self.core.clock, &before.desks);
        let next = core_plan(&self.net, clock, &self.books, &self.pools, desks, plan);
        *self.current.borrow_mut() = Rc::new(next);
        self.meter.call();
    }

    /// The plan in force: one snapshot for a whole request.
    pub(crate) fn plan(&self) -> Rc<CorePlan<N>> {
        Rc::clone(&*self.current.borrow())
    }

    /// The proxy for what is no request of a client: its records go nowhere.
    pub(crate) fn shadow(&self, plan: &Rc<CorePlan<N>>) -> Self {
        Self {
            net: self.net.clone(),
            core: Rc::clone(&self.core),
            books: Rc::clone(self.unread()),
            current: RefCell::new(Rc::clone(plan)),
            pools: RefCell::default(),
            coders: self.coders.clone(),
            tokens: Rc::clone(&self.tokens),
            meter: Rc::clone(&self.meter),
            unread: OnceCell::new(),
        }
    }

    /// Books that nobody reads.
    pub(crate) fn unread(&self) -> &Rc<Books> {
        let unread = || Books::new(self.core.clock, Arc::default(), Rc::new(NoJournal));
        self.unread.get_or_init(unread)
    }

    /// The core's books.
    #[must_use]
    pub const fn books(&self) -> &Rc<Books> {
        &self.books
    }

    /// Closes connections to origins that have been idle for too long. Called every few seconds.
    pub fn sweep(&self) {
        let now = self.core.clock.instant();
        let pools = self.pools.borrow();
        pools.http.values().for_each(|pool| pool.sweep(now));
        pools.cgi.values().for_each(|pool| pool.sweep(now));
    }

    /// Ends the tunnels to a server and closes its idle connections; those in use close when their request ends.
    pub fn release(&self, upstream: &str, server: &str) {
        let plan = self.plan();
        let Some(at) = plan.plan.upstreams.iter().position(|one| *one.name == *upstream) else {
            return;
        };
        let pools = self.pools.borrow();
        for (written, own) in
            plan.plan.upstreams[at].servers.iter().zip(&plan.upstreams[at].servers)
        {
            if *written.name != *server {
                continue;
            }
            own.leash.let_go();
            if let Some(pool) = pools.http.get(&written.pool_key) {
                pool.clear();
            }
            if let Some(pool) = pools.cgi.get(&written.pool_key) {
                pool.clear();
            }
        }
    }

    /// Closes connections to origins, those in use when their last request ends.
    pub fn hang_up(&self) {
        let pools = self.pools.borrow();
        pools.http.values().for_each(|pool| pool.clear());
        pools.cgi.values().for_each(|pool| pool.clear());
    }

    /// Connections to origins: idle, and open at all.
    #[must_use]
    pub fn upstream_connections(&self) -> (usize, usize) {
        let pools = self.pools.borrow();
        let http = pools.http.values().map(|pool| (pool.idle(), pool.open()));
        let cgi = pools.cgi.values().map(|pool| (pool.idle(), pool.open()));
        http.chain(cgi).fold((0, 0), |sum, (idle, open)| (sum.0 + idle, sum.1 + open))
    }
}

fn core_plan<N: Net>(
    net: &N,
    clock: Clock,
    books: &Books,
    pools: &RefCell<Pools<N::Stream>>,
    before: &[Rc<Desk>],
    plan: Arc<Plan>,
) -> CorePlan<N> {
    let counters = books.counters();
    let malformed: Arc<[PlanBan]> = plan.bans_of_malformed().into();
    let stored = |site: &str, route: &str, store: Option<&str>, waf: bool, bans: Arc<[_]>| {
        Rc::new(Place {
            bans,
            site: site.into(),
            route: route.into(),
            counters: counters.route(site, route),
            cache: store.map(|store| counters.cache(store)),
            waf: waf.then(|| counters.waf(site)),
        })
    };
    let place = |site: &str, route: &str| stored(site, route, None, false, Arc::clone(&malformed));
    let of_route = |site: &PlanSite, route: &PlanRoute| {
        let store = route.cache.as_ref().map(|cache| cache.store.name());
        let bans = route.guard.as_ref().map_or_else(Arc::default, |guard| Arc::clone(&guard.bans));
        stored(&site.name, &route.name, store, route.waf.is_some(), bans)
    };
    let places = plan
        .sites
        .iter()
        .map(|site| site.routes.iter().map(|route| of_route(site, route)).collect());
    let splits = plan.sites.iter().map(|site| {
        site.routes.iter().map(|route| route.shares().map(|shares| Split::new(&shares))).collect()
    });
    let mut kept = Pools::default();
    let mut old = pools.borrow_mut();
    let upstreams = plan.upstreams.iter().map(|upstream| {
        if let Some(resilience) = &upstream.resilience {
            resilience.settle();
        }
        let servers = upstream.servers.iter().map(|server| {
            let fresh = || Pool::new(upstream.pool);
            let pool = keep(&mut old.http, &mut kept.http, &server.pool_key, fresh);
            pool.set_limits(upstream.pool);
            let counted = upstream.method.uses_connections();
            if counted {
                pool.count_in(server.state.connections());
            }
            let cgi = upstream.cgi.as_ref().map(|_| {
                let fresh = || fastcgi::Pool::new(upstream.pool);
                let pool = keep(&mut old.cgi, &mut kept.cgi, &server.pool_key, fresh);
                pool.set_limits(upstream.pool);
                if counted {
                    pool.count_in(server.state.connections());
                }
                let address = server.address.clone();
                fastcgi::Dialler::new(net.clone(), clock, address, upstream.manner, pool)
            });
            let leash = keep(&mut old.leashes, &mut kept.leashes, &server.pool_key, Rc::default);
            CoreServer {
                cgi,
                leash,
                dialler: Dialler::new(
                    net.clone(),
                    clock,
                    dial::Server {
                        address: server.address.clone(),
                        tls: server.tls.clone(),
                        tls_single: server.tls_single.clone(),
                        protocol: server.protocol,
                        manner: upstream.manner,
                        limits: plan.upstream_limits.clone(),
                    },
                    pool,
                ),
                place: Rc::new(ServerPlace {
                    upstream: upstream.name.clone(),
                    server: server.name.clone(),
                    counters: counters.server(&upstream.name, &server.name),
                }),
            }
        });
        upstream.group.settle(upstream.settings);
        let members = upstream.servers.iter().map(PlanServer::member).collect();
        CoreUpstream {
            servers: servers.collect(),
            balancer: Balancer::new(&upstream.group, upstream.method, members)
                .watching(upstream.watching()),
        }
    });
    let upstreams = upstreams.collect();
    counters.forget_servers(|upstream, server| plan.has_discovered_away(upstream, server));
    // Tunnels to servers that are in no plan any more hold on to their leashes themselves.
    // Pools of servers that are in no plan any more close with the last request that uses them.
    old.http.values().for_each(|pool| pool.clear());
    old.cgi.values().for_each(|pool| pool.clear());
    *old = kept;
    let desks = plan.rule_sets.iter().map(|set| {
        let known = before.iter().find(|desk| Arc::ptr_eq(&desk.engine, &set.engine));
        known.map_or_else(|| Desk::new(&set.engine), Rc::clone)
    });
    CorePlan {
        desks: desks.collect(),
        upstreams,
        places: places.collect(),
        splits: splits.collect(),
        no_route: plan
            .sites
            .iter()
            .map(|site| {
                stored(&site.name, NO_ROUTE, None, false, plan.bans_of_nowhere(site).into())
            })
            .collect(),
        no_site: place(NO_SITE, NO_ROUTE),
        proofs: plan.has_automatic().then(|| place(NO_SITE, PROOF)),
        relays: plan
            .relays
            .iter()
            .map(|relay| {
                let counters = counters.relay(&relay.name);
                Rc::new(RelayPlace { relay: relay.name.clone(), counters })
            })
            .collect(),
        listeners: plan.listeners.iter().map(|l| (l.id, counters.listener(&l.name))).collect(),
        plan,
    }
}

/// The pool of that key, from the plan before, from another server of this plan, or a fresh one.
fn keep<P>(
    old: &mut HashMap<String, Rc<P>>,
    kept: &mut HashMap<String, Rc<P>>,
    key: &str,
    fresh: impl FnOnce() -> Rc<P>,
) -> Rc<P> {
    let known = old.remove(key).or_else(|| kept.get(key).cloned());
    let pool = known.unwrap_or_else(fresh);
    kept.insert(key.to_owned(), Rc::clone(&pool));
    pool
}
