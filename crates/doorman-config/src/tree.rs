//! The text as a tree: statements with values and blocks, and the comments between them. It knows the grammar and no
//! directive, so the formatter works on files that the decoder would refuse.

use crate::Span;

/// The statements of a file or of one block, with the comments between them.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// In file order.
    pub entries: Vec<Entry>,
}

impl Tree {
    /// The statements alone.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Statement(statement) => Some(statement),
            EntryKind::Comment(_) => None,
        })
    }
}

/// A statement or a comment on a line of its own.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whether at least one blank line stands before it.
    pub blank_before: bool,
    /// What it is.
    pub kind: EntryKind,
}

/// See [`Entry`].
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A statement.
    Statement(Statement),
    /// The text of a comment after its `#`.
    Comment(String),
}

/// `word {value} [block]`.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The word `off` in front, if there.
    pub off: Option<Span>,
    /// The directive.
    pub name: Name,
    /// Its values, folded children and all, as written.
    pub values: Vec<Value>,
    /// Its block.
    pub block: Option<Block>,
    /// The comment behind it on its last line.
    pub comment: Option<String>,
    /// From its first word to its last value, without the block.
    pub span: Span,
}

/// A word in front.
#[derive(Clone, Debug)]
pub struct Name {
    /// The word.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// What stands between braces.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its statements and comments.
    pub tree: Tree,
    /// Whether it was written on one line.
    pub shape: BlockShape,
    /// The comment behind the opening brace.
    pub comment: Option<String>,
}

/// How a block was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockShape {
    /// `{ a; b }`.
    OneLine,
    /// A statement a line.
    Lines,
}

/// A value.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its text, with what is loaded from elsewhere still named.
    pub parts: Vec<Part>,
    /// How it was written.
    pub style: Style,
    /// Exactly what was written; for a heredoc, its tag.
    pub spelling: String,
    /// Where.
    pub span: Span,
}

impl Value {
    /// The text, if nothing in it is loaded from elsewhere.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// `${kind:name}`.
    Load(LoadKind, String),
}

/// From where a piece is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// `${env:NAME}`.
    Env,
    /// `${file:PATH}`, without the newline at its end.
    File,
    /// `${secret:NAME}`.
    Secret,
}

impl LoadKind {
    /// The word before the colon.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            LoadKind::Env => "env",
            LoadKind::File => "file",
            LoadKind::Secret => "secret",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<LoadKind> {
        [LoadKind::Env, LoadKind::File, LoadKind::Secret]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes. Only such a word can begin a folded statement.
    Bare,
    /// `"escaped"`.
    Quoted,
    /// `'raw'`.
    Raw,
    /// `<<TAG`.
    Heredoc,
}
