//! A request while rules look at it, and what is told of it when it is over.
//!
//! It rides in the record, so the last phase of the rules runs however the request ends, and what they
//! found is known before the one log line is written. Rules are run where the request is, on its core;
//! a fault of theirs ends the transaction and nothing else.

mod events;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use doorman_net::Clock;
use doorman_waf::rule::Phase;
use doorman_waf::{
    Engine, Fault, FaultKind, How, Match, Refusal, Report, Transaction, Verdict, Worker,
};

pub use events::{Event, Events, Finding, Scores};
pub(crate) use events::{FINDINGS_MAX, TEXT_MAX};

/// What a core runs a set of rules with.
pub(crate) struct Desk {
    pub(crate) engine: Arc<Engine>,
    worker: RefCell<Worker>,
}

impl Desk {
    pub(crate) fn new(engine: &Arc<Engine>) -> Rc<Self> {
        let worker = RefCell::new(Worker::new(engine));
        Rc::new(Self { engine: Arc::clone(engine), worker })
    }
}

/// What became of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WafAction {
    /// It passed.
    Pass,
    /// It passed, and would have been refused if the levels counted that are only run.
    Shadow,
    /// It passed, and would have been refused if rules were obeyed.
    Detect,
    /// It was refused.
    Block,
    /// It could not be inspected to its end; `on-error` decided.
    Error,
}

impl WafAction {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Shadow, Self::Detect, Self::Block, Self::Error];

    /// The word, the same in log, metrics and docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Shadow => "shadow",
            Self::Detect => "detect",
            Self::Block => "block",
            Self::Error => "error",
        }
    }
}

/// Rules that a line of the access log names.
const RULES_SHOWN: usize = 16;

/// What came of an inspection.
#[derive(Debug)]
pub struct Inspected {
    /// What became of the request.
    pub action: WafAction,
    /// The sums of the rules' scores.
    pub scores: Scores,
    /// Rules that matched and are to be told of, at most 16.
    pub rules: Vec<u32>,
    /// Time that it took this core, nanoseconds.
    pub nanos: u64,
    /// All there is to tell, if there is anything.
    pub event: Option<Arc<Event>>,
    pub(crate) hits: Vec<u32>,
}

/// Whether a request may go on.
#[derive(Debug)]
pub(crate) enum Passes {
    /// It may.
    Yes,
    /// A rule refuses it.
    Refused(Refusal),
    /// It could not be inspected, and is not to pass unseen.
    Unseen,
}

/// What becomes of what cannot be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Open,
    Closed,
}

/// A request that rules look at.
pub(crate) struct Inspection {
    desk: Rc<Desk>,
    /// `None` once a fault of the program's own has ended it.
    transaction: Option<Box<Transaction>>,
    clock: Clock,
    on_error: OnError,
    mode: &'static str,
    /// Where what is found is kept.
    events: Arc<Events>,
    /// Whether rules have looked at an answer.
    pub(crate) has_answer: bool,
    nanos: u64,
    refused: Option<Refusal>,
}

/// A word for a fault of the program's own.
const PANIC: &str = "panic";

impl Inspection {
    pub(crate) fn new(
        desk: &Rc<Desk>,
        transaction: Transaction,
        clock: Clock,
        on_error: OnError,
        mode: &'static str,
        events: &Arc<Events>,
    ) -> Box<Self> {
        Box::new(Self {
            desk: Rc::clone(desk),
            transaction: Some(Box::new(transaction)),
            clock,
            on_error,
            mode,
            events: Arc::clone(events),
            has_answer: false,
            nanos: 0,
            refused: None,
        })
    }

    /// Tells rules something, or runs them; `None` if that is over because of a fault.
    pub(crate) fn with<T>(
        &mut self,
        call: impl FnOnce(&mut Transaction, &mut Worker) -> T,
    ) -> Option<T> {
        let transaction = self.transaction.as_mut()?;
        let begun = self.clock.instant();
        let worker = &mut *self.desk.worker.borrow_mut();
        let called = catch_unwind(AssertUnwindSafe(|| call(transaction, worker)));
        self.nanos += self.clock.instant().0.saturating_sub(begun.0);
        match called {
            Ok(answer) => Some(answer),
            Err(_) => {
                // Neither is known to be whole any more.
                *worker = Worker::new(&self.desk.engine);
                self.transaction = None;
                None
            }
        }
    }

