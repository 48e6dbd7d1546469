//! The token in a sticky cookie: who it is for, when it was made, and a seal over both.
//!
//! Nothing of it needs a memory at our side: whoever has the key can read every token that was ever
//! made. The subject is a number that only the key's holder can connect with a server, so a token
//! tells nobody where a server is. It is base64url of exactly thirty bytes, which has one spelling,
//! no padding and no bits left over: the same token is always the same text.
//!
//! ```text
//! version (1) | subject (8) | seconds since 1970 (5) | seal (16)
//! ```

use std::time::Duration;

/// Characters of a token.
pub const TOKEN_BYTES: usize = 40;

/// Bytes of its seal: 128 bits, which nobody guesses.
pub const SEAL_BYTES: usize = 16;

const VERSION: u8 = 1;
const SEALED_BYTES: usize = 14;

/// How far ahead of our clock a token may have been made: machines that share a key have clocks that
/// are nearly one.
const SKEW: Duration = Duration::from_secs(60);

/// What a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The number of whom it is for.
    pub subject: u64,
    /// When it was made, seconds since 1970; below 2^40.
    pub issued: u64,
}

impl Token {
    /// What the seal is made over.
    #[must_use]
    pub fn sealed(&self) -> [u8; SEALED_BYTES] {
        let mut bytes = [0; SEALED_BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.subject.to_be_bytes());
        bytes[9..].copy_from_slice(&self.issued.to_be_bytes()[3..]);
        bytes
    }

    /// Its text, with that seal.
    #[must_use]
    pub fn write(&self, seal: &[u8; SEAL_BYTES]) -> [u8; TOKEN_BYTES] {
        let mut bytes = [0; SEALED_BYTES + SEAL_BYTES];
        bytes[..SEALED_BYTES].copy_from_slice(&self.sealed());
        bytes[SEALED_BYTES..].copy_from_slice(seal);
        let mut text = [0; TOKEN_BYTES];
        for (three, four) in bytes.chunks_exact(3).zip(text.chunks_exact_mut(4)) {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            for (at, digit) in four.iter_mut().enumerate() {
                *digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            }
        }
        text
    }

    /// Reads a text, and the seal that whoever asks must check; `None`: it is no token.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<(Self, [u8; SEAL_BYTES])> {
        let text: &[u8; TOKEN_BYTES] = text.try_into().ok()?;
        let mut bytes = [0; SEALED_BYTES + SEAL_BYTES];
        for (four, three) in text.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
            let mut bits = 0u32;
            for &digit in four {
                bits = bits << 6 | u32::from(value(digit)?);
            }
            three.copy_from_slice(&bits.to_be_bytes()[1..]);
        }
        let (sealed, seal) = bytes.split_at(SEALED_BYTES);
        let (&version, sealed) = sealed.split_first()?;
        let (subject, issued) = sealed.split_first_chunk::<8>()?;
        if version != VERSION {
            return None;
        }
        let issued = issued.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
        Some((Self { subject: u64::from_be_bytes(*subject), issued }, seal.try_into().ok()?))
    }

    /// How old it is at `now` (seconds since 1970); `None` if it was made in the future.
    #[must_use]
    pub fn age(&self, now: u64) -> Option<Duration> {
        let ahead = self.issued.saturating_sub(now);
        (ahead <= SKEW.as_secs()).then(|| Duration::from_secs(now.saturating_sub(self.issued)))
    }
}

/// RFC 4648 section 5.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cookies outlive an upgrade: these bytes are a promise.
    #[test]
    fn a_token_is_these_bytes() {
        let token = Token { subject: 0x0102_0304_0506_0708, issued: 0x00AA_BBCC_DDEE };
        let text = token.write(&[0xFF; 16]);
        assert_eq!(&text, b"AQECAwQFBgcIqrvM3e7_____________________");
        assert_eq!(Token::read(&text), Some((token, [0xFF; 16])));
    }

    #[test]
    fn what_is_no_token() {
        let good = Token { subject: 1, issued: 2 }.write(&[3; 16]);
        let changed = |at: usize, to: u8| {
            let mut text = good;
            text[at] = to;
            Token::read(&text)
        };
        assert_eq!(Token::read(b""), None);
        assert_eq!(Token::read(&good[..39]), None);
        assert_eq!(Token::read(&[&good[..], b"A"].concat()), None);
        assert_eq!(Token::read(b"127.0.0.1:3000"), None);
        for byte in [b'+', b'/', b'=', b' ', b'"', 0, 0xFF] {
            assert_eq!(changed(7, byte), None, "{byte}");
        }
        assert_eq!(changed(1, b'g'), None, "another version");
    }

    #[test]
    fn ages() {
        let age = |issued, now| Token { subject: 0, issued }.age(now).map(|age| age.as_secs());
        assert_eq!(age(100, 100), Some(0));
        assert_eq!(age(100, 4000), Some(3900));
        assert_eq!(age(160, 100), Some(0), "a clock that is a little ahead");
        assert_eq!(age(161, 100), None);
        assert_eq!(age((1 << 40) - 1, 0), None);
    }

    proptest! {
        #[test]
        fn tokens_read_as_they_were_written(subject: u64, issued in 0u64..1 << 40, seal: [u8; 16]) {
            let token = Token { subject, issued };
            prop_assert_eq!(Token::read(&token.write(&seal)), Some((token, seal)));
        }

        #[test]
        fn a_text_has_one_reading_and_a_token_one_spelling(text in "[A-Za-z0-9_-]{40}") {
            if let Some((token, seal)) = Token::read(text.as_bytes()) {
                prop_assert_eq!(&token.write(&seal)[..], text.as_bytes());
            }
        }
    }
}
