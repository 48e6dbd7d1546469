//! Directives that change rules, wherever in the files they stand: `SecRuleRemove…`, `SecRuleUpdate…`.
//!
//! Removals come last, so that an update of a rule that is removed is no reason for a warning.

use std::borrow::Cow;

use super::action::{self, Written};
use super::build::Built;
use super::control::id_ranges;
use super::draft::{Draft, DraftItem};
use super::shared::Shared;
use super::target;
use super::told::{At, Told, excerpt};
use crate::regex::Regex;
use crate::rule::{IdRange, Link, Selector, Target, Use};

/// A change of rules.
#[derive(Debug)]
pub(super) struct Change {
    at: At,
    what: What,
}

#[derive(Debug)]
enum What {
    Remove(Whose),
    Targets { whose: Whose, targets: Vec<u8>, replaced: Option<Vec<u8>> },
    Actions { id: u32, link: usize, actions: Vec<Written> },
}

/// Which rules are changed.
#[derive(Debug)]
enum Whose {
    Ids(Vec<IdRange>),
    Tag(String),
    Msg(String),
}

impl Change {
    pub(super) fn remove_by_id(at: &At, ids: &str) -> Result<Self, String> {
        Ok(Self::of(at, What::Remove(Whose::Ids(id_ranges(ids)?))))
    }

    pub(super) fn remove_by_tag(at: &At, tag: &str) -> Self {
        Self::of(at, What::Remove(Whose::Tag(tag.to_owned())))
    }

    pub(super) fn remove_by_msg(at: &At, msg: &str) -> Self {
        Self::of(at, What::Remove(Whose::Msg(msg.to_owned())))
    }

