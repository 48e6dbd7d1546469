//! Clocks that jump (OPS-12), times past 32 bits (OPS-13), and what outlives a process.

use doorman_cache::{Admission, Asked, CacheRules, Meta, SECONDS_MAX, admit};
use doorman_http::{Instant, Method, Now};
use proptest::prelude::*;

use super::kit::{NOW, after, clocks, response, stored};

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 86_400;

/// OPS-12: inside of one process the wall clock may say what it likes.
#[test]
fn no_jump_of_the_wall_clock_changes_an_age() {
    let meta = stored("Cache-Control: max-age=60 | Age: 10");
    for jump in [-YEAR, -HOUR, 0, HOUR, YEAR] {
        let now = clocks(20, 20 + jump);
        assert_eq!((meta.age(now), meta.is_fresh(now)), (30, true), "{jump}");
        let now = clocks(50, 50 + jump);
        assert_eq!((meta.age(now), meta.is_fresh(now)), (60, false), "{jump}");
    }
    // The monotonic clock does not go back; were it to, nothing would become negative.
    assert_eq!(meta.age(clocks(-100, 0)), 10);
}

/// OPS-12: a response that comes while the clock is wrong. A clock that is ahead makes it look old, and
/// one that is behind is no reason to believe in a date of the future.
#[test]
fn a_wrong_clock_makes_no_response_younger() {
    for (jump, age) in
        [(-YEAR, 5), (-HOUR, 5), (0, 5), (HOUR, 3_600), (YEAR, u32::try_from(YEAR).unwrap())]
    {
        let head = response(200, "ETag: \"a\" | Date: {0} | Age: 5 | Cache-Control: max-age=60");
        let now = clocks(0, jump);
        let verdict =
            admit(&Method::Get, &Asked::default(), &head, &CacheRules::default(), now, now);
        let Admission::Store(meta) = verdict else { panic!("{verdict:?}") };
        assert_eq!(meta.age(now), age, "{jump}");
    }
}

/// OPS-12: over a restart only the wall clock has gone on.
#[test]
fn a_restart_ages_by_the_wall_clock() {
    let meta = stored("Cache-Control: max-age=600 | Age: 10");
    for (passed, age, is_fresh) in [
        (0, 10, true),
        (100, 110, true),
        (590, 600, false),
        (YEAR, 10 + u32::try_from(YEAR).unwrap(), false),
        (200 * YEAR, SECONDS_MAX, false),
        // The clock shows a time before it came: how old it is nobody knows.
        (-1, 10, false),
        (-YEAR, 10, false),
    ] {
        // The monotonic clock of the next process began at another time.
        let now = clocks(-999_999, passed);
        let read = Meta::from_bytes(&meta.to_bytes()).expect("what was written");
        let meta = read.recovered(now);
        assert_eq!((meta.age(now), meta.is_fresh(now)), (age, is_fresh), "{passed}");
        let later = clocks(-999_899, passed);
        assert_eq!(meta.age(later), age.saturating_add(100).min(SECONDS_MAX), "{passed}");
    }
}

/// OPS-13: the last second of 31 bits, of 32 bits, and the end of all clocks.
#[test]
fn times_past_32_bits() {
    for unix in [i64::from(i32::MAX), i64::from(u32::MAX), 1 << 33] {
        let passed = unix - i64::try_from(NOW).unwrap();
        for step in [-1, 0, 1, 2] {
            let now = after(passed + step);
            let date = super::kit::date(passed + step);
            let expires = super::kit::date(passed + step + 60);
            let head = response(200, &format!("Date: {date} | Expires: {expires}"));
            let verdict =
                admit(&Method::Get, &Asked::default(), &head, &CacheRules::default(), now, now);
            let Admission::Store(meta) = verdict else { panic!("{verdict:?}") };
            assert_eq!(
                (meta.lifetime(), meta.age(now), meta.ttl(now)),
                (60, 0, 60),
                "{unix} {step}"
            );
        }
    }
    let end = Now { instant: Instant(u64::MAX), unix_nanos: u64::MAX };
    let meta = stored("Cache-Control: max-age=60");
    assert_eq!(meta.age(end), SECONDS_MAX);
    assert_eq!(meta.recovered(end).age(end), SECONDS_MAX);
}

#[test]
fn what_is_kept_beside_an_object_is_small() {
    assert!(size_of::<Meta>() <= 64, "{}", size_of::<Meta>());
    let meta = stored("Cache-Control: max-age=60");
    let bytes = meta.to_bytes();
    // Other flags, another status, more seconds than there are, something behind the end.
    for (at, byte) in [(27, 0xFF), (27, 2), (25, 0xFF), (24, 0), (15, 0xFF), (28, 1), (31, 1)] {
        let mut damaged = bytes;
        damaged[at] = byte;
        if at == 24 {
            damaged[25] = 0;
        }
        assert_eq!(Meta::from_bytes(&damaged), None, "byte {at}");
    }
}

proptest! {
    #[test]
    fn bytes_that_are_read_are_those_that_were_written(bytes: [u8; Meta::BYTES], now: u64) {
        if let Some(meta) = Meta::from_bytes(&bytes) {
            prop_assert_eq!(meta.to_bytes(), bytes);
            let now = Now { instant: Instant(now), unix_nanos: now };
            let meta = meta.recovered(now);
            prop_assert!(meta.age(now) <= SECONDS_MAX);
            prop_assert_eq!(meta.is_fresh(now), meta.ttl(now) > 0);
        }
    }
}
