//! Texts as they stand in URLs, forms and seals.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};

use crate::base64url;

/// Longest URL that is taken or made, in bytes, the query of a request to sign in not counted.
pub(super) const URL_BYTES_MAX: usize = 2048;

/// Most parameters of a query that are looked at.
const PARAMETERS_MAX: usize = 32;

/// Appends `name=value`, escaped, behind what is there already; `first` stands ahead of the first one.
pub(super) fn parameter(out: &mut String, first: &str, name: &str, value: &str) {
    out.push_str(first);
    out.push_str(name);
    out.push('=');
    escape(value.as_bytes(), out);
}

/// Everything but unreserved characters as `%XX` (RFC 3986 section 2.3), which forms read as they read their own.
pub(super) fn escape(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The parameters of a query, unescaped. `None`: one is malformed, or there are too many.
pub(super) fn parameters(query: &[u8]) -> Option<Vec<(String, String)>> {
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let mut parameters = Vec::new();
    for pair in pairs {
        if parameters.len() == PARAMETERS_MAX {
            return None;
        }
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        parameters.push((unescape(name)?, unescape(value.get(1..).unwrap_or_default())?));
    }
    Some(parameters)
}

fn unescape(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The authority of a URL that may be asked: over TLS, or on this machine (RFC 8252 section 8.3 names the addresses),
/// where tests have their providers.
pub(super) fn is_askable(url: &str, local: Local) -> bool {
    let is_clean = url.len() <= URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
    let authority = |rest: &str| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    if !is_clean || url.contains(['#', '"', '\\', '<', '>']) {
        return false;
    }
    if let Some(rest) = url.strip_prefix("https://") {
        let authority = authority(rest);
        return !authority.is_empty() && !authority.contains('@') && !authority.starts_with(':');
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    local == Local::Allowed && is_local(&authority(rest))
}

/// Whether a URL without TLS on this machine will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Allowed,
    Refused,
}

fn is_local(authority: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            port.is_empty()
                || port.strip_prefix(':').is_some_and(|port| {
                    !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
                })
        })
    })
}

/// A path of this site, with its query, that a browser may be sent to after it signed in. Everything that a browser
/// could take for another site is refused: `//host`, and `/\host`, which some read so.
pub(super) fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= URL_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// `code_challenge` of a verifier (RFC 7636 section 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    base64url::text(digest(&SHA256, verifier.as_bytes()).as_ref())
}

/// `Authorization: Basic` of a client (RFC 6749 section 2.3.1: both halves are escaped first).
pub(super) fn basic(id: &str, secret: &str) -> String {
    let mut pair = String::new();
    escape(id.as_bytes(), &mut pair);
    pair.push(':');
    escape(secret.as_bytes(), &mut pair);
    let mut digits = vec![0; Base64::encoded_len(pair.as_bytes())];
    let digits = Base64::encode(pair.as_bytes(), &mut digits).unwrap_or_default();
    format!("Basic {digits}")
}

/// Writes numbers and texts one after another; [`Reader`] reads them.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// A text of at most 64 KiB; what is longer is cut off nowhere else than here, and does not read back.
    pub(super) fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Reads what a [`Writer`] wrote.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    /// `None`: something is left.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, expect, local) in [
            ("https://id.test", true, true),
            ("https://id.test:8443/a?b=c", true, true),
            ("https://", false, false),
            ("https:///x", false, false),
            ("https://user@id.test", false, false),
            ("https://id.test/#x", false, false),
            ("https://id.test/a b", false, false),
            ("https://id.test/\r\nX: y", false, false),
            ("https://id.test\\@evil.test", false, false),
            ("HTTPS://id.test", false, false),
            ("http://id.test", false, false),
            ("http://127.0.0.1:8080/x", false, true),
            ("http://localhost", false, true),
            ("http://[::1]:1/", false, true),
            ("http://localhost.evil.test/", false, false),
            ("http://localhost:80@evil.test/", false, false),
            ("http://127.0.0.1.evil.test/", false, false),
            ("file:///etc/passwd", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_askable(url, Local::Refused), expect, "{url}");
            assert_eq!(is_askable(url, Local::Allowed), local, "{url}");
        }
        assert!(!is_askable(&format!("https://{}", "a".repeat(URL_BYTES_MAX)), Local::Allowed));
    }

    #[test]
    fn own_paths() {
        for (path, expect) in [
            ("/", true),
            ("/a/b?c=d&e", true),
            ("/a//b", true),
            ("", false),
            ("a", false),
            ("//evil.test", false),
            ("/\\evil.test", false),
            ("\\\\evil.test", false),
            ("/a\r\nSet-Cookie: x", false),
            ("/a\tb", false),
            ("https://evil.test", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(is_own_path(path), expect, "{path:?}");
        }
        assert!(!is_own_path(&format!("/{}", "a".repeat(URL_BYTES_MAX))));
    }

    #[test]
    fn queries() {
        let pairs = |query: &str| {
            parameters(query.as_bytes()).map(|pairs| {
                pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(pairs("a=1&b=%20+%C3%A9&c&&d==").as_deref(), Some("a=1 b=  é c= d=="));
        assert_eq!(pairs("").as_deref(), Some(""));
        for bad in ["a=%", "a=%2", "a=%zz", "a=%FF", &"a&".repeat(PARAMETERS_MAX + 1)] {
            assert_eq!(pairs(bad), None, "{bad}");
        }
        let mut escaped = String::new();
        parameter(&mut escaped, "?", "a", "x y&=é/~");
        assert_eq!(escaped, "?a=x%20y%26%3D%C3%A9%2F~");
    }

    /// RFC 7636 appendix B, and RFC 6749 section 4.1.3.
    #[test]
    fn vectors() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(basic("s6BhdRkqt3", "gX1fBat3bV"), "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW");
        assert_eq!(basic("a:b", "c"), "Basic YSUzQWI6Yw==");
    }

    #[test]
    fn what_is_written_reads() {
        let mut writer = Writer::default();
        writer.number(7);
        writer.text("Zoë");
        let mut reader = Reader(&writer.0);
        assert_eq!((reader.number(), reader.text()), (Some(7), Some("Zoë")));
        assert_eq!(reader.end(), Some(()));
        let mut reader = Reader(&writer.0[..writer.0.len() - 1]);
        assert_eq!((reader.number(), reader.text()), (Some(7), None));
        assert_eq!(reader.end(), None);
    }
}
