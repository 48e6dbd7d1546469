//! Clients that come together and want different things of one page: a part, another variant, the head,
//! or a page that changes while they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Script, Seen, reply};
use doorman_testkit::sums::{Dice, Pattern};
use doorman_testkit::websocket::KEY;

use crate::rig::{Ask, Begun, Front, House, Setup, bare, fresh, tls};

/// One that waits for the gate.
fn late(fields: &str, body: &[u8]) -> Script {
    let head = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Script::new().hold().send([head.as_bytes(), body].concat())
}

#[test]
fn streams_of_one_connection_are_one_fetch() {
    let house = House::fronted("lock 30s", |n, _| late("", format!("page {n}").as_bytes()));
    let uri = |target: &str| format!("https://localhost:{}{target}", house.secure.port());
    let request = |target: &str| {
        http::Request::get(uri(target)).body(bytes::Bytes::new()).expect("a request")
    };
    thread::scope(|scope| {
        let h2 = scope.spawn(|| {
            let mut h2 = H2::connect_tls(house.secure, &tls()).expect("a handshake");
            let all = (0..90).map(|_| request("/h2")).collect();
            let replies = h2.requests(all).expect("answers");
            replies.into_iter().map(|reply| reply.expect("an answer").text()).collect::<Vec<_>>()
        });
        let h3 = scope.spawn(|| {
            let mut h3 = H3::connect(house.secure, &tls()).expect("a handshake");
            let all = (0..90).map(|_| (request("/h3"), None)).collect();
            let replies = h3.requests(all).expect("answers");
            replies.into_iter().map(|reply| reply.expect("an answer").text()).collect::<Vec<_>>()
        });
        house.wait_for_line(2 * 89);
        house.origin().release();
        for replies in [h2.join().expect("no panic"), h3.join().expect("no panic")] {
            assert_eq!(replies, vec!["page 0"; 90]);
        }
    });
    assert_eq!((house.asked("/h2"), house.asked("/h3")), (1, 1));
}

