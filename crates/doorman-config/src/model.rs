//! What was written, typed. A [`Config`] is plain data: no file is open, no regex compiled, no name resolved by DNS.
//!
//! It is ready for use, though: policies and site options are already merged into each route (policy, then site, then
//! route; a later single value overrides, lists append), defaults are filled in, names of upstreams are indices, and
//! the sockets to bind are worked out from the addresses of the sites and the `listen` lines.

mod acme;
mod balance;
mod cache;
mod compress;
mod delivery;
mod discover;
mod global;
mod guard;
mod harden;
mod health;
mod listen;
mod optimize;
mod options;
mod overload;
mod relay;
mod resilience;
mod route;
mod site;
mod sticky;
mod upstream;
mod waf;

pub use acme::{
    Acme, AcmeChallenge, AcmeDns, AcmeDnsKey, AcmeDnsWay, CertificateKey, ExternalAccount,
};
pub use balance::{Balance, BalanceOptions, ServerRole};
pub use cache::{
    Cache, CacheCookies, CacheKeyPart, CacheMethods, CacheQuery, CacheSetCookie, CacheTtl, Evict,
    QueryName, Store, StoreDisk, StoreId,
};
pub use compress::{Breach, CodingLevels, Compress, Decompress};
pub use delivery::Delivery;
pub use discover::{Discover, DiscoverSource, Family};
pub use doorman_http::desync::Desync;
pub use global::{
    AccessFormat, AccessLog, Admin, BackgroundThreads, ErrorLog, Global, Limits, LogLevel,
    LogTarget, Timeouts, WafLog, Workers,
};
pub use guard::{
    Access, ApiKey, Ban, BanSignal, BasicAuth, BuiltInList, Challenge, ChallengeBind,
    ChallengeWhen, ClaimForward, ClaimRule, ClientPrefixes, ConcurrencyLimit, ConnectionsLimit,
    Cors, CorsFields, Country, CredentialList, CredentialPlace, Csrf, ForwardAuth,
    ForwardAuthMethod, Geo, Guard, HttpUrl, Jwt, JwtAlgorithm, JwtKeys, Limit, LimitKey, LimitMode,
    Oidc, Origin, RequestRate, Secret, SecurityHeaders, Throttle, Unauthenticated, WhoList,
};
pub use harden::{Harden, ProcessUser};
pub use health::{FailureSign, HealthCheck, HealthKind, InitialHealth, Outlier, Passive};
pub use listen::{Announcer, Listener, Protocol, SocketAddress, Transport};
pub use optimize::{
    ImageFormat, ImagePreset, ImageQuality, Optimize, OptimizeImages, OptimizeText, TextKind,
};
pub use options::{
    Buffering, ClientCert, CookiePart, CookieRewrite, ErrorAction, ErrorPage, Forwarded,
    HeaderEdit, LocationRewrite, LocationRule, Mirror, Rewrite, RewritePart, RouteOptions,
    RouteTimeouts, StatusRange, StickyShare, UpstreamHost,
};
pub use overload::{MemoryBound, Overload, Priority};
pub use relay::{NamedTarget, Relay, RelayProtocol};
pub use resilience::{Breaker, Failures, Park, Queue, Retry, RetryRules};
pub use route::{
    Condition, Ending, PathPattern, Redirect, Respond, Route, Segment, Target, ValueMatch,
};
pub use site::{
    CertificateFiles, ClientAuth, ClientAuthMode, EarlyData, HostPattern, Ocsp, Scheme, Site,
    SiteAddress, SiteTls, TlsOptions, TlsPolicy, TlsSource, TlsVersion,
};
pub use sticky::{CookieLife, CookieSecure, SameSite, SessionPlace, Sticky, StickyBy, WhenDown};
pub use upstream::{
    FastCgi, Pool, ProxyProtocol, Server, ServerAddress, ServerHost, Upstream, UpstreamId,
    UpstreamOrigin, UpstreamProtocol, UpstreamTls, Verify,
};
pub use waf::{
    Waf, WafBase, WafExclusion, WafMode, WafNames, WafOnError, WafOverLimit, WafRules, WafTarget,
    WafTargetKind,
};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings of the process.
    pub global: Global,
    /// Every socket to bind, each once; worked out from `site`, `listen`, `bind` and the default ports.
    pub listeners: Vec<Listener>,
    /// Upstreams: the named ones in file order, then one for each distinct bare target of a `proxy` line.
    pub upstreams: Vec<Upstream>,
    /// Stores in file order, 64 at most.
    pub stores: Vec<Store>,
    /// Sites in file order. No two claim the same scheme, host and port.
    pub sites: Vec<Site>,
    /// Relays in file order. No two listen on the same address with the same protocol.
    pub relays: Vec<Relay>,
}

impl Config {
    /// The upstream that a target names. Ids are made by the loader of this very `Config`.
    #[must_use]
    pub fn upstream(&self, id: UpstreamId) -> Option<&Upstream> {
        self.upstreams.get(id.0 as usize)
    }

    /// The store that a `cache` line names. Ids are made by the loader of this very `Config`.
    #[must_use]
    pub fn store(&self, id: StoreId) -> Option<&Store> {
        self.stores.get(id.0 as usize)
    }
}
