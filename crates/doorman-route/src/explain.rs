//! Why a route won or lost, for `doorman explain`.

use std::fmt;

use crate::RouteIndex;

/// One route of the site and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which route.
    pub route: RouteIndex,
    /// Whether it won.
    pub verdict: Verdict,
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers the request.
    Won,
    /// It does not; the first reason found.
    Lost(Reason),
}

/// Why a route lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path is not among those it takes.
    Path,
    /// The method is not among those it takes.
    Method,
    /// The header field of this name.
    Header(Box<str>, Miss),
    /// The query parameter of this name.
    Query(Box<str>, Miss),
    /// The cookie of this name.
    Cookie(Box<str>, Miss),
    /// The client's address is in none of its ranges.
    Client,
    /// The host is another.
    Host,
    /// The protocol is not among those it takes.
    Version,
    /// A condition under `not` holds; what it looks at.
    Not(Box<str>),
    /// A route above it, this one, took the request.
    Earlier(RouteIndex),
}

/// How a value misses a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is none of that name.
    Absent,
    /// It is there, but is not what is asked for.
    Differs,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |f: &mut fmt::Formatter<'_>, kind: &str, name: &str, miss: &Miss| match miss {
            Miss::Absent => write!(f, "{kind} {name} is absent"),
            Miss::Differs => write!(f, "{kind} {name} has another value"),
        };
        match self {
            Self::Path => f.write_str("path does not match"),
            Self::Method => f.write_str("method does not match"),
            Self::Header(name, miss) => value(f, "header", name, miss),
            Self::Query(name, miss) => value(f, "query parameter", name, miss),
            Self::Cookie(name, miss) => value(f, "cookie", name, miss),
            Self::Client => f.write_str("client address is in none of its ranges"),
            Self::Host => f.write_str("host does not match"),
            Self::Version => f.write_str("protocol does not match"),
            Self::Not(subject) => write!(f, "`not {subject}` fails: it matches"),
            Self::Earlier(_) => f.write_str("an earlier route took the request"),
        }
    }
}
