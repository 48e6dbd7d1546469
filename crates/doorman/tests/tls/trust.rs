//! `doorman trust` and `untrust`, with the tools of the system and of browsers.

use std::path::Path;
use std::process::{Command, Output};

use crate::rig::House;

const SITE: &str = "site https://localhost:@PORT { tls internal; respond 200 hello }";

fn doorman(house: &House, home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorman"))
        .args(arguments)
        .args(["-c", "doorman.conf"])
        .current_dir(house.process.folder())
        .env("HOME", home)
        .output()
        .expect("the built binary")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

#[test]
fn the_system_believes_it_until_it_does_not() {
    let house = House::start(SITE);
    let system = tempfile::tempdir().expect("a temporary folder");
    for folder in ["usr/local/share/ca-certificates", "etc/ssl/certs"] {
        std::fs::create_dir_all(system.path().join(folder)).expect("our own folder");
    }
    let prefix = system.path().display().to_string();
    let store = ["--store", "system", "--prefix", &prefix];
    let believed = || {
        let bundle = system.path().join("etc/ssl/certs/ca-certificates.crt");
        let status = Command::new("curl")
            .args(["-sS", "--cacert"])
            .arg(bundle)
            .arg(house.uri("localhost", "/"))
            .output()
            .expect("the Debian package curl is installed");
        status.stdout == b"hello"
    };
    let run = |word: &str| doorman(&house, system.path(), &[&[word][..], &store].concat());
    assert!(!believed());
    for _ in 0..2 {
        let done = run("trust");
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("Doorman local authority"), "{}", text(&done));
        assert!(believed(), "{}", text(&done));
    }
    for words in ["is trusted no more", "was not trusted"] {
        let done = run("untrust");
        assert!(done.status.success() && text(&done).contains(words), "{}", text(&done));
        assert!(!believed());
    }
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let prefix = nothing.path().display().to_string();
    let done = doorman(&house, system.path(), &["trust", "--store", "system", "--prefix", &prefix]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
}

#[test]
fn browsers_believe_it_until_they_do_not() {
    let house = House::start(SITE);
    let home = tempfile::tempdir().expect("a temporary folder");
    let run = |word: &str| doorman(&house, home.path(), &[word, "--store", "browsers"]);
    assert!(text(&run("trust")).contains("no store in"));
    let stores = [".pki/nssdb", ".mozilla/firefox/x.default"];
    let certutil = |store: &str, arguments: &[&str]| {
        let database = format!("sql:{}", home.path().join(store).display());
        let output = Command::new("certutil").args(arguments).args(["-d", &database]).output();
        output.expect("the Debian package libnss3-tools is installed")
    };
    for store in stores {
        std::fs::create_dir_all(home.path().join(store)).expect("our own folder");
        assert!(certutil(store, &["-N", "--empty-password"]).status.success());
    }
    let listed = |store: &str| text(&certutil(store, &["-L"])).contains("Doorman local authority");
    let done = run("trust");
    assert!(done.status.success(), "{}", text(&done));
    assert!(stores.iter().all(|store| listed(store)), "{}", text(&done));
    for words in ["is trusted no more", "was not trusted"] {
        let done = run("untrust");
        assert!(done.status.success() && text(&done).contains(words), "{}", text(&done));
        assert!(!stores.iter().any(|store| listed(store)));
    }
}

#[test]
fn without_an_authority_it_says_how_there_will_be_one() {
    let house = House::start("site http://*:@PORT { respond 200 }");
    let done = doorman(&house, house.process.folder(), &["trust"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done).contains("root.pem: no such file"), "{}", text(&done));
    assert!(text(&done).contains("tls internal"), "{}", text(&done));
}
