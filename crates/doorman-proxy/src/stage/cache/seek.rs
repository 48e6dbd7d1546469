//! By what a request is sought.

use std::cell::Cell;

use doorman_cache::{Asked, Cookies, UrlKey, is_for_origin, range, strip_for_fill};
use doorman_http::{Body, FieldId, FieldSet, Length, Method, RequestHead};
use doorman_route::Query;
use doorman_store::Chooser;

use super::invalidate::{self, Change};
use crate::exchange::Exchange;
use crate::form::Shape;
use crate::plan::{PlanCache, PlanCode};
use crate::record::Cached;
use crate::stage::{grpc, optimize};
use crate::stop::Stop;

/// Fields by which clients have some origins answer for another URL or method than they ask for: an
/// answer to them must not be stored for those who do not send them (CPO-03).
const DETOURS: [&[u8]; 8] = [
    b"x-original-url",
    b"x-rewrite-url",
    b"x-original-host",
    b"x-host",
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-forwarded-scheme",
];

/// What the cache has to do with a request.
pub(crate) enum Seek<'p> {
    /// Nothing.
    Bypass,
    /// It may change what is stored under this key.
    Change(Change<'p>),
    /// It may be answered from the store.
    Look(Sought<'p>),
}

/// A request that may be answered from the store.
pub(crate) struct Sought<'p> {
    pub(crate) cache: &'p PlanCache,
    /// What is done to the codings of answers.
    pub(crate) code: Option<&'p PlanCode>,
    pub(crate) key: UrlKey,
    /// Who answers for the response.
    pub(crate) place: u64,
    /// The upstream that this stands for.
    pub(crate) upstream: usize,
    pub(crate) asked: Asked,
    /// Whether the client wants the head alone.
    pub(crate) is_head: bool,
    /// The request as it was before its conditions and ranges were taken off, if it had any.
    pub(crate) conditional: Option<Box<RequestHead>>,
    /// Whether the client's conditions have been taken off.
    pub(crate) is_stripped: bool,
    /// Whether the origin has said of something else that it still holds: it is asked for the whole.
    pub(crate) is_mistaken: bool,
    /// Whether the client is to be answered by an answer of its own.
    pub(crate) is_own: bool,
    /// What the client asks of an image by its query.
    pub(crate) shape: Option<Shape>,
}

/// Fields by which a client wants less than a whole response.
const LESS: FieldSet = FieldSet::of(&[
    FieldId::IfMatch,
    FieldId::IfNoneMatch,
    FieldId::IfModifiedSince,
    FieldId::IfUnmodifiedSince,
    FieldId::IfRange,
    FieldId::Range,
]);

/// What is sought, apart from the plan that says where.
#[derive(Clone)]
pub(crate) struct Again {
    key: UrlKey,
    place: u64,
    upstream: usize,
}

impl Again {
    /// The same, sought by these rules, on behalf of all.
    pub(crate) fn sought(self, cache: &PlanCache) -> Sought<'_> {
        let Self { key, place, upstream } = self;
        Sought {
            cache,
            code: None,
            key,
            place,
            upstream,
            asked: Asked::default(),
            is_head: false,
            conditional: None,
            is_stripped: true,
            is_mistaken: false,
            is_own: false,
            shape: None,
        }
    }
}

thread_local! {
    /// A key whose memory the next request can use.
    static KEY: Cell<UrlKey> = Cell::default();
}

/// Memory of a key, in bytes, up to which it is kept: longer ones are rare.
const KEPT_MAX: usize = 1024;

impl<'p> Sought<'p> {
    /// It has been found.
    pub(crate) fn end(self) {
        if self.key.bytes().len() <= KEPT_MAX {
            KEY.set(self.key);
        }
    }

    /// The same, to be sought again by itself.
    pub(crate) fn again(&self) -> Again {
        Again { key: self.key.clone(), place: self.place, upstream: self.upstream }
    }

