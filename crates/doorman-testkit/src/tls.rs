//! Certificates made on the spot, and TLS at both ends of the rig.
//!
//! Every test has an authority of its own: nothing is shared between runs, and nothing on disk
//! can expire.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};

/// An authority that signs whatever a test needs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Rig authority");
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let pem = params.self_signed(&key).expect("the parameters are ours").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names, which may be IP addresses.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("test names are names");
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are ours");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
}

impl Identity {
    /// What a server with this identity offers; `alpn` in its order of preference.
    ///
    /// # Panics
    /// When the texts are no certificate and key.
    #[must_use]
    pub fn server(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .expect("a certificate in PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key in PEM");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has both versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits its certificate");
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }
}

/// How a client of the rig speaks TLS.
#[derive(Clone)]
pub struct Tls {
    /// The name it asks for and checks.
    pub name: String,
    /// Whom it believes.
    pub trust: Trust,
    /// What it offers, in its order of preference.
    pub alpn: Vec<String>,
    /// The versions it speaks.
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

/// Whom a client believes.
#[derive(Clone)]
pub enum Trust {
    /// Anybody.
    Anybody,
    /// Whoever shows a certificate by one of these authorities.
    Pem(String),
}

impl Tls {
    /// TLS 1.2 or 1.3 to `name`, offering HTTP/1.1, checking against `authority_pem`.
    #[must_use]
    pub fn new(name: &str, authority_pem: &str) -> Self {
        Self {
            name: name.to_owned(),
            trust: Trust::Pem(authority_pem.to_owned()),
            alpn: vec!["http/1.1".to_owned()],
            versions: vec![&rustls::version::TLS12, &rustls::version::TLS13],
        }
    }

    /// To `name`, believing anybody.
    #[must_use]
    pub fn unverified(name: &str) -> Self {
        Self { trust: Trust::Anybody, ..Self::new(name, "") }
    }

    /// Offering these protocols instead.
    #[must_use]
    pub fn offering(mut self, alpn: &[&str]) -> Self {
        self.alpn = alpn.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The client's side.
    ///
    /// # Panics
    /// When the authority's text is no certificate.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions)
            .expect("versions that the provider has");
        let mut config = match &self.trust {
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Believer(provider())))
                .with_no_client_auth(),
            Trust::Pem(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.expect("a certificate in PEM");
                    roots.add(certificate).expect("an authority's certificate");
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        let alpn: Vec<&str> = self.alpn.iter().map(String::as_str).collect();
        config.alpn_protocols = protocols(&alpn);
        Arc::new(config)
    }
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Believes every certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
