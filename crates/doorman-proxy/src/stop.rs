//! How a request ends before the end of the corridor.

use std::sync::Arc;

use doorman_auth::Refusal;
use doorman_balance::Refused;
use doorman_http::{BodyError, Response};
use doorman_net::dial::DialError;

use crate::record::{End, UNSEEN};

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

/// Outcomes of a gRPC call that a proxy has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcCode {
    /// CANCELLED: the client gave up.
    Cancelled,
    /// DEADLINE_EXCEEDED: it took too long.
    DeadlineExceeded,
    /// RESOURCE_EXHAUSTED: the message is too large.
    ResourceExhausted,
    /// UNIMPLEMENTED: there is no such call.
    Unimplemented,
    /// PERMISSION_DENIED: this client may not.
    PermissionDenied,
    /// UNAUTHENTICATED: nobody knows who asks.
    Unauthenticated,
    /// INTERNAL: a message is malformed, or cannot be sent.
    Internal,
    /// UNAVAILABLE: no server can be reached, or it broke off; trying again may help.
    Unavailable,
}

impl GrpcCode {
    /// The number, as `grpc-status` says it.
    pub(crate) const fn number(self) -> &'static [u8] {
        match self {
            Self::Cancelled => b"1",
            Self::DeadlineExceeded => b"4",
            Self::PermissionDenied => b"7",
            Self::ResourceExhausted => b"8",
            Self::Unimplemented => b"12",
            Self::Internal => b"13",
            Self::Unavailable => b"14",
            Self::Unauthenticated => b"16",
        }
    }

    /// What a client is told of a response that its server did not end; `None`: it is the client's own
    /// doing.
    pub(crate) const fn of_cut(error: BodyError) -> Option<Self> {
        match error {
            BodyError::UpstreamClosed | BodyError::Draining => Some(Self::Unavailable),
            BodyError::UpstreamMalformed(_) => Some(Self::Internal),
            BodyError::UpstreamTimeout => Some(Self::DeadlineExceeded),
            BodyError::ClientClosed
            | BodyError::ClientMalformed(_)
            | BodyError::ClientTimeout
            | BodyError::TooLarge => None,
        }
    }

    /// Words for a human about a response that its server did not end.
    pub(crate) const fn words_of_cut(self) -> &'static str {
        match self {
            Self::Unavailable => "the server broke off",
            Self::Internal => "the server's response is malformed",
            other => other.words(),
        }
    }

    /// Words for a human.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Cancelled => "the client gave up",
            Self::DeadlineExceeded => "the server took too long",
            Self::PermissionDenied => "a client certificate is needed",
            Self::Unauthenticated => "credentials are needed",
            Self::ResourceExhausted => "the message is too large",
            Self::Unimplemented => "no route takes this call",
            Self::Internal => "the call cannot be passed on",
            Self::Unavailable => "no server answers",
        }
    }
}

