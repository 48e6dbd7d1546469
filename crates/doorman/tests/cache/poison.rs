//! Poisoning (CPO): an attacker asks first, and what the victim gets must not be the attacker's doing.

use doorman_testkit::origin::{Script, Seen};

use crate::rig::{Ask, FRONTS, Front, House, Setup, bare, fresh, said};

/// Answers with the request's head, so that whatever the origin was told shows.
fn mirrored(_: usize, seen: &Seen) -> Script {
    fresh("", &seen.head)
}

/// The attacker asks with these fields, then the victim without; neither it nor the store may know.
fn unkeyed(fields: &[(&str, &str)]) {
    let house = House::fronted("", mirrored);
    for front in FRONTS {
        for (n, (name, value)) in fields.iter().enumerate() {
            let target = format!("/{front:?}/{n}");
            house.ask(front, &Ask::get(&target).with(name, value));
            let victim = house.ask(front, &Ask::get(&target));
            let text = victim.text().to_lowercase();
            assert!(!text.contains("evil"), "{front:?} {name}: {text}");
            assert_eq!(house.asked(&target), 1, "{front:?} {name}");
            assert!(victim.age().is_some(), "{front:?} {name}: {victim:?}");
        }
    }
}

#[test]
fn cpo_01_hosts_schemes_and_ports_have_keys_of_their_own() {
    let house = House::fronted("", |_, seen| {
        let proto = seen.field("x-forwarded-proto").unwrap_or_default();
        fresh("", format!("{proto} {}", seen.field("host").unwrap_or_default()))
    });
    let other = format!("localhost:{}", house.secure.port());
    let hosts = ["a.test", "b.test", "a.test.b.test", "localhost", "127.0.0.1", "[::1]", &other];
    for _ in 0..2 {
        for host in hosts {
            house.ask(Front::Plain, &Ask::get("/x").host(host)).is(&format!("http {host}"));
        }
        house.ask(Front::H1, &Ask::get("/x")).is(&format!("https {other}"));
        house.ask(Front::H2, &Ask::get("/x")).is(&format!("https {other}"));
    }
    assert_eq!(house.asked("/x"), hosts.len() + 1);
}

#[test]
fn cpo_02_what_clients_say_of_hosts_and_schemes_reaches_nobody() {
    unkeyed(&[
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-scheme", "evil"),
        ("x-forwarded-proto", "evil"),
        ("x-forwarded-port", "1-evil"),
        ("x-forwarded-server", "evil"),
        ("x-forwarded-for", "192.0.2.1, evil"),
        ("forwarded", "for=1.1.1.1;host=evil.test;proto=evil"),
    ]);
}

#[test]
fn cpo_03_what_would_rewrite_targets_and_methods_reaches_nobody() {
    unkeyed(&[
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-http-method-override", "EVIL"),
        ("x-http-method", "EVIL"),
        ("x-method-override", "EVIL"),
    ]);
}

/// An address whose answers were one client's alone is asked for by each for itself; what comes may be
/// kept again, and must not be the attacker's doing then, either.
#[test]
fn cpo_03_nor_where_answers_were_private_before() {
    let house = House::fronted("ignore-query utm_*", |_, seen| match seen.field("x-private") {
        Some(_) => said("Cache-Control: private\r\n", "private"),
        None => fresh("", &seen.head),
    });
    let attacks = [
        ("x-original-url", "/evil", ""),
        ("x-rewrite-url", "/evil", ""),
        ("x-http-method-override", "EVIL", ""),
        ("x-forwarded-host", "evil.test", ""),
        ("x-none", "", "?utm_source=evil"),
    ];
    for front in FRONTS {
        for (n, (name, value, query)) in attacks.into_iter().enumerate() {
            let target = format!("/{front:?}/{n}");
            house.ask(front, &Ask::get(&target).with("x-private", "1")).is("private");
            house.ask(front, &Ask::get(&format!("{target}{query}")).with(name, value));
            for _ in 0..2 {
                let text = house.ask(front, &Ask::get(&target)).text().to_lowercase();
                assert!(!text.contains("evil"), "{front:?} {name}: {text}");
            }
        }
    }
}

