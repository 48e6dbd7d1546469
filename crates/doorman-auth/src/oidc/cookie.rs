//! Cookies that hold more than one cookie can (RFC 6265 section 6.1 asks browsers for 4096 bytes), and how they are
//! set and taken back.
//!
//! A value begins with the number of its parts, so what is left of a longer one before it is never read. That the parts
//! belong together is not told by them: a seal around the whole does.

use doorman_http::{FieldId, Fields, Scheme, is_token};

use crate::jwt::sole_cookie;

/// Bytes of a value of a cookie. With name and attributes it stays below 4096.
pub const PART_BYTES_MAX: usize = 3800;

/// Most cookies for one text: four of them leave room for a head's other fields within the 32 KiB that
/// servers commonly take.
pub const PARTS_MAX: usize = 4;

/// Longest name of a cookie, prefix and number not counted, in bytes.
pub const COOKIE_NAME_BYTES_MAX: usize = 64;

/// A cookie of some parts.
#[derive(Clone, Debug)]
pub(super) struct Cookie {
    name: String,
    scheme: Scheme,
}

impl Cookie {
    /// Over TLS browsers take the name's prefix `__Host-` only from this host, for all its paths, and over TLS (RFC
    /// 6265bis section 4.1.3.2), so no other host of the site can put one of its own there.
    pub(super) fn new(name: &str, scheme: Scheme) -> Self {
        let name = match scheme {
            Scheme::Https => format!("__Host-{name}"),
            Scheme::Http => name.to_owned(),
        };
        Self { name, scheme }
    }

    /// Values of `Set-Cookie` that keep this text, of characters that a cookie may hold, for so many seconds. `None`:
    /// it is too long. Parts that the browser still has of a longer one are taken back.
    pub(super) fn set(&self, text: &str, seconds: u64, had: &Fields) -> Option<Vec<String>> {
        // The number of parts stands in the first.
        let parts = (text.len() + 1).div_ceil(PART_BYTES_MAX);
        if parts > PARTS_MAX {
            return None;
        }
        let whole = format!("{parts}{text}");
        let values = whole.as_bytes().chunks(PART_BYTES_MAX).map(String::from_utf8_lossy);
        let mut lines: Vec<String> =
            values.enumerate().map(|(part, value)| self.line(part, &value, seconds)).collect();
        lines.extend(self.take_back(parts, had));
        Some(lines)
    }

    /// Values of `Set-Cookie` that take all parts back that the browser has.
    pub(super) fn clear(&self, had: &Fields) -> Vec<String> {
        self.take_back(0, had).collect()
    }

    /// The text that is kept.
    pub(super) fn read(&self, fields: &Fields) -> Option<String> {
        let part = |part: usize| {
            let value = sole_cookie(fields, self.part(part).as_bytes()).ok()?;
            let value = std::str::from_utf8(value).ok()?;
            (value.len() <= PART_BYTES_MAX).then_some(value)
        };
        let (parts, first) = part(0)?.split_at_checked(1)?;
        let parts = parts.parse().ok().filter(|parts| (1..=PARTS_MAX).contains(parts))?;
        let mut text = first.to_owned();
        for next in 1..parts {
            text.push_str(part(next)?);
        }
        Some(text)
    }

    /// Whether this is the name of one of its parts.
    pub(super) fn is_part(&self, name: &[u8]) -> bool {
        (0..PARTS_MAX).any(|part| self.part(part).as_bytes() == name)
    }

    fn part(&self, part: usize) -> String {
        if part == 0 { self.name.clone() } else { format!("{}-{part}", self.name) }
    }

    fn take_back(&self, from: usize, had: &Fields) -> impl Iterator<Item = String> {
        let has = move |part: &usize| {
            let name = self.part(*part);
            let mut pairs = had.all(FieldId::Cookie).flat_map(|line| line.split(|b| *b == b';'));
            pairs.any(|pair| {
                pair.split(|byte| *byte == b'=')
                    .next()
                    .is_some_and(|found| found.trim_ascii() == name.as_bytes())
            })
        };
        (from..PARTS_MAX).filter(has).map(move |part| self.line(part, "", 0))
    }

