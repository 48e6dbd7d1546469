//! The question: `OCSPRequest` (RFC 6960 section 4.1.1) for one certificate.

use crate::der::{INTEGER, OCTET_STRING, SEQUENCE};

/// The `AlgorithmIdentifier` of SHA-1. RFC 5019 section 2.1.1 wants it, and every responder knows it. It only names a
/// certificate here: whoever found another with the same hashes would have to have it issued by the same authority.
const SHA1: [u8; 11] = [0x30, 9, 0x06, 5, 0x2B, 0x0E, 3, 2, 0x1A, 0x05, 0];

/// The longest question that is asked by GET, as it stands in the URL, in bytes (RFC 5019 section 5).
pub const GET_BYTES_MAX: usize = 255;

/// Asks about the certificate with this serial number (the content of its INTEGER), by an authority whose name and key
/// have these SHA-1 hashes.
#[must_use]
pub fn question(name_hash: &[u8; 20], key_hash: &[u8; 20], serial: &[u8]) -> Vec<u8> {
    let id = [
        &SHA1[..],
        &element(OCTET_STRING, name_hash),
        &element(OCTET_STRING, key_hash),
        &element(INTEGER, serial),
    ];
    // CertID, Request, requestList, TBSRequest, OCSPRequest.
    (0..5).fold(id.concat(), |inner, _| element(SEQUENCE, &inner))
}

/// The URL that asks this by GET (RFC 6960 appendix A.1); `None`: it is too long and goes by POST.
#[must_use]
pub fn get_url(responder: &str, question: &[u8]) -> Option<String> {
    let mut url = responder.strip_suffix('/').unwrap_or(responder).to_owned();
    url.push('/');
    let start = url.len();
    for chunk in question.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            match (at <= chunk.len(), (bits >> (18 - 6 * at)) & 0x3F) {
                // What base64 has and a path segment must escape.
                (false, _) => url.push_str("%3D"),
                (true, 62) => url.push_str("%2B"),
                (true, 63) => url.push_str("%2F"),
                (true, digit) => {
                    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
                    url.push(digits.get(digit as usize).map_or('A', |byte| char::from(*byte)));
                }
            }
        }
    }
    (url.len() - start <= GET_BYTES_MAX).then_some(url)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ ..0x80) => bytes.push(short),
        Ok(long) => bytes.extend_from_slice(&[0x81, long]),
        Err(_) => {
            // A serial number has at most 20 bytes (RFC 5280 section 4.1.2.2), a parsed one at most those of its file.
            let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
            let skip = length.iter().take_while(|byte| **byte == 0).count();
            let digits = length.get(skip..).unwrap_or_default();
            bytes.push(0x80 | u8::try_from(digits.len()).unwrap_or(4));
            bytes.extend_from_slice(digits);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_written_as_the_standard_says() {
        let asked = question(&[1; 20], &[2; 20], &[0x0A, 0x0B]);
        let mut expect = vec![0x30, 67, 0x30, 65, 0x30, 63, 0x30, 61, 0x30, 59];
        expect.extend(SHA1);
        expect.extend([4, 20]);
        expect.extend([1; 20]);
        expect.extend([4, 20]);
        expect.extend([2; 20]);
        expect.extend([2, 2, 0x0A, 0x0B]);
        assert_eq!(asked, expect);
        let long = question(&[1; 20], &[2; 20], &[7; 300]);
        assert_eq!(&long[..4], &[0x30, 0x82, 1, 0x77]);
    }

    #[test]
    fn urls() {
        let check = |responder: &str, question: &[u8], expect: Option<&str>| {
            assert_eq!(get_url(responder, question).as_deref(), expect, "{responder}");
        };
        check("http://o.test", b"abc", Some("http://o.test/YWJj"));
        check("http://o.test/", b"abcd", Some("http://o.test/YWJjZA%3D%3D"));
        check("http://o.test/x", b"abcde", Some("http://o.test/x/YWJjZGU%3D"));
        check("http://o.test/x/", &[0xFB, 0xEF, 0xFF], Some("http://o.test/x/%2B%2B%2F%2F"));
        check("http://o.test", &[0; 200], None);
    }
}
