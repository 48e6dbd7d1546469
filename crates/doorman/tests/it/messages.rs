//! Requests in every shape: pipelined, old, absolute, malformed. What is malformed is refused, the
//! connection is closed, the log says why, and the origin sees nothing (invariant I1).

use std::time::Duration;

use crate::rig::origin::reply;
use crate::rig::{Ask, Front, House, Origin, Pair, Wire, h1_pairs};

h1_pairs!(
    h1p_03_pipelined_answers_keep_their_order,
    h1p_04_bursts_between_pauses,
    h1p_02_nothing_is_served_behind_close,
    http_1_0_is_served,
    absolute_form_and_options,
    h1p_12_connect_is_refused,
    malformed_requests_never_reach_the_origin,
    h1f_31_unread_bodies_are_not_requests,
);

fn echo(pair: Pair) -> Origin {
    Origin::serving(pair.back, |seen| reply("200 OK", "", seen.target().as_bytes()))
}

fn h1p_03_pipelined_answers_keep_their_order(pair: Pair) {
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    let mut all = Vec::new();
    for n in 0..100 {
        let ask = if n % 3 == 0 {
            Ask::post(&format!("/{n}"), "body")
        } else {
            Ask::get(&format!("/{n}"))
        };
        all.extend_from_slice(&ask.bytes());
    }
    client.send(all).unwrap();
    for n in 0..100 {
        assert_eq!(client.reply("GET").expect("an answer").text(), format!("/{n}"));
    }
    assert_eq!(client.ask(Ask::get("/later").bytes()).text(), "/later");
}

/// A connection gives its buffer back while it is idle, and must find its place again.
fn h1p_04_bursts_between_pauses(pair: Pair) {
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    for round in 0..12u64 {
        origin.pause(Duration::from_millis(round * 3));
        let paths: Vec<_> = (0..=round * 2).map(|n| format!("/{round}/{n}")).collect();
        let all: Vec<u8> = paths.iter().flat_map(|path| Ask::get(path).bytes()).collect();
        // In two pieces that no request's end divides, with another pause between.
        let (first, second) = all.split_at(all.len() * 2 / 3 + 1);
        client.send(first).unwrap();
        origin.pause(Duration::from_millis(round));
        client.send(second).unwrap();
        for path in &paths {
            assert_eq!(&client.reply("GET").expect("an answer").text(), path);
        }
    }
}

/// What a flood of requests may cost in memory.
const GROWTH_MAX: u64 = 16 << 20;

/// A client that asks and does not read is not read from either.
#[test]
fn h1p_05_a_pipelining_flood_waits_for_its_reader() {
    const FLOOD: usize = 20_000;
    let text = format!("@SITE {{ respond 200 {} }}", "x".repeat(4096));
    let house = House::with(Pair::PLAIN, "", &text);
    let before = house.resident();
    let mut client = Wire::connect(&house);
    let all = Ask::get("/").bytes().repeat(FLOOD);
    let sent = client.send_until_stuck(&all);
    let grown = house.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    // Reading brings the rest on its way.
    let whole = sent / Ask::get("/").bytes().len();
    assert!(whole > 0 && house.log().len() < whole, "all was answered that nobody read");
    for n in 0..whole {
        let reply = client.reply("GET").unwrap_or_else(|failure| panic!("{n}: {failure:?}"));
        assert_eq!(reply.body().len(), 4096);
    }
}

fn h1p_02_nothing_is_served_behind_close(pair: Pair) {
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    let first = Ask::get("/first").field("Connection", "close").bytes();
    client.send([first, Ask::get("/canary").bytes()].concat()).unwrap();
    let reply = client.reply("GET").expect("an answer");
    assert_eq!((reply.text().as_str(), reply.field("connection")), ("/first", Some("close")));
    assert_eq!(client.rest().0, b"");
    assert_eq!(origin.seen().len(), 1);
}

fn http_1_0_is_served(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        if seen.target() == "/chunked" {
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n"
                .to_vec();
        }
        reply("200 OK", "", b"old")
    });
    let house = House::before(pair, &origin, "");
    // Without a Host only a site for all hosts can be meant.
    let host = if pair.front == Front::H1 { "" } else { "Host: localhost\r\n" };
    let mut client = Wire::connect(&house);
    let answer = client.ask(format!("GET / HTTP/1.0\r\n{host}\r\n"));
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("old", None));
    assert_eq!(client.rest().0, b"", "closed, as 1.0 does");
    // An old client gets no chunks, but the bytes until the end.
    let mut client = Wire::connect(&house);
    let answer = client.ask("GET /chunked HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("old", None));
    let mut client = Wire::connect(&house);
    for _ in 0..2 {
        let answer =
            client.ask("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(
            (answer.text().as_str(), answer.field("connection")),
            ("old", Some("keep-alive"))
        );
    }
}

