//! How a server is chosen, and what each way needs to be told.

/// How a server is chosen among those that may take a request. Weights count in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// In turn, as often as the weights say.
    RoundRobin,
    /// The one with the fewest requests in flight, over all cores; in turn among equals.
    LeastRequests,
    /// The one with the fewest open connections, over all cores.
    LeastConnections,
    /// The one that has moved the fewest bytes, both ways together.
    LeastBytes,
    /// The one that answers soonest, counted with what it works on already.
    LeastTime,
    /// By dice.
    Random,
    /// Of two that dice name, the one with fewer requests in flight.
    P2c,
    /// Of two that dice name, the one that would answer sooner; a slow answer counts at once and is
    /// forgotten slowly.
    PeakEwma,
    /// The one that the request's key belongs to on a ring of all servers.
    Hash,
    /// The one that the request's key belongs to in a table of all servers.
    Maglev,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 10] = [
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
    ];

    /// Whether it looks at a request's key.
    #[must_use]
    pub const fn uses_key(self) -> bool {
        matches!(self, Self::Hash | Self::Maglev)
    }

    /// Whether open connections must be counted for it.
    #[must_use]
    pub const fn uses_connections(self) -> bool {
        matches!(self, Self::LeastConnections)
    }

    /// Whether it must be told how many bytes were moved.
    #[must_use]
    pub const fn uses_bytes(self) -> bool {
        matches!(self, Self::LeastBytes)
    }

    /// Whether it must be told how long answers take.
    #[must_use]
    pub const fn uses_time(self) -> bool {
        matches!(self, Self::LeastTime | Self::PeakEwma)
    }

    /// Whether it draws servers by dice and weight.
    pub(crate) const fn draws(self) -> bool {
        !matches!(self, Self::RoundRobin | Self::Hash | Self::Maglev)
    }
}
