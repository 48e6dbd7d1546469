//! Whether bytes that come one at a time are UTF-8.

/// How far a character is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// How many bytes it still has.
    left: u8,
    /// What the next of them is at least and at most: not every byte of 0x80 to 0xBF makes the
    /// shortest form of a character that is none of the surrogates.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Takes the next byte; `false` when it is not where it could be.
    #[must_use]
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.left > 0 {
            let fits = (self.low..=self.high).contains(&byte);
            *self = match fits {
                true => Self { left: self.left - 1, low: 0x80, high: 0xBF },
                false => Self::default(),
            };
            return fits;
        }
        let (left, low, high) = match byte {
            ..0x80 => return true,
            0xC2..=0xDF => (1, 0x80, 0xBF),
            0xE0 => (2, 0xA0, 0xBF),
            0xED => (2, 0x80, 0x9F),
            0xE1..=0xEF => (2, 0x80, 0xBF),
            0xF0 => (3, 0x90, 0xBF),
            0xF1..=0xF3 => (3, 0x80, 0xBF),
            0xF4 => (3, 0x80, 0x8F),
            _ => return false,
        };
        *self = Self { left, low, high };
        true
    }

    /// Whether the last character is complete.
    #[must_use]
    pub(super) const fn is_complete(self) -> bool {
        self.left == 0
    }
}

/// Appends a character, or what stands for one when there is none of this number.
pub(super) fn push_char(number: u32, out: &mut Vec<u8>) -> bool {
    let character = char::from_u32(number);
    let mut buffer = [0; 4];
    let written = character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut buffer);
    out.extend_from_slice(written.as_bytes());
    character.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Utf8;

    fn is_utf8(bytes: &[u8]) -> bool {
        let mut utf8 = Utf8::default();
        bytes.iter().all(|&byte| utf8.push(byte)) && utf8.is_complete()
    }

    #[test]
    fn edges() {
        for first in 0..=255 {
            for second in [0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF] {
                for rest in [&[][..], &[0x80], &[0x80, 0xBF], &[0xC0], &[0x80, 0x80, 0x80]] {
                    let bytes = [&[first, second], rest].concat();
                    assert_eq!(is_utf8(&bytes), str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn says_what_the_library_says(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            prop_assert_eq!(is_utf8(&bytes), str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn takes_all_text(text in any::<String>()) {
            prop_assert!(is_utf8(text.as_bytes()));
        }
    }
}
