//! A transaction: a request and its response as rules see them, and what rules have made of it.
//!
//! Three parts, by who changes them: what was told ([`seen`], by the caller, between phases), what
//! rules change ([`live`], while they run), and what to run ([`engine`], by nobody). How one rule is
//! run on given values ([`run`]) is here too, and which rules are run on which values is not: that is
//! decided elsewhere, in the reference.

mod body;
mod control;
mod cost;
mod effect;
mod engine;
mod expand;
mod journal;
mod live;
mod named;
mod operate;
mod outcome;
mod pattern;
mod run;
mod score;
mod seen;
mod single;
mod store;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use doorman_http::Now;

use crate::reference;
use crate::rule::{EngineMode, Phase, Use};
use body::Intake;
use value::Source;

pub use cost::Cost;
pub use engine::{Engine, OnError, Options, Way, Worker};
pub use outcome::{
    EXCERPT_MAX, Fault, FaultKind, How, Match, OTHERS_MAX, Refusal, Report, Scores, TEXT_MAX,
    Verdict,
};
pub use seen::Facts;
pub use store::Store;

pub(crate) use engine::Step;
pub(crate) use live::{At, Live, Stop, capture_index};
pub(crate) use named::Named;
pub(crate) use pattern::ByPlace;
pub(crate) use run::{Flow, Run, skipped};
pub(crate) use seen::Seen;
pub(crate) use value::Value;

/// A request and its response, while rules look at them.
///
/// It is told of them in order, and each phase is run when all that it looks at was told. A phase is
/// run at most once; after a refusal none is but the last, and every later verdict is the same.
#[derive(Debug)]
pub struct Transaction {
    engine: Arc<Engine>,
    seen: Seen,
    live: Live,
    /// The request's body, as far as it came.
    intake: Option<Intake>,
    /// Phases that were run, or passed over.
    ran: [bool; 5],
    /// Phases that `allow` lets pass.
    allowed: [bool; 5],
}

