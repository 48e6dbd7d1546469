//! Words of SQL, and fingerprints of injections.
//!
//! The table is the one of `libinjectionrs`, which is libinjection's own. It is put in order once, for
//! words to be found by one probe, and fingerprints by halving numbers.

use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

use super::token::{Kind, VALUE_MAX};

static WORDS: LazyLock<Words> = LazyLock::new(Words::new);
static PRINTS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let prints = SQL_KEYWORDS.iter().filter(|entry| entry.token_type == b'F');
    let mut prints: Vec<u64> = prints
        .filter_map(|entry| entry.word.strip_prefix('0'))
        .map(|print| pack(print.as_bytes()))
        .collect();
    prints.sort_unstable();
    prints
});

/// What kind of token a word is, whatever its case; nothing of one that is not known.
pub(super) fn kind(word: &[u8]) -> Option<Kind> {
    WORDS.find(word)
}

/// Whether a phrase of more words may begin with these; `false` is certain.
pub(super) fn may_begin_phrase(words: &[u8]) -> bool {
    WORDS.phrases.may_have(words)
}

/// Whether tokens of these kinds are an injection.
pub(super) fn is_print(letters: &[u8]) -> bool {
    let mut upper = [0; 8];
    let length = letters.len().min(upper.len());
    upper[..length].copy_from_slice(&letters[..length]);
    upper.make_ascii_uppercase();
    PRINTS.binary_search(&pack(&upper[..length])).is_ok()
}

/// Letters as a number; prints have no more than eight.
fn pack(letters: &[u8]) -> u64 {
    letters.iter().fold(0, |packed, &letter| packed << 8 | u64::from(letter))
}

/// Of the first probe; there are less than a thousand words.
const SLOTS: usize = 4096;

/// A word in upper case, behind it zeros.
type Word = [u8; VALUE_MAX + 1];

struct Words {
    known: Sieve,
    /// What phrases begin with, up to each of their spaces.
    phrases: Sieve,
    /// Index into `entries`, from 1; 0 where there is none.
    slots: Vec<u16>,
    entries: Vec<(Word, Kind)>,
}

impl Words {
    fn new() -> Self {
        let mut words = Self {
            known: Sieve::new(),
            phrases: Sieve::new(),
            slots: vec![0; SLOTS],
            entries: Vec::new(),
        };
        for entry in SQL_KEYWORDS.iter().filter(|entry| entry.token_type != b'F') {
            let Some((word, hash)) = fold(entry.word.as_bytes()) else { continue };
            words.known.insert(entry.word.as_bytes());
            for (space, _) in entry.word.match_indices(' ') {
                words.phrases.insert(&entry.word.as_bytes()[..space]);
            }
            let mut slot = hash;
            while words.slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            words.entries.push((word, entry.token_type));
            words.slots[slot] = u16::try_from(words.entries.len()).unwrap_or_default();
        }
        words
    }

    fn find(&self, word: &[u8]) -> Option<Kind> {
        if !self.known.may_have(word) {
            return None;
        }
        let (word, mut slot) = fold(word)?;
        loop {
            let index = usize::from(self.slots[slot]).checked_sub(1)?;
            let (known, kind) = &self.entries[index];
            if *known == word {
                return Some(*kind);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

/// Which lengths there are of words that begin with two letters: most words of most texts are sorted
/// out by one look.
struct Sieve(Vec<u32>);

impl Sieve {
    fn new() -> Self {
        Self(vec![0; 32 * 32])
    }

    fn insert(&mut self, word: &[u8]) {
        self.0[Self::place(word)] |= Self::length(word);
    }

    fn may_have(&self, word: &[u8]) -> bool {
        self.0[Self::place(word)] & Self::length(word) != 0
    }

    /// Upper and lower case are the same in the low bits.
    fn place(word: &[u8]) -> usize {
        let letter = |at: usize| usize::from(word.get(at).copied().unwrap_or_default() & 31);
        letter(0) * 32 + letter(1)
    }

    fn length(word: &[u8]) -> u32 {
        1 << word.len().min(VALUE_MAX)
    }
}

/// The word as it is kept, and its first slot. Nothing for one that is longer than any, or has a NUL,
/// which would be taken for its end.
fn fold(word: &[u8]) -> Option<(Word, usize)> {
    if word.len() > VALUE_MAX || word.contains(&0) {
        return None;
    }
    let mut folded = [0; VALUE_MAX + 1];
    folded[..word.len()].copy_from_slice(word);
    folded.make_ascii_uppercase();
    let mut hash = word.len() as u64;
    for chunk in folded.as_chunks::<8>().0 {
        hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    // The high bits are the mixed ones; twelve of them always fit.
    Some((folded, usize::try_from(hash >> 52).unwrap_or_default() % SLOTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_found() {
        for entry in SQL_KEYWORDS.iter().filter(|entry| entry.token_type != b'F') {
            assert_eq!(kind(entry.word.to_ascii_lowercase().as_bytes()), Some(entry.token_type));
        }
        assert_eq!(kind(b"bicycle"), None);
        assert_eq!(kind(b""), None);
        assert_eq!(kind(b"select\0"), None);
    }

    #[test]
    fn no_word_is_far_from_its_slot() {
        let longest = WORDS.slots.split(|&slot| slot == 0).map(<[u16]>::len).max();
        assert!(longest < Some(12), "{longest:?}");
    }

    #[test]
    fn prints() {
        assert!(is_print(b"s&sos"));
        assert!(is_print(b"1UE1k"));
        assert!(is_print(b"X"));
        assert!(!is_print(b"nnnnn"));
        assert!(!is_print(b""));
        // A value of one token can only be one that nobody can read.
        assert!(
            SQL_KEYWORDS.iter().all(|e| e.token_type != b'F' || e.word.len() > 2 || e.word == "0X")
        );
    }
}
