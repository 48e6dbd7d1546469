//! Tokens of style sheets, as coarse as white space needs (CSS Syntax section 4).
//!
//! Whatever holds together without white space is one word here: names, numbers, hashes after their sign,
//! strings, unquoted addresses. What a tokenizer would have to repair is refused.

use super::Refusal;

/// A token, as far as it matters to what may stand beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Space,
    Comment,
    /// One byte that is not part of a word.
    Sign(u8),
    Word,
}

/// The token at a place and where it ends; none at the end of the text.
pub(super) fn token(text: &[u8], at: usize) -> Result<Option<(Token, usize)>, Refusal> {
    let rest = text.get(at..).unwrap_or_default();
    let Some(&first) = rest.first() else { return Ok(None) };
    let found = match first {
        _ if is_space(first) => {
            (Token::Space, rest.iter().take_while(|&&byte| is_space(byte)).count())
        }
        b'/' if rest.starts_with(b"/*") => {
            let inner = rest.get(2..).unwrap_or_default();
            let length = memchr::memmem::find(inner, b"*/").ok_or(Refusal::Malformed)?;
            (Token::Comment, length + 4)
        }
        b'"' | b'\'' => (Token::Word, string(rest, first)?),
        // Marks that hid sheets from the oldest browsers; they count in some places only.
        b'<' if rest.starts_with(b"<!--") => return Err(Refusal::Unsure),
        b'-' if rest.starts_with(b"-->") => return Err(Refusal::Unsure),
        b'\\' => (Token::Word, word(text, at)?),
        _ if is_word(first) => (Token::Word, word(text, at)?),
        _ => (Token::Sign(first), 1),
    };
    Ok(Some((found.0, at + found.1)))
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0C')
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | 0x80..)
}

/// How long a string is (section 4.3.5).
fn string(rest: &[u8], quote: u8) -> Result<usize, Refusal> {
    let mut at = 1;
    loop {
        match *rest.get(at).ok_or(Refusal::Malformed)? {
            b'\\' if rest.get(at + 1..at + 3) == Some(b"\r\n") => at += 3,
            b'\\' => at += 2,
            b'\n' | b'\r' | b'\x0C' => return Err(Refusal::Malformed),
            byte => {
                at += 1;
                if byte == quote {
                    return Ok(at);
                }
            }
        }
    }
}

/// How long a word is. An address without quotes belongs to it with its brackets (section 4.3.6).
fn word(text: &[u8], start: usize) -> Result<usize, Refusal> {
    let rest = text.get(start..).unwrap_or_default();
    let mut at = 0;
    let mut has_escape = false;
    while let Some(&byte) = rest.get(at) {
        if byte == b'\\' {
            has_escape = true;
            at += escape(rest.get(at..).unwrap_or_default())?;
        } else if is_word(byte) {
            at += 1;
        } else {
            break;
        }
    }
    if rest.get(at) != Some(&b'(') {
        return Ok(at);
    }
    if has_escape {
        // It may be an address by another spelling.
        return Err(Refusal::Unsure);
    }
    if !rest.get(..at).is_some_and(|word| word.eq_ignore_ascii_case(b"url")) {
        return Ok(at);
    }
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    if matches!(before, Some(b'#' | b'@')) {
        return Err(Refusal::Unsure);
    }
    address(rest, at)
}

/// How long an escape is with its backslash; the white space behind hexadecimal digits belongs to
/// it (section 4.3.7).
fn escape(rest: &[u8]) -> Result<usize, Refusal> {
    let digits = rest.iter().skip(1).take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 {
        return match rest.get(1) {
            None | Some(b'\n' | b'\r' | b'\x0C') => Err(Refusal::Malformed),
            Some(_) => Ok(2),
        };
    }
    let end = 1 + digits;
    Ok(match rest.get(end) {
        Some(b'\r') if rest.get(end + 1) == Some(&b'\n') => end + 2,
        Some(&byte) if is_space(byte) => end + 1,
        _ => end,
    })
}

/// How long `url` is that has its bracket at a place: up to that bracket if there is a string in it,
/// else with all there is.
fn address(rest: &[u8], bracket: usize) -> Result<usize, Refusal> {
    let mut at = bracket + 1;
    let mut has_ended = false;
    at += rest.iter().skip(at).take_while(|&&byte| is_space(byte)).count();
    if matches!(rest.get(at), Some(b'"' | b'\'')) {
        return Ok(bracket);
    }
    loop {
        match *rest.get(at).ok_or(Refusal::Malformed)? {
            b')' => return Ok(at + 1),
            byte if is_space(byte) => {
                has_ended = true;
                at += 1;
            }
            _ if has_ended => return Err(Refusal::Malformed),
            b'"' | b'\'' | b'(' | 0..=0x1F | 0x7F => return Err(Refusal::Malformed),
            b'\\' => at += escape(rest.get(at..).unwrap_or_default())?,
            _ => at += 1,
        }
    }
}
