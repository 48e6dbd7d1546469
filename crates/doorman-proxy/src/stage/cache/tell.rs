//! What clients and the log are told of what the cache did.

use doorman_cache::{CacheStatus, Forward, Handled};
use doorman_http::{Method, ResponseHead};

use super::Sought;
use crate::plan::PlanCache;
use crate::record::{Cached, Record};

/// The name by which `Cache-Status` calls this cache.
const NAME: &str = "doorman";
/// Something past its time was served because the origin failed.
pub(super) const ERROR: &str = "error";

/// What became of a request that the store answers.
pub(super) struct Told {
    pub(super) cached: Cached,
    /// Why, in a word; empty if there is nothing to say.
    pub(super) word: &'static str,
    forward: Option<(Forward, Option<u16>)>,
}

impl Told {
    /// No origin was asked.
    pub(super) fn hit(cached: Cached, why: Option<&'static str>) -> Self {
        Self { cached, word: why.unwrap_or_default(), forward: None }
    }

    /// An origin was asked, because of this, and answered with a status.
    pub(super) const fn forwarded(cached: Cached, why: Forward, status: Option<u16>) -> Self {
        Self { cached, word: why.word(), forward: Some((why, status)) }
    }

    pub(super) const fn handled(&self) -> Handled {
        match self.forward {
            None => Handled::Hit,
            Some((why, status)) => Handled::Forwarded {
                why,
                status,
                stored: matches!(self.cached, Cached::Miss),
                collapsed: matches!(self.cached, Cached::Collapsed),
            },
        }
    }

    /// Notes it for the log.
    pub(super) fn note(&self, record: &mut Record) {
        record.cached = Some(self.cached);
        record.cache_reason = (!self.word.is_empty()).then_some(self.word);
    }

    /// What `Cache-Status` says beside how it was handled.
    pub(super) fn detail(&self) -> Option<&'static str> {
        (self.forward.is_none() && !self.word.is_empty()).then_some(self.word)
    }
}

/// Writes `Cache-Status` (RFC 9211), if the operator wants it.
pub(super) fn status(
    sought: &Sought<'_>,
    head: &mut ResponseHead,
    handled: Handled,
    ttl: Option<i64>,
    detail: Option<&'static str>,
) {
    write(sought.cache, head, handled, ttl, detail);
}

/// Tells of an answer that went past the store (RFC 9211 section 2.2).
pub(crate) fn past(cache: Option<&PlanCache>, method: &Method, head: &mut ResponseHead) {
    let Some(cache) = cache.filter(|_| head.status != 101) else { return };
    let is_kept = matches!(method, Method::Get | Method::Head);
    let why = if is_kept { Forward::Bypass } else { Forward::Method };
    let status = Some(head.status);
    let handled = Handled::Forwarded { why, status, stored: false, collapsed: false };
    write(cache, head, handled, None, None);
}

fn write(
    cache: &PlanCache,
    head: &mut ResponseHead,
    handled: Handled,
    ttl: Option<i64>,
    detail: Option<&'static str>,
) {
    if !cache.status_header {
        return;
    }
    let mut value = Vec::with_capacity(64);
    CacheStatus { cache: NAME, handled, ttl, key: None, detail }.write(&mut value);
    head.fields.push(b"cache-status", &value);
}
