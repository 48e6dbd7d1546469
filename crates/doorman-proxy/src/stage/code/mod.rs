//! Answers are coded on their way to the client, or a coding is taken off that it cannot read.
//!
//! What shaped it: what the client takes is read before anything edits its request, and whether an
//! answer is coded is decided by its head alone, before a byte of its body is asked for. The body is a
//! pull source around the origin's, so back-pressure, cuts and trailers go through it as they are.

mod better;
mod coded;
mod decoded;
mod maker;
mod sibling;

use std::rc::Rc;
use std::sync::Arc;

use doorman_http::coding::Coding;
use doorman_http::{Body, FieldId, Length, RequestHead, ResponseHead};
use doorman_net::Clock;
use doorman_net::dial::Answer;
use doorman_store::Store;
use doorman_transform::{
    Bounds, Coder, Coders, Codings, Decoder, Reason, Verdict, coded_head, decoded_head, eligible,
    eligible_anew, varied_head, weak_tag,
};

use crate::exchange::Exchange;
use crate::form::{Direction, Tally};
use crate::house::Books;
use crate::plan::{PlanCode, PlanCompress};
use crate::workshop::Workshop;

pub(crate) use sibling::{Ready, can_be_read, ready};

/// What a core codes with.
pub(crate) struct Desk<'a> {
    pub(crate) coders: &'a Coders,
    pub(crate) clock: Clock,
    pub(crate) books: &'a Rc<Books>,
    /// Where what is kept is made smaller.
    pub(crate) workshop: &'a Arc<Workshop>,
    /// Where answers of the route are kept.
    pub(crate) store: Option<&'a Arc<Store>>,
}

/// Gives an answer the form that its route and its client want. `dice` is for padding.
pub(crate) fn answer(
    desk: &Desk<'_>,
    code: &PlanCode,
    exchange: &mut Exchange,
    mut answer: Answer,
    dice: impl Fn() -> u64,
) -> Answer {
    let Some(asked) = exchange.coding else { return answer };
    let (stored, formed) = (exchange.stored.take(), exchange.formed.take());
    if answer.head.status == 304 {
        if code.compress.is_some() {
            not_modified(exchange, &mut answer.head);
        }
        return answer;
    }
    // What is decoded first is coded on its way: of what the origin has coded nothing is kept but that.
    let stored = stored.filter(|_| !answer.head.fields.has(FieldId::ContentEncoding));
    answer = decode(desk, code, exchange, answer);
    let Some(compress) = &code.compress else { return answer };
    let length = answer.body.length();
    match eligible(&asked, &answer.head, length, &compress.rules()) {
        Verdict::Code(coding) => {
            if let (Some(object), Some(store)) = (&stored, desk.store) {
                let wanted =
                    sibling::Wanted { compress, coding, store, object, formed: formed.as_ref() };
                match wanted.answer(desk, exchange, answer, &dice) {
                    Ok(answer) => return answer,
                    Err(back) => answer = back,
                }
            }
            code_with(desk, compress, coding, exchange, answer, dice)
        }
        Verdict::Not(reason) => {
            exchange.record().code_reason = Some(reason.word());
            if reason == Reason::NotAccepted {
                varied_head(&mut answer.head);
            }
            answer
        }
    }
}

/// An answer to a condition says what the one with a body would vary by; nothing tells its type, so it
/// may.
fn not_modified(exchange: &Exchange, head: &mut ResponseHead) {
    name_form(&exchange.head, head);
    varied_head(head);
}

/// An answer to a condition names the form that the client has: by a weak tag if it asked with that one.
pub(crate) fn name_form(request: &RequestHead, head: &mut ResponseHead) {
    let tag = head.fields.first(FieldId::Etag).filter(|tag| tag.starts_with(b"\""));
    let is_weak = tag.is_some_and(|tag| {
        let weak = [b"W/", tag].concat();
        let mut lines = request.fields.all(FieldId::IfNoneMatch);
        lines.any(|line| line.windows(weak.len()).any(|part| part == weak))
    });
    if is_weak {
        weak_tag(&mut head.fields);
    }
}

/// Takes a coding off: one that the client cannot read, or one in the place of which it gets a better
/// one.
fn decode(desk: &Desk<'_>, code: &PlanCode, exchange: &mut Exchange, mut answer: Answer) -> Answer {
    let Some(asked) = exchange.coding else { return answer };
    let head = &answer.head;
    let codings = Codings::of(&head.fields);
    let coding = match codings {
        Codings::One(coding) | Codings::Two(_, coding) => coding,
        Codings::None | Codings::Other => return answer,
    };
    if !asked.may_change(head) {
        return answer;
    }
    let is_unreadable = !asked.reads(codings);
    let bounds = match (&code.decompress, &code.compress) {
        (Some(decompress), _) if is_unreadable => decompress.bounds,
        (decompress, Some(compress)) if compress.recode => {
            let anew = eligible_anew(&asked, head, answer.body.length(), &compress.rules());
            if !matches!(anew, Verdict::Code(better) if better != coding) {
                return answer;
            }
            decompress.as_ref().map_or_else(Bounds::default, |decompress| decompress.bounds)
        }
        _ => return answer,
    };
    decoded_head(&mut answer.head);
    if !asked.is_head {
        let tally = Tally::new(coding, Direction::Decode);
        exchange.record().decoded = Some(Rc::clone(&tally));
        if let Some(decoder) = Decoder::of(codings, bounds) {
            let body = std::mem::replace(&mut answer.body, Body::empty());
            answer.body = decoded::decoded(body, decoder, desk.clock, tally);
        }
    }
    answer
}

fn code_with(
    desk: &Desk<'_>,
    compress: &PlanCompress,
    coding: Coding,
    exchange: &mut Exchange,
    mut answer: Answer,
    dice: impl FnOnce() -> u64,
) -> Answer {
    coded_head(&mut answer.head, coding);
    if exchange.coding.is_some_and(|asked| asked.is_head) {
        return answer;
    }
    let length = match answer.body.length() {
        Length::Known(length) => Some(length),
        Length::Absent | Length::Unknown => None,
    };
    let coder = coder(desk, compress, coding, length, dice);
    let tally = Tally::new(coding, Direction::Code);
    exchange.record().coded = Some(Rc::clone(&tally));
    let body = std::mem::replace(&mut answer.body, Body::empty());
    answer.body = coded::coded(body, coder, desk.clock, tally);
    answer
}

/// A coder for a body as it passes.
fn coder(
    desk: &Desk<'_>,
    compress: &PlanCompress,
    coding: Coding,
    length: Option<u64>,
    dice: impl FnOnce() -> u64,
) -> Coder {
    let mut coder = desk.coders.take(coding, compress.levels(coding).first, length);
    if let Some(padding) = compress.padding(dice) {
        coder.pad(padding);
    }
    coder
}
