//! What people wrote, as pieces of patterns in SecLang.
//!
//! The one decision: everything goes into patterns, and there every byte that is not plainly a part of
//! a word becomes `\xHH`, which is the byte itself to the pattern and nothing at all to SecLang. So
//! there is no list of dangerous bytes that could lack one.

use std::fmt::Write;

use crate::regex::Regex;

/// Bytes of a name or of a pattern.
pub(super) const NAME_MAX: usize = 512;

/// Steps of a pattern that needs look-around: here only whether it compiles is asked.
const STEPS: u32 = 1_000;

/// A pattern that matches this text and nothing else where it stands.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.bytes().for_each(|byte| put(&mut out, byte));
    out
}

fn put(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/') {
        out.push(char::from(byte));
    } else {
        escape(out, byte);
    }
}

fn escape(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// A member of a collection with exactly this name: the name, or a pattern where it has bytes that
/// mean something.
pub(super) fn member(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.is_empty() && name.bytes().all(plain) {
        name.to_owned()
    } else {
        format!("/^{}$/", literal(name).replace('/', "\\x2f"))
    }
}

/// Members in whose name a pattern is found.
///
/// # Errors
/// It is no pattern, or one that cannot stand here.
pub(super) fn members(pattern: &str) -> Result<String, String> {
    Regex::new(pattern.as_bytes(), STEPS).map_err(|error| error.text)?;
    if has_extended_flag(pattern) {
        return Err("the flag x has no meaning here".to_owned());
    }
    let safe = pattern_safe(pattern);
    Regex::new(safe.as_bytes(), STEPS)
        .map_err(|error| format!("it cannot be written as a selector: {}", error.text))?;
    Ok(format!("/{safe}/"))
}

/// The same pattern without a byte that could end its place: what means something to patterns alone
/// stays, all else becomes its number.
fn pattern_safe(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(next) if next.is_ascii_alphanumeric() => {
                    out.push('\\');
                    out.push(char::from(next));
                }
                Some(next) => escape(&mut out, next),
                // A pattern that compiles does not end so.
                None => {}
            },
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'^' | b'$' | b'.' | b'*' | b'+' | b'?'
            | b'|' | b':' | b'=' | b'!' | b'<' | b'>' => out.push(char::from(byte)),
            // Only in a repetition has it a meaning: `{1,3}`.
            b',' if in_repetition(&out) => out.push(','),
            b'/' => escape(&mut out, byte),
            _ => put(&mut out, byte),
        }
    }
    out
}

fn in_repetition(before: &str) -> bool {
    let digits = before.trim_end_matches(|c: char| c.is_ascii_digit());
    digits.len() < before.len() && digits.ends_with('{') && !digits.ends_with("\\{")
}

/// Whether blanks of it mean nothing.
fn has_extended_flag(pattern: &str) -> bool {
    pattern.split("(?").skip(1).any(|group| {
        group
            .bytes()
            .take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
            .any(|b| b == b'x')
    })
}
