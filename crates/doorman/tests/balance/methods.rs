//! Each method over real sockets: who answers.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::rig::{Farm, House};

fn share(shares: &[(String, usize)], name: &str) -> usize {
    shares.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
}

/// Every method spreads requests that come one after another over equal servers, but those that go by
/// a key or by time.
#[test]
fn every_method_asks_every_server() {
    for method in [
        "round-robin",
        "least-requests",
        "least-connections",
        "least-bytes",
        "least-time",
        "random",
        "p2c",
        "peak-ewma",
        "hash \"{path}\"",
        "maglev \"{path}\"",
    ] {
        let farm = Farm::of(&["a", "b", "c"]);
        let house = House::before(&farm, &format!("balance {method}"));
        let seen: BTreeSet<_> = (0..60).map(|n| house.get(&format!("/{n}")).server).collect();
        assert_eq!(seen.len(), 3, "{method}: {seen:?}");
    }
}

#[test]
fn weights_are_kept() {
    let farm = Farm::of(&["a", "b", "c"]);
    let servers = farm.servers(|name| match name {
        "a" => "weight 5".to_owned(),
        "b" => "weight 1".to_owned(),
        _ => "weight 0".to_owned(),
    });
    let house =
        House::with("workers 1", &format!("upstream o {{ {servers} }} @SITE {{ proxy o }}"));
    let shares = house.shares(60);
    assert_eq!((share(&shares, "a"), share(&shares, "b"), share(&shares, "c")), (50, 10, 0));
}

#[test]
fn a_weight_of_nothing_everywhere_is_503() {
    let farm = Farm::of(&["a", "b"]);
    let servers = farm.servers(|_| "weight 0".to_owned());
    let house = House::with("", &format!("upstream o {{ {servers} }} @SITE {{ proxy o }}"));
    let reply = house.get("/");
    assert_eq!(reply.status, 503, "{reply:?}");
    let id = reply.field("x-request-id").expect("an id");
    assert!(house.process.wait_for_words(id).contains("no-server"));
    assert_eq!((farm["a"].asked(), farm["b"].asked()), (0, 0));
}

/// Requests that hang hold their server's place, so the others go elsewhere.
#[test]
fn who_works_on_less_is_asked() {
    for method in ["least-requests", "p2c", "least-connections"] {
        let farm = Farm::of(&["a", "b"]);
        let house = House::before(&farm, &format!("balance {method}; pool {{ idle 0 }}"));
        farm["a"].stop();
        let mut held = Vec::new();
        while farm["a"].asked() == 0 {
            let before = farm["b"].asked();
            held.push(house.begin("/"));
            house.until_true("somebody is asked", || {
                farm["a"].asked() > 0 || farm["b"].asked() > before
            });
        }
        // Of two servers, dice name both.
        for _ in 0..20 {
            assert_eq!(house.get("/").server, "b", "{method}");
        }
        farm["a"].go_on();
        assert!(held.into_iter().all(|asked| asked.reply().status == 200));
    }
}

#[test]
fn who_is_slow_is_asked_less() {
    for method in ["least-time", "peak-ewma"] {
        let farm = Farm::of(&["a", "b", "c"]);
        farm["a"].slow_down(Duration::from_millis(200));
        let house = House::before(&farm, &format!("balance {method}"));
        let shares = house.shares(60);
        assert!(share(&shares, "a") <= 5, "{method}: {shares:?}");
    }
}

#[test]
fn a_key_always_goes_to_one_server() {
    for method in ["hash", "maglev"] {
        let farm = Farm::of(&["a", "b", "c", "d"]);
        let house = House::before(&farm, &format!("balance {method} \"{{header.x-user}}\""));
        let ask = |user: usize| house.get_with("/", &format!("X-User: user-{user}\r\n")).server;
        let first: Vec<_> = (0..40).map(ask).collect();
        let second: Vec<_> = (0..40).map(ask).collect();
        assert_eq!(first, second, "{method}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4, "{method}");
        // Only the keys of one that dies move, and they come back.
        farm["b"].kill();
        let during: Vec<_> = (0..40).map(ask).collect();
        for (before, during) in first.iter().zip(&during) {
            assert!(during != "b" && (before == during || before == "b"), "{method}");
        }
        farm["b"].revive();
        let of_b = first.iter().position(|server| server == "b").expect("a user of b");
        house.until_true("the keys are back", || ask(of_b) == "b");
        assert_eq!((0..40).map(ask).collect::<Vec<_>>(), first, "{method}");
    }
}

#[test]
fn a_client_always_goes_to_one_server() {
    let farm = Farm::of(&["a", "b", "c"]);
    let house = House::before(&farm, "balance client-ip");
    assert_eq!(house.shares(20).len(), 1);
}

/// Bounds are over all cores: nobody gets more than it may, and who finds no place is told.
#[test]
fn bounds_are_kept() {
    let farm = Farm::of(&["a", "b"]);
    let servers = farm.servers(|_| "max-requests 2; max-connections 3".to_owned());
    let house =
        House::with("workers 2", &format!("upstream o {{ {servers} }} @SITE {{ proxy o }}"));
    farm["a"].stop();
    farm["b"].stop();
    let held: Vec<_> = (0..4).map(|_| house.begin("/")).collect();
    farm["a"].wait_asked(2);
    farm["b"].wait_asked(2);
    assert_eq!(house.get("/").status, 503);
    assert_eq!(farm["a"].asked() + farm["b"].asked(), 4);
    farm["a"].go_on();
    farm["b"].go_on();
    assert!(held.into_iter().all(|asked| asked.reply().status == 200));
    house.until("there is a place", |reply| reply.status == 200);
}

#[test]
fn who_fails_gets_less() {
    let farm = Farm::of(&["a", "b", "c", "d"]);
    farm["d"].answer(500);
    let house = House::before(&farm, "balance random mitigate");
    let begun = std::time::Instant::now();
    // Servers are compared every five seconds, and the first comparison begins with the first request.
    while begun.elapsed() < Duration::from_secs(6) {
        house.get("/");
    }
    let before = farm["d"].asked();
    for _ in 0..400 {
        house.get("/");
    }
    let after = farm["d"].asked() - before;
    assert!(after < 50, "{after} of 400 went to the one that fails");
}
