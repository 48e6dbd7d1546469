//! `doorman waf test`: whether rules would refuse a request, without a running proxy.
//!
//! The request goes the way that `doorman explain` walks: listener, site and route of the configuration, and then
//! through the very rules that the route has.

mod request;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use doorman_config::{Config, Setting};
use doorman_net::Clock;
use doorman_proxy::explain::{Explanation, Outcome, Question, Waf};
use doorman_proxy::{Plan, WafAction};
use serde_json::{Value, json};

use super::{Form, shown, why};
use crate::admin::waf as told;
use crate::command::{exit, refuse, screen, screen::Screen};
use crate::engine::{self, Origin, Refused};
use crate::exclusion::{self, Advice, Case};
use request::{Asked, Wanted};

/// Show whether rules would refuse a request
///
/// The request is a URL with options as curl has them, or a file with a raw request, `-` for the standard input. It
/// goes through the rules of its route in this process: nobody is asked. Exit code 1 if it would be refused.
#[derive(Args)]
pub(super) struct Test {
    /// A URL, or a file with a raw request
    #[arg(value_name = "FILE|URL")]
    request: String,
    /// The method; POST where there is data
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header field, as `Name: value`; `Name:` leaves one out that curl would send
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The body, or `@FILE`; several are joined with `&`
    #[arg(short = 'd', long = "data", value_name = "DATA")]
    data: Vec<String>,
    /// Address of the client
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// Let this level count, whatever the configuration says
    #[arg(long, value_name = "1-4", value_parser = clap::value_parser!(u8).range(1..=4))]
    level: Option<u8>,
}

/// What was found.
struct Tested<'a> {
    plan: &'a Plan,
    question: &'a Question,
    explanation: Explanation,
}

impl Test {
    pub(super) fn run(self, config: &Path, form: Form, screen: &Screen) -> ExitCode {
        let Self { request, method, headers, data, from, level } = self;
        let wanted = Wanted { request: &request, method: method.as_deref(), headers, data, from };
        let asked = match wanted.read() {
            Ok(asked) => asked,
            Err(why) => return screen::usage(&why),
        };
        let clock = Clock::system();
        let plan = match plan(config, level, clock) {
            Ok((warnings, plan, sources)) => {
                screen.tell(&warnings, &sources);
                plan
            }
            Err(refused) => return refuse(&refused, screen),
        };
        let question = match asked {
            Asked::Url(question) => *question,
            Asked::File(raw) => match raw.place(&plan, clock) {
                Ok(question) => question,
                Err(why) => return screen::usage(&why),
            },
        };
        let explanation = plan.explain(&question, clock);
        if let Outcome::Malformed(why) = &explanation.outcome {
            return screen::usage(why);
        }
        let tested = Tested { plan: &plan, question: &question, explanation };
        let Some(waf) = &tested.explanation.waf else { return tested.unseen(form) };
        let advice = advice(waf, &question);
        let code = match form {
            Form::People => screen::data(&tested.text(waf, advice.as_ref(), screen)),
            Form::Programs => screen::json(&tested.value(waf, advice.as_ref())),
        };
        if is_refused(waf) { ExitCode::from(exit::FAILED) } else { code }
    }
}

type Read = (Vec<doorman_config::Diagnostic>, Plan, doorman_config::SourceMap);

/// The configuration, with another level where one is asked for.
fn plan(file: &Path, level: Option<u8>, clock: Clock) -> Result<Read, Refused> {
    let origin = Origin::File(file.to_owned());
    let (config, diagnostics, sources) = engine::read(&origin, engine::NOBODY)?;
    let config = match level {
        Some(level) => Arc::new(at_level(&config, level)),
        None => config,
    };
    let ground = engine::looking(&config, clock)?;
    let prepared = engine::compile(&config, diagnostics, sources, &ground, engine::NOBODY)?;
    Ok((prepared.warnings, prepared.plan, prepared.sources))
}

/// The same configuration, with this level in force in every route.
fn at_level(config: &Config, level: u8) -> Config {
    let mut config = config.clone();
    let routes = config.sites.iter_mut().flat_map(|site| &mut site.routes);
    for waf in routes.filter_map(|route| route.options.waf.as_mut()) {
        waf.level = Setting::written(level, waf.span);
        waf.detect_level = waf.detect_level.filter(|detect| detect.value >= level);
    }
    config
}

/// Whether a client would be refused, the mode being what it is.
fn is_refused(waf: &Waf) -> bool {
    match waf.action {
        WafAction::Block => true,
        WafAction::Error => waf.refusal.is_some(),
        WafAction::Pass | WafAction::Shadow | WafAction::Detect => false,
    }
}

