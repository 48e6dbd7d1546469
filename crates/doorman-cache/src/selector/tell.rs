//! A selector read back, for people: what tells a stored response from the others of its URL.

use super::{Chosen, vary_of};

/// What a selector says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Who made the response, as the number that the selector was made with.
    pub place: u64,
    /// What counted of the request, in the order of the selector.
    pub parts: Vec<Part>,
}

/// A part of a request that counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its name; empty where none is known.
    pub name: Box<[u8]>,
    /// Its value in normal form; `None`: the request had none.
    pub value: Option<Box<[u8]>>,
}

/// What a part of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The method.
    Method,
    /// A field that the operator chose.
    Header,
    /// A cookie that the operator chose.
    Cookie,
    /// A field that the response names in `Vary`.
    Vary,
    /// Something that was chosen by rules which are not known any more.
    Chosen,
}

impl PartKind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Vary => "vary",
            Self::Chosen => "chosen",
        }
    }
}

/// Reads a selector back. `chosen` is what it was made with, if that is known; a selector that does not
/// fit it, because the rules have changed since, is told without the names of what was chosen.
#[must_use]
pub fn tell(selector: &[u8], chosen: Option<&Chosen>) -> Told {
    let Some((place, rest)) = selector.split_first_chunk::<8>() else { return Told::default() };
    let mut values = values(rest).into_iter();
    // The first is the list of the names in `Vary`.
    values.next();
    let values: Vec<Option<&[u8]>> = values.collect();
    let names: Vec<&[u8]> = vary_of(selector).iter().collect();
    let (own, varied) = values.split_at(values.len().saturating_sub(names.len()));
    let named = chosen.and_then(|chosen| named(chosen, own));
    let mut parts = named.unwrap_or_else(|| {
        own.iter().map(|value| part(PartKind::Chosen, b"", *value)).collect::<Vec<_>>()
    });
    parts.extend(names.iter().zip(varied).map(|(name, value)| part(PartKind::Vary, name, *value)));
    Told { place: u64::from_be_bytes(*place), parts }
}

/// What was chosen, by name; `None` if it is not what the selector was made with.
fn named(chosen: &Chosen, values: &[Option<&[u8]>]) -> Option<Vec<Part>> {
    let mut values = values.iter().copied();
    let mut parts = Vec::new();
    if chosen.method {
        parts.push(part(PartKind::Method, b"", values.next()?));
    }
    for name in &chosen.headers {
        parts.push(part(PartKind::Header, name, values.next()?));
    }
    for name in &chosen.cookies {
        // Every cookie of the name, and an absent one behind the last.
        let mut first = true;
        loop {
            match values.next()? {
                Some(value) => parts.push(part(PartKind::Cookie, name, Some(value))),
                None if first => {
                    parts.push(part(PartKind::Cookie, name, None));
                    break;
                }
                None => break,
            }
            first = false;
        }
    }
    values.next().is_none().then_some(parts)
}

fn part(kind: PartKind, name: &[u8], value: Option<&[u8]>) -> Part {
    Part { kind, name: name.into(), value: value.map(Into::into) }
}

/// What stands behind the place, each with its length in front.
fn values(mut rest: &[u8]) -> Vec<Option<&[u8]>> {
    let mut values = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len);
        if len == u32::MAX {
            values.push(None);
            rest = behind;
            continue;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some((value, behind)) = behind.split_at_checked(len) else { break };
        values.push(Some(value));
        rest = behind;
    }
    values
}

#[cfg(test)]
mod tests {
    use doorman_http::RequestHead;

    use super::super::selector;
    use super::*;
    use crate::Vary;

    fn made(chosen: &Chosen, vary: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
        let mut request = RequestHead::default();
        for (name, value) in fields {
            request.fields.push(name.as_bytes(), value.as_bytes());
        }
        let mut response = doorman_http::ResponseHead::new(200);
        if !vary.is_empty() {
            response.fields.push(b"vary", vary);
        }
        let vary = Vary::of(&response).expect("no star");
        let mut out = Vec::new();
        selector(7, chosen, vary.names(), &request, &mut out);
        out
    }

    fn words(told: &Told) -> String {
        let parts = told.parts.iter().map(|part| {
            let name = String::from_utf8_lossy(&part.name);
            let value = part.value.as_deref().map_or("-".into(), String::from_utf8_lossy);
            format!("{} {name}={value}", part.kind.word())
        });
        format!("{}: {}", told.place, parts.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn selectors_are_read_back() {
        let chosen = |headers: &[&str], cookies: &[&str], method| Chosen {
            headers: headers.iter().map(|name| name.as_bytes().into()).collect(),
            cookies: cookies.iter().map(|name| name.as_bytes().into()).collect(),
            method,
        };
        let check = |chosen: &Chosen, vary: &str, fields: &[(&str, &str)], expect: &str| {
            let made = made(chosen, vary.as_bytes(), fields);
            assert_eq!(words(&tell(&made, Some(chosen))), expect);
        };
        let none = Chosen::default();
        check(&none, "", &[], "7: ");
        check(
            &none,
            "Accept-Language",
            &[("accept-language", "DE, en")],
            "7: vary accept-language=de,en",
        );
        check(&none, "x-a", &[], "7: vary x-a=-");
        let all = chosen(&["x-a", "x-b"], &["c", "d"], true);
        check(
            &all,
            "x-v",
            &[("x-b", "1"), ("cookie", "c=2; c=3"), ("x-v", "")],
            "7: method =GET, header x-a=-, header x-b=1, cookie c=2, cookie c=3, cookie d=-, vary x-v=",
        );
    }

    #[test]
    fn what_was_made_by_other_rules_has_no_names() {
        let one = Chosen { headers: [b"x-a".as_slice().into()].into(), ..Chosen::default() };
        let made = made(&one, b"x-v", &[("x-a", "1")]);
        let two = Chosen {
            headers: [b"x-a".as_slice().into(), b"x-b".as_slice().into()].into(),
            ..Chosen::default()
        };
        for other in [Some(&two), Some(&Chosen::default()), None] {
            assert_eq!(words(&tell(&made, other)), "7: chosen =1, vary x-v=-");
        }
        for cut in 0..made.len() {
            // Nothing that is cut or damaged does harm.
            let _ = tell(&made[..cut], Some(&one));
        }
    }
}
