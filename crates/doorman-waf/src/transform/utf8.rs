//! `utf8toUnicode`: characters as `%uxxxx`, for `urlDecodeUni` to find what they look like.

use std::io::Write;

/// What has something to do: everything but ASCII, and NUL.
pub(super) fn find(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| byte == 0 || byte >= 0x80)
}

/// Writes one character. NULs and what begins a character that does not follow are gone; what is no
/// beginning stays. Behind a surrogate or a character written longer than need be, its first byte is
/// there once more, so that it can be told from a proper one.
pub(super) fn escape(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let first = marked[0];
    let (length, shortest) = match first {
        0 => return 1,
        0xc0..=0xdf => (2, 0x80),
        0xe0..=0xef => (3, 0x800),
        0xf0..=0xf7 => (4, 0x1_0000),
        _ => {
            out.push(first);
            return 1;
        }
    };
    if first >= 0xf5 && length == 4 {
        out.push(first);
    }
    let Some(code) = code(marked, length) else { return 1 };
    write!(out, "%u{code:04x}").expect("a vector takes what it is given");
    if (0xd800..=0xdfff).contains(&code) || code < shortest {
        out.push(first);
    }
    length
}

/// The number of a character of so many bytes, if they are there.
fn code(marked: &[u8], length: usize) -> Option<u32> {
    let start = u32::from(marked[0]) & (0x7f >> length);
    marked.get(1..length)?.iter().try_fold(start, |code, &byte| {
        (byte & 0xc0 == 0x80).then(|| code << 6 | u32::from(byte & 0x3f))
    })
}
