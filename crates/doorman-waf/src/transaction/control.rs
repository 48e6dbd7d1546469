//! What `ctl` has switched for the rest of the transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::live::At;
use super::pattern::Patterns;
use crate::rule::{
    Control, Effect, EngineMode, Processor, Rule, Settings, TagMatch, Target, Template,
};

/// The switches, as the settings have them until a rule says otherwise.
#[derive(Debug)]
pub(crate) struct Controls {
    pub(crate) mode: EngineMode,
    /// Whether the transaction is worth an audit record whatever matches.
    pub(crate) audit: Option<bool>,
    pub(crate) force_request_body: bool,
    pub(crate) request_body: bool,
    pub(crate) response_body: bool,
    pub(crate) request_body_limit: u64,
    pub(crate) response_body_limit: u64,
    pub(crate) processor: Option<Processor>,
    /// Effects that take rules or targets away, in the order in which they were made.
    removals: Vec<Removal>,
    /// Which effects are there: one that is made for each of many values is kept once.
    known: BTreeSet<(u32, usize, usize)>,
}

/// An effect of a rule, by its place in it.
#[derive(Debug)]
struct Removal {
    rule: Arc<Rule>,
    link: usize,
    effect: usize,
}

impl Removal {
    fn control(&self) -> Option<&Control> {
        match &self.rule.links[self.link].effects[self.effect] {
            Effect::Control(control) => Some(control),
            _ => None,
        }
    }
}

impl Controls {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            mode: settings.engine,
            audit: None,
            force_request_body: false,
            request_body: settings.request_body,
            response_body: settings.response_body,
            request_body_limit: settings.request_body_limit,
            response_body_limit: settings.response_body_limit,
            processor: None,
            removals: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    /// Makes an effect: `control` is the effect of this number of the link.
    pub(crate) fn apply(&mut self, at: At<'_>, effect: usize, control: &Control) {
        match control {
            Control::Engine(mode) => self.mode = *mode,
            Control::Audit(audit) => self.audit = *audit,
            Control::AuditParts => {}
            Control::ForceRequestBody(force) => self.force_request_body = *force,
            Control::RequestBody(access) => self.request_body = *access,
            Control::ResponseBody(access) => self.response_body = *access,
            Control::RequestBodyLimit(limit) => self.request_body_limit = *limit,
            Control::ResponseBodyLimit(limit) => self.response_body_limit = *limit,
            Control::Processor(processor) => self.processor = Some(*processor),
            Control::RemoveById(_)
            | Control::RemoveByTag(_)
            | Control::RemoveByMsg(_)
            | Control::RemoveTargetById(..)
            | Control::RemoveTargetByTag(..)
            | Control::RemoveTargetByMsg(..) => {
                if self.known.insert((at.rule.id, at.link, effect)) {
                    let rule = Arc::clone(at.rule);
                    self.removals.push(Removal { rule, link: at.link, effect });
                }
            }
        }
    }

    /// Whether the whole rule is taken away.
    pub(crate) fn removes(&self, rule: &Rule, patterns: &mut Patterns) -> bool {
        self.removals.iter().filter_map(Removal::control).any(|control| match control {
            Control::RemoveById(ranges) => ranges.iter().any(|range| range.contains(rule.id)),
            Control::RemoveByTag(tag) => has_tag(rule, tag, patterns),
            Control::RemoveByMsg(msg) => has_msg(rule, msg, patterns),
            _ => false,
        })
    }

    /// The targets that are taken away from the rule.
    pub(crate) fn excluded(&self, rule: &Rule, patterns: &mut Patterns) -> Vec<Target> {
        let controls = self.removals.iter().filter_map(Removal::control);
        let target = |control: &Control| match control {
            Control::RemoveTargetById(ranges, target) => {
                ranges.iter().any(|range| range.contains(rule.id)).then(|| target.clone())
            }
            Control::RemoveTargetByTag(tag, target) => {
                has_tag(rule, tag, patterns).then(|| target.clone())
            }
            Control::RemoveTargetByMsg(msg, target) => {
                has_msg(rule, msg, patterns).then(|| target.clone())
            }
            _ => None,
        };
        controls.filter_map(target).collect()
    }
}

fn has_tag(rule: &Rule, tag: &TagMatch, patterns: &mut Patterns) -> bool {
    rule.tags.iter().any(|each| is_meant(each.as_bytes(), tag, patterns))
}

fn has_msg(rule: &Rule, msg: &TagMatch, patterns: &mut Patterns) -> bool {
    let text = rule.msg.as_ref().and_then(Template::constant);
    text.is_some_and(|text| is_meant(text, msg, patterns))
}

fn is_meant(text: &[u8], meant: &TagMatch, patterns: &mut Patterns) -> bool {
    match meant {
        TagMatch::Exact(exact) => text == exact.as_bytes(),
        // A removal that cannot be decided removes nothing.
        TagMatch::Regex(regex) => patterns.is_match(regex, text).unwrap_or(false),
    }
}
