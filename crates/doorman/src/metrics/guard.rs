//! Series of limits and bans.

use super::text::{Kind, Page};
use crate::engine::Engine;

/// Writes them for the guards of the plan in force.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let plan = engine.plan();
    let limits = plan.limits();
    if !limits.is_empty() {
        let help = "Requests above a limit: refused, or let pass because it is only a shadow.";
        page.family("doorman_limit_exceeded_total", help, Kind::Counter);
        for limit in limits.iter().take(super::SERIES_MAX) {
            let (name, books) = (limit.name(), limit.books());
            page.sample("", &[("limit", name), ("outcome", "refused")], books.refused());
            page.sample("", &[("limit", name), ("outcome", "shadow")], books.shadowed());
        }
    }
    let bans = plan.bans();
    if !bans.is_empty() {
        let now = engine.times().1.instant;
        page.family("doorman_bans", "Clients that are kept out now.", Kind::Gauge);
        for rules in bans.iter().take(super::SERIES_MAX) {
            page.sample("", &[("ban", rules.name())], rules.count(now) as u64);
        }
    }
}
