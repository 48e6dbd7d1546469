//! Origins as browsers write them (RFC 6454 section 6.2): scheme, host, and the port unless it is the
//! scheme's own.

use std::fmt;

use doorman_http::{Scheme, target};

/// A parsed origin: `https://example.com:8443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) scheme: Scheme,
    /// As it was written.
    pub(crate) host: &'a str,
    /// `None`: the scheme's own.
    pub(crate) port: Option<u16>,
}

/// Reads an origin with one of the schemes of HTTP. Anything behind host and port makes it none.
pub(crate) fn read(text: &[u8]) -> Option<Parts<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let (scheme, authority) = text.split_once("://")?;
    let scheme = Scheme::from_bytes(scheme.as_bytes())?;
    let read = target::authority(authority.as_bytes()).ok()?;
    // A final dot is not part of the host's name as it is read here, and makes another origin to a browser.
    let host = authority.get(..read.host_len)?;
    let behind = authority.get(read.host_len..)?;
    if !(behind.is_empty() || behind.starts_with(':')) {
        return None;
    }
    Some(Parts { scheme, host, port: read.port.filter(|&port| port != scheme.default_port()) })
}

/// An origin of the configuration that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOrigin(pub Box<str>);

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no origin; write scheme, host and port without a path, as https://example.com",
            self.0
        )
    }
}

impl std::error::Error for BadOrigin {}

/// The origin as a browser writes it, from what an operator wrote: lower case, and no port that goes without
/// saying.
pub(crate) fn normal(text: &str) -> Result<Box<str>, BadOrigin> {
    let parts = read(text.as_bytes()).ok_or_else(|| BadOrigin(text.into()))?;
    let host = parts.host.to_ascii_lowercase();
    let scheme = parts.scheme.as_str();
    Ok(match parts.port {
        Some(port) => format!("{scheme}://{host}:{port}").into(),
        None => format!("{scheme}://{host}").into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, expect) in [
            ("https://example.com", Some("https://example.com")),
            ("HTTPS://Example.COM:443", Some("https://example.com")),
            ("http://example.com:443", Some("http://example.com:443")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("http://127.0.0.1", Some("http://127.0.0.1")),
            ("https://example.com/", None),
            ("https://example.com/a", None),
            ("https://user@example.com", None),
            ("https://", None),
            ("example.com", None),
            ("null", None),
            ("*", None),
            ("ftp://example.com", None),
            ("https://example.com:0", None),
            ("https://example.com.", None),
            ("https://a, https://b", None),
            ("", None),
        ] {
            assert_eq!(normal(text).ok().as_deref(), expect, "{text}");
        }
    }
}