impl Transaction {
    /// A transaction of which nothing is known yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, facts: Facts) -> Self {
        let live = Live::of(&engine, facts.now);
        let seen = Seen::new(facts);
        Self { engine, seen, live, intake: None, ran: [false; 5], allowed: [false; 5] }
    }

    /// Says what time it is: for DURATION, TIME and what expires. Without it, it is the time at which
    /// the transaction began.
    pub const fn clock(&mut self, now: Now) {
        self.live.now = now;
    }

    /// Tells the request line. The target is as it came on the wire, in whatever form; a request that
    /// came without a line is told with the line that it would have had.
    pub fn request_line(&mut self, method: &[u8], target: &[u8], protocol: &[u8]) {
        let settings = &self.engine.rules().settings;
        self.seen.request.take_line(method, target, protocol, settings);
    }

    /// Tells a field of the request: every occurrence, in order.
    pub fn request_field(&mut self, name: &[u8], value: &[u8]) {
        self.seen.request.take_field(name, value);
    }

    /// Runs phase 1: the request's head is known.
    pub fn request_head(&mut self, worker: &mut Worker) -> Verdict {
        if self.live.controls.processor.is_none() {
            self.live.controls.processor = body::processor(self.seen.request.content_type());
        }
        self.run(Phase::RequestHead, worker)
    }

    /// Runs phase 2: the request's body is known, or there is none.
    pub fn request_end(&mut self, worker: &mut Worker) -> Verdict {
        self.end_request_body();
        let due = self.is_due(Phase::RequestBody);
        let verdict = self.run(Phase::RequestBody, worker);
        if due && verdict == Verdict::Pass { self.judge_reading() } else { verdict }
    }

    /// Tells the response's status, and the version of its protocol such as `HTTP/1.1`.
    pub fn response_line(&mut self, status: u16, protocol: &[u8]) {
        self.seen.response.status = Some(status);
        self.seen.response.protocol = protocol.to_vec();
    }

    /// Tells a field of the response: every occurrence, in order.
    pub fn response_field(&mut self, name: &[u8], value: &[u8]) {
        let pair = crate::body::Pair { name: name.to_vec(), value: value.to_vec() };
        self.seen.response.fields.push(pair);
    }

    /// Runs phase 3: the response's head is known.
    pub fn response_head(&mut self, worker: &mut Worker) -> Verdict {
        self.run(Phase::ResponseHead, worker)
    }

    /// Runs phase 4: the response's body is known, or is not looked at.
    pub fn response_end(&mut self, worker: &mut Worker) -> Verdict {
        self.run(Phase::ResponseBody, worker)
    }

    /// Runs phase 5, whatever happened before, and reports. A second call reports the same.
    pub fn finish(&mut self, worker: &mut Worker) -> Report {
        // A transaction that used all its steps up still has a right to its log.
        self.live.budget.refill(self.engine.options().steps_max / 8);
        let _ = self.run(Phase::Logging, worker);
        let secrets = self.secrets(worker);
        let journal = &self.live.journal;
        Report {
            matches: journal.told(&secrets),
            refused: journal.refused.clone(),
            would_refuse: journal.would_refuse.clone(),
            score: score::scores(&self.live),
            faults: journal.faults.clone(),
            audit: self.live.controls.audit.unwrap_or(journal.audit),
        }
    }

    /// What rules have set a variable of TX to; the name is compared without case.
    #[must_use]
    pub fn tx(&self, name: &str) -> Option<&[u8]> {
        self.live.tx.get(name.to_ascii_lowercase().as_bytes(), self.live.seconds())
    }

    /// All that rules have set in TX, in the order of names; captures are not among them.
    pub fn tx_all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.live.tx.named.iter(self.live.seconds())
    }

    /// Runs a phase, if it is due.
    fn run(&mut self, phase: Phase, worker: &mut Worker) -> Verdict {
        let due = self.is_due(phase);
        self.ran[index(phase)] = true;
        if due {
            let Self { engine, seen, live, allowed, .. } = self;
            let mut run = Run::new(engine, seen, live, worker, phase, allowed);
            let done = match engine.options().way {
                Way::Plan => engine.plan().phase(&mut run),
                Way::Reference => reference::phase(&mut run, engine.steps(phase)),
            };
            if let Err(Stop(kind)) = done {
                run.give_up(kind);
            }
        }
        self.verdict()
    }

    /// Whether a phase is still to be run.
    fn is_due(&self, phase: Phase) -> bool {
        let refused = self.live.journal.refused.is_some() && phase != Phase::Logging;
        !self.ran[index(phase)] && !self.allowed[index(phase)] && !refused
    }

    /// The refusal, if there was one.
    fn verdict(&self) -> Verdict {
        self.live.journal.refused.clone().map_or(Verdict::Pass, Verdict::Refuse)
    }

    /// Values of the targets that rules want hidden.
    fn secrets(&mut self, worker: &mut Worker) -> Vec<Vec<u8>> {
        /// More than that are hidden by their names alone.
        const SECRETS_MAX: usize = 256;
        let targets: Vec<_> = self.live.journal.redacted().cloned().collect();
        let Some(step) = Phase::ALL.iter().find_map(|phase| self.engine.steps(*phase).first())
        else {
            return Vec::new();
        };
        let patterns = &mut worker.patterns;
        let mut source = Source { seen: &self.seen, live: &self.live, rule: &step.rule, patterns };
        let included = targets.iter().filter(|target| target.meant == Use::Include);
        let values = included.flat_map(|target| source.target(target).unwrap_or_default());
        values.map(|value| value.bytes.into_owned()).take(SECRETS_MAX).collect()
    }
}

/// Where a phase stands in a table of all phases.
pub(crate) const fn index(phase: Phase) -> usize {
    phase as usize
}
