//! Sections 4, 4.2.4 and 5.2.1, RFC 5861 and RFC 8246 (CDE-06, CDE-15, CDE-16).

use doorman_cache::{
    Admission, Asked, CacheRules, Forward, TtlRule, Use, Why, admit, decide, may_serve_on_error,
};
use doorman_http::{Method, ResponseHead};

use super::kit::{after, judge, request, stored};

const STALE: Use = Use::Validate(Why::Stale);
const ASKED: Use = Use::Validate(Why::Asked);

fn check(asked: &str, text: &str, seconds: i64, expect: Use) {
    let asked_for = Asked::of(&request(asked), &CacheRules::default());
    let verdict = decide(&asked_for, &stored(text), after(seconds));
    assert_eq!(verdict, expect, "asked {asked:?} of {text:?} after {seconds} s");
}

/// CDE-16: the client's directives.
#[test]
fn requests_say_what_they_take() {
    let text = "Cache-Control: max-age=60 | Age: 10";
    for (asked, seconds, expect) in [
        ("", 0, Use::Fresh),
        ("", 49, Use::Fresh),
        ("", 50, STALE),
        ("Cache-Control: no-cache", 0, ASKED),
        ("Cache-Control: No-Cache=\"x\"", 0, ASKED),
        ("Pragma: no-cache", 0, ASKED),
        ("Pragma: No-Cache, x", 0, ASKED),
        ("Pragma: other", 0, Use::Fresh),
        // `Pragma` is for those who know nothing better (section 5.4).
        ("Pragma: no-cache | Cache-Control: max-stale", 0, Use::Fresh),
        ("Cache-Control: no-store", 0, Use::Fresh),
        ("Cache-Control: max-age=10", 0, Use::Fresh),
        ("Cache-Control: max-age=10", 1, ASKED),
        ("Cache-Control: max-age=600", 49, Use::Fresh),
        ("Cache-Control: max-age=600", 50, STALE),
        ("Cache-Control: max-age=0", 0, ASKED),
        ("Cache-Control: max-age=x", 0, ASKED),
        ("Cache-Control: max-age=600, max-age=5", 0, ASKED),
        ("Cache-Control: max-age=5 | Cache-Control: max-age=600", 0, ASKED),
        ("Cache-Control: min-fresh=50", 0, Use::Fresh),
        ("Cache-Control: min-fresh=51", 0, ASKED),
        ("Cache-Control: min-fresh=1, min-fresh=51", 0, ASKED),
        ("Cache-Control: min-fresh=51, min-fresh=1", 0, ASKED),
        ("Cache-Control: min-fresh=x", 0, Use::Fresh),
        ("Cache-Control: max-stale", 1_000_000, Use::StaleAllowed),
        ("Cache-Control: max-stale=10", 60, Use::StaleAllowed),
        ("Cache-Control: max-stale=10", 61, STALE),
        ("Cache-Control: max-stale=\"10\"", 60, Use::StaleAllowed),
        ("Cache-Control: max-stale=x", 50, Use::StaleAllowed),
        ("Cache-Control: max-stale=x", 51, STALE),
        ("Cache-Control: max-stale=10, max-stale", 61, STALE),
        ("Cache-Control: max-stale, max-stale=10", 61, STALE),
        ("Cache-Control: max-stale=10, max-stale=5", 56, STALE),
        ("Cache-Control: max-stale=99999999999999", 100_000, Use::StaleAllowed),
        ("Cache-Control: max-age=60, max-stale=10", 50, Use::StaleAllowed),
        ("Cache-Control: max-age=60, max-stale=10", 51, ASKED),
        ("Cache-Control: min-fresh=1, max-stale=10", 50, ASKED),
        ("Cache-Control: only-if-cached", 0, Use::Fresh),
        ("Cache-Control: only-if-cached", 50, STALE),
        ("Cache-Control: only-if-cached, max-stale", 50, Use::StaleAllowed),
        ("Cache-Control: other=1", 0, Use::Fresh),
    ] {
        check(asked, text, seconds, expect);
    }
    let of = |text, rules: &CacheRules| Asked::of(&request(text), rules);
    assert!(of("Cache-Control: Only-If-Cached", &CacheRules::default()).only_if_cached);
    let deaf = CacheRules { client_control: false, ..CacheRules::default() };
    let all =
        "Cache-Control: no-cache, no-store, only-if-cached, max-age=0, min-fresh=9, max-stale";
    assert_eq!(of(all, &deaf), Asked::default());
    assert_eq!(of("Pragma: no-cache", &deaf), Asked::default());
}

