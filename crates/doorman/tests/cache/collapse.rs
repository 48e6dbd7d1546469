//! Many clients and one fetch (RXU): how often the origin is asked, and that no client waits for another
//! client's fate.

use std::time::Instant;

use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Script, Step};
use doorman_testkit::raw::{PATIENCE, Raw};
use doorman_testkit::sums::Pattern;
use http::Request;

use crate::rig::{Ask, Begun, FRONTS, Front, House, Setup, fresh, said, tls};

fn same(asks: usize, target: &str) -> Vec<Ask> {
    vec![Ask::get(target); asks]
}

/// The head of a response with so much content.
fn head(length: u64) -> String {
    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn rxu_01_two_hundred_clients_are_one_fetch() {
    let house = House::fronted("lock 30s", |n, _| {
        Script::new().hold().send(format!("{}page {n}", head(6)))
    });
    let begun = house.at_once(&same(200, "/a"));
    house.wait_for_line(199);
    house.origin().release();
    for begun in begun {
        begun.got().is("page 0");
    }
    house.get("/a").is("page 0");
    assert_eq!(house.asked("/a"), 1);
    // Over every other front they are one fetch, too: one for HTTP, and one for HTTPS.
    for front in [Front::H1, Front::H2, Front::H3] {
        house.ask(front, &Ask::get("/a")).is("page 1");
    }
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn rxu_02_a_fetch_that_hangs_holds_nobody_for_ever() {
    let house = House::caching("lock 300ms", |n, _| {
        let script = Script::new();
        let script = if n == 0 { script.hold() } else { script };
        script.send(format!("{}page {n}", head(6)))
    });
    let leader = house.begin(&Ask::get("/a"));
    house.origin().wait_for_requests(1);
    let begun_at = Instant::now();
    for begun in house.at_once(&same(50, "/a")) {
        let got = begun.got();
        assert!(got.status == 200 && got.text() != "page 0", "{got:?}");
    }
    // Together, not one behind another: that would be 50 times 300 ms.
    assert!(begun_at.elapsed().as_secs() < 10, "{:?}", begun_at.elapsed());
    assert!(house.asked("/a") <= 51);
    house.origin().release();
    leader.got().is("page 0");
}

#[test]
fn rxu_02_a_fetch_that_dies_is_done_again() {
    let house = House::start(
        &Setup { cache: "lock 30s", upstream: "retry off", ..Setup::default() },
        |n, seen| match (n, seen.target()) {
            (0, "/reset") => Script::new().hold().reset(),
            (0, "/close") => Script::new().hold().close(),
            (0, "/503") => {
                Script::new().hold().send("HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\n\r\n")
            }
            _ => fresh("", "good"),
        },
    );
    for (target, lines) in [("/reset", 0), ("/close", 1), ("/503", 2)] {
        house.origin().hold_again();
        let leader = house.begin(&Ask::get(target));
        house.until("the fetch", || house.asked(target) == 1);
        let waiting = 20 * (lines + 1);
        let others = house.at_once(&same(20, target));
        house.wait_for_line(waiting);
        house.origin().release();
        let bad = leader.got().status;
        assert!(matches!(bad, 200 | 502 | 503), "{target}: {bad}");
        // Those who waited try for themselves.
        let good = others.into_iter().map(Begun::got).filter(|got| got.status == 200);
        assert_eq!(good.count(), 20, "{target}");
        house.get(target).is("good");
    }
}

#[test]
fn rxu_02_one_that_leaves_takes_nobody_along() {
    let house = House::caching("lock 30s", |n, _| {
        Script::new().hold().send(format!("{}page {n}", head(6)))
    });
    let leader = house.begin(&Ask::get("/a"));
    house.origin().wait_for_requests(1);
    let others = house.at_once(&same(20, "/a"));
    house.wait_for_line(20);
    leader.raw.reset();
    house.origin().release();
    for other in others {
        let got = other.got();
        assert!(got.status == 200 && got.text().starts_with("page "), "{got:?}");
    }
    assert!(house.asked("/a") <= 2);
}

#[test]
fn rxu_02_where_something_stale_is_there_nobody_waits() {
    let house = House::caching("stale 1h", |n, _| {
        let age = if n == 0 { "Age: 60\r\n" } else { "" };
        let script = Script::new();
        let script = if n == 0 { script } else { script.hold() };
        let head =
            format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"{n}\"\r\n{age}");
        script.send(format!("{head}Content-Length: 1\r\n\r\n{n}"))
    });
    house.get("/a").is("0");
    for begun in house.at_once(&same(100, "/a")) {
        begun.got().is("0");
    }
    house.until("a refresh", || house.asked("/a") == 2);
    house.origin().release();
    house.until("the new page", || house.get("/a").text() == "1");
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn rxu_03_what_expires_at_once_is_refreshed_once_each() {
    let house = House::caching("stale 1h", |n, seen| {
        let age = if n == 0 { "Age: 60\r\n" } else { "" };
        let body = format!("{} {n}", seen.target());
        said(&format!("Cache-Control: max-age=60\r\nETag: \"{n}\"\r\n{age}"), body)
    });
    let targets: Vec<String> = (0..200).map(|n| format!("/{n}")).collect();
    let asks: Vec<_> = targets.iter().map(|target| Ask::get(target)).collect();
    house.in_turn(&asks);
    for _ in 0..3 {
        for (target, got) in targets.iter().zip(house.in_turn(&asks)) {
            assert!(got.text() == format!("{target} 0") || got.text() == format!("{target} 1"));
        }
    }
    house.until("all refreshes", || house.origin().requests().len() >= 400);
    house.in_turn(&asks);
    assert!(targets.iter().all(|target| house.asked(target) == 2));
}

#[test]
fn without_a_lock_each_asks_for_itself() {
    let house = House::caching("lock off", |n, _| {
        Script::new().hold().send(format!("{}page {n}", head(6)))
    });
    let begun = house.at_once(&same(10, "/a"));
    house.origin().wait_for_requests(10);
    house.origin().release();
    assert!(begun.into_iter().all(|begun| begun.got().status == 200));
}

/// Two parts with a gate between them.
fn gated(length: u64) -> Script {
    let half = length / 2;
    let body = Pattern { seed: 5 }.bytes(usize::try_from(length).expect("small"));
    let (first, second) = body.split_at(usize::try_from(half).expect("small"));
    Script::new().send(head(length)).send(first).hold().send(second)
}

#[test]
fn what_has_come_is_given_out_while_the_rest_is_coming() {
    let house = House::fronted("", |_, _| gated(100_000));
    let expected = Pattern { seed: 5 }.bytes(100_000);
    let uri = format!("https://localhost:{}/a", house.secure.port());
    for plain in [true, false] {
        house.origin().hold_again();
        let before = house.asked("/a");
        let connect = || {
            if plain {
                house.connect()
            } else {
                Raw::connect_tls(house.secure, &tls()).expect("TLS")
            }
        };
        let port = if plain { house.plain.port() } else { house.secure.port() };
        let ask = format!("GET /a HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        // All of them read the first half before the origin has sent the second.
        let mut readers: Vec<Raw> = (0..3).map(|_| connect()).collect();
        for reader in &mut readers {
            reader.send(&ask).expect("an open connection");
            reader.take_until(b"\r\n\r\n").expect("a head");
            assert!(reader.take_exactly(50_000).expect("a half") == expected[..50_000]);
        }
        let mut h3 = H3::connect(house.secure, &tls()).expect("a handshake");
        let mut begun = (!plain).then(|| h3.open(Request::get(&uri).body(()).expect("a request")));
        if let Some(Ok(begun)) = &mut begun {
            h3.finish(begun).expect("a request");
            assert_eq!(h3.status(begun).expect("a head"), 200);
            assert!(h3.piece(begun).expect("content").is_some_and(|piece| !piece.is_empty()));
        }
        house.origin().release();
        for reader in &mut readers {
            assert!(reader.take_exactly(50_000).expect("the rest") == expected[50_000..]);
        }
        if let Some(Ok(begun)) = begun {
            h3.rest(begun).expect("its end");
        }
        assert_eq!(house.asked("/a"), before + 1, "plain: {plain}");
    }
}

#[test]
fn one_that_does_not_read_slows_nobody_down() {
    const LENGTH: u64 = 12 << 20;
    let setup = Setup { store: "memory 256MiB", ..Setup::default() };
    let house = House::start(&setup, |_, _| {
        Script::new().send(head(LENGTH)).then(Step::SendPattern(Pattern { seed: 9 }, LENGTH))
    });
    // It leads, and reads nothing but the head.
    let mut slow = house.begin(&Ask::get("/a"));
    let _ = slow.wait("\r\n\r\n");
    for _ in 0..2 {
        let got = house.get("/a");
        assert!(got.whole && got.body.len() as u64 == LENGTH);
        assert_eq!(Pattern { seed: 9 }.differs(0, &got.body), None);
    }
    // And the slow one gets it all, if it wants to.
    let length = usize::try_from(LENGTH).expect("small");
    let rest = slow.raw.take_exactly(length).expect("the rest");
    assert_eq!(Pattern { seed: 9 }.differs(0, &rest), None);
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn what_is_larger_than_the_store_takes_is_passed_on_and_not_kept() {
    const LENGTH: u64 = 3 << 20;
    for counted in [true, false] {
        let house = House::fronted("max-object 1MiB", move |_, _| {
            let pattern = Step::SendPattern(Pattern { seed: 7 }, LENGTH);
            let start = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
            if counted {
                Script::new().send(head(LENGTH)).then(pattern)
            } else {
                // Nobody knows beforehand that it is too large.
                let chunk = format!("Transfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n");
                Script::new().send(format!("{start}{chunk}")).then(pattern).send("\r\n0\r\n\r\n")
            }
        });
        for front in FRONTS {
            let target = format!("/{front:?}");
            for n in 1..=2 {
                let got = house.ask(front, &Ask::get(&target));
                assert!(got.whole && got.body.len() as u64 == LENGTH, "{front:?}");
                assert_eq!(Pattern { seed: 7 }.differs(0, &got.body), None);
                assert_eq!(house.asked(&target), n, "{front:?}");
            }
        }
        // Clients that come together get it whole, too.
        let begun = house.at_once(&same(5, "/together"));
        for got in begun.into_iter().map(Begun::got) {
            assert!(got.whole && got.body.len() as u64 == LENGTH);
            assert_eq!(Pattern { seed: 7 }.differs(0, &got.body), None);
        }
        house.until("nothing is kept", || house.objects("memory") == 0);
    }
}

#[test]
fn many_at_once_over_every_front_get_what_they_asked_for() {
    let house = House::fronted("", |_, seen| fresh("", seen.target().repeat(50)));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (n, front) in [FRONTS, FRONTS].concat().into_iter().enumerate() {
            let house = &house;
            scope.spawn(move || {
                for at in 0..40 {
                    let target = format!("/{}", (at * (n + 1)) % 10);
                    house.ask(front, &Ask::get(&target)).is(&target.repeat(50));
                }
            });
        }
    });
    assert!(begun.elapsed() < PATIENCE);
    // Ten pages by HTTP and ten by HTTPS.
    assert!(house.origin().requests().len() <= 20, "{}", house.origin().requests().len());
    assert_eq!(house.ask(Front::H3, &Ask::get("/1")).status, 200);
}
