//! What people see of it: logs, metrics, the admin API, and `explain`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::Value;

use crate::rig::{FRONTS, House};

fn admin(house: &House, path: &str) -> (u16, Value) {
    let socket = house.process.folder().join("admin.sock");
    let mut stream = UnixStream::connect(socket).expect("the admin API");
    let request = format!("GET {path} HTTP/1.1\r\nHost: doorman\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("an open socket");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn each_rule_that_matched_has_a_line_and_each_request_an_event() {
    let house = House::with("waf starter rules own.conf");
    for front in FRONTS {
        let path = format!("/{front:?}?q=an+attack%0A");
        let got = house.ask(front, "GET", &path, &[], b"");
        assert_eq!(got.status, 403, "{front:?}");
        let id = got.field("x-request-id").expect("an id").to_owned();
        house.told(&format!("/{front:?}"), "\"rule\":100,");
        let (status, event) = admin(&house, &format!("/waf/events/{id}"));
        assert_eq!(status, 200, "{front:?}");
        assert_eq!(event["action"], "block", "{event}");
        assert_eq!(event["refused_by"], 100, "{event}");
        assert_eq!(event["findings"][0]["variable"], "ARGS:q", "{event}");
    }
    let line = house.told("/H3", "\"rule\":100,");
    let line: Value = serde_json::from_str(&line).expect("an object a line");
    assert_eq!(line["msg"], "An attack");
    assert_eq!(line["severity"], "CRITICAL");
    assert_eq!(line["tags"][0], "story");
    assert_eq!(line["mode"], "block");
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["excerpt"], "an attack\n");
    let (status, list) = admin(&house, "/waf/events?last=2");
    assert_eq!((status, list["events"].as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(list["count"], 4);
    assert_eq!(admin(&house, "/waf/events/none").0, 404);
    let site = format!("http://*:{}", house.plain.port());
    let decisions = format!("doorman_waf_decisions_total{{site=\"{site}\",action=\"block\"}}");
    assert_eq!(house.metric(&decisions), 1.0);
    assert!(house.metric("doorman_waf_seconds_total") > 0.0);
    assert_eq!(house.metric("doorman_waf_rule_matches_total{rule=\"100\"}"), 4.0);
}

#[test]
fn what_passes_is_counted_and_no_event() {
    let house = House::with("waf starter rules own.conf");
    assert_eq!(house.get("/kind?q=1", &[]).status, 200);
    let line = house.line("/kind");
    assert!(line.contains("\"waf\":\"pass\",\"waf_us\":"), "{line}");
    let (_, list) = admin(&house, "/waf/events");
    assert_eq!(list["count"], 0, "{list}");
}

#[test]
fn explain_says_which_rules_and_what_they_would_do() {
    let house = House::with(
        "waf starter level 2 rules own.conf exclude 100 arg comment exclude tag attack-xss",
    );
    let explain = |target: &str, more: &[&str]| {
        let url = format!("http://localhost:{}{target}", house.plain.port());
        let output = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["explain", &url, "-c", "doorman.conf"])
            .args(["-H", "User-Agent: story", "-H", "Accept: */*"])
            .args(more)
            .current_dir(house.process.folder())
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = explain("/x?q=attack", &[]);
    assert!(
        text.contains("level 2, mode block") && text.contains("exclude 100 arg comment"),
        "{text}"
    );
    assert!(text.contains("rule 100") && text.contains("refused with 403 by rule 100"), "{text}");
    let text = explain("/x?comment=attack", &[]);
    assert!(text.contains("passes, as far as its head tells"), "{text}");
    let json: Value = serde_json::from_str(&explain("/x?q=attack", &["--json"])).expect("JSON");
    assert_eq!(json["waf"]["action"], "block", "{json}");
    assert_eq!(json["waf"]["findings"][0]["rule"], 100, "{json}");
    assert_eq!(json["waf"]["level"], 2, "{json}");
}
