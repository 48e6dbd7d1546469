use doorman_http::{Method, RequestHead};
use proptest::prelude::*;

use super::*;
use crate::{AddressSet, Segment, ValueMatch};

fn head(method: Method, host: &str, target: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    head.method = method;
    head.fields.push(b"Host", host.as_bytes());
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(target.as_bytes()).unwrap();
    head
}

fn get(target: &str) -> RequestHead {
    head(Method::Get, "a.example", target, &[])
}

fn ask(head: &RequestHead) -> Query<'_> {
    Query { listener: 0, head, client: "192.0.2.7".parse().ok() }
}

fn on(path: PathPattern) -> RouteSpec {
    RouteSpec { methods: Vec::new(), path, when: Vec::new(), capture: Capture::Keep }
}

fn exact(path: &str) -> RouteSpec {
    on(PathPattern::Exact(path.into()))
}

fn prefix(path: &str) -> RouteSpec {
    on(PathPattern::Prefix(path.into()))
}

fn regex(regex: &str) -> RouteSpec {
    on(PathPattern::Regex(regex.into()))
}

fn any() -> RouteSpec {
    on(PathPattern::Any)
}

fn site(routes: Vec<RouteSpec>) -> SiteSpec {
    SiteSpec { addresses: vec![Address { listener: 0, host: HostPattern::Any }], routes }
}

fn table(routes: Vec<RouteSpec>) -> Table {
    Table::new(&[site(routes)]).unwrap()
}

fn winner(table: &Table, head: &RequestHead) -> Option<usize> {
    let query = ask(head);
    let found = match table.find(&query) {
        Found::Route(_, RouteIndex(number), _) => Some(number),
        Found::NoRoute(_) | Found::NoSite => None,
    };
    let explained = table.explain(&query).into_iter().find(|t| t.verdict == Verdict::Won);
    assert_eq!(found, explained.map(|tried| tried.route.0), "the index and the scan differ");
    found
}

#[test]
fn the_first_route_in_file_order_wins() {
    let one = table(vec![
        exact("/a"),
        prefix("/api/"),
        prefix("/api/v2"),
        regex("[.]php$"),
        prefix("/static"),
        on(PathPattern::Wildcard {
            segments: vec![Segment::Text("u".into()), Segment::Any, Segment::Text("x".into())],
            open: false,
        }),
        exact("/static/late"),
        prefix("/"),
        any(),
    ]);
    for (path, route) in [
        ("/a", 0),
        ("/a/", 7),
        ("/api", 7),
        ("/api/", 1),
        ("/api/v2/x", 1),
        ("/api/x.php", 1),
        ("/x.php", 3),
        ("/static/x.php", 3),
        ("/static", 4),
        ("/static/late", 4),
        ("/u/1/x", 5),
        ("/u/1/y", 7),
        ("/", 7),
        ("/%61", 0),
        ("/b/../a", 0),
        ("//a", 0),
        (&format!("/a{}", "/b".repeat(3_000)), 7),
    ] {
        assert_eq!(winner(&one, &get(path)), Some(route), "{path}");
    }
    let star = head(Method::Options, "a.example", "*", &[]);
    assert_eq!(winner(&one, &star), Some(8));
    assert_eq!(winner(&table(vec![exact("/a")]), &get("/b")), None);
    assert_eq!(winner(&table(vec![]), &get("/b")), None);
}

/// H1R-09, H1R-10: a guard on a path cannot be walked around by another spelling of it.
#[test]
fn spellings_of_a_guarded_path() {
    let table = table(vec![prefix("/admin"), any()]);
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/%61dmin",
        "/x/%2e%2e/admin",
        "/admin//x",
        "/admin/.",
        "/ADMIN/../admin/",
    ] {
        assert_eq!(winner(&table, &get(path)), Some(0), "{path}");
    }
    for path in ["/administrator", "/x/admin", "/admin%2Fx", "/admin;x"] {
        assert_eq!(winner(&table, &get(path)), Some(1), "{path}");
    }
}

