//! Section 3: what is stored, and what of it (CPO-13 to CPO-20, CDE-04 to CDE-08, CIN-05, CIN-16).

use doorman_cache::{
    Admission, Asked, CacheRules, Cookies, NotStored, SetCookie, TtlRule, admit, storable_head,
};
use doorman_http::{FieldId, Method, ResponseHead};

use super::kit::{after, date, judge, judge_for, response, shown};

const FRESH: &str = "Cache-Control: max-age=60";

fn check(asked: &str, status: u16, text: &str, rules: &CacheRules, expect: Option<NotStored>) {
    let reason = judge_for(asked, status, text, rules).err();
    assert_eq!(reason, expect, "asked {asked:?}, {status} {text:?}");
}

#[test]
fn methods() {
    let rules = CacheRules::default();
    let head = response(200, "Cache-Control: max-age=60, public");
    for (method, stored) in [
        ("GET", true),
        // CPO-18: the answer to HEAD has no body that an entry could have.
        ("HEAD", false),
        // CPO-20.
        ("POST", false),
        ("PUT", false),
        ("DELETE", false),
        ("PATCH", false),
        ("OPTIONS", false),
        ("TRACE", false),
        ("CONNECT", false),
        ("QUERY", false),
        ("get", false),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let verdict = admit(&method, &Asked::default(), &head, &rules, after(0), after(0));
        let refused = verdict == Admission::Refuse(NotStored::Method);
        assert_eq!(!refused, stored, "{method}");
    }
}

/// CPO-13 to CPO-16, CPO-19, CIN-05: which statuses are stored, and on what ground.
#[test]
fn statuses() {
    let rules = CacheRules::default();
    let all: Box<[u16]> = (100..700).collect();
    let named = CacheRules {
        ttls: [TtlRule { seconds: 5, statuses: all }].into(),
        ..CacheRules::default()
    };
    for status in 100..700 {
        let never = match status {
            206 => Some(NotStored::Partial),
            100..=199 | 304 | 412 | 416 | 417 | 425 | 600.. => Some(NotStored::Status(status)),
            _ => None,
        };
        let error = |is_refused: bool| is_refused.then_some(NotStored::Status(status));
        // A date of modification alone: only what is cacheable by default, and no error.
        let guessed = !matches!(status, 200 | 203 | 204 | 300 | 301 | 308);
        check("", status, "Last-Modified: {-100000}", &rules, never.or(error(guessed)));
        // Freshness in so many words: no error that a client can provoke.
        let stated = status >= 400 && !matches!(status, 404 | 405 | 410 | 414 | 451);
        check("", status, FRESH, &rules, never.or(error(stated)));
        check("", status, "Expires: {60}", &rules, never.or(error(stated)));
        check("", status, "Cache-Control: public, max-age=60", &rules, never.or(error(stated)));
        // The operator's word.
        check("", status, "", &named, never);
        check("", status, FRESH, &named, never);
    }
    check("", 302, "Cache-Control: public | Last-Modified: {-1000}", &rules, None);
    check(
        "",
        404,
        "Cache-Control: public | Last-Modified: {-1000}",
        &rules,
        Some(NotStored::Status(404)),
    );
    check("", 404, "Cache-Control: no-cache | ETag: \"a\"", &rules, None);
}

