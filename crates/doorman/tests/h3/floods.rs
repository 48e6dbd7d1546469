//! Floods: one budget for all of them, and the connection ends; memory stays where it was.

use doorman_testkit::h3::frames::{self, frame, kind, varint};
use doorman_testkit::h3::{Ended, RawH3};

use crate::rig::{House, code, house};

/// Rounds of every flood: several times what any budget allows.
const ROUNDS: usize = 3000;

/// Does `round` until the connection is closed, which must be for the load.
fn check(id: &str, round: impl Fn(&House, &RawH3, usize) -> std::io::Result<()>) {
    let house = house();
    let client = house.raw();
    let refused = (0..ROUNDS).find(|n| round(&house, &client, *n).is_err());
    assert!(refused.is_some(), "{id}: {ROUNDS} rounds were taken");
    assert_eq!(client.closed().expect(id), Ended::Closed(code::EXCESSIVE_LOAD), "{id}");
    // What was started is stopped.
    house.origin.wait_for_open(0);
    assert!(house.origin.requests().len() < 1000, "{id}: at the origin");
    house.still_serves();
}

#[test]
fn streams_that_are_reset_h3q_23_24() {
    check("at once", |house, client, _| {
        let mut stream = client.stream(&house.get("/wait"))?;
        client.cancel(&mut stream, 0x10c);
        Ok(())
    });
    check("behind their content", |house, client, _| {
        let head = house.post("/wait", &[("content-length", "9")]);
        let mut stream = client.stream(&[head, frame(kind::DATA, b"abc")].concat())?;
        client.cancel(&mut stream, 0x10c);
        Ok(())
    });
}

#[test]
fn malformed_requests_without_end_h3q_24() {
    let bad = frames::headers(&[(":method", "GET"), ("Bad", "x")]);
    check("malformed", |_, client, _| match client.outcome(&bad)?.1 {
        Ended::Reset(_) => Ok(()),
        ended => Err(std::io::Error::other(format!("{ended:?}"))),
    });
}

#[test]
fn frames_that_bring_nothing_h3q_26() {
    let unknown = frame(0x21, b"");
    let empty = frame(kind::DATA, b"");
    for (id, piece) in [("unknown frames", unknown), ("empty DATA", empty)] {
        let house = house();
        let client = house.raw();
        let head = house.post("/echo", &[]);
        let mut stream = client.stream(&head).unwrap();
        client.write(&mut stream, &piece.repeat(ROUNDS)).unwrap();
        assert_eq!(client.closed().expect(id), Ended::Closed(code::EXCESSIVE_LOAD), "{id}");
        house.still_serves();
    }
    let house = house();
    let client = house.silent();
    let control = [frames::control(&[]), frame(0x21, b"").repeat(ROUNDS)].concat();
    let stream = client.unidirectional(&control).unwrap();
    assert_eq!(client.closed().unwrap(), Ended::Closed(code::EXCESSIVE_LOAD), "control stream");
    drop(stream);
}

#[test]
fn streams_of_unknown_kinds_h3q_28() {
    check("unknown kinds", |_, client, n| {
        client.unidirectional(&varint(0x21 + 0x1F * n as u64)).map(drop)
    });
}

#[test]
fn a_cancelled_request_is_cancelled_at_the_origin_h3q_23() {
    let house = house();
    let client = house.raw();
    let get = house.get("/begin-and-wait");
    let mut stream = client.request(&get).unwrap();
    client.read_some(&mut stream, 10).unwrap();
    client.cancel(&mut stream, 0x10c);
    house.origin.wait_for_open(0);
    let line = house.process.wait_for_words("/begin-and-wait");
    assert!(line.contains("client-closed"), "{line}");
    // The request stands at every point of its way when it is given up.
    let post = [house.post("/wait", &[]), frame(kind::DATA, &[1; 40])].concat();
    for cut in 0..post.len() {
        let mut stream = client.stream(&post[..cut]).unwrap();
        client.cancel(&mut stream, 0x10c);
    }
    house.origin.wait_for_open(0);
    assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    house.still_serves();
}
