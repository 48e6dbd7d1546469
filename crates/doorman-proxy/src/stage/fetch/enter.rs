//! Whether a request is let in to its upstream, and how its tries go into the books.

use std::sync::Arc;

use doorman_balance::{BreakerRefusal, BreakerStep, Refused, Resilience};
use doorman_net::Net;

use crate::exchange::Exchange;
use crate::guard::Guard;
use crate::house::Proxy;
use crate::plan::PlanResilience;
use crate::record::Record;
use crate::stop::Fault;

/// Lets a request in to its upstream, or not.
pub(super) fn enter<N: Net>(
    proxy: &Proxy<N>,
    name: &str,
    care: &PlanResilience,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let now = proxy.core.clock.recent();
    let state = &care.state;
    if care.retry.as_ref().is_some_and(|retry| retry.tries > 0) {
        state.budget.asked(now);
    }
    let mut pass = None;
    if let Some(breaker) = &care.breaker {
        match state.breaker.enter(&breaker.rules, now) {
            Ok((entered, step)) => {
                pass = Some(entered);
                tell(proxy, name, step);
            }
            Err(refusal) => {
                let (why, seconds) = match refusal {
                    BreakerRefusal::Open(left) => (Refused::BreakerOpen, left.as_secs() + 1),
                    BreakerRefusal::Full => (Refused::BreakerFull, 1),
                };
                return Err(refuse(state, why, seconds));
            }
        }
    }
    let (has_queue, has_park) = (care.queue.is_some(), care.park.is_some());
    if pass.is_some() || has_queue || has_park {
        let state = Arc::clone(state);
        exchange.record().guard = Some(Guard { state, pass, has_queue, has_park, parked: None });
    }
    Ok(())
}

/// Counts a refusal; gives its fault.
pub(super) fn refuse(state: &Resilience, why: Refused, seconds: u64) -> Fault {
    state.refuse(why);
    Fault::Refused(why, u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// How a try went, for the breaker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    Badly,
}

/// Tells the breaker how a try went.
pub(super) fn judge<N: Net>(
    proxy: &Proxy<N>,
    name: &str,
    care: &PlanResilience,
    went: Went,
    record: &mut Record,
) {
    let Some(breaker) = &care.breaker else { return };
    let Some(pass) = record.guard.as_mut().and_then(|guard| guard.pass.as_mut()) else { return };
    let now = proxy.core.clock.recent();
    let step = match went {
        Went::Well => care.state.breaker.went_well(pass, &breaker.rules, now),
        Went::Badly => care.state.breaker.failed(pass, &breaker.rules, now),
    };
    tell(proxy, name, step);
}

fn tell<N: Net>(proxy: &Proxy<N>, name: &str, step: BreakerStep) {
    if step != BreakerStep::Stays {
        proxy.books.breaker(name, step);
    }
}
