//! What takes stored responses out: requests that change what they stand for, and purges.

use doorman_cache::{Target, UrlKey, invalidates};
use doorman_http::{Body, FieldId, RequestHead, Response};
use doorman_net::dial::Answer;
use doorman_net::heads;
use doorman_store::{How, Purge};

use crate::exchange::Exchange;
use crate::plan::PlanCache;
use crate::record::Cached;
use crate::stop::Stop;

/// A request that may change things, and the key of what it names.
pub(crate) struct Change<'p> {
    cache: &'p PlanCache,
    key: UrlKey,
}

impl<'p> Change<'p> {
    pub(super) fn new(cache: &'p PlanCache, head: &RequestHead) -> Self {
        Self { cache, key: UrlKey::of(head, &cache.keys, cache.store.seed()) }
    }

    /// It was answered: if that was no error, what is stored of it is out of date (RFC 9111 section
    /// 4.4).
    pub(crate) fn answered(&self, exchange: &Exchange, answer: &Answer) {
        let (head, store) = (&exchange.head, &self.cache.store);
        let targets = invalidates(&head.method, answer.head.status, head, &answer.head);
        for (index, target) in targets.enumerate() {
            if index == 0 {
                // The first is the request's own, whose path may have been edited since.
                store.purge(&Purge::Url(&self.key), How::Hard);
            } else if let Some(key) = beside(self.cache, &self.key, &target) {
                store.purge(&Purge::Url(&key), How::Hard);
            }
        }
    }
}

/// The key of another target on the same origin.
fn beside(cache: &PlanCache, key: &UrlKey, target: &Target) -> Option<UrlKey> {
    // Host, port and scheme end with a byte that none of them holds.
    let origin = key.bytes().split_inclusive(|&b| b == 0).take(3).map(<[u8]>::len).sum();
    let mut bytes = key.bytes().get(..origin)?.to_vec();
    bytes.extend_from_slice(&target.path);
    let counted = cache.keys.asked(target.query.as_deref());
    if let Some(query) = counted.unwrap_or_else(|| target.query.clone()) {
        bytes.push(b'?');
        bytes.extend_from_slice(&query);
    }
    UrlKey::from_bytes(&bytes, cache.store.seed())
}

/// The answer to PURGE, which those may ask for whom the operator named.
pub(super) fn purge(cache: &PlanCache, exchange: &mut Exchange) -> Stop {
    let record = exchange.record();
    (record.cached, record.cache_reason) = (Some(Cached::Bypass), Some("purge"));
    let allowed = exchange.client().is_some_and(|ip| cache.purgers.contains(ip));
    if !allowed {
        return answer(403, "PURGE is not for this client.\n");
    }
    let soft = exchange.head.fields.first_named(b"soft-purge").is_some_and(|value| value == b"1");
    let key = UrlKey::of(&exchange.head, &cache.keys, cache.store.seed());
    let how = if soft { How::Soft } else { How::Hard };
    let purged = cache.store.purge(&Purge::Url(&key), how);
    answer(200, &format!("purged {} of this URL\n", purged.objects))
}

fn answer(status: u16, text: &str) -> Stop {
    let mut head = heads::response();
    head.status = status;
    head.fields.push_id(FieldId::ContentType, b"text/plain; charset=utf-8");
    head.fields.push_id(FieldId::CacheControl, b"no-store");
    let body = Body::whole(bytes::Bytes::copy_from_slice(text.as_bytes()));
    Stop::Answer(Box::new(Response { head, body }))
}
