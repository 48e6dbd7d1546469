//! What a request must pass before anything is done for it. Each word has a field here, and a field that is empty
//! costs nothing.

mod abuse;
mod access;
mod browsers;
mod forward;
mod identity;
mod limits;
mod oidc;

pub use abuse::{Ban, BanSignal, Challenge, ChallengeBind, ChallengeWhen};
pub use access::{Access, BuiltInList, Country, Geo, WhoList};
pub use browsers::{Cors, CorsFields, Csrf, Origin, SecurityHeaders};
pub use forward::{ForwardAuth, ForwardAuthMethod};
pub use identity::{
    ApiKey, BasicAuth, ClaimForward, ClaimRule, CredentialList, CredentialPlace, HttpUrl, Jwt,
    JwtAlgorithm, JwtKeys, Secret,
};
pub use limits::{
    ClientPrefixes, ConcurrencyLimit, ConnectionsLimit, Limit, LimitKey, LimitMode, RequestRate,
    Throttle,
};
pub use oidc::{Oidc, Unauthenticated};

use super::Priority;
use crate::Spanned;

/// The guards of a route, merged from its policies, its site and itself.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// `allow` and `deny`, together for each policy, site and route that has some. All of them must let a client pass.
    pub access: Vec<Access>,
    /// `limit` lines in their order. All of them must let a request pass.
    pub limits: Vec<Limit>,
    /// `connections`: how many of a client may have a request here.
    pub connections: Option<ConnectionsLimit>,
    /// `concurrency`: how many requests at once.
    pub concurrency: Option<ConcurrencyLimit>,
    /// `throttle`: how fast a response goes.
    pub throttle: Option<Throttle>,
    /// `priority`: what goes on when there is too much to do; `None`: normal.
    pub priority: Option<Spanned<Priority>>,
    /// `basic-auth`; with the next three, any one that is there suffices.
    pub basic_auth: Option<Box<BasicAuth>>,
    /// `api-key`.
    pub api_key: Option<Box<ApiKey>>,
    /// `jwt`.
    pub jwt: Option<Box<Jwt>>,
    /// `oidc`.
    pub oidc: Option<Box<Oidc>>,
    /// `forward-auth`: asked in any case.
    pub forward_auth: Option<Box<ForwardAuth>>,
    /// `cors`: whose pages may use what is here.
    pub cors: Option<Box<Cors>>,
    /// `csrf`: whether pages of others may change something.
    pub csrf: Option<Csrf>,
    /// `security-headers`: which fields make browsers careful.
    pub security_headers: Option<Spanned<SecurityHeaders>>,
    /// `challenge`: who has to do some work first.
    pub challenge: Option<Challenge>,
    /// `ban` lines in their order: who is kept out for some time.
    pub bans: Vec<Ban>,
}
