//! Deception (CDE): a victim is led to an address, and the attacker must not find the victim's page there.
use doorman_testkit::origin::{Script, Seen, reply};

use crate::rig::{Ask, FRONTS, Front, House, Setup, fresh, said};

const ALICE: (&str, &str) = ("cookie", "session=alice");

/// Says whose page it is, in these fields.
fn personal(fields: &'static str) -> impl Fn(usize, &Seen) -> Script + Send + Sync {
    move |_, seen| {
        let who = seen.field("cookie").or(seen.field("authorization")).or(seen.field("x-user"));
        said(fields, format!("page of {}", who.unwrap_or("nobody")))
    }
}

/// Alice asks, then somebody else: both get what is theirs.
fn apart(house: &House, front: Front, target: &str, alice: (&str, &str)) {
    let own = house.ask(front, &Ask::get(target).with(alice.0, alice.1));
    own.is(&format!("page of {}", alice.1));
    house.ask(front, &Ask::get(target)).is("page of nobody");
    let again = house.ask(front, &Ask::get(target).with(alice.0, alice.1));
    again.is(&format!("page of {}", alice.1));
}

/// Alice's page is kept, and somebody else gets it: she was told that everybody may.
fn shared(house: &House, target: &str, alice: (&str, &str)) {
    let own = house.get_with(target, &[alice]).text();
    house.get(target).is(&own);
    assert_eq!(house.asked(target), 1, "{target}");
}

#[test]
fn cde_01_a_name_that_looks_like_a_file_makes_no_page_public() {
    let house = House::fronted("", personal("Content-Type: text/css\r\n"));
    for front in FRONTS {
        for name in ["x.css", "x.js", "x.png", "favicon.ico", "robots.txt"] {
            apart(&house, front, &format!("/account/{front:?}/{name}"), ALICE);
        }
    }
    // Not even where the page has a date, from which freshness could be guessed, or a rule a time.
    for cache in ["", "ttl 1h"] {
        let house =
            House::caching(cache, personal("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"));
        apart(&house, Front::Plain, "/account/x.css", ALICE);
        apart(&house, Front::Plain, "/account/y.css", ("authorization", "Basic alice"));
    }
}

/// What may stand between a name and what looks like a file's (64 forms).
const MARKS: [&str; 64] = [
    ";",
    "!",
    "$",
    "&",
    "'",
    "(",
    ")",
    "*",
    "+",
    ",",
    "=",
    ":",
    "@",
    "~",
    ".",
    "_",
    "-",
    "|",
    "^",
    "\"",
    "<",
    ">",
    "{",
    "}",
    "[",
    "]",
    "`",
    "\\",
    "#",
    "?",
    "/",
    "//",
    "/./",
    "/../",
    "%00",
    "%01",
    "%09",
    "%0a",
    "%0d",
    "%20",
    "%23",
    "%26",
    "%2e",
    "%2f",
    "%3a",
    "%3b",
    "%3d",
    "%3f",
    "%40",
    "%5c",
    "%5f",
    "%7e",
    "%7c",
    "%80",
    "%c0%ae",
    "%ff",
    "%252f",
    "%253f",
    "..;/",
    "%2e%2e%2f",
    ";/",
    "%",
    "%0",
    "%u002f",
];

#[test]
fn cde_02_no_delimiter_makes_a_page_public() {
    let house = House::caching("ttl 1h", personal(""));
    let other = House::caching("bypass when header x-past", |_, seen| fresh("", seen.target()));
    for mark in MARKS {
        let ask = |house: &House, line: &str| {
            let port = house.plain.port();
            let head =
                format!("GET /account{mark}x.css HTTP/1.1\r\nHost: localhost:{port}\r\n{line}\r\n");
            house.raw(head).expect("an answer")
        };
        let victim = ask(&house, "Cookie: session=alice\r\n");
        let attacker = ask(&house, "");
        assert!(!attacker.text().contains("alice"), "{mark}: {attacker:?}");
        assert_eq!(victim.status, attacker.status, "{mark}");
        // Each is kept under the form that the origin is asked for.
        let asked = ask(&other, "X-Past: 1\r\n");
        for _ in 0..2 {
            let kept = ask(&other, "");
            assert_eq!(kept.status, asked.status, "{mark}");
            assert!(kept.status != 200 || kept.body == asked.body, "{mark}: {}", kept.text());
        }
    }
}

