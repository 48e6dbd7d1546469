//! Servers that come back, in virtual time: with a slow start nobody is run over, by any method.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use doorman_balance::{
    Balancer, Group, Lease, Member, Method, Outcome, PickRequest, Probe, ServerState, Settings,
    Standing, Tried,
};
use doorman_http::Instant;

const SERVERS: usize = 10;
/// Requests a second, and how long each takes.
const RATE: u64 = 2_000;
const TAKES: Duration = Duration::from_millis(50);
const RAMP: Duration = Duration::from_secs(32);

struct Bench {
    balancer: Balancer,
    states: Vec<Arc<ServerState>>,
    under_way: VecDeque<(Instant, Lease)>,
    now: Instant,
    dice: u64,
}

impl Bench {
    fn new(method: Method) -> Self {
        let group = Group::new(Settings { slow_start: RAMP, ..Settings::default() });
        let states: Vec<_> = (0..SERVERS).map(|n| group.server(&n.to_string())).collect();
        let members = states.iter().map(|state| Member::new(Arc::clone(state), 1)).collect();
        let balancer = Balancer::new(&group, method, members);
        let now = Instant(1_000_000_000);
        Self { balancer, states, under_way: VecDeque::new(), now, dice: 7 }
    }

    /// A second of requests; how many each server got.
    fn second(&mut self) -> [u64; SERVERS] {
        let mut got = [0; SERVERS];
        for _ in 0..RATE {
            self.now = self.now + Duration::from_secs(1) / u32::try_from(RATE).expect("a rate");
            while self.under_way.front().is_some_and(|(until, _)| *until <= self.now) {
                let (_, lease) = self.under_way.pop_front().expect("one is there");
                let outcome = Outcome::Answered { status: 200, after: TAKES };
                self.balancer.report(lease.server(), outcome, self.now);
            }
            // SplitMix64, as the proxy's own dice.
            self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.dice;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let pick = PickRequest {
                tried: &Tried::none(),
                bound: None,
                key: None,
                dice: z ^ (z >> 31),
                now: self.now,
            };
            let lease = self.balancer.pick(&pick).expect("nobody is full");
            got[lease.server().index()] += 1;
            self.under_way.push_back((self.now + TAKES, lease));
        }
        got
    }

    fn comes_back(&self, server: usize) {
        self.states[server].begin_slow_start(self.now);
        self.states[server].set_probe(Probe::Up, self.now);
    }
}

#[test]
fn no_herd_runs_over_a_server_that_comes_back() {
    for method in [Method::RoundRobin, Method::LeastRequests, Method::P2c, Method::Random] {
        let mut bench = Bench::new(method);
        let _ = bench.second();
        bench.states[0].set_probe(Probe::Down, bench.now);
        let out = bench.second();
        assert_eq!(out[0], 0, "{method:?}");
        bench.comes_back(0);
        let fair = RATE / SERVERS as u64;
        let mut before = 0;
        for second in 1..=40 {
            let got = bench.second();
            let share = got[0];
            if second <= 32 {
                // Its part of a weight that is so many thirty-seconds of the others', and half as much
                // again for chance.
                let part = RATE * second / (32 * (SERVERS as u64 - 1) + second);
                assert!(share <= part * 3 / 2 + 12, "{method:?}, second {second}: {share}, {part}");
            } else {
                assert!((fair / 2..=fair * 3 / 2).contains(&share), "{method:?}: {share}");
            }
            // The others never get more than what one that is missing leaves them, and half as much again.
            let most = got.iter().max().copied().unwrap_or_default();
            assert!(most <= RATE / (SERVERS as u64 - 1) * 3 / 2, "{method:?}: {got:?}");
            before = share;
        }
        assert!(before > 0 && bench.states[0].standing(bench.now) == Standing::Ready, "{method:?}");
    }
}

/// All come back within a second of each other, as after a cut of the network: the first takes what there
/// is, and the others grow beside it.
#[test]
fn all_come_back_at_once() {
    let mut bench = Bench::new(Method::LeastRequests);
    for state in &bench.states {
        state.set_probe(Probe::Down, bench.now);
    }
    // What the prober does: the first finds no other that is ready, and begins with all.
    bench.states[0].set_probe(Probe::Up, bench.now);
    for server in 1..SERVERS {
        bench.comes_back(server);
    }
    let first = bench.second();
    assert_eq!(first.iter().sum::<u64>(), RATE);
    assert!(first[0] > RATE / 2, "{first:?}");
    for _ in 0..40 {
        let _ = bench.second();
    }
    let last = bench.second();
    let fair = RATE / SERVERS as u64;
    assert!(last.iter().all(|got| (fair / 2..=fair * 3 / 2).contains(got)), "{last:?}");
}
