//! Base64, read as leniently as those do who will read it behind us.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NONE: u8 = 0xff;
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut index = 0_u8;
    while (index as usize) < ALPHABET.len() {
        values[ALPHABET[index as usize] as usize] = index;
        index += 1;
    }
    values
};

/// `base64Decode`: up to the first byte that is not of the alphabet; bits that fill no byte are lost.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let values = input.iter().map(|&byte| VALUES[usize::from(byte)]);
    gather(values.take_while(|&value| value != NONE), out);
}

/// `base64DecodeExt`: bytes that are not of the alphabet do not count. Nothing comes of it where the
/// end is marked after the first of four.
pub(super) fn decode_forgiving(input: &[u8], out: &mut Vec<u8>) {
    let mut count = 0_usize;
    for (place, &byte) in input.iter().enumerate() {
        if byte == b'=' && count % 4 == 1 && input.get(place + 1) != Some(&b'=') {
            return;
        }
        count += usize::from(VALUES[usize::from(byte)] != NONE);
    }
    let values = input.iter().map(|&byte| VALUES[usize::from(byte)]);
    gather(values.filter(|&value| value != NONE), out);
}

fn gather(values: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u32, 0_u32);
    for value in values {
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            out.push(byte);
        }
    }
}

/// `base64Encode`, with padding.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    out.reserve(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * index) & 63) as usize];
            out.push(if index <= chunk.len() { letter } else { b'=' });
        }
    }
}
