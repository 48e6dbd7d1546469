//! What a value must look like, and the bounds of an operator's regular expression.

use std::fmt;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// Memory that one compiled expression may take, bytes. Ten times what a long list of words in
/// one expression needs; past it the operator has written something that would cost every request.
pub const REGEX_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Depth of an expression's groups: bounds the compiler's own recursion.
const REGEX_NEST_MAX: u32 = 64;

/// Why an expression was not taken: its syntax, or its compiled size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// The expression.
    pub regex: Box<str>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not usable: {}", self.regex, self.reason)
    }
}

impl std::error::Error for RegexError {}

/// Compiles an expression that is searched in bytes. It runs in time linear in what it is searched
/// in, whatever it is: there is no backtracking.
pub(crate) fn compile(regex: &str) -> Result<Regex, RegexError> {
    let config = Regex::config()
        .nfa_size_limit(Some(REGEX_BYTES_MAX))
        .onepass_size_limit(Some(REGEX_BYTES_MAX))
        .hybrid_cache_capacity(REGEX_BYTES_MAX)
        .utf8_empty(false);
    Regex::builder()
        .configure(config)
        .syntax(syntax::Config::new().utf8(false).nest_limit(REGEX_NEST_MAX))
        .build(regex)
        .map_err(|error| {
            let reason =
                error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            RegexError { regex: regex.into(), reason }
        })
}

/// What a value must look like. Text compares with case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Anything: it is enough that it is there.
    Present,
    /// Exactly this.
    Exact(Box<str>),
    /// This at its start.
    Prefix(Box<str>),
    /// An expression found in it; anchors are the operator's.
    Regex(Box<str>),
}

/// A [`ValueMatch`] that is ready to run.
#[derive(Debug)]
pub(crate) enum Matcher {
    Present,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex(Box<Regex>),
}

impl Matcher {
    pub(crate) fn new(value: &ValueMatch) -> Result<Self, RegexError> {
        Ok(match value {
            ValueMatch::Present => Self::Present,
            ValueMatch::Exact(text) => Self::Exact(text.as_bytes().into()),
            ValueMatch::Prefix(text) => Self::Prefix(text.as_bytes().into()),
            ValueMatch::Regex(regex) => Self::Regex(Box::new(compile(regex)?)),
        })
    }

    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => **text == *value,
            Self::Prefix(text) => value.starts_with(text),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}
