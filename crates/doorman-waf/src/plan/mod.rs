//! The plan: the same as the reference for a small part of the price.
//!
//! It never decides what a match is or does: that is done by the same code as in the reference. It
//! only leaves out what is proven to say no, by two kinds of proof. Before any transaction, rules that
//! no transaction can reach or match are left out ([`fold`]): with the Core Rule Set those of the
//! levels that are not asked for. In a transaction, each value is looked at once for all rules that
//! look at it ([`look`]): one pass finds the literals of all their patterns, and a rule is run on
//! those values alone that have what each of its matches has ([`gate`]).

mod bits;
mod fold;
mod gate;
mod layout;
mod look;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::rule::{EngineMode, Phase, Rule};
use crate::transaction::{At, Engine, Flow, Named, Run, Step, Stop, skipped};
use layout::Layout;
use look::Look;

pub(crate) use look::Room;

/// What is run in each phase.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What TX has in every transaction before any rule has looked at it.
    base: Named,
    phases: [PhasePlan; 5],
}

/// What is run in one phase.
#[derive(Debug, Default)]
struct PhasePlan {
    steps: Vec<Planned>,
    layout: Layout,
}

/// A rule that is left, or what is known of some that are not.
#[derive(Debug)]
enum Planned {
    /// Run as it is written.
    Rule(Step),
    /// Run on those values that pass the gate of this number.
    Gated(Step, usize),
    /// Rules that always match and do nothing but this: names of TX and what they are set to.
    Known(usize, Vec<(Vec<u8>, Vec<u8>)>),
}

impl Planned {
    const fn item(&self) -> usize {
        match self {
            Self::Rule(step) | Self::Gated(step, _) => step.item,
            Self::Known(item, _) => *item,
        }
    }
}

/// What a plan is made of: how many rules it leaves out, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Rules of the set, chains counted once.
    pub rules: usize,
    /// Those that a transaction may run.
    pub kept: usize,
    /// Those of them that are run only on values that pass a gate.
    pub gated: usize,
    /// Literals that are looked for in one pass, over all phases.
    pub literals: usize,
    /// Bytes that the gates take.
    pub memory: usize,
}

impl Plan {
    /// Makes the plan of an engine's rules.
    pub(crate) fn new(engine: &Engine) -> Self {
        if engine.rules().settings.engine == EngineMode::Off {
            // No rule is run that could switch it on, so nothing is known, either.
            return Self::default();
        }
        let mut folded = fold::fold(engine);
        let base = fold::base(&mut folded);
        Self { base, phases: folded.map(PhasePlan::new) }
    }

    /// What TX has when a transaction begins.
    pub(crate) fn base(&self) -> Named {
        self.base.clone()
    }

    /// How large it is.
    pub(crate) fn extent(&self, engine: &Engine) -> Extent {
        let mut extent = Extent::default();
        for (phase, plan) in Phase::ALL.iter().zip(&self.phases) {
            extent.rules += engine.steps(*phase).len();
            extent.kept += plan.steps.len();
            extent.gated +=
                plan.steps.iter().filter(|step| matches!(step, Planned::Gated(..))).count();
            extent.literals += plan.layout.literals();
            extent.memory += plan.layout.memory();
        }
        extent
    }

    /// Runs a phase.
    pub(crate) fn phase(&self, run: &mut Run<'_>) -> Result<(), Stop> {
        let plan = &self.phases[usize::from(run.phase.number() - 1)];
        let mut room = std::mem::take(&mut run.worker.room);
        let done = plan.run(run, &mut Look::new(&plan.layout, &mut room));
        room.release();
        run.worker.room = room;
        done
    }
}

impl PhasePlan {
    fn new(folded: Vec<Planned>) -> Self {
        let (steps, layout) = layout::gates(folded);
        Self { steps, layout }
    }

    fn run<'a>(&self, run: &mut Run<'a>, look: &mut Look<'_, 'a>) -> Result<(), Stop> {
        let mut index = 0;
        while let Some(step) = self.steps.get(index) {
            if run.is_off() {
                return Ok(());
            }
            run.item = step.item();
            let flow = match step {
                Planned::Rule(step) => run.rule(&step.rule)?,
                Planned::Gated(step, gate) => gated(run, look, &step.rule, *gate)?,
                Planned::Known(_, sets) => {
                    run.know(sets);
                    Flow::Next
                }
            };
            index = match flow {
                Flow::Next => index + 1,
                Flow::Skip(skip) => skipped(&self.steps, Planned::item, index, skip),
                Flow::End => return Ok(()),
            };
        }
        Ok(())
    }
}

/// Runs a rule on the values that pass its gate.
fn gated<'r, 'a>(
    run: &mut Run<'a>,
    look: &mut Look<'_, 'a>,
    rule: &'r Arc<Rule>,
    gate: usize,
) -> Result<Flow<'r>, Stop> {
    look.at(run, rule, gate)?;
    if !look.any(gate) {
        return Ok(Flow::Next);
    }
    if !run.begin(rule) {
        return Ok(Flow::Next);
    }
    if run.has_exclusions() {
        return run.links(rule, 0);
    }
    let mut any = false;
    for candidate in look.candidates(gate) {
        let at = At { rule, link: 0 };
        let (value, form) = look.candidate(gate, candidate);
        any |= match form {
            Some(form) => run.form(at, &rule.links[0], value, form)?,
            None => run.value(at, &rule.links[0], value)?,
        };
    }
    if any { run.links(rule, 1) } else { Ok(Flow::Next) }
}
