//! A watch over files. It watches their folders, because editors, `certbot` and Kubernetes replace
//! files instead of writing to them, and it compares what each file is before and after, because
//! a folder tells of much that is nobody's business.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Files that are watched. As many as a configuration may include, and a certificate and a key for
/// each; more would only cost memory.
pub const FILES_MAX: usize = 30_000;

/// A watch; it ends when it is dropped.
pub struct FileWatch {
    watcher: RecommendedWatcher,
    changed: Arc<dyn Fn() + Send + Sync>,
    folders: BTreeSet<PathBuf>,
    seen: Arc<Mutex<Seen>>,
}

/// Each file as it was when it was last looked at.
type Seen = BTreeMap<PathBuf, Option<Print>>;

/// What tells one state of a file from another: which file it is (links followed), its length and
/// when it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Print {
    /// `None` for a file that is not there.
    fn of(file: &Path) -> Option<Self> {
        let facts = std::fs::metadata(file).ok()?;
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.len(),
            changed: (facts.mtime(), facts.mtime_nsec()),
        })
    }
}

/// Files as they were before they were read, so that a change between reading one and watching it
/// is not lost.
#[derive(Clone, Debug, Default)]
pub struct Looked(Seen);

impl Looked {
    /// Looks at a file that is about to be read. The first look counts: of what is read twice the
    /// older state may be in force.
    pub fn at(&mut self, file: &Path) {
        let file = absolute(file);
        if self.0.len() < FILES_MAX {
            self.0.entry(file).or_insert_with_key(|file| Print::of(file));
        }
    }
}

/// Whether an event says nothing of a file that is finished. What is being written is looked at when its
/// writer closes it: an access log in the same folder is written all the time, and never closed.
const fn is_idle(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Data(_)) => true,
        _ => false,
    }
}

