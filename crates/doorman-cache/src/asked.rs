//! What a request says to caches (RFC 9111 section 5.2.1). Read on every look-up, so a request
//! without any of these fields costs one test of a set.

use doorman_http::{FieldId, FieldSet, Fields, RequestHead};

use crate::control::{Argument, directives};
use crate::{CacheRules, Cookies};

/// The directives of a request, and what else of it bears on storing and serving. Directives are as
/// if absent where the operator does not honour those of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `max-age`: the age in seconds that the client takes at most; 0 if it is no whole number.
    pub max_age: Option<u32>,
    /// `min-fresh`: seconds for which the response must stay fresh.
    pub min_fresh: Option<u32>,
    /// `max-stale`: seconds of staleness that the client takes; `Some(None)` is any.
    pub max_stale: Option<Option<u32>>,
    /// `stale-if-error` (RFC 5861 section 4): the same, when the origin fails.
    pub stale_if_error: Option<u32>,
    /// `no-cache`, or `Pragma: no-cache` of a request without `Cache-Control` (section 5.4).
    pub no_cache: bool,
    /// `no-store`: its response must not be stored.
    pub no_store: bool,
    /// `only-if-cached`: where the answer would have to be fetched, it is 504.
    pub only_if_cached: bool,
    /// There is `Authorization`, whatever the operator says about directives.
    pub has_authorization: bool,
    /// There is `Cookie`, and the operator is careful about cookies.
    pub has_cookie: bool,
}

const READ: FieldSet = FieldSet::of(&[
    FieldId::Authorization,
    FieldId::CacheControl,
    FieldId::Cookie,
    FieldId::Pragma,
]);

impl Asked {
    /// What `request` asks for.
    #[must_use]
    #[inline]
    pub fn of(request: &RequestHead, rules: &CacheRules) -> Self {
        if request.fields.has_any(READ) {
            Self::read(&request.fields, rules)
        } else {
            Self::default()
        }
    }

    fn read(fields: &Fields, rules: &CacheRules) -> Self {
        let mut asked = Self {
            has_authorization: fields.has(FieldId::Authorization),
            has_cookie: rules.cookies == Cookies::Careful && fields.has(FieldId::Cookie),
            ..Self::default()
        };
        if !rules.client_control {
            return asked;
        }
        if fields.has(FieldId::CacheControl) {
            asked.take_directives(fields.all(FieldId::CacheControl));
        } else {
            asked.no_cache = fields
                .all(FieldId::Pragma)
                .flat_map(directives)
                .any(|directive| directive.is(b"no-cache"));
        }
        asked
    }

    /// Of directives that are there more than once the strictest holds.
    fn take_directives<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>) {
        for directive in lines.flat_map(directives) {
            let seconds = directive.seconds();
            let lowest = |before: Option<u32>, value: u32| {
                Some(before.map_or(value, |before| before.min(value)))
            };
            if directive.is(b"max-age") {
                self.max_age = lowest(self.max_age, seconds.unwrap_or(0));
            } else if directive.is(b"no-cache") {
                self.no_cache = true;
            } else if directive.is(b"no-store") {
                self.no_store = true;
            } else if directive.is(b"only-if-cached") {
                self.only_if_cached = true;
            } else if directive.is(b"min-fresh") {
                // One that is no number asks for nothing that could be given.
                self.min_fresh = self.min_fresh.max(seconds);
            } else if directive.is(b"max-stale") {
                let limit = if directive.argument == Argument::Absent {
                    None
                } else {
                    Some(seconds.unwrap_or(0))
                };
                self.max_stale = Some(match (self.max_stale.flatten(), limit) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                });
            } else if directive.is(b"stale-if-error") {
                self.stale_if_error = lowest(self.stale_if_error, seconds.unwrap_or(0));
            }
        }
    }

    /// Whether the request says nothing that a fresh response would have to be measured by.
    pub(crate) const fn is_plain(&self) -> bool {
        self.max_age.is_none()
            && self.min_fresh.is_none()
            && !self.no_cache
            && !self.has_authorization
            && !self.has_cookie
    }
}