    /// `Lax`: a link from another site finds its visitor signed in, and its forms do not (RFC 6265bis section 5.6.7).
    fn line(&self, part: usize, value: &str, seconds: u64) -> String {
        let secure = match self.scheme {
            Scheme::Https => "; Secure",
            Scheme::Http => "",
        };
        let name = self.part(part);
        format!("{name}={value}; Path=/; Max-Age={seconds}{secure}; HttpOnly; SameSite=Lax")
    }
}

/// Whether a cookie may have this name.
pub(super) fn is_name(name: &str) -> bool {
    is_token(name.as_bytes()) && name.len() <= COOKIE_NAME_BYTES_MAX && !name.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[String]) -> Fields {
        let pairs: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.split(';').next())
            .filter(|pair| !pair.ends_with('='))
            .collect();
        let mut fields = Fields::new();
        fields.push(b"Cookie", pairs.join("; ").as_bytes());
        fields
    }

    #[test]
    fn texts_of_every_length_come_back() {
        let cookie = Cookie::new("session", Scheme::Https);
        let none = Fields::new();
        for length in [0_usize, 1, 3798, 3799, 3800, 7599, 7600, 15_199] {
            let text: String = "abcdefghi".chars().cycle().take(length).collect();
            let lines = cookie.set(&text, 60, &none).expect("it fits");
            assert_eq!(lines.len(), (length + 1).div_ceil(PART_BYTES_MAX));
            assert!(lines.iter().all(|line| line.len() < 4096));
            assert_eq!(cookie.read(&fields(&lines)), Some(text), "{length}");
        }
        assert_eq!(cookie.set(&"x".repeat(15_200), 60, &none), None);
    }

    #[test]
    fn what_is_written() {
        let (https, http) = (Cookie::new("s", Scheme::Https), Cookie::new("s", Scheme::Http));
        let none = Fields::new();
        assert_eq!(
            https.set("abc", 60, &none).expect("it fits"),
            ["__Host-s=1abc; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"]
        );
        assert_eq!(
            http.set("abc", 60, &none).expect("it fits"),
            ["s=1abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"]
        );
        let mut had = Fields::new();
        had.push(b"Cookie", b"__Host-s=3x; a=b; __Host-s-1=y");
        had.push(b"Cookie", b"__Host-s-2=z; __Host-s-9=z");
        let lines = https.set("abc", 60, &had).expect("it fits");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "__Host-s-1=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(https.clear(&had).len(), 3);
        assert_eq!(http.clear(&had).len(), 0);
        assert!(
            https.is_part(b"__Host-s-3") && !https.is_part(b"__Host-s-4") && !https.is_part(b"s")
        );
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        let cookie = Cookie::new("s", Scheme::Http);
        for (line, expect) in [
            ("s=1abc", Some("abc")),
            ("s=2a; s-1=bc", Some("abc")),
            ("s=1abc; s-1=old", Some("abc")),
            ("s=2a", None),
            ("s=3a; s-2=b", None),
            ("s=0a", None),
            ("s=5a", None),
            ("s=xa", None),
            ("s=", None),
            ("s=1", Some("")),
            ("s=1a; s=1b", None),
            ("s-1=1a", None),
            ("", None),
        ] {
            let mut fields = Fields::new();
            fields.push(b"Cookie", line.as_bytes());
            assert_eq!(cookie.read(&fields).as_deref(), expect, "{line}");
        }
        let mut fields = Fields::new();
        fields.push(b"Cookie", format!("s=1{}", "a".repeat(PART_BYTES_MAX)).as_bytes());
        assert_eq!(cookie.read(&fields), None);
        assert!(is_name("session") && !is_name("") && !is_name("a b") && !is_name("__Host-a"));
    }
}
