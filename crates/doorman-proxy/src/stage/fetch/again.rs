//! Whether a request may be sent again, and how often.
//!
//! What may be sent again by default (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1): anything, while
//! no byte of it can have reached an origin (a connection that could not be made), or while the origin
//! says that it has not looked at it (RFC 9113 section 8.7) and its body can still be told; an
//! idempotent request, when a pooled connection turns out to be closed. `retry` adds conditions, for
//! idempotent requests only unless it says `unsafe`: a POST that may have been processed is never sent
//! again otherwise (invariant I8). None of it happens once a byte of a response went on (UPC-07): the
//! corridor is here only until it has a response's head.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use doorman_balance::{Lease, ServerId, TRIED_MAX, Tried};
use doorman_http::{Body, Frame, Instant, Length};
use doorman_net::Net;
use doorman_net::dial::DialError;

use super::Reply;
use super::keep::Keeper;
use crate::again::Again;
use crate::exchange::Exchange;
use crate::house::Proxy;
use crate::plan::{PlanResilience, PlanRetry};
use crate::record::ServerPlace;
use crate::stop::Fault;

/// Further tries of a request where nothing is written: what they are for never reached a server.
const TRIES: u32 = 2;

/// Why a try that failed so might be made again; `None` if it says nothing about the server.
pub(super) const fn reason(error: &DialError) -> Option<Again> {
    match error {
        DialError::Connect(_)
        | DialError::ConnectTimeout
        | DialError::Tls(_)
        | DialError::Protocol(_) => Some(Again::Connect),
        DialError::Closed { .. } | DialError::ClosedInHead | DialError::Reset(_) => {
            Some(Again::Reset)
        }
        DialError::Malformed(_) => Some(Again::Malformed),
        DialError::ResponseTimeout | DialError::WriteTimeout => Some(Again::Timeout),
        DialError::Unprocessed => Some(Again::Refused),
        DialError::Client(_) | DialError::Unsendable(_) | DialError::Exhausted => None,
    }
}

/// What a request has been through, and what it may still try.
pub(super) struct Effort<'a> {
    care: Option<&'a PlanResilience>,
    tried: Tried,
    /// The server of the last try.
    last: Option<ServerId>,
    /// Further tries of this round.
    left: u32,
    /// Whether all that is left is to wait.
    pub(super) is_spent: bool,
    /// Why the next try is made, and who failed the one before.
    pub(super) pending: Option<(Again, Rc<ServerPlace>)>,
    pub(super) keeper: Option<Keeper>,
    /// What the client gets if nothing better comes.
    pub(super) fault: Fault,
    spare: Option<Box<Spare<'a>>>,
    /// Whether the last try sent nothing.
    pub(super) unsent: bool,
}

/// An answer that another try may better.
struct Spare<'a> {
    reply: Reply<'a>,
    place: Option<Rc<ServerPlace>>,
    lease: Option<Lease>,
    connected: Option<Instant>,
    answered: Option<Instant>,
}

/// Frames of an answer that is thrown away which are pulled so that its connection is free again: a page
/// for an error usually came with its head.
const SPARE_FRAMES: usize = 4;

impl<'a> Effort<'a> {
    pub(super) fn new(care: Option<&'a PlanResilience>) -> Self {
        let mut effort = Self {
            care,
            tried: Tried::none(),
            last: None,
            left: 0,
            is_spent: false,
            pending: None,
            keeper: None,
            fault: Fault::NoServer,
            spare: None,
            unsent: true,
        };
        effort.left = effort.rules().map_or(TRIES, |rules| rules.tries);
        effort
    }

    /// Begins anew after a wait for a server: what was tried before says nothing about now.
    pub(super) fn renew(&mut self) {
        self.tried = Tried::none();
        self.left = self.rules().map_or(TRIES, |rules| rules.tries);
        self.is_spent = false;
        self.pending = None;
    }

    /// The servers that were tried.
    pub(super) const fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Whether it may wait for a server while none is there: nothing of it was sent, or it may be sent again and there
    /// is no answer that its client could get instead.
    pub(super) const fn may_park(&self) -> bool {
        self.unsent || (self.pending.is_some() && self.spare.is_none())
    }

    /// Any server will do from now on.
    pub(super) fn forget_tried(&mut self) {
        self.tried = Tried::none();
    }

