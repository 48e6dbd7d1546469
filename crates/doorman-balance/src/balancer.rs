//! One core's choice among an upstream's servers.

use std::cell::RefCell;
use std::sync::Arc;

use doorman_http::Instant;

use crate::anomaly;
use crate::dice::{self, Draw};
use crate::group::{Group, Shared};
use crate::health::Watching;
use crate::keys::Keys;
use crate::member::{Member, Verdict};
use crate::pace::Manner;
use crate::turn::Turn;
use crate::view::{Overflow, Slot, View};
use crate::{Lease, Method, Outcome, Role, ServerId, Standing, TRIED_MAX, Tried};

/// What a choice depends on besides the servers.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// Servers that this request has tried.
    pub tried: &'a Tried,
    /// The server that the request is bound to: it goes there if that server takes bound requests,
    /// which a draining one does.
    pub bound: Option<ServerId>,
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
    /// Places of the members, from the lowest tier.
    by_tier: Box<[u32]>,
    method: Method,
    watching: Watching,
    shared: Arc<Shared>,
    /// For methods that look at keys.
    keys: Option<Arc<Keys>>,
    turn: Turn,
    view: RefCell<View>,
}

/// What a rank had for a request.
enum Found {
    Place(Lease),
    /// Somebody could have taken it, but is full.
    Full,
    /// Nobody could have.
    Nobody,
}

impl Balancer {
    /// A balancer over these servers of a group, in the operator's order. Make one for each core.
    #[must_use]
    pub fn new(group: &Group, method: Method, members: Vec<Member>) -> Self {
        for member in &members {
            member.state.write_admin(member.admin);
        }
        let mut by_tier: Box<[u32]> = (0..members.len()).map(|at| id(at).0).collect();
        by_tier.sort_by_key(|&at| members[at as usize].tier);
        Self {
            turn: Turn::new(),
            keys: group.keys(method, &members),
            members: members.into_boxed_slice(),
            by_tier,
            method,
            watching: Watching::default(),
            shared: Arc::clone(group.shared()),
            view: RefCell::default(),
        }
    }

    /// Watches the health of the servers by how tries end.
    #[must_use]
    pub fn watching(mut self, watching: Watching) -> Self {
        self.watching = watching;
        self
    }

    /// The servers.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Moves whenever it may have changed who can be picked.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// A server for this request, with a place at it; `None` if every server is full, out, or was tried
    /// by it. Servers that refused a connection just now are taken only if there is no other.
    #[must_use]
    pub fn pick(&self, request: &PickRequest<'_>) -> Option<Lease> {
        if let Some(lease) = request.bound.and_then(|bound| self.bound(bound, request)) {
            return Some(lease);
        }
        if request.tried.is_full() {
            return None;
        }
        let mut view = self.view.borrow_mut();
        if !view.is_current(&self.shared, request.now) {
            self.make(&mut view, request.now);
        }
        if let Found::Place(lease) = self.pick_first(&view, request) {
            return Some(lease);
        }
        if !view.is_exact(&self.shared, request.now) {
            self.make(&mut view, request.now);
        }
        self.pick_on(&view, request)
    }

    /// Takes note of how a try at a server ended. An unknown server is not an error: a try may
    /// outlive the list that it came from.
    pub fn report(&self, server: ServerId, outcome: Outcome, now: Instant) {
        if let Some(member) = self.members.get(server.index()) {
            member.state.report(outcome, now);
            if self.members.len() > 1 {
                self.watching.note(&member.state, outcome, now);
            }
            if self.method.uses_time() {
                self.note_time(member, outcome, now);
            }
            if self.shared.mitigates() {
                member.state.tally.note(outcome);
                anomaly::judge(&self.members, &self.shared, now);
            }
        }
    }

