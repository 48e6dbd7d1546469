//! Sessions that servers named themselves: the table of an upstream, kept over reloads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use doorman_balance::sticky::Learned;
use doorman_http::{Instant, KeyHash};

/// The sessions of an upstream, by the upstream's name, and where each belongs.
#[derive(Debug)]
pub struct Sessions {
    table: Learned,
    /// For how many it was made.
    entries: u32,
    seed: u64,
    /// Every server that sessions were ever learned of has its number here. It is added to when a
    /// plan is made, and looked at by nobody else.
    servers: Mutex<Vec<Box<str>>>,
    pushed_out: AtomicU64,
}

impl Sessions {
    pub(super) fn new(upstream: &str, entries: u32) -> Self {
        Self {
            table: Learned::new(entries as usize),
            entries,
            seed: KeyHash::of(0, upstream.as_bytes()),
            servers: Mutex::default(),
            pushed_out: AtomicU64::new(0),
        }
    }

    pub(super) const fn entries(&self) -> u32 {
        self.entries
    }

    /// The numbers of servers, the same for as long as the table is there.
    pub(super) fn numbers<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<u32> {
        let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .map(|name| {
                let at = known.iter().position(|other| **other == *name).unwrap_or_else(|| {
                    known.push(name.into());
                    known.len() - 1
                });
                u32::try_from(at).unwrap_or(u32::MAX)
            })
            .collect()
    }

    /// The key of a session.
    pub(crate) fn key(&self, session: &[u8]) -> u64 {
        KeyHash::of(self.seed, session)
    }

    /// The number of a session's server, and how many seconds it is still remembered.
    pub(crate) fn find(&self, key: u64, now: Instant) -> Option<(u32, u32)> {
        let now = seconds(now);
        let known = self.table.find(key, now)?;
        Some((known.server, known.until.saturating_sub(now)))
    }

    /// Remembers a session for so many seconds.
    pub(crate) fn learn(&self, key: u64, server: u32, life: u32, now: Instant) {
        let now = seconds(now);
        if self.table.put(key, server, now.saturating_add(life), now) {
            self.pushed_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sessions that are remembered now.
    #[must_use]
    pub fn count(&self, now: Instant) -> usize {
        self.table.count(seconds(now))
    }

    /// Sessions that were forgotten before their time, because others needed the room.
    #[must_use]
    pub fn pushed_out(&self) -> u64 {
        self.pushed_out.load(Ordering::Relaxed)
    }
}

/// Seconds of the monotonic clock: enough for a hundred years of one process.
fn seconds(now: Instant) -> u32 {
    u32::try_from(now.0 / 1_000_000_000).unwrap_or(u32::MAX)
}
