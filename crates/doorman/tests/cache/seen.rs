//! What people see of the cache: `Cache-Status`, `Age`, the access log, the metrics; and that none of
//! it, nor what is kept, is lost by a reload.

use doorman_testkit::origin::{Script, Seen, reply};

use crate::rig::{Ask, FRONTS, Front, House, Setup, bare, fresh, said};

/// The value of a word in a line of the log.
fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!("\"{name}\":\""))?.1.split('"').next()
}

/// By its first letter: what the page is like.
fn page(n: usize, seen: &Seen) -> Script {
    match seen.target().rsplit('/').next().unwrap_or_default() {
        "private" => said("Cache-Control: private\r\n", "page"),
        "no-store" => said("Cache-Control: no-store\r\n", "page"),
        "cookie" => fresh("Set-Cookie: a=1\r\n", "page"),
        "nothing" => said("", "page"),
        "stale" => said(
            "Cache-Control: max-age=60, stale-while-revalidate=600\r\nAge: 70\r\nETag: \"a\"\r\n",
            "page",
        ),
        "checked" if n > 0 => {
            bare("304 Not Modified", "Cache-Control: max-age=60\r\nETag: \"a\"\r\n")
        }
        "checked" => said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\n", "page"),
        _ => fresh("", "page"),
    }
}

#[test]
fn cache_status_says_what_was_done() {
    let house = House::fronted("bypass when header x-past", page);
    for front in FRONTS {
        let ask = |name: &str| {
            house.ask(front, &Ask::get(&format!("/{front:?}/{name}"))).said().to_owned()
        };
        let miss = ask("page");
        assert!(
            miss.starts_with("doorman; fwd=uri-miss") && miss.contains("; stored"),
            "{front:?}: {miss}"
        );
        let hit = ask("page");
        assert!(hit.starts_with("doorman; hit"), "{front:?}: {hit}");
        let ttl = hit.split_once("ttl=").map(|(_, ttl)| ttl.parse::<i64>().expect("a number"));
        assert!(ttl.is_some_and(|ttl| (40..=60).contains(&ttl)), "{front:?}: {hit}");
        for name in ["private", "no-store", "cookie", "nothing"] {
            let told = ask(name);
            assert!(told.contains("fwd=uri-miss") && !told.contains("stored"), "{name}: {told}");
        }
        ask("checked");
        let checked = ask("checked");
        assert!(checked.contains("fwd=stale") && checked.contains("fwd-status=304"), "{checked}");
        ask("stale");
        let stale = ask("stale");
        assert!(stale.contains("; hit") && stale.contains("ttl=-"), "{front:?}: {stale}");
        let past = house.ask(front, &Ask::get(&format!("/{front:?}/page")).with("x-past", "1"));
        assert!(past.said().contains("fwd=bypass"), "{front:?}: {past:?}");
        let post = house.ask(front, &Ask::new("POST", &format!("/{front:?}/page")).body("x"));
        assert!(post.said().contains("fwd=method"), "{front:?}: {post:?}");
    }
}

#[test]
fn what_the_origin_said_of_its_own_cache_stays_before() {
    let house = House::caching("", |_, _| fresh("Cache-Status: origin; hit\r\n", "page"));
    for _ in 0..2 {
        let got = house.get("/a");
        let told: Vec<_> = got
            .fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cache-status"))
            .collect();
        let all: Vec<&str> = told.iter().map(|(_, value)| value.as_str()).collect();
        let all = all.join(", ");
        // The cache nearest to the client comes last (RFC 9211 section 2).
        assert!(all.starts_with("origin; hit, doorman; "), "{all}");
        assert_eq!(all.matches("doorman").count(), 1, "{all}");
    }
}

#[test]
fn nobody_is_told_unless_somebody_wants_it() {
    let setup = Setup { site: "cache main; proxy web", ..Setup::default() };
    let house = House::start(&setup, page);
    for _ in 0..2 {
        assert_eq!(house.get("/a").field("cache-status"), None);
    }
    assert_eq!(house.asked("/a"), 1);
    // And where there is no cache, nothing is kept.
    let setup = Setup {
        site: "@CACHE; route /not/* { cache off; proxy web }; route * { proxy web }",
        ..setup
    };
    let house = House::start(&setup, page);
    for n in 1..=2 {
        let got = house.get("/not/a");
        assert_eq!((got.field("cache-status"), got.field("age")), (None, None));
        house.get("/a").is("page");
        assert_eq!((house.asked("/not/a"), house.asked("/a")), (n, 1));
    }
}

