//! Options of a route, merged from its policies, its site and itself.
//!
//! Lists hold every line in that order and are applied in that order, so a later `set` of the same field wins. Single
//! values are `None` where nobody wrote one and the corridor then does nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::{Cache, Compress, Decompress, Delivery, Guard, Optimize, UpstreamId, Waf};
use crate::{Setting, Span, Spanned, Template};

/// Everything that a route may say besides its ending.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    /// `strip-prefix P`: begins with `/`, does not end with one.
    pub strip_prefix: Option<Spanned<String>>,
    /// `rewrite` lines; each works on the result of the one before.
    pub rewrites: Vec<Spanned<Rewrite>>,
    /// `host`: what `Host` the upstream sees.
    pub host: Setting<UpstreamHost>,
    /// `request-header` lines.
    pub request_headers: Vec<Spanned<HeaderEdit>>,
    /// `response-header` lines.
    pub response_headers: Vec<Spanned<HeaderEdit>>,
    /// `forwarded`: how the client is named to the upstream.
    pub forwarded: Setting<Forwarded>,
    /// `hsts`: what browsers are told; the value of `Strict-Transport-Security`.
    pub hsts: Option<Spanned<String>>,
    /// `mtls`: the client must have shown a certificate.
    pub mtls: Option<Span>,
    /// `client-cert`: whether the client's certificate is passed on.
    pub client_cert: Setting<ClientCert>,
    /// `rewrite-location`.
    pub rewrite_location: Setting<LocationRewrite>,
    /// `rewrite-cookie` lines.
    pub rewrite_cookies: Vec<Spanned<CookieRewrite>>,
    /// `error-page` lines; for one status the last that names it wins.
    pub error_pages: Vec<Spanned<ErrorPage>>,
    /// `body max`: bytes of a request body; `None`: no bound. `limits body` of `global` is already in it.
    pub body_max: Option<Spanned<u64>>,
    /// `buffer request`.
    pub buffer_request: Setting<Buffering>,
    /// `buffer response`.
    pub buffer_response: Setting<Buffering>,
    /// `timeout` lines.
    pub timeouts: RouteTimeouts,
    /// `sticky-share` of its `proxy` line: what keeps a client on its side of the split.
    pub sticky_share: Option<Spanned<StickyShare>>,
    /// `mirror`: where copies of requests go.
    pub mirror: Option<Mirror>,
    /// `cache`: what is kept, and where; `None`: nothing is. The nearest block holds as a whole.
    pub cache: Option<Box<Cache>>,
    /// `compress`: which answers are coded; `None`: none is. The nearest line holds as a whole.
    pub compress: Option<Compress>,
    /// `decompress`: how answers are decoded for clients that cannot read them; `None`: they are not. The nearest line
    /// holds as a whole.
    pub decompress: Option<Decompress>,
    /// `optimize`: what is made smaller.
    pub optimize: Optimize,
    /// What answers get on their way to browsers.
    pub delivery: Delivery,
    /// `waf`: what is inspected; `None`: nothing is. The nearest line that names rules holds as a whole.
    pub waf: Option<Box<Waf>>,
    /// What a request must pass first.
    pub guard: Guard,
}

impl Default for RouteOptions {
    fn default() -> RouteOptions {
        RouteOptions {
            strip_prefix: None,
            rewrites: Vec::new(),
            host: Setting::default_of(UpstreamHost::Preserve),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            forwarded: Setting::default_of(Forwarded::XForwarded),
            hsts: None,
            mtls: None,
            client_cert: Setting::default_of(ClientCert::Off),
            rewrite_location: Setting::default_of(LocationRewrite::Auto),
            rewrite_cookies: Vec::new(),
            error_pages: Vec::new(),
            body_max: None,
            buffer_request: Setting::default_of(Buffering::Off),
            buffer_response: Setting::default_of(Buffering::Off),
            timeouts: RouteTimeouts::default(),
            sticky_share: None,
            mirror: None,
            cache: None,
            compress: None,
            decompress: None,
            optimize: Optimize::default(),
            delivery: Delivery::default(),
            waf: None,
            guard: Guard::default(),
        }
    }
}

/// `rewrite [path|query|host] FROM TO`.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// What it works on; the path if none was written.
    pub part: RewritePart,
    /// A regex. The syntax is checked, the size is not.
    pub from: Spanned<String>,
    /// The replacement of the whole match; `{1}` to `{9}` are groups, `{name}` placeholders.
    pub to: Spanned<Template>,
}

/// Part of a request that is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewritePart {
    /// The path, without the query.
    Path,
    /// The query, without the `?`.
    Query,
    /// The host that the upstream sees.
    Host,
}

/// `Host` towards the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamHost {
    /// What the client sent.
    Preserve,
    /// The server's own address.
    Upstream,
    /// This.
    Value(Template),
}

