//! Clients that are known by what applications make: cookies, parameters, fields, sessions that servers name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use doorman_testkit::origin::{Answer, reply};

use crate::rig::{FRONTS, Front, House, Said, number};

/// At `/login` it begins a session in the cookie `sid`, and says its number and the cookies that came.
fn application(n: usize, suffix: &'static str) -> Answer {
    Arc::new(move |seen| {
        let cookies = seen.all("cookie").join("|");
        let login = format!("Set-Cookie: sid=s{n}{suffix}{n}; Path=/app; Max-Age=77\r\n");
        let fields = if seen.target() == "/login" { login.as_str() } else { "" };
        reply("200 OK", fields, format!("{n} {cookies}").as_bytes())
    })
}

/// Names a session in a field for who has none, and says its number and that session.
fn naming(n: usize) -> Answer {
    let next = Arc::new(AtomicUsize::new(0));
    Arc::new(move |seen| match seen.field("mcp-session-id") {
        Some(session) => reply("200 OK", "", format!("{n} {session}").as_bytes()),
        None => {
            let session = format!("s-{n}-{}", next.fetch_add(1, Ordering::Relaxed));
            let field = format!("Mcp-Session-Id: {session}\r\n");
            reply("200 OK", &field, format!("{n} {session}").as_bytes())
        }
    })
}

fn applications(count: usize, suffix: &'static str, line: &str) -> House {
    let answers = (0..count).map(|n| application(n, suffix)).collect();
    House::start(answers, &House::web(count, line), "proxy web")
}

fn pair(cookie: &str) -> &str {
    cookie.split(';').next().expect("a cookie")
}

fn login_at(house: &House, n: usize) -> Said {
    let login = || house.ask(Front::Plain, "/login", &[]);
    (0..20).map(|_| login()).find(|said| said.who() == n).expect("every server has its turn")
}

#[test]
fn beside_a_session_stands_a_cookie_with_its_server() {
    let mut house = applications(3, "-", "sticky app-cookie sid");
    let nobody = house.by(Front::Plain, "");
    assert!(nobody.cookies.is_empty(), "no session, no cookie: {nobody:?}");
    for front in FRONTS {
        let login = house.ask(front, "/login", &[]);
        let [own, ours] = login.cookies.as_slice() else { panic!("two cookies: {login:?}") };
        let n = login.who();
        assert_eq!(*own, format!("sid=s{n}-{n}; Path=/app; Max-Age=77"));
        assert!(ours.starts_with("sid_dm=") && ours.ends_with("; Path=/app; Max-Age=77"), "{ours}");
        let both = format!("{}; {}", pair(own), pair(ours));
        for other in FRONTS {
            let said = house.by(other, &both);
            assert_eq!((said.who(), said.sent(), said.cookies.len()), (n, pair(own), 0));
        }
    }
    let login = login_at(&house, 1);
    let both = format!("{}; {}", pair(&login.cookies[0]), pair(&login.cookies[1]));
    house.stop_origin(1);
    let moved = house.by(Front::Plain, &both);
    assert_ne!(moved.who(), 1);
    assert!(moved.pair().starts_with("sid_dm="), "{moved:?}");
    let both = format!("{}; {}", pair(&login.cookies[0]), moved.pair());
    house.start_origin(1);
    for _ in 0..5 {
        assert_eq!(house.by(Front::Plain, &both).who(), moved.who(), "it stays where it moved to");
    }
}

/// As Apache httpd has it: what follows the separator is the name of a server.
#[test]
fn a_session_may_name_its_server_itself() {
    let house = applications(3, ".web-", "sticky app-cookie sid");
    let login = login_at(&house, 2);
    assert_eq!(
        login.cookies,
        ["sid=s2.web-2; Path=/app; Max-Age=77"],
        "nothing is needed beside it"
    );
    for front in FRONTS {
        assert_eq!(house.by(front, "sid=s2.web-2").who(), 2);
        assert_eq!(house.by(front, "sid=web-1").who(), 1);
    }
    let servers: Vec<_> = (0..6).map(|_| house.by(Front::Plain, "sid=s.web-9").who()).collect();
    assert!((0..3).all(|n| servers.contains(&n)), "nobody's: {servers:?}");
    assert!(house.explain("sid=s2.web-2").contains("the session of cookie sid is of web-2"));
}

/// UPC-21: an address is no name, so nobody outside can choose or try servers by address.
#[test]
fn upc_21_a_server_is_not_asked_for_by_its_address() {
    let text = "upstream web { server @0; server @1; sticky app-cookie sid separator ! }";
    let house = House::start(vec![number(0), number(1)], text, "proxy web");
    let cookie = format!("sid=x!{}", house.address(1));
    let servers: Vec<_> = (0..4).map(|_| house.by(Front::Plain, &cookie).who()).collect();
    assert!(servers.contains(&0) && servers.contains(&1), "{servers:?}");
}