/// Sections 5.2.2.3 to 5.2.2.7 (CDE-07).
#[test]
fn prohibitions_of_the_response() {
    let rules = CacheRules::default();
    for (text, expect) in [
        ("Cache-Control: no-store", Some(NotStored::NoStore)),
        ("Cache-Control: no-store, max-age=60", Some(NotStored::NoStore)),
        ("Cache-Control: max-age=60 | Cache-Control: No-StOrE", Some(NotStored::NoStore)),
        ("Cache-Control: max-age=60, no-store=\"x\"", Some(NotStored::NoStore)),
        ("Cache-Control: public, max-age=60, private", Some(NotStored::Private)),
        ("Cache-Control: max-age=60, PRIVATE", Some(NotStored::Private)),
        ("Cache-Control: max-age=60, private=\"\"", Some(NotStored::Private)),
        ("Cache-Control: max-age=60, private=\"a\"", None),
        ("Cache-Control: no-cache", Some(NotStored::NoValidator)),
        ("Cache-Control: no-cache, max-age=60", Some(NotStored::NoValidator)),
        ("Cache-Control: no-cache | ETag: \"a\"", None),
        ("Cache-Control: no-cache | Last-Modified: {-60}", None),
        ("Cache-Control: no-cache=\"a\", max-age=60", None),
        ("Cache-Control: max-age=60, must-understand", None),
        ("Cache-Control: max-age=60, no-store, must-understand", None),
        ("Cache-Control: max-age=60, private, must-understand", Some(NotStored::Private)),
        ("Cache-Control: max-age=60 | Vary: *", Some(NotStored::VaryStar)),
        ("Cache-Control: max-age=60 | Vary: a | Vary: b ,*", Some(NotStored::VaryStar)),
        ("Cache-Control: max-age=60 | Vary: a", None),
        // `Pragma` of a response means nothing (section 5.4).
        ("Cache-Control: max-age=60 | Pragma: no-cache", None),
    ] {
        check("", 200, text, &rules, expect);
    }
    let understood = "Cache-Control: max-age=60, must-understand";
    check("", 299, understood, &rules, Some(NotStored::NotUnderstood(299)));
    let unknown = "Cache-Control: max-age=60, no-store, must-understand";
    check("", 299, unknown, &rules, Some(NotStored::NoStore));
}

/// Section 5.2.1.5.
#[test]
fn requests_that_forbid_storing() {
    let rules = CacheRules::default();
    let deaf = CacheRules { client_control: false, ..CacheRules::default() };
    for asked in ["Cache-Control: no-store", "Cache-Control: max-age=0, No-Store=1"] {
        check(asked, 200, FRESH, &rules, Some(NotStored::RequestNoStore));
        check(asked, 200, FRESH, &deaf, None);
    }
    check("Cache-Control: no-cache", 200, FRESH, &rules, None);
}

/// CDE-04, section 3.5.
#[test]
fn authorization() {
    let rules = CacheRules::default();
    for (text, expect) in [
        ("Cache-Control: max-age=60", Some(NotStored::Authorization)),
        ("Expires: {60}", Some(NotStored::Authorization)),
        ("Cache-Control: max-age=60, proxy-revalidate", Some(NotStored::Authorization)),
        ("Cache-Control: max-age=60, public=1", Some(NotStored::Authorization)),
        ("Cache-Control: max-age=60, public", None),
        ("Cache-Control: s-maxage=60", None),
        ("Cache-Control: max-age=60, must-revalidate", None),
        ("Cache-Control: s-maxage=60, private", Some(NotStored::Private)),
        ("Cache-Control: public", Some(NotStored::NoFreshness)),
    ] {
        check("Authorization: Basic YTpi", 200, text, &rules, expect);
    }
    let forced = CacheRules { force: Some(60), client_control: false, ..CacheRules::default() };
    check("Authorization: x", 200, FRESH, &forced, Some(NotStored::Authorization));
    let targeted = CacheRules { targeted: [b"cdn-cache-control"[..].into()].into(), ..rules };
    let text = "CDN-Cache-Control: max-age=60 | Cache-Control: public";
    check("Authorization: x", 200, text, &targeted, Some(NotStored::Authorization));
}

