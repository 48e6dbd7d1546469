//! Name-value pairs (section 3.4): each length in one byte, or in four with the highest bit set.

/// Appends a pair.
pub fn write_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    write_length(out, name.len());
    write_length(out, value.len());
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

/// A head is far below the 2 GiB that a length can say, and what a configuration adds is too.
fn write_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let long = u32::try_from(length).unwrap_or(u32::MAX) | 0x8000_0000;
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
}

/// The pairs of a whole stream; `None` if a length goes beyond its end.
#[must_use]
pub fn read_pairs(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let name = read_length(&mut bytes)?;
        let value = read_length(&mut bytes)?;
        let (name, rest) = bytes.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        pairs.push((name, value));
        bytes = rest;
    }
    Some(pairs)
}

fn read_length(bytes: &mut &[u8]) -> Option<usize> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(usize::from(first));
    }
    let (&long, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    usize::try_from(u32::from_be_bytes(long) & 0x7FFF_FFFF).ok()
}
