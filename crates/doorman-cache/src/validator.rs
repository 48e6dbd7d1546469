//! Validators (RFC 9110 section 8.8): which of them a response has, and whether two are the same.

use doorman_http::{FieldId, Fields, date};

/// An entity tag (RFC 9110 section 8.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    /// The field's value.
    pub(crate) text: &'a [u8],
    pub(crate) is_weak: bool,
    /// What stands between the quotes.
    pub(crate) opaque: &'a [u8],
}

/// The entity tag of a response, if it has one and that is well formed. Another text is none: an
/// origin that sends `*` for a tag must not be asked whether anything matches at all.
pub(crate) fn tag(fields: &Fields) -> Option<Tag<'_>> {
    if !fields.has(FieldId::Etag) {
        return None;
    }
    let mut lines = fields.all(FieldId::Etag);
    let (text, None) = (lines.next()?, lines.next()) else { return None };
    let (is_weak, quoted) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let valid = opaque.iter().all(|&b| b == b'!' || (b > b'"' && b != 0x7F));
    valid.then_some(Tag { text, is_weak, opaque })
}

/// `Last-Modified`, if it is a date: its text and its time.
pub(crate) fn last_modified(fields: &Fields) -> Option<(&[u8], u64)> {
    let text = fields.first(FieldId::LastModified)?;
    Some((text, date::parse(text, 0)?))
}

pub(crate) fn has_any(fields: &Fields) -> bool {
    tag(fields).is_some() || last_modified(fields).is_some()
}
