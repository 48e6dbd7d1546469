//! What goes wrong: with a name, with the authority, and with us.

use std::sync::Arc;

use doorman_testkit::origin::{Origin, Script, Step, answering};
use doorman_testkit::process::folder;
use serde_json::{Value, json};

use super::front::Front;
use super::rig::{House, Pebble, curl};

const SITE: &str = "site example.test { respond 200 hello }";

#[test]
fn a_name_that_cannot_be_proved_touches_no_other_and_bad_nonces_are_borne() {
    let pebble = Pebble::start_with(
        &[("PEBBLE_WFE_NONCEREJECT", "20"), ("PEBBLE_AUTHZREUSE", "100")],
        json!({}),
    );
    // This name leads to where nobody listens.
    let leads = json!({ "host": "bad.test.", "addresses": ["127.0.0.2"] }).to_string();
    let set = curl(&["--fail", "--data", &leads, &format!("http://{}/add-a", pebble.resolver)]);
    assert!(set.status.success(), "{set:?}");
    let data = folder();
    let sites = "site bad.test good.test { respond 200 hello }";
    let house = House::start(data.path(), &pebble, "", sites);
    house.hears("good.test has a new certificate");
    house.hears("no certificate for bad.test: the name is refused");
    house.serves(&pebble.root(), "good.test", "hello");
    // The authority's own words are kept.
    let list = house.command(&["certs", "list", "--json"]);
    assert_eq!(list.status.code(), Some(1), "there is a problem");
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let bad = &list["certificates"][0];
    assert_eq!((&bad["name"], &bad["state"]), (&json!("bad.test"), &json!("failing")));
    let words = bad["last_error"]["message"].as_str().unwrap();
    assert!(words.contains("127.0.0.2") || words.contains("connection"), "{words}");
    let status = house.command(&["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("certificate  bad.test"));
}

#[test]
fn an_authority_that_is_down_for_a_while_is_asked_again() {
    let mut pebble = Pebble::start();
    pebble.stop();
    let data = folder();
    let house = House::start(data.path(), &pebble, "", SITE);
    house.hears("the authority is at fault or out of reach");
    pebble.go_on();
    house.hears("example.test has a new certificate");
    house.serves(&pebble.root(), "example.test", "hello");
}

#[test]
fn an_authority_that_has_forgotten_the_account_gets_another() {
    let mut pebble = Pebble::start();
    let data = folder();
    let house = House::start(data.path(), &pebble, "", SITE);
    house.hears("example.test has a new certificate");
    // Started again, Pebble remembers nothing.
    pebble.stop();
    pebble.go_on();
    let asked = house.command(&["certs", "renew", "example.test"]);
    assert!(asked.status.success(), "{asked:?}");
    house.wait_for_times("example.test has a new certificate", 2);
    house.serves(&pebble.root(), "example.test", "hello");
}

#[test]
fn another_authority_is_asked_when_the_first_talks_nonsense() {
    let pebble = Pebble::start();
    for nonsense in [
        "route /dir { respond 200 \"<html>\" }",
        "route /dir { respond 503 \"come back later\" }",
        "route /order-plz { respond 200 \"[]\" }",
        "route /certZ/* { respond 200 \"-----BEGIN CERTIFICATE-----\" }",
    ] {
        let front = Front::start(&pebble, |_| nonsense.to_owned());
        let data = folder();
        let both = format!("{}\n  {}", front.line(), pebble.line());
        let house = House::start(data.path(), &pebble, &both, SITE);
        house.hears("no certificate for example.test: the authority is at fault");
        let from = house.process.wait_for_words("example.test has a new certificate");
        assert!(from.contains(&pebble.directory()), "{nonsense}: {from}");
        house.serves(&pebble.root(), "example.test", "hello");
    }
}

#[test]
fn a_certificate_that_was_issued_but_not_kept_is_fetched_after_a_crash() {
    let pebble = Pebble::start();
    // The certificate is issued, and its download never ends.
    let slow = Origin::start(answering(Arc::new(|_| Script::new().then(Step::ReadEnd))));
    let address = slow.address();
    let front = Front::start(&pebble, |_| format!("  route /certZ/* {{ proxy {address} }}"));
    let data = folder();
    let mut house = House::start(data.path(), &pebble, &front.line(), SITE);
    slow.ledger().wait_for_requests(1);
    assert!(data.path().join("acme/orders/example.test.json").exists());
    assert!(!data.path().join("acme/certificates/example.test.pem").exists());
    front.change("");
    house.kill_and_start();
    house.hears("example.test has a new certificate");
    house.serves(&pebble.root(), "example.test", "hello");
    let orders = pebble.said().iter().filter(|line| line.contains("POST /order-plz")).count();
    assert_eq!(orders, 1, "no second certificate was ordered");
    assert!(!data.path().join("acme/orders/example.test.json").exists());
}

#[test]
fn two_hundred_names_at_once() {
    let pebble = Pebble::start();
    let data = folder();
    let names: Vec<String> = (0..200).map(|n| format!("n{n}.test")).collect();
    let sites = format!("site {} {{ respond 200 hello }}", names.join(" "));
    let house = House::start(data.path(), &pebble, "", &sites);
    for name in &names {
        house.hears(&format!("INFO {name} has a new certificate"));
    }
    let root = pebble.root();
    for name in ["n0.test", "n99.test", "n199.test"] {
        house.serves(&root, name, "hello");
    }
    assert_eq!(house.times("ordering a certificate"), 200, "each was ordered once");
    let orders = pebble.said().iter().filter(|line| line.contains("POST /sign-me-up")).count();
    assert_eq!(orders, 1, "one account for all");
}
