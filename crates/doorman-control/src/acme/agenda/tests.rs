use super::*;

fn name(text: &str) -> CertificateName {
    CertificateName::parse(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<CertificateName> {
    texts.iter().map(|text| name(text)).collect()
}

fn agenda(texts: &[&str], issuers: usize) -> Agenda {
    let mut agenda = Agenda::default();
    agenda.follow(&names(texts), issuers, false);
    agenda
}

/// Everything that is ready, as `name@authority`.
fn started(agenda: &mut Agenda, now: u64) -> Vec<String> {
    std::iter::from_fn(|| match agenda.next(now) {
        Next::Order(name, issuer) => Some(format!("{name}@{issuer}")),
        Next::Wait(_) => None,
    })
    .collect()
}

const DOWN: Failure = Failure::Issuer { retry_after: None };
const REFUSED: Failure = Failure::Name { retry_after: None };

#[test]
fn a_name_is_ordered_once_at_a_time_and_again_when_due() {
    let mut agenda = agenda(&["a.test", "b.test"], 1);
    assert_eq!(started(&mut agenda, 100), ["a.test@0", "b.test@0"]);
    assert_eq!(agenda.next(100), Next::Wait(None));
    agenda.obtained(&name("a.test"), 500);
    agenda.obtained(&name("b.test"), 400);
    assert_eq!(agenda.next(100), Next::Wait(Some(400)));
    assert_eq!(agenda.next_attempt(&name("a.test")), Some(500));
    assert_eq!(started(&mut agenda, 400), ["b.test@0"]);
    assert_eq!(started(&mut agenda, 500), ["a.test@0"]);
}

#[test]
fn a_failure_of_one_name_touches_no_other() {
    let mut agenda = agenda(&["a.test", "b.test"], 1);
    assert_eq!(started(&mut agenda, 0).len(), 2);
    agenda.failed(&name("a.test"), REFUSED, None, 0, 0);
    agenda.obtained(&name("b.test"), 10);
    // A minute, a quarter off by chance.
    assert_eq!(agenda.next_attempt(&name("a.test")), Some(45));
    assert_eq!(agenda.failures(&name("a.test")), 1);
    assert_eq!(started(&mut agenda, 10), ["b.test@0"]);
    assert_eq!(started(&mut agenda, 44), [""; 0]);
    assert_eq!(started(&mut agenda, 45), ["a.test@0"]);
    agenda.failed(&name("a.test"), REFUSED, None, 45, 0);
    assert_eq!(agenda.next_attempt(&name("a.test")), Some(45 + 180));
}

#[test]
fn waits_of_a_name() {
    let check = |failure: Failure, times: u32, left: Option<u64>, expect: u64| {
        let mut agenda = agenda(&["a.test"], 1);
        let mut now = 0;
        for time in 1..=times {
            assert_eq!(started(&mut agenda, now), ["a.test@0"], "{failure:?} {time}");
            agenda.failed(&name("a.test"), failure, left, now, 0);
            let next = agenda.next_attempt(&name("a.test")).unwrap();
            if time == times {
                assert_eq!(next - now, expect, "{failure:?} {times} {left:?}");
            }
            now = next;
        }
    };
    check(REFUSED, 1, None, 45);
    check(REFUSED, 3, None, 720);
    check(REFUSED, 9, None, 16_200);
    // A day is left: at most three hours.
    check(REFUSED, 9, Some(24 * 3600), 8100);
    check(REFUSED, 9, Some(0), 45);
    check(Failure::Name { retry_after: Some(5) }, 1, None, 45);
    check(Failure::Name { retry_after: Some(500) }, 1, None, 500);
    check(Failure::Name { retry_after: Some(u64::MAX) }, 1, None, WAIT_MAX);
    check(Failure::Limited { retry_after: Some(7200) }, 1, None, 7200);
    check(Failure::Limited { retry_after: None }, 1, None, 3600);
    check(DOWN, 1, None, 2);
    check(DOWN, 2, None, 6);
    check(DOWN, 3, None, 24);
    check(DOWN, 12, None, 2700);
    check(Failure::Issuer { retry_after: Some(90) }, 1, None, 90);
}

#[test]
fn an_authority_that_is_down_is_tried_by_one_order_alone() {
    let texts: Vec<String> = (0..200).map(|n| format!("n{n:03}.test")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut agenda = agenda(&texts, 1);
    let first = started(&mut agenda, 0);
    assert_eq!(first.len(), ORDERS_MAX, "no storm");
    for text in &first {
        agenda.failed(&name(text.trim_end_matches("@0")), DOWN, None, 0, 0);
    }
    // Eight that fail together are one failure, and the names carry none of it.
    assert_eq!(agenda.next(0), Next::Wait(Some(2)));
    assert_eq!(agenda.failures(&name("n000.test")), 0);
    let probe = started(&mut agenda, 2);
    assert_eq!(probe.len(), 1);
    assert_eq!(agenda.next(2), Next::Wait(None));
    agenda.obtained(&name(probe[0].trim_end_matches("@0")), 1000);
    assert_eq!(started(&mut agenda, 2).len(), ORDERS_MAX, "it is back");
}

#[test]
fn the_next_authority_is_asked_while_the_first_rests() {
    let mut agenda = agenda(&["a.test", "b.test"], 2);
    assert_eq!(started(&mut agenda, 0), ["a.test@0", "b.test@0"]);
    agenda.failed(&name("a.test"), DOWN, None, 0, 0);
    assert_eq!(started(&mut agenda, 0), ["a.test@1"]);
    agenda.failed(&name("b.test"), REFUSED, None, 0, 0);
    assert_eq!(started(&mut agenda, 0), ["b.test@1"]);
    agenda.failed(&name("a.test"), REFUSED, None, 0, 0);
    // The first rests for two seconds, the name at the second for 45.
    assert_eq!(agenda.next(0), Next::Wait(Some(2)));
    assert_eq!(started(&mut agenda, 2), ["a.test@0"]);
}

#[test]
fn names_come_and_go() {
    let mut agenda = agenda(&["a.test", "b.test"], 1);
    assert_eq!(started(&mut agenda, 0), ["a.test@0", "b.test@0"]);
    agenda.failed(&name("b.test"), REFUSED, None, 0, 0);
    agenda.follow(&names(&["b.test", "c.test"]), 1, true);
    // What failed before still waits, what is new starts, what runs is not forgotten.
    assert_eq!(started(&mut agenda, 0), ["c.test@0"]);
    agenda.obtained(&name("a.test"), 5);
    agenda.follow(&names(&["b.test", "c.test"]), 1, true);
    assert_eq!(agenda.next_attempt(&name("a.test")), None);
    // Other authorities know nothing of the failure.
    agenda.follow(&names(&["b.test", "c.test"]), 1, false);
    assert_eq!(started(&mut agenda, 0), ["b.test@0"]);
    // An answer from an authority that is gone does no harm.
    agenda.follow(&names(&["b.test", "c.test"]), 0, false);
    agenda.failed(&name("b.test"), DOWN, None, 0, 0);
    agenda.obtained(&name("c.test"), 9);
    assert_eq!(agenda.next(100), Next::Wait(None));
}

#[test]
fn haste() {
    let mut agenda = agenda(&["a.test"], 1);
    assert_eq!(started(&mut agenda, 0), ["a.test@0"]);
    agenda.failed(&name("a.test"), Failure::Limited { retry_after: Some(9000) }, None, 0, 0);
    assert_eq!(started(&mut agenda, 1), [""; 0]);
    assert!(agenda.hasten(&name("a.test")));
    assert_eq!(started(&mut agenda, 1), ["a.test@0"]);
    assert!(!agenda.hasten(&name("b.test")));
}