/// CDE-15 and section 4.2.4: what is served stale, and what never is.
#[test]
fn stale_responses_are_served_where_nothing_forbids_it() {
    for (text, seconds, expect) in [
        ("Cache-Control: max-age=60, stale-while-revalidate=30", 59, Use::Fresh),
        ("Cache-Control: max-age=60, stale-while-revalidate=30", 60, Use::StaleRefresh),
        ("Cache-Control: max-age=60, stale-while-revalidate=30", 89, Use::StaleRefresh),
        ("Cache-Control: max-age=60, stale-while-revalidate=30", 90, STALE),
        ("Cache-Control: max-age=60, stale-while-revalidate=0", 60, STALE),
        ("Cache-Control: max-age=60, stale-while-revalidate=x", 60, STALE),
        ("Cache-Control: max-age=60, stale-while-revalidate=30, must-revalidate", 60, STALE),
        ("Cache-Control: max-age=60, stale-while-revalidate=30, proxy-revalidate", 60, STALE),
        // Said in so many words beside `s-maxage`, which forbids it only by the way.
        ("Cache-Control: s-maxage=60, stale-while-revalidate=30", 60, Use::StaleRefresh),
    ] {
        check("", text, seconds, expect);
    }
    let swr = "Cache-Control: max-age=60, stale-while-revalidate=30";
    check("Cache-Control: max-age=600", swr, 60, STALE);
    check("Cache-Control: max-stale", swr, 89, Use::StaleRefresh);
    check("Cache-Control: max-stale", swr, 90, Use::StaleAllowed);
    check("Cache-Control: max-stale, max-age=600", swr, 60, Use::StaleAllowed);
    check("Cache-Control: no-cache", swr, 60, ASKED);
    for forbidden in ["must-revalidate", "proxy-revalidate", "s-maxage=60"] {
        let text = format!("Cache-Control: max-age=60, {forbidden}");
        check("Cache-Control: max-stale", &text, 59, Use::Fresh);
        check("Cache-Control: max-stale", &text, 60, STALE);
    }
    for text in [
        "Cache-Control: no-cache | ETag: \"a\"",
        "Cache-Control: no-cache, max-age=60 | ETag: \"a\"",
    ] {
        check("", text, 0, Use::Validate(Why::NoCache));
        check("Cache-Control: max-stale", text, 0, Use::Validate(Why::NoCache));
    }
    check("", "Cache-Control: no-cache=\"a\", max-age=60", 0, Use::Fresh);
}

#[test]
fn the_operators_windows_hold_where_the_response_says_nothing() {
    let rules = CacheRules { stale: Some(30), stale_if_error: Some(300), ..CacheRules::default() };
    for (text, swr, sie) in [
        ("Cache-Control: max-age=60", true, true),
        ("Cache-Control: max-age=60, stale-while-revalidate=0", false, true),
        ("Cache-Control: max-age=60, stale-if-error=0", true, true),
        ("Cache-Control: max-age=60, stale-if-error=0, stale-while-revalidate=0", false, false),
        ("Cache-Control: s-maxage=60", false, false),
        ("Cache-Control: s-maxage=60, stale-if-error=30", false, true),
        ("Cache-Control: max-age=60, must-revalidate", false, false),
        ("Cache-Control: max-age=60, proxy-revalidate, stale-if-error=30", false, false),
        ("Cache-Control: max-age=60, no-cache | ETag: \"a\"", false, false),
    ] {
        let meta = judge(200, text, &rules).unwrap();
        let asked = Asked::default();
        assert_eq!(decide(&asked, &meta, after(61)) == Use::StaleRefresh, swr, "{text}");
        assert_eq!(may_serve_on_error(&asked, &meta, after(61)), sie, "{text}");
    }
}

/// RFC 5861 section 4.
#[test]
fn errors_of_the_origin() {
    let text = "Cache-Control: max-age=60, stale-if-error=30";
    for (asked, text, seconds, expect) in [
        ("", text, 0, true),
        ("", text, 60, true),
        ("", text, 89, true),
        ("", text, 90, false),
        ("", "Cache-Control: max-age=60", 60, false),
        ("", "Cache-Control: max-age=60, stale-while-revalidate=30", 89, true),
        ("", "Cache-Control: max-age=60, stale-if-error=30, must-revalidate", 60, false),
        ("", "Cache-Control: max-age=60, stale-if-error=30, proxy-revalidate", 60, false),
        ("", "Cache-Control: no-cache, stale-if-error=30 | ETag: \"a\"", 0, false),
        ("Cache-Control: stale-if-error=30", "Cache-Control: max-age=60", 89, true),
        ("Cache-Control: stale-if-error=30", "Cache-Control: max-age=60", 90, false),
        ("Cache-Control: stale-if-error=99", "Cache-Control: s-maxage=60", 61, false),
        (
            "Cache-Control: stale-if-error=99",
            "Cache-Control: max-age=60, must-revalidate",
            61,
            false,
        ),
        ("Cache-Control: max-stale=5", "Cache-Control: max-age=60", 65, true),
        ("Cache-Control: max-stale=5", "Cache-Control: max-age=60", 66, false),
        ("Cache-Control: no-cache", text, 0, false),
        ("Cache-Control: max-age=5", text, 10, false),
        ("Cache-Control: max-age=600", text, 61, false),
        ("Cache-Control: min-fresh=70", text, 0, false),
        ("Cookie: a=b", text, 60, false),
        ("Authorization: x", text, 60, false),
    ] {
        let asked_for = Asked::of(&request(asked), &CacheRules::default());
        let verdict = may_serve_on_error(&asked_for, &stored(text), after(seconds));
        assert_eq!(verdict, expect, "asked {asked:?} of {text:?} after {seconds} s");
    }
}

