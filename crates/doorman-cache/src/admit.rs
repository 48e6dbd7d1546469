//! May a response be stored (RFC 9111 section 3)?
//!
//! Stricter than the RFC where a response that somebody provoked would be given to others: errors
//! are stored only where their origin states freshness and the status is one that is cacheable by
//! default, or where the operator names the status.

use doorman_http::{FieldId, Method, Now, ResponseHead};

use crate::control::{Control, SECONDS_MAX};
use crate::freshness::{self, Lifetime, Moment};
use crate::head::Listed;
use crate::meta::Flags;
use crate::{Asked, CacheRules, Meta, NotStored, SetCookie, validator};

/// Whether a response is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It is, with this beside it.
    Store(Meta),
    /// It is not.
    Refuse(NotStored),
}

/// Whether the response to a request may be stored. `requested` is when the request was sent,
/// `received` when the response's head came.
pub fn admit(
    method: &Method,
    asked: &Asked,
    response: &ResponseHead,
    rules: &CacheRules,
    requested: Now,
    received: Now,
) -> Admission {
    if *method != Method::Get {
        return Admission::Refuse(NotStored::Method);
    }
    if asked.no_store {
        return Admission::Refuse(NotStored::RequestNoStore);
    }
    let control = Control::of(&response.fields, rules);
    if let Some(reason) = prohibition(asked, response, &control, rules) {
        return Admission::Refuse(reason);
    }
    let moment = Moment::of(&response.fields, received);
    let initial_age = freshness::initial_age(&response.fields, moment, requested, received);
    let arrival = Arrival { moment, initial_age, received };
    match appraise(response, &control, rules, arrival) {
        Ok(meta) => Admission::Store(meta),
        Err(reason) => Admission::Refuse(reason),
    }
}

/// What forbids storing the response, however fresh it may be.
pub(crate) fn prohibition(
    asked: &Asked,
    response: &ResponseHead,
    control: &Control,
    rules: &CacheRules,
) -> Option<NotStored> {
    let status = response.status;
    match status {
        206 => return Some(NotStored::Partial),
        0..=199 | 304 | 600.. => return Some(NotStored::Status(status)),
        // Said of the conditions, the range, the expectation or the haste of one request.
        412 | 416 | 417 | 425 => return Some(NotStored::Status(status)),
        _ => {}
    }
    if control.forbids_storing(is_understood(status)) {
        return Some(NotStored::NoStore);
    }
    // A status that is not understood is not stored where its origin says so (section 5.2.2.3).
    if control.must_understand && !is_understood(status) {
        return Some(NotStored::NotUnderstood(status));
    }
    if control.private {
        return Some(NotStored::Private);
    }
    if asked.has_authorization && !shared_with_authorization(control) {
        return Some(NotStored::Authorization);
    }
    if response.fields.has(FieldId::SetCookie)
        && rules.set_cookie == SetCookie::Refuse
        && !(control.lists_fields && Listed::of(&response.fields, rules).has(b"set-cookie"))
    {
        return Some(NotStored::SetCookie);
    }
    if has_vary_star(response) {
        return Some(NotStored::VaryStar);
    }
    if asked.has_cookie && !shared_with_cookies(control) {
        return Some(NotStored::Cookie);
    }
    let too_large = declared(response).is_some_and(|length| length > rules.max_object);
    too_large.then_some(NotStored::TooLarge)
}

/// The length that the head declares, if it does: the body itself tells later.
fn declared(response: &ResponseHead) -> Option<u64> {
    let digits = response.fields.first(FieldId::ContentLength)?;
    digits.iter().try_fold(0u64, |n, &b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
    })
}

/// When a response came and how old it was then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) moment: Moment,
    pub(crate) initial_age: u32,
    pub(crate) received: Now,
}

/// Freshness and the rest of what is kept beside a response that may be stored.
pub(crate) fn appraise(
    response: &ResponseHead,
    control: &Control,
    rules: &CacheRules,
    arrival: Arrival,
) -> Result<Meta, NotStored> {
    let Arrival { moment, initial_age, received } = arrival;
    let lifetime = lifetime(response, control, rules, moment)?;
    let seconds = match lifetime {
        Lifetime::Forced(seconds) => seconds.saturating_add(initial_age),
        Lifetime::Stated(s) | Lifetime::Ruled(s) | Lifetime::Guessed(s) => s,
        Lifetime::Unknown => 0,
    };
    let never_stale = control.must_revalidate || control.proxy_revalidate;
    let no_max_stale = never_stale || control.s_maxage.is_some();
    let window = |stated: Option<u32>, default: Option<u32>| match (stated, default) {
        _ if never_stale || control.no_cache => 0,
        // `s-maxage` forbids to serve stale, too, but what is said in so many words beside it holds.
        (Some(stated), _) => stated,
        (None, Some(default)) if !no_max_stale => default,
        (None, _) => 0,
    };
    let mut flags = Flags::default();
    flags.set(Flags::NO_CACHE, control.no_cache);
    flags.set(Flags::NEVER_STALE, never_stale);
    flags.set(Flags::NO_MAX_STALE, no_max_stale);
    flags.set(Flags::SHARED_WITH_COOKIES, shared_with_cookies(control));
    flags.set(Flags::SHARED_WITH_AUTHORIZATION, shared_with_authorization(control));
    flags.set(Flags::IMMUTABLE, control.immutable);
    flags.set(Flags::GUESSED, matches!(lifetime, Lifetime::Guessed(_)));
    flags.set(Flags::HAS_VALIDATOR, validator::has_any(&response.fields));
    let meta = Meta {
        received,
        initial_age,
        lifetime: seconds.min(SECONDS_MAX),
        stale_while_revalidate: window(control.stale_while_revalidate, rules.stale),
        stale_if_error: window(control.stale_if_error, rules.stale_if_error),
        status: response.status,
        flags,
    };
    worth(&meta, lifetime, rules)
}

