//! Requests over TCP that come ahead of the handshake (0-RTT): which go on, what the origin is told, and what becomes
//! of copies of them. H3Q-30 to 32 are the same over HTTP/3.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use doorman_testkit::ahead::{Ahead, Returning};
use doorman_testkit::h2::{Frame, PREFACE, flag, kind};
use doorman_testkit::origin::{Answer, Origin, answering, reply};
use doorman_testkit::tls::{Authority, Tls};

use crate::rig::House;

const SAFE: &str =
    "site https://localhost:@PORT { tls internal { early-data safe }; proxy @ORIGIN }";

fn client(alpn: &str) -> Tls {
    Tls::unverified("localhost").offering(&[alpn])
}

/// A client that comes back by this protocol.
fn comes_back(house: &House, alpn: &str) -> Ahead {
    Returning::after_a_visit(house.address, &client(alpn))
        .and_then(|returning| returning.back(house.address))
        .expect("a visit")
}

fn head(house: &House, line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost:{}\r\n{more}\r\n", house.address.port())
}

/// Another client is served, so that the program has had its time for what came before.
fn still_serves(house: &House) {
    let said = house.h1(&Tls::unverified("localhost"), "localhost", "/other", "");
    assert_eq!(said.expect("an answer").status, 200);
}

/// The targets that the origin heard of, without those of [`still_serves`].
fn seen(house: &House) -> Vec<String> {
    let requests = house.origin.ledger().requests();
    let targets = requests.iter().map(|seen| seen.target().to_owned());
    targets.filter(|target| target != "/other").collect()
}

#[test]
fn safe_requests_are_answered_ahead_of_the_handshake() {
    let house = House::start(SAFE);
    for (number, method) in ["GET", "HEAD", "OPTIONS"].into_iter().enumerate() {
        let mut ahead = comes_back(&house, "http/1.1");
        ahead.say(head(&house, &format!("{method} /early"), "")).expect("sent");
        // It keeps its Finished back until it has its answer.
        let answer = match method {
            "HEAD" => {
                String::from_utf8_lossy(&ahead.read_until(b"\r\n\r\n").expect("a head")).into()
            }
            _ => ahead.response().expect("an answer"),
        };
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let requests = house.origin.ledger().requests();
        assert_eq!(requests[2 * number].method(), method);
        assert_eq!(requests[2 * number].all("early-data"), ["1"]);
        assert!(ahead.finish().expect("a handshake"), "early data was taken");
        // The connection goes on like any other.
        ahead.tell(head(&house, "GET /later", "")).expect("sent");
        assert!(ahead.response().expect("an answer").starts_with("HTTP/1.1 200 "));
        assert_eq!(house.origin.ledger().requests()[2 * number + 1].field("early-data"), None);
    }
    let _ = house.process.wait_for_words("\"early\":true");
    assert_eq!(house.metric("doorman_http_early_requests_total{"), 3);
}

#[test]
fn requests_that_are_not_safe_wait_for_the_handshake() {
    let house = House::start(SAFE);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    // The last one fills what may be sent early to the last byte.
    let length = 16 * 1024 - head(&house, "POST /long", "Content-Length: 12345\r\n").len();
    let long = format!("Content-Length: {length}\r\n");
    for (line, more, content) in [
        ("POST /post", "Content-Length: 4\r\n", "abcd"),
        ("POST /empty", "Content-Length: 0\r\n", ""),
        ("GET /content", "Content-Length: 4\r\n", "abcd"),
        ("GET /chunked", "Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n"),
        ("DELETE /delete", "", ""),
        ("GET /upgrade", upgrade, ""),
        ("TRACE /trace", "", ""),
        ("POST /long", &*long, &*"x".repeat(length)),
    ] {
        let mut ahead = comes_back(&house, "http/1.1");
        ahead.say(head(&house, line, more) + content).expect("sent");
        still_serves(&house);
        let before = seen(&house);
        assert!(!before.iter().any(|target| line.ends_with(target)), "{line} waits: {before:?}");
        assert!(ahead.finish().expect("a handshake"), "it need not be sent again");
        let answer = ahead.response().expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 "), "{line}: {answer}");
        let requests = house.origin.ledger().requests();
        assert!(requests.iter().all(|seen| seen.field("early-data").is_none()), "{line}");
        if content.starts_with('x') {
            let long = requests.iter().find(|seen| seen.target() == "/long").expect("it came");
            assert_eq!(long.body.len(), length);
        }
    }
}

