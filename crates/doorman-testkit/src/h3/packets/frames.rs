//! Frames of QUIC (RFC 9000 section 19): those that tests write, and those that they look for.

use crate::h3::frames::{read_varint, varint};

/// A frame of the peer's that a test may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// ACK: the largest number.
    Ack(u64),
    /// CRYPTO: where it belongs, and the bytes.
    Crypto(u64, Vec<u8>),
    /// STREAM: the stream, where it belongs, the bytes, and whether the stream ends.
    Stream(u64, u64, Vec<u8>, bool),
    /// RESET_STREAM or STOP_SENDING: the stream and the code.
    Reset(u64, u64),
    /// NEW_CONNECTION_ID: its number and the id; kept for [`take_ids`](super::Packets::take_ids).
    NewId(u64, Vec<u8>),
    /// RETIRE_CONNECTION_ID: the number.
    RetireId(u64),
    /// PATH_RESPONSE.
    PathResponse(Vec<u8>),
    /// CONNECTION_CLOSE of QUIC: the code.
    Closed(u64),
    /// CONNECTION_CLOSE of HTTP/3: the code.
    ClosedByApplication(u64),
    /// HANDSHAKE_DONE.
    Done,
}

/// STREAM.
#[must_use]
pub fn stream(id: u64, offset: u64, bytes: &[u8], ends: bool) -> Vec<u8> {
    let kind = 0x0E | u64::from(ends);
    [varint(kind), varint(id), varint(offset), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// CRYPTO.
#[must_use]
pub fn crypto(offset: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(6), varint(offset), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// CONNECTION_CLOSE of HTTP/3.
#[must_use]
pub fn close(code: u64) -> Vec<u8> {
    [varint(0x1D), varint(code), varint(0)].concat()
}

/// ACK of these numbers, which go upwards.
///
/// # Panics
/// There are none.
#[must_use]
pub fn ack(numbers: &[u64]) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    // The newest are enough.
    let mut newest = ranges.into_iter().rev().take(32);
    let (first, last) = newest.next().expect("a number");
    let rest: Vec<_> = newest.collect();
    let mut out =
        [varint(2), varint(last), varint(0), varint(rest.len() as u64), varint(last - first)]
            .concat();
    let mut lowest = first;
    for (first, last) in rest {
        out.extend(varint(lowest - last - 2));
        out.extend(varint(last - first));
        lowest = first;
    }
    out
}

/// The frames of a payload that tests may look at; what cannot be read ends it.
pub(super) fn read(payload: &[u8]) -> Vec<Got> {
    let mut cursor = Cursor(payload);
    let mut out = Vec::new();
    while !cursor.0.is_empty() {
        let Some(frame) = cursor.frame() else { break };
        out.extend(frame);
    }
    out
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn number(&mut self) -> Option<u64> {
        let (value, rest) = read_varint(self.0)?;
        self.0 = rest;
        Some(value)
    }

    fn numbers(&mut self, n: usize) -> Option<()> {
        (0..n).try_for_each(|_| self.number().map(drop))
    }

    fn bytes(&mut self, n: u64) -> Option<Vec<u8>> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    /// The next frame: `Some(None)` if it is none to look at.
    fn frame(&mut self) -> Option<Option<Got>> {
        let kind = self.number()?;
        Some(match kind {
            0x00 | 0x01 => None,
            0x02 | 0x03 => Some(self.ack(kind)?),
            0x04 => {
                let (stream, code) = (self.number()?, self.number()?);
                self.number()?;
                Some(Got::Reset(stream, code))
            }
            0x05 => Some(Got::Reset(self.number()?, self.number()?)),
            0x06 => {
                let (offset, length) = (self.number()?, self.number()?);
                Some(Got::Crypto(offset, self.bytes(length)?))
            }
            0x07 => {
                let length = self.number()?;
                self.bytes(length)?;
                None
            }
            0x08..=0x0F => Some(self.stream(kind)?),
            0x10 | 0x12..=0x14 | 0x16 | 0x17 => {
                self.number()?;
                None
            }
            0x11 | 0x15 => {
                self.numbers(2)?;
                None
            }
            0x18 => Some(self.new_id()?),
            0x19 => Some(Got::RetireId(self.number()?)),
            0x1A => {
                self.bytes(8)?;
                None
            }
            0x1B => Some(Got::PathResponse(self.bytes(8)?)),
            0x1C => Some(self.closed(true, Got::Closed)?),
            0x1D => Some(self.closed(false, Got::ClosedByApplication)?),
            0x1E => Some(Got::Done),
            _ => return None,
        })
    }

    fn ack(&mut self, kind: u64) -> Option<Got> {
        let largest = self.number()?;
        self.number()?;
        let ranges = self.number()?;
        self.number()?;
        for _ in 0..ranges {
            self.numbers(2)?;
        }
        if kind == 0x03 {
            self.numbers(3)?;
        }
        Some(Got::Ack(largest))
    }

    fn stream(&mut self, kind: u64) -> Option<Got> {
        let id = self.number()?;
        let offset = if kind & 4 == 0 { 0 } else { self.number()? };
        let length = if kind & 2 == 0 { self.0.len() as u64 } else { self.number()? };
        Some(Got::Stream(id, offset, self.bytes(length)?, kind & 1 != 0))
    }

    fn new_id(&mut self) -> Option<Got> {
        let number = self.number()?;
        self.number()?;
        let length = self.bytes(1)?;
        let id = self.bytes(u64::from(*length.first()?))?;
        self.bytes(16)?;
        Some(Got::NewId(number, id))
    }

    fn closed(&mut self, has_frame: bool, got: impl Fn(u64) -> Got) -> Option<Got> {
        let code = self.number()?;
        if has_frame {
            self.number()?;
        }
        let length = self.number()?;
        self.bytes(length)?;
        Some(got(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let payload = [
            ack(&[0, 1, 2, 5, 7, 8]),
            vec![0; 9],
            stream(4, 70, b"abc", true),
            crypto(5, b"de"),
            close(0x100),
        ];
        assert_eq!(payload[0], [2, 8, 0, 2, 1, 0, 0, 1, 2]);
        let got = [
            Got::Ack(8),
            Got::Stream(4, 70, b"abc".to_vec(), true),
            Got::Crypto(5, b"de".to_vec()),
            Got::ClosedByApplication(0x100),
        ];
        assert_eq!(read(&payload.concat()), got);
    }
}
