//! What of a response's head is stored (RFC 9111 section 3.1).

use doorman_http::{FieldId, Fields, Now, ResponseHead};

use crate::control::{Directive, directives};
use crate::structured::{Bare, Dictionary};
use crate::{CacheRules, date};

/// The head as it is stored: without what belongs to one connection, one client or one proxy, without
/// fields that `no-cache` or `private` name, without `Age`, which is made anew for each use. A head
/// without `Date` gets the time at which it came (RFC 9110 section 6.6.1).
#[must_use]
pub fn storable_head(head: &ResponseHead, rules: &CacheRules, received: Now) -> ResponseHead {
    let mut stored = ResponseHead::new(head.status);
    stored.version = head.version;
    stored.fields.load(head.reason());
    stored.set_reason(0..head.reason().len());
    let lists = Lists::of(&head.fields, rules);
    for (id, name, value) in head.fields.iter() {
        if is_storable(id, name) && !lists.name(&head.fields, rules, name) {
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

/// Whether the head has fields in which `no-cache` or `private` could name others: most have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    None,
    Some,
}

impl Lists {
    pub(crate) fn of(fields: &Fields, rules: &CacheRules) -> Self {
        let found = sources(fields, rules).any(|(_, line)| line.contains(&b'='));
        if found { Self::Some } else { Self::None }
    }

    /// Whether `name` is named.
    pub(crate) fn name(self, fields: &Fields, rules: &CacheRules, name: &[u8]) -> bool {
        self == Self::Some && is_listed(fields, rules, name)
    }
}

/// Whether `no-cache` or `private` names the field (sections 5.2.2.4 and 5.2.2.7), in `Cache-Control`
/// or in any targeted field: a name that was written down for one cache holds for all.
pub(crate) fn is_listed(fields: &Fields, rules: &CacheRules, name: &[u8]) -> bool {
    sources(fields, rules).any(|(style, line)| match style {
        Style::Directives => directives(line).any(|directive| {
            (directive.is(b"no-cache") || directive.is(b"private")) && lists(&directive, name)
        }),
        Style::Dictionary => Dictionary::new(line).map_while(Result::ok).any(|(key, value)| {
            let (Bare::Text(text) | Bare::Token(text)) = value else { return false };
            let argument = crate::control::Argument::Text(text);
            matches!(key, b"no-cache" | b"private")
                && lists(&Directive { name: key, argument }, name)
        }),
    })
}

fn lists(directive: &Directive<'_>, name: &[u8]) -> bool {
    directive
        .field_names()
        .is_some_and(|mut names| names.any(|listed| listed.eq_ignore_ascii_case(name)))
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
