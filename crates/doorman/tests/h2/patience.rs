//! How long the program waits for a client, and how it goes.

use doorman_testkit::h2::{Frame, PREFACE, flag, kind};
use doorman_testkit::origin::{Origin, answering, big};
use rustix::process::Signal;

use crate::rig::{House, INITIAL_WINDOW, Over, code, data, house, house_with, open_headers};

/// Waits that are short enough to be waited for.
const SHORT: &str = "  timeouts { head 1s; body-idle 1s; write-idle 1s; keep-alive 2s }";

fn short() -> House {
    house_with(SHORT, Origin::start(answering(big(7, 50_000_000))))
}

#[test]
fn a_preface_has_to_come_h2d_40() {
    let house = short();
    for bytes in [&b""[..], b"PRI * HTT", b"GET / HTTP/1.1\r\n\r\n", PREFACE] {
        let mut client = house.silent();
        client.raw.send(bytes).expect("a connection");
        // What counts is that it ends.
        let _ = client.farewell();
    }
    house.still_serves_big();
}

impl House {
    /// The origin of these tests sends more than a client wants to read.
    fn still_serves_big(&self) {
        let mut client = self.client();
        let get = client.get(1, "/");
        client.send(&[get]);
        while client.frame().expect("frames").kind != kind::DATA {}
    }
}

#[test]
fn an_idle_connection_ends_and_pings_do_not_prolong_it_h2d_43() {
    let house = short();
    let mut client = house.client();
    assert_eq!(client.farewell(), Some(code::NO_ERROR));
    let mut client = house.client();
    // Answers every PING with the next, for as long as the connection lives.
    client.send(&[Frame::new(kind::PING, 0, 0, [1; 8])]);
    let mut goodbye = false;
    while let Ok(frame) = client.frame() {
        goodbye |= frame.kind == kind::GOAWAY;
        if frame.kind == kind::PING && !goodbye {
            // One PING for a PING would be a flood: only as many as the budget bears.
            let _ = client.raw.call(async |wire| {
                let pause = wire.more();
                let _ = tokio_timeout(pause).await;
                Ok(())
            });
            client.send(&[Frame::new(kind::PING, 0, 0, [1; 8])]);
        }
    }
    assert!(goodbye, "the connection was idle");
}

/// Waits for bytes for a twentieth of a second.
async fn tokio_timeout(wait: impl Future<Output = bool>) -> Option<bool> {
    tokio::time::timeout(std::time::Duration::from_millis(50), wait).await.ok()
}

#[test]
fn the_rest_of_a_head_has_to_come_h2d_09() {
    let house = short();
    let fields: &[(&[u8], &[u8])] = &[(b":method", b"GET")];
    let open = open_headers(3, fields);
    let cut = Frame::headers(3, 0, fields).bytes();
    for busy in [false, true] {
        for bytes in [open.bytes(), cut[..cut.len() - 1].to_vec(), cut[..9].to_vec()] {
            let mut client = house.greeted(&[]);
            if busy {
                // A response that stands still must not keep the block open.
                let get = client.get(1, "/");
                client.send(&[get]);
            }
            client.raw.send(&bytes).expect("a connection");
            assert_eq!(client.farewell(), Some(code::ENHANCE_YOUR_CALM), "busy: {busy}");
        }
    }
}

#[test]
fn a_response_that_nobody_takes_is_given_up_h2d_25_26() {
    let house = short();
    for window in [0, 1, 1000] {
        let mut client = house.greeted(&[(INITIAL_WINDOW, window)]);
        let get = client.get(1, "/");
        client.send(&[get]);
        let outcome = client.outcome(1);
        assert!(matches!(outcome.over, Over::Reset(_)), "{window}: {outcome:?}");
        assert!(outcome.body.len() <= window as usize);
        house.origin.wait_for_open(0);
    }
    // A window that opens by a byte for each byte: the client is never silent, but too slow.
    let mut client = house.greeted(&[(INITIAL_WINDOW, 1)]);
    let get = client.get(1, "/");
    client.send(&[get]);
    let over = loop {
        let frame = client.frame().expect("a frame");
        match frame.kind {
            kind::DATA => {
                let _ = client.raw.call(async |wire| {
                    let _ = tokio_timeout(wire.more()).await;
                    Ok(())
                });
                client.send(&[Frame::window(1, 1)]);
            }
            kind::RST_STREAM | kind::GOAWAY => break frame.kind,
            _ => {}
        }
    };
    assert_eq!(over, kind::RST_STREAM);
    house.origin.wait_for_open(0);
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let house = short();
    let mut client = house.client();
    let get = client.get(1, "/");
    client.send(&[get]);
    house.origin.wait_for_requests(1);
    // Nothing is read: the socket's buffers fill, and the origin is freed all the same.
    house.origin.wait_for_open(0);
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let house = house_with(SHORT, Origin::start(answering(doorman_testkit::origin::echo())));
    for length in [None, Some("9")] {
        let mut client = house.client();
        let fields: Vec<(&str, &str)> = length.iter().map(|n| ("content-length", *n)).collect();
        let head = client.post(1, "/", &fields);
        client.send(&[head, data(1, 0, b"hello")]);
        let outcome = client.outcome(1);
        assert_eq!(outcome.status, Some(408), "{outcome:?}");
        house.origin.wait_for_open(0);
    }
    assert!(
        house
            .origin
            .requests()
            .iter()
            .all(|seen| { seen.ending != doorman_testkit::reply::Ending::Complete })
    );
}

