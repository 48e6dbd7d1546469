//! The little of HTTP/3 (RFC 9114) that a load of equal requests needs: one request, encoded once, and the
//! frames of its responses, of which the status and the length of the content are checked.

use crate::failure::Failure;

/// Types of frames (RFC 9114 section 7.2) that are looked into.
const DATA: u64 = 0x0;
const HEADERS: u64 = 0x1;
/// The control stream: its type and empty SETTINGS, which means no dynamic table for QPACK.
pub(crate) const SETTINGS: &[u8] = &[0x00, 0x04, 0x00];
/// `H3_NO_ERROR`.
pub(super) const NO_ERROR: u32 = 0x100;
/// A field section that begins with the response's status 200: no dynamic table, then entry 25 of the static
/// one (RFC 9204 sections 4.5.1 and 4.5.2, appendix A).
const STATUS_200: [u8; 3] = [0x00, 0x00, 0xC0 | 25];

/// A HEADERS frame that asks for so many bytes.
pub(crate) fn get(port: u16, bytes: u64) -> Vec<u8> {
    let mut section = vec![0x00, 0x00];
    // `:method` GET and `:scheme` https stand in the static table whole.
    section.extend([0xC0 | 17, 0xC0 | 23]);
    literal(&mut section, &[0x50], &format!("localhost:{port}"));
    literal(&mut section, &[0x51], &format!("/b/{bytes}"));
    // `user-agent` is entry 95, which does not fit the four bits of the first byte.
    literal(&mut section, &[0x5F, 95 - 15], "xtask/1");
    let mut frame = vec![1];
    // Both lengths are far below 64, so that one byte holds them.
    frame.extend(u8::try_from(section.len()).ok().filter(|length| *length < 64));
    frame.extend(section);
    frame
}

/// A field whose name stands in the static table (RFC 9204 section 4.5.4), its value not compressed.
fn literal(section: &mut Vec<u8>, name: &[u8], value: &str) {
    section.extend(name);
    section.extend(u8::try_from(value.len()).ok().filter(|length| *length < 127));
    section.extend(value.as_bytes());
}

/// A response as it comes in.
#[derive(Default)]
pub(super) struct Answer {
    /// Type and length of the next frame, as far as they are there.
    head: Vec<u8>,
    /// The frame that is being read, and what is left of it.
    frame: Option<(u64, u64)>,
    /// The front of the first field section.
    section: Vec<u8>,
    body_bytes: u64,
}

impl Answer {
    /// Takes what came next on the stream.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((kind, left)) = self.frame else {
                let (&first, rest) = bytes.split_first().unwrap_or((&0, &[]));
                self.head.push(first);
                bytes = rest;
                if let Some(frame) = frame_head(&self.head) {
                    self.head.clear();
                    self.frame = Some(frame).filter(|(_, length)| *length > 0);
                }
                continue;
            };
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(here);
            match kind {
                DATA => self.body_bytes += here as u64,
                HEADERS => {
                    let missing = STATUS_200.len().saturating_sub(self.section.len());
                    self.section.extend(&payload[..missing.min(here)]);
                }
                _ => {}
            }
            bytes = rest;
            self.frame = Some((kind, left - here as u64)).filter(|(_, left)| *left > 0);
        }
    }

    /// Whether it was what was asked for, now that its stream has ended.
    pub(super) fn check(&self, wanted: u64) -> Result<(), Failure> {
        if self.section != STATUS_200 {
            let section = &self.section;
            return Err(Failure::new(format!(
                "a response begins with {section:02x?}, not with 200"
            )));
        }
        if self.body_bytes != wanted || self.frame.is_some() || !self.head.is_empty() {
            let got = self.body_bytes;
            return Err(Failure::new(format!("a response of {got} bytes instead of {wanted}")));
        }
        Ok(())
    }
}

/// Type and length, once both are whole.
fn frame_head(bytes: &[u8]) -> Option<(u64, u64)> {
    let (kind, rest) = integer(bytes)?;
    let (length, _) = integer(rest)?;
    Some((kind, length))
}

/// An integer of QUIC (RFC 9000 section 16): the first two bits say how long it is.
fn integer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let (value, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let value = value.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    Some((value & (u64::MAX >> (66 - 8 * (1 << (first >> 6)))), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a response cut into pieces of every length.
    fn check(response: &[u8], wanted: u64, is_right: bool) {
        for length in 1..=response.len() {
            let mut answer = Answer::default();
            for piece in response.chunks(length) {
                answer.take(piece);
            }
            assert_eq!(answer.check(wanted).is_ok(), is_right, "pieces of {length}");
        }
    }

    fn response(status: u8, declared: usize, body: usize) -> Vec<u8> {
        let mut bytes = vec![0x21, 0x00, 0x01, 0x04, 0x00, 0x00, status, 0x99];
        bytes.extend([0x00, 0x40 | u8::try_from(declared >> 8).unwrap()]);
        bytes.push(u8::try_from(declared & 0xFF).unwrap());
        bytes.extend(vec![0; body]);
        bytes
    }

    #[test]
    fn reads_status_and_length() {
        check(&response(0xD9, 1024, 1024), 1024, true);
        check(&response(0xD9, 1024, 1024), 1023, false);
        check(&response(0xD9, 1024, 1023), 1023, false);
        check(&response(0xD8, 1024, 1024), 1024, false);
        check(&response(0xD9, 1024, 1024)[8..], 1024, false);
        check(&[0x00, 0x00], 0, false);
        check(&[0x01, 0x03, 0x00, 0x00, 0xD9, 0x00, 0x00, 0x00], 0, false);
        check(&[0x01, 0x03, 0x00, 0x00, 0xD9, 0x00, 0x00], 0, true);
    }

    #[test]
    fn reads_integers_of_every_length() {
        // The examples of RFC 9000, appendix A.1.
        for (bytes, wanted) in [
            (&[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C][..], 151_288_809_941_952_652),
            (&[0x9D, 0x7F, 0x3E, 0x7D], 494_878_333),
            (&[0x7B, 0xBD], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(integer(bytes), Some((wanted, &[][..])));
            assert_eq!(integer(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn asks_in_one_frame() {
        let frame = get(8443, 1024);
        let (kind, rest) = integer(&frame).unwrap();
        let (length, section) = integer(rest).unwrap();
        assert_eq!((kind, length), (HEADERS, section.len() as u64));
        assert!(section.ends_with(b"\x51\x07/b/1024\x5F\x50\x07xtask/1"), "{section:02x?}");
    }
}