/// A response that can neither be served nor validated is not worth its room.
fn worth(meta: &Meta, lifetime: Lifetime, rules: &CacheRules) -> Result<Meta, NotStored> {
    let now = meta.received;
    // Clients can ask for what has expired on its way (section 5.2.1.2).
    let can_be_taken =
        rules.client_control && meta.lifetime > 0 && !meta.flags.has(Flags::NO_MAX_STALE);
    let serves = !meta.is_always_validated() && (meta.useful_seconds(now) > 0 || can_be_taken);
    if serves || meta.has_validator() {
        return Ok(*meta);
    }
    Err(match lifetime {
        Lifetime::Unknown if !meta.is_always_validated() => NotStored::NoFreshness,
        _ => NotStored::NoValidator,
    })
}

/// The lifetime of a response, by what counts first: the operator's force, what it states, the
/// operator's rules, a guess. An error if its status may not be stored on that ground.
fn lifetime(
    response: &ResponseHead,
    control: &Control,
    rules: &CacheRules,
    moment: Moment,
) -> Result<Lifetime, NotStored> {
    let ground = ground(response.status);
    if let (Some(seconds), Ground::Default | Ground::Stated) = (rules.force, ground)
        && is_default_cacheable(response.status)
    {
        return Ok(Lifetime::Forced(seconds));
    }
    let named = rules.named(response.status);
    let refused = Err(NotStored::Status(response.status));
    if ground == Ground::Named && named.is_none() {
        return refused;
    }
    if let Some(seconds) = freshness::stated(control, &response.fields, moment) {
        return Ok(Lifetime::Stated(seconds));
    }
    if let Some(seconds) = named {
        return Ok(Lifetime::Ruled(seconds));
    }
    if ground == Ground::Stated && !(control.public && response.status < 400) {
        // Nothing is known that would make it fresh; what must be validated each time may be kept.
        return if control.no_cache { Ok(Lifetime::Unknown) } else { refused };
    }
    if let (Some(seconds), Ground::Default) = (rules.unnamed(), ground) {
        return Ok(Lifetime::Ruled(seconds));
    }
    let guess = freshness::guess(&response.fields, moment, rules);
    Ok(guess.map_or(Lifetime::Unknown, Lifetime::Guessed))
}

/// On what ground responses with a status are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Unasked: successes and permanent redirects that are heuristically cacheable.
    Default,
    /// When the response states its freshness, or the operator names the status.
    Stated,
    /// When the operator names the status: errors that one client can provoke for all others.
    Named,
}

const fn ground(status: u16) -> Ground {
    match status {
        200 | 203 | 204 | 300 | 301 | 308 => Ground::Default,
        ..=399 | 404 | 405 | 410 | 414 | 451 => Ground::Stated,
        _ => Ground::Named,
    }
}

/// Heuristically cacheable (RFC 9110 section 15.1, RFC 7725 section 3), as far as errors are stored
/// without being named at all.
const fn is_default_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 451)
}

/// The statuses whose meaning for caches is known: those of RFC 9110 and 451 (section 5.2.2.3).
const fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 451)
        || matches!(status, 500..=505)
}

/// Section 3.5.
const fn shared_with_authorization(control: &Control) -> bool {
    control.public || control.s_maxage.is_some() || control.must_revalidate
}

/// A response that speaks to shared caches knows that it will be shared.
const fn shared_with_cookies(control: &Control) -> bool {
    control.public || control.s_maxage.is_some() || control.targeted
}

/// `Vary: *` in any line, beside whatever else (section 4.1).
fn has_vary_star(response: &ResponseHead) -> bool {
    let star = |line: &[u8]| line.split(|&b| b == b',').any(|name| name.trim_ascii() == b"*");
    response.fields.has(FieldId::Vary) && response.fields.all(FieldId::Vary).any(star)
}
