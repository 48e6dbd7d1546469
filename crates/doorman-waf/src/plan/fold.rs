//! Rules that no transaction can reach or match, and those whose match is known.
//!
//! The set is run once without a request: TX is empty when a transaction begins, so what rules set in
//! it before they have looked at anything else is the same for all. That is how paranoia levels,
//! thresholds and the like become constants, and the rules that ask for them go. What a request
//! decides makes every variable unknown that it may write, from there on.
//!
//! Four things can make a rule be passed over that is reached here: a `ctl` that takes it away, a rule
//! that ends its phase early, a phase that is not run since a client or an origin is gone, and a fault.
//! The first is looked for among all rules; after the second nothing that was written since is relied
//! upon in later phases, and because of the third nothing that any phase but the first has written; a
//! fault in the middle of a phase leaves constants as they are here, where the reference might leave
//! them unset.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use doorman_http::Now;

use super::Planned;
use crate::rule::{
    Collection, Control, Disruption, Effect, Link, Operator, Part, Pattern, Phase, Rule, Selector,
    SetTo, Skip, TagMatch, Target, Template, Use, Variable,
};
use crate::transaction::{
    At, Engine, Facts, Live, Named, Run, Seen, Step, Worker, capture_index, skipped,
};

/// Rounds at most: in each, what the one before has left out takes nothing away any more.
const ROUNDS_MAX: usize = 4;

/// The steps of each phase that are left.
pub(super) fn fold(engine: &Engine) -> [Vec<Planned>; 5] {
    let mut left = once(engine, Removals::of(engine, None));
    for _ in 1..ROUNDS_MAX {
        let before = left.iter().map(Vec::len).sum::<usize>();
        left = once(engine, Removals::of(engine, Some(&left)));
        if left.iter().map(Vec::len).sum::<usize>() == before {
            break;
        }
    }
    left
}

fn once(engine: &Engine, removals: Removals) -> [Vec<Planned>; 5] {
    let facts = Facts {
        client: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        server: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        now: Now::default(),
        unique_id: String::new(),
    };
    let mut fold = Fold {
        engine,
        seen: Seen::new(facts),
        live: Live::of(engine, Now::default()),
        worker: Worker::new(engine),
        removals,
        looks_back: looks_back(engine),
        unknown: Unknown::default(),
        unstable: Unknown::default(),
        may_have_ended: false,
    };
    Phase::ALL.map(|phase| fold.phase(phase))
}

struct Fold<'e> {
    engine: &'e Engine,
    /// A request of which nothing is known.
    seen: Seen,
    /// What is known of TX, for all transactions.
    live: Live,
    worker: Worker,
    removals: Removals,
    /// Whether rules look at what rules before them have matched.
    looks_back: bool,
    /// Variables of TX of which nothing is known here.
    unknown: Unknown,
    /// Those that were written when the phase may have ended, or may not be run: nothing is known of
    /// them in later ones.
    unstable: Unknown,
    may_have_ended: bool,
}

/// What became of a rule.
enum Outcome {
    /// It never matches, wherever it is reached.
    Never,
    /// It always does, and this is what it sets.
    Always(Vec<(Vec<u8>, Vec<u8>)>),
    /// It does, and has more effects than that.
    Does,
    /// That depends on the transaction.
    Depends,
}

