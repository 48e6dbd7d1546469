//! One core: a thread, a runtime, its listeners.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use doorman_http::Peer;
use doorman_net::os::{ListenAddress, Os};
use doorman_net::serve::{
    Announcers, Doorway, Gate, SharedDoorway, Trade, accept, accept_datagrams, relay_datagrams,
};
use doorman_net::{Alarm, Clock, Core as NetCore};
use doorman_proxy::{Books, CoreCounters, Plan, Proxy, Squeeze};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Core, Socket, Sockets};
use crate::log::access::{AccessLog, CoreJournal};

/// What the control tells a core.
pub(super) enum Command {
    /// Follow this plan; these sockets are new.
    Follow(Arc<Plan>, Sockets),
    /// End the last connections to this server of this upstream.
    Release(String, String),
    /// Do what this step says about memory.
    Squeeze(Squeeze),
    /// End within this time.
    Drain(Duration),
}

/// How often idle connections to origins are looked at.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a line of the access log may wait for others to be written with.
const FLUSH: Duration = Duration::from_millis(100);

/// Starts a core.
pub(super) fn start(
    index: usize,
    clock: Clock,
    seed: u64,
    plan: Arc<Plan>,
    sockets: Sockets,
    (access_log, rule_log): (&Arc<AccessLog>, &Arc<AccessLog>),
) -> Core {
    let (commands, inbox) = unbounded_channel();
    let counters = Arc::new(CoreCounters::default());
    let (logs, own) = ((Arc::clone(access_log), Arc::clone(rule_log)), Arc::clone(&counters));
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_unpark(move || clock.turn())
            .build_local(tokio::runtime::LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(run(clock, seed, own, plan, sockets, logs, inbox)),
            Err(error) => tracing::error!("core {index} cannot start: {error}"),
        }
    };
    let thread = std::thread::Builder::new().name(format!("core-{index}")).spawn(body);
    if let Err(error) = &thread {
        tracing::error!("core {index} cannot start: {error}");
    }
    Core { commands, counters, thread: Mutex::new(thread.ok()) }
}

struct Worker {
    core: Rc<NetCore>,
    proxy: Rc<Proxy<Os>>,
    doors: HashMap<ListenAddress, Door>,
    /// Sockets of datagrams; what becomes of them is asked of the plan each time.
    datagrams: HashMap<ListenAddress, Datagrams>,
}

struct Datagrams {
    listener: usize,
    gate: Gate,
}

struct Door {
    doorway: SharedDoorway,
    gate: Gate,
}

async fn run(
    clock: Clock,
    seed: u64,
    counters: Arc<CoreCounters>,
    plan: Arc<Plan>,
    sockets: Sockets,
    (access_log, rule_log): (Arc<AccessLog>, Arc<AccessLog>),
    mut inbox: UnboundedReceiver<Command>,
) {
    let core = NetCore::new(clock);
    let journal = CoreJournal::new(&access_log, &rule_log);
    let books = Books::new(clock, counters, Rc::clone(&journal) as Rc<_>);
    let proxy = Proxy::new(Os::new(seed), Rc::clone(&core), books, Arc::clone(&plan));
    let mut worker = Worker { core, proxy, doors: HashMap::new(), datagrams: HashMap::new() };
    worker.open(&plan, sockets);
    let measuring = Rc::clone(&worker.proxy);
    tokio::task::spawn_local(async move { measuring.measure().await });
    let mut sweep = Alarm::new(clock);
    let mut flush = Alarm::new(clock);
    let limit = loop {
        sweep.set_if_clear(SWEEP);
        if journal.is_dirty() {
            flush.set_if_clear(FLUSH);
        }
        tokio::select! {
            biased;
            command = inbox.recv() => match command {
                Some(Command::Follow(plan, sockets)) => {
                    journal.follow();
                    worker.follow(&plan, sockets);
                }
                Some(Command::Release(upstream, server)) => {
                    worker.proxy.release(&upstream, &server);
                }
                Some(Command::Squeeze(step)) => worker.proxy.squeeze(step),
                Some(Command::Drain(limit)) => break limit,
                None => break Duration::ZERO,
            },
            () = flush.wait() => journal.flush(),
            () = sweep.wait() => worker.proxy.sweep(),
            () = journal.dirty() => {}
        }
    };
    worker.drain(clock, limit, &mut inbox).await;
    worker.hang_up().await;
    journal.flush();
}

impl Worker {
    fn follow(&mut self, plan: &Arc<Plan>, sockets: Sockets) {
        self.proxy.follow(Arc::clone(plan));
        self.open(plan, sockets);
    }

    /// Gives every address of the plan its doorway; addresses that are in it no more are closed.
    fn open(&mut self, plan: &Arc<Plan>, sockets: Sockets) {
        let mut fresh: HashMap<_, _> =
            sockets.into_iter().map(|socket| (socket.address.clone(), socket)).collect();
        let mut kept = HashMap::new();
        for (doorway, addresses) in doorways(plan) {
            // Datagrams of a relay are no connections: they come below.
            let is_door = |at: &&ListenAddress| {
                doorway.trade == Trade::Http || !matches!(at, ListenAddress::Udp(_))
            };
            for address in addresses.iter().filter(is_door) {
                if let Some(door) = self.doors.remove(address) {
                    *door.doorway.borrow_mut() = doorway.clone();
                    kept.insert(address.clone(), door);
                } else if let Some(socket) = fresh.remove(address) {
                    match self.listen(socket, doorway.clone()) {
                        Ok(door) => {
                            kept.insert(address.clone(), door);
                        }
                        Err(error) => tracing::error!("cannot listen on {address}: {error}"),
                    }
                }
            }
        }
        for door in std::mem::replace(&mut self.doors, kept).into_values() {
            door.gate.notify_one();
        }
        self.open_datagrams(plan, fresh);
    }

