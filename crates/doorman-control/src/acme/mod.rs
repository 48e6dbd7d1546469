//! Automatic certificates: got by ACME (RFC 8555), kept on disk, renewed in time.
//!
//! The one decision that shaped it: what to do next is worked out by plain values ([`Agenda`], [`times`]) that know
//! neither clock nor network; the [`Keeper`] around them asks authorities, on a thread of its own. Requests never wait
//! for any of it: a certificate that has come is put into its [`CertificateSlot`](doorman_net::tls::CertificateSlot),
//! and the next handshake finds it there.
//!
//! Each name has a certificate of its own, so that one that cannot be proved holds up no other.

mod agenda;
mod client;
mod demand;
mod dns;
mod keeper;
mod order;
mod report;
mod store;
pub mod times;

use std::path::PathBuf;

use doorman_net::tls::CertificateName;

pub use agenda::{Agenda, Failure, Next, ORDERS_MAX};
pub use demand::Demand;
pub use dns::{Dns, DnsWay, KeyAlgorithm, UpdateServer};
pub use keeper::{Keeper, fill};
pub use report::{CertificateReport, IssuerReport, Report, State, Trouble};
pub use store::{Lock, Origin, Store, Stored};

/// Where certificates come from where nobody says otherwise.
pub const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whom authorities may write to.
    pub email: Option<String>,
    /// Authorities, best first.
    pub issuers: Vec<Issuer>,
    /// Names, each of which gets a certificate.
    pub names: Vec<CertificateName>,
    /// Who may ask for other names.
    pub demands: Vec<Demand>,
}

/// An authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The URL of its directory.
    pub directory: String,
    /// Certificates (PEM) that its server is trusted by instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How names are proved, best first.
    pub challenges: Vec<Challenge>,
    /// How records are put into DNS, for names that are proved by them.
    pub dns: Option<Dns>,
    /// The profile to ask for.
    pub profile: Option<String>,
    /// Id and key of an account at the authority (RFC 8555 section 7.3.4).
    pub external_account: Option<(String, Vec<u8>)>,
    /// The kind of key that certificates get.
    pub key: KeyChoice,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// How a name is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A file on the port of plain HTTP (RFC 8555 section 8.3).
    Http,
    /// A TLS handshake (RFC 8737).
    TlsAlpn,
    /// A record in DNS (RFC 8555 section 8.4); wildcards have no other.
    Dns,
}

/// The kind of key that a certificate gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 4096 bits.
    Rsa4096,
}
