//! The second pass: drafts of rules into what they say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Files;
use super::action::{self, Action, Written};
use super::change::{self, is_pattern};
use super::draft::{Condition, Draft, DraftItem, DraftLink, DraftRule};
use super::operator::{self, Asked};
use super::shared::Shared;
use super::target;
use super::told::{At, Told};
use crate::rule::{
    Control, Disruption, Effect, Item, Link, Operator, Rule, RuleSet, Severity, Skip, TagMatch,
    Target, Template, Use,
};

/// The status of a refusal that names none.
const STATUS: u16 = 403;

/// The status of a redirect that names none, or one that is none.
const STATUS_REDIRECT: u16 = 302;

/// A rule that is understood, and what is not known of it before all are.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) rule: Rule,
    /// Its message as it was written.
    pub(super) msg: Option<Vec<u8>>,
    at: At,
    skip: Option<Wish>,
}

/// A jump as it is written.
#[derive(Debug)]
enum Wish {
    Rules(u32),
    After(Arc<str>),
}

/// Reads what rules mean, changes them, and finds what they skip to.
pub(super) fn build(mut draft: Draft, files: &dyn Files, told: &mut Told) -> RuleSet {
    let mut shared = Shared::new(files, draft.settings.match_steps_max);
    change::add_actions(&mut draft, told);
    let mut rules: Vec<Option<Built>> = Vec::new();
    let mut markers = Vec::new();
    for item in &draft.items {
        match item {
            DraftItem::Rule(rule) if told.is_full() => {
                told.error(&rule.at, "");
                break;
            }
            DraftItem::Rule(rule) => rules.push(build_rule(rule, &mut shared, told)),
            // Rules that are before it.
            DraftItem::Marker(name) => markers.push((rules.len(), Arc::clone(name))),
        }
    }
    change::apply(&draft.changes, &mut rules, &mut shared, told);
    settle_tags(&mut rules, &mut shared, told);
    let items = place(rules, markers, told);
    RuleSet { items, settings: draft.settings, signatures: draft.signatures, warnings: Vec::new() }
}

/// What actions of the first link say of the whole rule.
#[derive(Debug, Default)]
struct Head {
    msg: Option<(Template, Vec<u8>)>,
    logdata: Option<Template>,
    severity: Option<Severity>,
    ver: Option<Arc<str>>,
    rev: Option<Arc<str>>,
    maturity: Option<u8>,
    accuracy: Option<u8>,
    tags: Vec<Arc<str>>,
    /// `Some(None)` is `block`.
    disruption: Option<Option<Disruption>>,
    /// Whether the list that is read has said so.
    said: bool,
    status: Option<u16>,
    skip: Option<Wish>,
    log: Option<bool>,
    audit: Option<bool>,
}

fn build_rule(draft: &DraftRule, shared: &mut Shared<'_>, told: &mut Told) -> Option<Built> {
    let mut head = Head { tags: draft.defaults.tags.clone(), ..Head::default() };
    let mut links = Vec::with_capacity(draft.links.len());
    for (index, link) in draft.links.iter().enumerate() {
        links.extend(build_link(draft, index, link, &mut head, shared, told));
    }
    if links.len() < draft.links.len() {
        return None;
    }
    let defaults = &draft.defaults;
    let disruption = head.disruption.flatten().unwrap_or_else(|| defaults.disruption.clone());
    let status = head.status.or(defaults.status);
    let status = match disruption {
        Disruption::Redirect(_) => {
            status.filter(|status| (300..400).contains(status)).unwrap_or(STATUS_REDIRECT)
        }
        _ => status.unwrap_or(STATUS),
    };
    let (msg, written) = head.msg.unzip();
    let rule = Rule {
        id: draft.id,
        phase: draft.phase,
        place: draft.at.place.clone(),
        msg,
        logdata: head.logdata,
        severity: head.severity,
        ver: head.ver,
        rev: head.rev,
        maturity: head.maturity,
        accuracy: head.accuracy,
        tags: head.tags,
        disruption,
        status,
        skip: None,
        log: head.log.unwrap_or(defaults.log),
        audit: head.audit.unwrap_or(defaults.audit),
        links,
    };
    Some(Built { rule, msg: written, at: draft.at.clone(), skip: head.skip })
}

