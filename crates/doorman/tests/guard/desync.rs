//! Requests that two readers could understand in different ways.

use doorman_testkit::reply::Asked;

use crate::forward::await_count;
use crate::rig::{FRONTS, Front, House};

/// A house whose plain socket has this mode.
fn house(mode: &str) -> House {
    let house = House::with("");
    house.configure(&format!("listen {} desync {mode}\n---\n", house.plain));
    house.reload(" is in force");
    house
}

/// Waits until so many requests were of this class for this reason.
#[track_caller]
fn await_odd(house: &House, class: &str, reason: &str, count: u32) {
    let labels = format!("class=\"{class}\",reason=\"{reason}\"");
    await_count(house, &format!("doorman_desync_total{{{labels}}}"), count);
}

/// Statuses of what comes back for these bytes until the connection ends, or `count` have come.
fn statuses(house: &House, bytes: &str, count: usize) -> Vec<u16> {
    let mut raw = house.connect();
    raw.send(bytes).expect("a house that listens");
    let mut statuses = Vec::new();
    while statuses.len() < count {
        match raw.response_to(Asked::Other) {
            Ok(reply) => statuses.push(reply.status),
            Err(_) => break,
        }
    }
    statuses
}

/// A GET with content, and a request behind it that the content may hide.
const HIDING: &str = "GET /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello\
                      GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn what_is_ambiguous_goes_alone_and_nothing_follows_it() {
    let house = House::with("");
    let plain = "GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(statuses(&house, &plain.repeat(2), 2), [200, 200]);
    let before = house.origin.ledger().connections();
    assert_eq!(statuses(&house, HIDING, 2), [200]);
    assert_eq!(house.asked(), 3);
    let line = house.line("/first");
    assert!(
        line.contains("\"desync\":\"ambiguous\",\"desync_reason\":\"undefined-body\""),
        "{line}"
    );
    assert!(!house.line("/plain").contains("desync"));
    // The origin's connection is nobody else's afterwards, and closed.
    house.origin.ledger().wait_for_open(before);
    await_odd(&house, "ambiguous", "undefined-body", 1);
    // What is merely acceptable changes nothing.
    let zero = "GET /zero HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(statuses(&house, &zero.repeat(2), 2), [200, 200]);
    await_odd(&house, "acceptable", "zero-length", 2);
}

#[test]
fn a_monitor_lets_pass_and_tells() {
    let house = house("monitor");
    assert_eq!(statuses(&house, HIDING, 2), [200, 200]);
    await_odd(&house, "ambiguous", "undefined-body", 1);
}

#[test]
fn strict_refuses_all_that_is_odd_and_nothing_else() {
    let house = House::with("");
    let sockets = [house.plain, house.secure].map(|at| format!("listen {at} desync strict\n"));
    house.configure(&format!("{}---\n", sockets.concat()));
    house.reload(" is in force");
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/", &[], b"").status, 200, "{front:?}");
        assert_eq!(house.ask(front, "POST", "/", &[], b"hello").status, 200, "{front:?}");
        let asked = house.asked();
        assert_eq!(house.ask(front, "GET", "/odd", &[], b"hello").status, 400, "{front:?}");
        let imitation = [("content_length", "5")];
        assert_eq!(house.ask(front, "GET", "/", &imitation, b"").status, 400, "{front:?}");
        assert_eq!(house.asked(), asked, "{front:?}");
    }
    assert_eq!(house.get("/", &[("content-length", "0")]).status, 400);
    assert_eq!(house.get("/", &[("x-name", "caf\u{e9}")]).status, 400);
    let line = house.line("/odd");
    assert!(
        line.contains("\"end\":\"client-malformed\"") && line.contains("undefined-body"),
        "{line}"
    );
    await_odd(&house, "ambiguous", "imitated-framing", 4);
}

#[test]
fn what_is_severe_is_refused_in_every_mode_and_told() {
    let house = house("monitor");
    let with = |field: &str| format!("POST / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
    for (bytes, class, reason) in [
        (with("Content-Length: 5\r\nTransfer-Encoding: chunked"), "ambiguous", "length-and-coding"),
        (with("Content-Length: 5\r\nContent-Length: 6"), "severe", "bad-length"),
        (with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "severe", "bad-coding"),
        (with("Transfer-Encoding : chunked"), "severe", "space-in-name"),
        (with("X: a\0b"), "severe", "control-byte"),
        ("GET / HTTP/1.1\nHost: localhost\n\n".to_owned(), "severe", "bare-line-feed"),
    ] {
        assert_eq!(
            statuses(&house, &(bytes + "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 2),
            [400],
            "{reason}"
        );
        let line = house.process.wait_for_words(reason);
        assert!(line.contains(&format!("\"desync\":\"{class}\"")), "{line}");
        await_odd(&house, class, reason, 1);
    }
    // A body of which nobody can tell where it ends.
    let chunks = with("Transfer-Encoding: chunked") + "zz\r\n";
    assert_eq!(statuses(&house, &chunks, 1), [400]);
    let line = house.process.wait_for_words("bad-body");
    assert!(line.contains("\"desync\":\"severe\""), "{line}");
    assert_eq!(house.ask(Front::Plain, "GET", "/", &[], b"").status, 200);
}
