//! TLS: which certificate answers which name, what a handshake may negotiate, and how sessions resume.
//!
//! Everything here is a plain value: no socket, no runtime, no logger. A listener gets one [`ServerTls`], built from
//! loaded [`Certificate`]s and the [`LocalCa`], and a reload builds a new one beside it; the keys that make session
//! tickets ([`TicketKeys`]) are the only part that outlives it. Time comes from the caller, as a
//! [`rustls::time_provider::TimeProvider`], so that expiry, renewal and rotation run in virtual time too.
//!
//! All types of rustls that leave the crate leave it here, so that its next major version is one module's work.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

mod authority;
mod certificate;
mod client;
mod dangerous;
mod leaf;
mod name;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod ticket;

pub use authority::{Leaf, LocalCa, LocalCaError};
pub use certificate::{
    Certificate, CertificateFacts, CertificateWarning, KeyKind, LoadError, LoadReason, PemFile,
    read_pem,
};
pub use client::{ClientTls, ClientTlsError, ClientTlsOptions, Roots, Verify};
pub use name::{CertificateName, NAME_BYTES_MAX, NameError};
pub use server::{
    MinimumVersion, ServerTls, ServerTlsError, ServerTlsOptions, UNRECOGNIZED_NAME_ALERT,
    UnrecognizedName,
};
pub use table::{CertificateSource, Certificates, Served, ServedBy};
pub use ticket::{TICKET_KEY_SECONDS, TicketKeys, TicketKeysError};

/// The one cryptography provider of the process: aws-lc-rs, with X25519MLKEM768 first in its key exchanges.
///
/// It is passed to each builder and never installed as the process default, so that no dependency can put another
/// one in its place.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
