//! Answers of origins before rules.

use doorman_testkit::origin::Script;

use crate::rig::{FRONTS, Front, House, said};

const OWN: &str = "waf starter response on rules own.conf";

#[test]
fn a_leak_is_not_shown_and_not_stored() {
    let site = format!("store s {{ memory 64MiB }}\n---\ncache s ttl 1h\n{OWN}");
    let house = House::before(&site, |seen| {
        let body = if seen.target().contains("leak") { "a secret-leak here" } else { "fine" };
        said("Content-Type: text/html\r\nCache-Control: max-age=600\r\n", body)
    });
    for front in FRONTS {
        let path = format!("/leak/{front:?}");
        for _ in 0..2 {
            let before = house.asked();
            let got = house.ask(front, "GET", &path, &[], b"");
            assert_eq!(got.status, 502, "{front:?}");
            assert!(!String::from_utf8_lossy(&got.body).contains("secret"), "{front:?}");
            // Nothing is stored, so the origin is asked each time.
            assert_eq!(house.asked(), before + 1, "{front:?}");
        }
    }
    let before = house.asked();
    assert_eq!(house.get("/fine", &[]).status, 200);
    assert_eq!(house.get("/fine", &[]).status, 200);
    assert_eq!(house.asked(), before + 1);
    let line = house.line("/leak/H2");
    assert!(
        line.contains("\"end\":\"waf-block\"") && line.contains("\"waf_rules\":[101"),
        "{line}"
    );
}

#[test]
fn a_head_that_leaks_is_refused_without_its_body() {
    let house = House::before("waf starter rules own.conf", |seen| {
        let fields = if seen.target() == "/leak" { "X-Leak: 1\r\n" } else { "" };
        said(&format!("Content-Type: text/html\r\n{fields}"), "body")
    });
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/leak", &[], b"").status, 502, "{front:?}");
        assert_eq!(house.ask(front, "GET", "/fine", &[], b"").body, b"body", "{front:?}");
    }
}

#[test]
fn servers_are_asked_for_what_can_be_read() {
    let house = House::before(&format!("compress\n{OWN}"), |seen| {
        let coded = seen.field("accept-encoding").is_some();
        let text = if coded { "coded" } else { "plain ".repeat(500).leak() };
        said("Content-Type: text/html\r\n", text)
    });
    let got = house.get("/x", &[("accept-encoding", "gzip")]);
    assert_eq!(got.field("content-encoding"), Some("gzip"));
    let seen = house.origin.ledger().requests();
    assert!(seen[0].field("accept-encoding").is_none());
}

#[test]
fn a_long_answer_passes_whole_and_its_beginning_is_looked_at() {
    let pad = "x".repeat(1 << 20);
    let (early, late) = (format!("secret-leak{pad}"), format!("{pad}secret-leak"));
    let last = late.clone();
    let house = House::before(OWN, move |seen| {
        let body = if seen.target() == "/early" { &early } else { &last };
        said("Content-Type: text/html\r\n", body)
    });
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/early", &[], b"").status, 502, "{front:?}");
        let got = house.ask(front, "GET", "/late", &[], b"");
        assert!(got.status == 200 && got.body == late.as_bytes(), "{front:?}");
    }
}

#[test]
fn events_are_not_held_back() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let script =
        move || Script::new().send(head).send("8\r\ndata: 1\n\r\n").hold().send("0\r\n\r\n");
    let house = House::before(OWN, move |_| script());
    let mut raw = house.connect();
    raw.send(house.head("GET", "/events", &[], b"")).expect("an open connection");
    let first = raw.take_until(b"data: 1").expect("the first event while the origin waits");
    assert!(first.starts_with(b"HTTP/1.1 200"));
    house.origin.ledger().release();
}

#[test]
fn a_tunnel_is_not_held_back() {
    let house = House::before(OWN, |_| {
        Script::new()
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
            .hold()
    });
    let mut raw = house.connect();
    let fields = [("connection", "upgrade"), ("upgrade", "echo")];
    raw.send(house.head("GET", "/tunnel", &fields, b"")).expect("an open connection");
    let head = raw.take_until(b"hello").expect("what came behind the head");
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    house.origin.ledger().release();
    drop(raw);
    let got = house.ask(Front::Plain, "GET", "/tunnel?q=attack", &fields, b"");
    assert_eq!(got.status, 403);
}
