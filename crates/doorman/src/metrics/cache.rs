//! Stores and what they did for requests.

use doorman_cache::NotStored;
use doorman_proxy::Cached;

use super::text::{Kind, Page};
use crate::admin::cache::{Sum, sums, tiers};
use crate::engine::Engine;

/// Stores of the plan in force, and what cores have counted of all there were. Their number is bounded
/// by the configuration.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let (plan, sums) = (engine.plan(), sums(engine));
    requests(page, sums.iter().map(|(store, sum)| (&**store, sum)));
    let stores: Vec<_> = plan.stores().map(|store| (store.name(), store.stats())).collect();
    let tiers: Vec<_> = stores.iter().map(|(name, stats)| (*name, tiers(stats))).collect();
    let tiers = || {
        let tiers = tiers.iter();
        tiers.flat_map(|(store, tiers)| tiers.iter().map(move |tier| (*store, tier)))
    };
    let help = "Responses that are stored, those that are coming included.";
    page.family("doorman_cache_objects", help, Kind::Gauge);
    for (store, tier) in tiers() {
        page.sample("", &[("store", store), ("tier", &tier.tier)], tier.objects);
    }
    let help = "Bytes that stored responses take, with all that belongs to them.";
    page.family("doorman_cache_bytes", help, Kind::Gauge);
    for (store, tier) in tiers() {
        page.sample("", &[("store", store), ("tier", &tier.tier)], tier.bytes);
    }
    let help = "Bytes that stored responses may take.";
    page.family("doorman_cache_limit_bytes", help, Kind::Gauge);
    for (store, tier) in tiers() {
        page.sample("", &[("store", store), ("tier", &tier.tier)], tier.limit);
    }
    let help = "Responses that went because there was no room.";
    page.family("doorman_cache_evictions_total", help, Kind::Counter);
    for (store, tier) in tiers() {
        page.sample("", &[("store", store), ("tier", &tier.tier)], tier.evicted);
    }
    let help = "Responses that were to be stored, by what became of them: stored whole, cut, or an update of one that was there.";
    page.family("doorman_cache_fills_total", help, Kind::Counter);
    for (store, stats) in &stores {
        let counts = &stats.counts;
        for (result, count) in
            [("cut", counts.aborted), ("stored", counts.stored), ("updated", counts.freshened)]
        {
            page.sample("", &[("store", store), ("result", result)], count);
        }
    }
    let help = "Responses that were not stored, by the reason.";
    page.family("doorman_cache_refused_total", help, Kind::Counter);
    for (store, stats) in &stores {
        for (reason, count) in NotStored::WORDS.iter().zip(&stats.counts.refused) {
            page.sample("", &[("store", store), ("reason", reason)], *count);
        }
    }
    let help = "Responses that were purged.";
    page.family("doorman_cache_purged_total", help, Kind::Counter);
    for (store, stats) in &stores {
        page.sample("", &[("store", store)], stats.counts.purged);
    }
    let help = "Requests that waited for another one's fetch of the same.";
    page.family("doorman_cache_waits_total", help, Kind::Counter);
    for (store, stats) in &stores {
        page.sample("", &[("store", store)], stats.counts.waits);
    }
    let help = "Fetches under way whose responses may be stored.";
    page.family("doorman_cache_fetches", help, Kind::Gauge);
    for (store, stats) in &stores {
        page.sample("", &[("store", store)], stats.fetches);
    }
}

/// What cores have counted.
fn requests<'a>(page: &mut Page, sums: impl Iterator<Item = (&'a str, &'a Sum)> + Clone) {
    let help = "Requests on routes with a cache, by what it had to do with them.";
    page.family("doorman_cache_requests_total", help, Kind::Counter);
    for (store, sum) in sums.clone() {
        for (result, count) in Cached::ALL.iter().zip(sum.requests) {
            page.sample("", &[("store", store), ("result", result.as_str())], count);
        }
    }
    let help = "Content bytes to clients that came from the store.";
    page.family("doorman_cache_hit_bytes_total", help, Kind::Counter);
    for (store, sum) in sums.clone() {
        page.sample("", &[("store", store)], sum.bytes);
    }
    let help = "Fetches that were begun beside a request, which got something stale.";
    page.family("doorman_cache_refreshes_total", help, Kind::Counter);
    for (store, sum) in sums {
        page.sample("", &[("store", store)], sum.refreshes);
    }
}
