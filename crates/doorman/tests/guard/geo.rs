//! Where somebody comes from, by databases that another program wrote.

use std::io::Write;
use std::process::Stdio;

use doorman_testkit::python::Python;

use crate::rig::House;

/// Writes a database of these lines into the house's folder.
fn database(house: &House, python: &Python, name: &str, kind: &str, lines: &str) {
    let file = house.process.folder().join(name);
    let mut command = python.command("mmdb_write.py");
    let mut child = command.arg(&file).arg(kind).stdin(Stdio::piped()).spawn().expect("python");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(lines.as_bytes()).expect("a script that reads");
    drop(input);
    assert!(child.wait().expect("an end").success(), "{name}");
}

/// A site that believes its clients' `X-Forwarded-For`, behind these databases.
fn site(geo: &str, gates: &str) -> String {
    format!("global {{ geo {geo}; trusted-proxies 127.0.0.0/8 }}\n---\n{gates}")
}

#[test]
fn countries_and_networks_are_known_and_a_database_that_is_cut_changes_nothing() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    let Some(python) = Python::find(env!("CARGO_TARGET_TMPDIR"), scripts) else { return };
    let house = House::with("allow 127.0.0.1");
    let countries = "192.0.2.0/24 DE\n198.51.100.0/25 FR\n2001:db8::/32 DE\n";
    database(&house, &python, "country.mmdb", "Country", countries);
    database(&house, &python, "asn.mmdb", "ASN", "192.0.2.128/25 64500\n203.0.113.0/24 64501\n");
    let gates = "allow country DE; deny asn 64500";
    let geo = "country country.mmdb asn asn.mmdb";
    house.configure(&site(geo, gates));
    house.reload(" is in force");
    let ask = |client: &str| house.get("/", &[("x-forwarded-for", client)]).status;
    let table = [
        ("192.0.2.1", 200),
        ("192.0.2.129", 403),
        ("198.51.100.1", 403),
        ("203.0.113.1", 403),
        ("2001:db8::1", 200),
        ("2001:db9::1", 403),
        ("127.0.0.1", 403),
    ];
    for (client, status) in table {
        assert_eq!(ask(client), status, "{client}");
    }
    // Cut in half, as a download that broke off leaves it.
    let file = house.process.folder().join("country.mmdb");
    let whole = std::fs::read(&file).expect("what was written");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("our own folder");
    house.reload("country.mmdb");
    for (client, status) in table {
        assert_eq!(ask(client), status, "{client}, after the database was cut");
    }
    database(&house, &python, "country.mmdb", "Country", "198.51.100.0/24 DE\n");
    house.reload(" is in force");
    assert_eq!([ask("192.0.2.1"), ask("198.51.100.1")], [403, 200]);
}
