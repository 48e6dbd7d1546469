//! Fields of answers that make browsers stricter, as two sets that fit most sites.
//!
//! One decision shaped these: an origin knows its own pages, so what it says stands, but for the few fields
//! that have one sensible value. `basic` breaks no ordinary site. `strict` is for sites that are written with
//! it in mind: it allows no script from elsewhere and none within pages.

/// Which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Breaks no ordinary site.
    Basic,
    /// What a new site should be able to keep to.
    Strict,
}

/// Whether an answer came over TLS. `Strict-Transport-Security` means nothing on others (RFC 6797 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The client's connection is secure.
    Tls,
    /// It is not.
    Plain,
}

/// What is done where the origin's answer has the field already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// The origin's stays.
    Keep,
    /// It is replaced.
    Replace,
}

/// A field of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, lower case.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
    /// Where the origin has one.
    pub present: Present,
    /// Only over TLS.
    pub tls_only: bool,
}

const fn row(name: &'static str, value: &'static str) -> Row {
    Row { name, value, present: Present::Keep, tls_only: false }
}

const fn replace(name: &'static str, value: &'static str) -> Row {
    Row { name, value, present: Present::Replace, tls_only: false }
}

const fn over_tls(name: &'static str, value: &'static str) -> Row {
    Row { name, value, present: Present::Keep, tls_only: true }
}

const BASIC: &[Row] = &[
    // Scripts and styles of a wrong type are not run (Fetch standard, "should response be blocked due to nosniff").
    row("x-content-type-options", "nosniff"),
    // No other site may put these pages into a frame and have a click stolen.
    row("x-frame-options", "SAMEORIGIN"),
    // Other sites learn where a reader comes from, not what they read.
    row("referrer-policy", "strict-origin-when-cross-origin"),
    // 180 days, this host alone: names below it may have no TLS yet.
    over_tls("strict-transport-security", "max-age=15552000"),
];

const STRICT: &[Row] = &[
    // Has one value only.
    replace("x-content-type-options", "nosniff"),
    row("x-frame-options", "DENY"),
    row("referrer-policy", "no-referrer"),
    // Everything from this origin, nothing within pages, no plug-in, no foreign base, form or frame.
    row(
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    row(
        "permissions-policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // A page that opens this one, or is opened by it, has no handle on it.
    row("cross-origin-opener-policy", "same-origin"),
    // No other origin may load what is here.
    row("cross-origin-resource-policy", "same-origin"),
    row("origin-agent-cluster", "?1"),
    // Two years and all names below. Not `preload`: that is a promise to browsers' makers, and the owner's to give.
    over_tls("strict-transport-security", "max-age=63072000; includeSubDomains"),
    // Old plug-ins may read nothing from here. Has one sensible value.
    replace("x-permitted-cross-domain-policies", "none"),
];

impl Preset {
    /// The set that a word of the configuration names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "basic" => Some(Self::Basic),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }

    /// All of its fields.
    #[must_use]
    pub const fn rows(self) -> &'static [Row] {
        match self {
            Self::Basic => BASIC,
            Self::Strict => STRICT,
        }
    }

    /// Those that an answer gets. `has` tells whether the origin said that field itself. Each of them is to
    /// replace what is there.
    pub fn apply(
        self,
        transport: Transport,
        has: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = &'static Row> {
        self.rows().iter().filter(move |row| {
            let may = transport == Transport::Tls || !row.tls_only;
            may && (row.present == Present::Replace || !has(row.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use doorman_http::{is_field_value, is_token};

    use super::*;

    fn names(preset: Preset, transport: Transport, there: &[&str]) -> Vec<&'static str> {
        preset.apply(transport, |name| there.contains(&name)).map(|row| row.name).collect()
    }

    #[test]
    fn rows_are_fields_and_each_is_there_once() {
        for preset in [Preset::Basic, Preset::Strict] {
            let mut seen = std::collections::HashSet::new();
            for row in preset.rows() {
                assert!(
                    is_token(row.name.as_bytes()) && is_field_value(row.value.as_bytes()),
                    "{row:?}"
                );
                assert_eq!(row.name, row.name.to_ascii_lowercase());
                assert!(seen.insert(row.name), "{row:?}");
            }
        }
    }

    #[test]
    fn what_an_origin_says_stands() {
        let all = names(Preset::Basic, Transport::Tls, &[]);
        assert_eq!(all.len(), BASIC.len());
        assert!(names(Preset::Basic, Transport::Tls, &all).is_empty());
        let all = names(Preset::Strict, Transport::Tls, &[]);
        assert_eq!(all.len(), STRICT.len());
        assert_eq!(
            names(Preset::Strict, Transport::Tls, &all),
            ["x-content-type-options", "x-permitted-cross-domain-policies"]
        );
        let with_csp = names(Preset::Strict, Transport::Tls, &["content-security-policy"]);
        assert!(!with_csp.contains(&"content-security-policy"));
        assert_eq!(with_csp.len(), STRICT.len() - 1);
    }

    #[test]
    fn nothing_is_said_of_tls_without_it() {
        for preset in [Preset::Basic, Preset::Strict] {
            assert!(names(preset, Transport::Tls, &[]).contains(&"strict-transport-security"));
            assert!(!names(preset, Transport::Plain, &[]).contains(&"strict-transport-security"));
        }
    }

    #[test]
    fn words() {
        assert_eq!(Preset::from_word("basic"), Some(Preset::Basic));
        assert_eq!(Preset::from_word("strict"), Some(Preset::Strict));
        assert_eq!(Preset::from_word("off"), None);
    }
}
