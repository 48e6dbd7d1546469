//! A stored response becomes an answer: whole, in part, or the word that the client has it already.

use std::sync::Arc;

use bytes::Bytes;
use doorman_cache::range::{self, Multipart, Ranges};
use doorman_cache::{Precondition, coding_is_acceptable, evaluate, not_modified};
use doorman_http::{Body, FieldId, Length, ResponseHead, Source};
use doorman_net::dial::Answer;
use doorman_net::heads;
use doorman_store::Object;

use super::parts::Parts;
use super::tell::Told;
use super::{Sought, tell};
use crate::exchange::Exchange;
use crate::plan::PlanCode;
use crate::record::Cached;
use crate::stage::code::{self, Ready, name_form};
use crate::stage::optimize;

/// Whether the client can read the coding of a stored response (CIN-13).
pub(crate) fn is_readable(object: &Arc<Object>, exchange: &Exchange) -> bool {
    coding_is_acceptable(&exchange.head, object.head().first(FieldId::ContentEncoding))
}

/// Whether the client can be given a stored response: as it is, or in a form that its route makes.
pub(super) fn is_servable(sought: &Sought<'_>, object: &Arc<Object>, exchange: &Exchange) -> bool {
    is_readable(object, exchange)
        || sought.code.is_some_and(|code| code::can_be_read(code, exchange, object))
}

/// Answers with a stored response. `None` if its bytes are gone.
pub(super) fn serve(
    sought: &Sought<'_>,
    exchange: &mut Exchange,
    object: &Arc<Object>,
    told: &Told,
) -> Option<Answer> {
    let mut head = heads::response();
    let forms = sought.cache.optimize.as_ref();
    let is_formed = forms.is_some_and(|forms| optimize::concerns(&forms.rules, object));
    let code = sought.code.filter(|_| !is_formed);
    let ready = code.and_then(|code| ready(code, sought, exchange, object, &mut head));
    if ready.is_none() {
        object.head().unpack(&mut head);
    }
    with_form(sought, exchange, object, (head, ready), told)
}

/// The form that the client is served, with its head, if nothing is to be done any more for it. Parts are
/// cut out of the body that the origin sent.
fn ready(
    code: &PlanCode,
    sought: &Sought<'_>,
    exchange: &Exchange,
    object: &Arc<Object>,
    head: &mut ResponseHead,
) -> Option<Ready> {
    if sought.client(&exchange.head).is_some_and(range::is_asked) {
        return None;
    }
    code::ready(code, exchange, object, head)
}

/// The same, under a head of its own.
pub(super) fn with_head(
    sought: &Sought<'_>,
    exchange: &mut Exchange,
    object: &Arc<Object>,
    head: Box<ResponseHead>,
    told: &Told,
) -> Option<Answer> {
    with_form(sought, exchange, object, (head, None), told)
}

fn with_form(
    sought: &Sought<'_>,
    exchange: &mut Exchange,
    object: &Arc<Object>,
    (head, ready): (Box<ResponseHead>, Option<Ready>),
    told: &Told,
) -> Option<Answer> {
    let now = exchange.started();
    let meta = object.meta();
    let mut head = head;
    if let Some(forms) = &sought.cache.optimize {
        optimize::varied(&forms.rules, &mut head);
    }
    let client = sought.client(&exchange.head);
    let (mut head, body) = match client.map_or(Precondition::Pass, |c| evaluate(c, &head)) {
        Precondition::NotModified => {
            let mut unchanged = Box::new(not_modified(&head));
            if let Some(client) = client.filter(|_| sought.cache.optimize.is_some()) {
                name_form(client, &mut unchanged);
            }
            (unchanged, Body::empty())
        }
        Precondition::Failed => {
            let mut failed = heads::response();
            failed.status = 412;
            (failed, Body::whole(Bytes::new()))
        }
        Precondition::Pass => match &ready {
            Some(ready) => ready_content(sought, ready, head)?,
            None => content(sought, exchange, object, head)?,
        },
    };
    let status = head.status;
    match ready {
        Some(ready) => {
            // Nothing is left to be done to it.
            exchange.coding = None;
            if status == meta.status() {
                exchange.record().kept_coding = Some(ready.coding);
            }
        }
        None if exchange.coding.is_some() && status == meta.status() => {
            exchange.stored = Some(Arc::clone(object));
        }
        None => {}
    }
    let age = meta.age(now);
    // What has just come is only as old as it came (RFC 9111 section 5.1).
    if status != 412 && (age > 0 || told.cached != Cached::Miss) {
        head.fields.remove_id(FieldId::Age);
        push_age(&mut head, age);
    }
    tell::status(sought, &mut head, told.handled(), Some(meta.ttl(now)), told.detail());
    told.note(exchange.record());
    Some(Answer { head, body })
}

