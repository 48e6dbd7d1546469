//! Certificates that clients show: whom to believe, what was revoked, and who a client proved to be.
//!
//! One value holds everything that decides whether a certificate is good, and [`ClientRules`] is the digest of it. The
//! digest is part of the realm of session tickets, so a session never resumes under other rules than those its
//! certificate was checked by; and a connection carries it, so that a request for a site with other rules is noticed.
//!
//! A certificate is checked again when its session resumes and when the rules change under an open connection: one
//! that has expired or was revoked meanwhile is not let in on the strength of an old handshake.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use doorman_http::{ClientCertificate, ClientRules};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::certificate::{
    LoadError, LoadReason, PemFile, parse, read_bounded, read_certificates, read_pem,
};
use super::distinguished::distinguished_name;

/// The most that is read of a file of revocation lists, in bytes. A list of 100,000 revoked certificates takes 4 MiB.
const CRL_BYTES_MAX: u64 = 16 << 20;

/// The most bytes of authorities' names that are sent to clients. They help a browser to choose a certificate; a
/// bundle of hundreds would be sent in every handshake, and then clients choose without.
const HINT_BYTES_MAX: usize = 16 * 1024;

/// The most that a client's chain may have, in bytes. Chains have two or three certificates of one or two KiB; each
/// connection holds its own for as long as it lives.
const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// When the end of a revocation list or of an authority is near, in seconds: seven days.
const SOON_SECONDS: u64 = 7 * 24 * 60 * 60;

/// What becomes of a client that shows no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// Its handshake fails.
    Require,
    /// It is let in. A certificate that it does show must still be good.
    Optional,
}

/// The rules for the certificates of clients.
pub struct ClientAuth {
    mode: ClientAuthMode,
    verifier: Arc<dyn ClientCertVerifier>,
    digest: [u8; 32],
    warnings: Vec<(u64, ClientAuthWarning)>,
}

/// The rules together with the site that has them.
#[derive(Clone, Debug)]
pub struct SiteClients {
    /// The rules.
    pub auth: Arc<ClientAuth>,
    /// Their digest and the site's.
    pub rules: ClientRules,
}

impl SiteClients {
    /// The rules of the site of this name.
    #[must_use]
    pub fn new(site: &str, auth: Arc<ClientAuth>) -> Self {
        let name = digest::digest(&digest::SHA256, site.as_bytes());
        let rules = ClientRules { site: front(name.as_ref()), settings: front(&auth.digest) };
        Self { auth, rules }
    }
}

impl ClientAuth {
    /// Reads authorities and, if there is one, the file of revocation lists; both PEM.
    ///
    /// # Errors
    ///
    /// Names the file and the reason. Nothing is let in by half of a bundle.
    pub fn load(
        mode: ClientAuthMode,
        authorities: &Path,
        revoked: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let bytes = read_pem(authorities)?;
        let authorities = PemFile { path: authorities, bytes: &bytes };
        let lists = revoked.map(|path| read_bounded(path, CRL_BYTES_MAX)).transpose()?;
        let revoked = revoked.zip(lists.as_ref()).map(|(path, bytes)| PemFile { path, bytes });
        Self::from_pem(mode, authorities, revoked)
    }

    /// The same from texts.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn from_pem(
        mode: ClientAuthMode,
        authorities: PemFile<'_>,
        revoked: Option<PemFile<'_>>,
    ) -> Result<Self, LoadError> {
        let blame = |file: PemFile<'_>, reason| LoadError { file: file.path.to_owned(), reason };
        let mut warnings = Vec::new();
        let mut roots = RootCertStore::empty();
        for (index, root) in read_certificates(authorities)?.into_iter().enumerate() {
            let bad = |reason| blame(authorities, LoadReason::BadCertificate { index, reason });
            let parsed = parse(&root).map_err(bad)?;
            let not_after = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
            warnings.push((not_after, ClientAuthWarning::Authority { index, not_after }));
            if !parsed.is_ca() {
                return Err(bad("it is not the certificate of an authority".to_owned()));
            }
            roots.add(root).map_err(|error| bad(error.to_string()))?;
        }
        let lists = revoked.map(|file| read_lists(file, &mut warnings)).transpose()?;
        let hints: usize = roots.subjects().iter().map(|name| name.as_ref().len()).sum();
        let roots = Arc::new(roots);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, super::provider());
        if hints > HINT_BYTES_MAX {
            builder = builder.clear_root_hint_subjects();
        }
        if let Some(lists) = lists {
            // A list past its time says nothing of what was revoked since: it lets nobody in.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if mode == ClientAuthMode::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            blame(revoked.unwrap_or(authorities), LoadReason::BadList(error.to_string()))
        })?;
        let digest = digest_of(mode, authorities.bytes, revoked.map(|file| file.bytes));
        Ok(Self { mode, verifier, digest, warnings })
    }

    /// What becomes of a client without a certificate.
    #[must_use]
    pub const fn mode(&self) -> ClientAuthMode {
        self.mode
    }

    /// What will soon, or does already, keep everybody out; `now` in unix seconds.
    #[must_use]
    pub fn warnings(&self, now: u64) -> Vec<ClientAuthWarning> {
        let near = |end: u64| now.saturating_add(SOON_SECONDS) > end;
        self.warnings.iter().filter(|(end, _)| near(*end)).map(|(_, warning)| *warning).collect()
    }

    /// Whether a chain that was shown before is good under these rules at `now` (unix seconds).
    #[must_use]
    pub fn accepts(&self, client: &ClientCertificate, now: u64) -> bool {
        let mut chain = client.chain.iter().map(|der| CertificateDer::from(&**der));
        let Some(leaf) = chain.next() else { return false };
        let others: Vec<CertificateDer<'_>> = chain.collect();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        self.verifier.verify_client_cert(&leaf, &others, now).is_ok()
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("mode", &self.mode).finish_non_exhaustive()
    }
}

