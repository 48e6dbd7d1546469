//! Everybody gets its part.

use std::time::Duration;

use doorman_balance::{Member, Method, Settings};

use crate::world::{World, chi_square};

/// Methods that give equal servers equal parts, whatever the requests are.
const FAIR: [Method; 5] = [
    Method::RoundRobin,
    Method::LeastRequests,
    Method::LeastConnections,
    Method::Random,
    Method::P2c,
];

#[test]
fn equal_servers_get_equal_parts() {
    for method in FAIR {
        for servers in [3, 50, 1_000] {
            let mut world = World::even(1, 4, method, servers);
            world.load(servers as u64 * 100, Duration::from_secs(2));
            world.finish();
            let (statistic, bound) = chi_square(&world.picks(), &vec![1.0; servers]);
            assert!(statistic < bound, "{method:?} of {servers}: {statistic} above {bound}");
        }
    }
}

/// By time, parts follow what answers happened to take: about equal is all that can be asked.
#[test]
fn equally_fast_servers_get_about_equal_parts() {
    for method in [Method::PeakEwma, Method::LeastTime] {
        let mut world = World::even(1, 4, method, 50);
        world.load(5_000, Duration::from_secs(20));
        let picks = world.picks();
        assert!(picks.iter().all(|n| (300..5_000).contains(n)), "{method:?}: {picks:?}");
    }
}

#[test]
fn parts_are_by_weight() {
    for method in [Method::RoundRobin, Method::Random] {
        for servers in [5_u32, 100, 300] {
            let weight = |at: u32| 1 + at % 7;
            let mut world = World::new(2, 3, method, Settings::default(), |group| {
                let member = |at: u32| Member::new(group.server(&at.to_string()), weight(at));
                (0..servers).map(member).collect()
            });
            world.load(u64::from(servers) * 200, Duration::from_secs(2));
            let shares: Vec<_> = (0..servers).map(|at| f64::from(weight(at))).collect();
            let (statistic, bound) = chi_square(&world.picks(), &shares);
            assert!(statistic < bound, "{method:?} of {servers}: {statistic} above {bound}");
        }
    }
}

/// Turns are not only fair on average: at no time is anybody far from what is due.
#[test]
fn turns_stay_close_to_what_is_due() {
    for servers in [5_u32, 128, 1_000] {
        let weight = |at: u32| 1 + at * at % 11;
        let mut world = World::new(3, 1, Method::RoundRobin, Settings::default(), |group| {
            let member = |at: u32| Member::new(group.server(&at.to_string()), weight(at));
            (0..servers).map(member).collect()
        });
        let total: u32 = (0..servers).map(weight).sum();
        for turn in 1..=total * 3 {
            drop(world.pick(0, None).expect("a server"));
            if turn % 97 == 0 {
                for (at, picks) in (0..).zip(world.picks()) {
                    let due = f64::from(turn) * f64::from(weight(at)) / f64::from(total);
                    let off = (picks as f64 - due).abs();
                    assert!(off < 4.0, "{servers}: server {at} has {picks} of {due} after {turn}");
                }
            }
        }
    }
}

#[test]
fn who_moves_more_gets_less() {
    let mut world = World::even(4, 2, Method::LeastBytes, 10);
    for _ in 0..20_000 {
        let core = usize::try_from(world.dice.below(2)).expect("a core");
        let lease = world.pick(core, None).expect("a server");
        // Answers of the first are ten times as long.
        lease.moved(if lease.server().0 == 0 { 10_000 } else { 1_000 });
    }
    let bytes: Vec<_> = world.members().iter().map(|member| member.state.bytes()).collect();
    let (least, most) = (bytes.iter().min().expect("ten"), bytes.iter().max().expect("ten"));
    assert!(most - least <= 20_000, "{bytes:?}");
    assert!(world.picks()[0] * 8 < world.picks()[1], "{:?}", world.picks());
}

#[test]
fn who_has_more_connections_gets_less() {
    let mut world = World::even(5, 1, Method::LeastConnections, 3);
    let connections = world.members()[0].state.connections().clone();
    connections.store(50, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..100 {
        let lease = world.pick(0, None).expect("a server");
        let at = lease.server().index();
        world.members()[at].state.connections().fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    assert_eq!(world.picks(), [0, 50, 50]);
}

/// A server that comes to others which have moved much is not given everything.
#[test]
fn a_new_server_is_no_sink_for_bytes() {
    use doorman_balance::Admin;
    let mut world = World::even(6, 2, Method::LeastBytes, 4);
    world.members()[3].state.set_admin(Admin::Down);
    for _ in 0..3_000 {
        world.pick(0, None).expect("a server").moved(1_000_000);
    }
    world.members()[3].state.set_admin(None);
    for _ in 0..400 {
        world.pick(0, None).expect("a server").moved(1_000_000);
    }
    let late = world.picks()[3];
    assert!((80..=120).contains(&late), "{late} of 400");
}
