//! Text with request placeholders, as the model holds it.

/// A text with placeholders such as `{host}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(pub String);
