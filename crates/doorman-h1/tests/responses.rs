//! Responses, case by case, and what is written to clients.
//!
//! Rows that need a socket or a pool are stories: UPB-01, UPB-06, UPB-11, UPB-13 to UPB-20, UPB-22
//! and UPB-25 to UPB-29, H1P-10 (the caller counts interim responses).

use doorman_h1::{
    Asked, AskedMethod, AskedUpgrade, Coding, Framing, Limits, Progress, Refusal, Reply,
    ResponseFault, ResponseFraming, read_response, write_interim, write_refusal,
    write_response_head,
};
use doorman_http::{Length, RequestHead, ResponseHead, Upgrade, Version};

const PLAIN: Asked<'_> = Asked { method: AskedMethod::Other, upgrade: None };
const HEAD: Asked<'_> = Asked { method: AskedMethod::Head, upgrade: None };
const CONNECT: Asked<'_> = Asked { method: AskedMethod::Connect, upgrade: None };
const WEBSOCKET: Asked<'_> = Asked {
    method: AskedMethod::Other,
    upgrade: Some(AskedUpgrade::WebSocket(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
};
const OTHER: Asked<'_> =
    Asked { method: AskedMethod::Other, upgrade: Some(AskedUpgrade::Other(b"Foo/2")) };

type Outcome = Result<Progress<ResponseFraming>, ResponseFault>;

fn read(asked: &Asked<'_>, input: &[u8]) -> (Outcome, ResponseHead) {
    let mut head = ResponseHead::new(200);
    let outcome = read_response(input, &Limits::default(), asked, &mut head);
    (outcome, head)
}

/// The response is of no use, and for the same reason wherever the stream was cut.
#[track_caller]
fn fault(id: &str, asked: &Asked<'_>, input: impl AsRef<[u8]>) {
    let input = input.as_ref();
    let whole = read(asked, input).0;
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]);
    assert!(whole.is_err(), "{id}: accepted {shown:?}");
    for cut in (0..input.len()).step_by((input.len() / 400).max(1)) {
        match read(asked, &input[..cut]).0 {
            Ok(Progress::Partial) => {}
            early => assert_eq!(early, whole, "{id}: cut at {cut} of {shown:?}"),
        }
    }
}

#[track_caller]
fn take(id: &str, asked: &Asked<'_>, body: Framing, keep_alive: bool, input: &str) -> ResponseHead {
    let (outcome, head) = read(asked, input.as_bytes());
    let Ok(Progress::Done { consumed, framing }) = outcome else {
        panic!("{id}: {outcome:?} for {input:?}");
    };
    assert_eq!(framing, ResponseFraming { body, keep_alive }, "{id}: {input:?}");
    assert_eq!(consumed, input.len(), "{id}");
    for cut in 0..input.len() {
        assert_eq!(read(asked, &input.as_bytes()[..cut]).0, Ok(Progress::Partial), "{id} {cut}");
    }
    head
}

fn ok(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
}

fn status(status: &str, lines: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{lines}\r\n")
}

