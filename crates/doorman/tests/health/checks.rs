//! Checks that ask servers on purpose.

use doorman_testkit::process::{Program, free_address};
use rustix::process::Signal;

use crate::rig::{House, Server};

fn two(a: &Server, b: &Server, more: &str) -> String {
    format!("server {}\nserver {}\n{more}", a.address(), b.address())
}

const QUICK: &str = "health GET /ready every 100ms timeout 10s fall 3 rise 2";

#[test]
fn a_server_that_fails_its_checks_takes_no_requests_until_it_passes_them() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let house = House::before(&two(&a, &b, QUICK));
    a.wait_for_checks(1);
    assert_eq!(house.who(10), ["a", "b"]);
    a.answer_checks(503);
    let down = house.process.wait_for_words("is down");
    let name = a.address().to_string();
    let why = "GET /ready failed 3 times, last: status 503, wanted 200-399";
    assert!(down.contains(&format!("server {name} of upstream app is down: {why}")), "{down}");
    assert_eq!(house.who(10), ["b"]);
    // Status and metrics tell the same.
    let status = house.status(a.address());
    assert_eq!((&status["state"], &status["why"]), (&"probed-down".into(), &why.into()));
    assert!(status["since"].as_u64().is_some());
    assert_eq!(status["checks"][0]["check"], "GET /ready");
    assert_eq!(status["checks"][0]["up"], false);
    assert_eq!(status["changes"].as_array().unwrap().last().unwrap()["up"], false);
    let screen = house.tell(&["status", "--admin", "unix:admin.sock"]);
    assert!(
        screen.contains(&format!(": {why}")) && screen.contains("probed-down since 20"),
        "{screen}"
    );
    let labels = |name: &str, more: &str, server: &Server| {
        format!("{name}{{upstream=\"app\",server=\"{}\"{more}}}", server.address())
    };
    let metric =
        |name: &str, more: &str, server: &Server| house.metric(&labels(name, more, server));
    assert_eq!(metric("doorman_upstream_server_up", "", &a), Some(0.0));
    assert_eq!(metric("doorman_upstream_server_up", "", &b), Some(1.0));
    assert!(metric("doorman_upstream_checks_total", ",result=\"failed\"", &a) >= Some(3.0));
    assert_eq!(metric("doorman_upstream_checks_total", ",result=\"failed\"", &b), Some(0.0));
    let upstreams = house.tell(&["upstreams", "--admin", "unix:admin.sock"]);
    assert!(upstreams.contains(&format!("its health checks fail: {why}")), "{upstreams}");
    // What it is asked meanwhile changes nothing, and fills no log.
    a.wait_for_checks(5);
    assert_eq!(house.times("is down"), 1);
    a.answer_checks(200);
    let up = house.process.wait_for_words("is up again after");
    assert!(up.contains("GET /ready passes"), "{up}");
    assert_eq!(house.who(10), ["a", "b"]);
    assert_eq!(metric("doorman_upstream_server_up", "", &a), Some(1.0));
    let explained = house.tell(&["explain", &house.url()]);
    assert!(explained.contains("GET /ready every 100ms, fall 3, rise 2"), "{explained}");
}

/// UPC-18, over real sockets: answers that change with each check leave the server where it was.
#[test]
fn upc_18_a_server_that_flaps_stays_in() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let house = House::before(&two(&a, &b, QUICK));
    a.wait_for_checks(1);
    for turn in 0..20 {
        a.answer_checks(if turn % 2 == 0 { 503 } else { 200 });
        a.wait_for_checks(1);
    }
    // A change may meet a check that is under way, and two of one kind in a row; never three.
    assert_eq!(house.times("is down"), 0);
    assert_eq!(house.who(10), ["a", "b"]);
}