#[test]
fn conditions() {
    let header = |value| Condition::Header("X-Beta".into(), value);
    let query = |value| Condition::Query("k".into(), value);
    let cookie = |value| Condition::Cookie("c".into(), value);
    let text = |text: &str| ValueMatch::Exact(text.into());
    let start = |text: &str| ValueMatch::Prefix(text.into());
    let pattern = |text: &str| ValueMatch::Regex(text.into());
    let client = |text: &str, length| {
        Condition::Client(AddressSet::new([(text.parse().unwrap(), length)]).unwrap())
    };
    let not = |condition| Condition::Not(Box::new(condition));
    let request = head(
        Method::Post,
        "A.example:80",
        "/p?a&k=%31+x&k=2&&e",
        &[("x-beta", "yes"), ("X-BETA", "on"), ("Cookie", "b=1; c=x=y"), ("cookie", "c = z")],
    );
    for (condition, expect) in [
        (header(ValueMatch::Present), None),
        (header(text("yes")), None),
        (header(text("on")), None),
        (header(text("Yes")), Some("header X-Beta has another value")),
        (header(start("ye")), None),
        (header(pattern("^o")), None),
        (Condition::Header("x-none".into(), ValueMatch::Present), Some("header x-none is absent")),
        (Condition::Header("host".into(), start("A.")), None),
        (query(text("1 x")), None),
        (query(text("2")), None),
        (query(text("3")), Some("query parameter k has another value")),
        (Condition::Query("e".into(), text("")), None),
        (Condition::Query("".into(), ValueMatch::Present), Some("query parameter  is absent")),
        (cookie(text("x=y")), None),
        (cookie(text("z")), None),
        (cookie(text("1")), Some("cookie c has another value")),
        (Condition::Method(vec![Method::Get, Method::Post]), None),
        (Condition::Method(vec![Method::Get]), Some("method does not match")),
        (Condition::Method(vec![Method::Other("PURGE".into())]), Some("method does not match")),
        (client("192.0.2.0", 24), None),
        (client("10.0.0.0", 8), Some("client address is in none of its ranges")),
        (Condition::Host(HostPattern::Name("a.EXAMPLE".into())), None),
        (Condition::Host(HostPattern::Wildcard("example".into())), None),
        (Condition::Host(HostPattern::Name("b".into())), Some("host does not match")),
        (Condition::Version(vec![doorman_http::Version::Http11]), None),
        (Condition::Version(vec![doorman_http::Version::Http2]), Some("protocol does not match")),
        (not(header(text("no"))), None),
        (not(header(text("on"))), Some("`not header X-Beta` fails: it matches")),
        (not(not(header(text("on")))), None),
    ] {
        let spec = RouteSpec { when: vec![condition.clone()], ..any() };
        let table = table(vec![spec]);
        assert_eq!(winner(&table, &request).is_none(), expect.is_some(), "{condition:?}");
        let tried = table.explain(&ask(&request));
        let reason = match &tried[0].verdict {
            Verdict::Won => None,
            Verdict::Lost(reason) => Some(reason.to_string()),
        };
        assert_eq!(reason.as_deref(), expect, "{condition:?}");
    }
    let nobody = Query { client: None, ..ask(&request) };
    let inside = table(vec![RouteSpec { when: vec![client("0.0.0.0", 0)], ..any() }]);
    assert_eq!(inside.find(&nobody), Found::NoRoute(SiteIndex(0)));
}

#[test]
fn every_route_says_why_it_lost() {
    let table = table(vec![
        exact("/b"),
        RouteSpec { methods: vec![Method::Post], ..any() },
        RouteSpec {
            when: vec![Condition::Header("x-beta".into(), ValueMatch::Present)],
            ..prefix("/a")
        },
        prefix("/a"),
        any(),
    ]);
    let head = get("/a/1");
    let verdicts: Vec<_> = table.explain(&ask(&head)).into_iter().map(|t| t.verdict).collect();
    let lost = Verdict::Lost;
    assert_eq!(
        verdicts,
        [
            lost(Reason::Path),
            lost(Reason::Method),
            lost(Reason::Header("x-beta".into(), crate::Miss::Absent)),
            Verdict::Won,
            lost(Reason::Earlier(RouteIndex(3))),
        ]
    );
}

