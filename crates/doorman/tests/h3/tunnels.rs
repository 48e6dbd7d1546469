//! WebSocket over HTTP/3 (RFC 9220), frame by frame. What is the same over every wire is told by the
//! stories of `tests/it/upgrades.rs`.

use std::sync::Arc;

use doorman_testkit::h3::frames::{self, frame, kind, read_varint};
use doorman_testkit::h3::{Ended, RawH3, RawStream};
use doorman_testkit::origin::{Origin, Script, Seen, Step, answering};
use doorman_testkit::websocket::accept;

use crate::rig::{House, code, house, house_with, house_with_site};

const VERSION: &[(&str, &str)] = &[("sec-websocket-version", "13")];

fn switch(seen: &Seen) -> String {
    let key = seen.field("sec-websocket-key").expect("a key");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    )
}

/// An origin that switches, sends `hello`, reads `bye`, says `seen`, reads the end, and says `last`.
fn polite() -> Origin {
    Origin::start(answering(Arc::new(|seen: &Seen| {
        if seen.field("upgrade").is_none() {
            return Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
        }
        Script::new()
            .send(switch(seen))
            .send("hello")
            .then(Step::ReadUntil(b"bye".to_vec()))
            .send("seen")
            .then(Step::ReadEnd)
            .send("last")
            .close()
    })))
}

fn data(bytes: &[u8]) -> Vec<u8> {
    frame(kind::DATA, bytes)
}

/// The fields of a CONNECT that asks for a WebSocket.
fn asked<'a>(authority: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", "/live?x=1"),
    ];
    [&pseudo[..], more].concat()
}

/// Asks for a tunnel and reads up to its opening.
fn open(house: &House, client: &RawH3) -> (RawStream, Reader) {
    let mut stream =
        client.stream(&frames::headers(&asked(&house.authority(), VERSION))).expect("a connection");
    let mut reader = Reader::default();
    let (kind, section) = reader.frame(client, &mut stream).expect("an answer");
    assert_eq!((kind, frames::status(&section)), (kind::HEADERS, Some(200)));
    (stream, reader)
}

/// Frames of a stream, as they come.
#[derive(Default)]
struct Reader {
    input: Vec<u8>,
}

impl Reader {
    fn frame(&mut self, client: &RawH3, stream: &mut RawStream) -> Result<(u64, Vec<u8>), Ended> {
        loop {
            if let Some((kind, payload)) = frames::frames(&self.input).into_iter().next() {
                let (_, rest) = read_varint(&self.input).expect("a whole frame");
                let (_, rest) = read_varint(rest).expect("a whole frame");
                let behind = self.input.len() - rest.len() + payload.len();
                self.input.drain(..behind);
                return Ok((kind, payload));
            }
            self.input.extend_from_slice(&client.more(stream).expect("patience")?);
        }
    }

    /// Reads so much of a tunnel.
    fn exactly(&mut self, client: &RawH3, stream: &mut RawStream, n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            let (kind, payload) = self.frame(client, stream).expect("an open tunnel");
            assert_eq!(kind, kind::DATA);
            bytes.extend_from_slice(&payload);
        }
        bytes
    }

    /// How a tunnel ends of which nothing more is expected.
    fn end(&mut self, client: &RawH3, stream: &mut RawStream) -> Ended {
        self.frame(client, stream).expect_err("the end")
    }
}

#[test]
fn we_say_that_we_take_tunnels() {
    let house = house();
    let (_control, preface) = house.raw().accept(10).unwrap();
    assert_eq!(preface[..2], [0, 4], "{preface:?}");
    // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220 section 5).
    assert_eq!(preface[8..], [8, 1], "{preface:?}");
}

