//! What people are shown, and limits that change.

use std::time::Duration;

use doorman_cache::NotStored;
use doorman_store::{Led, TAG_LEN_MAX, TAGS_MAX};

use crate::kit::{Answer, Client, at, store};

#[test]
fn an_object_is_described() {
    let store = store(1 << 20);
    let fields = [("Accept-Encoding", "br, gzip"), ("Cookie", "a=b")];
    let client = Client::of(&store, "http://a.example/x?y", &fields);
    let answer =
        Answer { vary: "Accept-Encoding, X-Other", tags: vec!["one", "two"], ..Answer::of("body") };
    client.store(&store, &answer);
    let other = Client::of(&store, "http://a.example/x?y", &[]);
    other.store(&store, &answer);
    client.look(&store).is_hit();
    let shown = store.show(&client.key, at(10));
    assert_eq!(shown.len(), 2);
    let shown = &shown[1];
    assert_eq!(shown.url, "http://a.example/x?y");
    assert_eq!((shown.status, shown.age, shown.ttl), (200, 10, 50));
    assert_eq!((shown.length, shown.hits, shown.is_purged), (Some(4), 1, false));
    let told = doorman_cache::tell(&shown.selector, None);
    let values: Vec<_> =
        told.parts.iter().map(|part| (&*part.name, part.value.as_deref())).collect();
    let expect = [(&b"accept-encoding"[..], Some(&b"br, gzip"[..])), (b"x-other", None)];
    assert_eq!((told.place, values.as_slice()), (1, &expect[..]));
    assert_eq!(shown.meta.ttl(at(10)), shown.ttl);
    assert_eq!(shown.tags, ["one", "two"]);
}

trait IsHit {
    fn is_hit(&self);
}

impl IsHit for doorman_store::Found {
    fn is_hit(&self) {
        assert!(matches!(self, Self::Hit(_)));
    }
}

#[test]
fn objects_are_listed_in_order() {
    let store = store(4 << 20);
    for n in (0..300).rev() {
        Client::of(&store, &format!("http://a.example/{n:03}"), &[])
            .store(&store, &Answer::of("x"));
    }
    Client::of(&store, "http://b.example/", &[]).store(&store, &Answer::of("x"));
    let prefix = doorman_cache::prefix("http://a.example/1").unwrap();
    let urls: Vec<_> = store.list(&prefix, 7, at(0)).into_iter().map(|one| one.url).collect();
    let expect: Vec<_> = (100..107).map(|n| format!("http://a.example/{n}")).collect();
    assert_eq!(urls, expect);
    assert_eq!(store.list(&prefix, 1_000, at(0)).len(), 100);
    assert_eq!(store.list(b"", 1_000, at(0)).len(), 301);
}

#[test]
fn refusals_are_remembered_the_latest_first() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    client.lead(&store).refuse(NotStored::SetCookie, Duration::ZERO, at(1));
    client.lead(&store).refuse(NotStored::Private, Duration::ZERO, at(2));
    let why: Vec<_> = store.why(&client.key, 9).into_iter().map(|one| (one.why, one.at)).collect();
    assert_eq!(why, [(NotStored::Private, at(2)), (NotStored::SetCookie, at(1))]);
    assert_eq!(store.why(&client.key, 1).len(), 1);
    let other = Client::of(&store, "http://a.example/other", &[]);
    assert!(store.why(&other.key, 9).is_empty());
    for _ in 0..4_096 {
        store.refuse(&other.key, NotStored::Method, at(3));
    }
    assert!(store.why(&client.key, 9).is_empty(), "the ring is bounded");
    assert_eq!(store.last_refusals(10_000).len(), 4_096);
    assert_eq!(store.last_refusals(1)[0].url, "http://a.example/other");
    assert_eq!(store.stats().counts.refused[NotStored::Method.index()], 4_096);
}

#[test]
fn figures_add_up() {
    let store = store(1 << 20);
    let client = |n: usize| Client::of(&store, &format!("http://a.example/{n}"), &[]);
    client(0).store(&store, &Answer::of("x"));
    drop(client(1).fill(&store, &Answer::default()));
    let lead = client(2).lead(&store);
    let Led::Wait(wait) = client(2).led(&store) else { panic!() };
    client(3).lead(&store).refuse(NotStored::NoStore, Duration::from_secs(1), at(0));
    let stats = store.stats();
    assert_eq!((stats.objects, stats.fetches, stats.markers), (1, 1, 1));
    let counts = &stats.counts;
    assert_eq!((counts.stored, counts.aborted, counts.leads, counts.waits), (1, 1, 4, 1));
    assert!(stats.bytes > 200 && stats.bytes < 600, "{}", stats.bytes);
    drop((lead, wait));
    assert_eq!(store.stats().fetches, 0);
}

#[test]
fn smaller_limits_evict_at_once() {
    let store = store(1 << 20);
    for n in 0..500 {
        let client = Client::of(&store, &format!("http://a.example/{n}"), &[]);
        client.store(&store, &Answer::of(vec![0; 1_000]));
    }
    assert_eq!(store.stats().objects, 500);
    store.set_limits(100_000, 500);
    let stats = store.stats();
    assert!(stats.bytes <= 100_000 && stats.objects > 50, "{stats:?}");
    assert_eq!(stats.counts.evicted + stats.objects, 500);
    let client = Client::of(&store, "http://a.example/large", &[]);
    assert!(Answer::default().fill(&client, client.lead(&store), Some(501)).is_err());
}

/// Bodies that come count, too: memory is never exceeded by them.
#[test]
fn bodies_that_come_make_room_or_are_not_stored() {
    let store = store(1 << 20);
    for n in 0..900 {
        let client = Client::of(&store, &format!("http://a.example/{n}"), &[]);
        client.store(&store, &Answer::of(vec![0; 1_000]));
    }
    let client = |n: usize| Client::of(&store, &format!("http://b.example/{n}"), &[]);
    let mut fillings: Vec<_> = (0..4).map(|n| client(n).fill(&store, &Answer::default())).collect();
    for _ in 0..10 {
        for filling in &mut fillings {
            filling.push(&[1; 50_000]);
            assert!(store.used() <= 1 << 20);
        }
    }
    let stored = fillings.into_iter().filter_map(|filling| filling.finish().ok()).count();
    // Four times 500 kB do not fit into 1 MiB.
    assert_eq!(stored, 2);
    assert!(store.used() <= 1 << 20);
}

#[test]
fn tags_are_bounded() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let long: &'static str = "x".repeat(TAG_LEN_MAX + 1).leak();
    let mut tags = vec![long, ""];
    tags.extend((0..100).map(|n| -> &'static str { format!("t{n}").leak() }));
    client.store(&store, &Answer { tags, ..Answer::of("x") });
    let shown = store.show(&client.key, at(0));
    assert_eq!(shown[0].tags.len(), TAGS_MAX);
    assert_eq!(shown[0].tags[0], "t0");
}

#[test]
fn misses_are_counted() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    assert_eq!([1, 2, 3].map(|_| store.seen(&client.key)), [1, 2, 3]);
}
