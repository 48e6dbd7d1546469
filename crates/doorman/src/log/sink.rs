//! Where the bytes of a log go. Standard output and error are written through descriptors of our
//! own, without a buffer in between, so that what could not be written is known exactly.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use doorman_config::LogTarget;
use rustix::event::{PollFd, PollFlags, poll};

/// Rights of a new log file: it holds addresses of clients.
pub(crate) const MODE: u32 = 0o640;

/// A place to write to.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    torn: bool,
    /// Whether a person looks at it.
    pub(super) is_terminal: bool,
}

impl Sink {
    /// Opens a target; a file is appended to and made if it is missing.
    pub(super) fn open(target: &LogTarget) -> io::Result<Self> {
        let file = match target {
            LogTarget::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            LogTarget::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            LogTarget::File(path) => append(path)?,
        };
        let is_terminal = file.is_terminal();
        Ok(Self { file, torn: false, is_terminal })
    }

    /// Writes whole lines. If that fails, the error comes with the bytes that were not written;
    /// a line that was cut is ended before the next one begins.
    pub(super) fn write<'a>(&mut self, lines: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        if self.torn {
            self.all(b"\n").map_err(|(error, _)| (error, lines))?;
            self.torn = false;
        }
        let result = self.all(lines);
        if let Err((_, rest)) = &result {
            let written = &lines[..lines.len() - rest.len()];
            self.torn = written.last().is_some_and(|&last| last != b'\n');
        }
        result
    }

    fn all<'a>(&mut self, mut bytes: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), bytes)),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the descriptor made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut wait = [PollFd::new(&self.file, PollFlags::OUT)];
                    poll(&mut wait, None).map_err(|error| (error.into(), bytes))?;
                }
                Err(error) => return Err((error, bytes)),
            }
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    match options.create_new(true).mode(MODE).open(path) {
        Ok(file) => {
            // Files of doorman's are closed to all others by its mask; who reads logs has its group.
            file.set_permissions(Permissions::from_mode(MODE))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().append(true).open(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let (mut read, write) = io::pipe().unwrap();
        let write = File::from(std::os::fd::OwnedFd::from(write));
        let mut sink = Sink { file: write, torn: true, is_terminal: false };
        sink.write(b"whole\n").unwrap();
        drop(sink);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "\nwhole\n");
    }

    #[test]
    fn what_was_not_written_is_known() {
        let mut sink = Sink::open(&LogTarget::File("/dev/full".into())).unwrap();
        let (error, rest) = sink.write(b"one\ntwo\n").unwrap_err();
        assert_eq!((error.kind(), rest), (io::ErrorKind::StorageFull, &b"one\ntwo\n"[..]));
        let (read, write) = io::pipe().unwrap();
        drop(read);
        let write = File::from(std::os::fd::OwnedFd::from(write));
        let mut sink = Sink { file: write, torn: false, is_terminal: false };
        let (error, _) = sink.write(b"one\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
