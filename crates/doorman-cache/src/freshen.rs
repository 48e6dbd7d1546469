//! What a 304 or an answer to HEAD says about a stored response (RFC 9111 sections 3.2, 4.3.4 and
//! 4.3.5).

use doorman_http::{FieldId, Fields, Now, ResponseHead};

use crate::admit::{Arrival, appraise, prohibition};
use crate::control::Control;
use crate::freshness::{Moment, initial_age};
use crate::head::{Listed, is_storable, storable_head};
use crate::{Asked, CacheRules, Meta, NotStored, SetCookie, validator};

/// Why a response cannot be used to freshen the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is about another representation: the stored one is to be fetched anew without conditions.
    Validator,
    /// It varies by more than the stored response does, so that may not be given to everybody who gets
    /// it now.
    Vary,
    /// It has another status or length than the stored response; only for answers to HEAD.
    Other,
    /// It says that the stored response must not be kept.
    Forbidden(NotStored),
}

/// Brings a stored head up to date with the 304 that its validation gave, and works its freshness out
/// anew. `requested` is when the validation was sent, `received` when the 304 came. On an error
/// nothing has changed: the response is to be fetched anew without conditions.
///
/// # Errors
/// Why the 304 is not about the stored response.
pub fn freshened(
    stored: &Meta,
    head: &mut ResponseHead,
    not_modified: &ResponseHead,
    rules: &CacheRules,
    requested: Now,
    received: Now,
) -> Result<Meta, Mismatch> {
    // A 304 that nobody asked for is about nothing that is known.
    if !stored.has_validator() || !answers_for(&head.fields, &not_modified.fields) {
        return Err(Mismatch::Validator);
    }
    update(head, not_modified, rules, requested, received)
}

/// Brings a stored head up to date with an answer to HEAD. `length` is that of the stored body. On an
/// error nothing has changed, and the stored response counts as stale: see [`Meta::make_stale`].
///
/// # Errors
/// Why the answer is not about the stored response.
pub fn freshened_by_head(
    head: &mut ResponseHead,
    answer: &ResponseHead,
    length: Option<u64>,
    rules: &CacheRules,
    requested: Now,
    received: Now,
) -> Result<Meta, Mismatch> {
    let length_differs = matches!((answer.declared_length, length), (Some(a), Some(b)) if a != b);
    if answer.status != head.status || length_differs {
        return Err(Mismatch::Other);
    }
    if !agrees(&head.fields, &answer.fields) {
        return Err(Mismatch::Validator);
    }
    update(head, answer, rules, requested, received)
}

/// Whether a 304 is about the stored response (section 4.3.4): by entity tag if it has one, else by
/// `Last-Modified` if it has that, else because nothing else was asked about.
///
/// Tags are compared without regard to weakness: an origin that weakens the tag of what it codes
/// leaves the strong one on its 304, and the weak one was what it was asked about. Two tags that
/// differ between the quotes never pass.
fn answers_for(stored: &Fields, newer: &Fields) -> bool {
    same_tag(stored, newer).or_else(|| same_date(stored, newer)).unwrap_or(true)
}

/// Whether an answer to HEAD is about the stored response: all validators that it has must be the
/// stored ones (section 4.3.5). One without any could be about whatever has come since: its fields
/// would stand above the body of another version.
fn agrees(stored: &Fields, newer: &Fields) -> bool {
    let (tag, date) = (same_tag(stored, newer), same_date(stored, newer));
    tag.or(date).is_some() && tag != Some(false) && date != Some(false)
}

/// `None` if the newer response has no entity tag.
fn same_tag(stored: &Fields, newer: &Fields) -> Option<bool> {
    let text = newer.first(FieldId::Etag)?;
    Some(match (validator::tag(stored), validator::tag(newer)) {
        (Some(stored), Some(newer)) => stored.opaque == newer.opaque,
        // Not well formed: nothing was asked about it, but it has to be what it was.
        (None, None) => stored.first(FieldId::Etag) == Some(text),
        _ => false,
    })
}

/// `None` if the newer response has no date of modification.
fn same_date(stored: &Fields, newer: &Fields) -> Option<bool> {
    let (_, newer) = validator::last_modified(newer)?;
    Some(validator::last_modified(stored).is_some_and(|(_, stored)| stored == newer))
}

/// Merges the newer response's fields into the stored head, if nothing speaks against it.
fn update(
    head: &mut ResponseHead,
    newer: &ResponseHead,
    rules: &CacheRules,
    requested: Now,
    received: Now,
) -> Result<Meta, Mismatch> {
    if !varies_alike(&head.fields, &newer.fields) {
        return Err(Mismatch::Vary);
    }
    if newer.fields.has(FieldId::SetCookie)
        && rules.set_cookie == SetCookie::Refuse
        && !Listed::of(&newer.fields, rules).has(b"set-cookie")
    {
        return Err(Mismatch::Forbidden(NotStored::SetCookie));
    }
    let mut merged = merge(head, newer);
    if !newer.fields.has(FieldId::Date) {
        merged.fields.remove_id(FieldId::Date);
    }
    // Fields that the newer response's directives name go, and a missing date is made.
    let merged = storable_head(&merged, rules, received);
    let control = Control::of(&merged.fields, rules);
    if let Some(reason) = prohibition(&Asked::default(), &merged, &control, rules) {
        return Err(Mismatch::Forbidden(reason));
    }
    let moment = Moment::of(&merged.fields, received);
    let initial_age = initial_age(&newer.fields, moment, requested, received);
    let arrival = Arrival { moment, initial_age, received };
    let meta = appraise(&merged, &control, rules, arrival).map_err(Mismatch::Forbidden)?;
    *head = merged;
    Ok(meta)
}

/// The stored head with the newer response's fields in place of its own of the same names.
fn merge(head: &ResponseHead, newer: &ResponseHead) -> ResponseHead {
    let replaces = |id, name: &[u8]| !is_pinned(id) && is_storable(id, name);
    let mut merged = ResponseHead::new(head.status);
    merged.version = head.version;
    merged.fields.load(head.reason());
    merged.set_reason(0..head.reason().len());
    let replaced = |id: FieldId, name: &[u8]| {
        replaces(id, name)
            && newer.fields.iter().any(|(_, other, _)| other.eq_ignore_ascii_case(name))
    };
    for (id, name, value) in head.fields.iter().filter(|(id, name, _)| !replaced(*id, name)) {
        merged.fields.push_line(id, name, value);
    }
    for (id, name, value) in newer.fields.iter().filter(|(id, name, _)| replaces(*id, name)) {
        merged.fields.push_line(id, name, value);
    }
    merged
}

/// Fields that describe the stored body or choose it: they stay as they were stored (section 3.2). The
/// tag is the same but for its weakness, and what is weak must not become strong.
const fn is_pinned(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::ContentEncoding
            | FieldId::ContentLength
            | FieldId::ContentRange
            | FieldId::Etag
            | FieldId::Vary
    )
}

/// Whether the newer response varies by nothing that the stored one does not vary by.
fn varies_alike(stored: &Fields, newer: &Fields) -> bool {
    let known = |name: &[u8]| names(stored).any(|other| other.eq_ignore_ascii_case(name));
    names(newer).take(NAMES_MAX + 1).count() <= NAMES_MAX && names(newer).all(known)
}

/// The most names in `Vary` that are compared; nobody varies by so many.
const NAMES_MAX: usize = 64;

/// The names in `Vary`.
fn names(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    let lines = fields.all(FieldId::Vary).flat_map(|line| line.split(|&b| b == b','));
    lines.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}
