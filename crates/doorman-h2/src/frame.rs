//! The layout of frames (RFC 9113 sections 4.1 and 6).

use crate::code::Code;

/// Bytes of a frame's head.
pub(crate) const HEAD: usize = 9;
/// The longest payload that we take and send: what every peer takes (section 4.2). Larger frames
/// would hold other streams up, and save nothing.
pub(crate) const PAYLOAD_MAX: usize = 16 * 1024;

/// Frame types.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
}

/// Flags.
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl Head {
    /// Reads a head from the front of `input`.
    #[inline]
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, w, x, y, z] = input.first_chunk::<HEAD>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // The first bit is reserved, and ignored (section 4.1).
        let stream = u32::from_be_bytes([w, x, y, z]) & 0x7FFF_FFFF;
        Some(Self { length, kind, flags, stream })
    }

    /// Appends the head.
    #[inline]
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let [.., a, b, c] = self.length.to_be_bytes();
        let [w, x, y, z] = self.stream.to_be_bytes();
        out.extend_from_slice(&[a, b, c, self.kind, self.flags, w, x, y, z]);
    }

    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A big-endian number of 32 bits at the front of `payload`.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The payload of a frame that may be padded, without its padding (section 6.1); `None` if there is
/// more padding than frame.
pub(crate) fn unpadded(head: Head, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(flag::PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

pub(crate) fn write_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    Head { length: settings.len() * 6, kind: kind::SETTINGS, flags: 0, stream: 0 }.write(out);
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn write_settings_ack(out: &mut Vec<u8>) {
    Head { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.write(out);
}

pub(crate) fn write_ping(flags: u8, payload: [u8; 8], out: &mut Vec<u8>) {
    Head { length: 8, kind: kind::PING, flags, stream: 0 }.write(out);
    out.extend_from_slice(&payload);
}

pub(crate) fn write_goaway(last: u32, code: Code, out: &mut Vec<u8>) {
    Head { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.number().to_be_bytes());
}

pub(crate) fn write_reset(stream: u32, code: Code, out: &mut Vec<u8>) {
    Head { length: 4, kind: kind::RST_STREAM, flags: 0, stream }.write(out);
    out.extend_from_slice(&code.number().to_be_bytes());
}

pub(crate) fn write_window_update(stream: u32, more: u32, out: &mut Vec<u8>) {
    Head { length: 4, kind: kind::WINDOW_UPDATE, flags: 0, stream }.write(out);
    out.extend_from_slice(&more.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_without_its_reserved_bit() {
        let head = Head { length: 0x01_0203, kind: 9, flags: 0x2C, stream: 0x7FFF_FFFE };
        let mut out = Vec::new();
        head.write(&mut out);
        assert_eq!(out, [1, 2, 3, 9, 0x2C, 0x7F, 0xFF, 0xFF, 0xFE]);
        assert_eq!(Head::read(&out), Some(head));
        out[5] = 0xFF;
        assert_eq!(Head::read(&out), Some(head));
        assert_eq!(Head::read(&out[..8]), None);
    }

    #[test]
    fn padding_is_taken_off_and_never_exceeds_the_frame() {
        let head = |flags| Head { length: 0, kind: 0, flags, stream: 1 };
        let check = |flags, payload: &[u8], expected: Option<&[u8]>| {
            assert_eq!(unpadded(head(flags), payload), expected, "{payload:?}");
        };
        check(0, &[2, 3], Some(&[2, 3]));
        check(flag::PADDED, &[0, 3], Some(&[3]));
        check(flag::PADDED, &[1, 3, 0], Some(&[3]));
        check(flag::PADDED, &[2, 3, 0], Some(&[]));
        check(flag::PADDED, &[3, 3, 0], None);
        check(flag::PADDED, &[], None);
    }
}
