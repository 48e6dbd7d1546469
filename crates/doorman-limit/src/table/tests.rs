use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use doorman_http::mix;
use proptest::prelude::*;

use super::*;

fn key(number: u64) -> Key {
    Key::from_number(mix(number.wrapping_add(1))).expect("not zero")
}

fn rate(count: u32, per: Duration, burst: u32) -> Rate {
    let positive = |n| NonZeroU32::new(n).expect("positive");
    Rate::new(positive(count), per, positive(burst)).expect("a rate")
}

const SECOND: Duration = Duration::from_secs(1);
/// The process has been up for a while.
const START: Instant = Instant(1_000_000_000_000);

fn taken(table: &Table, key: Key, rate: &Rate, times: u32, now: Instant) -> u32 {
    (0..times).map(|_| u32::from(table.take(key, rate, 1, now).is_pass())).sum()
}

/// What one key would get that had a meter of its own.
#[derive(Clone, Default)]
struct Meter(u64);

impl Meter {
    fn take(&mut self, rate: &Rate, cost: u32, now: Instant) -> Taken {
        match rate.step(self.0, cost, now.0) {
            crate::rate::Step::Pass(next, taken) => {
                self.0 = next;
                taken
            }
            crate::rate::Step::Wait(taken) => taken,
        }
    }
}

#[test]
fn keys_have_levels_of_their_own() {
    let table = Table::new(100);
    let ten = rate(10, SECOND, 5);
    assert_eq!(taken(&table, key(1), &ten, 9, START), 5);
    assert_eq!(taken(&table, key(2), &ten, 3, START), 3);
    assert_eq!(table.show(key(1), &ten, START).left, 0);
    assert_eq!(table.show(key(2), &ten, START).left, 2);
    assert_eq!(table.show(key(3), &ten, START), Level { left: 5, ..Level::default() });
    assert_eq!(table.count(START), 2);
    let later = START + SECOND / 5;
    assert_eq!(taken(&table, key(1), &ten, 9, later), 2);
    assert!(table.reset(key(1)) && !table.reset(key(3)));
    assert_eq!(taken(&table, key(1), &ten, 9, later), 5);
    table.reset_all();
    assert_eq!(table.count(later), 0);
}

#[test]
fn it_works_from_the_first_nanosecond() {
    let table = Table::new(1);
    let one = rate(1, SECOND, 2);
    assert_eq!(taken(&table, key(1), &one, 5, Instant(0)), 2);
    assert_eq!(taken(&table, key(1), &one, 5, Instant(1_000_000_000)), 1);
}

#[test]
fn a_clock_that_goes_back_locks_nobody_out_and_lets_nobody_in() {
    let table = Table::new(1);
    let ten = rate(10, SECOND, 10);
    assert_eq!(taken(&table, key(1), &ten, 20, START), 10);
    // A little, as between cores: nothing is gained.
    let back = Instant(START.0 - 5_000_000);
    assert_eq!(taken(&table, key(1), &ten, 20, back), 0);
    // An hour: at most one burst is waited for.
    let back = Instant(START.0 / 2);
    assert_eq!(taken(&table, key(1), &ten, 20, back), 0);
    assert_eq!(taken(&table, key(1), &ten, 20, back + SECOND), 10);
    // The same for keys in the sketch.
    let table = full(&ten, START);
    let strangers: Vec<Key> = (0..40).map(|n| key(1_000_000 + n)).collect();
    for &stranger in &strangers {
        let _ = taken(&table, stranger, &ten, 20, START);
        let _ = taken(&table, stranger, &ten, 20, back);
    }
    let passed: u32 =
        strangers.iter().map(|&key| taken(&table, key, &ten, 20, back + SECOND)).sum();
    assert!(passed > 0);
}

#[test]
fn levels_stay_when_the_rate_changes() {
    let table = Table::new(1);
    let hourly = rate(1_000, SECOND * 3_600, 1_000);
    let quick = rate(100, SECOND, 10);
    assert_eq!(taken(&table, key(1), &hourly, 2_000, START), 1_000);
    assert_eq!(taken(&table, key(1), &quick, 20, START), 0, "used up stays used up");
    assert_eq!(taken(&table, key(1), &quick, 20, START + SECOND / 10), 10, "by the new measure");
    assert_eq!(
        taken(&table, key(1), &hourly, 2_000, START + SECOND / 10),
        999,
        "a tenth of a second is owed"
    );
}

/// A table whose places are all live.
fn full(rate: &Rate, now: Instant) -> Table {
    let table = Table::new(256);
    let places = table.buckets * 7;
    for n in 0..20_000 {
        let _ = table.take(key(n), rate, 1, now);
    }
    assert_eq!(table.count(now), places);
    table
}

