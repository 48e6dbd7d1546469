//! The table of directives: each one described once. The decoder checks names, places, counts and repetition against
//! it; `help`, the JSON Schema, the reference page and the completions are made from it.

mod abuse;
mod access;
mod browsers;
mod cache;
mod compress;
mod delivery;
mod desync;
mod discovery;
mod forward;
mod health;
mod identity;
mod later;
mod limits;
mod oidc;
mod optimize;
mod options;
mod overload;
mod process;
mod relay;
mod resilience;
mod sites;
mod sticky;
mod waf;

pub(crate) use identity::ALGORITHMS_LATER;
pub use later::{LATER, Later};

/// A block, as the place where directives stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Within {
    /// Outside of every block.
    Top,
    /// `global`.
    Global,
    /// `admin` in `global`.
    Admin,
    /// `acme` in `global`.
    Acme,
    /// `dns` in `acme`.
    AcmeDns,
    /// `limits` in `global`.
    Limits,
    /// `timeouts` in `global`.
    Timeouts,
    /// `geo` in `global`.
    Geo,
    /// `tls-policy` in `global`.
    TlsPolicy,
    /// `overload` in `global`.
    Overload,
    /// `user` in `global`.
    User,
    /// `listen`.
    Listen,
    /// `relay`.
    Relay,
    /// `upstream`.
    Upstream,
    /// `server` in `upstream`.
    Server,
    /// `sticky` in `upstream`.
    Sticky,
    /// `pool` in `upstream`.
    Pool,
    /// `discover` in `upstream`.
    Discover,
    /// `tls` in `upstream`.
    UpstreamTls,
    /// `health` in `upstream`.
    Health,
    /// `passive` in `upstream`.
    Passive,
    /// `outlier` in `upstream`.
    Outlier,
    /// `retry` in `upstream`.
    Retry,
    /// `breaker` in `upstream`.
    Breaker,
    /// `queue` in `upstream`.
    Queue,
    /// `park` in `upstream`.
    Park,
    /// `store`.
    Store,
    /// `policy`.
    Policy,
    /// `site`.
    Site,
    /// `tls` in `site`.
    SiteTls,
    /// `client-auth` in `tls` of a `site`.
    ClientAuth,
    /// `route`.
    Route,
    /// `proxy`.
    Proxy,
    /// `body`.
    Body,
    /// `buffer`.
    Buffer,
    /// `mirror`.
    Mirror,
    /// `cache`.
    Cache,
    /// `compress`.
    Compress,
    /// `decompress`.
    Decompress,
    /// `optimize`.
    Optimize,
    /// `preset` in `optimize`.
    Preset,
    /// `waf`.
    Waf,
    /// `exclude` in `waf`.
    WafExclude,
    /// `body` in `waf`.
    WafBody,
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
    /// `limit`.
    Limit,
    /// `connections`.
    Connections,
    /// `concurrency`.
    Concurrency,
    /// `throttle`.
    Throttle,
    /// `basic-auth`.
    BasicAuth,
    /// `api-key`.
    ApiKey,
    /// `jwt`.
    Jwt,
    /// `forward-auth`.
    ForwardAuth,
    /// `oidc`.
    Oidc,
    /// `cors`.
    Cors,
    /// `csrf`.
    Csrf,
    /// `challenge`.
    Challenge,
    /// `ban`.
    Ban,
    /// `timeout`.
    Timeout,
}

