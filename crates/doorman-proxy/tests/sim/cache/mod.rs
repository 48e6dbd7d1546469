//! Cached pages under misfortunes: a store so small that it evicts, origins whose pages change and that
//! fail, clients that ask in every way, changes, purges.
//!
//! In every seed, of every answer: its bytes are the page's that was asked for, as the one who asked is
//! to see it, and of one version of it; what is cut does not look whole; it is no older than its
//! origin's words and the windows of the route allow, nor than its `Age`; what was said before a change
//! or a purge that was answered is not given to who asks afterwards; what is for one client was said to
//! that one; nobody waits for ever. When all is over no fetch and no place is taken, and nothing is
//! left in memory once it is purged.

mod client;
mod found;
mod judge;
mod model;
mod origin;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_proxy::Plan;
use doorman_store::{How, Purge, Store};
use doorman_testkit::sim::{Fault, Faults, Sim, simulate};

use crate::message::{draw, drawn};
use crate::{STORY_MAX, address, proxy};
use judge::Seen;
use model::{Page, Truth};

/// Seeds of a run.
const SEEDS: u64 = 250;
/// One in so many seeds is run twice.
const REPEATED: u64 = 10;
const CLIENTS: u64 = 6;
/// Bytes of the store, by seed: room for a few small pages, for one large one, for most.
const MEMORY: [u64; 3] = [40 * 1024, 150 * 1024, 384 * 1024];
/// Bytes of the largest body in it.
const OBJECT_MAX: u64 = 128 * 1024;
/// Virtual time after which nothing that was begun for a client may go on.
const AFTERMATH: Duration = Duration::from_secs(180);