fn read_lists(
    file: PemFile<'_>,
    warnings: &mut Vec<(u64, ClientAuthWarning)>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, LoadError> {
    let blame = |reason| LoadError { file: file.path.to_owned(), reason };
    let lists = CertificateRevocationListDer::pem_slice_iter(file.bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| blame(LoadReason::BadPem(error.to_string())))?;
    if lists.is_empty() {
        return Err(blame(LoadReason::NoList));
    }
    for (index, list) in lists.iter().enumerate() {
        let (_, parsed) = CertificateRevocationList::from_der(list)
            .map_err(|error| blame(LoadReason::BadList(error.to_string())))?;
        if let Some(next) = parsed.next_update() {
            let next_update = u64::try_from(next.timestamp()).unwrap_or(0);
            warnings.push((next_update, ClientAuthWarning::List { index, next_update }));
        }
    }
    Ok(lists)
}

fn digest_of(mode: ClientAuthMode, authorities: &[u8], revoked: Option<&[u8]>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut field = |bytes: &[u8]| {
        // Lengths keep the fields apart.
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    field(match mode {
        ClientAuthMode::Require => b"require",
        ClientAuthMode::Optional => b"optional",
    });
    field(authorities);
    if let Some(list) = revoked {
        field(list);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The first eight bytes of a digest, as a number.
fn front(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |front| u64::from_be_bytes(*front))
}

/// Who a client proved to be, from the chain that it showed.
///
/// # Errors
///
/// The chain is empty, does not parse, or is larger than any honest one.
pub(crate) fn client_certificate(
    chain: &[CertificateDer<'_>],
) -> Result<ClientCertificate, ClientChainError> {
    let leaf = chain.first().ok_or(ClientChainError::Empty)?;
    if chain.iter().map(|der| der.len()).sum::<usize>() > CHAIN_BYTES_MAX {
        return Err(ClientChainError::TooLarge);
    }
    let parsed = parse(leaf).map_err(|_| ClientChainError::Malformed)?;
    let name = |name| distinguished_name(name).ok_or(ClientChainError::TooLarge);
    let fingerprint = digest::digest(&digest::SHA256, leaf);
    Ok(ClientCertificate {
        subject: name(parsed.subject())?.into(),
        issuer: name(parsed.issuer())?.into(),
        serial: hex(parsed.raw_serial()).into(),
        fingerprint: hex(fingerprint.as_ref()).into(),
        chain: chain.iter().map(|der| Box::from(der.as_ref())).collect(),
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Why a chain that a client showed is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientChainError {
    /// There is nothing in it.
    Empty,
    /// It, or a name in it, is larger than any honest one.
    TooLarge,
    /// The client's certificate does not parse.
    Malformed,
}

/// What keeps clients out, or will soon. Times are unix seconds, indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthWarning {
    /// The life of an authority ends, or has ended.
    Authority {
        /// Its place in the file.
        index: usize,
        /// When.
        not_after: u64,
    },
    /// A revocation list's successor is due, and without it everybody is refused whom this one covers.
    List {
        /// Its place in the file.
        index: usize,
        /// When.
        next_update: u64,
    },
}

impl fmt::Display for ClientAuthWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority { index, not_after } => {
                write!(f, "the life of authority {} ends at unix time {not_after}", index + 1)
            }
            Self::List { index, next_update } => write!(
                f,
                "revocation list {} counts until unix time {next_update}; from then on it lets nobody in",
                index + 1
            ),
        }
    }
}
