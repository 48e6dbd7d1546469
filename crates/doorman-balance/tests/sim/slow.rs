//! A slow server does not slow everybody down, and one that comes back is not overrun.

use std::time::Duration;

use doorman_balance::{Admin, Method, Outcome, Settings};

use crate::world::{World, even};

const SERVERS: usize = 10;

/// The time within which 99 of 100 are answered, with one server ten times as slow as the others.
fn p99(method: Method) -> Duration {
    let mut world = World::even(11, 4, method, SERVERS);
    world.takes[0] = Duration::from_millis(100);
    world.load(300, Duration::from_secs(30));
    world.finish();
    world.within(990)
}

#[test]
fn the_tail_is_short_with_one_slow_server() {
    let turns = p99(Method::RoundRobin);
    for (method, times) in [
        (Method::P2c, 1.2),
        (Method::PeakEwma, 3.0),
        (Method::LeastRequests, 1.2),
        (Method::LeastTime, 3.0),
    ] {
        let its = p99(method);
        assert!(its.mul_f64(times) < turns, "{method:?}: {its:?} against {turns:?}");
    }
}

#[test]
fn slow_servers_are_tried_again_once_they_are_fast() {
    for method in [Method::LeastTime, Method::PeakEwma] {
        let mut world = World::even(12, 2, method, SERVERS);
        world.takes[0] = Duration::from_millis(500);
        world.load(500, Duration::from_secs(20));
        let before = world.picks()[0];
        world.takes[0] = Duration::from_millis(10);
        world.load(500, Duration::from_secs(90));
        let share = (world.picks()[0] - before) as f64 / (500.0 * 90.0);
        assert!(share > 0.02, "{method:?}: {share} of the load after it got fast");
    }
}

/// How many of the next requests a server gets that has just come back.
fn herd(method: Method, slow_start: Duration) -> u64 {
    let settings = Settings { slow_start, ..Settings::default() };
    let mut world = World::new(13, 4, method, settings, |group| even(group, SERVERS));
    world.members()[0].state.set_admin(Admin::Down);
    world.load(2_000, Duration::from_secs(2));
    assert_eq!(world.picks()[0], 0);
    let state = &world.members()[0].state;
    state.set_admin(None);
    state.begin_slow_start(world.now);
    world.load(2_000, Duration::from_secs(1));
    world.picks()[0]
}

#[test]
fn who_comes_back_is_not_overrun() {
    for method in [Method::RoundRobin, Method::LeastRequests, Method::Random, Method::P2c] {
        let (at_once, slowly) =
            (herd(method, Duration::ZERO), herd(method, Duration::from_secs(30)));
        assert!((150..=270).contains(&at_once), "{method:?}: {at_once} of 2000 at once");
        let few = if method == Method::LeastRequests { 110 } else { 60 };
        assert!((1..=few).contains(&slowly), "{method:?}: {slowly} of 2000 in slow start");
    }
    // By time a server that nobody knows gets one request until it has answered.
    let unknown = herd(Method::LeastTime, Duration::ZERO);
    assert!(unknown < 400, "{unknown}");
}

#[test]
fn parts_grow_to_all_in_slow_start() {
    let settings = Settings { slow_start: Duration::from_secs(10), ..Settings::default() };
    let mut world = World::new(14, 1, Method::RoundRobin, settings, |group| even(group, 2));
    world.members()[0].state.begin_slow_start(world.now);
    let mut last = 0;
    let mut parts = Vec::new();
    for _ in 0..12 {
        for _ in 0..1_000 {
            drop(world.pick(0, None).expect("a server"));
        }
        parts.push(world.picks()[0] - last);
        last = world.picks()[0];
        world.pass(Duration::from_secs(1));
    }
    assert!(parts[0] < 60, "{parts:?}");
    assert!(parts.windows(2).all(|two| two[0] <= two[1] + 1), "{parts:?}");
    assert!(parts[11].abs_diff(500) <= 1, "{parts:?}");
}

#[test]
fn who_fails_more_than_the_others_gets_less_until_it_is_well() {
    let settings = Settings { mitigate: true, ..Settings::default() };
    let mut world = World::new(15, 2, Method::Random, settings, |group| even(group, 5));
    let mut shares = Vec::new();
    for second in 0..120 {
        let before = world.picks()[2];
        for n in 0..1_000 {
            let core = n % 2;
            let lease = world.pick(core, None).expect("a server");
            let ill = lease.server().0 == 2 && second < 30 && world.dice.below(2) == 0;
            let status = if ill { 503 } else { 200 };
            let outcome = Outcome::Answered { status, after: Duration::from_millis(1) };
            world.cores[core].report(lease.server(), outcome, world.now);
            drop(lease);
            world.pass(Duration::from_millis(1));
        }
        shares.push(world.picks()[2] - before);
    }
    assert!(shares[..5].iter().all(|n| *n > 130), "nothing is known yet: {shares:?}");
    assert!(shares[12..30].iter().all(|n| *n < 60), "cut to a tenth: {shares:?}");
    assert!(shares[35..45].iter().all(|n| *n < 130), "it comes back slowly: {shares:?}");
    assert!(shares[100..].iter().all(|n| *n > 130), "and gets all of its part: {shares:?}");
    let others = world.members().iter().all(|member| member.state.part() > 0.99);
    assert!(others, "nobody else was cut for good");
}
