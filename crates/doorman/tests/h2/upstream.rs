//! HTTP/2 to origins: what an origin says frame by frame, and what becomes of requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use doorman_testkit::h2::{Frame, H2, PREFACE, flag, kind};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;

use crate::origin::{FrameOrigin, Talk, goaway, head};
use crate::rig::code;

/// The program in front of one HTTP/2 origin, plain on both sides.
struct House {
    process: Process,
    address: std::net::SocketAddr,
}

impl House {
    fn before(origin: &FrameOrigin) -> Self {
        Self::at(origin.address)
    }

    fn at(origin: std::net::SocketAddr) -> Self {
        Self::speaking(origin, "h1")
    }

    fn speaking(origin: std::net::SocketAddr, protocols: &str) -> Self {
        let address = free_address();
        let text = format!(
            "doorman 1\nglobal {{\n  data data\n  workers 1\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
             log access json stdout\n}}\n\
             listen {address} protocols {protocols}\n\
             upstream o {{\n  server {origin}\n  protocol h2c\n}}\n\
             site http://*:{} {{\n  proxy o\n}}\n",
            address.port()
        );
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[address]);
        Self { process, address }
    }

    /// One exchange over HTTP/1.1 on a connection of its own: everything that came back.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream.write_all(request.as_bytes()).expect("a connection");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn post(&self, body: &str) -> String {
        self.ask(&format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn get(&self) -> String {
        self.ask("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }

    fn logged(&self, words: &str) {
        let _ = self.process.wait_for_words(words);
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

fn bodies(origin: &FrameOrigin) -> Vec<String> {
    let book = origin.book();
    book.requests.iter().map(|(.., body)| String::from_utf8_lossy(body).into_owned()).collect()
}

#[test]
fn requests_share_one_connection() {
    let origin = FrameOrigin::start(&[], Talk::serve);
    let house = House::before(&origin);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let house = &house;
            scope.spawn(move || {
                for m in 0..5 {
                    let body = format!("{n}-{m}");
                    let answer = house.post(&body);
                    assert!(status(&answer) == "200" && answer.ends_with(&body), "{answer}");
                }
            });
        }
    });
    let book = origin.book();
    assert_eq!((book.requests.len(), book.connections, book.resets.len()), (100, 1, 0));
}

#[test]
fn the_origins_limit_of_streams_is_kept() {
    const LIMIT: usize = 3;
    let origin = FrameOrigin::start(&[(3, 3)], |talk| {
        let mut waiting = Vec::new();
        talk.wait_at_most(Duration::from_millis(100))?;
        loop {
            // Answers late, so that they pile up.
            match talk.request() {
                Ok(request) => waiting.push(request),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    for (stream, body) in waiting.drain(..) {
                        talk.answer(stream, &body)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    });
    let house = House::before(&origin);
    // The limit is known from the first answer on.
    std::thread::scope(|scope| {
        for n in 0..LIMIT {
            let house = &house;
            scope.spawn(move || assert_eq!(status(&house.post(&n.to_string())), "200"));
        }
    });
    std::thread::scope(|scope| {
        for n in 0..LIMIT * 4 {
            let house = &house;
            scope.spawn(move || assert_eq!(status(&house.post(&format!("later {n}"))), "200"));
        }
    });
    let book = origin.book();
    assert_eq!(book.requests.len(), LIMIT * 5);
    assert!(book.most_streams <= LIMIT, "{} at once", book.most_streams);
}

/// H2D-35: GOAWAY with SETTINGS in one write. What lies above the last stream is sent again, on
/// another connection, and nothing twice.
#[test]
fn h2d_35_what_a_goaway_leaves_out_is_sent_again() {
    let origin = FrameOrigin::start(&[], |talk| {
        if talk.index > 0 {
            return talk.serve();
        }
        let (first, body) = talk.request()?;
        let (second, _) = talk.request()?;
        let (low, high) = (first.min(second), first.max(second));
        talk.send(&[goaway(low, code::NO_ERROR), Frame::settings(&[(4, 70_000)])])?;
        talk.over(high);
        talk.answer(low, &body)?;
        talk.drain()
    });
    let house = House::before(&origin);
    std::thread::scope(|scope| {
        for body in ["one", "two"] {
            let house = &house;
            scope.spawn(move || {
                let answer = house.post(body);
                assert_eq!(status(&answer), "200", "{answer}");
            });
        }
    });
    let mut seen = bodies(&origin);
    seen.sort_unstable();
    assert_eq!(seen.len(), 3, "two, and one of them again: {seen:?}");
    assert_eq!(status(&house.post("three")), "200");
    origin.wait("close of the first connection", |book| book.open == 1);
    assert_eq!(origin.book().connections, 2);
}

/// RFC 9113 section 8.7: a refused stream was not processed, whatever its method; any other reset
/// may have been.
#[test]
fn refused_streams_are_sent_again_and_no_others() {
    for (code, again) in [(code::REFUSED_STREAM, true), (2, false), (8, false), (11, false)] {
        let origin = FrameOrigin::start(&[], move |talk| {
            let mut refused = false;
            loop {
                let (stream, body) = talk.request()?;
                if std::mem::replace(&mut refused, true) {
                    talk.answer(stream, &body)?;
                } else {
                    talk.over(stream);
                    talk.send(&[Frame::reset(stream, code)])?;
                }
            }
        });
        let house = House::before(&origin);
        let body = "b".repeat(40_000);
        let answer = house.post(&body);
        let expected = if again { "200" } else { "502" };
        assert_eq!(status(&answer), expected, "{code}: {answer}");
        let seen = bodies(&origin);
        assert_eq!(seen, vec![body; if again { 2 } else { 1 }], "{code}");
    }
}

/// A body that is longer than what is kept cannot be told again: the client is told the truth.
#[test]
fn a_long_body_that_is_refused_late_is_not_sent_again() {
    let origin = FrameOrigin::start(&[], |talk| {
        let (stream, _) = talk.request()?;
        talk.over(stream);
        talk.send(&[Frame::reset(stream, code::REFUSED_STREAM)])?;
        talk.serve()
    });
    let house = House::before(&origin);
    assert_eq!(status(&house.post(&"b".repeat(200_000))), "503");
    assert_eq!(origin.book().requests.len(), 1);
}

/// An origin that refuses everything is not asked for ever.
#[test]
fn an_origin_that_refuses_all_gets_a_bounded_number_of_tries() {
    let origin = FrameOrigin::start(&[], |talk| {
        loop {
            let (stream, _) = talk.request()?;
            talk.over(stream);
            talk.send(&[Frame::reset(stream, code::REFUSED_STREAM)])?;
        }
    });
    let house = House::before(&origin);
    assert_eq!(status(&house.get()), "503");
    assert_eq!(origin.book().requests.len(), 3);
    house.logged("refused before it was processed");
}

/// A connection that dies on a request: an idempotent one that had a used connection goes again, a
/// POST never does.
#[test]
fn a_connection_that_dies_loses_no_get_and_doubles_no_post() {
    for (post, expected, tries) in [(false, "200", 3), (true, "502", 2)] {
        let origin = FrameOrigin::start(&[], |talk| {
            let (stream, body) = talk.request()?;
            talk.answer(stream, &body)?;
            if talk.index > 0 {
                return talk.serve();
            }
            talk.request().map(drop)
        });
        let house = House::before(&origin);
        assert_eq!(status(&house.get()), "200");
        let answer = if post { house.post("x") } else { house.get() };
        assert_eq!(status(&answer), expected, "{answer}");
        assert_eq!(origin.book().requests.len(), tries);
    }
}

/// What is no response becomes 502, and its stream is over; the connection goes on where the rules
/// let it.
#[test]
fn dgr_27_28_malformed_responses() {
    let rows: [(&str, fn(u32) -> Vec<Frame>, &str); 12] = [
        ("DGR-27", |id| vec![head(id, 1, "200", &[("connection", "close")])], "502"),
        ("DGR-27", |id| vec![head(id, 1, "200", &[("transfer-encoding", "chunked")])], "502"),
        ("DGR-27", |id| vec![head(id, 1, "200", &[("upgrade", "x")])], "502"),
        ("DGR-28 more declared", |id| vec![head(id, 1, "200", &[("content-length", "5")])], "502"),
        ("no number", |id| vec![head(id, 1, "200", &[("content-length", "5x")])], "502"),
        (
            "two lengths",
            |id| vec![head(id, 1, "200", &[("content-length", "0"), ("content-length", "1")])],
            "502",
        ),
        ("status", |id| vec![head(id, 1, "99", &[])], "502"),
        ("status", |id| vec![head(id, 1, "601", &[])], "502"),
        ("no status", |id| vec![Frame::headers(id, 1, &[(b"a", b"b")])], "502"),
        ("101", |id| vec![head(id, 0, "101", &[]), head(id, 1, "200", &[])], "502"),
        ("white space", |id| vec![head(id, 1, "200", &[("a", " b")])], "502"),
        (
            "endless 1xx",
            |id| {
                let mut frames = vec![head(id, 0, "103", &[]); 17];
                frames.push(head(id, 1, "200", &[]));
                frames
            },
            "502",
        ),
    ];
    for (id, frames, expected) in rows {
        let origin = FrameOrigin::start(&[], move |talk| {
            let mut first = talk.index == 0;
            loop {
                let (stream, body) = talk.request()?;
                if std::mem::replace(&mut first, false) {
                    talk.over(stream);
                    talk.send(&frames(stream))?;
                } else {
                    talk.answer(stream, &body)?;
                }
            }
        });
        let house = House::before(&origin);
        let answer = house.get();
        assert!(answer.contains(&format!("HTTP/1.1 {expected} ")), "{id}: {answer}");
        house.logged("upstream-malformed");
        assert_eq!(status(&house.get()), "200", "{id}: the next one");
    }
}

/// DGR-28: a response that breaks its declared length is cut, never completed.
#[test]
fn dgr_28_a_length_that_is_not_kept_is_a_cut() {
    let data = |id, flags, bytes: &[u8]| Frame::new(kind::DATA, flags, id, bytes);
    for (id, body) in [
        ("short", vec![("hello", flag::END_STREAM)]),
        ("long in one", vec![("hello hello", flag::END_STREAM)]),
        ("long in two", vec![("hello hell", 0), ("o", flag::END_STREAM)]),
    ] {
        let kept = body.clone();
        let origin = FrameOrigin::start(&[], move |talk| {
            let (stream, _) = talk.request()?;
            talk.over(stream);
            let mut frames = vec![head(stream, 0, "200", &[("content-length", "10")])];
            frames.extend(kept.iter().map(|(text, flags)| data(stream, *flags, text.as_bytes())));
            talk.send(&frames)?;
            talk.drain()
        });
        let house = House::before(&origin);
        let answer = house.get();
        let content = answer.split_once("\r\n\r\n").map_or("", |(_, content)| content);
        assert!(status(&answer) == "502" || content.len() < 10, "{id}: {answer}");
    }
}

/// A response that is reset midway is cut for the client.
#[test]
fn a_reset_within_a_response_is_a_cut() {
    let origin = FrameOrigin::start(&[], |talk| {
        let (stream, _) = talk.request()?;
        talk.over(stream);
        let data = Frame::new(kind::DATA, 0, stream, "hello");
        talk.send(&[head(stream, 0, "200", &[]), data, Frame::reset(stream, 2)])?;
        talk.serve()
    });
    let house = House::before(&origin);
    let answer = house.get();
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    house.logged("upstream-closed");
    assert_eq!(status(&house.get()), "200");
    assert_eq!(origin.book().connections, 1, "the connection goes on");
}

/// DGR-29: interim responses go to clients that can take them.
#[test]
fn dgr_29_interim_responses_reach_no_old_client() {
    let origin = FrameOrigin::start(&[], |talk| {
        loop {
            let (stream, _) = talk.request()?;
            talk.send(&[head(stream, 0, "103", &[("link", "</a>")])])?;
            talk.answer(stream, b"x")?;
        }
    });
    let house = House::before(&origin);
    let answer = house.get();
    assert!(answer.starts_with("HTTP/1.1 103") && answer.contains("HTTP/1.1 200"), "{answer}");
    let old = house.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert!(old.contains(" 200 ") && !old.contains("103"), "{old}");
}

/// The windows that we give are all that an origin can make us hold for a client that does not read.
#[test]
fn an_origin_waits_for_a_client_that_does_not_read() {
    let origin = FrameOrigin::start(&[], |talk| {
        let (stream, _) = talk.request()?;
        talk.send(&[head(stream, 0, "200", &[])])?;
        let mut window = 256 * 1024;
        loop {
            while window >= 16 * 1024 {
                talk.send(&[Frame::new(kind::DATA, 0, stream, vec![b'x'; 16 * 1024])])?;
                window -= 16 * 1024;
            }
            let frame = talk.frame()?;
            if frame.kind == kind::WINDOW_UPDATE && frame.stream == stream {
                let more = frame.payload.try_into().expect("four bytes");
                window += u32::from_be_bytes(more) as usize;
            }
        }
    });
    let house = House::before(&origin);
    let mut client = TcpStream::connect(house.address).expect("a connection");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a connection");
    origin.wait("a full window", |book| book.sent >= 256 * 1024);
    let last = origin.settled();
    // The sockets between us and the client, and one window.
    assert!(last < 16 << 20, "{last} bytes for a client that does not read");
    drop(client);
    origin.wait("a reset", |book| !book.resets.is_empty());
}

/// Our request bodies keep to the window that the origin gives.
#[test]
fn an_upload_keeps_to_the_origins_window() {
    const WINDOW: usize = 1000;
    let origin = FrameOrigin::start(&[(4, 1000)], |talk| {
        // With the answer to this the window is known.
        let (stream, _) = talk.request()?;
        talk.answer(stream, b"")?;
        let (mut came, mut since) = (0, 0);
        loop {
            let frame = talk.silent_frame()?;
            if frame.kind != kind::DATA {
                continue;
            }
            came += frame.payload.len();
            since += frame.payload.len();
            assert!(since <= WINDOW, "{since} bytes without an update");
            if frame.flags & flag::END_STREAM != 0 {
                talk.answer(frame.stream, came.to_string().as_bytes())?;
                return talk.drain();
            }
            if since == WINDOW {
                since = 0;
                talk.send(&[Frame::window(frame.stream, 1000), Frame::window(0, 1000)])?;
            }
        }
    });
    let house = House::before(&origin);
    assert_eq!(status(&house.get()), "200");
    let answer = house.post(&"b".repeat(150_000));
    assert!(answer.ends_with("150000"), "{answer}");
}

/// H2D-24: what comes in single bytes leaves in few frames, or one client would have the origin end
/// the connection of all.
#[test]
fn h2d_24_small_frames_are_gathered() {
    let origin = FrameOrigin::start(&[], |talk| {
        loop {
            let (stream, body) = talk.request()?;
            talk.over(stream);
            let mut frames = vec![head(stream, 0, "200", &[])];
            frames.extend(body.iter().map(|byte| Frame::new(kind::DATA, 0, stream, [*byte])));
            frames.push(Frame::new(kind::DATA, flag::END_STREAM, stream, []));
            talk.send(&frames)?;
        }
    });
    let house = House::speaking(origin.address, "h1 h2c");
    let mut client = Raw::connect(house.address).expect("a connection");
    client.call(async |wire| wire.greet(&[]).await).expect("the greeting");
    let fields: [(&[u8], &[u8]); 4] =
        [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")];
    let mut frames = vec![Frame::headers(1, 0, &fields)];
    frames.extend((0..1000).map(|_| Frame::new(kind::DATA, 0, 1, "x")));
    frames.push(Frame::new(kind::DATA, flag::END_STREAM, 1, "x"));
    let came = client
        .call(async |wire| {
            wire.send_frames(&frames).await?;
            let ends = |frame: &Frame| frame.stream == 1 && frame.flags & flag::END_STREAM != 0;
            wire.frames_until(|frame| frame.kind == kind::DATA && ends(frame)).await
        })
        .expect("an answer");
    let data: Vec<_> = came.iter().filter(|frame| frame.kind == kind::DATA).collect();
    assert_eq!(data.iter().map(|frame| frame.payload.len()).sum::<usize>(), 1001);
    assert!(data.len() < 100, "{} frames to the client", data.len());
    let at_origin = origin.book().data_frames;
    assert!(at_origin < 100, "{at_origin} frames to the origin");
}

/// H2D-36: nothing is left of connections that end, however they end.
#[test]
fn h2d_36_connections_that_end_leave_nothing() {
    let origin = FrameOrigin::start(&[], |talk| {
        let (stream, _) = talk.request()?;
        talk.over(stream);
        let data = Frame::new(kind::DATA, 0, stream, "hello");
        talk.send(&[head(stream, 0, "200", &[]), data, goaway(stream, 0)])?;
        talk.send(&[Frame::reset(stream, 8)])
    });
    let house = House::before(&origin);
    for _ in 0..200 {
        house.get();
    }
    let before = resident(&house);
    for _ in 0..1000 {
        house.get();
    }
    let grown = resident(&house).saturating_sub(before);
    println!("{grown} KiB after a thousand");
    assert!(grown < 2048, "{grown} KiB");
}

fn resident(house: &House) -> usize {
    let path = format!("/proc/{}/status", house.process.id());
    let status = std::fs::read_to_string(path).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
}

/// An origin that speaks HTTP/1.1 where HTTP/2 was promised.
#[test]
fn an_origin_of_another_protocol_is_told_apart() {
    let old = doorman_testkit::origin::Origin::start(doorman_testkit::origin::answering(
        doorman_testkit::origin::fixed("old"),
    ));
    let house = House::at(old.address());
    let answer = house.get();
    assert_eq!(status(&answer), "502", "{answer}");
}

/// From HTTP/2 to HTTP/2, and a hundred at once.
#[test]
fn h2_to_h2_carries_many_at_once() {
    let origin = FrameOrigin::start(&[], Talk::serve);
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{\n  data data\n  workers 1\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
         log access json stdout\n}}\nupstream o {{ server {}; protocol h2c }}\n\
         site https://localhost:{} {{ tls internal; proxy o }}\n",
        origin.address,
        address.port()
    );
    let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let mut client = H2::connect_tls(address, &crate::rig::House::tls()).expect("a handshake");
    let uri = format!("https://localhost:{}/", address.port());
    let post = |n: usize| {
        http::Request::post(&uri).body(bytes::Bytes::from(vec![b'a'; n * 1000])).expect("a request")
    };
    let replies = client.requests((1..=100).map(post).collect()).expect("answers");
    for (n, reply) in replies.into_iter().enumerate() {
        let reply = reply.expect("an answer");
        assert_eq!((reply.status, reply.body.len()), (200, (n + 1) * 1000));
        assert!(reply.is_complete());
    }
    let book = origin.book();
    assert!(book.connections <= 2, "{} connections", book.connections);
}

/// A listener for both protocols without TLS tells them apart by their first bytes.
#[test]
fn one_plain_socket_speaks_both_protocols() {
    let origin = FrameOrigin::start(&[], Talk::serve);
    for (protocols, h1, h2) in [("h1 h2c", true, true), ("h2c", false, true), ("h1", true, false)] {
        let address = free_address();
        let text = format!(
            "doorman 1\nglobal {{ data data; workers 1; admin unix:admin.sock; timeouts {{ head 500ms }} }}\n\
             listen {address} {{ protocols {protocols} }}\nupstream o {{ server {}; protocol h2c }}\n\
             site http://*:{} {{ proxy o }}\n",
            origin.address,
            address.port()
        );
        let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[address]);
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), h1, "{protocols}");
        let reply = H2::connect(address)
            .and_then(|mut client| client.get(&format!("http://localhost:{}/", address.port())));
        assert_eq!(reply.is_ok_and(|reply| reply.status == 200), h2, "{protocols}");
        if h1 && h2 {
            both_by_single_bytes(address);
        }
    }
}

