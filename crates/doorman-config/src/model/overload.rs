//! What happens when there is more to do than can be done.

use std::time::Duration;

use crate::{Setting, Span};

/// `overload`: when requests are refused so that the others go on.
#[derive(Clone, Debug)]
pub struct Overload {
    /// How long a request may wait for its core; 50 ms; `None`: as long as it has to.
    pub delay: Setting<Option<Duration>>,
    /// For how long it has to be longer than that, 100 ms.
    pub interval: Setting<Duration>,
    /// The memory that the process may take; 90 % of what there is; `None`: all of it.
    pub memory: Setting<Option<MemoryBound>>,
    /// The line.
    pub span: Span,
}

/// How much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryBound {
    /// Bytes.
    Bytes(u64),
    /// A share, in hundredths of a percent, of what the control group or the machine has.
    Share(u32),
}

/// What is shed first when there is too much to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// First.
    Low,
    /// After that.
    #[default]
    Normal,
    /// Last.
    High,
}

impl Priority {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}
