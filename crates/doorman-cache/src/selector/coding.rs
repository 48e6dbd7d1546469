//! Which content codings a client takes (RFC 9110 section 12.5.3).
//!
//! The codings that anybody sends are a handful, so a field becomes a few bits in one pass, without
//! memory and whatever its length. How an element is read is not decided here, but where the coding of
//! an answer is chosen, too ([`accepted_codings`]); of its weight only counts whether there is one.

use doorman_http::coding::accepted_codings;
use doorman_http::{FieldId, RequestHead};

/// The codings that are told apart, in the order of the normal form. `x-gzip` is `gzip` (RFC 9110
/// section 8.4.1.3).
const KNOWN: [&[u8]; 4] = [b"br", b"deflate", b"gzip", b"zstd"];

/// What the browsers of these years send, with the codings that they take: read by one comparison each.
const USUAL: [(&[u8], u8); 3] =
    [(b"gzip, deflate, br, zstd", 0b1111), (b"gzip, deflate, br", 0b0111), (b"gzip", 0b0100)];

/// What a client says of codings. Bit by bit in the order of [`KNOWN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    takes: u8,
    refuses: u8,
    /// Of `identity`: whether it is taken.
    identity: Option<bool>,
    /// Of `*`: whether what is not named is taken.
    others: Option<bool>,
}

/// The normal form of an `Accept-Encoding`: codings that are taken, or `*` with those that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Normal(Said);

/// What the request says to the origin; `None` if it says nothing. A field that `Connection` names is
/// not forwarded.
pub(super) fn normal(request: &RequestHead) -> Option<Normal> {
    let is_forwarded = request.fields.has(FieldId::AcceptEncoding)
        && request.fields.iter().any(|(id, ..)| id == FieldId::AcceptEncoding);
    if is_forwarded { Said::of(request).map(Normal) } else { None }
}

impl Normal {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut element = |name: &[u8], suffix: &[u8]| {
            if out.len() > start {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(name);
            out.extend_from_slice(suffix);
        };
        let all = self.0.others == Some(true);
        if all {
            element(b"*", b"");
        }
        for (at, name) in KNOWN.iter().enumerate() {
            let bit = 1 << at;
            if all && self.0.refuses & bit != 0 {
                element(name, b";q=0");
            } else if !all && self.0.takes_known(bit) {
                element(name, b"");
            }
        }
        if !self.0.takes_identity() {
            element(b"identity", b";q=0");
        } else if out.len() == start {
            // Nothing but the thing itself. An empty value would say so, too, but not every origin
            // reads it.
            out.extend_from_slice(b"identity");
        }
    }
}

/// The `Accept-Encoding` that the origin is to be asked with for a response that is to be stored, so
/// that all requests for one variant ask alike; `None` if the client sent none.
#[must_use]
pub fn normal_accept_encoding(request: &RequestHead) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    normal(request)?.write(&mut text);
    Some(text)
}

/// Whether the client takes a stored response with this `Content-Encoding`; `None` for a response that
/// has none. A client that says nothing takes anything. A coding that nobody here knows was not asked
/// for: the origin sends it whatever it is asked, so it passes unless the client refuses it.
#[must_use]
pub fn coding_is_acceptable(request: &RequestHead, content_encoding: Option<&[u8]>) -> bool {
    let Some(said) = Said::of(request) else { return true };
    let mut is_coded = false;
    for coding in content_encoding.unwrap_or_default().split(|&b| b == b',') {
        let coding = coding.trim_ascii();
        if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        is_coded = true;
        let takes = match bit_of(coding) {
            Some(bit) => said.takes_known(bit),
            None => takes_unknown(request, coding).unwrap_or(said.others != Some(false)),
        };
        if !takes {
            return false;
        }
    }
    is_coded || said.takes_identity()
}

