//! Requests made of the suite's by chance: pieces of one put into another, letters in other cases, bytes
//! coded, and bytes taken out. The suite's payloads are what rules look for; a little beside them is where
//! two ways of running rules could come to different ends.
//!
//! Chance is a number that is handed in, so that what was found can be found again.

use super::message::Message;

/// Changes of one request at most.
const CHANGES_MAX: u64 = 4;

/// Bytes of a piece at most.
const PIECE_MAX: usize = 48;

/// Numbers that look like chance, after a seed (`SplitMix64`).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// A range of at least one byte in `length`, if there is one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        let end = start + 1 + self.below(PIECE_MAX);
        start.min(length)..end.min(length)
    }
}

/// `message` with a few changes, some of which put in pieces of `other`. It stays a message with the length
/// that it says it has.
pub(crate) fn mutated(message: &Message, other: &Message, chance: &mut Chance) -> Message {
    let mut mutated = message.clone();
    for _ in 0..=chance.next() % CHANGES_MAX {
        let piece = piece(other, chance);
        change(place(&mut mutated, chance), &piece, chance);
    }
    let length = mutated.body.len().to_string().into_bytes();
    let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
    for (_, value) in mutated.fields.iter_mut().filter(|(name, _)| is_length(name)) {
        value.clone_from(&length);
    }
    mutated
}

/// Some bytes of a request's target, content or fields.
fn piece(message: &Message, chance: &mut Chance) -> Vec<u8> {
    let from = match chance.below(4) {
        0 | 1 if !message.body.is_empty() => &message.body,
        2 if !message.fields.is_empty() => &message.fields[chance.below(message.fields.len())].1,
        _ => &message.target,
    };
    from[chance.range(from.len())].to_vec()
}

/// Where a change is made.
fn place<'m>(message: &'m mut Message, chance: &mut Chance) -> &'m mut Vec<u8> {
    match chance.below(8) {
        0..=2 if !message.body.is_empty() => &mut message.body,
        3 | 4 if !message.fields.is_empty() => {
            let field = chance.below(message.fields.len());
            &mut message.fields[field].1
        }
        5 if !message.fields.is_empty() => {
            let field = chance.below(message.fields.len());
            &mut message.fields[field].0
        }
        _ => &mut message.target,
    }
}

fn change(text: &mut Vec<u8>, piece: &[u8], chance: &mut Chance) {
    let range = chance.range(text.len());
    match chance.below(5) {
        0 | 1 => _ = text.splice(range.start..range.start, piece.iter().copied()),
        2 => {
            for byte in &mut text[range] {
                if byte.is_ascii_alphabetic() && chance.below(2) == 0 {
                    *byte ^= 0x20;
                }
            }
        }
        3 => {
            let coded = coded(&text[range.clone()], chance.below(6));
            text.splice(range, coded);
        }
        _ => _ = text.drain(range),
    }
}

/// `text` in one of the ways that rules undo.
fn coded(text: &[u8], way: usize) -> Vec<u8> {
    let byte = |byte: &u8| match way {
        0 => format!("%{byte:02X}"),
        1 => format!("%25{byte:02x}"),
        2 => format!("%u00{byte:02x}"),
        3 => format!("\\x{byte:02x}"),
        4 => format!("&#x{byte:x};"),
        _ => format!("{}/**/", char::from(*byte)),
    };
    text.iter().map(byte).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::read(b"POST /a?q=select HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nb=<scrip")
    }

    #[test]
    fn a_seed_says_what_comes() {
        let made = |seed| {
            let mut chance = Chance::new(seed);
            (0..64).map(|_| mutated(&message(), &message(), &mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
        assert!(made(7).iter().filter(|made| **made != message()).count() > 48);
    }

    #[test]
    fn lengths_stay_true_and_nothing_need_be_there() {
        let mut chance = Chance::new(1);
        for _ in 0..500 {
            let made = mutated(&message(), &Message::default(), &mut chance);
            let length = made.field("content-length").map(<[u8]>::to_vec);
            assert!(length.is_none_or(|length| length == made.body.len().to_string().as_bytes()));
            _ = mutated(&Message::default(), &message(), &mut chance);
        }
    }

    #[test]
    fn bytes_are_coded() {
        let all: Vec<_> = (0..6).map(|way| coded(b"<", way)).collect();
        let all: Vec<_> = all.iter().map(|text| String::from_utf8_lossy(text)).collect();
        assert_eq!(all, ["%3C", "%253c", "%u003c", "\\x3c", "&#x3c;", "</**/"]);
    }
}
