//! Sections 3.2, 4.3.1, 4.3.4 and 4.3.5: asking the origin and taking in what it says (CIN-11, CPO-15).

use doorman_cache::{
    CacheRules, Meta, Mismatch, NotStored, SetCookie, condition, freshened, freshened_by_head,
    storable_head, strip_for_fill,
};
use doorman_http::{FieldId, RequestHead, ResponseHead};

use super::kit::{after, filled, judge, request, response, shown};

/// A stored response, and its head, 100 s later freshened by a 304 with these fields.
fn freshen(
    stored: &str,
    newer: &str,
    rules: &CacheRules,
) -> (ResponseHead, Result<Meta, Mismatch>) {
    let meta = judge(200, stored, rules).unwrap_or_else(|why| panic!("{stored}: {why:?}"));
    let mut head = storable_head(&response(200, stored), rules, after(0));
    let newer = response(304, newer);
    let verdict = freshened(&meta, &mut head, &newer, rules, after(100), after(100));
    (head, verdict)
}

/// CIN-11: a 304 is about what was asked for, or it changes nothing.
#[test]
fn a_304_must_be_about_the_stored_response() {
    let same = Ok(());
    let other = Err(Mismatch::Validator);
    for (stored, newer, expect) in [
        ("ETag: \"a\"", "ETag: \"a\"", same),
        ("ETag: \"a\"", "ETag: \"b\"", other),
        ("ETag: \"a\"", "ETag: \"A\"", other),
        ("ETag: W/\"a\"", "ETag: W/\"a\"", same),
        ("ETag: W/\"a\"", "ETag: W/\"b\"", other),
        // What the origin weakens on coded answers, it leaves strong on its 304.
        ("ETag: W/\"a\"", "ETag: \"a\"", same),
        ("ETag: \"a\"", "ETag: W/\"a\"", same),
        ("ETag: W/\"a\"", "ETag: \"b\"", other),
        ("ETag: \"a\"", "", same),
        ("ETag: \"a\"", "ETag: a", other),
        ("ETag: \"a\"", "ETag: \"a\" | ETag: \"b\"", other),
        ("ETag: \"a\" | Last-Modified: {-50}", "ETag: \"a\" | Last-Modified: {-40}", same),
        ("ETag: \"a\" | Last-Modified: {-50}", "Last-Modified: {-50}", same),
        ("ETag: \"a\" | Last-Modified: {-50}", "Last-Modified: {-40}", other),
        ("ETag: \"a\"", "Last-Modified: {-40}", other),
        ("Last-Modified: {-50}", "Last-Modified: {-50}", same),
        ("Last-Modified: {-50}", "Last-Modified: {-49}", other),
        // It would replace the only validator.
        (
            "Last-Modified: {-50}",
            "Last-Modified: soon",
            Err(Mismatch::Forbidden(NotStored::NoFreshness)),
        ),
        ("Last-Modified: {-50}", "", same),
        ("Last-Modified: {-50}", "ETag: \"a\"", other),
        ("Last-Modified: {-50} | ETag: a", "ETag: a | Last-Modified: {-50}", same),
        ("Last-Modified: {-50} | ETag: a", "ETag: b | Last-Modified: {-50}", other),
        // It was not asked about at all.
        ("Cache-Control: max-age=60", "", other),
    ] {
        let rules = CacheRules::default();
        let (head, verdict) = freshen(stored, newer, &rules);
        assert_eq!(verdict.map(|_| ()), expect, "{stored} by {newer}");
        if expect.is_err() {
            let before = storable_head(&response(200, stored), &rules, after(0));
            assert_eq!(shown(&head), shown(&before), "{stored} by {newer}");
        }
    }
}

