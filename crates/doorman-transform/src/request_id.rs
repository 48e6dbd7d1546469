//! Ids of requests: UUID version 7 (RFC 9562 section 5.7), so that they sort by time and any tool
//! reads them.

use std::fmt;

/// An id as text, without allocating.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// The id made of the time, milliseconds since the Unix epoch of which 48 bits count, and of 74
    /// of the bits of `random`.
    #[must_use]
    pub fn new(unix_millis: u64, random: u128) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        const RANDOM: u128 = (0xFFF << 64) | (u64::MAX >> 2) as u128;
        let time = u128::from(unix_millis & 0xFFFF_FFFF_FFFF);
        let bits = time << 80 | 0x7 << 76 | 0b10 << 62 | (random & RANDOM);
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (n, byte) in bits.to_be_bytes().into_iter().enumerate() {
            if matches!(n, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only hexadecimal digits and hyphens are ever in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 36] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        // The example of RFC 9562 appendix A.6.
        let random = 0xCC3_u128 << 64 | 0x18C4_DC0C_0C07_398F;
        assert_eq!(
            RequestId::new(0x017F_22E2_79B0, random).as_str(),
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        );
        assert_eq!(RequestId::new(0, 0).as_str(), "00000000-0000-7000-8000-000000000000");
        assert_eq!(
            RequestId::new(u64::MAX, u128::MAX).as_str(),
            "ffffffff-ffff-7fff-bfff-ffffffffffff"
        );
        assert!(RequestId::new(1, u128::MAX).as_str() < RequestId::new(2, 0).as_str());
    }
}
