//! Section 4.2: lifetimes and ages.

use doorman_cache::{Admission, Asked, CacheRules, NotStored, SECONDS_MAX, TtlRule, admit};
use doorman_http::Method;

use super::kit::{NOW, after, judge, response, stored};

/// Section 4.2.1, and where it ends: 4.2.2.
#[test]
fn lifetimes_come_from_the_strongest_source() {
    for (text, expect) in [
        ("Cache-Control: max-age=60", Ok(60)),
        ("Cache-Control: s-maxage=60, max-age=5", Ok(60)),
        ("Cache-Control: max-age=500, s-maxage=60", Ok(60)),
        ("Cache-Control: max-age=0, s-maxage=60 | Expires: {-10}", Ok(60)),
        ("Cache-Control: max-age=60 | Expires: {-10} | Date: {0}", Ok(60)),
        ("Cache-Control: max-age=60 | Expires: 0", Ok(60)),
        ("Cache-Control: max-age=0 | Expires: {60}", Err(NotStored::NoValidator)),
        ("Expires: {60} | Date: {0}", Ok(60)),
        ("Expires: {60} | Date: {-20}", Ok(80)),
        ("Expires: {60} | Date: {20}", Ok(40)),
        ("Expires: {60}", Ok(60)),
        ("Expires: {60} | Date: foo", Ok(60)),
        ("Expires: {0} | Date: {0}", Err(NotStored::NoValidator)),
        ("Expires: {300} | Date: {400}", Err(NotStored::NoValidator)),
        // Not a date: expired, and no guess takes its place.
        ("Expires: 0 | Date: {0}", Err(NotStored::NoValidator)),
        ("Expires: -1 | Last-Modified: {-1000}", Ok(0)),
        ("Expires: Thu, 18 Aug 2050 02:01:18 UTC", Err(NotStored::NoValidator)),
        ("Expires: Thu, 18 Aug 50 02:01:18 GMT", Err(NotStored::NoValidator)),
        ("Expires: {60} | Expires: 0", Err(NotStored::NoValidator)),
        ("Expires: {60} | Expires: {50}", Ok(50)),
        ("Expires: Thursday, 18-Aug-50 02:01:18 GMT", Ok(749_354_478)),
        ("Expires: Thu Aug 18 02:01:18 2050", Ok(749_354_478)),
        ("Expires: THU, 18 AUG 2050 02:01:18 gmt", Ok(749_354_478)),
        // OPS-13: past 2038 and past what 32 bits hold.
        ("Expires: Tue, 19 Jan 2038 03:14:08 GMT", Ok(u32::try_from(2_147_483_648 - NOW).unwrap())),
        ("Expires: Sun, 21 Nov 2286 04:46:39 GMT", Ok(SECONDS_MAX)),
        ("Expires: Fri, 31 Dec 9999 23:59:59 GMT", Ok(SECONDS_MAX)),
        // A tenth of what it has been unchanged, a day at most.
        ("Last-Modified: {-1000} | Date: {0}", Ok(100)),
        ("Last-Modified: {-1000}", Ok(100)),
        ("Last-Modified: {-9}", Ok(0)),
        ("Last-Modified: {-100000000}", Ok(86_400)),
        ("Last-Modified: {60}", Ok(0)),
        ("Last-Modified: yesterday", Err(NotStored::NoFreshness)),
        ("Cache-Control: public", Err(NotStored::NoFreshness)),
        ("ETag: \"a\"", Ok(0)),
        ("ETag: *", Err(NotStored::NoFreshness)),
        ("", Err(NotStored::NoFreshness)),
    ] {
        let lifetime = judge(200, text, &CacheRules::default()).map(|meta| meta.lifetime());
        assert_eq!(lifetime, expect, "{text}");
    }
    assert!(stored("Last-Modified: {-1000}").is_guessed());
    assert!(!stored("Cache-Control: max-age=100").is_guessed());
}

