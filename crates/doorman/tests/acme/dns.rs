//! Wildcards: proved by a record, which a program or a DNS server puts into its zone.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use doorman_testkit::process::{Process, Program, folder, free_address};

use super::rig::{House, Pebble};

const SITE: &str = "site *.wild.test wild.test { respond 200 hello }";

#[test]
fn a_wildcard_by_a_program() {
    let pebble = Pebble::start();
    let data = folder();
    let hook = data.path().join("hook");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = add ] && call=set-txt || call=clear-txt\n\
         echo \"$1 $2\" >> {}/calls\n\
         exec curl --silent --fail --noproxy '*' --data \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://{}/$call >&2\n",
        data.path().display(),
        pebble.resolver
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).unwrap();
    let global = pebble.line_with(&format!("dns exec {}", hook.display()));
    let house = House::start(data.path(), &pebble, &global, SITE);
    house.hears("*.wild.test has a new certificate");
    house.hears(" wild.test has a new certificate");
    let root = pebble.root();
    house.serves(&root, "a.wild.test", "hello");
    house.serves(&root, "wild.test", "hello");
    let calls = std::fs::read_to_string(data.path().join("calls")).unwrap();
    // Only the wildcard went by DNS, and nothing stays behind.
    assert_eq!(calls, "add _acme-challenge.wild.test\nremove _acme-challenge.wild.test\n");
    assert!(data.path().join("acme/certificates/+.wild.test.pem").exists());
}

#[test]
fn a_program_that_fails_is_told_of() {
    let pebble = Pebble::start();
    let data = folder();
    let hook = data.path().join("hook");
    std::fs::write(&hook, "#!/bin/sh\necho no rights to this zone >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).unwrap();
    let global = pebble.line_with(&format!("dns exec {}", hook.display()));
    let house =
        House::start(data.path(), &pebble, &global, "site *.wild.test { respond 200 hello }");
    let said = house.process.wait_for_words("no certificate for *.wild.test");
    assert!(said.contains("no rights to this zone"), "{said}");
}

/// BIND, which takes updates of one zone from whoever has the key.
fn bind(address: SocketAddr) -> Process {
    bind_with(address, "", "zonesub ANY")
}

/// The same with more records, and with other names that may be changed. There is another zone, `proofs.test`, that
/// takes updates too.
fn bind_with(address: SocketAddr, records: &str, rights: &str) -> Process {
    let zone = "$TTL 60\n@ IN SOA ns.wild.test. ops.wild.test. 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n@ IN A 127.0.0.1\n";
    let proofs = zone.replace("wild.test", "proofs.test");
    let zone = format!("{zone}{records}");
    let text = format!(
        "options {{ directory \".\"; listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         pid-file none; session-keyfile none; recursion yes; dnssec-validation no; }};\n\
         controls {{ }};\n\
         key \"update-key\" {{ algorithm hmac-sha256; secret \"c2VjcmV0IG9mIHRoZSB6b25l\"; }};\n\
         zone \"wild.test\" {{ type primary; file \"wild.zone\"; update-policy {{ grant update-key {rights}; }}; }};\n\
         zone \"proofs.test\" {{ type primary; file \"proofs.zone\"; update-policy {{ grant update-key zonesub ANY; }}; }};\n",
        address.port()
    );
    Program::new("/usr/sbin/named")
        .file("wild.zone", zone)
        .file("proofs.zone", proofs)
        .file("named.conf", text)
        .arguments(&["-g", "-c", "named.conf", "-n", "1"])
        .start_listening(&[address])
}

#[test]
fn a_wildcard_by_updates_of_a_zone() {
    let address = free_address();
    let _bind = bind(address);
    let pebble = Pebble::start_resolving(address);
    let data = folder();
    let dns =
        format!("challenge dns; dns rfc2136 {address} key update-key c2VjcmV0IG9mIHRoZSB6b25l");
    let house = House::start(data.path(), &pebble, &pebble.line_with(&dns), SITE);
    house.hears("*.wild.test has a new certificate");
    house.hears(" wild.test has a new certificate");
    let root = pebble.root();
    house.serves(&root, "a.wild.test", "hello");
    house.serves(&root, "wild.test", "hello");
    assert_eq!(house.times("stays in its zone"), 0);
}

/// RFC 8555 section 8.4: authorities follow aliases, so the record goes where the name leads, and the zone of the name
/// itself is never touched.
#[test]
fn a_proof_goes_into_the_zone_that_its_name_leads_to() {
    let address = free_address();
    let records = "_acme-challenge IN CNAME hop\nhop IN CNAME Wild.proofs.test.\n";
    let bind = bind_with(address, records, "name nothing.wild.test. TXT");
    let pebble = Pebble::start_resolving(address);
    let data = folder();
    let dns =
        format!("challenge dns; dns rfc2136 {address} key update-key c2VjcmV0IG9mIHRoZSB6b25l");
    let house = House::start(data.path(), &pebble, &pebble.line_with(&dns), SITE);
    house.hears("*.wild.test has a new certificate");
    house.hears(" wild.test has a new certificate");
    house.serves(&pebble.root(), "a.wild.test", "hello");
    assert_eq!(house.times("stays in its zone"), 0);
    let said = bind.said().join("\n");
    assert!(said.contains("updating zone 'proofs.test/IN'"), "{said}");
    assert!(!said.contains("updating zone 'wild.test/IN'"), "{said}");
}

#[test]
fn a_zone_that_refuses_the_key_is_told_of() {
    let address = free_address();
    let _bind = bind(address);
    let pebble = Pebble::start_resolving(address);
    let data = folder();
    let dns = format!("dns rfc2136 {address} key update-key d3Jvbmc");
    let sites = "site *.wild.test { respond 200 hello }";
    let house = House::start(data.path(), &pebble, &pebble.line_with(&dns), sites);
    let said = house.process.wait_for_words("no certificate for *.wild.test");
    assert!(said.contains("NOTAUTH"), "{said}");
}
