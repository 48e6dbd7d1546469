//! The program before an origin that says what it was sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Origin, answering, echo};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::{self, Raw};
use doorman_testkit::tls::{Authority, Identity, Tls};
use http::Request;
use rustix::process::Signal;

/// The program, its origin, and an authority for clients.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    /// Signs for clients: `clients.pem` in the program's folder.
    pub(crate) authority: Authority,
    pub(crate) origin: Origin,
    reloads: AtomicUsize,
}

impl House {
    /// Starts it with these sites; `@PORT` is where clients connect to and `@ORIGIN` the origin, and `crl.pem` revokes
    /// the serial number 7.
    pub(crate) fn start(sites: &str) -> Self {
        Self::start_with(Authority::new(), &[], sites)
    }

    /// The same with an authority that is there already, and with more files.
    pub(crate) fn start_with(authority: Authority, files: &[(&str, &str)], sites: &str) -> Self {
        let origin = Origin::start(answering(echo()));
        Self::start_before(origin, "", authority, files, sites)
    }

    /// The same before this origin, and with more lines of `global`.
    pub(crate) fn start_before(
        origin: Origin,
        global: &str,
        authority: Authority,
        files: &[(&str, &str)],
        sites: &str,
    ) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let text = configuration(address, metrics, &origin, global, sites);
        let mut program = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .file("clients.pem", authority.pem())
            .file("crl.pem", authority.revoking(&[7]));
        for (name, content) in files {
            program = program.file(name, content);
        }
        let process = program
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        Self { process, address, metrics, authority, origin, reloads: AtomicUsize::new(0) }
    }

    /// Puts other sites in force.
    pub(crate) fn reload(&self, sites: &str) {
        let text = configuration(self.address, self.metrics, &self.origin, "", sites);
        self.replace("doorman.conf", &text);
        self.process.signal(Signal::HUP).expect("the process runs");
        let before = self.reloads.fetch_add(1, Ordering::Relaxed);
        self.process.wait_for_times("in force", before + 1);
    }

    /// One exchange over each wire: status and body, or nothing where the handshake failed.
    pub(crate) fn everywhere(&self, tls: &Tls, host: &str, path: &str) -> [Option<Said>; 3] {
        [self.h1(tls, host, path, ""), self.h2(tls, host, path), self.h3(tls, host, path)]
    }

    /// Over HTTP/1.1, with more lines in the head.
    pub(crate) fn h1(&self, tls: &Tls, host: &str, path: &str, more: &str) -> Option<Said> {
        let mut raw = Raw::connect_tls(self.address, tls).ok()?;
        self.ask(&mut raw, host, path, more)
    }

    /// On a connection that is there.
    pub(crate) fn ask(&self, raw: &mut Raw, host: &str, path: &str, more: &str) -> Option<Said> {
        let port = self.address.port();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{more}\r\n");
        let reply = raw.exchange(head).ok()?;
        Some(Said { status: reply.status, text: reply.text() })
    }

    fn h2(&self, tls: &Tls, host: &str, path: &str) -> Option<Said> {
        let tls = tls.clone().offering(&["h2"]);
        let mut h2 = H2::connect_tls(self.address, &tls).ok()?;
        let reply = h2.get(&self.uri(host, path)).ok()?;
        Some(Said { status: reply.status, text: reply.text() })
    }

    fn h3(&self, tls: &Tls, host: &str, path: &str) -> Option<Said> {
        let mut h3 = H3::connect(self.address, tls).ok()?;
        let request = Request::get(self.uri(host, path)).body(Bytes::new()).ok()?;
        let reply = h3.request(request).ok()?;
        Some(Said { status: reply.status, text: reply.text() })
    }

    pub(crate) fn uri(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    /// The value of a series on the page of metrics.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let host = self.metrics.to_string();
        let page = raw::fetch(self.metrics, &host, "/metrics").expect("a page").text();
        let line = page.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit_once(' ')).expect("a series").1;
        value.parse().expect("a whole number")
    }

    /// Its memory, KiB.
    pub(crate) fn resident(&self) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    }

    /// Writes a file in its folder as tools do: beside it, and then over it.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let (to, staged) = (self.process.folder().join(name), self.process.folder().join(".new"));
        std::fs::write(&staged, content).expect("our own folder");
        std::fs::rename(staged, to).expect("our own folder");
    }
}

fn configuration(
    address: SocketAddr,
    metrics: SocketAddr,
    origin: &Origin,
    global: &str,
    sites: &str,
) -> String {
    let sites = sites
        .replace("@PORT", &address.port().to_string())
        .replace("@ORIGIN", &origin.address().to_string());
    format!(
        "doorman 1\nglobal {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 2\n\
         metrics {metrics}; log access json stdout; {global} }}\n{sites}\n"
    )
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Said {
    /// The value that the origin got for a field.
    pub(crate) fn sent(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A client that asks for `name`, and shows a certificate if it has one.
pub(crate) fn client(name: &str, identity: Option<&Identity>) -> Tls {
    let tls = Tls::unverified(name);
    match identity {
        Some(identity) => tls.showing(identity),
        None => tls,
    }
}
