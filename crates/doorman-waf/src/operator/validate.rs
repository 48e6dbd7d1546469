//! Operators that find values that are no proper encoding.

use memchr::memchr;

/// `@validateUrlEncoding`: whether a `%` has not two digits behind it.
#[must_use]
pub fn validate_url_encoding(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr(b'%', rest) {
        match &rest[at + 1..] {
            [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
            }
            _ => return true,
        }
    }
    false
}

/// `@validateUtf8Encoding`: whether it is not UTF-8 as RFC 3629 has it: characters that are cut short,
/// written longer than need be, surrogates, past U+10FFFF.
#[must_use]
pub fn validate_utf8(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encoding() {
        for valid in [&b""[..], b"abc", b"%41%fF", b"a%00"] {
            assert!(!validate_url_encoding(valid), "{valid:?}");
        }
        for invalid in [&b"%"[..], b"a%4", b"%zz", b"%41%4g", b"%%41"] {
            assert!(validate_url_encoding(invalid), "{invalid:?}");
        }
    }

    #[test]
    fn utf8() {
        for valid in ["", "abc", "é€😀", "\0", "\u{10ffff}"] {
            assert!(!validate_utf8(valid.as_bytes()), "{valid:?}");
        }
        let invalid: [&[u8]; 9] = [
            b"\x80",
            b"\xc3",
            b"\xc3(",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80",
        ];
        for invalid in invalid {
            assert!(validate_utf8(invalid), "{invalid:?}");
        }
    }
}