#[test]
fn cpo_04_fields_that_matter_are_in_the_key() {
    let house = House::caching("key header x-own; key cookie lang", |_, seen| {
        let own = seen.field("x-own").unwrap_or("none");
        let cookie = seen.field("cookie").unwrap_or_default();
        said(
            "Cache-Control: public, max-age=60\r\nVary: X-Varied\r\n",
            format!("{own} {cookie} {}", seen.field("x-varied").unwrap_or("none")),
        )
    });
    for _ in 0..2 {
        house.get_with("/a", &[("x-own", "evil")]).is("evil  none");
        house.get_with("/a", &[("x-varied", "evil")]).is("none  evil");
        house.get_with("/a", &[("cookie", "lang=evil")]).is("none lang=evil none");
        house.get("/a").is("none  none");
    }
    assert_eq!(house.asked("/a"), 4);
}

#[test]
fn cpo_05_content_of_a_get_is_not_in_anybodys_page() {
    let house = House::fronted("", |_, seen| fresh("", [b"body ".as_slice(), &seen.body].concat()));
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target).body("q=evil"));
        house.ask(front, &Ask::get(&target)).is("body ");
    }
    let port = house.plain.port();
    let chunked = format!(
        "GET /c HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nq=evil\r\n0\r\n\r\n"
    );
    assert!(house.raw(chunked).is_ok());
    house.get("/c").is("body ");
}

#[test]
fn cpo_06_the_target_says_the_host_where_it_has_one() {
    let house = House::caching("", |_, seen| fresh("", seen.field("host").unwrap_or_default()));
    // By HTTP the target's host counts. To refuse the contradiction is as safe.
    let got = house.raw("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("an answer");
    assert!(got.status == 400 || got.text() == "b.test", "{got:?}");
    house.ask(Front::Plain, &Ask::get("/x").host("a.test")).is("a.test");
    house.ask(Front::Plain, &Ask::get("/x").host("b.test")).is("b.test");
    let _ = house.raw("GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("an answer");
    assert_eq!(house.asked("/x"), 2, "absolute form is no other resource");
}

#[test]
fn cpo_07_one_host_has_one_key_and_a_port_is_never_lost() {
    let house = House::fronted("", |_, seen| fresh("", seen.field("host").unwrap_or_default()));
    let (port, secure) = (house.plain.port(), house.secure.port());
    for front in [Front::H1, Front::H2, Front::H3] {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target).host(&format!("LOCALHOST:{secure}")));
        house.ask(front, &Ask::get(&target)).is(&format!("localhost:{secure}"));
    }
    let ask = |host: &str| house.ask(Front::Plain, &Ask::get("/x").host(host));
    ask("a.test:9");
    ask(&format!("A.TEST:{port}"));
    ask(&format!("a.test.:{port}"));
    ask(&format!("a.test:{port}")).is(&format!("a.test:{port}"));
    ask("a.test:9").is("a.test:9");
    ask("a.test").is("a.test");
}

#[test]
fn cpo_08_what_is_not_in_the_key_does_not_reach_the_origin() {
    let house = House::caching("ignore-query utm_* fbclid", |_, seen| fresh("", seen.target()));
    let (attacks, victims) = (
        ["/p?utm_source=evil", "/p?a=1&utm_x=evil", "/p?a=1;utm_x=evil", "/p?a=1&utm_x=1;a=evil"],
        ["/p", "/p?a=1"],
    );
    let more = ["/p?%75tm_source=evil", "/p?a=1&%66bclid=evil", "/p?&utm_x=evil&", "/p?utm_x"];
    for attack in attacks.iter().chain(&more) {
        assert_eq!(house.get(attack).status, 200);
    }
    for victim in victims {
        let text = house.get(victim).text();
        assert!(!text.contains("evil") && !text.contains("utm"), "{victim}: {text}");
        assert!(text.starts_with(victim), "{victim}: {text}");
    }
    // Nothing is left out unless somebody says so.
    let house = House::caching("", |_, seen| fresh("", seen.target()));
    for target in ["/p?utm_source=evil", "/p", "/p?b=1&a=2", "/p?a=2&b=1", "/p?a=2;b=1"] {
        house.get(target).is(target);
    }
}

