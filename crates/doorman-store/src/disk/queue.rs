//! What the writer has still to do, bounded by bytes: whoever offers never waits.
//!
//! The order of this queue is the order of the disk. Everything that is put in gets the next
//! sequence number, so a mark that forgets something outranks all that was offered before it, may
//! that be on disk, in the queue or in the writer's hands.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

use super::format::{Mark, Variant};
use super::{Location, hold};

/// What a job counts beside the bytes it holds.
const JOB: usize = 256;
/// Marks that may wait: 262,144, about 40 MB. The writer takes all of them at once, so that many wait
/// only while a disk hangs. Then all of the disk is forgotten instead: that is never wrong, and it is
/// bounded.
const FORGETS_MAX: usize = 1 << 18;

/// An object to be written.
pub(super) struct Put {
    pub(super) token: u64,
    pub(super) hash: u128,
    pub(super) variant: Variant,
    pub(super) sequence: u64,
    pub(super) stale: bool,
    /// The head block.
    pub(super) head: Vec<u8>,
    /// Bytes at its front that the table of a segment repeats.
    pub(super) facts: usize,
    pub(super) body: Vec<Bytes>,
    /// Bytes of the body.
    pub(super) length: u64,
}

impl Put {
    /// Bytes it counts against the queue's bound.
    pub(super) fn weight(&self) -> usize {
        let body = usize::try_from(self.length).unwrap_or(usize::MAX);
        body.saturating_add(self.head.len()).saturating_add(JOB)
    }
}

/// Something for the writer to do.
pub(super) enum Job {
    Put(Put),
    Forget(Mark, Option<Location>),
    /// Everything that was told before this.
    ForgetAll(u64),
    /// The start of an object whose body comes in parts; its own body is empty.
    Begin(Put),
    /// More of the body of the object that began with this number.
    Part(u64, Bytes),
    /// Its body is complete.
    Finish(u64),
    /// Its body will not be complete.
    Abort(u64),
}

impl Job {
    /// What [`Queue::offer`] was told it weighs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put(put) | Self::Begin(put) => put.weight(),
            Self::Part(_, bytes) => bytes.len().saturating_add(JOB),
            Self::Forget(..) | Self::ForgetAll(_) | Self::Finish(_) | Self::Abort(_) => 0,
        }
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Weight of what waits and of what the writer has taken and not finished.
    weight: usize,
    forgets: usize,
    /// The last number that was given.
    sequence: u64,
    /// Every mark up to this number is on disk.
    settled: u64,
    /// Marks could not be written: those who wait for them are told so.
    stuck: bool,
    waiting: Vec<Waker>,
    closed: bool,
    /// Something happened that the writer should look at.
    nudged: bool,
}

/// See the module.
pub(super) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
    weight_max: usize,
}

/// What there is for the writer.
pub(super) enum Next {
    Jobs(VecDeque<Job>),
    /// Nothing, but the time may have come to try again.
    Nothing,
    Closed,
}

impl Queue {
    pub(super) fn new(weight_max: usize, sequence: u64) -> Self {
        let state = State { sequence, settled: sequence, ..State::default() };
        Self { state: Mutex::new(state), bell: Condvar::new(), weight_max }
    }

    /// Puts a job at the end if there is room for it; `make` gets its sequence number.
    pub(super) fn offer(&self, weight: usize, make: impl FnOnce(u64) -> Job) -> Option<u64> {
        let mut state = hold(&self.state);
        if state.closed || state.weight.saturating_add(weight) > self.weight_max {
            return None;
        }
        state.sequence += 1;
        let sequence = state.sequence;
        state.weight = state.weight.saturating_add(weight);
        state.jobs.push_back(make(sequence));
        self.bell.notify_one();
        Some(sequence)
    }

    /// Puts the end of a body at the end; there is one for each that began.
    pub(super) fn end(&self, job: Job) {
        hold(&self.state).jobs.push_back(job);
        self.bell.notify_one();
    }

    /// Puts a mark at the end; returns its number.
    pub(super) fn forget(&self, make: impl FnOnce(u64) -> Job) -> u64 {
        let mut state = hold(&self.state);
        state.sequence += 1;
        let sequence = state.sequence;
        state.forgets += 1;
        if state.forgets > FORGETS_MAX {
            state.jobs.retain(|job| !matches!(job, Job::Forget(..)));
            state.forgets = 0;
            state.jobs.push_back(Job::ForgetAll(sequence));
        } else {
            state.jobs.push_back(make(sequence));
        }
        self.bell.notify_one();
        sequence
    }

    /// What waits now.
    #[cfg(test)]
    pub(super) fn take(&self) -> VecDeque<Job> {
        let mut state = hold(&self.state);
        state.forgets = 0;
        std::mem::take(&mut state.jobs)
    }

    /// Waits until there is something, at most `limit`.
    pub(super) fn next(&self, limit: Option<Duration>) -> Next {
        let mut state = hold(&self.state);
        let is_idle = |state: &mut State| {
            state.jobs.is_empty() && !state.closed && !std::mem::take(&mut state.nudged)
        };
        state = match limit {
            None => self.bell.wait_while(state, is_idle).unwrap_or_else(|held| held.into_inner()),
            Some(limit) => {
                let waited = self.bell.wait_timeout_while(state, limit, is_idle);
                waited.unwrap_or_else(|held| held.into_inner()).0
            }
        };
        state.forgets = 0;
        let jobs = std::mem::take(&mut state.jobs);
        match (jobs.is_empty(), state.closed) {
            (false, _) => Next::Jobs(jobs),
            (true, true) => Next::Closed,
            (true, false) => Next::Nothing,
        }
    }

    /// The writer has done with a job.
    pub(super) fn release(&self, weight: usize) {
        let mut state = hold(&self.state);
        state.weight = state.weight.saturating_sub(weight);
    }

    /// Every mark up to `sequence` is on disk.
    pub(super) fn settle(&self, sequence: u64) {
        let mut state = hold(&self.state);
        state.settled = state.settled.max(sequence);
        state.stuck = false;
        wake(state);
    }

    /// Marks cannot be written for now.
    pub(super) fn stick(&self) {
        let mut state = hold(&self.state);
        state.stuck = true;
        wake(state);
    }

    /// Whether the mark with this number is on disk; none if `waker` will be told.
    pub(super) fn settled(&self, sequence: u64, waker: &Waker) -> Option<bool> {
        let mut state = hold(&self.state);
        if state.settled >= sequence {
            return Some(true);
        }
        if state.stuck || state.closed {
            return Some(false);
        }
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        None
    }

    /// Lets the writer look at the time again.
    pub(super) fn nudge(&self) {
        hold(&self.state).nudged = true;
        self.bell.notify_one();
    }

    /// Nothing is taken any more; the writer ends once it has done what waits.
    pub(super) fn close(&self) {
        let mut state = hold(&self.state);
        state.closed = true;
        self.bell.notify_all();
        wake(state);
    }
}

/// Outside of the lock: a waker may run anything.
fn wake(mut state: std::sync::MutexGuard<'_, State>) {
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(Waker::wake);
}
