//! When an answer counts.

use crate::der::Malformed;

/// Seconds that two clocks may differ: an answer that was made this far in the future is taken.
pub const CLOCKS_APART: u64 = 300;

/// From when on, and until when, an answer counts. Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// `thisUpdate`: when what it says was known to be so.
    pub since: u64,
    /// `nextUpdate`: when there is newer knowledge at the latest.
    pub until: u64,
}

/// Why an answer does not count now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untimely {
    /// It is from the future.
    Early,
    /// Its time is over.
    Late,
    /// It does not say until when it counts, so it cannot be kept (RFC 5019 section 2.2.4).
    Endless,
}

impl Period {
    /// The time of an answer, if it counts at `now`.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn at(since: u64, until: Option<u64>, now: u64) -> Result<Self, Untimely> {
        let until = until.ok_or(Untimely::Endless)?;
        if since > now.saturating_add(CLOCKS_APART) {
            return Err(Untimely::Early);
        }
        if until <= now || until <= since {
            return Err(Untimely::Late);
        }
        Ok(Self { since, until })
    }
}

/// A `GeneralizedTime` as RFC 5280 section 4.1.2.5.2 has it, `YYYYMMDDHHMMSSZ`, in unix seconds.
pub(crate) fn unix_seconds(text: &[u8]) -> Result<u64, Malformed> {
    let (digits, zone) = text.split_at_checked(14).ok_or(Malformed)?;
    if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = digits.get(range).unwrap_or_default();
        digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    let (hour, minute, second) = (number(8..10), number(10..12), number(12..14));
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return Err(Malformed),
    };
    if year < 1970 || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(Malformed);
    }
    // Years from March on, so that the day that comes and goes is the last.
    let (shifted, since_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = shifted / 4 - shifted / 100 + shifted / 400;
    let day_of_year = (153 * since_march + 2) / 5 + day - 1;
    // 719,468 days lie between the first of March of year 0 and 1970.
    let days = 365 * shifted + leaps + day_of_year - 719_468;
    Ok(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(unix_seconds(text.as_bytes()).ok(), expect, "{text}");
        };
        check("19700101000000Z", Some(0));
        check("19700301000000Z", Some(59 * 86_400));
        check("20000229235959Z", Some(951_868_799));
        check("20261126214033Z", Some(1_795_729_233));
        check("99991231235959Z", Some(253_402_300_799));
        check("19691231235959Z", None);
        check("20230229000000Z", None);
        check("21000229000000Z", None);
        check("20231301000000Z", None);
        check("20230001000000Z", None);
        check("20230100000000Z", None);
        check("20230101240000Z", None);
        check("20230101006000Z", None);
        check("20230101000060Z", None);
        check("20230101000000", None);
        check("20230101000000.5Z", None);
        check("20230101000000+0100", None);
        check("2023010100000\u{e9}", None);
        check("", None);
    }

    #[test]
    fn periods() {
        let check = |since: u64, until: Option<u64>, expect: Result<(), Untimely>| {
            let found = Period::at(since, until, 10_000).map(|_| ());
            assert_eq!(found, expect, "{since} {until:?}");
        };
        check(9_000, Some(11_000), Ok(()));
        check(10_000, Some(10_001), Ok(()));
        check(10_000 + CLOCKS_APART, Some(20_000), Ok(()));
        check(10_001 + CLOCKS_APART, Some(20_000), Err(Untimely::Early));
        check(9_000, Some(10_000), Err(Untimely::Late));
        check(10_200, Some(10_100), Err(Untimely::Late));
        check(9_000, None, Err(Untimely::Endless));
        check(u64::MAX, Some(u64::MAX), Err(Untimely::Early));
    }
}
