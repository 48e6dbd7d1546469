//! Diagnostics while they are collected, with a bound: a damaged file of some MiB could otherwise fill memory with
//! complaints about each of its bytes.

use crate::Diagnostic;

/// Far more than anybody reads, and more than are shown.
const KEPT_MAX: usize = 5_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    kept: Vec<Diagnostic>,
    /// All, kept or not.
    count: usize,
    /// Errors among them.
    errors: usize,
}

impl Faults {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.count += 1;
        self.errors += usize::from(diagnostic.is_error());
        if self.kept.len() < KEPT_MAX {
            self.kept.push(diagnostic);
        }
    }

    /// How many there were, kept or not: whether it grew says whether something was wrong.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many of them were errors, kept or not.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether nothing more is kept, so that details are not worth working out.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_MAX
    }

    pub(crate) fn any_error(&self) -> bool {
        self.kept.iter().any(Diagnostic::is_error)
    }

    pub(crate) fn first(&self) -> Option<&Diagnostic> {
        self.kept.first()
    }

    pub(crate) fn into_kept(self) -> Vec<Diagnostic> {
        self.kept
    }
}

impl Extend<Diagnostic> for Faults {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, more: I) {
        for diagnostic in more {
            self.push(diagnostic);
        }
    }
}
