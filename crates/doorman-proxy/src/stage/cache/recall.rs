//! The long way to an answer: behind another request, by a question to the origin, or both.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use doorman_cache::{Forward, Use, decide, may_serve_on_error};
use doorman_http::{Body, FieldId, Now};
use doorman_net::dial::Answer;
use doorman_net::{Alarm, Net, heads};
use doorman_store::{Found, Lead, Led, Object, OnDisk, Refresh, Wait, Waited};

use super::slice::Anchor;
use super::slot::Slot;
use super::tell::Told;
use super::{Looked, Sought, serve, tell};
use crate::exchange::Exchange;
use crate::house::Proxy;
use crate::record::Cached;
use crate::stage::hint;

/// Where the long way has led so far.
pub(crate) enum Recalled {
    /// To the answer.
    Answer(Answer),
    /// To one that is past its time, and is to be fetched anew beside.
    Stale(Answer, Refresh),
    /// To an origin.
    Ask(Slot),
    /// To slices of so many bytes.
    Slices(u64),
}

/// Goes on until there is an answer, or nothing is left but to ask an origin.
pub(crate) async fn recall<N: Net>(
    proxy: &Proxy<N>,
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
) -> Recalled {
    let now = proxy.core.clock.now();
    let store = &sought.cache.store;
    let mut lost = None;
    let found = match store.look(&sought.key, &sought.chooser(&exchange.head), now) {
        Found::Disk(on_disk) => match store.load(&on_disk).await {
            Some(object) => Found::Hit(object),
            None => {
                lost = Some(on_disk.known());
                Found::Miss
            }
        },
        found => found,
    };
    let (stored, why) = match found {
        Found::Hit(object) => match super::use_of(sought, exchange, &object) {
            Looked::Answer(answer) => return Recalled::Answer(answer),
            Looked::Stale(answer, refresh) => return Recalled::Stale(answer, refresh),
            Looked::Ask => {
                let why = reason(sought, &object, now);
                (Some(object), why)
            }
        },
        Found::Miss | Found::Uncacheable | Found::Disk(_) if sought.asked.only_if_cached => {
            return Recalled::Answer(absent(exchange));
        }
        Found::Uncacheable => {
            let lead = store.alone(&sought.key, &sought.chooser(&exchange.head), None);
            let why = Forward::UriMiss;
            return Recalled::Ask(Slot::alone(lead, None, why, sought, exchange, now));
        }
        Found::Miss | Found::Disk(_) => match cache_slices(sought) {
            Some(size) => return Recalled::Slices(size),
            None => (None, Forward::UriMiss),
        },
    };
    if sought.asked.only_if_cached {
        return Recalled::Answer(absent(exchange));
    }
    fetch(proxy, sought, exchange, (stored, lost), why).await
}

/// The size of the slices that this is answered by.
fn cache_slices(sought: &Sought<'_>) -> Option<u64> {
    let is_whole = !sought.is_head && !sought.is_own && !sought.asked.no_store;
    sought.cache.slice.filter(|_| is_whole)
}

/// Why the origin must be asked although something is stored.
fn reason(sought: &Sought<'_>, object: &Arc<Object>, now: Now) -> Forward {
    match decide(&sought.asked, &object.meta(), now) {
        Use::Validate(why) => why.forward(),
        // It is there, but not in a form that this client can be given.
        Use::Fresh | Use::StaleAllowed | Use::StaleRefresh => Forward::Miss,
    }
}

/// RFC 9111 section 5.2.1.7: the client wants what is stored alone.
fn absent(exchange: &mut Exchange) -> Answer {
    let record = exchange.record();
    (record.cached, record.cache_reason) = (Some(Cached::Absent), Some("only-if-cached"));
    let mut head = heads::response();
    head.status = 504;
    head.fields.push_id(FieldId::CacheControl, b"no-store");
    Answer { head, body: Body::whole(bytes::Bytes::new()) }
}