    pub(super) fn targets_by_id(
        at: &At,
        ids: &str,
        targets: &[Cow<'_, [u8]>],
    ) -> Result<Self, String> {
        Ok(Self::targets(at, Whose::Ids(id_ranges(ids)?), targets))
    }

    pub(super) fn targets_by_tag(
        at: &At,
        tag: &str,
        targets: &[Cow<'_, [u8]>],
    ) -> Result<Self, String> {
        Ok(Self::targets(at, Whose::Tag(tag.to_owned()), targets))
    }

    pub(super) fn targets_by_msg(
        at: &At,
        msg: &str,
        targets: &[Cow<'_, [u8]>],
    ) -> Result<Self, String> {
        Ok(Self::targets(at, Whose::Msg(msg.to_owned()), targets))
    }

    /// `id` or `id:link`, where the first link is 0.
    pub(super) fn actions(at: &At, target: &str, actions: Vec<Written>) -> Result<Self, String> {
        let (id, link) = target.split_once(':').unwrap_or((target, "0"));
        let id = action::id(id.as_bytes())?;
        let link = action::number_within("the link of a chain", link.as_bytes(), 0, 1_000)?;
        Ok(Self::of(at, What::Actions { id, link, actions }))
    }

    fn targets(at: &At, whose: Whose, values: &[Cow<'_, [u8]>]) -> Self {
        let value = |index: usize| values.get(index).map(|value| value.to_vec());
        let targets = value(0).unwrap_or_default();
        Self::of(at, What::Targets { whose, targets, replaced: value(1) })
    }

    fn of(at: &At, what: What) -> Self {
        Self { at: at.clone(), what }
    }
}

/// Adds actions to rules, which are read for their meaning after this.
pub(super) fn add_actions(draft: &mut Draft, told: &mut Told) {
    for change in std::mem::take(&mut draft.changes) {
        let What::Actions { id, link, actions } = change.what else {
            draft.changes.push(change);
            continue;
        };
        let own = actions.iter().find(|action| {
            ["id", "phase", "chain"].iter().any(|name| action.name.eq_ignore_ascii_case(name))
        });
        if let Some(own) = own {
            let text = format!("{} cannot be changed: what a rule is would be another", own.name);
            told.error(&change.at.on_line(own.line), text);
            continue;
        }
        let rule = draft.items.iter_mut().find_map(|item| match item {
            DraftItem::Rule(rule) if rule.id == id => Some(rule),
            _ => None,
        });
        match rule.map(|rule| rule.links.get_mut(link)) {
            Some(Some(link)) => link.actions.extend(actions),
            Some(None) => told.error(&change.at, format!("the rule {id} has no link {link}")),
            None => told.warn(&change.at, format!("there is no rule {id} to update")),
        }
    }
}

/// Changes targets of rules, and takes rules away.
pub(super) fn apply(
    changes: &[Change],
    rules: &mut [Option<Built>],
    shared: &mut Shared<'_>,
    told: &mut Told,
) {
    for change in changes {
        if let What::Targets { whose, targets, replaced } = &change.what {
            let mut read = |text: &[u8]| match target::parse(text, shared) {
                Ok(targets) => Some(targets),
                Err(fault) => {
                    told.error(&change.at, fault.text);
                    None
                }
            };
            let added = read(targets);
            let replaced = replaced.as_ref().map_or(Some(Vec::new()), |text| read(text));
            let (Some(added), Some(replaced)) = (added, replaced) else { continue };
            let Some(found) = find(whose, rules, &change.at, shared, told) else { continue };
            for index in found {
                if let Some(built) = &mut rules[index] {
                    update(&mut built.rule.links, &added, &replaced);
                }
            }
        }
    }
    for change in changes {
        if let What::Remove(whose) = &change.what {
            let found = find(whose, rules, &change.at, shared, told);
            found.into_iter().flatten().for_each(|index| rules[index] = None);
        }
    }
}

fn update(links: &mut [Link], added: &[Target], replaced: &[Target]) {
    for (index, link) in links.iter_mut().enumerate() {
        if index == 0 {
            link.targets.retain(|target| !replaced.iter().any(|gone| is_same(gone, target)));
        }
        for target in added {
            let looked_at = || {
                let is = |other: &Target| {
                    other.meant != Use::Exclude && other.variable == target.variable
                };
                link.targets.iter().any(is)
            };
            let wanted = if target.meant == Use::Exclude { looked_at() } else { index == 0 };
            if wanted && !link.targets.iter().any(|other| is_same(other, target)) {
                link.targets.push(target.clone());
            }
        }
    }
}

fn is_same(a: &Target, b: &Target) -> bool {
    let selected = match (&a.selector, &b.selector) {
        (Selector::All, Selector::All) => true,
        (Selector::Key(a), Selector::Key(b)) => a == b,
        (Selector::Regex(a), Selector::Regex(b)) => a.pattern() == b.pattern(),
        _ => false,
    };
    selected && a.meant == b.meant && a.variable == b.variable
}

/// The rules that are meant. That there are none is odd; a pattern that is none is a fault.
fn find(
    whose: &Whose,
    rules: &[Option<Built>],
    at: &At,
    shared: &mut Shared<'_>,
    told: &mut Told,
) -> Option<Vec<usize>> {
    let such = |is: &dyn Fn(&Built) -> bool| -> Vec<usize> {
        let built = rules.iter().enumerate();
        built.filter_map(|(i, b)| b.as_ref().is_some_and(is).then_some(i)).collect()
    };
    let mut text = |text: &str, has: &dyn Fn(&Built, &dyn Fn(&[u8]) -> bool) -> bool| {
        let exact = such(&|built| has(built, &|said| said == text.as_bytes()));
        if !exact.is_empty() || !is_pattern(text) {
            return Some(exact);
        }
        match shared.regex(text.as_bytes()) {
            Ok(regex) => Some(such(&|built| has(built, &|said| is_found(&regex, said)))),
            Err(why) => {
                told.error(at, why);
                None
            }
        }
    };
    let (found, what) = match whose {
        Whose::Ids(ranges) => {
            let is = |built: &Built| ranges.iter().any(|range| range.contains(built.rule.id));
            let ranges: Vec<_> = ranges.iter().map(show).collect();
            (such(&is), format!("id {}", ranges.join(", ")))
        }
        Whose::Tag(tag) => {
            let has = |built: &Built, is: &dyn Fn(&[u8]) -> bool| {
                built.rule.tags.iter().any(|tag| is(tag.as_bytes()))
            };
            (text(tag, &has)?, format!("tag {}", excerpt(tag.as_bytes(), 0)))
        }
        Whose::Msg(msg) => {
            let has =
                |built: &Built, is: &dyn Fn(&[u8]) -> bool| built.msg.as_deref().is_some_and(is);
            (text(msg, &has)?, format!("message {}", excerpt(msg.as_bytes(), 0)))
        }
    };
    if found.is_empty() {
        told.warn(at, format!("there is no rule of the {what} to change"));
    }
    Some(found)
}

fn show(range: &IdRange) -> String {
    let IdRange { first, last } = *range;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn is_found(regex: &Regex, text: &[u8]) -> bool {
    regex.is_match(&mut regex.cache(), text).unwrap_or(false)
}

/// Whether a tag or a message that no rule has is meant as a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\'])
}
