//! Stapling: what responders say, real ones and bad ones, and what clients get of it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use doorman_net::tls::{Certificate, PemFile};
use doorman_testkit::ocsp::{OcspAnswer, OcspStatus, cert_id};
use doorman_testkit::origin::{Origin, Script, Step, answering, reply};
use doorman_testkit::process::{Process, Program, folder, free_address};
use doorman_testkit::tls::{Authority, Identity};
use rustix::process::Signal;

const STAPLED: &str = "Cert Status: good";
const NOTHING: &str = "OCSP response: no response sent";

/// A way cannot panic halfway.
const WHOLE: &str = "nobody panics while holding it";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that runs").as_secs()
}

/// A responder that does whatever the test tells it.
struct Responder {
    origin: Origin,
    way: Arc<Mutex<Way>>,
}

type Way = Box<dyn Fn() -> Script + Send>;

impl Responder {
    fn start() -> Self {
        let way: Arc<Mutex<Way>> = Arc::new(Mutex::new(Box::new(|| reply("500 No", "", b""))));
        let told = Arc::clone(&way);
        let origin = Origin::start(answering(Arc::new(move |_| told.lock().expect(WHOLE)())));
        Self { origin, way }
    }

    fn url(&self) -> String {
        format!("http://{}/ocsp", self.origin.address())
    }

    fn does(&self, way: impl Fn() -> Script + Send + 'static) {
        *self.way.lock().expect(WHOLE) = Box::new(way);
    }

    fn says(&self, bytes: Vec<u8>) {
        self.does(move || reply("200 OK", "", &bytes));
    }

    fn asked(&self) -> usize {
        self.origin.ledger().requests().len()
    }
}

fn certificate(identity: &Identity) -> Certificate {
    let chain = PemFile { path: Path::new("chain"), bytes: identity.certificate_pem.as_bytes() };
    let key = PemFile { path: Path::new("key"), bytes: identity.key_pem.as_bytes() };
    Certificate::from_pem(chain, key).expect("a certificate and its key")
}

fn good(identity: &Identity, since: u64, until: u64) -> OcspAnswer {
    let question = certificate(identity).question().expect("it names a responder").question;
    OcspAnswer::good(cert_id(&question), since, until)
}

/// The program. What it keeps outlives its process.
struct Hall {
    process: Process,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl Hall {
    /// With a site for each name, its certificate, and more in its `tls`.
    fn start(data: &Path, sites: &[(&str, &Identity, &str)]) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let port = address.port();
        let mut text = format!(
            "doorman 1\nglobal {{ data {}; bind 127.0.0.1; admin unix:admin.sock; workers 2\n\
             metrics {metrics} }}\n",
            data.display()
        );
        let mut program = Program::new(env!("CARGO_BIN_EXE_doorman"));
        for (name, identity, more) in sites {
            program = program
                .file(&format!("{name}.pem"), &identity.certificate_pem)
                .file(&format!("{name}.key"), &identity.key_pem);
            text.push_str(&format!(
                "site https://{name}:{port} {{ tls cert {name}.pem key {name}.key {{ {more} }}; respond 200 hi }}\n"
            ));
        }
        let program = program.file("doorman.conf", text);
        let process = program.arguments(&["run", "-c", "doorman.conf"]).start();
        let process = process.expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        Self { process, address, metrics }
    }

    /// What OpenSSL's client says of a handshake in which it asks for an answer.
    fn shakes(&self, name: &str, version: &str) -> String {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &self.address.to_string(), "-servername", name])
            .args(["-status", version])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the Debian package openssl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn is(&self, name: &str, expect: &str) {
        for version in ["-tls1_2", "-tls1_3"] {
            let said = self.shakes(name, version);
            assert!(said.contains(expect), "{name} {version}: {said}");
            assert!(said.contains("BEGIN CERTIFICATE"), "{name} {version}: {said}");
        }
    }

    fn hears(&self, words: &str) {
        let _ = self.process.wait_for_words(words);
    }

    fn metrics(&self) -> String {
        let host = self.metrics.to_string();
        doorman_testkit::raw::fetch(self.metrics, &host, "/metrics").expect("a page").text()
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix:{}", self.process.folder().join("admin.sock").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorman"));
        command.args(arguments).args(["--admin", &socket]).output().expect("it can be started")
    }
}

