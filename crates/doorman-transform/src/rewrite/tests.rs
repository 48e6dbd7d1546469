use proptest::prelude::*;

use super::*;

fn head(target: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.push(b"Host", b"a.example");
    head.fields.push(b"X-A", b"?x#\r{1}");
    head.set_target(target.as_bytes()).unwrap();
    head
}

fn target(head: &RequestHead) -> String {
    let query = head.query().map(|query| format!("?{}", String::from_utf8_lossy(query)));
    format!("{}{}", String::from_utf8_lossy(head.path()), query.unwrap_or_default())
}

fn to(text: &str) -> Template {
    Template::parse(text).unwrap()
}

#[test]
fn prefixes_are_stripped_by_segment() {
    for (prefix, from, expect) in [
        ("/app", "/app/x?q", "/x?q"),
        ("/app", "/app", "/"),
        ("/app", "/app/", "/"),
        ("/app/", "/app/x", "/x"),
        ("/app", "/apple", "/apple"),
        ("/app", "/x/app", "/x/app"),
        ("/app", "/APP/x", "/APP/x"),
        // H1R-11: the form that is matched is the form that is edited.
        ("/app", "/%61pp/x", "/x"),
        ("/app", "/x/..//app/./x%2fy", "/x%2Fy"),
        ("/app", "/app%2Fx", "/app%2Fx"),
        ("/caf\u{e9}", "/caf%c3%a9/x", "/x"),
        ("/a", "/a//a/x", "/a/x"),
        ("/a", "/a/%252e%252e/x", "/%252e%252e/x"),
    ] {
        let mut head = head(from);
        StripPrefix::new(prefix).unwrap().apply(&mut head).unwrap();
        assert_eq!(target(&head), expect, "{prefix} {from}");
    }
    for prefix in ["", "/", "app", "/a?b", "/%"] {
        assert!(StripPrefix::new(prefix).is_err(), "{prefix}");
    }
}

fn check(rewrite: &Rewrite, from: &str, expect: Result<&str, PathFault>) {
    let mut head = head(from);
    let captures = [&b"route"[..]];
    let facts = Facts { captures: &captures, ..Facts::default() };
    match rewrite.apply(&mut head, &facts) {
        Ok(matched) => {
            assert_eq!(Ok(&*target(&head)), expect, "{from}");
            assert_eq!(matched, target(&head) != from, "{from}");
        }
        Err(fault) => {
            assert_eq!(Err(fault), expect, "{from}");
            assert_eq!(target(&head), from, "a fault changes nothing");
        }
    }
}

#[test]
fn rewrites() {
    use RewritePart::{Path, Query};
    let target_error = |error| Err(PathFault::Target(error));
    for (part, from, text, before, expect) in [
        (Path, "^/u/([a-z]+)$", "/users/{1}", "/u/ann?q=1", Ok("/users/ann?q=1")),
        (Path, "^/u/([a-z]+)$", "/users/{1}", "/v/ann", Ok("/v/ann")),
        (Path, "^/old(/.*)?$", "/new{1}", "/old", Ok("/new")),
        (Path, "/a", "/b", "/a/a/a", Ok("/b/a/a")),
        (Path, "^/s/(.*)$", "/search?t={1}", "/s/x?q=1", Ok("/search?t=x")),
        (Path, "^/s/(.*)$", "/search?t={1}&{query}", "/s/x?q=1", Ok("/search?t=x&q=1")),
        (Path, "^/s/(.*)$", "/search?", "/s/x?q=1", Ok("/search")),
        // The result is in normal form again.
        (Path, "^/x/(.*)$", "/../{1}", "/x/y", Ok("/y")),
        (Path, "^/x/(.*)$", "{1}", "/x/y", target_error(TargetError::Byte)),
        (Path, "^/x(.).*$", "/{1}zz", "/x%2F2e", target_error(TargetError::Escape)),
        (Path, "^/(.)(.)/", "/{1}{2}{1}/..;/", "/ab/", target_error(TargetError::DotSegment)),
        // H1R-12: a value is data, whatever it looks like.
        (Path, "^/h$", "/{header.x-a}", "/h?q=1", Ok("/%3Fx%23%0D%7B1%7D?q=1")),
        (Query, "(^|&)utm_[a-z]*=[^&]*", "", "/?a=1&utm_x=2&b=3", Ok("/?a=1&b=3")),
        (Query, "^.*$", "", "/?a=1", Ok("/")),
        (Query, "^$", "a={1}1", "/", Ok("/?a=1")),
        (Query, "^a=(.)$", "b={1}", "/?a=2", Ok("/?b=2")),
    ] {
        check(&Rewrite::regex(part, from, to(text)).unwrap(), before, expect);
    }
}

