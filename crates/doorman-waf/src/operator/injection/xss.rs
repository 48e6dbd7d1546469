//! Script in HTML.

use memchr::{memchr, memchr2};

use super::html::{Context, runs_script};

/// `@detectXSS`: whether the value would bring script into a page, in text, in a tag, or in an
/// attribute with quotes of any kind or without.
#[must_use]
pub fn detect_xss(value: &[u8]) -> bool {
    may_be_xss(value) && look(value)
}

/// [`detect_xss`], asked of everything.
pub(super) fn look(value: &[u8]) -> bool {
    let has = |byte| memchr(byte, value).is_some();
    if has(b'<') && runs_script(value, Context::Text) || runs_script(value, Context::Tag) {
        return true;
    }
    // Without the quote, all of it is the attribute's value, and that does nothing.
    [b'\'', b'"', b'`']
        .into_iter()
        .any(|quote| has(quote) && runs_script(value, Context::Quoted(quote)))
}

/// Whether [`detect_xss`] is worth asking: script comes in a tag or in an attribute.
#[must_use]
pub fn may_be_xss(value: &[u8]) -> bool {
    memchr2(b'<', b'=', value).is_some()
}
