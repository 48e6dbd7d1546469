//! Dates of HTTP (RFC 9110 section 5.6.7): written in one form, read in all three.
//!
//! Days, months and `GMT` are read in any case: what is meant is not in doubt, and to take such a
//! date for none would make a response expire that its origin called fresh.

/// Bytes of a date as it is written.
pub const LEN: usize = 29;
const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const LONG_DAYS: [&[u8]; 7] =
    [b"Thursday", b"Friday", b"Saturday", b"Sunday", b"Monday", b"Tuesday", b"Wednesday"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
/// 31 December 9999, 23:59:59: four digits hold no later year.
const SECONDS_MAX: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

/// Seconds since the Unix epoch for a date in one of the three forms. `now`, in the same unit, tells
/// which century a year of two digits is of. `None` for anything else, and for times before the
/// epoch.
#[must_use]
pub fn parse(text: &[u8], now: u64) -> Option<u64> {
    match text.iter().position(|&byte| byte == b',') {
        Some(3) => fixed(text.first_chunk()?, text.len()),
        Some(comma) => rfc850(text, comma, now),
        None => asctime(text.first_chunk()?, text.len()),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn fixed(text: &[u8; LEN], len: usize) -> Option<u64> {
    let marks = text[4] == b' ' && text[7] == b' ' && text[11] == b' ' && text[16] == b' ';
    if len != LEN || !marks || !names_day(&text[..3]) || !ends_in_gmt(&text[25..]) {
        return None;
    }
    let date = (number(&text[12..16])?, month(&text[8..11])?, number(&text[5..7])?);
    moment(date, &text[17..25])
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], comma: usize, now: u64) -> Option<u64> {
    let (day, rest) = text.split_at_checked(comma)?;
    let rest: &[u8; 24] = rest.try_into().ok()?;
    let marks = rest[1] == b' ' && rest[4] == b'-' && rest[8] == b'-' && rest[11] == b' ';
    let is_day = LONG_DAYS.iter().any(|name| day.eq_ignore_ascii_case(name));
    if !marks || !is_day || !ends_in_gmt(&rest[20..]) {
        return None;
    }
    let year = century(number(&rest[9..11])?, now);
    moment((year, month(&rest[5..8])?, number(&rest[2..4])?), &rest[12..20])
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8; 24], len: usize) -> Option<u64> {
    let marks = [3, 7, 10, 19].iter().all(|&i| text[i] == b' ');
    if len != text.len() || !marks || !names_day(&text[..3]) {
        return None;
    }
    let day = text[8..10].strip_prefix(b" ").unwrap_or(&text[8..10]);
    moment((number(&text[20..])?, month(&text[4..7])?, number(day)?), &text[11..19])
}

fn names_day(name: &[u8]) -> bool {
    DAYS.iter().any(|day| name.eq_ignore_ascii_case(*day))
}

fn ends_in_gmt(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b" GMT")
}

fn month(name: &[u8]) -> Option<u64> {
    (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(*month)).map(|(n, _)| n)
}

fn number(digits: &[u8]) -> Option<u64> {
    let digit = |n: u64, &b: &u8| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0'));
    digits.iter().try_fold(0, digit)
}

/// A year of two digits is never more than 50 years ahead (RFC 9110 section 5.6.7).
fn century(year: u64, now: u64) -> u64 {
    let (this, _, _) = civil(now.min(SECONDS_MAX) / DAY);
    let year = this - this % 100 + year;
    if year > this + 50 { year - 100 } else { year }
}

fn moment((year, month, day): (u64, u64, u64), clock: &[u8]) -> Option<u64> {
    let &[_, _, b':', _, _, b':', _, _] = clock else { return None };
    let (hour, minute, second) =
        (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?);
    // A leap second is taken as the second after it.
    if year < 1970 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    (civil(days) == (year, month, day)).then_some(days * DAY + hour * 3_600 + minute * 60 + second)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` for seconds since the Unix epoch. Times past the year 9999 are
/// written as its end.
#[must_use]
pub fn write(unix_seconds: u64) -> [u8; LEN] {
    let seconds = unix_seconds.min(SECONDS_MAX);
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let mut text = *b"Day, 00 Mon 0000 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[index(days % 7)]);
    digits(&mut text[5..7], day);
    text[8..11].copy_from_slice(MONTHS[index(month - 1)]);
    digits(&mut text[12..16], year);
    digits(&mut text[17..19], second / 3_600);
    digits(&mut text[20..22], second / 60 % 60);
    digits(&mut text[23..25], second % 60);
    text
}

/// Year, month and day of a day since the epoch, in the Gregorian calendar. Years begin in March
/// here, so that the leap day is the last of its year; eras are the 400 years after which the
/// calendar repeats.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The reverse of [`civil`] for years from 1970 on; days that a month does not have run over.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year) = (year / 400, year % 400);
    let month = (month + 9) % 12;
    let day = (153 * month + 2) / 5 + day;
    // Day 0 would lie before the epoch; the caller finds it out by turning the result back.
    (era * 146_097 + year * 365 + year / 4 - year / 100 + day).saturating_sub(719_469)
}

fn digits(room: &mut [u8], mut number: u64) {
    for place in room.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// November 2026.
    const NOW: u64 = 1_795_000_000;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
            (4_294_967_296, "Sun, 07 Feb 2106 06:28:16 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (SECONDS_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(String::from_utf8_lossy(&write(seconds)), text);
            assert_eq!(parse(text.as_bytes(), NOW), Some(seconds));
        }
        assert_eq!(write(u64::MAX), write(SECONDS_MAX));
    }

    #[test]
    fn other_forms_and_what_is_no_date() {
        for (text, expect) in [
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("sUNDAY, 06-nov-94 08:49:37 gmt", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("SUN NOV 06 08:49:37 1994", Some(784_111_777)),
            ("SUN, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 06 NOV 1994 08:49:37 gMT", Some(784_111_777)),
            // A year of two digits: 50 years ahead are the future, 51 the past.
            ("Wednesday, 01-Jan-76 00:00:00 GMT", Some(3_345_062_400)),
            ("Saturday, 01-Jan-77 00:00:00 GMT", Some(220_924_800)),
            // OPS-13: the second that is inserted.
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("Sun, 06 Nov 1994 08:49:61 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT+1", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:60:37 GMT", None),
            ("Sun, 06 Nov 1994 08.49.37 GMT", None),
            ("Sun, 06 Nov 1994 8:49:37 GMT", None),
            ("Sun, 06-Nov-1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 94 08:49:37 GMT", None),
            ("Sun, 06  Nov  1994 08:49:37 GMT", None),
            ("Sun 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Day, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nix 1994 08:49:37 GMT", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
            ("Sun, 00 Jan 1970 08:49:37 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Someday, 06-Nov-94 08:49:37 GMT", None),
            ("Sunday, 06-Nov-1994 08:49:37 GMT", None),
            ("Sun Nov 31 08:49:37 1994", None),
            ("Sun Nov 6 08:49:37 1994", None),
            ("0", None),
            ("-1", None),
            ("", None),
            (",", None),
            ("abc,", None),
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..=SECONDS_MAX) {
            prop_assert_eq!(parse(&write(seconds), NOW), Some(seconds));
        }

        #[test]
        fn no_text_panics(text in prop_oneof!["\\PC{0,40}", "[A-Z][a-z]{2,8}, [0-9 A-Za-z:-]{0,30}"], now: u64) {
            let _ = parse(text.as_bytes(), now);
        }
    }
}
