//! Freshness: how long an answer is given out without asking, how it is made fresh again, and when it
//! may be given out although it is not.

use doorman_testkit::origin::{Script, Seen, reply};

use crate::rig::{Ask, FRONTS, Front, House, bare, fresh, said};

const OLD: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

/// For each row of fields: whether a second client is answered from the store.
fn kept(cache: &str, status: &'static str, rows: &'static [(&'static str, bool)]) {
    let house = House::caching(cache, move |n, seen| {
        let which: usize = seen.target()[1..].parse().expect("a number");
        reply(status, rows[which].0, n.to_string().as_bytes())
    });
    for (at, (fields, kept)) in rows.iter().enumerate() {
        let target = format!("/{at}");
        assert_eq!(house.get(&target).text(), "0");
        let second = house.get(&target);
        assert_eq!(second.text() == "0", *kept, "{cache:?} {fields:?}: {second:?}");
        assert_eq!(house.asked(&target) == 1, *kept, "{cache:?} {fields:?}");
    }
}

#[test]
fn freshness_is_what_the_response_says() {
    kept(
        "",
        "200 OK",
        &[
            ("Cache-Control: max-age=60\r\n", true),
            ("Cache-Control: max-age=60\r\nAge: 20\r\n", true),
            ("Cache-Control: max-age=60\r\nAge: 60\r\n", false),
            ("Cache-Control: s-maxage=60\r\n", true),
            ("Cache-Control: s-maxage=60, max-age=0\r\n", true),
            ("Cache-Control: s-maxage=0, max-age=60\r\n", false),
            ("Cache-Control: MAX-AGE=60\r\n", true),
            ("Cache-Control: max-age=\"60\"\r\n", true),
            ("Expires: Thu, 01 Jan 2037 00:00:00 GMT\r\n", true),
            ("Expires: Thu, 01 Jan 1998 00:00:00 GMT\r\n", false),
            ("Expires: never\r\n", false),
            ("Expires: Thu, 01 Jan 2037 00:00:00 GMT\r\nCache-Control: max-age=0\r\n", false),
            ("", false),
            ("ETag: \"a\"\r\n", false),
            // A tenth of the time since it was changed (RFC 9111 section 4.2.2).
            ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", true),
            ("Last-Modified: Fri, 01 Jan 2100 00:00:00 GMT\r\n", false),
            ("Cache-Control: public\r\n", false),
            ("Cache-Control: must-understand, no-store, max-age=60\r\n", true),
        ],
    );
    kept("", "404 Not Found", &[("Cache-Control: max-age=60\r\n", true), ("", false)]);
    kept(
        "",
        "299 New",
        &[
            ("Cache-Control: max-age=60\r\n", true),
            ("Cache-Control: must-understand, no-store, max-age=60\r\n", false),
            ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", false),
        ],
    );
}

#[test]
fn rules_say_what_the_response_does_not() {
    kept(
        "ttl 1h; ttl 10s 302; ttl 1m 404",
        "200 OK",
        &[
            ("", true),
            ("Cache-Control: max-age=0\r\n", false),
            ("Cache-Control: no-cache\r\n", false),
            ("Expires: Thu, 01 Jan 1998 00:00:00 GMT\r\n", false),
        ],
    );
    kept("ttl 1m 404", "404 Not Found", &[("", true), ("Cache-Control: no-store\r\n", false)]);
    kept("ttl 1m 404", "200 OK", &[("", false)]);
    kept("ttl 1m 404", "410 Gone", &[("", false)]);
    kept("ttl 1m 302", "302 Found", &[("Location: /b\r\n", true)]);
    kept("ttl 1h", "302 Found", &[("Location: /b\r\n", false)]);
    kept(
        "ttl 1h force",
        "200 OK",
        &[
            ("Cache-Control: max-age=0\r\n", true),
            ("", true),
            ("Cache-Control: private\r\n", false),
            ("Cache-Control: no-store\r\n", false),
            ("Set-Cookie: a=1\r\n", false),
        ],
    );
}

#[test]
fn a_hit_says_how_old_it_is() {
    let house = House::fronted("", |_, seen| {
        fresh(if seen.target().ends_with("old") { "Age: 40\r\n" } else { "" }, "good")
    });
    for front in FRONTS {
        for (name, least) in [("new", 0), ("old", 40)] {
            let ask = Ask::get(&format!("/{front:?}/{name}"));
            house.ask(front, &ask);
            let age = house.ask(front, &ask).age().expect("an age");
            assert!((least..least + 15).contains(&age), "{front:?} {name}: {age}");
        }
    }
}

/// Stale at once, with this validator; then a 304 that says it is fresh.
fn validated(fields: &'static str) -> impl Fn(usize, &Seen) -> Script {
    move |n, seen| {
        let asked = seen.field("if-none-match").or(seen.field("if-modified-since"));
        match asked {
            Some(_) => bare(
                "304 Not Modified",
                &format!("{fields}Cache-Control: max-age=60\r\nX-V: {n}\r\n"),
            ),
            None => said(
                &format!("{fields}Cache-Control: max-age=60\r\nAge: 60\r\nX-V: {n}\r\n"),
                "page",
            ),
        }
    }
}

#[test]
fn what_is_stale_is_asked_for_by_its_validator() {
    for (fields, name, value) in [
        ("ETag: \"v1\"\r\n", "if-none-match", "\"v1\""),
        ("ETag: W/\"v1\"\r\n", "if-none-match", "W/\"v1\""),
        ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", "if-modified-since", OLD),
    ] {
        let house = House::fronted("", validated(fields));
        for front in FRONTS {
            let target = format!("/{front:?}");
            house.ask(front, &Ask::get(&target)).is("page");
            for _ in 0..2 {
                let got = house.ask(front, &Ask::get(&target));
                got.is("page");
                assert_eq!(got.field("x-v"), Some("1"), "a 304 brings fields up to date");
            }
            let seen = house.requests(&target);
            assert_eq!(seen.len(), 2, "{fields:?} {front:?}");
            assert_eq!(seen[1].field(name), Some(value), "{fields:?} {front:?}");
        }
    }
}

#[test]
fn a_condition_of_the_clients_is_answered_when_the_page_is_fresh_again() {
    let house = House::fronted("", validated("ETag: \"v1\"\r\n"));
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("page");
        let got = house.ask(front, &Ask::get(&target).with("if-none-match", "\"v1\""));
        assert_eq!((got.status, got.body.len()), (304, 0), "{front:?}: {got:?}");
        // Another version of the client's is no reason to ask the origin for that one.
        let ask =
            Ask::get(&target).with("if-none-match", "\"v0\"").with("cache-control", "no-cache");
        house.ask(front, &ask).is("page");
        let seen = house.requests(&target);
        assert!(seen[1..].iter().all(|seen| seen.field("if-none-match") == Some("\"v1\"")));
        house.ask(front, &Ask::get(&target)).is("page");
        assert_eq!(house.asked(&target), 3);
    }
}

#[test]
fn stale_answers_come_at_once_and_are_refreshed_once() {
    for (cache, control) in
        [("", "max-age=60, stale-while-revalidate=600"), ("stale 10m", "max-age=60")]
    {
        let house = House::fronted(cache, move |n, _| {
            let age = if n == 0 { "Age: 60\r\n" } else { "" };
            let body = format!("v{n}");
            let head = format!(
                "HTTP/1.1 200 OK\r\nCache-Control: {control}\r\n{age}ETag: \"{n}\"\r\nContent-Length: 2\r\n\r\n"
            );
            let script = Script::new();
            let script = if n == 1 { script.hold() } else { script };
            script.send(head + &body)
        });
        for front in FRONTS {
            house.origin().hold_again();
            let target = format!("/{front:?}");
            house.ask(front, &Ask::get(&target)).is("v0");
            // The origin answers nobody, and nobody waits for it.
            for _ in 0..5 {
                house.ask(front, &Ask::get(&target)).is("v0");
            }
            house.until("a refresh", || house.asked(&target) == 2);
            house.origin().release();
            house.until("the new page", || house.ask(front, &Ask::get(&target)).text() == "v1");
            assert_eq!(house.asked(&target), 2, "{cache} {front:?}");
        }
    }
    // Beyond its window it is asked for.
    let house = House::caching("", |n, _| {
        let fields =
            "Cache-Control: max-age=60, stale-while-revalidate=30\r\nAge: 100\r\nETag: \"a\"\r\n";
        said(fields, n.to_string())
    });
    house.get("/a").is("0");
    house.get("/a").is("1");
}

/// Answers once, and then with this status.
fn failing(control: &'static str, status: &'static str) -> impl Fn(usize, &Seen) -> Script {
    move |n, _| {
        let fields = format!("Cache-Control: {control}\r\nAge: 60\r\nETag: \"a\"\r\n");
        if n == 0 { said(&fields, "old") } else { reply(status, "", b"failed") }
    }
}

#[test]
fn an_origin_that_fails_is_covered_by_what_is_stale() {
    for (cache, control) in
        [("", "max-age=60, stale-if-error=600"), ("stale-if-error 1h", "max-age=60")]
    {
        for status in ["500 A", "502 B", "503 C", "504 D"] {
            let house = House::caching(cache, failing(control, status));
            for _ in 0..3 {
                house.get("/a").is("old");
            }
            assert!(house.asked("/a") >= 2, "it is tried");
        }
        let mut house = House::fronted(cache, failing(control, "503 C"));
        for front in FRONTS {
            house.ask(front, &Ask::get(&format!("/{front:?}"))).is("old");
        }
        house.stop_origin();
        for front in FRONTS {
            house.ask(front, &Ask::get(&format!("/{front:?}"))).is("old");
        }
        // What was never kept is not there.
        assert_eq!(house.get("/other").status, 502);
        // Once the origin is back it counts again.
        house.start_origin();
        house.until("the origin", || house.ask(Front::H2, &Ask::get("/other")).status == 200);
    }
    // Nobody said that stale is good enough, or it is too old for that, or the origin's answer is one.
    for (control, status) in [
        ("max-age=60", "503 C"),
        ("max-age=10, stale-if-error=20", "503 C"),
        ("max-age=60, stale-if-error=600", "404 Not Found"),
        ("max-age=60, stale-if-error=600", "403 Forbidden"),
    ] {
        let house = House::caching("", failing(control, status));
        house.get("/a").is("old");
        assert_eq!(house.get("/a").text(), "failed", "{control} {status}");
    }
}

#[test]
fn head_is_answered_from_what_get_has_fetched() {
    let house = House::fronted("", |_, _| fresh("ETag: \"a\"\r\nX-Own: 1\r\n", "good"));
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("good");
        let head = house.ask(front, &Ask::new("HEAD", &target));
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.field("content-length"), Some("4"), "{front:?}: {head:?}");
        assert_eq!((head.field("etag"), head.field("x-own")), (Some("\"a\""), Some("1")));
        assert!(head.age().is_some());
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
    // Where HEAD is left to the origin, it is asked.
    let house = House::caching("methods GET", |_, seen| match seen.method() {
        "HEAD" => bare("200 OK", "X-Head: 1\r\nContent-Length: 4\r\n"),
        _ => fresh("", "good"),
    });
    house.get("/a").is("good");
    let head = house.ask(Front::Plain, &Ask::new("HEAD", "/a"));
    assert_eq!((head.field("x-head"), house.asked("/a")), (Some("1"), 2));
    house.get("/a").is("good");
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn preconditions_are_answered_from_the_store() {
    let house = House::fronted("", |_, _| {
        fresh(
            &format!("ETag: \"v1\"\r\nLast-Modified: {OLD}\r\nX-Own: 1\r\nContent-Type: a/b\r\n"),
            "good",
        )
    });
    let (later, before) = ("Tue, 02 Jan 2024 00:00:00 GMT", "Sun, 31 Dec 2023 00:00:00 GMT");
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[("if-none-match", "\"v1\"")], 304),
        (&[("if-none-match", "W/\"v1\"")], 304),
        (&[("if-none-match", "\"v0\", \"v1\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"v0\"")], 200),
        (&[("if-modified-since", OLD)], 304),
        (&[("if-modified-since", later)], 304),
        (&[("if-modified-since", before)], 200),
        (&[("if-modified-since", "whenever")], 200),
        // The entity tag counts, not the date (RFC 9110 section 13.2.2).
        (&[("if-none-match", "\"v0\""), ("if-modified-since", later)], 200),
    ];
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("good");
        for (fields, status) in rows {
            let got = house.ask(front, &Ask::get(&target).all(fields));
            assert_eq!(got.status, *status, "{front:?} {fields:?}: {got:?}");
            if *status == 304 {
                assert_eq!(got.body.len(), 0);
                assert_eq!(got.field("etag"), Some("\"v1\""), "{front:?} {fields:?}");
                assert_eq!(got.field("cache-control"), Some("max-age=60"));
            }
            if *status == 200 {
                assert_eq!(got.text(), "good");
            }
        }
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
}

