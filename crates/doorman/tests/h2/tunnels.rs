//! WebSocket over HTTP/2 (RFC 8441), to origins of both versions, and from HTTP/1.1 to origins that
//! speak HTTP/2.

use std::sync::Arc;

use doorman_testkit::h2::{Frame, flag, kind};
use doorman_testkit::origin::{Origin, Script, Seen, Step, answering};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use doorman_testkit::websocket::accept;
use rustix::process::Signal;

use crate::origin::{FrameOrigin, head};
use crate::peers;
use crate::rig::{Client, House, Over, code, data, house_with};

/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3).
const ENABLE_CONNECT: u16 = 8;

fn switch(seen: &Seen) -> String {
    let key = seen.field("sec-websocket-key").expect("a key");
    assert_eq!(key.len(), 24, "sixteen bytes");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    )
}

/// An origin that switches, sends `hello`, reads `bye` and the end, and says `last`.
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

/// CONNECT with these fields behind the pseudo-fields.
fn connect(house: &House, stream: u32, flags: u8, protocol: &str, more: &[(&str, &str)]) -> Frame {
    let authority = house.authority();
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"CONNECT"),
        (b":protocol", protocol.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/live?x=1"),
    ];
    fields.extend(more.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    Frame::headers(stream, flags, &fields)
}

const FIELDS: &[(&str, &str)] =
    &[("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"), ("origin", "https://a")];

