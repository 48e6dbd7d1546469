//! `rewrite-cookie`: the attributes of `Set-Cookie` that name the origin's own place.

use doorman_http::template::Template;
use doorman_http::{FieldId, Fields};

use crate::{Context, expand_value};

/// Attribute of `Set-Cookie` (RFC 6265 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookiePart {
    /// `Domain`: compared whole, without case and without a dot at the start.
    Domain,
    /// `Path`: compared at its start, byte by byte.
    Path,
}

impl CookiePart {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Domain => b"domain",
            Self::Path => b"path",
        }
    }
}

/// One rule. The first of its part that fits wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRewrite {
    /// Which attribute.
    pub part: CookiePart,
    /// What must be there.
    pub from: Box<str>,
    /// What stands there instead; if it comes out empty, the attribute is removed.
    pub to: Template,
}

impl CookieRewrite {
    /// What of the attribute's value stays behind the replacement, if the rule fits.
    fn rest<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let bare = |domain: &'v [u8]| domain.strip_prefix(b".").unwrap_or(domain);
        match self.part {
            CookiePart::Domain => {
                let from = self.from.strip_prefix('.').unwrap_or(&self.from);
                bare(value).eq_ignore_ascii_case(from.as_bytes()).then_some(&b""[..])
            }
            CookiePart::Path => value.strip_prefix(self.from.as_bytes()),
        }
    }
}

/// Applies the rules to every `Set-Cookie` of a response.
pub fn rewrite_cookies(rules: &[CookieRewrite], fields: &mut Fields, context: &Context<'_>) {
    if !rules.is_empty() {
        fields.rewrite(FieldId::SetCookie, |cookie| rewrite(rules, cookie, context));
    }
}

fn rewrite(rules: &[CookieRewrite], cookie: &[u8], context: &Context<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(cookie.len() + 32);
    let mut changed = false;
    for (n, piece) in cookie.split(|&b| b == b';').enumerate() {
        // The first piece is the cookie itself, whose value is nobody's business.
        let edited = if n == 0 { None } else { attribute(rules, piece, context) };
        match edited {
            Some(edited) => {
                changed = true;
                if !edited.is_empty() {
                    out.push(b';');
                    out.extend_from_slice(&edited);
                }
            }
            None => {
                if n > 0 {
                    out.push(b';');
                }
                out.extend_from_slice(piece);
            }
        }
    }
    changed.then_some(out)
}

/// The new attribute with what stands before its value; empty to remove it, `None` to leave it.
fn attribute(rules: &[CookieRewrite], piece: &[u8], context: &Context<'_>) -> Option<Vec<u8>> {
    let equals = piece.iter().position(|&b| b == b'=')?;
    let name = piece[..equals].trim_ascii();
    let value = piece[equals + 1..].trim_ascii();
    let mine = rules.iter().filter(|rule| name.eq_ignore_ascii_case(rule.part.name()));
    let (rule, rest) = mine.filter_map(|rule| Some((rule, rule.rest(value)?))).next()?;
    let to = expand_value(&rule.to, context).ok()?;
    // A `;` would begin another attribute, and the request must not write those.
    if to.contains(&b';') {
        return None;
    }
    let value = [&*to, rest].concat();
    if value.is_empty() {
        return Some(Vec::new());
    }
    Some([&piece[..=equals], &value].concat())
}

#[cfg(test)]
mod tests {
    use doorman_http::RequestHead;

    use super::*;
    use crate::Facts;

    fn check(rules: &[(CookiePart, &str, &str)], cookie: &str, expect: &str) {
        let rules: Vec<_> = rules
            .iter()
            .map(|&(part, from, to)| CookieRewrite {
                part,
                from: from.into(),
                to: Template::parse(to).unwrap(),
            })
            .collect();
        let mut head = RequestHead::default();
        head.fields.push(b"Host", b"Shop.example:8443");
        head.fields.push(b"x-evil", b"/; Domain=evil");
        head.set_target(b"/").unwrap();
        let mut fields = Fields::new();
        fields.push(b"Set-Cookie", cookie.as_bytes());
        let facts = Facts::default();
        rewrite_cookies(&rules, &mut fields, &Context { head: &head, facts: &facts });
        let got = fields.first(FieldId::SetCookie).unwrap();
        assert_eq!(String::from_utf8_lossy(got), expect, "{cookie}");
    }

    #[test]
    fn cookies() {
        use CookiePart::{Domain, Path};
        let domain = &[(Domain, "origin.internal", "{host}")][..];
        check(domain, "a=1; Domain=origin.internal; Path=/", "a=1; Domain=shop.example; Path=/");
        check(domain, "a=1; domain=.ORIGIN.internal", "a=1; domain=shop.example");
        check(domain, "a=1;Domain = origin.internal;Secure", "a=1;Domain =shop.example;Secure");
        check(domain, "a=1; Domain=x.origin.internal", "a=1; Domain=x.origin.internal");
        check(domain, "domain=origin.internal; Path=/", "domain=origin.internal; Path=/");
        check(domain, "a=1; Secure; HttpOnly", "a=1; Secure; HttpOnly");
        check(
            &[(Domain, ".origin.internal", "")],
            "a=1; Domain=origin.internal; Secure",
            "a=1; Secure",
        );
        let path = &[(Path, "/app/", "/"), (Path, "/", "/shop/"), (Domain, "d", "e")][..];
        check(path, "a=1; Path=/app/x; Domain=d", "a=1; Path=/x; Domain=e");
        check(path, "a=1; Path=/", "a=1; Path=/shop/");
        check(&[(Path, "/", "{header.x-evil}")], "a=1; Path=/", "a=1; Path=/");
        check(&[], "a=1; Path=/", "a=1; Path=/");
    }
}
