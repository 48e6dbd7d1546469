//! Asking an origin: pick a server, connect or reuse, send, and try again where that is safe.
//!
//! One loop over tries, each at a server of its own. What an upstream does not use is not in its plan
//! and costs one look here: its breaker, its budget of retries, its lines of waiting requests.

mod again;
mod attempt;
mod enter;
mod keep;
mod outcome;
mod settle;
mod wait;

use std::rc::Rc;

use doorman_balance::{Lease, PickRequest, Tried};
use doorman_net::Net;
use doorman_net::dial::{Answer, DialError};

use crate::again::Again;
use crate::exchange::Exchange;
use crate::house::{CorePlan, CoreUpstream, Proxy};
use crate::plan::{PlanResilience, PlanRoute, PlanServer, PlanUpstream};
use crate::record::Sticky;
use crate::stage::cgi;
use crate::stage::edit::Host;
use crate::stop::Fault;

pub(crate) use again::may_repeat;
pub(crate) use settle::settle;

use again::Effort;
use attempt::{Wanted, ask};
use wait::Wait;

/// The answer of an origin, and how it was asked.
pub(crate) struct Reply<'a> {
    pub(crate) answer: Answer,
    pub(crate) host: Host,
    pub(crate) server: &'a PlanServer,
}

/// Who is asked.
struct Asked<'a, N: Net> {
    proxy: &'a Proxy<N>,
    group: &'a CoreUpstream<N>,
    name: &'a str,
    care: Option<&'a PlanResilience>,
}

/// Asks the servers of an upstream until one answers.
pub(crate) async fn send<'a, N: Net>(
    proxy: &Proxy<N>,
    plan: &'a CorePlan<N>,
    route: &PlanRoute,
    upstream: usize,
    exchange: &mut Exchange,
) -> Result<Reply<'a>, Fault> {
    let group = &plan.upstreams[upstream];
    let details = &plan.plan.upstreams[upstream];
    let care = details.resilience.as_deref();
    let asked = Asked { proxy, group, name: &details.name, care };
    let mut timeouts = route.timeouts(details);
    if let Some(care) = care {
        enter::enter(proxy, &details.name, care, exchange)?;
        timeouts = care.shorten(timeouts);
    }
    let script = match &details.cgi {
        None => None,
        Some(cgi) => Some(Box::pin(cgi::prepare(cgi, exchange)).await?),
    };
    let mut effort = Effort::new(care);
    effort.keep(exchange);
    let drain = plan.plan.drain;
    let mut wait = care.map(|care| Wait { proxy, group, care, drain, parked_until: None });
    loop {
        let found = server(&asked, route, &mut wait, &mut effort, exchange).await?;
        // Only now is it sure that there is another to try.
        let Some(lease) = found.filter(|_| effort.is_paid(proxy)) else { break };
        let id = lease.server();
        bound(&asked, details, &lease, exchange)?;
        let server = &group.servers[id.index()];
        effort.go(lease, &server.place, exchange);
        let details_of = &details.servers[id.index()];
        let host = route.edits.host(exchange, details_of)?;
        let limits = &plan.plan.upstream_limits;
        let result = match (&details.cgi, &script) {
            (Some(cgi), Some(script)) => {
                let host = host.bytes(&exchange.head, details_of).to_vec();
                let asking = cgi::Asking { cgi, script, host: &host, limits, timeouts: &timeouts };
                Box::pin(cgi::ask(proxy, server, asking, exchange)).await
            }
            _ => {
                let keeper = effort.keeper.as_ref();
                let (timeouts, host) = (&timeouts, &host);
                let wanted = Wanted { limits, timeouts, host, server: details_of, keeper };
                ask(proxy, server, &wanted, exchange).await
            }
        };
        let why = match result {
            Ok(mut answer) => {
                if answer.head.status == 101 {
                    answer.body = server.leash.hold(answer.body);
                }
                outcome::answered(&asked, id, &answer.head, exchange);
                let status = answer.head.status;
                let reply = Reply { answer, host, server: details_of };
                if care.is_none() || !effort.may_follow(Again::Status(status), exchange) {
                    effort.spend();
                    return Ok(reply);
                }
                effort.unsent = false;
                effort.keep_answer(reply, exchange);
                Again::Status(status)
            }
            Err(error) => {
                if matches!(error, DialError::Exhausted) {
                    proxy.make_room();
                    proxy.books().counters().overload().unsent.add(1);
                }
                let why = outcome::failed(&asked, id, &error, exchange);
                effort.unsent = why == Some(Again::Connect);
                effort.fault = Fault::Upstream(error);
                let Some(why) = why else { break };
                if !effort.may_follow(why, exchange) {
                    // Nothing was sent: it may still wait for a server that is there.
                    if !effort.unsent || care.is_none_or(|care| care.park.is_none()) {
                        break;
                    }
                    effort.is_spent = true;
                    continue;
                }
                why
            }
        };
        effort.pending = Some((why, Rc::clone(&server.place)));
    }
    effort.end(exchange)
}

/// A server for the next try, waited for if need be.
async fn server<N: Net>(
    asked: &Asked<'_, N>,
    route: &PlanRoute,
    wait: &mut Option<Wait<'_, N>>,
    effort: &mut Effort<'_>,
    exchange: &mut Exchange,
) -> Result<Option<Lease>, Fault> {
    let busy = wait.as_ref().is_some_and(|wait| wait.is_busy(exchange));
    if !busy && !effort.is_spent {
        let pick = |tried: &Tried| pick(asked.proxy, asked.group, tried, exchange);
        let again = || effort.second_round().iter().flatten().find_map(pick);
        let found = pick(effort.tried()).or_else(again);
        if found.is_some() {
            return Ok(found);
        }
    }
    match wait {
        // In a box: what does not wait must not be larger for it.
        Some(wait) => Box::pin(wait.server(route, effort, exchange)).await,
        None => Ok(None),
    }
}

/// Whether a client that belongs to another server may be sent to this one.
fn bound<N: Net>(
    asked: &Asked<'_, N>,
    details: &PlanUpstream,
    lease: &Lease,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let Some(bound) = exchange.tie.server else { return Ok(()) };
    let state = details.servers.get(bound.index()).map(|server| &*server.state);
    let allowed = exchange.tie.allows(lease, state, asked.proxy.core.clock.recent());
    if allowed.is_err() {
        let record = exchange.record();
        let server = asked.group.servers.get(bound.index());
        record.server = server.map(|server| Rc::clone(&server.place));
        record.sticky = Some(Sticky::Refused);
    }
    allowed
}

/// A server that is not among these.
fn pick<N: Net>(
    proxy: &Proxy<N>,
    group: &CoreUpstream<N>,
    tried: &Tried,
    exchange: &Exchange,
) -> Option<Lease> {
    group.balancer.pick(&PickRequest {
        tried,
        bound: exchange.tie.server,
        key: exchange.tie.key,
        dice: proxy.net.dice(),
        now: proxy.core.clock.recent(),
    })
}
