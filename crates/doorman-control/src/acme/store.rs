//! What automatic certificates leave on disk.
//!
//! ```text
//! DATA/acme/                     0700
//!   lock                         held by the one process that orders; it ends with the process, however that ends
//!   accounts/HOST-HASH.json      0600, the account's key and URL at an authority
//!   certificates/NAME.pem        0600, chain and key in one file, so that they can never be of two certificates
//!   certificates/NAME.json       0600, who issued it
//!   orders/NAME.json             0600, an order under way and the key that it is for
//! ```
//!
//! In a file's name `+` stands for the `*` of a wildcard. A file is written beside its place, synced, and renamed into
//! it: what is read is whole, whatever happens in between.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_net::tls::{Certificate, CertificateName, PemFile};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::whole;

/// Bytes of a file that is read back; ours have a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The folder of automatic certificates.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// The right to order, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What is known of a certificate besides itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The directory of the authority that issued it.
    pub issuer: String,
    /// When it was obtained, unix seconds.
    pub obtained: u64,
    /// Whether it was obtained because a client asked for the name.
    #[serde(default)]
    pub on_demand: bool,
}

/// An order under way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The directory of the authority.
    pub(super) issuer: String,
    /// The order's URL.
    pub(super) url: String,
    /// The certificate's key, PEM.
    pub(super) key: String,
}

