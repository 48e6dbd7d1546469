//! Integers with a prefix (RFC 7541 section 5.1, and by way of RFC 9204 section 4.1.1 QPACK as well).

/// Bytes behind the prefix: as many as 62 bits need. More would be zeros without end.
pub const BYTES_MAX: usize = 9;
/// The largest value, as in QUIC: nothing that is counted comes near it.
pub const MAX: u64 = (1 << 62) - 1;

/// Takes an integer whose prefix has `bits` bits, one to eight, from the front of `input`.
///
/// # Errors
/// It is cut, or too large.
pub fn read(input: &mut &[u8], bits: u8) -> Result<u64, &'static str> {
    const SHORT: &str = "field section ends within an integer";
    let mask = 0xFF_u8 >> (8 - bits);
    let (first, mut rest) = input.split_first().ok_or(SHORT)?;
    let mut value = u64::from(first & mask);
    if first & mask == mask {
        let mut shift = 0;
        loop {
            let (byte, behind) = rest.split_first().ok_or(SHORT)?;
            rest = behind;
            if shift >= 7 * BYTES_MAX {
                return Err("integer is too large");
            }
            // At most 63 bits and the prefix's 8: no bit is lost.
            value += u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *input = rest;
    if value > MAX { Err("integer is too large") } else { Ok(value) }
}

/// Writes an integer with a prefix of `bits` bits; `above` are the bits above the prefix.
pub fn write(value: u64, bits: u8, above: u8, out: &mut Vec<u8>) {
    let mask = 0xFF_u8 >> (8 - bits);
    match u8::try_from(value) {
        Ok(small) if small < mask => out.push(above | small),
        _ => {
            out.push(above | mask);
            let mut left = value - u64::from(mask);
            loop {
                let low = left.to_le_bytes()[0] & 0x7F;
                left >>= 7;
                if left == 0 {
                    return out.push(low);
                }
                out.push(low | 0x80);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7541 appendix C.1.
    #[test]
    fn the_examples_of_the_rfc() {
        let check = |value, bits, bytes: &[u8]| {
            let mut out = Vec::new();
            write(value, bits, 0, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(&mut &bytes[..], bits), Ok(value));
        };
        check(10, 5, &[0b01010]);
        check(1337, 5, &[0b11111, 0b1001_1010, 0b1010]);
        check(42, 8, &[0b0010_1010]);
    }

    #[test]
    fn what_is_too_long_or_cut_is_refused() {
        let check = |bytes: &[u8]| assert!(read(&mut &bytes[..], 5).is_err(), "{bytes:?}");
        check(&[]);
        check(&[0x1F]);
        check(&[0x1F, 0x80]);
        check(&[0x1F, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]);
        check(&[0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=MAX, bits in 3u8..=8) {
            let mut out = Vec::new();
            write(value, bits, 0, &mut out);
            prop_assert_eq!(read(&mut &out[..], bits), Ok(value));
        }
    }
}
