//! TLS towards upstreams: verified unless the configuration says `verify off`, and never made from roots that did not
//! load.
//!
//! One value belongs to one upstream's settings, sessions included: a session is never resumed under other roots or
//! another name than those it was verified with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use super::certificate::{
    Certificate, LoadError, LoadReason, PemFile, read_certificates, read_pem,
};
use super::dangerous::AcceptAnyCertificateWithoutVerification;
use super::pin::{Pin, Pinned};
use super::server::MinimumVersion;

/// The most server names whose sessions are kept for resumption. An upstream has a handful of names; each takes a few
/// KiB.
const SESSIONS_MAX: usize = 256;

/// Whom to believe about an upstream's identity.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The authorities of the web, built in.
    Public,
    /// Only these certificates.
    Pem {
        /// Where they came from, for errors.
        path: PathBuf,
        /// The file's content.
        bytes: Vec<u8>,
    },
}

impl Roots {
    /// Reads roots from a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read. Its content is judged by [`ClientTls::new`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::Pem { path: path.to_owned(), bytes: read_pem(path)? })
    }

    fn store(&self) -> Result<RootCertStore, LoadError> {
        let mut store = RootCertStore::empty();
        let (path, bytes) = match self {
            Self::Public => {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                return Ok(store);
            }
            Self::Pem { path, bytes } => (path, bytes),
        };
        // One root that cannot be used stops it all: half a list of roots is not what was asked for.
        for (index, root) in read_certificates(PemFile { path, bytes })?.into_iter().enumerate() {
            store.add(root).map_err(|error| LoadError {
                file: path.clone(),
                reason: LoadReason::BadCertificate { index, reason: error.to_string() },
            })?;
        }
        Ok(store)
    }
}

/// Whether an upstream must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Verify {
    /// Its certificate must lead to a root and be valid for its name.
    #[default]
    On,
    /// Anything goes. **Anyone in between can read and change everything.**
    Off,
}

/// How to speak TLS to an upstream.
#[derive(Clone, Debug)]
pub struct ClientTlsOptions {
    /// Whom to believe.
    pub roots: Roots,
    /// Whether to verify at all.
    pub verify: Verify,
    /// The name (or address) to ask for and verify, instead of the server's own.
    pub name: Option<String>,
    /// The application protocols to offer, best first.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest version.
    pub minimum: MinimumVersion,
    /// The keys of which its certificate must have one; none: any key. They count beside `verify`, and alone where that
    /// is off.
    pub pins: Vec<Pin>,
    /// A certificate to show when the upstream asks for one.
    pub identity: Option<Arc<Certificate>>,
    /// The time.
    pub clock: Arc<dyn TimeProvider>,
}

impl ClientTlsOptions {
    /// Verified against the public roots, TLS 1.2 or later, offering HTTP/1.1.
    #[must_use]
    pub fn new(clock: Arc<dyn TimeProvider>) -> Self {
        Self {
            roots: Roots::Public,
            verify: Verify::On,
            name: None,
            alpn: vec![b"http/1.1".to_vec()],
            minimum: MinimumVersion::Tls12,
            pins: Vec::new(),
            identity: None,
            clock,
        }
    }
}

/// An upstream's TLS.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Makes an upstream's TLS.
    ///
    /// # Errors
    ///
    /// When the roots hold no certificate or a bad one, or the name is none.
    pub fn new(options: ClientTlsOptions) -> Result<Self, ClientTlsError> {
        let provider = super::provider();
        let name = options.name.as_deref().map(server_name).transpose()?;
        let store = options.roots.store().map_err(ClientTlsError::Roots)?;
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), options.clock)
            .with_protocol_versions(options.minimum.versions())
            .map_err(|error| ClientTlsError::Provider(error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match options.verify {
            Verify::On => WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
                .build()
                .map_err(|error| ClientTlsError::Provider(error.to_string()))?,
            Verify::Off => Arc::new(AcceptAnyCertificateWithoutVerification::new(provider)),
        };
        let verifier = match options.pins.is_empty() {
            true => verifier,
            false => Arc::new(Pinned::new(options.pins, verifier)),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match options.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                Arc::clone(identity.certified()),
            ))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.alpn;
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        config.enable_early_data = false;
        Ok(Self { config: Arc::new(config), name })
    }

    /// What rustls needs for a connection.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name to ask for and verify at a server with this host: the configured one, else the host (a name or an
    /// address, with or without brackets). Never the `Host` of a request.
    ///
    /// # Errors
    ///
    /// When the host is neither a name nor an address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, ClientTlsError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => server_name(host),
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, ClientTlsError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| ClientTlsError::Name(host.to_owned()))
}

/// Why an upstream's TLS cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientTlsError {
    /// The roots cannot be used.
    Roots(LoadError),
    /// Neither a host name nor an address.
    Name(String),
    /// The cryptography provider refused the versions or the roots.
    Provider(String),
}

impl fmt::Display for ClientTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots(error) => write!(f, "{error}"),
            Self::Name(name) => write!(f, "{name:?} is neither a host name nor an address"),
            Self::Provider(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ClientTlsError {}
