//! Figures from runs.

use super::*;
use crate::bench::{
    measure::Held,
    scenario::{Buffers, named},
};

fn sample(user_us: f64, system_us: f64) -> Option<Reading> {
    Some(Reading::Load(Sample {
        requests: 1000,
        user_us,
        system_us,
        per_second: 100.0,
        p50_us: 1.0,
        p99_us: 2.0,
        resident_kib: 1024,
        coded_bytes: None,
        errors: 0,
        core_percent: 90.0,
        noise_percent: 1.0,
    }))
}

/// A run that sent bodies of so many bytes.
fn coded(us: f64, bytes: u64) -> Option<Reading> {
    match sample(us, 0.0) {
        Some(Reading::Load(sample)) => {
            Some(Reading::Load(Sample { coded_bytes: Some(bytes), ..sample }))
        }
        other => other,
    }
}

fn row(who: Contender, readings: Vec<Option<Reading>>) -> Row {
    Row { who, readings, failures: Vec::new() }
}

const HAPROXY: Contender = Contender::Haproxy(Buffers::Small);

fn outcome() -> Outcome {
    Outcome {
        scenario: named("h1-1k-c64").unwrap(),
        rows: vec![
            row(Contender::Doorman, vec![sample(3.0, 12.0), sample(4.0, 26.0), None]),
            row(Contender::Nginx, vec![sample(5.0, 15.0), sample(10.0, 30.0), sample(5.0, 15.0)]),
            row(HAPROXY, vec![sample(9.0, 21.0), sample(9.0, 51.0), sample(9.0, 21.0)]),
        ],
    }
}

#[test]
fn medians_of_odd_and_even_rows() {
    for (values, wanted) in [
        (&[][..], None),
        (&[2.0], Some((2.0, 2.0, 2.0))),
        (&[3.0, 1.0], Some((2.0, 1.0, 3.0))),
        (&[9.0, 1.0, 4.0], Some((4.0, 1.0, 9.0))),
    ] {
        let spread = Spread::of(values.iter().copied());
        assert_eq!(spread.map(|spread| (spread.median, spread.least, spread.most)), wanted);
    }
}

#[test]
fn ratios_pair_the_rounds_that_both_have() {
    let ratio = outcome().ratio(Contender::Doorman, Contender::Nginx).unwrap();
    assert_eq!(ratio.spread, Spread { median: 0.75, least: 0.75, most: 0.75 });
    let ratio = outcome().ratio(Contender::Doorman, HAPROXY).unwrap();
    assert_eq!(ratio.spread, Spread { median: 0.5, least: 0.5, most: 0.5 });
    assert_eq!(outcome().ratio(Contender::Relay, HAPROXY), None);
}

#[test]
fn the_bar_holds_against_the_cheaper_peer() {
    let verdicts = outcome().verdicts();
    let measured: Vec<Option<f64>> = verdicts.iter().map(|verdict| verdict.measured).collect();
    assert_eq!(measured, [Some(0.75), Some(3.5)]);
    assert!(verdicts.iter().all(Verdict::is_met));
    assert!(outcome().remarks()[0].starts_with("doorman / nginx, the cheaper peer: 0.75"));
}

#[test]
fn a_bar_that_is_over_or_not_measured_is_missed() {
    let mut dear = outcome();
    dear.rows[0] = row(Contender::Doorman, vec![sample(4.1, 14.9)]);
    assert!(dear.verdicts().iter().all(|verdict| !verdict.is_met()));
    dear.rows.remove(0);
    assert!(dear.verdicts().iter().all(|verdict| !verdict.is_met() && verdict.measured.is_none()));
}

#[test]
fn idle_rows_compare_by_memory() {
    let held = |kib_per_connection| {
        Some(Reading::Idle(Held { kib_per_connection, before_kib: 1024, after_kib: 2048 }))
    };
    let idle = Outcome {
        scenario: named("idle-h1").unwrap(),
        rows: vec![
            row(Contender::Doorman, vec![held(6.0)]),
            row(Contender::Nginx, vec![held(12.0)]),
        ],
    };
    assert_eq!(idle.verdicts()[0].measured, Some(6.0));
    assert!(idle.table().aligned().contains("6.00-6.00"));
}

