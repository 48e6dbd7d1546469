//! How often and how many at once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use doorman_testkit::reply::Asked;

use crate::rig::{FRONTS, Front, House, said};

#[test]
fn a_limit_counts_over_all_wires_and_its_refusals_reach_no_origin() {
    let house = House::with("policy all { limit 4/h burst 4 }\n---\nuse all");
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[], b"");
        assert_eq!(got.status, 200, "{front:?}");
        assert_eq!(got.field("ratelimit-policy"), Some("\"4/h client-ip\";q=4;w=3600"));
    }
    for front in FRONTS {
        let got = house.ask(front, "GET", "/over", &[], b"");
        assert_eq!(got.status, 429, "{front:?}");
        assert_eq!(got.field("ratelimit"), Some("\"4/h client-ip\";r=0;t=900"), "{front:?}");
        let wait: u64 = got.field("retry-after").expect("a time").parse().expect("seconds");
        assert!((890..=900).contains(&wait), "{wait}");
    }
    assert_eq!(house.asked(), 4);
    let line = house.line("/over");
    assert!(line.contains("\"end\":\"limited\"") && line.contains("4/h client-ip"), "{line}");
}

#[test]
fn keys_have_their_own_levels_and_all_limits_must_let_pass() {
    let house = House::with(
        "limit 2/h burst 2 per header X-Key name each\nlimit 3/h burst 3 per all name together",
    );
    let ask = |key| house.get("/", &[("x-key", key)]);
    assert_eq!([ask("a").status, ask("a").status], [200, 200]);
    let over = ask("a");
    assert_eq!(over.status, 429);
    // The second limit was not charged for what the first refused.
    let last = ask("b");
    assert_eq!(last.status, 200);
    assert_eq!(
        last.field("ratelimit-policy"),
        Some("\"each\";q=2;w=3600, \"together\";q=3;w=3600")
    );
    let got = ask("c");
    assert_eq!(got.status, 429);
    assert!(house.line("/").contains("end"));
    assert_eq!(house.asked(), 3);
}

#[test]
fn a_shadow_refuses_nobody_and_says_nothing() {
    let house = House::with("limit 1/h burst 1 shadow");
    for _ in 0..3 {
        let got = house.get("/", &[]);
        assert_eq!((got.status, got.field("ratelimit")), (200, None));
    }
}

#[test]
fn levels_outlive_a_reload_and_routes_without_a_limit_have_none() {
    let site =
        "route /api { limit 2/h burst 2 per client-ip name api; proxy web }\nroute * { proxy web }";
    let house = House::with(site);
    assert_eq!(house.get("/api", &[]).status, 200);
    house.configure(&site.replace("2/h burst 2", "3/h burst 3"));
    house.reload(" is in force");
    assert_eq!(house.get("/api", &[]).status, 200);
    assert_eq!(house.get("/other", &[]).field("ratelimit"), None);
    house.configure(site);
    house.reload(" is in force");
    assert_eq!(house.get("/api", &[]).status, 429);
}

#[test]
fn connections_of_a_client_are_counted_until_they_close() {
    let house = House::with("connections 1 per client-ip");
    let ask = |raw: &mut doorman_testkit::raw::Raw| {
        raw.send(house.head("GET", "/", &[], b"")).expect("a house that is open");
        raw.response_to(Asked::Other).expect("an answer").status
    };
    let mut first = house.connect();
    assert_eq!([ask(&mut first), ask(&mut first)], [200, 200]);
    let mut second = house.connect();
    assert_eq!(ask(&mut second), 429);
    drop(first);
    let end = Instant::now() + Duration::from_secs(10);
    while ask(&mut second) != 200 {
        assert!(Instant::now() < end, "the place of a closed connection is not given back");
        thread::yield_now();
    }
}

/// A house whose origin answers when it is told to, and what tells it.
fn slow(site: &str) -> (House, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let house = House::before(site, move |_| {
        let _ = wait.lock().expect("nobody panics here").recv();
        said("", "at last")
    });
    (house, go)
}

#[test]
fn requests_at_once_are_bounded_and_who_waits_gets_the_next_place() {
    let (house, go) = slow("concurrency 1 queue 1 timeout 20s");
    thread::scope(|scope| {
        let first = scope.spawn(|| house.get("/first", &[]).status);
        while house.asked() < 1 {
            thread::yield_now();
        }
        // One of the next two waits, and the other finds the line full and is told so at once.
        let others: Vec<_> = [Front::Plain, Front::H2]
            .into_iter()
            .map(|front| {
                let house = &house;
                scope.spawn(move || house.ask(front, "GET", "/next", &[], b""))
            })
            .collect();
        while !others.iter().any(|other| other.is_finished()) {
            thread::yield_now();
        }
        assert_eq!(house.asked(), 1);
        for _ in 0..2 {
            go.send(()).expect("an origin that waits");
        }
        assert_eq!(first.join().expect("an answer"), 200);
        let mut got: Vec<_> = others
            .into_iter()
            .map(|other| other.join().expect("an answer"))
            .map(|got| (got.status, got.field("retry-after").is_some()))
            .collect();
        got.sort_unstable();
        assert_eq!(got, [(200, false), (503, true)]);
    });
    assert_eq!(house.asked(), 2);
}

#[test]
fn a_response_goes_no_faster_than_it_may() {
    const LONG: usize = 192 << 10;
    let house = House::before("throttle 128KiB/s after 64KiB", |_| said("", vec![b'x'; LONG]));
    for front in [Front::Plain, Front::H2] {
        let begun = Instant::now();
        let got = house.ask(front, "GET", "/", &[], b"");
        assert_eq!((got.status, got.body.len()), (200, LONG));
        // 64 KiB go at once, and what is left takes a second but for what the pace lets go ahead.
        assert!(begun.elapsed() > Duration::from_millis(600), "{front:?} {:?}", begun.elapsed());
    }
}

#[test]
fn a_limit_by_user_holds_where_nobody_is_asked_who_he_is() {
    let house = House::with("limit 2/h burst 2 per user");
    let ask = || house.get("/", &[]).status;
    assert_eq!([ask(), ask(), ask()], [200, 200, 429]);
}

/// What passes is told from outside: by the answers, and the time between the first request and the last answer.
#[test]
fn all_cores_together_let_pass_what_one_would_and_no_more() {
    const RATE: f64 = 300.0;
    const BURST: f64 = 60.0;
    let house = House::with("limit 300/s burst 60 per all { rate-header off }");
    let head = house.head("GET", "/", &[], b"");
    let begun = Instant::now();
    let ends = begun + Duration::from_secs(3);
    let (passed, refused) = thread::scope(|scope| {
        let hammer = || {
            let mut raw = house.connect();
            let mut counts = (0_u32, 0_u32);
            while Instant::now() < ends {
                raw.send(&head).expect("a house that is open");
                match raw.response().expect("an answer").status {
                    200 => counts.0 += 1,
                    _ => counts.1 += 1,
                }
                raw.forget();
            }
            counts
        };
        // More connections than workers, which the system spreads over them.
        let all: Vec<_> = (0..8).map(|_| scope.spawn(hammer)).collect();
        all.into_iter()
            .map(|one| one.join().expect("a client"))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let most = BURST + RATE * begun.elapsed().as_secs_f64();
    let least = BURST + RATE * 3.0;
    let passed = f64::from(passed);
    assert!(refused > 100, "{refused} were refused: the limit was not reached");
    assert!(passed <= most * 1.01, "{passed} passed of {most}");
    // A client that waits for the processor asks for less than there is.
    assert!(passed >= least * 0.9, "{passed} passed of {least}");
}