impl Within {
    /// All of them, in the order in which the reference shows them.
    pub const ALL: &'static [Within] = &[
        Within::Top,
        Within::Global,
        Within::Admin,
        Within::Acme,
        Within::AcmeDns,
        Within::Limits,
        Within::Timeouts,
        Within::Geo,
        Within::TlsPolicy,
        Within::Overload,
        Within::User,
        Within::Listen,
        Within::Relay,
        Within::Upstream,
        Within::Server,
        Within::Sticky,
        Within::Pool,
        Within::Discover,
        Within::UpstreamTls,
        Within::Health,
        Within::Passive,
        Within::Outlier,
        Within::Retry,
        Within::Breaker,
        Within::Queue,
        Within::Park,
        Within::Store,
        Within::Policy,
        Within::Site,
        Within::SiteTls,
        Within::ClientAuth,
        Within::Route,
        Within::Proxy,
        Within::Body,
        Within::Buffer,
        Within::Mirror,
        Within::Cache,
        Within::Compress,
        Within::Decompress,
        Within::Optimize,
        Within::Preset,
        Within::Waf,
        Within::WafExclude,
        Within::WafBody,
        Within::Allow,
        Within::Deny,
        Within::Limit,
        Within::Connections,
        Within::Concurrency,
        Within::Throttle,
        Within::BasicAuth,
        Within::ApiKey,
        Within::Jwt,
        Within::ForwardAuth,
        Within::Oidc,
        Within::Cors,
        Within::Csrf,
        Within::Challenge,
        Within::Ban,
        Within::Timeout,
    ];

    /// The directive that opens the block; empty for the top level.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Within::Top => "",
            Within::Global => "global",
            Within::Admin => "admin",
            Within::Acme => "acme",
            Within::AcmeDns => "dns",
            Within::Limits => "limits",
            Within::Timeouts => "timeouts",
            Within::TlsPolicy => "tls-policy",
            Within::Overload => "overload",
            Within::User => "user",
            Within::Listen => "listen",
            Within::Relay => "relay",
            Within::Upstream => "upstream",
            Within::Server => "server",
            Within::Sticky => "sticky",
            Within::Pool => "pool",
            Within::Discover => "discover",
            Within::UpstreamTls | Within::SiteTls => "tls",
            Within::Retry => "retry",
            Within::Breaker => "breaker",
            Within::Queue => "queue",
            Within::Park => "park",
            Within::Store => "store",
            Within::Cache => "cache",
            Within::Compress => "compress",
            Within::Decompress => "decompress",
            Within::Optimize => "optimize",
            Within::Preset => "preset",
            Within::ClientAuth => "client-auth",
            Within::Health => "health",
            Within::Passive => "passive",
            Within::Outlier => "outlier",
            Within::Policy => "policy",
            Within::Site => "site",
            Within::Route => "route",
            Within::Proxy => "proxy",
            Within::Body | Within::WafBody => "body",
            Within::Waf => "waf",
            Within::WafExclude => "exclude",
            Within::Buffer => "buffer",
            Within::Mirror => "mirror",
            Within::Geo => "geo",
            Within::Allow => "allow",
            Within::Deny => "deny",
            Within::Limit => "limit",
            Within::Connections => "connections",
            Within::Concurrency => "concurrency",
            Within::Throttle => "throttle",
            Within::BasicAuth => "basic-auth",
            Within::ApiKey => "api-key",
            Within::Jwt => "jwt",
            Within::ForwardAuth => "forward-auth",
            Within::Oidc => "oidc",
            Within::Cors => "cors",
            Within::Csrf => "csrf",
            Within::Challenge => "challenge",
            Within::Ban => "ban",
            Within::Timeout => "timeout",
        }
    }

    /// A phrase that says where: "in `upstream`", "at the top level".
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            Within::Top => "at the top level".to_owned(),
            Within::SiteTls => "in `tls` of a `site`".to_owned(),
            Within::UpstreamTls => "in `tls` of an `upstream`".to_owned(),
            Within::WafBody => "in `body` of a `waf`".to_owned(),
            other => format!("in `{}`", other.word()),
        }
    }

    /// A name without spaces, for schemas and anchors.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Within::Top => "top",
            Within::SiteTls => "site-tls",
            Within::UpstreamTls => "upstream-tls",
            Within::WafBody => "waf-body",
            other => other.word(),
        }
    }
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words; the second list comes with a later version.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// `10MiB`.
    Size,
    /// `30s`.
    Duration,
    /// A name that the operator chooses.
    Name,
    /// A path of a file.
    File,
    /// A host, as in a certificate.
    Host,
    /// `IP:PORT`, `:PORT`, `unix:PATH`.
    Socket,
    /// `[http://|https://]HOST:PORT`, a port, `unix:PATH`.
    Server,
    /// `[http://|https://]HOST[:PORT]`, `:PORT`.
    Site,
    /// `10.0.0.0/8` or one address.
    Range,
    /// An IP address.
    Ip,
    /// Text with placeholders.
    Template,
    /// A status or statuses: `502`, `500-599`.
    Status,
    /// The name of a header field.
    Field,
    /// Whatever the directive's own rule says; the text describes it.
    Any(&'static str),
}

