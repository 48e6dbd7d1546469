use proptest::prelude::*;

use super::*;

const RULES: BreakerRules = BreakerRules {
    errors: 5_000,
    least: 20,
    within: Duration::from_secs(10),
    open: Duration::from_secs(5),
    trials: 3,
    in_flight: None,
};

const fn at(millis: u64) -> Instant {
    Instant(millis * 1_000_000)
}

fn fresh() -> Breaker {
    Breaker::new(Duration::from_secs(10))
}

fn pass(breaker: &Breaker, now: Instant) -> BreakerPass {
    breaker.enter(&RULES, now).expect("it passes").0
}

fn fail(breaker: &Breaker, now: Instant) -> BreakerStep {
    let mut pass = pass(breaker, now);
    let step = breaker.failed(&mut pass, &RULES, now);
    breaker.leave(pass);
    step
}

fn succeed(breaker: &Breaker, now: Instant) -> BreakerStep {
    let mut pass = pass(breaker, now);
    let step = breaker.went_well(&mut pass, &RULES, now);
    breaker.leave(pass);
    step
}

fn opened() -> Breaker {
    let breaker = fresh();
    for _ in 0..19 {
        assert_eq!(fail(&breaker, at(0)), BreakerStep::Stays);
    }
    assert_eq!(fail(&breaker, at(0)), BreakerStep::Opened { failed: 20, tries: 20 });
    breaker
}

#[test]
fn it_opens_by_the_share_and_not_below_the_least_number() {
    let breaker = fresh();
    for n in 0..100 {
        assert_eq!(succeed(&breaker, at(n)), BreakerStep::Stays);
    }
    for _ in 0..99 {
        assert_eq!(fail(&breaker, at(200)), BreakerStep::Stays);
    }
    assert_eq!(fail(&breaker, at(200)), BreakerStep::Opened { failed: 100, tries: 200 });
    assert_eq!(breaker.state(), BreakerState::Open { until: at(5_200) });
    assert_eq!(breaker.enter(&RULES, at(1_200)), Err(BreakerRefusal::Open(Duration::from_secs(4))));
    assert_eq!(breaker.opened(), 1);
}

#[test]
fn failures_of_long_ago_do_not_count() {
    let breaker = fresh();
    for second in 0..100 {
        assert_eq!(fail(&breaker, at(second * 1_000)), BreakerStep::Stays, "ten in a window");
    }
}

/// RXU-08: however many come, so many trials are let through, and no more until they are judged.
#[test]
fn half_open_lets_a_bounded_number_through_rxu_08() {
    let breaker = opened();
    assert!(breaker.enter(&RULES, at(4_999)).is_err());
    let (first, step) = breaker.enter(&RULES, at(5_000)).unwrap();
    assert_eq!((step, breaker.state()), (BreakerStep::HalfOpened, BreakerState::HalfOpen));
    let mut trials = vec![first];
    for _ in 0..1_000 {
        trials.extend(breaker.enter(&RULES, at(5_001)).ok().map(|(pass, _)| pass));
    }
    assert_eq!(trials.len(), 3);
    // One that nobody judged, because its client went away, makes room for another.
    breaker.leave(trials.pop().unwrap());
    trials.push(pass(&breaker, at(5_002)));
    assert!(breaker.enter(&RULES, at(5_002)).is_err());
    let steps = trials.iter_mut().map(|trial| breaker.went_well(trial, &RULES, at(5_003)));
    assert_eq!(
        steps.collect::<Vec<_>>(),
        [BreakerStep::Stays, BreakerStep::Stays, BreakerStep::Closed]
    );
    assert!(breaker.is_closed());
    assert_eq!(fail(&breaker, at(5_004)), BreakerStep::Stays, "what was before is forgotten");
}

