//! `%` in its forms.
//!
//! What is not a whole escape stays as it is, so that a later transformation or the operator sees it.

use super::{Width, bestfit, digit, narrow, pair};

/// `urlDecode`: `+` and `%xx`.
pub(super) fn decode(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let (byte, taken) = match *marked {
        [b'+', ..] => (b' ', 1),
        [b'%', high, low, ..] => match pair(high, low) {
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        },
        _ => (b'%', 1),
    };
    out.push(byte);
    taken
}

/// `urlDecodeUni`: also `%uxxxx`, which is mapped to the byte of ASCII that looks most like it, or to
/// its low byte where none does.
pub(super) fn decode_unicode(marked: &[u8], out: &mut Vec<u8>) -> usize {
    if !matches!(marked, [b'%', b'u' | b'U', ..]) {
        return decode(marked, out);
    }
    let Some(code) = marked.get(2..6).and_then(code) else {
        out.extend_from_slice(&marked[..2]);
        return 2;
    };
    out.push(bestfit::ascii(code).unwrap_or_else(|| {
        let [_, low] = code.to_be_bytes();
        narrow(low, Width::of(&marked[2..4]))
    }));
    6
}

fn code(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |code, &byte| Some(code << 4 | u16::from(digit(byte)?)))
}

/// `urlEncode`: everything but letters, digits and `*`.
pub(super) fn encode(marked: &[u8], out: &mut Vec<u8>) -> usize {
    match marked[0] {
        b' ' => out.push(b'+'),
        byte => {
            out.push(b'%');
            super::hex::push(byte, out);
        }
    }
    1
}

pub(super) fn find_unsafe(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| !byte.is_ascii_alphanumeric() && byte != b'*')
}
