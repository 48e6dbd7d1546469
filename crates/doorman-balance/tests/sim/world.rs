//! The farm, its cores and its clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use doorman_balance::{
    Balancer, Group, Lease, Member, Method, Outcome, PickRequest, ServerId, Settings, Tried,
};
use doorman_http::Instant;

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// Between 0 and 1.
    pub(crate) fn part(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// With this mean, as times between independent events are.
    pub(crate) fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.part()).ln())
    }
}

/// A request that ends at a time.
struct Running {
    lease: Lease,
    core: usize,
    server: ServerId,
    began: Instant,
}

/// Servers, the cores before them, and what is under way.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) dice: Dice,
    pub(crate) cores: Vec<Balancer>,
    /// How long each server takes on average.
    pub(crate) takes: Vec<Duration>,
    /// Requests that each server works on at a time; the others wait for it.
    free_at: Vec<Vec<Instant>>,
    ends: BinaryHeap<Reverse<(Instant, usize)>>,
    running: Vec<Option<Running>>,
    /// How long finished requests took.
    pub(crate) times: Vec<Duration>,
}

/// Requests that a server works on at once; more wait at it.
const LANES: usize = 4;

impl World {
    /// `cores` cores before these servers.
    pub(crate) fn new(
        seed: u64,
        cores: usize,
        method: Method,
        settings: Settings,
        members: impl FnOnce(&Group) -> Vec<Member>,
    ) -> Self {
        let group = Group::new(settings);
        let members = members(&group);
        let count = members.len();
        let core = |_| Balancer::new(&group, method, members.clone());
        Self {
            now: Instant(1_000_000_000),
            dice: Dice::new(seed),
            cores: (0..cores).map(core).collect(),
            takes: vec![Duration::from_millis(10); count],
            free_at: vec![vec![Instant(0); LANES]; count],
            ends: BinaryHeap::new(),
            running: Vec::new(),
            times: Vec::new(),
        }
    }

    /// So many servers of weight 1.
    pub(crate) fn even(seed: u64, cores: usize, method: Method, servers: usize) -> Self {
        Self::new(seed, cores, method, Settings::default(), |group| even(group, servers))
    }

    pub(crate) fn pick(&mut self, core: usize, key: Option<u64>) -> Option<Lease> {
        let tried = Tried::none();
        let dice = self.dice.roll();
        self.cores[core].pick(&PickRequest { tried: &tried, bound: None, key, dice, now: self.now })
    }

    /// A request comes to a core: it is picked for, and works until it ends. The server, if there is one.
    pub(crate) fn arrive(&mut self, core: usize) -> Option<ServerId> {
        let lease = self.pick(core, None)?;
        let server = lease.server();
        let mean = self.takes[server.index()];
        let length = self.dice.exponential(mean);
        let lanes = &mut self.free_at[server.index()];
        let lane = lanes.iter_mut().min().expect("a lane");
        let end = (*lane).max(self.now) + length;
        *lane = end;
        self.ends.push(Reverse((end, self.running.len())));
        self.running.push(Some(Running { lease, core, server, began: self.now }));
        Some(server)
    }

    /// Lets time pass; what ends in it ends.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(&Reverse((end, at))) = self.ends.peek().filter(|ends| ends.0.0 <= until) {
            self.ends.pop();
            self.now = end;
            if let Some(running) = self.running[at].take() {
                let after = end.since(running.began);
                self.times.push(after);
                let outcome = Outcome::Answered { status: 200, after };
                self.cores[running.core].report(running.server, outcome, end);
                drop(running.lease);
            }
        }
        self.now = until;
    }

    /// Requests at this rate for so long, over all cores.
    pub(crate) fn load(&mut self, per_second: u64, time: Duration) {
        let until = self.now + time;
        let mean = Duration::from_secs(1) / u32::try_from(per_second).expect("a rate");
        while self.now < until {
            let core = usize::try_from(self.dice.below(self.cores.len() as u64)).expect("a core");
            self.arrive(core);
            let wait = self.dice.exponential(mean);
            self.pass(wait);
        }
    }

    /// Lets everything end.
    pub(crate) fn finish(&mut self) {
        while let Some(&Reverse((end, _))) = self.ends.peek() {
            self.pass(end.since(self.now));
        }
    }

    pub(crate) fn picks(&self) -> Vec<u64> {
        self.members().iter().map(|member| member.state.picks()).collect()
    }

    pub(crate) fn members(&self) -> &[Member] {
        self.cores[0].members()
    }

    /// The time that so many in a thousand were not above.
    pub(crate) fn within(&mut self, per_mille: usize) -> Duration {
        self.times.sort_unstable();
        self.times[(self.times.len() - 1) * per_mille / 1_000]
    }
}

/// So many servers of weight 1.
pub(crate) fn even(group: &Group, servers: usize) -> Vec<Member> {
    (0..servers).map(|at| Member::new(group.server(&format!("server-{at}")), 1)).collect()
}

/// The chi-square of counts against the shares that were due, and a bound that fair dice pass once in a
/// few hundred thousand runs: the mean and five standard deviations.
pub(crate) fn chi_square(counts: &[u64], shares: &[f64]) -> (f64, f64) {
    let total: u64 = counts.iter().sum();
    let sum: f64 = shares.iter().sum();
    let statistic = counts.iter().zip(shares).map(|(&count, share)| {
        let due = total as f64 * share / sum;
        (count as f64 - due).powi(2) / due
    });
    let freedom = (counts.len() - 1) as f64;
    (statistic.sum(), freedom + 5.0 * (2.0 * freedom).sqrt())
}