    /// A slice of the same, sought for all.
    pub(crate) fn slice(&self, index: u64) -> Self {
        let again = Again { key: self.key.slice(index, self.cache.store.seed()), ..self.again() };
        Self { asked: self.asked, is_stripped: self.is_stripped, ..again.sought(self.cache) }
    }

    /// Takes over which conditions the client had, from where they were taken off.
    pub(crate) fn keep_conditions_of(&mut self, other: &Self) {
        if !self.is_stripped {
            self.conditional.clone_from(&other.conditional);
            self.is_stripped = other.is_stripped;
        }
    }

    /// What chooses among the variants of the URL.
    pub(crate) fn chooser<'a>(&'a self, request: &'a RequestHead) -> Chooser<'a> {
        Chooser { place: self.place, chosen: &self.cache.chosen, request }
    }

    /// The request whose conditions and ranges count; `None` if the client has none. Those that the
    /// origin is asked with are not the client's.
    pub(crate) fn client<'a>(&'a self, request: &'a RequestHead) -> Option<&'a RequestHead> {
        if self.is_stripped { self.conditional.as_deref() } else { Some(request) }
    }

    /// Remembers the client's conditions and ranges, which are about to be taken off the request.
    pub(super) fn keep_conditions(&mut self, request: &RequestHead) {
        if !self.is_stripped && request.fields.has_any(LESS) {
            self.conditional = Some(Box::new(request.clone()));
        }
        self.is_stripped = true;
    }

    /// Puts them back, in place of those that the origin was to be asked with for all.
    pub(super) fn give_conditions_back(&mut self, request: &mut RequestHead) {
        match self.conditional.take() {
            Some(conditional) => *request = *conditional,
            None if self.is_stripped => strip_for_fill(request),
            None => {}
        }
        self.is_stripped = false;
    }

    /// Whether the client wants only a part.
    pub(super) fn wants_part(&self, request: &RequestHead) -> bool {
        !self.is_head && self.client(request).is_some_and(range::is_asked)
    }
}

/// Finds out what the cache has to do with a request, before it is edited: it is sought by what its
/// client asked for.
///
/// # Errors
/// The answer to a client that purges.
pub(crate) fn seek<'p>(
    cache: &'p PlanCache,
    code: Option<&'p PlanCode>,
    upstream: usize,
    exchange: &mut Exchange,
) -> Result<Seek<'p>, Stop> {
    let head = &exchange.head;
    let is_head = head.method == Method::Head;
    if head.method != Method::Get && !(is_head && cache.head) {
        if head.method.as_str() == "PURGE" && !cache.purgers.is_empty() {
            return Err(invalidate::purge(cache, exchange));
        }
        if head.method.is_safe() || head.is_asterisk() || head.upgrade.is_some() {
            return Ok(bypass(exchange, "method"));
        }
        let change = Change::new(cache, head);
        note(exchange, "method");
        return Ok(Seek::Change(change));
    }
    if exchange.is_optional {
        return Ok(bypass(exchange, "user"));
    }
    let Some(place) = cache.place(upstream) else { return Ok(bypass(exchange, "place")) };
    if head.upgrade.is_some() {
        return Ok(bypass(exchange, "upgrade"));
    }
    // A call has a deadline of its own, which must not be that of others who read its answer, and one
    // that breaks off is told so by trailers.
    if grpc::is_call(head) {
        return Ok(bypass(exchange, "grpc"));
    }
    // These are the origin's to judge (RFC 9111 section 4.3.2).
    if is_for_origin(head) {
        return Ok(bypass(exchange, "condition"));
    }
    // What is stored is an answer to the URL alone: a body that the origin looks at would make it
    // another's (CPO-05).
    let length = exchange.body.as_ref().map_or(Length::Absent, Body::length);
    if !matches!(length, Length::Absent | Length::Known(0)) {
        return Ok(bypass(exchange, "body"));
    }
    if !cache.bypass.is_empty() {
        let query = Query { listener: exchange.conn_ref().listener, head, client: None };
        if cache.bypass.iter().any(|check| check.holds(&query)) {
            return Ok(bypass(exchange, "rule"));
        }
    }
    let mut key = KEY.take();
    key.set(head, &cache.keys, cache.store.seed());
    let mut asked = Asked::of(head, &cache.rules);
    // What somebody may see is his, however he said who he is (RFC 9111 section 3.5 in spirit).
    asked.has_authorization |= exchange.is_judged();
    if cache.rules.cookies == Cookies::Ignore {
        keep_chosen(&mut exchange.head, &cache.chosen.cookies);
    }
    let forms = cache.optimize.as_ref();
    let shape = forms.and_then(|forms| optimize::shape(&forms.rules, &exchange.head));
    standardise_host(&mut exchange.head);
    take_detours_off(&mut exchange.head);
    standardise_query(cache, &mut exchange.head);
    Ok(Seek::Look(Sought {
        cache,
        code,
        key,
        place,
        upstream,
        asked,
        is_head,
        conditional: None,
        is_stripped: false,
        is_mistaken: false,
        is_own: false,
        shape,
    }))
}