/// Reads DATA of a stream until so much of it is there.
fn read(client: &mut Client, stream: u32, n: usize) -> String {
    let mut text = Vec::new();
    while text.len() < n {
        let frame = client.frame().expect("a frame");
        if frame.stream == stream {
            assert_eq!(
                frame.kind,
                kind::DATA,
                "{frame:?} behind {:?}",
                String::from_utf8_lossy(&text)
            );
            text.extend_from_slice(&frame.payload);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads the head of a response.
fn status(client: &mut Client, stream: u32) -> u16 {
    loop {
        let frame = client.frame().expect("a frame");
        if frame.stream == stream && frame.kind == kind::HEADERS {
            return frame.status().expect("a status");
        }
    }
}

#[test]
fn a_websocket_over_h2_reaches_an_h1_origin() {
    let house = house_with("", polite());
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    assert_eq!(read(&mut client, 1, 5), "hello");
    // Other streams go on beside it.
    let get = client.get(3, "/");
    client.send(&[get]);
    assert_eq!(client.outcome(3).status, Some(200));
    client.send(&[data(1, 0, b"bye")]);
    assert_eq!(read(&mut client, 1, 4), "seen");
    client.send(&[data(1, flag::END_STREAM, b"")]);
    let outcome = client.outcome(1);
    assert_eq!((&outcome.body[..], outcome.over), (&b"last"[..], Over::Whole));
    let seen = house.origin.requests();
    let seen = &seen[0];
    assert_eq!(seen.target(), "/live?x=1");
    assert_eq!(seen.method(), "GET");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    let line = house.process.wait_for_words("\"path\":\"/live\"");
    assert!(line.contains("\"status\":101") && line.contains("\"end\":\"ok\""), "{line}");
}

#[test]
fn we_say_that_we_take_tunnels() {
    let house = house_with("", polite());
    let mut client = house.client();
    let settings = client.frame().expect("SETTINGS");
    assert_eq!(settings.kind, kind::SETTINGS);
    let pair = [0, 8, 0, 0, 0, 1];
    assert!(settings.payload.chunks(6).any(|setting| setting == pair), "{:?}", settings.payload);
}

/// DGR-21, DGR-22: what is no tunnel does not look like one.
#[test]
fn dgr_21_22_no_tunnel_without_a_switch() {
    let rows: [(&str, fn(&Seen) -> Script, u16); 5] = [
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
        let house = house_with("", Origin::start(answering(Arc::new(answer))));
        let mut client = house.client();
        client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
        let outcome = client.outcome(1);
        assert_eq!(outcome.status, Some(expected), "{id}: {outcome:?}");
        let get = client.get(3, "/");
        client.send(&[get]);
        assert!(client.outcome(3).status.is_some(), "{id}: the connection goes on");
    }
}

#[test]
fn dgr_21_heads_of_tunnels_are_judged() {
    let house = house_with("", polite());
    let rows: [(&str, u8, &str, &[(&str, &str)], u16); 5] = [
        ("another protocol", 0, "connect-udp", FIELDS, 501),
        ("ended at once", flag::END_STREAM, "websocket", FIELDS, 400),
        ("an old version", 0, "websocket", &[("sec-websocket-version", "8")], 400),
        ("a length", 0, "websocket", &[("content-length", "5")], 400),
        ("an expectation", 0, "websocket", &[("expect", "100-continue")], 400),
    ];
    for (id, flags, protocol, fields, expected) in rows {
        let mut client = house.client();
        client.send(&[connect(&house, 1, flags, protocol, fields)]);
        let outcome = client.outcome(1);
        assert_eq!(outcome.status, Some(expected), "{id}: {outcome:?}");
    }
    assert!(house.origin.requests().is_empty());
    house.still_serves();
}

/// The client resets its stream: the origin's connection closes. The origin resets its connection:
/// the stream is reset.
#[test]
fn a_tunnel_that_breaks_breaks_on_both_sides() {
    let house = house_with("", polite());
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    client.send(&[Frame::reset(1, 8)]);
    house.origin.wait_for_open(0);
    let origin = Origin::start(answering(Arc::new(|seen: &Seen| {
        Script::new().send(switch(seen)).then(Step::ReadUntil(b"bye".to_vec())).reset()
    })));
    let house = house_with("", origin);
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    client.send(&[data(1, 0, b"bye")]);
    assert_eq!(client.outcome(1).over, Over::Reset(8));
}

/// A drain says GOAWAY, lets tunnels finish, and then ends.
#[test]
fn a_drain_lets_tunnels_finish() {
    let mut house = house_with("", polite());
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    assert_eq!(read(&mut client, 1, 5), "hello");
    house.process.signal(Signal::TERM).expect("a signal");
    loop {
        let frame = client.frame().expect("a frame");
        if frame.kind == kind::GOAWAY {
            assert_eq!(frame.code(), Some(code::NO_ERROR));
            break;
        }
    }
    client.send(&[data(1, 0, b"bye")]);
    let mut text = String::new();
    while text.len() < 4 {
        let frame = client.frame().expect("a frame");
        if frame.kind == kind::PING {
            // The second GOAWAY follows its answer.
            client.send(&[Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone())]);
        } else if frame.kind == kind::DATA {
            text += &String::from_utf8_lossy(&frame.payload);
        }
    }
    assert_eq!(text, "seen");
    client.send(&[data(1, flag::END_STREAM, b"")]);
    assert_eq!(client.outcome(1).body, b"last");
    assert!(house.process.wait().expect("an end").success());
}

/// A tunnel in which nothing moves is given up after `tunnel-idle`, and one in which something does
/// is not.
#[test]
fn a_tunnel_that_idles_is_given_up() {
    let house = house_with("timeouts { tunnel-idle 1s; body-idle 200ms }", polite());
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    assert_eq!(read(&mut client, 1, 5), "hello");
    assert_eq!(client.outcome(1).over, Over::Reset(8));
    let _ = house.process.wait_for_words("upstream-timeout");
}

/// The house's own answers open no tunnel.
#[test]
fn an_answer_of_the_house_is_no_tunnel() {
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock }}\n\
         site https://localhost:{} {{ tls internal; respond 200 \"hello\" }}\n",
        address.port()
    );
    let process = start(text, address);
    let origin = Origin::start(answering(doorman_testkit::origin::fixed("unused")));
    let house = House { process, address, origin };
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(client.outcome(1).status, Some(502));
}

fn start(text: String, address: std::net::SocketAddr) -> Process {
    Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address])
}

/// An origin that opens tunnels and sends everything back in upper case.
fn shouting(settings: &[(u16, u32)]) -> FrameOrigin {
    FrameOrigin::start(settings, |talk| {
        loop {
            let frame = talk.frame()?;
            let id = frame.stream;
            match frame.kind {
                kind::HEADERS if frame.flags & flag::END_STREAM != 0 => {
                    talk.answer(id, b"plain")?
                }
                kind::HEADERS => {
                    let fields = [("sec-websocket-protocol", "chat")];
                    talk.send(&[head(id, 0, "200", &fields)])?;
                }
                kind::DATA => {
                    let loud = frame.payload.to_ascii_uppercase();
                    let ends = frame.flags & flag::END_STREAM;
                    talk.send(&[Frame::new(kind::DATA, ends, id, loud)])?;
                }
                _ => {}
            }
        }
    })
}

fn before_h2(origin: &FrameOrigin, scheme: &str, tls: &str) -> (Process, std::net::SocketAddr) {
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock; log access json stdout }}\n\
         upstream o {{ server {}; protocol h2c }}\nsite {scheme}:{} {{ {tls}; proxy o }}\n",
        origin.address,
        address.port()
    );
    (start(text, address), address)
}

