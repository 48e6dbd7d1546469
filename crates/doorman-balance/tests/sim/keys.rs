//! Keys stay where they are: only those of a server that goes move, and few move when one comes.

use doorman_balance::{Admin, Group, Member, Method, Settings};

use crate::world::{World, chi_square};

const KEYS: u64 = 40_000;

fn owners(world: &mut World) -> Vec<u32> {
    (0..KEYS).map(|key| world.pick(0, Some(key)).expect("a server").server().0).collect()
}

fn named(group: &Group, names: impl Iterator<Item = u32>) -> Vec<Member> {
    names.map(|name| Member::new(group.server(&format!("10.0.0.{name}:80")), 1)).collect()
}

fn world(method: Method, names: impl Iterator<Item = u32>) -> World {
    World::new(7, 2, method, Settings::default(), |group| named(group, names))
}

fn moved(before: &[u32], after: &[u32]) -> usize {
    before.iter().zip(after).filter(|(one, two)| one != two).count()
}

#[test]
fn upc_22_a_server_that_joins_takes_its_part_and_no_more() {
    for servers in [5_u32, 50, 500] {
        for (method, more) in [(Method::Hash, 1.25), (Method::Maglev, 1.1)] {
            let before = owners(&mut world(method, 0..servers));
            let after = owners(&mut world(method, 0..servers + 1));
            let moved = moved(&before, &after) as f64 / KEYS as f64;
            let part = 1.0 / f64::from(servers + 1);
            // A table moves up to a tenth of all keys besides; a ring none but the new server's.
            let most = if method == Method::Maglev { part + 0.1 } else { part * more };
            assert!(moved <= most, "{method:?} of {servers}: {moved} moved, {part} is its part");
            if method == Method::Hash {
                let stray = before.iter().zip(&after).any(|(b, a)| b != a && *a != servers);
                assert!(!stray, "a key moved between servers that stayed");
            }
        }
    }
}

/// The order in which servers are written is no part of where keys go.
#[test]
fn upc_22_the_order_of_servers_moves_no_key() {
    for method in [Method::Hash, Method::Maglev] {
        let forth = owners(&mut world(method, 0..20));
        let back = owners(&mut world(method, (0..20).rev()));
        assert!(forth.iter().zip(&back).all(|(one, two)| *one == 19 - *two), "{method:?}");
    }
}

#[test]
fn only_the_keys_of_an_ill_server_move_and_they_come_back() {
    for method in [Method::Hash, Method::Maglev] {
        let mut world = world(method, 0..20);
        let before = owners(&mut world);
        world.members()[3].state.set_admin(Admin::Down);
        let during = owners(&mut world);
        for (before, during) in before.iter().zip(&during) {
            assert!(*during != 3 && (before == during || *before == 3), "{method:?}");
        }
        // They are spread over the others, not heaped on a neighbour.
        let heirs: std::collections::BTreeSet<_> =
            before.iter().zip(&during).filter(|(b, _)| **b == 3).map(|(_, d)| *d).collect();
        assert!(heirs.len() > 15, "{method:?}: {heirs:?}");
        world.members()[3].state.set_admin(None);
        assert_eq!(owners(&mut world), before, "{method:?}");
    }
}

#[test]
fn a_full_server_passes_its_keys_on() {
    for method in [Method::Hash, Method::Maglev] {
        let mut world = World::new(8, 1, method, Settings::default(), |group| {
            let bounded = |member| Member { in_flight_max: Some(2), ..member };
            named(group, 0..4).into_iter().map(bounded).collect()
        });
        let held: Vec<_> = (0..8).map(|_| world.pick(0, Some(77)).expect("a place")).collect();
        let order: Vec<_> = held.iter().map(|lease| lease.server().0).collect();
        assert!(order.chunks(2).all(|two| two[0] == two[1]), "{method:?}: {order:?}");
        assert!(world.pick(0, Some(77)).is_none());
        drop(held);
        let again: Vec<_> = (0..8).map(|_| world.pick(0, Some(77)).expect("a place")).collect();
        let second: Vec<_> = again.iter().map(|lease| lease.server().0).collect();
        assert_eq!(order, second, "{method:?}: the next on the ring is always the same");
    }
}

#[test]
fn keys_are_spread_by_weight() {
    for (method, off) in [(Method::Hash, 0.35), (Method::Maglev, 0.1)] {
        let mut world = World::new(9, 1, method, Settings::default(), |group| {
            let member = |at: u32| Member::new(group.server(&format!("s{at}")), 1 + at % 3);
            (0..30).map(member).collect()
        });
        let owners = owners(&mut world);
        for at in 0..30 {
            let due = KEYS as f64 * f64::from(1 + at % 3) / 60.0;
            let has = owners.iter().filter(|owner| **owner == at).count() as f64;
            assert!((has - due).abs() < due * off, "{method:?}: {at} has {has} of {due}");
        }
    }
}

/// A request without a key goes anywhere.
#[test]
fn without_a_key_dice_decide() {
    for method in [Method::Hash, Method::Maglev] {
        let mut world = world(method, 0..10);
        for _ in 0..10_000 {
            drop(world.pick(1, None).expect("a server"));
        }
        let (statistic, _) = chi_square(&world.picks(), &[1.0; 10]);
        assert!(world.picks().iter().all(|picks| *picks > 500), "{statistic}: {:?}", world.picks());
    }
}
