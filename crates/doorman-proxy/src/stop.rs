//! How a request ends before the end of the corridor.

use doorman_http::{BodyError, Response};
use doorman_net::dial::DialError;

use crate::record::End;

/// An early end: an answer, or a fault. `?` serves both.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The house answers on purpose: a redirect, a fixed answer, a refusal by a rule.
    Answer(Box<Response>),
    /// Something went wrong.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Whose fault a fault is; decides the level it is logged at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Client,
    /// The origin's.
    Upstream,
    /// Ours, or the operator's.
    House,
}

/// Everything that can go wrong with a request. A new variant does not compile until its status,
/// its side and its word are settled.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No site has this host.
    NoSite,
    /// No route of the site takes this request.
    NoRoute,
    /// The client's request body is larger than the route allows.
    BodyTooLarge,
    /// The client's request body failed.
    Client(BodyError),
    /// No server of the upstream takes requests now.
    NoServer,
    /// The origin gave no response.
    Upstream(DialError),
    /// The whole exchange took longer than the route allows.
    DeadlinePassed,
    /// An edit of the configuration made a request that cannot be sent.
    BadEdit(&'static str),
}

impl Fault {
    /// The status that the client gets.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoSite | Self::NoRoute => 404,
            Self::BodyTooLarge | Self::Client(BodyError::TooLarge) => 413,
            Self::Client(BodyError::ClientTimeout) => 408,
            Self::Client(_) => 400,
            Self::NoServer => 503,
            Self::Upstream(
                DialError::ConnectTimeout | DialError::ResponseTimeout | DialError::WriteTimeout,
            )
            | Self::DeadlinePassed => 504,
            Self::Upstream(DialError::Client(error)) => match error {
                BodyError::TooLarge => 413,
                BodyError::ClientTimeout => 408,
                _ => 400,
            },
            Self::Upstream(_) => 502,
            Self::BadEdit(_) => 500,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::NoSite | Self::NoRoute | Self::BodyTooLarge | Self::Client(_) => Side::Client,
            Self::Upstream(DialError::Client(_)) => Side::Client,
            Self::NoServer | Self::Upstream(_) | Self::DeadlinePassed => Side::Upstream,
            Self::BadEdit(_) => Side::House,
        }
    }

    /// The closed word of the log.
    #[must_use]
    pub const fn end(&self) -> End {
        match self {
            Self::NoSite => End::NoSite,
            Self::NoRoute => End::NoRoute,
            Self::BodyTooLarge => End::BodyTooLarge,
            Self::Client(error) | Self::Upstream(DialError::Client(error)) => End::of_body(*error),
            Self::NoServer => End::NoServer,
            Self::Upstream(error) => match error {
                DialError::Connect(_) | DialError::Tls(_) => End::UpstreamConnect,
                DialError::ConnectTimeout
                | DialError::ResponseTimeout
                | DialError::WriteTimeout => End::UpstreamTimeout,
                DialError::Closed { .. } | DialError::ClosedInHead => End::UpstreamClosed,
                DialError::Malformed(_) => End::UpstreamMalformed,
                DialError::Client(error) => End::of_body(*error),
            },
            Self::DeadlinePassed => End::UpstreamTimeout,
            Self::BadEdit(_) => End::BadEdit,
        }
    }

    /// What happened, in words, for the log.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Upstream(error) => Some(error.to_string()),
            Self::Client(error) => Some(error.to_string()),
            Self::BadEdit(why) => Some((*why).to_owned()),
            _ => None,
        }
    }
}
