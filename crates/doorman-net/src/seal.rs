//! Seals on what clients keep for us: one key, made once and kept on the disk, so that a cookie is
//! good after a restart, over reloads, and on every machine that was given the same file.
//!
//! The key is not changed by itself. What it seals tells which server is whose, and no more: no use
//! of it wears it out, and a change would tear every client from its server at once. To change it,
//! remove the file and restart.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

/// Bytes of the key, as long as what HMAC-SHA-256 makes of it (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// The file in the data folder.
const FILE: &str = "sticky.key";

/// What others than the owner may do with the file: nothing.
const OPEN: u32 = 0o077;

/// The key of seals.
pub struct SealKey(hmac::Key);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// Why there is no key.
#[derive(Debug)]
pub enum SealKeyError {
    /// The file cannot be read or written.
    File(PathBuf, io::Error),
    /// It holds something else than a key.
    Damaged(PathBuf),
    /// Others can read it, or write it.
    Open(PathBuf),
    /// The operating system gave no random bytes.
    Randomness,
}

impl fmt::Display for SealKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => {
                write!(f, "the key of sticky cookies, {}: {error}", path.display())
            }
            Self::Damaged(path) => {
                let path = path.display();
                write!(f, "{path} is not a key of sticky cookies ({KEY_BYTES} bytes): remove it")
            }
            Self::Open(path) => {
                write!(f, "others can get at {}: chmod 600 it", path.display())
            }
            Self::Randomness => f.write_str("no random bytes for a key"),
        }
    }
}

impl std::error::Error for SealKeyError {}

impl SealKey {
    /// Opens the key in that folder, or makes it there when there is none.
    ///
    /// # Errors
    /// It cannot be read or made, or is none. Nothing that exists is changed.
    pub fn open_or_create(folder: &Path) -> Result<Self, SealKeyError> {
        let path = folder.join(FILE);
        if let Some(key) = open(&path)? {
            return Ok(key);
        }
        let create = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            write(folder, &path, &random().map_err(|_| io::Error::other("no random bytes"))?)
        };
        create().map_err(|error| SealKeyError::File(path.clone(), error))?;
        // Another process may have been first: what counts is what is on the disk.
        open(&path)?.ok_or_else(|| SealKeyError::File(path, ErrorKind::NotFound.into()))
    }

    /// Opens the key in that folder, or makes one that nobody keeps: for looking at a configuration.
    ///
    /// # Errors
    /// As [`SealKey::open_or_create`].
    pub fn open_or_imagine(folder: &Path) -> Result<Self, SealKeyError> {
        match open(&folder.join(FILE))? {
            Some(key) => Ok(key),
            None => Ok(Self::new(&random()?)),
        }
    }

    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The seal over these parts, as long as asked for. Parts that are cut elsewhere are others.
    #[must_use]
    pub fn seal<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= KEY_BYTES, "a seal is a part of a SHA-256") };
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let mut seal = [0; N];
        seal.copy_from_slice(&tag.as_ref()[..N]);
        seal
    }

    /// Whether that is the seal over these parts. It takes as long whatever the answer is.
    #[must_use]
    pub fn is_seal<const N: usize>(&self, parts: &[&[u8]], seal: &[u8; N]) -> bool {
        verify_slices_are_equal(&self.seal::<N>(parts), seal).is_ok()
    }
}

/// Random words for a secret that lasts as long as the process.
///
/// # Errors
/// [`SealKeyError::Randomness`] if the operating system gives none.
pub fn secret_words() -> Result<[u64; 2], SealKeyError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealKeyError::Randomness)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])])
}

fn random() -> Result<[u8; KEY_BYTES], SealKeyError> {
    let mut bytes = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealKeyError::Randomness)?;
    Ok(bytes)
}

fn open(path: &Path) -> Result<Option<SealKey>, SealKeyError> {
    let fault = |error| SealKeyError::File(path.to_owned(), error);
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(fault)?,
    };
    if file.metadata().map_err(fault)?.permissions().mode() & OPEN != 0 {
        return Err(SealKeyError::Open(path.to_owned()));
    }
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fault)?;
    match <&[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Ok(Some(SealKey::new(bytes))),
        Err(_) => Err(SealKeyError::Damaged(path.to_owned())),
    }
}

/// Writes a key beside its place and links it there, so that nobody ever reads a half, and who comes
/// second finds the first one's.
fn write(folder: &Path, path: &Path, bytes: &[u8; KEY_BYTES]) -> io::Result<()> {
    let staged = folder.join(format!(".{FILE}.{}", std::process::id()));
    let _ = fs::remove_file(&staged);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    let linked = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        match fs::hard_link(&staged, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    });
    let _ = fs::remove_file(&staged);
    linked?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a test's own, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("doorman-seal-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_key_is_kept_and_seals_the_same() {
        let folder = Folder::new("kept");
        let data = folder.0.join("data");
        let first = SealKey::open_or_create(&data).unwrap();
        let seal: [u8; 16] = first.seal(&[b"web", b"dm"]);
        assert_eq!(fs::metadata(data.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing else is left there");
        let again = SealKey::open_or_create(&data).unwrap();
        assert_eq!(again.seal::<16>(&[b"web", b"dm"]), seal);
        assert!(again.is_seal(&[b"web", b"dm"], &seal));
        assert!(!again.is_seal(&[b"we", b"bdm"], &seal), "parts are told apart");
        let mut other = seal;
        other[15] ^= 1;
        assert!(!again.is_seal(&[b"web", b"dm"], &other));
    }

    #[test]
    fn looking_writes_nothing() {
        let folder = Folder::new("looking");
        let imagined = SealKey::open_or_imagine(&folder.0).unwrap();
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
        let made = SealKey::open_or_create(&folder.0).unwrap();
        assert_ne!(imagined.seal::<16>(&[b"a"]), made.seal::<16>(&[b"a"]));
        let looked = SealKey::open_or_imagine(&folder.0).unwrap();
        assert_eq!(looked.seal::<16>(&[b"a"]), made.seal::<16>(&[b"a"]));
    }

    #[test]
    fn what_is_no_key_or_nobodys_secret_is_refused() {
        let folder = Folder::new("wrong");
        let path = folder.0.join(FILE);
        let put = |bytes: &[u8], mode| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            SealKey::open_or_create(&folder.0).map(drop)
        };
        assert!(matches!(put(&[1; 31], 0o600), Err(SealKeyError::Damaged(_))));
        assert!(matches!(put(&[1; 33], 0o600), Err(SealKeyError::Damaged(_))));
        assert!(matches!(put(&[1; 32], 0o640), Err(SealKeyError::Open(_))));
        assert!(put(&[1; 32], 0o600).is_ok());
    }
}
