//! What doorman takes while it is attacked: memory and descriptors, looked at again and again by a thread.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often.
const GLANCE: Duration = Duration::from_millis(250);

/// Memory and descriptors of a process at one moment, or the most of each over a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) kib: u64,
    pub(super) files: u64,
}

impl Taken {
    pub(super) fn now(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        Self { kib: kib.unwrap_or_default(), files: open_files(process) }
    }

    fn most(self, other: Self) -> Self {
        Self { kib: self.kib.max(other.kib), files: self.files.max(other.files) }
    }
}

/// The folder's size is their number since Linux 6.2. To list thousands of them takes milliseconds, which the client
/// would feel that shares this core.
fn open_files(process: u32) -> u64 {
    let folder = format!("/proc/{process}/fd");
    match fs::metadata(&folder).map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        _ => fs::read_dir(&folder).map_or(0, |entries| entries.count() as u64),
    }
}

/// A thread that looks until it is asked what it saw.
pub(super) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Taken>,
}

impl Watch {
    pub(super) fn begin(process: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut most = Taken::default();
            while !over.load(Ordering::Relaxed) {
                most = most.most(Taken::now(process));
                thread::sleep(GLANCE);
            }
            most
        });
        Self { is_over, thread }
    }

    pub(super) fn end(self) -> Taken {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let taken = Taken::now(std::process::id());
        assert!(taken.kib > 100 && taken.files > 2, "{taken:?}");
        let most = Taken { kib: 5, files: 1 }.most(Taken { kib: 3, files: 9 });
        assert_eq!(most, Taken { kib: 5, files: 9 });
    }
}
