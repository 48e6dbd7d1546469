//! What the scanners that operators are judged by say about both presets: testssl.sh of Debian, and sslyze of PyPI
//! against Mozilla's recommendations.

use std::process::{Command, Stdio};

use doorman_testkit::python::Python;
use doorman_testkit::tls::{Authority, KeyKind};

use crate::rig::House;

const SITES: &str = "
site https://intermediate.test:@PORT {
    tls cert ec.pem key ec.key { policy intermediate }
    tls cert rsa.pem key rsa.key
    respond 200 hello
}
site https://modern.test:@PORT {
    tls cert modern.pem key modern.key { policy modern }
    respond 200 hello
}";

/// What testssl.sh rates above "low" and is as it should be.
const ARGUED: [(&str, &str); 1] = [(
    // Every suite is sound, and a client without AES instructions is right to prefer ChaCha20. Mozilla asks
    // for the client's order in both presets; see docs/tls.md.
    "cipher_order",
    "NOT a cipher order configured",
)];

/// What testssl.sh could not find out: its OpenSSL has no engine for GOST; and its client is at times gone before
/// the tickets of TLS 1.3 come, which follow the handshake. Resumption is checked in `matrix.rs`.
const NOT_TOLD: [&str; 2] = ["engine_problem", "sessionresumption_ticket"];

/// The groups of checks that say something about the server: protocols, categories of suites, forward secrecy, the
/// server's choices, its hello and its certificates, and the known attacks. Left out are simulations of browsers, which
/// repeat the choice of a suite 40 times, and the answer's fields, which are the site's.
const CHECKS: [&str; 6] = ["-p", "-s", "-f", "-P", "-S", "-U"];

fn house() -> House {
    let servers = Authority::new();
    // Some checks of testssl.sh say no name, so they get the certificate for the address.
    let names = ["intermediate.test", "127.0.0.1"];
    let ec = servers.issue_as_public(&names, KeyKind::Ecdsa);
    let rsa = servers.issue_as_public(&names, KeyKind::Rsa);
    let modern = servers.issue_as_public(&["modern.test"], KeyKind::Ecdsa);
    let files = [
        ("root.pem", servers.pem()),
        ("ec.pem", &*ec.certificate_pem),
        ("ec.key", &*ec.key_pem),
        ("rsa.pem", &*rsa.certificate_pem),
        ("rsa.key", &*rsa.key_pem),
        ("modern.pem", &*modern.certificate_pem),
        ("modern.key", &*modern.key_pem),
    ];
    House::start_with(Authority::new(), &files, SITES)
}

/// What testssl.sh found: of each finding its name, severity and words.
fn testssl(name: &str) -> Vec<[String; 3]> {
    let house = house();
    let output = Command::new("testssl")
        .args(["--warnings", "off", "--color", "0", "--quiet", "--nodns", "none"])
        .args(["--ip", "127.0.0.1", "--add-ca", "root.pem", "-oj", "found.json"])
        .args(CHECKS)
        .arg(format!("https://{name}:{}/", house.address.port()))
        .current_dir(house.process.folder())
        .stdin(Stdio::null())
        .output()
        .expect("the Debian package testssl.sh is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let text = std::fs::read_to_string(house.process.folder().join("found.json"));
    let text = text.unwrap_or_else(|why| panic!("testssl wrote nothing, {why}: {said}"));
    let list: Vec<serde_json::Value> =
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("no list, {why}: {said}\n{text}"));
    let word = |finding: &serde_json::Value, key: &str| {
        finding[key].as_str().unwrap_or_else(|| panic!("{key} of {finding}")).to_owned()
    };
    list.iter().map(|it| ["id", "severity", "finding"].map(|key| word(it, key))).collect()
}

/// Nothing but what is argued for is above "low", and the scan came to its end.
fn check(name: &str, offered: &[(&str, &str)]) {
    let found = testssl(name);
    for [id, severity, words] in &found {
        let bad = match severity.as_str() {
            "OK" | "INFO" | "LOW" => false,
            "WARN" => !NOT_TOLD.contains(&id.as_str()),
            _ => !ARGUED.contains(&(id, words)),
        };
        assert!(!bad, "{name}: {id} is {severity}: {words}\n{found:#?}");
    }
    let says = |id: &str| found.iter().find(|finding| finding[0] == id).map(|it| &*it[2]);
    for (id, words) in offered {
        assert!(says(id).is_some_and(|said| said.starts_with(words)), "{id}: {:?}", says(id));
    }
}

#[test]
fn testssl_finds_nothing_in_the_intermediate_preset() {
    check(
        "intermediate.test",
        &[
            ("TLS1_1", "not offered"),
            ("TLS1_2", "offered"),
            ("TLS1_3", "offered"),
            ("cipherlist_AVERAGE", "not offered"),
            ("secure_client_renego", "not vulnerable"),
            ("heartbleed", "not vulnerable"),
            ("RC4", "not vulnerable"),
        ],
    );
}

#[test]
fn testssl_finds_nothing_in_the_modern_preset() {
    check(
        "modern.test",
        &[
            ("TLS1_1", "not offered"),
            ("TLS1_2", "not offered"),
            ("TLS1_3", "offered"),
            ("heartbleed", "not vulnerable"),
            ("RC4", "not vulnerable"),
        ],
    );
}

/// sslyze's judgement by Mozilla's configurations, which it carries.
#[test]
fn both_presets_are_what_mozilla_recommends() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    let Some(python) = Python::find(env!("CARGO_TARGET_TMPDIR"), scripts) else { return };
    let house = house();
    let port = house.address.port().to_string();
    let root = house.process.folder().join("root.pem");
    let root = root.to_str().expect("a name in ASCII");
    let scan =
        |name: &str, preset: &str| python.tell("sslyze_scan.py", &[&port, name, preset, root]);
    assert_eq!(scan("intermediate.test", "intermediate"), "compliant\n");
    assert_eq!(scan("modern.test", "modern"), "compliant\n");
    // It can say something else.
    let said = scan("intermediate.test", "modern");
    assert!(said.contains("tls_versions: TLS versions {'TLSv1.2'} are supported"), "{said}");
}
