//! Certificates for addresses (RFC 8738).

use doorman_testkit::process::folder;

use super::rig::{House, Pebble};

const SITES: &str =
    "site 127.0.0.1 { tls auto; respond 200 hello }\nsite other.test { respond 200 other }";

#[test]
fn an_address_gets_a_certificate_by_either_proof() {
    for challenge in ["challenge http", "challenge tls-alpn"] {
        let pebble = Pebble::start();
        let data = folder();
        let mut house = House::start(data.path(), &pebble, &pebble.line_with(challenge), SITES);
        house.hears("127.0.0.1 has a new certificate");
        house.hears("other.test has a new certificate");
        let root = pebble.root();
        house.serves(&root, "127.0.0.1", "hello");
        house.serves(&root, "other.test", "other");
        let renewed = house.command(&["certs", "renew", "127.0.0.1"]);
        assert!(renewed.status.success(), "{renewed:?}");
        house.wait_for_times("127.0.0.1 has a new certificate", 2);
        house.restart();
        house.serves(&root, "127.0.0.1", "hello");
        assert!(data.path().join("acme/certificates/127.0.0.1.pem").exists());
    }
}
