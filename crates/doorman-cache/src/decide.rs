//! May a stored response answer a request now (RFC 9111 section 4)?

use doorman_http::Now;

use crate::meta::Flags;
use crate::{Asked, Forward, Meta};

/// How a stored response may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Use {
    /// As it is.
    Fresh,
    /// As it is, and it is to be fetched anew meanwhile (RFC 5861 section 3).
    StaleRefresh,
    /// As it is: the client takes it, stale as it is.
    StaleAllowed,
    /// Only after its origin has been asked, for this reason.
    Validate(Why),
}

/// Why the origin has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is stale.
    Stale,
    /// It was made stale before its time.
    Purged,
    /// It says so itself (`no-cache`).
    NoCache,
    /// The request does not take it as it is.
    Asked,
    /// The request has cookies, and the response does not consent to being shared: the answer is for
    /// this client alone, so nobody may wait for it.
    Cookie,
    /// The same for `Authorization`.
    Authorization,
}

impl Why {
    /// The word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Purged => "purged",
            Self::NoCache => "no-cache",
            Self::Asked => "request",
            Self::Cookie => "cookie",
            Self::Authorization => "authorization",
        }
    }

    /// Whether the answer is for this client alone: others must not wait for it, nor be given it.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Cookie | Self::Authorization)
    }

    /// The reason in terms of `Cache-Status` (RFC 9211 section 2.2).
    #[must_use]
    pub const fn forward(self) -> Forward {
        match self {
            Self::Stale | Self::Purged | Self::NoCache => Forward::Stale,
            Self::Asked => Forward::Request,
            Self::Cookie | Self::Authorization => Forward::Bypass,
        }
    }
}

/// How the stored response may be used for this request. With `only-if-cached` a [`Use::Validate`] is
/// a 504 (section 5.2.1.7).
#[inline]
pub fn decide(asked: &Asked, meta: &Meta, now: Now) -> Use {
    if asked.is_plain() && meta.is_fresh(now) && !meta.is_always_validated() {
        return Use::Fresh;
    }
    weigh(asked, meta, now)
}

fn weigh(asked: &Asked, meta: &Meta, now: Now) -> Use {
    if let Some(why) = objection(asked, meta, now) {
        return Use::Validate(why);
    }
    let ttl = meta.ttl(now);
    if ttl > 0 {
        return Use::Fresh;
    }
    let staleness = staleness(ttl);
    // Before what the client takes: it gets the same, and those after it something newer.
    if staleness < meta.stale_while_revalidate && takes_stale(asked) {
        return Use::StaleRefresh;
    }
    let taken = asked.max_stale.is_some_and(|most| most.is_none_or(|most| staleness <= most));
    if taken && !meta.flags.has(Flags::NO_MAX_STALE) {
        return Use::StaleAllowed;
    }
    Use::Validate(if meta.was_made_stale() { Why::Purged } else { Why::Stale })
}

/// What stands against serving the response, fresh or not.
fn objection(asked: &Asked, meta: &Meta, now: Now) -> Option<Why> {
    if asked.has_authorization && !meta.flags.has(Flags::SHARED_WITH_AUTHORIZATION) {
        return Some(Why::Authorization);
    }
    if asked.has_cookie && !meta.flags.has(Flags::SHARED_WITH_COOKIES) {
        return Some(Why::Cookie);
    }
    if meta.is_always_validated() {
        return Some(Why::NoCache);
    }
    let fresh_enough = asked.min_fresh.is_none_or(|least| meta.ttl(now) >= i64::from(least));
    let refuses = asked.no_cache || !fresh_enough || is_too_old(asked, meta, now);
    refuses.then_some(Why::Asked)
}

/// `max-age` of a request (section 5.2.1.1). Zero is what a reload says, even in the second in which
/// the response came; of a response that does not change while it is fresh no reload need be told
/// otherwise (RFC 8246 section 2).
fn is_too_old(asked: &Asked, meta: &Meta, now: Now) -> bool {
    match asked.max_age {
        None => false,
        Some(0) => !(meta.flags.has(Flags::IMMUTABLE) && meta.is_fresh(now)),
        Some(most) => meta.age(now) > most,
    }
}

/// A client that names an age or a freshness takes nothing stale unless it says so (sections 5.2.1.1
/// and 5.2.1.3).
const fn takes_stale(asked: &Asked) -> bool {
    asked.max_age.is_none() && asked.min_fresh.is_none()
}

fn staleness(ttl: i64) -> u32 {
    u32::try_from(ttl.saturating_neg()).unwrap_or(u32::MAX)
}

/// Whether the stored response may be served because its origin cannot be reached or answers 500,
/// 502, 503 or 504 (section 4.2.4, RFC 5861 section 4). A stored error stands in for none: nobody is
/// better off with an old one.
#[must_use]
pub fn may_serve_on_error(asked: &Asked, meta: &Meta, now: Now) -> bool {
    if objection(asked, meta, now).is_some() || meta.status() >= 500 {
        return false;
    }
    let ttl = meta.ttl(now);
    if ttl > 0 {
        return true;
    }
    if meta.flags.has(Flags::NEVER_STALE) {
        return false;
    }
    let allowed = if meta.flags.has(Flags::NO_MAX_STALE) { None } else { asked.stale_if_error };
    let window = meta.stale_if_error.max(meta.stale_while_revalidate).max(allowed.unwrap_or(0));
    let taken = asked.max_stale.is_some_and(|most| most.is_none_or(|most| staleness(ttl) <= most));
    (staleness(ttl) < window && takes_stale(asked)) || taken && !meta.flags.has(Flags::NO_MAX_STALE)
}
