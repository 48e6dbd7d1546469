use proptest::prelude::*;

use super::*;

fn head() -> RequestHead {
    let mut head = RequestHead::default();
    for (name, value) in [
        ("Host", "Shop.Example:8443"),
        ("X-A", "a b&c/{host}"),
        ("X-Raw", "caf\u{e9}"),
        ("Cookie", "s=1/2; t={path}"),
    ] {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(b"/a/%C3%A9|x?q=1&z=%2F%22\"").unwrap();
    head
}

const CAPTURES: &[&[u8]] = &[b"one/two", b"//evil"];

fn facts() -> Facts<'static> {
    Facts {
        client_ip: "2001:db8::1",
        client_port: Some(65_535),
        local_port: Some(80),
        request_id: "id-1",
        client: None,
        captures: CAPTURES,
    }
}

/// A key is the text, and there is none where the request has nothing of it.
#[test]
fn keys() {
    let (head, facts) = (head(), facts());
    let context = Context { head: &head, facts: &facts };
    let key = |text: &str| hash_key(&Template::parse(text).unwrap(), &context);
    for text in ["{path}", "{header.x-a}", "{cookie.s}|{uri}", "{1}", "u:{client-ip}"] {
        let whole = expand_text(&Template::parse(text).unwrap(), &context).unwrap().into_owned();
        assert_eq!(key(text), Some(KeyHash::of(0, &whole)), "{text}");
    }
    assert_eq!(key("{header.none}"), None);
    assert_eq!(key("t:{cookie.none}{header.none}"), None);
    assert!(key("{cookie.none}{cookie.s}").is_some());
}

type Expand = for<'t> fn(&'t Template, &Context<'_>) -> Result<Cow<'t, [u8]>, ExpandError>;

fn check(expand: Expand, text: &str, expect: Result<&str, ExpandError>) {
    let template = Template::parse(text).unwrap();
    let (head, facts) = (head(), facts());
    let got = expand(&template, &Context { head: &head, facts: &facts });
    let got = got.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(got, expect.map(str::to_owned), "{text}");
}

#[test]
fn every_placeholder() {
    for (text, expect) in [
        ("{host}", "shop.example"),
        ("{port}", "80"),
        ("{authority}", "Shop.Example:8443"),
        ("{scheme}", "http"),
        ("{method}", "GET"),
        ("{path}", "/a/%C3%A9|x"),
        ("{query}", "q=1&z=%2F%22\""),
        ("{uri}", "/a/%C3%A9|x?q=1&z=%2F%22\""),
        ("{protocol}", "HTTP/1.1"),
        ("{client-ip}", "2001:db8::1"),
        ("{client-port}", "65535"),
        ("{request-id}", "id-1"),
        ("{header.x-a}", "a b&c/{host}"),
        ("{header.none}", ""),
        ("{cookie.s}", "1/2"),
        ("{cookie.none}", ""),
        ("{query.z}", "%2F%22\""),
        ("{query.none}", ""),
        ("{1}|{2}|{3}", "one/two|//evil|"),
        ("", ""),
        ("{{x}}", "{x}"),
    ] {
        check(expand_value, text, Ok(expect));
    }
}

/// H1R-12: what a placeholder yields is not read again.
#[test]
fn one_pass() {
    check(expand_value, "{header.x-a}", Ok("a b&c/{host}"));
    check(expand_text, "{cookie.t}{cookie.t}", Ok("{path}{path}"));
}

#[test]
fn urls() {
    for (text, expect) in [
        ("https://shop.example/x", "https://shop.example/x"),
        ("https://{host}{uri}", "https://shop.example/a/%C3%A9%7Cx?q=1&z=%2F%22%22"),
        ("/s?q={header.x-a}&c={cookie.s}", "/s?q=a%20b%26c%2F%7Bhost%7D&c=1%2F2"),
        ("/s/{header.x-raw}", "/s/caf%C3%A9"),
        ("/x/{1}", "/x/one/two"),
        ("/caf\u{e9} x", "/caf%C3%A9%20x"),
        ("/caf\u{e9} {port}", "/caf%C3%A9%2080"),
        ("/?ip={client-ip}", "/?ip=2001%3Adb8%3A%3A1"),
        // No part of a request becomes a host.
        ("{2}", "/evil"),
        ("/{2}/x", "/evil/x"),
        ("//{host}/x", "//shop.example/x"),
    ] {
        check(expand_url, text, Ok(expect));
    }
    check(expand_url, "/a\r\nb", Err(ExpandError::Byte));
    check(expand_url, "/a\r\nb{host}", Err(ExpandError::Byte));
}

#[test]
fn constant_templates_are_borrowed() {
    let template = Template::parse("max-age=31536000").unwrap();
    let (head, facts) = (head(), facts());
    let context = Context { head: &head, facts: &facts };
    assert!(matches!(expand_value(&template, &context), Ok(Cow::Borrowed(_))));
    assert!(matches!(expand_url(&template, &context), Ok(Cow::Borrowed(_))));
}

#[test]
fn results_have_a_bound() {
    let mut head = head();
    head.fields.push(b"x-long", &[b'a'; 16 * 1024]);
    let facts = facts();
    let context = Context { head: &head, facts: &facts };
    let four = Template::parse(&"{header.x-long}".repeat(4)).unwrap();
    assert_eq!(expand_value(&four, &context).map(|v| v.len()), Ok(EXPANDED_MAX));
    let more = Template::parse(&"{header.x-long}".repeat(5)).unwrap();
    assert_eq!(expand_value(&more, &context), Err(ExpandError::TooLong));
    assert_eq!(expand_url(&more, &context), Err(ExpandError::TooLong));
}

proptest! {
    /// H1L-19: whatever a group holds, no line of a head is ended, and a URL is one.
    #[test]
    fn no_value_ends_a_line(group in prop::collection::vec(any::<u8>(), 0..24), text in "[a-z/]{0,4}") {
        let template = Template::parse(&format!("{text}{{1}}")).unwrap();
        let (head, captures) = (head(), [&group[..]]);
        let facts = Facts { captures: &captures, ..facts() };
        let context = Context { head: &head, facts: &facts };
        match expand_value(&template, &context) {
            Ok(value) => prop_assert!(is_field_value(&value)),
            Err(error) => {
                prop_assert_eq!(error, ExpandError::Byte);
                prop_assert!(!is_field_value(&group));
            }
        }
        let url = expand_url(&template, &context).unwrap();
        prop_assert!(url.iter().all(|b| (0x21..0x7F).contains(b)));
        prop_assert!(!url.starts_with(b"//") || text.starts_with("//"));
    }
}
