//! Rules as people write them, read into what they say.
//!
//! A set is read in two passes, and that decided how the module is cut: first all files are cut into
//! directives, rules and their actions (`draft`), where only ids, phases and chains are looked at; then,
//! when everything that changes rules is known, wherever it was written, each rule is read for what it
//! means (`build`) and changed (`change`). So the order of files does not matter for updates and
//! removals, settings hold for all patterns, and a set with faults tells of all of them and is not loaded.
//!
//! Where ModSecurity 2, ModSecurity 3 and Coraza read a text in different ways:
//! - Inside of a quoted argument only a backslash before that quote is taken away; two backslashes stay
//!   two, as in version 3, because patterns are written for that.
//! - `!` before a pattern without an operator negates it.
//! - Phrases of files have white space at their ends taken away, as in version 2.
//! - A rule that says nothing of what becomes of the transaction does what its phase's default says, as in
//!   version 2.
//! - A tag or a message by which rules are removed or updated is meant as it is, if a rule has it; otherwise
//!   it is a pattern, if it has a character of patterns.
//! - An update takes targets away from every link of a chain, and adds them to the first only.

mod action;
mod build;
mod change;
mod control;
mod directive;
mod draft;
mod lexer;
mod names;
mod operator;
mod shared;
mod target;
mod template;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

use crate::rule::{Notice, RuleSet};

/// Bytes of one file, rules or data.
pub const FILE_MAX: usize = 16 * 1024 * 1024;

/// Bytes of all files of rules, and of all files of data, of one set.
pub const TEXT_MAX: usize = 64 * 1024 * 1024;

/// Files that one set is made of, those of `Include` too.
pub const FILES_MAX: usize = 1_000;

/// Files that include one another.
pub const DEPTH_MAX: usize = 16;

/// Rules of one set, the links of chains counted each.
pub const RULES_MAX: usize = 50_000;

/// Links of one chain.
pub const LINKS_MAX: usize = 64;

/// The files that rules name. It is the caller who reads a disk, and decides what may be read.
pub trait Files {
    /// The full name and the text of a file that a directive names, relative to the file that names it.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, base: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String>;

    /// The names of the files that an `Include` with wildcards means, sorted. They are handed to
    /// [`Files::read`] with the same base.
    ///
    /// # Errors
    /// Why they cannot be listed.
    fn list(&self, base: &str, pattern: &str) -> Result<Vec<String>, String>;
}

/// A file of rules.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, for people, and for files that it names.
    pub name: Arc<str>,
    /// What is in it.
    pub text: Vec<u8>,
}

/// Reads a set of rules, one file after the other.
///
/// # Errors
/// Every fault of all files, in their order, each with its place and the rule that it is about. Nothing is
/// half-loaded. After 500 of them reading ends, which is told last.
pub fn load(sources: &[Source], files: &dyn Files) -> Result<RuleSet, Vec<Notice>> {
    let mut told = told::Told::default();
    let draft = draft::read(sources, files, &mut told);
    let set = build::build(draft, files, &mut told);
    Ok(RuleSet { warnings: told.end()?, ..set })
}
