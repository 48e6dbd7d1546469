use proptest::prelude::*;

use super::*;

fn settings(origins: &[&str]) -> Settings {
    Settings { origins: origins.iter().map(|&o| o.to_owned()).collect(), ..Settings::default() }
}

fn line(name: &'static str, value: &str) -> Line {
    (name, value.into())
}

fn these(words: &[&str]) -> Listed {
    Listed::These(words.iter().map(|&word| word.into()).collect())
}

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    fields
}

/// The value of a field of the answer, by the end of its name.
fn said<'a>(lines: &'a [Line], name: &str) -> Option<&'a str> {
    let name = format!("access-control-{name}");
    lines.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
}

fn actual(policy: &Policy, lines: &[(&str, &str)]) -> Vec<Line> {
    match policy.check(&Method::Get, &fields(lines)) {
        Verdict::Pass(lines) => lines,
        other => panic!("{other:?}"),
    }
}

fn preflight(policy: &Policy, lines: &[(&str, &str)]) -> (u16, Vec<Line>) {
    match policy.check(&Method::Options, &fields(lines)) {
        Verdict::Answer(status, lines) => (status, lines),
        other => panic!("{other:?}"),
    }
}

#[test]
fn which_origins_may_read() {
    let allow = |origin: &str, listed: &[&str]| {
        let policy = Policy::new(&settings(listed)).unwrap();
        said(&actual(&policy, &[("Origin", origin)]), "allow-origin").map(str::to_owned)
    };
    for (listed, origin, expect) in [
        ("https://a.example", "https://a.example", true),
        ("HTTPS://A.example:443", "https://a.example", true),
        ("https://a.example", "http://a.example", false),
        ("https://a.example", "https://a.example:444", false),
        ("https://a.example:444", "https://a.example:444", true),
        ("https://a.example", "https://b.a.example", false),
        ("https://a.example", "https://a.example.evil.example", false),
        ("https://a.example", "https://A.example", false),
        ("https://*.a.example", "https://b.a.example", true),
        ("https://*.a.example", "https://c.b.a.example", true),
        ("https://*.a.example", "https://a.example", false),
        ("https://*.a.example", "https://.a.example", false),
        ("https://*.a.example", "https://ba.example", false),
        ("https://*.a.example", "http://b.a.example", false),
        ("https://*.a.example", "https://b.a.example:8080", false),
        ("https://*.a.example:8080", "https://b.a.example:8080", true),
        ("https://*.a.example", "https://evil.example/.a.example", false),
        ("https://*.a.example", "https://evil.example#.a.example", false),
        ("https://*.a.example", "https://evil.example:1.a.example", false),
        ("https://*.a.example", "https://user@b.a.example", false),
        ("https://*.a.example", "https://b..a.example", false),
        ("https://*.a.example", "null", false),
        ("null", "null", true),
        ("https://a.example", "null", false),
        ("https://a.example", "", false),
    ] {
        assert_eq!(
            allow(origin, &[listed]).as_deref(),
            expect.then_some(origin),
            "{listed} {origin}"
        );
    }
    assert_eq!(allow("https://x.example", &["*"]).as_deref(), Some("*"));
    assert_eq!(allow("https://b", &["https://a", "https://b"]).as_deref(), Some("https://b"));
}

#[test]
fn settings_that_make_no_policy() {
    let bad = |text: &str| PolicyError::Origin(BadOrigin(text.into()));
    let with = |origins: &[&str], change: &dyn Fn(&mut Settings)| {
        let mut settings = settings(origins);
        change(&mut settings);
        Policy::new(&settings).unwrap_err()
    };
    let nothing: &dyn Fn(&mut Settings) = &|_| {};
    for (origins, change, expect) in [
        (&[][..], nothing, PolicyError::NoOrigin),
        (&["example.com"], nothing, bad("example.com")),
        (&["https://a.example/"], nothing, bad("https://a.example/")),
        (&["https://a.*.example"], nothing, bad("https://a.*.example")),
        (&["https://*"], nothing, bad("https://*")),
        (&["https://*.127.0.0.1"], nothing, bad("https://*.127.0.0.1")),
        (&["https://*.[::1]"], nothing, bad("https://*.[::1]")),
        (&["*"], &|s| s.credentials = true, PolicyError::AnyWithCredentials),
        (&["https://a", "null"], &|s| s.credentials = true, PolicyError::NullWithCredentials),
        (&["*"], &|s| s.max_age = Some(Duration::from_secs(86_401)), PolicyError::MaxAge),
        (&["*"], &|s| s.methods = these(&["A B"]), PolicyError::Token("A B".into())),
        (&["*"], &|s| s.headers = these(&["x\r\ny"]), PolicyError::Token("x\r\ny".into())),
        (&["*"], &|s| s.expose = vec!["*".into()], PolicyError::Token("*".into())),
    ] {
        assert_eq!(with(origins, change), expect);
    }
}

#[test]
fn what_an_actual_answer_gets() {
    let mut settings = settings(&["https://a.example"]);
    settings.credentials = true;
    settings.expose = vec!["X-A".into(), "X-B".into()];
    let policy = Policy::new(&settings).unwrap();
    let lines = actual(&policy, &[("Origin", "https://a.example")]);
    assert_eq!(
        lines,
        [
            line("vary", "Origin"),
            line("access-control-allow-origin", "https://a.example"),
            line("access-control-allow-credentials", "true"),
            line("access-control-expose-headers", "X-A, X-B"),
        ]
    );
    // Everything else varies by origin too, or a cache would give one's answer to another.
    let two = [("Origin", "https://a.example"), ("Origin", "https://a.example")];
    for other in [&[][..], &[("Origin", "https://b.example")], &two] {
        assert_eq!(actual(&policy, other), [line("vary", "Origin")]);
    }
    // OPTIONS without the question is a request like any other.
    let verdict = policy.check(&Method::Options, &fields(&[("Origin", "https://b.example")]));
    assert_eq!(verdict, Verdict::Pass(vec![line("vary", "Origin")]));
    let asked = [("Access-Control-Request-Method", "PUT")];
    assert_eq!(
        policy.check(&Method::Options, &fields(&asked)),
        Verdict::Pass(vec![line("vary", "Origin")])
    );
    let both = [("Origin", "https://b.example"), asked[0]];
    assert_eq!(
        policy.check(&Method::Post, &fields(&both)),
        Verdict::Pass(vec![line("vary", "Origin")])
    );
}

