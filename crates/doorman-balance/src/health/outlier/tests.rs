use proptest::prelude::*;

use super::*;

const RULES: OutlierRules = OutlierRules {
    errors: Some(5_000),
    latency: Some(300),
    every: Duration::from_secs(10),
    eject: Duration::from_secs(30),
    at_most: 3_000,
    requests_min: 20,
};

fn at(seconds: u64) -> Instant {
    Instant(seconds * 1_000_000_000)
}

/// An upstream that is compared every ten seconds.
struct Bench {
    pasts: Vec<Past>,
    counts: Vec<Counts>,
    now: u64,
}

impl Bench {
    fn new(servers: usize) -> Self {
        Self {
            pasts: vec![Past::default(); servers],
            counts: vec![Counts::default(); servers],
            now: 0,
        }
    }

    /// Ten seconds in which each server had so many tries, so many errors, and so many milliseconds to
    /// an answer; who is out after them.
    fn turn(&mut self, rules: &OutlierRules, added: &[(u64, u64, u64)]) -> Vec<(usize, Fault)> {
        self.now += 10;
        for (counts, &(tries, errors, millis)) in self.counts.iter_mut().zip(added) {
            let answers = tries - errors;
            let more = Counts { tries, errors, answers, micros: answers * millis * 1000 };
            *counts = counts.plus(more);
        }
        let mut servers: Vec<_> = self
            .pasts
            .iter_mut()
            .zip(&self.counts)
            .map(|(past, &counts)| Server { past, counts })
            .collect();
        compare(rules, &mut servers, at(self.now)).iter().map(|o| (o.at, o.fault)).collect()
    }

    fn until(&self, server: usize) -> u64 {
        self.pasts[server].until.0 / 1_000_000_000
    }
}

#[test]
fn one_that_fails() {
    let mut bench = Bench::new(5);
    let well = (100, 1, 10);
    assert_eq!(bench.turn(&RULES, &[well, well, (100, 49, 10), well, well]), []);
    assert_eq!(bench.turn(&RULES, &[well, well, (100, 50, 10), well, well]), [(2, Fault::Errors)]);
    assert_eq!(bench.until(2), 50);
    // It is out, and gets nothing; then it is back.
    let out = (0, 0, 0);
    for _ in 0..3 {
        assert_eq!(bench.turn(&RULES, &[well, well, out, well, well]), []);
    }
}

/// UPC-20: what makes all servers fail takes none out.
#[test]
fn upc_20_a_query_of_death_takes_nobody_out() {
    let mut bench = Bench::new(5);
    assert_eq!(
        bench.turn(
            &RULES,
            &[(100, 60, 10), (100, 80, 10), (100, 55, 10), (100, 70, 10), (100, 62, 10)]
        ),
        []
    );
    assert_eq!(bench.turn(&RULES, &[(100, 100, 10); 5]), []);
}

/// UPC-20: and where only some do, a ceiling holds.
#[test]
fn upc_20_a_ceiling_on_who_is_out() {
    let mut bench = Bench::new(10);
    let (ill, well) = ((100, 100, 10), (1000, 0, 10));
    let mut added = vec![well; 10];
    added[..5].fill(ill);
    added[3] = (100, 60, 10);
    let out = bench.turn(&RULES, &added);
    assert_eq!(out, [(0, Fault::Errors), (1, Fault::Errors), (2, Fault::Errors)]);
    // Nobody else while they are out.
    assert_eq!(bench.turn(&RULES, &added), []);
    // One of two may be out whatever the share, and never both.
    let mut pair = Bench::new(2);
    assert_eq!(pair.turn(&RULES, &[ill, well]), [(0, Fault::Errors)]);
    assert_eq!(pair.turn(&RULES, &[ill, well]), []);
    assert_eq!(Bench::new(1).turn(&RULES, &[ill]), []);
    let all = OutlierRules { at_most: 10_000, ..RULES };
    assert_eq!(ceiling(all.at_most, 5), 4);
}

#[test]
fn one_that_is_slow() {
    let mut bench = Bench::new(4);
    let quick = (100, 0, 10);
    assert_eq!(bench.turn(&RULES, &[quick, quick, (100, 0, 29), quick]), []);
    assert_eq!(bench.turn(&RULES, &[quick, quick, (100, 0, 30), quick]), [(2, Fault::Latency)]);
    // Answers from memory: ten times next to nothing is still nothing.
    let mut tiny = Bench::new(3);
    assert_eq!(tiny.turn(&RULES, &[(100, 0, 0), (100, 0, 0), (100, 0, 4)]), []);
    // Two make no median.
    assert_eq!(Bench::new(2).turn(&RULES, &[quick, (100, 0, 500)]), []);
}

#[test]
fn few_requests_say_nothing() {
    let mut bench = Bench::new(3);
    let well = (100, 0, 10);
    assert_eq!(bench.turn(&RULES, &[well, well, (19, 19, 10)]), []);
    assert_eq!(bench.turn(&RULES, &[well, well, (20, 20, 10)]), [(2, Fault::Errors)]);
}

#[test]
fn repetition_makes_it_longer_and_good_conduct_shorter() {
    let mut bench = Bench::new(3);
    let (ill, well) = ((100, 100, 10), (100, 0, 10));
    let mut out_for = Vec::new();
    for _ in 0..40 {
        let out = bench.turn(&RULES, &[ill, well, well]);
        if !out.is_empty() {
            out_for.push(bench.until(0) - bench.now);
        }
    }
    assert_eq!(out_for[..4], [30, 60, 90, 120]);
    // It has learnt: each comparison forgives one time.
    bench.now = bench.until(0);
    for _ in 0..20 {
        assert_eq!(bench.turn(&RULES, &[well; 3]), []);
    }
    assert_eq!(bench.turn(&RULES, &[ill, well, well]), [(0, Fault::Errors)]);
    assert_eq!(bench.until(0) - bench.now, 30);
}

#[test]
fn tallies() {
    let tally = Tally::default();
    let answered =
        |status, millis| Outcome::Answered { status, after: Duration::from_millis(millis) };
    for outcome in [answered(200, 3), answered(404, 5), answered(429, 1), answered(500, 9)] {
        tally.note(outcome);
    }
    for outcome in [Outcome::Refused, Outcome::Failed, Outcome::TimedOut] {
        tally.note(outcome);
    }
    assert_eq!(tally.read(), Counts { tries: 7, errors: 4, answers: 3, micros: 9000 });
}

proptest! {
    /// Whatever servers do, the ceiling holds and not all are out.
    #[test]
    fn the_ceiling_holds(
        turns in prop::collection::vec(
            prop::collection::vec((0u64..200, 0u64..200, 0u64..500), 7), 1..30),
        at_most in 0u32..10_000,
    ) {
        let rules = OutlierRules { at_most, ..RULES };
        let mut bench = Bench::new(7);
        for added in &turns {
            let added: Vec<_> = added.iter().map(|&(t, e, ms)| (t, e.min(t), ms)).collect();
            let _ = bench.turn(&rules, &added);
            let now = at(bench.now);
            let out = bench.pasts.iter().filter(|past| past.until > now).count();
            prop_assert!(out <= ceiling(at_most, 7) && out < 7);
        }
    }
}
