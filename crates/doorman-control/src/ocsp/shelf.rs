//! Answers on disk, so that a restart staples at once.
//!
//! ```text
//! DATA/ocsp/            0700
//!   PRINT.der           0600, the answer about the certificate with this SHA-256
//! ```
//!
//! What is read back is judged as if it had just come, so nobody gains by writing here.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use doorman_net::tls::Certificate;

/// Bytes of a file that is read back.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// How long a file stays that nobody writes any more. Public authorities' answers live ten days at most.
const AGE_MAX: Duration = Duration::from_secs(60 * 24 * 3600);

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Print([u8; 32]);

impl Print {
    pub(super) fn of(certificate: &Certificate) -> Option<Self> {
        let leaf = certificate.certified().cert.first()?;
        digest::digest(&digest::SHA256, leaf).as_ref().try_into().ok().map(Self)
    }
}

/// The folder of answers.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// The folder below a data folder. Nothing is made before something is written.
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: data.join("ocsp") }
    }

    pub(super) fn read(&self, print: &Print) -> Option<Vec<u8>> {
        let file = File::open(self.path(print)).ok()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= FILE_BYTES_MAX).then_some(bytes)
    }

    /// Puts an answer in its place in one step that survives a crash.
    pub(super) fn keep(&self, print: &Print, answer: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(print);
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        let written = file.write_all(answer).and_then(|()| file.sync_all());
        let written = written.and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    pub(super) fn forget(&self, print: &Print) {
        let _ = fs::remove_file(self.path(print));
    }

    /// Removes what certificates that are gone have left.
    pub(super) fn tidy(&self, now: SystemTime) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let written = entry.metadata().and_then(|facts| facts.modified());
            let age = written.ok().and_then(|written| now.duration_since(written).ok());
            if age.is_some_and(|age| age > AGE_MAX) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, print: &Print) -> PathBuf {
        let mut name = String::with_capacity(68);
        for byte in print.0 {
            let _ = write!(name, "{byte:02x}");
        }
        self.folder.join(name + ".der")
    }
}
