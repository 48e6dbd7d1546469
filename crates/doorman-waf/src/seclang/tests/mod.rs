//! Own small texts for every form of the language.

mod changes;
mod faults;
mod files;
mod lexing;
mod properties;
mod rules;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Files, Source, load};
use crate::rule::{
    Effect, Item, Link, Notice, Part, Rule, RuleSet, Selector, Target, Template, Use,
};

/// Files by their name, wherever they are named from.
#[derive(Debug, Default)]
pub(super) struct Shelf(BTreeMap<String, Vec<u8>>);

impl Shelf {
    fn of(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
                .collect(),
        )
    }
}

impl Files for Shelf {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        let text = self.0.get(name).cloned().ok_or("no such file")?;
        Ok((name.into(), text))
    }

    fn list(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        let (before, after) = pattern.split_once('*').ok_or("only one star")?;
        let is_meant = |name: &&String| name.starts_with(before) && name.ends_with(after);
        Ok(self.0.keys().filter(is_meant).cloned().collect())
    }
}

fn source(text: impl AsRef<[u8]>) -> Source {
    Source { name: "rules.conf".into(), text: text.as_ref().to_vec() }
}

fn read(text: impl AsRef<[u8]>) -> Result<RuleSet, Vec<Notice>> {
    load(&[source(text)], &Shelf::default())
}

fn set(text: impl AsRef<[u8]>) -> RuleSet {
    let text = text.as_ref();
    read(text).unwrap_or_else(|faults| {
        panic!("{}\n{}", String::from_utf8_lossy(text), faults.iter().map(show).collect::<String>())
    })
}

fn rules(set: &RuleSet) -> Vec<&Rule> {
    set.items.iter().filter_map(only_rule).collect()
}

fn only_rule(item: &Item) -> Option<&Rule> {
    match item {
        Item::Rule(rule) => Some(rule),
        Item::Marker(_) => None,
    }
}

/// The one rule of a text.
fn rule(text: impl AsRef<[u8]>) -> Rule {
    let set = set(text);
    let [rule] = rules(&set)[..] else { panic!("not one rule: {:?}", set.items) };
    rule.clone()
}

fn link(text: impl AsRef<[u8]>) -> Link {
    rule(text).links.remove(0)
}

/// The effects of an action of a rule that has no other.
fn effects(action: &str) -> Vec<Effect> {
    link(format!("SecAction \"id:1,{action}\"")).effects
}

/// `line: text` of each fault, with the rule's id where there is one.
fn show(notice: &Notice) -> String {
    let Notice { place, id, text } = notice;
    match id {
        Some(id) => format!("{} [{id}]: {text}\n", place.line),
        None => format!("{}: {text}\n", place.line),
    }
}

fn show_template(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.escape_ascii().to_string(),
        Part::Value { variable, key: None } => format!("<{variable:?}>"),
        Part::Value { variable, key: Some(key) } => {
            format!("<{variable:?}.{}>", key.escape_ascii())
        }
        Part::Rule(field) => format!("<rule {field:?}>"),
    };
    template.parts.iter().map(part).collect()
}

fn show_target(target: &Target) -> String {
    let meant = match target.meant {
        Use::Include => "",
        Use::Exclude => "!",
        Use::Count => "&",
    };
    let variable = target.variable;
    match &target.selector {
        Selector::All => format!("{meant}{variable:?}"),
        Selector::Key(key) => format!("{meant}{variable:?}:{}", key.escape_ascii()),
        Selector::Regex(regex) => format!("{meant}{variable:?}~{}", regex.pattern().escape_ascii()),
    }
}

fn show_targets(link: &Link) -> String {
    link.targets.iter().map(show_target).collect::<Vec<_>>().join(" ")
}
