//! Handshakes with OpenSSL, row by row: versions, suites, groups, kinds of keys, names, protocols, resumption, and
//! certificates of clients. SET-01 to SET-04.

use std::io::Write;
use std::process::{Command, Stdio};

use doorman_testkit::tls::{Authority, Identity};

use crate::rig::House;

const SITES: &str = "
site https://pair.test:@PORT {
    tls cert ec.pem key ec.key
    tls cert rsa.pem key rsa.key
    respond 200 hello
}
site https://modern.test:@PORT { tls cert ec.pem key ec.key { policy modern }; respond 200 hello }
site https://must.test:@PORT {
    tls cert ec.pem key ec.key { client-auth require ca clients.pem crl crl.pem }
    respond 200 {client-cert-subject}
}";

const NAMES: [&str; 3] = ["pair.test", "modern.test", "must.test"];

fn house() -> House {
    let servers = Authority::new();
    let (ec, rsa) = (servers.issue(&NAMES), servers.issue_rsa(&NAMES[..1]));
    let files = [
        ("ec.pem", &*ec.certificate_pem),
        ("ec.key", &*ec.key_pem),
        ("rsa.pem", &*rsa.certificate_pem),
        ("rsa.key", &*rsa.key_pem),
    ];
    House::start_with(Authority::new(), &files, SITES)
}

/// What OpenSSL's client says about a handshake and one request.
fn openssl(house: &House, name: Option<&str>, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &house.address.to_string(), "-ign_eof"]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let mut child = command
        .args(arguments)
        .current_dir(house.process.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the Debian package openssl is installed");
    let host = name.unwrap_or("pair.test");
    let port = house.address.port();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    // Where the handshake fails, nobody reads it.
    let _ = child.stdin.take().expect("a pipe").write_all(request.as_bytes());
    let output = child.wait_with_output().expect("our own child");
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

#[test]
fn what_is_negotiated() {
    let house = house();
    let ok = "HTTP/1.1 200";
    let alert_version = "alert protocol version";
    let alert_handshake = "alert handshake failure";
    let rows: [(&str, &[&str], &[&str]); 27] = [
        ("pair.test", &[], &[ok, "TLSv1.3", "Server Temp Key: X25519", "ECDSA"]),
        ("pair.test", &["-tls1_3"], &[ok, "TLSv1.3"]),
        ("pair.test", &["-tls1_2"], &[ok, "TLSv1.2", "ECDSA"]),
        ("pair.test", &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], &["SSL alert number"]),
        ("pair.test", &["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"], &["SSL alert number"]),
        ("modern.test", &["-tls1_3"], &[ok, "TLSv1.3"]),
        ("modern.test", &["-tls1_2"], &[alert_version]),
        // Groups.
        ("pair.test", &["-curves", "P-256"], &[ok, "prime256v1"]),
        ("pair.test", &["-curves", "P-384"], &[ok, "secp384r1"]),
        ("pair.test", &["-tls1_2", "-curves", "P-384:P-256"], &[ok, "secp384r1"]),
        ("pair.test", &["-curves", "P-521"], &[alert_handshake]),
        ("pair.test", &["-curves", "X448"], &[alert_handshake]),
        // Kinds of keys, by what the client can verify.
        ("pair.test", &["-sigalgs", "RSA-PSS+SHA256"], &[ok, "Peer signature type: RSA-PSS"]),
        ("pair.test", &["-sigalgs", "ECDSA+SHA256"], &[ok, "Peer signature type: ECDSA"]),
        ("pair.test", &["-tls1_2", "-sigalgs", "RSA+SHA256:RSA-PSS+SHA256"], &[ok, "ECDHE-RSA"]),
        ("modern.test", &["-sigalgs", "RSA-PSS+SHA256"], &["alert"]),
        // Suites.
        ("pair.test", &["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], &[ok, "CHACHA20"]),
        (
            "pair.test",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            &[ok, "ECDHE-ECDSA-AES256-GCM-SHA384"],
        ),
        ("pair.test", &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"], &[alert_handshake]),
        ("pair.test", &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], &[alert_handshake]),
        ("pair.test", &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], &[alert_handshake]),
        // Protocols.
        ("pair.test", &["-alpn", "http/1.1"], &[ok, "ALPN protocol: http/1.1"]),
        ("pair.test", &["-alpn", "h2"], &["ALPN protocol: h2"]),
        ("pair.test", &["-alpn", "ftp"], &["no application protocol"]),
        ("pair.test", &["-alpn", "h3"], &["no application protocol"]),
        // Names.
        ("PAIR.test.", &[], &[ok]),
        ("other.test", &[], &["unrecognized name"]),
    ];
    for (name, arguments, expect) in rows {
        let said = openssl(&house, Some(name), arguments);
        for words in expect {
            assert!(said.contains(words), "{name} {arguments:?} lacks {words}:\n{said}");
        }
        assert!(expect.contains(&ok) || !said.contains(ok), "{name} {arguments:?}:\n{said}");
    }
    // A client that says no name learns none.
    let said = openssl(&house, None, &[]);
    assert!(said.contains("unrecognized name") && !said.contains("BEGIN CERT"), "{said}");
}

#[test]
fn sessions_resume_with_openssl() {
    let house = house();
    for version in ["-tls1_2", "-tls1_3"] {
        let kept = format!("session{version}");
        let first = openssl(&house, Some("pair.test"), &[version, "-sess_out", &kept]);
        assert!(first.contains("New, TLS") && first.contains("HTTP/1.1 200"), "{first}");
        let again = openssl(&house, Some("pair.test"), &[version, "-sess_in", &kept]);
        assert!(again.contains("Reused, TLS") && again.contains("HTTP/1.1 200"), "{again}");
        // At another site it is worth nothing.
        let other = openssl(&house, Some("must.test"), &[version, "-sess_in", &kept]);
        assert!(!other.contains("HTTP/1.1 200"), "{other}");
    }
}

#[test]
fn clients_of_openssl_show_certificates() {
    let house = house();
    let check = |identity: Option<&Identity>, expect: &str| {
        let mut arguments = vec![];
        if let Some(identity) = identity {
            house.replace("client.pem", &identity.certificate_pem);
            house.replace("client.key", &identity.key_pem);
            arguments.extend(["-cert", "client.pem", "-key", "client.key"]);
        }
        for version in ["-tls1_2", "-tls1_3"] {
            let said = openssl(&house, Some("must.test"), &[&arguments[..], &[version]].concat());
            assert!(said.contains(expect), "{version} lacks {expect}:\n{said}");
            assert_eq!(said.contains("HTTP/1.1 200"), expect == "CN=ann", "{said}");
        }
    };
    let authority = &house.authority;
    check(Some(&authority.client("ann", 1, 30)), "CN=ann");
    check(Some(&authority.client("bob", 7, 30)), "alert certificate revoked");
    check(Some(&authority.client("eve", 3, -1)), "alert certificate expired");
    // Another authority by the same name: its signature is not the one.
    check(Some(&Authority::new().client("ann", 1, 30)), "alert ");
    check(None, "alert ");
}
