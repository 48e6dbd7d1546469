//! Connections of HTTP/2: no panic, every cut gives the same requests, faults and answers, and what is
//! answered is frames.
#![no_main]

use doorman_h2::{Connection, Content, End, Event, Limits, Settings};
use doorman_http::{Instant, RequestHead, ResponseHead, Scheme};
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fuzz_target!(|input: &[u8]| {
    let Some((cut, frames)) = input.split_first() else { return };
    let bytes = [PREFACE, frames].concat();
    assert_eq!(outcome(&bytes, usize::from(*cut).max(1)), outcome(&bytes, bytes.len()));
});

/// The requests and the content of each, how the connection ended, and what was answered.
fn outcome(bytes: &[u8], cut: usize) -> (Vec<String>, Option<u32>, Vec<u8>) {
    let limits = Limits { head_bytes: 2048, fields: 20, streams: 8 };
    let head = Box::<RequestHead>::default;
    let settings = Settings { limits, scheme: Scheme::Https, head, may_trail: |_| true };
    let mut connection = Connection::new(settings, Instant(0));
    let (mut left, mut seen, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    let mut fault = None;
    'all: for piece in bytes.chunks(cut) {
        left.extend_from_slice(piece);
        let mut input = &left[..];
        loop {
            match connection.read(&mut input, Instant(0)) {
                Ok(None) => break,
                Ok(Some(Event::Request(opened))) => {
                    let head = &opened.head;
                    assert!(head.fields.len() <= 22, "and one for cookies, one for a tunnel");
                    seen.push(format!("{:?} {:?} {:?}", head.method, head.path(), opened.verdict));
                    streams.push(opened.stream);
                }
                Ok(Some(Event::Gone(stream))) => connection.release(stream),
                Ok(Some(Event::News(_) | Event::Room)) => {}
                Err(error) => {
                    fault = Some(error.code.number());
                    break 'all;
                }
            }
        }
        left = input.to_vec();
        assert!(left.len() < 9 + 16_384);
    }
    for stream in streams {
        let mut content = Vec::new();
        let end = loop {
            match connection.content(stream, Instant(0)) {
                Content::Data(bytes) => content.extend_from_slice(&bytes),
                other => break format!("{other:?}"),
            }
        };
        seen.push(format!("{content:?} {end}"));
        connection.head(stream, &ResponseHead::new(200), None, End::Open);
        connection.data(stream, b"hello");
        connection.finish(stream);
        connection.release(stream);
    }
    assert_eq!(connection.open(), 0);
    let output = connection.output().to_vec();
    let mut rest = &output[..];
    while let Some((head, behind)) = rest.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        assert!(length <= 16_384);
        rest = behind.get(length..).expect("whole frames");
    }
    assert!(rest.is_empty());
    (seen, fault, output)
}
