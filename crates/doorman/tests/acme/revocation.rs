//! A certificate that its authority revokes, as a responder of OCSP tells it.

use std::path::{Path, PathBuf};

use doorman_testkit::process::{Process, Program, folder, free_address};
use serde_json::{Value, json};

use super::rig::{House, Pebble, curl};

const SITE: &str = "site example.test { respond 200 hello }";

/// OpenSSL's responder, with the certificate and key of what Pebble signs by, which revokes this serial number.
fn responder(pebble: &Pebble, port: u16, serial: &str) -> Process {
    let serial = serial.replace(':', "").to_uppercase();
    let index =
        format!("R\t20991231235959Z\t200101000000Z,keyCompromise\t{serial}\tunknown\t/CN=x\n");
    let process = Program::new("/usr/bin/openssl")
        .file("index.txt", index)
        .file("index.txt.attr", "unique_subject = no\n")
        .file("ca.pem", fetch(pebble, "intermediates/0"))
        .file("ca.key", fetch(pebble, "intermediate-keys/0"))
        .arguments(&["ocsp", "-index", "index.txt", "-port", &port.to_string(), "-nmin", "60"])
        .arguments(&["-rsigner", "ca.pem", "-rkey", "ca.key", "-CA", "ca.pem", "-ignore_err"])
        .start()
        .expect("the Debian package openssl is installed");
    // A connection that only tries it would be heard out for ever: it knows one at a time.
    let _ = process.wait_for_words("waiting for OCSP client connections");
    process
}

fn fetch(pebble: &Pebble, what: &str) -> Vec<u8> {
    let url = format!("https://{}/{what}", pebble.management());
    let fetched = curl(&["--insecure", "--fail", &url]);
    assert!(fetched.status.success(), "{fetched:?}");
    fetched.stdout
}

fn shown(house: &House) -> Value {
    let shown = house.command(&["certs", "inspect", "example.test", "--json"]);
    serde_json::from_slice(&shown.stdout).unwrap()
}

fn key(data: &Path) -> String {
    let path: PathBuf = data.join("acme/certificates/example.test.pem");
    let pem = std::fs::read_to_string(path).unwrap();
    let (_, key) = pem.split_once("PRIVATE KEY").expect("chain and key in one file");
    key.to_owned()
}

#[test]
fn a_revoked_certificate_is_replaced_by_one_with_another_key() {
    let port = free_address().port();
    let url = format!("http://127.0.0.1:{port}");
    let more = json!({ "ocspResponderURL": url });
    let pebble = Pebble::start_with(&[("PEBBLE_WFE_NONCEREJECT", "0")], more);
    let data = folder();
    let mut house = House::start(data.path(), &pebble, "", SITE);
    // Nobody answers yet, and the certificate serves all the same.
    house.hears("no answer of OCSP about example.test");
    house.serves(&pebble.root(), "example.test", "hello");
    let before = shown(&house);
    assert_eq!(
        (&before["ocsp"]["state"], &before["ocsp"]["responder"]),
        (&json!("missing"), &json!(url))
    );
    let (old_serial, old_key) = (before["serial"].as_str().unwrap().to_owned(), key(data.path()));
    let _responder = responder(&pebble, port, &old_serial);
    house.restart();
    house.hears("the certificate of example.test is REVOKED (keyCompromise)");
    house.hears("another one, with a new key, is ordered");
    house.hears("example.test has a new certificate");
    let after = shown(&house);
    assert_ne!(after["serial"], before["serial"]);
    assert_ne!(key(data.path()), old_key);
    assert_eq!(after["state"], json!("valid"));
    house.serves(&pebble.root(), "example.test", "hello");
    // The responder does not know the new one, which is no reason for yet another.
    house.hears("the responder does not know the certificate");
    assert_eq!(house.times("ordering a certificate"), 1);
    assert!(house.command(&["certs", "list"]).status.success());
}