/// RFC 8246 section 2.
#[test]
fn a_reload_does_not_validate_what_does_not_change() {
    let text = "Cache-Control: max-age=60, immutable";
    check("Cache-Control: max-age=0", text, 59, Use::Fresh);
    check("Cache-Control: max-age=0", text, 60, ASKED);
    check("Cache-Control: no-cache", text, 59, ASKED);
    check("Cache-Control: max-age=1", text, 59, ASKED);
}

/// CDE-04 and CDE-06: a response that was made for nobody in particular is not given to somebody whose
/// answer might be another.
#[test]
fn requests_of_somebody_take_only_what_is_shared() {
    let cookie = Use::Validate(Why::Cookie);
    let authorization = Use::Validate(Why::Authorization);
    for (text, with_cookie, with_authorization) in [
        ("Cache-Control: max-age=60", cookie, authorization),
        ("Cache-Control: max-age=60, must-revalidate", cookie, Use::Fresh),
        ("Cache-Control: max-age=60, public", Use::Fresh, Use::Fresh),
        ("Cache-Control: s-maxage=60", Use::Fresh, Use::Fresh),
    ] {
        check("Cookie: a=b", text, 0, with_cookie);
        check("Authorization: x", text, 0, with_authorization);
    }
    check("Cookie: a=b | Authorization: x", "Cache-Control: max-age=60", 0, authorization);
    check("Cookie: a=b | Cache-Control: max-stale", "Cache-Control: max-age=60", 99, cookie);
    let ignore = CacheRules { cookies: doorman_cache::Cookies::Ignore, ..CacheRules::default() };
    assert_eq!(Asked::of(&request("Cookie: a=b"), &ignore), Asked::default());
}

#[test]
fn what_was_purged_softly_is_stale_but_of_use() {
    let asked = Asked::default();
    let mut meta =
        stored("Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=90");
    meta.make_stale();
    for (seconds, expect) in
        [(0, Use::StaleRefresh), (89, Use::StaleRefresh), (90, Use::Validate(Why::Purged))]
    {
        assert_eq!(decide(&asked, &meta, after(seconds)), expect, "{seconds}");
    }
    assert!(may_serve_on_error(&asked, &meta, after(149)));
    assert!(!may_serve_on_error(&asked, &meta, after(150)));
    let mut meta = stored("Cache-Control: max-age=60");
    meta.make_stale();
    assert_eq!(decide(&asked, &meta, after(0)), Use::Validate(Why::Purged));
}

#[test]
fn every_reason_has_a_word() {
    for (why, word, forward, personal) in [
        (Why::Stale, "stale", Forward::Stale, false),
        (Why::Purged, "purged", Forward::Stale, false),
        (Why::NoCache, "no-cache", Forward::Stale, false),
        (Why::Asked, "request", Forward::Request, false),
        (Why::Cookie, "cookie", Forward::Bypass, true),
        (Why::Authorization, "authorization", Forward::Bypass, true),
    ] {
        assert_eq!((why.word(), why.forward(), why.is_personal()), (word, forward, personal));
    }
}

/// What stands in for an error is never another error (RFC 5861 section 4).
#[test]
fn an_old_error_stands_in_for_none() {
    let rules = CacheRules {
        ttls: Box::from([TtlRule { seconds: 10, statuses: Box::from([404, 502]) }]),
        stale_if_error: Some(3_600),
        ..CacheRules::default()
    };
    for (status, stands_in) in [(200, true), (404, true), (502, false)] {
        let mut head = ResponseHead::new(status);
        head.fields.push(b"cache-control", b"max-age=10");
        let asked = Asked::default();
        let Admission::Store(meta) = admit(&Method::Get, &asked, &head, &rules, after(0), after(0))
        else {
            panic!("{status} is stored");
        };
        assert_eq!(may_serve_on_error(&asked, &meta, after(20)), stands_in, "{status}");
    }
}
