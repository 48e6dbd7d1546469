//! The configuration language: text to [`Config`] and diagnostics, formatter, JSON twin, schema.
//!
//! The one decision that shaped it: every directive is described once, in a table, and the decoder, the help, the
//! schema, the reference page and the completions are all made from that table, so that they cannot disagree.

#![forbid(unsafe_code)]

mod diagnostic;
mod model;
mod source;
mod span;
mod template;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use model::*;
pub use source::{MemorySource, Source};
pub use span::{FileId, Place, Setting, SourceMap, Span, Spanned};
pub use template::Template;

/// Bytes of one configuration file. Hand-written ones are a hundred times smaller; generated ones with thousands of
/// sites still fit.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