#[test]
fn prefix_rewrites_are_plain_text() {
    for (from, text, before, expect) in [
        ("/some/path/", "/link/", "/some/path/page.html", "/link/page.html"),
        ("/name/", "/remote/", "/name/x?q", "/remote/x?q"),
        // Two slashes are one in the normal form.
        ("/name", "/remote/", "/name/x", "/remote/x"),
        ("/name/", "/{1}/", "/name/x", "/route/x"),
        ("/name/", "/", "/nam/x", "/nam/x"),
    ] {
        check(&Rewrite::prefix(from, to(text)).unwrap(), before, Ok(expect));
    }
    assert!(Rewrite::prefix("name", to("/")).is_err());
}

#[test]
fn hosts() {
    let rewrite = Rewrite::regex(RewritePart::Host, r"^(\w+)[.]example$", to("{1}.internal:81"));
    let rewrite = rewrite.unwrap();
    let (mut head, facts) = (head("/x"), Facts::default());
    assert_eq!(rewrite.apply(&mut head, &facts), Ok(false));
    let context = Context { head: &head, facts: &facts };
    assert_eq!(rewrite.host(head.host(), &context), Ok(Some(b"a.internal:81".to_vec())));
    assert_eq!(rewrite.host(b"b", &context), Ok(None));
    let bad = Rewrite::regex(RewritePart::Host, "^", to("u@")).unwrap();
    assert_eq!(bad.host(b"a", &context), Err(PathFault::Target(TargetError::UserInfo)));
    let path = Rewrite::regex(RewritePart::Path, "^", to("x")).unwrap();
    assert_eq!(path.host(b"a", &context), Ok(None));
}

#[test]
fn expressions_have_bounds() {
    let deep = format!("{}a{}", "(".repeat(99), ")".repeat(99));
    for regex in ["(", r"\w{1000}{1000}", &deep] {
        let made = Rewrite::regex(RewritePart::Path, regex, to("/"));
        assert!(matches!(made, Err(RewriteError::Regex(_))), "{regex}");
    }
}

proptest! {
    /// Whatever an edit makes is in the normal form, or the request stays as it was.
    #[test]
    fn an_edit_never_leaves_the_normal_form(
        path in "/[a-c./;%25ef]{0,16}",
        regex in prop_oneof![Just("^/(.*)$"), Just("/([^/]*)/"), Just("(.)(.)"), Just("%(..)")],
        text in prop_oneof![Just("/{1}"), Just("{2}{1}"), Just("/x/{1}/../{1}"), Just("%{1}"), Just("/.{1}")],
    ) {
        let mut head = RequestHead::default();
        head.fields.push(b"Host", b"a");
        prop_assume!(head.set_target(path.as_bytes()).is_ok());
        let before = head.path().to_vec();
        let rewrite = Rewrite::regex(RewritePart::Path, regex, to(text)).unwrap();
        if rewrite.apply(&mut head, &Facts::default()).is_err() {
            prop_assert_eq!(head.path(), before);
        }
        let mut again = Vec::new();
        prop_assert_eq!(path::normalise(head.path(), &mut again), Ok(()));
        prop_assert_eq!(head.path(), again);
    }
}
