//! Targeted fields (RFC 9213): `CDN-Cache-Control` and its like speak to some shared caches, and
//! those ignore `Cache-Control` and `Expires` for them.
//!
//! Such a field is a dictionary of structured fields (RFC 8941 section 3.2), which has one right
//! reading: whatever does not parse is as if it were not there. `Surrogate-Control` is older than
//! that; it is read like `Cache-Control`, with the extensions that are its own.

use doorman_http::{FieldId, Fields};

use crate::CacheRules;
use crate::control::{Argument, Control, SECONDS_MAX, Word, directives, field_names, seconds};
use crate::structured::{Bare, Dictionary};

impl Control {
    /// What governs a response: the first targeted field of the operator's list that is valid and not
    /// empty, else `Cache-Control` (RFC 9213 section 2.2).
    #[must_use]
    pub fn of(fields: &Fields, rules: &CacheRules) -> Self {
        rules.targeted.iter().find_map(|name| read(fields, name)).unwrap_or_else(|| {
            if fields.has(FieldId::CacheControl) {
                Self::read(fields.all(FieldId::CacheControl))
            } else {
                Self::default()
            }
        })
    }
}

/// What the field of that name says; `None` if it is not there, is empty or not valid.
fn read(fields: &Fields, name: &[u8]) -> Option<Control> {
    if name.eq_ignore_ascii_case(b"surrogate-control") {
        return surrogate(fields.all_named(name));
    }
    dictionary(fields.all_named(name))
}

/// Reads the lines of a targeted field.
pub(crate) fn dictionary<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Control> {
    let mut control = Control { targeted: true, ..Control::default() };
    let mut is_empty = true;
    for line in lines {
        for member in Dictionary::new(line) {
            let (key, value) = member.ok()?;
            is_empty = false;
            // Keys are lower case by their grammar, and words of other dictionaries are no matter.
            if let Some(word) = Word::of(key) {
                set(&mut control, word, value)?;
            }
        }
    }
    (!is_empty).then_some(control)
}

/// Sets one directive; of a key that comes twice the last one holds (RFC 8941 section 4.2.2). `None`
/// if its value has another type than the directive: then the field cannot mean what it says.
fn set(control: &mut Control, word: Word, value: Bare<'_>) -> Option<()> {
    match word {
        Word::MaxAge => control.max_age = Some(whole(value)?),
        Word::SMaxage => control.s_maxage = Some(whole(value)?),
        Word::StaleWhileRevalidate => control.stale_while_revalidate = Some(whole(value)?),
        Word::StaleIfError => control.stale_if_error = Some(whole(value)?),
        Word::NoCache => control.no_cache = about_all(value, &mut control.lists_fields)?,
        Word::Private => control.private = about_all(value, &mut control.lists_fields)?,
        Word::NoStore => control.no_store = flag(value)?,
        Word::MustRevalidate => control.must_revalidate = flag(value)?,
        Word::ProxyRevalidate => control.proxy_revalidate = flag(value)?,
        Word::Public => control.public = flag(value)?,
        Word::MustUnderstand => control.must_understand = flag(value)?,
        Word::Immutable => control.immutable = flag(value)?,
    }
    Some(())
}

/// A negative number of seconds is no time at all.
fn whole(value: Bare<'_>) -> Option<u32> {
    let Bare::Integer(number) = value else { return None };
    Some(u32::try_from(number.max(0)).unwrap_or(SECONDS_MAX).min(SECONDS_MAX))
}

const fn flag(value: Bare<'_>) -> Option<bool> {
    match value {
        Bare::Boolean(set) => Some(set),
        _ => None,
    }
}

/// Whether a directive that may list fields is about the whole response; notes it if it does list.
fn about_all(value: Bare<'_>, lists: &mut bool) -> Option<bool> {
    match value {
        Bare::Boolean(set) => Some(set),
        Bare::Text(text) | Bare::Token(text) => {
            let names = field_names(text).is_some();
            *lists |= names;
            Some(!names)
        }
        _ => None,
    }
}

/// Reads the lines of `Surrogate-Control`. `max-age=60+30` is 60 seconds of freshness and 30 more in
/// which the response may be served while it is fetched anew. A directive that is addressed to one
/// surrogate by name (`max-age=60;name`) is not ours. `None` if no directive is known.
fn surrogate<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Control> {
    let mut control = Control { targeted: true, ..Control::default() };
    let mut is_known = false;
    for mut directive in lines.flat_map(directives) {
        match directive.argument {
            Argument::Malformed(rest) if rest.contains(&b';') => continue,
            Argument::Text(text) if directive.is(b"max-age") => {
                if let Some((fresh, stale)) = sum(text) {
                    directive.argument = Argument::Text(fresh);
                    control.stale_while_revalidate = Some(stale);
                }
            }
            _ => {}
        }
        is_known |= control.take(&directive);
    }
    is_known.then_some(control)
}

/// `60+30`: what is left of the sign, and the seconds right of it.
fn sum(text: &[u8]) -> Option<(&[u8], u32)> {
    let plus = text.iter().position(|&b| b == b'+')?;
    Some((&text[..plus], seconds(&text[plus + 1..])?))
}
