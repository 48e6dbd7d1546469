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
    #[expect(clippy::cast_possible_truncation, reason = "numbers are cut into the id's groups")]
    pub fn new(unix_millis: u64, random: u128) -> Self {
        let time = unix_millis & 0xFFFF_FFFF_FFFF;
        let (high, low) = ((random >> 64) as u64 & 0xFFF, random as u64 & (u64::MAX >> 2));
        let front = hex((time >> 16) as u32);
        let middle = hex(((time & 0xFFFF) << 16 | 0x7000 | high) as u32);
        let back = hex((low >> 32) as u32 | 0x8000_0000);
        let end = hex(low as u32);
        let mut text = [b'-'; 36];
        text[0..8].copy_from_slice(&front);
        text[9..13].copy_from_slice(&middle[..4]);
        text[14..18].copy_from_slice(&middle[4..]);
        text[19..23].copy_from_slice(&back[..4]);
        text[24..28].copy_from_slice(&back[4..]);
        text[28..36].copy_from_slice(&end);
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

/// Eight hexadecimal digits, made side by side: each byte of a word is a digit's value, and those
/// above nine are raised from the digits to the letters.
const fn hex(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut spread = number as u64;
    spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF;
    spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF;
    spread = (spread | spread << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    let above_nine = (spread + ONES * 6) >> 4 & ONES;
    (spread + ONES * b'0' as u64 + above_nine * (b'a' - b'0' - 10) as u64).to_be_bytes()
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