pub(super) fn push_age(head: &mut ResponseHead, age: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = age;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    head.fields.push_id(FieldId::Age, &digits[at..]);
}

/// Head and body of what is sent of a form that is whole.
fn ready_content(
    sought: &Sought<'_>,
    ready: &Ready,
    mut head: Box<ResponseHead>,
) -> Option<(Box<ResponseHead>, Body)> {
    let (sibling, length) = (&ready.sibling, ready.sibling.length());
    if sought.is_head {
        head.declared_length = length;
        return Some((head, Body::empty()));
    }
    if let Some(whole) = sibling.whole() {
        return Some((head, Body::whole(whole)));
    }
    let reader = sibling.read(0..u64::MAX)?;
    Some((head, Body::pulled(Box::new(reader), length.map_or(Length::Unknown, Length::Known))))
}

/// Head and body of what is sent of a stored response.
fn content(
    sought: &Sought<'_>,
    exchange: &mut Exchange,
    object: &Arc<Object>,
    mut head: Box<ResponseHead>,
) -> Option<(Box<ResponseHead>, Body)> {
    let length = object.length();
    // Parts are those of the original.
    let is_part = sought.client(&exchange.head).is_some_and(range::is_asked);
    if let Some(forms) = sought.cache.optimize.as_ref().filter(|_| !is_part)
        && let Some((content, sibling)) =
            optimize::find(forms, sought.shape, &sought.cache.store, object, &head, exchange)
    {
        optimize::edit(&mut head, content);
        let length = sibling.length();
        if sought.is_head {
            head.declared_length = length;
            exchange.formed = Some((content, sibling));
            return Some((head, Body::empty()));
        }
        let body = match sibling.whole() {
            Some(whole) => Body::whole(whole),
            None => {
                let length = length.map_or(Length::Unknown, Length::Known);
                Body::pulled(Box::new(sibling.read(0..u64::MAX)?), length)
            }
        };
        exchange.formed = Some((content, sibling));
        return Some((head, body));
    }
    if sought.is_head {
        head.declared_length = length;
        return Some((head, Body::empty()));
    }
    if head.is_bodiless() {
        return Some((head, Body::empty()));
    }
    let client = sought.client(&exchange.head);
    if let Some(client) = client.filter(|client| range::is_asked(client))
        && let Some(length) = length
    {
        match range::of(client, &head, length) {
            Ranges::Whole => {}
            Ranges::Unsatisfiable => {
                return Some((Box::new(range::unsatisfiable(length)), Body::whole(Bytes::new())));
            }
            ranges => return partial(&exchange.id(), object, head, &ranges, length),
        }
    }
    if let Some(whole) = object.whole() {
        return Some((head, Body::whole(whole)));
    }
    let reader = object.read(0..u64::MAX)?;
    let length = length.map_or(Length::Unknown, Length::Known);
    Some((head, Body::pulled(Box::new(reader), length)))
}

/// A 206 (RFC 9110 section 15.3.7). The request's id, which is made by dice, is what stands between
/// several ranges.
fn partial(
    boundary: &[u8],
    object: &Arc<Object>,
    mut head: Box<ResponseHead>,
    ranges: &Ranges,
    length: u64,
) -> Option<(Box<ResponseHead>, Body)> {
    let source: Box<dyn Source> = match ranges {
        Ranges::One(range) => Box::new(object.read(range.clone())?),
        Ranges::Several(several) => {
            let content_type = head.fields.first(FieldId::ContentType);
            let multipart = Multipart::new(several, length, boundary, content_type)?;
            Box::new(Parts::new(object, several, &multipart)?)
        }
        Ranges::Whole | Ranges::Unsatisfiable => return None,
    };
    let sent = range::make_partial(&mut head, ranges, length, boundary)?;
    Some((head, Body::pulled(source, Length::Known(sent))))
}