#[test]
fn cpo_08_a_sorted_query_is_one_key_and_loses_nothing() {
    let house = House::caching("sort-query on", |_, seen| fresh("", seen.target()));
    let first = house.get("/p?b=2&a=1").text();
    house.get("/p?a=1&b=2").is(&first);
    // The order of equal names is a matter of the application's.
    let (one, other) = (house.get("/p?a=1&a=2").text(), house.get("/p?a=2&a=1").text());
    assert!(one.find("a=1") < one.find("a=2") && other.find("a=2") < other.find("a=1"));
    assert!(house.get("/p?a=1&b=2&evil=3").text().contains("evil=3"));
    house.get("/p?a=1&b=2").is(&first);
}

#[test]
fn cpo_09_no_two_targets_make_one_key() {
    let house = House::caching("", |_, seen| {
        fresh("", format!("{} {}", seen.field("host").unwrap_or_default(), seen.target()))
    });
    let targets = [
        "/a",
        "/a/",
        "/a?b=c",
        "/a%3Fb=c",
        "/a?b%3Dc",
        "/a?b=c&",
        "/a?b",
        "/a%26b",
        "/a&b",
        "/a?x=1&y=2",
        "/a?x=1%26y=2",
        "/a__b",
        "/a?__b",
        "/a?|b",
        "/a:80/b",
        "/https",
        "/a?https",
        "/a%20b",
        "/a+b",
        "/a?a+b",
        "/a?a%20b",
        "/a%0A",
        "/a%250A",
        "/A",
        "/a;b",
        "/a%3Bb",
        "/a?/b",
        "/a/b",
        "/a%2Cb",
        "/a,b",
        "/a?http://b.test/",
    ];
    for _ in 0..2 {
        for host in ["a.test", "b.test"] {
            let asks: Vec<_> = targets.iter().map(|target| Ask::get(target).host(host)).collect();
            for (target, got) in targets.iter().zip(house.in_turn(&asks)) {
                // Some are refused; none is another's.
                if got.status == 200 {
                    got.is(&format!("{host} {target}"));
                }
            }
        }
    }
    let kept = targets.iter().filter(|target| house.asked(target) == 2).count();
    assert!(kept >= 26, "only {kept} of them were kept once for each host");
}

#[test]
fn cpo_10_of_a_thousand_pages_each_is_its_own() {
    let setup = Setup { store: "memory 1MiB", ..Setup::default() };
    let house = House::start(&setup, |_, seen| fresh("", seen.target().repeat(200)));
    let targets: Vec<String> = (0..1_000).map(|n| format!("/{n}")).collect();
    let asks: Vec<_> = targets.iter().map(|target| Ask::get(target)).collect();
    for _ in 0..2 {
        for (target, got) in targets.iter().zip(house.in_turn(&asks)) {
            got.is(&target.repeat(200));
        }
    }
    let bytes = house.metric("doorman_cache_bytes{store=\"main\",tier=\"memory\"}");
    assert!((1..=1 << 20).contains(&bytes), "{bytes} bytes in a store of 1 MiB");
}

#[test]
fn cpo_11_a_response_with_a_split_field_is_neither_given_nor_kept() {
    let bad = [
        "X-A: b\rSet-Cookie: evil=1\r\n",
        "X-A: b\0c\r\n",
        "X-A: b\r\n evil: folded\r\n",
        "X A: b\r\n",
        "X-A : b\r\n",
        ": b\r\n",
    ];
    let house = House::caching("", move |n, seen| {
        let which: usize = seen.target()[1..].parse().expect("a number");
        if n == 0 { fresh(bad[which], "evil") } else { fresh("", "good") }
    });
    for (n, fields) in bad.iter().enumerate() {
        let target = format!("/{n}");
        let first = house.get(&target);
        assert_eq!(first.status, 502, "{fields:?}: {first:?}");
        assert!(!first.text().contains("evil"));
        house.get(&target).is("good");
    }
}

