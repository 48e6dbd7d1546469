//! The part of HPACK (RFC 7541) that a rude client needs: literals that say anything.
//!
//! Nothing is ever indexed or compressed, so what the bytes mean does not depend on state, and
//! names and values may be illegal.

/// A field block of literals without indexing (RFC 7541 section 6.2.2), in this order.
#[must_use]
pub fn literals(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(name, &mut block);
        string(value, &mut block);
    }
    block
}

/// A field by its number in the tables (section 6.1); numbers that exist nowhere are illegal.
#[must_use]
pub fn indexed(index: usize) -> Vec<u8> {
    let mut block = Vec::new();
    integer(index, 7, 0x80, &mut block);
    block
}

/// An integer (section 5.1) under the first byte's `mark`, in its last `bits` bits.
pub fn integer(mut value: usize, bits: u32, mark: u8, into: &mut Vec<u8>) {
    let limit = (1 << bits) - 1;
    if value < limit {
        into.push(mark | low_bits(value));
        return;
    }
    into.push(mark | low_bits(limit));
    value -= limit;
    while value >= 0x80 {
        into.push(0x80 | low_bits(value & 0x7f));
        value >>= 7;
    }
    into.push(low_bits(value));
}

fn low_bits(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

fn string(bytes: &[u8], into: &mut Vec<u8>) {
    integer(bytes.len(), 7, 0, into);
    into.extend_from_slice(bytes);
}

/// The status of a response's field block, whose first field it must be (RFC 9113 section 8.3).
/// `None` where it stands in a dynamic table: announce a table of no size to rule that out.
#[must_use]
pub fn status(block: &[u8]) -> Option<u16> {
    // Changes of the table's size may come before.
    let skipped = block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count();
    let (first, rest) = block[skipped..].split_first()?;
    let known = [200, 204, 206, 304, 400, 404, 500];
    match first {
        0x88..=0x8e => Some(known[usize::from(first - 0x88)]),
        // A literal value under the name of the table's entries 8 to 14.
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => {
            let (length, text) = rest.split_first()?;
            let text = text.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 {
                std::str::from_utf8(text).ok()?.parse().ok()
            } else {
                digits(text)
            }
        }
        _ => None,
    }
}

/// Three digits in the Huffman code of RFC 7541 appendix B: 0, 1 and 2 have five bits, the others
/// six.
fn digits(code: &[u8]) -> Option<u16> {
    let bits = code.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let mut left = u32::try_from(8 * code.len()).ok().filter(|length| *length <= 32)?;
    let mut number = 0;
    for _ in 0..3 {
        let short = (bits >> left.checked_sub(5)?) & 0x1f;
        let digit = if short <= 2 {
            left -= 5;
            short
        } else {
            left = left.checked_sub(6)?;
            ((bits >> left) & 0x3f).checked_sub(0x19).filter(|digit| *digit <= 6)? + 3
        };
        number = 10 * number + u16::try_from(digit).ok()?;
    }
    Some(number)
}
