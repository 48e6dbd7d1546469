//! The whole proxy in a simulation: scripted clients and origins on an in-memory network in
//! virtual time, with misfortunes chosen by a seed.
//!
//! Checked in every seed: what an origin can parse is what a client sent, once if the method is
//! unsafe (I1, I8); no framing or hop-by-hop field crosses (I2); a response that looks complete is
//! complete, and is the answer to its own request (I4, I5); every wait ends (I9). A seed that fails
//! is run alone with `SIM_SEED=N`; some seeds are run twice, and must repeat to the byte.

mod cache;
mod client;
mod keys;
mod message;
mod origin;
mod origin_h2;
mod sign_in;
mod waits;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_config::{MemorySource, load};
use doorman_net::serve::{Doorway, Gate, Trade, accept};
use doorman_net::tls::TicketKeys;
use doorman_net::{Core, ServeSettings};
use doorman_proxy::{Books, CoreCounters, Ground, Journal, Plan, Proxy, Record};
use doorman_testkit::sim::{Fault, Faults, Sim, simulate};

/// Seeds of a run.
const SEEDS: u64 = 1_500;
/// One in so many seeds is run twice.
const REPEATED: u64 = 100;
/// Virtual time that a whole story may take: stalls of a minute, timeouts of a minute, six clients
/// with several requests each, one after the other.
const STORY_MAX: Duration = Duration::from_secs(4 * 3600);

/// What origins speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Back {
    H1,
    H2,
}

const CONFIG: &str = "
upstream o {
    server 10.0.0.1:80
    server 10.0.0.2:80
    protocol @
}
site http://*:80 {
    route * { body max 1MiB; proxy o }
}
";

/// What clients sent and what origins parsed, by request id.
#[derive(Default)]
struct Ledger {
    sent: RefCell<BTreeMap<u64, message::Sent>>,
    seen: RefCell<BTreeMap<u64, u32>>,
    /// Requests that an origin had the choice to refuse.
    refused: RefCell<BTreeSet<u64>>,
}

#[test]
fn seeds() {
    tell_all(Back::H1, SEEDS);
}

#[test]
fn seeds_over_h2() {
    tell_all(Back::H2, SEEDS / 10);
}

fn tell_all(back: Back, seeds: u64) {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("SIM_SEED is a number");
        run(back, seed);
        return;
    }
    let seeds =
        std::env::var("SIM_SEEDS").map_or(seeds, |n| n.parse().expect("SIM_SEEDS is a number"));
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let guard = Named(seed);
                    let first = run(back, seed);
                    // The crate of HTTP/2 reads the real clock to forget streams.
                    if back == Back::H1 && seed.is_multiple_of(REPEATED) {
                        assert_eq!(run(back, seed), first, "seed {seed} does not repeat");
                    }
                    std::mem::forget(guard);
                }
            });
        }
    });
}

/// Tells what the proxy's log would say, when a single story is looked at.
struct Tell;

impl Journal for Tell {
    fn write(&self, record: &Record) {
        if std::env::var_os("SIM_SEED").is_some() {
            let id = record.head.as_ref().and_then(|head| head.fields.first_named(b"x-id"));
            eprintln!(
                "request {}: {} {} {:?} after {:?} tries, {:?}",
                String::from_utf8_lossy(id.unwrap_or_default()),
                record.status,
                record.end.as_str(),
                record.detail,
                record.attempts,
                record.ended.since(record.started.instant)
            );
        }
    }
}

/// Names the seed when its story panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!(
            "the story of seed {0} failed; alone: SIM_SEED={0} cargo test -p doorman-proxy --test sim",
            self.0
        );
    }
}

/// Tells one story; gives the hash of everything that happened on the network.
fn run(back: Back, seed: u64) -> u64 {
    // A third of the seeds have only misfortunes that lose nothing: then everything must succeed.
    let gentle = seed.is_multiple_of(3);
    let faults = match (gentle, has_surplus(seed)) {
        (_, true) => Faults::swarm_of(seed, &[Fault::Reset, Fault::Refuse, Fault::Cut]),
        (true, false) => Faults::swarm_of(seed, &Fault::GENTLE),
        (false, false) => Faults::swarm(seed),
    };
    let gentle = gentle && !has_surplus(seed);
    match simulate(seed, faults, STORY_MAX, move |sim| story(sim, back, seed, gentle)) {
        Ok(run) => run.trace_hash,
        Err(stuck) => panic!("{stuck:?}"),
    }
}

/// Whether origins send bytes that nobody asked for behind an answer. Only where the network keeps
/// them with it: what comes later, on a connection that has been given to the next request, cannot
/// be told from the answer to that.
fn has_surplus(seed: u64) -> bool {
    seed.is_multiple_of(7)
}

async fn story(sim: Sim, back: Back, seed: u64, gentle: bool) {
    let ledger = Rc::new(Ledger::default());
    for origin in ["10.0.0.1:80", "10.0.0.2:80"] {
        match back {
            Back::H1 => origin::start(&sim, address(origin), seed, &ledger),
            Back::H2 => origin_h2::start(&sim, address(origin), seed, gentle, &ledger),
        }
    }
    let text = CONFIG.replace('@', if back == Back::H1 { "h1" } else { "h2c" });
    let (core, _) = proxy(&sim, &text);
    let clients = (0..6).map(|n| {
        let (sim, ledger) = (sim.clone(), Rc::clone(&ledger));
        tokio::task::spawn_local(client::run(sim, seed, n, gentle, ledger))
    });
    for client in clients.collect::<Vec<_>>() {
        if let Err(error) = client.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    core.drain();
    core.emptied().await;
    judge(&ledger);
}

/// Unsafe requests arrived at most once.
fn judge(ledger: &Ledger) {
    let sent = ledger.sent.borrow();
    for (id, count) in ledger.seen.borrow().iter() {
        let request =
            sent.get(id).unwrap_or_else(|| panic!("an origin saw request {id}, which nobody sent"));
        if !request.is_idempotent() {
            assert!(*count <= 1, "I8: {request:?} arrived {count} times");
        }
    }
}

/// Starts the proxy at 192.0.2.1:80.
fn proxy(sim: &Sim, text: &str) -> (Rc<Core>, Arc<Plan>) {
    proxy_on(sim, text, &ground(sim))
}

fn ground(sim: &Sim) -> Ground {
    let clock = sim.clock();
    let tickets = TicketKeys::new(Arc::new(clock)).expect("the system has randomness");
    Ground::new("/nonexistent".into(), clock, tickets)
}

fn proxy_on(sim: &Sim, text: &str, ground: &Ground) -> (Rc<Core>, Arc<Plan>) {
    let clock = sim.clock();
    let loaded = load(&MemorySource::new().file("sim.conf", text), "sim.conf");
    let config = Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
    let compiled = Plan::compile(&config, ground);
    let plan = Arc::new(compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics)));
    let core = Core::new(clock);
    let books = Books::new(clock, Arc::new(CoreCounters::default()), Rc::new(Tell));
    let proxy = Proxy::new(sim.net(), Rc::clone(&core), books, Arc::clone(&plan));
    let listener = sim.listen(address("192.0.2.1:80")).expect("the address is free");
    let doorway = Doorway {
        listener: 0,
        settings: Rc::new(ServeSettings::default()),
        tls: None,
        announcers: None,
        trade: Trade::Http,
    };
    let doorway = Rc::new(RefCell::new(doorway));
    tokio::task::spawn_local(accept(Rc::clone(&core), listener, doorway, proxy, Gate::default()));
    (core, plan)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
