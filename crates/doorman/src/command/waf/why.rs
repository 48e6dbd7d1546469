//! `doorman waf why`: which rules matched in a request, and what would let it pass.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::events::{Event, score};
use super::shown;
use crate::command::called::Called;
use crate::command::screen::{self, Screen};
use crate::command::upstreams::encoded;

/// Characters of a text that a rule told, or of an excerpt.
const TEXT: usize = 200;

/// Show which rules matched in a request, and what would let it pass
///
/// The running proxy keeps the last thousand requests in which rules found something. The id is that of the access log,
/// and what the client was told in X-Request-Id.
#[derive(Args)]
pub(super) struct Why {
    /// The request's id
    id: String,
}

/// What the running proxy answers.
#[derive(Deserialize)]
struct Known {
    #[serde(flatten)]
    event: Event,
    findings: Vec<Finding>,
    more: usize,
    advice: Option<Advice>,
}

/// A rule that matched.
#[derive(Deserialize)]
pub(super) struct Finding {
    rule: u32,
    msg: String,
    data: String,
    severity: Option<String>,
    level: Option<u8>,
    variable: String,
    others: Vec<String>,
    excerpt: String,
    raw: String,
    score: i64,
    at: String,
}

/// What would let a request pass.
#[derive(Deserialize)]
pub(super) struct Advice {
    lines: Vec<Line>,
    kept: usize,
    frees: usize,
}

#[derive(Deserialize)]
struct Line {
    line: String,
    frees: usize,
    frees_anywhere: usize,
}

impl Why {
    pub(super) fn run(&self, called: &Called, screen: &Screen) -> ExitCode {
        let path = format!("/waf/events/{}", encoded(&self.id));
        called.get(&path, |known: &Known| screen::data(&why(known, screen)))
    }
}

fn why(known: &Known, screen: &Screen) -> String {
    let Known { event, findings, more, advice } = known;
    let mut text = String::new();
    let (method, path) = (shown(&event.method, 32), shown(&event.path, TEXT));
    let request = format!("{method} {}{path}", shown(&event.host, 80));
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{}", screen.strong(&request));
    line(&mut text, "id", &shown(&event.request_id, 36));
    let client = event.client.as_deref().unwrap_or("a Unix socket");
    line(&mut text, "came", &format!("{} from {}", shown(&event.time, 24), shown(client, 40)));
    if let (Some(site), Some(route)) = (&event.site, &event.route) {
        line(&mut text, "route", &format!("{} of {}", shown(route, 80), shown(site, 80)));
    }
    line(&mut text, "became", &became(event));
    line(&mut text, "score", &sums(event));
    for fault in &event.faults {
        line(&mut text, "fault", &shown(fault, 40));
    }
    for finding in findings {
        text.push('\n');
        text += &found(finding, event.levels.0, screen);
    }
    if *more > 0 {
        let _ = writeln!(text, "\nand {more} more");
    }
    if let Some(advice) = advice {
        text.push('\n');
        text += &advised(advice, event.route.as_deref());
    }
    text
}

fn line(text: &mut String, label: &str, words: &str) {
    let _ = writeln!(text, "  {label:<8}  {words}");
}

/// What became of a request, in words.
fn became(event: &Event) -> String {
    let by = match event.refused_by {
        None => String::new(),
        Some(0) => " by a bound".to_owned(),
        Some(rule) => format!(" by rule {rule}"),
    };
    let (status, mode) = (event.status, shown(&event.mode, 12));
    match event.action.as_str() {
        "block" => format!("refused with {status}{by}"),
        "detect" => format!("passed, as mode {mode} says; mode block would refuse it{by}"),
        "shadow" => {
            format!("passed; at level {} it would be refused", event.levels.1)
        }
        "error" => format!("the rules could not be run to their end; answered with {status}"),
        _ => format!("passed; answered with {status}"),
    }
}

fn sums(event: &Event) -> String {
    let (level, run) = event.levels;
    let at = if event.action == "shadow" { run } else { level };
    match event.inbound_threshold.or(event.outbound_threshold) {
        Some(_) => format!("{} at level {at}", score(event)),
        None => "these rules have no threshold".to_owned(),
    }
}