    fn note_time(&self, member: &Member, outcome: Outcome, now: Instant) {
        // An error that comes fast is no fast answer: it would draw more requests to be failed.
        if let Outcome::Answered { status: ..500, after } = outcome {
            let peak = self.method == Method::PeakEwma;
            member.state.note_time(after, if peak { Manner::Peak } else { Manner::Mean }, now);
        }
    }

    /// For each server, whether a request that is bound to nobody may get it now, and if not, why.
    pub fn why_not(&self, now: Instant) -> impl Iterator<Item = (ServerId, Verdict)> {
        let mut view = self.view.borrow_mut();
        if !view.is_exact(&self.shared, now) {
            self.make(&mut view, now);
        }
        let first = view.ranks.first().map_or(0..0, |rank| rank.slots.clone());
        let candidates = view.slots[first].iter().map(|slot| slot.member as usize);
        let verdicts: Vec<_> = match candidates.clone().next() {
            None => self.members.iter().map(|member| self.left_out(member, member, now)).collect(),
            Some(any) => {
                let mut verdicts: Vec<_> = self
                    .members
                    .iter()
                    .map(|member| self.left_out(member, &self.members[any], now))
                    .collect();
                for at in candidates {
                    verdicts[at] = candidate(&self.members[at], now);
                }
                verdicts
            }
        };
        verdicts.into_iter().enumerate().map(|(at, verdict)| (id(at), verdict))
    }

    /// Why a server is not in the first rank, of which `first` is one.
    #[expect(clippy::unused_self, reason = "it is about this balancer's members")]
    fn left_out(&self, member: &Member, first: &Member, now: Instant) -> Verdict {
        let standing = member.state.standing(now);
        if !matches!(standing, Standing::Ready | Standing::SlowStart { .. }) {
            return Verdict::Out { standing };
        }
        if member.weight() == 0 {
            return Verdict::Weightless;
        }
        if member.tier > first.tier {
            return Verdict::HigherTier;
        }
        match member.role {
            Role::Spare => Verdict::SpareNotNeeded,
            Role::Standby => Verdict::StandbyNotNeeded,
            Role::Regular => Verdict::OtherZone,
        }
    }

    fn make(&self, view: &mut View, now: Instant) {
        if self.method.uses_bytes() {
            self.level(view, now);
        }
        view.make(&self.members, &self.by_tier, &self.shared, now);
        match self.method {
            Method::RoundRobin => self.turn.follow(view.candidates()),
            method if method.draws() => {
                view.draw = Draw::new(view.candidates().map(|(_, weight)| weight));
            }
            _ => {
                view.place.clear();
                view.place.resize(self.members.len(), None);
                for (at, choice) in (0_u32..).zip(&view.first) {
                    view.place[choice.member as usize] = Some(at);
                }
            }
        }
    }

    /// Puts servers that come on one level with those that have been there.
    fn level(&self, view: &View, now: Instant) {
        let mut here = vec![false; self.members.len()];
        view.first.iter().for_each(|choice| here[choice.member as usize] = true);
        let known = |at: usize| {
            let member = &self.members[at];
            // Of a new core nothing was here: then those that were picked before were.
            if view.first.is_empty() { member.state.picks() > 0 } else { here[at] }
        };
        let level = |at: usize| {
            let member = &self.members[at];
            member.state.level() / u64::from(member.weight().max(1))
        };
        let all = 0..self.members.len();
        let least = all.clone().filter(|&at| known(at)).map(level).min();
        for at in all.filter(|&at| !known(at)) {
            let member = &self.members[at];
            if let Some(least) = least.filter(|_| member.takes_new(now)) {
                member.state.lift(least.saturating_mul(u64::from(member.weight())));
            }
        }
    }

    /// The server that a request is bound to, if it takes it.
    fn bound(&self, bound: ServerId, request: &PickRequest<'_>) -> Option<Lease> {
        let member = self.members.get(bound.index())?;
        if request.tried.has(bound) || !member.state.takes_bound(request.now) {
            return None;
        }
        self.reserve(bound)
    }

