//! What keeps a client on its server.

use std::time::Duration;

use crate::{Setting, Span, Spanned};

/// A `sticky` line.
#[derive(Clone, Debug)]
pub struct Sticky {
    /// By what a client's server is known.
    pub by: StickyBy,
    /// How long doorman's cookie is good; 1 day.
    pub ttl: Setting<CookieLife>,
    /// Its `Path`; `/`.
    pub path: Setting<String>,
    /// Its `Domain`; `None`: the host that the client asked.
    pub domain: Option<Spanned<String>>,
    /// Whether it is `Secure`.
    pub secure: Setting<CookieSecure>,
    /// Whether it is `HttpOnly`; it is.
    pub http_only: Setting<bool>,
    /// Its `SameSite`.
    pub same_site: Setting<SameSite>,
    /// What stands between a session and the name of its server; `.`.
    pub separator: Setting<String>,
    /// Where learned sessions are looked for in requests; `None`: where they are learned.
    pub lookup: Option<Spanned<SessionPlace>>,
    /// How long a learned session is remembered after its last request; 10 min.
    pub expire: Setting<Duration>,
    /// Learned sessions that are remembered; 100,000.
    pub entries: Setting<u32>,
    /// What happens when the server cannot be asked.
    pub when_down: Setting<WhenDown>,
    /// What happens when the server takes no further request.
    pub when_full: Setting<WhenDown>,
    /// The line.
    pub span: Span,
}

/// By what a client's server is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyBy {
    /// A cookie of doorman's own with this name.
    Cookie(String),
    /// A cookie of the application, and one of doorman's beside it.
    AppCookie(String),
    /// A parameter of the query.
    Query(String),
    /// A field of the request, lower case.
    Header(String),
    /// What servers name in responses.
    Learn(SessionPlace),
}

/// Where the name of a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionPlace {
    /// In a cookie of this name.
    Cookie(String),
    /// In a field of this name, lower case.
    Header(String),
    /// In a parameter of the query.
    Query(String),
}

/// How long a cookie is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieLife {
    /// So long after it was set.
    For(Duration),
    /// Until the browser ends.
    Session,
}

/// Whether a cookie goes over TLS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSecure {
    /// As the request came.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Whether a cookie goes along with requests that other sites cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Only when the user follows a link.
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
    /// Nothing is said of it.
    Unsaid,
}

/// What happens to a request whose server cannot take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// Another one takes it, and the client with it.
    Choose,
    /// It is refused.
    Refuse,
}
