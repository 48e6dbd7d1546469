//! Texts of the web made smaller: HTML, CSS, scripts, JSON and SVG.
//!
//! One decision shaped all five: only what separates tokens is touched, white space and comments.
//! No token is changed, left out or put in another place, so that nobody who reads the text by its
//! grammar can tell the difference. What a printer of syntax trees would save beyond that comes
//! to a few percent before coding and next to nothing after it, and it costs a proxy dearly: a
//! printer of CSS may write what only the newest browsers read (`@media (width>=600px)`), whatever the
//! author took care of; trees take many times the memory of their text; and parsers that descend
//! into themselves need a stack that the author of the text decides about. Here every reader is a
//! loop over bytes with a bounded list of open brackets. It is linear in time, and its memory is
//! its output.
//!
//! A text that could be read in two ways is refused, and the original is served.

mod css;
mod html;
mod json;
mod kind;
mod script;
mod svg;

pub use css::css;
pub use html::{HELD_MAX, Html};
pub use json::json;
pub use kind::{Kind, is_readable_charset, kind_of};
pub use script::js;
pub use svg::svg;

/// What a text may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes. The result is made in memory beside the original, so this bounds both.
    pub size: usize,
    /// Brackets that are open at once. One costs a byte or two while it is open; more of them than
    /// people and their tools write is an attack upon somebody.
    pub depth: usize,
}

impl Default for Bounds {
    /// 8 MiB hold the largest bundles that are sent to browsers; 1,024 brackets are several times
    /// of what they nest.
    fn default() -> Self {
        Self { size: 8 << 20, depth: 1024 }
    }
}

/// Why the original is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// More bytes than the bound.
    TooLarge,
    /// More open brackets than the bound.
    TooDeep,
    /// It is not in UTF-8.
    Charset,
    /// It breaks the grammar of its kind.
    Malformed,
    /// It could be read in two ways.
    Unsure,
    /// Nothing was saved.
    NotSmaller,
}

impl Refusal {
    /// All there are; each stands at the place of its number.
    pub const ALL: [Self; 6] = [
        Self::TooLarge,
        Self::TooDeep,
        Self::Charset,
        Self::Malformed,
        Self::Unsure,
        Self::NotSmaller,
    ];

    /// The word for it in logs and counters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::Charset => "charset",
            Self::Malformed => "malformed",
            Self::Unsure => "unsure",
            Self::NotSmaller => "not-smaller",
        }
    }
}

/// The mark with which a text says that it is in UTF-8; it is kept where it may stand.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A text that may be read: within the bound, and UTF-8.
fn readable<'a>(text: &'a [u8], bounds: &Bounds) -> Result<&'a str, Refusal> {
    if text.len() > bounds.size {
        return Err(Refusal::TooLarge);
    }
    // An encoding of seven bits would pass for UTF-8; its shifts begin with this byte.
    if memchr::memchr(0x1B, text).is_some() {
        return Err(Refusal::Charset);
    }
    std::str::from_utf8(text).map_err(|_| Refusal::Charset)
}

/// What was made of a text, if that is worth anything.
fn smaller(made: Vec<u8>, original: &[u8]) -> Result<Vec<u8>, Refusal> {
    if made.len() < original.len() { Ok(made) } else { Err(Refusal::NotSmaller) }
}

/// Whether a comment must stay: it holds terms of a licence, or speaks to more than people.
fn is_kept_comment(comment: &[u8]) -> bool {
    let inner = comment.get(2..).unwrap_or_default();
    // `/*!` is the mark that tools agreed on; `#` and `@` begin sourceMappingURL and sourceURL, and
    // what old browsers compiled.
    matches!(inner.first(), Some(b'!' | b'#' | b'@'))
        || MARKS.iter().any(|mark| memchr::memmem::find(inner, mark).is_some())
}

/// Words by which licences are known in comments.
const MARKS: [&[u8]; 3] = [b"@license", b"@preserve", b"@licence"];

#[cfg(test)]
mod tests;
