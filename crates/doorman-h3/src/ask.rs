//! Requests to bytes, as a client sends them (RFC 9114 section 4.3.1).

use doorman_http::{FieldId, RequestHead};

use crate::qpack;
use crate::response::{decimal, section, write_named};

/// Writes a request's HEADERS frame. `authority` is what the server is called, and `length` what the
/// request declares of its content.
pub fn write_request(head: &RequestHead, authority: &[u8], length: Option<u64>, out: &mut Vec<u8>) {
    section(out, |out| {
        match qpack::method(&head.method) {
            Some(index) => qpack::write_indexed(index, out),
            None => qpack::write_named(qpack::METHOD, head.method.as_str().as_bytes(), out),
        }
        qpack::write_indexed(qpack::SCHEME_HTTPS, out);
        qpack::write_named(qpack::AUTHORITY, authority, out);
        write_path(head, out);
        for (id, name, value) in head.fields.iter() {
            match id {
                id if is_of_hop(id) => {}
                FieldId::Other => qpack::write_literal(name, value, out),
                id => write_named(id, value, out),
            }
        }
        if let Some(length) = length {
            write_named(FieldId::ContentLength, decimal(length, &mut [0; 20]), out);
        }
        if head.expects_continue {
            write_named(FieldId::Expect, b"100-continue", out);
        }
        if head.takes_trailers {
            write_named(FieldId::Te, b"trailers", out);
        }
    });
}

/// Fields that HTTP/3 has no place for (section 4.2), and those that a request says in another way:
/// an operator may have set one, and every server would refuse the whole request for it.
const fn is_of_hop(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Http2Settings
            | FieldId::Te
            | FieldId::Host
            | FieldId::Expect
            | FieldId::ContentLength
    )
}

fn write_path(head: &RequestHead, out: &mut Vec<u8>) {
    let (path, query) = (head.path(), head.query());
    if path == b"/" && query.is_none() {
        return qpack::write_indexed(qpack::PATH, out);
    }
    let mut target = Vec::with_capacity(path.len() + query.map_or(0, <[u8]>::len) + 1);
    escape(path, &mut target);
    if let Some(query) = query {
        target.push(b'?');
        escape(query, &mut target);
    }
    qpack::write_named(qpack::PATH, &target, out);
}

/// Some bytes that browsers send in queries are not of a URI's (RFC 3986 section 2), and servers may
/// refuse them in `:path`. Written in escapes they mean the same.
fn escape(part: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in part {
        let is_foreign =
            matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' | b'\\' | b'#')
                || !byte.is_ascii_graphic();
        if is_foreign {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        } else {
            out.push(byte);
        }
    }
}