#[test]
fn framing() {
    let chunked = "Transfer-Encoding: chunked";
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: ",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: ",
        "Connection: Content-Length\r\nContent-Length: 5",
    ] {
        for asked in [PLAIN, HEAD, CONNECT] {
            fault("H1F-38", &asked, ok(lines));
        }
        fault("H1F-38", &PLAIN, format!("HTTP/1.1 304 Not Modified\r\n{lines}\r\n\r\n"));
    }
    fault("H1F-39", &PLAIN, format!("HTTP/1.0 200 OK\r\n{chunked}\r\n\r\n"));
    take(
        "H1F-39",
        &PLAIN,
        Framing::Empty,
        false,
        &status("204 No Content", &format!("{chunked}\r\n")),
    );
    take(
        "H1F-39",
        &PLAIN,
        Framing::Empty,
        false,
        &status("304 Not Modified", &format!("{chunked}\r\n")),
    );

    take("UPB-10", &PLAIN, Framing::Known(5), true, &ok("Content-Length: 5"));
    take("UPB-10", &PLAIN, Framing::Known(0), true, &ok("Content-Length: 0"));
    take("UPB-10", &PLAIN, Framing::Chunked, true, &ok("Transfer-Encoding: Chunked"));
    take(
        "UPB-10",
        &PLAIN,
        Framing::Chunked,
        false,
        &ok("Transfer-Encoding: chunked\r\nConnection: close"),
    );
    let head = take("UPB-10", &HEAD, Framing::Empty, true, &ok("Content-Length: 5"));
    assert_eq!(head.declared_length, Some(5), "UPB-10");
    let head = take("UPB-10", &HEAD, Framing::Empty, true, &ok(chunked));
    assert_eq!(head.declared_length, None, "UPB-10");
    take("UPB-10", &HEAD, Framing::Empty, true, &ok("X: y"));
    take("UPB-10", &PLAIN, Framing::Empty, true, &status("204 No Content", ""));
    take(
        "UPB-10",
        &PLAIN,
        Framing::Empty,
        true,
        &status("204 No Content", "Content-Length: 0\r\n"),
    );
    take(
        "UPB-10",
        &PLAIN,
        Framing::Empty,
        false,
        &status("204 No Content", "Content-Length: 5\r\n"),
    );
    let head = take(
        "UPB-10",
        &PLAIN,
        Framing::Empty,
        true,
        &status("304 Not Modified", "Content-Length: 5\r\n"),
    );
    assert_eq!(head.declared_length, Some(5), "UPB-10");
    fault("UPB-10", &PLAIN, status("103 Early Hints", "Content-Length: 5\r\n"));
    fault("UPB-10", &PLAIN, status("100 Continue", "Transfer-Encoding: chunked\r\n"));

    take("UPB-05", &PLAIN, Framing::UntilClose, false, &ok("X: y"));
    take("UPB-05", &PLAIN, Framing::UntilClose, false, &ok("Connection: keep-alive"));
    take(
        "UPB-05",
        &PLAIN,
        Framing::Known(5),
        false,
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    );
    let persistent = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n";
    take("UPB-05", &PLAIN, Framing::Known(5), true, persistent);
    take("UPB-24", &CONNECT, Framing::Tunnel, false, &ok("Content-Length: 5"));
    take("UPB-24", &CONNECT, Framing::Tunnel, false, &ok(chunked));
    take(
        "UPB-24",
        &CONNECT,
        Framing::Known(5),
        true,
        &status("403 Forbidden", "Content-Length: 5\r\n"),
    );
}

#[test]
fn status_lines() {
    for line in [
        "",
        "garbage",
        "<html>",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 99 OK",
        "HTTP/1.1 600 OK",
        "HTTP/1.1 999 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/2 200",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/01.1 200 OK",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
    ] {
        fault("UPB-07", &PLAIN, format!("{line}\r\nContent-Length: 0\r\n\r\n"));
    }
    for code in [200, 299, 302, 404, 418, 500, 599] {
        let head = take(
            "UPB-07",
            &PLAIN,
            Framing::Known(0),
            true,
            &status(&format!("{code} x"), "Content-Length: 0\r\n"),
        );
        assert_eq!(head.status, code, "UPB-07");
    }
    take("UPB-07", &PLAIN, Framing::Known(0), true, &status("200", "Content-Length: 0\r\n"));
    take("UPB-07", &PLAIN, Framing::Known(0), true, &status("200 ", "Content-Length: 0\r\n"));
}

#[test]
fn reason_phrases() {
    let written = |reason: &[u8]| {
        let input = [b"HTTP/1.1 404 ", reason, b"\r\nContent-Length: 0\r\n\r\n"].concat();
        let (outcome, head) = read(&PLAIN, &input);
        assert!(matches!(outcome, Ok(Progress::Done { .. })), "UPB-08 {reason:?}");
        write(&head, Version::Http11, Length::Known(0)).1
    };
    assert!(written(b"Nope").starts_with(b"HTTP/1.1 404 Nope\r\n"), "UPB-08");
    for byte in (0..=255u8).filter(|&b| b != b'\n') {
        let reason = [b"a", &[byte][..], b"b"].concat();
        let is_harmless = byte == b'\t' || (byte >= 0x20 && byte != 0x7F);
        let expect = if is_harmless { &reason[..] } else { b"Not Found" };
        let expect = [b"HTTP/1.1 404 ", expect, b"\r\n"].concat();
        assert!(written(&reason).starts_with(&expect), "UPB-08 {byte}");
    }
    assert!(written(b"").starts_with(b"HTTP/1.1 404 Not Found\r\n"), "UPB-08");
}

