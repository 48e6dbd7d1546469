//! `doorman waf rules`: what each rule has cost, and how often it matched.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::events::limit;
use super::{shown, table};
use crate::command::cache::{percent, size};
use crate::command::called::Called;
use crate::command::screen::{self, Screen};

/// Show what each rule has cost, and how often it matched
///
/// A rule costs what it is asked about: values that hold nothing of what it looks for are kept away from it, and cost
/// it nothing. Counts are of the running proxy, since the set of rules is in force.
#[derive(Args)]
pub(super) struct Rules {
    /// What comes first
    #[arg(long, value_enum, default_value = "cost")]
    by: By,
    /// How many of each set at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = limit)]
    limit: usize,
    /// Those too that only prepare something for others
    #[arg(long)]
    all: bool,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Most bytes looked at
    Cost,
    /// Most requests matched
    Hits,
}

#[derive(Deserialize)]
struct Costs {
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    count: usize,
    asked: u64,
    bytes: u64,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    rule: u32,
    phase: u8,
    level: Option<u8>,
    msg: String,
    hits: u64,
    asked: u64,
    bytes: u64,
}

impl Rules {
    pub(super) fn run(&self, called: &Called, screen: &Screen) -> ExitCode {
        let by = match self.by {
            By::Cost => "cost",
            By::Hits => "hits",
        };
        let path = format!("/waf/rules?by={by}&last={}&all={}", self.limit, self.all);
        called.get(&path, |costs: &Costs| screen::data(&list(costs, screen)))
    }
}

fn list(costs: &Costs, screen: &Screen) -> String {
    if costs.sets.is_empty() {
        return "no route is inspected: none has a `waf` line\n".to_owned();
    }
    let set = |set: &Set| {
        let head = ["RULE", "PHASE", "LEVEL", "HITS", "ASKED", "BYTES", "PART", "MESSAGE"];
        let rows: Vec<_> = set.rules.iter().map(|rule| row(rule, set.bytes)).collect();
        format!(
            "{}: {} rules, asked {} times about {}\n{}",
            shown(&set.name, 120),
            set.count,
            set.asked,
            size(set.bytes),
            table(head, &rows, screen)
        )
    };
    costs.sets.iter().map(set).collect::<Vec<_>>().join("\n")
}

fn row(rule: &Rule, all: u64) -> [String; 8] {
    [
        rule.rule.to_string(),
        rule.phase.to_string(),
        rule.level.map_or_else(|| "-".to_owned(), |level| level.to_string()),
        rule.hits.to_string(),
        rule.asked.to_string(),
        size(rule.bytes),
        percent(rule.bytes, all),
        shown(&rule.msg, 60),
    ]
}
