//! `sticky cookie`: a signed cookie of doorman's own.

use crate::rig::{FRONTS, Front, House, number};

const COOKIE: &str = "sticky cookie dm { ttl 1h }";

/// Asks without a cookie until that origin answers, and gives the cookie.
fn cookie_of(house: &House, n: usize) -> String {
    (0..20)
        .map(|_| house.by(Front::Plain, ""))
        .find(|said| said.who() == n)
        .map(|said| said.pair().to_owned())
        .expect("every origin has its turn")
}

fn flipped(cookie: &str, at: usize) -> String {
    let mut bytes = cookie.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}

#[test]
fn a_client_stays_on_its_server_over_every_front() {
    let house = House::numbered(3, COOKIE);
    for front in FRONTS {
        let first = house.by(front, "");
        assert_eq!((first.status, first.sent()), (200, ""));
        let cookie = first.pair().to_owned();
        let secure = if front == Front::Plain { "" } else { "; Secure" };
        assert_eq!(
            first.cookies,
            [format!("{cookie}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax{secure}")]
        );
        assert_eq!(cookie.len(), "dm=".len() + 40);
        for other in FRONTS {
            let again = house.by(other, &format!("a=1; {cookie}; b=2"));
            assert_eq!(again.who(), first.who(), "{front:?} {other:?}");
            assert_eq!(again.sent(), "a=1; b=2", "ours is between the client and us");
            assert!(again.cookies.is_empty(), "a fresh one is not set again: {again:?}");
        }
        assert_eq!(house.by(front, &cookie).sent(), "");
    }
    let all = |outcome| -> u64 {
        let series = |n| {
            format!(
                "doorman_upstream_sticky_total{{upstream=\"web\",server=\"web-{n}\",outcome=\"{outcome}\"}}"
            )
        };
        (0..3).map(|n| house.metric(&series(n))).sum()
    };
    assert_eq!((all("new"), all("hit"), all("moved")), (4, 20, 0));
    let _ = house.process.wait_for_words("\"sticky\":\"new\"");
    let _ = house.process.wait_for_words("\"sticky\":\"hit\"");
}

/// UPC-21: what nobody sealed counts as nothing, and tells nobody where a server is.
#[test]
fn upc_21_forged_and_foreign_cookies_count_as_none() {
    let house = House::start(
        vec![number(0), number(1), number(2)],
        &format!(
            "upstream web {{ server @0 name web-0; server @1 name web-1; {COOKIE} }}
             upstream other {{ server @0; server @1; server @2; {COOKIE} }}"
        ),
        "route /other/* { proxy other }; route * { proxy web }",
    );
    let cookie = cookie_of(&house, 1);
    let foreign = house.ask(Front::Plain, "/other/", &[]);
    let port = house.address(1).port().to_string();
    assert!(!cookie.contains(&port), "no address in {cookie}");
    let mut forged: Vec<String> = (3..cookie.len()).map(|at| flipped(&cookie, at)).collect();
    forged.push(foreign.pair().to_owned());
    forged.extend([
        "dm=".to_owned(),
        format!("dm={}", house.address(1)),
        format!("dm={}", "A".repeat(40)),
        format!("dm={}", "%".repeat(40)),
        format!("dm={}", "A".repeat(8000)),
        format!("dm=\"{}\"", &cookie[3..]),
        cookie.replacen("dm=", "dm2=", 1),
    ]);
    for forged in &forged {
        let said = house.by(Front::Plain, forged);
        assert_eq!(said.status, 200);
        assert_ne!(said.pair(), forged, "a new cookie is set");
    }
    for n in 0..2 {
        let series = format!(
            "doorman_upstream_sticky_total{{upstream=\"web\",server=\"web-{n}\",outcome=\"hit\"}}"
        );
        assert_eq!(house.metric(&series), 0);
    }
    // Behind a forged one the good one still counts: browsers send one for each path.
    let both = house.by(Front::Plain, &format!("{}; {cookie}", forged[0]));
    assert_eq!((both.who(), both.cookies.len()), (1, 0));
}

