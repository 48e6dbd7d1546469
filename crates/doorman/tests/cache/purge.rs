//! What is taken out: by requests that change something (CPO-21), and by PURGE from those who may (CPO-22).

use doorman_testkit::origin::{Script, reply};

use crate::rig::{Ask, FRONTS, Front, House, Setup, fresh};

#[test]
fn cpo_21_what_is_changed_is_fetched_anew_and_nothing_of_another_host() {
    let house = House::caching("", |n, seen| {
        if seen.method() == "GET" {
            return fresh("", n.to_string());
        }
        let host = seen.field("host").unwrap_or_default();
        let status = seen.field("x-status").unwrap_or("200 OK");
        let to = seen.field("x-to").unwrap_or_default().replace("@HOST", host);
        let field = seen.field("x-field").unwrap_or("X-None");
        reply(status, &format!("{field}: {to}\r\n"), b"")
    });
    let ask =
        |host: &str, target: &str| house.ask(Front::Plain, &Ask::get(target).host(host)).text();
    let mut round = 0;
    let mut check = |method: &str, fields: &[(&str, &str)], gone: &[&str]| {
        round += 1;
        // Pages of this round at one host, and at another one.
        let page = |name: &str| format!("/{round}/{name}");
        let all = [("a.test", "a"), ("a.test", "b"), ("b.test", "a"), ("b.test", "b")];
        let first: Vec<_> = all.iter().map(|(host, name)| ask(host, &page(name))).collect();
        let mut change = Ask::new(method, &page("a")).host("a.test").body("x");
        for (name, value) in fields {
            change = change
                .with(name, &value.replace("@", &format!("/{round}/")).replace("HOST", "@HOST"));
        }
        house.ask(Front::Plain, &change);
        for ((host, name), first) in all.iter().zip(first) {
            let now = ask(host, &page(name));
            let is_gone = gone.contains(&format!("{host}/{name}").as_str());
            assert_eq!(now != first, is_gone, "{method} {fields:?}: {host}/{name}");
        }
    };
    for method in ["POST", "PUT", "DELETE", "PATCH", "FOO"] {
        check(method, &[], &["a.test/a"]);
    }
    check("OPTIONS", &[], &[]);
    for status in ["201 Created", "204 No Content", "303 See Other"] {
        check("POST", &[("x-status", status)], &["a.test/a"]);
    }
    // What failed has changed nothing (RFC 9111 section 4.4).
    for status in ["400 Bad", "403 No", "404 None", "500 Error", "503 Not Now"] {
        check("POST", &[("x-status", status)], &[]);
    }
    for field in ["Location", "Content-Location"] {
        let by = |to: &'static str| [("x-field", field), ("x-to", to)];
        check("POST", &by("@b"), &["a.test/a", "a.test/b"]);
        check("POST", &by("b"), &["a.test/a", "a.test/b"]);
        check("POST", &by("http://HOST@b"), &["a.test/a", "a.test/b"]);
        check("POST", &by("http://b.test@b"), &["a.test/a"]);
        check("POST", &by("//b.test@b"), &["a.test/a"]);
        check("POST", &by("https://HOST@b"), &["a.test/a"]);
        check("POST", &by("::not a place"), &["a.test/a"]);
    }
}