#[test]
fn negative_windows_are_waited_out_h2d_28() {
    let house = house();
    let mut client = house.greeted(&[(INITIAL_WINDOW, 10)]);
    let get = client.get(1, "/big/100");
    client.send(&[get]);
    while client.frame().expect("a frame").kind != kind::DATA {}
    // Ten were taken; now the window is ten below nothing, and comes back.
    client.send(&[
        Frame::settings(&[(INITIAL_WINDOW, 0)]),
        Frame::window(1, 5),
        Frame::settings(&[(INITIAL_WINDOW, 1000)]),
    ]);
    let outcome = client.outcome(1);
    assert_eq!((outcome.over, outcome.body.len()), (Over::Whole, 90));
}

#[test]
fn a_drain_lets_streams_finish() {
    let mut house = house();
    let mut client = house.client();
    let get = client.get(1, "/hold");
    client.send(&[get]);
    house.origin.wait_for_requests(1);
    house.process.signal(Signal::TERM).expect("it runs");
    let goodbye = client
        .raw
        .call(async |wire| wire.frames_until(|frame| frame.kind == kind::GOAWAY).await)
        .expect("GOAWAY");
    assert_eq!(goodbye.last().and_then(Frame::code), Some(code::NO_ERROR));
    house.origin.release();
    let outcome = client.outcome(1);
    assert_eq!((outcome.status, outcome.over), (Some(200), Over::Whole));
    let _ = client.farewell();
    assert!(house.process.wait().expect("it ends").success());
}

/// What a client had on its way when it heard that we leave must not reset the connection: a reset
/// may take an answer along that it has not read yet.
#[test]
fn what_crosses_with_the_goodbye_resets_nothing() {
    let mut house = house();
    let mut client = house.client();
    client.send(&[client.get(1, "/")]);
    assert_eq!(client.outcome(1).over, Over::Whole);
    house.process.signal(Signal::TERM).expect("it runs");
    let goodbye = client.raw.call(async |wire| {
        wire.frames_until(|frame| frame.kind == kind::PING).await?;
        wire.frame().await
    });
    assert_eq!(goodbye.expect("GOAWAY").code(), Some(code::NO_ERROR));
    assert_eq!(client.farewell(), None);
    for _ in 0..3 {
        let ping = Frame::new(kind::PING, 0, 0, [1; 8]).bytes();
        client.raw.send(ping).expect("a connection that is closed on one side only");
    }
    drop(client);
    assert!(house.process.wait().expect("it ends").success());
}

#[test]
fn a_connection_brings_so_many_requests() {
    let global = "  limits { requests-per-connection 3 }";
    let house = house_with(global, Origin::start(answering(doorman_testkit::origin::echo())));
    let mut client = house.client();
    let gets: Vec<Frame> = [1, 3, 5].iter().map(|id| client.get(*id, "/")).collect();
    client.send(&gets);
    let mut ends = 0;
    let mut goodbye = false;
    while let Ok(frame) = client.frame() {
        ends += usize::from(frame.kind == kind::DATA && frame.flags & flag::END_STREAM != 0);
        goodbye |= frame.kind == kind::GOAWAY;
        if frame.kind == kind::PING && frame.flags & flag::ACK == 0 {
            client.send(&[Frame::new(kind::PING, flag::ACK, 0, frame.payload)]);
        }
    }
    assert_eq!((ends, goodbye), (3, true));
}