fn absolute_form_and_options(pair: Pair) {
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    let scheme = if pair.front == Front::H1 { "http" } else { "https" };
    let port = house.address.port();
    let ask = format!("GET {scheme}://localhost:{port}/abs?q HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(client.ask(ask).text(), "/abs?q");
    let head = origin.seen()[0].head.clone();
    assert_eq!(head.all("host"), [format!("localhost:{port}")], "the target's host wins");
    // Who names two hosts goes alone.
    assert_eq!(client.rest().0, b"");
    let mut client = Wire::connect(&house);
    assert_eq!(client.ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").text(), "*");
}

fn h1p_12_connect_is_refused(pair: Pair) {
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    let hidden = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client
        .send(format!("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"))
        .unwrap();
    let reply = client.reply("GET").expect("an answer");
    assert!(matches!(reply.status, 400 | 405 | 501), "{}", reply.status);
    assert_eq!(client.rest().0, b"");
    assert_eq!(origin.seen().len(), 0);
}

/// H1P-01: and nothing behind one is served.
fn malformed_requests_never_reach_the_origin(pair: Pair) {
    let canary = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let rows: [(&str, u16); 24] = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n", 400),
    ];
    let origin = echo(pair);
    let house = House::before(pair, &origin, "");
    for (n, (request, status)) in rows.into_iter().enumerate() {
        let mut client = Wire::connect(&house);
        client.send(format!("{request}{canary}")).unwrap();
        let reply =
            client.reply("GET").unwrap_or_else(|failure| panic!("{request:?}: {failure:?}"));
        let near =
            matches!((status, reply.status), (505, 400) | (501, 400)) || reply.status == status;
        assert!(near, "{request:?}: {}", reply.status);
        assert_eq!(reply.field("connection"), Some("close"), "{request:?}");
        assert_eq!(client.rest().0, b"", "{request:?} is followed by nothing");
        let id = reply.field("x-request-id").expect("an id").to_owned();
        let line = house.logged(&[&id]);
        assert!(line.contains("\"detail\":\"") && line.contains("malformed"), "{n}: {line}");
    }
    assert_eq!(origin.seen().len(), 0, "{:?}", origin.seen());
    assert_eq!(origin.book().received.len(), 0, "not even a connection");
    let long = "x".repeat(100_000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200)), 431),
    ] {
        let mut client = Wire::connect(&house);
        let _ = client.send(&request);
        let reply = client.reply("GET").unwrap_or_else(|failure| panic!("{status}: {failure:?}"));
        assert_eq!(reply.status, status);
    }
    // A body that breaks off its framing within the stream of an exchange.
    for body in ["5\r\nhelloX", "g\r\n", "5;\0\r\nhello\r\n", "FFFFFFFFFFFFFFFFF\r\n"] {
        let mut client = Wire::connect(&house);
        let head = "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{body}{canary}")).unwrap();
        let reply = client.reply("GET").unwrap_or_else(|failure| panic!("{body:?}: {failure:?}"));
        assert_eq!(reply.status, 400, "{body:?}");
        assert_eq!(client.rest().0, b"");
    }
    assert!(origin.seen().is_empty(), "no whole request came");
}

/// H1F-32: what a refusal leaves unread is drained or dies with the connection.
fn h1f_31_unread_bodies_are_not_requests(pair: Pair) {
    let origin = echo(pair);
    let house =
        House::before(pair, &origin, "route /no { respond 403 }\nroute /go { redirect /there }");
    let hidden = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (path, status) in [("/no", 403), ("/go", 302)] {
        for ask in [Ask::post(path, hidden), Ask::new("PUT", path).chunked(vec![hidden.into()])] {
            let mut client = Wire::connect(&house);
            client.send([ask.bytes(), Ask::get("/next").bytes()].concat()).unwrap();
            assert_eq!(client.reply("GET").expect("an answer").status, status);
            assert_eq!(client.reply("GET").expect("an answer").text(), "/next");
        }
        // Content of a GET may hide what stands behind it, so nothing behind it is read.
        let ask = Ask::new("GET", path).chunked(vec![hidden.into()]);
        let mut client = Wire::connect(&house);
        client.send([ask.bytes(), Ask::get("/next").bytes()].concat()).unwrap();
        assert_eq!(client.reply("GET").expect("an answer").status, status);
        assert_eq!(client.rest().0, b"");
    }
    assert!(origin.seen().iter().all(|seen| seen.target() == "/next"), "{:?}", origin.seen());
}