/// What one rule told.
pub(super) fn found(finding: &Finding, level: u8, screen: &Screen) -> String {
    let mut text = String::new();
    let score = match finding.score {
        0 => String::new(),
        score => format!("  +{score}"),
    };
    let head = screen.strong(&format!("rule {}{score}", finding.rule));
    let _ = writeln!(text, "{head}  {}", shown(&finding.msg, TEXT));
    let mut place = shown(&finding.variable, TEXT);
    for other in &finding.others {
        let _ = write!(place, ", {}", shown(other, TEXT));
    }
    if !place.is_empty() {
        line(&mut text, "in", &place);
    }
    if !finding.excerpt.is_empty() {
        line(&mut text, "saw", &shown(&finding.excerpt, TEXT));
    }
    if finding.raw != finding.excerpt {
        line(&mut text, "of", &shown(&finding.raw, TEXT));
    }
    if !finding.data.is_empty() {
        line(&mut text, "told", &shown(&finding.data, TEXT));
    }
    match finding.level {
        Some(own) if own > level => {
            line(&mut text, "level", &format!("{own}, which does not count at level {level}"));
        }
        Some(own) => line(&mut text, "level", &own.to_string()),
        None => {}
    }
    if let Some(severity) = &finding.severity {
        line(&mut text, "severity", severity);
    }
    line(&mut text, "at", &shown(&finding.at, TEXT));
    text
}

/// The lines to paste, and what else they would let pass.
pub(super) fn advised(advice: &Advice, route: Option<&str>) -> String {
    if advice.lines.is_empty() {
        return "no exclusion would let it pass\n".to_owned();
    }
    let place = route.map_or_else(String::new, |route| format!(", in route {}", shown(route, 80)));
    let mut text = format!("to let it pass{place}:\n");
    let width = advice.lines.iter().map(|one| one.line.chars().count()).max().unwrap_or(0);
    for Line { line, frees, frees_anywhere } in &advice.lines {
        let comment = match advice.kept {
            0 => String::new(),
            kept => {
                let wider = match frees_anywhere.checked_sub(*frees) {
                    Some(1..) if line.contains(" path ") => {
                        format!("; {frees_anywhere} without the path")
                    }
                    _ => String::new(),
                };
                format!("  # alone: {frees} of {kept} kept{wider}")
            }
        };
        let _ = writeln!(text, "  {}", format!("{line:<width$}{comment}").trim_end());
    }
    if advice.kept > 0 && advice.lines.len() > 1 {
        let _ = writeln!(text, "  # together: {} of {} kept", advice.frees, advice.kept);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::screen::When;

    #[test]
    fn a_screen() {
        let known = json!({
            "request_id": "018bcfe5-687b-7000-8000-000000000001",
            "time": "2023-11-14T22:13:20.123Z", "client": "203.0.113.9",
            "site": "https://shop.example", "route": "/search/*", "method": "GET",
            "host": "shop.example", "path": "/search", "status": 403, "action": "block",
            "mode": "block", "refused_by": 949_110, "phase": 2, "levels": [1, 2],
            "inbound_score": 5, "inbound_score_run": 10, "inbound_threshold": 5,
            "outbound_score": 0, "outbound_score_run": 0, "outbound_threshold": 4,
            "rules": [942_100, 942_200], "faults": [], "us": 12, "more": 0,
            "findings": [{
                "rule": 942_100, "phase": 2, "msg": "An injection", "data": "", "level": 1,
                "severity": "CRITICAL", "tags": [], "variable": "ARGS:q", "others": ["ARGS:r"],
                "excerpt": "1 or 1=1\u{1b}", "raw": "1%20or%201=1", "score": 5, "at": "sqli.conf:7",
            }, {
                "rule": 942_200, "phase": 2, "msg": "More of it", "data": "x", "level": 2,
                "severity": null, "tags": [], "variable": "ARGS:q", "others": [],
                "excerpt": "1", "raw": "1", "score": 5, "at": "sqli.conf:9",
            }],
            "advice": {
                "lines": [
                    { "line": "waf exclude 942100 arg q path /search", "frees": 3,
                      "frees_anywhere": 9 },
                    { "line": "waf exclude 942100 arg r path /search", "frees": 0,
                      "frees_anywhere": 0 },
                ],
                "kept": 17, "frees": 4,
            },
        });
        let known: Known = serde_json::from_value(known).unwrap();
        let expect = "\
GET shop.example/search
  id        018bcfe5-687b-7000-8000-000000000001
  came      2023-11-14T22:13:20.123Z from 203.0.113.9
  route     /search/* of https://shop.example
  became    refused with 403 by rule 949110
  score     5/5 at level 1

rule 942100  +5  An injection
  in        ARGS:q, ARGS:r
  saw       1 or 1=1\\x1b
  of        1%20or%201=1
  level     1
  severity  CRITICAL
  at        sqli.conf:7

rule 942200  +5  More of it
  in        ARGS:q
  saw       1
  told      x
  level     2, which does not count at level 1
  at        sqli.conf:9

to let it pass, in route /search/*:
  waf exclude 942100 arg q path /search  # alone: 3 of 17 kept; 9 without the path
  waf exclude 942100 arg r path /search  # alone: 0 of 17 kept
  # together: 4 of 17 kept
";
        assert_eq!(why(&known, &Screen::new(When::Never)), expect);
    }
}
