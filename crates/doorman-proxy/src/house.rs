//! What a core's requests share: the plan in force, the connections to origins, the books.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use doorman_balance::{Balancer, Member, Split};
use doorman_net::dial::{Dialler, Pool};
use doorman_net::{Clock, Core, Net};

use crate::metrics::{CoreCounters, ListenerCounters};
use crate::plan::{Plan, PlanServer};
use crate::record::{Place, Record, ServerPlace};

/// Where records go: the access log.
pub trait Journal: 'static {
    /// Takes a finished record down. It must not block.
    fn write(&self, record: &Record);
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
        let date = RefCell::new(DateLine { second: 0, text: doorman_transform::http_date(0) });
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
            date.text = doorman_transform::http_date(unix_seconds);
        }
        date.text
    }

    pub(crate) fn close(&self, record: &Record) {
        if let Some(place) = &record.place {
            let counters = &place.counters;
            if let Some(head) = &record.head {
                counters.requests[crate::metrics::version_place(head.version)].add(record.status);
            }
            counters.duration.add(record.ended.since(record.started.instant));
            if let Some(answered) = record.answered {
                counters.first_byte.add(answered.since(record.started.instant));
            }
            counters.bytes_in.add(record.bytes_in);
            counters.bytes_out.add(record.bytes_out);
        }
        if let (Some(server), Some(answered)) = (&record.server, record.answered) {
            server.counters.requests.add(record.status);
            let since = record.connected.unwrap_or(record.started.instant);
            server.counters.duration.add(answered.since(since));
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
    pub(crate) no_route: Vec<Rc<Place>>,
    pub(crate) no_site: Rc<Place>,
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
    pub(crate) place: Rc<ServerPlace>,
}

type Pools<S> = HashMap<String, Rc<Pool<S>>>;

/// The proxy as one core runs it. Everything that outlives a plan is here.
pub struct Proxy<N: Net> {
    pub(crate) net: N,
    pub(crate) core: Rc<Core>,
    pub(crate) books: Rc<Books>,
    current: RefCell<Rc<CorePlan<N>>>,
    pools: RefCell<Pools<N::Stream>>,
}

/// Names in metrics for requests that found no site or no route: a closed set, never the client's
/// words.
const NO_SITE: &str = "_unmatched";
const NO_ROUTE: &str = "_none";

impl<N: Net> Proxy<N> {
    /// A proxy that follows `plan`.
    #[must_use]
    pub fn new(net: N, core: Rc<Core>, books: Rc<Books>, plan: Arc<Plan>) -> Rc<Self> {
        let pools = RefCell::default();
        let current = Rc::new(core_plan(&net, core.clock, &books, &pools, plan));
        Rc::new(Self { net, core, books, current: RefCell::new(current), pools })
    }

    /// Follows another plan from now on. Requests under way end with the plan they began with;
    /// connections to servers that are in both plans are kept.
    pub fn follow(&self, plan: Arc<Plan>) {
        let next = core_plan(&self.net, self.core.clock, &self.books, &self.pools, plan);
        *self.current.borrow_mut() = Rc::new(next);
    }

    /// The plan in force: one snapshot for a whole request.
    pub(crate) fn plan(&self) -> Rc<CorePlan<N>> {
        Rc::clone(&*self.current.borrow())
    }

    /// The core's books.
    #[must_use]
    pub const fn books(&self) -> &Rc<Books> {
        &self.books
    }

    /// Closes connections to origins that have been idle for too long. Called every few seconds.
    pub fn sweep(&self) {
        let now = self.core.clock.instant();
        for pool in self.pools.borrow().values() {
            pool.sweep(now);
        }
    }

    /// Connections to origins: idle, and open at all.
    #[must_use]
    pub fn upstream_connections(&self) -> (usize, usize) {
        let pools = self.pools.borrow();
        pools.values().fold((0, 0), |(idle, open), pool| (idle + pool.idle(), open + pool.open()))
    }
}

fn core_plan<N: Net>(
    net: &N,
    clock: Clock,
    books: &Books,
    pools: &RefCell<Pools<N::Stream>>,
    plan: Arc<Plan>,
) -> CorePlan<N> {
    let counters = books.counters();
    let place = |site: &str, route: &str| {
        Rc::new(Place {
            site: site.into(),
            route: route.into(),
            counters: counters.route(site, route),
        })
    };
    let places = plan
        .sites
        .iter()
        .map(|site| site.routes.iter().map(|route| place(&site.name, &route.name)).collect());
    let splits = plan.sites.iter().map(|site| {
        site.routes.iter().map(|route| route.shares().map(|shares| Split::new(&shares))).collect()
    });
    let mut kept = HashMap::new();
    let mut old = pools.borrow_mut();
    let upstreams = plan.upstreams.iter().map(|upstream| {
        let servers = upstream.servers.iter().map(|server| {
            let pool = old
                .remove(&server.pool_key)
                .or_else(|| kept.get(&server.pool_key).cloned())
                .unwrap_or_else(|| Pool::new(upstream.pool));
            pool.set_limits(upstream.pool);
            kept.insert(server.pool_key.clone(), Rc::clone(&pool));
            CoreServer {
                dialler: Dialler::new(
                    net.clone(),
                    clock,
                    server.address.clone(),
                    server.tls.clone(),
                    pool,
                ),
                place: Rc::new(ServerPlace {
                    upstream: upstream.name.clone(),
                    server: server.name.clone(),
                    counters: counters.server(&upstream.name, &server.name),
                }),
            }
        });
        CoreUpstream {
            servers: servers.collect(),
            balancer: Balancer::new(upstream.method, upstream.servers.iter().map(member).collect()),
        }
    });
    let upstreams = upstreams.collect();
    // Pools of servers that are in no plan any more close with the last request that uses them.
    for pool in old.values() {
        pool.clear();
    }
    *old = kept;
    CorePlan {
        upstreams,
        places: places.collect(),
        splits: splits.collect(),
        no_route: plan.sites.iter().map(|site| place(&site.name, NO_ROUTE)).collect(),
        no_site: place(NO_SITE, NO_ROUTE),
        listeners: plan.listeners.iter().map(|l| (l.id, counters.listener(&l.name))).collect(),
        plan,
    }
}

fn member(server: &PlanServer) -> Member {
    Member {
        state: Arc::clone(&server.state),
        weight: server.weight,
        in_flight_max: server.max_connections,
    }
}
