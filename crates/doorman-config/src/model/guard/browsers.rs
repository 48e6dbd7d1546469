//! What pages of other sites may do.

use std::time::Duration;

use crate::{Setting, Span, Spanned};

/// Pages that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Those of everybody.
    Any,
    /// Those of one origin as browsers write it: in lower case, without the port of its scheme.
    Exact(String),
    /// Those of all hosts below one.
    Below {
        /// `http://` or `https://`.
        scheme: String,
        /// The end, from its dot on, with a port that is not the scheme's.
        suffix: String,
    },
}

/// Fields that pages may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsFields {
    /// Whatever they ask for.
    Any,
    /// These, in lower case.
    These(Vec<String>),
}

/// A `cors` line.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Whose pages, at least one.
    pub origins: Vec<Spanned<Origin>>,
    /// Methods in upper case; GET, HEAD and POST.
    pub methods: Setting<Vec<String>>,
    /// Fields of requests; none beside those that need no leave.
    pub headers: Setting<CorsFields>,
    /// Fields of answers that pages may read, in lower case.
    pub expose: Vec<Spanned<String>>,
    /// Whether cookies may come along. Never with [`Origin::Any`].
    pub credentials: Setting<bool>,
    /// How long browsers remember an answer; 10 min.
    pub max_age: Setting<Duration>,
    /// Whether pages of public networks may ask a private one.
    pub private_network: Setting<bool>,
    /// The line.
    pub span: Span,
}

/// A `csrf on` line.
#[derive(Clone, Debug)]
pub struct Csrf {
    /// Whose pages may change something beside the site's own. Never [`Origin::Any`].
    pub allow: Vec<Spanned<Origin>>,
    /// The line.
    pub span: Span,
}

/// Which fields make browsers careful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityHeaders {
    /// Those that break no page.
    Basic,
    /// Also those that keep out what comes from elsewhere.
    Strict,
}
