//! One rule, run on values.
//!
//! Everything that happens once a rule and its candidate values are found is here, in steps that can
//! be taken apart: [`Run::begin`], then for each link [`Run::values`] and [`Run::link`], then
//! [`Run::complete`]. The reference takes them all for every rule. A plan that has proof that a value
//! cannot match leaves it out of what it hands to [`Run::link`], or hands a form that it has made
//! already to [`Run::form`]; what a match does is the same.

use std::borrow::Cow;
use std::sync::Arc;

use super::engine::{Engine, OnError, Worker};
use super::index;
use super::live::{At, Live, Matched, Stop};
use super::operate::Hit;
use super::outcome::{EXCERPT_MAX, Fault, FaultKind, How, Match, OTHERS_MAX, Refusal, TEXT_MAX};
use super::seen::Seen;
use super::value::{Source, Value};
use crate::regex::GROUPS;
use crate::rule::{
    Disruption, EngineMode, Link, Operator, Phase, Rule, Scope, Selector, Skip, Target, Template,
    Use,
};

/// A phase while it runs.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) seen: &'a Seen,
    pub(crate) live: &'a mut Live,
    pub(crate) worker: &'a mut Worker,
    pub(crate) phase: Phase,
    /// Targets that are taken away from the current rule.
    excluded: Vec<Target>,
    /// Memory for the values of a link.
    spare: Vec<Value<'a>>,
    /// The rule that is run.
    current: Option<u32>,
    /// Its place among all items of the set, by which its cost is counted.
    pub(crate) item: usize,
    /// Phases that nothing more is looked at in.
    pub(crate) allowed: &'a mut [bool; 5],
}