/// CDE-05.
#[test]
fn set_cookie() {
    let rules = CacheRules::default();
    let strip = CacheRules { set_cookie: SetCookie::Strip, ..CacheRules::default() };
    for (text, expect) in [
        ("Cache-Control: max-age=60 | Set-Cookie: a=b", Some(NotStored::SetCookie)),
        ("Cache-Control: public, s-maxage=60 | set-cookie: a=b", Some(NotStored::SetCookie)),
        ("Cache-Control: max-age=60, private=\"a\" | Set-Cookie: a=b", Some(NotStored::SetCookie)),
        // Its origin says itself that all but the field may be shared.
        ("Cache-Control: max-age=60, private=\"Set-Cookie\" | Set-Cookie: a=b", None),
        ("Cache-Control: max-age=60, no-cache=\"x, set-cookie\" | Set-Cookie: a=b", None),
    ] {
        check("", 200, text, &rules, expect);
        check("", 200, text, &strip, None);
        for rules in [&rules, &strip] {
            let head = storable_head(&response(200, text), rules, after(0));
            assert!(!head.fields.has(FieldId::SetCookie), "{text}");
        }
    }
}

/// CDE-06.
#[test]
fn cookies() {
    let careful =
        CacheRules { targeted: [b"cdn-cache-control"[..].into()].into(), ..CacheRules::default() };
    let ignore = CacheRules { cookies: Cookies::Ignore, ..careful.clone() };
    for (text, expect) in [
        ("Cache-Control: max-age=60", Some(NotStored::Cookie)),
        ("Cache-Control: max-age=60, must-revalidate", Some(NotStored::Cookie)),
        ("Cache-Control: max-age=60, public", None),
        ("Cache-Control: s-maxage=60", None),
        ("CDN-Cache-Control: max-age=60", None),
        ("CDN-Cache-Control: max-age=60, & | Cache-Control: max-age=60", Some(NotStored::Cookie)),
    ] {
        check("Cookie: a=b", 200, text, &careful, expect);
        check("Cookie: a=b", 200, text, &ignore, None);
        check("", 200, text, &careful, None);
    }
}

/// CDE-08, RFC 9213 section 2.2.
#[test]
fn targeted_fields_take_the_place_of_others() {
    let rules =
        CacheRules { targeted: [b"cdn-cache-control"[..].into()].into(), ..CacheRules::default() };
    for (text, expect) in [
        ("CDN-Cache-Control: max-age=60 | Cache-Control: no-store", Ok(60)),
        ("CDN-Cache-Control: max-age=60 | Cache-Control: private, max-age=1 | Expires: 0", Ok(60)),
        ("CDN-Cache-Control: max-age=60 | Expires: {-1}", Ok(60)),
        ("CDN-Cache-Control: max-age=0 | Expires: {60}", Err(NotStored::NoValidator)),
        (
            "CDN-Cache-Control: foo | Expires: {60} | Cache-Control: max-age=60",
            Err(NotStored::NoFreshness),
        ),
        ("CDN-Cache-Control: private | Cache-Control: max-age=60", Err(NotStored::Private)),
        ("CDN-Cache-Control: no-store | Cache-Control: max-age=60", Err(NotStored::NoStore)),
        ("CDN-Cache-Control: no-cache | Cache-Control: max-age=60", Err(NotStored::NoValidator)),
        ("CDN-Cache-Control: max-age=60, &&& | Cache-Control: no-store", Err(NotStored::NoStore)),
        ("CDN-Cache-Control: max-age=\"60\" | Cache-Control: no-store", Err(NotStored::NoStore)),
        ("CDN-Cache-Control: max-age=60 | Set-Cookie: a=b", Err(NotStored::SetCookie)),
    ] {
        assert_eq!(judge(200, text, &rules).map(|meta| meta.lifetime()), expect, "{text}");
    }
}

