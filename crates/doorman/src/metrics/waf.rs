//! What rules made of requests, which of them matched, and the time that it took.

use std::collections::BTreeMap;

use doorman_proxy::WafAction;

use super::text::{Kind, Page, seconds};
use crate::engine::Engine;

/// Rules that have a series of their own: those that matched most. The others count together.
const RULES_MAX: usize = 100;

/// Sites of which requests were inspected, and rules that matched.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let mut sites: BTreeMap<Box<str>, ([u64; WafAction::ALL.len()], u64)> = BTreeMap::new();
    for (site, counters) in engine.counters().flat_map(|core| core.wafs()) {
        let sum = sites.entry(site).or_default();
        sum.0.iter_mut().zip(&counters.decisions).for_each(|(sum, one)| *sum += one.read());
        sum.1 += counters.nanos.read();
    }
    let help = "Requests that rules looked at, by what became of them.";
    page.family("doorman_waf_decisions_total", help, Kind::Counter);
    for (site, (decisions, _)) in &sites {
        for (action, count) in WafAction::ALL.iter().zip(decisions) {
            page.sample("", &[("site", site), ("action", action.as_str())], *count);
        }
    }
    let help = "Time of processors that rules took.";
    page.family("doorman_waf_seconds_total", help, Kind::Counter);
    for (site, (_, nanos)) in &sites {
        page.text("", &[("site", site)], &seconds(nanos / 1_000));
    }
    if sites.is_empty() {
        return;
    }
    rules(page, engine);
    page.one(
        "doorman_waf_log_dropped_total",
        "Lines of the log of what rules matched that were lost.",
        Kind::Counter,
        &[],
        engine.rule_log().dropped(),
    );
}

fn rules(page: &mut Page, engine: &Engine) {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    let mut others = 0;
    for (by_rule, more) in engine.counters().map(|core| core.rule_matches()) {
        by_rule.into_iter().for_each(|(rule, count)| *sums.entry(rule).or_default() += count);
        others += more;
    }
    let mut most: Vec<(u32, u64)> = sums.into_iter().collect();
    most.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
    others += most.iter().skip(RULES_MAX).map(|(_, count)| count).sum::<u64>();
    page.family("doorman_waf_rule_matches_total", "Requests that a rule matched.", Kind::Counter);
    for (rule, count) in most.iter().take(RULES_MAX) {
        page.sample("", &[("rule", &rule.to_string())], *count);
    }
    if others > 0 {
        page.sample("", &[("rule", super::OTHER)], others);
    }
}
