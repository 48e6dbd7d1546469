//! TLS towards origins: certificates that are shown, keys that are pinned, sessions that resume.

use std::process::{Command, Stdio};
use std::sync::Arc;

use doorman_testkit::origin::{Origin, answering, echo};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw;
use doorman_testkit::tls::{Authority, Identity};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;

/// An origin that asks for certificates by this authority.
fn origin(identity: &Identity, clients: Option<&Authority>) -> Origin {
    let mut config = Arc::unwrap_or_clone(identity.server(&["http/1.1"]));
    if let Some(authority) = clients {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().expect("a verifier");
        config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&config.cert_resolver));
    }
    Origin::start_tls(answering(echo()), Arc::new(config))
}

struct House {
    _process: Process,
    address: std::net::SocketAddr,
    metrics: std::net::SocketAddr,
}

fn house(origin: &Origin, tls: &str, pool: &str, files: &[(&str, &str)]) -> House {
    let (address, metrics) = (free_address(), free_address());
    let text = format!(
        "doorman 1\nglobal {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 1; metrics {metrics} }}\n\
         upstream o {{ server https://{}; {pool}; tls {{ name o.test; {tls} }} }}\n\
         site http://*:{} {{ proxy o }}\n",
        origin.address(),
        address.port()
    );
    let mut program = Program::new(env!("CARGO_BIN_EXE_doorman")).file("doorman.conf", text);
    for (name, content) in files {
        program = program.file(name, content);
    }
    let process = program.arguments(&["run", "-c", "doorman.conf"]).start_listening(&[address]);
    House { _process: process, address, metrics }
}

impl House {
    fn status(&self) -> u16 {
        raw::fetch(self.address, "a.test", "/").expect("an answer").status
    }

    fn handshakes(&self, resumed: bool) -> u64 {
        let host = self.metrics.to_string();
        let page = raw::fetch(self.metrics, &host, "/metrics").expect("a page").text();
        let words = format!("resumed=\"{resumed}\"");
        let mut lines = page.lines().filter(|line| line.contains(&words));
        let line = lines.next().expect("a series");
        line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
    }
}

#[test]
fn a_certificate_is_shown() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let origin = origin(&servers.issue(&["o.test"]), Some(&clients));
    let own = clients.client("doorman", 1, 30);
    let foreign = Authority::new().client("doorman", 1, 30);
    let check = |identity: &Identity, tls: &str, expect: u16| {
        let files = [
            ("ca.pem", servers.pem()),
            ("own.pem", &identity.certificate_pem),
            ("own.key", &identity.key_pem),
        ];
        assert_eq!(house(&origin, tls, "", &files).status(), expect, "{tls}");
    };
    check(&own, "ca ca.pem; cert own.pem; key own.key", 200);
    check(&foreign, "ca ca.pem; cert own.pem; key own.key", 502);
    check(&own, "ca ca.pem", 502);
}

/// The digest of a key, as operators make it.
fn pin(identity: &Identity) -> String {
    let script = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, identity.certificate_pem.as_bytes()).expect("a pipe");
    drop(stdin);
    let output = child.wait_with_output().expect("the Debian package openssl is installed");
    String::from_utf8(output.stdout).expect("base64").trim().to_owned()
}

#[test]
fn a_key_is_pinned() {
    let servers = Authority::new();
    let (ours, other) = (servers.issue(&["o.test"]), servers.issue(&["o.test"]));
    let origin = origin(&ours, None);
    let files = [("ca.pem", servers.pem())];
    let check = |tls: &str, expect: u16| {
        assert_eq!(house(&origin, tls, "", &files).status(), expect, "{tls}");
    };
    let (right, wrong) = (pin(&ours), pin(&other));
    check(&format!("ca ca.pem; pin {right}"), 200);
    check(&format!("ca ca.pem; pin {wrong} {right}"), 200);
    check(&format!("ca ca.pem; pin {wrong}"), 502);
    check(&format!("verify off; pin {right}"), 200);
    check(&format!("verify off; pin {wrong}"), 502);
    // A pin is no way around an authority.
    check(&format!("pin {right}"), 502);
}

#[test]
fn sessions_resume() {
    let servers = Authority::new();
    let origin = origin(&servers.issue(&["o.test"]), None);
    let house = house(&origin, "ca ca.pem", "pool idle 0", &[("ca.pem", servers.pem())]);
    for _ in 0..5 {
        assert_eq!(house.status(), 200);
    }
    assert_eq!((house.handshakes(false), house.handshakes(true)), (1, 4));
}