#[test]
fn the_operators_rules_fill_in_and_force_replaces() {
    let rule = |seconds, statuses: &[u16]| TtlRule { seconds, statuses: statuses.into() };
    let rules = CacheRules {
        ttls: [rule(30, &[]), rule(5, &[404, 503]), rule(9, &[301, 404])].into(),
        ..CacheRules::default()
    };
    let forced = CacheRules { force: Some(70), ..rules.clone() };
    for (status, text, filled, replaced) in [
        (200, "", Ok(30), Ok(70)),
        (200, "Cache-Control: max-age=60", Ok(60), Ok(70)),
        (200, "Expires: 0 | ETag: \"a\"", Ok(0), Ok(70)),
        (200, "Last-Modified: {-1000}", Ok(30), Ok(70)),
        (200, "Age: 100", Ok(30), Ok(170)),
        (301, "", Ok(9), Ok(70)),
        (404, "", Ok(5), Ok(70)),
        (404, "Cache-Control: max-age=60", Ok(60), Ok(70)),
        (503, "", Ok(5), Ok(5)),
        (503, "Cache-Control: max-age=60", Ok(60), Ok(60)),
        (410, "", Err(NotStored::Status(410)), Ok(70)),
        (302, "", Err(NotStored::Status(302)), Err(NotStored::Status(302))),
        (302, "Cache-Control: max-age=60", Ok(60), Ok(60)),
        (500, "", Err(NotStored::Status(500)), Err(NotStored::Status(500))),
        (206, "", Err(NotStored::Partial), Err(NotStored::Partial)),
        // Force lifts no prohibition.
        (200, "Cache-Control: private", Err(NotStored::Private), Err(NotStored::Private)),
        (200, "Cache-Control: no-store", Err(NotStored::NoStore), Err(NotStored::NoStore)),
        (200, "Set-Cookie: a=b", Err(NotStored::SetCookie), Err(NotStored::SetCookie)),
        (200, "Cache-Control: no-cache", Err(NotStored::NoValidator), Err(NotStored::NoValidator)),
    ] {
        for (rules, expect) in [(&rules, filled), (&forced, replaced)] {
            let lifetime = judge(status, text, rules).map(|meta| meta.lifetime());
            assert_eq!(lifetime, expect, "{status} {text} {:?}", rules.force);
        }
    }
    let validated = judge(200, "Cache-Control: no-cache | ETag: \"a\"", &forced).unwrap();
    assert!(validated.is_always_validated());
}

/// Section 4.2.3 (CIN-17).
#[test]
fn ages_add_up_and_saturate() {
    for (text, expect) in [
        ("", 0),
        ("Age: 30", 30),
        ("Age: 030", 30),
        ("Age: abc", 0),
        ("Age: -7200", 0),
        ("Age: 7200.0", 0),
        ("Age: ", 0),
        ("Age: 7200, 0", 7_200),
        ("Age: 0, 7200", 0),
        ("Age: x, 7200", 7_200),
        ("Age: 7200 | Age: 0", 7_200),
        ("Age: 0 | Age: 7200", 0),
        ("Age: 7200;foo=bar", 7_200),
        ("Age: 2147483647", SECONDS_MAX - 1),
        ("Age: 2147483648", SECONDS_MAX),
        ("Age: 18446744073709551616", SECONDS_MAX),
        ("Date: {-90}", 90),
        ("Date: {-90} | Age: 30", 90),
        ("Date: {-90} | Age: 100", 100),
        // A date in the future says nothing.
        ("Date: {90}", 0),
        ("Date: {90} | Age: 30", 30),
        ("Date: {1000000000}", 0),
        ("Date: Thu, 01 Jan 1970 00:00:00 GMT", u32::try_from(NOW).unwrap()),
        ("Date: 0", 0),
    ] {
        let meta = stored(&format!("ETag: \"a\" | {text}"));
        assert_eq!(meta.age(after(0)), expect, "{text}");
        let later = expect.saturating_add(60).min(SECONDS_MAX);
        assert_eq!(meta.age(after(60)), later, "{text}");
        assert_eq!(meta.age(after(1 << 33)), SECONDS_MAX, "{text}");
    }
}

#[test]
fn the_way_to_the_origin_counts_as_age() {
    let rules = CacheRules::default();
    for (text, expect) in [
        ("Cache-Control: max-age=60", 7),
        ("Cache-Control: max-age=60 | Age: 10", 17),
        ("Cache-Control: max-age=60 | Date: {0}", 7),
        ("Cache-Control: max-age=60 | Date: {-10}", 17),
        ("Cache-Control: max-age=60 | Date: {7} | Age: 4294967295", SECONDS_MAX),
    ] {
        let head = response(200, text);
        let verdict = admit(&Method::Get, &Asked::default(), &head, &rules, after(0), after(7));
        match verdict {
            Admission::Store(meta) => assert_eq!(meta.age(after(7)), expect, "{text}"),
            Admission::Refuse(why) => panic!("{text}: {why:?}"),
        }
    }
}

/// Section 4.2: fresh while the lifetime is greater than the age.
#[test]
fn a_response_is_fresh_until_its_lifetime_is_over() {
    let meta = stored("Cache-Control: max-age=60 | Age: 10");
    for (seconds, ttl) in [(0, 50), (49, 1), (50, 0), (51, -1), (1_000, -950)] {
        assert_eq!(meta.ttl(after(seconds)), ttl);
        assert_eq!(meta.is_fresh(after(seconds)), ttl > 0);
    }
    let mut purged = meta;
    purged.make_stale();
    assert!(!purged.is_fresh(after(0)) && purged.was_made_stale());
    assert_eq!((purged.ttl(after(0)), purged.ttl(after(70))), (0, -20));
    let meta = stored("Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=9");
    assert_eq!((meta.useful_seconds(after(0)), meta.useful_seconds(after(100))), (69, 0));
}
