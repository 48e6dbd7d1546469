//! How the process guards itself.

use std::time::Duration;

use crate::{Setting, Span};

/// `user`: as whom the process goes on once its sockets are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessUser {
    /// A name, or the number of a user.
    pub name: String,
    /// A name, or the number of a group; `None`: the user's own.
    pub group: Option<String>,
}

/// Whether the process gives up what it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harden {
    /// As far as the kernel can do it.
    On,
    /// Nothing is given up.
    Off,
    /// Nothing is given up; what would be refused is logged.
    Report,
}

impl Harden {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Report => "report",
        }
    }
}

/// `overload`: when requests are refused so that the others go on.
#[derive(Clone, Debug)]
pub struct Overload {
    /// How long a request may wait for its core; 50 ms; `None`: as long as it has to.
    pub delay: Setting<Option<Duration>>,
    /// The share of the memory that there is, in hundredths of a percent; 90 %; `None`: all of it.
    pub memory: Setting<Option<u32>>,
    /// The line.
    pub span: Span,
}

/// What becomes of requests that two readers could understand in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desync {
    /// What is harmless by itself passes, and is logged.
    Monitor,
    /// What could do harm is refused.
    Defensive,
    /// All that is not exactly as the RFC has it is refused.
    Strict,
}

impl Desync {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Defensive => "defensive",
            Self::Strict => "strict",
        }
    }
}