#[test]
fn a_parameter_or_a_field_gives_its_server() {
    for line in ["sticky query room", "sticky header x-room"] {
        let mut house = House::numbered(4, line);
        let room = |house: &House, front, room: &str| {
            let path = format!("/?a=1&room={room}");
            house.ask(front, &path, &[("x-room", room)]).who()
        };
        let rooms: Vec<String> = (0..40).map(|n| format!("r{n}")).collect();
        let all = |house: &House| -> Vec<usize> {
            rooms.iter().map(|name| room(house, Front::Plain, name)).collect()
        };
        let first = all(&house);
        assert!((0..4).all(|n| first.contains(&n)), "{first:?}");
        for front in FRONTS {
            assert_eq!(room(&house, front, "r7"), first[7]);
            assert_eq!(room(&house, front, "x.web-3"), 3, "a server that is named");
        }
        house.restart(&House::web(4, line), "proxy web");
        assert_eq!(all(&house), first, "after a restart");
        house.stop_origin(2);
        let others = all(&house);
        let stays =
            first.iter().zip(&others).filter(|(old, _)| **old != 2).all(|(old, new)| old == new);
        assert!(stays && !others.contains(&2), "only its own rooms move");
        house.start_origin(2);
        while all(&house) != first {}
        let _ = house.process.wait_for_words("\"sticky\":\"hit\"");
        let free: Vec<_> = (0..8).map(|_| house.by(Front::Plain, "").who()).collect();
        assert!((0..4).all(|n| free.contains(&n)), "without a value, in turn: {free:?}");
    }
}

#[test]
fn a_parameter_may_be_strict() {
    let mut house = House::numbered(3, "sticky query room when-down refuse");
    let ask = |house: &House| house.ask(Front::Plain, "/?room=r1", &[]);
    let who = ask(&house).who();
    house.stop_origin(who);
    for _ in 0..3 {
        assert!(matches!(ask(&house).status, 502 | 503));
    }
    house.start_origin(who);
    while ask(&house).status != 200 {}
    assert_eq!(ask(&house).who(), who);
}

#[test]
fn sessions_are_learned_from_servers_and_kept_over_a_reload() {
    let line = "sticky learn header Mcp-Session-Id";
    let answers = || (0..3).map(naming).collect();
    let mut house = House::start(answers(), &House::web(3, line), "proxy web");
    let begin = |house: &House, front| house.ask(front, "/", &[]).sent().to_owned();
    let sessions: Vec<String> = (0..60).map(|n| begin(&house, FRONTS[n % 4])).collect();
    let all_at_home = |house: &House| {
        for (n, session) in sessions.iter().enumerate() {
            let said = house.ask(FRONTS[n % 4], "/", &[("mcp-session-id", session)]);
            assert_eq!(said.text, format!("{} {session}", &session[2..3]), "at home");
        }
    };
    all_at_home(&house);
    assert_eq!(house.metric("doorman_upstream_sessions{upstream=\"web\"}"), 60);
    house.reload(&House::web(3, &format!("{line}; balance least-requests")), "proxy web");
    all_at_home(&house);
    // A server goes: its sessions belong to those that took them, and the others' stay.
    house.reload(&House::web(2, line), "proxy web");
    let home: Vec<usize> = sessions
        .iter()
        .map(|session| house.ask(Front::Plain, "/", &[("mcp-session-id", session)]).who())
        .collect();
    for (session, home) in sessions.iter().zip(&home) {
        assert!(session.starts_with("s-2") || session.starts_with(&format!("s-{home}")));
        let again = house.ask(Front::H2, "/", &[("mcp-session-id", session)]);
        assert_eq!(again.who(), *home);
    }
    // What nobody named is nobody's: clients cannot fill the table.
    let before = house.metric("doorman_upstream_sessions{upstream=\"web\"}");
    for n in 0..50 {
        let made_up = format!("made-up-{n}");
        assert_eq!(house.ask(Front::Plain, "/", &[("mcp-session-id", &made_up)]).status, 200);
    }
    assert_eq!(house.metric("doorman_upstream_sessions{upstream=\"web\"}"), before);
    house.restart(&House::web(3, line), "proxy web");
    assert_eq!(house.metric("doorman_upstream_sessions{upstream=\"web\"}"), 0);
}

#[test]
fn a_learned_cookie_may_be_looked_up_elsewhere_and_is_forgotten() {
    let line = "sticky learn cookie sid { lookup query sid; expire 1s }";
    let house = applications(3, "-", line);
    let login = login_at(&house, 1);
    assert_eq!(login.cookies, ["sid=s1-1; Path=/app; Max-Age=77"]);
    let ask = || house.ask(Front::Plain, "/?sid=s1-1", &[]);
    assert_eq!(ask().who(), 1);
    while house.metric("doorman_upstream_sessions{upstream=\"web\"}") > 0 {}
    let servers: Vec<_> = (0..6).map(|_| ask().who()).collect();
    assert!((0..3).all(|n| servers.contains(&n)), "forgotten: {servers:?}");
}
