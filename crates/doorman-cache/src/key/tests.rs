use proptest::prelude::*;

use super::*;

const SEED: KeySeed = KeySeed::new(1, 2);

fn head(scheme: Scheme, host: &str, target: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.scheme = scheme;
    head.fields.push(b"Host", host.as_bytes());
    head.set_target(target.as_bytes()).unwrap();
    head
}

fn key(scheme: Scheme, host: &str, target: &str) -> UrlKey {
    UrlKey::of(&head(scheme, host, target), &KeyRules::default(), &SEED)
}

fn names(names: &[&str]) -> Box<[Box<[u8]>]> {
    names.iter().map(|name| name.as_bytes().into()).collect()
}

#[test]
fn cpo_01_scheme_host_port_path_and_query_make_the_key() {
    let base = key(Scheme::Http, "a.example", "/x?q");
    for (scheme, host, target) in [
        (Scheme::Https, "a.example", "/x?q"),
        (Scheme::Http, "b.example", "/x?q"),
        (Scheme::Http, "a.example:81", "/x?q"),
        (Scheme::Http, "a.example:443", "/x?q"),
        (Scheme::Http, "a.example", "/X?q"),
        (Scheme::Http, "a.example", "/x?Q"),
        (Scheme::Http, "a.example", "/x?q="),
        (Scheme::Http, "a.example", "/x?"),
        (Scheme::Http, "a.example", "/x"),
        (Scheme::Http, "a.example", "/x/?q"),
        (Scheme::Http, "a.example", "/x%3Fq"),
    ] {
        assert_ne!(key(scheme, host, target), base, "{host} {target}");
    }
    assert_eq!(base.bytes(), b"a.example\0\0http\0/x?q");
    assert_eq!(key(Scheme::Http, "a:81", "/").bytes(), b"a\x0081\0http\0/");
}

#[test]
fn cpo_06_the_authority_of_an_absolute_target_is_the_one_that_counts() {
    let absolute = key(Scheme::Http, "b.example", "http://a.example:8080/x");
    assert_eq!(absolute, key(Scheme::Http, "a.example:8080", "/x"));
    assert_ne!(absolute, key(Scheme::Http, "b.example", "/x"));
}

#[test]
fn cpo_07_spellings_of_a_host_are_one_and_ports_are_not_dropped() {
    let base = key(Scheme::Https, "a.example", "/");
    for host in ["A.Example", "a.example.", "a.example:443", "A.EXAMPLE.:443"] {
        assert_eq!(key(Scheme::Https, host, "/"), base, "{host}");
    }
    for host in ["a.example:80", "a.example:8443", "a.example:4430"] {
        assert_ne!(key(Scheme::Https, host, "/"), base, "{host}");
    }
}

#[test]
fn spellings_of_a_path_are_one() {
    let base = key(Scheme::Http, "a", "/b/c");
    for path in ["/b/./c", "//b/c", "/b/x/../c", "/%62/c"] {
        assert_eq!(key(Scheme::Http, "a", path), base, "{path}");
    }
}

#[test]
fn written_urls_have_the_keys_of_requests() {
    for (url, scheme, host, target) in [
        ("http://a.example/x?q", Scheme::Http, "a.example", "/x?q"),
        ("HTTPS://A.example:443", Scheme::Https, "a.example", "/"),
        ("https://a.example:8443?q", Scheme::Https, "a.example:8443", "/?q"),
        ("http://[::1]:80/a/../b", Scheme::Http, "[::1]", "/b"),
    ] {
        let parsed = UrlKey::parse(url, &KeyRules::default(), &SEED).unwrap();
        assert_eq!(parsed, key(scheme, host, target), "{url}");
        let read = UrlKey::from_bytes(parsed.bytes(), &SEED);
        assert_eq!(read, Some(parsed), "{url}");
    }
    for (url, error) in [
        ("a.example/x", TargetError::Form),
        ("/x", TargetError::Form),
        ("ftp://a/", TargetError::Scheme),
        ("http:///x", TargetError::Host),
        ("http://u@a/x", TargetError::UserInfo),
        ("http://a/x#y", TargetError::Fragment),
        ("http://a/x y", TargetError::Byte),
        ("http://a/..;/x", TargetError::DotSegment),
    ] {
        assert_eq!(UrlKey::parse(url, &KeyRules::default(), &SEED), Err(error), "{url}");
    }
}

