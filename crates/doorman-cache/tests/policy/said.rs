//! What people get to read: `Cache-Status` (RFC 9211) and reasons.

use std::collections::BTreeSet;

use doorman_cache::{CacheStatus, Forward, Handled, NotStored};

fn written(status: CacheStatus<'_>) -> String {
    let mut out = b"other; hit, ".to_vec();
    status.write(&mut out);
    let all = String::from_utf8(out).expect("text");
    all.strip_prefix("other; hit, ").expect("what was there").to_owned()
}

#[test]
fn cache_status() {
    let hit =
        CacheStatus { cache: "doorman", handled: Handled::Hit, ttl: None, key: None, detail: None };
    let forwarded = |why, status, stored, collapsed| CacheStatus {
        handled: Handled::Forwarded { why, status, stored, collapsed },
        ..hit
    };
    for (status, expect) in [
        (hit, "doorman; hit"),
        (CacheStatus { ttl: Some(30), ..hit }, "doorman; hit; ttl=30"),
        (CacheStatus { ttl: Some(0), ..hit }, "doorman; hit; ttl=0"),
        (CacheStatus { ttl: Some(-412), ..hit }, "doorman; hit; ttl=-412"),
        (CacheStatus { ttl: Some(i64::MAX), ..hit }, "doorman; hit; ttl=999999999999999"),
        (CacheStatus { ttl: Some(i64::MIN), ..hit }, "doorman; hit; ttl=-999999999999999"),
        (forwarded(Forward::UriMiss, None, true, true), "doorman; fwd=uri-miss; stored; collapsed"),
        (forwarded(Forward::Stale, Some(304), false, false), "doorman; fwd=stale; fwd-status=304"),
        (forwarded(Forward::Bypass, None, false, false), "doorman; fwd=bypass"),
        (
            CacheStatus {
                detail: Some("set-cookie"),
                ..forwarded(Forward::Miss, None, false, false)
            },
            "doorman; fwd=miss; detail=set-cookie",
        ),
        (CacheStatus { detail: Some("no room"), ..hit }, "doorman; hit; detail=\"no room\""),
        (CacheStatus { detail: Some("5"), ..hit }, "doorman; hit; detail=\"5\""),
        (CacheStatus { detail: Some(""), ..hit }, "doorman; hit; detail=\"\""),
        (CacheStatus { cache: "my cache", ..hit }, "\"my cache\"; hit"),
        // A key is what clients sent: nothing of it ends the string or the field.
        (
            CacheStatus { key: Some(b"a\"b\\c\0\r\n\xFF d, e; f"), ..hit },
            "doorman; hit; key=\"a\\\"b\\\\c%00%0D%0A%FF d, e; f\"",
        ),
    ] {
        assert_eq!(written(status), expect);
    }
    for (why, word) in [
        (Forward::Bypass, "bypass"),
        (Forward::Method, "method"),
        (Forward::UriMiss, "uri-miss"),
        (Forward::VaryMiss, "vary-miss"),
        (Forward::Miss, "miss"),
        (Forward::Request, "request"),
        (Forward::Stale, "stale"),
        (Forward::Partial, "partial"),
    ] {
        assert_eq!(why.word(), word);
    }
}

#[test]
fn every_refusal_has_a_word_and_a_sentence() {
    let all = [
        NotStored::Method,
        NotStored::Status(500),
        NotStored::NotUnderstood(299),
        NotStored::Partial,
        NotStored::NoStore,
        NotStored::Private,
        NotStored::Authorization,
        NotStored::SetCookie,
        NotStored::VaryStar,
        NotStored::RequestNoStore,
        NotStored::Cookie,
        NotStored::NoFreshness,
        NotStored::NoValidator,
        NotStored::TooLarge,
        NotStored::Incomplete,
        NotStored::Coding,
        NotStored::TooFewUses,
        NotStored::Bypass,
        NotStored::NoRoom,
    ];
    let words: Vec<&str> = all.iter().map(|reason| reason.word()).collect();
    assert_eq!(words, NotStored::WORDS);
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    for reason in all {
        assert!(reason.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{reason:?}");
        let text = reason.text().to_string();
        assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
        assert!(!text.contains("  "), "{text}");
    }
    for (reason, text) in [
        (NotStored::Status(304), "Status 304 is never stored."),
        (
            NotStored::Status(500),
            "Status 500 is not stored unasked; a `ttl` that names the status would allow it.",
        ),
        (
            NotStored::Status(302),
            "Status 302 is stored only if the response states its freshness or a `ttl` names the status.",
        ),
    ] {
        assert_eq!(reason.text().to_string(), text);
    }
    let text = NotStored::SetCookie.text().to_string();
    assert!(text.starts_with("Set-Cookie present and no rule allows it"), "{text}");
}
