//! Request targets (RFC 9112 section 3.2) and authorities (RFC 3986 section 3.2), read once for
//! every wire, so that route, rule, log and upstream see the same host and the same path.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::scan::is_target;

/// The scheme a client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// http
    Http,
    /// https
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that an authority without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Schemes compare without case (RFC 3986 section 3.1).
    #[must_use]
    pub fn from_bytes(scheme: &[u8]) -> Option<Self> {
        if scheme.eq_ignore_ascii_case(b"http") {
            Some(Self::Http)
        } else if scheme.eq_ignore_ascii_case(b"https") {
            Some(Self::Https)
        } else {
            None
        }
    }
}

/// Why a request target or an authority is refused. All of them answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// Empty, or not one of the four forms.
    Form,
    /// A byte that RFC 3986 does not allow there.
    Byte,
    /// `#` starts a fragment, which is never sent (RFC 9112 section 3.2).
    Fragment,
    /// A scheme that is neither http nor https.
    Scheme,
    /// User information in an authority (RFC 9110 section 4.2.4).
    UserInfo,
    /// A host that is no name, IPv4 or IPv6 address.
    Host,
    /// A port outside 1 to 65535.
    Port,
    /// Dot segments that servers read in different ways.
    DotSegment,
    /// `%` without two hexadecimal digits, or an encoded NUL.
    Escape,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "request target has no valid form",
            Self::Byte => "byte not allowed in a request target",
            Self::Fragment => "request target holds a fragment",
            Self::Scheme => "scheme is neither http nor https",
            Self::UserInfo => "authority holds user information",
            Self::Host => "host is not a name or an address",
            Self::Port => "port is not a number from 1 to 65535",
            Self::DotSegment => "path holds an ambiguous dot segment",
            Self::Escape => "path holds an invalid percent escape",
        })
    }
}

impl std::error::Error for TargetError {}

/// Longest host name, bytes (RFC 1035 section 2.3.4, with its final dot).
const HOST_MAX: usize = 255;

/// A checked authority: the host's range and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Bytes of the host, without a final dot; brackets of an IPv6 address are kept.
    pub host_len: usize,
    /// The port, if one was written.
    pub port: Option<u16>,
    /// Whether the host has capital letters.
    pub has_upper: bool,
}

/// Checks an authority as a client may write it: `host`, `host:port`, `[v6]`, `[v6]:port`.
///
/// # Errors
/// Names what is wrong; user information, zones, commas and spaces are all refused.
pub fn authority(bytes: &[u8]) -> Result<Authority, TargetError> {
    if bytes.first() == Some(&b'[') {
        return bracketed(bytes);
    }
    let mut classes = 0;
    let mut before = b'.';
    let mut double_dot = false;
    let mut host_end = 0;
    for &byte in bytes {
        let class = HOST_BYTES[byte as usize];
        if class == 0 {
            break;
        }
        double_dot |= byte == b'.' && before == b'.';
        (before, classes) = (byte, classes | class);
        host_end += 1;
    }
    let port = match bytes.get(host_end..) {
        None | Some([]) => None,
        Some([b':', digits @ ..]) if !digits.contains(&b'@') => Some(port(digits)?),
        Some(rest) if rest.contains(&b'@') => return Err(TargetError::UserInfo),
        Some(_) => return Err(TargetError::Host),
    };
    let mut host_len = host_end;
    if host_len > 1 && before == b'.' {
        host_len -= 1;
        before = bytes[host_len - 1];
    }
    // A dot ahead of all or behind another one leaves a label empty.
    if host_len == 0 || host_len > HOST_MAX || double_dot {
        return Err(TargetError::Host);
    }
    if before.is_ascii_digit() {
        numeric(&bytes[..host_len])?;
    }
    Ok(Authority { host_len, port, has_upper: classes & UPPER != 0 })
}

fn bracketed(bytes: &[u8]) -> Result<Authority, TargetError> {
    let close = bytes.iter().position(|&b| b == b']').ok_or(TargetError::Host)?;
    let text = std::str::from_utf8(&bytes[1..close]).map_err(|_| TargetError::Host)?;
    // A zone has no meaning to anyone but its sender (RFC 9110 section 4.2 with RFC 6874).
    text.parse::<Ipv6Addr>().map_err(|_| TargetError::Host)?;
    let rest = &bytes[close + 1..];
    let port = match rest {
        _ if rest.contains(&b'@') => return Err(TargetError::UserInfo),
        [] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return Err(TargetError::Host),
    };
    let has_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    Ok(Authority { host_len: close + 1, port, has_upper })
}

fn port(digits: &[u8]) -> Result<u16, TargetError> {
    // Leading zeros would let two spellings of one port differ (H1L-15).
    if digits.is_empty() || digits.len() > 5 || digits[0] == b'0' {
        return Err(TargetError::Port);
    }
    let mut port = 0u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(TargetError::Port);
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    u16::try_from(port).map_err(|_| TargetError::Port)
}

/// A letter, digit or mark of a host.
const PLAIN: u8 = 1;
/// A capital letter of a host.
const UPPER: u8 = 2;

/// Letters, digits, hyphen, dot and the underscore of service names; percent escapes and sub-delims
/// of RFC 3986 name no host that DNS or a certificate could hold.
const HOST_BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_uppercase() {
            table[byte as usize] = UPPER;
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            table[byte as usize] = PLAIN;
        }
        byte += 1;
    }
    table
};

/// A name whose last label is all digits must be an IPv4 address, or two readers differ.
fn numeric(host: &[u8]) -> Result<(), TargetError> {
    let label = host.rsplit(|&b| b == b'.').next().unwrap_or_default();
    if !label.iter().all(u8::is_ascii_digit) {
        return Ok(());
    }
    let text = std::str::from_utf8(host).map_err(|_| TargetError::Host)?;
    text.parse::<Ipv4Addr>().map(drop).map_err(|_| TargetError::Host)
}

