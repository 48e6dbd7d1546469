//! From PEM bytes to a certificate that can be served, with everything an operator may get wrong found at load time.
//!
//! A certificate that loads is one that a handshake can use: the chain parses, the key is its leaf's key, and the
//! signature schemes of the key are known. What is only suspicious (expired, a name not covered, a broken chain) is a
//! [`CertificateWarning`], because refusing to start over it would take down sites that still work.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::name::CertificateName;
use super::ocsp::{self, Standing};

/// The most that is read from a PEM file, in bytes. The largest honest one is a distribution's bundle of roots, a
/// quarter of this.
pub(super) const PEM_BYTES_MAX: u64 = 1 << 20;

/// The longest chain, in certificates. Public chains have two or three; a bundle of roots given by mistake would be
/// sent in every handshake.
const CHAIN_MAX: usize = 10;

/// When the end of a certificate's life is near, in seconds: seven days.
const SOON_SECONDS: u64 = 7 * 24 * 60 * 60;

/// Every scheme that rustls' keys can sign with.
const SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The bytes of a PEM file together with where they came from, so that an error can name the culprit.
#[derive(Clone, Copy, Debug)]
pub struct PemFile<'a> {
    /// Shown in errors; nothing is opened.
    pub path: &'a Path,
    /// The content of the file.
    pub bytes: &'a [u8],
}

/// A certificate chain with its private key, ready to be served.
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    schemes: Vec<SignatureScheme>,
    facts: CertificateFacts,
    chain_breaks_after: Option<usize>,
    /// What its authority says about it, as far as it was asked.
    standing: Standing,
}

/// What a certificate says about itself. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The names and addresses of its subject alternative name extension, in its order.
    pub names: Vec<CertificateName>,
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The serial number, in hexadecimal with colons.
    pub serial: String,
    /// The first second of its life.
    pub not_before: u64,
    /// The last second of its life.
    pub not_after: u64,
    /// The kind of its key.
    pub key: KeyKind,
    /// How many certificates are sent, itself included.
    pub chain: usize,
    /// Where to ask over OCSP whether it still holds (RFC 5280 section 4.2.2.1).
    pub responder: Option<String>,
    /// Whether clients that know RFC 7633 refuse it without such an answer.
    pub must_staple: bool,
}

/// The kind of a certificate's key, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Small and an order of magnitude cheaper to sign with than RSA.
    Ecdsa,
    /// Cheaper still, but hardly any browser takes it, so ECDSA goes first.
    Ed25519,
    /// For clients that know nothing else.
    Rsa,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

impl Certificate {
    /// Reads the chain and the key from two files, which may be the same.
    ///
    /// # Errors
    ///
    /// Names the file and the reason when one cannot be read, or for every reason of [`Self::from_pem`].
    pub fn load(chain: &Path, key: &Path) -> Result<Self, LoadError> {
        let chain_bytes = read_pem(chain)?;
        let key_bytes = read_pem(key)?;
        Self::from_pem(
            PemFile { path: chain, bytes: &chain_bytes },
            PemFile { path: key, bytes: &key_bytes },
        )
    }

    /// Reads a chain (leaf first) and a private key (PKCS#8, SEC1 or PKCS#1) from PEM text.
    ///
    /// # Errors
    ///
    /// When either does not parse, the key is encrypted or of an unknown kind, or it is not the leaf's key.
    pub fn from_pem(chain: PemFile<'_>, key: PemFile<'_>) -> Result<Self, LoadError> {
        let certificates = read_chain(chain)?;
        let private = read_key(key)?;
        let blame = |file: PemFile<'_>, reason| LoadError { file: file.path.to_owned(), reason };
        let signing = super::provider()
            .key_provider
            .load_private_key(private)
            .map_err(|error| blame(key, LoadReason::UnsupportedKey(error.to_string())))?;
        let kind = match signing.algorithm() {
            SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
            SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
            SignatureAlgorithm::RSA => KeyKind::Rsa,
            other => {
                return Err(blame(key, LoadReason::UnsupportedKey(format!("{other:?}"))));
            }
        };
        let certified = CertifiedKey::new(certificates, signing);
        check_key(&certified).map_err(|reason| match reason {
            LoadReason::BadCertificate { .. } => blame(chain, reason),
            _ => blame(key, reason),
        })?;
        let (facts, chain_breaks_after) =
            inspect(&certified.cert, kind).map_err(|reason| blame(chain, reason))?;
        let schemes = SCHEMES
            .into_iter()
            .filter(|scheme| certified.key.choose_scheme(&[*scheme]).is_some())
            .collect();
        let standing = Standing::default();
        Ok(Self { certified: Arc::new(certified), schemes, facts, chain_breaks_after, standing })
    }

