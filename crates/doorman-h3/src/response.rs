//! Responses, and what begins and ends a connection, to bytes.
//!
//! Field lines refer to the static table where it has their name, and are literals otherwise,
//! without Huffman code: that would save a fifth of a head's bytes for more work than all the rest of
//! the head.

use doorman_http::{FieldId, Fields, ResponseHead};

use crate::message::kind;
use crate::qpack;
use crate::varint;

/// Settings that we announce (RFC 9114 section 7.2.4.1). What is left out has the value that we
/// want: no dynamic table, no streams blocked on one (RFC 9204 section 5).
const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
/// That a CONNECT may name a protocol (RFC 9220 section 5).
const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;

/// Writes what a client's control stream begins with: its type and its settings.
pub fn write_client_preface(section_bytes_max: usize, out: &mut Vec<u8>) {
    write_preface(&[(MAX_FIELD_SECTION_SIZE, section_bytes_max as u64)], out);
}

/// Writes what a server's control stream begins with.
pub fn write_server_preface(section_bytes_max: usize, out: &mut Vec<u8>) {
    let bound = (MAX_FIELD_SECTION_SIZE, section_bytes_max as u64);
    write_preface(&[bound, (ENABLE_CONNECT_PROTOCOL, 1)], out);
}

fn write_preface(settings: &[(u64, u64)], out: &mut Vec<u8>) {
    const CONTROL_STREAM: u64 = 0x0;
    let mut payload = Vec::new();
    for (id, value) in settings {
        varint::write(*id, &mut payload);
        varint::write(*value, &mut payload);
    }
    varint::write(CONTROL_STREAM, out);
    varint::write(kind::SETTINGS, out);
    varint::write(payload.len() as u64, out);
    out.extend_from_slice(&payload);
}

/// Writes GOAWAY: requests on streams with this id and above are not taken (section 5.2). Without an
/// id it says that one will follow which names it.
pub fn write_goaway(id: Option<u64>, out: &mut Vec<u8>) {
    // The highest id of a stream for requests.
    const NONE_YET: u64 = varint::MAX - 3;
    let mut payload = Vec::new();
    varint::write(id.unwrap_or(NONE_YET), &mut payload);
    varint::write(kind::GOAWAY, out);
    varint::write(payload.len() as u64, out);
    out.extend_from_slice(&payload);
}

/// Writes a response's HEADERS frame. `length` is what the response declares of its content.
pub fn write_response(head: &ResponseHead, length: Option<u64>, out: &mut Vec<u8>) {
    section(out, |out| {
        write_status(head.status, out);
        write_fields(&head.fields, out);
        if let Some(length) = length {
            let mut digits = [0; 20];
            write_named(FieldId::ContentLength, decimal(length, &mut digits), out);
        }
    });
}

/// Writes an interim response's HEADERS frame (section 4.1).
pub fn write_interim(head: &ResponseHead, out: &mut Vec<u8>) {
    write_response(head, None, out);
}

/// Writes trailers as a HEADERS frame.
pub fn write_trailers(fields: &Fields, out: &mut Vec<u8>) {
    section(out, |out| write_fields(fields, out));
}

/// Writes the head of a DATA frame for so many bytes of content.
pub fn write_data_head(length: u64, out: &mut Vec<u8>) {
    varint::write(kind::DATA, out);
    varint::write(length, out);
}

/// Writes a HEADERS frame around a field section. Its length is known only behind it, so two bytes
/// are left for it, and the rare section of 16 KiB and more is moved.
pub(crate) fn section(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    const SHORT_MAX: usize = 0x3FFF;
    varint::write(kind::HEADERS, out);
    let place = out.len();
    out.extend_from_slice(&[0, 0]);
    let start = out.len();
    qpack::write_prefix(out);
    fields(out);
    let length = out.len() - start;
    if length <= SHORT_MAX {
        let [.., high, low] = length.to_be_bytes();
        (out[place], out[place + 1]) = (high | 0x40, low);
    } else {
        let mut head = Vec::new();
        varint::write(length as u64, &mut head);
        out.splice(place..start, head);
    }
}