#[test]
fn what_can_never_be_used_is_not_stored() {
    let rules = CacheRules::default();
    let deaf = CacheRules { client_control: false, ..CacheRules::default() };
    for (text, honoured, ignored) in [
        ("Cache-Control: max-age=60 | Age: 60", None, Some(NotStored::NoValidator)),
        (
            "Cache-Control: max-age=60, must-revalidate | Age: 60",
            Some(NotStored::NoValidator),
            Some(NotStored::NoValidator),
        ),
        ("Cache-Control: max-age=60 | Age: 60 | ETag: \"a\"", None, None),
        ("Cache-Control: max-age=0", Some(NotStored::NoValidator), Some(NotStored::NoValidator)),
        ("Cache-Control: max-age=0, stale-while-revalidate=5", None, None),
        ("Cache-Control: max-age=0, stale-if-error=5", None, None),
        (
            "Cache-Control: max-age=0, stale-if-error=5 | Age: 5",
            Some(NotStored::NoValidator),
            Some(NotStored::NoValidator),
        ),
    ] {
        check("", 200, text, &rules, honoured);
        check("", 200, text, &deaf, ignored);
    }
    let small = CacheRules { max_object: 100, ..CacheRules::default() };
    check("", 200, "Cache-Control: max-age=60 | Content-Length: 100", &small, None);
    check(
        "",
        200,
        "Cache-Control: max-age=60 | Content-Length: 101",
        &small,
        Some(NotStored::TooLarge),
    );
    let huge = "Cache-Control: max-age=60 | Content-Length: 99999999999999999999";
    check("", 200, huge, &small, Some(NotStored::TooLarge));
}

/// CIN-16, section 3.1.
#[test]
fn heads_are_stored_without_what_is_not_theirs() {
    let rules = CacheRules {
        targeted: [b"cdn-cache-control"[..].into(), b"surrogate-control"[..].into()].into(),
        ..CacheRules::default()
    };
    for (text, expect) in [
        ("A: 1 | B: 2 | A: 3 | Date: {-5}", "A: 1 | B: 2 | A: 3 | Date: {-5}"),
        ("A: 1", "A: 1 | date: {0}"),
        ("Date: {-5} | Date: {-6}", "Date: {-5} | Date: {-6}"),
        (
            "Connection: close | Keep-Alive: 5 | TE: x | Trailer: x | Upgrade: x | \
             Proxy-Authenticate: x | Proxy-Authorization: x | Proxy-Connection: x | \
             Proxy-Authentication-Info: x | Transfer-Encoding: chunked | Content-Length: 5 | \
             Age: 7 | Set-Cookie: a=b | Date: {0}",
            "Date: {0}",
        ),
        (
            "Date: {0} | Cache-Control: no-cache=\"a, B\" | A: 1 | b: 2 | C: 3 | a: 4",
            "Date: {0} | Cache-Control: no-cache=\"a, B\" | C: 3",
        ),
        (
            "Date: {0} | Cache-Control: private=c | CDN-Cache-Control: no-cache=\"d\" | C: 3 | D: 4",
            "Date: {0} | Cache-Control: private=c | CDN-Cache-Control: no-cache=\"d\"",
        ),
        (
            "Date: {0} | Surrogate-Control: private=\"c\" | C: 3",
            "Date: {0} | Surrogate-Control: private=\"c\"",
        ),
        ("Date: {0} | Cache-Control: x=\"a\" | A: 1", "Date: {0} | Cache-Control: x=\"a\" | A: 1"),
    ] {
        let stored = storable_head(&response(200, text), &rules, after(0));
        assert_eq!(shown(&stored), super::kit::filled(expect), "{text}");
    }
    let mut head = response(404, "");
    head.fields.load(b"Gone fishing");
    head.set_reason(0..12);
    head.fields.push(b"X-Hop", b"1");
    head.fields.push(b"Date", date(0).as_bytes());
    // What `Connection` names has been hidden by the codec.
    head.fields.drop_nominated(b"x-hop");
    head.declared_length = Some(7);
    let stored: ResponseHead = storable_head(&head, &rules, after(0));
    assert_eq!(shown(&stored), format!("Date: {}", date(0)));
    assert_eq!((stored.status, stored.reason()), (404, &b"Gone fishing"[..]));
    assert_eq!(stored.declared_length, None);
}
