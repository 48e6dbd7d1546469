//! What ends a chore: one sentence for the person at the terminal. A chore has no caller that could
//! act on the kind of a failure, so there are no variants, only words that gather context on the way up.

use std::{error::Error, fmt};

/// Why a chore could not be done, ready to print.
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

// `Failure` is no `Error` itself, which is what lets every error convert into it.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Puts what was being done in front of what went wrong.
pub(crate) trait During<T> {
    /// `action` reads as the start of the sentence: "reading /proc/stat".
    fn during(self, action: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> During<T> for Result<T, E> {
    fn during(self, action: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{action}: {}", error.into())))
    }
}
