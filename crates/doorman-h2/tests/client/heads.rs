//! Heads of requests: what is one, what is refused, and what the origin would see.

use doorman_h2::{Limits, RequestFault};

enum Want<'a> {
    /// Taken, with these fields.
    Taken(&'a [&'a str]),
    Malformed,
    Status(u16),
}
use Want::{Malformed, Status, Taken};

use crate::support::*;

fn check(fields: &[(&str, &str)], want: &Want<'_>) {
    let mut connection = greeted();
    let bytes = frame(HEADERS, END_HEADERS, 1, &block(fields));
    let mut seen = feed(&mut connection, &bytes, usize::MAX);
    assert_eq!(seen.fault, None, "{fields:?}");
    let (_, text, verdict, _) = seen.requests.remove(0);
    match (want, verdict) {
        (Taken(fields), Ok(_)) => assert!(text.ends_with(&format!("{fields:?}")), "{text}"),
        (Malformed, Err(RequestFault::Malformed(_))) => {}
        (Status(wanted), Err(RequestFault::Refused(status, _))) => assert_eq!(status, *wanted),
        (_, verdict) => panic!("{fields:?}: {verdict:?} {text}"),
    }
}

/// A GET with a pseudo-field replaced, or a field added.
fn with(name: &'static str, value: &'static str, want: &Want<'_>) {
    let mut fields = GET.to_vec();
    match fields.iter_mut().find(|field| field.0 == name && name.starts_with(':')) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    check(&fields, want);
}

#[test]
fn fields_dgr_07_to_19() {
    with("x-a", "b", &Taken(&["x-a: b"]));
    with("te", "trailers", &Taken(&["te: trailers"]));
    with("te", "gzip", &Malformed);
    with("transfer-encoding", "chunked", &Malformed);
    with("connection", "close", &Malformed);
    with("keep-alive", "5", &Malformed);
    with("proxy-connection", "close", &Malformed);
    with("upgrade", "websocket", &Malformed);
    with("http2-settings", "AAMAAABk", &Status(400));
    with("x-a", " b", &Status(400));
    with("x-a", "b\t", &Status(400));
    with("x-a", "a\nb", &Malformed);
    with("x-a", "a\0", &Malformed);
    with("X-A", "b", &Malformed);
    with("", "b", &Malformed);
    with("x a", "b", &Malformed);
    with("x_forwarded_for", "1.2.3.4", &Taken(&[]));
    with("content-length", "5", &Taken(&["content-length: 5"]));
    with("content-length", "+5", &Malformed);
    with("content-length", "5, 5", &Malformed);
    with("content-length", "99999999999999999999", &Malformed);
    with("expect", "100-continue", &Taken(&[]));
    with("expect", "200-ok", &Status(417));
    with("host", "a.example", &Taken(&["host: a.example"]));
    with("host", "A.EXAMPLE", &Taken(&["host: A.EXAMPLE"]));
    with("host", "b.example", &Status(400));
}

#[test]
fn pseudo_fields_dgr_12_to_21() {
    with(":method", "G T", &Status(400));
    with(":method", "TRACE", &Status(405));
    with(":method", "CONNECT", &Malformed);
    with(":scheme", "http", &Status(400));
    with(":authority", "a,b", &Status(400));
    with(":authority", "u@a", &Status(400));
    with(":path", "", &Malformed);
    with(":path", "a", &Status(400));
    with(":path", "*", &Status(400));
    with(":path", "/a b", &Status(400));
    with(":path", "/a#b", &Status(400));
    with(":path", "/\u{e4}", &Status(400));
    with(":protocol", "websocket", &Malformed);
    with(":status", "200", &Malformed);
    with(":unknown", "x", &Malformed);
    let [method, scheme, authority, path] = GET;
    check(&[scheme, authority, path], &Malformed);
    check(&[method, authority, path], &Malformed);
    check(&[method, scheme, authority], &Malformed);
    check(&[method, scheme, path], &Status(400));
    check(&[method, scheme, path, ("host", "a")], &Taken(&["host: a"]));
    check(&[method, scheme, path, ("host", "a"), ("host", "a")], &Status(400));
    check(&[method, scheme, authority, path, path], &Malformed);
    check(&[method, scheme, authority, ("x", "y"), path], &Malformed);
    check(&[], &Malformed);
    let connect = (":method", "CONNECT");
    check(&[connect, authority], &Status(501));
    let websocket = (":protocol", "websocket");
    let version = ["sec-websocket-version: 13"];
    check(&[connect, websocket, scheme, authority, path], &Taken(&version));
    check(&[connect, (":protocol", "other"), scheme, authority, path], &Status(501));
    check(&[connect, websocket, authority, path], &Malformed);
    let length = ("content-length", "0");
    check(&[connect, websocket, scheme, authority, path, length], &Status(400));
    check(&[method, scheme, authority, path, length, length], &Status(400));
    check(&[method, scheme, authority, path, length, ("content-length", "1")], &Malformed);
    check(&[(":method", "OPTIONS"), scheme, authority, (":path", "*")], &Taken(&[]));
}

#[test]
fn crumbs_are_joined_dgr_23() {
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")];
    check(&[&GET[..], &crumbs].concat(), &Taken(&["x: y", "cookie: a=1; b=2"]));
}

#[test]
fn what_is_too_large_is_refused_and_not_kept_h2d_11_to_13() {
    for name in ["x", "cookie", "host"] {
        check(&[&GET[..], &vec![(name, "v"); 101]].concat(), &Status(431));
    }
    let long = "v".repeat(9000);
    check(&[&GET[..], &[("x", &long[..])]].concat(), &Taken(&[&format!("x: {long}")]));
    let mut connection = server(Limits { head_bytes: 1000, ..LIMITS });
    let hello = [PREFACE, &settings(&[])].concat();
    let request = frame(HEADERS, 5, 1, &block(&[&GET[..], &[("x", &long[..2000])]].concat()));
    let seen = feed(&mut connection, &[hello, request].concat(), usize::MAX);
    let (_, text, verdict, _) = &seen.requests[0];
    assert!(matches!(verdict, Err(RequestFault::Refused(431, _))), "{verdict:?}");
    assert_eq!(text, "GET / []", "nothing but the target is kept");
}

/// A head as long as the operator allows, in frames of full size; many such heads are no flood.
#[test]
fn long_heads_come_in_many_frames() {
    let limits = Limits { head_bytes: 1024 * 1024, ..LIMITS };
    let mut connection = server(limits);
    let hello = [PREFACE, &settings(&[])].concat();
    assert_eq!(feed(&mut connection, &hello, hello.len()).fault, None);
    let value = "v".repeat(10 * 1024);
    let long: Vec<(&str, &str)> =
        GET.iter().copied().chain(std::iter::repeat_n(("x-long", &*value), 95)).collect();
    let block = block(&long);
    for stream in (1..40).step_by(2) {
        let mut pieces = block.chunks(16 * 1024).peekable();
        let first = pieces.next().expect("it is not empty");
        let mut bytes = frame(HEADERS, END_STREAM, stream, first);
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            bytes.extend(frame(CONTINUATION, flags, stream, piece));
        }
        let seen = feed(&mut connection, &bytes, 16 * 1024);
        assert_eq!(seen.fault, None, "stream {stream}");
        assert_eq!(seen.requests.len(), 1);
        assert_eq!(seen.requests[0].2, Ok(None));
        connection.release(seen.streams[0]);
        drain(&mut connection);
    }
}