fn advice(waf: &Waf, question: &Question) -> Option<Advice> {
    let counts_all = waf.action == WafAction::Shadow;
    let is_helped = counts_all || matches!(waf.action, WafAction::Block | WafAction::Detect);
    let path = question.target.split('?').next().unwrap_or_default();
    let case = Case {
        findings: &waf.findings,
        scores: waf.scores,
        refused_by: waf.refusal.map(|(rule, _)| rule),
        path: path.as_bytes(),
        counts_all,
    };
    is_helped.then(|| exclusion::advice(&case, &[]))
}

impl Tested<'_> {
    fn place(&self) -> Option<(&str, &str)> {
        let site = self.plan.sites.get(self.explanation.site?)?;
        Some((&*site.name, &*site.routes.get(self.explanation.route?)?.name))
    }

    /// Says that no rule looks at the request.
    fn unseen(&self, form: Form) -> ExitCode {
        let place = self.place();
        if form == Form::Programs {
            let (site, route) = place.unzip();
            return screen::json(&json!({ "site": site, "route": route, "waf": null }));
        }
        match (place, &self.explanation.outcome) {
            (Some((site, route)), _) => screen::data(&format!(
                "no rules look at it: route {route} of {site} has no `waf` line\n"
            )),
            (None, Outcome::NoListener | Outcome::NoCertificate) => {
                screen::failed("nothing listens for it; `doorman explain` says more")
            }
            (None, _) => screen::failed("no route takes it; `doorman explain` says more"),
        }
    }

    fn text(&self, waf: &Waf, advice: Option<&Advice>, screen: &Screen) -> String {
        let mut text = String::new();
        let Question { method, scheme, authority, target, .. } = self.question;
        let target = shown(target, 200);
        let request = format!("{} {}://{authority}{target}", method.as_str(), scheme.as_str());
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", screen.strong(&request));
        let mut line = |label: &str, words: &str| {
            let _ = writeln!(text, "  {label:<8}  {words}");
        };
        if let Some((site, route)) = self.place() {
            line("route", &format!("{route} of {site}"));
        }
        let (level, run) = waf.levels;
        let run = if run > level { format!(", detect-level {run}") } else { String::new() };
        line("rules", &format!("{}, level {level}{run}, mode {}", waf.set, waf.mode));
        line("verdict", &verdict(waf));
        line("score", &score(waf));
        for fault in &waf.faults {
            line("fault", fault);
        }
        for finding in &waf.findings {
            text.push('\n');
            text += &told_of(told::finding(finding), |one: &why::Finding| {
                why::found(one, level, screen)
            });
        }
        if let Some(advice) = advice {
            let route = self.place().map(|(_, route)| route);
            text.push('\n');
            text += &told_of(told::advised(advice), |one: &why::Advice| why::advised(one, route));
        }
        text
    }

    fn value(&self, waf: &Waf, advice: Option<&Advice>) -> Value {
        let (site, route) = self.place().unzip();
        json!({
            "site": site,
            "route": route,
            "set": waf.set,
            "level": waf.levels.0,
            "detect_level": waf.levels.1,
            "mode": waf.mode,
            "action": waf.action.as_str(),
            "refused": is_refused(waf),
            "refused_by": waf.refusal.map(|(rule, _)| rule),
            "status": waf.refusal.map(|(_, status)| status),
            "inbound_score": waf.scores.inbound,
            "inbound_score_run": waf.scores.inbound_run,
            "inbound_threshold": waf.scores.inbound_threshold,
            "faults": waf.faults,
            "findings": waf.findings.iter().map(told::finding).collect::<Vec<_>>(),
            "advice": advice.map(told::advised),
        })
    }
}

/// What the admin API says of something, shown as its answers are.
fn told_of<T: serde::de::DeserializeOwned>(value: Value, show: impl Fn(&T) -> String) -> String {
    serde_json::from_value(value).map(|told| show(&told)).unwrap_or_default()
}

fn verdict(waf: &Waf) -> String {
    let by = waf.refusal.map_or_else(String::new, |(rule, status)| match rule {
        0 => format!(" with {status} by a bound"),
        rule => format!(" with {status} by rule {rule}"),
    });
    match waf.action {
        WafAction::Pass => "passes".to_owned(),
        WafAction::Shadow => {
            format!("passes; at level {} it would be refused", waf.scores.levels.1)
        }
        WafAction::Detect => format!("passes, as mode detect says; mode block would refuse it{by}"),
        WafAction::Block => format!("refused{by}"),
        WafAction::Error if waf.refusal.is_some() => {
            format!("refused{by}: the rules could not be run to their end")
        }
        WafAction::Error => "passes, though the rules could not be run to their end".to_owned(),
    }
}

fn score(waf: &Waf) -> String {
    let scores = &waf.scores;
    let is_shadow = waf.action == WafAction::Shadow;
    let score = if is_shadow { scores.inbound_run } else { scores.inbound };
    match scores.inbound_threshold {
        Some(threshold) => format!("{score}/{threshold}"),
        None => "these rules have no threshold".to_owned(),
    }
}