impl Said {
    fn of(request: &RequestHead) -> Option<Self> {
        if !request.fields.has(FieldId::AcceptEncoding) {
            return None;
        }
        let mut said = Self::default();
        let mut lines = request.fields.all(FieldId::AcceptEncoding);
        if let (Some(line), None) = (lines.next(), lines.next())
            && let Some((_, takes)) = USUAL.iter().find(|(usual, _)| *usual == line)
        {
            said.takes = *takes;
            return Some(said);
        }
        for (coding, takes) in elements(request) {
            // Said twice, the refusal counts: a client gets nothing that it might not read.
            if coding == b"*" {
                said.others = Some(takes && said.others != Some(false));
            } else if coding.eq_ignore_ascii_case(b"identity") {
                said.identity = Some(takes && said.identity != Some(false));
            } else if let Some(bit) = bit_of(coding) {
                if takes {
                    said.takes |= bit;
                } else {
                    said.refuses |= bit;
                }
            }
        }
        Some(said)
    }

    fn takes_known(self, bit: u8) -> bool {
        self.refuses & bit == 0 && (self.takes & bit != 0 || self.others == Some(true))
    }

    /// The thing itself is always taken, unless that is ruled out by its name or by `*`.
    fn takes_identity(self) -> bool {
        self.identity.unwrap_or(self.others != Some(false))
    }
}

/// What is said of a coding that is not told apart; `None` if it is not named.
fn takes_unknown(request: &RequestHead, wanted: &[u8]) -> Option<bool> {
    elements(request)
        .filter(|(coding, _)| coding.eq_ignore_ascii_case(wanted))
        .map(|(_, takes)| takes)
        .reduce(|one, other| one && other)
}

fn bit_of(coding: &[u8]) -> Option<u8> {
    let name = if coding.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { coding };
    KNOWN.iter().position(|known| name.eq_ignore_ascii_case(known)).map(|at| 1 << at)
}

