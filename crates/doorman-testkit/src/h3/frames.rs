//! Frames of HTTP/3 and field sections of QPACK, written by hand and as wrongly as a test wants.

/// Frame types (RFC 9114 section 7.2).
pub mod kind {
    /// DATA.
    pub const DATA: u64 = 0x0;
    /// HEADERS.
    pub const HEADERS: u64 = 0x1;
    /// CANCEL_PUSH.
    pub const CANCEL_PUSH: u64 = 0x3;
    /// SETTINGS.
    pub const SETTINGS: u64 = 0x4;
    /// GOAWAY.
    pub const GOAWAY: u64 = 0x7;
    /// MAX_PUSH_ID.
    pub const MAX_PUSH_ID: u64 = 0xD;
}

/// A variable-length integer (RFC 9000 section 16), in its shortest form.
#[must_use]
pub fn varint(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    match value {
        0..=0x3F => vec![bytes[7]],
        0x40..=0x3FFF => vec![bytes[6] | 0x40, bytes[7]],
        0x4000..=0x3FFF_FFFF => vec![bytes[4] | 0x80, bytes[5], bytes[6], bytes[7]],
        _ => {
            let mut out = bytes.to_vec();
            out[0] |= 0xC0;
            out
        }
    }
}

/// Reads a variable-length integer from the front of `bytes`.
#[must_use]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = 1 << (*bytes.first()? >> 6);
    let (own, rest) = bytes.split_at_checked(length)?;
    let first = u64::from(own[0] & 0x3F);
    Some((own[1..].iter().fold(first, |value, byte| value << 8 | u64::from(*byte)), rest))
}

/// A frame.
#[must_use]
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = varint(kind);
    out.extend(varint(payload.len() as u64));
    out.extend_from_slice(payload);
    out
}

/// An integer with a prefix of `bits` bits below `above` (RFC 7541 section 5.1).
#[must_use]
pub fn prefixed(value: usize, bits: u8, above: u8) -> Vec<u8> {
    let mask = 0xFF_u8 >> (8 - bits);
    if let Some(small) = u8::try_from(value).ok().filter(|small| *small < mask) {
        return vec![above | small];
    }
    let mut out = vec![above | mask];
    let mut left = value - usize::from(mask);
    while left >= 0x80 {
        out.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    out.push(left.to_le_bytes()[0]);
    out
}

/// A field section of literals.
#[must_use]
pub fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0, 0];
    for (name, value) in fields {
        out.extend(prefixed(name.len(), 3, 0x20));
        out.extend_from_slice(name.as_bytes());
        out.extend(prefixed(value.len(), 7, 0));
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// HEADERS with these fields.
#[must_use]
pub fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, &section(fields))
}

/// HEADERS of a request for `path`, with more fields behind the pseudo-header.
#[must_use]
pub fn request(method: &str, authority: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields =
        vec![(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)];
    fields.extend_from_slice(more);
    headers(&fields)
}

/// What a control stream begins with: its type, and SETTINGS with this payload.
#[must_use]
pub fn control(settings: &[u8]) -> Vec<u8> {
    let mut out = varint(0);
    out.extend(frame(kind::SETTINGS, settings));
    out
}

/// The frames that `bytes` begin with: type and payload; what is cut is left out.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some((kind, rest)) = read_varint(bytes) {
        let Some((length, rest)) = read_varint(rest) else { break };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        out.push((kind, payload.to_vec()));
        bytes = rest;
    }
    out
}

/// The status that a response's field section begins with, if it is written as doorman writes it.
#[must_use]
pub fn status(section: &[u8]) -> Option<u16> {
    let line = section.get(2..)?;
    match *line.first()? {
        // Indexed entries of the static table (RFC 9204 appendix A).
        0xFF => {
            [100, 204, 206, 302, 400, 403, 421, 425, 500].get(usize::from(*line.get(1)?)).copied()
        }
        indexed @ 0xC0..=0xFE => {
            let index = usize::from(indexed & 0x3F).checked_sub(24)?;
            [103, 200, 304, 404, 503].get(index).copied()
        }
        // A literal with the name of entry 24.
        0x5F => std::str::from_utf8(line.get(3..6)?).ok()?.parse().ok(),
        _ => None,
    }
}
