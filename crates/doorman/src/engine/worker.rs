//! One core: a thread, a runtime, its listeners.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use doorman_net::os::{ListenAddress, Os};
use doorman_net::serve::{Doorway, Gate, SharedDoorway, accept};
use doorman_net::{Alarm, Clock, Core as NetCore};
use doorman_proxy::{Books, CoreCounters, Plan, Proxy};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Core, Sockets};
use crate::log::access::AccessLog;

/// What the control tells a core.
pub(super) enum Command {
    /// Follow this plan; these sockets are new.
    Follow(Arc<Plan>, Sockets),
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
    access_log: &Arc<AccessLog>,
) -> Core {
    let (commands, inbox) = unbounded_channel();
    let counters = Arc::new(CoreCounters::default());
    let (log, own) = (Arc::clone(access_log), Arc::clone(&counters));
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(run(clock, seed, own, plan, sockets, log, inbox)),
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
    access_log: Arc<AccessLog>,
    mut inbox: UnboundedReceiver<Command>,
) {
    let core = NetCore::new(clock);
    let journal = access_log.journal();
    let books = Books::new(clock, counters, Rc::clone(&journal) as Rc<_>);
    let proxy = Proxy::new(Os::new(seed), Rc::clone(&core), books, Arc::clone(&plan));
    let mut worker = Worker { core, proxy, doors: HashMap::new() };
    worker.open(&plan, sockets);
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
                Some(Command::Drain(limit)) => break limit,
                None => break Duration::ZERO,
            },
            () = flush.wait() => journal.flush(),
            () = sweep.wait() => worker.proxy.sweep(),
            () = journal.dirty() => {}
        }
    };
    worker.drain(clock, limit, &mut inbox).await;
    journal.flush();
}

impl Worker {
    fn follow(&mut self, plan: &Arc<Plan>, sockets: Sockets) {
        self.proxy.follow(Arc::clone(plan));
        self.open(plan, sockets);
    }

    /// Gives every address of the plan its doorway; addresses that are in it no more are closed.
    fn open(&mut self, plan: &Arc<Plan>, sockets: Sockets) {
        let mut fresh: HashMap<_, _> = sockets.into_iter().collect();
        let mut kept = HashMap::new();
        for listener in &plan.listeners {
            let doorway = Doorway {
                listener: listener.id,
                settings: Rc::new(listener.settings.clone()),
                tls: listener.tls.clone(),
            };
            for address in &listener.addresses {
                if let Some(door) = self.doors.remove(address) {
                    *door.doorway.borrow_mut() = doorway.clone();
                    kept.insert(address.clone(), door);
                } else if let Some(bound) = fresh.remove(address) {
                    match bound.into_listener() {
                        Ok(listener) => {
                            kept.insert(address.clone(), self.listen(listener, doorway.clone()));
                        }
                        Err(error) => tracing::error!("cannot listen on {address}: {error}"),
                    }
                }
            }
        }
        for door in std::mem::replace(&mut self.doors, kept).into_values() {
            door.gate.notify_one();
        }
    }

    fn listen(&self, listener: doorman_net::os::OsListener, doorway: Doorway) -> Door {
        let door = Door { doorway: Rc::new(RefCell::new(doorway)), gate: Gate::default() };
        tokio::task::spawn_local(accept(
            Rc::clone(&self.core),
            listener,
            Rc::clone(&door.doorway),
            Rc::clone(&self.proxy),
            Rc::clone(&door.gate),
        ));
        door
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
                    Some(Command::Follow(..)) => {}
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

/// What connections get to say goodbye after the drain's deadline.
const GRACE: Duration = Duration::from_millis(500);
