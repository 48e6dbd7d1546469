//! Checks over everything that is spoken to servers.

use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::python::Python;
use rustix::process::Signal;

use crate::rig::House;

/// A doorman as an origin: over HTTP/2 without TLS, and over TLS in all versions.
fn origin() -> (Process, String, String) {
    origin_with("")
}

fn origin_with(global: &str) -> (Process, String, String) {
    let (plain, secure, redirects) = (free_address(), free_address(), free_address());
    let text = format!(
        "global {{ bind 127.0.0.1; http-port {}; https-port {}; {global} }}
         listen {plain} {{ protocols h1 h2c }}
         site http://*:{} {{ respond 200 plain }}
         site https://localhost {{ tls internal; respond 200 secure }}",
        redirects.port(),
        secure.port(),
        plain.port()
    );
    let process = Program::new(env!("CARGO_BIN_EXE_doorman")).file("doorman.conf", text);
    let process = process.arguments(&["run"]).start_listening(&[plain, secure]);
    (process, plain.to_string(), format!("https://localhost:{}", secure.port()))
}

#[test]
fn checks_speak_what_requests_do() {
    let (origin, plain, secure) = origin();
    let check = "health GET /x { every 100ms; timeout 5s; fall 1; initial down; expect body ~";
    let tls = "tls verify off";
    let wait = "health tcp { every 100ms; timeout 5s; fall 1; initial down }";
    let rows = [
        format!("server {plain}; protocol h1; {check} ^plain$ }}; {wait}"),
        format!("server {plain}; protocol h2c; {check} ^plain$ }}; {wait}"),
        format!("server {secure}; {tls}; protocol h1; {check} ^secure$ }}; {wait}"),
        format!("server {secure}; {tls}; protocol h2; {check} ^secure$ }}; {wait}"),
        format!("server {secure}; {tls}; protocol auto; {check} ^secure$ }}; {wait}"),
        format!("server {secure}; {tls}; protocol h3; {check} ^secure$ }}; {wait}"),
    ];
    let upstreams: Vec<String> =
        rows.iter().enumerate().map(|(n, row)| format!("upstream u{n} {{ {row} }}")).collect();
    let routes: Vec<String> =
        (0..rows.len()).map(|n| format!("route /{n} {{ host upstream; proxy u{n} }}")).collect();
    let house = House::with(&upstreams.join("\n"), &routes.join("; "));
    house.process.wait_for_times("is up again", rows.len());
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(house.get(&format!("/{n}")).0, 200, "{row}");
    }
    origin.signal(Signal::KILL).unwrap();
    house.process.wait_for_times("is down", rows.len());
    // A certificate that nobody vouches for is as bad for a check as it is for a request.
    let (_origin, _, secure) = self::origin();
    let house = House::before(&format!("server {secure}\nhealth tcp every 100ms fall 1"));
    let down = house.process.wait_for_words("is down");
    assert!(down.contains("TLS handshake"), "{down}");
}

/// Each check has a connection of its own, and leaves none behind.
#[test]
fn checks_leave_no_connections() {
    let metrics = free_address();
    let (_origin, plain, secure) = origin_with(&format!("metrics {metrics}"));
    let page = || {
        let reply = doorman_testkit::raw::fetch(metrics, "metrics", "/metrics").unwrap();
        String::from_utf8(reply.body).unwrap()
    };
    let sum = |name: &str| -> f64 {
        let page = page();
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let rows = [
        format!("server {plain}; protocol h1"),
        format!("server {plain}; protocol h2c"),
        format!("server {secure}; tls verify off; protocol h2"),
        format!("server {secure}; tls verify off; protocol h3"),
    ];
    let check = "health GET /x every 100ms timeout 10s fall 1";
    let upstreams: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| {
            format!("upstream u{n} {{ {row}; {check}; {} }}", check.replace("GET /x", "tcp"))
        })
        .collect();
    let routes: Vec<String> =
        (0..rows.len()).map(|n| format!("route /{n} {{ proxy u{n} }}")).collect();
    let house = House::with(&upstreams.join("\n"), &routes.join("; "));
    // Half of the checks of each upstream are connections alone, which the other side may not count.
    while sum("doorman_connections_total") < 200.0 {
        std::thread::yield_now();
    }
    assert_eq!(house.times("is down"), 0);
    let open = sum("doorman_connections_open");
    assert!(open <= 16.0, "{open} connections are open:\n{}", page());
}

#[test]
fn the_health_service_of_grpc() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    let Some(python) = Python::find(env!("CARGO_TARGET_TMPDIR"), scripts) else { return };
    let mut server = python.serve("health_server.py", []);
    server.tell("shop.Cart SERVING");
    let pace = "{ every 100ms; timeout 10s; fall 1; rise 1; initial down }";
    let at = server.address;
    let house = House::with(
        &format!(
            "upstream all {{ server {at}; protocol h2c; health grpc {pace} }}
             upstream cart {{ server {at}; protocol h2c; health grpc shop.Cart {pace} }}
             upstream none {{ server {at}; protocol h2c; health grpc shop.None {{ every 100ms; fall 1 }} }}"
        ),
        "route /a { proxy all }; route /b { proxy cart }; route /c { proxy none }",
    );
    let unknown = house.process.wait_for_words("of upstream none is down");
    assert!(unknown.contains("grpc shop.None fails: grpc-status 5: it does not know"), "{unknown}");
    let _ = house.process.wait_for_words("of upstream all is up again");
    let _ = house.process.wait_for_words("of upstream cart is up again");
    server.tell("shop.Cart NOT_SERVING");
    let down = house.process.wait_for_words("of upstream cart is down");
    assert!(down.contains("grpc shop.Cart failed once, last: it says NOT_SERVING"), "{down}");
    server.tell("shop.Cart SERVING");
    house.process.wait_for_times("of upstream cart is up again", 2);
    assert_eq!(house.times("of upstream all is down"), 0);
}

#[test]
fn an_upstream_of_relays_has_its_servers_checked_too() {
    let (dead, relay) = (free_address(), free_address());
    let (_origin, plain, _) = origin();
    let house = House::with(
        &format!(
            "upstream app {{ server {dead}; server {plain}; health tcp every 100ms fall 1 }}
             relay {relay} {{ proxy app }}"
        ),
        "respond 200",
    );
    let down = house.process.wait_for_words("is down");
    assert!(down.contains("tcp fails: connect: connection refused"), "{down}");
    for _ in 0..6 {
        let reply = doorman_testkit::raw::fetch(relay, "x.test", "/").unwrap();
        assert_eq!(reply.body, b"plain");
    }
}
