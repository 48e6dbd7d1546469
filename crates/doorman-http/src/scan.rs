//! Looking through short texts eight bytes at a time.
//!
//! The texts of a head are ten to a hundred bytes long: a vector search spends more on getting
//! ready than on looking, and a loop over bytes costs as much as all the rest of a parse. So these
//! searches work on words of eight bytes, in safe code that needs no special instructions. They
//! follow the classic tests for a zero byte and for a byte below a bound (Mycroft 1987): the lowest
//! byte that such a test marks is always a right one; marks above it may be false, and are not
//! looked at.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks bytes that are zero in the high bit of their place.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Marks bytes below `bound`, which is at most 0x80.
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word & HIGHS
}

/// Marks bytes equal to `byte`.
const fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * byte as u64))
}

/// The place of the lowest mark.
const fn lowest(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// The first place of `wanted` in `bytes`: for texts that are short or hold it early.
#[must_use]
#[inline]
pub fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let marks = equal(u64::from_le_bytes(*word), wanted);
        if marks != 0 {
            return Some(n * 8 + lowest(marks));
        }
    }
    rest.iter().position(|&byte| byte == wanted).map(|n| words.len() * 8 + n)
}

/// Whether `bytes` is printable ASCII without `"` and `\`: nothing in it needs an escape in a log,
/// whatever its format.
#[must_use]
#[inline]
pub fn is_plain(bytes: &[u8]) -> bool {
    is_free_of(bytes, |word| {
        below(word, 0x20)
            | equal(word, 0x7F)
            | equal(word, b'"')
            | equal(word, b'\\')
            | (word & HIGHS)
    })
}

/// Whether `bytes` is visible ASCII without `#`: what a request target may hold.
#[must_use]
#[inline]
pub fn is_target(bytes: &[u8]) -> bool {
    is_free_of(bytes, |word| {
        below(word, 0x21) | equal(word, 0x7F) | equal(word, b'#') | (word & HIGHS)
    })
}

/// Whether `path` holds none of `%`, `\` and `;`, and no slash before a slash or a dot: then it is in
/// its normal form. A path that is may be taken for one that is not, never the other way round.
#[must_use]
#[inline]
pub fn is_simple_path(path: &[u8]) -> bool {
    let follows = path.get(1..).unwrap_or_default();
    is_free_of(path, |word| equal(word, b'%') | equal(word, b'\\') | equal(word, b';'))
        && are_free_of(path, follows, |word, next| {
            equal(word, b'/') & (equal(next, b'/') | equal(next, b'.'))
        })
}

/// Whether `marks` marks nothing in `bytes`. It must not mark a letter.
#[inline]
fn is_free_of(bytes: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    are_free_of(bytes, bytes, |word, _| marks(word))
}

/// Whether `marks` marks nothing in `first` beside `second`, up to the end of the shorter one.
#[inline]
fn are_free_of(first: &[u8], second: &[u8], marks: impl Fn(u64, u64) -> u64) -> bool {
    let len = first.len().min(second.len());
    let (first, second) = (&first[..len], &second[..len]);
    let mut found = 0;
    let ((ones, rest), (others, _)) = (first.as_chunks::<8>(), second.as_chunks::<8>());
    for (one, other) in ones.iter().zip(others) {
        found |= marks(u64::from_le_bytes(*one), u64::from_le_bytes(*other));
    }
    if !rest.is_empty() {
        // The last eight bytes again, whose first ones have been looked at: no loop over bytes.
        found |= match (first.last_chunk::<8>(), second.last_chunk::<8>()) {
            (Some(one), Some(other)) => marks(u64::from_le_bytes(*one), u64::from_le_bytes(*other)),
            _ => marks(short(first), short(second)),
        };
    }
    found == 0
}

/// A word of fewer than eight bytes, filled up with letters.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(ONES * b'a' as u64, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_find_what_single_bytes_find(bytes: Vec<u8>, wanted: u8) {
            prop_assert_eq!(find(wanted, &bytes), bytes.iter().position(|&b| b == wanted));
        }

        #[test]
        fn plain_text_needs_no_escape(bytes in proptest::collection::vec(0x1Eu8..0x81, 0..40)) {
            let plain = bytes.iter().all(|&b| matches!(b, 0x20..=0x7E) && b != b'"' && b != b'\\');
            prop_assert_eq!(is_plain(&bytes), plain);
            let target = bytes.iter().all(|&b| matches!(b, 0x21..=0x7E) && b != b'#');
            prop_assert_eq!(is_target(&bytes), target);
        }

        #[test]
        fn a_simple_path_is_one(path in "/[a-c./;%\\\\]{0,24}") {
            let bytes = path.as_bytes();
            let pairs = bytes.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
            let odd = bytes.iter().any(|b| b"%\\;".contains(b));
            prop_assert_eq!(is_simple_path(bytes), !pairs && !odd);
        }
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = [b'a'; 20];
                text[at] = byte;
                let plain = matches!(byte, 0x20..=0x7E) && byte != b'"' && byte != b'\\';
                assert_eq!(is_plain(&text), plain, "{byte} at {at}");
                let target = matches!(byte, 0x21..=0x7E) && byte != b'#';
                assert_eq!(is_target(&text), target, "{byte} at {at}");
                assert_eq!(is_target(&text[at..=at]), target, "{byte}");
                assert_eq!(find(byte, &text), Some(if byte == b'a' { 0 } else { at }));
            }
        }
    }
}
