//! `name=value&name=value`, of a body or of a query.
//!
//! Separators are looked for before `%` is decoded, so an encoded separator is data. Decoding is
//! lenient: a `%` that no two hexadecimal digits follow stays as it is and is told.

use super::keeper::Keeper;
use super::{Bounds, Pair, Read};
use crate::rule::Processor;

/// The arguments of a query, which is what stands behind the `?` of a target: ARGS_GET. `true` is
/// URLENCODED_ERROR. Arguments past [`Bounds::arguments_max`] are dropped; `into` is not emptied first.
pub fn query(raw: &[u8], separator: u8, bounds: &Bounds, into: &mut Vec<Pair>) -> bool {
    let bounds = Bounds { separator, bytes_max: u64::MAX, ..bounds.clone() };
    let mut reader = UrlEncoded::new(Keeper::new(Processor::UrlEncoded, &bounds));
    reader.feed(raw);
    let mut read = reader.finish();
    into.append(&mut read.arguments);
    read.flags.urlencoded_error
}

/// Which side of the `=` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Name,
    Value,
}

/// How far a `%` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Percent,
    /// With its first digit.
    Digit(u8),
}

/// A body of `application/x-www-form-urlencoded` while it is read.
#[derive(Debug)]
pub(super) struct UrlEncoded {
    keeper: Keeper,
    side: Side,
    escape: Escape,
    name: Vec<u8>,
    value: Vec<u8>,
    /// Whether a byte of the pair was seen: behind the last separator there is no pair.
    started: bool,
}

impl UrlEncoded {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self {
            keeper,
            side: Side::Name,
            escape: Escape::None,
            name: Vec::new(),
            value: Vec::new(),
            started: false,
        }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let taken = &data[..self.keeper.count(data.len())];
        let separator = self.keeper.bounds.separator;
        for &byte in taken {
            if byte == separator {
                self.end_pair();
            } else {
                self.started = true;
                self.byte(byte);
            }
        }
        if taken.len() < data.len() {
            self.keeper.over_bytes();
        }
    }

    pub(super) fn finish(mut self) -> Read {
        if self.started {
            self.end_pair();
        }
        self.keeper.finish()
    }

    fn byte(&mut self, byte: u8) {
        match (self.escape, byte) {
            (Escape::Percent, digit) if digit.is_ascii_hexdigit() => {
                self.escape = Escape::Digit(digit);
                return;
            }
            (Escape::Digit(high), low) if low.is_ascii_hexdigit() => {
                self.escape = Escape::None;
                self.push(nibble(high) << 4 | nibble(low));
                return;
            }
            (Escape::None, _) => {}
            _ => self.end_escape(),
        }
        match byte {
            b'%' => self.escape = Escape::Percent,
            b'+' => self.push(b' '),
            b'=' if self.side == Side::Name => self.side = Side::Value,
            _ => self.push(byte),
        }
    }

    /// Gives back what is no escape after all.
    fn end_escape(&mut self) {
        let escape = std::mem::replace(&mut self.escape, Escape::None);
        if escape != Escape::None {
            self.keeper.read.flags.urlencoded_error = true;
            self.push(b'%');
        }
        if let Escape::Digit(digit) = escape {
            self.push(digit);
        }
    }

    fn push(&mut self, byte: u8) {
        match self.side {
            Side::Name => self.name.push(byte),
            Side::Value => self.value.push(byte),
        }
    }

    fn end_pair(&mut self) {
        self.end_escape();
        self.keeper.argument(std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        self.side = Side::Name;
        self.started = false;
    }
}

/// The value of a hexadecimal digit.
pub(super) fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit & 15) + 9,
    }
}
