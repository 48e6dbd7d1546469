//! Certificates for names that nobody wrote down.

use std::sync::Arc;

use doorman_testkit::origin::{Origin, answering, reply};
use doorman_testkit::process::folder;

use super::rig::{House, Pebble};

/// Says yes to names that begin with `good`.
fn asked() -> Origin {
    Origin::start(answering(Arc::new(|seen| {
        let may = seen.target().starts_with("/may?domain=good");
        reply(if may { "200 OK" } else { "404 Not Found" }, "", b"")
    })))
}

#[test]
fn a_name_that_a_client_asks_for_gets_its_certificate_in_the_handshake() {
    let mut pebble = Pebble::start();
    let asked = asked();
    let data = folder();
    let sites = format!(
        "site https://*:{} {{ tls auto on-demand ask http://{}/may; respond 200 {{host}} }}\nsite http://* {{ respond 404 }}",
        pebble.tls.port(),
        asked.address()
    );
    let mut house = House::start(data.path(), &pebble, "", &sites);
    let root = pebble.root();
    house.serves(&root, "good-1.test", "good-1.test");
    house.serves(&root, "good-1.test", "good-1.test");
    house.serves(&root, "good-2.test", "good-2.test");
    let refused = house.https(&root, "bad.test", "/");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("unrecognized name"), "{words}");
    // The refusal is remembered, and what is there is not asked about again.
    let again = house.https(&root, "bad.test", "/");
    assert!(!again.status.success());
    let questions: Vec<String> =
        asked.ledger().requests().iter().map(|seen| seen.target().to_owned()).collect();
    let expect =
        ["good-1.test", "good-2.test", "bad.test"].map(|name| format!("/may?domain={name}"));
    assert_eq!(questions, expect);
    assert_eq!(house.times("ordering a certificate"), 2);
    // A restart finds them on disk.
    pebble.stop();
    house.restart();
    house.serves(&root, "good-2.test", "good-2.test");
    assert_eq!(asked.ledger().requests().len(), 3);
}

#[test]
fn nobody_who_is_not_there_says_yes() {
    let pebble = Pebble::start();
    let data = folder();
    let nobody = doorman_testkit::process::free_address();
    let sites = format!(
        "site *.shops.test {{ tls auto on-demand ask http://{nobody}/may; respond 200 hello }}"
    );
    let house = House::start(data.path(), &pebble, "", &sites);
    let root = pebble.root();
    let refused = house.https(&root, "good.shops.test", "/");
    assert!(!refused.status.success(), "{refused:?}");
    house.hears("no certificate on demand for good.shops.test");
    // A name that no site has is not even asked about.
    let refused = house.https(&root, "good.test", "/");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("unrecognized name"), "{words}");
    assert_eq!(house.times("on demand for good.test"), 0);
}
