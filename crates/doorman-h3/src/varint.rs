//! Variable-length integers of QUIC (RFC 9000 section 16), and the head of a frame, which is two of
//! them.

/// The largest value that fits.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// Reads the integer at the front of `bytes` and says how long it is; `None` while it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1 << (first >> 6);
    let rest = bytes.get(1..length)?;
    let value =
        rest.iter().fold(u64::from(first & 0x3F), |value, byte| value << 8 | u64::from(*byte));
    Some((value, length))
}

/// Writes `value` in its shortest form; what does not fit is cut to the largest that does.
pub(crate) fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    let bytes = value.to_be_bytes();
    match value {
        0..=0x3F => out.push(bytes[7]),
        0x40..=0x3FFF => out.extend_from_slice(&[bytes[6] | 0x40, bytes[7]]),
        0x4000..=0x3FFF_FFFF => {
            out.extend_from_slice(&[bytes[4] | 0x80, bytes[5], bytes[6], bytes[7]]);
        }
        _ => {
            out.push(bytes[0] | 0xC0);
            out.extend_from_slice(&bytes[1..]);
        }
    }
}

/// Type and length of a frame, collected over however many reads they come in.
#[derive(Debug)]
pub(crate) struct FrameHead {
    /// Two integers of at most eight bytes each.
    bytes: [u8; 16],
    have: usize,
}

impl FrameHead {
    /// Of which nothing was read.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 16], have: 0 }
    }

    /// Takes bytes from the front of `input` and gives type and length once both are whole. Takes
    /// no byte that lies behind them.
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, Option<(u64, u64)>) {
        let before = self.have;
        let n = input.len().min(self.bytes.len() - before);
        self.bytes[before..before + n].copy_from_slice(&input[..n]);
        self.have += n;
        let have = &self.bytes[..self.have];
        let whole = read(have).and_then(|(kind, at)| {
            let (length, more) = read(&have[at..])?;
            Some((kind, length, at + more))
        });
        match whole {
            None => (n, None),
            Some((kind, length, size)) => {
                self.have = 0;
                // A head that was whole before would have been given then.
                (size.saturating_sub(before), Some((kind, length)))
            }
        }
    }

    /// Whether no byte of a head was read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.have == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9000 appendix A.1.
    #[test]
    fn the_examples_of_the_rfc() {
        let check = |bytes: &[u8], value| assert_eq!(read(bytes), Some((value, bytes.len())));
        check(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652);
        check(&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333);
        check(&[0x7b, 0xbd], 15_293);
        check(&[0x25], 37);
        check(&[0x40, 0x25], 37);
        assert_eq!(read(&[0x9d, 0x7f, 0x3e]), None);
        assert_eq!(read(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=MAX, behind in any::<[u8; 3]>()) {
            let mut out = Vec::new();
            write(value, &mut out);
            let length = out.len();
            out.extend_from_slice(&behind);
            prop_assert_eq!(read(&out), Some((value, length)));
        }

        #[test]
        fn a_frame_head_is_the_same_however_it_is_cut(
            kind in 0..=MAX, length in 0..=MAX, cut in 1usize..16, behind in any::<[u8; 4]>()
        ) {
            let mut bytes = Vec::new();
            write(kind, &mut bytes);
            write(length, &mut bytes);
            let size = bytes.len();
            bytes.extend_from_slice(&behind);
            let (mut head, mut at) = (FrameHead::new(), 0);
            let found = loop {
                let end = (at + cut).min(bytes.len());
                let (n, found) = head.read(&bytes[at..end]);
                at += n;
                if let Some(found) = found {
                    break found;
                }
            };
            prop_assert_eq!((found, at), ((kind, length), size));
        }
    }
}
