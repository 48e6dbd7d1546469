//! Copies of requests to another upstream, of which clients notice nothing.

use std::sync::Arc;

use doorman_testkit::origin::{Answer, Script, Step, reply};
use doorman_testkit::raw::Raw;
use doorman_testkit::sums::Pattern;

use crate::rig::{FRONTS, Front, House, number};

const UPSTREAMS: &str = "upstream web { server @0 }\nupstream copies { server @1 }";

fn mirrored(house: &House, result: &str) -> u64 {
    let site = format!("site=\"http://localhost:{}\",route=\"*\"", house.plain.port());
    house.metric(&format!("doorman_mirror_requests_total{{{site},result=\"{result}\"}}"))
}

/// Takes everything and never answers.
fn silent() -> Answer {
    Arc::new(|_| Script::new().then(Step::ReadEnd))
}

fn post(house: &House, head: &str, body: &[u8]) -> u16 {
    let mut raw = Raw::connect(house.plain).expect("a connection");
    let head =
        format!("POST /p?q=1 HTTP/1.1\r\nHost: localhost:{}\r\n{head}\r\n", house.plain.port());
    raw.exchange([head.as_bytes(), body].concat()).expect("a response").status
}

#[test]
fn a_copy_is_the_request_with_a_mark() {
    let house = House::start(vec![number(0), number(1)], UPSTREAMS, "proxy web; mirror copies");
    for (n, front) in FRONTS.into_iter().enumerate() {
        let said = house.ask(front, "/page?x=1", &[("x-own", "yes"), ("cookie", "a=1")]);
        assert_eq!((said.status, said.who()), (200, 0), "{front:?}");
        house.origin(1).wait_for_requests(n + 1);
        let (own, copy) = (house.origin(0).requests(), house.origin(1).requests());
        let (own, copy) = (&own[n], &copy[n]);
        assert_eq!(copy.line, own.line);
        assert_eq!(copy.field("x-mirror"), Some("1"));
        assert_eq!(own.field("x-mirror"), None);
        for name in ["host", "x-own", "cookie", "x-forwarded-for", "x-request-id"] {
            assert_eq!(copy.field(name), own.field(name), "{name}");
        }
    }
    while mirrored(&house, "answered") < 1 {}
    house.process.wait_for_times("\"path\":\"/page\"", FRONTS.len());
    // An end writes what is left.
    let mut house = house;
    let _ = house.process.stop();
    let lines = house.process.said();
    let lines = lines.iter().filter(|line| line.contains("\"path\":\"/page\"")).count();
    assert_eq!(lines, FRONTS.len(), "copies are no requests of clients");
}

#[test]
fn bodies_are_copied_byte_for_byte_within_their_bound() {
    let route = "proxy web; mirror copies { body 100KiB }";
    let house = House::start(vec![number(0), number(1)], UPSTREAMS, route);
    let body = Pattern { seed: 3 }.bytes(100 * 1024);
    assert_eq!(post(&house, &format!("Content-Length: {}\r\n", body.len()), &body), 200);
    house.origin(1).wait_for_requests(1);
    let chunks = |body: &[u8]| {
        let mut all = Vec::new();
        for piece in body.chunks(7_001) {
            all.extend(format!("{:x}\r\n", piece.len()).bytes());
            all.extend(piece);
            all.extend(b"\r\n");
        }
        all.extend(b"0\r\n\r\n");
        all
    };
    assert_eq!(post(&house, "Transfer-Encoding: chunked\r\n", &chunks(&body)), 200);
    house.origin(1).wait_for_requests(2);
    for copy in house.origin(1).requests() {
        assert_eq!(copy.line, "POST /p?q=1 HTTP/1.1");
        assert_eq!(copy.body_length, body.len() as u64);
        assert_eq!(copy.body, body);
    }
    // A byte more is too much, said beforehand or found out on the way; the origin gets it all the same.
    let longer = Pattern { seed: 4 }.bytes(100 * 1024 + 1);
    assert_eq!(post(&house, &format!("Content-Length: {}\r\n", longer.len()), &longer), 200);
    assert_eq!(post(&house, "Transfer-Encoding: chunked\r\n", &chunks(&longer)), 200);
    let own = house.origin(0).requests();
    assert_eq!(own.len(), 4);
    assert!(own[2..].iter().all(|seen| seen.body == longer));
    assert_eq!((house.origin(1).requests().len(), mirrored(&house, "too-large")), (2, 2));
}