impl FileWatch {
    /// A watch over nothing yet. `changed` is called, mostly on a thread of the watch, whenever a file
    /// is another than before; it must not block.
    ///
    /// # Errors
    /// The system gives no watch.
    pub fn new(changed: impl Fn() + Send + Sync + 'static) -> Result<Self, String> {
        let changed: Arc<dyn Fn() + Send + Sync> = Arc::new(changed);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (known, tell) = (Arc::clone(&seen), Arc::clone(&changed));
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                Ok(event) if is_idle(event.kind) => {}
                // After an error (an overflowed queue) events may be missing: look at everything.
                Ok(_) | Err(_) => {
                    if look(&mut lock(&known)) {
                        tell();
                    }
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(Self { watcher, changed, folders: BTreeSet::new(), seen })
    }

    /// Watches these files from now on, and no others; of more than [`FILES_MAX`] the first. What is
    /// another already than it was when it was looked at counts as changed. Gives what cannot be
    /// watched, and why.
    pub fn follow(
        &mut self,
        files: impl IntoIterator<Item = PathBuf>,
        looked: &Looked,
    ) -> Vec<String> {
        let files = files.into_iter().take(FILES_MAX).map(|file| absolute(&file));
        let files: BTreeSet<PathBuf> = files.collect();
        let mut folders = BTreeSet::new();
        for file in &files {
            folders.extend(file.parent().map(Path::to_owned));
            if file.is_dir() {
                folders.insert(file.clone());
            }
            // The folder of what a link leads to: there it is written.
            let target = file.canonicalize().ok();
            folders.extend(target.and_then(|target| target.parent().map(Path::to_owned)));
        }
        let mut faults = Vec::new();
        for folder in folders.difference(&self.folders) {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                faults.push(format!("{}: {error}", folder.display()));
            }
        }
        for folder in self.folders.difference(&folders) {
            // A folder that is gone is watched no more anyway.
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = folders;
        let mut seen = lock(&self.seen);
        // A file that is known already keeps its state, so that a change while the others were
        // being read is not lost.
        let known = std::mem::take(&mut *seen);
        *seen = files
            .into_iter()
            .map(|file| {
                let print = known.get(&file).or_else(|| looked.0.get(&file)).copied();
                let print = print.unwrap_or_else(|| Print::of(&file));
                (file, print)
            })
            .collect();
        let is_another = look(&mut seen);
        drop(seen);
        if is_another {
            (self.changed)();
        }
        faults
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether any file is another than before.
fn look(seen: &mut Seen) -> bool {
    let mut changed = false;
    for (file, print) in seen {
        let now = Print::of(file);
        if *print != now {
            *print = now;
            changed = true;
        }
    }
    changed
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    /// Far longer than any event takes; waited for only when one is missing.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn check(change: impl Fn(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("doorman.conf");
        std::fs::write(&file, "one").unwrap();
        let (tell, told) = channel();
        let mut watch = FileWatch::new(move || {
            let _ = tell.send(());
        })
        .unwrap();
        assert_eq!(watch.follow([file.clone()], &Looked::default()), Vec::<String>::new());
        std::fs::write(folder.path().join("other"), "nobody's business").unwrap();
        change(&file);
        told.recv_timeout(PATIENCE).expect("the change is told");
    }

    #[test]
    fn a_file_that_is_written_to() {
        check(|file| std::fs::write(file, "three").unwrap());
    }

    #[test]
    fn a_file_that_is_replaced() {
        check(|file| {
            let staged = file.with_extension("new");
            std::fs::write(&staged, "two").unwrap();
            std::fs::rename(staged, file).unwrap();
        });
    }

    #[test]
    fn a_file_that_is_removed() {
        check(|file| std::fs::remove_file(file).unwrap());
    }

    /// A folder that is named is another when a name in it comes or goes.
    #[test]
    fn a_folder_that_gets_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("conf.d");
        std::fs::create_dir(&named).unwrap();
        let (tell, told) = channel();
        let mut watch = FileWatch::new(move || {
            let _ = tell.send(());
        })
        .unwrap();
        assert_eq!(watch.follow([named.clone()], &Looked::default()), Vec::<String>::new());
        std::fs::write(named.join("more.conf"), "more").unwrap();
        told.recv_timeout(PATIENCE).expect("the change is told");
    }

    #[test]
    fn what_changes_before_it_is_watched_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (same, other) = (folder.path().join("same"), folder.path().join("other"));
        for file in [&same, &other] {
            std::fs::write(file, "one").unwrap();
        }
        let mut looked = Looked::default();
        for file in [&same, &other] {
            looked.at(file);
        }
        let (tell, told) = channel();
        let mut watch = FileWatch::new(move || {
            let _ = tell.send(());
        })
        .unwrap();
        watch.follow([same.clone()], &looked);
        assert!(told.try_recv().is_err(), "nothing has changed");
        std::fs::write(&other, "three").unwrap();
        looked.at(&other);
        watch.follow([same, other], &looked);
        assert!(told.try_recv().is_ok());
    }

    #[test]
    fn what_is_being_written_is_left_until_it_is_closed() {
        use notify::event::{CreateKind, DataChange, RenameMode};
        let close = |mode| EventKind::Access(AccessKind::Close(mode));
        let check = |kind: EventKind, expect: bool| assert_eq!(is_idle(kind), expect, "{kind:?}");
        check(close(AccessMode::Write), false);
        check(close(AccessMode::Read), true);
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), true);
        check(EventKind::Modify(ModifyKind::Data(DataChange::Any)), true);
        check(EventKind::Modify(ModifyKind::Name(RenameMode::To)), false);
        check(EventKind::Create(CreateKind::Any), false);
        check(EventKind::Other, false);
    }

    #[test]
    fn only_named_files_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let (named, other) = (folder.path().join("named"), folder.path().join("other"));
        std::fs::write(&named, "1").unwrap();
        let mut seen = Seen::from([(named.clone(), Print::of(&named))]);
        std::fs::write(&other, "1").unwrap();
        assert!(!look(&mut seen));
        std::fs::write(&named, "22").unwrap();
        assert!(look(&mut seen));
        assert!(!look(&mut seen));
    }
}
