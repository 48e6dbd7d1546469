//! The first certificate, and what a restart makes of it.

use std::os::unix::fs::PermissionsExt;

use doorman_testkit::process::folder;
use serde_json::json;

use super::rig::{House, Pebble, curl};

const SITE: &str = "site example.test { respond 200 hello }";

#[test]
fn a_name_gets_its_certificate_by_http_and_keeps_it() {
    let mut pebble = Pebble::start();
    let data = folder();
    let global = pebble.line_with("challenge http");
    let mut house = House::start(data.path(), &pebble, &global, SITE);
    house.hears("example.test has a new certificate");
    let root = pebble.root();
    house.serves(&root, "example.test", "hello");
    // What nobody asks about goes the way of every request.
    let other = house.http("example.test", "/.well-known/acme-challenge/other");
    assert!(other.starts_with("HTTP/1.1 308"), "{other}");
    // Keys are for nobody else.
    let pem = data.path().join("acme/certificates/example.test.pem");
    assert_eq!(std::fs::metadata(&pem).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!data.path().join("acme/orders/example.test.json").exists());
    let metrics = house.metrics();
    let obtained = format!(
        "doorman_acme_orders_total{{issuer=\"{}\",result=\"obtained\"}} 1",
        pebble.directory()
    );
    assert!(metrics.contains(&obtained), "{metrics}");
    let expiry = "doorman_tls_certificate_expiry_timestamp_seconds{name=\"example.test\"}";
    assert!(metrics.contains(expiry), "{metrics}");
    // The authority is gone; a restart serves what is on disk.
    pebble.stop();
    house.restart();
    house.serves(&root, "example.test", "hello");
}

#[test]
fn a_name_gets_its_certificate_by_tls_alpn_with_a_key_of_rsa() {
    let pebble = Pebble::start();
    let data = folder();
    let global = pebble.line_with("challenge tls-alpn; key rsa2048");
    let house = House::start(data.path(), &pebble, &global, SITE);
    house.hears("example.test has a new certificate");
    let root = pebble.root();
    house.serves(&root, "example.test", "hello");
    let shown = house.command(&["certs", "inspect", "example.test"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("RSA") && shown.contains("valid"), "{shown}");
    // Nobody else is answered under the protocol of proofs, and the site goes on.
    let port = pebble.tls.port();
    let asked = curl(&[
        "--cacert",
        &root.to_string_lossy(),
        "--no-alpn",
        "--resolve",
        &format!("example.test:{port}:127.0.0.1"),
        &format!("https://example.test:{port}/"),
    ]);
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "hello", "{asked:?}");
}

#[test]
fn an_account_that_must_be_bound_is_bound() {
    // Pebble's own examples of keys.
    let keys =
        json!({ "kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" });
    let more = json!({ "externalAccountBindingRequired": true, "externalAccountMACKeys": keys });
    let pebble = Pebble::start_with(&[("PEBBLE_WFE_NONCEREJECT", "0")], more);
    let data = folder();
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let global = pebble.line_with(&format!("eab kid-1 {key}"));
    let house =
        House::start(data.path(), &pebble, &format!("{global}\n  email ops@example.com"), SITE);
    house.hears("example.test has a new certificate");
    house.serves(&pebble.root(), "example.test", "hello");
}

#[test]
fn a_name_without_a_certificate_is_refused_and_plain_http_goes_on() {
    let mut pebble = Pebble::start();
    pebble.stop();
    let data = folder();
    let sites = format!("{SITE}\nsite http://plain.test {{ respond 200 plain }}");
    let house = House::start(data.path(), &pebble, "", &sites);
    house.hears("no certificate for example.test: the authority is at fault");
    let root = pebble.ca();
    let answer = house.https(&root, "example.test", "/");
    let words = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(words.contains("unrecognized name"), "{words}");
    assert!(house.http("plain.test", "/").ends_with("plain"));
    assert!(house.http("example.test", "/x").starts_with("HTTP/1.1 308"));
}
