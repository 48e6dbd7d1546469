//! Series of limits and bans, and of keys that are fetched.

use std::collections::HashMap;

use doorman_proxy::auth::jwt::Standing;

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
    keys(page, engine);
}

/// How a set of keys may stand.
const STANDINGS: [Standing; 4] = [Standing::None, Standing::Fresh, Standing::Stale, Standing::Over];

fn keys(page: &mut Page, engine: &Engine) {
    let mut all = engine.ground().keys.seen(engine.times().1.instant);
    all.truncate(super::SERIES_MAX);
    if all.is_empty() {
        return;
    }
    // The same URL for other algorithms is another set.
    let mut before: HashMap<Box<str>, u32> = HashMap::new();
    for keys in &mut all {
        let count = before.entry(keys.url.clone()).or_default();
        *count += 1;
        if *count > 1 {
            keys.url = format!("{} #{count}", keys.url).into();
        }
    }
    let help = "Whether the keys of an issuer stand like this: none, fresh, stale (the last fetch failed), over (too old to be used).";
    page.family("doorman_jwks_standing", help, Kind::Gauge);
    for keys in &all {
        for standing in STANDINGS {
            let labels = [("url", &*keys.url), ("standing", standing.as_str())];
            page.sample("", &labels, u64::from(keys.standing == standing));
        }
    }
    page.family("doorman_jwks_keys", "Keys of an issuer that may be used.", Kind::Gauge);
    for keys in &all {
        page.sample("", &[("url", &*keys.url)], keys.keys as u64);
    }
    let help = "Time since the keys of an issuer were fetched.";
    page.family("doorman_jwks_age_seconds", help, Kind::Gauge);
    for keys in &all {
        if let Some(age) = keys.age {
            page.sample("", &[("url", &*keys.url)], age.as_secs());
        }
    }
    let help = "Fetches of the keys of an issuer that brought some.";
    page.family("doorman_jwks_fetches_total", help, Kind::Counter);
    for keys in &all {
        page.sample("", &[("url", &*keys.url)], keys.fetched);
    }
    let help = "Fetches of the keys of an issuer that brought none.";
    page.family("doorman_jwks_failures_total", help, Kind::Counter);
    for keys in &all {
        page.sample("", &[("url", &*keys.url)], keys.failed);
    }
}
