//! CRC32C, the checksum of PROXY protocol headers. A table of a byte's steps, made at compile time:
//! a header is short and comes once for each connection.

/// The polynomial of Castagnoli, bits reversed.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0u32;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte as usize] = value;
        byte += 1;
    }
    table
};

/// The checksum of the parts, one behind the other.
pub(crate) fn crc32c(parts: [&[u8]; 3]) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(!0u32, |sum, &byte| {
        let [low, ..] = sum.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ sum >> 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of CRCs, and the vectors of RFC 3720 appendix B.4.
    #[test]
    fn known_sums() {
        assert_eq!(crc32c([b"123456789", b"", b""]), 0xE306_9283);
        assert_eq!(crc32c([b"1234", b"56", b"789"]), 0xE306_9283);
        assert_eq!(crc32c([&[0; 32], b"", b""]), 0x8A91_36AA);
        assert_eq!(crc32c([&[0xFF; 32], b"", b""]), 0x62A8_AB43);
    }
}
