//! How an upstream's servers share its requests.

use doorman_http::template::Template;

use crate::Spanned;

/// How a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn, by weight.
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastRequests,
    /// The one with the fewest open connections.
    LeastConnections,
    /// The one that has moved the fewest bytes.
    LeastBytes,
    /// The one that answers soonest.
    LeastTime,
    /// By dice.
    Random,
    /// The less busy of two that dice name.
    P2c,
    /// The faster of two that dice name.
    PeakEwma,
    /// The one that a key belongs to on a ring.
    Hash,
    /// The one that a key belongs to in a table.
    Maglev,
    /// The one that the client's address belongs to on a ring.
    ClientIp,
}

impl Balance {
    /// Every way, in the order of the reference.
    pub const ALL: [Self; 11] = [
        Self::RoundRobin,
        Self::LeastRequests,
        Self::LeastConnections,
        Self::LeastBytes,
        Self::LeastTime,
        Self::Random,
        Self::P2c,
        Self::PeakEwma,
        Self::Hash,
        Self::Maglev,
        Self::ClientIp,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastRequests => "least-requests",
            Self::LeastConnections => "least-connections",
            Self::LeastBytes => "least-bytes",
            Self::LeastTime => "least-time",
            Self::Random => "random",
            Self::P2c => "p2c",
            Self::PeakEwma => "peak-ewma",
            Self::Hash => "hash",
            Self::Maglev => "maglev",
            Self::ClientIp => "client-ip",
        }
    }

    /// Whether a key must be written with it.
    #[must_use]
    pub const fn wants_key(self) -> bool {
        matches!(self, Self::Hash | Self::Maglev)
    }
}

/// What the word for a method is followed by.
#[derive(Clone, Debug, Default)]
pub struct BalanceOptions {
    /// What of a request decides, for methods that look at it.
    pub key: Option<Spanned<Template>>,
    /// A server that fails more requests than the others do gets less.
    pub mitigate: bool,
}

/// When a server takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerRole {
    /// Always.
    #[default]
    Regular,
    /// For a regular server of its tier that cannot be used.
    Spare,
    /// When its tier has no other.
    Standby,
}
