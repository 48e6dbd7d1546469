//! Statements after the table: known directives with values whose `${...}` are filled in and whose folded children
//! stand in their block. The decoder sees only these, so a folded line and a block cannot be told apart by it.

use crate::Span;
use crate::lexer::printable;
use crate::table::Directive;

/// A statement of a known directive.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) directive: &'static Directive,
    /// Whether `off` stands in front: it is checked and then forgotten.
    pub(crate) switch: Switch,
    pub(crate) name: Span,
    pub(crate) values: Vec<Text>,
    pub(crate) children: Vec<Item>,
    /// From the first word to the last value of the line.
    pub(crate) span: Span,
    /// Whether something in it was reported already, so that what it lacks is not reported as well.
    pub(crate) damaged: bool,
}

/// Whether a statement is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Item {
    pub(crate) fn is_off(&self) -> bool {
        self.switch == Switch::Off
    }

    /// Puts `off` in front of it, and with that of everything in it. Depth is bounded by the parser.
    pub(crate) fn switch_off(&mut self) {
        self.switch = Switch::Off;
        for child in &mut self.children {
            child.switch_off();
        }
    }

    /// A value by its position.
    pub(crate) fn value(&self, at: usize) -> Option<&Text> {
        self.values.get(at)
    }
}

/// A value.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Span,
    pub(crate) form: Form,
}

/// How a value came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A word without quotes, which may be the name of a folded directive.
    Bare,
    /// A quoted text.
    Quoted,
    /// Loaded from elsewhere, at least in part. It is never shown; this is how it was written.
    Loaded(String),
}

impl Text {
    /// The text for messages: what was loaded is never shown.
    pub(crate) fn shown(&self) -> String {
        match &self.form {
            Form::Loaded(spelling) => printable(spelling),
            _ => printable(&self.text),
        }
    }

    /// The word, if it may be the name of a folded directive.
    pub(crate) fn word(&self) -> Option<&str> {
        (self.form == Form::Bare).then_some(self.text.as_str())
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}