#[test]
fn fields() {
    for lines in [
        "X: a\0b",
        "X: a\rb",
        "X: a\x1bb",
        "X: a\x7fb",
        "X\0: a",
        "X : a",
        " X: a",
        "X",
        ": a",
        "X Y: a",
        "X: a\nY: b",
    ] {
        fault("UPB-09", &PLAIN, ok(lines));
    }
    fault("UPB-09", &PLAIN, ok(&vec!["X: 1"; 101].join("\r\n")));
    fault("UPB-09", &PLAIN, ok(&format!("X: {}", "v".repeat(33 * 1024))));
    fault("UPB-23", &PLAIN, format!("HTTP/1.1 200 {}", "v".repeat(33 * 1024)));
    fault("H1L-08", &PLAIN, ok("X: a\r\n b"));
    fault("H1L-08", &PLAIN, ok("X: a\r\n\tb"));
    fault("UPB-02", &PLAIN, "HTTP/1.1 200 OK\nContent-Length: 0\n\n");
    take("UPB-02", &PLAIN, Framing::Known(3), true, &ok("X: caf\u{e9}\r\nContent-Length: 3"));
    let head = take(
        "H1L-24",
        &PLAIN,
        Framing::Known(0),
        true,
        &ok(
            "Keep-Alive: timeout=5\r\nConnection: keep-alive, X-Hop, Set-Cookie\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nTrailer: x\r\nProxy-Authenticate: b",
        ),
    );
    let kept: Vec<_> = head.fields.iter().map(|(_, name, _)| name.to_vec()).collect();
    assert_eq!(kept, [b"Set-Cookie".to_vec()], "H1L-24 H1L-23");
}

#[test]
fn switching() {
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let switch = |lines: &str| status("101 Switching Protocols", lines);
    let good = switch(&format!("Upgrade: WebSocket\r\nConnection: Upgrade\r\n{accept}"));
    let head = take("H1P-15", &WEBSOCKET, Framing::Tunnel, false, &good);
    assert_eq!(head.upgrade, Some(Upgrade::WebSocket), "H1P-15");
    fault("H1P-16", &PLAIN, &good);
    fault("H1P-16", &HEAD, &good);
    fault("H1P-15", &OTHER, &good);
    for lines in [
        format!("Connection: Upgrade\r\n{accept}"),
        format!("Upgrade: websocket\r\n{accept}"),
        format!("Upgrade: foo\r\nConnection: Upgrade\r\n{accept}"),
        format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{accept}"),
        "Upgrade: websocket\r\nConnection: Upgrade\r\n".to_owned(),
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n".to_owned(),
        // As long as it should be, and another key's.
        "Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"
            .to_owned(),
        format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{accept}{accept}"),
    ] {
        fault("H1P-15", &WEBSOCKET, switch(&lines));
    }
    for other in ["foo", "foo/3", "bar", "bar, foo/2", "websocket", "foo/2/2"] {
        let lines = format!("Upgrade: {other}\r\nConnection: Upgrade\r\n{accept}");
        fault("H1P-15", &OTHER, switch(&lines));
    }
    let head = take(
        "H1P-11",
        &OTHER,
        Framing::Tunnel,
        false,
        &switch("Upgrade: foo/2\r\nConnection: upgrade\r\n"),
    );
    let (coding, sent) = write(&head, Version::Http11, Length::Unknown);
    assert_eq!(coding, Coding::UntilClose);
    assert_eq!(
        sent,
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo/2\r\n\r\n"
    );
    take("H1P-11", &WEBSOCKET, Framing::Known(2), true, &ok("Content-Length: 2"));
}

