//! What becomes of clients that behave like no browser.

use std::time::Duration;

use super::ClientPrefixes;
use crate::{Setting, Span, Spanned, StatusRange};

/// Who has to prove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeWhen {
    /// Everybody.
    Always,
    /// Everybody, while there is more to do than can be done.
    WhenBusy,
    /// Those whose requests look like no browser's.
    Suspicious,
}

/// What a proof is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeBind {
    /// The address that made it.
    ClientIp,
    /// Whoever has its cookie.
    Nothing,
}

/// A `challenge` line.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Who has to.
    pub when: Spanned<ChallengeWhen>,
    /// Zero bits that a hash must begin with, 8 to 24; each doubles the work.
    pub difficulty: Setting<u8>,
    /// How long a proof is good; 1 h.
    pub ttl: Setting<Duration>,
    /// What a proof is good for.
    pub bind: Setting<ChallengeBind>,
    /// Whether there is a way without scripts.
    pub no_script: Setting<bool>,
    /// The line.
    pub span: Span,
}

/// What a client is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanSignal {
    /// A path that is not there: 404.
    NotFound,
    /// A password, key or token that is not good.
    AuthFailure,
    /// A request that rules refused.
    WafBlock,
    /// A request above a bound.
    Limit,
    /// What is no request.
    Malformed,
    /// A proof that is not good.
    ChallengeFailure,
    /// An answer with one of these statuses.
    Statuses(StatusRange),
}

/// A `ban` line.
#[derive(Clone, Debug)]
pub struct Ban {
    /// So many signs.
    pub count: Spanned<u32>,
    /// Within this time.
    pub within: Spanned<Duration>,
    /// Keep a client out for this one.
    pub time: Spanned<Duration>,
    /// The signs, at least one.
    pub on: Vec<Spanned<BanSignal>>,
    /// What makes a client.
    pub per: Setting<ClientPrefixes>,
    /// The line. Routes with the same one count together.
    pub span: Span,
}