#[test]
fn a_tunnel_lives_beside_other_streams_to_its_last_byte() {
    let house = house_with("workers 1", polite());
    let client = house.raw();
    let (mut stream, mut reader) = open(&house, &client);
    assert_eq!(reader.exactly(&client, &mut stream, 5), b"hello");
    assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    // A frame that nobody knows is not the tunnel's.
    client.write(&mut stream, &frame(0x21, b"grease")).unwrap();
    client.write(&mut stream, &data(b"b")).unwrap();
    client.write(&mut stream, &data(b"ye")).unwrap();
    assert_eq!(reader.exactly(&client, &mut stream, 4), b"seen");
    client.finish(&mut stream);
    assert_eq!(reader.exactly(&client, &mut stream, 4), b"last");
    assert_eq!(reader.end(&client, &mut stream), Ended::Whole);
    let requests = house.origin.requests();
    let seen = requests.iter().find(|seen| seen.field("upgrade").is_some()).expect("it came");
    assert_eq!((seen.method(), seen.target()), ("GET", "/live?x=1"));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    let line = house.process.wait_for_words("\"path\":\"/live\"");
    for word in ["\"status\":101", "\"end\":\"ok\"", "HTTP/3"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

/// What is sent ahead of the opening waits for it.
#[test]
fn what_is_sent_ahead_belongs_to_the_tunnel() {
    let house = house_with("workers 1", polite());
    let client = house.raw();
    let head = frames::headers(&asked(&house.authority(), VERSION));
    let mut stream = client.stream(&[head, data(b"bye")].concat()).unwrap();
    let mut reader = Reader::default();
    let (_, section) = reader.frame(&client, &mut stream).unwrap();
    assert_eq!(frames::status(&section), Some(200));
    assert_eq!(reader.exactly(&client, &mut stream, 9), b"helloseen");
}

/// RFC 8441 section 4, RFC 9114 sections 4.1.2, 4.3.1 and 4.4.
#[test]
fn heads_of_tunnels_are_judged_dgr_21() {
    let house = house_with("workers 1", polite());
    let authority = house.authority();
    let whole = asked(&authority, VERSION);
    let client = house.raw();
    let reset = (None, Ended::Reset(code::MESSAGE_ERROR));
    let check = |id: &str, fields: &[(&str, &str)], expected: &(Option<u16>, Ended)| {
        let mut stream = client.stream(&frames::headers(fields)).expect(id);
        let (bytes, ended) = client.read(&mut stream).expect(id);
        let heads = frames::frames(&bytes);
        let status = heads.first().and_then(|(_, section)| frames::status(section));
        assert_eq!((status, ended), *expected, "{id}: {fields:?}");
    };
    let without = |name: &str| -> Vec<(&str, &str)> {
        whole.iter().copied().filter(|(other, _)| *other != name).collect()
    };
    let with = |name: &'static str, value: &'static str| -> Vec<(&str, &str)> {
        whole
            .iter()
            .map(|(other, old)| (*other, if *other == name { value } else { *old }))
            .collect()
    };
    for name in [":method", ":scheme", ":authority", ":path"] {
        check("missing", &without(name), &reset);
    }
    // A CONNECT without :protocol has neither :scheme nor :path.
    check("no :protocol", &without(":protocol"), &reset);
    for method in ["GET", "POST", "TRACE", "OPTIONS"] {
        check(":protocol without CONNECT", &with(":method", method), &reset);
    }
    check("no scheme of ours", &with(":scheme", "http"), &reset);
    check("no scheme of ours", &with(":scheme", "wss"), &reset);
    check("no path", &with(":path", ""), &reset);
    check("no path", &with(":path", "*"), &reset);
    check("no path", &with(":path", "live"), &reset);
    check("no authority", &with(":authority", ""), &reset);
    check("no token", &with(":protocol", ""), &reset);
    check("no token", &with(":protocol", "web socket"), &reset);
    check("twice", &[&[(":protocol", "websocket")], &whole[..]].concat(), &reset);
    check(
        "behind a field",
        &[&without(":protocol")[..], &[(":protocol", "websocket")]].concat(),
        &reset,
    );
    check("a length", &[&whole[..], &[("content-length", "5")]].concat(), &reset);
    check("a length", &[&whole[..], &[("content-length", "0")]].concat(), &reset);
    check("an expectation", &[&whole[..], &[("expect", "100-continue")]].concat(), &reset);
    check("the fields of HTTP/1.1", &[&whole[..], &[("upgrade", "websocket")]].concat(), &reset);
    check("the fields of HTTP/1.1", &[&whole[..], &[("connection", "upgrade")]].concat(), &reset);
    let answered = |status| (Some(status), Ended::Whole);
    check("another protocol", &with(":protocol", "connect-udp"), &answered(501));
    check("another protocol", &with(":protocol", "webtransport"), &answered(501));
    check("an old version", &with("sec-websocket-version", "8"), &answered(400));
    let plain = [(":method", "CONNECT"), (":authority", "example.com:443")];
    check("a tunnel to anywhere", &plain, &answered(501));
    check("nowhere", &plain[..1], &reset);
    check("a scheme", &[&plain[..], &[(":scheme", "https")]].concat(), &reset);
    check("a path", &[&plain[..], &[(":path", "/")]].concat(), &reset);
    // It has ended before it begins.
    let ended = client.outcome(&frames::headers(&whole)).unwrap();
    assert_eq!(ended, answered(400));
    assert!(house.origin.requests().is_empty());
    house.still_serves();
}

/// A body behind a CONNECT that opens no tunnel is nobody's: neither a request nor content.
#[test]
fn a_body_behind_a_refused_connect_is_not_passed_on() {
    let house = house_with("workers 1", polite());
    let client = house.raw();
    let head = frames::headers(&[(":method", "CONNECT"), (":authority", "example.com:443")]);
    let outcome = client.outcome(&[head, data(b"GET /canary HTTP/1.1\r\n\r\n")].concat()).unwrap();
    assert_eq!(outcome, (Some(501), Ended::Whole));
    assert!(house.origin.requests().is_empty());
}

/// Only DATA, and what is unknown, goes through a tunnel (RFC 9114 section 4.4).
#[test]
fn other_frames_in_a_tunnel_end_the_connection() {
    let house = house_with("workers 1", polite());
    for other in [
        frames::headers(&[("sum", "5")]),
        frame(kind::SETTINGS, &[]),
        frame(kind::GOAWAY, &[0]),
        frame(0x2, &[0; 5]),
    ] {
        let client = house.raw();
        let (mut stream, _) = open(&house, &client);
        client.write(&mut stream, &other).unwrap();
        assert_eq!(client.closed().unwrap(), Ended::Closed(code::FRAME_UNEXPECTED), "{other:?}");
    }
    house.origin.wait_for_open(0);
}

/// DGR-21, DGR-22: what is no tunnel does not look like one.
#[test]
fn no_tunnel_without_a_switch_dgr_21_22() {
    type Answering = fn(&Seen) -> Script;
    let rows: [(&str, Answering, u16); 5] = [
        ("200", |_| Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"), 502),
        ("204", |_| Script::new().send("HTTP/1.1 204 No Content\r\n\r\n"), 502),
        ("403", |_| Script::new().send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), 403),
        (
            "another key's hash",
            |seen| {
                Script::new()
                    .send(switch(seen).replace("Accept: ", "Accept: A").replace("=\r", "\r"))
            },
            502,
        ),
        (
            "another protocol",
            |seen| Script::new().send(switch(seen).replace("websocket\r", "chess\r")),
            502,
        ),
    ];
    for (id, answer, expected) in rows {
        let house = house_with("workers 1", Origin::start(answering(Arc::new(answer))));
        let client = house.raw();
        let head = frames::headers(&asked(&house.authority(), VERSION));
        let mut stream = client.stream(&head).unwrap();
        let (bytes, ended) = client.read(&mut stream).unwrap();
        let heads = frames::frames(&bytes);
        assert_eq!(heads.first().and_then(|(_, section)| frames::status(section)), Some(expected));
        assert_eq!(ended, Ended::Whole, "{id}");
        let next = client.outcome(&house.get("/")).unwrap();
        assert!(next.0.is_some(), "{id}: the connection goes on: {next:?}");
    }
}

/// The house's own answers open no tunnel.
#[test]
fn an_answer_of_the_house_is_no_tunnel() {
    let house = house_with_site("workers 1", "  route * { respond 200 \"hello\" }");
    let client = house.raw();
    let head = frames::headers(&asked(&house.authority(), VERSION));
    let mut stream = client.stream(&head).unwrap();
    let (bytes, ended) = client.read(&mut stream).unwrap();
    let heads = frames::frames(&bytes);
    assert_eq!(heads.first().and_then(|(_, section)| frames::status(section)), Some(502));
    assert_eq!(ended, Ended::Whole);
}

/// RFC 9220 section 3: a reset is H3_REQUEST_CANCELLED, in both directions of the stream.
#[test]
fn a_tunnel_that_breaks_is_cancelled() {
    let origin = Origin::start(answering(Arc::new(|seen: &Seen| {
        Script::new().send(switch(seen)).then(Step::ReadUntil(b"bye".to_vec())).reset()
    })));
    let house = house_with("workers 1", origin);
    let client = house.raw();
    let (mut stream, mut reader) = open(&house, &client);
    client.write(&mut stream, &data(b"bye")).unwrap();
    let cancelled = Ended::Reset(code::REQUEST_CANCELLED);
    assert_eq!(reader.end(&client, &mut stream), cancelled);
    let mut told = Ended::Whole;
    while told == Ended::Whole {
        told = client.write(&mut stream, &data(b"more")).unwrap();
    }
    assert_eq!(told, cancelled, "the client is told to stop");
}

/// A client that gives up only what it sends has broken the tunnel as well.
#[test]
fn a_client_that_resets_its_half_breaks_the_tunnel() {
    let house = house_with("workers 1", polite());
    let client = house.raw();
    let (mut stream, mut reader) = open(&house, &client);
    assert_eq!(reader.exactly(&client, &mut stream, 5), b"hello");
    client.reset_half(&mut stream, u32::try_from(code::REQUEST_CANCELLED).unwrap());
    assert_eq!(reader.end(&client, &mut stream), Ended::Reset(code::REQUEST_CANCELLED));
    house.origin.wait_for_open(0);
    let line = house.process.wait_for_words("\"path\":\"/live\"");
    assert!(line.contains("client-closed"), "{line}");
}
