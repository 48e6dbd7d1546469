//! What the process can reach and call, and what becomes of configurations that want more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::rig::{AS_NOBODY, BINARY, House, Stage, is_root};

/// Whether a measure is in force; a kernel that cannot do it has to be told of.
fn has(house: &House, measure: &str) -> bool {
    let status = house.says(&["status"]);
    if status.contains(&format!("{measure} missing")) {
        let _ = house.process.wait_for_words("not all is hardened");
        return false;
    }
    true
}

#[test]
fn every_thread_is_bound_and_everything_works() {
    let house = Stage::new(
        "log access json access.log",
        "compress\nroute / { respond 200 hi }\nroute /old { redirect /new }",
    )
    .start();
    if has(&house, "system-calls") {
        house.every_thread("Seccomp", "2");
    }
    house.every_thread("NoNewPrivs", "1");
    let status = house.says(&["status"]);
    for measure in [
        "capabilities (",
        "no-new-privileges",
        "no-dumps",
        "private-files",
        "files",
        "system-calls",
    ] {
        assert!(status.contains(measure), "{measure} in {status}");
    }
    let json: serde_json::Value = serde_json::from_str(&house.says(&["status", "--json"])).unwrap();
    assert_eq!(json["hardening"]["mode"], "on");
    assert_eq!(json["hardening"]["measures"].as_array().unwrap().len(), 6);
    for times in 1..=3 {
        assert_eq!(house.get("/").body, b"hi");
        house.reload("is in force", times);
    }
    assert_eq!(house.get("/old").status, 302);
}

#[test]
fn a_local_authority_is_made_and_serves_under_all_of_it() {
    let user = if is_root() { AS_NOBODY } else { "" };
    let port = doorman_testkit::port::free();
    let site =
        format!("respond 200\n}}\nsite https://localhost:{port} {{ tls internal; respond 200 safe");
    let house = Stage::new(user, &site).start();
    assert_eq!(house.get("/").status, 200);
    assert!(house.process.folder().join("data/ca/ca/root.pem").exists());
    house.reload("configuration 2 is in force", 1);
    assert!(!house.process.said().iter().any(|line| line.contains("denied")));
}

#[test]
fn a_reload_that_names_what_is_out_of_reach_is_refused_with_its_path() {
    let elsewhere = doorman_testkit::process::folder();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let page = elsewhere.path().join("page.html");
    fs::write(&page, "elsewhere").unwrap();
    let house = Stage::new("", "error-page 502 respond before\nroute / { respond 200 }").start();
    if !has(&house, "files") {
        return;
    }
    let with = |path: &str| {
        format!(
            "error-page 502 {path}\nroute / {{ respond 200 }}\nroute /down {{ proxy 127.0.0.1:1 }}"
        )
    };
    let named = page.display().to_string();
    house.write("", &with(&named));
    house.reload("was not reloaded", 1);
    let said = house.process.said().join("\n");
    assert!(said.contains(&format!("{named}: doorman can read only in the folders")), "{said}");
    assert!(said.contains("help: restart doorman"), "{said}");
    // A log, a store, a socket elsewhere: the same.
    house.write(
        &format!("log access json {}/access.log", elsewhere.path().display()),
        "respond 200",
    );
    house.reload("was not reloaded", 2);
    let output = house.command(&["reload"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("access.log: doorman can write only in the folders"), "{errors}");
    assert!(!elsewhere.path().join("access.log").exists());
    // An included file, which is met before the configuration is known.
    fs::write(elsewhere.path().join("more.conf"), "site http://b.test:1 { respond 200 }").unwrap();
    let include = format!(
        "respond 200\n}}\ninclude {}/more.conf\npolicy unused {{",
        elsewhere.path().display()
    );
    house.write("", &include);
    house.reload("was not reloaded", 3);
    assert!(house.process.said().join("\n").contains("only in the folders"));
    assert_eq!(house.get("/").status, 200);
    // In a folder that it knows, even a new one inside of it, it is taken.
    fs::create_dir(house.process.folder().join("pages")).unwrap();
    fs::write(house.process.folder().join("pages/page.html"), "inside").unwrap();
    house.write("", &with("pages/page.html"));
    house.reload("is in force", 1);
    assert_eq!(house.get("/down").body, b"inside");
}

const HOOK: &str = "acme https://127.0.0.1:1/dir { challenge dns; dns exec /bin/true }";

#[test]
fn programs_for_dns_are_for_those_who_start_with_them() {
    let house = Stage::new("", "respond 200").start();
    house.write(HOOK, "respond 201");
    house.reload("was not reloaded", 1);
    let said = house.process.said().join("\n");
    assert!(said.contains("`dns exec` runs a program, and this process gave that up"), "{said}");
    assert_eq!(house.get("/").status, 200);
    let house = Stage::new(HOOK, "respond 200").start();
    house.every_thread("Seccomp", "0");
    house.every_thread("NoNewPrivs", "1");
    let status = house.says(&["status"]);
    assert!(status.contains("system-calls off (`dns exec` runs programs)"), "{status}");
    house.write("", "respond 201");
    house.reload("configuration 2 is in force", 1);
}

#[test]
fn metrics_say_what_is_in_force() {
    let metrics = doorman_testkit::process::free_address();
    for (mode, expect) in [("on", "1"), ("off", "0")] {
        let global = format!("metrics {metrics}\nharden {mode}");
        let _house = Stage::new(&global, "respond 200").start();
        let page = crate::rig::get(metrics, "/metrics");
        let page = String::from_utf8(page.body).unwrap();
        for measure in ["capabilities", "no-new-privileges", "no-dumps", "private-files"] {
            let line = format!("doorman_hardened{{measure=\"{measure}\"}} {expect}\n");
            assert!(page.contains(&line), "{line} in {page}");
        }
        assert!(page.contains("doorman_hardened{measure=\"system-calls\"} "), "{page}");
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let stage = Stage::new("", "respond 200");
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let (cert, key) = (stage.folder().join("cert.pem"), stage.folder().join("key.pem"));
    fs::write(cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    stage.rewrite("", "respond 200\n}\nsite a.test { tls cert cert.pem key key.pem; respond 200");
    for (mode, is_open) in
        [(0o644, true), (0o660, true), (0o606, true), (0o640, false), (0o600, false)]
    {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(BINARY);
        let output =
            command.current_dir(stage.folder()).args(["check", "--format", "short"]).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        let warning = format!("others can get at the key key.pem (mode {mode:03o}): chmod 600 it");
        assert_eq!(said.contains(&warning), is_open, "{mode:o}: {said}");
        assert!(!said.contains("error["), "{said}");
    }
}
