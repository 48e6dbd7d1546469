//! Asking one server, on a kept connection or a new one.

use doorman_http::ResponseHead;
use doorman_net::dial::{Answer, Asking, DialError, DialTimeouts, Lane, Need};
use doorman_net::{Limits, Net};

use super::again::{may_repeat, restore};
use super::keep::Keeper;
use crate::again::Again;
use crate::exchange::Exchange;
use crate::house::{CoreServer, Proxy};
use crate::plan::PlanServer;
use crate::stage::edit::Host;

/// Connections to one server that one request may be offered to: one that turns out to be closed or
/// refuses it, another that has just begun to say so, and a fresh one.
const OFFERS_MAX: u32 = 3;

/// How a server is to be asked.
pub(super) struct Wanted<'a> {
    pub(super) limits: &'a Limits,
    pub(super) timeouts: &'a DialTimeouts,
    pub(super) host: &'a Host,
    pub(super) server: &'a PlanServer,
    /// The request's body, where it is kept.
    pub(super) keeper: Option<&'a Keeper>,
}

pub(super) async fn ask<N: Net>(
    proxy: &Proxy<N>,
    server: &CoreServer<N>,
    wanted: &Wanted<'_>,
    exchange: &mut Exchange,
) -> Result<Answer, DialError> {
    let need = if exchange.head.upgrade.is_some() { Need::Upgrade } else { Need::Request };
    let mut pooled = server.dialler.pooled(proxy.core.clock.recent(), need);
    let mut offers = 1;
    loop {
        let was_pooled = pooled.is_some();
        let lane = match pooled.take() {
            Some(lane) => lane,
            None => {
                let client = exchange.conn();
                server.dialler.connect(wanted.timeouts, need, &client).await?
            }
        };
        let asked = once(proxy, lane, wanted, exchange).await;
        let why = match &asked {
            _ if offers >= OFFERS_MAX => return asked,
            // RFC 9110 section 15.5.20: another connection may be one for this request. Once: a new
            // one that says the same is not asked a second time (UPC-10).
            Ok(answer) if was_pooled && is_misdirected(&answer.head) => Again::Misdirected,
            Err(DialError::Closed { reused: true }) if may_repeat_kept(wanted, exchange) => {
                Again::Stale
            }
            Err(DialError::Unprocessed) if exchange.body.is_some() => Again::Refused,
            _ => return asked,
        };
        if why != Again::Refused && !restore(wanted.keeper, exchange) {
            return asked;
        }
        server.place.counters.retries[why.place()].add(1);
        exchange.record().again.push(why);
        offers += 1;
    }
}

fn is_misdirected(head: &ResponseHead) -> bool {
    head.status == 421
}

/// As [`may_repeat`], or with a body that is kept.
fn may_repeat_kept(wanted: &Wanted<'_>, exchange: &Exchange) -> bool {
    may_repeat(exchange) || (wanted.keeper.is_some() && exchange.head.method.is_idempotent())
}

async fn once<N: Net>(
    proxy: &Proxy<N>,
    lane: Lane<N::Stream>,
    wanted: &Wanted<'_>,
    exchange: &mut Exchange,
) -> Result<Answer, DialError> {
    let record = exchange.record();
    // A kept connection was there the moment it was asked for; a new one has just read the clock.
    record.connected = Some(proxy.core.clock.recent());
    if let Some(guard) = &mut record.guard {
        guard.reached();
    }
    let asking = Asking {
        head: &exchange.head,
        host: wanted.host.bytes(&exchange.head, wanted.server),
        secure: wanted.server.tls.is_some(),
        interim: exchange.interim.as_deref(),
        limits: wanted.limits,
        timeouts: *wanted.timeouts,
    };
    let answer = lane.ask(asking, &mut exchange.body).await?;
    if exchange.head.insists && matches!(answer.head.status, 200..=299) {
        return Err(DialError::Malformed("2xx in place of the switch that was asked for"));
    }
    exchange.record().answered = Some(proxy.core.clock.instant());
    Ok(answer)
}
