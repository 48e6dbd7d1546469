use doorman_http::RequestHead;

use super::*;
use crate::Facts;

fn apply(rewrite: &LocationRewrite, origin: &Origin<'_>, id: FieldId, value: &str) -> String {
    let (head, facts) = (RequestHead::default(), Facts::default());
    let mut fields = Fields::new();
    fields.push_id(id, value.as_bytes());
    rewrite.apply(&mut fields, origin, &Context { head: &head, facts: &facts });
    String::from_utf8_lossy(fields.first(id).unwrap()).into_owned()
}

fn hidden() -> Origin<'static> {
    Origin {
        upstream_scheme: Scheme::Http,
        upstream_authority: b"10.0.0.7:3000",
        sent_host: b"app.internal",
        public_scheme: Scheme::Https,
        public_authority: b"shop.example:8443",
        stripped: None,
    }
}

#[test]
fn what_names_the_origin_names_the_site() {
    let auto = LocationRewrite::default();
    for (url, expect) in [
        ("http://10.0.0.7:3000/a?b#c", "https://shop.example:8443/a?b#c"),
        ("HTTP://APP.Internal/a", "https://shop.example:8443/a"),
        ("http://app.internal:80/a", "https://shop.example:8443/a"),
        ("http://app.internal", "https://shop.example:8443"),
        ("http://app.internal?x", "https://shop.example:8443?x"),
        ("//app.internal/a", "//shop.example:8443/a"),
        ("http://app.internal:3000/a", "https://shop.example:8443/a"),
        ("http://app.internal:81/a", "http://app.internal:81/a"),
        ("http://10.0.0.7/a", "http://10.0.0.7/a"),
        ("https://app.internal/a", "https://app.internal/a"),
        ("http://app.internal.evil/a", "http://app.internal.evil/a"),
        ("http://u@app.internal/a", "http://u@app.internal/a"),
        ("http://elsewhere.example/a", "http://elsewhere.example/a"),
        ("/a", "/a"),
        ("a/b", "a/b"),
        ("mailto:a@b", "mailto:a@b"),
        ("", ""),
    ] {
        for id in [FieldId::Location, FieldId::ContentLocation] {
            assert_eq!(apply(&auto, &hidden(), id, url), expect, "{url}");
        }
    }
    let off = LocationRewrite { auto: Auto::Off, ..LocationRewrite::default() };
    assert!(off.is_off());
    assert_eq!(
        apply(&off, &hidden(), FieldId::Location, "http://app.internal/"),
        "http://app.internal/"
    );
}

#[test]
fn a_kept_host_gets_its_scheme_back_but_is_never_downgraded() {
    let auto = LocationRewrite::default();
    let kept = Origin { sent_host: b"shop.example", public_authority: b"shop.example", ..hidden() };
    let check = |origin: &Origin<'_>, url, expect: &str| {
        assert_eq!(apply(&auto, origin, FieldId::Location, url), expect, "{origin:?} {url}");
    };
    check(&kept, "http://shop.example/a", "https://shop.example/a");
    check(&kept, "https://shop.example/a", "https://shop.example/a");
    // A plain site whose origin asks for https: mapping it back would loop.
    let plain = Origin { public_scheme: Scheme::Http, ..kept };
    check(&plain, "https://shop.example/a", "https://shop.example/a");
    let secure = Origin { upstream_scheme: Scheme::Https, ..plain };
    check(&secure, "https://shop.example/a", "https://shop.example/a");
    check(&secure, "https://10.0.0.7:3000/a", "http://shop.example/a");
    // A client that named no host gets a path.
    let nameless = Origin { public_authority: b"", ..hidden() };
    check(&nameless, "http://app.internal/a", "/a");
    check(&nameless, "http://app.internal", "/");
}

#[test]
fn a_stripped_prefix_is_put_back() {
    let auto = LocationRewrite::default();
    let prefix = StripPrefix::new("/app/").unwrap();
    let origin = Origin { stripped: Some(&prefix), ..hidden() };
    for (url, expect) in [
        ("http://app.internal/a", "https://shop.example:8443/app/a"),
        ("http://app.internal", "https://shop.example:8443/app/"),
        ("http://app.internal?x", "https://shop.example:8443/app/?x"),
        ("/a?b", "/app/a?b"),
        ("/", "/app/"),
        ("/app/a", "/app/a"),
        ("/app", "/app"),
        ("/app?x", "/app?x"),
        ("/apple", "/app/apple"),
        ("a", "a"),
        ("http://elsewhere.example/a", "http://elsewhere.example/a"),
    ] {
        assert_eq!(apply(&auto, &origin, FieldId::Location, url), expect, "{url}");
    }
}

#[test]
fn rules_come_first() {
    let rule =
        |from: &str, to| LocationRule { from: from.into(), to: Template::parse(to).unwrap() };
    let rewrite = LocationRewrite {
        rules: vec![
            rule("http://app.internal/two/", "/one/"),
            rule("/bad", "\r"),
            rule("/", "/x/"),
        ],
        auto: Auto::On,
    };
    for (url, expect) in [
        ("http://app.internal/two/a", "/one/a"),
        ("http://app.internal/a", "https://shop.example:8443/a"),
        ("/a", "/x/a"),
        // A replacement that may not stand there leaves the value.
        ("/bad", "/bad"),
    ] {
        assert_eq!(apply(&rewrite, &hidden(), FieldId::Location, url), expect, "{url}");
    }
}

#[test]
fn refresh() {
    let auto = LocationRewrite::default();
    for (value, expect) in [
        ("5; url=http://app.internal/a", "5; url=https://shop.example:8443/a"),
        ("0;URL='http://app.internal/a'", "0;URL='https://shop.example:8443/a'"),
        ("0, url = \"http://app.internal/\"x", "0, url = \"https://shop.example:8443/\"x"),
        ("5", "5"),
        ("5; url", "5; url"),
        ("5;", "5;"),
        ("5; ur", "5; ur"),
        ("5; url=", "5; url="),
        ("5; url='", "5; url='"),
        ("5; http://app.internal/", "5; http://app.internal/"),
    ] {
        assert_eq!(apply(&auto, &hidden(), FieldId::Refresh, value), expect, "{value}");
    }
}
