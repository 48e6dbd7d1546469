//! Who may be picked now: worked out when something has changed, and looked at by every pick.
//!
//! Servers lie in ranks. A pick takes from the first rank; the others are for a request that has
//! tried, or found unusable, all that stand before. So tiers, spares, standbys and zones cost a pick
//! nothing.
//!
//! The ranks of each tier, from the lowest tier to the highest: regular servers, with one spare for
//! each that cannot be used; the other spares; standbys. At the very end stand those that refused a
//! connection just now. With zones, the proxy's own comes before the others in each, as long as at
//! least half of it can be used: fewer servers would have to carry more than they may stand.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorman_http::Instant;

use crate::dice::Draw;
use crate::group::Shared;
use crate::member::{Member, Role};
use crate::{ServerState, Standing};

/// Weights count in this many parts, so that a server in slow start can have less than one.
pub(crate) const PARTS: u32 = 256;
/// How often the part of a server in slow start grows.
const SLOW_STEPS: u32 = 32;

/// A server that may be picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Its place in the upstream's list.
    pub(crate) member: u32,
    /// Its weight as it counts now, in parts.
    pub(crate) weight: u32,
}

/// Who may come to a rank although the one before is not used up but full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Nobody: full is not ill.
    No,
    /// Whoever found the rank before full.
    Yes,
}

#[derive(Clone, Debug)]
pub(crate) struct Rank {
    pub(crate) slots: Range<usize>,
    /// Whether its servers are used in spite of how they are.
    pub(crate) ill: bool,
    pub(crate) overflow: Overflow,
}

#[derive(Debug, Default)]
pub(crate) struct View {
    /// `None` before the first pick.
    generation: Option<u64>,
    made: Instant,
    /// When time alone changes who may be picked.
    until: Instant,
    pub(crate) slots: Vec<Slot>,
    pub(crate) ranks: Vec<Rank>,
    /// The first rank once more, as picks read it.
    pub(crate) first: Vec<Choice>,
    /// The draw among them, for methods that throw dice.
    pub(crate) draw: Draw,
    /// For each member its place among the first rank, for methods that look at keys.
    pub(crate) place: Vec<Option<u32>>,
}

/// A server of the first rank, close to the others: a pick may look at all of them.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) state: Arc<ServerState>,
    /// One by its weight.
    pub(crate) share: f64,
    pub(crate) member: u32,
    pub(crate) in_flight_max: u32,
}

impl Choice {
    pub(crate) fn is_full(&self) -> bool {
        self.state.in_flight() >= self.in_flight_max
    }
}

/// A view of many servers is made anew at most once in this long for each server, so that servers
/// that come and go by the thousand do not eat the core. Who may no longer be picked is found out at
/// the pick, whatever the view says; only who comes back waits.
const PAUSE_PER_SERVER: Duration = Duration::from_micros(1);
/// Views of so few servers are made anew at once.
const FEW: usize = 100;

impl View {
    /// Whether it is what stands now, as nearly as it needs to be.
    pub(crate) fn is_current(&self, shared: &Shared, now: Instant) -> bool {
        if self.generation == Some(shared.generation()) && now < self.until {
            return true;
        }
        let servers = self.slots.len();
        let pause = PAUSE_PER_SERVER * u32::try_from(servers).unwrap_or(u32::MAX);
        servers > FEW && now < self.made + pause
    }

    /// Whether it is exactly what stands now.
    pub(crate) fn is_exact(&self, shared: &Shared, now: Instant) -> bool {
        self.generation == Some(shared.generation()) && now < self.until
    }

    /// Makes it anew. `by_tier` are the places of all members, from the lowest tier.
    pub(crate) fn make(
        &mut self,
        members: &[Member],
        by_tier: &[u32],
        shared: &Shared,
        now: Instant,
    ) {
        // Read first: what changes while the view is made makes it out of date.
        self.generation = Some(shared.generation());
        self.made = now;
        self.until = members
            .iter()
            .map(|member| next_change(member, shared, now))
            .min()
            .unwrap_or(Instant(u64::MAX));
        self.slots.clear();
        self.ranks.clear();
        self.rank_tiers(members, by_tier, now, |member| member.takes_new(now));
        if self.ranks.is_empty() && shared.fail_open() {
            self.rank_tiers(members, by_tier, now, Member::is_wanted);
            self.ranks.iter_mut().for_each(|rank| rank.ill = true);
        } else {
            let rests = |member: &&u32| {
                let member = &members[**member as usize];
                member.is_wanted() && matches!(member.state.standing(now), Standing::Resting { .. })
            };
            let start = self.slots.len();
            for &member in by_tier.iter().filter(rests) {
                self.slots.push(slot(members, member, now));
            }
            self.close(start, Overflow::Yes);
            if let Some(rank) = self.ranks.last_mut().filter(|rank| rank.slots.start == start) {
                rank.ill = true;
            }
        }
        if self.ranks.is_empty() {
            // What requests said of servers is a guess, and one that left nobody is worth nothing.
            self.rank_tiers(members, by_tier, now, |member| {
                member.is_wanted() && is_out(member, now)
            });
            self.ranks.iter_mut().for_each(|rank| rank.ill = true);
        }
        self.choices(members);
    }

