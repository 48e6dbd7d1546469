//! The local certificate authority behind `tls internal`: made once, kept on disk, and trusted by hand.
//!
//! Its certificate and key appear together or not at all: both are written into a fresh directory that is then renamed
//! into place. What exists is never overwritten, however damaged it is, because clients may trust it already; a damaged
//! authority is an error that names the file.
//!
//! ```text
//! DIR/ca/            0700
//!   root.pem         the certificate that `doorman trust` installs
//!   root.key         0600, ECDSA P-256, PKCS#8
//! ```

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::certificate::{LoadError, LoadReason, PemFile, parse, read_certificates, read_pem};
use super::name::CertificateName;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The life of the root, in seconds: ten years, since people install it by hand.
const ROOT_SECONDS: u64 = 3650 * DAY_SECONDS;

/// The life of a leaf, in seconds: seven days. Nothing can revoke it, so it is short.
const LEAF_SECONDS: u64 = 7 * DAY_SECONDS;

/// How far a client's clock may lag behind ours, in seconds: certificates begin this much in the past.
pub(super) const SKEW_SECONDS: u64 = 60 * 60;

/// The last second that a certificate can name as its end here: the end of the year 9999, RFC 5280 section 4.1.2.5.
const TIME_MAX: u64 = 253_402_300_799;

/// The most names in one leaf: a certificate is sent in every handshake.
pub(super) const LEAF_NAMES_MAX: usize = 100;

/// A certificate authority of this machine.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    root_not_after: u64,
}

/// A certificate of the local authority. Times are unix seconds.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The chain (without the root) and key.
    pub certified: Arc<CertifiedKey>,
    /// When it was issued; it is valid from an hour before.
    pub issued: u64,
    /// When two thirds of its life have passed and a new one should be issued.
    pub renew: u64,
    /// The end of its life.
    pub not_after: u64,
}

impl Leaf {
    /// Whether it may be served at `now`. A clock that was set back makes it unfit too, as its life has not begun then.
    #[must_use]
    pub fn is_fresh(&self, now: u64) -> bool {
        (self.issued.saturating_sub(SKEW_SECONDS)..self.renew).contains(&now)
    }
}

impl LocalCa {
    /// Opens the authority in `directory/ca`, or makes it there when there is none. `now` is in unix seconds.
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written, when they are damaged, incomplete, do not belong together, expired, or
    /// when others can read the key. Nothing that exists is changed.
    pub fn open_or_create(directory: &Path, now: u64) -> Result<Self, LocalCaError> {
        let home = directory.join("ca");
        match Self::open(&home, now)? {
            Some(authority) => Ok(authority),
            None => {
                create(directory, &home, now)?;
                // Another process may have been first: what counts is what is on the disk.
                Self::open(&home, now)?.ok_or(LocalCaError::Incomplete { missing: home })
            }
        }
    }

    /// Opens the authority in `directory/ca`, or makes one that lives in memory alone: for looking at what a
    /// configuration would do, without doing it. `now` is in unix seconds.
    ///
    /// # Errors
    ///
    /// As [`LocalCa::open_or_create`]. Nothing is written.
    pub fn open_or_imagine(directory: &Path, now: u64) -> Result<Self, LocalCaError> {
        if let Some(authority) = Self::open(&directory.join("ca"), now)? {
            return Ok(authority);
        }
        let (key, root, _) = make_root(now)?;
        let issuer = Issuer::from_ca_cert_der(root.der(), key)
            .map_err(|error| LocalCaError::Issue(error.to_string()))?;
        let root_not_after = now.saturating_add(ROOT_SECONDS).min(TIME_MAX);
        Ok(Self { issuer, root_pem: root.pem(), root_not_after })
    }

    /// The root certificate as PEM text, for clients to trust.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The end of the root's life, in unix seconds.
    #[must_use]
    pub fn root_not_after(&self) -> u64 {
        self.root_not_after
    }