#[test]
fn captures_outlive_edits_of_the_path() {
    let table = table(vec![regex("^/u/([a-z]+)/(x)?"), any()]);
    let mut head = get("/u/ann/y");
    let Found::Route(_, _, captures) = table.find(&ask(&head)) else { panic!("a route takes it") };
    head.rewrite_path(b"/other").unwrap();
    assert_eq!(captures.group(1), Some(&b"ann"[..]));
    assert_eq!(captures.group(2), Some(&b""[..]));
    assert_eq!((captures.group(0), captures.group(3)), (None, None));
    assert_eq!(captures.groups()[0], b"ann");
}

#[test]
fn sites_by_listener_and_host() {
    let address = |listener, host| Address { listener, host };
    let name = |name: &str| HostPattern::Name(name.into());
    let specs = [
        SiteSpec {
            addresses: vec![address(0, name("a")), address(2, name("a"))],
            routes: vec![exact("/1")],
        },
        SiteSpec { addresses: vec![address(0, HostPattern::Any)], routes: vec![any()] },
        SiteSpec { addresses: vec![address(2, name("b"))], routes: vec![any()] },
    ];
    let table = Table::new(&specs).unwrap();
    let find = |listener, host: &str| {
        let head = head(Method::Get, host, "/1", &[]);
        match table.find(&Query { listener, head: &head, client: None }) {
            Found::Route(SiteIndex(site), ..) => Some(site),
            _ => None,
        }
    };
    assert_eq!(find(0, "A."), Some(0));
    assert_eq!(find(0, "b:81"), Some(1));
    assert_eq!((find(1, "a"), find(9, "a")), (None, None));
    assert_eq!((find(2, "a"), find(2, "b"), find(2, "c")), (Some(0), Some(2), None));
}

#[test]
fn all_faults_at_once() {
    let specs = [
        site(vec![
            exact("x"),
            any(),
            regex("("),
            RouteSpec { when: vec![Condition::Header("a b".into(), ValueMatch::Present)], ..any() },
            RouteSpec {
                when: vec![
                    (0..20).fold(Condition::Method(vec![]), |inner, _| {
                        Condition::Not(Box::new(inner))
                    }),
                ],
                ..any()
            },
        ]),
        site(vec![]),
        SiteSpec { addresses: vec![], routes: vec![any(); ROUTES_MAX + 1] },
    ];
    let errors = Table::new(&specs).unwrap_err();
    assert_eq!(errors.len(), 6, "{errors:?}");
    assert!(errors.contains(&TableError::SameHost(SiteIndex(0), SiteIndex(1), HostPattern::Any)));
    assert!(errors.contains(&TableError::TooManyRoutes(SiteIndex(2))));
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("ab"), Just("c.d"), Just("")]
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn pattern() -> impl Strategy<Value = PathPattern> {
    let piece = prop_oneof![
        2 => Just(Segment::Any),
        3 => prop_oneof![Just("a"), Just("b"), Just("ab")].prop_map(|t| Segment::Text(t.into())),
    ];
    prop_oneof![
        1 => Just(PathPattern::Any),
        4 => path().prop_map(|p| PathPattern::Exact(p.into())),
        4 => path().prop_map(|p| PathPattern::Prefix(p.into())),
        4 => (prop::collection::vec(piece, 0..4), open())
            .prop_map(|(segments, open)| PathPattern::Wildcard { segments, open }),
        1 => prop_oneof![Just("b$"), Just("^/a/(.*)"), Just("//")]
            .prop_map(|r| PathPattern::Regex(r.into())),
    ]
}

fn open() -> impl Strategy<Value = bool> {
    proptest::arbitrary::any::<bool>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The index gives what the plain scan over all routes gives.
    #[test]
    fn the_index_is_the_scan(
        patterns in prop::collection::vec((pattern(), 0u8..6), 0..24),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        let route = |(path, kind): (PathPattern, u8)| RouteSpec {
            methods: if kind == 0 { vec![Method::Post] } else { Vec::new() },
            when: if kind == 1 {
                vec![Condition::Header("x".into(), ValueMatch::Present)]
            } else {
                Vec::new()
            },
            ..on(path)
        };
        let table = table(patterns.into_iter().map(route).collect());
        for path in paths {
            for method in [Method::Get, Method::Post] {
                for fields in [&[][..], &[("x", "1")]] {
                    winner(&table, &head(method.clone(), "h", &path, fields));
                }
            }
        }
    }
}
