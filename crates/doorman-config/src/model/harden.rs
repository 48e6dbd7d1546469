//! As whom the process runs, and what it gives up.

/// `user`: as whom a process that root starts goes on.
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
    /// Nothing is given up; system calls that would be refused are logged by the kernel.
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