#[test]
fn what_follows_a_safe_request_may_still_wait() {
    let house = House::start(SAFE);
    let mut ahead = comes_back(&house, "http/1.1");
    let two = head(&house, "GET /first", "") + &head(&house, "DELETE /second", "");
    ahead.say(two + &head(&house, "GET /third", "")).expect("sent");
    let first = ahead.response().expect("an answer");
    assert!(first.contains("early-data: 1"), "{first}");
    still_serves(&house);
    assert_eq!(seen(&house), ["/first"]);
    assert!(ahead.finish().expect("a handshake"));
    for _ in 0..2 {
        let later = ahead.response().expect("an answer");
        assert!(later.starts_with("HTTP/1.1 200 ") && !later.contains("early-data"), "{later}");
    }
    assert_eq!(seen(&house), ["/first", "/second", "/third"]);
}

/// The next frame that is about a stream.
fn frame_of_a_stream(ahead: &mut Ahead) -> Frame {
    loop {
        let head = ahead.read_exactly(9).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = ahead.read_exactly(length).expect("a whole frame");
        if stream != 0 && head[3] != kind::WINDOW_UPDATE {
            return Frame::new(head[3], head[4], stream, payload);
        }
    }
}

#[test]
fn streams_of_http2_go_on_or_wait() {
    let house = House::start(SAFE);
    let mut ahead = comes_back(&house, "h2");
    let authority = format!("localhost:{}", house.address.port());
    let post: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/post"),
    ];
    let sent = [
        PREFACE.to_vec(),
        Frame::settings(&[]).bytes(),
        Frame::headers(1, 0, &post).bytes(),
        Frame::new(kind::DATA, flag::END_STREAM, 1, "content").bytes(),
        Frame::get(3, &authority, "/get").bytes(),
    ];
    ahead.say(sent.concat()).expect("sent");
    let mut frame = frame_of_a_stream(&mut ahead);
    assert_eq!((frame.kind, frame.stream, frame.status()), (kind::HEADERS, 3, Some(200)));
    while frame.flags & flag::END_STREAM == 0 {
        frame = frame_of_a_stream(&mut ahead);
        assert_eq!(frame.stream, 3);
    }
    still_serves(&house);
    assert_eq!(seen(&house), ["/get"]);
    assert!(ahead.finish().expect("a handshake"));
    let frame = frame_of_a_stream(&mut ahead);
    assert_eq!((frame.kind, frame.stream, frame.status()), (kind::HEADERS, 1, Some(200)));
    let requests = house.origin.ledger().requests();
    let told: Vec<_> = ["/get", "/post"]
        .iter()
        .map(|target| requests.iter().find(|seen| seen.target() == *target).expect("it came"))
        .map(|seen| seen.field("early-data"))
        .collect();
    assert_eq!(told, [Some("1"), None]);
    let _ = house.process.wait_for_words("\"early\":true");
    assert_eq!(house.metric("doorman_http_early_requests_total{"), 1);
}

/// Whoever saw the first flight can send it again.
#[test]
fn a_copy_of_what_was_sent_early_is_not_taken() {
    let house = House::start(SAFE);
    for is_finished in [true, false] {
        let mut ahead = comes_back(&house, "http/1.1");
        ahead.say(head(&house, &format!("GET /once-{is_finished}"), "")).expect("sent");
        let flight = ahead.sent().to_vec();
        let answer = ahead.response().expect("an answer");
        assert!(answer.contains("early-data: 1"), "{answer}");
        if is_finished {
            assert!(ahead.finish().expect("a handshake"));
        }
        for _ in 0..3 {
            let mut copy = TcpStream::connect(house.address).expect("a connection");
            copy.write_all(&flight).expect("sent");
            // A handshake begins that the copy cannot go on with.
            let mut begun = [0; 64];
            assert!(copy.read(&mut begun).expect("something") > 0);
            still_serves(&house);
        }
    }
    assert_eq!(seen(&house), ["/once-true", "/once-false"]);
    assert_eq!(house.origin.ledger().requests().len(), 2 + 6, "of the copies none");
}

