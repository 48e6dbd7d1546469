//! Waiting for a server: in the queue when all are full, parked when none is there.
//!
//! Both lines keep the order in which requests came, over all cores. The first of a line also looks for
//! itself now and then: in the queue in case that a server came back which nobody left, and parked to
//! knock at a server for all the others, so that parking needs no health checks. A client that goes away
//! drops the request, and with it its place (UPB-17).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use doorman_balance::{Lease, Line, Refused, Tried, Waiting};
use doorman_http::{Body, Instant, Length};
use doorman_net::{Alarm, Core, Net};

use super::again::Effort;
use super::enter::refuse;
use super::pick;
use crate::exchange::Exchange;
use crate::house::{CoreUpstream, Proxy};
use crate::plan::{PlanResilience, PlanRoute};
use crate::stop::Fault;

/// How often the first in the queue looks although nobody left a server.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// When a client that found a queue full may come again, in seconds.
const QUEUE_RETRY_AFTER: u64 = 1;
/// When a client that found no server may: a restart takes some seconds.
const PARK_RETRY_AFTER: u64 = 5;
/// What waiting requests leave of a drain's time, as its divisor: those who have waited until then are
/// answered while there is still time to deliver the answer.
const DRAIN_LEFT: u32 = 4;

/// Who waits and for what.
pub(super) struct Wait<'a, N: Net> {
    pub(super) proxy: &'a Proxy<N>,
    pub(super) group: &'a CoreUpstream<N>,
    pub(super) care: &'a PlanResilience,
    pub(super) drain: Duration,
    /// When it gives up being parked; set when it is parked first.
    pub(super) parked_until: Option<Instant>,
}

/// Why a wait was over.
enum Turn {
    /// It was called.
    Called,
    /// It is the first, and its time to look has come.
    Look,
    /// It has waited long enough.
    Late,
}