impl Fold<'_> {
    fn phase(&mut self, phase: Phase) -> Vec<Planned> {
        let engine = self.engine;
        let steps = engine.steps(phase);
        let counts = steps.iter().any(|step| matches!(step.rule.skip, Some(Skip::Rules(_))));
        let mut left = Vec::new();
        // Up to here it is not certain that rules are reached.
        let mut certain_from = 0;
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            let rule = &step.rule;
            let reached = step.item >= certain_from;
            let outcome = self.rule(steps, index, phase, reached);
            let ends = !matches!(rule.disruption, Disruption::Pass) || has_engine_control(rule);
            let skip = rule.skip.as_ref();
            let keep = || Planned::Rule(Step { item: step.item, rule: Arc::clone(rule) });
            index += 1;
            match outcome {
                // A skip that counts rules counts those that do nothing, too.
                Outcome::Never if counts => left.push(keep()),
                Outcome::Never => {}
                Outcome::Always(sets) if !counts && !ends => {
                    left.extend((!sets.is_empty()).then_some(Planned::Known(step.item, sets)));
                    if let Some(skip) = skip {
                        index = skipped(steps, |step| step.item, index - 1, skip);
                    }
                }
                Outcome::Always(_) | Outcome::Does | Outcome::Depends => {
                    left.push(keep());
                    self.may_have_ended |= ends;
                    let end = match skip {
                        None => 0,
                        Some(Skip::Rules(_)) => usize::MAX,
                        Some(Skip::After { item, .. }) => *item,
                    };
                    certain_from = certain_from.max(end);
                }
            }
        }
        self.unknown.extend(&self.unstable);
        merged(left)
    }

    /// What is known of a rule. Changes what is known of TX as the rule does.
    fn rule(&mut self, steps: &[Step], index: usize, phase: Phase, reached: bool) -> Outcome {
        let rule = &steps[index].rule;
        if !self.reads_known(&rule.links[0]) {
            self.forget(rule);
            return Outcome::Depends;
        }
        match self.matches(rule, 0, phase) {
            Some(0) => return Outcome::Never,
            Some(count) if reached && self.removals.leave(steps, index) => {
                if let Some(outcome) = self.effects(rule, phase, count) {
                    return outcome;
                }
            }
            _ => {}
        }
        self.forget(rule);
        Outcome::Depends
    }

    /// Makes the effects of a rule that is reached and whose first link matches so often; `None` if it
    /// is not known what they are.
    fn effects(&mut self, rule: &Arc<Rule>, phase: Phase, count: usize) -> Option<Outcome> {
        let plain =
            |effect: &Effect| matches!(effect, Effect::Set { collection: Collection::Tx, .. });
        let [link] = rule.links.as_slice() else { return None };
        if !link.effects.iter().all(|effect| plain(effect) && self.sets_known(effect)) {
            return None;
        }
        for _ in 0..count {
            self.with(phase, |run| run.effects(At { rule, link: 0 }).ok())?;
        }
        let names: Vec<_> = link.effects.iter().filter_map(set_name).collect();
        if self.may_have_ended || phase != Phase::RequestHead {
            names.iter().for_each(|name| self.unstable.insert(&name.to_ascii_lowercase()));
        }
        let silent = !rule.log && !rule.audit && rule.severity.is_none() && !link.capture;
        let value = |name: &[u8]| self.live.tx_value(&name.to_ascii_lowercase());
        let unset = |name: &&[u8]| value(name).is_none();
        if !silent || self.looks_back || names.iter().any(unset) {
            return Some(Outcome::Does);
        }
        let mut sets = Vec::new();
        for name in names {
            put(&mut sets, name.to_vec(), value(name).unwrap_or_default().to_vec());
        }
        Some(Outcome::Always(sets))
    }

    /// How many values of a link match; `None` if that cannot be told.
    fn matches(&mut self, rule: &Arc<Rule>, link: usize, phase: Phase) -> Option<usize> {
        self.with(phase, |run| {
            let of = &rule.links[link];
            if of.targets.is_empty() {
                let always = matches!(of.operator, Operator::UnconditionalMatch) && !of.negated;
                return Some(usize::from(always));
            }
            let (mut count, mut values) = (0, Vec::new());
            run.all_values(rule, &mut values).ok()?;
            for value in values {
                count += usize::from(run.asks(rule, of, &value.bytes).ok()?);
            }
            Some(count)
        })
    }

    fn with<T>(&mut self, phase: Phase, then: impl FnOnce(&mut Run<'_>) -> T) -> T {
        let Self { engine, seen, live, worker, .. } = self;
        live.budget.refill(u64::MAX);
        let mut allowed = [false; 5];
        then(&mut Run::new(engine, seen, live, worker, phase, &mut allowed))
    }

    /// Whether all that a link asks is of what is known of TX.
    fn reads_known(&self, link: &Link) -> bool {
        let target = |target: &Target| {
            let Target { meant, variable: Variable::Tx, selector: Selector::Key(key) } = target
            else {
                return false;
            };
            *meant != Use::Exclude && !is_capture(key) && !self.unknown.contains(key)
        };
        !link.multi_match && link.targets.iter().all(target) && self.asks_known(&link.operator)
    }

    fn asks_known(&self, operator: &Operator) -> bool {
        match operator {
            Operator::Rx(Pattern::Expanded(text))
            | Operator::Streq(text)
            | Operator::Contains(text)
            | Operator::ContainsWord(text)
            | Operator::BeginsWith(text)
            | Operator::EndsWith(text)
            | Operator::Within(text)
            | Operator::StrMatch(text)
            | Operator::Eq(text)
            | Operator::Ge(text)
            | Operator::Gt(text)
            | Operator::Le(text)
            | Operator::Lt(text) => self.is_known(text),
            _ => true,
        }
    }

    fn sets_known(&self, effect: &Effect) -> bool {
        let Effect::Set { name, to, .. } = effect else { return false };
        let Some(name) = name.constant() else { return false };
        let lower = name.to_ascii_lowercase();
        !is_capture(&lower)
            && match to {
                SetTo::Value(text) => self.is_known(text),
                SetTo::Add(text) | SetTo::Subtract(text) => {
                    self.is_known(text) && !self.unknown.contains(&lower)
                }
                SetTo::Unset => true,
            }
    }

    fn is_known(&self, text: &Template) -> bool {
        text.parts.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Value { variable: Variable::Tx, key: Some(key) } => {
                !is_capture(key) && !self.unknown.contains(key)
            }
            _ => false,
        })
    }

    /// Nothing is known any more of what a rule may write.
    fn forget(&mut self, rule: &Rule) {
        for effect in rule.links.iter().flat_map(|link| &link.effects) {
            let (Effect::Set { collection: Collection::Tx, name, .. }
            | Effect::Expire { collection: Collection::Tx, name, .. }) = effect
            else {
                continue;
            };
            let start = match name.parts.first() {
                Some(Part::Text(text)) => text.to_ascii_lowercase(),
                _ => Vec::new(),
            };
            match name.constant() {
                Some(_) => self.unknown.insert(&start),
                None => self.unknown.insert_all(&start),
            }
        }
    }
}

