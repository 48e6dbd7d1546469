//! As whom the process goes on, and what that one may.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use crate::rig::{AS_NOBODY, House, NOBODY, NONE, PORTS, Stage, get, is_root, privileged_address};

#[test]
fn root_is_given_up_by_every_thread_for_good() {
    if !is_root() {
        return;
    }
    let house =
        Stage::new(&format!("{AS_NOBODY}\nlog access json access.log"), "respond 200 hi").start();
    assert_eq!(house.get("/").status, 200);
    house.every_thread("Uid", "65534 65534 65534 65534");
    house.every_thread("Gid", "65534 65534 65534 65534");
    house.every_thread("Groups", "65534");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        house.every_thread(set, NONE);
    }
    house.every_thread("NoNewPrivs", "1");
    // What was made is of that user, and of nobody else.
    for (name, mode) in
        [("data", 0o700), ("run", 0o700), ("run/admin.sock", 0o600), ("access.log", 0o640)]
    {
        let facts = fs::symlink_metadata(house.process.folder().join(name)).unwrap();
        assert_eq!((facts.uid(), facts.mode() & 0o777), (NOBODY, mode), "{name}");
    }
    // Root's commands find it and may use it.
    assert!(house.says(&["status"]).contains("harden on"));
}

#[test]
fn a_port_below_1024_stays_within_reach_and_nothing_else() {
    if !is_root() {
        return;
    }
    let (first, second) = (privileged_address(), "127.0.0.2:600");
    let house = Stage::at(first, AS_NOBODY, "respond 200 first").start();
    assert_eq!(house.get("/").status, 200);
    for (set, expect) in [
        ("CapPrm", PORTS),
        ("CapEff", PORTS),
        ("CapBnd", PORTS),
        ("CapInh", NONE),
        ("CapAmb", NONE),
    ] {
        house.every_thread(set, expect);
    }
    // A reload binds another one.
    let more = format!("respond 200 first\n}}\nsite http://{second} {{ respond 200 second");
    house.write(AS_NOBODY, &more);
    house.reload("configuration 2 is in force", 1);
    assert_eq!(get(second.parse().unwrap(), "/").body, b"second");
}

#[test]
fn without_such_a_port_a_reload_that_adds_one_is_refused_and_says_what_helps() {
    if !is_root() {
        return;
    }
    let house = Stage::new(AS_NOBODY, "respond 200").start();
    let privileged = privileged_address();
    house.write(AS_NOBODY, &format!("respond 200\n}}\nsite http://{privileged} {{ respond 200"));
    house.reload("was not reloaded", 1);
    let said = house.process.said().join("\n");
    assert!(
        said.contains(&format!(
            "cannot listen on 0.0.0.0:{}: Permission denied",
            privileged.port()
        )),
        "{said}"
    );
    assert!(said.contains("restart it"), "{said}");
    assert_eq!(house.get("/").status, 200);
}

#[test]
fn logs_are_opened_again_and_certificates_renewed_as_that_user() {
    if !is_root() {
        return;
    }
    let stage = Stage::new(&format!("{AS_NOBODY}\nlog access json logs/access.log"), "respond 200");
    let logs = stage.folder().join("logs");
    fs::create_dir(&logs).unwrap();
    chown(&logs, Some(NOBODY), Some(NOBODY)).unwrap();
    let house = stage.start();
    fs::rename(logs.join("access.log"), logs.join("old.log")).unwrap();
    house.process.signal(rustix::process::Signal::USR1).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !logs.join("access.log").exists() {
        assert!(std::time::Instant::now() < end, "the log is not opened again");
        std::thread::yield_now();
    }
    let facts = fs::metadata(logs.join("access.log")).unwrap();
    assert_eq!((facts.uid(), facts.mode() & 0o777), (NOBODY, 0o640));
}

#[test]
fn what_a_reload_could_not_read_is_refused_at_the_start() {
    if !is_root() {
        return;
    }
    let check = |change: &dyn Fn(&std::path::Path), expect: &[&str]| {
        let stage = Stage::new(&format!("{AS_NOBODY}\nlog error info error.log"), "respond 200");
        change(stage.folder());
        let said = stage.refused();
        for words in expect {
            assert!(said.contains(words), "{words} in {said}");
        }
    };
    let close = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    check(
        &|folder| close(&folder.join("doorman.conf")),
        &["may not read doorman.conf", "help: chgrp 65534 doorman.conf && chmod 640 doorman.conf"],
    );
    check(
        &|folder| fs::create_dir(folder.join("data")).unwrap(),
        &["may not write in", "/data\n  help: chown -R "],
    );
    check(&|folder| fs::write(folder.join("error.log"), "").unwrap(), &["may not write the log"]);
}

#[test]
fn who_is_not_there_or_not_to_be_had_is_no_start() {
    let said = Stage::new("user nobody-of-this-name", "respond 200").refused();
    assert!(said.contains("there is no user nobody-of-this-name in /etc/passwd"), "{said}");
    assert!(said.contains("help: make it: useradd"), "{said}");
    if !is_root() {
        let said = Stage::new("user 0 group 0", "respond 200").refused();
        assert!(said.contains("only root can"), "{said}");
    }
}

#[test]
fn another_user_is_for_the_next_start() {
    if !is_root() {
        return;
    }
    let house = Stage::new(AS_NOBODY, "respond 200").start();
    house.write("user 65533 group 65533\nharden off", "respond 201");
    house.reload("configuration 2 is in force", 1);
    let _ = house.process.wait_for_words("they change when doorman starts");
    assert_eq!(house.get("/").status, 201);
    house.every_thread("Uid", "65534 65534 65534 65534");
    house.every_thread("NoNewPrivs", "1");
}

#[test]
fn without_a_user_root_keeps_only_what_files_and_ports_need() {
    if !is_root() {
        return;
    }
    let house: House = Stage::new("", "respond 200").start();
    house.every_thread("Uid", "0 0 0 0");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        house.every_thread(set, "0000000000000406");
    }
    assert!(house.says(&["status"]).contains("DAC_OVERRIDE DAC_READ_SEARCH NET_BIND_SERVICE left"));
}

#[test]
fn nothing_is_given_up_that_is_not_wanted() {
    for mode in ["off", "report"] {
        let house = Stage::new(&format!("harden {mode}"), "respond 200").start();
        // The kernel wants it before it logs what would be refused.
        house.every_thread("NoNewPrivs", if mode == "off" { "0" } else { "1" });
        house.every_thread("Seccomp", if mode == "off" { "0" } else { "2" });
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
        house.every_thread("CapEff", own);
        assert!(house.says(&["status"]).contains(&format!("harden {mode}")));
        assert_eq!(house.get("/").status, 200);
    }
}

#[test]
fn a_process_that_dies_leaves_no_memory_behind() {
    use std::os::unix::process::ExitStatusExt;
    let mut house = Stage::new("", "respond 200").start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", house.process.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // What belongs to the process is root's in /proc: it may not be looked into by its own user either.
    let facts = fs::metadata(format!("/proc/{}/mem", house.process.id())).unwrap();
    assert_eq!(facts.uid(), 0);
    house.every_thread("CapAmb", NONE);
    house.process.signal(rustix::process::Signal::ABORT).unwrap();
    let status = house.process.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
