//! Where responses are kept, and what a route keeps there.
//!
//! What a `cache` block leaves out is filled in from its store, so a [`Cache`] needs no look at the [`Store`] to be
//! understood.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::Condition;
use crate::{Setting, Span, Spanned};

/// A store by its place in `Config::stores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u32);

/// `store NAME`.
#[derive(Clone, Debug)]
pub struct Store {
    /// Its name.
    pub name: Spanned<String>,
    /// Bytes of memory for what is kept, with all that belongs to it; 256 MiB.
    pub memory: Setting<u64>,
    /// What holds more, and outlives the process; `None`: memory alone.
    pub disk: Option<Spanned<StoreDisk>>,
    /// Bytes of the largest body that is kept. An eighth of the memory, 1 GiB at most; with a disk an eighth of that.
    pub max_object: Setting<u64>,
    /// Which object goes when there is no room.
    pub evict: Setting<Evict>,
    /// `default-ttl`: what `ttl` is where a `cache` block says nothing. Filled in there.
    pub default_ttl: Option<Spanned<Duration>>,
    /// `grace`: what `stale` is where a `cache` block says nothing. Filled in there.
    pub grace: Option<Spanned<Duration>>,
    /// The block.
    pub span: Span,
}

/// `disk SIZE DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDisk {
    /// Bytes of all files.
    pub bytes: u64,
    /// The folder: absolute, without `.`, `..`, doubled slashes or one at its end. No folder of another store is the
    /// same, above it or below it.
    pub dir: PathBuf,
}

/// Which object goes when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evict {
    /// By the queues of S3-FIFO: what is asked for once goes soon.
    S3Fifo,
    /// What was asked for least recently.
    Lru,
}

/// `cache STORE { ... }`.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Where responses are kept.
    pub store: Spanned<StoreId>,
    /// `ttl T [STATUS...]`: how long a response is fresh that does not say so itself. At most one has no statuses, and
    /// each status stands in one at most.
    pub ttls: Vec<Spanned<CacheTtl>>,
    /// `ttl T force`: how long responses are fresh, whatever they say. Then no ttl is without statuses.
    pub force: Option<Spanned<Duration>>,
    /// `stale`: how long after that a response is still given out while it is fetched anew.
    pub stale: Option<Spanned<Duration>>,
    /// `stale-if-error`: how long it is given out while the servers fail.
    pub stale_if_error: Option<Spanned<Duration>>,
    /// `key` lines: parts of requests that tell variants apart. None stands twice.
    pub key: Vec<Spanned<CacheKeyPart>>,
    /// `vary ignore`: fields in lower case that tell no variants apart although `Vary` names them.
    pub vary_ignore: Vec<Spanned<String>>,
    /// `bypass when`: requests pass the cache by if one of these holds. Each is about a header, a cookie or the query.
    pub bypass: Vec<Spanned<Condition>>,
    /// What of the query belongs to the key.
    pub query: CacheQuery,
    /// `sort-query`: whether the order of parameters makes no difference; it does.
    pub sort_query: Setting<bool>,
    /// `min-uses`: how many requests there must be for something before it is kept, 1 to 100; 1.
    pub min_uses: Setting<u8>,
    /// `max-object`: bytes of the largest body that is kept; the store's.
    pub max_object: Setting<u64>,
    /// `methods`; both.
    pub methods: Setting<CacheMethods>,
    /// `lock`: how long requests wait for the one that fetches; 5 s. `None`: each fetches for itself.
    pub lock: Setting<Option<Duration>>,
    /// `slice`: bytes of the pieces that large bodies are fetched in; they are fetched whole.
    pub slice: Setting<Option<u64>>,
    /// `tags`: fields of responses that name tags, lower case; `cache-tag` and `surrogate-key`.
    pub tags: Setting<Vec<String>>,
    /// `status-header`: whether clients get `Cache-Status` (RFC 9211); they do not.
    pub status_header: Setting<bool>,
    /// `etag`: whether what is kept without ETag and Last-Modified gets a tag made of its content; it does.
    pub etag: Setting<bool>,
    /// `client-control`: whether `Cache-Control` of requests counts; it does.
    pub client_control: Setting<bool>,
    /// `cookies`: what a `Cookie` of the request means.
    pub cookies: Setting<CacheCookies>,
    /// `set-cookie`: what becomes of responses that set cookies.
    pub set_cookie: Setting<CacheSetCookie>,
    /// `targeted`: fields that go before `Cache-Control` (RFC 9213), best first, lower case; `doorman-cache-control`
    /// and `cdn-cache-control`.
    pub targeted: Setting<Vec<String>>,
    /// `purge from`: whose `PURGE` requests are obeyed; nobody's.
    pub purge: Vec<Spanned<IpNet>>,
    /// The line.
    pub span: Span,
}

/// `ttl T [STATUS...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTtl {
    /// How long, in whole seconds; zero: stale at once.
    pub time: Duration,
    /// For these statuses, 200 to 599 without 206 and 304; empty: for the successes and permanent redirects that may be
    /// kept without a word from the server (RFC 9110 section 15.1).
    pub statuses: Vec<u16>,
}

/// A part of requests that tells variants apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheKeyPart {
    /// The field of this name, lower case. Never one that frames the message, `host`, `cookie`, nor one of ranges or
    /// conditions.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
}

/// What of the query belongs to the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheQuery {
    /// All of it.
    Whole,
    /// `ignore-query *`: nothing.
    Nothing,
    /// `ignore-query`: all parameters but these.
    Ignore(Vec<Spanned<QueryName>>),
    /// `only-query`: these parameters alone.
    Only(Vec<Spanned<QueryName>>),
}

/// Names of parameters, as they stand in queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryName {
    /// This one.
    Exact(String),
    /// `NAME*`: all that begin so; never empty.
    Prefix(String),
}

/// Whose answers come from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMethods {
    /// Those to `GET`.
    Get,
    /// Those to `GET` and `HEAD`.
    GetAndHead,
}

/// What a `Cookie` of a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCookies {
    /// Its response is for others only if it says so: by `public`, `s-maxage` or a targeted field.
    Careful,
    /// Nothing; it is not passed on with requests that fetch something to keep.
    Ignore,
}

/// What becomes of responses that set cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheSetCookie {
    /// They are not kept.
    Refuse,
    /// They are kept without `Set-Cookie`.
    Strip,
}