#[test]
fn each_gets_the_part_that_it_asked_for() {
    let whole = Pattern { seed: 2 }.bytes(100_000);
    let body = whole.clone();
    let house = House::caching("lock 30s", move |_, _| late("ETag: \"a\"\r\n", &body));
    let range = |n: usize| (n * 1_000, n * 1_000 + 99 + n);
    let asks: Vec<_> = (0..50)
        .map(|n| Ask::get("/a").with("range", &format!("bytes={}-{}", range(n).0, range(n).1)))
        .chain([Ask::get("/a")])
        .collect();
    let begun = house.at_once(&asks);
    house.wait_for_line(50);
    house.origin().release();
    for (n, got) in begun.into_iter().map(Begun::got).enumerate() {
        if n == 50 || got.status == 200 {
            assert!(got.whole && got.body == whole, "{n}");
            continue;
        }
        let (first, last) = range(n);
        assert_eq!((got.status, got.whole), (206, true), "{n}: {:?}", got.fields);
        assert_eq!(got.field("content-range"), Some(&*format!("bytes {first}-{last}/100000")));
        assert!(got.body == whole[first..=last], "{n}");
    }
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn cde_14_each_gets_the_variant_that_is_its_own() {
    let house = House::caching("lock 30s", |_, seen| {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        late("Vary: Accept-Language\r\n", format!("in {language}").as_bytes())
    });
    let languages: Vec<String> = (0..60).map(|n| format!("l{}", n % 6)).collect();
    let ask = |language: &String| Ask::get("/a").with("accept-language", language);
    let asks: Vec<_> = languages.iter().map(ask).collect();
    let begun = house.at_once(&asks);
    house.wait_for_line(59);
    house.origin().release();
    for (language, begun) in languages.iter().zip(begun) {
        begun.got().is(&format!("in {language}"));
    }
    for (language, got) in languages.iter().zip(house.in_turn(&asks)) {
        got.is(&format!("in {language}"));
    }
    assert!(house.asked("/a") <= 60);
    let before = house.asked("/a");
    house.in_turn(&asks);
    assert_eq!(house.asked("/a"), before);
}

#[test]
fn heads_conditions_and_pages_wait_for_what_is_theirs() {
    let house = House::caching("lock 30s", |_, seen| {
        if seen.method() == "HEAD" {
            let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Length: 4\r\n";
            return bare("200 OK", fields);
        }
        late("ETag: \"a\"\r\n", b"page")
    });
    let pages = house.at_once(&vec![Ask::get("/a"); 5]);
    house.origin().wait_for_requests(1);
    let same = house.at_once(&vec![Ask::get("/a").with("if-none-match", "\"a\""); 5]);
    let other = house.at_once(&vec![Ask::get("/a").with("if-none-match", "\"b\""); 5]);
    let head = house.ask(Front::Plain, &Ask::new("HEAD", "/a"));
    assert_eq!((head.status, head.field("content-length")), (200, Some("4")));
    house.origin().release();
    for got in same.into_iter().map(Begun::got) {
        assert_eq!((got.status, got.body.len()), (304, 0), "{got:?}");
    }
    for begun in pages.into_iter().chain(other) {
        begun.got().is("page");
    }
    assert!(house.asked("/a") <= 2);
}

/// Behind another client's slices a client with a page of its own gets that.
#[test]
fn cde_06_slices_are_for_those_who_may_share_them() {
    let house = House::caching("lock 30s; slice 64KiB", |_, seen| {
        let who = seen.field("cookie").unwrap_or("nobody").to_owned();
        let body = who.repeat(200_000 / who.len());
        let last = body.len().min(65_536);
        let fields = format!(
            "Cache-Control: max-age=60\r\nETag: \"{who}\"\r\nContent-Length: {last}\r\n\
             Content-Range: bytes 0-{}/{}\r\n\r\n",
            last - 1,
            body.len()
        );
        match seen.field("range") {
            Some("bytes=0-65535") => {
                Script::new().hold().send(format!("HTTP/1.1 206 Part\r\n{fields}{}", &body[..last]))
            }
            Some(range) => {
                let range = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
                let (first, last) = range.expect("a range");
                let first: usize = first.parse().expect("a number");
                let last = last.parse().unwrap_or(usize::MAX).min(body.len() - 1);
                let fields = format!(
                    "Cache-Control: max-age=60\r\nETag: \"{who}\"\r\n\
                     Content-Range: bytes {first}-{last}/{}\r\n",
                    body.len()
                );
                reply("206 Part", &fields, &body.as_bytes()[first..=last])
            }
            None => fresh(&format!("ETag: \"{who}\"\r\n"), body),
        }
    });
    let first = house.begin(&Ask::get("/a"));
    house.origin().wait_for_requests(1);
    let own = house.begin(&Ask::get("/a").with("cookie", "alice=1"));
    house.wait_for_line(1);
    house.origin().release();
    let (first, own) = (first.got(), own.got());
    assert!(own.whole && own.text().starts_with("alice=1alice=1"), "{:?}", own.fields);
    assert!(first.whole && first.text().starts_with("nobodynobody"), "{:?}", first.fields);
    assert!(house.get("/a").text().starts_with("nobodynobody"));
}

/// The page was asked for before it was changed: what comes then is old, and is nobody's after that.
#[test]
fn cpo_21_what_was_asked_for_before_a_change_is_not_kept_behind_it() {
    let house = House::caching("lock 30s", |n, seen| match (seen.method(), n) {
        ("POST", _) => reply("200 OK", "", b"changed"),
        (_, 0) => late("", b"old"),
        _ => fresh("", "new"),
    });
    let first = house.begin(&Ask::get("/a"));
    house.origin().wait_for_requests(1);
    house.ask(Front::Plain, &Ask::new("POST", "/a").body("x")).is("changed");
    house.get("/a").is("new");
    house.origin().release();
    first.got().is("old");
    house.get("/a").is("new");
    assert_eq!(house.asked("/a"), 3);
}

/// Readers and writers of a few pages, by chance: who asks when a change has been answered sees that or a
/// later one, whole, in whatever form it asks.
#[test]
fn cpo_21_who_asks_after_a_change_sees_it() {
    const PAGES: usize = 3;
    let versions: Arc<[AtomicUsize; PAGES]> = Arc::default();
    let made = Arc::clone(&versions);
    let answer = move |_: usize, seen: &Seen| {
        let page: usize = seen.target()[1..].parse().expect("a number");
        if seen.method() == "POST" {
            let version = made[page].fetch_add(1, Ordering::SeqCst) + 1;
            return reply("200 OK", "", version.to_string().as_bytes());
        }
        let version = made[page].load(Ordering::SeqCst);
        let tag = format!("ETag: \"{version}\"\r\n");
        if seen.field("if-none-match") == Some(&*format!("\"{version}\"")) {
            return bare("304 Not Modified", &format!("Cache-Control: max-age=60\r\n{tag}"));
        }
        fresh(&tag, format!("{version:>8}").repeat(100 + page * 5_000))
    };
    let setup = Setup { cache: "lock 30s", ..Setup::default() };
    let house = House::start(&setup, answer);
    let known: [AtomicUsize; PAGES] = Default::default();
    thread::scope(|scope| {
        for worker in 0..6 {
            let (house, known) = (&house, &known);
            scope.spawn(move || {
                let mut dice = Dice::new(worker);
                let mut raw = house.connect();
                for _ in 0..250 {
                    let page = usize::try_from(dice.below(PAGES as u64)).expect("small");
                    let target = format!("/{page}");
                    if dice.one_in(6) {
                        let ask = Ask::new("POST", &target).body("x");
                        let version = house.on(&mut raw, &ask).text().parse().expect("a number");
                        known[page].fetch_max(version, Ordering::SeqCst);
                        continue;
                    }
                    let least = known[page].load(Ordering::SeqCst);
                    let ask = Ask::get(&target);
                    let ask = match dice.below(4) {
                        0 => ask.with("range", "bytes=8-15"),
                        1 => ask.with("cache-control", "no-cache"),
                        _ => ask,
                    };
                    let got = house.on(&mut raw, &ask);
                    assert!(matches!(got.status, 200 | 206) && got.whole, "{got:?}");
                    let text = got.text();
                    let version: usize = text[..8].trim().parse().expect("a version");
                    assert!(version >= least, "{version} of page {page} after {least}");
                    let one = format!("{version:>8}");
                    let times = if got.status == 206 { 1 } else { 100 + page * 5_000 };
                    assert!(text == one.repeat(times), "{} of page {page}", text.len());
                }
            });
        }
    });
    let asked = house.origin().requests().iter().filter(|seen| seen.method() == "GET").count();
    assert!(asked < 1_200, "{asked}: nothing came from the store");
}

#[test]
fn a_drain_lets_fetches_and_those_who_wait_finish() {
    let mut house = House::caching("lock 30s", |_, _| late("", b"page"));
    let begun = house.at_once(&vec![Ask::get("/a"); 10]);
    house.wait_for_line(9);
    house.terminate();
    house.origin().release();
    for begun in begun {
        begun.got().is("page");
    }
    house.finish();
}

#[test]
fn what_was_private_once_is_kept_when_it_is_not() {
    let house = House::caching("", |n, _| {
        let control =
            if n == 0 { "Cache-Control: private\r\n" } else { "Cache-Control: max-age=60\r\n" };
        reply("200 OK", control, n.to_string().as_bytes())
    });
    house.get("/a").is("0");
    house.get("/a").is("1");
    house.get("/a").is("1");
}

/// Fields, cookies and dates that are made on the way to one client are not another's.
#[test]
fn what_doorman_adds_is_added_for_each() {
    let setup = Setup {
        upstream: "sticky cookie dm ttl 1h",
        site: "@CACHE; response-header add X-Added {client-ip}; proxy web",
        secure: true,
        ..Setup::default()
    };
    let house = House::start(&setup, |_, _| fresh("X-Origin: 1\r\n", "page"));
    for front in crate::rig::FRONTS {
        let target = format!("/{front:?}");
        let first = house.ask(front, &Ask::get(&target));
        // A page that came without a date keeps the one at which it came.
        let date = house.ask(front, &Ask::get(&target)).field("date").map(str::to_owned);
        for _ in 0..3 {
            let got = house.ask(front, &Ask::get(&target));
            got.is("page");
            let added = got.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-added"));
            assert_eq!(added.count(), 1, "{front:?}: {got:?}");
            let cookie = got.field("set-cookie");
            assert!(cookie.is_none() || cookie != first.field("set-cookie"), "{front:?}: {got:?}");
            assert_eq!(got.field("date").map(str::to_owned), date, "{front:?}");
        }
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
}

#[test]
fn clients_of_http_1_0_and_upgrades_get_what_they_can_read() {
    let house = House::caching("", |n, seen: &Seen| {
        match seen.field("upgrade") {
        Some(_) => reply("426 No", "", b"own"),
        None if n == 0 => Script::new()
            .send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
            .send("5\r\nfirst\r\n")
            .hold()
            .send("4\r\nlast\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        None => fresh("", "other"),
    }
    });
    let port = house.plain.port();
    let old = format!("GET /a HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n");
    let mut early = house.connect();
    early.send(&old).expect("an open connection");
    house.origin().wait_for_requests(1);
    house.origin().release();
    let kept = [early.response().expect("an answer"), house.connect().exchange(&old).expect("one")];
    for got in kept {
        assert!(got.field("transfer-encoding").is_none(), "{got:?}");
        assert_eq!((got.text().as_str(), got.is_complete()), ("firstlast", true));
    }
    house.get("/a").is("firstlast");
    assert_eq!(house.asked("/a"), 1);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    let got = house.get_with("/a", &upgrade);
    assert_eq!((got.status, got.text().as_str()), (426, "own"));
    house.get("/a").is("firstlast");
}

#[test]
fn a_million_variants_are_a_bounded_number() {
    let house =
        House::caching("", |_, seen| fresh("Vary: X-A\r\n", seen.field("x-a").unwrap_or("none")));
    let asks: Vec<_> = (0..400).map(|n| Ask::get("/a").with("x-a", &n.to_string())).collect();
    for (n, got) in house.in_turn(&asks).iter().enumerate() {
        got.is(&n.to_string());
    }
    let kept = house.objects("memory");
    assert!((1..=128).contains(&kept), "{kept}");
    // The last ones are there.
    house.in_turn(&asks[390..]);
    assert_eq!(house.asked("/a"), 400);
}
