//! Requests, case by case. Every case names the row of the reliability plan that it answers.
//!
//! Rows that need a socket, a pool, a cache or a configuration cannot be judged by a codec without
//! IO; they are stories or belong to other rooms:
//!
//! | Rows | Where |
//! |---|---|
//! | H1F-27, H1F-29 | story: an origin that answers without reading is not pooled |
//! | H1F-31, H1F-32, H1F-33 | story: unread body is drained or the connection closed |
//! | H1F-40 | PROXY protocol, not part of HTTP |
//! | H1R-11, H1R-12, H1R-19 | doorman-route, doorman-http templates, cache keys |
//! | H1P-01, H1P-02 | story: closed after a refusal, and after `Connection: close` |
//! | H1P-03, H1P-04, H1P-05, H1P-09 | story: order, idle gaps, back-pressure, body timeout |
//! | H1P-06, H1P-12, H1P-17, H1P-18, H1P-19, H1P-20 | story: reuse of upstream connections |

use doorman_h1::{
    Framing, Limits, Progress, Refusal, RequestFraming, RequestLine, read_request,
    write_request_head,
};
use doorman_http::{RequestHead, Upgrade};

type Outcome = Result<Progress<RequestFraming>, Refusal>;

fn read(input: &[u8]) -> (Outcome, RequestHead) {
    let mut head = RequestHead::default();
    let outcome = read_request(input, &Limits::default(), &mut head);
    (outcome, head)
}

/// The request is refused with `status`, and refused the same way wherever the stream was cut.
#[track_caller]
fn refuse(id: &str, status: u16, input: impl AsRef<[u8]>) -> &'static str {
    let input = input.as_ref();
    let (whole, _) = read(input);
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]);
    let refusal = whole.expect_err(&format!("{id}: accepted {shown:?}"));
    assert_eq!(refusal.status, status, "{id}: {refusal:?} for {shown:?}");
    let step = (input.len() / 400).max(1);
    for cut in (0..input.len()).step_by(step) {
        match read(&input[..cut]).0 {
            Ok(Progress::Partial) => {}
            early => assert_eq!(early, whole, "{id}: cut at {cut} of {shown:?}"),
        }
    }
    refusal.reason
}

/// The request is accepted; gives what an origin would get.
#[track_caller]
fn take(id: &str, body: Framing, input: impl AsRef<[u8]>) -> Taken {
    let input = input.as_ref();
    let (outcome, head) = read(input);
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]);
    let Ok(Progress::Done { consumed, framing }) = outcome else {
        panic!("{id}: {outcome:?} for {shown:?}");
    };
    assert_eq!(framing.body, body, "{id}: {shown:?}");
    let mut sent = Vec::new();
    let line = RequestLine { host: head.authority() };
    write_request_head(&mut sent, &head, &line, framing.body.length());
    Taken { head, sent, consumed, keep_alive: framing.keep_alive }
}

struct Taken {
    head: RequestHead,
    sent: Vec<u8>,
    consumed: usize,
    keep_alive: bool,
}

impl Taken {
    /// The origin's bytes hold `text`, whatever its case.
    #[track_caller]
    fn sends(self, text: &str) -> Self {
        assert!(self.has(text), "{text:?} not in {:?}", String::from_utf8_lossy(&self.sent));
        self
    }

    #[track_caller]
    fn hides(self, text: &str) -> Self {
        assert!(!self.has(text), "{text:?} in {:?}", String::from_utf8_lossy(&self.sent));
        self
    }

    fn has(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.sent.to_ascii_lowercase().windows(text.len()).any(|w| w == text.as_bytes())
    }
}