fn build_link(
    rule: &DraftRule,
    index: usize,
    draft: &DraftLink,
    head: &mut Head,
    shared: &mut Shared<'_>,
    told: &mut Told,
) -> Option<Link> {
    let asked = match &draft.condition {
        Some(condition) if doubles(rule) => {
            let operator = halved(&condition.operator);
            build_condition(condition, &operator, &draft.at, shared, told)
        }
        Some(condition) => build_condition(condition, &condition.operator, &draft.at, shared, told),
        None => {
            let operator = Operator::UnconditionalMatch;
            Some((Vec::new(), Asked { negated: false, operator, note: None }))
        }
    };
    let mut link = Link {
        place: draft.at.place.clone(),
        targets: Vec::new(),
        operator: Operator::NoMatch,
        negated: false,
        transformations: rule.defaults.transformations.clone(),
        multi_match: false,
        capture: false,
        effects: Vec::new(),
    };
    let mut is_right = true;
    for list in std::iter::once(&draft.actions).chain(&draft.updates) {
        head.said = false;
        for written in list {
            let here = draft.at.within(&written.place);
            let applied = action::read(written, shared).and_then(|action| {
                match apply_to_link(action, &mut link, &here, told) {
                    Some(action) if index > 0 => {
                        apply_to_later_link(&action, rule, written, &here, told)
                    }
                    Some(action) => {
                        apply_to_head(action, head, &here, told);
                        Ok(())
                    }
                    None => Ok(()),
                }
            });
            if let Err(text) = applied {
                told.error(&here, text);
                is_right = false;
            }
        }
    }
    let (targets, asked) = asked?;
    link.targets = targets;
    link.operator = asked.operator;
    link.negated = asked.negated;
    is_right.then_some(link)
}

/// Whether the authors of a rule doubled pairs of backslashes: version 3 of the Core Rule Set was written
/// for Apache's reader of configurations, which takes the second of each two away. A single pair stays as
/// it is: half of `[\\/]` would let a backslash pass.
fn doubles(rule: &DraftRule) -> bool {
    let actions = rule.links.first().map(|link| link.actions.as_slice()).unwrap_or_default();
    let version = actions.iter().find(|action| action.name.eq_ignore_ascii_case("ver"));
    let value = version.and_then(|action| action.value.as_deref());
    value.is_some_and(|value| value.starts_with(b"OWASP_CRS/3."))
}

/// The text with two backslashes for each four.
fn halved(text: &[u8]) -> Vec<u8> {
    let mut halved = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, br"\\\\") {
        halved.extend_from_slice(&rest[..at + 2]);
        rest = &rest[at + 4..];
    }
    halved.extend_from_slice(rest);
    halved
}

fn build_condition(
    condition: &Condition,
    operator: &[u8],
    at: &At,
    shared: &mut Shared<'_>,
    told: &mut Told,
) -> Option<(Vec<Target>, Asked)> {
    let targets = match target::parse(&condition.targets, shared) {
        Ok(targets) if targets.iter().all(|target| target.meant == Use::Exclude) => {
            let text = "every target takes values away, so that none is looked at";
            told.error(&at.on_line(condition.targets_line), text);
            None
        }
        Ok(targets) => Some(targets),
        Err(texts) => {
            let here = at.on_line(condition.targets_line);
            texts.into_iter().for_each(|text| told.error(&here, text));
            None
        }
    };
    let here = at.on_line(condition.operator_line);
    let asked = match operator::parse(operator, &at.place.file, shared) {
        Ok(asked) => Some(asked),
        Err(text) => {
            told.error(&here, text);
            None
        }
    };
    let (targets, asked) = (targets?, asked?);
    if let Some(note) = &asked.note {
        told.warn(&here, note.clone());
    }
    Some((targets, asked))
}

/// Does what is of the link, and gives back what is of the rule.
fn apply_to_link(action: Action, link: &mut Link, at: &At, told: &mut Told) -> Option<Action> {
    match action {
        Action::Transform(None) => link.transformations.clear(),
        Action::Transform(Some(one)) => link.transformations.push(one),
        Action::MultiMatch => link.multi_match = true,
        Action::Capture => link.capture = true,
        Action::Effects(effects) => link.effects.extend(effects),
        // Looked at when the draft was made.
        Action::Chain => {}
        Action::Idle(why) => told.warn_once(at, why, why),
        action => return Some(action),
    }
    None
}

fn apply_to_head(action: Action, head: &mut Head, at: &At, told: &mut Told) {
    let mut disrupt = |disruption: Option<Disruption>| {
        if head.said && head.disruption.as_ref() != Some(&disruption) {
            let text =
                "more than one of pass, block, deny, drop, redirect and allow; the last holds";
            told.warn(at, text);
        }
        head.disruption = Some(disruption);
        head.said = true;
    };
    match action {
        Action::Disrupt(disruption) => disrupt(Some(disruption)),
        Action::Block => disrupt(None),
        Action::Status(status) => head.status = Some(status),
        Action::Log => head.log = Some(true),
        Action::NoLog => (head.log, head.audit) = (Some(false), Some(false)),
        Action::AuditLog => head.audit = Some(true),
        Action::NoAuditLog => head.audit = Some(false),
        Action::Msg(template, written) => head.msg = Some((template, written)),
        Action::Logdata(template) => head.logdata = Some(template),
        Action::Severity(severity) => head.severity = Some(severity),
        Action::Tag(tag) => {
            action::warn_of_macro(&tag, at, told);
            head.tags.push(tag);
        }
        Action::Ver(text) => head.ver = Some(text),
        Action::Rev(text) => head.rev = Some(text),
        Action::Maturity(number) => head.maturity = Some(number),
        Action::Accuracy(number) => head.accuracy = Some(number),
        Action::Skip(rules) => head.skip = Some(Wish::Rules(rules)),
        Action::SkipAfter(marker) => head.skip = Some(Wish::After(marker)),
        // The id and the phase were read when the draft was made; the rest is of the link.
        Action::Id
        | Action::Phase(_)
        | Action::Chain
        | Action::Transform(_)
        | Action::MultiMatch
        | Action::Capture
        | Action::Effects(_)
        | Action::Idle(_) => {}
    }
}

