//! The alphabets of crypt(3): six bits a character, and an order of bytes that no other coding has.

/// The value of a character of `./0-9A-Za-z`, the order of SHA-crypt.
fn crypt(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'.' => 0,
        b'/' => 1,
        b'0'..=b'9' => byte - b'0' + 2,
        b'A'..=b'Z' => byte - b'A' + 12,
        b'a'..=b'z' => byte - b'a' + 38,
        _ => return None,
    }))
}

/// The value of a character of `./A-Za-z0-9`, the order of bcrypt.
fn bcrypt(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'.' => 0,
        b'/' => 1,
        b'A'..=b'Z' => byte - b'A' + 2,
        b'a'..=b'z' => byte - b'a' + 28,
        b'0'..=b'9' => byte - b'0' + 54,
        _ => return None,
    }))
}

/// Decodes bcrypt's base64: high bits first. Bits left over at the end are not looked at: writers of hashes
/// have put chance there.
pub(super) fn decode_bcrypt<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(6) {
        return None;
    }
    let mut bytes = [0; N];
    let (mut bits, mut held, mut at) = (0u32, 0, 0);
    for &byte in text {
        bits = bits << 6 | bcrypt(byte)?;
        held += 6;
        if held >= 8 && at < N {
            held -= 8;
            bytes[at] = (bits >> held & 0xFF) as u8;
            at += 1;
        }
    }
    Some(bytes)
}

/// Which byte of the digest each byte of the coded text is: SHA-crypt's own order. Of the groups of three,
/// the first named is the highest.
pub(super) const SHA256_ORDER: [usize; 32] = [
    0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28,
    8, 9, 19, 29, 31, 30,
];
/// Likewise for SHA-512.
pub(super) const SHA512_ORDER: [usize; 64] = [
    0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8,
    29, 9, 30, 51, 31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58,
    16, 59, 17, 38, 18, 39, 60, 40, 61, 19, 62, 20, 41, 63,
];

/// Decodes a digest of SHA-crypt: groups of three bytes, low bits first, in its own order. Bits left over
/// must be zero.
pub(super) fn decode_sha<const N: usize>(text: &[u8], order: &[usize; N]) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(6) {
        return None;
    }
    let mut bytes = [0; N];
    for (characters, places) in text.chunks(4).zip(order.chunks(3)) {
        let mut bits = 0;
        for &byte in characters.iter().rev() {
            bits = bits << 6 | crypt(byte)?;
        }
        if bits >> (8 * places.len()) != 0 {
            return None;
        }
        for (shift, &place) in places.iter().rev().enumerate() {
            *bytes.get_mut(place)? = (bits >> (8 * shift) & 0xFF) as u8;
        }
    }
    Some(bytes)
}
