//! What operators see of limits and bans, and what they can give back.

use std::io::Write;
use std::process::{Command, Stdio};

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
fn one_client_is_shown_and_given_back() {
    let house = House::with(
        "policy all { limit 5/h burst 5 per client-ip name api; limit 9/h burst 9 per path client-ip name both }\n\
         ---\nuse all",
    );
    assert_eq!([house.get("/", &[]).status, house.get("/", &[]).status], [200, 200]);
    let text = says(&house, &["limits", "show", "127.0.0.1"]);
    let expect = "api: 3 of 5 left";
    assert!(text.starts_with(expect) && text.contains("both: counts by more"), "{text}");
    assert!(says(&house, &["limits", "show", "192.0.2.1", "--name", "api"]).contains("5 of 5"));
    assert!(says(&house, &["limits", "reset", "127.0.0.1"]).contains("1 limit"));
    assert!(says(&house, &["limits", "show", "127.0.0.1", "--json"]).contains("\"left\": 5"));
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

/// What `doorman hash` says to standard output and to standard error, when it is given this.
fn hash(arguments: &[&str], input: &str) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorman"))
        .arg("hash")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("a program that reads");
    drop(pipe);
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn hashes_that_are_made_let_in() {
    let (user, _) = hash(&["password", "--user", "alice"], "open sesame\n");
    let (name, made) = user.trim_end().split_once(':').expect("a line");
    assert!(name == "alice" && made.starts_with("$argon2id$"), "{user}");
    let (key, said) = hash(&["key", "--name", "shop"], "");
    let line = said.lines().find(|line| line.starts_with("    key ")).expect("a line");
    let site = format!("basic-auth user alice '{made}'\napi-key {{\n{line}\n}}");
    let house = House::with(&format!("policy all {{ {site} }}\n---\nuse all"));
    let right = "Basic YWxpY2U6b3BlbiBzZXNhbWU=";
    let got = [
        house.get("/", &[]).status,
        house.get("/", &[("authorization", right)]).status,
        house.get("/", &[("x-api-key", key.trim_end())]).status,
    ];
    assert_eq!(got, [401, 200, 200]);
    let (none, why) = hash(&["password"], "\n");
    assert!(none.is_empty() && why.contains("empty"), "{why}");
}
