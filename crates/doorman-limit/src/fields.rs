//! What an answer says of limits: `RateLimit-Policy`, `RateLimit` and `Retry-After`.
//!
//! The first two are those of draft-ietf-httpapi-ratelimit-headers-11: lists of structured fields (RFC 9651), whose
//! items are strings, the names of limits. Each function appends one item, so several limits make one field.

use std::fmt::Write;
use std::time::Duration;

use crate::rate::{Level, Rate};

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// Appends what a limit grants: `"name";q=100;w=60`, a quota of requests and the seconds it is for.
///
/// A rate that is given for less than a second, or for no whole number of them, is told for the next whole number of
/// seconds, rounded down.
pub fn rate_limit_policy(field: &mut String, name: &str, rate: &Rate) {
    let window = whole_seconds(rate.per()).max(1);
    let exact = u128::from(window) * 1_000_000_000 * u128::from(rate.count());
    let quota = u64::try_from(exact / rate.per().as_nanos().max(1)).unwrap_or(INTEGER_MAX);
    item(field, name);
    let (quota, window) = (quota.min(INTEGER_MAX), window.min(INTEGER_MAX));
    let _ = write!(field, ";q={quota};w={window}");
}

/// Appends how a key stands: `"name";r=50;t=30`, requests that are left and the seconds for which they are all.
///
/// `t` is the draft's *effective window*: the time in which the client can use no more than what is left. Levels come
/// back one by one, so that is the time until the next one does, in whole seconds, rounded up. It is never above the
/// [`retry_after`] of the same refusal, as section 6 of the draft asks. Above one request a second it is an upper
/// bound: more than `r` may pass within it.
pub fn rate_limit(field: &mut String, name: &str, level: Level) {
    item(field, name);
    let _ = write!(field, ";r={};t={}", level.left, whole_seconds(level.next).min(INTEGER_MAX));
}

/// `Retry-After` in whole seconds (RFC 9110, section 10.2.3), rounded up: who comes then is not too early. At least 1,
/// as 0 would call everybody back at once; at most a year.
#[must_use]
pub fn retry_after(wait: Duration) -> u64 {
    const YEAR: u64 = 366 * 24 * 60 * 60;
    whole_seconds(wait).clamp(1, YEAR)
}

const fn whole_seconds(time: Duration) -> u64 {
    let more = if time.subsec_nanos() > 0 { 1 } else { 0 };
    time.as_secs().saturating_add(more)
}

/// Begins an item: a string of printable ASCII (RFC 9651, section 3.3.3). What cannot stand in one becomes `?`.
fn item(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push_str(", ");
    }
    field.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => field.extend(['\\', c]),
            ' '..='~' => field.push(c),
            _ => field.push('?'),
        }
    }
    field.push('"');
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn policies_are_written() {
        let second = Duration::from_secs(1);
        for (count, per, name, expect) in [
            (100, second, "api", "\"api\";q=100;w=1"),
            (600, second * 60, "per ip", "\"per ip\";q=600;w=60"),
            (1_000, second * 3_600, "a\"b\\c", "\"a\\\"b\\\\c\";q=1000;w=3600"),
            (5, second / 2, "", "\"\";q=10;w=1"),
            (3, second * 5 / 2, "tür\n", "\"t?r?\";q=3;w=3"),
        ] {
            let rate = Rate::new(NonZeroU32::new(count).unwrap(), per, NonZeroU32::MIN).unwrap();
            let mut field = String::new();
            rate_limit_policy(&mut field, name, &rate);
            assert_eq!(field, expect);
        }
    }

    #[test]
    fn levels_are_written_one_behind_the_other() {
        let level = |left, millis| Level {
            left,
            next: Duration::from_millis(millis),
            reset: Duration::from_secs(99),
        };
        let mut field = String::new();
        rate_limit(&mut field, "a", level(50, 29_001));
        rate_limit(&mut field, "b", level(0, 0));
        assert_eq!(field, "\"a\";r=50;t=30, \"b\";r=0;t=0");
    }

    #[test]
    fn whoever_comes_back_is_not_too_early() {
        for (nanos, seconds) in [(0, 1), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(retry_after(Duration::from_nanos(nanos)), seconds);
        }
        assert_eq!(retry_after(Duration::MAX), 31_622_400);
    }
}
