//! Requests that a browser sends for another site (cross-site request forgery).
//!
//! One decision shaped this guard: no token and no cookie. Every browser of today says in `Sec-Fetch-Site`
//! where a request comes from (Fetch Metadata), and older ones say in `Origin`; a page can forge neither. What
//! has neither field is no browser, and carries nobody's cookies by itself. So it is a guard of browsers, and
//! no gate.
//!
//! Opening a WebSocket is guarded like a request that changes something: it is a GET, yet brings cookies along
//! and reads what comes back.

use doorman_http::{FieldId, Fields, Method, RequestHead, Scheme, target};

use crate::origin::{self, BadOrigin};
use crate::outcome::Refusal;

/// The guard, with origins that may do what they like.
#[derive(Clone, Debug, Default)]
pub struct Csrf {
    trusted: Vec<Box<str>>,
}

impl Csrf {
    /// A guard that trusts these origins: `https://example.com`, exactly.
    ///
    /// # Errors
    /// Names the first that is no origin.
    pub fn new<'a>(trusted: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOrigin> {
        let trusted: Result<_, _> = trusted.into_iter().map(origin::normal).collect();
        Ok(Self { trusted: trusted? })
    }

    /// Whether the request may pass.
    ///
    /// # Errors
    /// A browser sends it for another site, or from another origin; or it says so twice, and nobody knows
    /// which is meant.
    pub fn check(&self, head: &RequestHead) -> Result<(), Refusal> {
        let scheme = head.scheme;
        self.decide(&head.method, head.upgrade.is_some(), &head.fields, scheme, head.authority())
    }

    fn decide(
        &self,
        method: &Method,
        upgrades: bool,
        fields: &Fields,
        scheme: Scheme,
        authority: &[u8],
    ) -> Result<(), Refusal> {
        // TRACE is safe too, but no browser sends it.
        let is_safe = matches!(method, Method::Get | Method::Head | Method::Options);
        if is_safe && !upgrades {
            return Ok(());
        }
        let origin = fields.sole(FieldId::Origin);
        if origin.is_none() && fields.has(FieldId::Origin) {
            return Err(Refusal::CrossOrigin);
        }
        let is_trusted = origin.is_some_and(|origin| self.trusts(origin));
        let mut sites = fields.all_named(b"sec-fetch-site");
        match (sites.next(), sites.next()) {
            (Some(_), Some(_)) => return Err(Refusal::CrossSite),
            // The user typed it, or opened a bookmark.
            (Some(b"same-origin" | b"none"), None) => return Ok(()),
            // A browser that sends an empty one is none.
            (Some(b"") | None, _) => {}
            (Some(_), None) if is_trusted => return Ok(()),
            (Some(_), None) => return Err(Refusal::CrossSite),
        }
        match origin {
            None => Ok(()),
            Some(_) if is_trusted => Ok(()),
            Some(origin) if is_own(origin, scheme, authority) => Ok(()),
            Some(_) => Err(Refusal::CrossOrigin),
        }
    }

    fn trusts(&self, origin: &[u8]) -> bool {
        self.trusted.iter().any(|own| own.as_bytes() == origin)
    }
}

