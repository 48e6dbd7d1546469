//! Malformed requests are reset and never reach the origin; requests that are too large are answered.

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{self, frame, kind, section};

use crate::rig::{House, by_path, code, house, house_with};
use doorman_testkit::origin::{Origin, answering};

const RESET: (Option<u16>, Ended) = (None, Ended::Reset(code::MESSAGE_ERROR));

fn check(house: &House, id: &str, fields: &[(&str, &str)], expected: &(Option<u16>, Ended)) {
    let client = house.raw();
    let outcome = client.outcome(&frames::headers(fields)).expect(id);
    assert_eq!(&outcome, expected, "{id}: {fields:?}");
    // The connection goes on.
    let get = client.outcome(&house.get("/still")).expect(id);
    assert_eq!(get, (Some(200), Ended::Whole), "{id}: {fields:?}");
}

#[test]
fn pseudo_header_fields_are_there_once_and_first_dgr_16_17_21_22() {
    let house = house();
    let authority = house.authority();
    let whole = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", authority.as_str()),
        (":path", "/malformed"),
    ];
    for (at, left_out) in whole.iter().enumerate() {
        let mut fields = whole.to_vec();
        fields.remove(at);
        check(&house, "missing", &fields, &RESET);
        let mut fields = whole.to_vec();
        fields.push(*left_out);
        check(&house, "twice", &fields, &RESET);
        let mut fields = whole.to_vec();
        fields.remove(at);
        fields.extend([("a", "b"), *left_out]);
        check(&house, "behind a field", &fields, &RESET);
    }
    let with = |at: usize, name: &'static str, value: &'static str| {
        let mut fields = whole.to_vec();
        fields[at] = (name, value);
        fields
    };
    check(&house, "unknown", &with(3, ":pfad", "/"), &RESET);
    check(&house, "of a response", &[&whole[..], &[(":status", "200")]].concat(), &RESET);
    check(&house, ":protocol", &[&whole[..], &[(":protocol", "websocket")]].concat(), &RESET);
    check(&house, "scheme", &with(1, ":scheme", "http"), &RESET);
    check(&house, "path", &with(3, ":path", ""), &RESET);
    check(&house, "path", &with(3, ":path", "malformed"), &RESET);
    check(&house, "path", &with(3, ":path", "*"), &RESET);
    check(&house, "path", &with(3, ":path", "/a b"), &RESET);
    check(&house, "path", &with(3, ":path", "/a#b"), &RESET);
    check(&house, "method", &with(0, ":method", "G T"), &RESET);
    check(&house, "authority", &with(2, ":authority", "a b"), &RESET);
    check(&house, "Host differs", &[&whole[..], &[("host", "other.test")]].concat(), &RESET);
    let answered = |status| (Some(status), Ended::Whole);
    check(&house, "TRACE", &with(0, ":method", "TRACE"), &answered(405));
    check(&house, "Host agrees", &[&whole[..], &[("host", &authority)]].concat(), &answered(200));
    let reached =
        house.origin.requests().iter().filter(|seen| seen.target() == "/malformed").count();
    assert_eq!(reached, 1, "only the last reached the origin");
}

#[test]
fn fields_that_are_none_are_refused_dgr_07_to_15() {
    let house = house();
    let authority = house.authority();
    let check = |name: &str, value: &str| {
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority.as_str()),
            (":path", "/malformed"),
            (name, value),
        ];
        check(&house, "field", &fields, &RESET);
    };
    for name in ["Upper", "", "a b", "a:b", "a\r", "a\"b", "é"] {
        check(name, "x");
    }
    for value in [" x", "x ", "\tx", "a\rb", "a\nb", "a\0b", "a\x7fb"] {
        check("a", value);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        check(name, "x");
    }
    check("te", "gzip");
    check("content-length", "x");
    check("content-length", "+1");
    check("content-length", "");
    check("content-length", "99999999999999999999");
    assert!(house.origin.requests().iter().all(|seen| seen.target() != "/malformed"));
    let line = house.process.wait_for_words("\"/malformed\"");
    assert!(line.contains("\"status\":400") && line.contains("client-malformed"), "{line}");
}

#[test]
fn large_heads_are_answered_431_and_cost_no_memory_h3q_20() {
    let house = house_with(
        "workers 1; limits { header-bytes 16KiB; headers 50 }",
        Origin::start(answering(by_path())),
    );
    let refused = (Some(431), Ended::Whole);
    let authority = house.authority();
    let fields = |more: &[(&str, &str)]| frames::request("GET", &authority, "/large", more);
    let client = house.raw();
    // Longer on the wire than it may be.
    let long = "x".repeat(20_000);
    assert_eq!(client.outcome(&fields(&[("a", &long)])).unwrap(), refused);
    // Short on the wire: each line is one byte that stands for an entry of the static table.
    let mut bomb = section(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &authority),
        (":path", "/large"),
    ]);
    bomb.extend([0xC0 | 45; 15_000]);
    assert_eq!(client.outcome(&frame(kind::HEADERS, &bomb)).unwrap(), refused);
    // Too many.
    let many: Vec<_> = (0..51).map(|_| ("a", "b")).collect();
    assert_eq!(client.outcome(&fields(&many)).unwrap(), refused);
    let crumbs: Vec<_> = (0..51).map(|_| ("cookie", "b=c")).collect();
    assert_eq!(client.outcome(&fields(&crumbs)).unwrap(), refused);
    assert_eq!(client.outcome(&fields(&many[..50])).unwrap(), (Some(200), Ended::Whole));
    assert_eq!(house.origin.requests().len(), 1);
    // A frame that says it is huge is read past, not kept.
    let before = house.resident();
    let mut stream = client.stream(&[1, 0xC0, 0, 0, 0, 0x40, 0, 0, 0]).unwrap();
    for _ in 0..64 {
        if client.write(&mut stream, &[0; 1024 * 1024]).unwrap() != Ended::Whole {
            break;
        }
    }
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
    house.still_serves();
}

#[test]
fn cookie_crumbs_are_joined_once_dgr_23() {
    let house = house();
    let head = frames::request(
        "GET",
        &house.authority(),
        "/cookies",
        &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("te", "trailers")],
    );
    assert_eq!(house.raw().outcome(&head).unwrap(), (Some(200), Ended::Whole));
    let requests = house.origin.requests();
    let seen = requests.iter().find(|seen| seen.target() == "/cookies").expect("it came");
    let head = String::from_utf8_lossy(&seen.head).to_lowercase();
    assert!(head.contains("cookie: a=1; b=2\r\n"), "{head}");
}
