//! How often and how many at once.

use std::time::Duration;

use crate::{Setting, Span, Spanned};

/// Requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// How many, at least one.
    pub count: u32,
    /// A second, a minute, an hour or a day.
    pub per: Duration,
}

/// Bits of an address that make a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPrefixes {
    /// Of IPv4, 1 to 32.
    pub v4: u8,
    /// Of IPv6, 1 to 128.
    pub v6: u8,
}

impl ClientPrefixes {
    /// An address of IPv4, and of IPv6 the network that one customer gets.
    pub const DEFAULT: ClientPrefixes = ClientPrefixes { v4: 32, v6: 64 };
}

/// Part of what a bound counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// The client's address.
    ClientIp(ClientPrefixes),
    /// A field of the request, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The path, in its normal form.
    Path,
    /// The host that was asked.
    Host,
    /// Who was signed in.
    User,
    /// A claim of the token.
    Claim(String),
    /// Nothing: all requests together. It stands alone.
    All,
}

/// Whether a limit is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitMode {
    /// What is above it is refused.
    Enforce,
    /// It is only counted and told of.
    Shadow,
}

/// A `limit` line.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its name in metrics, logs and commands. No other of the site has it.
    pub name: Option<Spanned<String>>,
    /// How many requests in which time.
    pub rate: Spanned<RequestRate>,
    /// How many may come at once, at least one; what the rate gives in a second.
    pub burst: Setting<u32>,
    /// What it counts by, all parts together, at least one; the client's address.
    pub per: Vec<Spanned<LimitKey>>,
    /// Whether it is in force.
    pub mode: LimitMode,
    /// What those get who are above it, 429 or 503; 429.
    pub status: Setting<u16>,
    /// Whether answers say in `RateLimit` what is left.
    pub fields: Setting<bool>,
    /// Most keys that are kept.
    pub keys: Setting<u32>,
    /// The line. Routes with the same one count together.
    pub span: Span,
}

impl Limit {
    /// Most keys that are kept where nothing is written.
    pub const KEYS: u32 = 1_000_000;
}

/// A `connections` line.
#[derive(Clone, Debug)]
pub struct ConnectionsLimit {
    /// Connections of one client that have a request here.
    pub most: Spanned<u32>,
    /// What makes a client.
    pub per: Setting<ClientPrefixes>,
    /// The line. Routes with the same one count together.
    pub span: Span,
}

/// A `concurrency` line.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    /// Requests at once.
    pub most: Spanned<u32>,
    /// How many more may wait; none.
    pub queue: Setting<u32>,
    /// How long they wait; 10 s.
    pub timeout: Setting<Duration>,
    /// What it counts by, all parts together, at least one; all requests.
    pub per: Vec<Spanned<LimitKey>>,
    /// The line. Routes with the same one count together.
    pub span: Span,
}

/// A `throttle` line.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// Bytes of a response's body in a second, at least 1024.
    pub rate: Spanned<u64>,
    /// Bytes that go before it begins; none.
    pub after: Setting<u64>,
    /// The line.
    pub span: Span,
}
