//! Responses to bytes.

use doorman_http::{FieldId, Fields, ResponseHead};

use crate::frame::{Head, PAYLOAD_MAX, flag, kind};
use crate::hpack::Encoder;

/// Whether a message ends with the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It does.
    Here,
    /// More follows.
    Open,
}

/// Writes a response's head. `length` is what it declares of its content.
pub(crate) fn write_response(
    encoder: &mut Encoder,
    stream: u32,
    head: &ResponseHead,
    length: Option<u64>,
    end: End,
    out: &mut Vec<u8>,
) {
    block(encoder, stream, end, out, |encoder, out| {
        encoder.status(head.status, out);
        write_fields(encoder, &head.fields, out);
        if let Some(length) = length {
            let mut digits = [0; 20];
            encoder.field(FieldId::ContentLength, b"", decimal(length, &mut digits), out);
        }
    });
}

/// Writes trailers, which end a message.
pub(crate) fn write_trailers(
    encoder: &mut Encoder,
    stream: u32,
    fields: &Fields,
    out: &mut Vec<u8>,
) {
    block(encoder, stream, End::Here, out, |encoder, out| write_fields(encoder, fields, out));
}

/// Writes the frames of a header block. Its length is known only behind it.
fn block(
    encoder: &mut Encoder,
    stream: u32,
    end: End,
    out: &mut Vec<u8>,
    fields: impl FnOnce(&mut Encoder, &mut Vec<u8>),
) {
    let start = out.len();
    let end_stream = if end == End::Here { flag::END_STREAM } else { 0 };
    let mut frame =
        Head { length: 0, kind: kind::HEADERS, flags: end_stream | flag::END_HEADERS, stream };
    frame.write(out);
    let content = out.len();
    encoder.begin(out);
    fields(encoder, out);
    frame.length = out.len() - content;
    if frame.length <= PAYLOAD_MAX {
        let [.., a, b, c] = frame.length.to_be_bytes();
        if let Some(place) = out.get_mut(start..start + 3) {
            place.copy_from_slice(&[a, b, c]);
        }
        return;
    }
    // Rare: the rest goes into CONTINUATION frames (RFC 9113 section 6.10).
    let block = out.split_off(content);
    out.truncate(start);
    let pieces = block.chunks(PAYLOAD_MAX);
    let last = pieces.len() - 1;
    for (n, piece) in pieces.enumerate() {
        let flags = if n == 0 { end_stream } else { 0 };
        let end_headers = if n == last { flag::END_HEADERS } else { 0 };
        let kind = if n == 0 { kind::HEADERS } else { kind::CONTINUATION };
        Head { length: piece.len(), kind, flags: flags | end_headers, stream }.write(out);
        out.extend_from_slice(piece);
    }
}

/// Writes fields but those that HTTP/2 has no place for (RFC 9113 section 8.2.2). An operator may
/// have set one, and every client would refuse the whole response for it.
fn write_fields(encoder: &mut Encoder, fields: &Fields, out: &mut Vec<u8>) {
    for (id, name, value) in fields.iter() {
        match id {
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Te => {}
            id => encoder.field(id, name, value, out),
        }
    }
}

fn decimal(mut n: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10).to_le_bytes()[0];
        n /= 10;
        if n == 0 {
            return &digits[at..];
        }
    }
}