/// How many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// One or more; last argument only.
    Some,
    /// Any number; last argument only.
    Many,
}

/// An argument of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in help, in capitals unless it is a choice.
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// How many.
    pub arity: Arity,
}

/// Whether a directive may stand twice in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    Once,
    /// As often as wanted.
    Often,
}

/// A directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub within: &'static [Within],
    /// Its values.
    pub arguments: &'static [Argument],
    /// The block that it may open; its words also fold into the line.
    pub block: Option<Within>,
    /// Whether it may stand twice.
    pub repeat: Repeat,
    /// What holds without it; may be empty.
    pub default: &'static str,
    /// One line.
    pub help: &'static str,
    /// A statement that is right.
    pub example: &'static str,
    /// The first version that has it.
    pub since: &'static str,
}

impl Directive {
    const fn new(
        name: &'static str,
        within: &'static [Within],
        arguments: &'static [Argument],
        help: &'static str,
        example: &'static str,
    ) -> Directive {
        Directive {
            name,
            within,
            arguments,
            block: None,
            repeat: Repeat::Once,
            default: "",
            help,
            example,
            since: "0.1.0",
        }
    }

    const fn block(mut self, block: Within) -> Directive {
        self.block = Some(block);
        self
    }

    const fn often(mut self) -> Directive {
        self.repeat = Repeat::Often;
        self
    }

    const fn default(mut self, default: &'static str) -> Directive {
        self.default = default;
        self
    }

    /// Fewest values.
    #[must_use]
    pub fn values_min(&self) -> usize {
        let needed = |argument: &&Argument| matches!(argument.arity, Arity::One | Arity::Some);
        self.arguments.iter().filter(needed).count()
    }

    /// Most values; `None`: no bound.
    #[must_use]
    pub fn values_max(&self) -> Option<usize> {
        let open = |argument: &Argument| matches!(argument.arity, Arity::Some | Arity::Many);
        if self.arguments.iter().any(open) { None } else { Some(self.arguments.len()) }
    }

    /// `name ARGUMENT [OPTIONAL] MANY...`.
    #[must_use]
    pub fn syntax(&self) -> String {
        let mut text = self.name.to_owned();
        for argument in self.arguments {
            let name = match argument.kind {
                Kind::Choice(words, _) => words.join("|"),
                _ => argument.name.to_owned(),
            };
            text.push(' ');
            text.push_str(&match argument.arity {
                Arity::One => name,
                Arity::Optional => format!("[{name}]"),
                Arity::Some => format!("{name}..."),
                Arity::Many => format!("[{name}...]"),
            });
        }
        text
    }

    /// Whether it takes nothing at all: its being there is what it says.
    #[must_use]
    pub fn is_flag(&self) -> bool {
        self.arguments.is_empty() && self.block.is_none()
    }
}

const fn one(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, arity: Arity::One }
}

const fn optional(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, arity: Arity::Optional }
}

const fn some(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, arity: Arity::Some }
}

const fn many(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, arity: Arity::Many }
}

/// What makes a client, where nothing else is counted by.
const CLIENT_PER: &[Argument] = &[
    one("client-ip", Kind::Choice(&["client-ip"], &[])),
    optional("/P4", Kind::Any("bits of IPv4, /1 to /32")),
    optional("/P6", Kind::Any("bits of IPv6, /1 to /128")),
];

