//! White space, NULs, and what a shell makes of a command.

use super::SPACE;

/// Without white space at the front.
pub(super) fn trim_start(input: &[u8]) -> &[u8] {
    let start = input.iter().position(|&byte| !SPACE.contains(byte));
    &input[start.unwrap_or(input.len())..]
}

/// Without white space at the end.
pub(super) fn trim_end(input: &[u8]) -> &[u8] {
    let last = input.iter().rposition(|&byte| !SPACE.contains(byte));
    &input[..last.map_or(0, |last| last + 1)]
}

pub(super) fn find(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| SPACE.contains(byte))
}

/// `compressWhitespace`: one space for any of it.
pub(super) fn compress(marked: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(b' ');
    marked.len() - trim_start(marked).len()
}

/// White space, or a byte of a space that does not break, in Latin-1 and in UTF-8.
pub(super) fn find_any(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| SPACE.contains(byte) || byte == 0xa0 || byte == 0xc2)
}

/// `removeWhitespace`, `removeNulls`: it is gone.
pub(super) fn remove(_marked: &[u8], _out: &mut Vec<u8>) -> usize {
    1
}

/// `replaceNulls`: a space instead.
pub(super) fn blank(_marked: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(b' ');
    1
}

pub(super) fn find_command(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| byte.is_ascii_uppercase() || is_quote(byte) || is_gap(byte))
}

/// `cmdLine`: quotes are gone, what separates is one space, none before `/` and `(`, letters are
/// small.
pub(super) fn command(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = marked[0];
    if is_quote(byte) {
        return 1;
    }
    if !is_gap(byte) {
        out.push(byte.to_ascii_lowercase());
        return 1;
    }
    let length = marked.iter().take_while(|&&byte| is_gap(byte) || is_quote(byte)).count();
    if !matches!(marked.get(length), Some(b'/' | b'(')) {
        out.push(b' ');
    }
    length
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'\\' | b'^')
}

const fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b';' | b'\t' | b'\r' | b'\n')
}