#[test]
fn tables_line_up() {
    let mut table = Table::new(&["a", "bb"]);
    table.add(vec!["long".into(), "1".into()]);
    assert_eq!(table.aligned(), "a     bb\nlong   1\n");
    assert_eq!(table.markdown(), "| a | bb |\n|---|---:|\n| long | 1 |\n");
}

#[test]
fn a_bar_against_nginx_looks_at_no_cheaper_peer() {
    let rows = vec![
        row(Contender::Doorman, vec![sample(5.0, 17.0)]),
        row(Contender::Nginx, vec![sample(5.0, 15.0)]),
        row(Contender::Varnish, vec![sample(4.0, 6.0)]),
    ];
    let outcome = Outcome { scenario: named("cache-disk").unwrap(), rows };
    let verdicts = outcome.verdicts();
    assert_eq!(verdicts[0].measured, Some(1.1));
    assert!(verdicts[0].is_met());
    assert!(outcome.remarks()[1].starts_with("doorman / varnish, the cheaper peer: 2.20"));
}

#[test]
fn who_compresses_worse_is_not_compared() {
    let outcome = |bytes| Outcome {
        scenario: named("gzip6-16k").unwrap(),
        rows: vec![
            row(Contender::Doorman, vec![coded(100.0, bytes)]),
            row(Contender::Nginx, vec![coded(200.0, 1000)]),
        ],
    };
    for (bytes, measured, remark) in [
        (900, Some(0.5), "doorman's coded body beside nginx's: -10.0 %"),
        (1029, Some(0.5), "doorman's coded body beside nginx's: +2.9 %"),
        (1040, None, "doorman's coded body beside nginx's: +4.0 %: not compared"),
    ] {
        let outcome = outcome(bytes);
        assert_eq!(outcome.verdicts()[0].measured, measured, "{bytes}");
        assert_eq!(outcome.verdicts()[0].is_met(), measured.is_some(), "{bytes}");
        assert_eq!(outcome.remarks().last().map(String::as_str), Some(remark), "{bytes}");
    }
    // 100 us for 16 KiB are 6.4 ms for a MiB.
    assert!(outcome(1000).table().aligned().contains("6.40-6.40"));
}

#[test]
fn a_coded_hit_is_held_against_a_plain_one() {
    let outcome = Outcome {
        scenario: named("coded-hit-16k").unwrap(),
        rows: vec![
            row(Contender::Doorman, vec![coded(102.0, 1000)]),
            row(Contender::Plain, vec![sample(100.0, 0.0)]),
            row(Contender::Nginx, vec![coded(204.0, 1000)]),
        ],
    };
    let verdicts = outcome.verdicts();
    assert_eq!(verdicts[0].measured, Some(1.02));
    assert!(verdicts[0].is_met());
    assert!(outcome.remarks()[0].starts_with("doorman / plain: 1.02"));
}

#[test]
fn rules_are_held_against_none() {
    let begun = |ready_ms, resident_kib| {
        Some(Reading::Begun(Begun { ready_ms, cpu_ms: 400.0, resident_kib }))
    };
    let outcome = Outcome {
        scenario: named("waf-start").unwrap(),
        rows: vec![
            row(Contender::Doorman, vec![begun(900.0, 61 * 1024)]),
            row(Contender::Plain, vec![begun(100.0, 20 * 1024)]),
            row(Contender::Nginx, vec![begun(300.0, 27 * 1024)]),
        ],
    };
    let verdicts = outcome.verdicts();
    let measured: Vec<Option<f64>> = verdicts.iter().map(|verdict| verdict.measured).collect();
    assert_eq!(measured, [Some(0.9), Some(41.0)]);
    assert_eq!(verdicts.iter().map(Verdict::is_met).collect::<Vec<_>>(), [true, false]);
    assert!(outcome.table().aligned().contains("900-900"));
}
