//! Every wait has a deadline, and its end is seen by both sides.

use std::time::{Duration, Instant};

use crate::rig::client::once;
use crate::rig::origin::reply;
use crate::rig::{Ask, Client, Failure, House, Origin, Pair, Wire, all_pairs, h1_pairs};

all_pairs!(
    an_origin_that_never_answers_is_504,
    upb_06_an_origin_that_stalls_in_a_body_is_cut_off,
    upb_26_a_head_that_drips_has_an_end,
    a_body_that_drips_has_an_end_where_the_route_says_so,
    a_whole_head_deadline_covers_all
);
h1_pairs!(
    a_slow_head_is_408,
    h1p_09_a_body_that_stops_is_408,
    a_declared_body_that_drips_is_408_rxc_02,
    a_body_in_pieces_with_pauses_is_taken,
    an_idle_connection_is_closed,
);

/// The most that a machine under load may add.
const SLACK: Duration = Duration::from_secs(8);

fn an_origin_that_never_answers_is_504(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.request()?;
        talk.wire.more().map(drop)
    });
    let house = House::before(pair, &origin, "timeout head 300ms");
    let begun = Instant::now();
    let reply = once(&house, &Ask::get("/")).expect("an answer");
    assert_eq!(reply.status, 504);
    assert!(begun.elapsed() < SLACK && begun.elapsed() >= Duration::from_millis(290));
    origin.wait("end of the connection", |book| book.open == 0);
    house.logged(&["\"status\":504", "no response in time"]);
}

fn upb_06_an_origin_that_stalls_in_a_body_is_cut_off(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nand then")?;
        talk.wire.more().map(drop)
    });
    let house = House::before(pair, &origin, "timeout idle 300ms");
    let begun = Instant::now();
    match once(&house, &Ask::get("/")) {
        Err(Failure::Cut(200, _) | Failure::NoResponse(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() < SLACK);
    origin.wait("end of the connection", |book| book.open == 0);
}

/// `timeout response` covers the whole answer: bytes that keep coming do not prolong it.
fn a_body_that_drips_has_an_end_where_the_route_says_so(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")?;
        loop {
            talk.wire.wait_at_most(Duration::from_millis(50));
            match talk.wire.more() {
                Err(error) if !crate::rig::origin::is_end(&error) => talk.send("x")?,
                _ => return Ok(()),
            }
        }
    });
    let house = House::before(pair, &origin, "timeout response 2s");
    let begun = Instant::now();
    match once(&house, &Ask::get("/")) {
        Err(Failure::Cut(200, _) | Failure::NoResponse(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() < SLACK && begun.elapsed() >= Duration::from_millis(1990));
    origin.wait("end of the connection", |book| book.open == 0);
    house.logged(&["\"end\":\"upstream-timeout\""]);
}

/// One byte now and then is no progress: the head's deadline is absolute.
fn upb_26_a_head_that_drips_has_an_end(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nX-Slow: ")?;
        loop {
            talk.wire.wait_at_most(Duration::from_millis(50));
            match talk.wire.more() {
                Err(error) if !crate::rig::origin::is_end(&error) => talk.send("x")?,
                _ => return Ok(()),
            }
        }
    });
    let house = House::before(pair, &origin, "timeout response 500ms");
    let begun = Instant::now();
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").status, 504);
    assert!(begun.elapsed() < SLACK);
}

/// A deadline is the request's own: it does not end the connection to the client.
fn a_whole_head_deadline_covers_all(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(seen) = talk.request()? {
            if seen.target() == "/hang" {
                return talk.wire.more().map(drop);
            }
            talk.send(reply("200 OK", "", b"fine"))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "timeout response 2s");
    let mut client = Client::connect(&house);
    for _ in 0..2 {
        assert_eq!(client.ask(&Ask::get("/hang")).status, 504);
        assert_eq!(client.ask(&Ask::get("/")).text(), "fine");
    }
}

