//! The handshake of WebSocket between HTTP/1.1, where a hash proves that the server understood it
//! (RFC 6455 section 4), and HTTP/2 and HTTP/3, where the stream itself does (RFC 8441 section 5).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The `Sec-WebSocket-Accept` that a `Sec-WebSocket-Key` calls for.
#[must_use]
pub fn accept(key: &[u8]) -> [u8; 28] {
    doorman_h1::websocket_accept(key, sha1)
}

/// What RFC 6455 hashes a key with. Nobody's secret depends on it.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    hash
}

/// `Sec-WebSocket-Key`: sixteen random bytes.
pub(crate) fn key(mut dice: impl FnMut() -> u64) -> Vec<u8> {
    base64(&[dice().to_ne_bytes(), dice().to_ne_bytes()].concat())
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= group.len() { digit } else { b'=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(&accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn base64_of_every_rest() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text.as_bytes());
        }
        let mut n = 0u64;
        let key = key(|| {
            n += 1;
            n
        });
        assert_eq!(key.len(), 24);
    }
}