#[test]
fn a_failed_trial_opens_it_again_and_late_words_change_nothing() {
    let breaker = opened();
    let mut trials = [0; 3].map(|_| pass(&breaker, at(5_000)));
    assert_eq!(breaker.failed(&mut trials[0], &RULES, at(5_100)), BreakerStep::Reopened);
    assert_eq!(breaker.state(), BreakerState::Open { until: at(10_100) });
    assert_eq!(breaker.went_well(&mut trials[1], &RULES, at(5_101)), BreakerStep::Stays);
    let mut next = pass(&breaker, at(10_100));
    assert_eq!(breaker.failed(&mut trials[2], &RULES, at(10_101)), BreakerStep::Stays);
    trials.into_iter().for_each(|pass| breaker.leave(pass));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(breaker.went_well(&mut next, &RULES, at(10_102)), BreakerStep::Stays);
    assert_eq!(breaker.went_well(&mut next, &RULES, at(10_103)), BreakerStep::Stays, "judged once");
}

#[test]
fn a_bound_on_requests_at_once_is_exact_over_threads() {
    let breaker = fresh();
    let rules = BreakerRules { in_flight: Some(7), ..RULES };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    match breaker.enter(&rules, at(0)) {
                        Ok((pass, _)) => {
                            assert!(breaker.in_flight() <= 7);
                            breaker.leave(pass);
                        }
                        Err(refusal) => assert_eq!(refusal, BreakerRefusal::Full),
                    }
                }
            });
        }
    });
    assert_eq!(breaker.in_flight(), 0);
    // What an open breaker refuses is not counted either.
    for _ in 0..20 {
        let _ = fail(&breaker, at(0));
    }
    assert!(matches!(breaker.enter(&rules, at(1)), Err(BreakerRefusal::Open(_))));
    assert_eq!(breaker.in_flight(), 0);
}

#[test]
fn another_window_forgets() {
    let breaker = fresh();
    for _ in 0..19 {
        let _ = fail(&breaker, at(0));
    }
    breaker.look_back(Duration::from_secs(10));
    assert_eq!(breaker.counts(at(0)), (19, 19));
    breaker.look_back(Duration::from_secs(20));
    assert_eq!(breaker.counts(at(0)), (0, 0));
}

proptest! {
    #[test]
    fn a_word_is_read_as_it_was_written(
        spell in 0u32..(1 << 30),
        begun in 0..=TRIALS_MAX,
        well in 0..=TRIALS_MAX,
        until in 0u64..(1 << 62),
    ) {
        for word in [Word::Closed, Word::Open { until }, Word::HalfOpen { spell, begun, well }] {
            prop_assert_eq!(Word::read(word.write()), word);
        }
    }

    /// Whatever happens when: of one half-open spell no more trials are under way than the rules say, and
    /// an open breaker lets nothing through before its time.
    #[test]
    fn trials_are_bounded_and_open_is_shut(steps in prop::collection::vec((0u8..5, 0u64..3_000, 0usize..9), 1..400)) {
        let breaker = fresh();
        let mut now = 1_000;
        let mut under_way: Vec<BreakerPass> = Vec::new();
        for (what, wait, which) in steps {
            now += wait;
            let before = breaker.state();
            match what {
                0 | 1 => if let Ok((pass, _)) = breaker.enter(&RULES, at(now)) {
                    if let BreakerState::Open { until } = before {
                        prop_assert!(at(now) >= until);
                    }
                    under_way.push(pass);
                },
                _ if under_way.is_empty() => {}
                2 => breaker.leave(under_way.swap_remove(which % under_way.len())),
                _ => {
                    let mut pass = under_way.swap_remove(which % under_way.len());
                    let _ = if what == 3 {
                        breaker.failed(&mut pass, &RULES, at(now))
                    } else {
                        breaker.went_well(&mut pass, &RULES, at(now))
                    };
                    breaker.leave(pass);
                }
            }
            if let Word::HalfOpen { spell, begun, .. } = Word::read(breaker.word.load(Ordering::Relaxed)) {
                let trials = under_way.iter().filter(|pass| pass.spell == Some(spell)).count();
                prop_assert!(trials <= 3 && begun <= 3, "{} under way, {} begun", trials, begun);
            }
        }
    }
}
