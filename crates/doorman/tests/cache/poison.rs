//! Poisoning (CPO): an attacker asks first, and what the victim gets must not be the attacker's doing.

use doorman_testkit::origin::{Script, Seen};

use crate::rig::{Ask, FRONTS, Front, House, Setup, bare, fresh, said};

/// Answers with the request's head, so that whatever the origin was told shows.
fn mirrored(_: usize, seen: &Seen) -> Script {
    fresh("", &seen.head)
}

/// The attacker asks with these fields, then the victim without; neither it nor the store may know.
fn unkeyed(fields: &[(&str, &str)]) {
    unkeyed_at("@CACHE; proxy web", fields);
    unkeyed_at("@CACHE; forwarded off; proxy web", fields);
}

fn unkeyed_at(site: &str, fields: &[(&str, &str)]) {
    let house = House::start(&Setup { site, secure: true, ..Setup::default() }, mirrored);
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
fn cpo_02_what_clients_say_of_hosts_and_schemes_reaches_nobody() {
    unkeyed(&[
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-scheme", "evil"),
        ("x_forwarded_host", "evil"),
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
        // Origins that make variables of fields take these for the same.
        ("x_original_url", "/evil"),
        ("X-Http_Method-Override", "EVIL"),
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
fn cpo_03_what_the_operator_says_stays() {
    let site = "@CACHE; request-header set X-Original-Host own; request-header set X-Original-Url {path}; proxy web";
    let house = House::start(&Setup { site, secure: true, ..Setup::default() }, |_, seen| {
        let told = ["x-original-host", "x-original-url", "x-rewrite-url"];
        fresh("", told.map(|name| seen.all(name).join("+")).join(" "))
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        let evil =
            [("x-original-host", "evil"), ("x-original-url", "/evil"), ("x-rewrite-url", "/evil")];
        house.ask(front, &Ask::get(&target).all(&evil)).is(&format!("own {target} "));
        house.ask(front, &Ask::get(&target)).is(&format!("own {target} "));
        assert_eq!(house.asked(&target), 1, "{front:?}");
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

/// What comes behind a response that was not asked for is no answer to the next request.
#[test]
fn cpo_12_a_second_response_fills_nobodys_page() {
    let house = House::fronted("", |_, seen| {
        let evil = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
        let good = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
        let (method, target) = (seen.method(), seen.target());
        match target.rsplit('/').next().unwrap_or_default() {
            "counted" => {
                let body = if method == "HEAD" { "" } else { "good" };
                Script::new().send(format!("{good}Content-Length: 4\r\n\r\n{body}{evil}"))
            }
            "chunked" => Script::new().send(format!(
                "{good}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n{evil}"
            )),
            "empty" => Script::new().send(format!("HTTP/1.1 204 No Content\r\n\r\n{evil}")),
            "none" => Script::new().send(format!("HTTP/1.1 304 Not Modified\r\n\r\n{evil}")),
            _ => fresh("", target),
        }
    });
    for front in FRONTS {
        for (n, attack) in ["counted", "chunked", "empty", "none", "counted"].iter().enumerate() {
            let method = if n == 4 { "HEAD" } else { "GET" };
            let target = format!("/{front:?}/{n}/{attack}");
            let _ = house.try_ask(front, &Ask::new(method, &target));
            for victim in 0..3 {
                let target = format!("/{front:?}/{n}/{victim}");
                house.ask(front, &Ask::get(&target)).is(&target);
            }
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