/// However the first bytes are cut, and whatever they only begin like.
fn both_by_single_bytes(address: std::net::SocketAddr) {
    let told = |bytes: &[u8], expected: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        for byte in bytes {
            stream.write_all(&[*byte]).expect("a connection");
        }
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, expected, "{}", String::from_utf8_lossy(bytes));
    };
    let settings = Frame::settings(&[]).bytes();
    // The head of our SETTINGS: a type of 4 behind three bytes of length.
    told(&[PREFACE, &settings].concat(), &[0, 0]);
    told(b"PRINT / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200");
    told(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"HTTP/1.1 505");
    // One that stops there is refused in time.
    told(b"PRI * HT", b"HTTP/1.1 408");
    told(b"G", b"HTTP/1.1 408");
}

/// A scheme that is not the connection's would make rules believe in a security that is not there.
#[test]
fn the_scheme_of_h2c_is_http() {
    let origin = FrameOrigin::start(&[], Talk::serve);
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; admin unix:admin.sock }}\n\
         listen {address} {{ protocols h2c }}\nupstream o {{ server {}; protocol h2c }}\n\
         site http://*:{} {{ proxy o }}\n",
        origin.address,
        address.port()
    );
    let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let mut client = H2::connect(address).expect("a connection");
    let mut ask = |scheme: &str| {
        client.get(&format!("{scheme}://localhost:{}/", address.port())).expect("an answer").status
    };
    assert_eq!((ask("https"), ask("http")), (400, 200));
}
