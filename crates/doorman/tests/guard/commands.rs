//! What operators see of limits and bans, and what they can give back.

use std::process::Command;

use crate::bans::await_ban;
use crate::rig::House;

/// What a command says.
fn says(house: &House, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_doorman"))
        .args(arguments)
        .args(["--admin", "unix:admin.sock"])
        .current_dir(house.process.folder())
        .output()
        .expect("the program can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text} {:?}", output.stderr);
    text
}

#[test]
fn limits_are_shown_and_given_back() {
    let house =
        House::with("policy all { limit 1/h burst 1 per client-ip name api }\n---\nuse all");
    assert_eq!([house.get("/", &[]).status, house.get("/", &[]).status], [200, 429]);
    let text = says(&house, &["limits"]);
    assert!(
        text.contains("api") && text.contains("1 refused") && text.contains("127.0.0.1"),
        "{text}"
    );
    assert!(house.metric("doorman_limit_exceeded_total{limit=\"api\",outcome=\"refused\"}") >= 1.0);
    let key = text.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a key");
    assert!(says(&house, &["limits", "reset", "--key", key]).contains("1 limit"));
    assert_eq!(house.get("/", &[]).status, 200);
    assert!(says(&house, &["limits", "top", "--json"]).contains("\"left\""));
}

#[test]
fn bans_are_shown_and_lifted() {
    let house = House::with("policy all { ban 1 within 1m for 1h on malformed }\n---\nuse all");
    let mut raw = house.connect();
    raw.send("GET / HTTP/1.1\r\nHost : bad\r\n\r\n").expect("a house that is open");
    await_ban(&house);
    let text = says(&house, &["bans"]);
    assert!(text.contains("1 client is kept out") && text.contains("127.0.0.1"), "{text}");
    assert!(says(&house, &["bans", "lift", "127.0.0.1"]).contains("1 client"));
    assert_eq!(house.get("/", &[]).status, 200);
    assert!(says(&house, &["bans", "lift", "--all"]).contains("nobody"));
}

#[test]
fn what_gates_would_say_is_explained() {
    let house =
        House::with("policy all { deny 192.0.2.0/24; limit 5/h burst 5 name api }\n---\nuse all");
    let url = format!("http://localhost:{}/", house.plain.port());
    let ask = |from: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["explain", &url, "--from", from, "-c", "doorman.conf"])
            .current_dir(house.process.folder())
            .output()
            .expect("the program can be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let denied = ask("192.0.2.7");
    assert!(denied.contains("denied by `192.0.2.0/24`: refused"), "{denied}");
    let passes = ask("198.51.100.1");
    assert!(passes.contains("api; 5 of 5 left") && !passes.contains("refused"), "{passes}");
}
