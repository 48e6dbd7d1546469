//! Another server's word on requests.

use std::time::Duration;

use crate::{Setting, Span, Spanned, UpstreamId};

/// The method of the request that asks another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuthMethod {
    /// `GET`.
    Get,
    /// That of the request.
    Same,
}

/// A `forward-auth` block. It is asked whatever the other words about identity say.
#[derive(Clone, Debug)]
pub struct ForwardAuth {
    /// Whom to ask.
    pub upstream: Spanned<UpstreamId>,
    /// For what: path and query; `/` where none was written.
    pub target: Spanned<String>,
    /// Fields of the request that it sees, in lower case; empty: all.
    pub request_fields: Vec<Spanned<String>>,
    /// Fields of its answer that the upstream sees, in lower case. No name comes twice.
    pub response_fields: Vec<Spanned<String>>,
    /// The field of its answer that says who asks, in lower case; `None`: none does.
    pub user: Option<Spanned<String>>,
    /// The method.
    pub method: Setting<ForwardAuthMethod>,
    /// How long it may take; 5 s.
    pub timeout: Setting<Duration>,
    /// The line.
    pub span: Span,
}