#[test]
fn cde_03_routes_and_keys_and_the_origin_see_one_path() {
    let setup = Setup {
        cache: "ttl 1h",
        site: "route /static/* { @CACHE; proxy web }\nroute * { proxy web }",
        ..Setup::default()
    };
    // Cookies decide nothing here: it is the path alone that tells what is public.
    let house = House::start(&setup, |n, seen| said("", format!("{} {n}", seen.target())));
    let tricks = [
        "/static/../account",
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/%2e%2e%2faccount",
        "/static/..;/account",
        "/static/..%5caccount",
        "/static//../account",
        "/static/.%2e/account",
        "/static/..%252faccount",
        "/account/../static/a",
        "//static/b",
        "/%73tatic/c",
        "/static/./d",
        "/STATIC/e",
    ];
    for trick in tricks {
        let (first, second) = (house.get(trick), house.get(trick));
        if first.status != 200 {
            assert_eq!(first.status, 400, "{trick}: {first:?}");
            continue;
        }
        let text = first.text();
        let seen = text.split(' ').next().expect("a target");
        // What the origin was asked for is kept exactly if it is below /static/.
        let kept = second.text() == text;
        assert_eq!(kept, seen.starts_with("/static/"), "{trick} as {seen}");
        assert!(!seen.contains("..") || seen.contains("%25"), "{trick} as {seen}");
    }
}

#[test]
fn cde_04_a_page_behind_a_password_is_shared_only_if_it_says_so() {
    let alice = ("authorization", "Basic alice");
    for fields in [
        "Cache-Control: max-age=60\r\n",
        "Expires: Thu, 01 Jan 2037 00:00:00 GMT\r\n",
        "Cache-Control: max-age=60, private\r\n",
        "Cache-Control: max-age=60, no-cache\r\n",
        "",
    ] {
        let house = House::fronted("ttl 1h", personal(fields));
        for front in FRONTS {
            apart(&house, front, &format!("/{front:?}"), alice);
        }
    }
    for fields in [
        "Cache-Control: public, max-age=60\r\n",
        "Cache-Control: s-maxage=60\r\n",
        "Cache-Control: max-age=60, must-revalidate\r\n",
    ] {
        shared(&House::caching("", personal(fields)), "/a", alice);
    }
}

#[test]
fn cde_05_a_page_that_sets_a_cookie_is_not_kept() {
    let answer = |n: usize, _: &Seen| {
        said(&format!("Cache-Control: public, max-age=60\r\nSet-Cookie: id={n}\r\n"), n.to_string())
    };
    let house = House::fronted("ttl 1h", answer);
    for front in FRONTS {
        for n in 0..3 {
            let got = house.ask(front, &Ask::get(&format!("/{front:?}")));
            let cookie = format!("id={n}");
            assert_eq!((got.field("set-cookie"), got.text()), (Some(&*cookie), n.to_string()));
        }
    }
    // Where somebody wants such pages, the cookie is for the first alone, or for nobody.
    let house = House::caching("set-cookie strip", answer);
    house.get("/a").is("0");
    let second = house.get("/a");
    second.is("0");
    assert_eq!(second.field("set-cookie"), None);
}