/// The codings that are named, and whether each is taken.
fn elements(request: &RequestHead) -> impl Iterator<Item = (&[u8], bool)> {
    accepted_codings(request).map(|(coding, weight)| (coding, weight > 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(lines: &[&str]) -> RequestHead {
        let mut request = RequestHead::default();
        for line in lines {
            request.fields.push(b"Accept-Encoding", line.as_bytes());
        }
        request
    }

    fn normal_text(lines: &[&str]) -> Option<String> {
        normal_accept_encoding(&request(lines)).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn cin_13_normal_forms() {
        for (line, expect) in [
            ("gzip, deflate, br, zstd", "br, deflate, gzip, zstd"),
            ("br;q=1.0,gzip;q=0.8, *;q=0.1", "*"),
            ("gzip", "gzip"),
            ("GZIP", "gzip"),
            ("x-gzip", "gzip"),
            ("gzip , gzip", "gzip"),
            ("gzip;q=0", "identity"),
            ("gzip; Q=0.000, br", "br"),
            ("gzip, x-gzip;q=0", "identity"),
            ("gzip, identity", "gzip"),
            ("gzip, identity;q=0", "gzip, identity;q=0"),
            ("gzip, *;q=0", "gzip, identity;q=0"),
            ("identity, *;q=0", "identity"),
            ("identity;q=0", "identity;q=0"),
            ("*, gzip;q=0", "*, gzip;q=0"),
            ("*, identity;q=0, br;q=0", "*, br;q=0, identity;q=0"),
            ("", "identity"),
            ("foo, compress", "identity"),
            (",,gzip,", "gzip"),
            ("gzip;q=2, br;q=, zstd;q=0.0000, deflate;q", "identity"),
            ("gzip;a=b;q=0.5", "gzip"),
            ("gz ip", "identity"),
        ] {
            assert_eq!(normal_text(&[line]).as_deref(), Some(expect), "{line}");
            // Its own normal form, so an origin or another cache that normalises sees the same.
            assert_eq!(normal_text(&[expect]).as_deref(), Some(expect), "{line}");
        }
        assert_eq!(normal_text(&[]), None);
        assert_eq!(normal_text(&["gzip", "br"]).as_deref(), Some("br, gzip"));
    }

    #[test]
    fn what_is_usual_is_read_as_it_would_be_else() {
        for (usual, _) in USUAL {
            let usual = std::str::from_utf8(usual).unwrap();
            let said = Said::of(&request(&[usual]));
            assert_eq!(said, Said::of(&request(&[&format!("{usual},")])), "{usual}");
            assert_ne!(said, Said::of(&request(&[usual, "br, deflate;q=0"])), "{usual}");
        }
    }

    #[test]
    fn cin_13_a_client_gets_no_coding_that_it_does_not_take() {
        for (accept, coding, expect) in [
            (Some("gzip"), Some("gzip"), true),
            (Some("gzip"), Some("x-gzip"), true),
            (Some("gzip"), Some("GZip"), true),
            (Some("gzip"), Some("br"), false),
            (Some("gzip"), None, true),
            (Some("gzip;q=0.001"), Some("gzip"), true),
            (Some("gzip;q=0"), Some("gzip"), false),
            (Some("gzip, gzip;q=0"), Some("gzip"), false),
            (Some("*"), Some("br"), true),
            (Some("*"), Some("dcb"), true),
            (Some("*, dcb;q=0"), Some("dcb"), false),
            (Some("dcb"), Some("dcb"), true),
            (Some("gzip"), Some("dcb"), true),
            (Some("gzip, *;q=0"), Some("dcb"), false),
            (Some("dcb, DCB;q=0"), Some("dcb"), false),
            (Some("gzip, *;q=0"), Some("br"), false),
            (Some("gzip, *;q=0"), None, false),
            (Some("gzip, *;q=0"), Some("identity"), false),
            (Some("identity;q=0"), None, false),
            (Some("identity;q=0, gzip"), Some("gzip"), true),
            (Some("gzip, br"), Some("gzip, br"), true),
            (Some("gzip"), Some("gzip, br"), false),
            (Some(""), Some("gzip"), false),
            (Some(""), None, true),
            (None, Some("gzip"), true),
            (None, None, true),
        ] {
            let request = request(accept.as_slice());
            let got = coding_is_acceptable(&request, coding.map(str::as_bytes));
            assert_eq!(got, expect, "{accept:?} {coding:?}");
        }
    }

    #[test]
    fn cde_12_long_fields_are_read_in_one_pass() {
        for piece in ["gzip;q=0.5,", ",", ";", "*;q=0,", "identity;;q=,", "\u{80}"] {
            let line = piece.repeat(20_000);
            let request = request(&[&line, &line]);
            let _ =
                (normal_accept_encoding(&request), coding_is_acceptable(&request, Some(b"x, y")));
        }
    }

    proptest! {
        /// What the normal form says of a coding is what the field said.
        #[test]
        fn normal_forms_say_the_same(
            line in "((gzip|br|zstd|deflate|x-gzip|identity|\\*|foo)(;q=(0|1|0\\.5|x))?,? ?){0,6}",
        ) {
            let one = request(&[&line]);
            let text = normal_accept_encoding(&one).unwrap();
            let other = request(&[std::str::from_utf8(&text).unwrap()]);
            for coding in [None, Some(&b"gzip"[..]), Some(b"br"), Some(b"zstd"), Some(b"deflate")] {
                prop_assert_eq!(
                    coding_is_acceptable(&one, coding),
                    coding_is_acceptable(&other, coding),
                    "{:?}", coding
                );
            }
        }

        /// CDE-12.
        #[test]
        fn cde_12_no_field_panics(value in prop::collection::vec(any::<u8>(), 0..60), text in "[gzipbr*;q=01., x-]{0,60}") {
            let mut request = RequestHead::default();
            request.fields.push(b"Accept-Encoding", &value);
            request.fields.push(b"Accept-Encoding", text.as_bytes());
            let _ = (normal_accept_encoding(&request), coding_is_acceptable(&request, Some(&value)));
        }
    }
}
