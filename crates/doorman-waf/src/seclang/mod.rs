//! SecLang to rules.

use std::sync::Arc;

/// What stands in files, handed over by the caller: the room reads no disk.
pub trait Files {
    /// The text of a file that a directive names, relative to the file that names it, with its full
    /// name.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, base: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String>;

    /// The files that a pattern with wildcards names, sorted.
    ///
    /// # Errors
    /// Why its directory cannot be read.
    fn list(&self, base: &str, pattern: &str) -> Result<Vec<String>, String>;
}

/// A text of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, for people and for what is named relative to it.
    pub name: Arc<str>,
    /// What stands in it.
    pub text: Vec<u8>,
}