impl<N: Net> Wait<'_, N> {
    /// Whether others wait, so that a request may not just take a server.
    pub(super) fn is_busy(&self, exchange: &mut Exchange) -> bool {
        let PlanResilience { state, queue, park, .. } = self.care;
        let knocks = exchange.record().guard.as_ref().is_some_and(|guard| guard.parked.is_some());
        (queue.is_some() && !state.queue.is_empty())
            || (park.is_some() && state.is_shut() && !knocks)
    }

    /// A server for a request that found none, `None` if it does not wait for one.
    pub(super) async fn server(
        &mut self,
        route: &PlanRoute,
        effort: &mut Effort<'_>,
        exchange: &mut Exchange,
    ) -> Result<Option<Lease>, Fault> {
        let clock = self.proxy.core.clock;
        let begun = clock.instant();
        let found = self.find(route, effort, exchange).await;
        exchange.record().waited_micros += clock.instant().micros_since(begun);
        found
    }

    async fn find(
        &mut self,
        route: &PlanRoute,
        effort: &mut Effort<'_>,
        exchange: &mut Exchange,
    ) -> Result<Option<Lease>, Fault> {
        loop {
            let state = &self.care.state;
            if self.care.queue.is_some() && (!state.queue.is_empty() || self.is_full()) {
                if let Some(guard) = &mut exchange.record().guard {
                    // Who knocked has found that servers are there.
                    guard.reached();
                }
                // Who was sent may be taken by any server that has room; who found one gone waits for
                // another, or the one that is gone would be tried without end.
                if !effort.unsent {
                    effort.forget_tried();
                }
                if let Some(lease) = self.queue(exchange, effort.tried()).await? {
                    return Ok(Some(lease));
                }
                // Nobody is full any more, and still none takes it.
            }
            if self.care.park.is_none() || !effort.may_park() {
                return Ok(None);
            }
            match self.park(route, exchange).await? {
                Some(lease) => {
                    if effort.unsent {
                        effort.renew();
                    } else {
                        effort.forget_tried();
                    }
                    return Ok(Some(lease));
                }
                // Servers are there, and have no room.
                None if self.care.queue.is_none() && self.is_full() => return Ok(None),
                None => {}
            }
        }
    }

    async fn queue(&self, exchange: &Exchange, tried: &Tried) -> Result<Option<Lease>, Fault> {
        let Some(rules) = self.care.queue else { return Ok(None) };
        let (core, state) = (&self.proxy.core, &self.care.state);
        let late = |why| refuse(state, why, QUEUE_RETRY_AFTER);
        let waiting = state.queue.join(rules.bounds, 0).ok_or_else(|| late(Refused::QueueFull))?;
        let until = core.clock.instant() + rules.timeout;
        loop {
            let look = core.clock.recent() + LOOK_AGAIN;
            if let Turn::Late = turn(&waiting, core, until, look, self.drain).await {
                return Err(late(Refused::QueueTimeout));
            }
            if let Some(lease) = pick(self.proxy, self.group, tried, exchange) {
                return Ok(Some(lease));
            }
            if !self.is_full() {
                return Ok(None);
            }
        }
    }

    /// Waits until a server was reached by somebody, or until it is this one's turn to knock; `None`:
    /// servers are there, but have no room.
    async fn park(
        &mut self,
        route: &PlanRoute,
        exchange: &mut Exchange,
    ) -> Result<Option<Lease>, Fault> {
        let Some(rules) = self.care.park else { return Ok(None) };
        let (core, state) = (&self.proxy.core, &self.care.state);
        let late = |why| refuse(state, why, PARK_RETRY_AFTER);
        let knocked = exchange.record().guard.as_mut().and_then(|guard| guard.parked.take());
        if knocked.is_some() || !state.is_shut() {
            state.shut(core.clock.recent());
        }
        let waiting = match knocked {
            Some(waiting) => waiting,
            None => state
                .park
                .join(rules.bounds, held(route, exchange.body.as_ref()))
                .ok_or_else(|| late(Refused::ParkFull))?,
        };
        let until = *self.parked_until.get_or_insert(core.clock.instant() + rules.timeout);
        loop {
            let turn = turn(&waiting, core, until, state.knock_at(), self.drain).await;
            match turn {
                Turn::Late => return Err(late(Refused::ParkTimeout)),
                Turn::Called if state.is_shut() => continue,
                Turn::Called => {
                    // The next one goes on while this one looks.
                    drop(waiting);
                    return Ok(self.pick(exchange));
                }
                Turn::Look => {}
            }
            if let Some(lease) = self.pick(exchange) {
                if let Some(guard) = &mut exchange.record().guard {
                    guard.parked = Some(waiting);
                }
                return Ok(Some(lease));
            }
            if self.is_full() {
                // They are there.
                state.reached();
                return Ok(None);
            }
            state.shut(core.clock.recent());
        }
    }

    fn pick(&self, exchange: &Exchange) -> Option<Lease> {
        pick(self.proxy, self.group, &Tried::none(), exchange)
    }

    fn is_full(&self) -> bool {
        self.group
            .balancer
            .members()
            .iter()
            .any(|member| member.in_flight_max.is_some_and(|most| member.state.in_flight() >= most))
    }
}

/// Bytes that a request holds in memory while it waits: a body that is still with its client holds none
/// here.
fn held(route: &PlanRoute, body: Option<&Body>) -> u64 {
    let Some(most) = route.buffer_request else { return 0 };
    match body.map_or(Length::Absent, Body::length) {
        Length::Absent => 0,
        Length::Known(n) => n.min(most as u64),
        Length::Unknown => most as u64,
    }
}

/// Waits until it is this one's turn to look for a server.
async fn turn(
    waiting: &Waiting,
    core: &Core,
    until: Instant,
    look: Instant,
    drain: Duration,
) -> Turn {
    let mut alarm = Alarm::new(core.clock);
    poll_fn(|cx| {
        if waiting.poll_called(cx).is_ready() {
            return Poll::Ready(Turn::Called);
        }
        let until = closing(waiting.line(), core, drain).map_or(until, |at| at.min(until));
        let at = if waiting.is_first() { look.min(until) } else { until };
        alarm.set(at);
        std::task::ready!(alarm.poll(cx));
        let late = core.clock.instant() >= until;
        Poll::Ready(if late { Turn::Late } else { Turn::Look })
    })
    .await
}

/// When everybody leaves, because the process ends. The first in line notices by its looks, and each one
/// who leaves calls the next, so they leave in their order.
fn closing(line: &Line, core: &Core, drain: Duration) -> Option<Instant> {
    if core.is_draining() && line.closes().is_none() {
        line.close_at(core.clock.instant() + (drain - drain / DRAIN_LEFT));
    }
    line.closes()
}
