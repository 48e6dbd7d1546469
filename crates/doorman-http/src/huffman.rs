//! The Huffman code of header strings (RFC 7541 appendix B), which HPACK and QPACK share; decoding
//! only.
//!
//! The code is canonical: ordered by length and then by symbol, each code is the one before it plus
//! one. So the lengths are all there is to it, and a symbol is found by comparing with the first
//! code of each length; text needs three such comparisons a symbol.

/// The length of each byte's code in bits.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// Codes of one length.
#[derive(Clone, Copy)]
struct Row {
    /// The first code beyond this length, shifted to the top of 32 bits.
    end: u32,
    /// What is added to a code of this length to get its place among the symbols.
    offset: i32,
}

struct Table {
    rows: [Row; LONGEST + 1],
    symbols: [u8; 256],
}

const TABLE: Table = {
    let mut table = Table { rows: [Row { end: 0, offset: 0 }; LONGEST + 1], symbols: [0; 256] };
    let (mut code, mut place, mut length) = (0u32, 0usize, SHORTEST);
    while length <= LONGEST {
        #[expect(clippy::cast_possible_truncation, reason = "256 places; codes have 30 bits")]
        {
            table.rows[length].offset = place as i32 - code as i32;
        }
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                #[expect(clippy::cast_possible_truncation, reason = "below 256")]
                {
                    table.symbols[place] = symbol as u8;
                }
                place += 1;
                code += 1;
            }
            symbol += 1;
        }
        table.rows[length].end = code << (32 - length);
        code <<= 1;
        length += 1;
    }
    assert!(place == 256, "every byte has a code");
    table
};

/// What eight bits begin with: a byte and the length of its code, or a length of zero where the code
/// is longer.
const SHORT: [(u8, u8); 256] = {
    let mut short = [(0, 0); 256];
    let (mut code, mut place) = (0usize, 0);
    let mut length = SHORTEST;
    while length <= 8 {
        while place < 256 && LENGTHS[TABLE.symbols[place] as usize] as usize == length {
            let first = code << (8 - length);
            let mut n = 0;
            while n < 1 << (8 - length) {
                #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
                {
                    short[first + n] = (TABLE.symbols[place], length as u8);
                }
                n += 1;
            }
            code += 1;
            place += 1;
        }
        code <<= 1;
        length += 1;
    }
    short
};

/// Appends what `coded` stands for. The bound is the caller's: nothing expands by more than 8/5.
///
/// # Errors
/// What is wrong with it.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.reserve(coded.len() * 8 / SHORTEST);
    let (mut bits, mut have) = (0u64, 0usize);
    let mut bytes = coded.iter();
    loop {
        while have <= 32 {
            let Some(byte) = bytes.next() else { break };
            bits |= u64::from(*byte) << (56 - have);
            have += 8;
        }
        // Text is nearly all of short codes: one look instead of three comparisons.
        let (symbol, length) = SHORT[usize::from(bits.to_be_bytes()[0])];
        if length != 0 && usize::from(length) <= have {
            out.push(symbol);
            bits <<= length;
            have -= usize::from(length);
            continue;
        }
        if have == 0 {
            return Ok(());
        }
        let top = top(bits);
        let length = (SHORTEST..=LONGEST).find(|length| top < TABLE.rows[*length].end);
        match length {
            Some(length) if length <= have => {
                let code = i32::try_from(top >> (32 - length)).unwrap_or_default();
                let place = usize::try_from(code + TABLE.rows[length].offset).unwrap_or_default();
                out.push(TABLE.symbols[place]);
                bits <<= length;
                have -= length;
            }
            _ => return padding(top, have),
        }
    }
}

const fn top(bits: u64) -> u32 {
    (bits >> 32) as u32
}

/// What is left must be the beginning of the code for the end, which is all ones, and shorter than
/// a byte (RFC 7541 section 5.2).
const fn padding(top: u32, have: usize) -> Result<(), &'static str> {
    if have < 8 && top >> (32 - have) == (1 << have) - 1 {
        Ok(())
    } else {
        Err("Huffman code is not padded as it should be")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut codes = [0u32; 256];
        let (mut code, mut last) = (0u32, SHORTEST);
        for symbol in TABLE.symbols {
            let length = usize::from(LENGTHS[usize::from(symbol)]);
            code <<= length - last;
            codes[usize::from(symbol)] = code;
            (code, last) = (code + 1, length);
        }
        let mut bits = String::new();
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            bits += &format!("{:0length$b}", codes[usize::from(*byte)]);
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    /// RFC 7541 appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_rfc() {
        let check = |text: &str, coded: &[u8]| {
            assert_eq!(decoded(coded).unwrap(), text.as_bytes());
            assert_eq!(encode(text.as_bytes()), coded);
        };
        check(
            "www.example.com",
            &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff],
        );
        check("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]);
        check("302", &[0x64, 0x02]);
        check("private", &[0xae, 0xc3, 0x77, 0x1a, 0x4b]);
        check(
            "Mon, 21 Oct 2013 20:13:21 GMT",
            &[
                0xd0, 0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b,
                0x81, 0x66, 0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff,
            ],
        );
    }

    #[test]
    fn padding_must_be_ones_and_short() {
        // "0" is 00000; three bits of padding.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        assert!(decoded(&[0b0000_0000]).is_err(), "padding of zeros");
        assert!(decoded(&[0b0000_0111, 0xFF]).is_err(), "padding of a byte and more");
        assert!(decoded(&[0xFF, 0xFF, 0xFF, 0xFF]).is_err(), "the end's own code");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decoded(&encode(&text)).unwrap(), text);
        }

        #[test]
        fn no_bytes_expand_beyond_the_bound(coded in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = decoded(&coded) {
                prop_assert!(text.len() * 5 <= coded.len() * 8);
            }
        }
    }
}
