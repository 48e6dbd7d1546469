//! Many cores at once: bounds are exact, nobody is picked who must not be, and cores do not go in step.

use std::thread;
use std::time::Duration;

use doorman_balance::{
    Admin, Balancer, Ejected, Group, Member, Method, Outcome, PickRequest, Probe, Settings, Tried,
};
use doorman_http::Instant;
use proptest::prelude::*;

use crate::world::{Dice, World, even};

/// Real threads that pick, hold and let go while servers go up and down: no bound is passed, and at
/// the end nothing is in flight.
#[test]
fn rxu_07_bounds_are_exact_over_cores() {
    const MAX: u32 = 3;
    for method in Method::ALL {
        let group = Group::new(Settings::default());
        let bounded = |member| Member { in_flight_max: Some(MAX), ..member };
        let members: Vec<_> = even(&group, 5).into_iter().map(bounded).collect();
        thread::scope(|scope| {
            for core in 0..4_u64 {
                let (group, members) = (&group, members.clone());
                scope.spawn(move || {
                    let balancer = Balancer::new(group, method, members);
                    let mut dice = Dice::new(core);
                    let mut held = Vec::new();
                    for step in 0..5_000_u64 {
                        let (tried, now) = (Tried::none(), Instant(step * 1_000));
                        let (key, roll) = (Some(dice.roll()), dice.roll());
                        let ask = PickRequest { tried: &tried, bound: None, key, dice: roll, now };
                        held.extend(balancer.pick(&ask));
                        for member in balancer.members() {
                            assert!(member.state.in_flight() <= MAX, "{method:?}");
                        }
                        let state = &balancer.members()[(roll % 5) as usize].state;
                        match roll >> 60 {
                            0 => state.set_probe(Probe::Down, now),
                            1 => state.set_probe(Probe::Up, now),
                            2 => state.set_weight(Some(2)),
                            _ => {}
                        }
                        if held.len() > 3 {
                            drop(held.swap_remove((roll % 3) as usize));
                        }
                    }
                });
            }
        });
        assert!(members.iter().all(|member| member.state.in_flight() == 0), "{method:?}");
        let picks: u64 = members.iter().map(|member| member.state.picks()).sum();
        assert!(picks > 5_000, "{method:?}: {picks}");
    }
}

#[test]
fn cores_do_not_go_in_step() {
    for servers in [8, 200] {
        let mut world = World::even(31, 16, Method::RoundRobin, servers);
        let first: std::collections::BTreeSet<_> =
            (0..16).map(|core| world.pick(core, None).expect("a server").server().0).collect();
        assert!(first.len() > 4, "of {servers}: {first:?}");
    }
}

/// Thousands of servers that die and come back under load.
#[test]
fn ten_thousand_servers_that_come_and_go() {
    for method in Method::ALL {
        let mut world = World::even(32, 2, method, 10_000);
        for round in 0..20 {
            for _ in 0..500 {
                let at = usize::try_from(world.dice.below(10_000)).expect("a place");
                let now = world.now;
                let state = &world.members()[at].state;
                match round % 4 {
                    0 => state.set_probe(Probe::Down, now),
                    1 => state.eject(now + Duration::from_millis(30), Ejected::Errors, now),
                    2 => state.report(Outcome::Refused, now),
                    _ => state.set_probe(Probe::Up, now),
                }
            }
            for core in 0..400 {
                let key = Some(world.dice.roll());
                let lease = world.pick(core % 2, key).expect("a server");
                let state = &world.members()[lease.server().index()].state;
                let usable = matches!(
                    state.standing(world.now),
                    doorman_balance::Standing::Ready | doorman_balance::Standing::SlowStart { .. }
                );
                assert!(usable, "{method:?} picked {:?}", state.standing(world.now));
                drop(lease);
            }
            world.pass(Duration::from_millis(20));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admin(usize, Option<Admin>),
    Probe(usize, Probe),
    Eject(usize, u64),
    Refuse(usize),
    Weight(usize, Option<u32>),
    Pass(u64),
    Pick,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0_usize..6;
    let admin =
        prop::sample::select(vec![None, Some(Admin::Ready), Some(Admin::Drain), Some(Admin::Down)]);
    let probe = prop::sample::select(vec![Probe::Unknown, Probe::Up, Probe::Down]);
    prop_oneof![
        (at.clone(), admin).prop_map(|(at, admin)| Step::Admin(at, admin)),
        (at.clone(), probe).prop_map(|(at, probe)| Step::Probe(at, probe)),
        (at.clone(), 0_u64..3_000).prop_map(|(at, millis)| Step::Eject(at, millis)),
        at.clone().prop_map(Step::Refuse),
        (at, prop::option::of(0_u32..3)).prop_map(|(at, weight)| Step::Weight(at, weight)),
        (0_u64..1_500).prop_map(Step::Pass),
        Just(Step::Pick),
    ]
}

proptest! {
    /// Whoever is picked may be used, and somebody is picked whenever somebody may be.
    #[test]
    fn nobody_is_picked_who_may_not_be(
        method in prop::sample::select(&Method::ALL[..]),
        roles in prop::collection::vec((0_u32..3, 0_u8..3), 6),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        use doorman_balance::{Role, Standing};
        let mut world = World::new(1, 2, method, Settings::default(), |group| {
            let role = |role: u8| [Role::Regular, Role::Spare, Role::Standby][usize::from(role)];
            roles
                .iter()
                .enumerate()
                .map(|(at, &(tier, which))| Member {
                    tier,
                    role: role(which),
                    ..Member::new(group.server(&at.to_string()), 1)
                })
                .collect()
        });
        for (n, step) in steps.into_iter().enumerate() {
            let now = world.now;
            let state = |at: usize| world.members()[at].state.clone();
            match step {
                Step::Admin(at, admin) => state(at).set_admin(admin),
                Step::Probe(at, probe) => state(at).set_probe(probe, now),
                Step::Eject(at, millis) => {
                    state(at).eject(now + Duration::from_millis(millis), Ejected::Failures, now);
                }
                Step::Refuse(at) => state(at).report(Outcome::Refused, now),
                Step::Weight(at, weight) => state(at).set_weight(weight),
                Step::Pass(millis) => world.pass(Duration::from_millis(millis)),
                Step::Pick => {}
            }
            let standing = |world: &World, at: usize| world.members()[at].state.standing(world.now);
            let open = |world: &World, at: usize| {
                world.members()[at].weight() > 0
                    && matches!(
                        standing(world, at),
                        Standing::Ready | Standing::SlowStart { .. } | Standing::Resting { .. }
                    )
            };
            let ejected = |world: &World, at: usize| {
                world.members()[at].weight() > 0
                    && matches!(standing(world, at), Standing::Ejected { .. })
            };
            let somebody = (0..6).any(|at| open(&world, at));
            let key = Some(n as u64);
            match world.pick(n % 2, key) {
                None => prop_assert!(!somebody && !(0..6).any(|at| ejected(&world, at))),
                Some(lease) => {
                    let at = lease.server().index();
                    // What requests said of servers counts only while it leaves somebody.
                    let taken = open(&world, at) || !somebody && ejected(&world, at);
                    prop_assert!(taken, "{:?}", standing(&world, at));
                    let ready = |at: usize| {
                        open(&world, at) && !matches!(standing(&world, at), Standing::Resting { .. })
                    };
                    prop_assert!(ready(at) || !(0..6).any(ready), "rests, and others stand");
                }
            }
        }
    }
}