/// Leads, or waits behind the one who does.
async fn fetch<N: Net>(
    proxy: &Proxy<N>,
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
    (stored, lost): (Option<Arc<Object>>, Option<Arc<Object>>),
    why: Forward,
) -> Recalled {
    let now = proxy.core.clock.now();
    let cache = sought.cache;
    // What is on disk and cannot be read is replaced like what will not do.
    let instead_of = stored.clone().or(lost);
    let chooser = sought.chooser(&exchange.head);
    // Whoever wants the head alone asks for himself: what comes could not be stored for others
    // (RFC 9110 section 9.3.2). So does whose answer is his own.
    let is_own = sought.is_head || sought.is_own || sought.asked.no_store || why == Forward::Bypass;
    let Some(patience) = cache.lock.filter(|_| !is_own) else {
        let lead = cache.store.alone(&sought.key, &chooser, instead_of);
        let slot = if is_own { Slot::alone } else { Slot::lead };
        return Recalled::Ask(slot(lead, stored, why, sought, exchange, now));
    };
    match cache.store.lead(&sought.key, &chooser, instead_of, patience, now) {
        Led::Lead(lead) => Recalled::Ask(Slot::lead(lead, stored, why, sought, exchange, now)),
        Led::Alone(lead) => Recalled::Ask(Slot::alone(lead, stored, why, sought, exchange, now)),
        Led::Found(object) => behind(sought, exchange, object, stored, why, now),
        Led::Disk(on_disk) => from_disk(sought, exchange, &on_disk, stored, why, now).await,
        Led::Wait(wait) => {
            let waited = queue(proxy, sought, exchange, wait).await;
            let now = proxy.core.clock.now();
            match waited {
                Waited::Object(object) => behind(sought, exchange, object, stored, why, now),
                Waited::Disk(on_disk) => {
                    from_disk(sought, exchange, &on_disk, stored, why, now).await
                }
                Waited::Lead(lead) | Waited::TimedOut(lead) => {
                    Recalled::Ask(Slot::lead(lead, stored, why, sought, exchange, now))
                }
                Waited::Uncacheable(lead) => {
                    Recalled::Ask(Slot::alone(lead, stored, why, sought, exchange, now))
                }
                Waited::Failed => failed(sought, exchange, stored, why, now),
            }
        }
    }
}

/// Waits in line, at most as long as the operator said.
async fn queue<N: Net>(
    proxy: &Proxy<N>,
    sought: &Sought<'_>,
    exchange: &mut Exchange,
    mut wait: Wait,
) -> Waited {
    hint::send(exchange);
    let clock = proxy.core.clock;
    let mut alarm = Alarm::new(clock);
    alarm.set(wait.deadline());
    let chooser = sought.chooser(&exchange.head);
    poll_fn(|cx| {
        let ended = alarm.poll(cx).is_ready();
        match wait.poll(cx, &chooser, clock.now()) {
            // The alarm may ring a moment before the deadline: it is set again then.
            Poll::Pending if ended => {
                alarm.set(wait.deadline());
                let _ = alarm.poll(cx);
                Poll::Pending
            }
            polled => polled,
        }
    })
    .await
}

/// What another request has fetched answers this one, whatever it says of its freshness: it came
/// after this was asked.
fn behind(
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
    object: Arc<Object>,
    stored: Option<Arc<Object>>,
    why: Forward,
    now: Now,
) -> Recalled {
    let used = decide(&sought.asked, &object.meta(), now);
    let is_mine = !matches!(used, Use::Validate(why) if why.is_personal());
    if is_mine && serve::is_servable(sought, &object, exchange) {
        let told = Told::forwarded(Cached::Collapsed, why, None);
        let answer = serve::serve(sought, exchange, &object, &told);
        if let Some(answer) = answer {
            return Recalled::Answer(answer);
        }
    }
    let chooser = sought.chooser(&exchange.head);
    let lead = sought.cache.store.alone(&sought.key, &chooser, Some(object));
    Recalled::Ask(Slot::alone(lead, stored, why, sought, exchange, now))
}

/// The same, for what has gone to disk meanwhile.
async fn from_disk(
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
    on_disk: &OnDisk,
    stored: Option<Arc<Object>>,
    why: Forward,
    now: Now,
) -> Recalled {
    let store = &sought.cache.store;
    if let Some(object) = store.load(on_disk).await {
        return behind(sought, exchange, object, stored, why, now);
    }
    let chooser = sought.chooser(&exchange.head);
    let lead = store.alone(&sought.key, &chooser, Some(on_disk.known()));
    Recalled::Ask(Slot::lead(lead, stored, why, sought, exchange, now))
}

/// The request that this one waited for has failed: what is past its time may do, or it tries its
/// own luck, as all do who waited, at once.
fn failed(
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
    stored: Option<Arc<Object>>,
    why: Forward,
    now: Now,
) -> Recalled {
    if let Some(object) = &stored
        && may_serve_on_error(&sought.asked, &object.meta(), now)
        && serve::is_servable(sought, object, exchange)
        && let Some(answer) =
            serve::serve(sought, exchange, object, &Told::hit(Cached::Stale, Some(tell::ERROR)))
    {
        return Recalled::Answer(answer);
    }
    let chooser = sought.chooser(&exchange.head);
    let lead = sought.cache.store.alone(&sought.key, &chooser, stored.clone());
    Recalled::Ask(Slot::lead(lead, stored, why, sought, exchange, now))
}

