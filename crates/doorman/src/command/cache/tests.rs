use serde_json::{Value, json};

use super::super::screen::When;
use super::*;

fn screen() -> Screen {
    Screen::new(When::Never)
}

fn store() -> StoreReport {
    serde_json::from_value(json!({
        "name": "web",
        "tiers": [
            { "tier": "memory", "objects": 1, "bytes": 1536, "limit": 1_048_576, "evicted": 0 },
            { "tier": "disk", "objects": 12, "bytes": 5_242_880, "limit": 1_073_741_824_u64, "evicted": 3 },
        ],
        "problem": "no space left, tried again every 30 s",
        "requests": { "hit": 70, "stale": 2, "revalidated": 0, "collapsed": 0, "miss": 28, "refused": 0,
            "bypass": 10, "absent": 0 },
        "hit_ratio": 0.72, "hit_bytes": 1000, "refreshes": 2, "stored": 30, "updated": 1, "cut": 0,
        "purged": 4, "waits": 1, "fetches": 1, "marked": 2,
        "refused": { "set-cookie": 3, "status": 9 },
    }))
    .unwrap()
}

fn stored(change: Value) -> Stored {
    let mut value = json!({
        "store": "web", "tier": "memory", "url": "https://a.test/x", "status": 200, "state": "fresh",
        "age": 10, "ttl": 50, "length": 2048, "bytes": 2300, "hits": 3,
        "made_by": { "site": "a.test", "route": "/*", "upstream": "app" }, "differs": [], "tags": [],
    });
    for (name, new) in change.as_object().unwrap() {
        value[name] = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn stores_in_figures() {
    let expect = "\
web
  memory      1 object, 1.5 KiB of 1.0 MiB
  disk        12 objects, 5.0 MiB of 1.0 GiB; 3 had to go
  problem     no space left, tried again every 30 s
  requests    110: hit 70, stale 2, miss 28, bypass 10; 72.0 % answered from it
  sent        1000 B of content from the store
  stored      30, updated 1, refreshed beside 2, cut 0
  waited      1 request for another one's fetch of the same
  purged      4
  not stored  status 9, set-cookie 3
  now         1 fetch under way, 2 URLs known not to be cacheable
";
    assert_eq!(stats(&[&store()], &screen()), expect);
    assert_eq!(stats(&[], &screen()), "no route uses a store\n");
}

#[test]
fn a_list_has_a_row_for_each_url() {
    let objects = vec![
        stored(json!({})),
        stored(json!({ "age": 5, "state": "stale", "ttl": -7, "hits": 1, "length": null })),
        stored(json!({ "url": "https://a.test/y", "state": "purged", "ttl": -1 })),
        stored(json!({ "store": "assets", "url": "https://a.test/y", "age": 7200 })),
    ];
    let expect = "\
STORE          AGE         FRESH FOR        SIZE      HITS  VARIANTS  URL
web            5 s             stale     4.2 KiB         4         2  https://a.test/x
web           10 s            purged     2.0 KiB         3         1  https://a.test/y
assets   2 h 0 min              50 s     2.0 KiB         3         1  https://a.test/y
there are more: --limit N shows up to N, a prefix narrows it down
";
    assert_eq!(list(&Listed { now: 0, objects, more: true }, &screen()), expect);
    let none = Listed { now: 0, objects: Vec::new(), more: false };
    assert_eq!(list(&none, &screen()), "nothing is stored\n");
}

#[test]
fn variants_in_words() {
    let one = stored(json!({
        "differs": [
            { "kind": "vary", "name": "accept-encoding", "value": "gzip" },
            { "kind": "header", "name": "x-a", "value": null },
            { "kind": "chosen", "name": "", "value": "\u{1b}[2J" },
        ],
        "tags": ["p-1", "p-2"],
        "forms": [
            { "name": "br", "state": "kept", "length": 512 },
            { "name": "gzip", "state": "refused", "length": null },
        ],
    }));
    let two = stored(json!({ "state": "stale", "ttl": -90, "made_by": null, "length": null }));
    let expect = "\
https://a.test/x
  store       web, in memory
  status      200
  age         10 s, fresh for 50 s
  size        2.0 KiB; takes 2.2 KiB
  hits        3
  made by     site a.test, route /*, upstream app
  differs by  accept-encoding (Vary): gzip
              header x-a: none
              chosen: \\u{1b}[2J
  forms       br (512 B), gzip (refused)
  tags        p-1 p-2

https://a.test/x
  store       web, in memory
  status      200
  age         10 s, stale for 1 min 30 s
  size        not known yet; takes 2.2 KiB
  hits        3
  made by     a route that is there no more
";
    assert_eq!(variants(&[one, two], &screen()), expect);
}

#[test]
fn reasons_in_sentences() {
    let refusal = serde_json::from_value(json!({
        "store": "web", "at": 88, "reason": "set-cookie", "text": "Set-Cookie present and no rule allows it.",
    }));
    let known = Known {
        now: 100,
        objects: vec![stored(json!({})), stored(json!({ "age": 90, "state": "coming" }))],
        refusals: vec![refusal.unwrap()],
    };
    let expect = "\
stored in web: 2 variants, the newest is in memory, 10 s old, fresh for 50 s
not stored in web, 12 s ago: Set-Cookie present and no rule allows it.
";
    assert_eq!(why(&known), expect);
    let nothing = Known { now: 100, objects: Vec::new(), refusals: Vec::new() };
    assert!(why(&nothing).starts_with("nothing is known of it"));
}

#[test]
fn sizes_and_parts() {
    for (bytes, expect) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_575, "1023.9 KiB"),
        (1_048_576, "1.0 MiB"),
        (u64::MAX, "16383.9 PiB"),
    ] {
        assert_eq!(size(bytes), expect);
    }
    assert_eq!(percent(0, 0), "0.0 %");
    assert_eq!(percent(2, 3), "66.6 %");
    assert!(limit("0").is_err() && limit("5001").is_err() && limit("x").is_err());
    assert_eq!(limit("5000"), Ok(5000));
}
