//! What `doorman cache` shows. The names of the fields are a public contract. Sizes are bytes, times
//! unix seconds, spans seconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorman_cache::{KeyRules, KeySeed, NotStored, UrlKey};
use doorman_proxy::{Cached, Plan, form_name};
use doorman_store::{Described, DescribedSibling, Standing, Stats, Store};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// The words for tiers.
const MEMORY: &str = "memory";
const DISK: &str = "disk";
/// Responses that a list has if nothing else is asked for.
pub(crate) const LIST: usize = 100;
/// Responses that a list has at most.
pub(crate) const LIST_MAX: usize = 5_000;
/// Bytes of URLs, tags and values that an answer has at most: the last are left out.
const TEXT_MAX: usize = 8 * 1024 * 1024;
/// Refusals of a URL that are told, of each store.
const REFUSALS: usize = 10;

/// How it stands with all stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stores {
    /// When this was told.
    pub now: u64,
    /// In the order of the configuration; those that no route uses are not open.
    pub stores: Vec<StoreReport>,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoreReport {
    /// Its name.
    pub name: String,
    /// What is kept where.
    pub tiers: Vec<Tier>,
    /// Why its disk is not used now, if it is not.
    pub problem: Option<String>,
    /// Requests by what the cache had to do with them, all words.
    pub requests: BTreeMap<String, u64>,
    /// Of the requests that did not pass it by, the part that was answered from it; none before the
    /// first.
    pub hit_ratio: Option<f64>,
    /// Bytes of content that were sent from it.
    pub hit_bytes: u64,
    /// Responses that were fetched anew beside a request that was answered with a stale one.
    pub refreshes: u64,
    /// Responses that were stored whole.
    pub stored: u64,
    /// Responses that a validation or an answer to HEAD has updated.
    pub updated: u64,
    /// Responses that were to be stored, and did not come whole.
    pub cut: u64,
    /// Responses that were purged.
    pub purged: u64,
    /// Requests that waited for the fetch of another one.
    pub waits: u64,
    /// Fetches under way.
    pub fetches: u64,
    /// URLs that are marked as uncacheable.
    pub marked: u64,
    /// Responses that were not stored, by the reason; only those that occurred.
    pub refused: BTreeMap<String, u64>,
}

/// A tier of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tier {
    /// `memory` or `disk`.
    pub tier: String,
    /// Responses.
    pub objects: u64,
    /// Bytes that they take, with all that belongs to them.
    pub bytes: u64,
    /// Bytes that they may take.
    pub limit: u64,
    /// Responses that went because there was no room.
    pub evicted: u64,
}

/// Stored responses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// When this was told.
    pub now: u64,
    /// In the order of stores and URLs.
    pub objects: Vec<Stored>,
    /// Whether there are more.
    pub more: bool,
}

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Where it is.
    pub store: String,
    /// Where its content is read from: `memory`, or `disk` if it is only there.
    pub tier: String,
    /// Its URL as it is keyed.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// `fresh`, `stale`, `purged` (made stale by hand) or `coming`.
    pub state: String,
    /// Its age (RFC 9111 section 4.2.3).
    pub age: u32,
    /// For how long it stays fresh; not above zero if it is not.
    pub ttl: i64,
    /// Length of its content, once that is known.
    pub length: Option<u64>,
    /// What it takes in memory.
    pub bytes: u64,
    /// How often it was found.
    pub hits: u32,
    /// Site, route and upstream that made it, if they are still there.
    pub made_by: Option<Maker>,
    /// What tells it from other responses for its URL.
    pub differs: Vec<Difference>,
    /// What purges by tag know it by.
    pub tags: Vec<String>,
    /// Other forms of its content.
    #[serde(default)]
    pub forms: Vec<Form>,
}

/// Another form of a stored response's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Form {
    /// Its coding, or `other`.
    pub name: String,
    /// `coming`, `first` (it may be made smaller), `kept` or `refused` (it is of no use).
    pub state: String,
    /// Its length, once that is known.
    pub length: Option<u64>,
}

/// Who made a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Maker {
    /// The site.
    pub site: String,
    /// Its route.
    pub route: String,
    /// The upstream.
    pub upstream: String,
}

/// A part of the request that counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// `vary` (the response names it), `header` or `cookie` (`key` names it), or `chosen` (by rules that
    /// are in force no more).
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value; none: the request had none.
    pub value: Option<String>,
}

/// What is known of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// When this was told.
    pub now: u64,
    /// What is stored for it, the newest first in each store.
    pub objects: Vec<Stored>,
    /// Why responses for it were not stored, the latest first in each store.
    pub refusals: Vec<Refusal>,
}

/// A response that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// The store.
    pub store: String,
    /// When.
    pub at: u64,
    /// Why, in the word of log and metrics.
    pub reason: String,
    /// The same for people, and what would change it.
    pub text: String,
}

/// A question that a call asks.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// A URL; `https` where no scheme is written.
    #[serde(default)]
    pub(super) url: String,
    /// What URLs begin with; all if there is none.
    #[serde(default)]
    prefix: String,
    /// The only store that counts.
    store: Option<String>,
    /// Responses that are told at most.
    limit: Option<usize>,
}

