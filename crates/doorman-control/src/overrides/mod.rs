//! Servers that were changed at run time: what stands in for the words of the configuration, by whom, why, and for
//! how long.
//!
//! What counts is the file with the overrides over it. An override remembers what the file said when it was made: as
//! long as the file says the same, the override holds, over reloads and restarts; once the file says something else,
//! the file is newer and wins. All of this is decided here from arguments; [`Store`] keeps it on disk.

mod store;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use store::Store;

/// Overrides at once: two for each of ten upstreams of ordinary size, many times over. The whole list is written at
/// every change.
pub const OVERRIDES_MAX: usize = 4_096;
/// Bytes of a reason; it is shown in a line.
pub const REASON_BYTES_MAX: usize = 200;
/// How long an override holds if nobody says otherwise, in seconds: what was done in a hurry at night does not
/// outlive the next day.
pub const LIFE_SECONDS: u64 = 24 * 3600;

/// Whether a server may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// For everybody.
    Ready,
    /// For those only that are bound to it.
    Drain,
    /// For nobody.
    Down,
}

impl Use {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }
}

/// One property of a server, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", content = "value", rename_all = "lowercase")]
pub enum Change {
    /// Whether it may be picked.
    Use(Use),
    /// Its part of the load.
    Weight(u32),
}

impl Change {
    /// Whether both are about the same property.
    #[must_use]
    pub const fn is_about(self, other: Self) -> bool {
        matches!((self, other), (Self::Use(_), Self::Use(_)) | (Self::Weight(_), Self::Weight(_)))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use(usage) => f.write_str(usage.word()),
            Self::Weight(weight) => write!(f, "weight {weight}"),
        }
    }
}

/// Which server is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// The upstream's name.
    pub upstream: String,
    /// The server's.
    pub server: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.upstream, self.server)
    }
}

/// What stands in for a word of the configuration. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The server.
    #[serde(flatten)]
    pub object: Object,
    /// What counts.
    #[serde(flatten)]
    pub change: Change,
    /// What the file said when it was made.
    pub replaced: Change,
    /// Who made it.
    pub author: String,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
    /// When.
    pub created: u64,
    /// When it ends by itself; `None`: never.
    pub expires: Option<u64>,
    /// When a drained server's last connections are ended; `None`: they may stay.
    #[serde(default)]
    pub deadline: Option<u64>,
}

/// What the file says of a server's property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// This.
    As(Change),
    /// The server is not there now, but may come back: its upstream discovers servers.
    Away,
    /// There is no such server.
    Gone,
}

/// An override that the file has won over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// It.
    pub was: Override,
    /// What the file says now; `None`: the server is gone.
    pub now: Option<Change>,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Override { object, change, replaced, author, .. } = &self.was;
        write!(f, "the override `{change}` of {object} by {author} is dropped: ")?;
        match self.now {
            Some(now) => write!(f, "the file said `{replaced}` and says `{now}` now"),
            None => f.write_str("the file has no such server any more"),
        }
    }
}

/// Why an override cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are too many.
    Full,
    /// The reason is too long, or has more than one line.
    Reason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "there are {OVERRIDES_MAX} overrides already"),
            Self::Reason => write!(f, "a reason is one line of at most {REASON_BYTES_MAX} bytes"),
        }
    }
}

/// All overrides, by object; for each property of a server at most one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Book(Vec<Override>);

impl Book {
    /// All of them, in the order of their objects.
    #[must_use]
    pub fn all(&self) -> &[Override] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts an override in the place of the one of the same property. One that says what the file says is none: it
    /// only takes the one before away.
    ///
    /// # Errors
    /// It is not taken; nothing has changed.
    pub fn set(&mut self, new: Override) -> Result<(), Refusal> {
        if new.reason.len() > REASON_BYTES_MAX || new.reason.chars().any(char::is_control) {
            return Err(Refusal::Reason);
        }
        let others = self.0.iter().filter(|one| !is_same(one, &new)).count();
        let is_needed = new.change != new.replaced;
        if is_needed && others >= OVERRIDES_MAX {
            return Err(Refusal::Full);
        }
        self.0.retain(|one| !is_same(one, &new));
        if is_needed {
            let at = self.0.partition_point(|one| one.object <= new.object);
            self.0.insert(at, new);
        }
        Ok(())
    }

    /// What is set for a server: whether it may be picked, and its weight.
    #[must_use]
    pub fn of(&self, upstream: &str, server: &str) -> Effect {
        let mut effect = Effect::default();
        let at = self.0.partition_point(|one| {
            (one.object.upstream.as_str(), one.object.server.as_str()) < (upstream, server)
        });
        let mine = self
            .0
            .iter()
            .skip(at)
            .take_while(|one| one.object.upstream == upstream && one.object.server == server);
        for one in mine {
            match one.change {
                Change::Use(usage) => {
                    effect.usage = Some(usage);
                    effect.deadline = one.deadline;
                }
                Change::Weight(weight) => effect.weight = Some(weight),
            }
        }
        effect
    }

    /// Takes out those whose time is over, and gives them.
    pub fn expire(&mut self, now: u64) -> Vec<Override> {
        let is_over = |one: &mut Override| one.expires.is_some_and(|at| at <= now);
        self.0.extract_if(.., is_over).collect()
    }

    /// Takes out those over which the file has won, and gives them.
    pub fn reconcile(&mut self, written: impl Fn(&Override) -> Written) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        self.0.retain(|one| {
            let now = match written(one) {
                Written::As(now) if now == one.replaced => return true,
                Written::Away => return true,
                Written::As(now) => Some(now),
                Written::Gone => None,
            };
            dropped.push(Dropped { was: one.clone(), now });
            false
        });
        dropped
    }

    /// When the next thing happens by itself, unix seconds: an override ends, or the last connections of a drained
    /// server do. Deadlines up to `now` have passed.
    #[must_use]
    pub fn next(&self, now: u64) -> Option<u64> {
        let deadlines = self.0.iter().filter_map(|one| one.deadline).filter(|at| *at > now);
        self.0.iter().filter_map(|one| one.expires).chain(deadlines).min()
    }

    /// Servers whose last connections are to be ended: their deadline came after `since`, and not after `now`.
    #[must_use]
    pub fn due(&self, since: u64, now: u64) -> Vec<Object> {
        let is_due = |one: &&Override| one.deadline.is_some_and(|at| since < at && at <= now);
        self.0.iter().filter(is_due).map(|one| one.object.clone()).collect()
    }

    /// A list that was read back: sorted again, each property once, the bound kept, whatever stood on disk.
    fn sound(list: Vec<Override>) -> Self {
        let mut book = Self::default();
        for one in list {
            // What cannot be one of ours is left out.
            let _ = book.set(one);
        }
        book
    }
}

/// What overrides make of a server; `None`: the file counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Whether it may be picked.
    pub usage: Option<Use>,
    /// Its part of the load.
    pub weight: Option<u32>,
    /// When its last connections are ended, unix seconds.
    pub deadline: Option<u64>,
}

fn is_same(one: &Override, other: &Override) -> bool {
    one.object == other.object && one.change.is_about(other.change)
}