/// Whether the origin is the one that the request is for. One that is `https` may ask a house that speaks
/// plain HTTP: TLS ends in front of it. The reverse is an attacker on the network.
fn is_own(origin: &[u8], scheme: Scheme, authority: &[u8]) -> bool {
    let (Some(theirs), Ok(ours)) = (origin::read(origin), target::authority(authority)) else {
        return false;
    };
    let host = authority.get(..ours.host_len).unwrap_or_default();
    if !theirs.host.as_bytes().eq_ignore_ascii_case(host) {
        return false;
    }
    if scheme == Scheme::Https && theirs.scheme == Scheme::Http {
        return false;
    }
    let goes_without_saying =
        |port: u16| port == scheme.default_port() || port == theirs.scheme.default_port();
    ours.port.filter(|&port| !goes_without_saying(port)) == theirs.port
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    fn check(method: &Method, lines: &[(&str, &str)]) -> Result<(), Refusal> {
        let guard = Csrf::new(["https://sso.example"]).unwrap();
        guard.decide(method, false, &fields(lines), Scheme::Https, b"shop.example")
    }

    #[test]
    fn where_a_browser_says_it_comes_from() {
        use Refusal::{CrossOrigin, CrossSite};
        const SITE: &str = "Sec-Fetch-Site";
        const ORIGIN: &str = "Origin";
        for (lines, expect) in [
            (&[(SITE, "same-origin")][..], Ok(())),
            (&[(SITE, "none")], Ok(())),
            (&[(SITE, "cross-site")], Err(CrossSite)),
            (&[(SITE, "same-site")], Err(CrossSite)),
            (&[(SITE, "Same-Origin")], Err(CrossSite)),
            (&[(SITE, "same-origin, cross-site")], Err(CrossSite)),
            (&[(SITE, "same-origin"), (SITE, "cross-site")], Err(CrossSite)),
            (&[(SITE, "cross-site"), (ORIGIN, "https://sso.example")], Ok(())),
            (&[(SITE, "cross-site"), (ORIGIN, "https://shop.example")], Err(CrossSite)),
            (&[(SITE, "same-origin"), (ORIGIN, "https://evil.example")], Ok(())),
            (&[(SITE, ""), (ORIGIN, "https://evil.example")], Err(CrossOrigin)),
            (&[(ORIGIN, "https://shop.example")], Ok(())),
            (&[(ORIGIN, "https://sso.example")], Ok(())),
            (&[(ORIGIN, "https://evil.example")], Err(CrossOrigin)),
            (&[(ORIGIN, "https://sub.shop.example")], Err(CrossOrigin)),
            (&[(ORIGIN, "null")], Err(CrossOrigin)),
            (&[(ORIGIN, "")], Err(CrossOrigin)),
            (
                &[(ORIGIN, "https://shop.example"), (ORIGIN, "https://shop.example")],
                Err(CrossOrigin),
            ),
            // No browser.
            (&[], Ok(())),
        ] {
            assert_eq!(check(&Method::Post, lines), expect, "{lines:?}");
            let other = Method::from_bytes(b"PURGE").unwrap();
            assert_eq!(check(&other, lines), expect, "{lines:?}");
        }
    }

    #[test]
    fn what_changes_nothing_passes_unless_it_opens_a_socket() {
        let cross = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")];
        for method in [Method::Get, Method::Head, Method::Options] {
            assert_eq!(check(&method, &cross), Ok(()));
        }
        for method in [Method::Put, Method::Delete, Method::Patch, Method::Trace] {
            assert_eq!(check(&method, &cross), Err(Refusal::CrossSite));
        }
        let opens = Csrf::default().decide(
            &Method::Get,
            true,
            &fields(&cross[1..]),
            Scheme::Https,
            b"shop.example",
        );
        assert_eq!(opens, Err(Refusal::CrossOrigin));
    }

    #[test]
    fn which_origin_is_our_own() {
        for (origin, scheme, authority, expect) in [
            ("https://a", Scheme::Https, "a", true),
            ("https://a", Scheme::Https, "a:443", true),
            ("https://a", Scheme::Https, "A", true),
            ("https://a", Scheme::Https, "a.", true),
            ("https://a:8443", Scheme::Https, "a:8443", true),
            ("https://a", Scheme::Https, "a:8443", false),
            ("https://a:8443", Scheme::Https, "a", false),
            ("http://a", Scheme::Http, "a", true),
            ("http://a", Scheme::Http, "a:80", true),
            // TLS ends in front of us.
            ("https://a", Scheme::Http, "a", true),
            ("https://a", Scheme::Http, "a:443", true),
            ("https://a:8443", Scheme::Http, "a:8443", true),
            // Somebody on the network put a page there.
            ("http://a", Scheme::Https, "a", false),
            ("https://[::1]:1", Scheme::Https, "[::1]:1", true),
            ("https://a.b", Scheme::Https, "a", false),
            ("https://a", Scheme::Https, "", false),
            ("null", Scheme::Https, "null", false),
        ] {
            let own = is_own(origin.as_bytes(), scheme, authority.as_bytes());
            assert_eq!(own, expect, "{origin} {scheme:?} {authority}");
        }
    }

    #[test]
    fn who_cannot_be_trusted() {
        for bad in ["example.com", "*", "null", "https://*.example.com", "https://a/"] {
            assert_eq!(Csrf::new([bad]).unwrap_err(), BadOrigin(bad.into()));
        }
    }

    proptest! {
        #[test]
        fn nothing_from_elsewhere_passes(host in "[a-z0-9.-]{1,20}", port in proptest::option::of(1u16..)) {
            let origin = match port {
                Some(port) => format!("https://{host}:{port}"),
                None => format!("https://{host}"),
            };
            let own = host == "shop.example" && port.is_none_or(|port| port == 443);
            let passes = check(&Method::Post, &[("Origin", &origin)]).is_ok();
            prop_assert_eq!(passes, own);
        }
    }
}