/// Cipher suites that a policy may name: all that there are.
pub(crate) const SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// How many of [`SUITES`], from the first, are of TLS 1.3.
pub(crate) const SUITES_TLS13: usize = 3;

/// Groups that a policy may name.
pub(crate) const GROUPS: &[&str] = &["X25519MLKEM768", "X25519", "secp256r1", "secp384r1"];

/// Every directive, in the order of the reference.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    process::DIRECTIVES
        .iter()
        .chain(relay::DIRECTIVES)
        .chain(discovery::DIRECTIVES)
        .chain(sites::DIRECTIVES)
        .chain(sticky::DIRECTIVES)
        .chain(health::DIRECTIVES)
        .chain(resilience::DIRECTIVES)
        .chain(options::DIRECTIVES)
        .chain(cache::DIRECTIVES)
        .chain(compress::DIRECTIVES)
        .chain(optimize::DIRECTIVES)
        .chain(delivery::DIRECTIVES)
        .chain(waf::DIRECTIVES)
        .chain(access::DIRECTIVES)
        .chain(limits::DIRECTIVES)
        .chain(overload::DIRECTIVES)
        .chain(identity::DIRECTIVES)
        .chain(forward::DIRECTIVES)
        .chain(oidc::DIRECTIVES)
        .chain(desync::DIRECTIVES)
        .chain(browsers::DIRECTIVES)
        .chain(abuse::DIRECTIVES)
}

/// The directive of that name in that block.
#[must_use]
pub fn find(name: &str, within: Within) -> Option<&'static Directive> {
    directives().find(|directive| directive.name == name && directive.within.contains(&within))
}

/// All that may stand in a block.
pub fn allowed(within: Within) -> impl Iterator<Item = &'static Directive> {
    directives().filter(move |directive| directive.within.contains(&within))
}

/// What is planned under that name, at best for that block.
#[must_use]
pub fn later(name: &str, within: Within) -> Option<&'static Later> {
    let named = || LATER.iter().filter(|later| later.name == name);
    named().find(|later| later.within.contains(&within))
}