#[test]
fn a_process_that_is_stopped_continued_and_killed() {
    let address = free_address();
    let text =
        format!("site http://app.test:{} {{ respond 200 real }}\nlisten {address}", address.port());
    let real = Program::new(env!("CARGO_BIN_EXE_doorman")).file("doorman.conf", text);
    let real = real.arguments(&["run"]).start_listening(&[address]);
    let b = Server::start("b");
    let check = "health GET / { every 100ms; timeout 2s; fall 1; rise 1; host app.test }";
    let house = House::before(&format!(
        "server {address}\nserver {}\n{check}\nhealth tcp every 100ms fall 1 timeout 2s",
        b.address()
    ));
    assert_eq!(house.who(10), ["b", "real"]);
    real.signal(Signal::STOP).unwrap();
    // The system goes on accepting for it, so a connection tells nothing.
    let down = house.process.wait_for_words("is down");
    assert!(down.contains("not done within 2 s while waiting for an answer"), "{down}");
    assert_eq!(house.who(4), ["b"]);
    real.signal(Signal::CONT).unwrap();
    let _ = house.process.wait_for_words("is up again");
    assert_eq!(house.who(10), ["b", "real"]);
    real.signal(Signal::KILL).unwrap();
    house.process.wait_for_times("is down", 2);
    let said = house.process.said();
    let last = said.iter().rfind(|line| line.contains("is down")).unwrap();
    assert!(last.contains("connection refused") || last.contains("closed"), "{last}");
    assert_eq!(house.who(4), ["b"]);
}

#[test]
fn when_all_are_ill_fail_open_decides() {
    for (open, expect) in [("", ["503"].as_slice()), ("fail-open", &["a", "b"])] {
        let (a, b) = (Server::start("a"), Server::start("b"));
        a.answer_checks(500);
        b.answer_checks(500);
        let house = House::before(&two(&a, &b, &format!("{QUICK}\n{open}")));
        house.process.wait_for_times("is down", 2);
        assert_eq!(house.who(6), expect, "{open}");
        // One that is well is enough to close it again.
        a.answer_checks(200);
        let _ = house.process.wait_for_words("is up again");
        assert_eq!(house.who(6), ["a"]);
    }
}

#[test]
fn a_reload_keeps_what_is_known_and_a_changed_check_starts_over() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let slow = "health GET /ready { every 1h; fall 1 }";
    a.answer_checks(503);
    let house = House::before(&two(&a, &b, slow));
    let _ = house.process.wait_for_words("is down");
    b.wait_for_checks(0);
    // Well again, but nobody asks: what was found stays, and so do the servers.
    a.answer_checks(200);
    let (asked_a, asked_b) = (a.checked(), b.checked());
    for _ in 0..3 {
        house.reload(&two(&a, &b, &format!("{slow}\nbalance least-requests")));
    }
    assert_eq!(house.who(6), ["b"]);
    assert_eq!((a.checked(), b.checked().max(asked_b)), (asked_a, b.checked()));
    // Another check is asked anew.
    house.reload(&two(&a, &b, "health GET /ready { every 1h; fall 2 }"));
    let _ = house.process.wait_for_words("is up again");
    assert_eq!(house.who(6), ["a", "b"]);
    // Without checks nobody is ill.
    a.answer_checks(503);
    house.reload(&two(&a, &b, "health GET /ready { every 1h; fall 1 }"));
    house.process.wait_for_times("is down", 2);
    assert_eq!(house.who(6), ["b"]);
    house.reload(&two(&a, &b, ""));
    while house.who(6) != ["a", "b"] {}
}

#[test]
fn a_server_that_counts_as_down_waits_for_its_first_check() {
    let a = Server::start("a");
    a.be_silent();
    let check = "health GET /ready { every 100ms; timeout 1s; initial down }";
    let house = House::before(&format!("server {}\n{check}", a.address()));
    assert_eq!(house.get("/").0, 503);
    assert_eq!(house.status(a.address())["state"], "probed-down");
    a.speak();
    let _ = house.process.wait_for_words("is up again");
    assert_eq!(house.get("/"), (200, "a".to_owned()));
}
