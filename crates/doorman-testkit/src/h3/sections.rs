//! Requests as a server reads them: field sections of QPACK without a dynamic table, written from
//! the RFC and sharing nothing with the proxy.

use super::frames::read_varint;

/// The static table (RFC 9204 appendix A): name and value of each entry, with a tab between them.
const STATIC: &str = "\
:authority\t\n\
:path\t/\n\
age\t0\n\
content-disposition\t\n\
content-length\t0\n\
cookie\t\n\
date\t\n\
etag\t\n\
if-modified-since\t\n\
if-none-match\t\n\
last-modified\t\n\
link\t\n\
location\t\n\
referer\t\n\
set-cookie\t\n\
:method\tCONNECT\n\
:method\tDELETE\n\
:method\tGET\n\
:method\tHEAD\n\
:method\tOPTIONS\n\
:method\tPOST\n\
:method\tPUT\n\
:scheme\thttp\n\
:scheme\thttps\n\
:status\t103\n\
:status\t200\n\
:status\t304\n\
:status\t404\n\
:status\t503\n\
accept\t*/*\n\
accept\tapplication/dns-message\n\
accept-encoding\tgzip, deflate, br\n\
accept-ranges\tbytes\n\
access-control-allow-headers\tcache-control\n\
access-control-allow-headers\tcontent-type\n\
access-control-allow-origin\t*\n\
cache-control\tmax-age=0\n\
cache-control\tmax-age=2592000\n\
cache-control\tmax-age=604800\n\
cache-control\tno-cache\n\
cache-control\tno-store\n\
cache-control\tpublic, max-age=31536000\n\
content-encoding\tbr\n\
content-encoding\tgzip\n\
content-type\tapplication/dns-message\n\
content-type\tapplication/javascript\n\
content-type\tapplication/json\n\
content-type\tapplication/x-www-form-urlencoded\n\
content-type\timage/gif\n\
content-type\timage/jpeg\n\
content-type\timage/png\n\
content-type\ttext/css\n\
content-type\ttext/html; charset=utf-8\n\
content-type\ttext/plain\n\
content-type\ttext/plain;charset=utf-8\n\
range\tbytes=0-\n\
strict-transport-security\tmax-age=31536000\n\
strict-transport-security\tmax-age=31536000; includesubdomains\n\
strict-transport-security\tmax-age=31536000; includesubdomains; preload\n\
vary\taccept-encoding\n\
vary\torigin\n\
x-content-type-options\tnosniff\n\
x-xss-protection\t1; mode=block\n\
:status\t100\n\
:status\t204\n\
:status\t206\n\
:status\t302\n\
:status\t400\n\
:status\t403\n\
:status\t421\n\
:status\t425\n\
:status\t500\n\
accept-language\t\n\
access-control-allow-credentials\tFALSE\n\
access-control-allow-credentials\tTRUE\n\
access-control-allow-headers\t*\n\
access-control-allow-methods\tget\n\
access-control-allow-methods\tget, post, options\n\
access-control-allow-methods\toptions\n\
access-control-expose-headers\tcontent-length\n\
access-control-request-headers\tcontent-type\n\
access-control-request-method\tget\n\
access-control-request-method\tpost\n\
alt-svc\tclear\n\
authorization\t\n\
content-security-policy\tscript-src 'none'; object-src 'none'; base-uri 'none'\n\
early-data\t1\n\
expect-ct\t\n\
forwarded\t\n\
if-range\t\n\
origin\t\n\
purpose\tprefetch\n\
server\t\n\
timing-allow-origin\t*\n\
upgrade-insecure-requests\t1\n\
user-agent\t\n\
x-forwarded-for\t\n\
x-frame-options\tdeny\n\
x-frame-options\tsameorigin\n\
";

/// The fields of a section; `None` if it is none that a client without a table and without Huffman
/// code could have written.
pub(super) fn fields(section: &[u8]) -> Option<Vec<(String, String)>> {
    let mut input = section.strip_prefix(&[0, 0])?;
    let mut fields = Vec::new();
    while let Some(&first) = input.first() {
        let field = match first {
            0xC0.. => entry(integer(&mut input, 6)?)?,
            0x50..=0x5F | 0x70..=0x7F => {
                let (name, _) = entry(integer(&mut input, 4)?)?;
                (name, string(&mut input, 7)?)
            }
            0x20..=0x3F => {
                let name = string(&mut input, 3)?;
                (name, string(&mut input, 7)?)
            }
            _ => return None,
        };
        fields.push(field);
    }
    Some(fields)
}

fn entry(index: usize) -> Option<(String, String)> {
    let (name, value) = STATIC.lines().nth(index)?.split_once('\t')?;
    Some((name.to_owned(), value.to_owned()))
}

fn string(input: &mut &[u8], bits: u8) -> Option<String> {
    if input.first()? & (1 << bits) != 0 {
        return None;
    }
    let length = integer(input, bits)?;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// An integer with a prefix of `bits` bits (RFC 7541 section 5.1).
fn integer(input: &mut &[u8], bits: u8) -> Option<usize> {
    let mask = 0xFF_u8 >> (8 - bits);
    let (first, mut rest) = input.split_first()?;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        let mut shift = 0;
        loop {
            let (byte, behind) = rest.split_first()?;
            value = value.checked_add(usize::from(byte & 0x7F).checked_shl(shift)?)?;
            (rest, shift) = (behind, shift + 7);
            if byte & 0x80 == 0 || shift > 28 {
                break;
            }
        }
    }
    *input = rest;
    Some(value)
}

/// Takes a frame's type and length from the front of `bytes`, if both are there.
pub(super) fn frame_head(bytes: &[u8]) -> Option<(u64, u64, usize)> {
    let (kind, rest) = read_varint(bytes)?;
    let (length, rest) = read_varint(rest)?;
    Some((kind, length, bytes.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h3::frames::section;

    #[test]
    fn sections_are_read() {
        assert_eq!(STATIC.lines().count(), 99);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            fields(&[0, 0, 0xD1, 0xC1]),
            Some(vec![pair(":method", "GET"), pair(":path", "/")])
        );
        assert_eq!(fields(&[0, 0, 0x50, 1, b'a']), Some(vec![pair(":authority", "a")]));
        let long = "v".repeat(300);
        assert_eq!(fields(&section(&[("x", &long)])), Some(vec![pair("x", &long)]));
        assert_eq!(fields(&[0, 0, 0x23, b'a']), None);
        assert_eq!(fields(&[1, 0]), None);
    }
}
