//! Header blocks to field lines (RFC 7541 section 6).

use doorman_http::{huffman, integer};

use super::name::{Name, Value};
use super::table::Table;
use super::{OVERHEAD, TABLE_MAX};

/// A field line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) kind: Name,
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) judged: Value,
}

/// Why a header block cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is not what an encoder could have written.
    Broken(&'static str),
    /// It becomes so large that reading on is not worth the connection.
    Bomb,
}

/// How large a header block may become, as RFC 9113 section 6.5.2 counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Field lines beyond it are not handed on.
    pub(crate) kept: usize,
    /// Beyond it nothing is read: the table would be the only reason to.
    pub(crate) read: usize,
}

/// Reads the header blocks of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self { table: Table::new(), name: Vec::new(), value: Vec::new() }
    }

    /// Hands the field lines of a block to `each`, in order, and gives the block's size. All of a
    /// block is read whatever is thought of it: the next one refers to what this one put into the
    /// table.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        bounds: Bounds,
        mut each: impl FnMut(Line<'_>),
    ) -> Result<usize, Trouble> {
        let mut input = block;
        self.updates(&mut input).map_err(Trouble::Broken)?;
        let mut size = 0usize;
        while !input.is_empty() {
            self.line(&mut input, &mut |line| {
                // The overhead makes a section of empty fields cost what it costs us.
                size = size.saturating_add(line.name.len() + line.value.len() + OVERHEAD);
                if size <= bounds.kept {
                    each(line);
                }
            })
            .map_err(Trouble::Broken)?;
            if size > bounds.read {
                return Err(Trouble::Bomb);
            }
        }
        Ok(size)
    }

    /// Changes of the table's size, which stand first (section 4.2), and are two at most: the least
    /// and the last.
    fn updates(&mut self, input: &mut &[u8]) -> Result<(), &'static str> {
        const UPDATES_MAX: usize = 2;
        for _ in 0..UPDATES_MAX {
            if !matches!(input.first(), Some(0x20..=0x3F)) {
                break;
            }
            let max = usize::try_from(integer::read(input, 5)?).unwrap_or(usize::MAX);
            if max > TABLE_MAX {
                return Err("dynamic table larger than it may be");
            }
            self.table.resize(max);
        }
        Ok(())
    }

    fn line(
        &mut self,
        input: &mut &[u8],
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<(), &'static str> {
        match input.first() {
            // 1xxxxxxx: indexed (section 6.1).
            Some(0x80..) => {
                let entry = self.table.entry(integer::read(input, 7)?)?;
                let (kind, name) = (entry.kind, entry.name);
                each(Line { kind, name, value: entry.value, judged: entry.judged });
                Ok(())
            }
            // 01xxxxxx: literal that enters the table (section 6.2.1).
            Some(0x40..=0x7F) => self.literal(input, 6, Keep::Yes, each),
            // 001xxxxx (section 6.3).
            Some(0x20..=0x3F) => Err("change of the table's size behind a field"),
            // 000xxxxx: literal that does not (sections 6.2.2, 6.2.3).
            _ => self.literal(input, 4, Keep::No, each),
        }
    }

    fn literal(
        &mut self,
        input: &mut &[u8],
        bits: u8,
        keep: Keep,
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<(), &'static str> {
        let index = integer::read(input, bits)?;
        let (kind, name) = if index == 0 {
            let name = string(input, &mut self.name)?;
            (Name::of(name), name)
        } else {
            let entry = self.table.entry(index)?;
            // The entry may be the one that has to make room.
            self.name.clear();
            self.name.extend_from_slice(entry.name);
            (entry.kind, &self.name[..])
        };
        let value = string(input, &mut self.value)?;
        let judged = Value::of(value);
        each(Line { kind, name, value, judged });
        if keep == Keep::Yes {
            self.table.insert(kind, name, value, judged);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

/// A string literal (section 5.2); `room` is where it is put if it is compressed.
fn string<'s: 'a, 'a>(
    input: &mut &'s [u8],
    room: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    const SHORT: &str = "header block ends within a string";
    let is_huffman = *input.first().ok_or(SHORT)? & 0x80 != 0;
    let length = usize::try_from(integer::read(input, 7)?).unwrap_or(usize::MAX);
    let (coded, rest) = input.split_at_checked(length).ok_or(SHORT)?;
    *input = rest;
    if !is_huffman {
        return Ok(coded);
    }
    room.clear();
    huffman::decode(coded, room)?;
    Ok(room)
}
