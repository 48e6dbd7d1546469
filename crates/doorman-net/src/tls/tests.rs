//! Two rustls connections joined by byte vectors: no socket, no sleep, and a clock that stands where a test puts it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    RsaKeySize, SanType,
};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, ServerConfig, ServerConnection,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

mod authority;
mod clients;
mod handshakes;
mod kept;
mod loading;
mod many;
mod ocsp;
mod sessions;
mod streams;
mod upstream;

/// Some second of the year 2027.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 60 * 60;

#[derive(Debug)]
struct TestClock(AtomicU64);

impl TestClock {
    fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }

    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl TimeProvider for TestClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = self.0.load(Ordering::SeqCst);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)))
    }
}

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicU64::new(NOW)))
}

/// A root that signs what the tests need; its roots file is what clients believe.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "test root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
});

static ECDSA_KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

static RSA_KEY: LazyLock<KeyPair> = LazyLock::new(|| {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
});

/// A leaf in PEM, valid for 90 days around [`NOW`] or as `life` says.
fn leaf_pem(names: &[&str], key: &KeyPair, life: std::ops::Range<u64>) -> String {
    let mut params = CertificateParams::default();
    let date = |second| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(second);
    params.not_before = date(life.start);
    params.not_after = date(life.end);
    params.distinguished_name.push(DnType::CommonName, "test leaf");
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params.signed_by(key, &AUTHORITY.issuer).unwrap().pem()
}

fn life() -> std::ops::Range<u64> {
    NOW - 10 * DAY..NOW + 80 * DAY
}

fn certificate_with(names: &[&str], key: &KeyPair) -> Arc<Certificate> {
    let chain = leaf_pem(names, key, life());
    let key = key.serialize_pem();
    let chain = PemFile { path: Path::new("chain.pem"), bytes: chain.as_bytes() };
    let key = PemFile { path: Path::new("key.pem"), bytes: key.as_bytes() };
    Arc::new(Certificate::from_pem(chain, key).unwrap())
}

fn certificate(names: &[&str]) -> Arc<Certificate> {
    certificate_with(names, &ECDSA_KEY)
}

fn name(text: &str) -> CertificateName {
    CertificateName::parse(text).unwrap()
}

fn loaded(certificate: &Arc<Certificate>) -> CertificateSource {
    CertificateSource::Loaded { certificate: Arc::clone(certificate), names: Vec::new() }
}

fn table(
    sources: Vec<CertificateSource>,
    default: Vec<Arc<Certificate>>,
    clock: &Arc<TestClock>,
) -> Arc<Certificates> {
    Arc::new(Certificates::new(sources, default, clock.clone()))
}

fn options(realm: &str, clock: &Arc<TestClock>) -> ServerTlsOptions {
    ServerTlsOptions {
        realm: realm.to_owned(),
        minimum: MinimumVersion::Tls12,
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        policy: TlsPolicy::default(),
        clients: None,
        early_data: None,
        record_bytes_max: None,
        clock: clock.clone(),
    }
}

fn server(certificates: &Arc<Certificates>, clock: &Arc<TestClock>) -> ServerTls {
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    ServerTls::new(options("test", clock), Arc::clone(certificates), &tickets).unwrap()
}

/// Options of a client that believes the test root and offers no protocol.
fn client_options(clock: &Arc<TestClock>) -> ClientTlsOptions {
    let path = PathBuf::from("root.pem");
    let mut options = ClientTlsOptions::new(clock.clone());
    options.roots = Roots::Pem { path, bytes: AUTHORITY.pem.clone().into_bytes() };
    options.alpn = Vec::new();
    options
}

fn client(clock: &Arc<TestClock>) -> Arc<ClientConfig> {
    Arc::clone(ClientTls::new(client_options(clock)).unwrap().config())
}

fn client_tls12(clock: &Arc<TestClock>) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Both ends after a handshake.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

/// How a handshake failed, as each end saw it.
#[derive(Debug)]
struct Failed {
    client: Option<Error>,
    server: Option<Error>,
}

impl Pair {
    fn new(client: &Arc<ClientConfig>, host: &str, server: &Arc<ServerConfig>) -> Self {
        let host = ServerName::try_from(host.to_owned()).unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), host).unwrap(),
            server: ServerConnection::new(Arc::clone(server)).unwrap(),
        }
    }

    /// Carries bytes both ways until none are left.
    fn pump(mut self) -> Result<Self, Box<Failed>> {
        let (mut client, mut server) = (None, None);
        while self.client.wants_write() || self.server.wants_write() {
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).unwrap();
            }
            let mut bytes = wire.as_slice();
            while !bytes.is_empty() && server.is_none() {
                self.server.read_tls(&mut bytes).unwrap();
                server = self.server.process_new_packets().err();
            }
            let mut wire = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).unwrap();
            }
            let mut bytes = wire.as_slice();
            while !bytes.is_empty() && client.is_none() {
                self.client.read_tls(&mut bytes).unwrap();
                client = self.client.process_new_packets().err();
            }
        }
        if client.is_none() && server.is_none() {
            Ok(self)
        } else {
            Err(Box::new(Failed { client, server }))
        }
    }

    fn shown(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().unwrap()[0]
    }

    fn resumed(&self) -> bool {
        assert_eq!(self.client.handshake_kind(), self.server.handshake_kind());
        self.client.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

fn handshake(
    client: &Arc<ClientConfig>,
    host: &str,
    server: &Arc<ServerConfig>,
) -> Result<Pair, Box<Failed>> {
    Pair::new(client, host, server).pump()
}

/// A directory of this test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let mut tag = [0; 8];
        aws_lc_rs::rand::fill(&mut tag).unwrap();
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("doorman-tls-{tag}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