#[test]
fn the_log_says_what_the_cache_did_and_why() {
    let mut house = House::fronted("bypass when header x-past", page);
    for front in FRONTS {
        let ask = |name: &str| house.ask(front, &Ask::get(&format!("/{front:?}/{name}")));
        for name in [
            "page", "page", "private", "no-store", "cookie", "nothing", "stale", "stale",
            "checked", "checked",
        ] {
            ask(name).is("page");
        }
        house.ask(front, &Ask::get(&format!("/{front:?}/past")).with("x-past", "1"));
        house.ask(front, &Ask::new("POST", &format!("/{front:?}/post")).body("x"));
    }
    house.finish();
    for front in FRONTS {
        let lines = |name: &str| house.lines(&format!("/{front:?}/{name}"));
        let words = |name: &str| {
            let mut words: Vec<String> = lines(name)
                .iter()
                .map(|line| word(line, "cache").unwrap_or("none").to_owned())
                .collect();
            words.sort();
            words
        };
        assert_eq!(words("page"), ["hit", "miss"], "{front:?}");
        assert_eq!(words("stale"), ["miss", "stale"], "{front:?}");
        assert_eq!(words("checked"), ["miss", "revalidated"], "{front:?}");
        for (name, reason) in [("past", "rule"), ("post", "method")] {
            assert_eq!(words(name), ["bypass"], "{front:?}");
            assert_eq!(word(&lines(name)[0], "cache_reason"), Some(reason), "{front:?}");
        }
        for (name, reason) in [
            ("private", "private"),
            ("no-store", "no-store"),
            ("cookie", "set-cookie"),
            ("nothing", "no-freshness"),
        ] {
            assert_eq!(words(name), ["refused"], "{front:?} {name}");
            let lines = lines(name);
            assert_eq!(word(&lines[0], "cache_reason"), Some(reason), "{}", lines[0]);
        }
    }
}

#[test]
fn the_metrics_count_each_request_once() {
    let house = House::caching("bypass when header x-past", page);
    for target in
        ["/page", "/page", "/page", "/private", "/checked", "/checked", "/stale", "/stale"]
    {
        house.get(target).is("page");
    }
    house.get_with("/page", &[("x-past", "1")]);
    for (word, count) in
        [("hit", 2), ("revalidated", 1), ("stale", 1), ("bypass", 1), ("miss", 3), ("refused", 1)]
    {
        house.until(word, || house.results(word) == count);
    }
    house.until("three objects", || house.objects("memory") == 3);
    let count = |family: &str, label: &str| {
        house.metric(&format!("doorman_cache_{family}{{store=\"main\",{label}}}"))
    };
    // The refresh of what is stale may be the fourth.
    assert!(matches!(count("fills_total", "result=\"stored\""), 3 | 4));
    house.until("an update", || count("fills_total", "result=\"updated\"") >= 1);
    assert_eq!(count("refused_total", "reason=\"private\""), 1);
    assert!(house.metric("doorman_cache_bytes{store=\"main\",tier=\"memory\"}") > 0);
}

#[test]
fn a_reload_keeps_what_is_kept() {
    let setup = Setup { secure: true, ..Setup::default() };
    let house = House::start(&setup, page);
    for front in FRONTS {
        house.ask(front, &Ask::get("/page"));
    }
    let before = house.asked("/page");
    assert_eq!(before, 2);
    let bigger = Setup { store: "memory 64MiB", cache: "ttl 1m 404", ..setup };
    house.reload(&bigger);
    for front in FRONTS {
        let got = house.ask(front, &Ask::get("/page"));
        got.is("page");
        assert!(got.said().contains("; hit"), "{front:?}: {got:?}");
    }
    assert_eq!(house.asked("/page"), before);
    // Another rule holds from now on, for what comes from now on.
    house.reload(&Setup { cache: "bypass when query past", ..bigger });
    house.get("/page?past").is("page");
    house.get("/page?past").is("page");
    assert_eq!((house.asked("/page?past"), house.asked("/page")), (2, before));
}

#[test]
fn a_fetch_outlives_a_reload() {
    let setup = Setup::default();
    let house = House::start(&setup, |_, _| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\n";
        Script::new().send(head).send("half").hold().send("half")
    });
    let mut first = house.begin(&Ask::get("/a"));
    let _ = first.wait("\r\n\r\n");
    house.reload(&Setup { cache: "ttl 1m 404", ..setup });
    let second = house.begin(&Ask::get("/a"));
    house.origin().release();
    assert_eq!(first.raw.take_exactly(8).expect("the page"), b"halfhalf");
    second.got().is("halfhalf");
    house.get("/a").is("halfhalf");
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn answers_that_are_no_page_pass_as_they_are() {
    let house = House::fronted("", |_, seen| match seen.target().rsplit('/').next() {
        Some("204") => bare("204 No Content", "Cache-Control: max-age=60\r\n"),
        Some("404") => reply("404 Not Found", "Cache-Control: max-age=60\r\n", b"none"),
        Some("empty") => fresh("", ""),
        _ => reply("307 There", "Cache-Control: max-age=60\r\nLocation: /b\r\n", b""),
    });
    for front in FRONTS {
        for (name, status, text) in
            [("204", 204, ""), ("404", 404, "none"), ("empty", 200, ""), ("r", 307, "")]
        {
            let target = format!("/{front:?}/{name}");
            for _ in 0..2 {
                let got = house.ask(front, &Ask::get(&target));
                assert_eq!((got.status, got.text().as_str(), got.whole), (status, text, true));
            }
            assert_eq!(house.asked(&target), 1, "{front:?} {name}");
        }
    }
    assert_eq!(house.ask(Front::H3, &Ask::get("/H3/r")).field("location"), Some("/b"));
}
