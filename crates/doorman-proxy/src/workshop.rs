//! Work that no request waits for: what is kept is made smaller than there was time for when it was
//! first asked for.
//!
//! What shaped it: this work takes seconds of a processor, and a request core has none to spare. So it
//! is done by threads of the lowest priority, which the binary runs, and what does not fit into the
//! queue is not done: whoever is served asks again at a later hit. Where nobody works, as in the
//! simulation, what is offered is done at once.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use doorman_http::Instant;
use doorman_http::coding::Coding;

/// Jobs that wait: at a tenth of a second each, one thread is busy for less than two minutes.
const JOBS_MAX: usize = 1_024;
/// Bytes of bodies that waiting jobs hold, which stay in memory although their store may have let go
/// of them.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A piece of work. It is given a clock.
pub(crate) type Job = Box<dyn FnOnce(&dyn Fn() -> Instant) + Send>;

/// Where work waits for threads.
#[derive(Default)]
pub struct Workshop {
    state: Mutex<State>,
    bell: Condvar,
    done: AtomicU64,
    dropped: AtomicU64,
    panicked: AtomicU64,
    coded: [Coded; Coding::ALL.len()],
}

/// What was coded here by one coding.
#[derive(Debug, Default)]
struct Coded {
    bodies: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    nanos: AtomicU64,
}

/// What was coded in a workshop by one coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodedCounts {
    /// Bodies.
    pub bodies: u64,
    /// Bytes that were taken in.
    pub bytes_in: u64,
    /// Bytes that came out.
    pub bytes_out: u64,
    /// Time that it took, nanoseconds.
    pub nanos: u64,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<(u64, Job)>,
    bytes: u64,
    /// Threads that work here.
    threads: usize,
    is_closed: bool,
}

/// Figures of a workshop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkshopCounts {
    /// Jobs that wait.
    pub waiting: u64,
    /// Bytes of bodies that they hold.
    pub waiting_bytes: u64,
    /// Jobs that came to an end.
    pub done: u64,
    /// Jobs that found the queue full.
    pub dropped: u64,
    /// Jobs that panicked.
    pub panicked: u64,
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Workshop {
    /// Says that a thread works here from now on: what is offered waits for it. [`Workshop::work`] is
    /// what it does.
    pub fn enter(&self) {
        self.hold().threads += 1;
    }

    /// Threads that have entered.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.hold().threads
    }

    /// The life of a thread that has entered: ends when the workshop is closed.
    pub fn work(&self, clock: &dyn Fn() -> Instant) {
        loop {
            let mut state = self.hold();
            let job = loop {
                if state.is_closed {
                    state.threads -= 1;
                    return;
                }
                if let Some((bytes, job)) = state.jobs.pop_front() {
                    state.bytes -= bytes;
                    break job;
                }
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            self.run(job, clock);
        }
    }

    /// Whether a job that holds so many bytes would find room.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.hold().has_room(bytes)
    }

    /// Offers a job that holds so many bytes of bodies. What finds no room is dropped and counted.
    pub(crate) fn offer(&self, bytes: u64, clock: &dyn Fn() -> Instant, job: Job) {
        let mut state = self.hold();
        if state.threads == 0 && !state.is_closed {
            drop(state);
            return self.run(job, clock);
        }
        if state.is_closed || !state.has_room(bytes) {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return drop(job);
        }
        state.bytes += bytes;
        state.jobs.push_back((bytes, job));
        drop(state);
        self.bell.notify_one();
    }

    /// One that was not even offered, because there was no room.
    pub(crate) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the threads when each has done what it is at; what waits is dropped.
    pub fn close(&self) {
        let mut state = self.hold();
        state.is_closed = true;
        state.bytes = 0;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        self.bell.notify_all();
        drop(jobs);
    }

    /// Its figures.
    #[must_use]
    pub fn counts(&self) -> WorkshopCounts {
        let (waiting, waiting_bytes) = {
            let state = self.hold();
            (state.jobs.len() as u64, state.bytes)
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkshopCounts {
            waiting,
            waiting_bytes,
            done: read(&self.done),
            dropped: read(&self.dropped),
            panicked: read(&self.panicked),
        }
    }

    /// Counts a body that was coded here.
    pub(crate) fn coded(&self, coding: Coding, (bytes_in, bytes_out): (u64, u64), nanos: u64) {
        let counters = &self.coded[coding as usize];
        counters.bodies.fetch_add(1, Ordering::Relaxed);
        counters.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        counters.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
        counters.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was coded here by a coding.
    #[must_use]
    pub fn codings(&self, coding: Coding) -> CodedCounts {
        let counters = &self.coded[coding as usize];
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CodedCounts {
            bodies: read(&counters.bodies),
            bytes_in: read(&counters.bytes_in),
            bytes_out: read(&counters.bytes_out),
            nanos: read(&counters.nanos),
        }
    }

    /// What a job breaks is its own: whoever makes something is told by being dropped.
    fn run(&self, job: Job, clock: &dyn Fn() -> Instant) {
        let counter = match catch_unwind(AssertUnwindSafe(|| job(clock))) {
            Ok(()) => &self.done,
            Err(_) => &self.panicked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn hold(&self) -> MutexGuard<'_, State> {
        // A job never runs under this lock, so what a panic leaves is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, bytes: u64) -> bool {
        // One that is larger than all room for bytes is let in where nothing else waits.
        self.jobs.is_empty()
            || self.jobs.len() < JOBS_MAX && self.bytes.saturating_add(bytes) <= BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    fn now() -> Instant {
        Instant(7)
    }

    #[test]
    fn without_threads_a_job_is_done_at_once() {
        let workshop = Workshop::default();
        let (told, done) = channel();
        workshop.offer(1, &now, Box::new(move |clock| told.send(clock()).unwrap()));
        assert_eq!(done.try_recv(), Ok(Instant(7)));
        assert_eq!(workshop.counts(), WorkshopCounts { done: 1, ..WorkshopCounts::default() });
    }

    #[test]
    fn threads_do_them_in_order_and_a_panic_ends_none() {
        let workshop = Workshop::default();
        workshop.enter();
        let (told, done) = channel();
        for n in 0..10 {
            let told = told.clone();
            let job = move |_: &dyn Fn() -> Instant| {
                assert!(n != 3, "one that fails");
                told.send(n).unwrap();
            };
            workshop.offer(1, &now, Box::new(job));
        }
        assert_eq!(workshop.counts().waiting, 10);
        thread::scope(|scope| {
            scope.spawn(|| workshop.work(&now));
            let order: Vec<_> = done.iter().take(9).collect();
            assert_eq!(order, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
            workshop.close();
        });
        let counts = workshop.counts();
        assert_eq!((counts.done, counts.panicked, counts.waiting), (9, 1, 0));
    }

    #[test]
    fn what_finds_no_room_is_dropped() {
        let workshop = Workshop::default();
        workshop.enter();
        let offer = |bytes| workshop.offer(bytes, &now, Box::new(|_| {}));
        offer(BYTES_MAX + 1);
        offer(1);
        assert!(!workshop.has_room(1));
        assert_eq!((workshop.counts().waiting, workshop.counts().dropped), (1, 1));
        workshop.close();
        assert_eq!((workshop.counts().waiting, workshop.counts().waiting_bytes), (0, 0));
        let workshop = Workshop::default();
        workshop.enter();
        for _ in 0..=JOBS_MAX {
            workshop.offer(0, &now, Box::new(|_| {}));
        }
        assert_eq!(workshop.counts().waiting, JOBS_MAX as u64);
        assert_eq!(workshop.counts().dropped, 1);
    }
}
