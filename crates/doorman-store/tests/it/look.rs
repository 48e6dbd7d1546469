//! What is found for whom.

use doorman_cache::evict::Method;
use doorman_store::{Found, SMALL_MAX, VARIANTS_MAX};

use crate::kit::{Answer, Client, range, seed, store, store_with, whole};

#[test]
fn what_is_stored_is_found_with_its_head_and_body() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/x?y", &[]);
    assert!(matches!(client.look(&store), Found::Miss));
    client.store(&store, &Answer::of("hello"));
    let object = client.hit(&store).unwrap();
    assert_eq!(object.whole().as_deref(), Some(&b"hello"[..]));
    assert_eq!((object.length(), object.is_filling()), (Some(5), false));
    assert_eq!(object.head().status(), 200);
    assert_eq!(object.key(), client.key.bytes());
    for (bounds, expect) in
        [(0..5, "hello"), (1..3, "el"), (4..99, "o"), (5..9, ""), (3..3, ""), (7..u64::MAX, "")]
    {
        assert_eq!(range(&object, bounds.clone()), expect.as_bytes(), "{bounds:?}");
    }
    assert!(Client::of(&store, "http://a.example/x", &[]).hit(&store).is_none());
    assert!(Client::of(&store, "http://b.example/x?y", &[]).hit(&store).is_none());
}

#[test]
fn ranges_of_long_bodies_cross_pieces() {
    let store = store(4 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let body: Vec<u8> = (0..600_000u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let mut filling = client.fill(&store, &Answer::default());
    for piece in body.chunks(70_001) {
        filling.push(piece);
    }
    let object = filling.finish().unwrap();
    assert!(body.len() > SMALL_MAX && object.whole().is_none());
    assert_eq!(whole(&object), body);
    for (start, end) in
        [(0, 1), (69_999, 70_005), (140_002, 140_003), (1, 599_999), (599_999, usize::MAX)]
    {
        let expect = &body[start..end.min(body.len())];
        assert_eq!(range(&object, start as u64..end as u64), expect, "{start}..{end}");
    }
}

/// CPO-10: with a hash that says nothing, all keys share one bucket of one shard.
#[test]
fn cpo_10_keys_that_share_a_hash_are_told_apart() {
    let store = store_with(1 << 20, 1 << 20, seed().narrowed(0));
    let clients: Vec<_> = (0..50)
        .map(|n| Client::of(&store, &format!("http://a.example/{n}"), &[("Accept-Language", "de")]))
        .collect();
    let langs = Answer { vary: "accept-language", ..Answer::default() };
    for (n, client) in clients.iter().enumerate() {
        assert!(client.hit(&store).is_none());
        client.store(&store, &Answer { body: format!("body {n}").into(), ..langs.clone() });
    }
    for (n, client) in clients.iter().enumerate() {
        assert_eq!(whole(&client.hit(&store).unwrap()), format!("body {n}").into_bytes());
        let url = format!("http://a.example/{n}");
        assert!(Client::of(&store, &url, &[("Accept-Language", "fr")]).hit(&store).is_none());
    }
}

/// CDE-11: however many variants come, nobody gets another's, and the oldest go.
#[test]
fn cde_11_variants_are_bounded_and_never_mixed_up() {
    let store = store(1 << 22);
    let client =
        |n: usize| Client::of(&store, "http://a.example/", &[("Cookie", &format!("user={n}"))]);
    let many = VARIANTS_MAX + 20;
    for n in 0..many {
        let body = format!("for {n}").into_bytes();
        client(n).store(&store, &Answer { vary: "Cookie", body, ..Answer::default() });
    }
    for n in 0..many {
        let found = client(n).hit(&store).map(|object| whole(&object));
        let expect = (n >= 20).then(|| format!("for {n}").into_bytes());
        assert_eq!(found, expect, "{n}");
    }
}

/// The memory limit counts everything, and holds.
#[test]
fn memory_is_bounded_and_used_objects_stay() {
    let store = store(200_000);
    let client = |n: usize| Client::of(&store, &format!("http://a.example/{n}"), &[]);
    client(0).store(&store, &Answer::of(vec![0; 1000]));
    for n in 1..1000 {
        assert!(client(0).hit(&store).is_some(), "evicted after {n}");
        client(n).store(&store, &Answer::of(vec![1; 1000]));
    }
    let here = (0..1000).filter(|&n| client(n).hit(&store).is_some()).count();
    assert!((100..200).contains(&here), "{here}");
}

/// A store by LRU keeps what was asked for last; by S3-FIFO what was never asked for again goes first,
/// however new it is. A store changes from one to the other with all that it holds.
#[test]
fn what_goes_first_is_what_the_method_says() {
    for (first, then) in [(Method::Lru, Method::Lru), (Method::S3Fifo, Method::Lru)] {
        let store = store(64 << 10);
        store.set_evict(first);
        let client = |n: usize| Client::of(&store, &format!("http://a.example/{n}"), &[]);
        let answer = Answer::of(vec![b'x'; 4_096]);
        for n in 0..10 {
            client(n).store(&store, &answer);
        }
        store.set_evict(then);
        assert!((0..10).all(|n| client(n).hit(&store).is_some()), "all of them fit");
        // From here on 0 is the one that was asked for last.
        assert!(client(0).hit(&store).is_some());
        for n in 10..20 {
            client(n).store(&store, &answer);
        }
        assert!(client(0).hit(&store).is_some() && client(1).hit(&store).is_none(), "{first:?}");
    }
}