/// OpenSSL's responder for one certificate, which is valid or revoked.
fn openssl(
    authority: &Authority,
    identity: &Identity,
    address: SocketAddr,
    state: char,
) -> Process {
    let serial = certificate(identity).facts().serial.replace(':', "").to_uppercase();
    let revoked = if state == 'R' { "200101000000Z,keyCompromise" } else { "" };
    let index = format!("{state}\t20991231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n");
    let process = Program::new("/usr/bin/openssl")
        .file("index.txt", index)
        .file("index.txt.attr", "unique_subject = no\n")
        .file("ca.pem", authority.pem())
        .file("ca.key", authority.key().serialize_pem())
        .arguments(&["ocsp", "-index", "index.txt", "-port", &address.port().to_string()])
        .arguments(&["-rsigner", "ca.pem", "-rkey", "ca.key", "-CA", "ca.pem"])
        .arguments(&["-nmin", "60", "-ignore_err"])
        .start()
        .expect("the Debian package openssl is installed");
    // A connection that only tries it would be heard out for ever: it knows one at a time.
    let _ = process.wait_for_words("waiting for OCSP client connections");
    process
}

#[test]
fn a_real_responder_is_asked_and_its_answer_survives_a_restart() {
    let (authority, data, address) = (Authority::new(), folder(), free_address());
    let identity = authority.issue_answered("a.test", &format!("http://{address}"), true);
    let responder = openssl(&authority, &identity, address, 'V');
    let mut hall = Hall::start(data.path(), &[("a.test", &identity, "")]);
    hall.hears("a.test is stapled");
    hall.is("a.test", STAPLED);
    let page = hall.metrics();
    assert!(page.contains("doorman_tls_ocsp_questions_total{result=\"good\"} 1"), "{page}");
    assert!(page.contains("state=\"good\"} 1"), "{page}");
    let shown = hall.command(&["certs", "list"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("a.test  good"), "{text}");
    hall.process.stop().expect("it ends");
    drop(responder);
    // Nobody can be asked now, and nobody needs to be.
    let hall = Hall::start(data.path(), &[("a.test", &identity, "")]);
    hall.is("a.test", STAPLED);
    hall.command(&["reload"]);
    hall.is("a.test", STAPLED);
}

#[test]
fn what_a_real_responder_revokes_is_told_and_not_stapled() {
    let (authority, data, address) = (Authority::new(), folder(), free_address());
    let identity = authority.issue_answered("a.test", &format!("http://{address}"), false);
    let _responder = openssl(&authority, &identity, address, 'R');
    let hall = Hall::start(data.path(), &[("a.test", &identity, "")]);
    hall.hears("the certificate of a.test is REVOKED (keyCompromise)");
    hall.is("a.test", NOTHING);
    for command in [&["status"][..], &["certs", "list"]] {
        let shown = hall.command(command);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert_eq!(shown.status.code(), Some(1), "{text}");
        assert!(text.contains("revoked"), "{text}");
    }
    let page = hall.metrics();
    assert!(page.contains("state=\"revoked\"} 1"), "{page}");
}

#[test]
fn answers_are_renewed_and_never_outlive_their_end() {
    let (authority, data) = (Authority::new(), folder());
    let responder = Responder::start();
    let identity = authority.issue_answered("a.test", &responder.url(), false);
    let shared = Arc::new((authority, identity.clone()));
    let signer = Arc::clone(&shared);
    // Each lives for some seconds.
    responder.does(move || {
        let (authority, identity) = &*signer;
        let answer = good(identity, now() - 2, now() + 6).signed(authority.key());
        reply("200 OK", "", &answer)
    });
    let hall = Hall::start(data.path(), &[("a.test", &identity, "")]);
    hall.hears("a.test is stapled");
    hall.is("a.test", STAPLED);
    responder.origin.ledger().wait_for_requests(3);
    hall.is("a.test", STAPLED);
    let request = &responder.origin.ledger().requests()[0];
    assert_eq!(request.method(), "GET");
    assert!(request.target().starts_with("/ocsp/M"), "{}", request.target());
    // What was good goes on until its end, and not beyond.
    responder.does(|| reply("503 Later", "", b""));
    hall.hears("no answer of OCSP about a.test");
    hall.is("a.test", STAPLED);
    hall.hears("a.test is no longer stapled");
    hall.is("a.test", NOTHING);
    let page = hall.metrics();
    assert!(page.contains("state=\"missing\"} 1"), "{page}");
    assert!(!page.contains("doorman_tls_ocsp_expiry_timestamp_seconds{"), "{page}");
}

#[test]
fn a_certificate_that_is_replaced_gets_an_answer_of_its_own() {
    let (authority, data) = (Authority::new(), folder());
    let responder = Responder::start();
    let old = authority.issue_answered("a.test", &responder.url(), false);
    let new = authority.issue_answered("a.test", &responder.url(), false);
    responder.says(good(&old, now() - 10, now() + 9_999).signed(authority.key()));
    let hall = Hall::start(data.path(), &[("a.test", &old, "")]);
    hall.hears("a.test is stapled");
    responder.says(good(&new, now() - 10, now() + 9_999).signed(authority.key()));
    for (name, text) in [("a.test.key", &new.key_pem), ("a.test.pem", &new.certificate_pem)] {
        let (to, staged) = (hall.process.folder().join(name), hall.process.folder().join(".new"));
        std::fs::write(&staged, text).expect("our own folder");
        std::fs::rename(staged, to).expect("our own folder");
    }
    hall.process.wait_for_times("a.test is stapled", 2);
    hall.is("a.test", STAPLED);
    hall.process.signal(Signal::HUP).expect("our own child");
    hall.hears("configuration 2 is in force");
    hall.is("a.test", STAPLED);
    assert_eq!(responder.asked(), 2);
}

#[test]
fn whatever_else_comes_is_not_stapled_and_nobody_waits_for_it() {
    let (authority, data) = (Authority::new(), folder());
    let stranger = Authority::new();
    let kinds = [
        "down", "error", "garbage", "foreign", "over", "unsigned", "large", "unknown", "silent",
        "endless", "moved", "off",
    ];
    let responders = kinds.map(|_| Responder::start());
    let issue = |at: usize| {
        let name = format!("{}.test", kinds[at]);
        authority.issue_answered(&name, &responders[at].url(), kinds[at] == "error")
    };
    let identities: Vec<Identity> = (0..kinds.len()).map(issue).collect();
    let mut kept = Vec::new();
    for ((kind, responder), identity) in kinds.iter().zip(responders).zip(&identities) {
        let answer = good(identity, now() - 10, now() + 9_999);
        let signed = answer.signed(authority.key());
        let over = OcspAnswer { next_update: Some(now() - 5), ..answer.clone() };
        let unknown = OcspAnswer { status: OcspStatus::Unknown, ..answer.clone() };
        let endless = OcspAnswer { next_update: None, ..answer.clone() };
        match *kind {
            "garbage" => responder.says(b"<html>a captive portal</html>".to_vec()),
            "foreign" => {
                let other = good(&identities[0], now() - 10, now() + 9_999);
                responder.says(other.signed(authority.key()));
            }
            "over" => responder.says(over.signed(authority.key())),
            "unsigned" => responder.says(answer.signed(stranger.key())),
            "large" => responder.says([signed, vec![0; 10 << 20]].concat()),
            "unknown" => responder.says(unknown.signed(authority.key())),
            "endless" => responder.says(endless.signed(authority.key())),
            "silent" => responder.does(|| Script::new().then(Step::Hold)),
            "moved" => {
                responder.does(move || reply("302 Found", "Location: /x\r\n", &signed));
            }
            "off" => responder.says(signed),
            _ => {}
        }
        // The first is gone before anybody asks it.
        if *kind != "down" {
            kept.push((*kind, responder));
        }
    }
    let names: Vec<String> = kinds.iter().map(|kind| format!("{kind}.test")).collect();
    let sites: Vec<_> = names
        .iter()
        .zip(&identities)
        .map(|(name, identity)| {
            (name.as_str(), identity, if name == "off.test" { "ocsp off" } else { "" })
        })
        .collect();
    let hall = Hall::start(data.path(), &sites);
    // While nobody has said anything yet.
    hall.is("silent.test", NOTHING);
    for name in &names {
        match name.as_str() {
            "off.test" | "silent.test" => {}
            "error.test" => hall.hears("error.test must be stapled (RFC 7633) and is not"),
            name => hall.hears(&format!("no answer of OCSP about {name}")),
        }
        hall.is(name, NOTHING);
    }
    for (kind, responder) in &kept {
        assert_eq!(responder.asked() > 0, *kind != "off", "{kind}");
    }
    let status = hall.command(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("error.test must be stapled and is not"), "{text}");
    assert_eq!(text.matches("problem ").count(), 1, "{text}");
}
