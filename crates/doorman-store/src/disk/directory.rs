//! The directory of a store: who may use it, what in it is ours, what it is called.
//!
//! Everything is opened relative to directories that are held open, and no link is followed on any
//! step. Names that are not of our pattern are never opened, renamed or removed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::format::{Cut, Secret, VERSION};

/// Bit of a file's number that says that it is a large file.
pub(super) const LARGE: u64 = 1 << 63;
/// Large files are spread over this many directories.
const FANS: u64 = 256;
/// First word of the file `format`.
const TITLE: &str = "doorman-cache";

/// A file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Segment(u64),
    /// Without the bit [`LARGE`].
    Large(u64),
}

impl Name {
    pub(super) const fn of(file: u64) -> Self {
        if file & LARGE == 0 { Self::Segment(file) } else { Self::Large(file & !LARGE) }
    }

    pub(super) const fn file(self) -> u64 {
        match self {
            Self::Segment(id) => id,
            Self::Large(id) => id | LARGE,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Segment(id) => format!("{id:016x}.seg"),
            Self::Large(id) => format!("{:02x}/{id:016x}.obj", id % FANS),
        }
    }

    /// For people: the path below the store's directory.
    pub(super) fn path(self) -> String {
        match self {
            Self::Segment(_) => format!("segments/{}", self.text()),
            Self::Large(_) => format!("large/{}", self.text()),
        }
    }
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// Another process works in it.
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The number of that process, if it could be read.
        process: Option<u32>,
    },
    /// It holds files and is no store: it may be somebody else's.
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// A name that was found in it.
        found: String,
    },
    /// It belongs to another user.
    Owner {
        /// The directory.
        directory: PathBuf,
        /// The user it belongs to.
        user: u32,
    },
    /// The system said no.
    System {
        /// What was tried, with the path.
        action: String,
        /// What the system said.
        error: io::Error,
    },
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse { directory, process: Some(process) } => {
                write!(f, "{} is in use by process {process}", directory.display())
            }
            Self::InUse { directory, process: None } => {
                write!(f, "{} is in use by another process", directory.display())
            }
            Self::Foreign { directory, found } => write!(
                f,
                "{} holds {found:?} and is no store of doorman: name a directory of its own",
                directory.display()
            ),
            Self::Owner { directory, user } => {
                write!(f, "{} belongs to user {user}, not to this process", directory.display())
            }
            Self::System { action, error } => write!(f, "{action}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// A store's directory, locked for this process.
pub(super) struct Directory {
    path: PathBuf,
    segments: OwnedFd,
    large: OwnedFd,
    /// Held as long as the store is open.
    lock: File,
    pub(super) secret: Secret,
    /// What was there before and is not any more, in words.
    pub(super) note: Option<String>,
}

impl Drop for Directory {
    /// Closing the file is not enough: a child that is being started at this moment has it too.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// What `format` said.
enum Format {
    Ours(Secret),
    Missing,
    /// Another version, or damaged.
    Unknown(String),
}

impl Directory {
    /// Opens or makes the directory, takes its lock, and reads its format.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |action: &str| {
            let action = format!("{action} {}", path.display());
            move |error: Errno| OpenError::System { action, error: error.into() }
        };
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make the directory")(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(failed("open the directory without following links"))?;
        let stat = rustix::fs::fstat(&root).map_err(failed("look at"))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Owner { directory: path.to_owned(), user: stat.st_uid });
        }
        if let Some(found) = foreign(&root).map_err(failed("list"))? {
            return Err(OpenError::Foreign { directory: path.to_owned(), found });
        }
        if stat.st_mode & 0o077 != 0 {
            rustix::fs::fchmod(&root, Mode::RWXU).map_err(failed("close to others"))?;
        }
        let lock = lock(&root, path)?;
        let read = read_format(&root).map_err(failed("read the format of"))?;
        let segments = folder(&root, "segments").map_err(failed("make segments in"))?;
        let large = folder(&root, "large").map_err(failed("make large in"))?;
        let secret = match &read {
            Format::Ours(secret) => *secret,
            Format::Missing | Format::Unknown(_) => fresh_secret(),
        };
        let mut directory =
            Self { path: path.to_owned(), segments, large, lock, secret, note: None };
        if !matches!(read, Format::Ours(_)) {
            let removed = directory.clear().map_err(failed("remove old files in"))?;
            if let Format::Unknown(what) = read {
                let path = path.display();
                directory.note =
                    Some(format!("{path} held {what}: {removed} files of it were removed"));
            }
            write_format(&root, secret).map_err(failed("write the format of"))?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file of ours; never a link, and never anything but a file.
    pub(super) fn file(&self, name: Name, flags: OFlags) -> io::Result<File> {
        // NONBLOCK: a pipe of our name must not hold us up.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let base = match name {
            Name::Segment(_) => &self.segments,
            Name::Large(id) => {
                if flags.contains(OFlags::CREATE) {
                    let fan = format!("{:02x}", id % FANS);
                    match rustix::fs::mkdirat(&self.large, fan, Mode::RWXU) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                &self.fan(id % FANS)?
            }
        };
        let text = name.text();
        let leaf = text.rsplit('/').next().unwrap_or(&text);
        let file: File = rustix::fs::openat(base, leaf, flags, Mode::RUSR | Mode::WUSR)?.into();
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("this is no file"));
        }
        Ok(file)
    }

    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        let text = name.text();
        let leaf = text.rsplit('/').next().unwrap_or(&text);
        let removed = match name {
            Name::Segment(_) => rustix::fs::unlinkat(&self.segments, leaf, AtFlags::empty()),
            Name::Large(id) => rustix::fs::unlinkat(self.fan(id % FANS)?, leaf, AtFlags::empty()),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Numbers of the segments, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut found = names(self.segments.as_fd(), ".seg")?;
        found.sort_unstable();
        Ok(found)
    }

    /// Numbers of the large files, in order.
    pub(super) fn large_files(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for fan in fans(&self.large)? {
            match self.fan(fan) {
                Ok(folder) => found.extend(
                    names(folder.as_fd(), ".obj")?.into_iter().filter(|id| id % FANS == fan),
                ),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn fan(&self, fan: u64) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.large, format!("{fan:02x}"), flags, Mode::empty())?)
    }

    /// Removes every file of our names; how many there were.
    fn clear(&self) -> Result<usize, Errno> {
        let mut removed = 0;
        let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let segments = self.segments().map_err(errno)?.into_iter().map(Name::Segment);
        let large = self.large_files().map_err(errno)?.into_iter().map(Name::Large);
        for name in segments.chain(large).collect::<Vec<_>>() {
            self.remove(name).map_err(errno)?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// A name that is not ours in a directory that is no store.
fn foreign(root: &OwnedFd) -> Result<Option<String>, Errno> {
    let mut found = None;
    for entry in Dir::read_from(root)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"format" => return Ok(None),
            // The root of a file system has this.
            b"." | b".." | b"lost+found" | b"lock" | b"format.new" | b"segments" | b"large" => {}
            name => found = Some(String::from_utf8_lossy(name).into_owned()),
        }
    }
    Ok(found)
}

