//! Sets of bytes that have a name.
//!
//! They are those of PCRE's built-in tables without a locale: letters are ASCII's.

use crate::operator::ByteSet;

pub(super) fn all() -> ByteSet {
    ByteSet::range(0, u8::MAX)
}

/// All but a line feed.
pub(super) fn not_newline() -> ByteSet {
    one(b'\n').complement()
}

pub(super) fn one(byte: u8) -> ByteSet {
    ByteSet::range(byte, byte)
}

pub(super) fn digit() -> ByteSet {
    ByteSet::range(b'0', b'9')
}

pub(super) fn word() -> ByteSet {
    (0..=u8::MAX).filter(|byte| is_word(*byte)).collect()
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// White space, the vertical tab with it (PCRE leaves it out before 8.34).
pub(super) fn space() -> ByteSet {
    b" \t\n\x0b\x0c\r".iter().copied().collect()
}

/// `\h`: with the no-break space of Latin-1.
pub(super) fn horizontal() -> ByteSet {
    b" \t\xa0".iter().copied().collect()
}

/// `\v`: with NEL of Latin-1.
pub(super) fn vertical() -> ByteSet {
    b"\n\x0b\x0c\r\x85".iter().copied().collect()
}

/// The set of `[:name:]`.
pub(super) fn posix(name: &[u8]) -> Option<ByteSet> {
    let is: fn(u8) -> bool = match name {
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"ascii" => |byte| byte.is_ascii(),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"digit" => |byte| byte.is_ascii_digit(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"print" => |byte| byte.is_ascii_graphic() || byte == b' ',
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"space" => return Some(space()),
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"word" => is_word,
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    Some((0..=u8::MAX).filter(|byte| is(*byte)).collect())
}

/// The set with the other case of each letter in it.
pub(super) fn fold(set: ByteSet) -> ByteSet {
    let other: ByteSet =
        set.iter().filter(u8::is_ascii_alphabetic).map(|byte| byte ^ 0x20).collect();
    set.union(other)
}