/// Everything that can go wrong with a request. A new variant does not compile until its status,
/// its side and its word are settled.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No site has this host.
    NoSite,
    /// No route of the site takes this request.
    NoRoute,
    /// The site asks for certificates of clients by other rules than those that the connection was made
    /// under.
    Misdirected,
    /// The route is for clients that showed a certificate.
    NoClientCertificate,
    /// The request came in early data, which the site does not take: the connection was made for another.
    TooEarly,
    /// The client's request body is larger than the route allows.
    BodyTooLarge,
    /// The client's request body failed.
    Client(BodyError),
    /// The client's request body says no length, and is too long to be collected for an application
    /// that has to be told it.
    LengthRequired,
    /// The path names no script of the FastCGI application.
    NoScript,
    /// The path cannot be one of a script.
    BadPath,
    /// No server of the upstream takes requests now.
    NoServer,
    /// The server that the client belongs to takes no request now, and no other is to; how it is.
    Bound(&'static str),
    /// The upstream takes no request now, for so many seconds as far as can be told.
    Refused(Refused, u32),
    /// The origin gave no response.
    Upstream(DialError),
    /// The whole exchange took longer than the route allows.
    DeadlinePassed,
    /// An edit of the configuration made a request that cannot be sent.
    BadEdit(&'static str),
    /// A rule refuses the request, or what the origin answered: its number, and the status of the answer.
    WafBlock(u32, u16),
    /// Rules could not be run to their end, and what is not inspected is not to pass.
    WafError,
    /// The client is kept out, for so many seconds.
    Banned(u32),
    /// It asks too often: the limit, the status, and the seconds after which it may ask again.
    Limited(Arc<str>, u16, u32),
    /// It has too many connections.
    TooManyConnections,
    /// The client may not come: the entry that says so, if one does, and the status.
    Denied(Option<Box<str>>, u16),
    /// A browser sends it for a page of another site.
    CrossSite(Refusal),
    /// Nobody knows who asks.
    Unauthorized(Refusal),
    /// Who says who may pass said nothing, or what means nothing; what happened.
    Unasked(Refusal, Box<str>),
    /// Somebody cannot sign in, and what is known of it.
    SignIn(Refusal, Box<str>),
    /// Too many requests are under way: how, and the seconds after which it may ask again.
    Crowded(&'static str, u32),
    /// There is more to do than can be done: what is missing, and the seconds after which it may ask again.
    Overloaded(&'static str, u32),
}

impl Fault {
    /// The status that the client gets.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoSite | Self::NoRoute | Self::NoScript => 404,
            // RFC 9110 section 15.5.20: on a connection of its own the client will be asked.
            Self::Misdirected => 421,
            Self::NoClientCertificate | Self::WafError | Self::Banned(_) => 403,
            Self::WafBlock(_, status) | Self::Limited(_, status, _) | Self::Denied(_, status) => {
                *status
            }
            Self::CrossSite(refusal)
            | Self::Unauthorized(refusal)
            | Self::SignIn(refusal, _)
            | Self::Unasked(refusal, _) => refusal.status(),
            // RFC 6585 section 4: of one client's requests, and so of its connections.
            Self::TooManyConnections => 429,
            Self::Crowded(..) | Self::Overloaded(..) | Self::Upstream(DialError::Exhausted) => 503,
            // RFC 8470 section 5.2: the client asks again once the handshake has ended.
            Self::TooEarly => 425,
            Self::LengthRequired => 411,
            Self::BadPath => 400,
            Self::BodyTooLarge | Self::Client(BodyError::TooLarge) => 413,
            Self::Client(BodyError::ClientTimeout) => 408,
            Self::Client(_) => 400,
            Self::NoServer | Self::Bound(_) | Self::Refused(..) => 503,
            Self::Upstream(
                DialError::ConnectTimeout | DialError::ResponseTimeout | DialError::WriteTimeout,
            )
            | Self::DeadlinePassed => 504,
            Self::Upstream(DialError::Client(error)) => match error {
                BodyError::TooLarge => 413,
                BodyError::ClientTimeout => 408,
                _ => 400,
            },
            // The server says itself that it takes no more.
            Self::Upstream(DialError::Unprocessed) => 503,
            Self::Upstream(DialError::Unsendable(_)) => 500,
            Self::Upstream(_) => 502,
            Self::BadEdit(_) => 500,
        }
    }

    /// When the client may come again, in seconds, as far as that can be told (RFC 9110 section
    /// 10.2.3).
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused(_, seconds)
            | Self::Banned(seconds)
            | Self::Limited(_, _, seconds)
            | Self::Crowded(_, seconds)
            | Self::Overloaded(_, seconds) => Some(*seconds),
            Self::TooManyConnections | Self::Upstream(DialError::Exhausted) => Some(1),
            _ => None,
        }
    }

    /// Whether nothing of the request was sent, because no server could be reached at all.
    pub(crate) const fn is_unsent(&self) -> bool {
        use DialError::{Connect, ConnectTimeout, Protocol, Tls};
        matches!(
            self,
            Self::NoServer | Self::Upstream(Connect(_) | ConnectTimeout | Tls(_) | Protocol(_))
        )
    }

    /// What a client of gRPC is told, which does not look at the status.
    #[must_use]
    pub const fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::NoSite | Self::NoRoute | Self::NoScript => GrpcCode::Unimplemented,
            // UNAVAILABLE is what clients try again for, on another connection.
            Self::Misdirected | Self::TooEarly | Self::Unasked(..) => GrpcCode::Unavailable,
            Self::Unauthorized(refusal) | Self::SignIn(refusal, _) if refusal.status() >= 500 => {
                GrpcCode::Unavailable
            }
            Self::Unauthorized(_) | Self::SignIn(..) => GrpcCode::Unauthenticated,
            Self::NoClientCertificate
            | Self::WafBlock(..)
            | Self::WafError
            | Self::Banned(_)
            | Self::Denied(..)
            | Self::CrossSite(_) => GrpcCode::PermissionDenied,
            Self::Limited(..)
            | Self::TooManyConnections
            | Self::Crowded(..)
            | Self::BodyTooLarge
            | Self::LengthRequired => GrpcCode::ResourceExhausted,
            Self::BadPath => GrpcCode::Internal,
            Self::Client(error) | Self::Upstream(DialError::Client(error)) => match error {
                BodyError::TooLarge => GrpcCode::ResourceExhausted,
                BodyError::ClientMalformed(_) => GrpcCode::Internal,
                _ => GrpcCode::Cancelled,
            },
            Self::DeadlinePassed
            | Self::Upstream(DialError::ResponseTimeout | DialError::WriteTimeout) => {
                GrpcCode::DeadlineExceeded
            }
            Self::BadEdit(_) | Self::Upstream(DialError::Unsendable(_)) => GrpcCode::Internal,
            Self::NoServer
            | Self::Bound(_)
            | Self::Refused(..)
            | Self::Overloaded(..)
            | Self::Upstream(_) => GrpcCode::Unavailable,
        }
    }

    /// Words for a client of gRPC.
    pub(crate) const fn grpc_words(&self) -> &'static str {
        match self {
            Self::WafBlock(..)
            | Self::WafError
            | Self::Banned(_)
            | Self::Denied(..)
            | Self::CrossSite(_) => "the request is not allowed",
            Self::Limited(..) | Self::TooManyConnections | Self::Crowded(..) => {
                "there are too many requests"
            }
            _ => self.grpc_code().words(),
        }
    }

    /// Whether credentials were shown that do not hold.
    pub(crate) const fn is_auth_failure(&self) -> bool {
        match self {
            Self::Unauthorized(refusal) | Self::SignIn(refusal, _) => refusal.is_auth_failure(),
            _ => false,
        }
    }

    /// Whether a rule does not let something pass, so that nothing is to be put in its place.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::WafBlock(..) | Self::WafError)
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::NoSite
            | Self::NoRoute
            | Self::Misdirected
            | Self::NoClientCertificate
            | Self::TooEarly
            | Self::BodyTooLarge
            | Self::LengthRequired
            | Self::NoScript
            | Self::BadPath
            | Self::WafBlock(..)
            | Self::Banned(_)
            | Self::Limited(..)
            | Self::TooManyConnections
            | Self::Denied(..)
            | Self::CrossSite(_)
            | Self::Client(_)
            | Self::Upstream(DialError::Client(_)) => Side::Client,
            Self::Upstream(DialError::Unsendable(_) | DialError::Exhausted)
            | Self::Overloaded(..) => Side::House,
            Self::NoServer
            | Self::Bound(_)
            | Self::Refused(..)
            | Self::Upstream(_)
            | Self::Unasked(..)
            | Self::DeadlinePassed => Side::Upstream,
            Self::Unauthorized(refusal) | Self::SignIn(refusal, _) if refusal.status() < 500 => {
                Side::Client
            }
            Self::BadEdit(_)
            | Self::WafError
            | Self::Crowded(..)
            | Self::Unauthorized(_)
            | Self::SignIn(..) => Side::House,
        }
    }

    /// The closed word of the log.
    #[must_use]
    pub const fn end(&self) -> End {
        match self {
            Self::NoSite => End::NoSite,
            Self::NoRoute => End::NoRoute,
            Self::Misdirected => End::Misdirected,
            Self::NoClientCertificate => End::NoClientCertificate,
            Self::TooEarly => End::TooEarly,
            Self::BodyTooLarge | Self::LengthRequired => End::BodyTooLarge,
            Self::NoScript => End::NoScript,
            Self::BadPath => End::ClientMalformed,
            Self::Client(error) | Self::Upstream(DialError::Client(error)) => End::of_body(*error),
            Self::NoServer | Self::Bound(_) => End::NoServer,
            Self::Refused(why, _) => match why {
                Refused::BreakerOpen => End::BreakerOpen,
                Refused::BreakerFull => End::BreakerFull,
                Refused::QueueFull => End::QueueFull,
                Refused::QueueTimeout => End::QueueTimeout,
                Refused::ParkFull => End::ParkFull,
                Refused::ParkTimeout => End::ParkTimeout,
            },
            Self::Upstream(error) => match error {
                DialError::Connect(_) | DialError::Tls(_) | DialError::Protocol(_) => {
                    End::UpstreamConnect
                }
                DialError::ConnectTimeout
                | DialError::ResponseTimeout
                | DialError::WriteTimeout => End::UpstreamTimeout,
                DialError::Closed { .. }
                | DialError::ClosedInHead
                | DialError::Unprocessed
                | DialError::Reset(_) => End::UpstreamClosed,
                DialError::Malformed(_) => End::UpstreamMalformed,
                DialError::Unsendable(_) => End::BadEdit,
                DialError::Exhausted => End::Overloaded,
                DialError::Client(error) => End::of_body(*error),
            },
            Self::DeadlinePassed => End::UpstreamTimeout,
            Self::BadEdit(_) => End::BadEdit,
            Self::WafBlock(..) => End::WafBlock,
            Self::WafError => End::WafError,
            Self::Banned(_) => End::Banned,
            Self::Limited(..) => End::Limited,
            Self::TooManyConnections => End::TooManyConnections,
            Self::Crowded(..) => End::Crowded,
            Self::Overloaded(..) => End::Overloaded,
            Self::Denied(..) => End::Denied,
            Self::CrossSite(_) => End::CrossSite,
            Self::Unauthorized(_) | Self::SignIn(..) => End::Unauthorized,
            Self::Unasked(..) => End::AuthUnavailable,
        }
    }

    /// What happened, in words, for the log.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Upstream(error) => Some(error.to_string()),
            Self::Client(error) => Some(error.to_string()),
            Self::BadEdit(why) => Some((*why).to_owned()),
            Self::Bound(how) => Some(format!("the server that the client belongs to {how}")),
            Self::LengthRequired => Some("body without Content-Length is too long".to_owned()),
            Self::WafBlock(0, _) => Some("refused by a bound of inspection".to_owned()),
            Self::WafBlock(rule, _) => Some(format!("refused by rule {rule}")),
            Self::WafError => Some(UNSEEN.to_owned()),
            Self::Limited(name, ..) => Some(format!("above the limit {name}")),
            Self::Crowded(how, _) | Self::Overloaded(how, _) => Some((*how).to_owned()),
            Self::Denied(Some(by), _) => Some(format!("denied by {by}")),
            Self::Denied(None, _) => Some("not allowed by any entry".to_owned()),
            Self::CrossSite(refusal) | Self::Unauthorized(refusal) => {
                Some(refusal.word().to_owned())
            }
            Self::Unasked(_, why) => Some(why.to_string()),
            Self::SignIn(refusal, why) => Some(format!("{}: {why}", refusal.word())),
            Self::BadPath => Some("path cannot be one of a script".to_owned()),
            _ => None,
        }
    }
}
