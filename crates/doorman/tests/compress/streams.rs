//! Bodies that take their time: what has come is sent on at once, and what breaks off is seen to.

use std::io;
use std::time::{Duration, Instant};

use doorman_testkit::h2::{Frame, flag, kind};
use doorman_testkit::origin::{Script, Step};
use doorman_testkit::raw::Raw;

use crate::decode::{CODINGS, decode, flushed, prefix};
use crate::rig::{FRONTS, Front, House, LAST, chunk, chunks, page, said, text, tls};

/// The longest that a piece is on its way when nothing else happens.
const AT_ONCE: Duration = Duration::from_secs(1);

/// One piece, a hold, another piece, the end.
fn halting(one: &[u8], two: &[u8]) -> Script {
    chunks("").send(chunk(one)).hold().send(chunk(two)).send(LAST)
}

#[test]
fn a_small_piece_of_a_slow_origin_comes_at_once() {
    for coding in CODINGS {
        let house = House::with("compress", |_| halting(b"a small piece", b", the rest"));
        let begun = Instant::now();
        let mut client = house.begin("/", coding);
        assert!(client.head.contains(&format!("content-encoding: {coding}")), "{}", client.head);
        assert!(client.reads(b"a small piece"), "{coding}");
        assert!(begun.elapsed() < AT_ONCE, "{coding}: {:?}", begun.elapsed());
        house.origin.release();
        assert_eq!(client.rest().as_deref(), Some(&b"a small piece, the rest"[..]), "{coding}");
    }
}

#[test]
fn a_small_piece_comes_at_once_over_http_2() {
    for coding in CODINGS {
        let house = House::with("compress", |_| halting(b"a small piece", b", the rest"));
        let begun = Instant::now();
        let mut client = Stream::open(&house, "/", coding);
        assert!(client.reads(b"a small piece"), "{coding}");
        assert!(begun.elapsed() < AT_ONCE, "{coding}: {:?}", begun.elapsed());
        house.origin.release();
        client.ends();
        assert_eq!(decode(coding, &client.coded).as_deref(), Ok(&b"a small piece, the rest"[..]));
    }
}

#[test]
fn a_large_piece_comes_at_once_to_its_last_byte() {
    let (one, two) = (text(1, 300_000), text(2, 300_000));
    let whole = [&one[..], &two].concat();
    let sent = (one.clone(), two);
    let house = House::with("compress", move |_| halting(&sent.0, &sent.1));
    for coding in CODINGS {
        house.origin.hold_again();
        let mut client = house.begin("/", coding);
        assert!(client.reads(&one), "{coding}");
        house.origin.release();
        assert_eq!(client.rest().as_ref(), Some(&whole), "{coding}");
    }
}

#[test]
fn what_a_slow_origin_has_coded_is_decoded_at_once() {
    let (one, two) = (text(1, 300_000), text(2, 9_000));
    for coding in CODINGS {
        // Two streams in a row where the coding has that, and where it has not, one that is flushed.
        let (first, second) = flushed(coding, &one, &two);
        let house = House::with("decompress", move |_| {
            chunks(&format!("Content-Encoding: {coding}\r\n"))
                .send(chunk(&first))
                .hold()
                .send(chunk(&second))
                .send(LAST)
        });
        let mut client = house.begin("/", "identity");
        assert!(client.reads(&one), "{coding}");
        house.origin.release();
        assert!(client.rest().as_deref() == Some(&[&one[..], &two].concat()), "{coding}");
    }
}

#[test]
fn events_and_calls_pass_as_they_come() {
    for kind in ["text/event-stream", "text/event-stream; charset=utf-8", "application/grpc"] {
        let house = House::with("compress { types */*; min 0B; breach off }", move |_| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
            Script::new()
                .send(format!("{head}Content-Type: {kind}\r\n\r\n"))
                .send(chunk(b"data: 1\n\n"))
                .hold()
                .send(chunk(b"data: 2\n\n"))
                .send("0\r\nGrpc-Status: 0\r\n\r\n")
        });
        for coding in CODINGS {
            house.origin.hold_again();
            let mut client = house.begin("/", coding);
            assert!(!client.head.contains("content-encoding"), "{kind}: {}", client.head);
            assert_eq!(client.chunk().as_deref(), Some(&b"data: 1\n\n"[..]), "{kind}");
            house.origin.release();
            assert_eq!(client.chunk().as_deref(), Some(&b"data: 2\n\n"[..]), "{kind}");
            let got = house.ask(Front::H2, "GET", "/", &[("accept-encoding", coding)]);
            got.is("identity", b"data: 1\n\ndata: 2\n\n");
            assert_eq!(got.trailers, [("grpc-status".to_owned(), "0".to_owned())], "{kind}");
        }
    }
}

