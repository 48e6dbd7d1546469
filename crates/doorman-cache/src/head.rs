//! What of a response's head is stored (RFC 9111 section 3.1).

use doorman_http::{FieldId, Fields, Now, ResponseHead, date};

use crate::CacheRules;
use crate::control::{directives, field_names};
use crate::structured::{Bare, Dictionary};

/// The head as it is stored: without what belongs to one connection, one client or one proxy, without
/// fields that `no-cache` or `private` name, without `Age`, which is made anew for each use. A head
/// without `Date` gets the time at which it came (RFC 9110 section 6.6.1).
#[must_use]
pub fn storable_head(head: &ResponseHead, rules: &CacheRules, received: Now) -> ResponseHead {
    let mut stored = ResponseHead::new(head.status);
    stored.version = head.version;
    stored.fields.load(head.reason());
    stored.set_reason(0..head.reason().len());
    let listed = Listed::of(&head.fields, rules);
    for (id, name, value) in head.fields.iter() {
        if is_storable(id, name) && !listed.has(name) {
            stored.fields.push_line(id, name, value);
        }
    }
    if !stored.fields.has(FieldId::Date) {
        stored.fields.push_id(FieldId::Date, &date::write(received.unix_seconds()));
    }
    stored
}

/// Whether a field is stored at all. `Set-Cookie` never is: a response that has it is either not
/// stored or stored without it.
pub(crate) fn is_storable(id: FieldId, name: &[u8]) -> bool {
    match id {
        FieldId::Age | FieldId::SetCookie => false,
        // The proxy's own dealings with the one before it (section 3.1).
        FieldId::Other => !name.eq_ignore_ascii_case(b"proxy-authentication-info"),
        id => !id.is_hop_by_hop(),
    }
}

/// The fields that `no-cache` and `private` name (sections 5.2.2.4 and 5.2.2.7), in `Cache-Control`
/// or in any targeted field: a name that was written down for one cache holds for all.
#[derive(Clone, Debug)]
pub(crate) struct Listed<'a> {
    /// In order, so that a long list costs no more than a short one for each field.
    names: Vec<&'a [u8]>,
}

impl<'a> Listed<'a> {
    pub(crate) fn of(fields: &'a Fields, rules: &'a CacheRules) -> Self {
        let mut names = Vec::new();
        for (style, line) in sources(fields, rules) {
            match style {
                Style::Directives => {
                    let about_fields =
                        directives(line).filter(|d| d.is(b"no-cache") || d.is(b"private"));
                    names.extend(about_fields.filter_map(|d| d.field_names()).flatten());
                }
                Style::Dictionary => {
                    for (key, value) in Dictionary::new(line).map_while(Result::ok) {
                        let (Bare::Text(text) | Bare::Token(text)) = value else { continue };
                        if matches!(key, b"no-cache" | b"private") {
                            names.extend(field_names(text).into_iter().flatten());
                        }
                    }
                }
            }
        }
        names.sort_unstable_by(|a, b| folded(a).cmp(folded(b)));
        Self { names }
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.names.binary_search_by(|listed| folded(listed).cmp(folded(name))).is_ok()
    }
}

fn folded(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// How a field is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Directives,
    Dictionary,
}

/// The lines that may name fields.
fn sources<'a>(
    fields: &'a Fields,
    rules: &'a CacheRules,
) -> impl Iterator<Item = (Style, &'a [u8])> {
    let style = |name: &[u8]| {
        if name.eq_ignore_ascii_case(b"surrogate-control") {
            Style::Directives
        } else {
            Style::Dictionary
        }
    };
    let targeted = rules
        .targeted
        .iter()
        .flat_map(move |name| fields.all_named(name).map(move |line| (style(name), line)));
    fields.all(FieldId::CacheControl).map(|line| (Style::Directives, line)).chain(targeted)
}
