//! What a try tells the balancer and the breaker.

use doorman_balance::{Outcome, ServerId};
use doorman_http::ResponseHead;
use doorman_net::Net;
use doorman_net::dial::DialError;

use super::Asked;
use super::again::reason;
use super::enter::{Went, judge};
use crate::again::Again;
use crate::exchange::Exchange;

/// A server answered.
pub(super) fn answered<N: Net>(
    asked: &Asked<'_, N>,
    id: ServerId,
    head: &ResponseHead,
    exchange: &mut Exchange,
) {
    let now = asked.proxy.core.clock.recent();
    let record = exchange.record();
    let begun = record.connected.unwrap_or(now);
    let after = record.answered.unwrap_or(now).since(begun);
    asked.group.balancer.report(id, Outcome::Answered { status: head.status, after }, now);
    if let Some(care) = asked.care
        && let Some(breaker) = &care.breaker
    {
        let badly = breaker.on.has_status(head.status);
        let went = if badly { Went::Badly } else { Went::Well };
        judge(asked.proxy, asked.name, care, went, exchange.record());
    }
}

/// A server did not answer; says what another try would be for, `None` if that is not the server's
/// doing.
pub(super) fn failed<N: Net>(
    asked: &Asked<'_, N>,
    id: ServerId,
    error: &DialError,
    exchange: &mut Exchange,
) -> Option<Again> {
    // A client that goes away says nothing about the server.
    let why = reason(error)?;
    let now = asked.proxy.core.clock.instant();
    asked.group.servers[id.index()].place.counters.failures.add(1);
    let outcome = match why {
        Again::Connect => Some(Outcome::Refused),
        Again::Reset | Again::Malformed => Some(Outcome::Failed),
        Again::Timeout => Some(Outcome::TimedOut),
        // A server that has only put it off is there.
        Again::Refused | Again::Stale | Again::Misdirected | Again::Status(_) => None,
    };
    if let Some(outcome) = outcome {
        asked.group.balancer.report(id, outcome, now);
    }
    if let Some(care) = asked.care
        && let Some(breaker) = &care.breaker
    {
        let badly = match why {
            // Requests that wait for a server are no reason to turn others away.
            Again::Connect => breaker.on.connect && care.park.is_none(),
            Again::Timeout => breaker.on.timeout,
            Again::Malformed => breaker.on.malformed,
            Again::Reset => breaker.on.reset,
            _ => false,
        };
        if badly {
            judge(asked.proxy, asked.name, care, Went::Badly, exchange.record());
        }
    }
    Some(why)
}