    /// What the certificate says about itself.
    #[must_use]
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The chain and key in the form that rustls takes.
    #[must_use]
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// What its authority says about it.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What is served at a time, in unix seconds: with the authority's answer while that counts. Nobody is asked for
    /// the time of a certificate that has none.
    pub(super) fn stapled(&self, now: impl FnOnce() -> Option<u64>) -> Arc<CertifiedKey> {
        self.standing.stapled(now).unwrap_or_else(|| Arc::clone(&self.certified))
    }

    /// The certificate that issued it, if it is in the chain.
    pub(super) fn issuer(&self) -> Option<&CertificateDer<'static>> {
        self.certified.cert.get(1).filter(|_| self.chain_breaks_after != Some(0))
    }

    /// What is suspicious about serving this certificate for `names` at `now` (unix seconds). Without names, only the
    /// certificate itself is judged.
    #[must_use]
    pub fn warnings(&self, names: &[CertificateName], now: u64) -> Vec<CertificateWarning> {
        let facts = &self.facts;
        let mut warnings = Vec::new();
        if now > facts.not_after {
            warnings.push(CertificateWarning::Expired { not_after: facts.not_after });
        } else if now < facts.not_before {
            warnings.push(CertificateWarning::NotYetValid { not_before: facts.not_before });
        } else if facts.not_after - now < SOON_SECONDS {
            warnings.push(CertificateWarning::ExpiresSoon { not_after: facts.not_after });
        }
        if facts.names.is_empty() {
            warnings.push(CertificateWarning::NoNames);
        }
        if let Some(index) = self.chain_breaks_after {
            warnings.push(CertificateWarning::ChainBroken { index });
        }
        if facts.must_staple && (facts.responder.is_none() || self.issuer().is_none()) {
            warnings.push(CertificateWarning::CannotStaple);
        }
        let uncovered = names.iter().filter(|name| !facts.names.iter().any(|own| own.covers(name)));
        warnings.extend(uncovered.cloned().map(CertificateWarning::NotCovered));
        warnings
    }

    /// Whether the client can verify a signature of this key. It allocates nothing.
    pub(super) fn suits(&self, offered: &[SignatureScheme]) -> bool {
        offered.iter().any(|scheme| self.schemes.contains(scheme))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Reads a PEM file, at most one MiB of it.
///
/// # Errors
///
/// When the file is missing, cannot be read, or is larger.
pub fn read_pem(path: &Path) -> Result<Vec<u8>, LoadError> {
    read_bounded(path, PEM_BYTES_MAX)
}

/// The bytes of a file that has at most so many.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, LoadError> {
    let blame = |reason| LoadError { file: path.to_owned(), reason };
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadReason::Missing,
        _ => LoadReason::Unreadable(error.to_string()),
    };
    let file = File::open(path).map_err(|error| blame(unread(error)))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| blame(unread(error)))?;
    if bytes.len() as u64 > bytes_max {
        return Err(blame(LoadReason::TooLarge { bytes_max }));
    }
    Ok(bytes)
}

/// All certificates of a PEM file.
pub(super) fn read_certificates(
    file: PemFile<'_>,
) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let blame = |reason| LoadError { file: file.path.to_owned(), reason };
    let certificates = CertificateDer::pem_slice_iter(file.bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| blame(LoadReason::BadPem(error.to_string())))?;
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    // A DER file begins with the tag of a SEQUENCE.
    Err(blame(if file.bytes.first() == Some(&0x30) {
        LoadReason::NotPem
    } else {
        LoadReason::NoCertificate
    }))
}

