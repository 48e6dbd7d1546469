use doorman_http::ResponseHead;
use proptest::prelude::*;

use super::*;
use crate::vary::Vary;

fn request(fields: &[(&str, &str)]) -> RequestHead {
    let mut request = RequestHead::default();
    for (name, value) in fields {
        request.fields.push(name.as_bytes(), value.as_bytes());
    }
    request
}

fn vary(text: &str) -> Vary {
    let mut head = ResponseHead::new(200);
    head.fields.push(b"Vary", text.as_bytes());
    Vary::of(&head).unwrap()
}

fn names(names: &[&str]) -> Box<[Box<[u8]>]> {
    names.iter().map(|name| name.as_bytes().into()).collect()
}

/// Whether a response that was stored for the one request, with this `Vary`, is for the other.
fn same(names: &str, one: &[(&str, &str)], other: &[(&str, &str)]) -> bool {
    let mut stored = Vec::new();
    selector(7, &Chosen::default(), vary(names).names(), &request(one), &mut stored);
    is_selected(&stored, 7, &Chosen::default(), &request(other), &mut Vec::new())
}

#[test]
fn cde_10_values_are_compared_with_care() {
    for (names, one, other, expect) in [
        ("foo", &[("Foo", "1")][..], &[("foo", "1")][..], true),
        ("foo", &[("Foo", "1")], &[("Foo", "2")], false),
        ("foo", &[("Foo", "1")], &[], false),
        ("foo", &[], &[], true),
        // Absent is not empty.
        ("foo", &[("Foo", "")], &[], false),
        ("foo", &[("Foo", "")], &[("Foo", "")], true),
        // Two lines are one list; white space at commas is none of it.
        ("foo", &[("Foo", "1"), ("Foo", "2")], &[("Foo", "1, 2")], true),
        ("foo", &[("Foo", "1 ,\t2")], &[("Foo", "1,2")], true),
        ("foo", &[("Foo", "1"), ("Foo", "2")], &[("Foo", "2"), ("Foo", "1")], false),
        ("foo", &[("Foo", "1,2")], &[("Foo", "2,1")], false),
        ("foo", &[("Foo", "a b")], &[("Foo", "ab")], false),
        ("foo", &[("Foo", "a  b")], &[("Foo", "a b")], false),
        ("foo", &[("Foo", "A")], &[("Foo", "a")], false),
        // In quotes white space means itself.
        ("foo", &[("Foo", "\"a , b\"")], &[("Foo", "\"a,b\"")], false),
        ("foo", &[("Foo", "\"a\" , \"b\"")], &[("Foo", "\"a\",\"b\"")], true),
        ("foo", &[("Foo", r#""a\" , b""#)], &[("Foo", r#""a\",b""#)], false),
        ("foo", &[("Foo", "\"a \"")], &[("Foo", "\"a\"")], false),
        ("foo", &[("Foo", "\"a, ")], &[("Foo", "\"a,")], false),
        // All names must match.
        ("foo, bar", &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")], true),
        ("foo, bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1")], false),
        ("foo, bar", &[("Foo", "1")], &[("Bar", "1")], false),
        ("foo", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1"), ("Bar", "3")], true),
        // What values mean is known of two fields.
        (
            "accept-language",
            &[("Accept-Language", "EN, de")],
            &[("Accept-Language", "en,DE")],
            true,
        ),
        (
            "accept-language",
            &[("Accept-Language", "en, de")],
            &[("Accept-Language", "de, en")],
            false,
        ),
        (
            "accept-encoding",
            &[("Accept-Encoding", "gzip, br")],
            &[("Accept-Encoding", "br;q=0.5,GZIP")],
            true,
        ),
        ("accept-encoding", &[("Accept-Encoding", "gzip")], &[("Accept-Encoding", "br")], false),
        ("accept-encoding", &[("Accept-Encoding", "")], &[], false),
        ("accept-encoding", &[("Accept-Encoding", "")], &[("Accept-Encoding", "identity")], true),
        // Cookies and credentials, if a response varies by them: to the byte.
        ("cookie", &[("Cookie", "a=1; b=2")], &[("Cookie", "b=2; a=1")], false),
        ("authorization", &[("Authorization", "Basic x")], &[], false),
        ("host", &[("Host", "a")], &[("Host", "A")], false),
    ] {
        assert_eq!(same(names, one, other), expect, "{names}: {one:?} {other:?}");
        assert_eq!(same(names, other, one), expect, "{names}: {other:?} {one:?}");
    }
}

#[test]
fn what_the_origin_does_not_see_selects_nothing() {
    let of = |request: &RequestHead| {
        let chosen = Chosen { cookies: names(&["id"]), ..Chosen::default() };
        let mut out = Vec::new();
        let vary = vary("x-user, origin, accept-encoding, accept-language");
        selector(0, &chosen, vary.names(), request, &mut out);
        out
    };
    let fields = [
        ("X-User", "a"),
        ("Origin", "https://a"),
        ("Accept-Encoding", "gzip"),
        ("Accept-Language", "en"),
        ("Cookie", "id=1"),
    ];
    let mut hidden = request(&fields);
    for (name, _) in fields {
        let before = of(&hidden);
        hidden.fields.drop_nominated(name.as_bytes());
        assert_ne!(of(&hidden), before, "{name}");
    }
    assert_eq!(of(&hidden), of(&request(&[])));
    assert_eq!(normal_accept_encoding(&hidden), None);
}

#[test]
fn a_name_that_an_origin_may_take_for_another_tells_apart() {
    let user = [("X-User", "a")];
    assert!(!same("x-user", &user, &[("X-User", "a"), ("X_User", "b")]));
    assert!(!same("x-user", &user, &[("X_User", "a")]));
    assert!(!same("x-user", &[], &[("x.user", "a")]));
    assert!(same("x-user", &user, &[("X-User", "a"), ("XYUser", "b"), ("X_Users", "b")]));
    assert!(!same("x_user", &[("X_User", "a")], &[("X_User", "a"), ("X-User", "b")]));
    assert!(same("xuser", &[], &[("X_User", "b")]));
}

#[test]
fn places_lists_and_choices_tell_apart() {
    let plain = request(&[("Foo", "1"), ("Cookie", "id=1; x=y; id=2")]);
    let make = |place, chosen: &Chosen, vary: &Vary, request: &RequestHead| {
        let mut out = Vec::new();
        selector(place, chosen, vary.names(), request, &mut out);
        assert_eq!(vary_of(&out), vary.names());
        assert!(is_selected(&out, place, chosen, request, &mut Vec::new()));
        out
    };
    let none = Chosen::default();
    let base = make(1, &none, &Vary::default(), &plain);
    assert_eq!(base.len(), 12);
    assert_ne!(base, make(2, &none, &Vary::default(), &plain));
    // An absent field is still one that the response varies by.
    assert_ne!(make(1, &none, &vary("x"), &plain), make(1, &none, &vary("y"), &plain));

    let header = Chosen { headers: names(&["foo"]), ..Chosen::default() };
    let other = request(&[("Foo", "2")]);
    assert_ne!(
        make(1, &header, &Vary::default(), &plain),
        make(1, &header, &Vary::default(), &other)
    );

    let cookie = Chosen { cookies: names(&["id"]), ..Chosen::default() };
    let with = |cookies| make(1, &cookie, &Vary::default(), &request(&[("Cookie", cookies)]));
    let base = make(1, &cookie, &Vary::default(), &plain);
    assert_eq!(base, with("id=1;id = 2; z"));
    // Every cookie of the name counts: who knows which of them the origin reads.
    for cookies in ["id=1", "id=1; id=3", "id=2; id=1", "id=12", "ID=1; ID=2", ""] {
        assert_ne!(base, with(cookies), "{cookies}");
    }
    assert_ne!(with("id="), with("x=y"));

    let method = Chosen { method: true, ..Chosen::default() };
    let by = |method_of| {
        let mut request = request(&[]);
        request.method = method_of;
        make(1, &method, &Vary::default(), &request)
    };
    assert_eq!(by(Method::Get), by(Method::Head));
    assert_ne!(by(Method::Get), by(Method::Post));
}

#[test]
fn damaged_selectors_have_no_names() {
    for bytes in [&b""[..], b"12345678", b"12345678\0\0\0", b"12345678\0\0\0\x02a", &[0xFF; 14]] {
        assert!(vary_of(bytes).is_empty(), "{bytes:?}");
    }
}

proptest! {
    /// Only white space outside of quotes is lost, and no run of bytes is made into another's.
    #[test]
    fn values_are_told_apart(one in "[ab\", \\\\]{0,8}", other in "[ab\", \\\\]{0,8}") {
        let text = |value: &str| { let mut out = Vec::new(); spaceless(value.as_bytes(), &mut out); out };
        let bare = |value: &str| value.replace(' ', "");
        if bare(&one) != bare(&other) {
            prop_assert_ne!(text(&one), text(&other));
        }
        let once = text(&one);
        prop_assert_eq!(text(std::str::from_utf8(&once).unwrap()), once);
        if !one.contains('"') {
            let expect: Vec<_> = one.split(',').map(str::trim).collect();
            prop_assert_eq!(text(&one), expect.join(",").into_bytes());
        }
    }

    /// Lengths in front keep neighbours apart: what one value gains is not what another loses.
    #[test]
    fn neighbours_do_not_run_together(values in prop::collection::vec("[a\\x00]{0,3}", 4)) {
        let make = |one: &str, other: &str| {
            let mut out = Vec::new();
            let request = request(&[("Bar", one), ("Foo", other)]);
            selector(0, &Chosen::default(), vary("bar, foo").names(), &request, &mut out);
            out
        };
        let equal = values[0] == values[2] && values[1] == values[3];
        prop_assert_eq!(make(&values[0], &values[1]) == make(&values[2], &values[3]), equal);
    }

    #[test]
    fn no_bytes_panic_as_selectors(stored in prop::collection::vec(any::<u8>(), 0..40)) {
        let request = request(&[("Foo", "1")]);
        let _ = is_selected(&stored, 0, &Chosen::default(), &request, &mut Vec::new());
    }
}
