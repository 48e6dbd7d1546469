//! What plans are made of that stands in files: certificates with their keys, authorities, lists, databases, users.
//!
//! A file that has not changed is not read again, and what it became is shared by all plans, so that a renewal among
//! ten thousand certificates reads one. And where files are taken over while the proxy runs, one that is broken leaves
//! what was made of its predecessor in force: no name goes down for another name's file, or for its own.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::Ground;
use super::compile::Faults;

/// What becomes of a file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is an error.
    Refused,
    /// What was made of its predecessor stays, if there was one.
    Outlived,
}

/// What was made of files, by what it is and which files they are.
pub(super) type Materials = HashMap<(String, Vec<PathBuf>), Held>;

/// Something that was made of files.
pub(super) struct Held {
    prints: Vec<Option<Print>>,
    made: Arc<dyn Any + Send + Sync>,
    /// Whether the plan that is being made uses it.
    used: bool,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Print {
    fn of(file: &Path) -> Option<Self> {
        let facts = std::fs::metadata(file).ok()?;
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.len(),
            written: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

impl Ground {
    /// What `make` makes of these files, or made of them before if they have not changed since.
    pub(super) fn material<T: Send + Sync + 'static, E: Display>(
        &self,
        kind: &str,
        files: &[&Path],
        faults: &mut Faults,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let key = (kind.to_owned(), files.iter().map(|file| (*file).to_owned()).collect());
        // Looked at first: a change while they are read is then found the next time.
        let prints: Vec<_> = files.iter().map(|file| Print::of(file)).collect();
        let mut materials = self.materials.lock().unwrap_or_else(PoisonError::into_inner);
        let held = materials.get_mut(&key).and_then(|held| {
            held.used = true;
            let made = Arc::clone(&held.made).downcast::<T>().ok()?;
            Some((held.prints == prints && !prints.contains(&None), made))
        });
        if let Some((true, made)) = held {
            return Ok(made);
        }
        match (make(), held) {
            (Ok(made), _) => {
                let made = Arc::new(made);
                let kept = Arc::clone(&made) as Arc<dyn Any + Send + Sync>;
                materials.insert(key, Held { prints, made: kept, used: true });
                faults.remade += 1;
                Ok(made)
            }
            (Err(error), Some((_, made))) if faults.broken == Broken::Outlived => {
                faults.stale.push(error.to_string());
                Ok(made)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets what no plan uses any more. The plan in force has its own.
    pub(super) fn settle_materials(&self) {
        let mut materials = self.materials.lock().unwrap_or_else(PoisonError::into_inner);
        materials.retain(|_, held| std::mem::take(&mut held.used));
    }
}