    /// Runs a phase.
    pub(crate) fn phase(
        &mut self,
        call: impl FnOnce(&mut Transaction, &mut Worker) -> Verdict,
    ) -> Passes {
        let verdict = self.with(call);
        self.passes(verdict)
    }

    /// What a verdict comes to; `None` is none.
    pub(crate) fn passes(&mut self, verdict: Option<Verdict>) -> Passes {
        match verdict {
            Some(Verdict::Pass) => Passes::Yes,
            Some(Verdict::Refuse(refusal)) => {
                self.refused = Some(refusal.clone());
                Passes::Refused(refusal)
            }
            None if self.on_error == OnError::Open => Passes::Yes,
            None => Passes::Unseen,
        }
    }

    /// A body is refused because it says that it is longer than what is held back, before any of it came.
    pub(crate) fn refuse_long(&mut self) {
        let (how, phase) = (How::Deny, Phase::RequestBody);
        self.refused = Some(Refusal { rule: 0, status: 413, how, phase });
    }

    /// Runs the last phase, and tells all.
    pub(crate) fn finish(mut self) -> (Inspected, Told) {
        let report = self.with(Transaction::finish);
        let panicked = report.is_none();
        let report = report.unwrap_or_default();
        let mut faults: Vec<&'static str> =
            report.faults.iter().map(|fault| fault.kind.word()).collect();
        if panicked {
            faults.push(PANIC);
        }
        faults.dedup();
        let refused = report.refused.as_ref().or(self.refused.as_ref());
        let action = action(&report, refused, panicked, self.on_error);
        let scores = Scores {
            inbound: report.score.inbound,
            outbound: report.score.outbound,
            inbound_run: report.score.inbound_run,
            outbound_run: report.score.outbound_run,
            levels: report.score.levels,
            inbound_threshold: report.score.inbound_threshold,
            outbound_threshold: report.score.outbound_threshold,
        };
        let mut hits: Vec<u32> = report.matches.iter().map(|found| found.rule.id).collect();
        hits.dedup();
        let rules = hits.iter().copied().take(RULES_SHOWN).collect();
        let refusal = self.refused.or(report.refused).or(report.would_refuse);
        let told = Told {
            events: self.events,
            mode: self.mode,
            refusal,
            findings: report.matches.iter().map(finding).collect(),
            faults,
        };
        (Inspected { action, scores, rules, nanos: self.nanos, event: None, hits }, told)
    }
}

/// What is told of an inspection that is over.
pub(crate) struct Told {
    pub(crate) events: Arc<Events>,
    pub(crate) mode: &'static str,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) faults: Vec<&'static str>,
}

impl Told {
    /// Whether there is anything.
    pub(crate) const fn is_any(&self) -> bool {
        !self.findings.is_empty() || !self.faults.is_empty() || self.refusal.is_some()
    }
}

fn action(
    report: &Report,
    refused: Option<&Refusal>,
    panicked: bool,
    on_error: OnError,
) -> WafAction {
    // A body over its limit that is looked at in part is what somebody asked for.
    let is_fault = |kind: FaultKind| match kind {
        FaultKind::OverSteps
        | FaultKind::OverMemory
        | FaultKind::OverMatchLimit
        | FaultKind::BodyMalformed
        | FaultKind::BodyOverBounds => true,
        FaultKind::BadPattern
        | FaultKind::RequestBodyOverLimit
        | FaultKind::ResponseBodyOverLimit => false,
    };
    let mut faults = report.faults.iter().filter(|fault| is_fault(fault.kind)).peekable();
    let faulted = faults.peek().is_some();
    match refused {
        _ if panicked => WafAction::Error,
        Some(refusal) => {
            let is_its = |fault: &Fault| {
                fault.phase == refusal.phase && fault.rule.unwrap_or_default() == refusal.rule
            };
            if on_error == OnError::Closed && faults.any(is_its) {
                WafAction::Error
            } else {
                WafAction::Block
            }
        }
        None if faulted => WafAction::Error,
        None if report.would_refuse.is_some() => WafAction::Detect,
        None if report.score.is_shadowed() => WafAction::Shadow,
        None => WafAction::Pass,
    }
}