#[test]
fn eviction_loses_nothing() {
    // Far more keys than places, but never more at once: each is judged as by a meter of its own.
    let table = Table::new(64);
    let ten = rate(100, SECOND, 3);
    let mut meters = vec![Meter::default(); 2_000];
    let (mut now, mut waits) = (START, 0);
    for round in 0..60_000_u64 {
        now = now + Duration::from_micros(mix(round) % 3_000);
        // A few keys are asked for over and over, while others pass by.
        let n = if round % 3 > 0 {
            round / 90 * 5 % 2_000 + mix(round * 7) % 5
        } else {
            mix(round) % 2_000
        };
        let n = n % 2_000;
        let own = meters[usize::try_from(n).unwrap()].take(&ten, 1, now);
        assert_eq!(table.take(key(n), &ten, 1, now), own, "{n} in round {round}");
        waits += u32::from(!own.is_pass());
    }
    assert!(waits > 1_000, "{waits}: limits were met");
    assert!(table.sketch_is_unused(), "this test is about places");
}

#[test]
fn a_flood_leaves_exact_who_was_there_and_is_bounded() {
    // In CI a small table under a flood of two hundred times its keys.
    flood(1_000, 200_000);
}

#[test]
#[ignore = "takes a while: the full size, by hand"]
fn a_flood_of_ten_million_keys() {
    flood(1_000_000, 10_000_000);
}

fn flood(keys: usize, strangers: u64) {
    let table = Table::new(keys);
    let bytes = table.bytes();
    let slow = rate(60, SECOND * 3_600, 20);
    let heavy: Vec<Key> = (0..keys as u64 / 10).map(|n| key(1 << 40 | n)).collect();
    let mut meters = vec![Meter::default(); heavy.len()];
    let mut now = START;
    let mut turn = 0;
    for n in 0..strangers {
        now = now + Duration::from_micros(10);
        let _ = table.take(key(n), &slow, 1, now);
        // Everybody who was there comes back all the time.
        if n % 4 == 0 || turn < heavy.len() {
            let at = turn % heavy.len();
            turn += 1;
            let own = meters[at].take(&slow, 1, now);
            let theirs = table.take(heavy[at], &slow, 1, now);
            if table.has_place(heavy[at]) {
                assert_eq!(theirs, own, "{at} behind {n} strangers");
            } else {
                assert!(own.is_pass() || !theirs.is_pass(), "{at} got too much");
            }
        }
    }
    let exact = heavy.iter().filter(|&&key| table.has_place(key)).count();
    assert!(exact * 100 >= heavy.len() * 99, "{exact} of {} have a place", heavy.len());
    assert_eq!(table.bytes(), bytes);
    assert!(!table.sketch_is_unused());
}

#[test]
fn strangers_in_the_sketch_never_get_too_much_and_seldom_too_little() {
    let hourly = rate(60, SECOND * 3_600, 20);
    let table = full(&hourly, START);
    // Away with what filled the sketch; its places stay live.
    table.sketch.reset_all();
    let strangers: Vec<Key> = (0..30).map(|n| key(1 << 40 | n)).collect();
    assert!(strangers.iter().all(|&key| !table.has_place(key)));
    let passed: Vec<u32> =
        strangers.iter().map(|&key| taken(&table, key, &hourly, 100, START)).collect();
    assert!(passed.iter().all(|&n| n <= 20), "{passed:?}");
    let exact = passed.iter().filter(|&&n| n == 20).count();
    assert!(exact >= 25, "{passed:?}");
    assert_eq!(table.show(strangers[0], &hourly, START).left, 0);
}

#[test]
fn who_gets_a_place_takes_his_level_along() {
    let hourly = rate(60, SECOND * 3_600, 20);
    let table = full(&rate(600, SECOND * 3_600, 20), START);
    let stranger = key(1 << 40);
    let before = taken(&table, stranger, &hourly, 15, START);
    assert!(!table.has_place(stranger));
    // The places become free; the stranger owes fifteen minutes.
    let later = START + SECOND * 61;
    let after = taken(&table, stranger, &hourly, 20, later);
    assert!(table.has_place(stranger));
    assert!(before + after <= 21, "{before} and {after}");
    assert_eq!(table.show(stranger, &hourly, later).left, 0);
}

#[test]
fn the_heaviest_are_told_with_their_names() {
    let table = Table::new(1_000);
    let ten = rate(10, SECOND, 50);
    for n in 1..40_u32 {
        let _ = taken(&table, key(u64::from(n)), &ten, n, START);
    }
    table.refused(key(39), || "192.0.2.39".to_owned());
    table.refused(key(39), || unreachable!("known"));
    let top = table.top(3, &ten, START);
    let told: Vec<_> = top.iter().map(|heavy| (heavy.key, heavy.level.left)).collect();
    assert_eq!(told, [(key(39), 11), (key(38), 12), (key(37), 13)]);
    let names: Vec<_> = top.iter().map(|heavy| heavy.name.as_deref()).collect();
    assert_eq!(names, [Some("192.0.2.39"), None, None]);
    assert_eq!(table.name(key(39)).as_deref(), Some("192.0.2.39"));
    assert_eq!(table.top(usize::MAX, &ten, START).len(), 39);
    assert_eq!(table.top(0, &ten, START), []);
    assert_eq!(table.top(9, &ten, START + SECOND * 60), []);
}

