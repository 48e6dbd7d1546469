//! Many phrases, looked for at once.

use aho_corasick::AhoCorasick;

/// Phrases that are found whatever their case.
#[derive(Clone, Debug)]
pub struct PhraseSet {
    phrases: Vec<Vec<u8>>,
    automaton: AhoCorasick,
}

impl PhraseSet {
    /// Compiles phrases.
    ///
    /// # Errors
    /// They are too many.
    pub fn new(phrases: Vec<Vec<u8>>) -> Result<Self, String> {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&phrases)
            .map_err(|error| error.to_string())?;
        Ok(Self { phrases, automaton })
    }

    /// The phrases, as written.
    #[must_use]
    pub fn phrases(&self) -> &[Vec<u8>] {
        &self.phrases
    }

    /// The first that is found, as it stands in the bytes.
    #[must_use]
    pub fn find<'h>(&self, hay: &'h [u8]) -> Option<&'h [u8]> {
        self.automaton.find(hay).map(|found| &hay[found.range()])
    }
}