/// Section 3.2.
#[test]
fn fields_are_replaced_by_name() {
    let stored = "ETag: \"a\" | Date: {0} | A: 1 | B: 1 | A: 2 | Content-Encoding: gzip | \
                  Content-Type: text/plain | Vary: B | Cache-Control: max-age=60 | Expires: {9}";
    for (newer, expect) in [
        (
            "Date: {100}",
            "ETag: \"a\" | A: 1 | B: 1 | A: 2 | Content-Encoding: gzip | Content-Type: text/plain | \
             Vary: B | Cache-Control: max-age=60 | Expires: {9} | Date: {100}",
        ),
        (
            "Date: {100} | a: 3 | C: 4 | C: 5 | Content-Type: text/html | Expires: {200} | \
             Cache-Control: max-age=5",
            "ETag: \"a\" | B: 1 | Content-Encoding: gzip | Vary: B | Date: {100} | a: 3 | C: 4 | C: 5 | \
             Content-Type: text/html | Expires: {200} | Cache-Control: max-age=5",
        ),
        // What describes the stored body stays, and what belongs to one hop does not come in.
        (
            "Date: {100} | ETag: W/\"a\" | Content-Encoding: br | Content-Length: 0 | Vary: b | \
             Content-Range: bytes 0-1/2 | Age: 5 | Connection: x | Proxy-Authentication-Info: x",
            "ETag: \"a\" | A: 1 | B: 1 | A: 2 | Content-Encoding: gzip | Content-Type: text/plain | \
             Vary: B | Cache-Control: max-age=60 | Expires: {9} | Date: {100}",
        ),
        // Without a date it counts from when it came.
        (
            "",
            "ETag: \"a\" | A: 1 | B: 1 | A: 2 | Content-Encoding: gzip | Content-Type: text/plain | \
             Vary: B | Cache-Control: max-age=60 | Expires: {9} | date: {100}",
        ),
        // What the new directives name goes.
        (
            "Date: {100} | Cache-Control: max-age=9, no-cache=\"b\"",
            "ETag: \"a\" | A: 1 | A: 2 | Content-Encoding: gzip | Content-Type: text/plain | \
             Vary: B | Expires: {9} | Date: {100} | Cache-Control: max-age=9, no-cache=\"b\"",
        ),
    ] {
        let (head, verdict) = freshen(stored, newer, &CacheRules::default());
        assert!(verdict.is_ok(), "{newer}: {verdict:?}");
        assert_eq!(shown(&head), filled(expect), "{newer}");
    }
}

#[test]
fn freshness_begins_anew() {
    let rules = CacheRules { stale: Some(7), ..CacheRules::default() };
    for (stored, newer, lifetime, age) in [
        ("ETag: \"a\" | Cache-Control: max-age=60", "", 60, 0),
        ("ETag: \"a\" | Cache-Control: max-age=60 | Age: 50", "", 60, 0),
        ("ETag: \"a\" | Cache-Control: max-age=60", "Age: 50 | Date: {100}", 60, 50),
        ("ETag: \"a\" | Cache-Control: max-age=60", "Date: {70}", 60, 30),
        ("ETag: \"a\" | Cache-Control: max-age=60", "Cache-Control: max-age=600", 600, 0),
        ("ETag: \"a\" | Expires: {60} | Date: {0}", "", 0, 0),
        ("ETag: \"a\" | Expires: {60} | Date: {0}", "Expires: {160} | Date: {100}", 60, 0),
    ] {
        let (_, verdict) = freshen(stored, newer, &rules);
        let meta = verdict.unwrap_or_else(|why| panic!("{stored} by {newer}: {why:?}"));
        assert_eq!((meta.lifetime(), meta.age(after(100))), (lifetime, age), "{stored} by {newer}");
    }
    let mut meta = judge(200, "ETag: \"a\" | Cache-Control: max-age=600", &rules).unwrap();
    meta.make_stale();
    let mut head = response(200, "ETag: \"a\" | Cache-Control: max-age=600");
    let meta = freshened(&meta, &mut head, &response(304, ""), &rules, after(1), after(1)).unwrap();
    assert!(!meta.was_made_stale() && meta.is_fresh(after(1)));
}

#[test]
fn a_304_that_changes_who_may_have_it_is_not_merged() {
    let strip = CacheRules { set_cookie: SetCookie::Strip, ..CacheRules::default() };
    let forbidden = |reason| Err(Mismatch::Forbidden(reason));
    for (newer, expect, stripped) in [
        ("Cache-Control: private", forbidden(NotStored::Private), forbidden(NotStored::Private)),
        ("Cache-Control: no-store", forbidden(NotStored::NoStore), forbidden(NotStored::NoStore)),
        ("Cache-Control: no-cache", Ok(()), Ok(())),
        ("Set-Cookie: a=b", forbidden(NotStored::SetCookie), Ok(())),
        ("Set-Cookie: a=b | Cache-Control: private=\"set-cookie\"", Ok(()), Ok(())),
        ("Vary: *", Err(Mismatch::Vary), Err(Mismatch::Vary)),
        ("Vary: Cookie", Err(Mismatch::Vary), Err(Mismatch::Vary)),
        ("Vary: a, cookie", Err(Mismatch::Vary), Err(Mismatch::Vary)),
        ("Vary: B | Vary: A", Ok(()), Ok(())),
        ("Vary: b", Ok(()), Ok(())),
        ("Vary: ", Ok(()), Ok(())),
    ] {
        let stored = "ETag: \"a\" | Cache-Control: max-age=60 | Vary: a, B";
        for (rules, expect) in [(&CacheRules::default(), expect), (&strip, stripped)] {
            let (head, verdict) = freshen(stored, newer, rules);
            assert_eq!(verdict.map(|_| ()), expect, "{newer}");
            assert!(!head.fields.has(FieldId::SetCookie), "{newer}");
            assert_eq!(head.fields.first(FieldId::Vary), Some(&b"a, B"[..]), "{newer}");
        }
    }
    let many = format!("Vary: {}", "a,".repeat(65));
    let (_, verdict) = freshen("ETag: \"a\" | Vary: a", &many, &CacheRules::default());
    assert_eq!(verdict, Err(Mismatch::Vary));
}