#[test]
fn cpo_12_a_smuggled_request_fills_nobodys_page() {
    let house = House::caching("", |_, seen| fresh("", seen.target()));
    let port = house.plain.port();
    let host = format!("Host: localhost:{port}\r\n");
    let inner = format!("GET /evil HTTP/1.1\r\n{host}\r\n");
    let (length, chunk) = (inner.len(), format!("{:x}", inner.len()));
    let attacks = [
        format!(
            "POST /1 HTTP/1.1\r\n{host}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "GET /1 HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"
        ),
        format!("GET /1 HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n{inner}"),
        format!(
            "GET /1 HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{chunk}\r\n{inner}\r\n0\r\n\r\n"
        ),
        format!("GET /1 HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n{inner}"),
        format!("GET /1 HTTP/1.1\r\n{host}Upgrade: h2c\r\nConnection: upgrade\r\n\r\n{inner}"),
        format!("HEAD /1 HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n{inner}"),
        format!("GET /1 HTTP/1.0\r\n{host}Connection: keep-alive\r\n\r\n{inner}"),
    ];
    for (n, attack) in attacks.iter().enumerate() {
        // The attacker goes on with pages of its own on the same connection.
        let more: String = (0..4).map(|at| format!("GET /{at} HTTP/1.1\r\n{host}\r\n")).collect();
        let mut attacker = house.connect();
        let _ = attacker.send_while_reading(format!("{attack}{more}"));
        let _ = attacker.finish();
        let _ = attacker.take_all();
        for target in ["/0", "/1", "/2", "/3"] {
            let got = house.get(target);
            assert_eq!((got.status, got.text().as_str()), (200, target), "after attack {n}");
        }
    }
}

/// The attacker's request makes the origin answer with `status`; the victim's must not get that.
fn not_denied(setup: &Setup<'_>, status: &'static str, fields: &'static str) {
    let house = House::start(setup, move |_, seen| match seen.field("x-attack") {
        Some(_) => doorman_testkit::origin::reply(status, fields, b"evil"),
        None => fresh("", "good"),
    });
    let attacker = house.get_with("/x", &[("x-attack", &"a".repeat(9_000))]);
    assert_eq!(attacker.text(), "evil", "{status} {fields:?}");
    house.get("/x").is("good");
    house.get("/x").is("good");
    assert_eq!(house.asked("/x"), 2, "{status} {fields:?}");
}

#[test]
fn cpo_13_a_refusal_of_one_request_is_not_anothers() {
    for status in ["400 Bad Request", "413 Content Too Large", "431 Fields Too Large"] {
        for fields in ["", "Cache-Control: max-age=60\r\n", "Cache-Control: s-maxage=60\r\n"] {
            not_denied(&Setup::default(), status, fields);
        }
        not_denied(&Setup { cache: "ttl 1h", ..Setup::default() }, status, "");
    }
}

#[test]
fn cpo_14_control_bytes_do_not_reach_origins() {
    let house = House::caching("", |_, _| fresh("", "good"));
    let port = house.plain.port();
    for bad in ["\x01", "\x07", "\x0B", "\x7F", "\n", "\r", "\0"] {
        let head = format!("GET /x HTTP/1.1\r\nHost: localhost:{port}\r\nX-Meta: a{bad}b\r\n\r\n");
        let got = house.raw(head).expect("an answer");
        assert_eq!(got.status, 400, "{bad:?}");
    }
    assert_eq!(house.asked("/x"), 0);
    house.get("/x").is("good");
}

