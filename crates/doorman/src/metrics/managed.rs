//! What operators have changed on servers, and servers that are found by themselves.

use doorman_control::overrides::Change;

use super::SERIES_MAX;
use super::text::{Kind, Page};
use crate::engine::Engine;

/// Overrides, and what became of them.
pub(super) fn overrides(page: &mut Page, engine: &Engine) {
    let (all, counts) = engine.overrides().report();
    let help = "Servers whose configuration is overridden, by the property.";
    page.family("doorman_upstream_overrides", help, Kind::Gauge);
    let weights = all.iter().filter(|one| matches!(one.change, Change::Weight(_))).count() as u64;
    page.sample("", &[("field", "use")], all.len() as u64 - weights);
    page.sample("", &[("field", "weight")], weights);
    let help = "Overrides that have ended: their time was over, or the file said something else.";
    page.family("doorman_upstream_overrides_ended_total", help, Kind::Counter);
    page.sample("", &[("why", "expired")], counts.expired);
    page.sample("", &[("why", "file")], counts.dropped);
}

/// Sources of servers. Their number is bounded by the configuration's size, and here once more.
pub(super) fn discovery(page: &mut Page, engine: &Engine) {
    let sources = engine.discoveries();
    if sources.is_empty() {
        return;
    }
    let sources = || sources.iter().take(SERIES_MAX / 4);
    let help = "Servers that a source of them gives.";
    page.family("doorman_discovery_servers", help, Kind::Gauge);
    for source in sources() {
        page.sample("", &[("source", &source.key)], source.count.unwrap_or(0) as u64);
    }
    let help = "Looks at a source that have failed in a row.";
    page.family("doorman_discovery_failures", help, Kind::Gauge);
    for source in sources() {
        page.sample("", &[("source", &source.key)], u64::from(source.failures));
    }
    page.family("doorman_discovery_looks_total", "Looks at a source.", Kind::Counter);
    for source in sources() {
        page.sample("", &[("source", &source.key), ("result", "failed")], source.looks.1);
        page.sample("", &[("source", &source.key), ("result", "ok")], source.looks.0);
    }
}
