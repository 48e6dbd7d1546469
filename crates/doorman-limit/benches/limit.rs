//! What a limit costs: one take of a million keys, by one thread and by each of two at a time, on keys of their own
//! and on one key that all want; what a flood of ten million keys costs; and what the checks beside it cost.
//!
//! Run `cargo bench -p doorman-limit --bench limit`. Each number is the median of several rounds. Keys come in an order
//! that no cache foresees.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use doorman_http::{Instant, mix};
use doorman_limit::{
    BanRule, Bans, Entered, Key, KeyMaker, KeyedPlaces, Places, PlacesBounds, Prefixes, Priority,
    Rate, Secret, Shed, ShedRules, Table,
};

const KEYS: u64 = 1_000_000;
const TAKES: u32 = 2_000_000;
const ROUNDS: usize = 5;
const START: Instant = Instant(1_000_000_000_000);

fn main() {
    let rate = Rate::new(positive(100), Duration::from_secs(1), positive(100)).expect("a rate");
    let slow = Rate::new(positive(1_000), Duration::from_hours(1), positive(100)).expect("a rate");
    println!("nanoseconds");
    tables(&rate, &slow);
    flood(&slow);
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    line("key of a client", median(&|n| client(address, n).number()));
    bans();
    places();
    let mut shed = Shed::new(ShedRules::default(), START);
    let now = |n: u64| START + Duration::from_micros(n);
    let mut shedding = |n| {
        shed.observe(Duration::from_micros(n & 63), now(n));
        u64::from(shed.admits(Priority::Normal, 7, now(n)))
    };
    line("shed: observe and admit", round(&mut shedding));
}

fn tables(rate: &Rate, slow: &Rate) {
    let table = Table::new(usize::try_from(KEYS).unwrap_or(0));
    for n in 0..KEYS {
        let _ = table.take(key(n), slow, 1, START);
    }
    println!("{} bytes for {KEYS} keys, {} have places", table.bytes(), table.count(START));
    for threads in [1, 2] {
        for (what, rate) in [("live keys", slow), ("keys whose time has passed", rate)] {
            let take = |n: u64| {
                let now = START + Duration::from_nanos((n & 0xFFFF_FFFF) * 500);
                u64::from(table.take(key(mix(n) % KEYS), rate, 1, now).is_pass())
            };
            line(&format!("take of 1,000,000 {what}, {threads} threads"), each(threads, &take));
        }
        let one = |n: u64| {
            let now = START + Duration::from_nanos((n & 0xFFFF_FFFF) * 500);
            u64::from(table.take(Key::ALL, rate, 1, now).is_pass())
        };
        line(&format!("take of one key, {threads} threads"), each(threads, &one));
    }
    let begun = Clock::now();
    let top = table.top(20, slow, START).len();
    println!("{top} heaviest of all: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// Ten million keys, each once, in a hundred seconds; none of their times passes meanwhile, so most are in the sketch.
fn flood(slow: &Rate) {
    let table = Table::new(usize::try_from(KEYS).unwrap_or(0));
    let heavy: Vec<Key> = (0..1_000).map(|n| key(1 << 40 | n)).collect();
    for &key in &heavy {
        let _ = table.take(key, slow, 1, START);
    }
    let begun = Clock::now();
    let mut passed = 0_u32;
    for n in 0..10_000_000 {
        let now = START + Duration::from_micros(n * 10);
        passed += u32::from(table.take(key(n), slow, 1, now).is_pass());
    }
    line("take in a flood of 10,000,000 keys", begun.elapsed().as_secs_f64() * 1e9 / 1e7);
    let now = START + Duration::from_secs(100);
    let left: Vec<u32> = heavy.iter().map(|&key| table.show(key, slow, now).left).collect();
    let exact = left.iter().filter(|&&left| left == 100).count();
    println!("{passed} passed, {exact} of 1,000 who were there are exact, {} bytes", table.bytes());
}

fn bans() {
    let bans = Bans::new(65_536, 65_536);
    let check = |n: u64| u64::from(bans.check(key(n & 0xFFFF), START).is_some());
    line("ban check, nobody banned", median(&check));
    for n in 0..60_000 {
        bans.ban(key(n), START + Duration::from_secs(600), START, String::new);
    }
    line("ban check, 60,000 banned", median(&check));
    let rule = BanRule::new(positive(1_000_000), Duration::from_secs(60), Duration::from_secs(60));
    let rule = rule.expect("a rule");
    let signal = |n: u64| {
        let _ = bans.signal(key(n & 0xFFFF | 1 << 40), &rule, START, String::new);
        n
    };
    line("signal", median(&signal));
}

fn places() {
    let bounds = PlacesBounds { places: 1_000, queue: 0 };
    let (places, keyed) = (Arc::new(Places::default()), Arc::new(KeyedPlaces::default()));
    for threads in [1, 2] {
        let one = |n: u64| n + u64::from(matches!(places.enter(bounds), Entered::Full));
        line(&format!("a place and back, {threads} threads"), each(threads, &one));
        let many =
            |n: u64| n + u64::from(matches!(keyed.enter(key(n & 1_023), bounds), Entered::Full));
        line(&format!("a place of a key and back, {threads} threads"), each(threads, &many));
    }
}

fn client(address: IpAddr, n: u64) -> Key {
    let mut maker = KeyMaker::new(Secret::new(1, n));
    maker.client(black_box(address), Prefixes::default());
    maker.key()
}

fn key(n: u64) -> Key {
    Key::from_number(mix(n + 1)).unwrap_or(Key::ALL)
}

fn positive(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

fn line(what: &str, nanos: f64) {
    println!("{what:<56} {nanos:>7.1}");
}

fn round(work: &mut dyn FnMut(u64) -> u64) -> f64 {
    let begun = Clock::now();
    for n in 0..u64::from(TAKES) {
        black_box(work(black_box(n)));
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(TAKES)
}

fn median(work: &dyn Fn(u64) -> u64) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(&mut |n| work(n))).collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// As the slowest of several threads has it.
fn each(threads: usize, work: &(dyn Fn(u64) -> u64 + Sync)) -> f64 {
    thread::scope(|scope| {
        let spawn = |at: u64| scope.spawn(move || median(&|n| work(n.wrapping_add(at << 32))));
        let threads: Vec<_> = (0_u64..).take(threads).map(spawn).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}
