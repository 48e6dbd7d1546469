//! Pinned keys: an upstream that must have one of a few keys, whoever vouches for it.
//!
//! A pin is the SHA-256 of a public key (its SubjectPublicKeyInfo, as in RFC 7469 section 2.4), so it outlives the
//! certificate as long as the key is kept.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::parse;

/// The SHA-256 of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

/// A verifier that asks for a pinned key, and then another.
#[derive(Debug)]
pub(super) struct Pinned {
    pins: Vec<Pin>,
    inner: Arc<dyn ServerCertVerifier>,
}

impl Pinned {
    pub(super) fn new(pins: Vec<Pin>, inner: Arc<dyn ServerCertVerifier>) -> Self {
        Self { pins, inner }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let parsed = parse(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = digest::digest(&digest::SHA256, parsed.public_key().raw);
        if self.pins.iter().any(|pin| pin.0 == key.as_ref()) {
            return Ok(verified);
        }
        let other = CertificateError::Other(OtherError(Arc::new(NotPinned)));
        Err(Error::InvalidCertificate(other))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The key is none of the pinned ones.
#[derive(Debug)]
struct NotPinned;

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its key is not pinned")
    }
}

impl std::error::Error for NotPinned {}