#[test]
fn a_handshake_that_is_never_finished_ends_the_connection() {
    let authority = Authority::new();
    let origin = Origin::start(answering(doorman_testkit::origin::echo()));
    let global = "timeouts { tls-handshake 300ms }";
    let house = House::start_before(origin, global, authority, &[], SAFE);
    // One whose request was answered, one whose request waits, one that asks for nothing, over each protocol.
    let get = head(&house, "GET /got", "");
    let authority = format!("localhost:{}", house.address.port());
    let h2 = [PREFACE.to_vec(), Frame::settings(&[]).bytes()].concat();
    let h2_get = [h2.clone(), Frame::get(1, &authority, "/h2").bytes()].concat();
    for (alpn, early) in [
        ("http/1.1", get.into_bytes()),
        ("http/1.1", head(&house, "DELETE /never", "").into_bytes()),
        ("http/1.1", b"GET ".to_vec()),
        ("h2", h2),
        ("h2", h2_get),
    ] {
        let mut ahead = comes_back(&house, alpn);
        ahead.say(early).expect("sent");
        ahead.wait_for_end().expect("an end");
    }
    assert_eq!(seen(&house), ["/got", "/h2"], "asked once each");
    let failed = format!(
        "doorman_connections_failed_total{{listener=\"{}\",reason=\"handshake\"}}",
        house.address
    );
    assert_eq!(house.metric(&failed), 5);
    still_serves(&house);
}

#[test]
fn garbage_behind_early_data_ends_the_connection() {
    let house = House::start(SAFE);
    let record = |kind: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a short one");
        [&[kind, 3, 3, 0, length], content].concat()
    };
    for (name, garbage) in [
        ("record", record(23, &[7; 40])),
        ("handshake", record(22, &[20, 0, 0, 4, 1, 2, 3, 4])),
        ("alert", record(21, &[2, 40])),
        ("plain", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let mut ahead = comes_back(&house, "http/1.1");
        ahead.say(head(&house, &format!("GET /{name}"), "")).expect("sent");
        ahead.response().expect("an answer");
        ahead.send_bare(&garbage).expect("sent");
        ahead.wait_for_end().expect("an end");
        still_serves(&house);
    }
    assert_eq!(seen(&house), ["/record", "/handshake", "/alert", "/plain"]);
}

/// RFC 8470 section 5.2: who will not take a request early says so, and the client asks again.
#[test]
fn too_early_of_the_origin_reaches_the_client() {
    let answer: Answer = Arc::new(|seen| match seen.field("early-data") {
        Some("1") => reply("425 Too Early", "", b""),
        _ => reply("200 OK", "", b"now"),
    });
    let origin = Origin::start(answering(answer));
    let house = House::start_before(origin, "", Authority::new(), &[], SAFE);
    let mut ahead = comes_back(&house, "http/1.1");
    ahead.say(head(&house, "GET /", "")).expect("sent");
    let answer = ahead.response().expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 425 "), "{answer}");
    assert!(ahead.finish().expect("a handshake"));
    ahead.tell(head(&house, "GET /", "")).expect("sent");
    assert!(ahead.response().expect("an answer").ends_with("now"));
    assert_eq!(seen(&house).len(), 2, "nothing is asked twice");
}

/// A connection is made for one site, and may ask for any.
#[test]
fn a_site_that_takes_no_early_data_gets_none() {
    let other = "site https://b.localhost:@PORT { tls internal; proxy @ORIGIN }";
    let house = House::start(&format!("{SAFE}\n{other}"));
    let mut ahead = comes_back(&house, "http/1.1");
    let head = format!("GET /b HTTP/1.1\r\nHost: b.localhost:{}\r\n\r\n", house.address.port());
    ahead.say(&head).expect("sent");
    let answer = ahead.response().expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 425 "), "{answer}");
    let _ = house.process.wait_for_words("\"end\":\"too-early\"");
    assert!(ahead.finish().expect("a handshake"));
    ahead.tell(&head).expect("sent");
    assert!(ahead.response().expect("an answer").starts_with("HTTP/1.1 200 "));
    assert_eq!(seen(&house), ["/b"]);
}