const ASK: &str = "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_websocket_over_h1_reaches_an_h2_origin() {
    let origin = shouting(&[(ENABLE_CONNECT, 1)]);
    let (process, address) = before_h2(&origin, "http://*", "forwarded off");
    let mut client = Raw::connect(address).expect("a connection");
    // What is sent ahead belongs to the tunnel.
    client.send(format!("{ASK}early")).expect("a connection");
    let answer = client.take_until(b"\r\n\r\n").expect("a head");
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    for line in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-protocol: chat",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
    ] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line}: {answer}");
    }
    assert_eq!(client.take_exactly(5).expect("bytes"), b"EARLY");
    client.send("more").expect("a connection");
    assert_eq!(client.take_exactly(4).expect("bytes"), b"MORE");
    client.finish().expect("a connection");
    assert_eq!(client.take_all().expect("an end").0, b"");
    drop(process);
}

#[test]
fn a_websocket_over_h2_reaches_an_h2_origin() {
    let origin = shouting(&[(ENABLE_CONNECT, 1)]);
    let (process, address) = before_h2(&origin, "https://localhost", "tls internal");
    let unused = Origin::start(answering(doorman_testkit::origin::fixed("unused")));
    let house = House { process, address, origin: unused };
    let mut client = house.client();
    for stream in [1, 3] {
        client.send(&[connect(&house, stream, 0, "websocket", FIELDS)]);
        assert_eq!(status(&mut client, stream), 200);
        client.send(&[data(stream, 0, b"quiet")]);
        assert_eq!(read(&mut client, stream, 5), "QUIET");
    }
    client.send(&[data(1, flag::END_STREAM, b"")]);
    assert_eq!(client.outcome(1).over, Over::Whole);
    client.send(&[Frame::reset(3, 8)]);
    origin.wait("a reset", |book| !book.resets.is_empty());
    assert_eq!(origin.book().connections, 1);
}

/// An origin that takes no tunnels gets the request without the upgrade, which it may ignore.
#[test]
fn an_origin_without_tunnels_gets_a_plain_request() {
    let origin = shouting(&[]);
    let (_process, address) = before_h2(&origin, "http://*", "forwarded off");
    let mut client = Raw::connect(address).expect("a connection");
    client.send(ASK).expect("a connection");
    let answer = client.take_until(b"plain").expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// A frame of a client (RFC 6455 section 5.2), under a mask of zeros.
fn message(opcode: u8, text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short one");
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], text].concat()
}

#[test]
fn a_real_server_and_a_real_client_see_no_difference() {
    let Some(python) = peers::python() else { return };
    let server = python.serve("websocket_server.py", []);
    let (plain, secure) = (free_address(), free_address());
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock; log access json stdout }}\n\
         upstream o {{ server {} }}\nsite http://*:{} {{ proxy o }}\n\
         site https://localhost:{} {{ tls internal; proxy o }}\n",
        server.address,
        plain.port(),
        secure.port()
    );
    let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[plain, secure]);
    let mut places = ["data/ca/root.pem", "data/ca/ca/root.pem"]
        .map(|place| process.folder().join(place))
        .into_iter();
    let root = places.find(|place| place.exists()).expect("an authority").display().to_string();
    // What it takes without us in between is what it takes through us.
    for arguments in [
        vec![format!("ws://{}/", server.address)],
        vec![format!("ws://{plain}/")],
        vec![format!("wss://localhost:{}/", secure.port()), root],
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (well, said) = peers::run("websocket_client.py", &arguments);
        assert!(well, "{arguments:?}: {said}");
    }
    // The same server over HTTP/2.
    let unused = Origin::start(answering(doorman_testkit::origin::fixed("unused")));
    let house = House { process, address: secure, origin: unused };
    let mut client = house.client();
    client.send(&[connect(&house, 1, 0, "websocket", FIELDS)]);
    assert_eq!(status(&mut client, 1), 200);
    client.send(&[data(1, 0, &message(1, b"over h2"))]);
    assert_eq!(read(&mut client, 1, 9), "\u{81}\u{7}over h2".replace('\u{81}', "\u{fffd}"));
    client.send(&[data(1, 0, &message(9, b"ping"))]);
    assert_eq!(read(&mut client, 1, 6), "\u{fffd}\u{4}ping", "a pong");
    client.send(&[data(1, 0, &message(1, b"close 4000"))]);
    let close = read(&mut client, 1, 12);
    assert!(close.ends_with("\u{fffd}as asked"), "{close:?}");
    client.send(&[data(1, 0, &message(8, &[0x0f, 0xa0]))]);
    assert_eq!(client.outcome(1).over, Over::Whole);
}