/// `If-Match` and `If-Unmodified-Since` are about what the origin has now (RFC 9111 section 4.3.2).
#[test]
fn what_only_the_origin_may_judge_is_asked_of_it() {
    let house = House::fronted("", |_, seen| {
        match seen.field("if-match").or(seen.field("if-unmodified-since")) {
            Some(_) => reply("412 No", "Cache-Control: max-age=60\r\n", b""),
            None => fresh("ETag: \"v1\"\r\n", "good"),
        }
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        for (name, value) in [("if-match", "\"v0\""), ("if-unmodified-since", OLD)] {
            house.ask(front, &Ask::get(&target)).is("good");
            let got = house.ask(front, &Ask::get(&target).with(name, value));
            assert!(matches!(got.status, 412 | 200), "{front:?} {name}: {got:?}");
            house.ask(front, &Ask::get(&target)).is("good");
        }
        assert!(house.asked(&target) <= 3, "{front:?}");
    }
}

#[test]
fn what_shall_go_past_the_cache_does() {
    let cache = "bypass when header x-past; bypass when cookie admin; bypass when query past 1";
    let house =
        House::caching(cache, |n, _| said("Cache-Control: public, max-age=60\r\n", n.to_string()));
    house.get("/a").is("0");
    house.get_with("/a", &[("x-past", "")]).is("1");
    house.get_with("/a", &[("cookie", "b=1; admin=yes")]).is("2");
    house.get("/a").is("0");
    house.get("/a?past=1").is("0");
    house.get("/a?past=1").is("1");
    house.get("/a?past=2").is("0");
    house.get("/a?past=2").is("0");
}

#[test]
fn what_is_asked_for_once_is_not_kept_where_that_is_said() {
    let house = House::caching("min-uses 3", |n, _| fresh("", n.to_string()));
    house.get("/a").is("0");
    house.get("/a").is("1");
    house.get("/a").is("2");
    house.get("/a").is("2");
    house.get("/b").is("0");
}