/// Section 4.3.5.
#[test]
fn answers_to_head() {
    let rules = CacheRules::default();
    let stored =
        "ETag: \"a\" | Last-Modified: {-50} | Cache-Control: max-age=60 | A: 1 | Date: {0}";
    for (status, declared, newer, expect) in [
        (200, None, "ETag: \"a\" | A: 2", Ok(())),
        (200, None, "Last-Modified: {-50} | A: 2", Ok(())),
        (200, Some(5), "ETag: \"a\" | A: 2", Ok(())),
        // Without a validator it may be about what has come since.
        (200, None, "", Err(Mismatch::Validator)),
        (200, Some(5), "A: 2", Err(Mismatch::Validator)),
        (200, Some(6), "ETag: \"a\" | A: 2", Err(Mismatch::Other)),
        (410, None, "A: 2", Err(Mismatch::Other)),
        (200, None, "ETag: \"b\"", Err(Mismatch::Validator)),
        (200, None, "ETag: \"a\" | Last-Modified: {-40}", Err(Mismatch::Validator)),
        (
            200,
            None,
            "ETag: \"a\" | Cache-Control: no-store",
            Err(Mismatch::Forbidden(NotStored::NoStore)),
        ),
    ] {
        let mut head = response(200, stored);
        let mut answer = response(status, newer);
        answer.declared_length = declared;
        let verdict =
            freshened_by_head(&mut head, &answer, Some(5), &rules, after(100), after(100));
        assert_eq!(verdict.map(|meta| assert!(meta.is_fresh(after(100)))), expect, "{newer}");
        let a = if expect.is_ok() && newer.contains("A: 2") { "2" } else { "1" };
        assert_eq!(head.fields.first_named(b"a"), Some(a.as_bytes()), "{newer}");
    }
}

fn asks(request: &RequestHead) -> String {
    let lines = request.fields.iter().filter(|(id, ..)| *id != FieldId::Host);
    let lines = lines.map(|(_, name, value)| {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    });
    lines.collect::<Vec<_>>().join(" | ")
}

/// CPO-15, section 4.3.1: no condition of a client reaches the origin with what is to be stored.
#[test]
fn conditions_are_ours() {
    let client = "Accept: x | If-None-Match: \"z\" | If-Match: \"z\" | If-Modified-Since: {-9} | \
                  If-Unmodified-Since: {9} | If-Range: \"z\" | Range: bytes=0-1 | if-none-match: *";
    for (stored, expect) in [
        ("ETag: \"a\"", "Accept: x | if-none-match: \"a\""),
        ("ETag: W/\"a,b\"", "Accept: x | if-none-match: W/\"a,b\""),
        ("ETag: \"\u{fc}\"", "Accept: x | if-none-match: \"\u{fc}\""),
        ("Last-Modified: {-50}", "Accept: x | if-modified-since: {-50}"),
        (
            "ETag: \"a\" | Last-Modified: {-50}",
            "Accept: x | if-none-match: \"a\" | if-modified-since: {-50}",
        ),
        // What is no tag could mean anything, `*` that whatever there is will do.
        ("ETag: *", "Accept: x"),
        ("ETag: a", "Accept: x"),
        ("ETag: \"a", "Accept: x"),
        ("ETag: \"a\"b\"", "Accept: x"),
        ("ETag: w/\"a\"", "Accept: x"),
        ("ETag: \"a b\"", "Accept: x"),
        ("ETag: \"a\", \"b\"", "Accept: x"),
        ("ETag: \"a\" | ETag: \"a\"", "Accept: x"),
        ("Last-Modified: soon", "Accept: x"),
        ("", "Accept: x"),
    ] {
        let mut request = request(client);
        condition(&response(200, stored), &mut request);
        assert_eq!(asks(&request), filled(expect), "{stored}");
    }
    let mut request = request(client);
    strip_for_fill(&mut request);
    assert_eq!(asks(&request), "Accept: x");
}
