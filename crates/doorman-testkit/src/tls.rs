//! Certificates made on the spot, and TLS at both ends of the rig.
//!
//! Every test has an authority of its own: nothing is shared between runs, and nothing on disk
//! can expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
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
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let pem = params.self_signed(&key).expect("the parameters are ours").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a client of this name, with this serial number, that ended some days ago or
    /// ends in some.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn client(&self, name: &str, serial: u64, days: i32) -> Identity {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch();
        params.not_before = now - 100 * DAY;
        params.not_after = now - 100 * DAY + DAY * u32::try_from(days + 100).expect("a life");
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are ours");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// A list that revokes these serial numbers, PEM.
    ///
    /// # Panics
    /// Never: the parameters are ours.
    #[must_use]
    pub fn revoking(&self, serials: &[u64]) -> String {
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch();
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let one = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - HOUR,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - HOUR,
            next_update: now + 24 * 30 * HOUR,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("the parameters are ours");
        list.pem().expect("DER can be written as PEM")
    }

    /// A certificate for these names, which may be IP addresses.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("key generation needs only entropy");
        self.issue_with(names, &key)
    }

    /// A certificate for this name that names a responder of OCSP, and the authority's behind it. With `must_staple`,
    /// clients shall refuse it without an answer (RFC 7633).
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn issue_answered(&self, name: &str, responder: &str, must_staple: bool) -> Identity {
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let access = crate::ocsp::authority_access(responder);
        let access = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access);
        params.custom_extensions.push(access);
        if must_staple {
            let oid = [1, 3, 6, 1, 5, 5, 7, 1, 24];
            let feature = CustomExtension::from_oid_content(&oid, vec![0x30, 3, 2, 1, 5]);
            params.custom_extensions.push(feature);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are ours");
        let certificate_pem = format!("{}{}", certificate.pem(), self.pem);
        Identity { certificate_pem, key_pem: key.serialize_pem() }
    }

    /// A certificate (DER) and key for somebody whom the authority has charged with answers of OCSP, or with something
    /// else.
    ///
    /// # Panics
    /// Never: the parameters are ours.
    #[must_use]
    pub fn delegate(&self, usage: ExtendedKeyUsagePurpose) -> (Vec<u8>, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Rig responder");
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("key generation needs only entropy");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are ours");
        (certificate.der().to_vec(), key)
    }

    /// The authority's key.
    #[must_use]
    pub fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// The same with an RSA key.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue_rsa(&self, names: &[&str]) -> Identity {
        self.issue_with(names, &KeyKind::Rsa.generate())
    }

    /// A certificate as public authorities make them, which scanners look at too: for 90 days, for
    /// servers alone, with an address for its revocation.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue_as_public(&self, names: &[&str], kind: KeyKind) -> Identity {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let key = kind.generate();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("test names are names");
        params.distinguished_name.push(DnType::CommonName, names.first().expect("a name"));
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch();
        params.not_before = now - DAY;
        params.not_after = now + 88 * DAY;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let list = "http://crl.test/list.crl".to_owned();
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![list] }];
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are ours");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    fn issue_with(&self, names: &[&str], key: &KeyPair) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("test names are names");
        let certificate = params.signed_by(key, &self.issuer).expect("the parameters are ours");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA of 2,048 bits.
    Rsa,
}

impl KeyKind {
    fn generate(self) -> KeyPair {
        let key = match self {
            Self::Ecdsa => KeyPair::generate(),
            Self::Rsa => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
            }
        };
        key.expect("key generation needs only entropy")
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
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has both versions")
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.key())
            .expect("a key that fits its certificate");
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .expect("a certificate in PEM")
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key in PEM")
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
    /// What it shows when it is asked for a certificate.
    pub identity: Option<Identity>,
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
            identity: None,
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

    /// Showing this certificate when it is asked for one.
    #[must_use]
    pub fn showing(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
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
        let builder = match &self.trust {
            Trust::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Believer(provider())))
            }
            Trust::Pem(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.expect("a certificate in PEM");
                    roots.add(certificate).expect("an authority's certificate");
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.key())
                .expect("a key that fits its certificate"),
        };
        let alpn: Vec<&str> = self.alpn.iter().map(String::as_str).collect();
        config.alpn_protocols = protocols(&alpn);
        Arc::new(config)
    }
}

#[expect(clippy::disallowed_methods, reason = "peers of the rig have the real time")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that runs")
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
