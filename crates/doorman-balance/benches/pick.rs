//! What a pick costs: every method, a hundred servers and ten thousand, and what a view costs to make anew.
//!
//! Run `cargo bench -p doorman-balance --bench pick`. Each number is the median of several rounds, and covers the
//! pick, its reservation, and the place that is given back. Every server works on three requests and has moved
//! bytes and answered before: nobody is idle, so that no search ends early.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::{Duration, Instant as Clock};

use doorman_balance::{Balancer, Group, Member, Method, Outcome, PickRequest, Settings, Tried};
use doorman_http::Instant;

const PICKS: u32 = 200_000;
const ROUNDS: usize = 7;

fn main() {
    println!("nanoseconds a pick       100 even   100 uneven   10,000 even   10,000 uneven");
    for method in Method::ALL {
        let cost = |servers, weights| pick(&balancer(method, servers, weights).1);
        println!(
            "{:<22} {:>10.0} {:>12.0} {:>13.0} {:>15.0}",
            format!("{method:?}"),
            cost(100, 1),
            cost(100, 5),
            cost(10_000, 1),
            cost(10_000, 5),
        );
    }
    println!("microseconds to make a view anew (100, 10,000)");
    for method in [Method::RoundRobin, Method::LeastRequests, Method::Hash] {
        println!("{method:?} {:.1} {:.1}", view(method, 100), view(method, 10_000));
    }
    println!("milliseconds to lay out the keys of 10,000 servers");
    for method in [Method::Hash, Method::Maglev] {
        let begun = Clock::now();
        let made = balancer(method, 10_000, 5);
        println!("{method:?} {:.1}", begun.elapsed().as_secs_f64() * 1_000.0);
        drop(made);
    }
}

/// A balancer over so many servers, whose weights are 1 to `weights`.
fn balancer(method: Method, servers: u32, weights: u32) -> (std::sync::Arc<Group>, Balancer) {
    let group = Group::new(Settings::default());
    let member = |at: u32| Member::new(group.server(&at.to_string()), 1 + at % weights);
    let balancer = Balancer::new(&group, method, (0..servers).map(member).collect());
    (group, balancer)
}

/// The median of the rounds, in nanoseconds a pick.
fn pick(balancer: &Balancer) -> f64 {
    let mut dice = 1_u64;
    let none = Tried::none();
    let mut held = Vec::new();
    for (at, member) in (0_u32..).zip(balancer.members()) {
        member.state.moved(1_000_000);
        let bound = Some(doorman_balance::ServerId(at));
        let ask = PickRequest { tried: &none, bound, key: None, dice, now: Instant(0) };
        held.extend((0..3).map(|_| balancer.pick(&ask).expect("a place")));
        let outcome = Outcome::Answered { status: 200, after: Duration::from_millis(9) };
        balancer.report(doorman_balance::ServerId(at), outcome, Instant(0));
    }
    let count = held.len() as u64;
    let mut round = || {
        let begun = Clock::now();
        for n in 0..PICKS {
            dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let ask = PickRequest {
                tried: &none,
                bound: None,
                key: Some(dice),
                dice: dice ^ (dice >> 29),
                now: Instant(u64::from(n)),
            };
            if let Some(lease) = balancer.pick(&ask) {
                held[usize::try_from(dice % count).unwrap_or(0)] = lease;
            }
        }
        begun.elapsed().as_nanos() as f64 / f64::from(PICKS)
    };
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Microseconds to work out anew who may be picked, with the pick that does.
fn view(method: Method, servers: u32) -> f64 {
    let (group, balancer) = balancer(method, servers, 5);
    let mut rounds: Vec<_> = (0..50_u32)
        .map(|n| {
            group.touch();
            let now = Instant(0) + Duration::from_secs(1) * n;
            let begun = Clock::now();
            let ask = PickRequest { tried: &Tried::none(), bound: None, key: None, dice: 1, now };
            drop(balancer.pick(&ask));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