    fn reserve(&self, at: ServerId) -> Option<Lease> {
        let member = &self.members[at.index()];
        let reserved = member.state.reserve(member.in_flight_max);
        reserved.then(|| {
            let lease = Lease::new(at, Arc::clone(&member.state));
            lease.counting_bytes(self.method.uses_bytes())
        })
    }

    /// A place in the first rank, by the method.
    fn pick_first(&self, view: &View, request: &PickRequest<'_>) -> Found {
        let Some(rank) = view.ranks.first() else { return Found::Nobody };
        let takes = |at: u32| self.take(at, rank.ill, request);
        if let Some(keys) = &self.keys {
            // Without a key any server will do.
            let key = request.key.unwrap_or(request.dice);
            let place = |at: u32| view.place.get(at as usize).copied().flatten();
            if let Some(lease) = keys.first(key, |at| place(at).and_then(|_| takes(at))) {
                return Found::Place(lease);
            }
            return self.walk(view, 0, dice::below(dice::mix(key), view.first.len()), request);
        }
        let (mut passed, mut dice) = (*request.tried, request.dice);
        // Another core may take a server's last place between the look and the reservation, and a
        // server may be out since the view was made; such a one is passed over.
        for turn in 0..TRIED_MAX {
            let Some(at) = self.choose(view, &passed, dice, turn, request.now) else { break };
            let member = view.first[at].member;
            if let Some(lease) = takes(member) {
                return Found::Place(lease);
            }
            passed.add(ServerId(member));
            dice = dice::next(dice);
        }
        // Few of many are left: whoever comes first.
        self.walk(view, 0, dice::below(dice, view.first.len()), request)
    }

    /// A place at a member, if it takes this request.
    fn take(&self, at: u32, ill: bool, request: &PickRequest<'_>) -> Option<Lease> {
        let member = self.members.get(at as usize)?;
        let open = ill || member.state.takes_new(request.now);
        (open && !request.tried.has(ServerId(at))).then(|| self.reserve(ServerId(at))).flatten()
    }

    /// Any place in a rank, from some server on.
    fn walk(&self, view: &View, rank: usize, from: usize, request: &PickRequest<'_>) -> Found {
        let Some(rank) = view.ranks.get(rank) else { return Found::Nobody };
        let slots = &view.slots[rank.slots.clone()];
        let (before, behind) = slots.split_at(from.min(slots.len()));
        let order = || behind.iter().chain(before);
        if let Some(lease) = order().find_map(|slot| self.take(slot.member, rank.ill, request)) {
            return Found::Place(lease);
        }
        let full = |slot: &Slot| {
            let member = &self.members[slot.member as usize];
            !request.tried.has(ServerId(slot.member))
                && (rank.ill || member.state.takes_new(request.now))
        };
        if order().any(full) { Found::Full } else { Found::Nobody }
    }

    /// Goes through the ranks for a request that the first look had nothing for.
    fn pick_on(&self, view: &View, request: &PickRequest<'_>) -> Option<Lease> {
        let mut full = false;
        for (at, rank) in view.ranks.iter().enumerate() {
            if full && rank.overflow == Overflow::No {
                continue;
            }
            let found = match at {
                0 => self.pick_first(view, request),
                _ => self.walk(view, at, dice::below(request.dice, rank.slots.len()), request),
            };
            match found {
                Found::Place(lease) => return Some(lease),
                Found::Full => full = true,
                Found::Nobody => {}
            }
        }
        None
    }
}

fn candidate(member: &Member, now: Instant) -> Verdict {
    match member.in_flight_max {
        Some(max) if member.is_full() => Verdict::Full { max },
        _ => Verdict::Candidate { standing: member.state.standing(now) },
    }
}

/// Upstreams are far smaller than 2^32; past it a server would only share the last id.
fn id(index: usize) -> ServerId {
    ServerId(u32::try_from(index).unwrap_or(u32::MAX))
}

mod choose;
#[cfg(test)]
mod tests;
