//! Overrides on disk: `DATA/overrides.json`, 0600, written in one step at every change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Book, Override};
use crate::whole;

/// Bytes of the file that is read back: [`super::OVERRIDES_MAX`] of them with long names and reasons.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The place of overrides.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The place below a data folder. Nothing is made before there is an override.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { path: data.join("overrides.json") }
    }

    /// What was kept. A file that cannot be read is put out of the way, so that the next change does not destroy it.
    ///
    /// # Errors
    /// Why there are none although there is a file.
    pub fn read(&self) -> Result<Book, String> {
        let fail = |why: String| format!("{}: {why}", self.path.display());
        let facts = match fs::metadata(&self.path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
            Err(error) => return Err(fail(error.to_string())),
        };
        let read = if facts.len() > FILE_BYTES_MAX {
            Err(format!("larger than {FILE_BYTES_MAX} bytes"))
        } else {
            fs::read(&self.path).map_err(|error| error.to_string()).and_then(|bytes| {
                serde_json::from_slice::<Vec<Override>>(&bytes).map_err(|error| error.to_string())
            })
        };
        read.map(Book::sound).map_err(|why| {
            let aside = self.path.with_added_extension("damaged");
            match fs::rename(&self.path, &aside) {
                Ok(()) => fail(format!("{why}; it is kept as {}", aside.display())),
                Err(_) => fail(why),
            }
        })
    }

    /// Keeps these.
    ///
    /// # Errors
    /// The disk does not take them.
    pub fn write(&self, book: &Book) -> io::Result<()> {
        if book.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let mut text = serde_json::to_vec_pretty(book).map_err(io::Error::other)?;
        text.push(b'\n');
        whole::write(&self.path, &text)
    }
}