/// The example of RFC 6455 section 1.3, with its hash as it stands there, and hashes whose Base64
/// has every digit.
#[test]
fn the_accept_that_a_key_calls_for() {
    fn of_the_example(text: &[u8]) -> [u8; 20] {
        assert_eq!(text, b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        [
            0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6, 0x46, 0x06, 0xcf, 0x38,
            0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea,
        ]
    }
    let check = |sha1, expect: &[u8; 28]| {
        let mut head = RequestHead::default();
        head.upgrade = Some(Upgrade::WebSocket);
        assert!(head.fields.append(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(Asked::of(&head, sha1).upgrade, Some(AskedUpgrade::WebSocket(*expect)));
    };
    check(of_the_example, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    check(|_| [0; 20], b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    check(|_| [0xff; 20], b"//////////////////////////8=");
    check(|_| [0xfb; 20], b"+/v7+/v7+/v7+/v7+/v7+/v7+/s=");

    let mut head = RequestHead::default();
    head.upgrade = Some(Upgrade::Other);
    assert!(head.fields.append(b"Upgrade", b"h2c, foo/2, bar"));
    let asked = Asked::of(&head, |_| unreachable!("only WebSocket has a key"));
    assert_eq!(asked.upgrade, Some(AskedUpgrade::Other(b"foo/2")), "what is sent on, alone");
}

#[test]
fn interim() {
    let head = take(
        "UPB-12",
        &PLAIN,
        Framing::Empty,
        true,
        &status("103 Early Hints", "Link: </a>; rel=preload\r\n"),
    );
    let mut sent = Vec::new();
    write_interim(&mut sent, &head);
    assert_eq!(sent, b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n");
    take("UPB-12", &PLAIN, Framing::Empty, true, &status("100 Continue", ""));
    take("UPB-12", &PLAIN, Framing::Empty, true, &status("100", ""));
}

fn write(head: &ResponseHead, client: Version, body: Length) -> (Coding, Vec<u8>) {
    let reply = Reply { client, head_request: false, keep_alive: true };
    let mut out = Vec::new();
    let coding = write_response_head(&mut out, head, &reply, body);
    (coding, out)
}

#[test]
fn written_framing() {
    let check = |status: u16, declared, reply: Reply, body, coding, expect: &str| {
        let mut head = ResponseHead::new(status);
        head.declared_length = declared;
        head.fields.push(b"Content-Length", b"99");
        head.fields.push(b"Transfer-Encoding", b"chunked");
        head.fields.push(b"Connection", b"keep-alive");
        let mut out = Vec::new();
        assert_eq!(
            write_response_head(&mut out, &head, &reply, body),
            coding,
            "{status} {reply:?} {body:?}"
        );
        let text = String::from_utf8(out).unwrap();
        let (_, fields) = text.split_once("\r\n").unwrap();
        assert_eq!(fields, format!("{expect}\r\n"), "{status} {reply:?} {body:?}");
    };
    let reply = Reply { client: Version::Http11, head_request: false, keep_alive: true };
    let old = Reply { client: Version::Http10, ..reply };
    let head = Reply { head_request: true, ..reply };
    let last = Reply { keep_alive: false, ..reply };
    let (known, unknown, absent) = (Length::Known(7), Length::Unknown, Length::Absent);
    check(200, None, reply, known, Coding::Sized, "content-length: 7\r\n");
    check(200, None, reply, absent, Coding::None, "content-length: 0\r\n");
    check(200, None, reply, unknown, Coding::Chunked, "transfer-encoding: chunked\r\n");
    check(200, None, last, known, Coding::Sized, "content-length: 7\r\nconnection: close\r\n");
    check(200, None, old, known, Coding::Sized, "content-length: 7\r\nconnection: keep-alive\r\n");
    // H1R-15: an HTTP/1.0 client gets no chunks.
    check(200, None, old, unknown, Coding::UntilClose, "connection: close\r\n");
    check(200, None, head, known, Coding::None, "content-length: 7\r\n");
    check(200, Some(9), head, absent, Coding::None, "content-length: 9\r\n");
    check(200, None, head, unknown, Coding::None, "");
    check(200, None, head, absent, Coding::None, "");
    check(204, Some(9), reply, known, Coding::None, "");
    check(304, Some(9), reply, absent, Coding::None, "content-length: 9\r\n");
    check(304, None, reply, known, Coding::None, "");
    check(404, None, reply, Length::Known(0), Coding::Sized, "content-length: 0\r\n");
    check(
        200,
        None,
        reply,
        Length::Known(u64::MAX),
        Coding::Sized,
        "content-length: 18446744073709551615\r\n",
    );
}

#[test]
fn refusals() {
    let mut out = Vec::new();
    write_refusal(&mut out, &Refusal { status: 405, reason: "x" }, Some("id-1"));
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    assert!(text.contains("\r\nallow: GET") && text.contains("\r\nconnection: close\r\n"));
    assert!(text.contains("\r\ncontent-length: 36\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n405 Method Not Allowed\nrequest id-1\n"));
}

/// H1L-19: in a debug build the mistake stops the test; a release build leaves the field out.
#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "control byte"))]
fn no_line_end_leaves_in_a_value() {
    let mut head = ResponseHead::new(200);
    head.fields.push(b"x-a", b"1\r\nx-evil: 2");
    head.fields.push(b"x-b", b"3");
    let (_, out) = write(&head, Version::Http11, Length::Known(0));
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nx-b: 3\r\ncontent-length: 0\r\n\r\n", "H1L-19");
}