/// Where a phase goes on after a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow<'r> {
    /// With the next.
    Next,
    /// Further on.
    Skip(&'r Skip),
    /// Nowhere.
    End,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        seen: &'a Seen,
        live: &'a mut Live,
        worker: &'a mut Worker,
        phase: Phase,
        allowed: &'a mut [bool; 5],
    ) -> Self {
        let (excluded, spare, current, item) = (Vec::new(), Vec::new(), None, usize::MAX);
        Self { engine, seen, live, worker, phase, excluded, spare, current, item, allowed }
    }

    /// Whether rules are run at all, as long as no rule says otherwise.
    pub(crate) fn is_off(&self) -> bool {
        self.live.controls.mode == EngineMode::Off
    }

    /// Runs a rule as it is written: each link on all values of its targets.
    pub(crate) fn rule<'r>(&mut self, rule: &'r Arc<Rule>) -> Result<Flow<'r>, Stop> {
        if self.begin(rule) { self.links(rule, 0) } else { Ok(Flow::Next) }
    }

    /// Runs the links of a rule that has begun, from one on, and completes it if all match.
    pub(crate) fn links<'r>(&mut self, rule: &'r Arc<Rule>, from: usize) -> Result<Flow<'r>, Stop> {
        for link in from..rule.links.len() {
            let at = At { rule, link };
            let matches = match self.simply(at)? {
                Some(matches) => matches,
                None => {
                    let mut values = std::mem::take(&mut self.spare);
                    let done = self.values(rule, link, &mut values);
                    let matches = done.and_then(|()| self.link(at, &values));
                    values.clear();
                    self.spare = values;
                    matches?
                }
            };
            if !matches {
                return Ok(Flow::Next);
            }
        }
        self.complete(rule)
    }

    /// Runs a link that asks about one number or one word of a collection of rules' own: most that do are
    /// switches. Whether it matches; `None` if it has to be run in the way of all others.
    fn simply(&mut self, at: At<'_>) -> Result<Option<bool>, Stop> {
        let link = &at.rule.links[at.link];
        let [target] = link.targets.as_slice() else { return Ok(None) };
        if !link.transformations.is_empty() || link.multi_match || !self.excluded.is_empty() {
            return Ok(None);
        }
        let [mut name, mut bytes] = std::mem::take(&mut self.worker.simple);
        name.clear();
        bytes.clear();
        let matches = match self.source(at.rule).simple(target, &mut name, &mut bytes) {
            Some(true) => {
                let counted = target.meant == Use::Count;
                let has_key = matches!(target.selector, Selector::Key(_));
                let key = has_key.then_some(Cow::Borrowed(&*name));
                let (variable, bytes) = (target.variable, Cow::Borrowed(&*bytes));
                let value = Value { variable, key, bytes, counted };
                self.form(at, link, &value, &value.bytes).map(Some)
            }
            has_none => Ok(has_none),
        };
        self.worker.simple = [name, bytes];
        matches
    }

    /// Says which rule is to blame for a fault before one has begun.
    pub(crate) const fn blame(&mut self, rule: &Rule) {
        self.current = Some(rule.id);
    }

    /// Begins a rule; `false` if it is taken away.
    pub(crate) fn begin(&mut self, rule: &Arc<Rule>) -> bool {
        self.live.begin_rule();
        self.current = Some(rule.id);
        let (controls, patterns) = (&self.live.controls, &mut self.worker.patterns);
        if controls.removes(rule, patterns) {
            return false;
        }
        self.excluded = controls.excluded(rule, patterns);
        true
    }

    /// Whether targets are taken away from the rule that has begun.
    pub(crate) const fn has_exclusions(&self) -> bool {
        !self.excluded.is_empty()
    }

    /// All values of a rule's first link, whatever is taken away from the rule.
    pub(crate) fn all_values(
        &mut self,
        rule: &Rule,
        values: &mut Vec<Value<'a>>,
    ) -> Result<(), Stop> {
        self.source(rule).values(&rule.links[0], &[], values)
    }

    /// Sets names of TX, in lower case, to values that are known.
    pub(crate) fn know(&mut self, sets: &[(Vec<u8>, Vec<u8>)]) {
        let now = self.live.seconds();
        for (name, value) in sets {
            self.live.tx.named.set(name, value.clone(), now);
        }
    }

    /// Whether a link says yes to a value. Nothing else happens.
    pub(crate) fn asks(
        &mut self,
        rule: &Arc<Rule>,
        link: &Link,
        value: &[u8],
    ) -> Result<bool, Stop> {
        let (mut form, mut next) = (value.to_vec(), Vec::new());
        for transformation in &link.transformations {
            if transformation.apply(&form, &mut next) {
                std::mem::swap(&mut form, &mut next);
            }
        }
        Ok(self.ask(rule, link, &form)?.is_some() != link.negated)
    }

    /// All values of a link's targets.
    fn values(
        &mut self,
        rule: &Rule,
        link: usize,
        values: &mut Vec<Value<'a>>,
    ) -> Result<(), Stop> {
        let excluded = std::mem::take(&mut self.excluded);
        let done = self.source(rule).values(&rule.links[link], &excluded, values);
        self.excluded = excluded;
        done
    }

    /// Runs a link on these values, all of them: a rule's effects are made for each that matches.
    /// Whether any did.
    pub(crate) fn link(&mut self, at: At<'_>, values: &[Value<'_>]) -> Result<bool, Stop> {
        let link = &at.rule.links[at.link];
        if link.targets.is_empty() {
            return self.action(at, link);
        }
        let mut any = false;
        for value in values {
            any |= self.value(at, link, value)?;
        }
        Ok(any)
    }

    /// A link without targets, which is that of a `SecAction`: it matches, and nothing is matched.
    fn action(&mut self, at: At<'_>, link: &Link) -> Result<bool, Stop> {
        let matches = matches!(link.operator, Operator::UnconditionalMatch) && !link.negated;
        self.live.budget.take(0)?;
        if matches {
            self.effects(at)?;
        }
        Ok(matches)
    }

    /// Runs a link on one value, in the forms that its transformations give it.
    pub(crate) fn value(
        &mut self,
        at: At<'_>,
        link: &Link,
        value: &Value<'_>,
    ) -> Result<bool, Stop> {
        let [mut form, mut next] = std::mem::take(&mut self.worker.forms);
        let mut changed = false;
        let mut any = false;
        if link.multi_match {
            any |= self.form(at, link, value, &value.bytes)?;
        }
        for transformation in &link.transformations {
            let input: &[u8] = if changed { &form } else { &value.bytes };
            self.live.budget.take(input.len())?;
            if !transformation.apply(input, &mut next) {
                continue;
            }
            self.live.budget.take(next.len())?;
            std::mem::swap(&mut form, &mut next);
            changed = true;
            if link.multi_match {
                any |= self.form(at, link, value, &form)?;
            }
        }
        if !link.multi_match {
            let last: &[u8] = if changed { &form } else { &value.bytes };
            any = self.form(at, link, value, last)?;
        }
        self.worker.forms = [form, next];
        Ok(any)
    }

    /// Asks a link's question of one form of a value, and does what a match does.
    pub(crate) fn form(
        &mut self,
        at: At<'_>,
        link: &Link,
        value: &Value<'_>,
        form: &[u8],
    ) -> Result<bool, Stop> {
        self.worker.costs.ask(self.item, form.len());
        let hit = self.ask(at.rule, link, form)?;
        if hit.is_some() == link.negated {
            return Ok(false);
        }
        self.matched(at, value, form, hit)?;
        Ok(true)
    }

    /// What a match does at once: captures, MATCHED_VAR and its like, effects.
    pub(crate) fn matched(
        &mut self,
        at: At<'_>,
        value: &Value<'_>,
        form: &[u8],
        hit: Option<Hit>,
    ) -> Result<(), Stop> {
        let start = hit.as_ref().map_or(0, Hit::start);
        if let Some(captures) = hit.and_then(|hit| hit.captures(form))
            && at.rule.links[at.link].capture
        {
            self.live.capture(captures);
        }
        self.live.budget.take(form.len())?;
        // Pieces are for people: of a rule that tells nothing nobody sees them.
        let told = at.rule.log;
        let piece = |value, start| if told { excerpt(value, start) } else { &[] };
        let mut matched = self.live.blank(value.variable);
        value.name(&mut matched.name);
        matched.value.extend_from_slice(form);
        matched.excerpt.extend_from_slice(piece(form, start));
        let start = if told && *form == *value.bytes { start } else { 0 };
        matched.raw.extend_from_slice(piece(&value.bytes, start));
        self.live.matched_vars.push(matched);
        self.effects(at)
    }

    /// What the match of a whole rule does: it is told of, and the transaction goes on elsewhere.
    pub(crate) fn complete<'r>(&mut self, rule: &'r Arc<Rule>) -> Result<Flow<'r>, Stop> {
        self.worker.costs.hit(self.item);
        if let Some(severity) = rule.severity {
            let highest = &mut self.live.journal.highest_severity;
            *highest = severity.number().min(*highest);
        }
        self.live.journal.audit |= rule.audit;
        if rule.log {
            let found = self.told(rule)?;
            self.live.journal.matches.push(found);
        }
        if self.disrupt(rule)? {
            return Ok(Flow::End);
        }
        Ok(rule.skip.as_ref().map_or(Flow::Next, Flow::Skip))
    }

    /// What there is to tell of a match.
    fn told(&mut self, rule: &Arc<Rule>) -> Result<Match, Stop> {
        let msg = self.text(rule, rule.msg.as_ref())?;
        let data = self.text(rule, rule.logdata.as_ref())?;
        // A chain that ends on what its rules have made is told by what it began with: that is what
        // somebody looks for in a request, and what an exclusion names.
        let all = &self.live.matched_vars;
        let last = all.iter().rfind(|matched| matched.is_original()).or(all.last());
        let (value, raw) = last.map(|m| (m.excerpt.clone(), m.raw.clone())).unwrap_or_default();
        let text =
            |matched: &Matched| cut(String::from_utf8_lossy(&matched.name).into_owned(), TEXT_MAX);
        let variable = last.map(text).unwrap_or_default();
        let others = if rule.links.len() == 1 { others(all, &variable) } else { Vec::new() };
        Ok(Match {
            rule: Arc::clone(rule),
            variable,
            others,
            value,
            raw,
            msg,
            data,
            score: self.live.score,
            phase: self.phase,
        })
    }

    fn text(&mut self, rule: &Rule, template: Option<&Template>) -> Result<String, Stop> {
        let Some(template) = template else { return Ok(String::new()) };
        let text = self.expanded(rule, template)?;
        Ok(cut(String::from_utf8_lossy(&text).into_owned(), TEXT_MAX))
    }

    /// Whether the rule ends the phase. Where matches are not obeyed, the first refusal is written
    /// down and nothing else happens.
    fn disrupt(&mut self, rule: &Rule) -> Result<bool, Stop> {
        let obeyed = self.live.controls.mode == EngineMode::On;
        let how = match &rule.disruption {
            Disruption::Pass => return Ok(false),
            Disruption::Allow(scope) => {
                if obeyed {
                    self.allow(*scope);
                }
                return Ok(obeyed);
            }
            Disruption::Deny => How::Deny,
            Disruption::Drop => How::Drop,
            Disruption::Redirect(place) => How::Redirect(location(&self.expanded(rule, place)?)),
        };
        if self.phase == Phase::Logging {
            return Ok(false);
        }
        let refusal = Refusal { rule: rule.id, status: rule.status, how, phase: self.phase };
        Ok(self.live.refuse(refusal))
    }

    fn allow(&mut self, scope: Scope) {
        let phases: &[Phase] = match scope {
            Scope::Phase => &[],
            Scope::Request => &Phase::ALL[..2],
            Scope::Transaction => &Phase::ALL[..4],
        };
        for phase in phases {
            self.allowed[index(*phase)] = true;
        }
    }

    /// Ends the phase because of a fault: whether the transaction goes on is the operator's choice.
    pub(crate) fn give_up(&mut self, kind: FaultKind) {
        self.fault(kind, self.current);
        let closed = self.engine.options().on_error == OnError::Closed;
        if closed && self.phase != Phase::Logging {
            let rule = self.current.unwrap_or_default();
            self.live.refuse(Refusal { rule, status: 403, how: How::Deny, phase: self.phase });
        }
    }

    /// Writes down what went wrong.
    pub(crate) fn fault(&mut self, kind: FaultKind, rule: Option<u32>) {
        self.live.journal.fault(Fault { kind, rule, phase: self.phase });
    }

    /// What values and macros are taken from.
    pub(crate) fn source<'l>(&'l mut self, rule: &'l Rule) -> Source<'a, 'l> {
        let (seen, live, patterns) = (self.seen, &*self.live, &mut self.worker.patterns);
        Source { seen, live, rule, patterns }
    }
}

