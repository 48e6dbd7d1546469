//! Directives that change rules, wherever in the files they stand: `SecRuleRemove…`, `SecRuleUpdate…`.
//!
//! Removals come last, so that an update of a rule that is removed is no reason for a warning.

use std::borrow::Cow;
use std::fmt;

use super::action::{self, Written};
use super::build::Built;
use super::control::id_ranges;
use super::draft::{Draft, DraftItem};
use super::shared::Shared;
use super::target;
use super::told::{At, Told, excerpt};
use crate::regex::Regex;
use crate::rule::{IdRange, Link, Operator, Selector, Target, Use};

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
pub(super) enum Whose {
    Ids(Vec<IdRange>),
    Tag(String),
    Msg(String),
}

impl Whose {
    /// Those of ids and ranges of them.
    ///
    /// # Errors
    /// The first that is neither.
    pub(super) fn ids(text: &str) -> Result<Self, String> {
        id_ranges(text).map(Self::Ids)
    }

    /// The texts of a rule that are compared; ids are not.
    fn texts<'b>(&self, built: &'b Built) -> Vec<&'b [u8]> {
        match self {
            Self::Ids(_) => Vec::new(),
            Self::Tag(_) => built.rule.tags.iter().map(|tag| tag.as_bytes()).collect(),
            Self::Msg(_) => built.msg.as_deref().into_iter().collect(),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(ranges) => {
                f.write_str("id")?;
                ranges.iter().try_for_each(|&IdRange { first, last }| {
                    if first == last { write!(f, " {first}") } else { write!(f, " {first}-{last}") }
                })
            }
            Self::Tag(tag) => write!(f, "tag {}", excerpt(tag.as_bytes(), 0)),
            Self::Msg(msg) => write!(f, "message {}", excerpt(msg.as_bytes(), 0)),
        }
    }
}

impl Change {
    pub(super) fn remove(at: &At, whose: Whose) -> Self {
        Self { at: at.clone(), what: What::Remove(whose) }
    }

    /// Adds the first of the values to the targets, in place of the second, if there is one.
    pub(super) fn targets(at: &At, whose: Whose, values: &[Cow<'_, [u8]>]) -> Self {
        let value = |index: usize| values.get(index).map(|value| value.to_vec());
        let targets = value(0).unwrap_or_default();
        Self { at: at.clone(), what: What::Targets { whose, targets, replaced: value(1) } }
    }

    /// `id` or `id:link`, where the first link is 0.
    pub(super) fn actions(at: &At, target: &str, actions: Vec<Written>) -> Result<Self, String> {
        let (id, link) = target.split_once(':').unwrap_or((target, "0"));
        let id = action::id(id.as_bytes())?;
        let link = action::number_within("the link of a chain", link.as_bytes(), 0, 1_000)?;
        Ok(Self { at: at.clone(), what: What::Actions { id, link, actions } })
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
            told.error(&change.at.within(&own.place), text);
            continue;
        }
        let rule = draft.items.iter_mut().find_map(|item| match item {
            DraftItem::Rule(rule) if rule.id == id => Some(rule),
            _ => None,
        });
        match rule.map(|rule| rule.links.get_mut(link)) {
            Some(Some(link)) => link.updates.push(actions),
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
                Err(texts) => {
                    texts.into_iter().for_each(|text| told.error(&change.at, text));
                    None
                }
            };
            let added = read(targets);
            let replaced = replaced.as_ref().map_or(Some(Vec::new()), |text| read(text));
            let (Some(added), Some(replaced)) = (added, replaced) else { continue };
            let Some(found) = find(whose, rules, &change.at, shared, told) else { continue };
            for index in found {
                let Some(Built { rule, .. }) = &mut rules[index] else { continue };
                update(&mut rule.links, &added, &replaced);
                if !rule.links.iter().all(looks_at_something) {
                    let text = "the rule has nothing left to look at; SecRuleRemoveById removes it";
                    told.error(&change.at.with_id(Some(rule.id)), text);
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

/// `SecAction` never does, and is right so.
fn looks_at_something(link: &Link) -> bool {
    matches!(link.operator, Operator::UnconditionalMatch)
        || link.targets.iter().any(|target| target.meant != Use::Exclude)
}

fn update(links: &mut [Link], added: &[Target], replaced: &[Target]) {
    for (index, link) in links.iter_mut().enumerate() {
        let has_condition = !link.targets.is_empty();
        if index == 0 {
            link.targets.retain(|target| !replaced.iter().any(|gone| is_same(gone, target)));
        }
        if !has_condition {
            // It looks at nothing, so that there is nothing to add to.
            continue;
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
    let found = match whose {
        Whose::Ids(ranges) => {
            such(&|built| ranges.iter().any(|range| range.contains(built.rule.id)))
        }
        Whose::Tag(text) | Whose::Msg(text) => {
            let exact = such(&|built| whose.texts(built).contains(&text.as_bytes()));
            if !exact.is_empty() || !is_pattern(text) {
                exact
            } else {
                match shared.regex(text.as_bytes()) {
                    Ok(regex) => such(&|built| {
                        whose.texts(built).into_iter().any(|said| is_found(&regex, said))
                    }),
                    Err(why) => {
                        told.error(at, why);
                        return None;
                    }
                }
            }
        }
    };
    if found.is_empty() {
        told.warn(at, format!("there is no rule of the {whose} to change"));
    }
    Some(found)
}

fn is_found(regex: &Regex, text: &[u8]) -> bool {
    regex.is_match(&mut regex.cache(), text).unwrap_or(false)
}

/// Whether a tag or a message that no rule has is meant as a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\'])
}
