//! The threads that read and write the disks of stores, and what these have to say.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use doorman_net::Clock;
use doorman_proxy::Plan;
use doorman_proxy::plan::{Ground, StoreWorker};

use super::workshop;

/// The threads of stores. Each ends when its store has gone, with all written that was to be.
#[derive(Default)]
pub(super) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    /// Gives the stores of a plan that comes into force their bounds, and the threads that they want.
    pub(super) fn follow(&self, plan: &Plan, ground: &Ground, clock: Clock) {
        plan.bound_stores();
        workshop::follow(plan, clock);
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        for StoreWorker { store, owner, worker } in ground.take_workers() {
            let named = thread::Builder::new().name(worker.name().to_owned());
            match named.spawn(move || worker.run(&owner, &|| clock.now())) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    tracing::error!("the disk of store {store} is not used: no thread: {error}");
                }
            }
        }
        tell(plan);
    }

    /// Has everything written that waits to be, and ends the threads.
    pub(super) fn end(&self, plan: &Plan) {
        tell(plan);
        plan.workshop().close();
        plan.stores().filter_map(|store| store.disk()).for_each(|disk| disk.close());
        let threads = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that panicked has written what it could.
            let _ = thread.join();
        }
    }
}

/// Takes what disks have to say into the error log.
pub(super) fn tell(plan: &Plan) {
    for store in plan.stores() {
        for line in store.disk().into_iter().flat_map(|disk| disk.take_news()) {
            tracing::warn!("store {}: {line}", store.name());
        }
    }
}
