//! What rules found last, as the admin API tells it.

use std::sync::Arc;

use doorman_proxy::{Event, Finding};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::log::timestamp;

/// Events of one answer, if it is not said how many.
const SHOWN: usize = 100;

/// How many events are wanted.
#[derive(Deserialize)]
pub(super) struct Asked {
    last: Option<usize>,
}

/// The newest events, newest first, without what each rule saw.
pub(super) fn list(engine: &Engine, asked: &Asked) -> Value {
    let events = &engine.plan().waf_events;
    let last = events.last(asked.last.unwrap_or(SHOWN));
    json!({
        "count": events.count(),
        "events": last.iter().map(|event| short(event)).collect::<Vec<_>>(),
    })
}

/// One event with all that is known of it.
pub(super) fn show(engine: &Engine, id: &str) -> Option<Value> {
    let event: Arc<Event> = engine.plan().waf_events.of(id)?;
    let mut value = short(&event);
    value["findings"] = event.findings.iter().map(finding).collect();
    value["more"] = event.more.into();
    Some(value)
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
        "inbound_threshold": event.scores.inbound_threshold,
        "outbound_score": event.scores.outbound,
        "outbound_threshold": event.scores.outbound_threshold,
        "rules": rules,
        "faults": event.faults,
        "us": event.nanos / 1_000,
    })
}

fn finding(finding: &Finding) -> Value {
    let tags: Vec<&str> = finding.tags.iter().map(|tag| &**tag).collect();
    json!({
        "rule": finding.rule,
        "phase": finding.phase,
        "msg": finding.msg,
        "data": finding.data,
        "severity": finding.severity,
        "tags": tags,
        "variable": finding.variable,
        "excerpt": String::from_utf8_lossy(&finding.value),
        "score": finding.score,
        "at": finding.place,
    })
}
