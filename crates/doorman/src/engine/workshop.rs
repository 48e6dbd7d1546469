//! The threads that make what is kept smaller.
//!
//! They have the lowest priority there is, so that whatever else wants a processor gets it, and they are
//! not waited for when the process ends: what they are at would take seconds, and is made anew.

use std::sync::Arc;
use std::thread;

use doorman_config::BackgroundThreads;
use doorman_net::Clock;
use doorman_proxy::Plan;

/// What the system calls the lowest priority.
const NICE: i32 = 19;

/// Starts the threads with the first plan that has work for them, and more with one that wants more. Those
/// that are there stay until the process ends.
pub(super) fn follow(plan: &Plan, clock: Clock) {
    let workshop = plan.workshop();
    if !plan.wants_workshop() {
        return;
    }
    let wanted = match plan.config.global.background_threads.value {
        BackgroundThreads::Auto => {
            (thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
        }
        BackgroundThreads::Count(count) => usize::from(count),
    };
    for _ in workshop.threads()..wanted {
        // Before it is there: what is offered must never be done by who offers it.
        workshop.enter();
        let worker = Arc::clone(workshop);
        let named = thread::Builder::new().name("workshop".to_owned());
        let spawned = named.spawn(move || {
            // Of a thread by itself, on this system; without it the work is done at the usual priority.
            let _ = rustix::process::setpriority_process(None, NICE);
            worker.work(&|| clock.instant());
        });
        if let Err(error) = spawned {
            tracing::error!("what is kept is not made smaller: no thread: {error}");
        }
    }
}