/// Why a call cannot be answered.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It is asked wrongly.
    Usage(String),
    /// There is no such store.
    NoStore(String),
}

/// Counts of a store, of all cores.
#[derive(Default)]
pub(crate) struct Sum {
    /// In the order of [`Cached::ALL`].
    pub(crate) requests: [u64; Cached::ALL.len()],
    pub(crate) bytes: u64,
    pub(crate) refreshes: u64,
}

impl Sum {
    /// Requests that were answered from the store, and all that did not pass it by.
    pub(crate) fn ratio(&self) -> (u64, u64) {
        let mut answered = 0;
        let mut all = 0;
        for (result, count) in Cached::ALL.iter().zip(self.requests) {
            match result {
                Cached::Hit | Cached::Stale | Cached::Revalidated | Cached::Collapsed => {
                    answered += count;
                    all += count;
                }
                Cached::Miss | Cached::Refused | Cached::Absent => all += count,
                Cached::Bypass => {}
            }
        }
        (answered, all)
    }
}

/// What cores have counted, by store.
pub(crate) fn sums(engine: &Engine) -> BTreeMap<Box<str>, Sum> {
    let mut sums: BTreeMap<Box<str>, Sum> = BTreeMap::new();
    for (store, counters) in engine.counters().flat_map(|core| core.caches()) {
        let sum = sums.entry(store).or_default();
        for (sum, counter) in sum.requests.iter_mut().zip(&counters.requests) {
            *sum += counter.read();
        }
        sum.bytes += counters.bytes.read();
        sum.refreshes += counters.refreshes.read();
    }
    sums
}

/// The tiers of a store of this plan. What is in memory may be on disk, too.
pub(crate) fn tiers(plan: &Plan, store: &Store, stats: &Stats) -> Vec<Tier> {
    let memory = Tier {
        tier: MEMORY.to_owned(),
        objects: stats.objects.saturating_sub(stats.on_disk),
        bytes: stats.bytes,
        limit: stats.limit,
        evicted: stats.counts.evicted,
    };
    let mut written = plan.config.stores.iter();
    let limit = written
        .find(|written| written.name.value == store.name())
        .and_then(|written| Some(written.disk.as_ref()?.value.bytes));
    let disk = stats.disk.as_ref().map(|disk| Tier {
        tier: DISK.to_owned(),
        objects: disk.objects,
        bytes: disk.bytes,
        limit: limit.unwrap_or(0),
        evicted: disk.evictions,
    });
    [memory].into_iter().chain(disk).collect()
}

/// What is wrong with the disks of stores, each in a line.
pub(crate) fn problems(plan: &Plan) -> Vec<String> {
    let problem =
        |store: &Arc<Store>| Some(format!("store {}: {}", store.name(), store.disk()?.problem()?));
    plan.stores().filter_map(problem).collect()
}

