//! Directives that are settled but come with a later version. Using one is an error that says so; the decoder does
//! not know them.

use super::Within::{self, Global};

/// A directive to come.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// Its name.
    pub name: &'static str,
    /// Where it will stand.
    pub within: &'static [Within],
    /// What it will do.
    pub what: &'static str,
}

const fn later(name: &'static str, within: &'static [Within], what: &'static str) -> Later {
    Later { name, within, what }
}

/// All that is planned.
pub const LATER: &[Later] = &[
    later("fleet", &[Global], "share state between several machines"),
    later("trace", &[Global], "send traces over OTLP"),
];