    fn rules(&self) -> Option<&'a PlanRetry> {
        self.care.and_then(|care| care.retry.as_ref())
    }

    /// Keeps the body of a request that may be sent again although it was sent from.
    pub(super) fn keep(&mut self, exchange: &mut Exchange) {
        let Some(rules) = self.rules().filter(|rules| rules.tries > 0 && rules.keep > 0) else {
            return;
        };
        if !may_be_repeated(exchange, rules) || exchange.body.as_ref().is_none_or(Body::is_finished)
        {
            return;
        }
        if let Some(body) = exchange.body.take() {
            let keeper = Keeper::new(body, rules.keep);
            exchange.body = keeper.tell();
            self.keeper = Some(keeper);
        }
    }

    /// Which servers the next try leaves out when those that were tried leave none, and `retry` wants
    /// more tries: only the last one; and not even that if there is no other. A server that is not there
    /// is left to whoever knocks.
    pub(super) fn second_round(&self) -> Option<[Tried; 2]> {
        let last = self.last?;
        let knocks = self.care.is_some_and(|care| care.park.is_some()) && self.unsent;
        if self.rules().is_none() || self.pending.is_none() || knocks {
            return None;
        }
        let mut but_last = Tried::none();
        but_last.add(last);
        Some([but_last, Tried::none()])
    }

    /// Draws on the budget for the try that is about to be made.
    pub(super) fn is_paid<N: Net>(&self, proxy: &Proxy<N>) -> bool {
        let (Some(care), Some(rules)) = (self.care, self.rules()) else { return true };
        self.pending.is_none() || care.state.budget.draw(rules.budget, proxy.core.clock.recent())
    }

    /// Goes on to a server; writes down who is asked, and why it is not the first.
    pub(super) fn go(&mut self, lease: Lease, place: &Rc<ServerPlace>, exchange: &mut Exchange) {
        let id = lease.server();
        self.tried.add(id);
        self.last = Some(id);
        let record = exchange.record();
        record.attempts += 1;
        record.server = Some(Rc::clone(place));
        if record.lease.replace(lease).is_some()
            && let Some(guard) = &record.guard
        {
            guard.freed();
        }
        if let Some((why, place)) = self.pending.take() {
            place.counters.retries[why.place()].add(1);
            record.again.push(why);
        }
    }

    /// Whether another try may follow one that ended so; then the request is as it was.
    pub(super) fn may_follow(&mut self, why: Again, exchange: &mut Exchange) -> bool {
        let broken =
            self.care.is_some_and(|care| care.breaker.is_some() && !care.state.breaker.is_closed());
        let may = self.left > 0 && !broken && self.is_listed(why, exchange);
        if !may || !restore(self.keeper.as_ref(), exchange) {
            return false;
        }
        self.left -= 1;
        true
    }

    fn is_listed(&self, why: Again, exchange: &Exchange) -> bool {
        // Nothing was sent, or nothing was looked at.
        if matches!(why, Again::Connect | Again::Refused) {
            return true;
        }
        let Some(rules) = self.rules() else { return false };
        let on = &rules.on;
        let listed = match why {
            Again::Timeout => on.timeout,
            Again::Malformed => on.malformed,
            Again::Status(status) => on.has_status(status),
            Again::Connect | Again::Refused | Again::Reset | Again::Stale | Again::Misdirected => {
                on.reset
            }
        };
        listed && may_be_repeated(exchange, rules)
    }

    /// Keeps an answer in case that no better one comes.
    pub(super) fn keep_answer(&mut self, reply: Reply<'a>, exchange: &mut Exchange) {
        self.spend();
        let record = exchange.record();
        self.spare = Some(Box::new(Spare {
            reply,
            place: record.server.clone(),
            lease: record.lease.take(),
            connected: record.connected,
            answered: record.answered,
        }));
    }

    /// Throws an answer away that a better one has come for.
    pub(super) fn spend(&mut self) {
        let Some(mut spare) = self.spare.take() else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let mut pull = || spare.reply.answer.body.poll_frame(&mut cx);
        let _ = (0..SPARE_FRAMES)
            .take_while(|_| matches!(pull(), Poll::Ready(Some(Ok(Frame::Data(_))))))
            .count();
    }

    /// What the client gets when no further try is made: the last answer there was, else the last fault.
    pub(super) fn end(self, exchange: &mut Exchange) -> Result<Reply<'a>, Fault> {
        let Some(spare) = self.spare else { return Err(self.fault) };
        let record = exchange.record();
        record.server = spare.place;
        record.lease = spare.lease;
        record.connected = spare.connected;
        record.answered = spare.answered;
        Ok(spare.reply)
    }
}

/// Whether the request's method allows a second time, or the operator does.
fn may_be_repeated(exchange: &Exchange, rules: &PlanRetry) -> bool {
    let head = &exchange.head;
    head.upgrade.is_none() && (rules.unsafe_too || head.method.is_idempotent())
}

/// Puts the body back where it was; whether that can be done.
pub(super) fn restore(keeper: Option<&Keeper>, exchange: &mut Exchange) -> bool {
    if let Some(keeper) = keeper {
        exchange.body = keeper.tell();
    }
    exchange.body.is_some()
}

/// Whether the request may be sent a second time although its first bytes may have arrived, on a
/// connection that was closed meanwhile.
pub(crate) fn may_repeat(exchange: &Exchange) -> bool {
    let bodiless = exchange
        .body
        .as_ref()
        .is_some_and(|body| matches!(body.length(), Length::Absent | Length::Known(0)));
    exchange.head.method.is_idempotent() && bodiless && exchange.head.upgrade.is_none()
}

// A request's list of servers has room for all that it may try.
const _: () = assert!(TRIED_MAX > 15);
