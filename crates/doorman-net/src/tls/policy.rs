//! What handshakes with clients may use: cipher suites and groups of the key exchange, by their names at IANA.
//!
//! Nothing that RFC 9325 advises against is here to be chosen, so a policy can only be narrower than the default.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};

use super::server::MinimumVersion;

/// What handshakes with clients may use.
#[derive(Clone, Debug)]
pub struct TlsPolicy {
    minimum: MinimumVersion,
    provider: Arc<CryptoProvider>,
    /// Tells two policies apart, for session tickets.
    label: Arc<str>,
}

impl Default for TlsPolicy {
    fn default() -> Self {
        let provider = super::provider();
        Self { minimum: MinimumVersion::Tls12, provider, label: Arc::from("") }
    }
}

impl TlsPolicy {
    /// A policy of these suites and groups, both by name and best first; an empty list is the default's.
    ///
    /// # Errors
    ///
    /// A name is unknown, or no suite is for TLS 1.3: it is what HTTP/3 and all that is new speak.
    pub fn new(
        minimum: MinimumVersion,
        suites: &[&str],
        groups: &[&str],
    ) -> Result<Self, TlsPolicyError> {
        let mut provider = CryptoProvider::clone(&super::provider());
        if !suites.is_empty() {
            provider.cipher_suites = suites
                .iter()
                .map(|name| {
                    let mut known = ALL_CIPHER_SUITES.iter();
                    let found = known.find(|suite| suite.suite().as_str() == Some(iana(name)));
                    found.copied().ok_or_else(|| TlsPolicyError::Unknown((*name).to_owned()))
                })
                .collect::<Result<_, _>>()?;
        }
        if !groups.is_empty() {
            provider.kx_groups = groups
                .iter()
                .map(|name| {
                    let mut known = ALL_KX_GROUPS.iter();
                    let is_it = |known: &str| known.eq_ignore_ascii_case(name);
                    let found = known.find(|group| group.name().as_str().is_some_and(is_it));
                    found.copied().ok_or_else(|| TlsPolicyError::Unknown((*name).to_owned()))
                })
                .collect::<Result<_, _>>()?;
        }
        if !provider.cipher_suites.iter().any(|suite| suite.tls13().is_some()) {
            return Err(TlsPolicyError::NoTls13);
        }
        let label = format!("{} {}", suites.join(" "), groups.join(" "));
        Ok(Self { minimum, provider: Arc::new(provider), label: label.into() })
    }

    /// The oldest version.
    #[must_use]
    pub const fn minimum(&self) -> MinimumVersion {
        self.minimum
    }

    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.provider)
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }
}

/// rustls says `TLS13_` where IANA says `TLS_` of the suites of TLS 1.3 (RFC 8446 appendix B.4).
fn iana(name: &str) -> &str {
    match name {
        "TLS_AES_128_GCM_SHA256" => "TLS13_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384" => "TLS13_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256" => "TLS13_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

/// Why a policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsPolicyError {
    /// No suite or group has this name.
    Unknown(String),
    /// No suite is for TLS 1.3.
    NoTls13,
}

impl fmt::Display for TlsPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no suite or group `{name}`"),
            Self::NoTls13 => f.write_str("a policy needs a suite of TLS 1.3"),
        }
    }
}

impl std::error::Error for TlsPolicyError {}
