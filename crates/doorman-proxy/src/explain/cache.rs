//! What the cache would do with a request. It is sought as a real one is; a look at the store counts
//! no hit, and what is asked to be purged stays.

use std::time::Duration;

use doorman_cache::{
    Cookies, Part, SetCookie, UrlKey, Use, VaryNames, decide, is_selected, selector, tell, url_of,
};
use doorman_http::{Now, RequestHead};

use crate::exchange::Exchange;
use crate::plan::PlanCache;
use crate::stage::cache::{self, Seek, Sought};

/// How long requests wait for another one's fetch where nothing is said.
const LOCK: Duration = Duration::from_secs(5);

/// What the cache has to do with a request.
#[derive(Debug)]
pub struct Cache {
    /// The store.
    pub store: String,
    /// What is done.
    pub decision: Decision,
    /// The URL as it is keyed.
    pub url: String,
    /// What else than the URL and the `Vary` of responses tells them apart, as this request has it.
    pub parts: Vec<Part>,
    /// The rules, each by its word in configurations and what it comes to.
    pub rules: Vec<(&'static str, String)>,
    /// What is stored for it; nothing if it is not looked for.
    pub ways: Vec<CacheWay>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It passes the cache by, for this reason, which is the word of the log.
    Bypass(&'static str),
    /// It goes to the server; if it succeeds, what is stored for its URL goes.
    Change,
    /// It purges its URL.
    Purge,
    /// It is refused: it may not purge.
    NoPurge,
    /// It is answered from the store if that may be.
    Look,
}

/// What is stored for a request, where an upstream would be asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheWay {
    /// The upstream, as an index in the plan.
    pub upstream: usize,
    /// `None`: nothing is stored.
    pub kept: Option<Kept>,
}

/// A stored response that a request would meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its status.
    pub status: u16,
    /// Its age, seconds.
    pub age: u32,
    /// Seconds for which it stays fresh; not above zero if it is stale.
    pub ttl: i64,
    /// How often it was found.
    pub hits: u32,
    /// What would be done with it now.
    pub usage: Use,
}

/// A request that is being told of, before edits.
pub(super) struct Seeking<'p> {
    cache: &'p PlanCache,
    decision: Decision,
    url: String,
    sought: Option<Sought<'p>>,
}

/// Seeks a request, which is not edited yet.
pub(super) fn seek<'p>(
    cache: &'p PlanCache,
    upstream: usize,
    exchange: &mut Exchange,
) -> Seeking<'p> {
    let key = UrlKey::of(&exchange.head, &cache.keys, cache.store.seed());
    let url = url_of(key.bytes());
    if exchange.head.method.as_str() == "PURGE" && !cache.purgers.is_empty() {
        let allowed = exchange.client().is_some_and(|ip| cache.purgers.contains(ip));
        let decision = if allowed { Decision::Purge } else { Decision::NoPurge };
        return Seeking { cache, decision, url, sought: None };
    }
    let (decision, sought) = match cache::seek(cache, None, upstream, exchange) {
        Ok(Seek::Look(sought)) => (Decision::Look, Some(sought)),
        Ok(Seek::Change(_)) => (Decision::Change, None),
        Ok(Seek::Bypass) | Err(_) => {
            (Decision::Bypass(exchange.record().cache_reason.unwrap_or("rule")), None)
        }
    };
    Seeking { cache, decision, url, sought }
}

impl Seeking<'_> {
    /// What is told, once the request is edited: variants are chosen by the edited one.
    pub(super) fn tell(self, targets: &[(usize, u32)], exchange: &Exchange) -> Cache {
        let Self { cache, decision, url, sought } = self;
        let now = exchange.started();
        let ways = sought.iter().flat_map(|sought| {
            targets.iter().map(|(upstream, _)| CacheWay {
                upstream: *upstream,
                kept: kept(sought, *upstream, &exchange.head, now),
            })
        });
        let mut bytes = Vec::new();
        selector(0, &cache.chosen, VaryNames::default(), &exchange.head, &mut bytes);
        Cache {
            store: cache.store.name().to_owned(),
            decision,
            url,
            parts: tell(&bytes, Some(&cache.chosen)).parts,
            rules: rules(cache),
            ways: ways.collect(),
        }
    }
}

fn kept(sought: &Sought<'_>, upstream: usize, head: &RequestHead, now: Now) -> Option<Kept> {
    let cache = sought.cache;
    let place = cache.place(upstream)?;
    let mut scratch = Vec::new();
    let mut stored = cache.store.show(&sought.key, now).into_iter();
    let one =
        stored.find(|one| is_selected(&one.selector, place, &cache.chosen, head, &mut scratch))?;
    let usage = decide(&sought.asked, &one.meta, now);
    Some(Kept { status: one.status, age: one.age, ttl: one.ttl, hits: one.hits, usage })
}

/// What holds for freshness, and the other rules where they are not as they are without a word.
fn rules(cache: &PlanCache) -> Vec<(&'static str, String)> {
    let of = &cache.rules;
    let mut rules = Vec::new();
    match of.force {
        Some(seconds) => {
            rules.push(("ttl", format!("{}, whatever the response says", span(seconds))))
        }
        None if of.ttls.is_empty() => {
            rules.push(("ttl", "as the response says".to_owned()));
        }
        None => {}
    }
    for ttl in &of.ttls {
        let statuses: Vec<String> = ttl.statuses.iter().map(ToString::to_string).collect();
        let mut text = format!("as the response says, else {}", span(ttl.seconds));
        if !statuses.is_empty() {
            text = format!("{text} for {}", statuses.join(" "));
        }
        rules.push(("ttl", text));
    }
    if let Some(seconds) = of.stale {
        rules.push(("stale", format!("{} more, while it is fetched anew", span(seconds))));
    }
    if let Some(seconds) = of.stale_if_error {
        rules.push(("stale-if-error", format!("{} more, if the server fails", span(seconds))));
    }
    if of.cookies == Cookies::Ignore {
        rules.push(("cookies", "ignore".to_owned()));
    }
    if of.set_cookie == SetCookie::Strip {
        rules.push(("set-cookie", "strip".to_owned()));
    }
    if !of.client_control {
        rules.push(("client-control", "off".to_owned()));
    }
    if !cache.etag {
        rules.push(("etag", "off".to_owned()));
    }
    if cache.min_uses > 1 {
        rules.push(("min-uses", cache.min_uses.to_string()));
    }
    if !cache.head {
        rules.push(("methods", "GET".to_owned()));
    }
    if !cache.vary_ignore.is_empty() {
        let names: Vec<_> = cache.vary_ignore.iter().map(|n| String::from_utf8_lossy(n)).collect();
        rules.push(("vary ignore", names.join(" ")));
    }
    match cache.lock {
        None => rules.push(("lock", "off".to_owned())),
        Some(time) if time != LOCK => rules.push(("lock", format!("{} ms", time.as_millis()))),
        Some(_) => {}
    }
    if let Some(bytes) = cache.slice {
        rules.push(("slice", format!("{bytes} bytes")));
    }
    rules.push(("max-object", format!("{} bytes", of.max_object)));
    rules
}

/// Seconds as configurations write them.
fn span(seconds: u32) -> String {
    for (factor, unit) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if seconds > 0 && seconds.is_multiple_of(factor) {
            return format!("{}{unit}", seconds / factor);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_as_configurations_write_them() {
        let check = |seconds, expect: &str| assert_eq!(span(seconds), expect);
        check(0, "0s");
        check(59, "59s");
        check(90, "90s");
        check(120, "2m");
        check(3_600, "1h");
        check(172_800, "2d");
    }
}