impl Hit {
    /// Where it lies in the value, as far as that is known.
    fn start(&self) -> usize {
        match self {
            Self::Groups(groups) => groups[0].as_ref().map_or(0, |group| group.start),
            Self::Plain | Self::Text(_) | Self::Whole => 0,
        }
    }

    /// TX.0 to TX.9; `None` where the operator captures nothing.
    fn captures(self, form: &[u8]) -> Option<[Option<Vec<u8>>; GROUPS]> {
        let zeroth = |text| {
            let mut captures = [const { None }; GROUPS];
            captures[0] = Some(text);
            Some(captures)
        };
        match self {
            Self::Plain => None,
            Self::Groups(groups) => Some(groups.map(|group| Some(form[group?].to_vec()))),
            Self::Text(text) => zeroth(text),
            Self::Whole => zeroth(form.to_vec()),
        }
    }
}

/// Where a phase goes on after a skip of the step at this index: always further on.
pub(crate) fn skipped<T>(
    steps: &[T],
    item: impl Fn(&T) -> usize,
    index: usize,
    skip: &Skip,
) -> usize {
    match skip {
        Skip::Rules(count) => index.saturating_add(1).saturating_add(*count as usize),
        Skip::After { item: to, .. } => {
            steps.partition_point(|step| item(step) < *to).max(index + 1)
        }
    }
}