/// How it stands now.
#[must_use]
pub(crate) fn of(engine: &Engine) -> Stores {
    let plan = engine.plan();
    let sums = sums(engine);
    let none = Sum::default();
    let stores =
        plan.stores().map(|store| report(&plan, store, sums.get(store.name()).unwrap_or(&none)));
    Stores { now: engine.times().1.unix_seconds(), stores: stores.collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a part for people")]
fn report(plan: &Plan, store: &Store, sum: &Sum) -> StoreReport {
    let stats = store.stats();
    let (answered, all) = sum.ratio();
    let requests = Cached::ALL.iter().zip(sum.requests);
    let refused = NotStored::WORDS.iter().zip(&stats.counts.refused);
    StoreReport {
        name: store.name().to_owned(),
        tiers: tiers(plan, store, &stats),
        problem: store.disk().and_then(|disk| disk.problem()),
        requests: requests.map(|(result, count)| (result.as_str().to_owned(), count)).collect(),
        hit_ratio: (all > 0).then(|| answered as f64 / all as f64),
        hit_bytes: sum.bytes,
        refreshes: sum.refreshes,
        stored: stats.counts.stored,
        updated: stats.counts.freshened,
        cut: stats.counts.aborted,
        purged: stats.counts.purged,
        waits: stats.counts.waits,
        fetches: stats.fetches,
        marked: stats.markers,
        refused: refused
            .filter(|(_, count)| **count > 0)
            .map(|(word, count)| ((*word).to_owned(), *count))
            .collect(),
    }
}

/// The stores that a call is about.
pub(super) fn chosen(plan: &Plan, name: Option<&str>) -> Result<Vec<Arc<Store>>, Wrong> {
    let is_meant = |store: &&Arc<Store>| name.is_none_or(|name| store.name() == name);
    let stores: Vec<_> = plan.stores().filter(is_meant).map(Arc::clone).collect();
    match name {
        Some(name) if stores.is_empty() => {
            Err(Wrong::NoStore(format!("there is no store `{name}` that a route uses")))
        }
        _ => Ok(stores),
    }
}

/// A URL with its scheme, and without what never leaves a client.
pub(super) fn absolute(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

/// The keys of a URL in a store.
pub(super) fn keys(plan: &Plan, store: &Store, url: &str) -> Result<Vec<UrlKey>, Wrong> {
    plan.keys(store, &absolute(url))
        .map_err(|error| Wrong::Usage(format!("`{url}` is not a URL: {error}")))
}

/// Whether a URL is one, for those who have no store to ask.
pub(super) fn check(url: &str) -> Result<(), Wrong> {
    let key = UrlKey::parse(&absolute(url), &KeyRules::default(), &KeySeed::new(0, 0));
    key.map(|_| ()).map_err(|error| Wrong::Usage(format!("`{url}` is not a URL: {error}")))
}

/// What the keys of all URLs begin with that begin so.
pub(super) fn prefix(text: &str) -> Result<Vec<u8>, Wrong> {
    doorman_cache::prefix(&absolute(text))
        .map_err(|error| Wrong::Usage(format!("`{text}` is not the beginning of a URL: {error}")))
}

/// What is stored below a prefix.
pub(super) fn list(engine: &Engine, asked: &Asked) -> Result<Listed, Wrong> {
    let (plan, now) = (engine.plan(), engine.times().1);
    let limit = asked.limit.unwrap_or(LIST);
    if limit == 0 || limit > LIST_MAX {
        return Err(Wrong::Usage(format!("the limit is within 1 to {LIST_MAX}")));
    }
    let begin = asked.prefix.strip_suffix('*').unwrap_or(&asked.prefix);
    let begin = if begin.is_empty() { Vec::new() } else { prefix(begin)? };
    let mut listed = Listed { now: now.unix_seconds(), objects: Vec::new(), more: false };
    let mut room = TEXT_MAX;
    for store in chosen(&plan, asked.store.as_deref())? {
        let left = limit - listed.objects.len();
        for found in store.list(&begin, left + 1, now) {
            let one = stored(&plan, &store, found);
            if listed.objects.len() == limit || !takes(&mut room, &one) {
                listed.more = true;
                return Ok(listed);
            }
            listed.objects.push(one);
        }
    }
    Ok(listed)
}

/// Takes the room that a response needs in an answer, if it is there.
fn takes(room: &mut usize, one: &Stored) -> bool {
    let values = one.differs.iter().map(|part| part.value.as_ref().map_or(0, String::len));
    let tags = one.tags.iter().map(String::len);
    let bytes = values.chain(tags).sum::<usize>() + one.url.len();
    match room.checked_sub(bytes) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

/// What is known of a URL.
pub(super) fn know(engine: &Engine, asked: &Asked) -> Result<Known, Wrong> {
    let (plan, now) = (engine.plan(), engine.times().1);
    let mut known = Known { now: now.unix_seconds(), objects: Vec::new(), refusals: Vec::new() };
    let stores = chosen(&plan, asked.store.as_deref())?;
    check(&asked.url)?;
    let mut room = TEXT_MAX;
    for store in stores {
        for key in keys(&plan, &store, &asked.url)? {
            let found = store.show(&key, now).into_iter().map(|one| stored(&plan, &store, one));
            known.objects.extend(found.take_while(|one| takes(&mut room, one)));
            let refusals = store.why(&key, REFUSALS).into_iter().map(|refusal| Refusal {
                store: store.name().to_owned(),
                at: refusal.at.unix_seconds(),
                reason: refusal.why.word().to_owned(),
                text: refusal.why.text().to_string(),
            });
            known.refusals.extend(refusals);
        }
    }
    Ok(known)
}

fn stored(plan: &Plan, store: &Store, one: Described) -> Stored {
    let variant = plan.variant(&one.selector);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let state = match &one {
        one if one.is_filling => "coming",
        one if one.is_purged => "purged",
        one if one.ttl > 0 => "fresh",
        _ => "stale",
    };
    let differs = variant.parts.iter().map(|part| Difference {
        kind: part.kind.word().to_owned(),
        name: text(&part.name),
        value: part.value.as_deref().map(text),
    });
    Stored {
        store: store.name().to_owned(),
        tier: if one.is_on_disk { DISK } else { MEMORY }.to_owned(),
        differs: differs.collect(),
        made_by: variant.place.map(|[site, route, upstream]| Maker {
            site: site.to_owned(),
            route: route.to_owned(),
            upstream: upstream.to_owned(),
        }),
        url: one.url,
        status: one.status,
        state: state.to_owned(),
        age: one.age,
        ttl: one.ttl,
        length: one.length,
        bytes: one.bytes,
        hits: one.hits,
        tags: one.tags,
        forms: one.siblings.iter().map(form).collect(),
    }
}

fn form(one: &DescribedSibling) -> Form {
    let name = form_name(one.form);
    let (state, length) = match one.standing {
        Standing::Coming => ("coming", None),
        Standing::Whole { length, is_final: false, .. } => ("first", Some(length)),
        Standing::Whole { length, .. } => ("kept", Some(length)),
        Standing::Refused(_) => ("refused", None),
    };
    Form { name, state: state.to_owned(), length }
}