    /// Issues a certificate with a new key for `names`, valid for seven days from `now` (unix seconds). It takes about
    /// a tenth of a millisecond.
    ///
    /// # Errors
    ///
    /// When there are no names or more than a hundred, the root expired, or there is no randomness.
    pub fn leaf(&self, names: &[CertificateName], now: u64) -> Result<Leaf, LocalCaError> {
        if names.is_empty() || names.len() > LEAF_NAMES_MAX {
            return Err(LocalCaError::Names { given: names.len() });
        }
        if now >= self.root_not_after {
            return Err(LocalCaError::Issue("the local authority expired".to_owned()));
        }
        let issue = |error: rcgen::Error| LocalCaError::Issue(error.to_string());
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(issue)?;
        let not_after = now.saturating_add(LEAF_SECONDS).min(self.root_not_after);
        let mut params = CertificateParams::default();
        set_life(&mut params, now.saturating_sub(SKEW_SECONDS), not_after);
        params.distinguished_name = common_name("Doorman local certificate");
        params.subject_alt_names =
            names.iter().map(subject).collect::<Result<_, _>>().map_err(issue)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(issue)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certified =
            CertifiedKey::from_der(vec![certificate.der().clone()], private, &super::provider())
                .map_err(|error| LocalCaError::Issue(error.to_string()))?;
        let renew = now.saturating_add(not_after.saturating_sub(now) / 3 * 2);
        Ok(Leaf { certified: Arc::new(certified), issued: now, renew, not_after })
    }

    /// `None` when there is neither certificate nor key.
    fn open(home: &Path, now: u64) -> Result<Option<Self>, LocalCaError> {
        let (certificate, key) = (home.join("root.pem"), home.join("root.key"));
        let (certificate_bytes, key_bytes) = match (read(&certificate)?, read(&key)?) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(LocalCaError::Incomplete { missing: certificate }),
            (Some(_), None) => return Err(LocalCaError::Incomplete { missing: key }),
            (Some(certificate_bytes), Some(key_bytes)) => (certificate_bytes, key_bytes),
        };
        check_mode(&key)?;
        let blame = |file: &Path, reason: LoadReason| {
            LocalCaError::File(LoadError { file: file.to_owned(), reason })
        };
        let key_pair = str::from_utf8(&key_bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| KeyPair::from_pem(text).map_err(|error| error.to_string()))
            .map_err(|reason| blame(&key, LoadReason::UnsupportedKey(reason)))?;
        let roots = read_certificates(PemFile { path: &certificate, bytes: &certificate_bytes })?;
        let bad = |reason| blame(&certificate, LoadReason::BadCertificate { index: 0, reason });
        let [root] = roots.as_slice() else {
            return Err(bad("more than one certificate in it".to_owned()));
        };
        let parsed = parse(root).map_err(bad)?;
        if parsed.public_key().raw != key_pair.subject_public_key_info() {
            return Err(blame(&key, LoadReason::KeyMismatch));
        }
        if !parsed.is_ca() {
            return Err(bad("it is not the certificate of an authority".to_owned()));
        }
        let root_not_after = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        if now >= root_not_after {
            return Err(LocalCaError::Expired { file: certificate, not_after: root_not_after });
        }
        let issuer =
            Issuer::from_ca_cert_der(root, key_pair).map_err(|error| bad(error.to_string()))?;
        // Valid UTF-8, or no certificate would have been found.
        let root_pem = String::from_utf8_lossy(&certificate_bytes).into_owned();
        Ok(Some(Self { issuer, root_pem, root_not_after }))
    }
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCa")
            .field("root_not_after", &self.root_not_after)
            .finish_non_exhaustive()
    }
}

/// What a store of authorities calls a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFacts {
    /// Its common name.
    pub name: String,
    /// The front of the SHA-256 of the certificate, hexadecimal.
    pub tag: String,
}

/// The facts of a root in PEM text.
///
/// # Errors
///
/// When there is not exactly one certificate in it, or it does not parse.
pub fn root_facts(path: &Path, pem: &[u8]) -> Result<RootFacts, LoadError> {
    let bad = |reason: &str| LoadError {
        file: path.to_owned(),
        reason: LoadReason::BadCertificate { index: 0, reason: reason.to_owned() },
    };
    let roots = read_certificates(PemFile { path, bytes: pem })?;
    let [root] = roots.as_slice() else {
        return Err(bad("more than one certificate in it"));
    };
    let parsed = parse(root).map_err(|reason| bad(&reason))?;
    let name = parsed.subject().iter_common_name().next();
    let name = name.and_then(|name| name.as_str().ok()).ok_or_else(|| bad("it has no name"))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, root);
    let tag = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(RootFacts { name: name.to_owned(), tag })
}

