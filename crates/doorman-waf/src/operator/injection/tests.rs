use proptest::prelude::*;

use super::spliced::spliced;
use super::*;

#[track_caller]
fn check_sqli(cases: &[(&[u8], Option<&[u8]>)]) {
    for (value, expected) in cases {
        let found = detect_sqli(value);
        let found = found.as_ref().map(Fingerprint::as_bytes);
        assert_eq!(found, *expected, "{}", value.escape_ascii());
    }
}

#[test]
fn sql() {
    check_sqli(&[
        (b"", None),
        (b"bicycle", None),
        (b"the old man and the sea", None),
        (b"someone@example.com", None),
        (b"https://example.com/a?b=c&d=e", None),
        (b"O'Reilly", None),
        (b"1' or '1'='1", Some(b"s&sos")),
        (b"1 union select 1 from x", Some(b"1UE1k")),
        (b"1; drop table users", Some(b"1;Tnn")),
        (b"x' into outfile '/tmp/y", Some(b"sks")),
        (b"/*!50000select*/ 1", Some(b"X")),
        (b"1--", Some(b"1c")),
    ]);
}

#[test]
fn html() {
    let check = |value: &[u8], expected| {
        assert_eq!(detect_xss(value), expected, "{}", value.escape_ascii());
    };
    check(b"", false);
    check(b"a < b and c = d", false);
    check(b"<b>bold</b>", false);
    check(b"<a href=https://example.com/>", false);
    check(b"<script>", true);
    check(b"<ScR\0ipt>", true);
    check(b"<svg/onload=x>", true);
    check(b"<x onclick=y>", true);
    check(b"x onerror=y", true);
    check(b"' onerror='y", true);
    check(b"\" style=\"y", true);
    check(b"<a href=\"java&#115;cript:x\">", true);
    check(b"<a href=\" \x01j&#x0A;avascript:x\">", true);
    check(b"<!doctype html>", true);
    check(b"<!--[if IE]>", true);
    check(b"<!-- ` -->", true);
    check(b"<!-- plain -->", false);
    check(b"<img \xff onerror=y>", true);
}

/// Words are what the cheap question is about: all that mean something, alone and behind a digit.
#[test]
fn words_alone_are_harmless() {
    for entry in libinjectionrs::sqli::sqli_data::SQL_KEYWORDS {
        for value in
            [entry.word.to_owned(), entry.word.replace(' ', "_"), format!("1{}", entry.word)]
        {
            let value = value.as_bytes();
            assert!(may_be_sqli(value) || sqli::look(value).is_none(), "{}", entry.word);
        }
    }
}

/// Values that a careless reader would go over again for each of their marks.
#[test]
fn long_values_are_read_once() {
    let units: [&[u8]; 14] = [
        b"or.",
        b"in.like`",
        b"$a$",
        b"\\'",
        b"/*",
        b"<!--",
        b"</>",
        b"<a / ",
        b"-\0",
        b"<![CDATA[",
        b"<%",
        b"href=&#000 ",
        b"q'a",
        b"1,",
    ];
    for unit in units {
        let value = unit.repeat(60_000 / unit.len());
        let _ = (detect_sqli(&value), detect_xss(&value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_not_asked_is_harmless(
        value in spliced(),
        word in "[a-zA-Z_][a-zA-Z0-9_]{0,9}|[0-9]{1,9}|[bexnqu0-9][a-f0-9_]{0,6}",
        bytes in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        for value in [value, word.into_bytes(), bytes] {
            prop_assert!(may_be_sqli(&value) || sqli::look(&value).is_none());
            prop_assert!(may_be_xss(&value) || !xss::look(&value));
        }
    }

    #[test]
    fn nothing_panics(value in spliced()) {
        let _ = (detect_sqli(&value), detect_xss(&value));
    }

    #[test]
    fn nothing_panics_of_any_bytes(value in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = (detect_sqli(&value), detect_xss(&value));
    }
}