/// A POST with these lines after its Host.
fn post(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

fn get(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

/// `before`, one byte, `after`.
fn around(before: &str, byte: u8, after: &str) -> Vec<u8> {
    [before.as_bytes(), &[byte], after.as_bytes()].concat()
}

const CHUNKED: &str = "Transfer-Encoding: chunked";

#[test]
fn transfer_encoding() {
    refuse("H1F-01", 400, post(&format!("Content-Length: 6\r\n{CHUNKED}")));
    refuse("H1F-02", 400, post(&format!("{CHUNKED}\r\nContent-Length: 4")));
    refuse("H1F-03", 400, post(&format!("{CHUNKED}\r\n{CHUNKED}")));
    refuse("H1F-03", 400, post(&format!("{CHUNKED}\r\nTransfer-encoding: identity")));
    for (id, status, value) in [
        ("H1F-03", 400, "chunked, chunked"),
        ("H1F-04", 400, "chunked, identity"),
        ("H1F-04", 400, "chunked, gzip"),
        ("H1F-05", 501, "identity, chunked"),
        ("H1F-05", 501, "gzip, chunked"),
        ("H1F-06", 501, "xchunked"),
        ("H1F-06", 501, "chunkedx"),
        ("H1F-06", 501, "chunked1"),
        ("H1F-07", 400, "\x0bchunked"),
        ("H1F-07", 400, "\x0cchunked"),
        ("H1F-09", 400, "\"chunked\""),
        ("H1F-09", 400, "chunked;ext=1"),
        ("H1F-09", 400, "chunked; q=0.5"),
        ("H1F-11", 400, ",chunked"),
        ("H1F-11", 400, "chunked,"),
        ("H1F-11", 400, ", chunked"),
        ("H1F-11", 400, "chunked, , "),
        ("H1F-12", 400, ""),
        ("H1F-12", 400, " \t "),
    ] {
        refuse(id, status, post(&format!("Transfer-Encoding: {value}")));
    }
    refuse("H1F-12", 400, post("Transfer-Encoding:\r\nContent-Length: 5"));
    for value in ["chunked", "CHUNKED", "cHuNkEd", " \t chunked \t "] {
        let taken = take("H1F-10", Framing::Chunked, post(&format!("Transfer-Encoding:{value}")));
        assert!(taken.sent.ends_with(b"\r\ntransfer-encoding: chunked\r\n\r\n"));
    }
    for byte in (0..=255u8).filter(|b| !matches!(b, b' ' | b'\t')) {
        let (start, end) = ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ", "\r\n\r\n");
        for input in [
            around(start, byte, &format!("chunked{end}")),
            around(&format!("{start}chunked"), byte, end),
        ] {
            let (outcome, _) = read(&input);
            assert!(
                matches!(outcome, Err(r) if r.status == 400 || r.status == 501),
                "H1F-07 H1F-08 {byte}"
            );
        }
    }
    refuse("H1F-14", 400, post("Transfer-Encoding : chunked"));
    refuse("H1F-14", 400, post("Transfer-Encoding\t: chunked"));
    for method in ["GET", "POST", "OPTIONS", "HEAD"] {
        let folded =
            format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n");
        refuse("H1F-15", 400, folded);
    }
    refuse("H1F-16", 400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#[test]
fn look_alikes_never_frame() {
    refuse("H1F-13", 400, post("Transfer\0Encoding: chunked"));
    refuse("H1F-13", 400, post("Transfer-Encoding\0: chunked"));
    for name in ["Transfer_Encoding", "TRANSFER_ENCODING", "transfer.encoding", "Transfer~Encoding"]
    {
        take("H1F-13", Framing::Empty, post(&format!("{name}: chunked"))).hides("chunked");
    }
    take("H1F-13", Framing::Empty, post("Content_Length: 5")).hides("content");
    for name in ["X_Forwarded_For", "x_real_ip", "X-Forwarded_Proto", "Content_Type"] {
        take("H1L-21", Framing::Empty, post(&format!("{name}: evil"))).hides("evil");
    }
    take("H1L-21", Framing::Empty, post("X_Own_Name: fine")).sends("X_Own_Name: fine");
    let mut own = take("H1L-21", Framing::Empty, post("X_Auth_User: evil")).head;
    assert!(own.fields.set(b"X-Auth-User", b"anna"));
    assert_eq!(own.fields.iter().filter(|(_, n, _)| n.len() == 11).count(), 1, "H1L-21");
}

#[test]
fn content_length() {
    take("H1F-17", Framing::Empty, "POST / HTTP/1.0\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
    refuse("H1F-18", 400, post("Content-Length: 5\r\nContent-Length: 6"));
    refuse("H1F-19", 400, post("Content-Length: 5\r\nContent-Length: 5"));
    for (id, status, value) in [
        ("H1F-20", 400, "5, 5"),
        ("H1F-20", 400, "5, 6"),
        ("H1F-20", 400, "5,"),
        ("H1F-21", 400, "+5"),
        ("H1F-21", 400, "-5"),
        ("H1F-21", 400, "-0"),
        ("H1F-22", 400, "0x10"),
        ("H1F-22", 400, "1e2"),
        ("H1F-22", 400, "1_0"),
        ("H1F-22", 400, "5.0"),
        ("H1F-22", 400, "0b1"),
        ("H1F-23", 400, ""),
        ("H1F-23", 400, "  \t "),
        ("H1F-24", 400, "1 0"),
        ("H1F-24", 400, "5;"),
        ("H1F-24", 400, "5\0"),
        ("H1F-24", 400, "\u{661}"),
        ("H1F-26", 413, "9223372036854775808"),
        ("H1F-26", 413, "18446744073709551615"),
        ("H1F-26", 413, "18446744073709551616"),
        ("H1F-26", 413, "18446744073709551621"),
    ] {
        refuse(id, status, post(&format!("Content-Length: {value}")));
    }
    refuse("H1F-26", 413, post(&format!("Content-Length: {}", "9".repeat(400))));
    for n in [0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, i64::MAX as u64]
    {
        take("H1F-26", Framing::Known(n), post(&format!("Content-Length: {n}")))
            .sends(&format!("\r\ncontent-length: {n}\r\n\r\n"));
    }
    for zeros in [1, 2, 200] {
        let value = format!("{}5", "0".repeat(zeros));
        take("H1F-25", Framing::Known(5), post(&format!("Content-Length: {value}")))
            .sends("\r\ncontent-length: 5\r\n")
            .hides("05");
    }
    take("H1F-28", Framing::Known(5), post("Content-Length: 5\r\nX-Content-Length: 7"))
        .sends("X-Content-Length: 7")
        .sends("\r\ncontent-length: 5\r\n");
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        let taken = take("H1F-30", Framing::Known(5), format!("{head}hello"));
        assert_eq!(taken.consumed, head.len());
    }
    let taken =
        take("H1F-34", Framing::Known(3), [post("Content-Length: 3"), b"abcGET".to_vec()].concat());
    assert_eq!(taken.consumed, post("Content-Length: 3").len());
}

#[test]
fn connection_options() {
    for lines in [
        "Connection: Transfer-Encoding",
        "Connection: Content-Length\r\nContent-Length: 5",
        "Connection: close, content-length",
        "Connection: x\r\nConnection: transfer-encoding",
    ] {
        refuse("H1F-35", 400, post(lines));
    }
    take(
        "H1L-22",
        Framing::Empty,
        get("Connection:\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 2"),
    )
    .hides("X-Hop")
    .sends("X-Forwarded-For: 2");
    let critical = get("Connection: X-Forwarded-For, Authorization, Host, Cookie, X-Real-IP\r\n\
        X-Forwarded-For: 1\r\nAuthorization: 2\r\nCookie: 3=3\r\nX-Real-IP: 4");
    take("H1L-23", Framing::Empty, critical)
        .sends("host: a")
        .sends("X-Forwarded-For: 1")
        .sends("Authorization: 2")
        .sends("Cookie: 3=3")
        .sends("X-Real-IP: 4");
    let hops =
        get("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\n\
        Connection: keep-alive, te\r\nTrailer: x\r\nProxy-Authorization: b");
    let taken = take("H1L-24", Framing::Empty, hops)
        .hides("Keep-Alive")
        .hides("Proxy-")
        .hides("gzip")
        .hides("trailer: x")
        .sends("\r\nte: trailers\r\n")
        .sends("\r\nconnection: te\r\n");
    assert!(taken.head.takes_trailers && taken.keep_alive);
    take("H1L-24", Framing::Empty, get("TE: gzip")).hides("te:");
    refuse("H1L-23", 400, get("Connection: \"x\""));
    refuse("H1L-23", 400, get(&format!("Connection: {}", ",".repeat(64))));
}

#[test]
fn persistence() {
    for (version, lines, expect) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        let taken = take("H1R-15", Framing::Empty, input).sends("GET / HTTP/1.1\r\n");
        assert_eq!(taken.keep_alive, expect, "H1R-15 {version} {lines:?}");
    }
}

#[test]
fn field_lines() {
    refuse("H1F-36", 400, get(": x\r\nContent-Length: 5"));
    refuse("H1F-36", 400, get(":"));
    for len in [254, 255, 256, 257, 4096] {
        let name = "n".repeat(len);
        take("H1F-37", Framing::Known(1), get(&format!("{name}: v\r\nContent-Length: 1")))
            .sends(&format!("\r\n{name}: v\r\n"));
    }
    for len in [32_768, 65_535, 65_536, 65_600] {
        refuse("H1F-37", 431, get(&format!("{}: v", "n".repeat(len))));
    }
    refuse("H1L-01", 400, "GET / HTTP/1.1\nHost: a\n\n");
    refuse("H1L-01", 400, "GET / HTTP/1.1\r\nHost: a\n\r\n");
    refuse("H1L-01", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n");
    refuse("H1L-02", 400, get("X: a\rb"));
    refuse("H1L-02", 400, get("X: a\r"));
    refuse("H1L-02", 400, get("\rX: a"));
    refuse("H1L-03", 400, get("X: a\0b"));
    refuse("H1L-03", 400, get("X\0: a"));
    for byte in 0..=255u8 {
        let input = around("GET / HTTP/1.1\r\nHost: a\r\nX: a", byte, "b\r\n\r\n");
        if byte == b'\t' || (byte >= 0x20 && byte != 0x7F) {
            let taken = take("H1L-04 H1L-05", Framing::Empty, input);
            let value = around("a", byte, "b");
            assert_eq!(taken.head.fields.first_named(b"x"), Some(&value[..]), "H1L-05 {byte}");
            assert!(taken.sent.windows(3).any(|w| w == value), "H1L-05 {byte}");
        } else {
            refuse("H1L-04", 400, input);
        }
        let input = around("GET / HTTP/1.1\r\nHost: a\r\nX", byte, "Y: a\r\n\r\n");
        if byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte) {
            take("H1L-06", Framing::Empty, input);
        } else {
            refuse("H1L-06", 400, input);
        }
    }
    refuse("H1L-06", 400, get("X Y: a"));
    refuse("H1L-07", 400, get("X: a\r\n b"));
    refuse("H1L-07", 400, get("X: a\r\n\tb"));
    refuse("H1L-07", 400, get("X: a\r\n \r\nY: b"));
    refuse("H1L-09", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    refuse("H1L-09", 400, "GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n");
    refuse("H1L-10", 400, get("no colon here"));
    refuse("H1L-10", 400, get("nocolon"));
    let twice = get("Authorization: 1\r\nAuthorization: 2\r\nX-Request-Id: 3\r\nX-Request-Id: 4");
    let taken = take("H1L-20", Framing::Empty, twice).sends("Authorization: 1\r\nAuthorization: 2");
    assert_eq!(taken.head.fields.first_named(b"x-request-id"), Some(&b"3"[..]), "H1L-20");
}

#[test]
fn limits() {
    for lines in 1..=4 {
        let input = [b"\r\n".repeat(lines), get("X: 1")].concat();
        let taken = take("H1L-11", Framing::Empty, &input);
        assert_eq!(taken.consumed, input.len());
    }
    refuse("H1L-11", 400, [b"\r\n".repeat(5), get("X: 1")].concat());
    refuse("H1L-11", 400, b"\r\n".repeat(10_000));
    refuse("H1L-11", 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refuse("H1L-11", 400, "\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(read(b"\r\n\r").0, Ok(Progress::Partial), "H1L-11");

    let fields = |n: usize| get(&vec!["X: 1"; n - 1].join("\r\n"));
    take("H1L-16", Framing::Empty, fields(100));
    refuse("H1L-16", 431, fields(101));
    refuse("H1L-16", 431, fields(1_001));
    refuse("H1L-16", 431, fields(100_001));

    let empty = get("X: ").len();
    let sized = |n: usize| get(&format!("X: {}", "v".repeat(n - empty)));
    take("H1L-17", Framing::Empty, sized(32 * 1024 - 1));
    take("H1L-17", Framing::Empty, sized(32 * 1024));
    refuse("H1L-17", 431, sized(32 * 1024 + 1));
    refuse("H1L-17", 431, sized(1024 * 1024));

    let target = |n: usize| line(&format!("GET /{} HTTP/1.1", "p".repeat(n - 14)));
    take("H1L-18", Framing::Empty, target(8 * 1024));
    refuse("H1L-18", 414, target(8 * 1024 + 1));
    refuse("H1L-18", 414, target(60_000));
    refuse("H1L-18", 414, format!("GET /{}", "p".repeat(9_000)));
}

#[test]
fn hosts() {
    for lines in ["Host: a\r\nHost: a", "Host: a\r\nhost: b"] {
        refuse("H1L-12", 400, format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n"));
    }
    for (id, host) in [
        ("H1L-12", "a,b"),
        ("H1L-12", "a/x"),
        ("H1L-12", "u@a"),
        ("H1L-12", "a#x"),
        ("H1L-12", "a b"),
        ("H1L-12", "a\tb"),
        ("H1L-12", "a?x"),
        ("H1L-13", ""),
        ("H1L-14", ":"),
        ("H1L-14", ":80"),
        ("H1L-15", "a:0"),
        ("H1L-15", "a:65536"),
        ("H1L-15", "a:080"),
        ("H1L-15", "a:"),
        ("H1L-15", "[fe80::1%eth0]"),
        ("H1L-15", "[fe80::1%25eth0]"),
        ("H1L-15", "[::1"),
        ("H1L-15", "a..b"),
    ] {
        refuse(id, 400, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    refuse("H1L-13", 400, "GET / HTTP/1.1\r\n\r\n");
    refuse("H1L-13", 400, "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n");
    take("H1L-13", Framing::Empty, "GET / HTTP/1.0\r\n\r\n").sends("\r\nhost: \r\n");
    for (text, host) in [("A.Example.", "a.example"), ("a:443", "a"), ("[::1]:8", "[::1]")] {
        let taken =
            take("H1L-15", Framing::Empty, format!("GET / HTTP/1.1\r\nHost: {text}\r\n\r\n"));
        assert_eq!(taken.head.host(), host.as_bytes(), "H1L-15");
    }
}

#[test]
fn preface() {
    refuse("H1L-25", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn targets() {
    let taken = take("H1R-01", Framing::Empty, line("GET http://b.example:81/x HTTP/1.1"))
        .sends("GET /x HTTP/1.1\r\nhost: b.example:81\r\n")
        .hides("host: a");
    assert_eq!(taken.head.host(), b"b.example", "H1R-01");
    take("H1R-02", Framing::Empty, line("GET http://b HTTP/1.1"))
        .sends("GET / HTTP/1.1\r\nhost: b\r\n");
    take("H1R-02", Framing::Empty, line("GET http://b?x HTTP/1.1"))
        .sends("GET /?x HTTP/1.1\r\nhost: b\r\n");
    take("H1R-03", Framing::Empty, line("GET HtTp://b/ HTTP/1.1"))
        .sends("GET / HTTP/1.1\r\nhost: b\r\n");
    take("H1R-04", Framing::Empty, line("OPTIONS * HTTP/1.1")).sends("OPTIONS * HTTP/1.1\r\n");
    for (id, status, text) in [
        ("H1R-03", 400, "GET https://b/ HTTP/1.1"),
        ("H1R-03", 400, "GET ftp://b/ HTTP/1.1"),
        ("H1R-03", 400, "GET http://u:p@b/ HTTP/1.1"),
        ("H1R-03", 400, "GET http:///x HTTP/1.1"),
        ("H1R-03", 400, "GET http:/x HTTP/1.1"),
        ("H1R-04", 400, "GET b:80 HTTP/1.1"),
        ("H1R-04", 400, "GET b HTTP/1.1"),
        ("H1R-04", 400, "GET * HTTP/1.1"),
        ("H1R-04", 400, "OPTIONS *x HTTP/1.1"),
        ("H1R-05", 501, "CONNECT b:443 HTTP/1.1"),
        ("H1R-06", 400, "GET /a b HTTP/1.1"),
        ("H1R-06", 400, "GET  / HTTP/1.1"),
        ("H1R-06", 400, "GET /  HTTP/1.1"),
        ("H1R-06", 400, "GET\t/ HTTP/1.1"),
        ("H1R-06", 400, "GET /\tHTTP/1.1"),
        ("H1R-06", 400, "GET /a\tb HTTP/1.1"),
        ("H1R-06", 400, " GET / HTTP/1.1"),
        ("H1R-06", 400, "GET /\u{b}x HTTP/1.1"),
        ("H1R-07", 400, "GET /a#b HTTP/1.1"),
        ("H1R-08", 400, "GET /a\0b HTTP/1.1"),
        ("H1R-08", 400, "GET /a\x7fb HTTP/1.1"),
        ("H1R-08", 400, "GET /caf\u{e9} HTTP/1.1"),
        ("H1R-08", 400, "GET /a%00 HTTP/1.1"),
        ("H1R-09", 400, "GET /a/..;/admin HTTP/1.1"),
        ("H1R-10", 400, "GET /a\\b HTTP/1.1"),
        ("H1R-10", 400, "GET /a/..%2fadmin HTTP/1.1"),
        ("H1R-10", 400, "GET /% HTTP/1.1"),
        ("H1R-13", 400, "GET /"),
        ("H1R-14", 505, "GET / HTTP/1.2"),
        ("H1R-14", 505, "GET / HTTP/2.0"),
        ("H1R-14", 505, "GET / HTTP/0.9"),
        ("H1R-14", 400, "GET / HTTP/01.1"),
        ("H1R-14", 400, "GET / http/1.1"),
        ("H1R-14", 400, "GET / HTTP/1.1 "),
        ("H1R-14", 400, "GET / HTTP/1.1 x"),
        ("H1R-14", 400, "GET / HTTP/1.1x"),
        ("H1R-14", 400, "GET / HTTP/11"),
        ("H1R-14", 400, "GET / XTTP/1.1"),
        ("H1R-16", 400, "GET\0 / HTTP/1.1"),
        ("H1R-16", 400, "G=\":<>( / HTTP/1.1"),
        ("H1R-16", 400, "G\u{e9}T / HTTP/1.1"),
        ("H1R-18", 405, "TRACE / HTTP/1.1"),
    ] {
        refuse(id, status, line(text));
    }
    take("H1R-08", Framing::Empty, line("GET /a%0d%0ab%c0%af HTTP/1.1"))
        .sends("GET /a%0D%0Ab%C0%AF HTTP");
    take("H1R-09", Framing::Empty, line("GET /a;v=1/b HTTP/1.1")).sends("GET /a;v=1/b HTTP");
    for (text, path) in [
        ("//a", "/a"),
        ("/a/./b", "/a/b"),
        ("/%2e%2e/a", "/a"),
        ("/a%252fb", "/a%252fb"),
        ("/a%2fb", "/a%2Fb"),
    ] {
        let taken = take("H1R-10", Framing::Empty, line(&format!("GET {text} HTTP/1.1")));
        assert!(
            taken.sent.starts_with(format!("GET {path} HTTP/1.1\r\n").as_bytes()),
            "H1R-10 {text}"
        );
        assert_eq!(taken.head.path(), path.as_bytes());
    }
    refuse("H1R-13", 400, "GET /\r\n");
    refuse("H1R-13", 400, "GET /\r\nHost: a\r\n\r\n");
    take("H1R-16", Framing::Empty, line("get / HTTP/1.1")).sends("get / HTTP/1.1");
    take("H1R-16", Framing::Empty, line("PROPFIND / HTTP/1.1")).sends("PROPFIND / HTTP/1.1");
    refuse("H1R-17", 501, line(&format!("{} / HTTP/1.1", "M".repeat(65_536))));
    refuse("H1R-17", 501, line(&format!("{} / HTTP/1.1", "M".repeat(33))));
    take("H1R-17", Framing::Empty, line(&format!("{} / HTTP/1.1", "M".repeat(32))));
}

#[test]
fn expectations() {
    for value in ["100-continue", "100-Continue"] {
        let taken = take(
            "H1P-07",
            Framing::Known(5),
            post(&format!("Content-Length: 5\r\nExpect: {value}")),
        )
        .sends("\r\nexpect: 100-continue\r\n");
        assert!(taken.head.expects_continue, "H1P-07");
    }
    for value in ["y 100-continue", "100-continue, 100-continue", "200-ok", "", "100-continue;q=1"]
    {
        refuse("H1P-07", 417, post(&format!("Content-Length: 5\r\nExpect: {value}")));
    }
    refuse(
        "H1P-07",
        417,
        post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5"),
    );
    refuse("H1P-07", 400, post("Content-Length: 5\r\nExpect:\r\n 100-continue"));
    for input in [
        get("Expect: 100-continue"),
        post("Content-Length: 0\r\nExpect: 100-continue"),
        b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n".to_vec(),
    ] {
        let mut head = RequestHead::default();
        read_request(&input, &Limits::default(), &mut head).unwrap();
        let mut sent = Vec::new();
        write_request_head(
            &mut sent,
            &head,
            &RequestLine { host: b"a" },
            doorman_http::Length::Absent,
        );
        assert!(!head.expects_continue && !sent.windows(6).any(|w| w == b"expect"), "H1P-08");
    }
}

#[test]
fn upgrades() {
    const WEBSOCKET: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let upgrade = |id: &str, lines: &str| take(id, Framing::Empty, get(lines));
    let taken = upgrade("H1P-15", WEBSOCKET)
        .sends("\r\nconnection: upgrade\r\nupgrade: websocket\r\n")
        .sends("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(taken.head.upgrade, Some(Upgrade::WebSocket), "H1P-15");
    for (from, to) in [
        ("Version: 13", "Version: 12"),
        ("Version: 13", "Version: 13, 8"),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
        ("ZQ==", "ZQ="),
        ("ZQ==", "Z\u{e9}=="),
        ("dGhl", ""),
        ("Connection: Upgrade", "Connection: close"),
        ("Connection: Upgrade", "X: y"),
    ] {
        let taken = upgrade("H1P-15", &WEBSOCKET.replace(from, to)).hides("upgrade: websocket");
        assert_eq!(taken.head.upgrade, None, "H1P-15 {to:?}");
    }
    let with_body =
        take("H1P-15", Framing::Known(5), get(&format!("{WEBSOCKET}\r\nContent-Length: 5")));
    assert_eq!(with_body.hides("upgrade:").head.upgrade, None, "H1P-15");

    for value in ["h2c", "H2C", "h2c, foo/2", "foo/2, h2c", "a, h2c, b", "h2", "h2c/1"] {
        let lines = format!(
            "Upgrade: {value}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA"
        );
        upgrade("H1P-13 H1P-14", &lines).hides("h2").hides("settings").hides("AAMA");
    }
    let taken = upgrade("H1P-13", "Upgrade: h2c\r\nConnection: upgrade");
    assert_eq!(taken.head.upgrade, None, "H1P-14");
    let taken = upgrade(
        "H1P-11",
        "Upgrade: h2c\r\nUpgrade: foo/2\r\nConnection: upgrade, te\r\nTE: trailers",
    )
    .sends("\r\nconnection: upgrade, te\r\nupgrade: foo/2\r\n");
    assert_eq!(taken.head.upgrade, Some(Upgrade::Other), "H1P-11");
    let old = "GET / HTTP/1.0\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(take("H1P-11", Framing::Empty, old).hides("foo").head.upgrade, None);
}

#[test]
fn garbage_is_refused_before_a_line_end_comes() {
    // A TLS ClientHello on a plain port.
    assert!(read(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").0.is_err());
    assert!(read(&[0; 64]).0.is_err());
}
