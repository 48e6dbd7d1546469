//! What answers get on their way to browsers, so that these ask less and start sooner.

use std::time::Duration;

use crate::{Setting, Spanned};

/// `early-hints`, `server-timing`, `immutable` and `sniff-guard` of a route. A nearer line replaces one of the site
/// or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `early-hints`: whether browsers get a 103 with what earlier answers linked (RFC 8297).
    pub early_hints: Setting<bool>,
    /// `server-timing`: whether clients are told where the time went.
    pub server_timing: Setting<bool>,
    /// `immutable T`: for how long answers do not change (RFC 8246), in whole seconds, more than none; `None`: what
    /// servers say of it stays.
    pub immutable: Option<Spanned<Duration>>,
    /// `sniff-guard`: whether browsers are kept from guessing what an answer is.
    pub sniff_guard: Setting<bool>,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            early_hints: Setting::default_of(false),
            server_timing: Setting::default_of(false),
            immutable: None,
            sniff_guard: Setting::default_of(false),
        }
    }
}