/// A bounded piece of a value, with a little of what stands before `start`.
fn excerpt(value: &[u8], start: usize) -> &[u8] {
    /// Bytes before the place, so that one sees where it stands.
    const LEAD: usize = 32;
    let last = value.len().saturating_sub(EXCERPT_MAX);
    let from = start.saturating_sub(LEAD).min(last);
    &value[from..(from + EXCERPT_MAX).min(value.len())]
}

/// Names of the values that matched, but for this one: people exclude each of them or none.
fn others(matched: &[Matched], told: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for one in matched.iter().filter(|one| one.is_original()) {
        let name = cut(String::from_utf8_lossy(&one.name).into_owned(), EXCERPT_MAX);
        if name != told && !names.contains(&name) {
            if names.len() == OTHERS_MAX {
                break;
            }
            names.push(name);
        }
    }
    names
}

/// Cuts a text to so many bytes, between characters.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// What may stand in a `Location` field: everything else is percent-encoded, so that a macro cannot
/// end the line.
fn location(text: &[u8]) -> String {
    let mut place = String::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_graphic() {
            place.push(char::from(byte));
        } else {
            place.push_str(&format!("%{byte:02X}"));
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_about_what_was_found() {
        let long: Vec<u8> = (0..1_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        assert_eq!(excerpt(b"short", 3), b"short");
        assert_eq!(excerpt(&long, 0), &long[..200]);
        assert_eq!(excerpt(&long, 500), &long[468..668]);
        assert_eq!(excerpt(&long, 990), &long[800..]);
    }

    #[test]
    fn a_place_stays_on_its_line() {
        assert_eq!(location(b"/a?b=c\r\nX: y"), "/a?b=c%0D%0AX:%20y");
    }
}
