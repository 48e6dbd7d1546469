//! Addresses in attributes.

/// Beginnings of schemes that run script, or hide it.
const SCHEMES: [&[u8]; 4] = [b"DATA", b"VIEW-SOURCE", b"JAVA", b"VBSCRIPT"];

/// Whether a browser would run the address: its scheme may be written with entities, in any case, and
/// with bytes between that browsers pass over.
pub(super) fn runs(address: &[u8]) -> bool {
    let start = address.iter().position(|&byte| (33..127).contains(&byte));
    let address = &address[start.unwrap_or(address.len())..];
    SCHEMES.iter().any(|scheme| begins(address, scheme))
}

fn begins(mut address: &[u8], scheme: &[u8]) -> bool {
    let mut wanted = scheme.iter();
    let mut next = wanted.next();
    let mut is_first = true;
    while let Some(expected) = next {
        let Some((code, length)) = decode(address) else { return false };
        address = &address[length..];
        if is_first && code <= 32 {
            continue;
        }
        is_first = false;
        if code == 0 || code == 10 {
            continue;
        }
        // Only the low byte of a character counts, but it is made upper case as a whole.
        let [.., low] = if (97..=122).contains(&code) { code - 32 } else { code }.to_be_bytes();
        if low != *expected {
            return false;
        }
        next = wanted.next();
    }
    true
}

/// The largest number that an entity may write.
const CODE_MAX: u32 = 0x10_00ff;

/// The first character and how many bytes write it; nothing of nothing.
fn decode(text: &[u8]) -> Option<(u32, usize)> {
    let (prefix, base) = match text {
        [] => return None,
        [b'&', b'#', b'x' | b'X', ..] => (3, 16),
        [b'&', b'#', ..] => (2, 10),
        [byte, ..] => return Some((u32::from(*byte), 1)),
    };
    let mut code = 0_u32;
    let mut length = prefix;
    while let Some(digit) = text.get(length).and_then(|&byte| char::from(byte).to_digit(base)) {
        code = code * base + digit;
        // No entity: an ampersand.
        if code > CODE_MAX {
            return Some((u32::from(b'&'), 1));
        }
        length += 1;
    }
    if length == prefix {
        return Some((u32::from(b'&'), 1));
    }
    Some((code, length + usize::from(text.get(length) == Some(&b';'))))
}