/// Whether a name of TX is one that captures are written to.
fn is_capture(lower: &[u8]) -> bool {
    capture_index(lower).is_some()
}

/// The name of TX that an effect sets, if it is a constant.
fn set_name(effect: &Effect) -> Option<&[u8]> {
    let Effect::Set { name, .. } = effect else { return None };
    name.constant()
}

/// Takes what is known of TX before any rule looks at it out of the first phase.
pub(super) fn base(phases: &mut [Vec<Planned>; 5]) -> Named {
    let mut known = Named::default();
    let mut early = true;
    phases[0].retain(|step| match step {
        Planned::Known(_, sets) if early => {
            sets.iter().for_each(|(name, value)| known.set(name, value.clone(), 0));
            false
        }
        Planned::Known(..) => true,
        Planned::Rule(step) | Planned::Gated(step, _) => {
            early &= !knows_tx(&step.rule);
            true
        }
    });
    known.over(phases.iter().flatten().flat_map(names))
}

/// Names of TX that a step sets, as far as they are constants: whoever knows them beforehand finds them at once.
fn names(step: &Planned) -> Vec<&[u8]> {
    match step {
        Planned::Known(_, sets) => sets.iter().map(|(name, _)| name.as_slice()).collect(),
        Planned::Rule(step) | Planned::Gated(step, _) => {
            let effects = step.rule.links.iter().flat_map(|link| &link.effects);
            let is_tx =
                |effect: &&Effect| matches!(effect, Effect::Set { collection: Collection::Tx, .. });
            let names = effects.filter(is_tx).filter_map(set_name);
            names.filter(|name| !is_capture(&name.to_ascii_lowercase())).collect()
        }
    }
}

