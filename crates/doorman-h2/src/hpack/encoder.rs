//! Field lines to header blocks.
//!
//! What pays is what repeats: `server`, `content-type`, `date` within its second. So a field enters
//! the table when it comes a second time in a row with the same value, and what never repeats (an
//! identifier of each request) never pushes others out. The last value of a name is all that is
//! remembered of it, so a look is one comparison. Strings are not Huffman-coded: that would save a
//! fifth of a head's bytes for more work than all the rest of the head.

use std::collections::VecDeque;

use doorman_http::{FieldId, integer};

use super::{OVERHEAD, TABLE_MAX, table};

/// Values that are remembered, bytes: longer ones would fill the table.
const VALUE_MAX: usize = 512;
/// Names that are not known ones and are remembered all the same.
const OTHERS: usize = 16;
/// What is remembered of at most so many names.
const SLOTS: usize = FieldId::ALL.len() + 1 + OTHERS;
/// A name of which nothing is remembered yet.
const NONE: u8 = u8::MAX;

/// What is remembered of a name.
#[derive(Debug, Default)]
struct Seen {
    /// For names that are not known ones.
    name: Vec<u8>,
    /// Its last value; meaningful once it was seen.
    value: Vec<u8>,
    /// When name and value entered the table, counted in entries; zero if they did not.
    entered: u64,
}

/// Writes the header blocks of a connection.
#[derive(Debug)]
pub(crate) struct Encoder {
    seen: Vec<Seen>,
    places: [u8; SLOTS],
    /// Sizes of the entries of the table, the oldest first.
    sizes: VecDeque<usize>,
    size: usize,
    max: usize,
    /// Entries that were ever added.
    entered: u64,
    /// Changes of the table's size that the peer has to hear of: the least since the last block, and
    /// the last (RFC 7541 section 4.2).
    least: Option<usize>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            seen: Vec::new(),
            places: [NONE; SLOTS],
            sizes: VecDeque::new(),
            size: 0,
            max: TABLE_MAX,
            entered: 0,
            least: None,
        }
    }
}

impl Encoder {
    /// Hears what the peer's SETTINGS_HEADER_TABLE_SIZE is.
    pub(crate) fn resize(&mut self, max: u32) {
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(TABLE_MAX);
        if max == self.max && self.least.is_none() {
            return;
        }
        self.least = Some(self.least.map_or(max, |least| least.min(max)));
        self.max = max;
        self.evict(max);
    }

    /// Begins a header block.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(least) = self.least.take() {
            if least < self.max {
                integer::write(least as u64, 5, 0x20, out);
            }
            integer::write(self.max as u64, 5, 0x20, out);
        }
    }

    /// Writes a status.
    pub(crate) fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        match table::status(status) {
            Some(index) => integer::write(index, 7, 0x80, out),
            None => {
                let digits = [status / 100 % 10, status / 10 % 10, status % 10]
                    .map(|digit| b'0' + digit.to_le_bytes()[0]);
                integer::write(table::STATUS, 4, 0, out);
                string(&digits, out);
            }
        }
    }

    /// Writes a field; `name` counts where `id` is of no known one.
    pub(crate) fn field(&mut self, id: FieldId, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let index = table::named(id);
        if is_secret(id) {
            return literal(4, 0x10, index, id, name, value, out);
        }
        if value.len() > VALUE_MAX || name.len() > VALUE_MAX {
            return literal(4, 0, index, id, name, value, out);
        }
        let slot = if id == FieldId::Other { other(name) } else { id as usize };
        let place = self.places.get(slot).copied().unwrap_or(NONE);
        let Some(seen) = self.seen.get_mut(usize::from(place)) else {
            self.remember(slot, id, name, value);
            return literal(4, 0, index, id, name, value, out);
        };
        let is_same = seen.value == value && (id != FieldId::Other || is_name(&seen.name, name));
        if !is_same {
            seen.entered = 0;
            seen.value.clear();
            seen.value.extend_from_slice(value);
            if id == FieldId::Other {
                seen.name.clear();
                seen.name.extend_from_slice(name);
            }
            return literal(4, 0, index, id, name, value, out);
        }
        let behind = self.entered - seen.entered;
        if seen.entered > 0 && behind < self.sizes.len() as u64 {
            return integer::write(table::STATIC as u64 + 1 + behind, 7, 0x80, out);
        }
        let length = if id == FieldId::Other { name.len() } else { id.name().len() };
        let size = length + value.len() + OVERHEAD;
        if size > self.max {
            return literal(4, 0, index, id, name, value, out);
        }
        self.entered += 1;
        seen.entered = self.entered;
        self.evict(self.max - size);
        self.sizes.push_back(size);
        self.size += size;
        literal(6, 0x40, index, id, name, value, out);
    }

    fn remember(&mut self, slot: usize, id: FieldId, name: &[u8], value: &[u8]) {
        let name = if id == FieldId::Other { name.to_vec() } else { Vec::new() };
        if let (Ok(place), Some(to)) = (u8::try_from(self.seen.len()), self.places.get_mut(slot)) {
            *to = place;
            self.seen.push(Seen { name, value: value.to_vec(), entered: 0 });
        }
    }

    fn evict(&mut self, max: usize) {
        while self.size > max {
            let Some(size) = self.sizes.pop_front() else { break };
            self.size -= size;
        }
    }
}

/// Values that must not be found out by trying what compresses well (RFC 7541 section 7.1.3).
const fn is_secret(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::SetCookie
            | FieldId::Cookie
            | FieldId::Authorization
            | FieldId::ProxyAuthorization
            | FieldId::WwwAuthenticate
            | FieldId::ProxyAuthenticate
    )
}

/// The slot of a name that is not a known one; others may share it.
fn other(name: &[u8]) -> usize {
    let sum = name.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte.to_ascii_lowercase()))
    });
    FieldId::ALL.len() + 1 + sum % OTHERS
}

fn is_name(known: &[u8], name: &[u8]) -> bool {
    known.eq_ignore_ascii_case(name)
}

/// A field line in full, its name in lower case (RFC 9113 section 8.2).
fn literal(
    bits: u8,
    above: u8,
    index: Option<u64>,
    id: FieldId,
    name: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) {
    match index {
        Some(index) => integer::write(index, bits, above, out),
        None => {
            out.push(above);
            if id == FieldId::Other {
                integer::write(name.len() as u64, 7, 0, out);
                out.extend(name.iter().map(u8::to_ascii_lowercase));
            } else {
                string(id.name().as_bytes(), out);
            }
        }
    }
    string(value, out);
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    integer::write(text.len() as u64, 7, 0, out);
    out.extend_from_slice(text);
}
