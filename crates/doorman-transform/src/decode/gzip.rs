//! gzip (RFC 1952): members, one behind another. Heads and tails are read here, so that a body of many tiny
//! members does not cost memory anew for each.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{DecodeError, Done};

/// Bits of the fourth byte of a head (RFC 1952 section 2.3.1).
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
/// Bits that must not be set: what they would mean is unknown, and so where the head would end.
const RESERVED: u8 = 0xE0;

/// Where in a member the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In front of a member, or behind the last one.
    Start,
    /// In the ten bytes that every head has.
    Head,
    /// In the two bytes that say how long the extra field is.
    ExtraLength,
    /// In the extra field; how much of it is left.
    Extra(u16),
    /// In the name, which a zero ends.
    Name,
    /// In the comment, which a zero ends.
    Comment,
    /// In the two bytes of the head's checksum.
    Checksum,
    /// In what is deflated.
    Body,
    /// In the eight bytes of checksum and length.
    Tail,
}

/// A stream.
pub(super) struct Gzip {
    place: Place,
    /// Whether a member has come to its end.
    has_member: bool,
    flags: u8,
    /// What has come of a part of fixed length.
    part: [u8; 10],
    part_len: usize,
    inflate: Decompress,
    crc: Crc,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Start,
            has_member: false,
            flags: 0,
            part: [0; 10],
            part_len: 0,
            inflate: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.place == Place::Start
    }

    pub(super) fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Done, DecodeError> {
        if self.place == Place::Body {
            return self.inflate(input, room);
        }
        let mut taken = 0;
        for &byte in input {
            taken += 1;
            self.byte(byte)?;
            if self.place == Place::Body {
                break;
            }
        }
        Ok(Done { taken, given: 0 })
    }

    fn inflate(&mut self, input: &[u8], room: &mut [u8]) -> Result<Done, DecodeError> {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, room, FlushDecompress::None);
        let status = status.map_err(|_| DecodeError::Malformed)?;
        let since = |total: u64, before: u64, most: usize| {
            usize::try_from(total - before).unwrap_or(most).min(most)
        };
        let taken = since(self.inflate.total_in(), before_in, input.len());
        let given = since(self.inflate.total_out(), before_out, room.len());
        self.crc.update(room.get(..given).unwrap_or_default());
        if status == Status::StreamEnd {
            self.enter(Place::Tail);
        }
        Ok(Done { taken, given })
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.part_len = 0;
    }

    /// Takes a byte that is not deflated.
    fn byte(&mut self, byte: u8) -> Result<(), DecodeError> {
        match self.place {
            Place::Start => {
                // What is there behind a member and does not begin another is no part of the body.
                if byte != 0x1F {
                    return Err(match self.has_member {
                        true => DecodeError::Trailing,
                        false => DecodeError::Malformed,
                    });
                }
                self.enter(Place::Head);
                self.keep(byte);
            }
            Place::Head => {
                if self.keep(byte) == 10 {
                    return self.head();
                }
            }
            Place::ExtraLength => {
                if self.keep(byte) == 2 {
                    match u16::from_le_bytes([self.part[0], self.part[1]]) {
                        0 => self.next(FEXTRA),
                        length => self.enter(Place::Extra(length)),
                    }
                }
            }
            Place::Extra(1) => self.next(FEXTRA),
            Place::Extra(left) => self.place = Place::Extra(left - 1),
            Place::Name if byte == 0 => self.next(FNAME),
            Place::Comment if byte == 0 => self.next(FCOMMENT),
            Place::Name | Place::Comment => {}
            Place::Checksum => {
                if self.keep(byte) == 2 {
                    self.next(FHCRC);
                }
            }
            Place::Tail => {
                if self.keep(byte) == 8 {
                    return self.tail();
                }
            }
            Place::Body => return Err(DecodeError::Malformed),
        }
        Ok(())
    }

    /// Keeps a byte of a part of fixed length; how many there are.
    fn keep(&mut self, byte: u8) -> usize {
        if let Some(place) = self.part.get_mut(self.part_len) {
            *place = byte;
            self.part_len += 1;
        }
        self.part_len
    }

    fn head(&mut self) -> Result<(), DecodeError> {
        let [0x1F, 0x8B, 8, flags, ..] = self.part else { return Err(DecodeError::Malformed) };
        if flags & RESERVED != 0 {
            return Err(DecodeError::Malformed);
        }
        self.flags = flags;
        self.crc.reset();
        self.next(0);
        Ok(())
    }

    /// Goes on to the first part behind the one with this flag that the head has.
    fn next(&mut self, behind: u8) {
        let order = [
            (FEXTRA, Place::ExtraLength),
            (FNAME, Place::Name),
            (FCOMMENT, Place::Comment),
            (FHCRC, Place::Checksum),
        ];
        let at = order.iter().position(|(flag, _)| *flag == behind).map_or(0, |at| at + 1);
        let parts = order.iter().skip(at);
        let part = parts.filter(|(flag, _)| self.flags & flag != 0).map(|(_, place)| *place).next();
        self.enter(part.unwrap_or(Place::Body));
    }

    fn tail(&mut self) -> Result<(), DecodeError> {
        let [a, b, c, d, e, f, g, h, ..] = self.part;
        let is_right = u32::from_le_bytes([a, b, c, d]) == self.crc.sum()
            && u32::from_le_bytes([e, f, g, h]) == self.crc.amount();
        if !is_right {
            return Err(DecodeError::Malformed);
        }
        self.inflate.reset(false);
        self.has_member = true;
        self.enter(Place::Start);
        Ok(())
    }
}