/// Whether a rule reads or writes names of TX, or may end its phase.
fn knows_tx(rule: &Rule) -> bool {
    let reads = |text: &Template| {
        text.parts.iter().any(|part| matches!(part, Part::Value { variable: Variable::Tx, .. }))
    };
    let effect = |effect: &Effect| match effect {
        Effect::Set { collection, name, to } => {
            *collection == Collection::Tx
                || reads(name)
                || match to {
                    SetTo::Value(text) | SetTo::Add(text) | SetTo::Subtract(text) => reads(text),
                    SetTo::Unset => false,
                }
        }
        Effect::Expire { collection, name, after } => {
            *collection == Collection::Tx || reads(name) || reads(after)
        }
        Effect::Open { key, .. } => reads(key),
        Effect::Environment { name, value } => reads(name) || reads(value),
        Effect::Control(Control::Engine(_)) => true,
        Effect::Control(_) | Effect::Redact(_) | Effect::RedactMatched => false,
    };
    let link = |link: &Link| {
        link.targets.iter().any(|target| target.variable == Variable::Tx)
            || operand(&link.operator).is_some_and(reads)
            || link.effects.iter().any(effect)
    };
    !matches!(rule.disruption, Disruption::Pass)
        || rule.msg.iter().chain(&rule.logdata).any(reads)
        || rule.links.iter().any(link)
}

/// Puts what follows each other into one step.
fn merged(steps: Vec<Planned>) -> Vec<Planned> {
    let mut merged: Vec<Planned> = Vec::with_capacity(steps.len());
    for step in steps {
        match (merged.last_mut(), step) {
            (Some(Planned::Known(_, sets)), Planned::Known(_, more)) => {
                more.into_iter().for_each(|(name, value)| put(sets, name, value));
            }
            (_, step) => merged.push(step),
        }
    }
    merged
}

/// Sets a name once: it is told as it was spelled first.
fn put(sets: &mut Vec<(Vec<u8>, Vec<u8>)>, name: Vec<u8>, value: Vec<u8>) {
    match sets.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        Some((_, known)) => *known = value,
        None => sets.push((name, value)),
    }
}

/// Names of which nothing is known.
#[derive(Clone, Debug, Default)]
struct Unknown {
    names: BTreeSet<Vec<u8>>,
    /// And all that begin so.
    starts: BTreeSet<Vec<u8>>,
}

impl Unknown {
    fn insert(&mut self, name: &[u8]) {
        self.names.insert(name.to_vec());
    }

    fn insert_all(&mut self, start: &[u8]) {
        self.starts.insert(start.to_vec());
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.names.contains(name) || self.starts.iter().any(|start| name.starts_with(start))
    }

    fn extend(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.starts.extend(other.starts.iter().cloned());
    }
}

/// What may take rules away.
struct Removals {
    all: Vec<Removal>,
}

/// A `ctl` that takes rules or targets of rules away.
struct Removal {
    /// The phase and the item of the rule that has it: only later ones are taken away.
    at: (Phase, usize),
    what: Control,
}

impl Removals {
    /// Those of all rules, or of those that are left.
    fn of(engine: &Engine, left: Option<&[Vec<Planned>; 5]>) -> Self {
        let mut all = Vec::new();
        let mut take = |at, rule: &Rule| {
            for effect in rule.links.iter().flat_map(|link| &link.effects) {
                let Effect::Control(control) = effect else { continue };
                if takes_away(control) {
                    all.push(Removal { at, what: control.clone() });
                }
            }
        };
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            match left {
                None => {
                    engine
                        .steps(phase)
                        .iter()
                        .for_each(|step| take((phase, step.item), &step.rule));
                }
                Some(left) => left[number].iter().for_each(|step| match step {
                    Planned::Rule(step) | Planned::Gated(step, _) => {
                        take((phase, step.item), &step.rule);
                    }
                    Planned::Known(..) => {}
                }),
            }
        }
        Self { all }
    }

    /// Whether a rule whose match is known does what it does in every transaction. One that only skips
    /// does so even if it is taken away, if all that it skips is taken away with it.
    fn leave(&self, steps: &[Step], index: usize) -> bool {
        let step = &steps[index];
        let rule = &step.rule;
        let skips = rule.skip.as_ref().filter(|_| rule.links.iter().all(|l| l.effects.is_empty()));
        let skipped = match skips {
            Some(skip) => {
                &steps[index + 1..skipped(steps, |step| step.item, index, skip).min(steps.len())]
            }
            None => &[],
        };
        let before = self.all.iter().filter(|removal| removal.at < (rule.phase, step.item));
        before.filter(|removal| removal.what.means(rule)).all(|removal| {
            !skipped.is_empty()
                && removal.what.is_whole()
                && skipped.iter().all(|step| removal.what.means(&step.rule))
        })
    }
}

