//! One core's choice among an upstream's servers.

use std::sync::Arc;

use doorman_http::Instant;

use crate::turn::Turn;
use crate::{Lease, Outcome, ServerId, ServerState, Tried};

/// How a server is chosen among those that may take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In turn, as often as the weights say.
    RoundRobin,
    /// The one with the fewest requests in flight for its weight, over all cores; in turn among
    /// equals.
    LeastRequests,
}

/// A server of an upstream.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its counters, the same value on every core and over reloads.
    pub state: Arc<ServerState>,
    /// Its part of the load, 1 to 65,535; 0 is taken as 1.
    pub weight: u32,
    /// Requests at once over all cores; `None`: no bound.
    pub in_flight_max: Option<u32>,
}

/// What a choice depends on besides the servers.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// Servers that this request has tried.
    pub tried: &'a Tried,
    /// Hash of what ties a request to a server, for methods that look at it.
    pub key: Option<u64>,
    /// A random number, for methods that throw dice.
    pub dice: u64,
    /// The time.
    pub now: Instant,
}

/// The servers of an upstream as one core sees them.
#[derive(Debug)]
pub struct Balancer {
    members: Box<[Member]>,
    method: Method,
    turn: Turn,
}

/// Which servers a pass over the list looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    Rested,
    All,
}

impl Balancer {
    /// A balancer over these servers, in the operator's order. Make one for each core.
    #[must_use]
    pub fn new(method: Method, members: Vec<Member>) -> Self {
        let turn = Turn::new(members.len());
        let mut members = members.into_boxed_slice();
        for member in &mut members {
            member.weight = member.weight.max(1);
        }
        Self { members, method, turn }
    }

    /// The servers.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A server for this request, with a place at it; `None` if every server is full or was tried
    /// by it. Servers that refused a connection just now are taken only if there is no other.
    #[must_use]
    pub fn pick(&self, request: &PickRequest<'_>) -> Option<Lease> {
        self.pick_among(request, Among::Rested).or_else(|| self.pick_among(request, Among::All))
    }

    /// Takes note of how a try at a server ended. An unknown server is not an error: a try may
    /// outlive the list that it came from.
    pub fn report(&self, server: ServerId, outcome: Outcome, now: Instant) {
        if let Some(member) = self.members.get(server.index()) {
            member.state.report(outcome, now);
        }
    }

    fn pick_among(&self, request: &PickRequest<'_>, among: Among) -> Option<Lease> {
        let mut tried = *request.tried;
        // Another core may take a server's last place between the look and the reservation; such
        // a server is then passed over. `tried` bounds how often.
        while !tried.is_full() {
            let chosen = self.choose(&PickRequest { tried: &tried, ..*request }, among)?;
            let member = &self.members[chosen.index()];
            if member.state.reserve(member.in_flight_max) {
                return Some(Lease::new(chosen, Arc::clone(&member.state)));
            }
            tried.add(chosen);
        }
        None
    }

    fn choose(&self, request: &PickRequest<'_>, among: Among) -> Option<ServerId> {
        let index = match self.method {
            Method::RoundRobin => self.turn.next(self.usable(request, among)),
            Method::LeastRequests => self.least_requests(request, among),
        };
        index.map(id)
    }

    fn least_requests(&self, request: &PickRequest<'_>, among: Among) -> Option<usize> {
        let least = self
            .usable(request, among)
            .map(|(index, _)| self.load(index))
            .min_by(|&a, &b| compare(a, b))?;
        // Loads may have moved since: whoever is not above the least counts as its equal.
        let equals = |&(index, _): &(usize, u32)| compare(self.load(index), least).is_le();
        self.turn
            .next(self.usable(request, among).filter(equals))
            .or_else(|| self.turn.next(self.usable(request, among)))
    }

    /// Requests in flight if this one came on top, and the weight that they are divided by.
    fn load(&self, index: usize) -> (u64, u64) {
        let member = &self.members[index];
        (u64::from(member.state.in_flight()) + 1, u64::from(member.weight))
    }

    fn usable<'a>(
        &'a self,
        request: &'a PickRequest<'_>,
        among: Among,
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        self.members.iter().enumerate().filter_map(move |(index, member)| {
            let full = member.in_flight_max.is_some_and(|max| member.state.in_flight() >= max);
            let resting = among == Among::Rested && member.state.is_resting(request.now);
            let usable = !full && !resting && !request.tried.has(id(index));
            usable.then_some((index, member.weight))
        })
    }
}

/// Compares two loads as fractions, without dividing.
fn compare((a, a_weight): (u64, u64), (b, b_weight): (u64, u64)) -> std::cmp::Ordering {
    (a * b_weight).cmp(&(b * a_weight))
}

/// Upstreams are far smaller than 2^32; past it a server would only share the last id.
fn id(index: usize) -> ServerId {
    ServerId(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
