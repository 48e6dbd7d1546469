//! Field sections (RFC 9204 section 4.5) with a dynamic table of capacity zero, and the streams
//! that would fill one.

mod table;

use doorman_http::{huffman, integer};

use crate::code::{Code, Fault};

pub(crate) use table::{AUTHORITY, METHOD, PATH, SCHEME_HTTPS, STATUS, method, named, status};

/// Why a field section cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble<E> {
    /// It is not what an encoder could have written.
    Broken(&'static str),
    /// It is larger than it may be.
    TooLarge,
    /// Whoever took the fields wants no more.
    Refused(E),
}

/// Hands the field lines of `section` to `each`, in order. `size_max` bounds the section as
/// RFC 9114 section 4.2.2 counts it.
pub(crate) fn decode<E>(
    section: &[u8],
    size_max: usize,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), Trouble<E>> {
    let mut input = prefix(section).map_err(Trouble::Broken)?;
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let mut size = 0usize;
    while !input.is_empty() {
        let line = line(&mut input, &mut name, &mut value).map_err(Trouble::Broken)?;
        // The overhead makes a section of empty fields cost what it costs us.
        size = size.saturating_add(line.0.len() + line.1.len() + 32);
        if size > size_max {
            return Err(Trouble::TooLarge);
        }
        each(line.0, line.1).map_err(Trouble::Refused)?;
    }
    Ok(())
}

/// The section's prefix (section 4.5.1). It can refer to no entry of an empty table.
fn prefix(mut input: &[u8]) -> Result<&[u8], &'static str> {
    if integer::read(&mut input, 8)? != 0 {
        return Err("field section that needs a dynamic table");
    }
    let is_negative = input.first().is_some_and(|first| first & 0x80 != 0);
    integer::read(&mut input, 7)?;
    if is_negative {
        return Err("field section with a negative base");
    }
    Ok(input)
}

/// One field line. Literals that are compressed are put in `name` and `value`.
fn line<'s: 'a, 'a>(
    input: &mut &'s [u8],
    name: &'a mut Vec<u8>,
    value: &'a mut Vec<u8>,
) -> Result<(&'a [u8], &'a [u8]), &'static str> {
    const DYNAMIC: &str = "field line that refers to the dynamic table";
    let first = *input.first().ok_or("field section ends within a line")?;
    match first {
        // 1Txxxxxx: indexed (section 4.5.2).
        0xC0..=0xFF => table::entry(integer::read(input, 6)?),
        // 01NTxxxx: literal with name reference (section 4.5.4).
        0x40..=0x7F if first & 0x10 != 0 => {
            let (name, _) = table::entry(integer::read(input, 4)?)?;
            Ok((name, string(input, 7, value)?))
        }
        // 001NHxxx: literal with literal name (section 4.5.6).
        0x20..=0x3F => {
            let name = string(input, 3, name)?;
            Ok((name, string(input, 7, value)?))
        }
        _ => Err(DYNAMIC),
    }
}

/// A string literal whose length has a prefix of `bits`, with the Huffman bit ahead of it
/// (section 4.1.2).
fn string<'s: 'a, 'a>(
    input: &mut &'s [u8],
    bits: u8,
    room: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    let first = *input.first().ok_or("field section ends within a string")?;
    let is_huffman = first & (1 << bits) != 0;
    let length = integer::read(input, bits)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (coded, rest) =
        input.split_at_checked(length).ok_or("field section ends within a string")?;
    *input = rest;
    if !is_huffman {
        return Ok(coded);
    }
    room.clear();
    huffman::decode(coded, room)?;
    Ok(room)
}

/// Starts a section: nothing is needed of a dynamic table.
pub(crate) fn write_prefix(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Writes a field line whose name and value are entry `index` of the static table.
pub(crate) fn write_indexed(index: u64, out: &mut Vec<u8>) {
    integer::write(index, 6, 0xC0, out);
}

/// Writes a field line whose name is that of entry `index` of the static table.
pub(crate) fn write_named(index: u64, value: &[u8], out: &mut Vec<u8>) {
    integer::write(index, 4, 0x50, out);
    integer::write(value.len() as u64, 7, 0, out);
    out.extend_from_slice(value);
}

/// Writes a field line in full, its name in lower case (RFC 9114 section 4.2).
pub(crate) fn write_literal(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    integer::write(name.len() as u64, 3, 0x20, out);
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    integer::write(value.len() as u64, 7, 0, out);
    out.extend_from_slice(value);
}

/// Reads the peer's encoder stream (section 4.3). With a table of capacity zero only one
/// instruction is allowed, which sets the capacity to zero again.
#[derive(Debug, Default)]
pub struct EncoderReader {}

impl EncoderReader {
    /// Looks at bytes of the stream; all of them are taken.
    ///
    /// # Errors
    /// An instruction that has no right to be there.
    pub fn read(&mut self, input: &[u8]) -> Result<(), Fault> {
        const SET_CAPACITY_ZERO: u8 = 0x20;
        if input.iter().all(|byte| *byte == SET_CAPACITY_ZERO) {
            return Ok(());
        }
        Err(Fault::new(Code::QpackEncoderStreamError, "instruction for a dynamic table"))
    }
}

/// Reads the peer's decoder stream (section 4.4). We never encode with a table, so there is nothing
/// to acknowledge; a stream may be cancelled all the same.
#[derive(Debug, Default)]
pub struct DecoderReader {
    /// Bytes that were read of a stream id that goes on; 0 outside of one.
    within: usize,
}

impl DecoderReader {
    /// Looks at bytes of the stream; all of them are taken.
    ///
    /// # Errors
    /// An instruction that has no right to be there.
    pub fn read(&mut self, input: &[u8]) -> Result<(), Fault> {
        for byte in input {
            self.within = match (self.within, byte) {
                (0, 0x40..=0x7E) => 0,
                (0, 0x7F) => 1,
                (0, _) => {
                    let reason = "acknowledges what was never sent";
                    return Err(Fault::new(Code::QpackDecoderStreamError, reason));
                }
                (_, 0x00..=0x7F) => 0,
                (n, _) if n < integer::BYTES_MAX => n + 1,
                _ => {
                    return Err(Fault::new(Code::QpackDecoderStreamError, "stream id too long"));
                }
            };
        }
        Ok(())
    }
}