#[test]
fn upc_21_a_server_that_goes_takes_its_cookie_along_and_nobody_elses() {
    let mut house = House::numbered(3, COOKIE);
    let cookies: Vec<_> = (0..3).map(|n| cookie_of(&house, n)).collect();
    house.reload(&House::web(2, COOKIE), "proxy web");
    for (n, cookie) in cookies.iter().enumerate().take(2) {
        assert_eq!(house.by(Front::Plain, cookie).who(), n);
    }
    let moved = house.by(Front::Plain, &cookies[2]);
    assert!(moved.who() < 2);
    let cookie = moved.pair().to_owned();
    let _ = house.process.wait_for_words("\"sticky\":\"moved\"");
    house.reload(&House::web(3, COOKIE), "proxy web");
    assert_eq!(house.by(Front::Plain, &cookie).who(), moved.who(), "it stays where it moved to");
    assert_eq!(house.by(Front::Plain, &cookies[2]).who(), 2);
    // A restart keeps the key, and with it every cookie.
    let key = house.key();
    house.restart(&House::web(3, COOKIE), "proxy web");
    assert_eq!(house.key(), key);
    for (n, cookie) in cookies.iter().enumerate() {
        let said = house.by(Front::Plain, cookie);
        assert_eq!((said.who(), said.cookies.len()), (n, 0));
    }
}

#[test]
fn a_server_that_is_down_loses_its_clients_to_another_for_good() {
    let mut house = House::numbered(3, COOKIE);
    let cookie = cookie_of(&house, 1);
    house.stop_origin(1);
    let moved = house.by(Front::Plain, &cookie);
    assert_eq!(moved.status, 200);
    assert_ne!(moved.who(), 1);
    let new = moved.pair().to_owned();
    house.start_origin(1);
    for _ in 0..5 {
        assert_eq!(
            house.by(Front::Plain, &new).who(),
            moved.who(),
            "even though the first is back"
        );
    }
}

#[test]
fn a_client_may_be_refused_rather_than_moved() {
    let mut house = House::numbered(3, "sticky cookie dm { when-down refuse }");
    let cookie = cookie_of(&house, 1);
    house.stop_origin(1);
    // A server that refuses is found out by the first, and known to be down for the next ones.
    for _ in 0..3 {
        let refused = house.by(Front::Plain, &cookie);
        assert!(matches!(refused.status, 502 | 503), "{refused:?}");
        assert!(refused.cookies.is_empty());
    }
    for _ in 0..6 {
        assert_ne!(house.by(Front::Plain, "").who(), 1, "who belongs nowhere goes where he can");
    }
    let _ = house.process.wait_for_words("\"sticky\":\"refused\"");
    let _ = house.process.wait_for_words("the server that the client belongs to is down");
}

#[test]
fn flags_and_life_are_as_written() {
    let line = "sticky cookie __Secure-dm { ttl session; path /app/; domain localhost; secure on; http-only off; same-site none }";
    let house = House::numbered(2, line);
    let said = house.by(Front::Plain, "");
    let pair = said.pair().to_owned();
    assert_eq!(
        said.cookies,
        [format!("{pair}; Path=/app/; Domain=localhost; SameSite=None; Secure")]
    );
    assert_eq!(house.by(Front::Plain, &pair).who(), said.who());
}

#[test]
fn the_same_second_makes_the_same_cookie() {
    let house = House::numbered(1, COOKIE);
    let cookies: Vec<_> = (0..50).map(|_| house.by(Front::Plain, "").pair().to_owned()).collect();
    let distinct: std::collections::BTreeSet<_> = cookies.iter().collect();
    assert!(distinct.len() < 10, "one a second: {distinct:?}");
}

#[test]
fn a_cookie_that_grew_old_is_none() {
    let house = House::numbered(3, "sticky cookie dm { ttl 1s }");
    let cookie = cookie_of(&house, 1);
    // A second later at the most it is over, and a new one is set.
    let old = std::iter::from_fn(|| Some(house.by(Front::Plain, &cookie)))
        .find(|said| !said.cookies.is_empty())
        .expect("time passes");
    assert_ne!(old.pair(), cookie);
}

/// RFC 6265 section 4.1.1: one cookie of a name.
#[test]
fn an_origins_own_cookie_of_that_name_is_not_set_beside_ours() {
    let setter = std::sync::Arc::new(|_: &doorman_testkit::origin::Seen| {
        let fields = "Set-Cookie: dm=theirs; Path=/\r\nSet-Cookie: sid=1\r\n";
        doorman_testkit::origin::reply("200 OK", fields, b"0 ")
    });
    let text = format!("upstream web {{ server @0; {COOKIE} }}");
    let house = House::start(vec![setter], &text, "proxy web");
    for front in FRONTS {
        let said = house.by(front, "");
        assert_eq!(said.cookies.len(), 2, "{said:?}");
        assert_eq!(said.cookies[0], "sid=1");
        assert!(said.cookies[1].starts_with("dm="), "{said:?}");
        assert!(!said.cookies[1].contains("theirs"));
        let again = house.by(front, said.cookies[1].split(';').next().expect("a cookie"));
        assert_eq!(again.cookies, ["sid=1"], "and nothing of theirs comes through later");
    }
}