fn write_status(status: u16, out: &mut Vec<u8>) {
    match qpack::status(status) {
        Some(index) => qpack::write_indexed(index, out),
        None => {
            let digits = [status / 100, status / 10 % 10, status % 10]
                .map(|digit| b'0' + digit.to_le_bytes()[0]);
            qpack::write_named(qpack::STATUS, &digits, out);
        }
    }
}

/// Writes fields but those that HTTP/3 has no place for (section 4.2). An operator may have set one,
/// and every client would refuse the whole response for it.
fn write_fields(fields: &Fields, out: &mut Vec<u8>) {
    for (id, name, value) in fields.iter() {
        match id {
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Te => {}
            FieldId::Other => qpack::write_literal(name, value, out),
            id => write_named(id, value, out),
        }
    }
}

pub(crate) fn write_named(id: FieldId, value: &[u8], out: &mut Vec<u8>) {
    match qpack::named(id) {
        Some(index) => qpack::write_named(index, value, out),
        None => qpack::write_literal(id.name().as_bytes(), value, out),
    }
}

pub(crate) fn decimal(mut n: u64, digits: &mut [u8; 20]) -> &[u8] {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{MessageReader, Piece};

    /// The field lines of the one HEADERS frame in `frame`.
    fn lines(frame: Vec<u8>) -> Vec<(String, String)> {
        let mut input = Bytes::from(frame);
        let Ok(Some(Piece::Section(section))) = MessageReader::new(usize::MAX).read(&mut input)
        else {
            panic!("one frame");
        };
        assert!(input.is_empty());
        let mut lines = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let decoded = qpack::decode(&section, usize::MAX, |name, value| {
            lines.push((text(name), text(value)));
            Ok::<_, ()>(())
        });
        assert_eq!(decoded, Ok(()));
        lines
    }

    fn check(head: &ResponseHead, length: Option<u64>, expected: &[(&str, &str)]) {
        let mut out = Vec::new();
        write_response(head, length, &mut out);
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(lines(out), expected);
    }

    #[test]
    fn a_head_reads_back_in_lower_case_and_without_fields_of_the_connection() {
        let mut head = ResponseHead::new(200);
        for (name, value) in [
            ("Content-Type", "text/plain"),
            ("X-Other", "a"),
            ("Connection", "close"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Retry-After", "5"),
            ("Set-Cookie", "a=b"),
        ] {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        check(
            &head,
            Some(1_234_567),
            &[
                (":status", "200"),
                ("content-type", "text/plain"),
                ("x-other", "a"),
                ("retry-after", "5"),
                ("set-cookie", "a=b"),
                ("content-length", "1234567"),
            ],
        );
    }

    #[test]
    fn every_status_reads_back() {
        for status in 100..600 {
            check(&ResponseHead::new(status), None, &[(":status", &status.to_string())]);
        }
        check(&ResponseHead::new(200), Some(0), &[(":status", "200"), ("content-length", "0")]);
    }

    #[test]
    fn a_section_of_any_length_reads_back() {
        for length in [0, 1, 60, 126, 127, 128, 16_370, 16_384, 20_000, 70_000] {
            let value = "v".repeat(length);
            let mut head = ResponseHead::new(204);
            head.fields.push(b"x-long", value.as_bytes());
            check(&head, None, &[(":status", "204"), ("x-long", &value)]);
        }
    }

    #[test]
    fn what_begins_and_ends_a_connection() {
        let mut out = Vec::new();
        write_client_preface(32 * 1024, &mut out);
        assert_eq!(out, [0, 4, 5, 6, 0x80, 0, 0x80, 0]);
        out.clear();
        write_server_preface(32 * 1024, &mut out);
        assert_eq!(out, [0, 4, 7, 6, 0x80, 0, 0x80, 0, 8, 1]);
        out.clear();
        write_goaway(Some(8), &mut out);
        assert_eq!(out, [7, 1, 8]);
        out.clear();
        write_goaway(None, &mut out);
        assert_eq!(out, [7, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFC]);
    }
}
