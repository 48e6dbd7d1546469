//! Backslashes, as scripts, style sheets and shells write them.

use super::{Width, digit, narrow, pair};

/// `jsDecode`: `\uxxxx` (its low byte), `\xxx`, octal up to 377, and single letters.
pub(super) fn script(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let (byte, taken) = match *marked {
        [_, b'u', a, b, c, d, ..] if pair(a, b).is_some() && pair(c, d).is_some() => {
            (narrow(pair(c, d).unwrap_or_default(), Width::of(&[a, b])), 6)
        }
        [_, b'x', high, low, ..] if pair(high, low).is_some() => {
            (pair(high, low).unwrap_or_default(), 4)
        }
        [_, b'0'..=b'7', ..] => {
            // Three digits only where they write one byte.
            let length = if marked[1] > b'3' { 2 } else { 3 };
            octal(&marked[1..], length)
        }
        [_, letter, ..] => (control(letter).unwrap_or(letter), 2),
        _ => (b'\\', 1),
    };
    out.push(byte);
    taken
}

/// `escapeSeqDecode`: as ANSI C has them. An escape that is none loses its backslash.
pub(super) fn ansi(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let (byte, taken) = match *marked {
        [_, b'x' | b'X', high, low, ..] if pair(high, low).is_some() => {
            (pair(high, low).unwrap_or_default(), 4)
        }
        [_, b'0'..=b'7', ..] => octal(&marked[1..], 3),
        [_, letter, ..] => (control(letter).unwrap_or(letter), 2),
        _ => (b'\\', 1),
    };
    out.push(byte);
    taken
}

/// `cssDecode`: one to six digits, of which the last two count, and one white space behind them; an
/// escaped line feed is nothing.
pub(super) fn style(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let escaped = &marked[1..];
    let digits = escaped.iter().take(6).take_while(|&&byte| digit(byte).is_some()).count();
    if digits == 0 {
        return match escaped.first() {
            None => 1,
            Some(b'\n') => 2,
            Some(&byte) => {
                out.push(byte);
                2
            }
        };
    }
    out.push(style_byte(&escaped[..digits]));
    let space = escaped.get(digits).is_some_and(|&byte| super::SPACE.contains(byte));
    1 + digits + usize::from(space)
}

/// What the digits write: full width counts only where the plane is 0.
fn style_byte(digits: &[u8]) -> u8 {
    let value = |byte: &u8| digit(*byte).unwrap_or_default();
    let low = digits.iter().rev().take(2).rev().fold(0_u8, |low, byte| low << 4 | value(byte));
    let plane_is_zero = digits.len() >= 4 && digits[..digits.len() - 4].iter().all(|&d| d == b'0');
    if !plane_is_zero {
        return low;
    }
    narrow(low, Width::of(&digits[digits.len() - 4..digits.len() - 2]))
}

/// Up to so many octal digits, and the backslash before them.
fn octal(digits: &[u8], length_max: usize) -> (u8, usize) {
    let length = digits.iter().take(length_max).take_while(|b| matches!(b, b'0'..=b'7')).count();
    // Past 377 the high bit is lost.
    let byte = digits[..length].iter().fold(0_u8, |value, digit| value << 3 | (digit - b'0'));
    (byte, 1 + length)
}

const fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}
