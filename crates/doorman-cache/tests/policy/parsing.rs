//! Sections 5.2 and 4.2.1: how directives are read (CDE-07, CDE-08, CIN-17), and RFC 9213.

use doorman_cache::{CacheRules, Control, SECONDS_MAX};

use super::kit::response;

fn read(text: &str) -> Control {
    Control::of(&response(200, text).fields, &CacheRules::default())
}

#[test]
fn lifetimes_are_read_strictly() {
    for (text, expect) in [
        ("max-age=60", Some(60)),
        ("MaX-aGe=60", Some(60)),
        ("max-age=060", Some(60)),
        ("max-age=\"60\"", Some(60)),
        ("  max-age=60  ,", Some(60)),
        (",,max-age=60,,", Some(60)),
        ("foobar, max-age=60", Some(60)),
        ("foo=\"a,b\", max-age=60", Some(60)),
        ("foo=\"a\\\", max-age=5\", max-age=60", Some(60)),
        // What stands in quotes is no directive.
        ("extension=\"max-age=3600\", max-age=1", Some(1)),
        ("max-age=1, extension=\"max-age=3600\"", Some(1)),
        ("extension=\"max-age=3600\"", None),
        ("xmax-age=60", None),
        ("max-age-x=60", None),
        // CDE-07: of two the strictest.
        ("max-age=1800, max-age=1", Some(1)),
        ("max-age=1, max-age=1800", Some(1)),
        ("max-age=60, max-age=x", Some(0)),
        // No whole number: expired.
        ("max-age", Some(0)),
        ("max-age=", Some(0)),
        ("max-age=\"\"", Some(0)),
        ("max-age =60", Some(0)),
        ("max-age= 60", Some(0)),
        ("max-age='60'", Some(0)),
        ("max-age=60.0", Some(0)),
        ("max-age=6e1", Some(0)),
        ("max-age=60a", Some(0)),
        ("max-age=a60", Some(0)),
        ("max-age=-60", Some(0)),
        ("max-age=+60", Some(0)),
        ("max-age=\"60", Some(0)),
        ("max-age=60\"", Some(0)),
        ("max-age=\"6\\0\"", Some(0)),
        ("max-age=60;x", Some(0)),
        ("max-age=60 x", Some(0)),
        // CIN-17: more than anybody counts.
        ("max-age=2147483647", Some(SECONDS_MAX - 1)),
        ("max-age=2147483648", Some(SECONDS_MAX)),
        ("max-age=2147483649", Some(SECONDS_MAX)),
        ("max-age=4294967296", Some(SECONDS_MAX)),
        ("max-age=99999999999", Some(SECONDS_MAX)),
        ("max-age=99999999999999999999999999999999999999999", Some(SECONDS_MAX)),
        ("max-age=00000000000000000000000000000000000000000", Some(0)),
        // Behind a quote that is never closed nothing allows.
        ("x=\"a, max-age=60", Some(0)),
        ("max-age=60, x=\"a", Some(60)),
    ] {
        assert_eq!(read(&format!("Cache-Control: {text}")).max_age, expect, "{text}");
        let shared = text.to_ascii_lowercase().replace("max-age", "s-maxage");
        assert_eq!(read(&format!("Cache-Control: {shared}")).s_maxage, expect, "{shared}");
    }
    let two_lines = read("Cache-Control: max-age=1800 | Cache-Control: max-age=1");
    assert_eq!(two_lines.max_age, Some(1));
}

#[test]
fn what_forbids_holds_however_it_is_written() {
    let plain = Control { no_store: true, ..Control::default() };
    for text in [
        "no-store",
        "No-StOrE",
        "no-store=1",
        "no-store=\"x",
        "no-store =x",
        "x=\"a, no-store",
        "x=\"\\\", no-store",
        "a,\tno-store",
        "no-store no-cache",
    ] {
        let control = read(&format!("Cache-Control: {text}"));
        assert!(control.no_store, "{text}: {control:?}");
    }
    assert_eq!(read("Cache-Control: no-store"), plain);
    assert!(!read("Cache-Control: x=\"a, no-store\"").no_store);
    assert!(read("Cache-Control: public | Cache-Control: private").private);
}