const CONFIG: &str = "
store s { memory 1MiB }
upstream o {
    server 10.0.0.1:80
    server 10.0.0.2:80
    timeout connect 2s
    timeout head 8s
    timeout idle 10s
}
site http://*:80 {
    route /slice/* { cache s { slice 64KiB; lock 1500ms; @ }; proxy o }
    route /part/* { cache s { slice 64KiB; lock 1500ms; @ }; proxy o }
    route /alone/* { cache s { lock off; @ }; proxy o }
    route /tenant/* { cache s { key header X-Tenant; lock 1500ms; @ }; proxy o }
    route * { cache s { lock 1500ms; @ }; proxy o }
}
";

/// What all routes have.
const WORDS: &str = "stale 4s; stale-if-error 20s; ttl 3s; status-header on";

/// What a story is about.
struct Scene {
    truth: Rc<Truth>,
    store: Arc<Store>,
    seen: Arc<Seen>,
    /// Whether the connections of clients lose nothing and end nothing.
    is_steady: bool,
}

#[test]
fn what_is_kept_is_told_as_it_was_said() {
    let seen = Arc::new(Seen::default());
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let course = run(seed.parse().expect("SIM_SEED is a number"), &seen);
        eprintln!("all that happened on the network: {course:x}, {:?}", seen.all());
        return;
    }
    let seeds =
        std::env::var("SIM_SEEDS").map_or(SEEDS, |n| n.parse().expect("SIM_SEEDS is a number"));
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
                    let first = run(seed, &seen);
                    if seed.is_multiple_of(REPEATED) {
                        assert_eq!(run(seed, &seen), first, "seed {seed} does not repeat");
                    }
                    std::mem::forget(guard);
                }
            });
        }
    });
    let seen = seen.all();
    eprintln!("{seen:?}");
    if seeds >= SEEDS {
        let unseen: Vec<_> = seen.iter().filter(|(_, count)| *count == 0).collect();
        assert!(unseen.is_empty(), "never seen: {unseen:?}");
    }
}

/// Names the seed when its story panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!(
            "the story of cached pages with seed {0} failed; alone: SIM_SEED={0} cargo test -p \
             doorman-proxy --test sim kept",
            self.0
        );
    }
}

/// Tells one story; gives the hash of everything that happened on the network.
fn run(seed: u64, seen: &Arc<Seen>) -> u64 {
    // A third of the seeds have only misfortunes that lose nothing, and origins that never fail.
    let gentle = seed.is_multiple_of(3);
    let faults = if gentle { Faults::swarm_of(seed, &Fault::GENTLE) } else { Faults::swarm(seed) };
    let seen = Arc::clone(seen);
    match simulate(seed, faults, STORY_MAX, move |sim| story(sim, seed, gentle, seen)) {
        Ok(run) => run.trace_hash,
        Err(stuck) => panic!("{stuck:?}"),
    }
}

async fn story(sim: Sim, seed: u64, gentle: bool, seen: Arc<Seen>) {
    // Half of the others have clients whose own connections break.
    let is_steady = gentle || seed.is_multiple_of(2);
    if is_steady {
        sim.faults_at(address("192.0.2.1:80"), Faults::swarm_of(seed, &Fault::GENTLE));
    }
    let truth = Rc::new(Truth::new(sim.clock(), seed, gentle));
    for at in ["10.0.0.1:80", "10.0.0.2:80"] {
        origin::start(&sim, address(at), &truth);
    }
    let (core, plan) = proxy(&sim, &CONFIG.replace('@', WORDS));
    let store = Arc::clone(plan.stores().next().expect("a store"));
    store.set_limits(drawn(seed, 3, &MEMORY), OBJECT_MAX);
    let scene = Rc::new(Scene { truth, store, seen, is_steady });
    let over = Rc::new(Cell::new(false));
    let others = [
        tokio::task::spawn_local(edit(sim.clone(), Rc::clone(&scene), Rc::clone(&over))),
        tokio::task::spawn_local(purge(
            sim.clone(),
            Rc::clone(&scene),
            Arc::clone(&plan),
            Rc::clone(&over),
        )),
    ];
    let clients = (0..CLIENTS)
        .map(|n| tokio::task::spawn_local(client::run(sim.clone(), Rc::clone(&scene), n)))
        .collect::<Vec<_>>();
    for client in clients {
        if let Err(error) = client.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    over.set(true);
    for other in others {
        other.await.expect("it does not panic");
    }
    core.drain();
    core.emptied().await;
    sim.wait(AFTERMATH).await;
    end(&scene, &plan);
}

/// Nothing is left.
fn end(scene: &Scene, plan: &Plan) {
    let stats = scene.store.stats();
    assert_eq!(stats.fetches, 0, "fetches: {stats:?}");
    assert!(stats.bytes <= stats.limit, "memory: {stats:?}");
    if stats.counts.evicted > 0 {
        scene.seen.add("evicted");
    }
    for server in &plan.upstreams[0].servers {
        assert_eq!(server.state.in_flight(), 0, "places at {}", server.name);
    }
    scene.store.purge(&Purge::All, How::Hard);
    let stats = scene.store.stats();
    assert_eq!((stats.objects, stats.bytes), (0, 0), "{stats:?}");
}

/// Pages change, and no cache is told.
async fn edit(sim: Sim, scene: Rc<Scene>, over: Rc<Cell<bool>>) {
    let seed = scene.truth.seed;
    for turn in 0.. {
        if over.get() {
            return;
        }
        sim.wait(Duration::from_millis(draw(seed, 5_000_000 + turn * 3, 3_000))).await;
        scene.truth.change(Page::drawn(seed, 5_000_000 + turn * 3 + 1));
    }
}

/// What is stored is purged, in every way.
async fn purge(sim: Sim, scene: Rc<Scene>, plan: Arc<Plan>, over: Rc<Cell<bool>>) {
    let truth = &scene.truth;
    let seed = truth.seed;
    for turn in 0.. {
        if over.get() {
            return;
        }
        let at = |place: u64, below: u64| draw(seed, 6_000_000 + turn * 7 + place, below);
        sim.wait(Duration::from_millis(at(0, 4_000))).await;
        let page = Page::drawn(seed, 6_000_000 + turn * 7 + 1);
        let kind = page.manner().kind;
        let key = |path: &str| {
            let keys = plan.keys(&scene.store, &format!("http://a.test{path}"));
            keys.expect("a URL").remove(0)
        };
        let how = if at(3, 4) == 0 { How::Soft } else { How::Hard };
        let bar = |pages: &dyn Fn(Page) -> bool| {
            if how == How::Hard {
                truth.bar_all(pages);
            }
        };
        match at(4, 8) {
            0 => {
                scene.store.purge(&Purge::All, how);
                bar(&|_| true);
            }
            1 | 2 => {
                scene.store.purge(&Purge::Tag(kind.as_bytes()), how);
                bar(&|page| page.manner().kind == kind);
            }
            3 | 4 => {
                let prefix = key(&format!("/{kind}/"));
                scene.store.purge(&Purge::Below(prefix.bytes()), how);
                bar(&|page| page.manner().kind == kind);
            }
            _ => {
                scene.store.purge(&Purge::Url(&key(&page.path())), how);
                bar(&|other| other == page);
            }
        }
    }
}
