//! Digits of base 16.

use super::{digit, pair};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `hexEncode`.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * input.len());
    for &byte in input {
        push(byte, out);
    }
}

/// `hexDecode`: two by two, whatever they are; a last one without a second is lost.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    out.extend(
        input.chunks_exact(2).map(|two| loose(two[0]).wrapping_mul(16).wrapping_add(loose(two[1]))),
    );
}

/// What `ModSecurity` takes a byte for where it does not ask first whether it is a digit.
fn loose(byte: u8) -> u8 {
    match byte {
        b'A'.. => (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10),
        _ => byte.wrapping_sub(b'0'),
    }
}

/// `sqlHexDecode`: `0x` and all pairs of digits behind it.
pub(super) fn decode_sql(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let digits = match marked {
        [_, b'x' | b'X', digits @ ..] => digits,
        _ => &[],
    };
    let length = digits.iter().take_while(|&&byte| digit(byte).is_some()).count() / 2 * 2;
    if length == 0 {
        out.push(marked[0]);
        return 1;
    }
    let pairs = digits[..length].chunks_exact(2);
    out.extend(pairs.map(|two| pair(two[0], two[1]).unwrap_or_default()));
    2 + length
}

/// Writes one byte as two digits.
pub(super) fn push(byte: u8, out: &mut Vec<u8>) {
    out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
