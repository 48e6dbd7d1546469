//! What became of reloads: for status, metrics, and whoever asks why the old configuration stays.

use super::Refused;

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReloadRecord {
    /// Whether the configuration came into force.
    pub succeeded: bool,
    /// When, unix seconds.
    pub at: u64,
    /// What stood against it, in one line; empty if nothing did.
    pub message: String,
}

/// All reloads of a process, counted, and the last of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The last one, if there was any.
    pub last: Option<ReloadRecord>,
    /// Reloads that came into force.
    pub succeeded: u64,
    /// Reloads that were refused.
    pub failed: u64,
    /// When a configuration last came into force, unix seconds; the start counts.
    pub succeeded_at: u64,
}

impl History {
    pub(super) const fn started(at: u64) -> Self {
        Self { last: None, succeeded: 0, failed: 0, succeeded_at: at }
    }

    pub(super) fn note(&mut self, at: u64, refused: Option<&Refused>) {
        match refused {
            None => {
                self.succeeded += 1;
                self.succeeded_at = at;
            }
            Some(_) => self.failed += 1,
        }
        let message = refused.map(Refused::summary).unwrap_or_default();
        self.last = Some(ReloadRecord { succeeded: refused.is_none(), at, message });
    }
}
