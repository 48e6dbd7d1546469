//! What rules found last, as the admin API tells it.

use std::sync::Arc;

use doorman_proxy::plan::{RuleSeen, level_of};
use doorman_proxy::{Event, Finding};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::exclusion::{self, Advice, Case, Proposal};
use crate::log::timestamp;

/// Events of one answer, if it is not said how many.
const SHOWN: usize = 100;

/// Which events are wanted, and how many.
#[derive(Deserialize)]
pub(super) struct Asked {
    last: Option<usize>,
    /// Only those in which this rule matched.
    rule: Option<u32>,
    /// Only those of this site: its name, or the host in it.
    site: Option<String>,
    /// Only those of which this became.
    action: Option<String>,
}

impl Asked {
    fn wants(&self, event: &Event) -> bool {
        let has_rule = |rule| event.findings.iter().any(|finding| finding.rule == rule);
        let is_of =
            |site: &String| event.place.as_ref().is_some_and(|(name, _)| is_site(name, site));
        self.rule.is_none_or(has_rule)
            && self.site.as_ref().is_none_or(is_of)
            && self.action.as_ref().is_none_or(|action| event.action == action)
    }
}

/// Whether a site is meant by its name, or by its host.
fn is_site(name: &str, asked: &str) -> bool {
    let host = name.split_once("://").map_or(name, |(_, host)| host);
    name == asked || host == asked
}

/// Which rules are wanted, in which order, and how many.
#[derive(Deserialize)]
pub(super) struct AskedRules {
    last: Option<usize>,
    /// `cost` or `hits`.
    by: Option<String>,
    /// Those too that only prepare something.
    #[serde(default)]
    all: bool,
}

/// The newest events, newest first, without what each rule saw.
pub(super) fn list(engine: &Engine, asked: &Asked) -> Value {
    let events = &engine.plan().waf_events;
    let all = events.last(usize::MAX);
    let last = all.iter().filter(|event| asked.wants(event)).take(asked.last.unwrap_or(SHOWN));
    json!({
        "count": events.count(),
        "events": last.map(|event| short(event)).collect::<Vec<_>>(),
    })
}

/// One event with all that is known of it.
pub(super) fn show(engine: &Engine, id: &str) -> Option<Value> {
    let events = &engine.plan().waf_events;
    let event: Arc<Event> = events.of(id)?;
    let mut value = short(&event);
    value["findings"] = event.findings.iter().map(finding).collect();
    value["more"] = event.more.into();
    if let Some(case) = Case::of(&event) {
        let all = events.last(usize::MAX);
        let same = all.iter().filter(|other| other.place == event.place);
        let kept: Vec<Case<'_>> = same.filter_map(|other| Case::of(other)).collect();
        value["advice"] = advised(&exclusion::advice(&case, &kept));
    }
    Some(value)
}

/// What would let a request pass.
pub(crate) fn advised(advice: &Advice) -> Value {
    let line = |one: &Proposal| {
        json!({
            "line": one.exclusion.to_string(),
            "rule": one.exclusion.rule,
            "frees": one.frees,
            "frees_anywhere": one.frees_anywhere,
        })
    };
    json!({
        "lines": advice.lines.iter().map(line).collect::<Vec<_>>(),
        "kept": advice.kept,
        "frees": advice.frees,
    })
}

/// What each rule has cost, of each set of rules.
pub(super) fn rules(engine: &Engine, asked: &AskedRules) -> Value {
    let set = |(name, mut rules): (String, Vec<RuleSeen>)| {
        let count = rules.len();
        let asks: u64 = rules.iter().map(|rule| rule.asked).sum();
        let bytes: u64 = rules.iter().map(|rule| rule.bytes).sum();
        rules.retain(|rule| asked.all || rule.is_told);
        let key = |rule: &RuleSeen| match asked.by.as_deref() {
            Some("hits") => (rule.hits, rule.bytes),
            _ => (rule.bytes, rule.hits),
        };
        rules.sort_by_key(|rule| (std::cmp::Reverse(key(rule)), rule.rule));
        rules.truncate(asked.last.unwrap_or(SHOWN));
        json!({
            "name": name,
            "count": count,
            "asked": asks,
            "bytes": bytes,
            "rules": rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    let sets = engine.plan().rule_costs();
    json!({ "sets": sets.into_iter().map(set).collect::<Vec<_>>() })
}

fn rule(rule: &RuleSeen) -> Value {
    json!({
        "rule": rule.rule,
        "phase": rule.phase,
        "level": rule.level,
        "msg": rule.msg,
        "hits": rule.hits,
        "asked": rule.asked,
        "bytes": rule.bytes,
        "at": rule.place,
    })
}

fn short(event: &Event) -> Value {
    let rules: Vec<u32> = event.findings.iter().map(|finding| finding.rule).collect();
    let (site, route) = event.place.as_ref().map(|(site, route)| (&**site, &**route)).unzip();
    json!({
        "request_id": String::from_utf8_lossy(&event.id),
        "time": String::from_utf8_lossy(&timestamp(event.unix_nanos)),
        "client": event.client,
        "site": site,
        "route": route,
        "method": event.method,
        "host": String::from_utf8_lossy(&event.host),
        "path": String::from_utf8_lossy(&event.path),
        "status": event.status,
        "action": event.action,
        "mode": event.mode,
        "refused_by": event.refused_by,
        "phase": event.phase,
        "inbound_score": event.scores.inbound,
        "levels": [event.scores.levels.0, event.scores.levels.1],
        "inbound_score_run": event.scores.inbound_run,
        "inbound_threshold": event.scores.inbound_threshold,
        "outbound_score": event.scores.outbound,
        "outbound_score_run": event.scores.outbound_run,
        "outbound_threshold": event.scores.outbound_threshold,
        "rules": rules,
        "faults": event.faults,
        "us": event.nanos / 1_000,
    })
}

/// What a rule found.
pub(crate) fn finding(finding: &Finding) -> Value {
    let tags: Vec<&str> = finding.tags.iter().map(|tag| &**tag).collect();
    json!({
        "rule": finding.rule,
        "phase": finding.phase,
        "msg": finding.msg,
        "data": finding.data,
        "severity": finding.severity,
        "tags": tags,
        "level": finding.tags.iter().find_map(|tag| level_of(tag)),
        "variable": finding.variable,
        "others": finding.others,
        "excerpt": String::from_utf8_lossy(&finding.value),
        "raw": String::from_utf8_lossy(&finding.raw),
        "score": finding.score,
        "at": finding.place,
    })
}
