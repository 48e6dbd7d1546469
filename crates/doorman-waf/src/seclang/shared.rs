//! What many rules share: equal patterns, phrase lists and files are read once.
//!
//! Half of all targets of common rules exclude the same few cookies by pattern, and whole groups of
//! rules ask for the same phrases, so that one copy of each saves most of the time of loading.

use std::collections::HashMap;
use std::sync::Arc;

use super::told::excerpt;
use super::{FILE_MAX, Files, TEXT_MAX};
use crate::operator::PhraseSet;
use crate::regex::{self, Regex};
use crate::rule::Phrases;

/// Phrases of one list. The longest of common rules has some thousands.
const PHRASES_MAX: usize = 200_000;

/// The text of a file, or why there is none.
type FileRead = Result<Arc<[u8]>, String>;

/// Makes and keeps what is shared.
pub(super) struct Shared<'f> {
    files: &'f dyn Files,
    steps_max: u32,
    regexes: HashMap<Vec<u8>, Result<Arc<Regex>, regex::Error>>,
    phrases: HashMap<Vec<Vec<u8>>, Phrases>,
    read: HashMap<(String, String), FileRead>,
    bytes: usize,
}

impl<'f> Shared<'f> {
    pub(super) fn new(files: &'f dyn Files, steps_max: u32) -> Self {
        Self {
            files,
            steps_max,
            regexes: HashMap::new(),
            phrases: HashMap::new(),
            read: HashMap::new(),
            bytes: 0,
        }
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    /// What of it is not understood, and where.
    pub(super) fn regex(&mut self, pattern: &[u8]) -> Result<Arc<Regex>, String> {
        self.prefixed(b"", pattern)
    }

    /// Compiles a pattern that is found whatever the case.
    ///
    /// # Errors
    /// What of it is not understood, and where.
    pub(super) fn regex_any_case(&mut self, pattern: &[u8]) -> Result<Arc<Regex>, String> {
        self.prefixed(b"(?i)", pattern)
    }

    fn prefixed(&mut self, prefix: &[u8], pattern: &[u8]) -> Result<Arc<Regex>, String> {
        let whole = [prefix, pattern].concat();
        let steps_max = self.steps_max;
        let made = self
            .regexes
            .entry(whole)
            .or_insert_with_key(|whole| Regex::new(whole, steps_max).map(Arc::new));
        made.clone().map_err(|error| {
            let at = error.at.saturating_sub(prefix.len());
            let near = excerpt(pattern, at);
            format!("a pattern that is not understood, at byte {at}, near {near}: {}", error.text)
        })
    }

    /// Compiles a list of phrases.
    ///
    /// # Errors
    /// It is empty, or too long.
    pub(super) fn phrases(&mut self, phrases: Vec<Vec<u8>>) -> Result<Phrases, String> {
        if phrases.is_empty() {
            return Err("no phrases to look for".to_owned());
        }
        if phrases.len() > PHRASES_MAX {
            return Err(format!("{} phrases; at most {PHRASES_MAX} are looked for", phrases.len()));
        }
        if let Some(made) = self.phrases.get(&phrases) {
            return Ok(made.clone());
        }
        let made = Phrases(Arc::new(PhraseSet::new(phrases.clone())?));
        self.phrases.insert(phrases, made.clone());
        Ok(made)
    }

    /// The text of a file that rules name.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(super) fn file(&mut self, base: &str, name: &str) -> Result<Arc<[u8]>, String> {
        let key = (base.to_owned(), name.to_owned());
        if let Some(read) = self.read.get(&key) {
            return read.clone();
        }
        let read: FileRead = match self.files.read(base, name) {
            Ok((_, text)) if text.len() > FILE_MAX => {
                Err(format!("{name} has {} bytes; at most {FILE_MAX} are read", text.len()))
            }
            Ok((_, text)) if self.bytes + text.len() > TEXT_MAX => {
                Err(format!("with {name} more than {TEXT_MAX} bytes of data are read"))
            }
            Ok((_, text)) => {
                self.bytes += text.len();
                Ok(text.into())
            }
            Err(why) => Err(format!("{name} cannot be read: {why}")),
        };
        self.read.insert(key, read.clone());
        read
    }
}
