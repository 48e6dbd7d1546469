//! The names that a certificate can answer for, and the one way in which two of them are compared.
//!
//! A name is folded once (lower case, no trailing dot, checked) and compared as bytes from then on. Folding uses a
//! buffer on the stack, because it runs in every handshake.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest host name in bytes, without a trailing dot: what fits in the 255 octets of RFC 1035 section 2.3.4.
pub const NAME_BYTES_MAX: usize = 253;

/// The longest label in bytes, RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// A name or address that a certificate is served for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateName {
    /// One host, in lower case and without a trailing dot.
    Exact(Box<str>),
    /// `*.rest`: every host of exactly one label before `rest` (RFC 9525 section 6.3). Holds `rest`.
    Wildcard(Box<str>),
    /// An address. Clients send no server name for it (RFC 6066 section 3).
    Address(IpAddr),
}

impl CertificateName {
    /// Reads `example.com`, `*.example.com`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`.
    ///
    /// # Errors
    ///
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = IpAddr::from_str(bare) {
            return Ok(Self::Address(address));
        }
        if let Some(rest) = text.strip_prefix("*.") {
            return Ok(Self::Wildcard(Folded::new(rest)?.as_str().into()));
        }
        Ok(Self::Exact(Folded::new(text)?.as_str().into()))
    }

    /// Whether a certificate for `self` is valid for all that `other` stands for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wildcard(rest), Self::Exact(host)) => {
                host.split_once('.').is_some_and(|(_, parent)| parent == &**rest)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(rest) => write!(f, "*.{rest}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is nothing in it.
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    TooLong,
    /// A label is empty, longer than 63 bytes, or begins or ends with a hyphen.
    Label,
    /// A byte that is not a letter, digit, hyphen, underscore or dot.
    Byte(u8),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong => write!(f, "the name is longer than {NAME_BYTES_MAX} bytes"),
            Self::Label => {
                f.write_str("a label is empty, too long, or begins or ends with a hyphen")
            }
            Self::Byte(byte) => write!(f, "the byte {byte:#04x} cannot be in a host name"),
        }
    }
}

impl std::error::Error for NameError {}

/// A checked host name in lower case without its trailing dot, on the stack.
pub(super) struct Folded {
    bytes: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl Folded {
    /// Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore, which is in the names of containers and
    /// harmless in a certificate.
    pub(super) fn new(name: &str) -> Result<Self, NameError> {
        let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let mut bytes = [0; NAME_BYTES_MAX];
        for label in name.split(|byte| *byte == b'.') {
            check_label(label)?;
        }
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        Ok(Self { bytes, length: name.len() })
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only ASCII passes check_label")
    }
}

fn check_label(label: &[u8]) -> Result<(), NameError> {
    if label.is_empty()
        || label.len() > LABEL_BYTES_MAX
        || label.starts_with(b"-")
        || label.ends_with(b"-")
    {
        return Err(NameError::Label);
    }
    match label.iter().find(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte)) {
        Some(byte) => Err(NameError::Byte(*byte)),
        None => Ok(()),
    }
}
