//! What is made of a directive, and that nothing that people write gets out of its place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use doorman_http::{Instant, Now};
use proptest::prelude::*;

use super::*;
use crate::rule::{EngineMode, IdRange, OverLimit, Place};
use crate::{Engine, Facts, OnError, Options, Report, Transaction, Verdict, Worker};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        Err(format!("{name} is not there"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

fn place(line: u32) -> Place {
    Place { file: "doorman.conf".into(), line }
}

fn text(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.as_bytes().to_vec() }
}

/// A set of a few rules: one for arguments and their names, one for fields, one for cookies, and one
/// that refuses by score, all made for these tests.
const RULES: &str = r#"
SecRule ARGS|ARGS_NAMES "@contains bad" "id:5001,phase:2,pass,log,msg:'arg',tag:'attack-arg'"
SecRule REQUEST_HEADERS|REQUEST_HEADERS_NAMES "@contains bad" "id:5002,phase:1,pass,log,msg:'field',tag:'attack-field'"
SecRule REQUEST_COOKIES|REQUEST_COOKIES_NAMES "@contains bad" "id:5003,phase:1,pass,log,msg:'cookie',tag:'attack-field'"
SecRule ARGS_POST "@contains bad" "id:5004,phase:2,pass,log,msg:'form',tag:'attack-arg'"
"#;

fn crs(setup: Option<&str>, rules: &str) -> Base {
    Base::Crs {
        root: "/set".into(),
        setup: setup.map(|setup| text("/set/crs-setup.conf", setup)),
        plugins_before: Vec::new(),
        rules: vec![text("/set/rules/a.conf", rules)],
        plugins_after: Vec::new(),
    }
}

fn wanted(rules: &str) -> Wanted {
    Wanted::new(place(3), crs(None, rules))
}

fn exclusion(rules: Rules) -> Exclusion {
    Exclusion { place: place(20), rules, target: None, path: None, methods: Vec::new() }
}

fn ids(first: u32, last: u32) -> Rules {
    Rules::Ids(vec![IdRange { first, last }])
}

fn made(wanted: &Wanted) -> RuleSet {
    assemble(wanted, &NoFiles).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(wanted: &Wanted) -> Vec<String> {
    let faults = assemble(wanted, &NoFiles).map(|_| ()).expect_err("it is wrong");
    faults.into_iter().map(|fault| format!("{}: {}", fault.place, fault.text)).collect()
}

fn warnings(wanted: &Wanted) -> Vec<String> {
    let warnings = made(wanted).warnings.into_iter();
    warnings.map(|warning| format!("{}: {}", warning.place, warning.text)).collect()
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    protocol: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

const fn get<'a>(target: &'a str, fields: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request { method: "GET", target, protocol: "HTTP/1.1", fields, body: b"" }
}

fn run(wanted: &Wanted, request: &Request<'_>) -> (Transaction, Report, Vec<Verdict>) {
    let options = Options { on_error: wanted.on_error, ..Options::default() };
    let engine = Engine::with(made(wanted), options, Arc::default());
    let engine = Arc::new(engine.expect("every rule has a link"));
    let address = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 443);
    let now = Now { instant: Instant(0), unix_nanos: 0 };
    let facts = Facts { client: address(1), server: address(2), now, unique_id: "u".into() };
    let mut worker = Worker::new(&engine);
    let mut transaction = Transaction::new(engine, facts);
    let (method, target) = (request.method.as_bytes(), request.target.as_bytes());
    transaction.request_line(method, target, request.protocol.as_bytes());
    for (name, value) in request.fields {
        transaction.request_field(name.as_bytes(), value.as_bytes());
    }
    let mut verdicts = vec![transaction.request_head(&mut worker)];
    verdicts.extend(transaction.request_body(request.body).err());
    verdicts.push(transaction.request_end(&mut worker));
    let report = transaction.finish(&mut worker);
    (transaction, report, verdicts)
}

/// Rules of the set that match.
fn matches(wanted: &Wanted, request: &Request<'_>) -> Vec<u32> {
    let (_, report, _) = run(wanted, request);
    report.matches.iter().map(|found| found.rule.id).filter(|id| *id < 200_000).collect()
}

fn refusal(wanted: &Wanted, request: &Request<'_>) -> Option<(u32, u16)> {
    let (_, report, _) = run(wanted, request);
    report.refused.map(|refusal| (refusal.rule, refusal.status))
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn bodies_are_read_by_their_type() {
    let check = |content_type: &str, processor: &str| {
        let rule = "SecAction \"id:5000,phase:1,pass,nolog,setvar:tx.by=%{REQBODY_PROCESSOR}\"";
        let fields = [("Content-Type", content_type)];
        let (transaction, ..) = run(&wanted(rule), &get("/", &fields));
        let by = transaction.tx("by").map(|by| String::from_utf8_lossy(by).into_owned());
        assert_eq!(by.as_deref(), Some(processor), "{content_type}");
    };
    check("application/x-www-form-urlencoded", "URLENCODED");
    check("Application/X-WWW-Form-Urlencoded; charset=utf-8", "URLENCODED");
    check("multipart/form-data; boundary=x", "MULTIPART");
    check("application/json", "JSON");
    check("application/json;charset=utf-8", "JSON");
    check("text/json", "JSON");
    check("application/vnd.api+json; version=1", "JSON");
    check("application/ld+json", "JSON");
    check("application/xml", "XML");
    check("text/xml; charset=utf-8", "XML");
    check("application/soap+xml", "XML");
    check("image/svg+xml", "XML");
    // As some applications know them, too.
    check("text/x-json", "JSON");
    check("application/jsonrequest", "JSON");
    check("application/x-xml", "XML");
    check("application/x-www-form-urlencodedx", "URLENCODED");
    check("application/x-www-form-urlencoded/x", "URLENCODED");
    check("multipart/form-datax; boundary=x", "MULTIPART");
    check("multipart/mixed; boundary=x", "MULTIPART");
    check("multipart/related; boundary=x", "MULTIPART");
    for other in
        ["application/json-seq", "application/x-ndjson", "application/xmlish", "text/plain"]
    {
        check(other, "");
    }
}

#[test]
fn bodies_that_cannot_be_read_are_refused() {
    let check = |content_type: &str, body: &str, expected: Option<(u32, u16)>| {
        let fields = [("Content-Type", content_type)];
        let request = Request { method: "POST", body: body.as_bytes(), ..get("/", &fields) };
        assert_eq!(refusal(&wanted(""), &request), expected, "{content_type} {body}");
    };
    check("application/json", "{\"a\":1}", None);
    check("application/json", "{\"a\":", Some((200_002, 400)));
    check("multipart/form-data; boundary=x", "no part of it", Some((200_002, 400)));
    let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    check("multipart/form-data; boundary=x", &format!("--x\r\n{part}--x--\r\n"), None);
    let folded = "Content-Disposition: form-data;\n name=\"a\"\n\n1\n";
    let folded = format!("--x\n{folded}--x--\n");
    check("multipart/form-data; boundary=x", &folded, Some((200_003, 400)));
    check("application/x-www-form-urlencoded", &"a=1&".repeat(1_100), Some((200_007, 400)));
    check("application/x-www-form-urlencoded", &"a=1&".repeat(900), None);
}

#[test]
fn bodies_that_are_coded_are_refused_where_they_would_be_read() {
    let check = |content_type: &str, coding: &str, expected: Option<(u32, u16)>| {
        let fields = [("Content-Type", content_type), ("Content-Encoding", coding)];
        for (body, expected) in [(&b"q=bad"[..], expected), (b"", None)] {
            let request = Request {
                method: "POST",
                target: "/",
                protocol: "HTTP/1.1",
                fields: &fields,
                body,
            };
            assert_eq!(refusal(&wanted(""), &request), expected, "{content_type} {coding}");
        }
    };
    let form = "application/x-www-form-urlencoded";
    for coding in ["gzip", "deflate", "br", "identity, gzip", "x"] {
        check(form, coding, Some((200_011, 400)));
        check("application/json", coding, Some((200_011, 400)));
        check("application/octet-stream", coding, None);
    }
    check(form, " Identity ", None);
    check(form, "", None);
    let fields = [("Content-Type", form), ("Content-Encoding", "gzip")];
    let request = Request {
        method: "POST",
        target: "/",
        protocol: "HTTP/1.1",
        fields: &fields,
        body: b"q=bad",
    };
    let mut open = wanted("");
    open.on_error = OnError::Open;
    assert_eq!(refusal(&open, &request), None);
}

#[test]
fn parts_of_any_multipart_body_that_are_of_a_form_are_read() {
    let rules = "SecRule ARGS \"@contains bad\" \"id:5001,phase:2,pass,log\"\n\
                 SecRule REQUEST_BODY \"@contains bad\" \"id:5002,phase:2,pass,log\"";
    let check = |content_type: &str, head: &str, expected: &[u32]| {
        let body = format!("--x\r\n{head}\r\n\r\nbad\r\n--x--\r\n");
        let fields = [("Content-Type", content_type)];
        let request = Request {
            method: "POST",
            target: "/",
            protocol: "HTTP/1.1",
            fields: &fields,
            body: body.as_bytes(),
        };
        let (_, report, _) = run(&wanted(rules), &request);
        let ids: Vec<_> = report.matches.iter().map(|found| found.rule.id).collect();
        assert_eq!(ids, expected, "{content_type} {head}");
    };
    let part = "Content-Disposition: form-data; name=a";
    check("multipart/form-data; boundary=x", part, &[5_001]);
    for kind in ["mixed; boundary=x", "related; type=\"text/xml\"; boundary=\"x\"; start=a"] {
        let kind = format!("multipart/{kind}");
        check(&kind, part, &[5_001, 5_002]);
        check(&kind, "Content-ID: <a>", &[5_002]);
    }
}

#[test]
fn two_types_of_a_body_are_refused() {
    let check = |fields: &[(&str, &str)], expected: Option<(u32, u16)>| {
        let request = Request {
            method: "POST",
            target: "/",
            protocol: "HTTP/1.1",
            fields,
            body: b"{\"a\":1}",
        };
        assert_eq!(refusal(&wanted(""), &request), expected, "{fields:?}");
        let mut open = wanted("");
        open.on_error = OnError::Open;
        assert_eq!(refusal(&open, &request), expected, "{fields:?}");
    };
    let two = Some((200_010, 400));
    check(&[("Content-Type", "application/json")], None);
    check(&[("Content-Type", "text/plain"), ("content-type", "application/json")], two);
    check(&[("Content-Type", "text/plain"), ("Content-Type", "text/plain")], two);
}

#[test]
fn bodies_that_cannot_be_read_pass_where_errors_are_open() {
    let fields = [("Content-Type", "application/json")];
    let request = Request { method: "POST", body: b"{\"a\":\"bad\"", ..get("/", &fields) };
    let mut wanted = wanted(RULES);
    wanted.on_error = OnError::Open;
    assert_eq!(refusal(&wanted, &request), None);
    let (_, report, _) = run(&wanted, &request);
    let ids: Vec<_> = report.matches.iter().map(|found| found.rule.id).collect();
    assert_eq!(ids, [200_002, 5_001, 5_004], "it is told, and what could be read is looked at");
}

#[test]
fn long_bodies_are_refused_or_looked_at_in_part() {
    let fields = [("Content-Type", "application/json")];
    let body = format!("{{\"a\":\"bad\",\"b\":\"{}\"}}", "x".repeat(2_000));
    let request = Request { method: "POST", body: body.as_bytes(), ..get("/", &fields) };
    let mut wanted = wanted(RULES);
    wanted.request_body_max = 1_024;
    assert_eq!(refusal(&wanted, &request), Some((0, 413)));
    wanted.over_limit = OverLimit::Partial;
    assert_eq!(refusal(&wanted, &request), None, "that its end is missing is no fault");
    assert_eq!(matches(&wanted, &request), [5_001, 5_004]);
    (wanted.over_limit, wanted.mode) = (OverLimit::Reject, EngineMode::DetectionOnly);
    assert_eq!(refusal(&wanted, &request), None);
    assert_eq!(matches(&wanted, &request), [5_001, 5_004]);
}

#[test]
fn settings_have_the_names_of_all_releases() {
    let mut wanted = wanted("");
    let value = |wanted: &Wanted, name: &str| {
        let (transaction, ..) = run(wanted, &get("/", &[]));
        transaction.tx(name).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    for name in ["blocking_paranoia_level", "paranoia_level", "early_blocking", "allowed_methods"] {
        assert_eq!(value(&wanted, name), None, "what nobody has said is the set's: {name}");
    }
    wanted.level = Level::new(2);
    wanted.detect_level = Level::new(3);
    wanted.threshold = Some(7);
    wanted.outbound_threshold = Some(8);
    wanted.early_blocking = true;
    wanted.methods = Some(vec!["GET".into(), "PATCH".into()]);
    for (name, expected) in [
        ("blocking_paranoia_level", "2"),
        ("paranoia_level", "2"),
        ("detection_paranoia_level", "3"),
        ("executing_paranoia_level", "3"),
        ("inbound_anomaly_score_threshold", "7"),
        ("outbound_anomaly_score_threshold", "8"),
        ("early_blocking", "1"),
        ("allowed_methods", "GET PATCH"),
        ("crs_setup_version", "4000"),
    ] {
        assert_eq!(value(&wanted, name).as_deref(), Some(expected), "{name}");
    }
    wanted.base = crs(Some(""), "");
    assert_eq!(value(&wanted, "crs_setup_version"), None, "the set's own setup says it");
}

/// As releases before 4 have it: a default that knows no HTTP/3, and a rule that goes by it.
const OF_VERSIONS: &str = r#"
SecRule &TX:allowed_http_versions "@eq 0" \
    "id:5020,phase:1,pass,nolog,setvar:'tx.allowed_http_versions=HTTP/1.1 HTTP/2.0'"
SecRule REQUEST_PROTOCOL "!@within %{tx.allowed_http_versions}" "id:5021,phase:1,pass,log"
"#;

#[test]
fn every_version_that_is_spoken_is_a_good_one() {
    let over = |protocol| Request { protocol, ..get("/", &[]) };
    let mut wanted = wanted(OF_VERSIONS);
    for protocol in ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"] {
        assert_eq!(matches(&wanted, &over(protocol)), [0; 0], "{protocol}");
    }
    assert_eq!(matches(&wanted, &over("HTTP/4.0")), [5_021]);
    let setup =
        "SecAction \"id:5010,phase:1,pass,nolog,setvar:'tx.allowed_http_versions=HTTP/2.0'\"";
    wanted.base = crs(Some(setup), OF_VERSIONS);
    assert_eq!(matches(&wanted, &over("HTTP/3.0")), [5_021], "the set's own setup holds");
    assert_eq!(warnings(&wanted), [""; 0], "nobody has said otherwise");
}

#[test]
fn a_setup_that_says_otherwise_is_told_of() {
    let setup = "# Mine.\n\nSecAction \"id:5010,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=3,\
                 setvar:tx.inbound_anomaly_score_threshold=5\"";
    let mut wanted = Wanted::new(place(3), crs(Some(setup), ""));
    assert_eq!(warnings(&wanted), [""; 0], "the directive says nothing");
    wanted.level = Level::new(1);
    wanted.threshold = Some(5);
    assert_eq!(
        warnings(&wanted),
        [
            "/set/crs-setup.conf:3: sets tx.blocking_paranoia_level to 3, where the configuration says 1 \
          (doorman.conf:3); this file comes later and holds: take it out of one of them"
        ]
    );
    let (transaction, ..) = run(&wanted, &get("/", &[]));
    assert_eq!(transaction.tx("blocking_paranoia_level"), Some(&b"3"[..]));
}

#[test]
fn the_mode_of_the_directive_holds() {
    let mut wanted = wanted("SecRuleEngine DetectionOnly");
    assert_eq!(made(&wanted).settings.engine, EngineMode::On);
    assert_eq!(
        warnings(&wanted),
        [
            "doorman.conf:3: a SecRuleEngine in the rules says otherwise; the mode of this line holds"
        ]
    );
    wanted.mode = EngineMode::DetectionOnly;
    assert_eq!(warnings(&wanted), [""; 0]);
}

#[test]
fn sources_stand_in_order() {
    let mut wanted = Wanted::new(
        place(3),
        Base::Crs {
            root: "/set".into(),
            setup: Some(text("setup", "")),
            plugins_before: vec![text("plugin before", "")],
            rules: vec![text("rules", "")],
            plugins_after: vec![text("plugin after", "")],
        },
    );
    wanted.before = vec![text("own before", "")];
    wanted.own = vec![text("own", "")];
    wanted.exclusions = vec![
        exclusion(ids(1, 1)),
        Exclusion { methods: vec!["POST".into()], place: place(30), ..exclusion(ids(2, 2)) },
    ];
    let all = sources(&wanted).expect("it is right");
    let names: Vec<_> = all.iter().map(|source| &*source.name).collect();
    assert_eq!(
        names,
        [
            "(engine)",
            "(settings)",
            "doorman.conf",
            "setup",
            "plugin before",
            "own before",
            "rules",
            "plugin after",
            "own",
            "doorman.conf",
        ]
    );
}

#[test]
fn exclusions_take_away_what_they_say() {
    let bad = [("X-Test", "bad"), ("Cookie", "c=bad; d=fine"), ("X-Bad", "fine")];
    let request = get("/blog/post?q=bad&r=fine", &bad);
    let check = |exclusions: &[Exclusion], expected: &[u32]| {
        let mut wanted = wanted(RULES);
        wanted.exclusions = exclusions.to_vec();
        assert_eq!(warnings(&wanted), [""; 0], "{exclusions:?}");
        assert_eq!(matches(&wanted, &request), expected, "{exclusions:?}");
    };
    let arg = |name: Name| Some(Excluded::Argument(name));
    let exact = |name: &str| Name::Exact(name.into());
    let regex = |pattern: &str| Name::Regex(pattern.into());
    check(&[], &[5_002, 5_003, 5_001]);
    check(&[exclusion(ids(5_001, 5_001))], &[5_002, 5_003]);
    check(&[exclusion(ids(5_001, 5_002))], &[5_003]);
    check(&[exclusion(Rules::Tag("attack-field".into()))], &[5_001]);
    let one = |rules: Rules, target| vec![Exclusion { target, ..exclusion(rules) }];
    check(&one(ids(5_001, 5_001), arg(exact("Q"))), &[5_002, 5_003]);
    check(&one(ids(5_001, 5_001), arg(exact("r"))), &[5_002, 5_003, 5_001]);
    check(&one(ids(5_001, 5_001), arg(regex("^[p-q]$"))), &[5_002, 5_003]);
    check(&one(ids(5_001, 5_001), arg(regex("^(a|q){1,3}$"))), &[5_002, 5_003]);
    check(&one(ids(5_001, 5_001), arg(Name::All)), &[5_002, 5_003]);
    check(&one(Rules::Tag("attack-arg".into()), arg(exact("q"))), &[5_002, 5_003]);
    let cookie = Some(Excluded::Cookie(exact("c")));
    check(&one(Rules::Tag("attack-field".into()), cookie), &[5_002, 5_001]);
    // The cookie is in its field, too, and that is a field.
    let fields = Some(Excluded::Header(regex("^(x-test|cookie)$")));
    check(&one(ids(5_000, 5_009), fields), &[5_003, 5_001]);
}

#[test]
fn exclusions_hold_where_their_conditions_do() {
    let check = |target: &str, method: &str, excluded: bool| {
        let mut wanted = wanted(RULES);
        wanted.exclusions = vec![Exclusion {
            path: Some(Path::Below("/blog".into())),
            methods: vec!["GET".into(), "PUT".into()],
            target: Some(Excluded::Argument(Name::Exact("q".into()))),
            ..exclusion(ids(5_001, 5_001))
        }];
        assert_eq!(warnings(&wanted), [""; 0]);
        let request = Request { method, ..get(target, &[]) };
        assert_eq!(matches(&wanted, &request).is_empty(), excluded, "{method} {target}");
    };
    check("/blog/post?q=bad", "GET", true);
    check("/blog?q=bad", "PUT", true);
    check("/blog//a/./b?q=bad", "GET", true);
    check("/x/../blog/?q=bad", "GET", true);
    check("/blog/post?q=bad", "POST", false);
    check("/blog/post?r=bad", "GET", false);
    check("/blogs?q=bad", "GET", false);
    check("/a/blog/?q=bad", "GET", false);
    check("/blog/../admin?q=bad", "GET", false);
    check("/blog/%2e%2e/admin?q=bad", "GET", false);
    check("/blog/..%2fadmin?q=bad", "GET", false);
    check("/blog/..\\admin?q=bad", "GET", false);
    check("/blog/..;/admin?q=bad", "GET", false);
}

#[test]
fn exclusions_of_one_path() {
    let check = |path: &str, target: &str, excluded: bool| {
        let mut wanted = wanted(RULES);
        wanted.exclusions = vec![Exclusion {
            path: Some(Path::Exact(path.into())),
            ..exclusion(ids(5_001, 5_001))
        }];
        let request = get(target, &[]);
        assert_eq!(matches(&wanted, &request).is_empty(), excluded, "{path} {target}");
    };
    check("/a", "/a?q=bad", true);
    check("/a", "/a/?q=bad", false);
    check("/a", "/a/b?q=bad", false);
    check("/a.b", "/axb?q=bad", false);
    check("/a b", "/a%20b?q=bad", true);
    check("/\u{e9}", "/%c3%a9?q=bad", true);
    check("/%{ARGS}", "/x?q=bad", false);
}

#[test]
fn faults_are_all_told_where_they_stand() {
    let mut wanted = wanted("SecRule ARGS");
    wanted.level = Level::new(3);
    wanted.detect_level = Level::new(2);
    wanted.methods = Some(vec!["GET'".into()]);
    let at = |line, target, rules| Exclusion { place: place(line), target, ..exclusion(rules) };
    let regex = |pattern: &str| Some(Excluded::Argument(Name::Regex(pattern.into())));
    wanted.exclusions = vec![
        at(10, None, Rules::Tag("a'b".into())),
        at(11, regex("(a"), ids(1, 1)),
        at(12, regex("(?x)a b"), ids(1, 1)),
        at(13, Some(Excluded::Cookie(Name::Exact("x".repeat(600)))), ids(1, 1)),
        at(14, None, Rules::Ids(Vec::new())),
        Exclusion { methods: vec!["P\"".into()], ..at(15, None, ids(1, 1)) },
        Exclusion { path: Some(Path::Exact("/x".repeat(600))), ..at(16, None, ids(1, 1)) },
    ];
    let faults = faults(&wanted);
    let places: Vec<_> = faults.iter().filter_map(|fault| fault.split_once(": ")).collect();
    let lines: Vec<_> = places.iter().map(|(place, _)| *place).collect();
    let expected = [3, 3, 10, 11, 12, 13, 14, 15, 16].map(|line| format!("doorman.conf:{line}"));
    assert_eq!(lines, expected, "{faults:#?}");
    assert!(faults[3].contains("the pattern \"(a\""), "{}", faults[3]);
}

#[test]
fn faults_of_rules_are_told_of_their_own_place() {
    let faults = faults(&wanted("\nSecRool ARGS x"));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("/set/rules/a.conf:2: "), "{faults:?}");
}

#[test]
fn exclusions_of_nothing_are_told_of() {
    let mut wanted = wanted(RULES);
    let path = Some(Path::Below("/a".into()));
    wanted.exclusions = vec![
        Exclusion { path: path.clone(), ..exclusion(ids(7_000, 7_001)) },
        Exclusion { path: path.clone(), place: place(21), ..exclusion(Rules::Tag("x".into())) },
        Exclusion { place: place(22), ..exclusion(ids(7_002, 7_002)) },
        Exclusion { path, place: place(23), ..exclusion(ids(5_001, 5_001)) },
    ];
    let mut lines: Vec<_> = made(&wanted).warnings.iter().map(|w| w.place.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [20, 21, 22]);
}

#[test]
fn too_many_exclusions_are_refused() {
    let mut wanted = wanted("");
    wanted.exclusions = vec![exclusion(ids(1, 1)); EXCLUSIONS_MAX + 1];
    assert_eq!(faults(&wanted), ["doorman.conf:3: 501 exclusions; at most 500"]);
}

#[test]
fn sets_say_what_they_are() {
    let version = |rules| {
        let set = made(&wanted(rules));
        crs_version(&set).map(|(name, version)| format!("{name} {version}"))
    };
    let plugin = "SecComponentSignature \"some-plugin/1.0.0\"\n";
    assert_eq!(version(plugin), None);
    let set = format!("{plugin}SecComponentSignature \"OWASP_CRS/4.28.0\"");
    assert_eq!(version(&set).as_deref(), Some("OWASP_CRS 4.28.0"));
}

/// Names as people would have to write them to break out, and any others.
fn names() -> impl Strategy<Value = String> {
    let sharp = "[\"'\\\\|,;:/!&% \\n\\r\\t#{}()\\[\\]$^*+?.=~-]{1,12}";
    let word = "[a-z0-9_]{1,8}";
    prop_oneof![
        any::<String>(),
        sharp,
        word,
        (word, sharp, word).prop_map(|(a, b, c)| a + &b + &c),
        Just("x\" \"id:1,phase:1,deny".to_owned()),
        Just("x'\nSecRuleEngine Off\n".to_owned()),
        Just("x/|ARGS:y".to_owned()),
        Just("%{TX.0}".to_owned()),
        Just("x\\".to_owned()),
    ]
    .prop_filter("names have a bound", |name| name.len() <= 100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// An argument of any name is excluded, and no other is, with a condition and without one.
    #[test]
    fn any_name_stays_in_its_place(name in names(), conditional in any::<bool>()) {
        let mut wanted = wanted(RULES);
        let path = conditional.then(|| Path::Below("/a".into()));
        let target = Some(Excluded::Argument(Name::Exact(name.clone())));
        wanted.exclusions = vec![Exclusion { target, path, ..exclusion(ids(5_001, 5_001)) }];
        let set = made(&wanted);
        prop_assert!(set.warnings.is_empty());
        let rules = made(&Wanted { exclusions: Vec::new(), ..wanted.clone() });
        let own = usize::from(conditional);
        prop_assert_eq!(set.items.len(), rules.items.len() + own);
        prop_assert_eq!(&set.settings, &rules.settings);
        let excluded = format!("/a?{}=bad", percent(&name));
        prop_assert_eq!(matches(&wanted, &get(&excluded, &[])), [0_u32; 0]);
        let other = format!("/a?{}x=bad", percent(&name));
        prop_assert_eq!(matches(&wanted, &get(&other, &[])), [5_001]);
    }

    /// A pattern of any text either means what it meant or is refused, and nothing else is changed.
    #[test]
    fn any_pattern_stays_in_its_place(pattern in names(), name in names()) {
        let mut wanted = wanted(RULES);
        let target = Some(Excluded::Argument(Name::Regex(pattern.clone())));
        wanted.exclusions = vec![Exclusion { target, ..exclusion(ids(5_001, 5_001)) }];
        let Ok(set) = assemble(&wanted, &NoFiles) else { return Ok(()) };
        let rules = made(&Wanted { exclusions: Vec::new(), ..wanted.clone() });
        prop_assert_eq!(set.items.len(), rules.items.len());
        prop_assert_eq!(&set.settings, &rules.settings);
        let meant = crate::regex::Regex::new(format!("(?i){pattern}").as_bytes(), 1_000)
            .expect("a pattern that was taken compiles");
        let found = meant.is_match(&mut meant.cache(), name.as_bytes()).unwrap_or(false);
        let target = format!("/a?{}=bad", percent(&name));
        prop_assert_eq!(matches(&wanted, &get(&target, &[])).is_empty(), found, "{} {}", pattern, name);
    }

    /// A path of any text is that path.
    #[test]
    fn any_path_stays_in_its_place(path in names(), below in any::<bool>()) {
        let path = format!("/p{}", path.replace(['/', '\\', '\0', '.', ';'], "-"));
        let mut wanted = wanted(RULES);
        let condition = if below { Path::Below(path.clone()) } else { Path::Exact(path.clone()) };
        wanted.exclusions = vec![Exclusion { path: Some(condition), ..exclusion(ids(5_001, 5_001)) }];
        let target = |rest: &str| format!("{}{rest}?q=bad", percent(&path));
        prop_assert_eq!(matches(&wanted, &get(&target(""), &[])), [0_u32; 0]);
        prop_assert_eq!(matches(&wanted, &get(&target("x"), &[])), [5_001]);
        prop_assert_eq!(matches(&wanted, &get(&target("/x"), &[])).is_empty(), below);
    }

    /// Whatever is written: no panic.
    #[test]
    fn nothing_panics(tag in any::<String>(), method in any::<String>(), path in any::<String>()) {
        let mut wanted = wanted(RULES);
        wanted.methods = Some(vec![method.clone()]);
        wanted.exclusions = vec![Exclusion {
            path: Some(Path::Below(path)),
            methods: vec![method],
            ..exclusion(Rules::Tag(tag))
        }];
        let _ = assemble(&wanted, &NoFiles);
    }
}
