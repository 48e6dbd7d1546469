//! The member that this cache adds to `Cache-Status` (RFC 9211).

use doorman_http::is_token;

/// What became of a request, as `Cache-Status` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// The cache's name.
    pub cache: &'a str,
    /// How the request was answered.
    pub handled: Handled,
    /// Seconds for which the response stays fresh; below zero when it is stale.
    pub ttl: Option<i64>,
    /// The key under which it is stored.
    pub key: Option<&'a [u8]>,
    /// More about it, in a word or a sentence.
    pub detail: Option<&'a str>,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// From the store.
    Hit,
    /// By asking the origin.
    Forwarded {
        /// Why.
        why: Forward,
        /// The origin's status, if it is not that of the answer.
        status: Option<u16>,
        /// Whether the origin's response was stored.
        stored: bool,
        /// Whether the request waited for another one's answer instead of being sent itself.
        collapsed: bool,
    },
}

/// Why a request was forwarded (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The cache was told not to handle it.
    Bypass,
    /// Its method has to be forwarded.
    Method,
    /// Nothing is stored for its target.
    UriMiss,
    /// Something is stored for its target, but nothing that its fields select.
    VaryMiss,
    /// Nothing that fits is stored; nobody looked why.
    Miss,
    /// What is stored is fresh, but the request does not take it.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored is a part that does not hold what was asked for.
    Partial,
}

impl Forward {
    /// The token of RFC 9211 section 2.2.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The largest number that structured fields hold (RFC 8941 section 3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

impl CacheStatus<'_> {
    /// Appends the member to `out`: `doorman; hit; ttl=30`.
    pub fn write(&self, out: &mut Vec<u8>) {
        word(self.cache.as_bytes(), out);
        match self.handled {
            Handled::Hit => out.extend_from_slice(b"; hit"),
            Handled::Forwarded { why, status, stored, collapsed } => {
                out.extend_from_slice(b"; fwd=");
                out.extend_from_slice(why.word().as_bytes());
                if let Some(status) = status {
                    out.extend_from_slice(b"; fwd-status=");
                    integer(i64::from(status), out);
                }
                if stored {
                    out.extend_from_slice(b"; stored");
                }
                if collapsed {
                    out.extend_from_slice(b"; collapsed");
                }
            }
        }
        if let Some(ttl) = self.ttl {
            out.extend_from_slice(b"; ttl=");
            integer(ttl.clamp(-INTEGER_MAX, INTEGER_MAX), out);
        }
        if let Some(key) = self.key {
            out.extend_from_slice(b"; key=");
            string(key, out);
        }
        if let Some(detail) = self.detail {
            out.extend_from_slice(b"; detail=");
            word(detail.as_bytes(), out);
        }
    }
}

/// A token if it is one (RFC 8941 section 3.3.4), else a string.
fn word(text: &[u8], out: &mut Vec<u8>) {
    let begins = text.first().is_some_and(|&b| b.is_ascii_alphabetic() || b == b'*');
    if begins && is_token(text) { out.extend_from_slice(text) } else { string(text, out) }
}

/// A string (RFC 8941 section 3.3.3); bytes that it cannot hold are written as `%XX`.
fn string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7E => out.push(byte),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'%', high, low]);
            }
        }
    }
    out.push(b'"');
}

fn integer(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let mut rest = number.unsigned_abs();
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
