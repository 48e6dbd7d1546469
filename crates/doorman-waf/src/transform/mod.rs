//! What is done to values before rules ask about them.
//!
//! Nearly every transformation leaves nearly every value as it is, so each is written from the bytes
//! at which it has something to do: what lies between them is copied in runs, and where there is none
//! of them nothing is copied at all. The same bytes are the proof ([`Transformation::leaves`]) by
//! which a whole transformation is passed over for a value of which only the set of its bytes is
//! known.
//!
//! What they do is what `ModSecurity` does, with these exceptions, all of them where it would let an
//! attacker hide something: values are not cut at a NUL (`cssDecode`, `sqlHexDecode`), what begins
//! right behind another is found too (`sqlHexDecode`, `removeComments`), the last byte is kept
//! (`sqlHexDecode`), and `normalizePathWin` leaves no backslash behind.

mod base64;
mod bestfit;
mod comments;
mod digest;
mod escape;
mod hex;
mod html;
mod path;
mod space;
mod url;
mod utf8;

#[cfg(test)]
mod tests;

use memchr::{memchr, memchr2};

use crate::operator::ByteSet;
use crate::rule::Transformation;

/// White space as C knows it.
const SPACE: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r");
const UPPER: ByteSet = ByteSet::range(b'A', b'Z');
const LOWER: ByteSet = ByteSet::range(b'a', b'z');

impl Transformation {
    /// Applies it. `true`: `out` (which is cleared first) holds the result, and it differs from
    /// `input`. `false`: the result is the input, and what `out` holds means nothing.
    ///
    /// Takes time in proportion to the input and makes at most four bytes of each of its bytes, and
    /// twenty more.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let backslash = |rest: &[u8]| memchr(b'\\', rest);
        let escape = |rest: &[u8]| memchr2(b'%', b'+', rest);
        let null = |rest: &[u8]| memchr(0, rest);
        match self {
            Self::Base64Decode => whole(input, out, base64::decode),
            Self::Base64DecodeExt => whole(input, out, base64::decode_forgiving),
            Self::Base64Encode => whole(input, out, base64::encode),
            Self::CmdLine => each(input, out, space::find_command, space::command),
            Self::CompressWhitespace => each(input, out, space::find, space::compress),
            Self::CssDecode => each(input, out, backslash, escape::style),
            Self::EscapeSeqDecode => each(input, out, backslash, escape::ansi),
            Self::HexDecode => whole(input, out, hex::decode),
            Self::HexEncode => whole(input, out, hex::encode),
            Self::HtmlEntityDecode => each(input, out, |rest| memchr(b'&', rest), html::decode),
            Self::JsDecode => each(input, out, backslash, escape::script),
            Self::Length => whole(input, out, |input, out| {
                out.extend_from_slice(input.len().to_string().as_bytes());
            }),
            Self::Lowercase => fold(input, out, &UPPER, <[u8]>::make_ascii_lowercase),
            Self::Md5 => whole(input, out, digest::md5),
            Self::NormalizePath => path::apply(input, path::Style::Unix, out),
            Self::NormalizePathWin => path::apply(input, path::Style::Windows, out),
            Self::RemoveComments => each(input, out, comments::find, comments::remove),
            Self::RemoveCommentsChar => {
                each(input, out, comments::find_marks, comments::remove_marks)
            }
            Self::RemoveNulls => each(input, out, null, space::remove),
            Self::RemoveWhitespace => each(input, out, space::find_any, space::remove),
            Self::ReplaceComments => each(input, out, |rest| memchr(b'/', rest), comments::replace),
            Self::ReplaceNulls => each(input, out, null, space::blank),
            Self::Sha1 => whole(input, out, digest::sha1),
            Self::SqlHexDecode => each(input, out, |rest| memchr(b'0', rest), hex::decode_sql),
            Self::Trim => keep(space::trim_end(space::trim_start(input)), input, out),
            Self::TrimLeft => keep(space::trim_start(input), input, out),
            Self::TrimRight => keep(space::trim_end(input), input, out),
            Self::Uppercase => fold(input, out, &LOWER, <[u8]>::make_ascii_uppercase),
            Self::UrlDecode => each(input, out, escape, url::decode),
            Self::UrlDecodeUni => each(input, out, escape, url::decode_unicode),
            Self::UrlEncode => each(input, out, url::find_unsafe, url::encode),
            Self::Utf8ToUnicode => each(input, out, utf8::find, utf8::escape),
        }
    }

    /// Whether it cannot change a value that has only bytes of this set: the proof by which a plan
    /// passes it over. `false` says nothing.
    #[must_use]
    pub fn leaves(self, bytes: &ByteSet) -> bool {
        const QUOTES: ByteSet = ByteSet::of(b"\"'\\^ ,;\t\r\n").union(UPPER);
        const NO_SPACE: ByteSet = SPACE.union(ByteSet::of(b"\xa0\xc2"));
        const URL_PLAIN: ByteSet = ByteSet::range(b'0', b'9').union(UPPER).union(LOWER);
        const UTF8: ByteSet = ByteSet::range(0x80, 0xff).union(ByteSet::of(b"\0"));
        let without = |set: &ByteSet| !bytes.intersects(set);
        let has = |byte| bytes.contains(byte);
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode => bytes.is_empty(),
            Self::Length | Self::Md5 | Self::Sha1 => false,
            Self::CmdLine => without(&QUOTES),
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => {
                without(&SPACE)
            }
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => !has(b'\\'),
            Self::HtmlEntityDecode => !has(b'&'),
            Self::Lowercase => without(&UPPER),
            Self::NormalizePath => !has(b'/') && !has(b'.'),
            Self::NormalizePathWin => !has(b'/') && !has(b'.') && !has(b'\\'),
            Self::RemoveComments | Self::RemoveCommentsChar => {
                !(has(b'#') || has(b'-') || has(b'/') && has(b'*'))
            }
            Self::RemoveNulls | Self::ReplaceNulls => !has(0),
            Self::RemoveWhitespace => without(&NO_SPACE),
            Self::ReplaceComments => !(has(b'/') && has(b'*')),
            Self::SqlHexDecode => !(has(b'0') && (has(b'x') || has(b'X'))),
            Self::Uppercase => without(&LOWER),
            Self::UrlDecode | Self::UrlDecodeUni => !has(b'%') && !has(b'+'),
            Self::UrlEncode => bytes.is_subset(&URL_PLAIN.union(ByteSet::of(b"*"))),
            Self::Utf8ToUnicode => without(&UTF8),
        }
    }
}