#[test]
fn what_is_no_key_is_not_read() {
    let read = |bytes: &[u8]| UrlKey::from_bytes(bytes, &SEED);
    for bytes in [
        &b""[..],
        b"a",
        b"a\0\0http",
        b"a\0\0http\0",
        b"a\0\0http\0x",
        b"a\0\0ftp\0/",
        b"a\0x\0http\0/",
        b"a\x00123456\0http\0/",
        b"a\0\0http\0/\0",
    ] {
        assert_eq!(read(bytes), None, "{bytes:?}");
    }
}

#[test]
fn prefixes_and_sites_hold_what_they_name_and_nothing_else() {
    let check = |prefix: Result<Vec<u8>, TargetError>, scheme, host: &str, target: &str| {
        key(scheme, host, target).bytes().starts_with(&prefix.unwrap())
    };
    let img = || prefix("https://a.example/img/");
    assert!(check(img(), Scheme::Https, "a.example", "/img/1.png"));
    assert!(check(img(), Scheme::Https, "a.example", "/img/"));
    assert!(!check(img(), Scheme::Https, "a.example", "/img"));
    assert!(!check(img(), Scheme::Http, "a.example", "/img/1.png"));
    assert!(!check(img(), Scheme::Https, "a.example:8443", "/img/1.png"));
    assert!(!check(img(), Scheme::Https, "a.example.b", "/img/1.png"));
    assert!(check(prefix("https://a.example"), Scheme::Https, "a.example", "/x"));
    assert!(check(prefix("https://a.example/im"), Scheme::Https, "a.example", "/img/1.png"));
    assert!(check(prefix("http://a/x?b="), Scheme::Http, "a", "/x?b=1"));
    for url in ["http://a/.", "http://a/b/..", "http://a/b/%2e"] {
        assert_eq!(prefix(url), Err(TargetError::DotSegment), "{url}");
    }

    for (scheme, host) in [(Scheme::Http, "a.example"), (Scheme::Https, "A.example.:8443")] {
        assert!(check(site("a.example"), scheme, host, "/"), "{host}");
    }
    for host in ["a.example.com", "b.a.example", "a.exampl", "a.examplee"] {
        assert!(!check(site("a.example"), Scheme::Http, host, "/"), "{host}");
    }
    assert!(check(site("a.example:81"), Scheme::Http, "a.example:81", "/"));
    assert!(!check(site("a.example:81"), Scheme::Http, "a.example:810", "/"));
    assert!(!check(site("a.example:81"), Scheme::Http, "a.example", "/"));
    assert_eq!(site("a/b"), Err(TargetError::Host));
}

#[test]
fn cpo_08_query_rules() {
    let check = |rules: &KeyRules, query: Option<&str>, expect: Option<&str>| {
        let target = query.map_or_else(|| "/x".to_owned(), |query| format!("/x?{query}"));
        let made = UrlKey::of(&head(Scheme::Http, "a", &target), rules, &SEED);
        let target = expect.map_or_else(|| "/x".to_owned(), |query| format!("/x?{query}"));
        assert_eq!(made, key(Scheme::Http, "a", &target), "{query:?}");
        let asked = rules.asked(query.map(str::as_bytes));
        let asked = asked.as_ref().map_or(query.map(str::as_bytes), |asked| asked.as_deref());
        assert_eq!(asked, expect.map(str::as_bytes), "{query:?}");
    };
    let ignore = KeyRules { ignore_query: names(&["utm_*", "ref"]), ..KeyRules::default() };
    check(&ignore, Some("utm_source=1&a=2&ref&b=3"), Some("a=2&b=3"));
    check(&ignore, Some("utm_source=1"), None);
    check(&ignore, Some("REF=1&refs=2&%72ef=3"), Some("REF=1&refs=2&%72ef=3"));
    // What an origin could read as two parameters is one here, and the origin does not see it.
    check(&ignore, Some("utm_x=1;q=2&a=1"), Some("a=1"));
    check(&ignore, Some(""), Some(""));
    check(&ignore, None, None);
    let none = KeyRules { ignore_query: names(&["*"]), ..KeyRules::default() };
    check(&none, Some("a=1&b"), None);
    let only = KeyRules { only_query: Some(names(&["id", "p*"])), ..KeyRules::default() };
    check(&only, Some("x=1&page=2&id=3"), Some("page=2&id=3"));
    check(&only, Some("x=1"), None);
    let nothing = KeyRules { only_query: Some(names(&[])), ..KeyRules::default() };
    check(&nothing, Some("x=1"), None);
    let sorted = KeyRules { sort_query: true, ..ignore };
    check(&sorted, Some("b=1&a=2&ref=9&a=1&a-=0"), Some("a=2&a=1&a-=0&b=1"));
    assert_eq!(KeyRules::default().asked(Some(b"a")), None);
}