impl Store {
    /// The store below a data folder. Nothing is made before something is written.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { folder: data.join("acme") }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the right to order; `None` while another process has it.
    ///
    /// # Errors
    ///
    /// When the lock's file cannot be made.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        whole::private_folder(&self.folder)?;
        let path = self.folder.join("lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The certificate of a name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What is wrong with the one that is there.
    pub fn certificate(&self, name: &CertificateName) -> Result<Option<Stored>, String> {
        let path = self.path("certificates", name, "pem");
        match fs::exists(&path) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
        let certificate = Certificate::load(&path, &path).map_err(|error| error.to_string())?;
        let covered = certificate.facts().names.iter().any(|own| own.covers(name));
        if !covered {
            return Err(format!("{}: it is not valid for {name}", path.display()));
        }
        let origin = self.read(&self.path("certificates", name, "json")).unwrap_or_default();
        Ok(Some(Stored { certificate: Arc::new(certificate), origin }))
    }

    /// Takes a certificate over that somebody else obtained, for a name that it is valid for.
    ///
    /// # Errors
    ///
    /// When it is not valid for the name, cannot be used, or cannot be written.
    pub fn import(&self, name: &CertificateName, pem: &str, now: u64) -> Result<(), String> {
        let file = PemFile { path: Path::new("what is imported"), bytes: pem.as_bytes() };
        let certificate = Certificate::from_pem(file, file).map_err(|error| error.to_string())?;
        if !certificate.facts().names.iter().any(|own| own.covers(name)) {
            return Err(format!("it is not valid for {name}"));
        }
        let origin = Origin { obtained: now, ..Origin::default() };
        self.keep(name, pem, &origin).map_err(|error| error.to_string())
    }

    /// The chain and key of a name as they are on disk.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub fn export(&self, name: &CertificateName) -> Result<String, String> {
        let path = self.path("certificates", name, "pem");
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Keeps the certificate of a name. `pem` holds its chain and its key.
    pub(super) fn keep(
        &self,
        name: &CertificateName,
        pem: &str,
        origin: &Origin,
    ) -> io::Result<()> {
        // Who issued it may be lost, the certificate may not: so it comes last.
        self.write_json(&self.path("certificates", name, "json"), origin)?;
        self.write(&self.path("certificates", name, "pem"), pem.as_bytes())
    }

    /// The names whose certificates are here because clients asked for them, at most so many.
    pub(super) fn demanded(&self, most: usize) -> Vec<CertificateName> {
        let entries = fs::read_dir(self.folder.join("certificates")).into_iter().flatten();
        let names = entries.flatten().filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let origin: Origin = self.read(&path)?;
            CertificateName::parse(&name).ok().filter(|_| origin.on_demand)
        });
        names.take(most).collect()
    }

    /// Removes what crashes have left beside files.
    pub(super) fn tidy(&self) {
        for folder in ["accounts", "certificates", "orders"] {
            let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
            for entry in entries {
                if entry.path().extension().is_some_and(|kind| kind == "new") {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    pub(super) fn pending(&self, name: &CertificateName) -> Option<Pending> {
        self.read(&self.path("orders", name, "json"))
    }

    pub(super) fn set_pending(&self, name: &CertificateName, pending: &Pending) -> io::Result<()> {
        self.write_json(&self.path("orders", name, "json"), pending)
    }

    pub(super) fn forget_pending(&self, name: &CertificateName) {
        // One that stays is looked at, found finished, and removed then.
        let _ = fs::remove_file(self.path("orders", name, "json"));
    }

    pub(super) fn account<T: DeserializeOwned>(&self, issuer: &str) -> Option<T> {
        self.read(&self.account_path(issuer))
    }

    pub(super) fn keep_account(&self, issuer: &str, account: &impl Serialize) -> io::Result<()> {
        self.write_json(&self.account_path(issuer), account)
    }

    /// Puts an account out of the way that the authority does not know.
    pub(super) fn forget_account(&self, issuer: &str) {
        let path = self.account_path(issuer);
        let _ = fs::rename(&path, path.with_extension("json.unknown"));
    }

    fn path(&self, folder: &str, name: &CertificateName, kind: &str) -> PathBuf {
        let name = name.to_string().replace('*', "+");
        self.folder.join(folder).join(format!("{name}.{kind}"))
    }

    /// The host for people, a hash over the whole for certainty.
    fn account_path(&self, issuer: &str) -> PathBuf {
        let host = issuer.strip_prefix("https://").unwrap_or(issuer);
        let host = host.split(['/', ':', '?']).next().unwrap_or_default();
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let mut file: String = host.chars().filter(plain).take(100).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, issuer.as_bytes());
        file.push('-');
        for byte in digest.as_ref().iter().take(4) {
            let _ = write!(file, "{byte:02x}");
        }
        self.folder.join("accounts").join(file + ".json")
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let facts = fs::metadata(path).ok()?;
        if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn write_json(&self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
        text.push(b'\n');
        self.write(path, &text)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(path.starts_with(&self.folder), "a file of the store");
        whole::write(path, bytes)
    }
}

/// A certificate that was read back.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The certificate with its key.
    pub certificate: Arc<Certificate>,
    /// Where it came from.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        (folder, store)
    }

    fn name(text: &str) -> CertificateName {
        CertificateName::parse(text).unwrap()
    }

    fn pem(host: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
    }

    #[test]
    fn a_certificate_is_kept_privately_and_read_back() {
        let (_folder, store) = store();
        for host in ["a.test", "*.b.test"] {
            let name = name(host);
            assert!(store.certificate(&name).unwrap().is_none());
            let origin = Origin {
                issuer: "https://ca.test/dir".to_owned(),
                obtained: 7,
                on_demand: host == "*.b.test",
            };
            store.keep(&name, &pem(host), &origin).unwrap();
            let read = store.certificate(&name).unwrap().unwrap();
            assert_eq!(read.origin, origin);
            assert_eq!(read.certificate.facts().names, std::slice::from_ref(&name));
            let path = store.path("certificates", &name, "pem");
            assert!(!path.to_string_lossy().contains('*'));
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
            assert_eq!(mode(store.folder()), 0o700);
        }
    }

    #[test]
    fn a_damaged_or_foreign_certificate_is_told_of() {
        let (_folder, store) = store();
        let origin = Origin::default();
        store.keep(&name("a.test"), "rubbish", &origin).unwrap();
        assert!(store.certificate(&name("a.test")).unwrap_err().contains("a.test.pem"));
        store.keep(&name("a.test"), &pem("b.test"), &origin).unwrap();
        assert!(store.certificate(&name("a.test")).unwrap_err().contains("not valid for a.test"));
        // What a crash left beside it does no harm.
        let path = store.path("certificates", &name("a.test"), "pem.1.new");
        fs::write(&path, "half").unwrap();
        store.keep(&name("a.test"), &pem("a.test"), &origin).unwrap();
        store.tidy();
        assert!(store.certificate(&name("a.test")).unwrap().is_some());
        assert!(!path.exists());
    }

    #[test]
    fn what_others_obtained_is_imported() {
        let (_folder, store) = store();
        let foreign = pem("*.a.test");
        assert!(store.import(&name("b.test"), &foreign, 7).unwrap_err().contains("b.test"));
        assert!(store.import(&name("x.a.test"), "rubbish", 7).is_err());
        store.import(&name("x.a.test"), &foreign, 7).unwrap();
        let read = store.certificate(&name("x.a.test")).unwrap().unwrap();
        assert_eq!(read.origin, Origin { obtained: 7, ..Origin::default() });
        assert_eq!(store.export(&name("x.a.test")).unwrap(), foreign);
        assert!(store.export(&name("b.test")).is_err());
    }

    #[test]
    fn what_clients_asked_for_is_found_again() {
        let (_folder, store) = store();
        for (host, on_demand) in [("a.test", true), ("b.test", false)] {
            let origin = Origin { on_demand, ..Origin::default() };
            store.keep(&name(host), &pem(host), &origin).unwrap();
        }
        assert_eq!(store.demanded(9), [name("a.test")]);
        assert!(store.demanded(0).is_empty());
    }

    #[test]
    fn one_process_orders() {
        let (_folder, store) = store();
        let lock = store.lock().unwrap().expect("nobody has it");
        assert!(store.lock().unwrap().is_none());
        drop(lock);
        assert!(store.lock().unwrap().is_some());
    }

    #[test]
    fn orders_and_accounts() {
        let (_folder, store) = store();
        let pending = Pending {
            issuer: "i".to_owned(),
            url: "https://ca.test/order/1".to_owned(),
            key: "k".to_owned(),
        };
        store.set_pending(&name("a.test"), &pending).unwrap();
        assert!(store.pending(&name("a.test")) == Some(pending));
        store.forget_pending(&name("a.test"));
        assert!(store.pending(&name("a.test")).is_none());
        let issuers = ["https://ca.test/a", "https://ca.test/b", "https://ca.test:99/a"];
        for (at, issuer) in issuers.iter().enumerate() {
            store.keep_account(issuer, &at).unwrap();
        }
        for (at, issuer) in issuers.iter().enumerate() {
            assert_eq!(store.account::<usize>(issuer), Some(at));
        }
        store.forget_account(issuers[0]);
        assert_eq!(store.account::<usize>(issuers[0]), None);
    }
}
