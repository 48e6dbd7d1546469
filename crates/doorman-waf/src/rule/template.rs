//! Texts with `%{...}` in them.

use super::Variable;

/// A text that is known once a transaction is: macros are expanded when it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    /// In order; texts are never empty and never next to each other.
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// As it is.
    Text(Vec<u8>),
    /// `%{VARIABLE}` or `%{VARIABLE.key}`: the first value, or nothing.
    Value {
        /// What is looked up.
        variable: Variable,
        /// Within a collection, in lower case.
        key: Option<Vec<u8>>,
    },
    /// `%{rule.id}` and its like: of the rule that is run.
    Rule(RuleField),
}

/// What a template may tell of the rule itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleField {
    /// `rule.id`.
    Id,
    /// `rule.msg`.
    Msg,
    /// `rule.severity`.
    Severity,
    /// `rule.logdata`.
    Logdata,
    /// `rule.rev`.
    Rev,
}

impl Template {
    /// A text without macros.
    #[must_use]
    pub fn text(text: &[u8]) -> Self {
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_vec())] };
        Self { parts }
    }

    /// The text, if nothing of it depends on a transaction.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}