/// Nobody waits for a copy: with a mirror that takes every request and answers none, the first copies
/// are under way until their time is over, and all others are left out.
#[test]
fn a_mirror_that_hangs_holds_nobody_up() {
    let route = "proxy web; mirror copies { concurrency 5; timeout 10m }";
    let house = House::start(vec![number(0), silent()], UPSTREAMS, route);
    let said = house.ask_all((0..300).map(|_| String::new()));
    assert!(said.iter().all(|said| said.status == 200 && said.who() == 0));
    assert_eq!(mirrored(&house, "full"), 295);
    // And nothing of it holds up the end of the process.
    let mut house = house;
    assert!(house.process.stop().expect("it ends").success());
}

#[test]
fn a_mirror_that_is_dead_or_slow_fails_alone() {
    let route = "proxy web; mirror copies { timeout 100ms }";
    let mut house = House::start(vec![number(0), silent()], UPSTREAMS, route);
    assert_eq!(house.by(Front::Plain, "").status, 200);
    while mirrored(&house, "failed") < 1 {}
    house.stop_origin(1);
    let said = house.ask_all((0..300).map(|_| String::new()));
    assert!(said.iter().all(|said| said.status == 200 && said.who() == 0));
    while mirrored(&house, "failed") + mirrored(&house, "full") < 301 {}
    assert_eq!(house.metric("doorman_upstream_requests_total{upstream=\"web\""), 301);
}

#[test]
fn a_share_is_copied_and_a_copy_never_again() {
    let house = House::start(
        vec![number(0), number(1)],
        UPSTREAMS,
        "route /half { proxy web; mirror copies 50% }; route /off { proxy web; mirror off }
         mirror copies; proxy web",
    );
    let _ = house.ask_all((0..40).map(|_| "X-Mirror: 1\r\n".to_owned()));
    assert_eq!(house.ask(Front::Plain, "/off", &[]).status, 200);
    for _ in 0..200 {
        assert_eq!(house.ask(Front::Plain, "/half", &[]).status, 200);
    }
    assert_eq!(house.by(Front::Plain, "").status, 200);
    house.origin(1).wait_for_requests(1);
    let halves = |house: &House| {
        let seen = house.origin(1).requests();
        assert!(
            seen.iter().all(|seen| seen.field("x-mirror") == Some("1") && seen.target() != "/off")
        );
        seen.iter().filter(|seen| seen.target() == "/half").count()
    };
    while !house.origin(1).requests().iter().any(|seen| seen.target() == "/") {}
    assert!((60..140).contains(&halves(&house)), "{}", halves(&house));
    assert_eq!(
        house.origin(1).requests().len(),
        halves(&house) + 1,
        "what was marked is not copied"
    );
}

/// A mirror that leads back to the house itself makes one copy of each request and no more.
#[test]
fn a_mirror_of_itself_is_no_loop() {
    let echo: Answer = Arc::new(|_| reply("200 OK", "", b"0 "));
    let house = House::start(vec![echo], "upstream web { server @0 }", "proxy web; mirror @PLAIN");
    assert_eq!(house.by(Front::Plain, "").status, 200);
    house.origin(0).wait_for_requests(2);
    while mirrored(&house, "answered") < 1 {}
    assert_eq!(house.origin(0).requests().len(), 2);
}

#[test]
fn tunnels_are_not_copied() {
    let house = House::start(vec![number(0), number(1)], UPSTREAMS, "proxy web; mirror copies");
    let fields = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(house.ask(Front::Plain, "/", &fields).status, 200);
    assert_eq!(house.ask(Front::Plain, "/after", &[]).status, 200);
    house.origin(1).wait_for_requests(1);
    assert_eq!(house.origin(1).requests()[0].target(), "/after");
}
