//! Stores and what they did for requests.

use doorman_cache::NotStored;
use doorman_proxy::Cached;
use doorman_store::Stats;

use super::text::{Kind, Page};
use crate::admin::cache::{Sum, Tier, sums, tiers};
use crate::engine::Engine;

/// Stores of the plan in force, and what cores have counted of all there were. Their number is bounded
/// by the configuration.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let (plan, sums) = (engine.plan(), sums(engine));
    requests(page, sums.iter().map(|(store, sum)| (&**store, sum)));
    let stores: Vec<_> = plan.stores().map(|store| (store.name(), store.stats())).collect();
    let tiers: Vec<_> = plan
        .stores()
        .zip(&stores)
        .map(|(store, (name, stats))| (*name, tiers(&plan, store, stats)))
        .collect();
    sizes(page, &tiers);
    fills(page, &stores);
    let failing =
        plan.stores().filter_map(|store| Some((store.name(), store.disk()?.problem().is_some())));
    disks(page, &stores, failing);
}

/// What is where, and what had to go from there.
fn sizes(page: &mut Page, tiers: &[(&str, Vec<Tier>)]) {
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
}

/// What became of responses.
fn fills(page: &mut Page, stores: &[(&str, Stats)]) {
    let help = "Responses that were to be stored, by what became of them: stored whole, cut, or an update of one that was there.";
    page.family("doorman_cache_fills_total", help, Kind::Counter);
    for (store, stats) in stores {
        let counts = &stats.counts;
        for (result, count) in
            [("cut", counts.aborted), ("stored", counts.stored), ("updated", counts.freshened)]
        {
            page.sample("", &[("store", store), ("result", result)], count);
        }
    }
    let help = "Responses that were not stored, by the reason.";
    page.family("doorman_cache_refused_total", help, Kind::Counter);
    for (store, stats) in stores {
        for (reason, count) in NotStored::WORDS.iter().zip(&stats.counts.refused) {
            page.sample("", &[("store", store), ("reason", reason)], *count);
        }
    }
    let help = "Responses that were purged.";
    page.family("doorman_cache_purged_total", help, Kind::Counter);
    for (store, stats) in stores {
        page.sample("", &[("store", store)], stats.counts.purged);
    }
    let help = "Requests that waited for another one's fetch of the same.";
    page.family("doorman_cache_waits_total", help, Kind::Counter);
    for (store, stats) in stores {
        page.sample("", &[("store", store)], stats.counts.waits);
    }
    let help = "Fetches under way whose responses may be stored.";
    page.family("doorman_cache_fetches", help, Kind::Gauge);
    for (store, stats) in stores {
        page.sample("", &[("store", store)], stats.fetches);
    }
}

/// Stores with a disk tier.
fn disks<'a>(
    page: &mut Page,
    stores: &[(&str, Stats)],
    failing: impl Iterator<Item = (&'a str, bool)>,
) {
    let disks = || stores.iter().filter_map(|(store, stats)| Some((*store, stats.disk.as_ref()?)));
    let help = "Responses that were to be written to disk, by whether they were: not if the disk or its queue was full.";
    page.family("doorman_cache_disk_writes_total", help, Kind::Counter);
    for (store, disk) in disks() {
        for (result, count) in [("refused", disk.refused), ("written", disk.writes)] {
            page.sample("", &[("store", store), ("result", result)], count);
        }
    }
    let help =
        "Responses that were kept on disk when their segment went, because they were in use.";
    page.family("doorman_cache_disk_kept_total", help, Kind::Counter);
    for (store, disk) in disks() {
        page.sample("", &[("store", store)], disk.kept);
    }
    let help = "Records on disk whose bytes were not what was written; they are not given out.";
    page.family("doorman_cache_disk_damaged_total", help, Kind::Counter);
    for (store, disk) in disks() {
        page.sample("", &[("store", store)], disk.damaged);
    }
    let help = "Reads and writes of a store that the system failed.";
    page.family("doorman_cache_disk_errors_total", help, Kind::Counter);
    for (store, disk) in disks() {
        page.sample("", &[("store", store)], disk.errors);
    }
    let help = "Whether nothing is written to a disk for now, because it fails or is full.";
    page.family("doorman_cache_disk_failing", help, Kind::Gauge);
    for (store, is_failing) in failing {
        page.sample("", &[("store", store)], u64::from(is_failing));
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