#[test]
fn a_body_that_the_origin_cuts_is_cut_for_the_client() {
    let content = text(1, 50_000);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 60000\r\n\r\n";
    let cuts: [(&str, Script); 4] = [
        ("chunks", chunks("").send(chunk(&content)).close()),
        ("reset", chunks("").send(chunk(&content)).reset()),
        ("no chunk", chunks("").send(chunk(&content)).send("zz\r\n").close()),
        ("length", Script::new().send(head).send(&content).close()),
    ];
    for (name, script) in cuts {
        let house = House::with("compress", move |seen| {
            if seen.target() == "/still" { page("", "still") } else { script.clone() }
        });
        for front in FRONTS {
            for coding in CODINGS {
                // An answer that breaks off before its head is out may be an error of doorman's own.
                let got = house.try_ask(front, "GET", "/", &[("accept-encoding", coding)]);
                let Ok(got) = got else { continue };
                if got.status == 200 {
                    assert!(!got.whole, "{name} {front:?} {coding}: it looks whole");
                    assert!(decode(got.coding(), &got.body).is_err(), "{name} {front:?} {coding}");
                    assert!(content.starts_with(&prefix(got.coding(), &got.body)), "{name}");
                } else {
                    assert_eq!(got.status, 502, "{name} {front:?} {coding}");
                }
            }
        }
        house.still_serves();
    }
}

#[test]
fn a_client_that_leaves_ends_the_fetch() {
    let house = House::with("compress", |seen| {
        if seen.target() == "/still" {
            return page("", "still");
        }
        // Without an end: only the client's leaving ends it.
        chunks("").send(chunk(&text(1, 100_000))).then(Step::ReadEnd)
    });
    for coding in CODINGS {
        let mut client = house.begin("/", coding);
        assert!(client.reads(&text(1, 100_000)), "{coding}");
        client.raw.reset();
        house.origin.wait_for_open(0);
        let mut client = Stream::open(&house, "/", coding);
        assert!(client.reads(&text(1, 100_000)), "{coding}");
        let reset = Frame::reset(1, 8);
        client.raw.call(async |wire| wire.send_frames(&[reset]).await).expect("an open connection");
        house.origin.wait_for_open(0);
    }
    house.still_serves();
}

#[test]
fn a_reload_leaves_the_body_alone_that_is_on_its_way() {
    for (before, after) in [("compress", "compress off"), ("", "compress")] {
        let house = House::with(before, |_| halting(&text(1, 5_000), &text(2, 5_000)));
        let mut client = house.begin("/a", "br");
        let coding = |site: &str| if site == "compress" { "br" } else { "identity" };
        assert_eq!(client.head.contains("content-encoding: br"), coding(before) == "br");
        if coding(before) == "identity" {
            client.coding = "identity".to_owned();
        }
        assert!(client.reads(&text(1, 5_000)));
        house.reload(after);
        house.origin.release();
        let whole = [text(1, 5_000), text(2, 5_000)].concat();
        assert!(client.rest().as_ref() == Some(&whole), "{before:?}");
        house.taking("/b", "br").is(coding(after), &whole);
    }
}

#[test]
fn answers_without_a_body_stay_so() {
    for status in ["204 No Content", "304 Not Modified"] {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n\r\n");
        let house = House::with("compress { min 0B }", move |_| Script::new().send(&head));
        for front in FRONTS {
            let got = house.ask(front, "GET", "/", &[("accept-encoding", "gzip")]);
            assert!(status.starts_with(&got.status.to_string()), "{front:?}");
            assert_eq!(
                (got.coding(), got.body.len(), got.whole),
                ("identity", 0, true),
                "{front:?}"
            );
        }
    }
    let house = House::with("compress { min 0B }", |_| said("Content-Type: text/plain\r\n", ""));
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[("accept-encoding", "gzip")]);
        assert_eq!((got.status, got.content()), (200, Vec::new()), "{front:?}");
    }
}

/// A GET over HTTP/2 whose body is read as it comes.
struct Stream {
    raw: Raw,
    coding: String,
    coded: Vec<u8>,
}

impl Stream {
    fn open(house: &House, path: &str, coding: &str) -> Self {
        let tls = tls().offering(&["h2"]);
        let mut raw = Raw::connect_tls(house.secure, &tls).expect("a handshake");
        let authority = format!("localhost:{}", house.secure.port());
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", path.as_bytes()),
            (b"accept-encoding", coding.as_bytes()),
        ];
        let get = Frame::headers(1, flag::END_STREAM, &fields);
        raw.call(async |wire| {
            wire.greet(&[(4, 1 << 30)]).await?;
            wire.send_frames(&[Frame::window(0, 1 << 30), get]).await?;
            wire.frames_until(|frame| frame.status() == Some(200)).await
        })
        .expect("a head");
        Self { raw, coding: coding.to_owned(), coded: Vec::new() }
    }

    /// Takes frames until so much can be read as this; false when the stream ends before.
    fn reads(&mut self, content: &[u8]) -> bool {
        while prefix(&self.coding, &self.coded).len() < content.len() {
            if !self.data().expect("an open connection") {
                return false;
            }
        }
        prefix(&self.coding, &self.coded) == content
    }

    /// Takes frames until the stream ends.
    fn ends(&mut self) {
        while self.data().expect("an open connection") {}
    }

    /// Takes one frame of content; false when it was the last one.
    fn data(&mut self) -> io::Result<bool> {
        let wanted = |frame: &Frame| frame.stream == 1 && frame.kind != kind::WINDOW_UPDATE;
        let frames = self.raw.call(async |wire| wire.frames_until(wanted).await)?;
        let frame = frames.last().expect("the one that was wanted");
        assert_eq!(frame.kind, kind::DATA, "{frame:?}");
        self.coded.extend_from_slice(&frame.payload);
        Ok(frame.flags & flag::END_STREAM == 0)
    }
}