#[test]
fn sizes_are_bounded_and_buckets_lie_in_two_cache_lines() {
    for (keys, most) in [(0, 8 * 1024), (1_000, 40 * 1024), (1_000_000, 36_100_000)] {
        let table = Table::new(keys);
        assert!(table.bytes() <= most, "{} for {keys}", table.bytes());
        assert_eq!(table.words[table.start..].as_ptr().addr() % 128, 0);
        let _ = table.bucket_at(table.buckets - 1);
    }
}

/// Many cores, few keys, one moment: exactly what is left is let pass, wherever a key lies.
#[test]
fn cores_together_let_pass_exactly_the_burst() {
    let hourly = rate(60, SECOND * 3_600, 500);
    for (table, exact) in [(Table::new(64), true), (full(&hourly, START), false)] {
        table.sketch.reset_all();
        for round in 0..30 {
            let keys: Vec<Key> = (0..4).map(|n| key(1 << 40 | round << 8 | n)).collect();
            let passed: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(0)).collect();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (table, keys, passed, hourly) = (&table, &keys, &passed, &hourly);
                    scope.spawn(move || {
                        for n in 0..1_200 {
                            let at = (n + thread) % keys.len();
                            if table.take(keys[at], hourly, 1, START).is_pass() {
                                passed[at].fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            for (at, passed) in passed.iter().enumerate() {
                let passed = passed.load(Ordering::Relaxed);
                assert!(passed <= 500, "{passed} in round {round}");
                assert!(!exact || passed == 500, "{passed} in round {round}");
                assert_eq!(table.has_place(keys[at]), exact);
            }
            table.sketch.reset_all();
            if exact {
                table.reset_all();
            }
        }
    }
}

/// Keys come, use their burst and give their places to others all the time, on all cores at once, in and out of
/// the sketch. Nobody ever gets more than a burst and the rate.
#[test]
fn cores_that_push_each_other_out_let_nobody_have_too_much() {
    let quick = rate(1_000, SECOND, 10);
    let table = Table::new(1);
    let passed: Vec<AtomicU64> = (0..64).map(|_| AtomicU64::new(0)).collect();
    // A common clock that all threads move.
    let clock = AtomicU64::new(START.0);
    let spilt = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (table, passed, clock, spilt, quick) = (&table, &passed, &clock, &spilt, &quick);
            scope.spawn(move || {
                for n in 0..100_000 {
                    let now = Instant(clock.fetch_add(1_000, Ordering::SeqCst));
                    // Twelve keys at a time compete for seven places, and others follow them.
                    let at = (now.0 - START.0) / 8_000_000 * 3 + mix(thread << 32 | n) % 12;
                    let at = at % 64;
                    spilt.fetch_add(usize::from(!table.has_place(key(at))), Ordering::Relaxed);
                    if table.take(key(at), quick, 1, now).is_pass() {
                        passed[usize::try_from(at).unwrap()].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let span = clock.load(Ordering::SeqCst) - START.0;
    let most = 10 + span / 1_000_000;
    let all: Vec<u64> = passed.iter().map(|passed| passed.load(Ordering::Relaxed)).collect();
    assert!(all.iter().all(|&passed| passed <= most), "{most}: {all:?}");
    assert!(all.iter().sum::<u64>() > 1_000 && spilt.load(Ordering::Relaxed) > 1_000, "{all:?}");
}

proptest! {
    /// Whatever is asked for, in whatever order, in a table that is far too small: nobody gets what a meter of his own
    /// would have refused him in total.
    #[test]
    fn nobody_gets_more_than_burst_and_rate(
        steps in prop::collection::vec((0u64..40, 0u32..4, 0u64..3_000_000), 1..400),
        count in 1u32..200, burst in 1u32..20,
    ) {
        let rate = rate(count, SECOND, burst);
        let table = Table::new(1);
        let mut now = START;
        let mut passed: Vec<Vec<(u64, u64)>> = vec![Vec::new(); 40];
        for (n, cost, gap) in steps {
            now = now + Duration::from_nanos(gap);
            if table.take(key(n), &rate, cost, now).is_pass() {
                passed[usize::try_from(n).unwrap()].push((now.0, u64::from(cost)));
            }
        }
        for takes in &passed {
            for from in 0..takes.len() {
                let mut units = 0;
                for &(moment, cost) in &takes[from..] {
                    units += cost;
                    let span = u128::from(moment - takes[from].0);
                    let most = u128::from(burst) + span * u128::from(count) / 1_000_000_000;
                    prop_assert!(u128::from(units) <= most, "{units} > {most}");
                }
            }
        }
    }
}

impl Table {
    fn has_place(&self, key: Key) -> bool {
        self.bucket(key).arrival(key.number()).is_some()
    }

    fn sketch_is_unused(&self) -> bool {
        (0..self.buckets).all(|at| !self.bucket_at(at).has_spilt(0))
    }
}