/// What is made from all of the input.
fn whole(input: &[u8], out: &mut Vec<u8>, write: impl Fn(&[u8], &mut Vec<u8>)) -> bool {
    write(input, out);
    out != input
}

/// Copies what is between marks, and lets `write` make of what begins with a mark what it will: it
/// tells how many bytes it took, at least one.
fn each(
    input: &[u8],
    out: &mut Vec<u8>,
    find: impl Fn(&[u8]) -> Option<usize>,
    write: impl Fn(&[u8], &mut Vec<u8>) -> usize,
) -> bool {
    let Some(mut at) = find(input) else { return false };
    let mut rest = input;
    out.reserve(input.len());
    loop {
        let (plain, marked) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = &marked[write(marked, out)..];
        match find(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out != input
}

/// Changes all bytes at once if there is one of the set.
fn fold(input: &[u8], out: &mut Vec<u8>, set: &ByteSet, change: impl Fn(&mut [u8])) -> bool {
    if !input.iter().any(|&byte| set.contains(byte)) {
        return false;
    }
    out.extend_from_slice(input);
    change(out);
    true
}

/// The result is a part of the input.
fn keep(part: &[u8], input: &[u8], out: &mut Vec<u8>) -> bool {
    if part.len() == input.len() {
        return false;
    }
    out.extend_from_slice(part);
    true
}

/// What a digit of base 16 is worth.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two digits write.
fn pair(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

/// The byte of ASCII that a character of full width stands for, if its low byte is `low` and it is
/// written with `ff` before that.
const fn narrow(low: u8, full_width: Width) -> u8 {
    match full_width {
        Width::Full if low > 0 && low < 0x5f => low + 0x20,
        _ => low,
    }
}

/// Whether the page of a character is that of full-width forms.
#[derive(Clone, Copy)]
enum Width {
    Full,
    Other,
}

impl Width {
    /// By the two digits of the page.
    fn of(page: &[u8]) -> Self {
        if page.eq_ignore_ascii_case(b"ff") { Self::Full } else { Self::Other }
    }
}