/// The parts of a request target, as ranges of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute {
        /// Scheme named by the target.
        scheme: Scheme,
        /// Where the authority lies.
        authority: std::ops::Range<usize>,
        /// Where path and query begin; the end of the target when it has neither.
        path: usize,
    },
    /// `host:port`, for CONNECT only.
    Authority,
    /// `*`, for OPTIONS only.
    Asterisk,
}

/// Tells which of the four forms `target` has (RFC 9112 section 3.2).
///
/// # Errors
/// Bytes that RFC 3986 does not allow, a fragment, user information, an unknown scheme.
pub fn form(target: &[u8], connect: Connect) -> Result<Form, TargetError> {
    check_bytes(target)?;
    if connect == Connect::Yes {
        let checked = authority(target)?;
        return if checked.port.is_some() { Ok(Form::Authority) } else { Err(TargetError::Port) };
    }
    match target {
        [] => Err(TargetError::Form),
        [b'/', ..] => Ok(Form::Origin),
        b"*" => Ok(Form::Asterisk),
        _ => absolute(target),
    }
}

/// Whether a target belongs to a CONNECT request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// It does, and must have the authority form.
    Yes,
    /// It does not.
    No,
}

fn absolute(target: &[u8]) -> Result<Form, TargetError> {
    let colon = target.iter().position(|&b| b == b':').ok_or(TargetError::Form)?;
    let rest = target[colon..].strip_prefix(b"://").ok_or(TargetError::Form)?;
    let scheme = Scheme::from_bytes(&target[..colon]).ok_or(TargetError::Scheme)?;
    let start = colon + 3;
    let len = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
    authority(&rest[..len])?;
    Ok(Form::Absolute { scheme, authority: start..start + len, path: start + len })
}

/// Bytes of a target: printable ASCII without space. Some that RFC 3986 has no place for (`|`,
/// `"`, braces) are let through because browsers send them in queries; a backslash in the path is
/// refused by the path's own check.
fn check_bytes(target: &[u8]) -> Result<(), TargetError> {
    if is_target(target) {
        return Ok(());
    }
    let wrong = target.iter().find(|byte| !matches!(byte, 0x21..=0x7E) || **byte == b'#');
    Err(if wrong == Some(&b'#') { TargetError::Fragment } else { TargetError::Byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let check = |text: &str, expect: Result<(&str, Option<u16>), TargetError>| {
            let got = authority(text.as_bytes()).map(|a| (&text[..a.host_len], a.port));
            assert_eq!(got, expect, "{text:?}");
        };
        check("example.com", Ok(("example.com", None)));
        check("Example.COM.", Ok(("Example.COM", None)));
        check("example.com:8080", Ok(("example.com", Some(8080))));
        check("[::1]:443", Ok(("[::1]", Some(443))));
        check("[::1]", Ok(("[::1]", None)));
        check("127.0.0.1:1", Ok(("127.0.0.1", Some(1))));
        check("_srv.example", Ok(("_srv.example", None)));
        for (text, error) in [
            ("", TargetError::Host),
            (":", TargetError::Port),
            (":80", TargetError::Host),
            (".", TargetError::Host),
            ("a..b", TargetError::Host),
            ("a,b", TargetError::Host),
            ("a b", TargetError::Host),
            ("a/b", TargetError::Host),
            ("a%41", TargetError::Host),
            ("u@a", TargetError::UserInfo),
            ("a:0", TargetError::Port),
            ("a:080", TargetError::Port),
            ("a:65536", TargetError::Port),
            ("a:", TargetError::Port),
            ("a:8x", TargetError::Port),
            ("[::1", TargetError::Host),
            ("[::1%25eth0]", TargetError::Host),
            ("[fe80::1%eth0]:80", TargetError::Host),
            ("[::1]x", TargetError::Host),
            ("1.2.3.4.5", TargetError::Host),
            ("1.2.3", TargetError::Host),
            ("256.1.1.1", TargetError::Host),
            ("a#b", TargetError::Host),
        ] {
            check(text, Err(error));
        }
    }

    #[test]
    fn forms() {
        let check = |text: &str, expect: Result<Form, TargetError>| {
            assert_eq!(form(text.as_bytes(), Connect::No), expect, "{text:?}");
        };
        check("/a?b", Ok(Form::Origin));
        check("*", Ok(Form::Asterisk));
        check(
            "http://a:80/x?y",
            Ok(Form::Absolute { scheme: Scheme::Http, authority: 7..11, path: 11 }),
        );
        check("HTTPS://a", Ok(Form::Absolute { scheme: Scheme::Https, authority: 8..9, path: 9 }));
        check("http://a?x", Ok(Form::Absolute { scheme: Scheme::Http, authority: 7..8, path: 8 }));
        check("http://u:p@a/", Err(TargetError::UserInfo));
        check("ftp://a/", Err(TargetError::Scheme));
        check("a:80", Err(TargetError::Form));
        check("", Err(TargetError::Form));
        check("/a#b", Err(TargetError::Fragment));
        check("/a b", Err(TargetError::Byte));
        check("/\u{e9}", Err(TargetError::Byte));
        check("/a\u{7f}", Err(TargetError::Byte));
        assert_eq!(form(b"a:80", Connect::Yes), Ok(Form::Authority));
        assert_eq!(form(b"a", Connect::Yes), Err(TargetError::Port));
        assert_eq!(form(b"/a", Connect::Yes), Err(TargetError::Host));
    }
}
