//! Answers by slices: the corridor walked once for each.

use std::rc::Rc;
use std::sync::Arc;

use doorman_http::{BodyError, Now, RequestHead, Source};
use doorman_net::Net;
use doorman_net::dial::Answer;
use doorman_store::{Lead, Object};

use super::Going;
use crate::exchange::Exchange;
use crate::house::{CorePlan, Proxy};
use crate::stage::cache::slice::{self, Anchor, Fetched, Pieces, Sliced};
use crate::stage::cache::{self, Again, Holds, Piece, Slot, Sought, Taken};
use crate::stage::mirror::At;
use crate::stage::share::Ways;
use crate::stage::{edit, stick};
use crate::stop::Stop;

impl<N: Net> Proxy<N> {
    /// Answers by slices of `size` bytes. `None`: what is asked for is not to be had so.
    pub(super) async fn sliced<'p>(
        &self,
        plan: &'p Rc<CorePlan<N>>,
        at: At,
        size: u64,
        sought: &mut Sought<'p>,
        going: &mut Going<'p>,
        exchange: &mut Exchange,
    ) -> Result<Option<Answer>, Stop> {
        let route = &plan.plan.sites[at.site].routes[at.route];
        let mut first = sought.slice(0);
        let (object, was_here) = match cache::piece(self, &mut first, exchange, None).await {
            Piece::Stored(object) => (object, true),
            Piece::Own => {
                sought.is_own = true;
                return Ok(None);
            }
            Piece::Ask(slot) => {
                sought.keep_conditions_of(&first);
                let whole = (cache::whole(sought, exchange), slot.requested());
                slice::ask_for(0, size, &mut exchange.head);
                let asked = self.ask(plan, route, going, exchange).await;
                // Who stands in for an origin does not know what that one has given.
                let is_304 = asked.as_ref().is_ok_and(|answer| answer.head.status == 304);
                if is_304 && going.ways.first != sought.upstream {
                    sought.is_own = true;
                    return Ok(None);
                }
                let now = self.core.clock.now();
                let answer = match slot.still_holds(self, &mut first, asked)? {
                    Holds::Object(object) => Sliced::Object(object),
                    Holds::Other(slot, answer) if going.ways.first == sought.upstream => {
                        slice::take(slot, &first, (0, size), answer, exchange, now)
                    }
                    Holds::Other(_, answer) => Sliced::Answer(answer),
                    Holds::Mistaken => {
                        slice::forget(sought);
                        return Ok(None);
                    }
                };
                match answer {
                    Sliced::Object(object) => (object, false),
                    Sliced::Answer(answer) => {
                        return self.unsliced(sought, going, answer, whole, exchange);
                    }
                }
            }
        };
        if !cache::is_readable(&object, exchange) {
            sought.is_own = true;
            return Ok(None);
        }
        let Some(anchor) = Anchor::of(&object) else { return Ok(None) };
        let anchor = Rc::new(anchor);
        let now = self.core.clock.now();
        let shadow = self.shadow(plan);
        let Some(beside) = cache::beside(sought, &object, exchange, shadow.books(), now) else {
            return Ok(None);
        };
        let fetcher = Rc::new(Fetcher {
            shadow,
            plan: Rc::clone(plan),
            at,
            size,
            again: sought.again(),
            beside,
            anchor: Rc::clone(&anchor),
        });
        let pieces = |range| -> Box<dyn Source> {
            let fetch = move |index| -> Fetched { Box::pin(Rc::clone(&fetcher).fetch(index)) };
            Box::new(Pieces::new(fetch, size, range))
        };
        Ok(Some(anchor.answer(sought, exchange, was_here, pieces)))
    }

    /// The origin gave something else than the slice: the whole, which is stored as such, or an error.
    fn unsliced(
        &self,
        sought: &mut Sought<'_>,
        going: &Going<'_>,
        answer: Answer,
        (lead, requested): (Lead, Now),
        exchange: &mut Exchange,
    ) -> Result<Option<Answer>, Stop> {
        // A part that cannot be stored was not what the client asked for.
        if matches!(answer.head.status, 206 | 416) {
            sought.is_own = true;
            return Ok(None);
        }
        let slot = Slot::whole(lead, requested);
        match slot.take(self, sought, going.ways.first, Ok(answer), exchange)? {
            Taken::Answer(answer) => Ok(Some(answer)),
            Taken::Again => Ok(None),
        }
    }
}

/// What fetches the slices of one answer.
struct Fetcher<N: Net> {
    shadow: Proxy<N>,
    plan: Rc<CorePlan<N>>,
    at: At,
    size: u64,
    again: Again,
    /// The request that stands for all that are sent.
    beside: Exchange,
    anchor: Rc<Anchor>,
}

impl<N: Net> Fetcher<N> {
    /// The slice of that number, from the store or from an origin.
    async fn fetch(self: Rc<Self>, index: u64) -> Result<Arc<Object>, BodyError> {
        if index == 0 {
            return Ok(Arc::clone(&self.anchor.object));
        }
        let (shadow, plan) = (&self.shadow, &self.plan);
        let route = &plan.plan.sites[self.at.site].routes[self.at.route];
        let Some(cache) = &route.cache else { return Err(BodyError::UpstreamClosed) };
        let whole = self.again.clone().sought(cache);
        let mut sought = whole.slice(index);
        let now = shadow.core.clock.now();
        let mut exchange = self.beside.beside(
            Box::new(RequestHead::clone(&self.beside.head)),
            shadow.books(),
            now,
        );
        let tie = stick::tie(plan, sought.upstream, &mut exchange);
        if edit::request(route, &mut exchange).is_err() {
            return Err(BodyError::UpstreamClosed);
        }
        let piece = cache::piece(shadow, &mut sought, &mut exchange, Some(&self.anchor)).await;
        let slot = match piece {
            // What another has fetched meanwhile may be of another version.
            Piece::Stored(object) => return self.same(&whole, object),
            // The first slice was this client's to have, and the others are of the same whole.
            Piece::Own => return Err(BodyError::UpstreamClosed),
            Piece::Ask(slot) => slot,
        };
        slice::ask_for(index, self.size, &mut exchange.head);
        let mut going = Going { ways: Ways::only(sought.upstream), tie };
        let asked = shadow.ask(plan, route, &mut going, &mut exchange).await;
        let answer = asked.map_err(|_| BodyError::UpstreamClosed)?;
        let now = shadow.core.clock.now();
        let place = (index, self.size);
        match slice::take(slot, &sought, place, answer, &mut exchange, now) {
            Sliced::Object(object) => self.same(&whole, object),
            Sliced::Answer(answer) => {
                // A failure says nothing of what there is.
                if !matches!(answer.head.status, 429 | 500..) {
                    slice::forget(&whole);
                }
                Err(BodyError::UpstreamMalformed("no slice where one was before"))
            }
        }
    }

    /// A slice, if it is one of the same whole as the first.
    fn same(&self, whole: &Sought<'_>, slice: Arc<Object>) -> Result<Arc<Object>, BodyError> {
        if self.anchor.holds(&slice) {
            return Ok(slice);
        }
        slice::forget(whole);
        Err(BodyError::UpstreamMalformed("the slices are of two versions"))
    }
}
