//! The order in which servers come in: tiers, spares, standbys, zones.

use std::collections::BTreeSet;

use doorman_balance::{Admin, Group, Member, Method, Role, Settings, Verdict};

use crate::world::World;

fn member(group: &Group, name: &str, role: Role, tier: u32) -> Member {
    Member { role, tier, ..Member::new(group.server(name), 1) }
}

/// The names of those that get requests, as letters of their places.
fn active(world: &mut World) -> BTreeSet<u32> {
    (0..200).filter_map(|_| world.pick(0, None)).map(|lease| lease.server().0).collect()
}

fn set(world: &World, at: usize, admin: Admin) {
    world.members()[at].state.set_admin(admin);
}

const WWW2: usize = 0;
const WWW3: usize = 1;
const SPARE1: usize = 2;
const SPARE2: usize = 3;
const STANDBY: usize = 4;

fn how_to(method: Method) -> World {
    World::new(21, 1, method, Settings::default(), |group| {
        vec![
            member(group, "www2", Role::Regular, 0),
            Member { weight: 3, ..member(group, "www3", Role::Regular, 0) },
            member(group, "spare1", Role::Spare, 0),
            member(group, "spare2", Role::Spare, 0),
            member(group, "hstandby", Role::Standby, 0),
            member(group, "bkup1", Role::Regular, 1),
            member(group, "bkup2", Role::Regular, 1),
        ]
    })
}

/// The example of Apache's how-to, forth and back.
#[test]
fn the_how_to_of_apache() {
    for method in Method::ALL {
        let mut world = how_to(method);
        let expect = |world: &mut World, names: &[u32], what: &str| {
            assert_eq!(active(world), names.iter().copied().collect(), "{method:?}: {what}");
        };
        let steps: [(usize, &[u32]); 5] =
            [(WWW2, &[0, 1]), (WWW3, &[1, 2]), (SPARE1, &[2, 3]), (SPARE2, &[3]), (STANDBY, &[4])];
        for (at, names) in steps {
            expect(&mut world, names, "before the next one goes");
            set(&world, at, Admin::Down);
        }
        expect(&mut world, &[5, 6], "only the backups are left");
        for (at, names) in steps.into_iter().rev() {
            world.members()[at].state.set_admin(None);
            expect(&mut world, names, "back again");
        }
    }
}

#[test]
fn a_draining_server_counts_as_missing_and_a_draining_spare_is_not_replaced() {
    let mut world = how_to(Method::RoundRobin);
    set(&world, WWW2, Admin::Drain);
    assert_eq!(active(&mut world), BTreeSet::from([1, 2]));
    set(&world, SPARE1, Admin::Drain);
    assert_eq!(active(&mut world), BTreeSet::from([1, 3]), "the other spare covers for it");
    set(&world, SPARE2, Admin::Drain);
    assert_eq!(active(&mut world), BTreeSet::from([1]), "no standby while a regular one is there");
}

#[test]
fn a_weight_of_nothing_takes_nothing_new() {
    let mut world = how_to(Method::LeastRequests);
    world.members()[WWW3].state.set_weight(Some(0));
    assert_eq!(active(&mut world), BTreeSet::from([0, 2]));
    for member in world.members() {
        member.state.set_weight(Some(0));
    }
    assert_eq!(active(&mut world), BTreeSet::new(), "and nothing everywhere is nobody");
    let verdicts: Vec<_> = world.cores[0].why_not(world.now).map(|(_, why)| why).collect();
    assert!(verdicts.iter().all(|why| *why == Verdict::Weightless), "{verdicts:?}");
}

#[test]
fn the_own_zone_goes_first_while_half_of_it_stands() {
    let mut world = World::new(22, 1, Method::Random, Settings::default(), |group| {
        let member =
            |at: u32| Member { near: at < 4, ..member(group, &at.to_string(), Role::Regular, 0) };
        (0..8).map(member).collect()
    });
    assert_eq!(active(&mut world), (0..4).collect());
    set(&world, 0, Admin::Down);
    set(&world, 1, Admin::Down);
    assert_eq!(active(&mut world), BTreeSet::from([2, 3]));
    set(&world, 2, Admin::Down);
    assert_eq!(active(&mut world), BTreeSet::from([3, 4, 5, 6, 7]), "one for all would be too few");
    world.members()[2].state.set_admin(None);
    assert_eq!(active(&mut world), BTreeSet::from([2, 3]));
}

#[test]
fn everybody_is_told_why() {
    let mut world = how_to(Method::RoundRobin);
    set(&world, WWW2, Admin::Down);
    let why = |world: &mut World| {
        world.cores[0].why_not(world.now).map(|(_, why)| why.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        why(&mut world),
        [
            "down: taken out by hand",
            "may be picked",
            "may be picked",
            "spare, and no server of its tier needs one",
            "standby, and its tier has other servers",
            "a lower tier has servers",
            "a lower tier has servers",
        ]
    );
}

/// Full is not ill: what finds the first tier full does not go to a standby or to the next.
#[test]
fn full_servers_let_nobody_on_to_the_next_tier() {
    let mut world = World::new(23, 1, Method::LeastRequests, Settings::default(), |group| {
        let one = Some(1);
        vec![
            Member { in_flight_max: one, ..member(group, "a", Role::Regular, 0) },
            Member { in_flight_max: one, ..member(group, "b", Role::Regular, 0) },
            member(group, "c", Role::Standby, 0),
            member(group, "d", Role::Regular, 1),
        ]
    });
    let held: Vec<_> = (0..2).map(|_| world.pick(0, None).expect("a place")).collect();
    assert!(world.pick(0, None).is_none());
    drop(held);
    assert!(world.pick(0, None).is_some());
}