fn finding(found: &Match) -> Finding {
    Finding {
        rule: found.rule.id,
        phase: found.phase.number(),
        msg: found.msg.clone().into(),
        data: found.data.clone().into(),
        severity: found.rule.severity.map(doorman_waf::rule::Severity::word),
        tags: found.rule.tags.clone(),
        variable: found.variable.clone().into(),
        others: found.others.iter().map(|name| name.as_str().into()).collect(),
        value: found.value.clone().into(),
        raw: found.raw.clone().into(),
        score: found.score,
        place: found.rule.place.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use doorman_waf::Facts;
    use doorman_waf::seclang::{self, Files, Source};

    use super::*;

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
            Err(format!("{name}: no files here"))
        }

        fn list(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
            Err(format!("{pattern}: no files here"))
        }
    }

    fn desk() -> Rc<Desk> {
        let text = b"SecRuleEngine On\nSecRule ARGS \"@streq bad\" \"id:1,phase:1,deny,log\"\n";
        let source = Source { name: "test.conf".into(), text: text.to_vec() };
        let set = seclang::load(&[source], &NoFiles).unwrap_or_else(|faults| panic!("{faults:?}"));
        let engine = Engine::new(set).unwrap_or_else(|faults| panic!("{faults:?}"));
        Desk::new(&Arc::new(engine))
    }

    fn inspection(desk: &Rc<Desk>, on_error: OnError) -> Box<Inspection> {
        let clock = Clock::system();
        let end = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let now = clock.now();
        let facts = Facts { client: end, server: end, now, unique_id: String::new() };
        let transaction = Transaction::new(Arc::clone(&desk.engine), facts);
        Inspection::new(desk, transaction, clock, on_error, "block", &Arc::default())
    }

    /// Something that a bug in the engine would do.
    fn fails<T>(_: &mut Transaction, _: &mut Worker) -> T {
        panic!("a fault of the engine")
    }

    fn check(on_error: OnError, fault: impl Fn(&mut Inspection)) {
        let desk = desk();
        let mut inspection = inspection(&desk, on_error);
        inspection.with(|transaction, _| transaction.request_line(b"GET", b"/", b"HTTP/1.1"));
        fault(&mut inspection);
        // Nothing is run any more, and every later answer is the same.
        for phase in
            [Transaction::request_head, Transaction::request_end, Transaction::response_end]
        {
            match (on_error, inspection.phase(phase)) {
                (OnError::Closed, Passes::Unseen) | (OnError::Open, Passes::Yes) => {}
                (_, passes) => panic!("{on_error:?} {passes:?}"),
            }
        }
        let (inspected, told) = inspection.finish();
        assert_eq!(inspected.action, WafAction::Error);
        assert_eq!(told.faults, [PANIC]);
        assert!(told.is_any());
        // The next request of the core is none the worse.
        let mut next = self::inspection(&desk, on_error);
        next.with(|transaction, _| transaction.request_line(b"GET", b"/?a=bad", b"HTTP/1.1"));
        let passes = next.phase(Transaction::request_head);
        assert!(matches!(passes, Passes::Refused(Refusal { rule: 1, .. })), "{passes:?}");
        assert_eq!(next.finish().0.action, WafAction::Block);
    }

    #[test]
    fn a_fault_of_the_engine_ends_one_transaction_and_on_error_decides() {
        for on_error in [OnError::Open, OnError::Closed] {
            check(on_error, |inspection| {
                let passes = inspection.phase(fails);
                assert_eq!(matches!(passes, Passes::Yes), on_error == OnError::Open);
            });
            check(on_error, |inspection| {
                assert!(inspection.with(fails::<()>).is_none());
            });
        }
    }
}
