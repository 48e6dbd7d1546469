//! Files that are open for reading, bounded: a large disk has more files than a process may open.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use super::hold;

/// Files held open; an evicted one stays open as long as somebody reads it.
const OPEN_MAX: usize = 256;

struct Open {
    file: Arc<File>,
    used: u64,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    clock: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Files(Mutex<State>);

impl Files {
    pub(super) fn find(&self, id: u64) -> Option<Arc<File>> {
        let mut state = hold(&self.0);
        state.clock += 1;
        let now = state.clock;
        let open = state.open.get_mut(&id)?;
        open.used = now;
        Some(Arc::clone(&open.file))
    }

    pub(super) fn add(&self, id: u64, file: Arc<File>) {
        let mut state = hold(&self.0);
        state.clock += 1;
        let used = state.clock;
        if state.open.len() >= OPEN_MAX {
            let oldest = state.open.iter().min_by_key(|(_, open)| open.used).map(|(id, _)| *id);
            oldest.and_then(|id| state.open.remove(&id));
        }
        state.open.insert(id, Open { file, used });
    }

    pub(super) fn remove(&self, id: u64) {
        hold(&self.0).open.remove(&id);
    }
}
