//! Caches of routes, ready to run.

use std::sync::Arc;
use std::time::Duration;

use doorman_cache::{CacheRules, Chosen, Cookies, KeyRules, SetCookie, TtlRule};
use doorman_config::{
    Cache, CacheCookies, CacheKeyPart, CacheMethods, CacheQuery, CacheSetCookie, Config, QueryName,
    RouteOptions,
};
use doorman_http::KeyHash;
use doorman_route::{AddressSet, Check};
use doorman_store::Store;

use super::compile::{self, Faults, code};
use super::{Ground, PlanForms, routes};

/// What a route keeps, and by which rules.
pub(crate) struct PlanCache {
    pub(crate) store: Arc<Store>,
    pub(crate) rules: CacheRules,
    pub(crate) keys: KeyRules,
    pub(crate) chosen: Chosen,
    /// Fields, in lower case, by which no variants are told apart although `Vary` names them.
    pub(crate) vary_ignore: Box<[Box<[u8]>]>,
    /// Requests of which one of these holds pass the cache by.
    pub(crate) bypass: Box<[Check]>,
    /// Whether answers to HEAD come from the cache too.
    pub(crate) head: bool,
    /// How long a request waits for another that fetches the same; `None`: each fetches for itself.
    pub(crate) lock: Option<Duration>,
    /// Requests that there must be for something before it is kept.
    pub(crate) min_uses: u32,
    /// Bytes of the pieces that large bodies are fetched in; `None`: they are fetched whole.
    pub(crate) slice: Option<u64>,
    /// Response fields that name tags.
    pub(crate) tags: Box<[Box<str>]>,
    /// Whether clients are told what the cache did.
    pub(crate) status_header: bool,
    /// Whether what has no validator gets an entity tag made of its content.
    pub(crate) etag: bool,
    /// Whose PURGE is obeyed.
    pub(crate) purgers: AddressSet,
    /// Which smaller forms of what is kept are made; `None`: none.
    pub(crate) optimize: Option<Box<PlanForms>>,
    /// By upstream: who answers for a response, as a number that is the same in every plan. Two
    /// routes or upstreams that could answer differently never share a response.
    places: Box<[(usize, u64)]>,
}

impl PlanCache {
    pub(super) fn compile(
        config: &Config,
        ground: &Ground,
        label: (&str, &str),
        options: &RouteOptions,
        targets: &[(usize, u32)],
        faults: &mut Faults,
    ) -> Option<Self> {
        let written = options.cache.as_ref()?;
        let optimize = PlanForms::compile(&options.optimize, ground);
        let store = config.stores.get(written.store.value.0 as usize)?;
        let mut bypass = Vec::new();
        for condition in &written.bypass {
            match Check::new(&routes::condition(&condition.value)) {
                Ok(check) => bypass.push(check),
                Err(fault) => faults.error(code::EXPRESSION, condition.span, fault.to_string()),
            }
        }
        let names = |name: &String| name.as_str().into();
        Some(Self {
            store: ground.store(store, faults)?,
            rules: rules(written),
            keys: keys(written, optimize.as_deref()),
            chosen: chosen(written, !config.global.trusted_proxies.is_empty()),
            vary_ignore: written.vary_ignore.iter().map(|n| bytes(&n.value)).collect(),
            bypass: bypass.into(),
            head: written.methods.value == CacheMethods::GetAndHead,
            lock: written.lock.value,
            min_uses: u32::from(written.min_uses.value),
            slice: written.slice.value,
            tags: written.tags.value.iter().map(names).collect(),
            status_header: written.status_header.value,
            etag: written.etag.value,
            purgers: compile::address_set(written.purge.iter().map(|range| range.value)),
            optimize,
            places: targets
                .iter()
                .map(|(upstream, _)| (*upstream, place(config, label, *upstream)))
                .collect(),
        })
    }

    /// Who answers for a response of this upstream.
    pub(crate) fn place(&self, upstream: usize) -> Option<u64> {
        self.places.iter().find(|(known, _)| *known == upstream).map(|(_, place)| *place)
    }

    /// The upstream that a place stands for, if it is one of this route.
    pub(super) fn upstream(&self, place: u64) -> Option<usize> {
        self.places.iter().find(|(_, known)| *known == place).map(|(upstream, _)| *upstream)
    }
}

/// Names in the order of who contains whom, with a byte between that no name holds.
fn place(config: &Config, (site, route): (&str, &str), upstream: usize) -> u64 {
    let mut hash = KeyHash::new(0);
    let name = config.upstreams.get(upstream).map_or("", |upstream| upstream.name.value.as_str());
    for part in [site, route, name] {
        hash.write(part.as_bytes());
        hash.write(&[0]);
    }
    hash.finish()
}

fn rules(written: &Cache) -> CacheRules {
    CacheRules {
        ttls: written
            .ttls
            .iter()
            .map(|ttl| TtlRule {
                seconds: seconds(ttl.value.time),
                statuses: ttl.value.statuses.as_slice().into(),
            })
            .collect(),
        force: written.force.as_ref().map(|time| seconds(time.value)),
        stale: written.stale.as_ref().map(|time| seconds(time.value)),
        stale_if_error: written.stale_if_error.as_ref().map(|time| seconds(time.value)),
        targeted: written.targeted.value.iter().map(|name| bytes(name)).collect(),
        client_control: written.client_control.value,
        set_cookie: match written.set_cookie.value {
            CacheSetCookie::Refuse => SetCookie::Refuse,
            CacheSetCookie::Strip => SetCookie::Strip,
        },
        cookies: match written.cookies.value {
            CacheCookies::Careful => Cookies::Careful,
            CacheCookies::Ignore => Cookies::Ignore,
        },
        max_object: written.max_object.value,
        ..CacheRules::default()
    }
}

fn keys(written: &Cache, optimize: Option<&PlanForms>) -> KeyRules {
    let patterns = |names: &[doorman_config::Spanned<QueryName>]| -> Box<[Box<[u8]>]> {
        let pattern = |name: &QueryName| match name {
            QueryName::Exact(name) => bytes(name),
            QueryName::Prefix(start) => bytes(&format!("{start}*")),
        };
        names.iter().map(|name| pattern(&name.value)).collect()
    };
    let (ignore_query, only_query) = match &written.query {
        CacheQuery::Whole => (Box::default(), None),
        CacheQuery::Nothing => (Box::from([bytes("*")]), None),
        CacheQuery::Ignore(names) => (patterns(names), None),
        CacheQuery::Only(names) => (Box::default(), Some(patterns(names))),
    };
    // One original serves all sizes, and an origin is not asked for any.
    let size = optimize.and_then(|forms| forms.rules.images.as_ref()?.resize.clone());
    let ignore_query = ignore_query.into_iter().chain(size).collect();
    KeyRules { ignore_query, only_query, sort_query: written.sort_query.value }
}

/// Where there are trusted peers, what they say of scheme and host counts: it goes to origins as it is,
/// and they answer by it (CPO-06). What others say of it never does.
fn chosen(written: &Cache, has_trusted: bool) -> Chosen {
    let (mut headers, mut cookies) = (Vec::new(), Vec::new());
    if has_trusted {
        headers.extend(["x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"].map(bytes));
    }
    for part in &written.key {
        match &part.value {
            CacheKeyPart::Header(name) => headers.push(bytes(name)),
            CacheKeyPart::Cookie(name) => cookies.push(bytes(name)),
        }
    }
    Chosen { headers: headers.into(), cookies: cookies.into(), method: false }
}

fn bytes(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