#[test]
fn fields_that_are_listed_are_told_from_the_whole() {
    for (text, whole, lists) in [
        ("private", true, false),
        ("private=\"set-cookie\"", false, true),
        ("private=\"a, b\"", false, true),
        ("private=a", false, true),
        ("private=\" a , b ,\"", false, true),
        // In doubt the whole.
        ("private=\"\"", true, false),
        ("private=\",\"", true, false),
        ("private=\"a b\"", true, false),
        ("private=\"a:\"", true, false),
        ("private=", true, false),
        ("private=\"a", true, false),
        ("private, private=\"a\"", true, true),
        ("private=\"a\", private", true, true),
    ] {
        let control = read(&format!("Cache-Control: {text}"));
        assert_eq!((control.private, control.lists_fields), (whole, lists), "{text}");
        let text = text.replace("private", "no-cache");
        let control = read(&format!("Cache-Control: {text}"));
        assert_eq!((control.no_cache, control.lists_fields), (whole, lists), "{text}");
    }
}

#[test]
fn what_allows_must_be_written_right() {
    for text in ["public=1", "public=\"\"", "public =", "x=\"a, public"] {
        assert!(!read(&format!("Cache-Control: {text}")).public, "{text}");
        let text = text.replace("public", "must-understand");
        assert!(!read(&format!("Cache-Control: {text}")).must_understand, "{text}");
        let text = text.replace("must-understand", "immutable");
        assert!(!read(&format!("Cache-Control: {text}")).immutable, "{text}");
    }
    let control = read(
        "Cache-Control: PUBLIC, must-revalidate, Proxy-Revalidate, must-understand, immutable, \
         stale-while-revalidate=5, stale-if-error=6",
    );
    assert!(control.public && control.must_revalidate && control.proxy_revalidate);
    assert!(control.must_understand && control.immutable && !control.targeted);
    assert_eq!((control.stale_while_revalidate, control.stale_if_error), (Some(5), Some(6)));
}