/// A question on behalf of all, beside the requests that are served with what is stored.
pub(crate) fn refresh<N: Net>(
    proxy: &Proxy<N>,
    sought: &mut Sought<'_>,
    refresh: &Refresh,
    exchange: &mut Exchange,
) -> Slot {
    let now = proxy.core.clock.now();
    let stored = Arc::clone(refresh.object());
    let chooser = sought.chooser(&exchange.head);
    let lead = sought.cache.store.alone(&sought.key, &chooser, Some(Arc::clone(&stored)));
    Slot::lead(lead, Some(stored), Forward::Stale, sought, exchange, now)
}

/// A slice, as far as it can be had without an origin.
pub(crate) enum Piece {
    /// It is stored, or on its way.
    Stored(Arc<Object>),
    /// An origin must be asked.
    Ask(Slot),
    /// What others were given is not for this client: it is to be answered by an answer of its own.
    Own,
}

/// Looks for a slice: a fresh one, or one of the same whole as the anchor.
pub(crate) async fn piece<N: Net>(
    proxy: &Proxy<N>,
    sought: &mut Sought<'_>,
    exchange: &mut Exchange,
    anchor: Option<&Anchor>,
) -> Piece {
    let now = proxy.core.clock.now();
    let cache = sought.cache;
    let asked = sought.asked;
    let fits = |object: &Arc<Object>| match anchor {
        Some(anchor) => anchor.holds(object),
        None => matches!(decide(&asked, &object.meta(), now), Use::Fresh | Use::StaleAllowed),
    };
    // What was fetched for others may not be for this client (CDE-06).
    let given = |object: Arc<Object>| match decide(&asked, &object.meta(), now) {
        Use::Validate(why) if why.is_personal() => Piece::Own,
        _ => Piece::Stored(object),
    };
    let chooser = sought.chooser(&exchange.head);
    let (stored, instead_of) = match cache.store.look(&sought.key, &chooser, now) {
        Found::Hit(object) => (Some(object.clone()), Some(object)),
        Found::Disk(on_disk) => {
            let loaded = cache.store.load(&on_disk).await;
            (loaded.clone(), loaded.or_else(|| Some(on_disk.known())))
        }
        Found::Miss | Found::Uncacheable => (None, None),
    };
    if let Some(object) = stored.as_ref().filter(|object| fits(object)) {
        return Piece::Stored(Arc::clone(object));
    }
    let lead = match cache.lock {
        None => cache.store.alone(&sought.key, &chooser, instead_of),
        Some(patience) => {
            let led = cache.store.lead(&sought.key, &chooser, instead_of, patience, now);
            match led {
                Led::Lead(lead) | Led::Alone(lead) => lead,
                Led::Found(object) => return given(object),
                Led::Disk(on_disk) => match cache.store.load(&on_disk).await {
                    Some(object) => return given(object),
                    None => cache.store.alone(&sought.key, &chooser, Some(on_disk.known())),
                },
                Led::Wait(wait) => match queue(proxy, sought, exchange, wait).await {
                    Waited::Object(object) => return given(object),
                    Waited::Disk(on_disk) => match cache.store.load(&on_disk).await {
                        Some(object) => return given(object),
                        None => {
                            let chooser = sought.chooser(&exchange.head);
                            cache.store.alone(&sought.key, &chooser, Some(on_disk.known()))
                        }
                    },
                    Waited::Lead(lead) | Waited::Uncacheable(lead) | Waited::TimedOut(lead) => lead,
                    Waited::Failed => {
                        let chooser = sought.chooser(&exchange.head);
                        cache.store.alone(&sought.key, &chooser, stored.clone())
                    }
                },
            }
        }
    };
    // What is of another version than the anchor is of no use as a condition.
    let stored = stored.filter(|_| anchor.is_none());
    let now = proxy.core.clock.now();
    let why = if stored.is_some() { Forward::Stale } else { Forward::Partial };
    Piece::Ask(Slot::lead(lead, stored, why, sought, exchange, now))
}

/// The right to store the whole, should an origin give that where a slice is asked for. It is to be
/// taken before: what is purged meanwhile must not be stored.
pub(crate) fn whole(sought: &Sought<'_>, exchange: &Exchange) -> Lead {
    sought.cache.store.alone(&sought.key, &sought.chooser(&exchange.head), None)
}
