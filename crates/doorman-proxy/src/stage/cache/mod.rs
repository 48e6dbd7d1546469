//! What is kept of earlier answers, on the way of a request.
//!
//! A request is sought by what its client asked for, before edits: [`seek`]. What is fresh is answered
//! at once, [`look`], with one look into the store and no wait. Everything else goes the long way,
//! [`recall`]: wait for another request that fetches the same, or fetch it, by a [`Slot`] that says what
//! becomes of the origin's answer. The corridor asks origins between the two.

mod beside;
mod fill;
mod invalidate;
mod parts;
mod recall;
mod seek;
mod serve;
pub(crate) mod slice;
mod slot;
mod tell;

use std::sync::Arc;

use doorman_cache::{Use, decide};
use doorman_net::dial::Answer;
use doorman_store::{Found, Object, Refresh};

use tell::Told;

use crate::exchange::Exchange;
use crate::record::Cached;

pub(crate) use beside::beside;
pub(crate) use invalidate::Change;
pub(crate) use recall::{Piece, Recalled, piece, recall, refresh, whole};
pub(crate) use seek::{Again, Seek, Sought, seek};
pub(crate) use serve::is_readable;
pub(crate) use slot::{Holds, Slot, Taken};
pub(crate) use tell::past;

/// What the first look at the store says.
pub(crate) enum Looked {
    /// The answer.
    Answer(Answer),
    /// The answer, past its time; it is to be fetched anew beside.
    Stale(Answer, Refresh),
    /// It takes longer.
    Ask,
}

/// Answers from the store if that needs no wait.
pub(crate) fn look(sought: &Sought<'_>, exchange: &mut Exchange) -> Looked {
    let now = exchange.started();
    let found = sought.cache.store.look(&sought.key, &sought.chooser(&exchange.head), now);
    match found {
        Found::Hit(object) => use_of(sought, exchange, &object),
        _ => Looked::Ask,
    }
}

/// What may be done with a stored response.
fn use_of(sought: &Sought<'_>, exchange: &mut Exchange, object: &Arc<Object>) -> Looked {
    let now = exchange.started();
    if !serve::is_servable(sought, object, exchange) {
        return Looked::Ask;
    }
    match decide(&sought.asked, &object.meta(), now) {
        Use::Fresh => {
            let answer = serve::serve(sought, exchange, object, &Told::hit(Cached::Hit, None));
            answer.map_or(Looked::Ask, Looked::Answer)
        }
        Use::StaleAllowed => {
            let answer = serve::serve(
                sought,
                exchange,
                object,
                &Told::hit(Cached::Stale, Some("max-stale")),
            );
            answer.map_or(Looked::Ask, Looked::Answer)
        }
        Use::StaleRefresh => {
            let refresh = object.refresh();
            let why = if refresh.is_some() { "refresh" } else { "refreshing" };
            let told = Told::hit(Cached::Stale, Some(why));
            match (serve::serve(sought, exchange, object, &told), refresh) {
                (Some(answer), Some(refresh)) => Looked::Stale(answer, refresh),
                (Some(answer), None) => Looked::Answer(answer),
                (None, _) => Looked::Ask,
            }
        }
        Use::Validate(_) => Looked::Ask,
    }
}