#[test]
fn cde_06_a_request_with_cookies_shares_only_what_says_so() {
    let house = House::fronted("", personal("Cache-Control: max-age=60\r\n"));
    for front in FRONTS {
        apart(&house, front, &format!("/{front:?}"), ALICE);
        // What was kept for one without a cookie is not for one with another, either.
        let bob = house.ask(front, &Ask::get(&format!("/{front:?}")).with("cookie", "session=bob"));
        bob.is("page of session=bob");
    }
    shared(&House::caching("", personal("Cache-Control: public, max-age=60\r\n")), "/a", ALICE);
    shared(&House::caching("", personal("Cache-Control: s-maxage=60\r\n")), "/a", ALICE);
    // Cookies that count for nothing do not reach the origin.
    let house = House::caching("cookies ignore", personal("Cache-Control: max-age=60\r\n"));
    house.get_with("/a", &[ALICE]).is("page of nobody");
    house.get("/a").is("page of nobody");
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn cookies_that_are_chosen_reach_the_origin_where_others_do_not() {
    let rules = "cookies ignore; key cookie session; key cookie theme";
    let house = House::caching(rules, personal("Cache-Control: max-age=60\r\n"));
    let ask = |cookie: &str, page: &str| house.get_with("/a", &[("cookie", cookie)]).is(page);
    ask("session=alice; other=1", "page of session=alice");
    ask("session=bob", "page of session=bob");
    ask("other=2; session=alice", "page of session=alice");
    ask("session=alice; session=bob", "page of session=alice");
    assert_eq!(house.asked("/a"), 2);
    ask("theme=dark; session=alice", "page of session=alice; theme=dark");
    house.get("/a").is("page of nobody");
    assert_eq!(house.asked("/a"), 4);
}

#[test]
fn cde_07_what_must_not_be_kept_is_not_however_it_is_written() {
    let lines = [
        "Cache-Control: private\r\n",
        "Cache-Control: no-store\r\n",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: PRIVATE\r\n",
        "Cache-Control: No-Store\r\n",
        "cache-control:no-store\r\n",
        "Cache-Control: public, private\r\n",
        "Cache-Control: ,,private,,\r\n",
        "Cache-Control: \tno-store \t\r\n",
        "Cache-Control: x=\"a, b\", no-store\r\n",
        "Cache-Control: x=\"\\\"\", private\r\n",
        "Cache-Control: private, x=\"open\r\n",
        "Cache-Control: max-age=60\r\nCache-Control: private\r\n",
        "Cache-Control: private\r\nCache-Control: public, max-age=60\r\n",
        "Cache-Control: no-store=\"yes\"\r\n",
        "Cache-Control: private=\r\n",
        "Cache-Control: max-age=0\r\n",
        "Cache-Control: max-age=60, max-age=0\r\n",
        "Cache-Control: s-maxage=0, max-age=60\r\n",
        "Pragma: no-cache\r\n",
        "Expires: 0\r\n",
        "Cache-Control: immutable, no-store, max-age=60\r\n",
    ];
    let house = House::caching("", move |n, seen| {
        let which: usize = seen.target()[1..].parse().expect("a number");
        // The most lenient of what a response could say stands beside it, where that makes sense.
        let other = if lines[which].starts_with(['P', 'E']) || lines[which].contains("age=0") {
            ""
        } else {
            "Cache-Control: max-age=60\r\n"
        };
        said(&format!("{}{other}", lines[which]), n.to_string())
    });
    for (at, line) in lines.iter().enumerate() {
        let target = format!("/{at}");
        for n in 0..3 {
            assert_eq!(house.get(&target).text(), n.to_string(), "{line:?}");
        }
    }
}

#[test]
fn cde_07_fields_that_are_one_clients_are_not_anothers() {
    for word in ["private", "no-cache"] {
        let house = House::caching("", move |n, _| {
            let control = format!("Cache-Control: max-age=60, {word}=\"x-secret, X-Other\"\r\n");
            said(
                &format!("{control}X-Secret: alice\r\nX-Other: alice\r\nX-Open: yes\r\n"),
                n.to_string(),
            )
        });
        let first = house.get("/a");
        assert_eq!(first.field("x-secret"), Some("alice"));
        let second = house.get("/a");
        let asked = house.asked("/a");
        assert!(asked == 2 || second.field("x-secret").is_none(), "{word}: {second:?}");
        assert!(asked == 2 || second.field("x-other").is_none(), "{word}: {second:?}");
        assert_eq!(second.field("x-open"), Some("yes"));
    }
}

#[test]
fn cde_08_the_field_that_is_meant_for_us_wins() {
    // Fields, and whether the response is kept.
    let rows: &[(&str, bool)] = &[
        ("CDN-Cache-Control: max-age=60\r\nCache-Control: no-store\r\n", true),
        ("CDN-Cache-Control: no-store\r\nCache-Control: max-age=60\r\n", false),
        ("CDN-Cache-Control: max-age=0\r\nCache-Control: s-maxage=60\r\n", false),
        ("CDN-Cache-Control: private\r\nCache-Control: public, max-age=60\r\n", false),
        ("CDN-Cache-Control: max-age=60\r\nExpires: Mon, 01 Jan 2001 00:00:00 GMT\r\n", true),
        ("Doorman-Cache-Control: max-age=60\r\nCDN-Cache-Control: no-store\r\n", true),
        ("Doorman-Cache-Control: no-store\r\nCDN-Cache-Control: max-age=60\r\n", false),
        // What is not well-formed is as if it were not there (RFC 9213 section 2.1).
        ("CDN-Cache-Control: max-age=60, &%$\r\nCache-Control: no-store\r\n", false),
        ("CDN-Cache-Control: \r\nCache-Control: max-age=60\r\n", true),
        ("Cache-Control: max-age=0\r\nExpires: Thu, 01 Jan 2037 00:00:00 GMT\r\n", false),
        ("Cache-Control: max-age=60\r\nExpires: Mon, 01 Jan 2001 00:00:00 GMT\r\n", true),
        ("Cache-Control: s-maxage=60, max-age=0\r\n", true),
    ];
    let house = House::caching("", move |n, seen| {
        let which: usize = seen.target()[1..].parse().expect("a number");
        said(rows[which].0, n.to_string())
    });
    for (at, (fields, kept)) in rows.iter().enumerate() {
        let target = format!("/{at}");
        house.get(&target).is("0");
        assert_eq!(house.get(&target).text() == "0", *kept, "{fields:?}");
    }
}

#[test]
fn cde_13_a_refresh_is_nobodys_request() {
    let house = House::fronted("", |n, _| {
        let age = if n == 0 { "Age: 60\r\n" } else { "" };
        let control = "Cache-Control: public, max-age=60, stale-while-revalidate=600\r\n";
        said(&format!("{control}{age}ETag: \"v{n}\"\r\n"), n.to_string())
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("0");
        let evil = [
            ("cookie", "session=evil"),
            ("authorization", "Basic evil"),
            ("range", "bytes=0-0"),
            ("if-none-match", "\"evil\""),
            ("x-any", "evil"),
            ("referer", "http://evil.test/"),
        ];
        let asked = house.ask(front, &Ask::get(&target).all(&evil));
        assert!(matches!(asked.status, 200 | 206), "{asked:?}");
        house.until("the refresh", || house.asked(&target) >= 2);
        let refresh = house.requests(&target).remove(1);
        let head = String::from_utf8_lossy(&refresh.head).into_owned();
        assert!(!head.contains("evil"), "{front:?}: {head}");
        assert_eq!((refresh.method(), refresh.field("range")), ("GET", None));
        house.until("a fresh page", || house.ask(front, &Ask::get(&target)).text() == "1");
        assert_eq!(house.asked(&target), 2, "{front:?}");
    }
}

/// So many clients at once, each of whom says who it is by that field.
fn each_its_own(house: &House, clients: usize, field: &str) {
    let asks: Vec<_> =
        (0..clients).map(|n| Ask::get("/a").with(field, &format!("user={n}"))).collect();
    let begun = house.at_once(&asks);
    house.origin().wait_for_requests(1);
    if field == "x-user" {
        // Nothing tells beforehand that the page is one client's.
        house.wait_for_line(clients as u64 - 1);
    }
    house.origin().release();
    for (n, begun) in begun.into_iter().enumerate() {
        begun.got().is(&format!("page of user={n}"));
    }
    assert_eq!(house.asked("/a"), clients);
}

#[test]
fn cde_14_a_private_page_is_for_one_of_those_who_wait() {
    for (field, fields) in [
        ("cookie", "Cache-Control: max-age=60\r\n"),
        ("cookie", "Cache-Control: private, max-age=60\r\n"),
        ("x-user", "Cache-Control: private\r\n"),
        ("x-user", "Cache-Control: no-store\r\n"),
        ("x-user", "Cache-Control: max-age=60\r\nSet-Cookie: a=1\r\n"),
        ("authorization", "Cache-Control: max-age=60\r\n"),
    ] {
        let page = personal(fields);
        let house = House::caching("", move |n, seen| {
            let Some(who) =
                seen.field("cookie").or(seen.field("authorization")).or(seen.field("x-user"))
            else {
                return page(n, seen);
            };
            Script::new().hold().send(format!(
                "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\npage of {who}",
                who.len() + 8
            ))
        });
        each_its_own(&house, 100, field);
    }
}

#[test]
fn cde_15_what_must_be_asked_again_is_never_stale() {
    // What `s-maxage` forbids by itself may be allowed in so many words beside it.
    let stated = ", stale-while-revalidate=600, stale-if-error=600";
    for (control, windows) in [
        ("max-age=60, must-revalidate", stated),
        ("max-age=60, proxy-revalidate", stated),
        ("s-maxage=60", ""),
        ("max-age=60, no-cache", stated),
        ("no-cache", stated),
    ] {
        let fields = format!("Cache-Control: {control}{windows}\r\nAge: 60\r\nETag: \"a\"\r\n");
        let mut house = House::start(
            &Setup { cache: "stale 1h; stale-if-error 1h", ..Setup::default() },
            move |n, _| if n == 0 { said(&fields, "old") } else { reply("503 Not Now", "", b"no") },
        );
        house.get("/a").is("old");
        assert_eq!(house.get("/a").status, 503, "{control}");
        let stale = house.get_with("/a", &[("cache-control", "max-stale=600")]);
        assert_eq!(stale.status, 503, "{control}");
        house.stop_origin();
        let dead = house.get("/a");
        assert!(matches!(dead.status, 502 | 504), "{control}: {dead:?}");
    }
}

#[test]
fn cde_16_what_a_client_says_of_caching_is_for_itself() {
    let house = House::caching("", |n, _| {
        let control = "Cache-Control: max-age=60\r\n";
        said(&format!("{control}ETag: \"{n}\"\r\nAge: 30\r\n"), n.to_string())
    });
    let ask = |target: &str, control: &str| house.get_with(target, &[("cache-control", control)]);
    let none = ask("/none", "only-if-cached");
    assert_eq!((none.status, house.asked("/none")), (504, 0), "{none:?}");
    ask("/a", "no-store").is("0");
    ask("/a", "max-age=100").is("1");
    house.get("/a").is("1");
    ask("/a", "only-if-cached").is("1");
    ask("/a", "max-age=50").is("1");
    ask("/a", "min-fresh=20").is("1");
    ask("/a", "no-cache").is("2");
    ask("/a", "max-age=10").is("3");
    ask("/a", "min-fresh=50").is("4");
    assert_eq!(ask("/a", "only-if-cached, min-fresh=50").status, 504);
    house.get("/a").is("4");
}

#[test]
fn cde_16_a_client_that_is_not_heard_changes_nothing() {
    let house = House::caching("client-control off", |n, _| fresh("Age: 30\r\n", n.to_string()));
    for control in ["no-cache", "no-store", "max-age=0", "min-fresh=50", "only-if-cached"] {
        house.get_with("/a", &[("cache-control", control)]).is("0");
        house.get_with("/a", &[("pragma", control)]).is("0");
    }
    assert_eq!(house.asked("/a"), 1);
}