#[test]
fn explain_says_what_a_cookie_is() {
    let house = House::numbered(3, COOKIE);
    let cookie = cookie_of(&house, 2);
    for (cookies, told) in [
        ("a=1", "no cookie dm: a server is chosen, and the cookie set"),
        ("dm=x", "cookie dm is not ours, or too old: it is set anew"),
        (&cookie, "cookie dm is of web-2, which is asked first"),
    ] {
        let text = house.explain(cookies);
        assert!(text.contains(told), "{told} in {text}");
    }
}

/// A WebSocket goes to its client's server, and a new client is told with the switch.
#[test]
fn a_tunnel_goes_where_its_client_belongs() {
    let switching = |n: usize| -> doorman_testkit::origin::Answer {
        std::sync::Arc::new(move |_| {
            doorman_testkit::origin::Script::new()
                .send(format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Who: {n}\r\n\r\n"
                ))
                .then(doorman_testkit::origin::Step::ReadEnd)
        })
    };
    let text = House::web(3, COOKIE);
    let house = House::start((0..3).map(switching).collect(), &text, "proxy web");
    let open = |cookie: &str| {
        let mut raw = doorman_testkit::raw::Raw::connect(house.plain).expect("a connection");
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: localhost:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n",
            house.plain.port()
        );
        raw.send(head).expect("an open connection");
        let head = raw.take_until(b"\r\n\r\n").expect("the switch");
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = fields.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
            Some(value.trim().split(';').next().expect("a value").to_owned())
        };
        (field("x-who").expect("its number"), field("set-cookie"))
    };
    for _ in 0..3 {
        let (who, cookie) = open("");
        let cookie = format!("Cookie: {}\r\n", cookie.expect("a new client is told"));
        for _ in 0..3 {
            assert_eq!(open(&cookie), (who.clone(), None));
        }
    }
}

/// A server that is being drained takes its own clients and nobody else.
#[test]
fn a_server_that_drains_goes_on_with_its_own() {
    let house = House::numbered(3, COOKIE);
    let cookie = cookie_of(&house, 1);
    let text = House::web(3, COOKIE).replace("name web-1 }", "name web-1; drain }");
    house.reload(&text, "proxy web");
    for front in FRONTS {
        let said = house.by(front, &cookie);
        assert_eq!((said.who(), said.cookies.len()), (1, 0), "{front:?}");
        for _ in 0..4 {
            assert_ne!(house.by(front, "").who(), 1);
        }
    }
}

#[test]
fn a_server_that_is_full_refuses_its_clients_or_gives_them_away() {
    let held = |n: usize| -> doorman_testkit::origin::Answer {
        std::sync::Arc::new(move |seen| {
            let answer = doorman_testkit::origin::reply("200 OK", "", format!("{n} ").as_bytes());
            match seen.target() {
                "/hold" => doorman_testkit::origin::Script::new()
                    .hold()
                    .send(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{n} ")),
                _ => answer,
            }
        })
    };
    for (word, refused) in [("choose", false), ("refuse", true)] {
        let line = format!("sticky cookie dm {{ when-full {word} }}");
        let text = House::web(3, &line).replace("name web-1 }", "name web-1; max-connections 1 }");
        let house = House::start((0..3).map(held).collect(), &text, "proxy web");
        let cookie = cookie_of(&house, 1);
        let mut busy = doorman_testkit::raw::Raw::connect(house.plain).expect("a connection");
        let port = house.plain.port();
        // A server's place is free a moment after its answer has come, and before that is written down.
        busy.send(format!("GET /settled HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"))
            .expect("an open connection");
        assert_eq!(busy.response().expect("a response").status, 200);
        let _ = house.process.wait_for_words("/settled");
        let seen = house.origin(1).requests().len();
        busy.send(format!(
            "GET /hold HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}\r\n\r\n"
        ))
        .expect("an open connection");
        house.origin(1).wait_for_requests(seen + 1);
        let said = house.by(Front::Plain, &cookie);
        if refused {
            assert_eq!(said.status, 503);
            let _ = house.process.wait_for_words("the server that the client belongs to is full");
        } else {
            assert_ne!(said.who(), 1);
            assert_ne!(said.pair(), cookie, "it belongs there from now on");
        }
        house.origin(1).release();
        assert_eq!(busy.response().expect("a response").status, 200);
    }
}
