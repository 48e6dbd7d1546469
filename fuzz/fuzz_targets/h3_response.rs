//! Responses and control streams of HTTP/3 servers: no panic, every cut gives the same, and what is
//! taken for a response is one.
#![no_main]

use bytes::Bytes;
use doorman_h3::{
    ControlReader, Fault, Limits, MessageReader, Piece, Sender, read_response, read_trailers,
};
use doorman_http::{FieldId, ResponseHead};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { section_bytes: 1024, fields: 20 };

fuzz_target!(|input: &[u8]| {
    let Some((cut, stream)) = input.split_first() else { return };
    let cut = usize::from(*cut).max(1);
    assert_eq!(message(stream, cut), message(stream, stream.len().max(1)));
    assert_eq!(control(stream, cut), control(stream, stream.len().max(1)));
    let _ = head(stream);
});

/// The status that a section says, if it is a response's.
fn head(section: &[u8]) -> Option<u16> {
    let mut head = ResponseHead::new(200);
    read_response(section, &LIMITS, &mut head).ok()?;
    assert!((100..600).contains(&head.status));
    assert!(head.fields.len() <= LIMITS.fields);
    for (id, name, value) in head.fields.iter() {
        assert!(!name.is_empty() && !name.contains(&b':'));
        assert!(!name.iter().any(u8::is_ascii_uppercase));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!matches!(id, FieldId::Connection | FieldId::TransferEncoding));
    }
    Some(head.status)
}

/// Statuses, how much content came behind each, and how it ended.
fn message(stream: &[u8], cut: usize) -> (Vec<(u16, usize)>, Result<bool, Option<Fault>>) {
    let mut reader = MessageReader::of(Sender::Server, LIMITS.section_bytes);
    let mut heads: Vec<(u16, usize)> = Vec::new();
    let mut is_final = false;
    for part in stream.chunks(cut) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(Piece::Content(content))) => {
                    heads.last_mut().unwrap().1 += content.len();
                }
                Ok(Some(Piece::Section(section))) if is_final => {
                    if read_trailers(&section, &LIMITS, |_| true).is_err() {
                        return (heads, Err(None));
                    }
                }
                Ok(Some(Piece::Section(section))) => {
                    let Some(status) = head(&section) else { return (heads, Err(None)) };
                    heads.push((status, 0));
                    is_final = status >= 200;
                    if !is_final {
                        reader.was_interim();
                    }
                }
                Ok(Some(Piece::TooLarge)) => return (heads, Err(None)),
                Err(fault) => return (heads, Err(Some(fault))),
            }
        }
    }
    let end = reader.end().map_err(Some);
    (heads, end)
}

fn control(stream: &[u8], cut: usize) -> (usize, Option<u64>, Option<Fault>) {
    let mut reader = ControlReader::of(Sender::Server);
    let mut frames = 0;
    for mut part in stream.chunks(cut) {
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(_)) => frames += 1,
                Err(fault) => return (frames, reader.goaway(), Some(fault)),
            }
        }
    }
    (frames, reader.goaway(), None)
}