fn read_chain(file: PemFile<'_>) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let certificates = read_certificates(file)?;
    if certificates.len() > CHAIN_MAX {
        let reason = LoadReason::ChainTooLong { certificates: certificates.len() };
        return Err(LoadError { file: file.path.to_owned(), reason });
    }
    Ok(certificates)
}

fn read_key(file: PemFile<'_>) -> Result<PrivateKeyDer<'static>, LoadError> {
    let blame = |reason| LoadError { file: file.path.to_owned(), reason };
    match PrivateKeyDer::from_pem_slice(file.bytes) {
        // OpenSSL's old form keeps the label of a plain key and says so in a header (RFC 1421 section 4.6.1.1).
        Ok(_) if contains(file.bytes, b"Proc-Type: 4,ENCRYPTED") => {
            Err(blame(LoadReason::EncryptedKey))
        }
        Ok(key) => Ok(key),
        Err(_) if contains(file.bytes, b"BEGIN ENCRYPTED PRIVATE KEY") => {
            Err(blame(LoadReason::EncryptedKey))
        }
        Err(_) if contains(file.bytes, b"Proc-Type: 4,ENCRYPTED") => {
            Err(blame(LoadReason::EncryptedKey))
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) if file.bytes.first() == Some(&0x30) => {
            Err(blame(LoadReason::NotPem))
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) => Err(blame(LoadReason::NoKey)),
        Err(error) => Err(blame(LoadReason::BadPem(error.to_string()))),
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Whether the key belongs to the first certificate, and if not, what the operator most likely did.
fn check_key(certified: &CertifiedKey) -> Result<(), LoadReason> {
    match certified.keys_match() {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let other = certified.cert.iter().skip(1).any(|certificate| {
                let alone =
                    CertifiedKey::new(vec![certificate.clone()], Arc::clone(&certified.key));
                alone.keys_match().is_ok()
            });
            Err(if other { LoadReason::LeafNotFirst } else { LoadReason::KeyMismatch })
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(LoadReason::UnsupportedKey("its public half is unknown".to_owned()))
        }
        Err(error) => Err(LoadReason::BadCertificate { index: 0, reason: error.to_string() }),
    }
}

/// The leaf's facts, and the index of the first certificate that the next one did not issue.
fn inspect(
    chain: &[CertificateDer<'static>],
    key: KeyKind,
) -> Result<(CertificateFacts, Option<usize>), LoadReason> {
    let parsed = chain
        .iter()
        .enumerate()
        .map(|(index, der)| {
            parse(der).map_err(|reason| LoadReason::BadCertificate { index, reason })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let leaf = parsed.first().ok_or(LoadReason::NoCertificate)?;
    let breaks = parsed.windows(2).position(|pair| pair[0].issuer() != pair[1].subject());
    let second = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let facts = CertificateFacts {
        names: subject_names(leaf)
            .map_err(|reason| LoadReason::BadCertificate { index: 0, reason })?,
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        serial: leaf.raw_serial_as_string(),
        not_before: second(leaf.validity().not_before),
        not_after: second(leaf.validity().not_after),
        key,
        chain: chain.len(),
        responder: ocsp::responder(leaf),
        must_staple: ocsp::must_staple(leaf),
    };
    Ok((facts, breaks))
}

/// One whole X.509 certificate, with nothing behind it.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    if rest.is_empty() { Ok(certificate) } else { Err("bytes behind its end".to_owned()) }
}

/// The host names and addresses of the subject alternative name. The common name is not looked at (RFC 9525
/// section 2), and names that no client can ask for are left out.
fn subject_names(leaf: &X509Certificate<'_>) -> Result<Vec<CertificateName>, String> {
    let extension = leaf.subject_alternative_name().map_err(|error| error.to_string())?;
    let Some(extension) = extension else {
        return Ok(Vec::new());
    };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(text) => CertificateName::parse(text)
            .ok()
            .filter(|name| !matches!(name, CertificateName::Address(_))),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|octets| CertificateName::Address(octets.into())),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|octets| CertificateName::Address(octets.into())),
        },
        _ => None,
    });
    Ok(names.collect())
}

/// A certificate, key or root file that cannot be used: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The culprit.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: LoadReason,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for LoadError {}

