//! Renewals: by hand, at the authority's wish, and what a reload makes of them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use doorman_testkit::process::folder;
use serde_json::Value;

use super::front::Front;
use super::rig::{House, Pebble};

const SITE: &str = "site example.test { respond 200 hello }";

fn serial(house: &House, name: &str) -> String {
    let shown = house.command(&["certs", "inspect", name, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    shown["serial"].as_str().unwrap().to_owned()
}

#[test]
fn a_certificate_is_renewed_on_demand_without_a_reload() {
    let pebble = Pebble::start();
    let data = folder();
    let house = House::start(data.path(), &pebble, "", SITE);
    house.hears("example.test has a new certificate");
    let root = pebble.root();
    let first = serial(&house, "example.test");
    let asked = house.command(&["certs", "renew", "example.test"]);
    assert!(asked.status.success(), "{asked:?}");
    house.wait_for_times("example.test has a new certificate", 2);
    assert_ne!(serial(&house, "example.test"), first);
    house.serves(&root, "example.test", "hello");
    let unknown = house.command(&["certs", "renew", "other.test"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

#[test]
fn a_reload_brings_names_and_takes_them_away() {
    let pebble = Pebble::start();
    let data = folder();
    let mut house = House::start(data.path(), &pebble, "", SITE);
    house.hears("example.test has a new certificate");
    let root = pebble.root();
    house.reload(&pebble, "", &format!("{SITE}\nsite second.test {{ respond 200 second }}"));
    house.hears("second.test has a new certificate");
    house.serves(&root, "second.test", "second");
    // The first was not asked for again.
    house.serves(&root, "example.test", "hello");
    house.reload(&pebble, "", "site second.test { respond 200 second }");
    house.serves(&root, "second.test", "second");
    let list = house.command(&["certs", "list"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("second.test") && !list.contains("example.test"), "{list}");
    assert!(Path::new(data.path()).join("acme/certificates/example.test.pem").exists());
    assert_eq!(house.times("ordering a certificate for example.test"), 1);
}

/// RFC 9773: an authority that has to revoke a certificate says that its time for renewal has come. Pebble of Debian 12
/// does not know it yet, so the words come from in front of it.
#[test]
fn a_certificate_that_the_authority_wants_back_is_renewed_at_once() {
    let pebble = Pebble::start();
    let data = folder();
    let window = |year: u32| {
        let day = |day: u32| format!("\\\"{year}-01-0{day}T00:00:00Z\\\"");
        let inner = format!("\\\"start\\\":{},\\\"end\\\":{}", day(1), day(2));
        format!("{{{{\\\"suggestedWindow\\\":{{{{{inner}}}}}}}}}")
    };
    let routes = |port: u16, year: u32| {
        let names = [
            ("newNonce", "/nonce-plz"),
            ("newAccount", "/sign-me-up"),
            ("newOrder", "/order-plz"),
            ("revokeCert", "/revoke-cert"),
            ("renewalInfo", "/ari"),
        ];
        let entry = |(name, path)| format!("\\\"{name}\\\":\\\"https://localhost:{port}{path}\\\"");
        let directory: Vec<String> = names.into_iter().map(entry).collect();
        format!(
            "  route /dir {{ respond 200 \"{{{{{}}}}}\" }}\n  \
             route /ari/* {{ respond 200 \"{}\"; response-header set Retry-After 3600 }}",
            directory.join(","),
            window(year)
        )
    };
    let front = Front::start(&pebble, |port| routes(port, 2020));
    let mut house = House::start(data.path(), &pebble, &front.line(), SITE);
    house.hears("example.test has a new certificate");
    let first = serial(&house, "example.test");
    // One that has just come is kept for a while, whatever is said; this one is made to have come long ago.
    house.process.stop().unwrap();
    let origin = data.path().join("acme/certificates/example.test.json");
    let text = std::fs::read_to_string(&origin).unwrap();
    let mut text: Value = serde_json::from_str(&text).unwrap();
    text["obtained"] = 1.into();
    std::fs::write(&origin, text.to_string()).unwrap();
    house.start_again();
    house.hears("the authority asks to renew the certificate of example.test now");
    house.hears("example.test has a new certificate");
    assert_ne!(serial(&house, "example.test"), first);
    house.serves(&pebble.root(), "example.test", "hello");
    assert_eq!(house.times("ordering a certificate"), 1, "and not once more");
}

#[test]
fn what_another_client_obtained_is_taken_over_and_given_away() {
    let mut pebble = Pebble::start();
    let data = folder();
    let house = House::start(data.path(), &pebble, "", SITE);
    house.hears("example.test has a new certificate");
    let exported = data.path().join("exported.pem");
    let file = exported.to_string_lossy().into_owned();
    let asked = house.command(&["certs", "export", "example.test", &file]);
    assert!(asked.status.success(), "{asked:?}");
    let mode = std::fs::metadata(&exported).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = house.command(&["certs", "export", "example.test", &file]);
    assert_eq!(again.status.code(), Some(1), "nothing is written over");
    let (root, first) = (pebble.root(), serial(&house, "example.test"));
    drop(house);
    // Another house, which cannot reach any authority.
    pebble.stop();
    let other = folder();
    let house = House::start(other.path(), &pebble, "", SITE);
    house.hears("no certificate for example.test");
    let asked = house.command(&["certs", "import", &file, &file]);
    assert!(asked.status.success(), "{asked:?}");
    house.hears("example.test has a certificate that was imported");
    assert_eq!(serial(&house, "example.test"), first);
    house.serves(&root, "example.test", "hello");
    let told = house.offline(&["explain", &house.proof_url("example.test")]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("acme") && told.contains("proving the name"), "{told}");
}