    /// Lays the first rank out for picks.
    fn choices(&mut self, members: &[Member]) {
        self.first.clear();
        let first = self.ranks.first().map_or(0..0, |rank| rank.slots.clone());
        self.first.extend(self.slots[first].iter().map(|slot| {
            let member = &members[slot.member as usize];
            Choice {
                state: Arc::clone(&member.state),
                share: 1.0 / f64::from(slot.weight.max(1)),
                member: slot.member,
                in_flight_max: member.in_flight_max.unwrap_or(u32::MAX),
            }
        }));
    }

    /// The first rank: each a member and its weight.
    pub(crate) fn candidates(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + Clone {
        let first = self.ranks.first().map_or(0..0, |rank| rank.slots.clone());
        self.slots[first].iter().map(|slot| (slot.member, slot.weight))
    }

    fn rank_tiers(
        &mut self,
        members: &[Member],
        by_tier: &[u32],
        now: Instant,
        usable: impl Fn(&Member) -> bool,
    ) {
        for tier in by_tier.chunk_by(|&a, &b| members[a as usize].tier == members[b as usize].tier)
        {
            let of = |role: Role| {
                tier.iter().copied().filter(move |&at| members[at as usize].role == role)
            };
            let can = |at: &u32| usable(&members[*at as usize]);
            let missing = of(Role::Regular).filter(|at| !can(at)).count();
            let spares: Vec<u32> = of(Role::Spare).filter(can).collect();
            let (needed, others) = spares.split_at(missing.min(spares.len()));
            let first: Vec<u32> =
                of(Role::Regular).filter(can).chain(needed.iter().copied()).collect();
            let standbys: Vec<u32> = of(Role::Standby).filter(can).collect();
            let zones = near_holds(members, tier, &usable);
            for rank in [&first[..], others, &standbys] {
                self.rank(members, rank, zones, now);
            }
        }
    }

    /// One rank, or two if only some of the servers are in the proxy's own zone and that matters.
    fn rank(&mut self, members: &[Member], rank: &[u32], zones: bool, now: Instant) {
        let start = self.slots.len();
        let near = |at: &&u32| !zones || members[**at as usize].near;
        self.slots.extend(rank.iter().filter(near).map(|&at| slot(members, at, now)));
        self.close(start, Overflow::No);
        let middle = self.slots.len();
        let far = |at: &&u32| !near(at);
        self.slots.extend(rank.iter().filter(far).map(|&at| slot(members, at, now)));
        // Without a server nearby the others are a rank like any.
        self.close(middle, if middle > start { Overflow::Yes } else { Overflow::No });
    }

    fn close(&mut self, start: usize, overflow: Overflow) {
        if self.slots.len() > start {
            self.ranks.push(Rank { slots: start..self.slots.len(), ill: false, overflow });
        }
    }
}

/// Whether at least half of the regular servers of the proxy's own zone, by weight, can be used.
fn near_holds(members: &[Member], tier: &[u32], usable: impl Fn(&Member) -> bool) -> bool {
    let regular = tier.iter().map(|&at| &members[at as usize]);
    let near = regular.filter(|member| member.near && member.role == Role::Regular);
    let (mut whole, mut used) = (0_u64, 0_u64);
    for member in near {
        let weight = u64::from(member.weight());
        whole += weight;
        used += if usable(member) { weight } else { 0 };
    }
    used * 2 >= whole
}

fn slot(members: &[Member], at: u32, now: Instant) -> Slot {
    let member = &members[at as usize];
    let part = member.state.part.load(Ordering::Relaxed);
    let whole = member.weight().saturating_mul(part);
    let weight = match member.state.standing(now) {
        Standing::SlowStart { since, until } => grown(whole, since, until, now),
        _ => whole,
    };
    Slot { member: at, weight }
}

fn is_out(member: &Member, now: Instant) -> bool {
    matches!(member.state.standing(now), Standing::Ejected { .. })
}

/// The part that a server in slow start has: it grows in even steps.
fn grown(whole: u32, since: Instant, until: Instant, now: Instant) -> u32 {
    let length = until.since(since).as_nanos().max(1);
    let step = (now.since(since).as_nanos() * u128::from(SLOW_STEPS) / length) + 1;
    let part = u128::from(whole) * step.min(u128::from(SLOW_STEPS)) / u128::from(SLOW_STEPS);
    u32::try_from(part).unwrap_or(whole).max(1)
}

/// When time alone changes how a server stands.
fn next_change(member: &Member, shared: &Shared, now: Instant) -> Instant {
    match member.state.standing(now) {
        Standing::Ejected { until, .. } | Standing::Resting { until } => until,
        Standing::SlowStart { until, .. } => until.min(now + shared.slow_start() / SLOW_STEPS),
        Standing::Ready | Standing::Draining | Standing::Down | Standing::ProbedDown { .. } => {
            Instant(u64::MAX)
        }
    }
}
