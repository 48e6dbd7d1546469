//! TLS: which certificate answers which name, what a handshake may negotiate, and how sessions resume.
//!
//! Everything here but the stream under TLS is a plain value: no socket, no runtime, no logger. A listener gets one
//! [`ServerTls`], built from loaded [`Certificate`]s and the [`LocalCa`], and a reload builds a new one beside it; the
//! keys that make session tickets ([`TicketKeys`]) are the only part that outlives it. Time comes from the caller, as a
//! [`rustls::time_provider::TimeProvider`], so that expiry, renewal and rotation run in virtual time too.
//!
//! All types of rustls that leave the crate leave it here, so that its next major version is one module's work.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

mod authority;
mod certificate;
mod client;
mod client_auth;
mod dangerous;
mod demand;
mod distinguished;
mod keyring;
mod leaf;
mod name;
mod ocsp;
mod pin;
mod policy;
mod server;
mod session;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod ticket;

pub use authority::{Leaf, LocalCa, LocalCaError, RootFacts, root_facts};
pub use certificate::{
    Certificate, CertificateFacts, CertificateWarning, KeyKind, LoadError, LoadReason, PemFile,
    read_pem,
};
pub use client::{ClientTls, ClientTlsError, ClientTlsOptions, Roots, Verify};
pub(crate) use client_auth::client_certificate;
pub use client_auth::{ClientAuth, ClientAuthMode, ClientAuthWarning, SiteClients};
pub use demand::OnDemand;
pub use doorman_ocsp::{Period, get_url};
#[cfg(test)]
pub(crate) use keyring::ACME_TLS;
pub use keyring::{CertificateSlot, HTTP_PROOF_PATH, Keyring, Proof, Proofs};
pub use name::{CertificateName, NAME_BYTES_MAX, NameError};
pub use ocsp::{AnswerFault, Question, Revocation, Standing, Verdict, judge};
pub use pin::Pin;
pub use policy::{TlsPolicy, TlsPolicyError};
pub(crate) use server::Configs;
pub use server::{
    EarlyData, MinimumVersion, ServerTls, ServerTlsError, ServerTlsOptions, SiteTlsOptions,
    UNRECOGNIZED_NAME_ALERT, UnrecognizedName,
};
pub(crate) use stream::{Below, TlsStream, Unfinished};
pub use table::{CertificateSource, Certificates, Served, ServedBy};
pub use ticket::{TICKET_KEY_SECONDS, TicketKeys, TicketKeysError};

/// The one cryptography provider of the process: aws-lc-rs, with X25519MLKEM768 first in its key exchanges.
///
/// It is passed to each builder and never installed as the process default, so that no dependency can put another
/// one in its place.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