    /// The same for sockets of datagrams. Which relay it is stays the same while its address does.
    fn open_datagrams(&mut self, plan: &Arc<Plan>, mut fresh: HashMap<ListenAddress, Socket>) {
        let mut kept = HashMap::new();
        for relay in &plan.relays {
            for address in relay.addresses.iter().filter(|at| matches!(at, ListenAddress::Udp(_))) {
                if let Some(known) = self.datagrams.remove(address) {
                    debug_assert_eq!(known.listener, relay.id, "a listener's id stays");
                    kept.insert(address.clone(), known);
                    continue;
                }
                let Some(socket) = fresh.remove(address) else { continue };
                let datagrams = match socket.bound.into_datagrams() {
                    Ok(socket) => socket,
                    Err(error) => {
                        tracing::error!("cannot listen on {address}: {error}");
                        continue;
                    }
                };
                let gate = Gate::default();
                let relaying = relay_datagrams(
                    Rc::clone(&self.core),
                    datagrams,
                    relay.id,
                    Rc::clone(&self.proxy),
                    Rc::clone(&gate),
                );
                tokio::task::spawn_local(async move {
                    relaying.await;
                    drop(socket.hold);
                });
                kept.insert(address.clone(), Datagrams { listener: relay.id, gate });
            }
        }
        for gone in std::mem::replace(&mut self.datagrams, kept).into_values() {
            gone.gate.notify_one();
        }
    }

    fn listen(&self, socket: Socket, doorway: Doorway) -> io::Result<Door> {
        let door = Door { doorway: Rc::new(RefCell::new(doorway)), gate: Gate::default() };
        let (core, proxy) = (Rc::clone(&self.core), Rc::clone(&self.proxy));
        let (doorway, gate) = (Rc::clone(&door.doorway), Rc::clone(&door.gate));
        match socket.lane {
            None => {
                let listener = socket.bound.into_listener()?;
                tokio::task::spawn_local(async move {
                    accept(core, listener, doorway, proxy, gate).await;
                    drop(socket.hold);
                });
            }
            Some(lane) => {
                let datagrams = socket.bound.into_datagrams()?;
                tokio::task::spawn_local(async move {
                    let accepting = accept_datagrams(core, datagrams, lane, doorway, proxy, gate);
                    if let Err(error) = accepting.await {
                        tracing::error!("cannot listen on {}: {error}", socket.address);
                    }
                    drop(socket.hold);
                });
            }
        }
        Ok(door)
    }

    /// Lets connections to origins say that they end: over QUIC nobody else would.
    async fn hang_up(&self) {
        self.proxy.hang_up();
        for _ in 0..GOODBYE_TURNS {
            tokio::task::yield_now().await;
        }
    }

    /// Closes the doors, lets requests end, and closes what is left after `limit`.
    async fn drain(
        &mut self,
        clock: Clock,
        limit: Duration,
        inbox: &mut UnboundedReceiver<Command>,
    ) {
        for door in std::mem::take(&mut self.doors).into_values() {
            door.gate.notify_one();
        }
        for socket in std::mem::take(&mut self.datagrams).into_values() {
            socket.gate.notify_one();
        }
        self.core.drain();
        let mut deadline = Alarm::new(clock);
        deadline.set(clock.instant() + limit);
        loop {
            tokio::select! {
                biased;
                () = self.core.emptied() => return,
                () = deadline.wait() => break,
                command = inbox.recv() => match command {
                    Some(Command::Drain(limit)) => deadline.set_earlier(clock.instant() + limit),
                    Some(Command::Follow(..) | Command::Release(..) | Command::Squeeze(_)) => {}
                    None => break,
                },
            }
        }
        self.core.close();
        let mut grace = Alarm::new(clock);
        grace.set(clock.instant() + GRACE);
        tokio::select! {
            biased;
            () = self.core.emptied() => {}
            () = grace.wait() => {}
        }
    }
}

/// Turns of the runtime that a connection's task needs to say goodbye: it hears of it in the first and
/// writes in the second.
const GOODBYE_TURNS: usize = 4;

/// What a plan makes of connections, and where they come.
fn doorways(plan: &Plan) -> impl Iterator<Item = (Doorway, &Vec<ListenAddress>)> {
    let sites = plan.listeners.iter().map(|listener| {
        let doorway = Doorway {
            listener: listener.id,
            settings: Rc::new(listener.settings.clone()),
            tls: listener.tls.clone(),
            announcers: listener.announcers.clone().map(|announcers| {
                Rc::new(move |peer: &Peer| announcers.contains(peer)) as Announcers
            }),
            trade: Trade::Http,
        };
        (doorway, &listener.addresses)
    });
    let relays = plan.relays.iter().map(|relay| {
        let doorway = Doorway {
            listener: relay.id,
            settings: Rc::default(),
            tls: None,
            announcers: None,
            trade: Trade::Relay,
        };
        (doorway, &relay.addresses)
    });
    sites.chain(relays)
}

/// What connections get to say goodbye after the drain's deadline.
const GRACE: Duration = Duration::from_millis(500);
