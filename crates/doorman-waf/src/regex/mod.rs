//! Regular expressions as rules write them: PCRE's, over bytes.
//!
//! A pattern is read into a tree by a parser of our own (`parse`), since a pattern of PCRE that is
//! handed to another parser compiles, now and then, to something else: `\x{c2}` is one byte here and
//! the two of a code point there. The tree runs on a linear engine (`linear`); the few patterns
//! that look around, refer back or keep what they took run on a backtracking one whose steps are
//! counted (`backtrack`), behind a linear one that lets pass only what could match.
//!
//! Options are those for which the Core Rule Set is written: `.` matches a line feed, `$` only the
//! very end, and case counts unless a pattern says `(?i)`. Whether a pattern matches is always what
//! PCRE says. Where a match ends and where its groups lie is too, but for one kind: if a repetition
//! may have a round without a byte, `(|a)*`, the linear engine may choose another match that begins
//! at the same place.

use std::fmt;
use std::ops::Range;

mod backtrack;
mod facts;
mod hir;
mod linear;
mod named;
mod parse;
mod program;
mod tree;

#[cfg(test)]
mod tests;

pub use facts::{CLASSES_MAX, Facts, LITERAL_LENGTH_MAX, LITERALS_MAX, Literal};

use hir::Meaning;
use linear::Linear;
use program::Program;

/// Groups that a match tells of: TX.0 to TX.9.
pub const GROUPS: usize = 10;

/// A compiled pattern.
pub struct Regex {
    pattern: Box<[u8]>,
    facts: Facts,
    /// Matches as the pattern does, or wherever it does if there is a program.
    linear: Linear,
    program: Option<Box<Program>>,
    steps_max: u32,
}

/// What one thread needs to search with one [`Regex`].
///
/// It is empty until the first search and then grows with what is asked: to some 300 KiB at most for
/// most patterns, for the largest to 1 MiB and twice what the pattern holds.
#[derive(Debug)]
pub struct Cache(linear::Cache);

impl Cache {
    /// Bytes that it holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }
}

/// Where the groups of a match lie.
pub type Groups = [Option<Range<usize>>; GROUPS];

/// What the engine that tries alternatives finds by itself, whatever the pattern. The two engines are
/// made from one tree in two ways, so each is the other's measure.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The first match.
    pub groups: Result<Option<Groups>, OverBudget>,
    /// Whether the linear engine finds this very match, if it finds one.
    pub is_exact: bool,
}

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
    /// Compiles a pattern. A search of it that has to try alternatives (see
    /// [`backtracks`](Self::backtracks)) is cut after `steps_max` steps.
    ///
    /// # Errors
    /// What it says is not understood or not supported, or it would be too large.
    pub fn new(pattern: &[u8], steps_max: u32) -> Result<Self, Error> {
        let tree = parse::parse(pattern)?;
        let lowered = hir::lower(&tree.node);
        let linear =
            Linear::new(&lowered.hir, lowered.tail).map_err(|text| Error { at: 0, text })?;
        let program = match lowered.meaning {
            Meaning::Same => None,
            Meaning::Wider => Some(Box::new(Program::new(&tree))),
        };
        let facts = Facts::of(&lowered.hir);
        Ok(Self { pattern: pattern.into(), facts, linear, program, steps_max })
    }

    /// As it was written.
    #[must_use]
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// What is certain of every value that it matches.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it needs the engine that tries alternatives, so that a search may be cut.
    #[must_use]
    pub fn backtracks(&self) -> bool {
        self.program.is_some()
    }

    /// Bytes that it holds, caches not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        let literals = self.facts.literals.iter().flatten();
        self.pattern.len()
            + self.linear.memory()
            + self.program.as_ref().map_or(0, |program| program.memory())
            + literals.map(|literal| size_of::<Literal>() + literal.as_bytes().len()).sum::<usize>()
    }

    /// A cache for one thread.
    #[must_use]
    pub fn cache(&self) -> Cache {
        Cache(linear::Cache::default())
    }

    /// Whether it is found in the bytes.
    ///
    /// # Errors
    /// It took too many steps.
    pub fn is_match(&self, cache: &mut Cache, hay: &[u8]) -> Result<bool, OverBudget> {
        if !self.linear.is_match(&mut cache.0, hay)? {
            return Ok(false);
        }
        match &self.program {
            None => Ok(true),
            Some(program) => {
                backtrack::search(program, hay, self.steps_max).map(|groups| groups.is_some())
            }
        }
    }

    /// Where it is found first, and its groups: the whole, then 1 to 9.
    ///
    /// # Errors
    /// It took too many steps.
    pub fn groups(&self, cache: &mut Cache, hay: &[u8]) -> Result<Option<Groups>, OverBudget> {
        let Some(program) = &self.program else {
            return self.linear.groups(&mut cache.0, hay, || self.hir());
        };
        if !self.linear.is_match(&mut cache.0, hay)? {
            return Ok(None);
        }
        backtrack::search(program, hay, self.steps_max)
    }

    /// Searches by trying alternatives, even if there is no need to: for tests.
    ///
    /// # Errors
    /// The pattern cannot be read, which that of a [`Regex`] can.
    #[doc(hidden)]
    pub fn tried(&self, hay: &[u8]) -> Result<Tried, Error> {
        let tree = parse::parse(&self.pattern)?;
        let groups = backtrack::search(&Program::new(&tree), hay, self.steps_max);
        Ok(Tried { groups, is_exact: !tree.node.has_empty_rounds() })
    }

    /// What the linear engine was made from. It is made again rather than kept: only a long match of
    /// a pattern that begins anywhere asks for it, once.
    fn hir(&self) -> Option<regex_syntax::hir::Hir> {
        parse::parse(&self.pattern).ok().map(|tree| hir::lower(&tree.node).hir)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", String::from_utf8_lossy(&self.pattern))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.text)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pattern took too many steps")
    }
}

impl std::error::Error for OverBudget {}
