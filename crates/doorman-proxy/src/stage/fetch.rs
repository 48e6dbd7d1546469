//! Asking an origin: pick a server, connect or reuse, send, and try again where that is safe.
//!
//! What may be tried again (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1): anything, while no
//! byte of it can have reached an origin (a connection that could not be made); an idempotent
//! request without a body, when a pooled connection turns out to be closed. Nothing else: a POST
//! that was sent is never sent again (invariant I8).

use doorman_balance::{Outcome, PickRequest, Tried};
use doorman_http::{Body, BodyError, Instant, Length};
use doorman_net::Limits;
use doorman_net::Net;
use doorman_net::dial::{Answer, Asking, DialError, DialTimeouts};

use crate::exchange::Exchange;
use crate::house::{CorePlan, CoreServer, CoreUpstream, Proxy};
use crate::plan::PlanRoute;
use crate::stage::admit;
use crate::stop::Fault;

/// Servers that one request may be offered to.
const TRIES_MAX: u32 = 3;

/// The answer of an origin, and how it was asked.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) host: Vec<u8>,
    pub(crate) server: Asked,
}

/// What redirects of an origin may name.
pub(crate) struct Asked {
    pub(crate) authority: Box<str>,
    pub(crate) secure: bool,
}

/// Collects the response's body, where the route says so, so that the origin is free before a
/// slow client has read it. A body that is longer than the bound streams from there on.
pub(crate) async fn settle(route: &PlanRoute, mut reply: Reply) -> Result<Reply, Fault> {
    let Some(max) = route.buffer_response else { return Ok(reply) };
    let tunnel = reply.answer.head.status == 101;
    if tunnel || matches!(reply.answer.body.length(), Length::Absent | Length::Known(0)) {
        return Ok(reply);
    }
    let mut body = std::mem::replace(&mut reply.answer.body, Body::empty());
    let gathered = admit::gather(max, &mut body).await.map_err(|error| match error {
        BodyError::UpstreamTimeout => Fault::Upstream(DialError::ResponseTimeout),
        BodyError::UpstreamMalformed(why) => Fault::Upstream(DialError::Malformed(why)),
        _ => Fault::Upstream(DialError::ClosedInHead),
    })?;
    reply.answer.body = gathered.join(body);
    Ok(reply)
}

/// Asks the servers of an upstream until one answers.
pub(crate) async fn send<N: Net>(
    proxy: &Proxy<N>,
    plan: &CorePlan<N>,
    route: &PlanRoute,
    upstream: usize,
    exchange: &mut Exchange,
) -> Result<Reply, Fault> {
    let group = &plan.upstreams[upstream];
    let timeouts = route.timeouts(&plan.plan.upstreams[upstream]);
    let mut tried = Tried::none();
    let mut last = Fault::NoServer;
    while exchange.record().attempts < TRIES_MAX {
        let pick = PickRequest {
            tried: &tried,
            key: None,
            dice: proxy.net.dice(),
            now: proxy.core.clock.recent(),
        };
        let Some(lease) = group.balancer.pick(&pick) else { break };
        let id = lease.server();
        tried.add(id);
        let server = &group.servers[id.index()];
        let record = exchange.record();
        record.attempts += 1;
        record.server = Some(std::rc::Rc::clone(&server.place));
        record.lease = Some(lease);
        let details = &plan.plan.upstreams[upstream].servers[id.index()];
        let host = route.edits.host(exchange, details)?;
        match ask(proxy, &plan.plan.upstream_limits, server, &timeouts, exchange, &host).await {
            Ok(answer) => {
                group.balancer.report(id, Outcome::Reached, proxy.core.clock.recent());
                let server =
                    Asked { authority: details.authority.clone(), secure: details.tls.is_some() };
                return Ok(Reply { answer, host, server });
            }
            Err(error) => {
                let now = proxy.core.clock.instant();
                // A client that goes away says nothing about the server.
                if !matches!(error, DialError::Client(_)) {
                    server.place.counters.failures.add(1);
                }
                let next = note(group, id, &error, now);
                last = Fault::Upstream(error);
                if !next {
                    break;
                }
                server.place.counters.retries_connect.add(1);
            }
        }
    }
    Err(last)
}

/// Tells the balancer how a try failed, and says whether another server may be tried.
fn note<N: Net>(
    group: &CoreUpstream<N>,
    id: doorman_balance::ServerId,
    error: &DialError,
    now: Instant,
) -> bool {
    let unreachable =
        matches!(error, DialError::Connect(_) | DialError::ConnectTimeout | DialError::Tls(_));
    if unreachable {
        group.balancer.report(id, Outcome::Refused, now);
    }
    unreachable
}

async fn ask<N: Net>(
    proxy: &Proxy<N>,
    limits: &Limits,
    server: &CoreServer<N>,
    timeouts: &DialTimeouts,
    exchange: &mut Exchange,
    host: &[u8],
) -> Result<Answer, DialError> {
    let clock = &proxy.core.clock;
    if let Some(connection) = server.dialler.pooled(clock.recent()) {
        match once(proxy, limits, connection, timeouts, exchange, host).await {
            Err(DialError::Closed { reused: true }) if may_repeat(exchange) => {
                server.place.counters.retries_stale.add(1);
            }
            other => return other,
        }
    }
    let connection = server.dialler.connect(timeouts).await?;
    once(proxy, limits, connection, timeouts, exchange, host).await
}

/// Whether the request may be sent a second time although its first bytes may have arrived.
fn may_repeat(exchange: &Exchange) -> bool {
    let bodiless = exchange
        .body
        .as_ref()
        .is_some_and(|body| matches!(body.length(), Length::Absent | Length::Known(0)));
    exchange.head.method.is_idempotent() && bodiless && exchange.head.upgrade.is_none()
}

async fn once<N: Net>(
    proxy: &Proxy<N>,
    limits: &Limits,
    connection: Box<doorman_net::dial::Upstream<N::Stream>>,
    timeouts: &DialTimeouts,
    exchange: &mut Exchange,
    host: &[u8],
) -> Result<Answer, DialError> {
    exchange.record().connected = Some(proxy.core.clock.instant());
    let asking = Asking {
        head: &exchange.head,
        host,
        interim: exchange.interim.as_deref(),
        limits,
        timeouts: *timeouts,
    };
    let answer = connection.ask(asking, &mut exchange.body).await?;
    exchange.record().answered = Some(proxy.core.clock.instant());
    Ok(answer)
}
