//! `&` in its forms.

use super::digit;

/// `htmlEntityDecode`: numbers (their low byte) and the five names, with a semicolon behind them or
/// without. What is none of them stays as it is.
pub(super) fn decode(marked: &[u8], out: &mut Vec<u8>) -> usize {
    match marked {
        [_, b'#', b'x' | b'X', digits @ ..] => number(marked, digits, Base::Sixteen, out),
        [_, b'#', digits @ ..] => number(marked, digits, Base::Ten, out),
        [_, name @ ..] => named(name, out),
        [] => 0,
    }
}

#[derive(Clone, Copy)]
enum Base {
    Ten,
    Sixteen,
}

impl Base {
    fn digit(self, byte: u8) -> Option<u8> {
        match self {
            Self::Ten if !byte.is_ascii_digit() => None,
            _ => digit(byte),
        }
    }

    const fn of(self) -> u64 {
        match self {
            Self::Ten => 10,
            Self::Sixteen => 16,
        }
    }
}

fn number(marked: &[u8], rest: &[u8], base: Base, out: &mut Vec<u8>) -> usize {
    let prefix = marked.len() - rest.len();
    let length = rest.iter().take_while(|&&byte| base.digit(byte).is_some()).count();
    if length == 0 {
        out.extend_from_slice(&marked[..prefix]);
        return prefix;
    }
    // A number past what C can hold counts as the largest that it can.
    const MAX: u64 = i64::MAX as u64;
    let value = rest[..length].iter().fold(0_u64, |value, &byte| {
        let more = u64::from(base.digit(byte).unwrap_or_default());
        value.saturating_mul(base.of()).saturating_add(more).min(MAX)
    });
    let [.., low] = value.to_be_bytes();
    out.push(low);
    prefix + length + semicolon(&rest[length..])
}

fn named(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = &rest[..length];
    let known: [(&[u8], u8); 5] =
        [(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)];
    match known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, byte)) => {
            out.push(*byte);
            1 + length + semicolon(&rest[length..])
        }
        None => {
            out.push(b'&');
            out.extend_from_slice(name);
            1 + length
        }
    }
}

fn semicolon(rest: &[u8]) -> usize {
    usize::from(rest.first() == Some(&b';'))
}
