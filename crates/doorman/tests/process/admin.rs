//! The admin API as somebody sees it who should not be there: pages of other sites, guesses of tokens, secrets.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use doorman_testkit::process::free_address;
use doorman_testkit::raw::Raw;
use doorman_testkit::reply::{Asked, Reply};

use crate::rig::{BINARY, House, Stage};

const TOKEN: &str = "correct-horse-battery-staple";
const SECRET: &str = "a-secret-of-nobody-but-us-0123456789";

/// A proxy with the admin API on TCP.
fn house(admin: SocketAddr) -> House {
    let stage = Stage::new("", "respond 200");
    let token = stage.folder().join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(stage.folder().join("word"), SECRET).unwrap();
    let global = format!("admin {admin} token-file token");
    stage.rewrite(&global, "request-header set X-Secret \"${file:word}\"\nrespond 200");
    stage.start()
}

fn ask(address: SocketAddr, line: &str, fields: &[(&str, &str)]) -> Reply {
    let mut raw = Raw::connect(address).unwrap();
    let mut text = format!("{line} HTTP/1.1\r\nContent-Length: 0\r\n");
    for (name, value) in fields {
        text += &format!("{name}: {value}\r\n");
    }
    raw.send(text + "\r\n").unwrap();
    raw.response_to(Asked::Other).unwrap()
}

#[test]
fn pages_of_other_sites_and_bound_again_names_change_nothing() {
    let admin = free_address();
    let house = house(admin);
    let here = admin.to_string();
    let bearer = format!("Bearer {TOKEN}");
    let token = ("Authorization", bearer.as_str());
    for (line, fields, expect) in [
        ("POST /reload", vec![("Host", here.as_str()), token], 200),
        ("POST /reload", vec![("Host", "localhost"), token], 200),
        ("POST /reload", vec![("Host", "127.0.0.1:1"), token], 200),
        ("POST /reload", vec![("Host", here.as_str())], 401),
        ("POST /reload", vec![("Host", "evil.example"), token], 421),
        ("GET /status", vec![("Host", "evil.example")], 421),
        ("GET /status", vec![("Host", "127.0.0.1.evil.example")], 421),
        ("GET /status", vec![("Host", "localhost.evil.example:9901")], 421),
        ("GET /status", vec![("Host", here.as_str())], 200),
        (
            "POST /reload",
            vec![("Host", here.as_str()), token, ("Origin", "http://evil.example")],
            403,
        ),
        ("POST /reload", vec![("Host", here.as_str()), token, ("Origin", "null")], 403),
        (
            "POST /reload",
            vec![("Host", here.as_str()), token, ("Sec-Fetch-Site", "cross-site")],
            403,
        ),
        ("GET /status", vec![("Host", here.as_str()), ("Sec-Fetch-Site", "cross-site")], 403),
        // What shows the configuration needs the token too.
        ("GET /explain?url=http://a.test/", vec![("Host", here.as_str())], 401),
    ] {
        let reply = ask(admin, line, &fields);
        assert_eq!(reply.status, expect, "{line} {fields:?}");
    }
    // A name in a path or a field comes back as data, never as a page.
    let reply = ask(admin, "GET /%3Cscript%3Ealert(1)%3C%2Fscript%3E", &[("Host", "localhost")]);
    assert_eq!((reply.status, reply.field("content-type")), (404, Some("application/json")));
    assert!(!String::from_utf8_lossy(&reply.body).contains("<script>"));
    drop(house);
}

#[test]
fn guesses_of_the_token_are_slow_and_told() {
    let admin = free_address();
    let house = house(admin);
    let begin = Instant::now();
    let guess = |word: &str| {
        let bearer = format!("Bearer {word}");
        ask(admin, "POST /reload", &[("Host", "localhost"), ("Authorization", &bearer)]).status
    };
    assert_eq!(guess("correct-horse-battery-stapl?"), 401);
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    // Who has it waits for nobody who has not, and the empty one is none.
    std::thread::scope(|scope| {
        let guessing = scope.spawn(|| guess("wrong-wrong-wrong"));
        assert_eq!(guess(TOKEN), 200);
        assert_eq!(guessing.join().unwrap(), 401);
    });
    assert_eq!(guess(""), 401);
    let line = house.process.wait_for_words("a wrong token from 127.0.0.1");
    assert!(line.contains("WARN"), "{line}");
    let said = house.process.said().join("\n");
    assert_eq!(said.matches("a wrong token").count(), 1, "once a minute: {said}");
    assert!(!said.contains("correct-horse") && !said.contains("wrong-wrong"), "{said}");
}

#[test]
fn a_token_that_others_read_and_a_network_that_listens_are_warned_of() {
    let stage = Stage::new("", "respond 200");
    let token = stage.folder().join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let check = |admin: &str| {
        stage.rewrite(&format!("admin {admin}"), "respond 200");
        let mut command = std::process::Command::new(BINARY);
        let output = command
            .current_dir(stage.folder())
            .args(["check", "--format", "short"])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check("0.0.0.0:9901");
    assert_eq!(code, Some(3));
    assert!(said.contains("error[E0220]") && said.contains("open to the network"), "{said}");
    let (code, said) = check("0.0.0.0:9901 token-file token");
    assert_eq!(code, Some(0));
    assert!(said.contains("warning[W0328]") && said.contains("in the clear"), "{said}");
    assert!(said.contains("others can get at the key token (mode 644)"), "{said}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check("127.0.0.1:9901 token-file token"), (Some(0), String::new()));
}

#[test]
fn no_secret_is_shown_and_the_socket_is_nobody_elses() {
    let admin = free_address();
    let house = house(admin);
    let bearer = format!("Bearer {TOKEN}");
    let own = [("Host", "localhost"), ("Authorization", bearer.as_str())];
    let site = house.address.to_string();
    for line in [
        "GET /status".to_owned(),
        "GET /diff".to_owned(),
        format!("GET /explain?url=http://{site}/"),
        "GET /metrics".to_owned(),
        "POST /reload".to_owned(),
    ] {
        let reply = ask(admin, &line, &own);
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!body.contains(SECRET) && !body.contains(TOKEN), "{line}: {body}");
    }
    let output = house.command(&["config", "show"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    assert!(!house.process.said().join("\n").contains(SECRET));
    // On a Unix socket nobody else gets as far as to ask.
    let house = Stage::new("", "respond 200").start();
    let facts = fs::symlink_metadata(house.process.folder().join("run/admin.sock")).unwrap();
    let me = rustix::process::geteuid().as_raw();
    assert_eq!((facts.mode() & 0o777, facts.uid()), (0o600, me));
    let folder = fs::symlink_metadata(house.process.folder().join("run")).unwrap();
    assert_eq!(folder.mode() & 0o777, 0o700);
}
