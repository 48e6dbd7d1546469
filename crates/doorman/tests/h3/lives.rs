//! The life of a connection: idle, reloaded, moved to another network, drained.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{frame, kind, read_varint};
use doorman_testkit::origin::{Origin, answering};
use rustix::process::Signal;

use crate::rig::{by_path, code, configuration, house, house_with, reload};

#[test]
fn a_reload_keeps_the_connection_and_its_streams() {
    let house = house();
    let client = house.raw();
    let mut held = client.request(&house.get("/hold")).unwrap();
    house.origin.wait_for_requests(1);
    let text =
        configuration(house.address, "workers 1", "  response-header set X-New 1", &house.origin);
    reload(&house, &text);
    assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    let seen = house.h3().get(&house.uri("/")).unwrap();
    assert_eq!(seen.field("x-new"), Some("1"), "new requests follow the new plan");
    house.origin.release();
    let (_, ended) = client.read(&mut held).unwrap();
    assert_eq!(ended, Ended::Whole);
}

#[test]
fn a_listener_that_stops_speaking_http_3_lets_its_connections_end() {
    let house = house();
    let client = house.raw();
    let mut held = client.request(&house.get("/hold")).unwrap();
    house.origin.wait_for_requests(1);
    let listen = format!("listen :{} {{ protocols h2 h1 }}\n", house.address.port());
    let text = configuration(house.address, "workers 1", "", &house.origin)
        .replace("site ", &format!("{listen}site "));
    reload(&house, &text);
    house.origin.release();
    let (_, ended) = client.read(&mut held).unwrap();
    assert_eq!(ended, Ended::Whole);
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::NO_ERROR));
}

/// A connection that does not end holds its port no longer than a drain would take.
#[test]
fn a_listener_that_stops_speaking_http_3_frees_its_port() {
    let global = "workers 2; drain 500ms";
    let house = house_with(global, Origin::start(answering(by_path())));
    let clients = [house.raw(), house.raw(), house.raw()];
    let mut held =
        clients.each_ref().map(|client| client.request(&house.get("/begin-and-wait")).unwrap());
    house.origin.wait_for_requests(3);
    let taken = UdpSocket::bind(house.address).expect_err("the port is taken");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let listen = format!("listen :{} {{ protocols h2 h1 }}\n", house.address.port());
    let text = configuration(house.address, global, "", &house.origin)
        .replace("site ", &format!("{listen}site "));
    reload(&house, &text);
    for (client, held) in clients.iter().zip(&mut held) {
        assert_eq!(client.read(held).unwrap().1, Ended::Closed(code::NO_ERROR));
    }
    let line = house.process.wait_for_words("/begin-and-wait");
    assert!(line.contains("\"end\":\"drained\""), "{line}");
    // QUIC keeps what is left of a connection for some round trips.
    let is_free = (0..400).any(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        UdpSocket::bind(house.address).is_ok()
    });
    assert!(is_free, "the port is still taken");
    // And it may come back.
    let text = configuration(house.address, global, "", &house.origin);
    std::fs::write(house.process.folder().join("doorman.conf"), text).expect("a file");
    house.process.signal(Signal::HUP).expect("the process runs");
    let _ = house.process.wait_for_words("configuration 3 is in force");
    house.still_serves();
}

#[test]
fn a_drain_says_goaway_twice_serves_what_was_asked_and_closes() {
    let house = house();
    let client = house.raw();
    // Our control stream: type, SETTINGS.
    let (mut control, preface) = client.accept(10).unwrap();
    assert_eq!(preface[..2], [0, 4], "{preface:?}");
    let mut held = client.request(&house.get("/hold")).unwrap();
    house.origin.wait_for_requests(1);
    house.process.signal(Signal::TERM).unwrap();
    let first = client.take(&mut control, 10).unwrap();
    let (announced, _) = read_varint(&first[2..]).unwrap();
    assert_eq!((first[0], announced), (7, (1 << 62) - 4));
    let second = client.take(&mut control, 3).unwrap();
    assert_eq!(second, [7, 1, 4], "one stream was taken");
    // What comes behind is turned away untouched, so that it may be sent elsewhere.
    let late = client.outcome(&house.get("/late")).unwrap();
    assert_eq!(late, (None, Ended::Reset(code::REQUEST_REJECTED)));
    house.origin.release();
    let (_, ended) = client.read(&mut held).unwrap();
    assert_eq!(ended, Ended::Whole);
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::NO_ERROR));
    assert_eq!(house.origin.requests().len(), 1);
}

#[test]
fn a_drain_that_is_hurried_closes_at_once() {
    let house = house();
    let client = house.raw();
    let mut held = client.request(&house.get("/wait")).unwrap();
    house.origin.wait_for_requests(1);
    house.process.signal(Signal::INT).unwrap();
    let (_, ended) = client.read(&mut held).unwrap();
    assert_eq!(ended, Ended::Closed(code::NO_ERROR));
    house.origin.wait_for_open(0);
}

#[test]
fn a_client_that_leaves_is_let_go() {
    let house = house();
    let client = house.silent();
    let goaway = [vec![0], frame(kind::SETTINGS, &[]), frame(kind::GOAWAY, &[0])].concat();
    let control = client.unidirectional(&goaway).unwrap();
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::NO_ERROR));
    drop(control);
}

#[test]
fn an_idle_connection_ends_with_no_error() {
    let house =
        house_with("workers 1; timeouts { keep-alive 300ms }", Origin::start(answering(by_path())));
    let client = house.raw();
    assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::NO_ERROR));
}

#[test]
fn requests_per_connection_are_bounded() {
    let house = house_with(
        "workers 1; limits { requests-per-connection 3 }",
        Origin::start(answering(by_path())),
    );
    let client = house.raw();
    for _ in 0..3 {
        assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    }
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::NO_ERROR));
}

/// The kernel sends a client's new address to a core of its choice: with four of them, eight moves
/// stay with the first one once in 65,000 runs.
#[test]
fn a_client_may_move_and_finds_its_core_h3q_06() {
    let house = house_with("workers 4", Origin::start(answering(by_path())));
    let mut client = house.h3();
    for n in 0..8 {
        let reply = client.get(&house.uri(&format!("/{n}"))).unwrap();
        assert_eq!((reply.status, reply.error), (200, None));
        client.rebind().unwrap();
    }
    let reply = client.get(&house.uri("/big/1000000")).unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 1_000_000));
    assert!(house.metric("doorman_quic_datagrams_total{result=\"passed\"}") > 0);
    // One connection all the time, and rules and logs go by the address that was proved.
    let _ = house.process.wait_for_words("/big/1000000");
    let said = house.process.said();
    let lines = said.iter().filter(|line| line.contains("HTTP/3"));
    assert!(lines.clone().all(|line| line.contains("\"client\":\"127.0.0.1\"")), "{said:?}");
    assert_eq!(lines.count(), 9);
}

#[test]
fn every_core_has_its_clients() {
    let house = house_with("workers 4", Origin::start(answering(by_path())));
    for _ in 0..12 {
        house.still_serves();
    }
}