#[test]
fn only_a_site_that_asks_for_it_gives_tickets_for_early_data() {
    for (site, expect) in [
        (SAFE, true),
        ("site https://localhost:@PORT { tls internal; proxy @ORIGIN }", false),
        ("site https://localhost:@PORT { tls internal { early-data off }; proxy @ORIGIN }", false),
        (
            "site https://localhost:@PORT { tls internal { off early-data safe }; proxy @ORIGIN }",
            false,
        ),
        (
            "site https://localhost:@PORT { tls internal { client-auth optional ca clients.pem }; proxy @ORIGIN }",
            false,
        ),
    ] {
        let house = House::start(site);
        for alpn in ["http/1.1", "h2"] {
            assert_eq!(comes_back(&house, alpn).may_be_early(), expect, "{site} {alpn}");
        }
        still_serves(&house);
    }
}

/// A ticket is for its name, and its site's settings; where it is not taken, the handshake goes on without.
#[test]
fn a_ticket_of_another_site_or_of_other_settings_brings_no_early_data() {
    let b = SAFE.replace("localhost", "b.localhost");
    let off = SAFE.replace("early-data safe", "early-data off");
    let house = House::start(&format!("{SAFE}\n{b}"));
    let check = |name: &str, sites: Option<&str>, expect: bool| {
        let mut returning =
            Returning::after_a_visit(house.address, &client("http/1.1")).expect("a visit");
        if let Some(sites) = sites {
            house.reload(sites);
        }
        returning.rename(name);
        let mut ahead = returning.back(house.address).expect("a connection");
        let head =
            format!("GET /{expect} HTTP/1.1\r\nHost: {name}:{}\r\n\r\n", house.address.port());
        ahead.say(&head).expect("sent");
        assert_eq!(ahead.finish().expect("a handshake"), expect, "{name} {sites:?}");
        if !expect {
            ahead.tell(&head).expect("sent");
        }
        assert!(ahead.response().expect("an answer").starts_with("HTTP/1.1 200 "), "{name}");
    };
    check("localhost", None, true);
    check("b.localhost", None, false);
    check("localhost", Some(&format!("{SAFE}\n{b}\n# the same")), true);
    check("localhost", Some(&format!("{off}\n{b}")), false);
    assert_eq!(seen(&house), ["/true", "/false", "/true", "/false"]);
}

/// A peer that is not rustls.
#[test]
fn openssl_sends_early_data() {
    let house = House::start(SAFE);
    std::fs::write(
        house.process.folder().join("early.txt"),
        head(&house, "GET /openssl", "Connection: close\r\n"),
    )
    .expect("our own folder");
    let run = |arguments: &[&str], input: &str| {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &house.address.to_string()])
            .args(["-servername", "localhost", "-ign_eof", "-tls1_3"])
            .args(arguments)
            .current_dir(house.process.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the Debian package openssl is installed");
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("our own child");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let visit = head(&house, "GET /visit", "Connection: close\r\n");
    let first = run(&["-sess_out", "kept"], &visit);
    assert!(first.contains("Max Early Data: 16384"), "{first}");
    let early = run(&["-sess_in", "kept", "-early_data", "early.txt"], "");
    assert!(early.contains("Early data was accepted"), "{early}");
    assert!(early.contains("HTTP/1.1 200") && early.contains("Reused, TLS"), "{early}");
    // The session is used up.
    let again = run(&["-sess_in", "kept", "-early_data", "early.txt"], &visit);
    assert!(again.contains("Early data was rejected"), "{again}");
    assert!(again.contains("HTTP/1.1 200") && again.contains("New, TLS"), "{again}");
    assert_eq!(seen(&house), ["/visit", "/openssl", "/visit"]);
}
