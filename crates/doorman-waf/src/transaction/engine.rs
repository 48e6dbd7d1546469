//! A rule set that is ready to run, and what one thread needs to run it.

use std::sync::Arc;

use super::cost::{Cost, Table, Tables};
use super::index;
use super::pattern::Patterns;
use super::store::Store;
use crate::operator::{detect_sqli, detect_xss};
use crate::plan::{Extent, Plan, Room};
use crate::rule::{Item, Notice, Phase, Rule, RuleSet};

/// What happens to a transaction whose phase ends because of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// It goes on.
    Open,
    /// It is refused with 403, unless matches are not obeyed.
    #[default]
    Closed,
}

/// How the rules to run are found. Both ways say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Way {
    /// By the compiled plan.
    #[default]
    Plan,
    /// Each of them, on each value, as it is written: to measure the plan against.
    Reference,
}

/// How rules are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a fault does.
    pub on_error: OnError,
    /// How the rules to run are found.
    pub way: Way,
    /// Steps of one transaction: a byte that an operator looks at is one, and so is a byte that a
    /// transformation reads or makes.
    pub steps_max: u64,
    /// Bytes that the rules of one transaction may keep in variables.
    pub memory_max: usize,
}

impl Default for Options {
    /// A body of 128 KiB under all rules of the Core Rule Set takes some 100 million steps.
    fn default() -> Self {
        Self { on_error: OnError::Closed, way: Way::Plan, steps_max: 1 << 30, memory_max: 16 << 20 }
    }
}

/// A rule set that is ready to run; shared by all cores and by all transactions.
#[derive(Debug)]
pub struct Engine {
    rules: RuleSet,
    phases: [Vec<Step>; 5],
    plan: Plan,
    options: Options,
    store: Arc<Store>,
    costs: Tables,
}

/// A rule of a phase, and where it stands among all items of the set.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) item: usize,
    pub(crate) rule: Arc<Rule>,
}

impl Engine {
    /// Makes a rule set ready, with default options and a store of its own.
    ///
    /// # Errors
    /// Rules that cannot be run.
    pub fn new(rules: RuleSet) -> Result<Self, Vec<Notice>> {
        Self::with(rules, Options::default(), Arc::default())
    }

    /// Makes a rule set ready. A store that another engine had goes on counting.
    ///
    /// # Errors
    /// Rules that cannot be run: those without a link.
    pub fn with(rules: RuleSet, options: Options, store: Arc<Store>) -> Result<Self, Vec<Notice>> {
        let mut phases = [const { Vec::new() }; 5];
        let mut notices = Vec::new();
        for (item, step) in rules.items.iter().enumerate() {
            let Item::Rule(rule) = step else { continue };
            if rule.links.is_empty() {
                let text = "This rule has no condition and no action.".to_owned();
                notices.push(Notice { place: rule.place.clone(), id: Some(rule.id), text });
            }
            phases[index(rule.phase)].push(Step { item, rule: Arc::clone(rule) });
        }
        if !notices.is_empty() {
            return Err(notices);
        }
        let costs = Tables::new(rules.items.len());
        // Tables that the detectors make when they are first asked: no request should wait for them.
        let _ = (detect_sqli(b"1 or 1"), detect_xss(b"<a b>"));
        let mut engine = Self { rules, phases, plan: Plan::default(), options, store, costs };
        if options.way == Way::Plan {
            engine.plan = Plan::new(&engine);
        }
        Ok(engine)
    }

    /// What it runs.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// How much of the rules its plan leaves out.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.plan.extent(self)
    }

    /// What each rule has cost so far, in the order of phases and files.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let steps = || self.phases.iter().flatten();
        let sums = self.costs.sums(steps().map(|step| step.item));
        let cost = |(step, [asked, bytes, hits]): (&Step, [u64; 3])| Cost {
            rule: Arc::clone(&step.rule),
            asked,
            bytes,
            hits,
        };
        steps().zip(sums).map(cost).collect()
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How it runs.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The collections that outlive transactions, to be handed to the engine that follows.
    #[must_use]
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The rules of a phase, in the order of the files.
    pub(crate) fn steps(&self, phase: Phase) -> &[Step] {
        &self.phases[index(phase)]
    }
}

/// What one thread needs to run an engine: caches of patterns and buffers. One may serve any number
/// of transactions after each other, or in turns.
#[derive(Debug, Default)]
pub struct Worker {
    pub(crate) patterns: Patterns,
    /// Two forms of a value: the one that was made last, and the one that is made of it.
    pub(crate) forms: [Vec<u8>; 2],
    /// A name and its value, which is asked about as it is found.
    pub(crate) simple: [Vec<u8>; 2],
    /// The text of a template.
    pub(crate) text: Vec<u8>,
    pub(crate) room: Room,
    pub(crate) costs: Arc<Table>,
}

impl Worker {
    /// A worker for this engine.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self { costs: engine.costs.table(), ..Self::default() }
    }
}
