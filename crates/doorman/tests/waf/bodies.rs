//! Bodies of requests before rules.

use doorman_testkit::sums::Sum;

use crate::rig::{FRONTS, Front, House};

const OWN: &str = "waf starter rules own.conf";

const FORM: &str = "application/x-www-form-urlencoded";

const PARTS: &str = "multipart/form-data; boundary=b";

fn parts(value: &str) -> Vec<u8> {
    format!("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{value}\r\n--b--\r\n").into()
}

#[test]
fn an_attack_in_a_body_is_refused_whatever_its_form() {
    let house = House::with(OWN);
    let cases = [
        (FORM, b"a=1&b=an+attack".to_vec()),
        ("application/json", br#"{"a":{"b":["an attack"]}}"#.to_vec()),
        (PARTS, parts("an attack")),
    ];
    for front in FRONTS {
        for (kind, body) in &cases {
            let got = house.post(front, "/bad", kind, body);
            assert_eq!(got.status, 403, "{front:?} {kind}");
        }
    }
    assert_eq!(house.asked(), 0);
}

#[test]
fn a_body_that_passes_arrives_as_it_was_sent() {
    let house = House::with(OWN);
    let long: Vec<u8> = (0..300_000_u32).map(|n| b'a' + (n % 26).to_le_bytes()[0]).collect();
    let form = [b"a=", &long[..]].concat();
    let cases = [
        (FORM, b"a=1&b=kind".to_vec()),
        (FORM, form),
        ("application/json", br#"{"a":{"b":["kind"]}}"#.to_vec()),
        (PARTS, parts("kind")),
        ("application/octet-stream", long.clone()),
    ];
    for front in FRONTS {
        for (kind, body) in &cases {
            let got = house.post(front, "/good", kind, body);
            assert_eq!(got.status, 200, "{front:?} {kind} {}", body.len());
            let length = body.len().to_string();
            assert_eq!(got.field("x-body-length"), Some(&*length), "{front:?} {kind}");
            let sum = format!("{:016x}", Sum::of(body));
            assert_eq!(got.field("x-body-sum"), Some(&*sum), "{front:?} {kind}");
        }
    }
}

#[test]
fn chunks_that_come_byte_by_byte_are_put_together() {
    let house = House::with(OWN);
    let mut raw = house.connect();
    let fields = [("content-type", FORM), ("transfer-encoding", "chunked")];
    raw.send(house.head("POST", "/slow", &fields, b"")).expect("an open connection");
    for byte in b"a=1&b=an+atta" {
        raw.send([&b"1\r\n"[..], &[*byte], b"\r\n"].concat()).expect("an open connection");
    }
    raw.send(b"2\r\nck\r\n0\r\n\r\n").expect("an open connection");
    assert_eq!(raw.response().expect("an answer").status, 403);
    assert_eq!(house.asked(), 0);
}

#[test]
fn a_body_over_the_limit_is_refused_or_looked_at_in_part() {
    let site = "route /part { waf starter rules own.conf body max 4KiB over-limit partial; proxy web }\n\
                waf starter rules own.conf body max 4KiB\nproxy web";
    let house = House::with(site);
    let pad = "x".repeat(20_000);
    let hidden = format!("a={pad}&b=attack");
    let early = format!("b=attack&a={pad}");
    for front in FRONTS {
        assert_eq!(house.post(front, "/whole", FORM, hidden.as_bytes()).status, 413, "{front:?}");
        let got = house.post(front, "/part", FORM, early.as_bytes());
        assert_eq!(got.status, 403, "{front:?}");
    }
    assert_eq!(house.asked(), 0);
    for front in FRONTS {
        let got = house.post(front, "/part", FORM, hidden.as_bytes());
        assert_eq!(got.status, 200, "{front:?}");
        assert_eq!(got.field("x-body-length"), Some(&*hidden.len().to_string()), "{front:?}");
        let sum = format!("{:016x}", Sum::of(hidden.as_bytes()));
        assert_eq!(got.field("x-body-sum"), Some(&*sum), "{front:?}");
    }
    let line = house.line("/whole");
    assert!(line.contains("\"end\":\"body-too-large\""), "{line}");
}

#[test]
fn a_body_that_nobody_will_look_at_is_not_asked_for() {
    let house = House::with("waf starter rules own.conf body max 4KiB");
    let mut raw = house.connect();
    let fields = [("content-type", FORM), ("expect", "100-continue"), ("content-length", "20000")];
    raw.send(house.head("POST", "/long", &fields, b"")).expect("an open connection");
    // The answer comes at once, and no leave before it.
    assert_eq!(raw.response().expect("an answer").status, 413);
    let fields = [("content-type", FORM), ("expect", "100-continue"), ("content-length", "8")];
    let mut raw = house.connect();
    raw.send(house.head("POST", "/short", &fields, b"")).expect("an open connection");
    let leave = raw.take_until(b"\r\n\r\n").expect("a leave");
    assert!(leave.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&leave));
    raw.send(b"a=attack").expect("an open connection");
    assert_eq!(raw.response().expect("an answer").status, 403);
    assert_eq!(house.asked(), 0);
    let mut raw = house.connect();
    raw.send(house.head("POST", "/short", &fields, b"")).expect("an open connection");
    let _ = raw.take_until(b"\r\n\r\n").expect("a leave");
    raw.send(b"a=kindly").expect("an open connection");
    assert_eq!(raw.response().expect("an answer").status, 200);
}

#[test]
fn in_a_mode_that_detects_a_long_body_passes() {
    let house = House::with("waf starter mode detect rules own.conf body max 4KiB");
    let body = format!("b=attack&a={}", "x".repeat(20_000));
    let got = house.post(Front::Plain, "/long", FORM, body.as_bytes());
    assert_eq!((got.status, got.field("x-body-length")), (200, Some(&*body.len().to_string())));
}