/// One edit of a head. Names are in lower case, are tokens, and are never a field that frames the message
/// (`content-length`, `transfer-encoding`, `connection`, ...) nor `host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// One field with this value instead of all of this name.
    Set {
        /// Field name, lower case.
        name: String,
        /// Its value.
        value: Template,
    },
    /// One more field.
    Add {
        /// Field name, lower case.
        name: String,
        /// Its value.
        value: Template,
    },
    /// No field of this name.
    Remove {
        /// Field name, lower case.
        name: String,
    },
}

/// How the upstream learns who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    /// Both.
    Both,
    /// Not at all; what the client sent of these is removed all the same.
    Off,
}

/// How the upstream is shown the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCert {
    /// Not at all.
    Off,
    /// As `Client-Cert` and `Client-Cert-Chain`.
    Rfc9440,
}

/// What becomes of `Location`, `Content-Location` and `Refresh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationRewrite {
    /// What names the upstream is made to name the site; a stripped prefix is put back.
    Auto,
    /// Nothing.
    Off,
    /// `auto`, but first these; the first that fits wins.
    Rules(Vec<Spanned<LocationRule>>),
}

/// `rewrite-location FROM TO`: a start of the value and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationRule {
    /// Start of the value.
    pub from: String,
    /// Its replacement.
    pub to: Template,
}

/// `rewrite-cookie domain|path FROM TO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRewrite {
    /// Which attribute of `Set-Cookie`.
    pub part: CookiePart,
    /// For a domain: the whole of it, without case; for a path: its start.
    pub from: String,
    /// The replacement.
    pub to: Template,
}

/// Attribute of `Set-Cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookiePart {
    /// `Domain`.
    Domain,
    /// `Path`.
    Path,
}

/// `error-page CODES FILE` or `error-page CODES respond [STATUS] BODY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// Statuses it is for, 400 to 599, at least one range.
    pub statuses: Vec<StatusRange>,
    /// What is sent instead.
    pub action: ErrorAction,
}

impl ErrorPage {
    /// Whether it is for this status.
    #[must_use]
    pub fn covers(&self, status: u16) -> bool {
        self.statuses.iter().any(|range| range.first <= status && status <= range.last)
    }
}

/// Statuses from first to last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// First.
    pub first: u16,
    /// Last, not below first.
    pub last: u16,
}

/// What an error page sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorAction {
    /// A file with the original status. It is read when the plan is made.
    File(Spanned<PathBuf>),
    /// A text.
    Respond {
        /// Another status; `None`: the original one.
        status: Option<u16>,
        /// The text.
        body: Spanned<Template>,
    },
}

/// Whether a body is collected before it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffering {
    /// Each piece is passed on as it comes.
    Off,
    /// Up to this many bytes are collected first; what is longer streams from there.
    UpTo(u64),
}

impl Buffering {
    /// What `on` means: 1 MiB, enough for forms and API calls, little enough to hold for each of many slow clients.
    pub const ON: Buffering = Buffering::UpTo(1024 * 1024);
}

/// `timeout` lines of a route or an upstream. A route's go before its upstream's, and those before `timeouts` of
/// `global`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// Address look-up, connect and TLS.
    pub connect: Option<Spanned<Duration>>,
    /// From the request sent to the head of the response.
    pub head: Option<Spanned<Duration>>,
    /// From the request sent to the end of the response; none unless written.
    pub response: Option<Spanned<Duration>>,
    /// Between two reads of a response body, and the silence of a tunnel.
    pub idle: Option<Spanned<Duration>>,
}

impl RouteTimeouts {
    /// These where written, `other`'s elsewhere.
    #[must_use]
    pub fn or(self, other: RouteTimeouts) -> RouteTimeouts {
        RouteTimeouts {
            connect: self.connect.or(other.connect),
            head: self.head.or(other.head),
            response: self.response.or(other.response),
            idle: self.idle.or(other.idle),
        }
    }
}

/// What keeps a client on its side of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyShare {
    /// A number in a cookie of this name.
    Cookie(String),
    /// Its address.
    ClientIp,
    /// This text of its requests.
    Key(Template),
}

/// `mirror UPSTREAM [N%]`.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where copies go.
    pub upstream: Spanned<UpstreamId>,
    /// How many of 10,000 requests.
    pub share: u32,
    /// Bytes of a body that are copied; requests with longer ones are not mirrored; 64 KiB.
    pub body: Setting<u64>,
    /// Copies under way at once; 100.
    pub concurrency: Setting<u32>,
    /// How long a copy may take; 10 s.
    pub timeout: Setting<Duration>,
    /// The field that marks a copy, lower case; `X-Mirror`. `None`: nothing does.
    pub marker: Setting<Option<String>>,
    /// The line.
    pub span: Span,
}
