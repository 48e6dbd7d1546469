//! Who is kept out for some time.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{FRONTS, House, said};

/// Waits until the client is kept out: a sign counts when its exchange is over, which may be a moment after its client
/// has the answer.
#[track_caller]
pub(crate) fn await_ban(house: &House) {
    let end = Instant::now() + Duration::from_secs(10);
    while house.get("/", &[]).status != 403 {
        assert!(Instant::now() < end, "nobody is kept out");
        thread::yield_now();
    }
}

#[test]
fn who_looks_for_what_is_not_there_is_kept_out_of_every_wire() {
    let house =
        House::before("policy all { ban 3 within 1m for 1h on not-found }\n---\nuse all", |seen| {
            if seen.target() == "/" {
                said("", "fine")
            } else {
                doorman_testkit::origin::reply("404 Not Found", "", b"no")
            }
        });
    assert_eq!(house.get("/", &[]).status, 200);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(house.get(path, &[]).status, 404);
    }
    await_ban(&house);
    let asked = house.asked();
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[], b"");
        assert_eq!(got.status, 403, "{front:?}");
        let wait: u64 = got.field("retry-after").expect("a time").parse().expect("seconds");
        assert!((3_500..=3_600).contains(&wait), "{wait}");
    }
    assert_eq!(house.asked(), asked);
    // A reload lifts no ban.
    house.reload(" is in force");
    assert_eq!(house.get("/", &[]).status, 403);
}

#[test]
fn what_rules_refuse_is_a_sign_too() {
    let site = "waf starter mode block rules own.conf\nban 2 within 1m for 1h on waf-block";
    let house = House::with(site);
    let attack = || house.get("/", &[("x-probe", "attack")]).status;
    assert_eq!([attack(), attack()], [403, 403]);
    await_ban(&house);
    assert!(house.get("/", &[]).field("retry-after").is_some());
}

#[test]
fn what_is_no_request_is_a_sign_too() {
    let house = House::with("ban 2 within 1m for 1h on malformed");
    for _ in 0..2 {
        let mut raw = house.connect();
        raw.send("GET / HTTP/1.1\r\nHost : bad\r\n\r\n").expect("a house that is open");
        let got = raw.response_to(doorman_testkit::reply::Asked::Other).expect("an answer");
        assert_eq!(got.status, 400);
    }
    await_ban(&house);
}

#[test]
fn who_looks_where_no_route_leads_is_kept_out_too() {
    let site =
        "ban 3 within 1m for 1h on not-found\nroute / { proxy web }\nroute /shop/* { proxy web }";
    let house = House::with(site);
    assert_eq!(house.get("/", &[]).status, 200);
    for path in ["/wp-admin", "/phpmyadmin", "/.env"] {
        assert_eq!(house.get(path, &[]).status, 404);
    }
    await_ban(&house);
}