#[test]
fn cpo_15_ranges_and_conditions_of_one_client_stay_its_own() {
    let house = House::fronted("", |_, seen| {
        let asked = ["range", "if-match", "if-none-match", "if-unmodified-since", "if-range"];
        match asked.iter().find(|name| seen.field(name).is_some()) {
            Some(name) => doorman_testkit::origin::reply("416 No", "", name.as_bytes()),
            None => {
                fresh("ETag: \"v1\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", "good")
            }
        }
    });
    let attacks = [
        ("range", "bytes=900-"),
        ("if-none-match", "*"),
        ("if-modified-since", "Mon, 01 Jan 2029 00:00:00 GMT"),
        ("if-range", "\"other\""),
    ];
    for front in FRONTS {
        for (name, value) in attacks {
            let target = format!("/{front:?}/{name}");
            house.ask(front, &Ask::get(&target).with(name, value));
            house.ask(front, &Ask::get(&target)).is("good");
            assert_eq!(house.asked(&target), 1, "{front:?} {name}");
        }
    }
    // These two only the origin may judge (RFC 9111 section 4.3.2), for the one who sent them.
    for (name, value) in
        [("if-match", "\"other\""), ("if-unmodified-since", "Mon, 01 Jan 2001 00:00:00 GMT")]
    {
        house.get_with(&format!("/{name}"), &[(name, value)]);
        house.get(&format!("/{name}")).is("good");
        house.get(&format!("/{name}")).is("good");
        assert!(house.asked(&format!("/{name}")) <= 2, "{name}");
    }
    // What is negotiated without freshness is not kept.
    let house = House::caching("", |_, seen| match seen.field("accept") {
        Some("evil") => doorman_testkit::origin::reply("406 Not Acceptable", "", b"evil"),
        _ => fresh("", "good"),
    });
    house.get_with("/a", &[("accept", "evil")]);
    house.get("/a").is("good");
}

#[test]
fn cpo_16_a_failure_of_the_origin_is_not_kept() {
    for status in ["500 A", "502 B", "503 C", "504 D"] {
        not_denied(&Setup::default(), status, "");
        not_denied(&Setup { cache: "ttl 1h", ..Setup::default() }, status, "");
        not_denied(&Setup::default(), status, "Cache-Control: max-age=60\r\n");
    }
}

#[test]
fn cpo_17_a_redirect_is_kept_for_its_host_and_query() {
    let house = House::caching("ttl 1h", |_, seen| {
        let host = seen.field("host").unwrap_or_default();
        let to = format!("Location: http://{host}{}&evil=1\r\n", seen.target());
        doorman_testkit::origin::reply("301 Moved", &to, b"")
    });
    for _ in 0..2 {
        for host in ["a.test", "b.test"] {
            for target in ["/r?a=1", "/r?a=2"] {
                let got = house.ask(Front::Plain, &Ask::get(target).host(host));
                let to = format!("http://{host}{target}&evil=1");
                assert_eq!((got.status, got.field("location")), (301, Some(to.as_str())));
            }
        }
    }
    assert_eq!(house.origin().requests().len(), 4);
}

#[test]
fn cpo_18_head_makes_no_page_for_get() {
    let house = House::fronted("", |_, seen| {
        if seen.method() == "HEAD" {
            return bare("200 OK", "Cache-Control: max-age=60\r\nContent-Length: 4\r\n");
        }
        fresh("", "good")
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        let head = house.ask(front, &Ask::new("HEAD", &target));
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.field("content-length"), Some("4"), "{front:?}: {head:?}");
        house.ask(front, &Ask::get(&target)).is("good");
        house.ask(front, &Ask::get(&target)).is("good");
    }
}

#[test]
fn cpo_19_what_is_no_final_answer_is_not_kept() {
    let house = House::caching("", |n, seen| match (seen.target(), n) {
        ("/103", _) => {
            let mut all = Script::new().send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\n";
            all = all.send(format!("{head}good"));
            all
        }
        ("/304", 0) => bare("304 Not Modified", "Cache-Control: max-age=60\r\nETag: \"a\"\r\n"),
        _ => fresh("", "good"),
    });
    house.get("/103").is("good");
    house.get("/103").is("good");
    assert_eq!(house.asked("/103"), 1);
    let odd = house.get("/304");
    assert!(matches!(odd.status, 200 | 502 | 304), "{odd:?}");
    house.get("/304").is("good");
    house.get("/304").is("good");
    assert_eq!(house.asked("/304"), 2);
}

#[test]
fn cpo_20_only_answers_to_get_are_kept() {
    let house = House::caching("", |n, seen| fresh("", format!("{} {n}", seen.method())));
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "get", "FOO"] {
        let target = format!("/{method}");
        let ask = Ask::new(method, &target).body("a");
        house.ask(Front::Plain, &ask).is(&format!("{method} 0"));
        house.get(&target).is("GET 1");
        house.get(&target).is("GET 1");
        house.ask(Front::Plain, &ask).is(&format!("{method} 2"));
    }
}