/// The file's bytes, or `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LocalCaError> {
    match read_pem(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LoadError { reason: LoadReason::Missing, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_mode(key: &Path) -> Result<(), LocalCaError> {
    let metadata = fs::metadata(key).map_err(|error| LocalCaError::io(key, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(LocalCaError::KeyOpenToOthers { file: key.to_owned(), mode })
}

/// A new root with its key, and the tag in its name.
fn make_root(now: u64) -> Result<(KeyPair, rcgen::Certificate, String), LocalCaError> {
    let issue = |error: rcgen::Error| LocalCaError::Issue(error.to_string());
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(issue)?;
    let mut tag = [0; 8];
    aws_lc_rs::rand::fill(&mut tag)
        .map_err(|_| LocalCaError::Issue("no random bytes".to_owned()))?;
    let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    set_life(&mut params, now.saturating_sub(SKEW_SECONDS), now.saturating_add(ROOT_SECONDS));
    // The tag keeps two machines' roots apart in a list of trusted authorities.
    params.distinguished_name = common_name(&format!("Doorman local authority {}", &tag[..8]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = params.self_signed(&key).map_err(issue)?;
    Ok((key, root, tag))
}

/// Makes a root and puts both its files in place with one rename.
fn create(directory: &Path, home: &Path, now: u64) -> Result<(), LocalCaError> {
    let (key, root, tag) = make_root(now)?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| LocalCaError::io(&path, &error)
    };
    let mut private = DirBuilder::new();
    private.mode(0o700);
    private.recursive(true).create(directory).map_err(at(directory))?;
    let staging = directory.join(format!(".ca-{tag}"));
    private.recursive(false).create(&staging).map_err(at(&staging))?;
    let placed = write(&staging.join("root.key"), key.serialize_pem().as_bytes(), 0o600)
        .and_then(|()| write(&staging.join("root.pem"), root.pem().as_bytes(), 0o644))
        .and_then(|()| sync(&staging))
        // Fails when `home` exists and is not empty, so nothing is ever replaced.
        .and_then(|()| fs::rename(&staging, home).map_err(at(home)))
        .and_then(|()| sync(directory));
    if placed.is_err() {
        // Best effort: what is left over is a key that signed nothing.
        let _ = fs::remove_dir_all(&staging);
    }
    match placed {
        // Another process made its authority meanwhile; the caller opens that one.
        Err(_) if home.join("root.pem").exists() => Ok(()),
        placed => placed,
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LocalCaError> {
    let failed = |error: io::Error| LocalCaError::io(path, &error);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn sync(directory: &Path) -> Result<(), LocalCaError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| LocalCaError::io(directory, &error))
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn subject(name: &CertificateName) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        CertificateName::Address(address) => SanType::IpAddress(*address),
        host => SanType::DnsName(host.to_string().try_into()?),
    })
}

/// Sets a certificate's life, in unix seconds. The type of the fields belongs to a crate that nothing else here
/// needs, so it is reached through rcgen's own constructor.
fn set_life(params: &mut CertificateParams, first: u64, last: u64) {
    let date =
        |second: u64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.min(TIME_MAX));
    params.not_before = date(first);
    params.not_after = date(last);
}

/// Why there is no local authority, or no certificate of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalCaError {
    /// A file of the authority is damaged or cannot be read.
    File(LoadError),
    /// The operating system refused to make or write something.
    Write {
        /// The culprit.
        file: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// One of the two files is there, the other is not.
    Incomplete {
        /// The one that is not.
        missing: PathBuf,
    },
    /// Others than the owner may read or write the key.
    KeyOpenToOthers {
        /// The key.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The life of the root is over.
    Expired {
        /// The root.
        file: PathBuf,
        /// When it ended, in unix seconds.
        not_after: u64,
    },
    /// A certificate cannot be made for so many names, or for none.
    Names {
        /// How many were given.
        given: usize,
    },
    /// A certificate could not be made.
    Issue(String),
}

impl LocalCaError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self::Write { file: path.to_owned(), reason: error.to_string() }
    }
}

impl From<LoadError> for LocalCaError {
    fn from(error: LoadError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for LocalCaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "{error}"),
            Self::Write { file, reason } => write!(f, "{}: {reason}", file.display()),
            Self::Incomplete { missing } => write!(
                f,
                "{}: missing, while the other file of the local authority exists; restore it, or move the other \
                 one away to make a new authority",
                missing.display()
            ),
            Self::KeyOpenToOthers { file, mode } => write!(
                f,
                "{}: others can get at the key of the local authority (mode {mode:03o}); chmod 600 it",
                file.display()
            ),
            Self::Expired { file, not_after } => write!(
                f,
                "{}: the local authority expired at unix time {not_after}; move its directory away to make a new one",
                file.display()
            ),
            Self::Names { given } => {
                write!(f, "a certificate holds 1 to {LEAF_NAMES_MAX} names, not {given}")
            }
            Self::Issue(reason) => write!(f, "no certificate could be made: {reason}"),
        }
    }
}

impl std::error::Error for LocalCaError {}