#[test]
fn keys_are_told_to_people_as_urls() {
    assert_eq!(url_of(key(Scheme::Https, "A.b:8443", "/x?y").bytes()), "https://a.b:8443/x?y");
    assert_eq!(url_of(key(Scheme::Http, "a:80", "/").bytes()), "http://a/");
    assert_eq!(url_of(b""), "://");
}

#[test]
fn cpo_10_keys_with_one_hash_are_still_two() {
    let narrow = SEED.narrowed(0);
    let make = |target| UrlKey::of(&head(Scheme::Http, "a", target), &KeyRules::default(), &narrow);
    assert_eq!(make("/x").hash(), make("/y").hash());
    assert_ne!(make("/x"), make("/y"));
    assert_eq!(make("/x"), make("/x"));
    assert!(SEED.narrowed(8).hash(b"x") < 256);
    assert_eq!(SEED.narrowed(128).hash(b"x"), SEED.hash(b"x"));
}

#[test]
fn a_key_is_made_again_in_the_same_memory() {
    let mut reused = key(Scheme::Http, "a.example", "/a/long/path?with=a&query");
    reused.set(&head(Scheme::Https, "b", "/"), &KeyRules::default(), &SEED);
    assert_eq!(reused, key(Scheme::Https, "b", "/"));
}

#[test]
fn hashes_of_short_texts_spread_and_depend_on_the_seed() {
    let mut low = std::collections::HashSet::new();
    let mut high = std::collections::HashSet::new();
    let mut buckets = [0u32; 16];
    for n in 0..20_000u32 {
        let hash = SEED.hash(format!("a\0\0http\0/{n}").as_bytes());
        assert!(low.insert(hash & u128::from(u64::MAX)), "{n}");
        assert!(high.insert(hash >> 64), "{n}");
        buckets[(hash & 15) as usize] += 1;
    }
    assert!(buckets.iter().all(|&n| (1_100..1_400).contains(&n)), "{buckets:?}");
    for (one, other) in [(&b""[..], &b"\0"[..]), (b"a", b"a\0"), (b"12345678", b"12345678\0")] {
        assert_ne!(SEED.hash(one), SEED.hash(other));
    }
    assert_ne!(SEED.hash(b"x"), KeySeed::new(1, 3).hash(b"x"));
    assert_ne!(SEED.hash(b"x"), KeySeed::new(2, 2).hash(b"x"));
}

/// A request by its parts, each of few bytes that are likely to run into one another.
fn parts() -> impl Strategy<Value = (bool, String, Option<u16>, String, Option<String>)> {
    let port = prop::option::of(prop_oneof![Just(80u16), Just(443), Just(8), Just(1)]);
    let path =
        "(/[a8_|%?]{0,2}){1,2}".prop_map(|path| path.replace('%', "%7C").replace('?', "%3F"));
    (any::<bool>(), "[a8]{1,2}(\\.a)?", port, path, prop::option::of("[a?/8&=|_]{0,3}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// CPO-09: two requests share a key only if all their parts are the same.
    #[test]
    fn cpo_09_keys_are_injective(one in parts(), other in parts()) {
        let make = |(secure, host, port, path, query): &(bool, String, Option<u16>, String, Option<String>)| {
            let scheme = if *secure { Scheme::Https } else { Scheme::Http };
            let authority = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
            let query = query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
            let mut made = RequestHead::default();
            made.scheme = scheme;
            made.fields.push(b"Host", authority.as_bytes());
            made.set_target(format!("{path}{query}").as_bytes()).ok()?;
            let port = port.filter(|&port| port != scheme.default_port());
            let parts = (scheme, made.host().to_vec(), port, made.path().to_vec(), made.query().map(<[u8]>::to_vec));
            Some((UrlKey::of(&made, &KeyRules::default(), &SEED), parts))
        };
        if let (Some((one, parts)), Some((other, others))) = (make(&one), make(&other)) {
            prop_assert_eq!(one.bytes() == other.bytes(), parts == others);
            prop_assert_eq!(UrlKey::parse(&url_of(one.bytes()), &KeyRules::default(), &SEED), Ok(one));
        }
    }

    #[test]
    fn no_bytes_panic_as_keys(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..40), text in ".{0,40}") {
        let _ = (UrlKey::from_bytes(&bytes, &SEED), url_of(&bytes), prefix(&text), site(&text));
        let _ = UrlKey::parse(&text, &KeyRules::default(), &SEED);
    }
}