/// Takes all cookies off but those by which variants are told apart: by these the origin may answer.
/// Of several with one name the first counts, and it is the only one that is left.
fn keep_chosen(head: &mut RequestHead, chosen: &[Box<[u8]>]) {
    let pair = |name: &[u8]| Some([name, &b"="[..], head.cookie(name)?].concat());
    let kept: Vec<_> = chosen.iter().filter_map(|name| pair(name)).collect();
    head.fields.remove_id(FieldId::Cookie);
    if !kept.is_empty() {
        head.fields.push_id(FieldId::Cookie, &kept.join(&b"; "[..]));
    }
}

/// The key does not tell spellings of a host apart, so neither can the origin, by `Host` or by what
/// edits make of it (CPO-07).
fn standardise_host(head: &mut RequestHead) {
    let port = head.port().filter(|&port| port != head.scheme.default_port());
    let (authority, host) = (head.authority(), head.host());
    let is_standard = match (authority.strip_prefix(host), port) {
        (Some([]), None) => true,
        (Some([b':', digits @ ..]), Some(port)) => {
            let written = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
            written == Some(port) && digits.first() != Some(&b'0')
        }
        _ => false,
    };
    if authority.is_empty() || is_standard {
        return;
    }
    let mut authority = host.to_vec();
    if let Some(port) = port {
        authority.extend_from_slice(format!(":{port}").as_bytes());
    }
    // It is made of an authority that was read before.
    let _ = head.set_authority(&authority);
}

/// What the key leaves out of the query is not asked for either (CPO-08). This comes before edits, too:
/// they must make nothing of what is not in the key, and what they put into a query stays.
pub(super) fn standardise_query(cache: &PlanCache, head: &mut RequestHead) {
    if let Some(query) = cache.keys.asked(head.query()) {
        // It is made of parts of the query that was there.
        let _ = head.rewrite_query(query.as_deref());
    }
}

/// Takes the client's detours off, before edits: what the operator sets is the same for all. Most
/// requests have none, and one look at lengths tells.
fn take_detours_off(head: &mut RequestHead) {
    let could_be = |name: &[u8]| {
        name.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'x'))
            && DETOURS.iter().any(|detour| detour.len() == name.len())
    };
    if head.fields.iter().any(|(id, name, _)| id == FieldId::Other && could_be(name)) {
        for name in DETOURS {
            head.fields.remove(name);
        }
    }
}

fn bypass<'p>(exchange: &mut Exchange, why: &'static str) -> Seek<'p> {
    note(exchange, why);
    Seek::Bypass
}

/// Notes that the store is not asked.
fn note(exchange: &mut Exchange, why: &'static str) {
    let record = exchange.record();
    (record.cached, record.cache_reason) = (Some(Cached::Bypass), Some(why));
}