/// What is wrong with a certificate, key or root file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadReason {
    /// No such file.
    Missing,
    /// The operating system's reason why it cannot be read.
    Unreadable(String),
    /// More bytes than are read of such a file.
    TooLarge {
        /// How many would be.
        bytes_max: u64,
    },
    /// It looks like DER.
    NotPem,
    /// A PEM section is damaged.
    BadPem(String),
    /// No certificate in it.
    NoCertificate,
    /// More certificates than a chain has.
    ChainTooLong {
        /// How many there are.
        certificates: usize,
    },
    /// A certificate does not parse.
    BadCertificate {
        /// Its place in the file, from 0.
        index: usize,
        /// The parser's reason.
        reason: String,
    },
    /// No private key in it.
    NoKey,
    /// The private key is encrypted with a passphrase.
    EncryptedKey,
    /// The private key is of a kind or size that cannot be used.
    UnsupportedKey(String),
    /// The private key is not that of the first certificate, nor of any other in the chain.
    KeyMismatch,
    /// The private key is that of a certificate that is not the first.
    LeafNotFirst,
    /// No revocation list in it.
    NoList,
    /// A revocation list cannot be used.
    BadList(String),
}

impl fmt::Display for LoadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::Unreadable(reason) => write!(f, "cannot be read: {reason}"),
            Self::TooLarge { bytes_max } => write!(f, "larger than {bytes_max} bytes"),
            Self::NotPem => f.write_str("this is DER; PEM is expected"),
            Self::BadPem(reason) => write!(f, "damaged PEM: {reason}"),
            Self::NoCertificate => f.write_str("no certificate in it"),
            Self::ChainTooLong { certificates } => write!(
                f,
                "{certificates} certificates in it, more than the {CHAIN_MAX} of a chain; is it a bundle of roots?"
            ),
            Self::BadCertificate { index, reason } => {
                write!(f, "certificate {} does not parse: {reason}", index + 1)
            }
            Self::NoKey => f.write_str("no private key in it"),
            Self::EncryptedKey => {
                f.write_str("the private key is encrypted; decrypt it (openssl pkey -in F -out G)")
            }
            Self::UnsupportedKey(reason) => write!(f, "the private key cannot be used: {reason}"),
            Self::KeyMismatch => f.write_str("the private key does not match the certificate"),
            Self::LeafNotFirst => f.write_str(
                "the private key matches a later certificate of the chain; put the site's own certificate first",
            ),
            Self::NoList => f.write_str("no revocation list (X509 CRL) in it"),
            Self::BadList(reason) => write!(f, "a revocation list cannot be used: {reason}"),
        }
    }
}

/// Something suspicious that does not stop a certificate from being served. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateWarning {
    /// Its life is over.
    Expired {
        /// When it ended.
        not_after: u64,
    },
    /// Its life has not begun.
    NotYetValid {
        /// When it begins.
        not_before: u64,
    },
    /// Its life ends within seven days.
    ExpiresSoon {
        /// When it ends.
        not_after: u64,
    },
    /// It names no host and no address, so no client will take it.
    NoNames,
    /// The certificate after `index` (from 0) did not issue it, so clients may not find a path to a root.
    ChainBroken {
        /// The last certificate before the break.
        index: usize,
    },
    /// It says that clients shall refuse it without an answer of OCSP, and there can be none: it names no responder, or
    /// its issuer is not in the chain.
    CannotStaple,
    /// It is served for a name that it is not valid for.
    NotCovered(CertificateName),
}

impl fmt::Display for CertificateWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { not_after } => write!(f, "expired at unix time {not_after}"),
            Self::NotYetValid { not_before } => {
                write!(f, "not valid before unix time {not_before}")
            }
            Self::ExpiresSoon { not_after } => write!(f, "expires soon, at unix time {not_after}"),
            Self::NoNames => f.write_str(
                "no host name or address in its subject alternative name; the common name does not count",
            ),
            Self::ChainBroken { index } => write!(
                f,
                "certificate {} of the chain was not issued by the one that follows it",
                index + 1
            ),
            Self::CannotStaple => f.write_str(
                "it must be stapled (RFC 7633) and cannot be: it names no OCSP responder, or its issuer is not in the chain",
            ),
            Self::NotCovered(name) => write!(f, "not valid for {name}"),
        }
    }
}
