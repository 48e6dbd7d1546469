//! The configuration language: text to [`Config`] and diagnostics, formatter, JSON twin, schema.
//!
//! The one decision that shaped it: every directive is described once, in a table, and the decoder, the help, the
//! schema, the reference page and the completions are all made from that table, so that they cannot disagree.

#![forbid(unsafe_code)]
#![expect(
    clippy::result_large_err,
    reason = "a diagnostic is made once for each fault of a file, never on the path of a request"
)]

mod address;
mod decode;
mod diagnostic;
mod explain;
mod faults;
mod fold;
mod format;
mod help;
mod item;
mod json;
mod lexer;
mod load;
mod model;
mod parse;
pub mod render;
mod schema;
mod source;
mod span;
mod suggest;
pub mod table;
pub mod tree;
mod values;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use model::*;
pub use schema::schema;
pub use source::{MemorySource, Source};
pub use span::{FileId, Place, Setting, SourceMap, Span, Spanned};

pub use doorman_http::template::Template;
pub use explain::{Explanation, explain_code, explanations, plan_explanations};
pub use format::{COLUMNS_MAX, format, format_tree};
pub use help::{completion_words, help_directive, reference_markdown};
pub use json::{JsonError, from_json, text_from_json, to_json};
pub use load::{DIAGNOSTICS_MAX, FILES_MAX, INCLUDE_DEPTH_MAX, Loaded, VALUE_BYTES_MAX, load};
pub use parse::{DEPTH_MAX, STATEMENTS_MAX, parse, parse_text};

/// Bytes of one configuration file. Hand-written ones are a hundred times smaller; generated ones with thousands of
/// sites still fit.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
