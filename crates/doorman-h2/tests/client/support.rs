//! A client in bytes, and what a connection makes of them.

use doorman_h2::{Connection, Content, Event, Fault, Limits, RequestFault, Settings, Stream};
use doorman_http::{FieldId, Instant, RequestHead, Scheme};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const NOW: Instant = Instant(0);

/// Frame types and flags (RFC 9113 section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("it fits").to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &pairs.iter().flat_map(pair).collect::<Vec<u8>>())
}

pub(crate) fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// Literals that do not enter the table.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            doorman_http::integer::write(text.len() as u64, 7, 0, &mut out);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

pub(crate) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/")];
pub(crate) const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":authority", "a.example"), (":path", "/")];

pub(crate) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&GET))
}

pub(crate) fn post(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&[&POST, more].concat()))
}

pub(crate) fn server(limits: Limits) -> Connection {
    let settings = Settings {
        limits,
        scheme: Scheme::Https,
        head: Box::<RequestHead>::default,
        may_trail: |name| FieldId::of(name) == FieldId::Other,
    };
    Connection::new(settings, NOW)
}

pub(crate) const LIMITS: Limits = Limits { head_bytes: 32 * 1024, fields: 100, streams: 100 };

/// A connection that was greeted.
pub(crate) fn greeted() -> Connection {
    let mut connection = server(LIMITS);
    let hello = [PREFACE, &settings(&[])].concat();
    let seen = feed(&mut connection, &hello, hello.len());
    assert_eq!(seen.fault, None);
    drain(&mut connection);
    connection
}

/// A request: its stream, method, path and fields, verdict, and whether it was all.
type Request = (u32, String, Result<Option<u64>, RequestFault>, bool);

/// What came of bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Request>,
    pub(crate) gone: Vec<u32>,
    pub(crate) fault: Option<Fault>,
    pub(crate) streams: Vec<Stream>,
}

/// Reads `bytes`, cut into pieces of that size.
pub(crate) fn feed(connection: &mut Connection, bytes: &[u8], cut: usize) -> Seen {
    let mut seen = Seen::default();
    let mut left = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        left.extend_from_slice(piece);
        let mut input = &left[..];
        loop {
            match connection.read(&mut input, NOW) {
                Ok(None) => break,
                Ok(Some(Event::Request(opened))) => {
                    let head = &opened.head;
                    let fields: Vec<String> = head
                        .fields
                        .received()
                        .map(|(_, name, value)| {
                            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                            format!("{}: {}", text(name), text(value))
                        })
                        .collect();
                    let path = String::from_utf8_lossy(head.path()).into_owned();
                    let text = format!("{} {path} {fields:?}", head.method);
                    let (id, verdict) = (opened.stream.id(), opened.verdict);
                    seen.requests.push((id, text, verdict, opened.is_ended));
                    seen.streams.push(opened.stream);
                }
                Ok(Some(Event::Gone(stream))) => {
                    seen.gone.push(stream.id());
                    connection.release(stream);
                }
                Ok(Some(Event::News(_) | Event::Room)) => {}
                Err(fault) => {
                    seen.fault = Some(fault);
                    return seen;
                }
            }
        }
        let rest = input.to_vec();
        // A piece of input that is kept is a frame that is not whole.
        assert!(rest.len() < 9 + 16_384);
        left = rest;
    }
    seen
}

/// Takes the output: frames as kind, flags, stream and payload.
pub(crate) fn drain(connection: &mut Connection) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let output = connection.output().to_vec();
    connection.wrote(output.len());
    assert!(connection.output().is_empty());
    frames(&output)
}

pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length =
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        let stream = u32::from_be_bytes(bytes[5..9].try_into().expect("it fits"));
        frames.push((bytes[3], bytes[4], stream, bytes[9..9 + length].to_vec()));
        bytes = &bytes[9 + length..];
    }
    frames
}

/// Everything that is there of a request's content, and how it goes on.
pub(crate) fn content(connection: &mut Connection, stream: Stream) -> (Vec<u8>, String) {
    let mut all = Vec::new();
    loop {
        match connection.content(stream, NOW) {
            Content::Data(bytes) => {
                assert!(!bytes.is_empty());
                all.extend_from_slice(&bytes);
            }
            Content::Trailers(fields) => return (all, format!("{} trailers", fields.len())),
            Content::End => return (all, "end".to_owned()),
            Content::Nothing => return (all, "more".to_owned()),
            Content::Cut(reason) => return (all, format!("cut: {reason:?}")),
        }
    }
}
