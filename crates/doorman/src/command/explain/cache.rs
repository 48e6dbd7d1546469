//! What an explanation says of the cache.

use doorman_cache::{Part, Use};
use doorman_proxy::explain::{Cache, CacheWay, Decision, Kept};
use serde_json::{Value, json};

use super::Told;
use super::text::Page;
use crate::command::status::span;

/// The lines for people.
pub(super) fn lines(cache: &Cache, told: &Told<'_>, page: &mut Page<'_>) {
    let span = told.route().and_then(|route| route.options.cache.as_ref()).map(|cache| cache.span);
    page.placed("cache", &cache.store, span, told, &decision(cache.decision));
    if cache.decision != Decision::NoPurge {
        page.line("key", &cache.url);
    }
    if cache.decision == Decision::Look {
        for part in &cache.parts {
            page.line("", &format!("and {}", words(part)));
        }
        page.line("", "and what `Vary` of the response names");
        let mut label = "rules";
        for (name, value) in &cache.rules {
            page.line(std::mem::take(&mut label), &format!("{name}: {value}"));
        }
    }
    if told.standings.is_none() {
        return;
    }
    let mut label = "stored";
    for way in &cache.ways {
        let of =
            if cache.ways.len() > 1 { format!("{}: ", upstream(way, told)) } else { String::new() };
        let kept = way.kept.as_ref().map_or("nothing; the server is asked".to_owned(), kept);
        page.line(std::mem::take(&mut label), &format!("{of}{kept}"));
    }
}

fn upstream<'a>(way: &CacheWay, told: &'a Told<'_>) -> &'a str {
    told.looked.plan.upstreams.get(way.upstream).map_or("", |upstream| &*upstream.name)
}

/// What is done with the request, in words.
fn decision(decision: Decision) -> String {
    let why = match decision {
        Decision::Look => return "answered from the store if that may be".to_owned(),
        Decision::Change => {
            return "sent to the server; if it succeeds, what is stored for the URL goes"
                .to_owned();
        }
        Decision::Purge => return "purges the URL".to_owned(),
        Decision::NoPurge => return "403: this client may not purge".to_owned(),
        Decision::Bypass(why) => why,
    };
    let why = match why {
        "method" => "its method is none that is answered from a store",
        "upgrade" => "it asks for an upgrade",
        "condition" => "it has a condition that only the server can judge",
        "body" => "it has a body",
        "rule" => "a `bypass when` holds",
        other => other,
    };
    format!("passed by: {why}")
}

/// A part of a request that counts, in words.
fn words(part: &Part) -> String {
    let name = String::from_utf8_lossy(&part.name);
    let value = part.value.as_deref().map_or("none".into(), String::from_utf8_lossy);
    format!("{} {name}: {value}", part.kind.word())
}

/// What is stored and what would be done with it, in words.
fn kept(kept: &Kept) -> String {
    let left = span(kept.ttl.unsigned_abs());
    let state =
        if kept.ttl > 0 { format!("fresh for {left}") } else { format!("stale for {left}") };
    let usage = match kept.usage {
        Use::Fresh => "answered at once",
        Use::StaleRefresh => "answered at once, and fetched anew beside",
        Use::StaleAllowed => "answered at once, since the client takes what is stale",
        Use::Validate(_) => "the server is asked whether it still holds",
    };
    let (status, age) = (kept.status, span(kept.age.into()));
    let hits = crate::command::cache::counted(kept.hits.into(), "hit", "hits");
    format!("{status}, {age} old, {state}, {hits}: {usage}")
}

/// The same for programs.
pub(super) fn value(cache: &Cache, told: &Told<'_>) -> Value {
    let (word, why) = match cache.decision {
        Decision::Look => ("look", None),
        Decision::Change => ("change", None),
        Decision::Purge => ("purge", None),
        Decision::NoPurge => ("purge-refused", None),
        Decision::Bypass(why) => ("bypass", Some(why)),
    };
    let differs = cache.parts.iter().map(|part| {
        json!({
            "kind": part.kind.word(),
            "name": String::from_utf8_lossy(&part.name),
            "value": part.value.as_deref().map(String::from_utf8_lossy),
        })
    });
    let rules = cache.rules.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let stored = cache.ways.iter().map(|way| {
        json!({
            "upstream": upstream(way, told),
            "stored": way.kept.as_ref().map(stored),
        })
    });
    json!({
        "store": cache.store,
        "decision": word,
        "why": why,
        "key": cache.url,
        "differs": differs.collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
        "ways": told.standings.as_ref().map(|_| stored.collect::<Vec<_>>()),
    })
}

fn stored(kept: &Kept) -> Value {
    let (usage, why) = match kept.usage {
        Use::Fresh => ("fresh", None),
        Use::StaleRefresh => ("stale-refresh", None),
        Use::StaleAllowed => ("stale-allowed", None),
        Use::Validate(why) => ("validate", Some(why.word())),
    };
    json!({
        "status": kept.status,
        "age": kept.age,
        "ttl": kept.ttl,
        "hits": kept.hits,
        "use": usage,
        "why": why,
    })
}
