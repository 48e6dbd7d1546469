//! Many phrases, looked for at once.
//!
//! The longest lists of common rules have thousands of phrases, and most values are short and have
//! none of them: a small automaton that stays in the cache beats a fast one that does not.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Phrases that are found whatever their case.
#[derive(Clone, Debug)]
pub struct PhraseSet {
    phrases: Vec<Vec<u8>>,
    automaton: AhoCorasick,
}

impl PhraseSet {
    /// Compiles phrases. An empty one is never found.
    ///
    /// # Errors
    /// They are too many.
    pub fn new(phrases: Vec<Vec<u8>>) -> Result<Self, String> {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(phrases.iter().filter(|phrase| !phrase.is_empty()))
            .map_err(|error| error.to_string())?;
        Ok(Self { phrases, automaton })
    }

    /// Reads the text of a file of phrases: one a line, as it stands but for the line's end. Empty
    /// lines, and those whose first sign is `#`, are none.
    pub fn read(text: &[u8]) -> Vec<Vec<u8>> {
        let lines = text.split(|&byte| byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let is_phrase = |line: &&[u8]| !matches!(line.trim_ascii_start(), [] | [b'#', ..]);
        lines.filter(is_phrase).map(<[u8]>::to_vec).collect()
    }

    /// The phrases, as written.
    #[must_use]
    pub fn phrases(&self) -> &[Vec<u8>] {
        &self.phrases
    }

    /// The first that ends, as it stands in the bytes.
    #[must_use]
    pub fn find<'h>(&self, hay: &'h [u8]) -> Option<&'h [u8]> {
        self.automaton.find(hay).map(|found| &hay[found.range()])
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_in(&self, hay: &[u8]) -> bool {
        self.automaton.is_match(hay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_that_ends() {
        let set = PhraseSet::new(vec![b"etc/passwd".to_vec(), b"Pass".to_vec(), b"".to_vec()]);
        let set = set.unwrap();
        assert_eq!(set.find(b"/ETC/PASSWD"), Some(&b"PASS"[..]));
        assert_eq!(set.find(b"/etc/shadow"), None);
        assert_eq!(set.find(b""), None);
        assert!(set.is_in(b"bypass"));
        assert_eq!(set.phrases().len(), 3);
    }

    #[test]
    fn files() {
        let read = PhraseSet::read(b"# comment\n\n  # comment\none\r\ntwo words \n \nlast");
        assert_eq!(read, [&b"one"[..], b"two words ", b"last"]);
    }
}