const ORIGIN: (&str, &str) = ("Origin", "https://a.example");
const METHOD: (&str, &str) = ("Access-Control-Request-Method", "PUT");

#[test]
fn preflights() {
    let mut settings = settings(&["https://a.example"]);
    settings.methods = these(&["PUT", "DELETE"]);
    settings.headers = these(&["X-A", "Content-Type"]);
    settings.max_age = Some(Duration::from_secs(600));
    settings.expose = vec!["X-B".into()];
    let policy = Policy::new(&settings).unwrap();
    let (status, lines) =
        preflight(&policy, &[ORIGIN, METHOD, ("Access-Control-Request-Headers", "x-a")]);
    assert_eq!(status, 204);
    assert_eq!(said(&lines, "allow-origin"), Some("https://a.example"));
    assert_eq!(said(&lines, "allow-methods"), Some("PUT, DELETE"));
    assert_eq!(said(&lines, "allow-headers"), Some("X-A, Content-Type"));
    assert_eq!(said(&lines, "max-age"), Some("600"));
    assert_eq!(said(&lines, "allow-credentials"), None);
    assert_eq!(said(&lines, "expose-headers"), None);
    assert!(lines[0].0 == "vary" && lines[0].1.starts_with("Origin, "));
    for refused in [
        &[("Origin", "https://b.example"), METHOD][..],
        &[("Origin", "null"), METHOD],
        &[ORIGIN, ORIGIN, METHOD],
        &[ORIGIN, METHOD, METHOD],
    ] {
        let (status, lines) = preflight(&policy, refused);
        assert_eq!(status, 403);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].0, "vary");
    }
}

#[test]
fn what_any_gives_is_what_was_asked() {
    let mut settings = settings(&["https://a.example"]);
    settings.methods = Listed::Any;
    settings.headers = Listed::Any;
    settings.credentials = true;
    let policy = Policy::new(&settings).unwrap();
    let many = vec!["x"; ASKED_MAX + 1].join(",");
    let long = "x".repeat(ASKED_BYTES_MAX + 1);
    for (asked, expect) in [
        ("authorization,x-b", Some("authorization, x-b")),
        (" x-a ,\tx-b ", Some("x-a, x-b")),
        ("x-a,,x-b", None),
        ("x a", None),
        ("", None),
        (&many, None),
        (&long, None),
    ] {
        let lines =
            preflight(&policy, &[ORIGIN, METHOD, ("Access-Control-Request-Headers", asked)]).1;
        assert_eq!(said(&lines, "allow-headers"), expect, "{asked}");
        assert_eq!(said(&lines, "allow-methods"), Some("PUT"));
        assert_eq!(said(&lines, "allow-credentials"), Some("true"));
    }
    let odd = preflight(&policy, &[ORIGIN, ("Access-Control-Request-Method", "A B")]).1;
    assert_eq!(said(&odd, "allow-methods"), None);
}

#[test]
fn private_networks() {
    let asked = [ORIGIN, METHOD, ("Access-Control-Request-Private-Network", "true")];
    let mut settings = settings(&["https://a.example"]);
    let policy = Policy::new(&settings).unwrap();
    assert_eq!(said(&preflight(&policy, &asked).1, "allow-private-network"), None);
    settings.private_network = true;
    let policy = Policy::new(&settings).unwrap();
    assert_eq!(said(&preflight(&policy, &asked).1, "allow-private-network"), Some("true"));
    assert_eq!(said(&preflight(&policy, &asked[..2]).1, "allow-private-network"), None);
}

proptest! {
    /// Whatever a client sends, what is said is a field's value, and `*` never meets credentials.
    #[test]
    fn what_is_said_may_be_sent(
        origin in prop_oneof!["\\PC{0,40}", "https?://[a-z.:/@#-]{0,20}\\.a\\.example"],
        method in "\\PC{0,10}",
        headers in "\\PC{0,40}",
        credentials: bool,
        options: bool,
    ) {
        let mut settings = settings(&["https://*.a.example"]);
        settings.credentials = credentials;
        (settings.methods, settings.headers) = (Listed::Any, Listed::Any);
        let policy = Policy::new(&settings).unwrap();
        let sent = fields(&[
            ("Origin", &origin),
            ("Access-Control-Request-Method", &method),
            ("Access-Control-Request-Headers", &headers),
        ]);
        let asked = if options { Method::Options } else { Method::Get };
        let (Verdict::Answer(_, lines) | Verdict::Pass(lines)) = policy.check(&asked, &sent);
        prop_assert_eq!(lines[0].0, "vary");
        for (_, value) in &lines {
            prop_assert!(doorman_http::is_field_value(value.as_bytes()));
        }
        if let Some(allowed) = said(&lines, "allow-origin") {
            prop_assert_eq!(allowed, &*origin);
            let host = origin::read(origin.as_bytes()).map(|parts| parts.host.ends_with(".a.example"));
            prop_assert_eq!(host, Some(true));
        }
    }
}
