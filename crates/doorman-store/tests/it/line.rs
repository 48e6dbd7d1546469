//! One fetch for many.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_cache::NotStored;
use doorman_store::{Found, LINE_MAX, Led, Wait, Waited};

use crate::kit::{Answer, Client, Woken, at, read_on, store, whole};

fn wait(led: Led) -> Wait {
    match led {
        Led::Wait(wait) => wait,
        other => panic!("no wait but {other:?}"),
    }
}

fn poll(wait: &mut Wait, client: &Client, waker: &Waker) -> Poll<Waited> {
    wait.poll(&Context::from_waker(waker), &client.chooser(), at(0))
}

/// RXU-01: ten thousand clients, one fetch.
#[test]
fn rxu_01_a_crowd_makes_one_fetch() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let lead = client.lead(&store);
    let (woken, waker) = Woken::new();
    let mut crowd: Vec<_> = (0..10_000).map(|_| wait(client.led(&store))).collect();
    for wait in &mut crowd {
        assert!(poll(wait, &client, &waker).is_pending());
    }
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    assert_eq!(woken.times(), 10_000);
    let mut readers: Vec<_> = crowd
        .iter_mut()
        .map(|wait| match poll(wait, &client, &waker) {
            Poll::Ready(Waited::Object(object)) => object.read(0..u64::MAX).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    filling.push(b"shared");
    filling.finish().unwrap();
    for reader in &mut readers {
        assert_eq!(read_on(reader, &waker), (b"shared".to_vec(), Some(Ok(()))));
    }
}

/// RXU-02: a leader who dies is followed by the next who is still there, however many have left.
#[test]
fn rxu_02_the_next_in_line_leads() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let lead = client.lead(&store);
    let (woken, waker) = Woken::new();
    let mut crowd: Vec<_> = (0..5).map(|_| wait(client.led(&store))).collect();
    for wait in &mut crowd {
        assert!(poll(wait, &client, &waker).is_pending());
    }
    drop(crowd.remove(0));
    drop(lead);
    assert_eq!(woken.times(), 1);
    // The one who was given the lead leaves without having heard of it.
    drop(crowd.remove(0));
    assert_eq!(woken.times(), 2);
    let Poll::Ready(Waited::Lead(lead)) = poll(&mut crowd[0], &client, &waker) else { panic!() };
    assert!(poll(&mut crowd[1], &client, &waker).is_pending());
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    filling.push(b"late");
    let stored = filling.finish().unwrap();
    for wait in &mut crowd[1..] {
        let Poll::Ready(Waited::Object(object)) = poll(wait, &client, &waker) else { panic!() };
        let mut reader = object.read(0..u64::MAX).unwrap();
        assert_eq!(read_on(&mut reader, &waker), (b"late".to_vec(), Some(Ok(()))));
    }
    assert_eq!(whole(&stored), b"late");
    drop(crowd);
    assert!(client.hit(&store).is_some());
}

#[test]
fn a_lead_that_nobody_waits_for_ends() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    for _ in 0..3 {
        drop(client.lead(&store));
        let lead = client.lead(&store);
        drop(wait(client.led(&store)));
        drop(lead);
    }
    let _lead = client.lead(&store);
}

/// A line holds those who wait, not those who left; and it is bounded.
#[test]
fn a_line_is_bounded_and_who_leaves_is_not_in_it() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let _lead = client.lead(&store);
    for _ in 0..LINE_MAX {
        drop(wait(client.led(&store)));
    }
    let crowd: Vec<_> = (0..LINE_MAX).map(|_| wait(client.led(&store))).collect();
    assert!(matches!(client.led(&store), Led::Alone(_)));
    drop(crowd);
    drop(wait(client.led(&store)));
}

/// RXU-02: who has waited long enough goes on by himself, and may store what he gets.
#[test]
fn rxu_02_patience_ends() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let hung = client.lead(&store);
    let mut wait = wait(client.led(&store));
    let cx = Context::from_waker(Waker::noop());
    assert!(wait.poll(&cx, &client.chooser(), at(4)).is_pending());
    assert_eq!(wait.deadline(), at(5).instant);
    let Poll::Ready(Waited::TimedOut(lead)) = wait.poll(&cx, &client.chooser(), at(5)) else {
        panic!()
    };
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    filling.push(b"mine");
    filling.finish().unwrap();
    // What comes for the first one after all does not take its place.
    assert!(Answer::default().fill(&client, hung, None).is_err());
    assert_eq!(whole(&client.hit(&store).unwrap()), b"mine");
}

/// RXU-02: of many who wait behind a slow fetch one goes for himself each time their patience ends, and
/// what he gets is for all. Nobody waits longer than three times.
#[test]
fn rxu_02_one_at_a_time_overtakes_a_fetch_that_hangs() {
    for answered in [true, false] {
        let store = store(1 << 20);
        let client = Client::of(&store, "http://a.example/", &[]);
        let _hung = client.lead(&store);
        let mut waits: Vec<_> = (0..50).map(|_| wait(client.led(&store))).collect();
        let cx = Context::from_waker(Waker::noop());
        let mut gone = Vec::new();
        let mut at_once = |waits: &mut Vec<Wait>, seconds| {
            let (mut leads, mut objects) = (Vec::new(), 0);
            waits.retain_mut(|wait| match wait.poll(&cx, &client.chooser(), at(seconds)) {
                Poll::Pending => true,
                Poll::Ready(Waited::TimedOut(lead)) => {
                    leads.push(lead);
                    false
                }
                Poll::Ready(Waited::Object(_)) => {
                    objects += 1;
                    false
                }
                Poll::Ready(_) => panic!(),
            });
            let counts = (leads.len(), objects);
            gone.extend(leads.pop());
            drop(leads);
            (counts, gone.pop())
        };
        let ((leads, objects), lead) = at_once(&mut waits, 5);
        assert_eq!((leads, objects, waits.len()), (1, 0, 49));
        assert_eq!(waits[0].deadline(), at(10).instant);
        let lead = lead.unwrap();
        if answered {
            let filling = Answer::default().fill(&client, lead, None).unwrap();
            assert_eq!(at_once(&mut waits, 6).0, (0, 49));
            filling.finish().unwrap();
            continue;
        }
        assert_eq!(at_once(&mut waits, 9).0, (0, 0));
        assert_eq!(at_once(&mut waits, 10).0, (1, 0));
        assert_eq!(at_once(&mut waits, 15).0, (48, 0), "three times is enough");
        lead.fail();
    }
}

