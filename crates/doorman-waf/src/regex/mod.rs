//! Regular expressions as rules write them.

use std::fmt;
use std::ops::Range;

use regex_automata::meta;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

/// Groups that a match tells of: TX.0 to TX.9.
pub const GROUPS: usize = 10;

/// A compiled pattern.
pub struct Regex {
    pattern: Vec<u8>,
    engine: meta::Regex,
}

/// What one thread needs to search with one [`Regex`].
#[derive(Debug)]
pub struct Cache {
    engine: meta::Cache,
    captures: Captures,
}

/// Where the groups of a match lie.
pub type Groups = [Option<Range<usize>>; GROUPS];

/// A search took more steps than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget;

/// A pattern that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where in the pattern, in bytes.
    pub at: usize,
    /// Why.
    pub text: String,
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What it says is not understood, or would be too large.
    pub fn new(pattern: &[u8], _steps_max: u32) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(pattern);
        let engine = meta::Regex::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true))
            .build(&text)
            .map_err(|error| Error { at: 0, text: error.to_string() })?;
        Ok(Self { pattern: pattern.to_vec(), engine })
    }

    /// As it was written.
    #[must_use]
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// A cache for one thread.
    #[must_use]
    pub fn cache(&self) -> Cache {
        Cache { engine: self.engine.create_cache(), captures: self.engine.create_captures() }
    }

    /// Whether it is found in the bytes.
    ///
    /// # Errors
    /// It took too many steps.
    pub fn is_match(&self, cache: &mut Cache, hay: &[u8]) -> Result<bool, OverBudget> {
        let input = regex_automata::Input::new(hay).earliest(true);
        Ok(self.engine.search_half_with(&mut cache.engine, &input).is_some())
    }

    /// Where it is found first.
    ///
    /// # Errors
    /// It took too many steps.
    pub fn groups(&self, cache: &mut Cache, hay: &[u8]) -> Result<Option<Groups>, OverBudget> {
        let input = regex_automata::Input::new(hay);
        let Cache { engine, captures } = cache;
        self.engine.search_captures_with(engine, &input, captures);
        if !captures.is_match() {
            return Ok(None);
        }
        Ok(Some(std::array::from_fn(|i| {
            (i < captures.group_len())
                .then(|| captures.get_group(i).map(|span| span.range()))
                .flatten()
        })))
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", String::from_utf8_lossy(&self.pattern))
    }
}
