//! Names and keywords of scripts.

use super::{Before, Brace, Follow, Wide, wide};
use crate::text::Refusal;

/// How long the name is that a text begins with. Bytes above ASCII belong to it unless they are white
/// space: a character that may not stand there is an error to everybody who reads it.
pub(super) fn length(rest: &[u8]) -> Result<usize, Refusal> {
    let mut at = 0;
    if rest.first() == Some(&b'#') {
        at = 1;
    }
    while let Some(&byte) = rest.get(at) {
        let rest = rest.get(at..).unwrap_or_default();
        match byte {
            b'\\' => at += escape(rest).ok_or(Refusal::Malformed)?,
            0x80.. if !matches!(wide(rest), Wide::No) => break,
            b'$' | b'_' | 0x80.. => at += 1,
            _ if byte.is_ascii_alphanumeric() => at += 1,
            _ => break,
        }
    }
    if rest.get(..at) == Some(b"#") {
        return Err(Refusal::Malformed);
    }
    Ok(at)
}

/// How long `\u0061` or `\u{61}` is.
fn escape(rest: &[u8]) -> Option<usize> {
    let rest = rest.strip_prefix(b"\\u")?;
    let hexadecimal =
        |digits: &[u8]| digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match rest.strip_prefix(b"{") {
        Some(rest) => {
            let digits = hexadecimal(rest);
            (digits > 0 && rest.get(digits) == Some(&b'}')).then_some(digits + 4)
        }
        None => (hexadecimal(rest) >= 4).then_some(6),
    }
}

/// What may follow a word that stands where an expression or a statement may.
pub(super) fn keyword(word: &[u8]) -> (Follow, Brace, Before) {
    let nothing = Before::Nothing;
    match word {
        b"return" | b"throw" => (Follow::Expression, Brace::ObjectInLine, nothing),
        b"typeof" | b"instanceof" | b"in" | b"new" | b"delete" | b"void" | b"case" => {
            (Follow::Expression, Brace::Object, nothing)
        }
        b"else" | b"do" => (Follow::Expression, Brace::Block, nothing),
        b"try" | b"finally" => (Follow::Unsure, Brace::Block, nothing),
        b"catch" => (Follow::Unsure, Brace::Block, Before::Control),
        b"if" | b"with" | b"switch" => (Follow::Unsure, Brace::Unsure, Before::Control),
        b"for" => (Follow::Unsure, Brace::Unsure, Before::For),
        b"while" => (Follow::Unsure, Brace::Unsure, Before::While),
        // Names to some, operators to others; or a statement ends behind them.
        b"yield" | b"await" | b"of" | b"default" | b"extends" | b"break" | b"continue"
        | b"debugger" | b"class" | b"function" | b"var" | b"const" | b"export" | b"import" => {
            (Follow::Unsure, Brace::Unsure, nothing)
        }
        // A keyword may not be written with escapes, but who knows.
        _ if word.contains(&b'\\') => (Follow::Unsure, Brace::Unsure, nothing),
        _ => (Follow::Division, Brace::Unsure, nothing),
    }
}
