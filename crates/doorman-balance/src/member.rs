//! A server as its upstream's list has it, and why one is picked or not.

use std::fmt;
use std::sync::Arc;

use doorman_http::Instant;

use crate::{Admin, Ejected, ServerState, Standing};

/// When a server of a tier takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Always.
    #[default]
    Regular,
    /// For a regular server of its tier that cannot be used: one for one.
    Spare,
    /// When no other server of its tier can be used.
    Standby,
}

/// A server of an upstream.
#[derive(Clone, Debug)]
pub struct Member {
    /// What is known of it, the same value on every core and over reloads.
    pub state: Arc<ServerState>,
    /// Its part of the load, 0 to 65,535; with 0 it takes only requests that are bound to it.
    pub weight: u32,
    /// Requests at once over all cores; `None`: no bound.
    pub in_flight_max: Option<u32>,
    /// What the file says about using it.
    pub admin: Admin,
    /// A higher tier is used when the ones below it have no server.
    pub tier: u32,
    /// When it takes part in its tier.
    pub role: Role,
    /// Whether it is in the proxy's own zone, or zones do not matter.
    pub near: bool,
}

impl Member {
    /// A server without anything special about it.
    #[must_use]
    pub const fn new(state: Arc<ServerState>, weight: u32) -> Self {
        Self {
            state,
            weight,
            in_flight_max: None,
            admin: Admin::Ready,
            tier: 0,
            role: Role::Regular,
            near: true,
        }
    }

    /// Its part of the load as it counts: the override if there is one.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.state.weight().unwrap_or(self.weight)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight_max.is_some_and(|max| self.state.in_flight() >= max)
    }

    /// Whether a request that is bound to nobody may be sent to it.
    pub(crate) fn takes_new(&self, now: Instant) -> bool {
        self.state.takes_new(now) && self.weight() > 0
    }

    /// Whether it would be, were it well.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.admin() == Admin::Ready && self.weight() > 0
    }
}

/// Whether a server is among those that a request may get, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Candidate {
        /// How it stands: ready, in slow start, or whatever it is used in spite of.
        standing: Standing,
    },
    /// It is kept out by how it stands.
    Out {
        /// How.
        standing: Standing,
    },
    /// It works on as many requests as it may.
    Full {
        /// How many.
        max: u32,
    },
    /// Its weight is 0.
    Weightless,
    /// It is a spare, and no regular server of its tier needs one.
    SpareNotNeeded,
    /// It is a standby, and its tier has other servers.
    StandbyNotNeeded,
    /// A tier below has servers.
    HigherTier,
    /// It is in another zone, and the proxy's own has servers.
    OtherZone,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate { standing: Standing::Ready } => f.write_str("may be picked"),
            Self::Candidate { standing: Standing::SlowStart { .. } } => {
                f.write_str("may be picked, with a part that grows: it has just come")
            }
            Self::Candidate { standing } => {
                f.write_str("may be picked for want of a better one: ")?;
                out(f, *standing)
            }
            Self::Out { standing } => out(f, *standing),
            Self::Full { max } => write!(f, "full: {max} requests at once"),
            Self::Weightless => f.write_str("weight 0: takes no new requests"),
            Self::SpareNotNeeded => f.write_str("spare, and no server of its tier needs one"),
            Self::StandbyNotNeeded => f.write_str("standby, and its tier has other servers"),
            Self::HigherTier => f.write_str("a lower tier has servers"),
            Self::OtherZone => f.write_str("another zone, and the proxy's own has servers"),
        }
    }
}

fn out(f: &mut fmt::Formatter<'_>, standing: Standing) -> fmt::Result {
    f.write_str(match standing {
        Standing::Ready | Standing::SlowStart { .. } => "ready",
        Standing::Draining => "draining: takes only requests that are bound to it",
        Standing::Down => "down: taken out by hand",
        Standing::ProbedDown { .. } => "down: its health checks fail",
        Standing::Ejected { why: Ejected::Failures, .. } => "taken out: it failed requests",
        Standing::Ejected { why: Ejected::Errors, .. } => "taken out: more errors than the others",
        Standing::Ejected { why: Ejected::Latency, .. } => "taken out: slower than the others",
        Standing::Resting { .. } => "rests: it refused a connection just now",
    })
}
