//! Automatic certificates: from whom, and how names are proved.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Setting, Span, Spanned};

/// An `acme` block: a certificate authority that speaks ACME (RFC 8555).
#[derive(Clone, Debug)]
pub struct Acme {
    /// The URL of its directory.
    pub directory: Spanned<String>,
    /// Certificates (PEM) that its server is trusted by instead of the public ones.
    pub ca: Option<Spanned<PathBuf>>,
    /// How names are proved, best first.
    pub challenges: Setting<Vec<AcmeChallenge>>,
    /// How records are put into DNS.
    pub dns: Option<Spanned<AcmeDns>>,
    /// The profile that certificates are asked for under.
    pub profile: Option<Spanned<String>>,
    /// What ties the ACME account to one at the authority.
    pub eab: Option<Spanned<ExternalAccount>>,
    /// The kind of key that certificates get.
    pub key: Setting<CertificateKey>,
    /// The head of the block.
    pub span: Span,
}

/// How a name is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// HTTP-01: a file on port 80.
    Http,
    /// TLS-ALPN-01: a handshake on port 443.
    TlsAlpn,
    /// DNS-01: a record in the zone. Wildcards have no other.
    Dns,
}

/// How records are put into DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeDns {
    /// By whom.
    pub way: AcmeDnsWay,
    /// How long every server of the zone takes to learn of a change; none.
    pub wait: Setting<Duration>,
}

/// Who puts records into DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeDnsWay {
    /// A program.
    Exec(PathBuf),
    /// The zone's server, by updates (RFC 2136) signed with this key (RFC 8945).
    Update(SocketAddr, AcmeDnsKey),
}

/// A key that a DNS server knows too.
#[derive(Clone, PartialEq, Eq)]
pub struct AcmeDnsKey {
    /// Its name.
    pub name: String,
    /// The key itself.
    pub secret: Vec<u8>,
    /// Whether it is for SHA-512; else for SHA-256.
    pub is_sha512: bool,
}

impl std::fmt::Debug for AcmeDnsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcmeDnsKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An external account binding (RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The account's id at the authority.
    pub id: String,
    /// The key that it gave out.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKey {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 4096 bits.
    Rsa4096,
}
