//! `doorman waf events`: what rules found of late.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{shown, table};
use crate::command::called::Called;
use crate::command::screen::{self, Screen};
use crate::command::upstreams::encoded;

/// Events that are shown, if it is not said how many.
const SHOWN: usize = 20;
/// As many as a running proxy keeps.
const SHOWN_MAX: usize = 1_000;
/// Columns of a request's method and path.
const REQUEST: usize = 48;
/// Rules of one event that its row names.
const RULES: usize = 4;

/// Show what rules found of late
///
/// The running proxy keeps the last thousand requests in which rules found something, passed or not.
#[derive(Args)]
pub(super) struct Events {
    /// Only those in which this rule matched
    #[arg(long, value_name = "ID")]
    rule: Option<u32>,
    /// Only those of this site: its name, or the host in it
    #[arg(long, value_name = "SITE")]
    site: Option<String>,
    /// Only those of which this became
    #[arg(long, value_enum, conflicts_with = "shadow")]
    action: Option<Action>,
    /// Only those that passed, and that `detect-level` would have refused
    #[arg(long)]
    shadow: bool,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = SHOWN, value_parser = limit)]
    limit: usize,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// It passed
    Pass,
    /// It passed; a higher level would have refused it
    Shadow,
    /// It passed; mode block would have refused it
    Detect,
    /// It was refused
    Block,
    /// It could not be inspected
    Error,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Shadow => "shadow",
            Self::Detect => "detect",
            Self::Block => "block",
            Self::Error => "error",
        }
    }
}

pub(super) fn limit(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is no number within 1 to {SHOWN_MAX}");
    text.parse().ok().filter(|n| (1..=SHOWN_MAX).contains(n)).ok_or_else(wrong)
}

/// What the running proxy answers.
#[derive(Deserialize)]
struct Listed {
    count: u64,
    events: Vec<Event>,
}

/// An event, without what each rule saw.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) time: String,
    pub(super) client: Option<String>,
    pub(super) site: Option<String>,
    pub(super) route: Option<String>,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) action: String,
    pub(super) mode: String,
    pub(super) refused_by: Option<u32>,
    pub(super) levels: (u8, u8),
    pub(super) inbound_score: i64,
    pub(super) inbound_score_run: i64,
    pub(super) inbound_threshold: Option<i64>,
    pub(super) outbound_score: i64,
    pub(super) outbound_score_run: i64,
    pub(super) outbound_threshold: Option<i64>,
    pub(super) rules: Vec<u32>,
    pub(super) faults: Vec<String>,
}

impl Events {
    pub(super) fn run(&self, called: &Called, screen: &Screen) -> ExitCode {
        let mut path = format!("/waf/events?last={}", self.limit);
        if let Some(rule) = self.rule {
            path += &format!("&rule={rule}");
        }
        if let Some(site) = &self.site {
            path += &format!("&site={}", encoded(site));
        }
        let action = if self.shadow { Some(Action::Shadow) } else { self.action };
        if let Some(action) = action {
            path += &format!("&action={}", action.word());
        }
        called.get(&path, |listed: &Listed| screen::data(&list(listed, screen)))
    }
}

fn list(listed: &Listed, screen: &Screen) -> String {
    if listed.events.is_empty() {
        return match listed.count {
            0 => "rules have found nothing since doorman began\n".to_owned(),
            _ => "none of the events that are kept is one of these\n".to_owned(),
        };
    }
    let head = ["TIME", "ID", "SITE", "CLIENT", "REQUEST", "ACTION", "SCORE", "RULES"];
    let rows: Vec<_> = listed.events.iter().map(row).collect();
    table(head, &rows, screen)
}

fn row(event: &Event) -> [String; 8] {
    [
        shown(&event.time, 24),
        shown(&event.request_id, 36),
        shown(event.site.as_deref().unwrap_or("-"), 40),
        shown(event.client.as_deref().unwrap_or("-"), 40),
        shown(&format!("{} {}", event.method, event.path), REQUEST),
        action(event),
        score(event),
        rules(&event.rules),
    ]
}

fn action(event: &Event) -> String {
    match event.action.as_str() {
        "block" => format!("block {}", event.status),
        other => shown(other, 12),
    }
}

/// The sum against its threshold; of a shadow that of all levels that are run.
pub(super) fn score(event: &Event) -> String {
    let is_shadow = event.action == "shadow";
    let pick = |counted: i64, run: i64| if is_shadow { run } else { counted };
    let inbound = pick(event.inbound_score, event.inbound_score_run);
    let outbound = pick(event.outbound_score, event.outbound_score_run);
    let of = |score: i64, threshold: Option<i64>| {
        threshold.map_or_else(|| score.to_string(), |threshold| format!("{score}/{threshold}"))
    };
    match outbound {
        0 => of(inbound, event.inbound_threshold),
        _ => {
            let outbound = of(outbound, event.outbound_threshold);
            format!("{} out {outbound}", of(inbound, event.inbound_threshold))
        }
    }
}

fn rules(rules: &[u32]) -> String {
    let mut text: Vec<String> = rules.iter().take(RULES).map(u32::to_string).collect();
    if rules.len() > RULES {
        text.push(format!("and {} more", rules.len() - RULES));
    }
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::screen::When;

    #[test]
    fn a_screen() {
        let event = |action: &str, path: &str, rules: &[u32], scores: (i64, i64)| {
            json!({
                "request_id": "018bcfe5-687b-7000-8000-000000000001",
                "time": "2023-11-14T22:13:20.123Z", "client": "203.0.113.9",
                "site": "https://shop.example", "route": "/*", "method": "GET",
                "host": "shop.example", "path": path, "status": 403, "action": action,
                "mode": "block", "refused_by": null, "phase": null, "levels": [1, 2],
                "inbound_score": scores.0, "inbound_score_run": scores.1, "inbound_threshold": 5,
                "outbound_score": 0, "outbound_score_run": 0, "outbound_threshold": 4,
                "rules": rules, "faults": [], "us": 12,
            })
        };
        let listed = json!({ "count": 2, "events": [
            event("block", "/search\u{1b}[2J", &[1, 2, 3, 4, 5, 6], (10, 15)),
            event("shadow", "/x", &[942_200], (0, 5)),
        ]});
        let listed: Listed = serde_json::from_value(listed).unwrap();
        let text = list(&listed, &Screen::new(When::Never));
        let expect = "\
TIME                      ID                                    SITE                  CLIENT \
            REQUEST                  ACTION     SCORE  RULES
2023-11-14T22:13:20.123Z  018bcfe5-687b-7000-8000-000000000001  https://shop.example \
            203.0.113.9  GET /search\\u001b[2J  block 403  10/5   1 2 3 4 and 2 more
2023-11-14T22:13:20.123Z  018bcfe5-687b-7000-8000-000000000001  https://shop.example \
            203.0.113.9  GET /x                   shadow     5/5    942200
";
        let squeeze = |text: &str| {
            text.lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(squeeze(&text)[0], squeeze(expect)[0]);
        assert_eq!(squeeze(&text)[2], squeeze(expect)[2]);
        assert!(text.contains("10/5") && text.contains("1 2 3 4 and 2 more"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