#[test]
fn cpo_21_all_variants_of_what_is_changed_go() {
    let house = House::fronted("", |n, seen| match seen.method() {
        "GET" => fresh("Vary: X-A\r\n", format!("{} {n}", seen.field("x-a").unwrap_or("none"))),
        _ => reply("204 No Content", "", b""),
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        let ask = |a: &str| house.ask(front, &Ask::get(&target).with("x-a", a)).text();
        let first = [ask("1"), ask("2")];
        assert_eq!([ask("1"), ask("2")], first);
        house.ask(front, &Ask::new("POST", &target).body("x"));
        assert!(ask("1") != first[0] && ask("2") != first[1], "{front:?}");
    }
}

fn purge(house: &House, front: Front, target: &str) -> u16 {
    house.ask(front, &Ask::new("PURGE", target)).status
}

#[test]
fn cpo_22_nobody_purges_unless_somebody_allows_it() {
    for cache in ["", "purge from 10.0.0.0/8", "purge from 127.0.0.2 ::1"] {
        let house = House::fronted(cache, |n, seen| match seen.method() {
            "GET" => fresh("", n.to_string()),
            _ => reply("405 No", "", b""),
        });
        for front in FRONTS {
            let target = format!("/{front:?}");
            house.ask(front, &Ask::get(&target)).is("0");
            let status = purge(&house, front, &target);
            assert!(matches!(status, 403 | 405 | 501), "{cache:?} {front:?}: {status}");
            // An address that a client makes up is not its own.
            let told = Ask::new("PURGE", &target).with("x-forwarded-for", "10.0.0.1");
            let status = house.ask(front, &told.with("forwarded", "for=10.0.0.1")).status;
            assert!(matches!(status, 403 | 405 | 501), "{cache:?} {front:?}: {status}");
            house.ask(front, &Ask::get(&target)).is("0");
        }
    }
}

#[test]
fn those_who_may_purge_by_the_method() {
    let house = House::fronted("purge from 127.0.0.0/8", |n, seen| {
        fresh("Vary: X-A\r\n", format!("{} {n}", seen.field("x-a").unwrap_or("none")))
    });
    for front in FRONTS {
        let (target, other) = (format!("/{front:?}?q=1"), format!("/{front:?}?q=2"));
        let ask = |target: &str, a: &str| house.ask(front, &Ask::get(target).with("x-a", a)).text();
        let first = [ask(&target, "1"), ask(&target, "2"), ask(&other, "1")];
        let status = purge(&house, front, &target);
        assert!(matches!(status, 200 | 204), "{front:?}: {status}");
        assert_eq!(house.requests(&target).len(), 2, "the origin hears nothing of it");
        assert_eq!(ask(&other, "1"), first[2], "{front:?}: another page stays");
        assert!(ask(&target, "1") != first[0] && ask(&target, "2") != first[1], "{front:?}");
    }
    // Nothing there is no fault of the client's.
    assert!(matches!(purge(&house, Front::Plain, "/nothing"), 200 | 204 | 404));
    assert_eq!(house.asked("/nothing"), 0);
}

#[test]
fn what_is_purged_while_it_comes_does_not_come_back() {
    let house = House::caching("purge from 127.0.0.0/8", |n, _| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\n";
        let script = Script::new().send(head);
        if n == 0 { script.send("ol").hold().send("d.") } else { script.send("new.") }
    });
    let mut first = house.begin(&Ask::get("/a"));
    let _ = first.wait("\r\n\r\n");
    assert!(matches!(purge(&house, Front::Plain, "/a"), 200 | 204));
    house.get("/a").is("new.");
    house.origin().release();
    assert_eq!(first.raw.take_exactly(4).expect("its own page"), b"old.");
    house.get("/a").is("new.");
    assert_eq!(house.asked("/a"), 2);
}

#[test]
fn what_is_purged_softly_is_stale() {
    let house = House::fronted("purge from 127.0.0.0/8; stale 1h", |n, _| {
        fresh(&format!("ETag: \"{n}\"\r\n"), n.to_string())
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("0");
        let soft = Ask::new("PURGE", &target).with("soft-purge", "1");
        assert_eq!(house.ask(front, &soft).status, 200, "{front:?}");
        let stale = house.ask(front, &Ask::get(&target));
        stale.is("0");
        assert!(!stale.said().contains("fwd="), "{front:?}: {stale:?}");
        house.until("a new page", || house.ask(front, &Ask::get(&target)).text() == "1");
        assert_eq!(house.asked(&target), 2, "{front:?}");
    }
}

/// Behind a proxy that is trusted, the client is who it says.
#[test]
fn cpo_22_the_client_counts_and_not_the_proxy_before() {
    let ask = |house: &House, client: &str| {
        let purge = Ask::new("PURGE", "/a").with("x-forwarded-for", client);
        house.ask(Front::Plain, &purge).status
    };
    for (from, allowed, refused) in
        [("127.0.0.0/8", "127.0.0.9", "10.0.0.1"), ("10.0.0.0/8", "10.0.0.1", "192.0.2.1")]
    {
        let cache = format!("purge from {from}");
        let global = "trusted-proxies 127.0.0.1/32";
        let setup = Setup { cache: &cache, global, ..Setup::default() };
        let house = House::start(&setup, |n, _| fresh("", n.to_string()));
        house.get("/a").is("0");
        assert_eq!(ask(&house, refused), 403, "{from}");
        house.get("/a").is("0");
        assert_eq!(ask(&house, allowed), 200, "{from}");
        house.get("/a").is("1");
    }
}
