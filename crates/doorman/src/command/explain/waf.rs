//! What an explanation says of inspection.

use doorman_proxy::explain::Waf;
use doorman_proxy::{Finding, WafAction};
use serde_json::{Value, json};

use super::Told;
use super::text::Page;
use crate::log::printable;

/// Rules that matched of which people are told.
const SHOWN: usize = 20;

/// The lines for people.
pub(super) fn lines(waf: &Waf, told: &Told<'_>, page: &mut Page<'_>) {
    let span = told.route().and_then(|route| route.options.waf.as_ref()).map(|line| line.span);
    let (level, detect) = waf.levels;
    let detect = if detect > level { format!(", detect-level {detect}") } else { String::new() };
    let how = format!("level {level}{detect}, mode {}; {} rules", waf.mode, waf.rules);
    page.placed("waf", &waf.set, span, told, &how);
    for exclusion in &waf.exclusions {
        page.line("", &format!("exclude {}", printable(exclusion.as_bytes())));
    }
    if waf.response {
        page.line("", "answers are held back and looked at, too");
    }
    for finding in waf.findings.iter().take(SHOWN) {
        page.line("", &found(finding));
    }
    if waf.findings.len() > SHOWN {
        page.line("", &format!("and {} more", waf.findings.len() - SHOWN));
    }
    page.line("", &verdict(waf));
}

fn found(finding: &Finding) -> String {
    let Finding { rule, msg, variable, value, score, .. } = finding;
    let score = if *score == 0 { String::new() } else { format!(" (+{score})") };
    let (msg, variable) = (printable(msg.as_bytes()), printable(variable.as_bytes()));
    format!("rule {rule}{score}: {msg}; {variable}: {}", printable(value))
}

/// What becomes of the request, as far as its head tells.
fn verdict(waf: &Waf) -> String {
    let scores = &waf.scores;
    let score = match scores.inbound_threshold {
        Some(threshold) => format!("score {} of {threshold}", scores.inbound),
        None => format!("score {}", scores.inbound),
    };
    let by = waf.refusal.map_or_else(String::new, |(rule, status)| match rule {
        0 => format!(" with {status}"),
        rule => format!(" with {status} by rule {rule}"),
    });
    match waf.action {
        WafAction::Block => format!("{score}: refused{by}"),
        WafAction::Detect => format!("{score}: passes, and would be refused{by} in mode block"),
        WafAction::Error => format!("{score}: the rules could not be run to their end"),
        WafAction::Shadow => {
            let (level, run) = (scores.levels.1, scores.inbound_run);
            format!("{score}: passes, and would be refused with {run} at level {level}")
        }
        WafAction::Pass => format!("{score}: passes, as far as its head tells"),
    }
}

/// The same for programs.
pub(super) fn value(waf: &Waf) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "rule": finding.rule,
            "phase": finding.phase,
            "msg": finding.msg,
            "severity": finding.severity,
            "variable": finding.variable,
            "excerpt": String::from_utf8_lossy(&finding.value),
            "score": finding.score,
        })
    };
    json!({
        "set": waf.set,
        "rules": waf.rules,
        "level": waf.levels.0,
        "detect_level": waf.levels.1,
        "mode": waf.mode,
        "response": waf.response,
        "exclusions": waf.exclusions,
        "action": waf.action.as_str(),
        "score": waf.scores.inbound,
        "threshold": waf.scores.inbound_threshold,
        "refusal": waf.refusal.map(|(rule, status)| json!({ "rule": rule, "status": status })),
        "findings": waf.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
