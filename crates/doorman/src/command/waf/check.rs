//! `doorman waf check`: whether the rules of a configuration can be used, how many there are, how large.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use doorman_config::{Diagnostic, render};
use doorman_net::Clock;
use doorman_proxy::plan::{InspectedRoute, RuleSetSeen};
use serde_json::{Value, json};

use super::Form;
use crate::command::cache::size;
use crate::command::{refuse, screen, screen::Screen};
use crate::engine::{self, Origin};

/// Check whether the rules can be used: how many, how large, and where they hold
///
/// It reads the configuration and its rules, and asks nobody. Exit code 3 if they are faulty.
#[derive(Args)]
pub(super) struct Check {}

/// What was found.
struct Found {
    sets: Vec<RuleSetSeen>,
    /// Routes of the configuration, and those that are inspected.
    routes: (usize, usize),
    took: Duration,
    /// What the process has grown by.
    memory: Option<u64>,
}

impl Check {
    pub(super) fn run(self, config: &Path, form: Form, screen: &Screen) -> ExitCode {
        let clock = Clock::system();
        let origin = Origin::File(PathBuf::from(config));
        let read = engine::read(&origin, engine::NOBODY).and_then(|(config, told, sources)| {
            let ground = engine::looking(&config, clock)?;
            let (begun, before) = (clock.instant(), crate::metrics::resident_bytes());
            let prepared = engine::compile(&config, told, sources, &ground, engine::NOBODY)?;
            let took = Duration::from_nanos(clock.instant().0.saturating_sub(begun.0));
            let after = crate::metrics::resident_bytes();
            let memory = after.zip(before).map(|(after, before)| after.saturating_sub(before));
            Ok((config, prepared, took, memory))
        });
        let (config, prepared, took, memory) = match read {
            Ok(read) => read,
            Err(refused) => return refuse(&refused, screen),
        };
        let sets = prepared.plan.rule_sets();
        let inspected = sets.iter().map(|set| set.routes.len()).sum();
        let routes = (config.sites.iter().map(|site| site.routes.len()).sum(), inspected);
        let found = Found { sets, routes, took, memory };
        let warnings = prepared.warnings;
        match form {
            Form::People => {
                screen.tell(&warnings, &prepared.sources);
                screen::data(&text(&found, warnings.len(), screen))
            }
            Form::Programs => {
                let warning = |one: &Diagnostic| render::json(one, &prepared.sources);
                let warnings: Vec<Value> = warnings.iter().map(warning).collect();
                screen::json(&value(&found, warnings))
            }
        }
    }
}

fn text(found: &Found, warnings: usize, screen: &Screen) -> String {
    let Found { sets, routes, took, memory } = found;
    if sets.is_empty() {
        return "no route is inspected: none has a `waf` line\n".to_owned();
    }
    let mut text = String::new();
    for set in sets {
        let RuleSetSeen { name, rules, active, gated, literals, memory, routes } = set;
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", screen.strong(name));
        let pruned = rules.saturating_sub(*active);
        let _ = writeln!(
            text,
            "  rules     {rules}: {active} active, {pruned} left out, since no request can come to them"
        );
        let _ = writeln!(
            text,
            "  gated     {gated} of the active ones, by {literals} pieces of text in {}",
            size(*memory as u64)
        );
        let mut label = "routes";
        for route in routes {
            let _ = writeln!(text, "  {:<8}  {}", std::mem::take(&mut label), place(route));
            for exclusion in &route.exclusions {
                let _ = writeln!(text, "              exclude {exclusion}");
            }
        }
        text.push('\n');
    }
    let (all, inspected) = routes;
    let memory = memory.map_or_else(String::new, |bytes| format!(", {} of memory", size(bytes)));
    let _ = writeln!(text, "{inspected} of {all} routes are inspected");
    let _ = writeln!(text, "read and made ready in {} ms{memory}", took.as_millis());
    let _ = match warnings {
        0 => writeln!(text, "no warnings"),
        1 => writeln!(text, "1 warning"),
        n => writeln!(text, "{n} warnings"),
    };
    text
}

fn place(route: &InspectedRoute) -> String {
    let InspectedRoute { site, route, levels: (level, run), mode, response, .. } = route;
    let run = if run > level { format!(", detect-level {run}") } else { String::new() };
    let response = if *response { ", answers too" } else { "" };
    format!("{route} of {site}: level {level}{run}, mode {mode}{response}")
}

fn value(found: &Found, warnings: Vec<Value>) -> Value {
    let route = |route: &InspectedRoute| {
        json!({
            "site": route.site,
            "route": route.route,
            "level": route.levels.0,
            "detect_level": route.levels.1,
            "mode": route.mode,
            "response": route.response,
            "exclusions": route.exclusions,
        })
    };
    let set = |set: &RuleSetSeen| {
        json!({
            "name": set.name,
            "rules": set.rules,
            "active": set.active,
            "gated": set.gated,
            "literals": set.literals,
            "gate_bytes": set.memory,
            "routes": set.routes.iter().map(route).collect::<Vec<_>>(),
        })
    };
    json!({
        "sets": found.sets.iter().map(set).collect::<Vec<_>>(),
        "routes": found.routes.0,
        "inspected": found.routes.1,
        "ms": u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
        "bytes": found.memory,
        "warnings": warnings,
    })
}