/// CDE-14: what is not to be shared is shared with nobody, and nobody waits for the next.
#[test]
fn cde_14_a_refusal_releases_all_at_once() {
    let store = store(1 << 20);
    let clients: Vec<_> = (0..100)
        .map(|n| Client::of(&store, "http://a.example/", &[("Cookie", &format!("user={n}"))]))
        .collect();
    let lead = clients[0].lead(&store);
    let (woken, waker) = Woken::new();
    let mut crowd: Vec<_> = clients[1..].iter().map(|client| wait(client.led(&store))).collect();
    for (wait, client) in crowd.iter_mut().zip(&clients[1..]) {
        assert!(poll(wait, client, &waker).is_pending());
    }
    lead.refuse(NotStored::Private, Duration::from_secs(10), at(0));
    assert_eq!(woken.times(), 99);
    for (wait, client) in crowd.iter_mut().zip(&clients[1..]) {
        assert!(matches!(poll(wait, client, &waker), Poll::Ready(Waited::Uncacheable(_))));
    }
    assert!(matches!(clients[0].look(&store), Found::Uncacheable));
    assert!(matches!(clients[0].led(&store), Led::Alone(_)));
    // It is stored once it may be, and the marker goes.
    let Led::Alone(lead) = clients[0].led(&store) else { panic!() };
    Answer::default().fill(&clients[0], lead, None).unwrap().finish().unwrap();
    assert!(matches!(clients[1].look(&store), Found::Hit(_)));
}

#[test]
fn markers_expire() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    client.lead(&store).refuse(NotStored::Private, Duration::from_secs(10), at(0));
    let look = |now| store.look(&client.key, &client.chooser(), at(now));
    assert!(matches!(look(9), Found::Uncacheable));
    assert!(matches!(look(10), Found::Miss));
}

/// A failure is told to all at once: one after another would wait for the same dead origin.
#[test]
fn rxu_02_a_failure_is_told_to_all() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let lead = client.lead(&store);
    let mut crowd: Vec<_> = (0..9).map(|_| wait(client.led(&store))).collect();
    lead.fail();
    for wait in &mut crowd {
        assert!(matches!(poll(wait, &client, Waker::noop()), Poll::Ready(Waited::Failed)));
    }
    let _lead = client.lead(&store);
}

/// CDE-14: a response that was made for others is not given to those who waited for it; they fetch
/// theirs, one for each kind, side by side.
#[test]
fn cde_14_those_whom_it_was_not_made_for_fetch_their_own() {
    let store = store(1 << 20);
    let client = |user: &str| Client::of(&store, "http://a.example/", &[("Cookie", user)]);
    let (one, other, third) = (client("a"), client("b"), client("c"));
    let lead = one.lead(&store);
    let mut waits: Vec<_> = [&one, &other, &other, &third, &third]
        .map(|client| (wait(client.led(&store)), client))
        .into();
    let answer = Answer { vary: "Cookie", ..Answer::default() };
    let mut filling = answer.fill(&one, lead, None).unwrap();
    filling.push(b"for a");
    filling.finish().unwrap();
    let mut came = Vec::new();
    let mut leads = Vec::new();
    for (wait, client) in &mut waits {
        came.push(match poll(wait, client, Waker::noop()) {
            Poll::Ready(Waited::Object(_)) => "object",
            Poll::Ready(Waited::Lead(lead)) => {
                leads.push((lead, *client));
                "lead"
            }
            Poll::Pending => "wait",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(came, ["object", "lead", "wait", "lead", "wait"]);
    for (lead, client) in leads {
        let mut filling = answer.fill(client, lead, None).unwrap();
        filling.push(b"own");
        filling.finish().unwrap();
    }
    for index in [2, 4] {
        let (wait, client) = &mut waits[index];
        let Poll::Ready(Waited::Object(object)) = poll(wait, client, Waker::noop()) else {
            panic!()
        };
        assert!(client.chooser().matches(object.selector()));
    }
    assert_eq!(whole(&one.hit(&store).unwrap()), b"for a");
}

/// The stored response is not good enough for one, and another refreshed it meanwhile.
#[test]
fn a_lead_is_not_given_for_what_has_come_meanwhile() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let old = client.store(&store, &Answer::of("old"));
    let again = |than| store.lead(&client.key, &client.chooser(), than, Duration::ZERO, at(0));
    assert!(matches!(again(None), Led::Found(_)));
    let Led::Lead(lead) = again(Some(old.clone())) else { panic!() };
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    filling.push(b"new");
    filling.finish().unwrap();
    let Led::Found(found) = again(Some(old)) else { panic!() };
    assert_eq!(whole(&found), b"new");
}