/// RFC 9213 section 2.2, RFC 8941 section 3.2.
#[test]
fn targeted_fields_win_if_they_are_valid() {
    let names: [&[u8]; 3] = [b"doorman-cache-control", b"cdn-cache-control", b"surrogate-control"];
    let rules = CacheRules { targeted: names.map(Box::from).into(), ..CacheRules::default() };
    for (text, expect) in [
        ("CDN-Cache-Control: max-age=60", Some(60)),
        ("cdn-cache-control: foobar, max-age=60", Some(60)),
        ("CDN-Cache-Control: max-age=60;x=1;y", Some(60)),
        ("CDN-Cache-Control: max-age=60,  x=(1 2);a", Some(60)),
        ("CDN-Cache-Control: a=\"q\\\"\", b=:aGk=:, c=?0, d=1.5, e=*t/x:y,\tmax-age=60", Some(60)),
        ("CDN-Cache-Control: a=()  ,  b=(  ) , max-age=60", Some(60)),
        ("CDN-Cache-Control: max-age=1, max-age=60", Some(60)),
        ("CDN-Cache-Control: a | CDN-Cache-Control: max-age=60", Some(60)),
        ("CDN-Cache-Control: max-age=999999999999999", Some(SECONDS_MAX)),
        ("CDN-Cache-Control: max-age=-1", Some(0)),
        // Valid, and says nothing of freshness: `Cache-Control` does not come in again.
        ("CDN-Cache-Control: foo", None),
        ("CDN-Cache-Control: no-store=?0", None),
        // The first of the list.
        ("CDN-Cache-Control: max-age=5 | Doorman-Cache-Control: max-age=60", Some(60)),
        ("CDN-Cache-Control: max-age=60 | Doorman-Cache-Control: ", Some(60)),
        ("CDN-Cache-Control: max-age=60 | Doorman-Cache-Control: a=", Some(60)),
        ("Surrogate-Control: max-age=60", Some(60)),
        ("Surrogate-Control: MAX-AGE=60+5, content=\"ESI/1.0\"", Some(60)),
        ("Surrogate-Control: max-age=60, max-age=5;other", Some(60)),
        // Not valid, or empty: as if it were not there.
        ("CDN-Cache-Control: ", Some(7)),
        ("CDN-Cache-Control: max-age=60, &&&&&", Some(7)),
        ("CDN-Cache-Control: max-age=\"60\"", Some(7)),
        ("CDN-Cache-Control: max-age", Some(7)),
        ("CDN-Cache-Control: max-age=60.0", Some(7)),
        ("CDN-Cache-Control: max-age=1000000000000000", Some(7)),
        ("CDN-Cache-Control: MaX-aGe=60", Some(7)),
        ("CDN-Cache-Control: max-age =60", Some(7)),
        ("CDN-Cache-Control: max-age= 60", Some(7)),
        ("CDN-Cache-Control: max-age=60,", Some(7)),
        ("CDN-Cache-Control: max-age=60;", Some(7)),
        ("CDN-Cache-Control: max-age=60 x", Some(7)),
        ("CDN-Cache-Control: ,max-age=60", Some(7)),
        ("CDN-Cache-Control: max-age=60, no-store=1", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=\"\\x\"", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=\"x", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=(1", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=(1\"\")", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=:%:", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=?2", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=1.", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=1.2345", Some(7)),
        ("CDN-Cache-Control: max-age=60, a=-", Some(7)),
        ("CDN-Cache-Control: max-age=60 | CDN-Cache-Control: &", Some(7)),
        ("Surrogate-Control: content=\"ESI/1.0\"", Some(7)),
        ("Other-Cache-Control: max-age=60", Some(7)),
    ] {
        let head = response(200, &format!("Cache-Control: max-age=7, private | {text}"));
        let control = Control::of(&head.fields, &rules);
        assert_eq!(control.max_age, expect, "{text}");
        let fell_back = expect == Some(7);
        assert_eq!((control.private, control.targeted), (fell_back, !fell_back), "{text}");
    }
    let of = |text| Control::of(&response(200, text).fields, &rules);
    assert_eq!(of("Surrogate-Control: max-age=60+5").stale_while_revalidate, Some(5));
    assert!(of("CDN-Cache-Control: private").private);
    assert!(of("CDN-Cache-Control: private=\"a\"").lists_fields);
    assert!(of("CDN-Cache-Control: private=\"\"").private);
    assert!(!of("CDN-Cache-Control: private, private=?0").private);
    assert!(of("CDN-Cache-Control: no-cache=a").lists_fields);
    let all = of("CDN-Cache-Control: no-store, no-cache, public, must-revalidate, immutable, \
                  proxy-revalidate, must-understand, s-maxage=1, stale-while-revalidate=2, \
                  stale-if-error=3");
    assert!(all.no_store && all.no_cache && all.public && all.must_revalidate && all.immutable);
    assert!(all.proxy_revalidate && all.must_understand);
    assert_eq!(
        (all.s_maxage, all.stale_while_revalidate, all.stale_if_error),
        (Some(1), Some(2), Some(3))
    );
}

/// A text made of nothing but quotes is read in one pass: it takes no longer the more there are.
#[test]
fn long_and_broken_texts_are_read_in_one_pass() {
    for piece in ["\"", "\\\"", "\"\\", "a=\"", "\",", "=", ",", "private=\"a\","] {
        let text = piece.repeat(1 << 17);
        let control = Control::read(std::iter::once(text.as_bytes()));
        assert!(!control.public, "{piece}");
    }
}
