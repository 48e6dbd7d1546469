//! Packets as they stand on the wire (RFC 9000 section 17) and their protection (RFC 9001 section 5).

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::quic::{Keys, PacketKey, PacketKeySet, Suite};

use crate::h3::frames::read_varint;

/// Packet numbers are always written in full.
pub(super) const NUMBER_BYTES: usize = 4;
/// What protection adds to a payload, in each suite of TLS 1.3.
pub(super) const TAG_BYTES: usize = 16;
const SAMPLE_BYTES: usize = 16;
const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;
const PHASE: u8 = 0x04;
/// Where the destination's id of a long header has its length.
const ID_AT: usize = 5;

/// Encryption levels that packets of ours have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Initial,
    Handshake,
    Data,
}

/// The suite that first packets are protected by.
pub(super) fn initial_suite(config: &Arc<ClientConfig>) -> io::Result<Suite> {
    let suites = &config.crypto_provider().cipher_suites;
    let suite = suites.iter().find_map(|suite| {
        let is_initial = suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
        suite.tls13().filter(|_| is_initial)?.quic_suite()
    });
    suite.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// The head of a packet up to its number.
pub(super) fn head(level: Level, to: &[u8], from: &[u8], payload: usize, phase: bool) -> Vec<u8> {
    let number = u8::try_from(NUMBER_BYTES - 1).unwrap_or_default();
    if level == Level::Data {
        let phase = if phase { PHASE } else { 0 };
        return [&[FIXED | phase | number][..], to].concat();
    }
    let kind = if level == Level::Initial { 0 } else { 0x20 };
    let mut out = vec![LONG | FIXED | kind | number, 0, 0, 0, 1];
    for id in [to, from] {
        out.push(u8::try_from(id.len()).unwrap_or_default());
        out.extend_from_slice(id);
    }
    if level == Level::Initial {
        // No token.
        out.push(0);
    }
    // In two bytes whatever it is, so that the head's length is known beforehand.
    let length = NUMBER_BYTES + payload + TAG_BYTES;
    let [high, low] = u16::try_from(length).unwrap_or_default().to_be_bytes();
    out.extend([high | 0x40, low]);
    out
}

/// Of the packet that a datagram begins with: its level, its length, and the id of its sender if its
/// head says it.
pub(super) fn outline(datagram: &[u8], id: usize) -> Option<(Level, usize, Option<Vec<u8>>)> {
    let first = *datagram.first()?;
    if first & LONG == 0 {
        return (datagram.len() > 1 + id).then_some((Level::Data, datagram.len(), None));
    }
    let level = match first & 0x30 {
        0 => Level::Initial,
        0x20 => Level::Handshake,
        _ => return None,
    };
    let (at, source) = length_at(datagram, level)?;
    let (length, rest) = read_varint(datagram.get(at..)?)?;
    let end = datagram.len() - rest.len() + usize::try_from(length).ok()?;
    (end <= datagram.len()).then_some((level, end, Some(source)))
}

/// Where a long header's packet number is.
fn number_at(packet: &[u8], level: Level) -> Option<usize> {
    let (at, _) = length_at(packet, level)?;
    Some(at + (1 << (*packet.get(at)? >> 6)))
}

fn length_at(packet: &[u8], level: Level) -> Option<(usize, Vec<u8>)> {
    let to = usize::from(*packet.get(ID_AT)?);
    let from_at = ID_AT + 1 + to;
    let from = usize::from(*packet.get(from_at)?);
    let mut at = from_at + 1 + from;
    let source = packet.get(from_at + 1..at)?.to_vec();
    if level == Level::Initial {
        let (token, rest) = read_varint(packet.get(at..)?)?;
        at = packet.len() - rest.len() + usize::try_from(token).ok()?;
    }
    Some((at, source))
}

/// Keys of a level, both ways.
pub(super) struct Sealed {
    keys: Keys,
    /// What the peer still uses while it has not heard of an update.
    older: Vec<Box<dyn PacketKey>>,
}

impl Sealed {
    pub(super) const fn new(keys: Keys) -> Self {
        Self { keys, older: Vec::new() }
    }

    pub(super) fn update(&mut self, next: PacketKeySet) {
        self.keys.local.packet = next.local;
        self.older.push(std::mem::replace(&mut self.keys.remote.packet, next.remote));
    }

    /// A packet, protected.
    pub(super) fn seal(
        &self,
        mut head: Vec<u8>,
        number: u64,
        mut payload: Vec<u8>,
    ) -> io::Result<Vec<u8>> {
        let at = head.len();
        // A sample is taken four bytes behind the number's first.
        payload.resize(payload.len().max(SAMPLE_BYTES - TAG_BYTES + 4), 0);
        head.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        let keys = &self.keys.local;
        let tag = keys.packet.encrypt_in_place(number, &head, &mut payload);
        let tag = tag.map_err(io::Error::other)?;
        let mut packet = [&head[..], &payload, tag.as_ref()].concat();
        let sample = packet[at + 4..at + 4 + SAMPLE_BYTES].to_vec();
        let (first, rest) = packet.split_at_mut(1);
        let own = &mut rest[at - 1..at - 1 + NUMBER_BYTES];
        keys.header.encrypt_in_place(&sample, &mut first[0], own).map_err(io::Error::other)?;
        Ok(packet)
    }

    /// A packet's number and its frames, if it is one of this level.
    pub(super) fn open(
        &self,
        packet: &mut [u8],
        level: Level,
        largest: Option<u64>,
    ) -> Option<(u64, Vec<u8>)> {
        let keys = &self.keys.remote;
        let at = if level == Level::Data { 1 + super::ID_BYTES } else { number_at(packet, level)? };
        let sample = packet.get(at + 4..at + 4 + SAMPLE_BYTES)?.to_vec();
        let (first, rest) = packet.split_at_mut(1);
        let number = rest.get_mut(at - 1..at - 1 + NUMBER_BYTES)?;
        keys.header.decrypt_in_place(&sample, &mut first[0], number).ok()?;
        let bytes = usize::from(first[0] & 3) + 1;
        let short = number[..bytes].iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        let number = whole(short, bytes, largest);
        let (head, payload) = packet.split_at(at + bytes);
        let with = |keys: &dyn PacketKey| {
            // What does not fit is no longer what it was.
            let mut payload = payload.to_vec();
            let n = keys.decrypt_in_place(number, head, &mut payload).ok()?.len();
            payload.truncate(n);
            Some(payload)
        };
        let known = std::iter::once(&keys.packet).chain(&self.older);
        let payload = known.map(|keys| with(keys.as_ref())).find_map(|payload| payload)?;
        Some((number, payload))
    }
}

/// A packet number of which the last bytes are known (RFC 9000 appendix A.3).
fn whole(short: u64, bytes: usize, largest: Option<u64>) -> u64 {
    let window = 1u64 << (8 * bytes);
    let expected = largest.map_or(0, |largest| largest + 1);
    let candidate = expected & !(window - 1) | short;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_whole() {
        assert_eq!(whole(0x9b32, 2, Some(0xa82f_30ea)), 0xa82f_9b32);
        assert_eq!(whole(0, 1, None), 0);
        assert_eq!(whole(0, 1, Some(255)), 256);
        assert_eq!(whole(255, 1, Some(256)), 255);
    }

    #[test]
    fn a_head_tells_its_outline() {
        for level in [Level::Initial, Level::Handshake] {
            let head = head(level, &[1, 2, 3], &[4; 8], 40, false);
            let packet = [&head[..], &[0; NUMBER_BYTES + 40 + TAG_BYTES], b"next"].concat();
            let length = packet.len() - 4;
            assert_eq!(outline(&packet, 8), Some((level, length, Some(vec![4; 8]))));
            assert_eq!(number_at(&packet, level), Some(head.len()));
        }
    }
}