fn timed(pair: Pair, timeouts: &str) -> (Origin, House) {
    let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"fine"));
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    let house = House::with(pair, &format!("timeouts {{ {timeouts} }}"), &text);
    (origin, house)
}

fn a_slow_head_is_408(pair: Pair) {
    let (origin, house) = timed(pair, "head 400ms");
    let mut client = Wire::connect(&house);
    client.send("GET / HTTP/1.1\r\nHost: local").unwrap();
    let begun = Instant::now();
    let reply = client.reply("GET").expect("an answer");
    assert_eq!((reply.status, reply.field("connection")), (408, Some("close")));
    assert!(begun.elapsed() < SLACK);
    assert_eq!(client.rest().0, b"");
    // Bytes that drip in do not move the deadline.
    let mut client = Wire::connect(&house);
    client.wait_at_most(Duration::from_millis(50));
    let begun = Instant::now();
    while client.send("G").is_ok() && begun.elapsed() < SLACK {
        match client.more() {
            Err(error) if !crate::rig::origin::is_end(&error) => {}
            _ => break,
        }
    }
    assert!(begun.elapsed() < SLACK, "still open");
    assert!(origin.seen().is_empty());
}

fn h1p_09_a_body_that_stops_is_408(pair: Pair) {
    let (origin, house) = timed(pair, "body-idle 400ms");
    for head in ["", "Expect: 100-continue\r\n"] {
        let mut client = Wire::connect(&house);
        client
            .send(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 10\r\n\r\n"))
            .unwrap();
        if head.is_empty() {
            client.send("half").unwrap();
        }
        let begun = Instant::now();
        let reply = client.reply("POST").expect("an answer");
        assert_eq!((reply.status, reply.field("connection")), (408, Some("close")), "{head:?}");
        assert!(begun.elapsed() < SLACK);
    }
    origin.wait("end of the connections", |book| book.open == 0);
}

/// A byte now and then is no progress: a client that has said how much it sends has to send.
fn a_declared_body_that_drips_is_408_rxc_02(pair: Pair) {
    let (origin, house) = timed(pair, "body-idle 400ms");
    let mut client = Wire::connect(&house);
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n").unwrap();
    client.wait_at_most(Duration::from_millis(50));
    let begun = Instant::now();
    while client.send("x").is_ok() && begun.elapsed() < SLACK {
        match client.more() {
            Err(error) if !crate::rig::origin::is_end(&error) => {}
            _ => break,
        }
    }
    assert!(begun.elapsed() < SLACK, "still open");
    house.logged(&["\"status\":408", "client-timeout"]);
    origin.wait("end of the connections", |book| book.open == 0);
}

/// What counts is how much comes while it is waited for, not how long it takes.
fn a_body_in_pieces_with_pauses_is_taken(pair: Pair) {
    const PIECE: usize = 16 * 1024;
    let (_origin, house) = timed(pair, "body-idle 1s");
    let mut client = Wire::connect(&house);
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\n";
    client.send(format!("{head}Content-Length: {}\r\n\r\n", 6 * PIECE)).unwrap();
    client.wait_at_most(Duration::from_millis(300));
    for _ in 0..6 {
        // A while without a byte, again and again, and longer than the bound in all.
        assert!(client.more().is_err(), "no answer yet");
        client.send(vec![b'x'; PIECE]).unwrap();
    }
    client.wait_at_most(SLACK);
    assert_eq!(client.reply("POST").expect("an answer").status, 200);
}

fn an_idle_connection_is_closed(pair: Pair) {
    let (_origin, house) = timed(pair, "keep-alive 2s");
    let mut client = Wire::connect(&house);
    assert_eq!(client.ask(Ask::get("/").bytes()).text(), "fine");
    let begun = Instant::now();
    let (rest, end) = client.rest();
    assert_eq!(rest, b"");
    end.expect("an orderly end");
    assert!(begun.elapsed() < SLACK);
}