/// What is of the rule can only be said by its first link.
fn apply_to_later_link(
    action: &Action,
    rule: &DraftRule,
    written: &Written,
    at: &At,
    told: &mut Told,
) -> Result<(), String> {
    let name = &written.name;
    match action {
        Action::Id => Err("an id within a chain: it is that of the chain's first rule".to_owned()),
        Action::Phase(phase) if *phase == rule.phase => Ok(()),
        Action::Phase(_) | Action::Disrupt(_) | Action::Block | Action::Status(_) => {
            Err(format!("{name} within a chain: write it in the chain's first rule"))
        }
        Action::Skip(_) | Action::SkipAfter(_) => {
            Err(format!("{name} within a chain: write it in the chain's first rule"))
        }
        // What is logged is decided by the first rule, as it is in ModSecurity.
        Action::Log | Action::NoLog | Action::AuditLog | Action::NoAuditLog => Ok(()),
        _ => {
            let text = format!("{name} within a chain says nothing: write it in the first rule");
            told.warn(at, text);
            Ok(())
        }
    }
}

/// Decides which tags and messages of `ctl` are patterns: those that no rule has as they are.
fn settle_tags(rules: &mut [Option<Built>], shared: &mut Shared<'_>, told: &mut Told) {
    let mut tags: HashSet<Arc<str>> = HashSet::new();
    let mut messages: HashSet<Vec<u8>> = HashSet::new();
    for built in rules.iter().flatten() {
        tags.extend(built.rule.tags.iter().cloned());
        messages.extend(built.msg.clone());
    }
    for Built { rule, at, .. } in rules.iter_mut().flatten() {
        for effect in rule.links.iter_mut().flat_map(|link| &mut link.effects) {
            let Effect::Control(control) = effect else { continue };
            let (meant, is_known) = match control {
                Control::RemoveByTag(meant) | Control::RemoveTargetByTag(meant, _) => {
                    let is_known = matches!(meant, TagMatch::Exact(tag) if tags.contains(tag));
                    (meant, is_known)
                }
                Control::RemoveByMsg(meant) | Control::RemoveTargetByMsg(meant, _) => {
                    let is = |msg: &Arc<str>| messages.contains(msg.as_bytes());
                    let is_known = matches!(meant, TagMatch::Exact(msg) if is(msg));
                    (meant, is_known)
                }
                _ => continue,
            };
            let TagMatch::Exact(text) = &*meant else { continue };
            if is_known || !is_pattern(text) {
                continue;
            }
            match shared.regex(text.as_bytes()) {
                Ok(regex) => *meant = TagMatch::Regex(regex),
                Err(why) => told.error(at, why),
            }
        }
    }
}

/// Puts rules and markers in their order, and finds where jumps go.
fn place(rules: Vec<Option<Built>>, markers: Vec<(usize, Arc<str>)>, told: &mut Told) -> Vec<Item> {
    enum Placed {
        Rule(Box<Built>),
        Marker(Arc<str>),
    }
    let mut placed = Vec::with_capacity(rules.len() + markers.len());
    let mut markers = markers.into_iter().peekable();
    for (index, built) in rules.into_iter().enumerate() {
        while let Some((_, name)) = markers.next_if(|(before, _)| *before <= index) {
            placed.push(Placed::Marker(name));
        }
        placed.extend(built.map(|built| Placed::Rule(Box::new(built))));
    }
    placed.extend(markers.map(|(_, name)| Placed::Marker(name)));

    let count = placed.len();
    let mut after: HashMap<Arc<str>, usize> = HashMap::new();
    let mut items = Vec::with_capacity(count);
    for (index, placed) in placed.into_iter().enumerate().rev() {
        items.push(match placed {
            Placed::Marker(name) => {
                after.insert(Arc::clone(&name), index + 1);
                Item::Marker(name)
            }
            Placed::Rule(built) => {
                let Built { mut rule, at, skip, .. } = *built;
                rule.skip = skip.map(|wish| resolve(wish, &after, count, &at, told));
                // A rule may be skipped to by its id, where no marker is called so.
                after.entry(rule.id.to_string().into()).or_insert(index + 1);
                Item::Rule(Arc::new(rule))
            }
        });
    }
    items.reverse();
    items
}

fn resolve(
    wish: Wish,
    after: &HashMap<Arc<str>, usize>,
    count: usize,
    at: &At,
    told: &mut Told,
) -> Skip {
    match wish {
        Wish::Rules(rules) => Skip::Rules(rules),
        Wish::After(marker) => {
            let item = after.get(&marker).copied().unwrap_or_else(|| {
                let text = format!(
                    "skipAfter: no marker {marker} after this rule, so that the rest of the phase is skipped"
                );
                told.warn(at, text);
                count
            });
            Skip::After { marker, item }
        }
    }
}