/// A directory below ours, made if it is missing.
fn folder(root: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(root, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(root, name, flags, Mode::empty())
}

/// Takes the lock, and leaves the number of this process for whoever meets it.
fn lock(root: &OwnedFd, path: &Path) -> Result<File, OpenError> {
    let failed =
        |error: io::Error| OpenError::System { action: format!("lock {}", path.display()), error };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file: File = rustix::fs::openat(root, "lock", flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| failed(error.into()))?
        .into();
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&mut file).take(16).read_to_string(&mut text);
            let process = text.trim().parse().ok();
            return Err(OpenError::InUse { directory: path.to_owned(), process });
        }
        Err(error) => return Err(failed(error.into())),
    }
    // A full disk must not keep the store from being read.
    let _ = file.set_len(0);
    let _ = writeln!(file, "{}", rustix::process::getpid().as_raw_nonzero());
    Ok(file)
}

fn fresh_secret() -> Secret {
    let mut bytes = [0; 16];
    // On Linux this fails only before the system has gathered any randomness at all; the process
    // number then still tells stores apart.
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
        let process = rustix::process::getpid().as_raw_nonzero().get();
        bytes[..4].copy_from_slice(&process.to_le_bytes());
    }
    let mut cut = Cut(&bytes);
    Secret([cut.u64().unwrap_or_default(), cut.u64().unwrap_or_default()])
}

fn read_format(root: &OwnedFd) -> Result<Format, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file: File = match rustix::fs::openat(root, "format", flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::NOENT) => return Ok(Format::Missing),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    if file.take(256).read_to_string(&mut text).is_err() {
        return Ok(Format::Unknown("a store with a damaged format file".to_owned()));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words.as_slice() {
        [TITLE, version, first, second, check]
            if *version == VERSION.to_string()
                && *check
                    == format!(
                        "{:08x}",
                        crc32fast::hash(format_line(first, second).as_bytes())
                    ) =>
        {
            match (u64::from_str_radix(first, 16), u64::from_str_radix(second, 16)) {
                (Ok(first), Ok(second)) => Format::Ours(Secret([first, second])),
                _ => Format::Unknown("a store with a damaged format file".to_owned()),
            }
        }
        [TITLE, version, ..] if *version != VERSION.to_string() => {
            let shown: String = version.chars().take(16).collect();
            Format::Unknown(format!("a store of version {shown:?}, and this is version {VERSION}"))
        }
        _ => Format::Unknown("a store with a damaged format file".to_owned()),
    })
}

fn format_line(first: &str, second: &str) -> String {
    format!("{TITLE} {VERSION} {first} {second}")
}

/// Written beside and moved into place: a format is there as a whole or not at all.
fn write_format(root: &OwnedFd, secret: Secret) -> Result<(), Errno> {
    let line = format_line(&format!("{:016x}", secret.0[0]), &format!("{:016x}", secret.0[1]));
    let text = format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()));
    match rustix::fs::unlinkat(root, "format.new", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file: File =
        rustix::fs::openat(root, "format.new", flags, Mode::RUSR | Mode::WUSR)?.into();
    file.write_all(text.as_bytes())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::fs::renameat(root, "format.new", root, "format")
}

/// Whether a name is taken by something that is not ours: a link, or what is no directory.
pub(super) fn is_taken(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::EXIST | Errno::LOOP | Errno::NOTDIR))
}

/// The directories below `large` that are there: names of two hexadecimal digits.
fn fans(large: impl AsFd) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(large)? {
        let entry = entry?;
        let digits = entry.file_name().to_str().ok().filter(|name| is_hexadecimal(name, 2));
        found.extend(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
    }
    Ok(found)
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(is_digit)
}

/// Numbers of the files in a folder whose names are sixteen hexadecimal digits and `ending`.
fn names(folder: impl AsFd, ending: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let is_file = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
        let digits = name.strip_suffix(ending).filter(|digits| is_hexadecimal(digits, 16));
        let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        found.extend(id.filter(|id| is_file && id & LARGE == 0));
    }
    Ok(found)
}