/// Spellings of other proxies, and what they are called here.
pub(crate) const FOREIGN: &[(&str, &str)] = &[
    ("reverse_proxy", "proxy"),
    ("proxy_pass", "proxy"),
    ("proxypass", "proxy"),
    ("fastcgi_pass", "proxy"),
    ("location", "route"),
    ("handle", "route"),
    ("handle_path", "route` with `strip-prefix"),
    ("server_name", "site"),
    ("virtualhost", "site"),
    ("frontend", "site"),
    ("backend", "upstream"),
    ("redir", "redirect"),
    ("rewrite_log", "doorman explain"),
    ("return", "respond` or `redirect"),
    ("proxy_set_header", "request-header set"),
    ("header_up", "request-header"),
    ("requestheader", "request-header"),
    ("add_header", "response-header set"),
    ("header", "response-header"),
    ("header_down", "response-header"),
    ("proxy_hide_header", "response-header remove"),
    ("proxy_redirect", "rewrite-location"),
    ("proxy_cookie_domain", "rewrite-cookie domain"),
    ("proxy_cookie_path", "rewrite-cookie path"),
    ("error_page", "error-page"),
    ("handle_errors", "error-page"),
    ("client_max_body_size", "body max"),
    ("request_body", "body max"),
    ("proxy_buffering", "buffer response"),
    ("proxy_request_buffering", "buffer request"),
    ("proxy_connect_timeout", "timeout connect"),
    ("proxy_read_timeout", "timeout idle"),
    ("proxy_send_timeout", "timeout idle"),
    ("client_header_timeout", "timeouts { head"),
    ("client_body_timeout", "timeouts { body-idle"),
    ("keepalive_timeout", "timeouts { keep-alive"),
    ("keepalive", "pool idle"),
    ("ssl_certificate", "tls cert FILE key FILE"),
    ("ssl_certificate_key", "tls cert FILE key FILE"),
    ("ssl_protocols", "tls { min"),
    ("ssl_ciphers", "tls-policy NAME { suites"),
    ("ssl_ecdh_curve", "tls-policy NAME { groups"),
    ("ssl_client_certificate", "tls { client-auth require ca"),
    ("ssl_verify_client", "tls { client-auth"),
    ("ssl_crl", "tls { client-auth require crl"),
    ("ssl_early_data", "tls { early-data"),
    ("client_auth", "client-auth"),
    ("import", "use` for a policy, `include` for a file; not `import"),
    ("worker_processes", "workers"),
    ("access_log", "log access"),
    ("error_log", "log error"),
    ("errorlog", "log error"),
    ("customlog", "log access"),
    ("encode", "compress"),
    ("gzip", "compress"),
    ("gzip_types", "compress { types"),
    ("gzip_comp_level", "compress { level gzip"),
    ("gzip_min_length", "compress { min"),
    ("gunzip", "decompress"),
    ("brotli", "compress"),
    ("brotli_types", "compress { types"),
    ("brotli_comp_level", "compress { level br"),
    ("image_filter", "optimize images"),
    ("pagespeed", "optimize"),
    ("basicauth", "basic-auth"),
    ("basic_auth", "basic-auth"),
    ("auth_basic", "basic-auth"),
    ("auth_basic_user_file", "basic-auth file"),
    ("digestauth", "basic-auth"),
    ("authtype", "basic-auth"),
    ("authuserfile", "basic-auth file"),
    ("auth_request", "forward-auth"),
    ("auth_request_set", "forward-auth { response-header"),
    ("forwardauth", "forward-auth"),
    ("auth_oidc", "oidc"),
    ("oidc_provider", "oidc"),
    ("auth_jwt", "jwt"),
    ("auth_jwt_key_file", "jwt jwks"),
    ("satisfy", "basic-auth`, `api-key`, `jwt` and `oidc`, of which any suffices; not `satisfy"),
    ("limit_req", "limit"),
    ("limit_req_zone", "limit RATE per"),
    ("limit_req_status", "limit { status"),
    ("limit_conn", "concurrency` or `connections"),
    ("limit_conn_zone", "concurrency N per"),
    ("limit_rate", "throttle"),
    ("limit_rate_after", "throttle RATE after"),
    ("rate_limit", "limit"),
    ("ratelimit", "limit"),
    ("stick_table", "limit RATE per"),
    ("inflightreq", "concurrency"),
    ("maxconn", "concurrency"),
    ("ipallowlist", "allow"),
    ("ipwhitelist", "allow"),
    ("remote_ip", "allow"),
    ("require", "allow"),
    ("tcp_request", "deny"),
    ("http_request", "deny`, `limit` or `request-header"),
    ("geoip2", "geo"),
    ("geoip_country", "geo country"),
    ("crossorigin", "cors"),
    ("access_control_allow_origin", "cors"),
    ("fail2ban", "ban"),
    ("anubis", "challenge"),
    ("js_challenge", "challenge"),
    ("set_real_ip_from", "trusted-proxies"),
    ("lb_policy", "balance"),
    ("least_conn", "balance least-requests"),
    ("proxy_cache", "cache"),
    ("proxy_cache_path", "store"),
    ("proxy_cache_valid", "cache STORE { ttl"),
    ("proxy_cache_key", "cache STORE { key"),
    ("proxy_cache_bypass", "cache STORE { bypass when"),
    ("proxy_no_cache", "cache STORE { bypass when"),
    ("proxy_cache_min_uses", "cache STORE { min-uses"),
    ("proxy_cache_lock", "cache STORE { lock"),
    ("proxy_cache_use_stale", "cache STORE { stale"),
    ("cacheenable", "cache"),
    ("modsecurity", "waf"),
    ("modsecurity_rules_file", "waf { rules"),
    ("secruleengine", "waf { mode"),
    ("secrule", "waf { rules"),
    ("coraza_waf", "waf"),
    ("vars", "request-header set"),
    ("uri", "strip-prefix` or `rewrite"),
];