fn takes_away(control: &Control) -> bool {
    matches!(
        control,
        Control::RemoveById(_)
            | Control::RemoveTargetById(..)
            | Control::RemoveByTag(_)
            | Control::RemoveTargetByTag(..)
            | Control::RemoveByMsg(_)
            | Control::RemoveTargetByMsg(..)
    )
}

impl Control {
    /// Whether it may take this rule, or targets of it, away. Of what is not known here, it may.
    fn means(&self, rule: &Rule) -> bool {
        let has = |tag: &TagMatch| match tag {
            TagMatch::Exact(tag) => rule.tags.contains(tag),
            TagMatch::Regex(_) => true,
        };
        match self {
            Self::RemoveById(ids) | Self::RemoveTargetById(ids, _) => {
                ids.iter().any(|range| range.contains(rule.id))
            }
            Self::RemoveByTag(tag) | Self::RemoveTargetByTag(tag, _) => has(tag),
            _ => true,
        }
    }

    /// Whether it is certain to take away whole rules, and those that it may mean.
    const fn is_whole(&self) -> bool {
        matches!(self, Self::RemoveById(_) | Self::RemoveByTag(TagMatch::Exact(_)))
    }
}

fn has_engine_control(rule: &Rule) -> bool {
    let effects = rule.links.iter().flat_map(|link| &link.effects);
    effects.into_iter().any(|effect| matches!(effect, Effect::Control(Control::Engine(_))))
}

/// Whether a rule looks at what rules before it have matched: MATCHED_VAR and its like ahead of a
/// match of its own.
fn looks_back(engine: &Engine) -> bool {
    let is_matched = |variable: Variable| {
        use Variable as V;
        matches!(variable, V::MatchedVar | V::MatchedVarName | V::MatchedVars | V::MatchedVarsNames)
    };
    let reads = |text: &Template| {
        text.parts.iter().any(|part| match part {
            Part::Value { variable, .. } => is_matched(*variable),
            _ => false,
        })
    };
    let sets = |effect: &Effect| match effect {
        Effect::Set { name, to, .. } => {
            reads(name)
                || match to {
                    SetTo::Value(text) | SetTo::Add(text) | SetTo::Subtract(text) => reads(text),
                    SetTo::Unset => false,
                }
        }
        Effect::Expire { name, after, .. } => reads(name) || reads(after),
        Effect::Open { key, .. } => reads(key),
        Effect::Environment { name, value } => reads(name) || reads(value),
        Effect::Control(_) | Effect::Redact(_) => false,
        Effect::RedactMatched => true,
    };
    let looks = |rule: &Rule| {
        let first = &rule.links[0];
        let told = rule.msg.iter().chain(&rule.logdata).any(reads);
        first.targets.iter().any(|target| is_matched(target.variable))
            || operand(&first.operator).is_some_and(reads)
            || first.targets.is_empty() && (told || first.effects.iter().any(sets))
    };
    Phase::ALL.iter().flat_map(|phase| engine.steps(*phase)).any(|step| looks(&step.rule))
}

fn operand(operator: &Operator) -> Option<&Template> {
    match operator {
        Operator::Rx(Pattern::Expanded(text))
        | Operator::Streq(text)
        | Operator::Contains(text)
        | Operator::ContainsWord(text)
        | Operator::BeginsWith(text)
        | Operator::EndsWith(text)
        | Operator::Within(text)
        | Operator::StrMatch(text)
        | Operator::Eq(text)
        | Operator::Ge(text)
        | Operator::Gt(text)
        | Operator::Le(text)
        | Operator::Lt(text) => Some(text),
        _ => None,
    }
}
