//! What the disk tier asks of the operating system that can fail for want of space or health.
//!
//! It is a trait so that tests can make a disk full, slow or broken at any call.

use std::fs::File;
use std::io::{self, IoSlice};

use rustix::fs::OFlags;

use super::directory::{Directory, Name};

/// Files of a directory, as the writer uses them.
pub(super) trait Device: Send + Sync {
    /// Makes a file that is not there yet.
    fn create(&self, directory: &Directory, name: Name) -> io::Result<File> {
        directory.file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// Writes as much as the system takes.
    fn write(&self, file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, parts, offset)?)
    }

    /// Cuts a file.
    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    /// Takes a name away; that it was not there is fine.
    fn remove(&self, directory: &Directory, name: Name) -> io::Result<()> {
        directory.remove(name)
    }
}

/// The operating system itself.
pub(super) struct System;

impl Device for System {}

/// Pieces in one call; the system takes no more (IOV_MAX).
const PIECES_MAX: usize = 1024;

/// Writes all of `parts`, in one call if the system takes it so.
pub(super) fn write_all(
    device: &dyn Device,
    file: &File,
    parts: &[&[u8]],
    mut offset: u64,
) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let now = rest.len().min(PIECES_MAX);
        match device.write(file, &rest[..now], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut rest, written);
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
