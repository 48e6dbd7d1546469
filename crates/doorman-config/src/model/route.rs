//! Routes: what a request must look like, and what then becomes of it.

use std::fmt;

use ipnet::IpNet;

use super::{HostPattern, Protocol, RouteOptions, UpstreamId};
use crate::{Span, Spanned, Template};

/// A `route` block, with the options of its policies and its site already merged in.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its head as written, such as `GET /api/* when header X-Beta`: its name in logs, metrics and `explain`.
    pub name: String,
    /// Methods in upper case; empty: all.
    pub methods: Vec<Spanned<String>>,
    /// Which paths.
    pub path: Spanned<PathPattern>,
    /// All of these must hold.
    pub conditions: Vec<Spanned<Condition>>,
    /// What becomes of the request.
    pub ending: Spanned<Ending>,
    /// Everything else.
    pub options: RouteOptions,
    /// The head of the block; for an ending in the site itself, that line.
    pub span: Span,
}

/// Which paths a route takes. Text is percent-decoded nowhere here: it is what the operator wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `*`: all.
    Any,
    /// `/exact`.
    Exact(String),
    /// `/prefix/*`: holds `/prefix`; takes `/prefix` itself and everything below `/prefix/`, so that a guard on
    /// `/admin/*` cannot be walked around by leaving out the slash.
    Prefix(String),
    /// `/a/*/b` or `/a/*/b/*`: `*` inside is exactly one segment that isn't empty; `*` at the end is any rest.
    Wildcard {
        /// Segments in order, without the `*` at the end.
        segments: Vec<Segment>,
        /// Whether a `*` stood at the end.
        open: bool,
    },
    /// `~ REGEX`, searched in the path; anchors are the operator's. The syntax is checked, the size is not.
    Regex(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Any => f.write_str("*"),
            PathPattern::Exact(path) => f.write_str(path),
            PathPattern::Prefix(prefix) => write!(f, "{prefix}/*"),
            PathPattern::Wildcard { segments, open } => {
                for segment in segments {
                    match segment {
                        Segment::Text(text) => write!(f, "/{text}")?,
                        Segment::Any => f.write_str("/*")?,
                    }
                }
                if *open { f.write_str("/*") } else { Ok(()) }
            }
            PathPattern::Regex(regex) => write!(f, "~ {regex}"),
        }
    }
}

/// One segment of a wildcard path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this.
    Text(String),
    /// Any one segment.
    Any,
}

/// A `when` line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Some field of this name (lower case) matches.
    Header {
        /// Field name, lower case.
        name: String,
        /// What its value must be.
        value: ValueMatch,
    },
    /// Some query parameter of this name matches.
    Query {
        /// Parameter name, case-sensitive.
        name: String,
        /// What its value must be.
        value: ValueMatch,
    },
    /// Some cookie of this name matches.
    Cookie {
        /// Cookie name, case-sensitive.
        name: String,
        /// What its value must be.
        value: ValueMatch,
    },
    /// The method is one of these (upper case).
    Method(Vec<String>),
    /// The client's address is in one of these.
    Client(Vec<IpNet>),
    /// The host matches.
    Host(HostPattern),
    /// The request came by one of these.
    Protocol(Vec<Protocol>),
    /// The condition does not hold.
    Not(Box<Condition>),
}

/// What a value must look like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Anything: it is enough that it is there.
    Present,
    /// Exactly this, case-sensitive.
    Exact(String),
    /// A regex found in it. The syntax is checked, the size is not.
    Regex(String),
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Ending {
    /// `proxy TARGET [N%]...`: at least one; shares add up to 10,000.
    Proxy(Vec<Spanned<Target>>),
    /// `redirect URL [CODE]`.
    Redirect(Redirect),
    /// `respond STATUS [BODY]`.
    Respond(Respond),
}

/// One way of a `proxy` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to.
    pub upstream: UpstreamId,
    /// How many of 10,000 requests.
    pub share: u32,
}

/// A redirect.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Value of `Location`.
    pub to: Spanned<Template>,
    /// 301, 302, 303, 307 or 308; 302 if none was written.
    pub status: u16,
}

/// A fixed answer.
#[derive(Clone, Debug)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Its text; `None`: empty.
    pub body: Option<Spanned<Template>>,
}
