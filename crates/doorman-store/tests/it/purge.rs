//! Purges, against what is stored and against what is on its way; validations.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_cache::{PackedHead, prefix, site};
use doorman_http::{FieldId, ResponseHead};
use doorman_store::{How, Led, NotKept, Object, Purge, Store, Waited};

use crate::kit::{Answer, Client, at, meta, seed, store, store_with, whole};

/// One object for each URL, with its number and `all` as tags.
fn filled() -> (Arc<Store>, Vec<Client>) {
    let store = store(8 << 20);
    let urls = [
        "http://a.example/",
        "http://a.example/x",
        "http://a.example/x/1",
        "http://a.example/x/1?q",
        "http://a.example/xy",
        "http://a.example:8080/x",
        "http://b.example/x",
        "http://aa.example/x",
    ];
    let clients: Vec<_> = urls.iter().map(|url| Client::of(&store, url, &[])).collect();
    for (n, client) in clients.iter().enumerate() {
        let own = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"][n];
        client.store(&store, &Answer { tags: vec!["all", own], ..Answer::of("body") });
    }
    (store, clients)
}

#[test]
fn a_purge_takes_what_it_names_and_nothing_else() {
    let below = |url: &str| prefix(url).unwrap();
    let of_site = |host: &str| site(host).unwrap();
    let (x, a, a_8080, none) = (
        below("http://a.example/x"),
        of_site("a.example"),
        of_site("a.example:8080"),
        of_site("c.example"),
    );
    let (_, clients) = filled();
    for (name, what, expect) in [
        ("url", Purge::Url(&clients[2].key), &[2][..]),
        ("prefix", Purge::Below(&x), &[1, 2, 3, 4]),
        ("site", Purge::Below(&a), &[0, 1, 2, 3, 4, 5]),
        ("site with port", Purge::Below(&a_8080), &[5]),
        ("no such site", Purge::Below(&none), &[]),
        ("tag", Purge::Tag(b"t6"), &[6]),
        ("tag of all", Purge::Tag(b"all"), &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("no such tag", Purge::Tag(b"t"), &[]),
        ("all", Purge::All, &[0, 1, 2, 3, 4, 5, 6, 7]),
    ] {
        for how in [How::Hard, How::Soft] {
            let (store, clients) = filled();
            let before = store.used();
            let purged = store.purge(&what, how);
            assert_eq!(purged.objects, expect.len() as u64, "{name}");
            for (n, client) in clients.iter().enumerate() {
                let is_named = expect.contains(&n);
                let found = client.hit(&store);
                match how {
                    How::Hard => assert_eq!(found.is_none(), is_named, "{name} {n}"),
                    How::Soft => {
                        let object = found.unwrap();
                        assert_eq!(object.is_purged(), is_named, "{name} {n}");
                        assert_eq!(object.meta().is_fresh(at(0)), !is_named, "{name} {n}");
                        assert_eq!(whole(&object), b"body");
                    }
                }
            }
            let is_less = how == How::Hard && !expect.is_empty();
            assert_eq!(store.used() < before, is_less, "{name}");
            // Nothing is left of it in any list.
            assert_eq!(
                store.purge(&what, How::Hard).objects > 0,
                how == How::Soft && !expect.is_empty()
            );
        }
    }
}

#[test]
fn a_purge_of_many_goes_in_steps_and_frees_all() {
    // All of them in one shard: ten steps.
    let store = store_with(64 << 20, 1 << 20, seed().narrowed(64));
    for n in 0..2_500 {
        let client = Client::of(&store, &format!("http://a.example/{n}"), &[]);
        client.store(&store, &Answer { tags: vec!["all"], ..Answer::of("body") });
    }
    let client = Client::of(&store, "http://a.example/7", &[]);
    let one = Arc::downgrade(&client.hit(&store).unwrap());
    assert_eq!(store.purge(&Purge::Tag(b"all"), How::Soft).objects, 2_500);
    assert!(one.upgrade().is_some_and(|one| one.is_purged()));
    assert_eq!(store.purge(&Purge::All, How::Hard).objects, 2_500);
    assert_eq!((store.used(), store.stats().objects), (0, 0));
    assert!(one.upgrade().is_none(), "its memory is still held");
}

type Parted = fn(&Client) -> Purge<'_>;
const WAYS: [(&str, Parted); 4] = [
    ("url", |client| Purge::Url(&client.key)),
    ("prefix", |client| Purge::Below(client.key.bytes())),
    ("tag", |_| Purge::Tag(b"t")),
    ("all", |_| Purge::All),
];

/// A purge wins against a fetch that began before it, whether its head has come or not; and what is
/// asked for after the purge does not join that fetch.
#[test]
fn a_purge_wins_against_fetches_under_way() {
    for (name, what) in WAYS {
        for how in [How::Soft, How::Hard] {
            for head_has_come in [false, true] {
                let case = format!("{name} {how:?} {head_has_come}");
                let store = store(1 << 20);
                let client = Client::of(&store, "http://a.example/", &[]);
                let answer = Answer { tags: vec!["t"], ..Answer::default() };
                let lead = client.lead(&store);
                let mut filling = if head_has_come {
                    let filling = answer.fill(&client, lead, None).unwrap();
                    store.purge(&what(&client), how);
                    filling
                } else {
                    store.purge(&what(&client), how);
                    if name != "tag" {
                        assert!(matches!(client.led(&store), Led::Lead(_)), "{case}");
                    }
                    answer.fill(&client, lead, None).unwrap()
                };
                filling.push(b"old");
                assert_eq!(client.hit(&store).is_some(), how == How::Soft, "{case}");
                let stored = filling.finish();
                match how {
                    How::Soft => assert!(stored.unwrap().is_purged(), "{case}"),
                    How::Hard => assert_eq!(stored.unwrap_err(), NotKept::Purged, "{case}"),
                }
                let found = client.hit(&store);
                assert_eq!(found.is_some_and(|o| o.is_purged()), how == How::Soft, "{case}");
                // A fetch that begins now is not touched by it.
                let _ = store.purge(&Purge::All, How::Hard);
                assert!(!client.store(&store, &answer).is_purged(), "{case}");
            }
        }
    }
}

/// What is purged of a URL are its slices, too, the first that was ever asked for among them.
#[test]
fn a_purge_wins_against_the_first_slice_under_way() {
    let store = store(1 << 20);
    let whole = Client::of(&store, "http://a.example/", &[]);
    let mut slice = Client::of(&store, "http://a.example/", &[]);
    slice.key = whole.key.slice(0, store.seed());
    let lead = slice.lead(&store);
    store.purge(&Purge::Url(&whole.key), How::Hard);
    let filling = Answer::of("old").fill(&slice, lead, None).unwrap();
    assert!(slice.hit(&store).is_none());
    assert_eq!(filling.is_kept(), Err(NotKept::Purged));
}

/// Tags are not known before the head comes, so a fetch that began before a purge may be waited for
/// after it. It answers those who came before alone.
#[test]
fn who_comes_after_a_purge_by_tag_gets_nothing_older() {
    for (purged, is_for_both) in [(&b"t"[..], false), (&b"other"[..], true)] {
        let store = store(1 << 20);
        let client = Client::of(&store, "http://a.example/", &[]);
        let lead = client.lead(&store);
        let Led::Wait(mut before) = client.led(&store) else { panic!("no wait") };
        store.purge(&Purge::Tag(purged), How::Hard);
        let Led::Wait(mut after) = client.led(&store) else { panic!("no wait") };
        let answer = Answer { tags: vec!["t"], ..Answer::of("body") };
        let filling = answer.fill(&client, lead, None).unwrap();
        let cx = Context::from_waker(Waker::noop());
        let first = before.poll(&cx, &client.chooser(), at(0));
        assert!(matches!(first, Poll::Ready(Waited::Object(_))), "{first:?}");
        let second = after.poll(&cx, &client.chooser(), at(0));
        let is_given = matches!(second, Poll::Ready(Waited::Object(_)));
        assert_eq!(is_given, is_for_both, "{second:?}");
        assert!(is_given || matches!(second, Poll::Ready(Waited::Lead(_))), "{second:?}");
        drop(filling);
    }
}

/// A validation that began before the purge must not undo it; one that began after does.
#[test]
fn a_purge_wins_against_validations_under_way() {
    for (name, what) in WAYS {
        for how in [How::Soft, How::Hard] {
            let store = store(1 << 20);
            let client = Client::of(&store, "http://a.example/", &[]);
            let old = client.store(&store, &Answer { tags: vec!["t"], ..Answer::of("body") });
            let lead = validate(&store, &client, &old);
            store.purge(&what(&client), how);
            let fresh = lead.freshen(&old, head("2"), meta());
            assert_eq!(whole(&fresh), b"body");
            let found = client.hit(&store);
            match how {
                How::Hard => assert!(found.is_none(), "{name}"),
                How::Soft => {
                    let found = found.unwrap();
                    assert!(found.is_purged(), "{name}");
                    let lead = validate(&store, &client, &found);
                    lead.freshen(&found, head("3"), meta());
                    assert!(!client.hit(&store).unwrap().is_purged(), "{name}");
                }
            }
        }
    }
}

fn validate(store: &Arc<Store>, client: &Client, old: &Arc<Object>) -> doorman_store::Lead {
    let old = Some(Arc::clone(old));
    match store.lead(&client.key, &client.chooser(), old, Duration::ZERO, at(0)) {
        Led::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

fn head(tag: &str) -> PackedHead {
    let mut head = ResponseHead::new(200);
    head.fields.push(b"ETag", tag.as_bytes());
    PackedHead::pack(&head).unwrap()
}

#[test]
fn validations_share_the_body_and_keep_what_was_counted() {
    let store = store(4 << 20);
    for body in [b"small".to_vec(), vec![7; 100_000]] {
        let client = Client::of(&store, &format!("http://a.example/{}", body.len()), &[]);
        let old = client.store(&store, &Answer::of(body.clone()));
        (0..5).for_each(|_| drop(client.hit(&store)));
        let used = store.used();
        let fresh = validate(&store, &client, &old).freshen(&old, head("new"), meta());
        let found = client.hit(&store).unwrap();
        assert!(Arc::ptr_eq(&fresh, &found));
        assert_eq!(found.head().first(FieldId::Etag), Some(&b"new"[..]));
        assert_eq!((whole(&found), found.hits()), (body.clone(), 6));
        assert_eq!(whole(&old), body, "who reads the old one reads on");
        assert!(store.used() < used + 100);
        let after = store.update_head(&found, head("head"), meta()).unwrap();
        assert_eq!(after.head().first(FieldId::Etag), Some(&b"head"[..]));
        assert!(store.update_head(&found, head("late"), meta()).is_none());
    }
    assert_eq!(store.stats().objects, 2);
    store.purge(&Purge::All, How::Hard);
    assert_eq!(store.used(), 0);
}

/// An origin that dies in the middle of an answer must not take the stale answer away.
#[test]
fn what_was_stale_comes_back_when_its_replacement_is_cut() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    for purge in [None, Some(How::Soft), Some(How::Hard)] {
        store.purge(&Purge::All, How::Hard);
        let old = client.store(&store, &Answer::of("old"));
        let mut filling =
            Answer::default().fill(&client, validate(&store, &client, &old), None).unwrap();
        filling.push(b"ne");
        assert!(client.hit(&store).unwrap().is_filling());
        if let Some(how) = purge {
            store.purge(&Purge::Url(&client.key), how);
        }
        drop(filling);
        let found = client.hit(&store);
        assert_eq!(found.is_none(), purge == Some(How::Hard));
        if let Some(found) = found {
            assert_eq!(whole(&found), b"old");
            assert_eq!(found.is_purged(), purge == Some(How::Soft));
        }
    }
    store.purge(&Purge::All, How::Hard);
    assert_eq!(store.used(), 0);
}

/// What was set aside is out of the index, but a purge by its tag means it all the same.
#[test]
fn what_was_stale_does_not_come_back_if_its_tag_was_purged() {
    for how in [How::Soft, How::Hard] {
        let store = store(1 << 20);
        let client = Client::of(&store, "http://a.example/", &[]);
        let old = client.store(&store, &Answer { tags: vec!["t"], ..Answer::of("old") });
        let lead = validate(&store, &client, &old);
        let filling = Answer::default().fill(&client, lead, None).unwrap();
        assert_eq!(store.purge(&Purge::Tag(b"t"), how).objects, 0);
        drop(filling);
        let found = client.hit(&store);
        assert_eq!(found.map(|found| found.is_purged()), (how == How::Soft).then_some(true));
    }
}

/// More purges by tag than are remembered: a fetch that is older than all of them is taken for
/// purged.
#[test]
fn what_the_log_forgot_counts_as_purged() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let lead = client.lead(&store);
    for n in 0..5_000 {
        store.purge(&Purge::Tag(format!("other {n}").as_bytes()), How::Soft);
    }
    let answer = Answer { tags: vec!["t"], ..Answer::of("x") };
    let filling = answer.fill(&client, lead, None).unwrap();
    assert_eq!(filling.finish().unwrap_err(), NotKept::Purged);
    assert!(!client.store(&store, &answer).is_purged());
}

#[test]
fn one_refresh_at_a_time() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let object = client.store(&store, &Answer::of("x"));
    let refresh = object.refresh().unwrap();
    assert!(client.hit(&store).unwrap().refresh().is_none());
    drop(refresh);
    assert!(object.refresh().is_some());
}
