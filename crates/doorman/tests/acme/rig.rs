//! Pebble with its resolver, and the program in front of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use doorman_testkit::process::{Process, Program, folder, free_address};
use doorman_testkit::tls::Authority;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pebble, and the resolver that leads every name to this machine.
pub(crate) struct Pebble {
    _resolver: Process,
    process: Option<Process>,
    program: Box<dyn Fn() -> Program>,
    address: SocketAddr,
    management: SocketAddr,
    /// Where its resolver takes orders.
    pub(crate) resolver: SocketAddr,
    /// Where it looks for proofs over HTTP.
    pub(crate) http: SocketAddr,
    /// Where it looks for proofs over TLS.
    pub(crate) tls: SocketAddr,
    folder: TempDir,
}

impl Pebble {
    /// One that behaves.
    pub(crate) fn start() -> Self {
        Self::start_with(&[("PEBBLE_WFE_NONCEREJECT", "0")], json!({}))
    }

    /// One that behaves and asks this resolver.
    pub(crate) fn start_resolving(dns: SocketAddr) -> Self {
        Self::start_whole(&[("PEBBLE_WFE_NONCEREJECT", "0")], &json!({}), Some(dns))
    }

    /// One with these variables and more of its own configuration.
    pub(crate) fn start_with(variables: &[(&str, &str)], more: Value) -> Self {
        Self::start_whole(variables, &more, None)
    }

    fn start_whole(variables: &[(&str, &str)], more: &Value, other: Option<SocketAddr>) -> Self {
        let [resolver, dns] = [free_address(), free_address()];
        let [address, management, http, tls] =
            [free_address(), free_address(), free_address(), free_address()];
        let started = Program::new("/usr/bin/pebble-challtestsrv")
            .arguments(&["-management", &resolver.to_string(), "-dns01", &dns.to_string()])
            .arguments(&["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .arguments(&["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .start_listening(&[resolver, dns]);
        let dns = other.unwrap_or(dns);
        let folder = folder();
        let authority = Authority::new();
        let identity = authority.issue(&["localhost"]);
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file in our own folder");
            path
        };
        write("ca.pem", authority.pem());
        let (certificate, key) = (
            write("server.pem", &identity.certificate_pem),
            write("server.key", &identity.key_pem),
        );
        let mut inner = json!({
            "listenAddress": address, "managementListenAddress": management,
            "certificate": certificate, "privateKey": key,
            "httpPort": http.port(), "tlsPort": tls.port(), "ocspResponderURL": "",
            "retryAfter": { "authz": 0, "order": 0 },
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            inner[name] = value.clone();
        }
        let text = json!({ "pebble": inner }).to_string();
        let variables: Vec<(String, String)> =
            variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let program = move || {
            let dns = dns.to_string();
            let program = Program::new("/usr/bin/pebble")
                .file("pebble.json", &text)
                .arguments(&["-config", "pebble.json", "-dnsserver", &dns])
                .variable("PEBBLE_VA_NOSLEEP", "1");
            variables.iter().fold(program, |program, (name, value)| program.variable(name, value))
        };
        let mut pebble = Self {
            _resolver: started,
            process: None,
            program: Box::new(program),
            address,
            management,
            resolver,
            http,
            tls,
            folder,
        };
        pebble.go_on();
        pebble
    }

    /// Starts it, or starts it again: it remembers nothing.
    pub(crate) fn go_on(&mut self) {
        self.process = Some((self.program)().start_listening(&[self.address, self.management]));
    }

    /// Ends it; its address stays.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// What it has said.
    pub(crate) fn said(&self) -> Vec<String> {
        self.process.as_ref().map(Process::said).unwrap_or_default()
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells what it signs by.
    pub(crate) fn management(&self) -> SocketAddr {
        self.management
    }

    /// Whom its server is trusted by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The root of what it issues, in a file.
    pub(crate) fn root(&self) -> PathBuf {
        let path = self.folder.path().join("root.pem");
        let url = format!("https://{}/roots/0", self.management);
        let fetched = curl(&["--insecure", "--fail", "--output", &path.to_string_lossy(), &url]);
        assert!(fetched.status.success(), "{fetched:?}");
        path
    }

    /// The line of the configuration that names it.
    pub(crate) fn line(&self) -> String {
        self.line_with("")
    }

    /// The same with more in its block.
    pub(crate) fn line_with(&self, more: &str) -> String {
        format!("acme {} {{ ca {}; {more} }}", self.directory(), self.ca().display())
    }
}

/// The program with automatic certificates. What it keeps outlives its process.
pub(crate) struct House {
    pub(crate) process: Process,
    data: PathBuf,
    http: SocketAddr,
    https: SocketAddr,
    metrics: SocketAddr,
    text: String,
}

impl House {
    /// With these lines in `global`, and these sites.
    pub(crate) fn start(data: &Path, pebble: &Pebble, global: &str, sites: &str) -> Self {
        let metrics = free_address();
        let text = configuration(data, pebble, metrics, global, sites);
        let process = run(&text);
        let (http, https) = (pebble.http, pebble.tls);
        let _ = process.wait_for_words("doorman is ready");
        Self { process, data: data.to_owned(), http, https, metrics, text }
    }

    /// Kills it as a power cut would, and starts it again.
    pub(crate) fn kill_and_start(&mut self) {
        let pid = self.process.id().to_string();
        let killed = Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
        assert!(killed.success());
        let _ = self.process.wait();
        self.process = run(&self.text);
        let _ = self.process.wait_for_words("doorman is ready");
    }

    /// Ends it and starts it again.
    pub(crate) fn restart(&mut self) {
        self.process.stop().expect("it ends");
        self.start_again();
    }

    /// Starts it again after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.process = run(&self.text);
        let _ = self.process.wait_for_words("doorman is ready");
    }

    /// Takes another text into force.
    pub(crate) fn reload(&mut self, pebble: &Pebble, global: &str, sites: &str) {
        self.text = configuration(&self.data, pebble, self.metrics, global, sites);
        let path = self.process.folder().join("doorman.conf");
        std::fs::write(path, &self.text).expect("a file in our own folder");
        let done = self.command(&["reload"]);
        assert!(done.status.success(), "{done:?}");
    }

    /// Asks it over HTTPS, believing only the authority's root.
    pub(crate) fn https(&self, root: &Path, name: &str, path: &str) -> Output {
        let port = self.https.port();
        curl(&[
            "--cacert",
            &root.to_string_lossy(),
            "--resolve",
            &format!("{name}:{port}:127.0.0.1"),
            &format!("https://{name}:{port}{path}"),
        ])
    }

    /// It answers under this name, with a certificate that clients of the authority take.
    pub(crate) fn serves(&self, root: &Path, name: &str, text: &str) {
        let answer = self.https(root, name, "/");
        assert_eq!(String::from_utf8_lossy(&answer.stdout), text, "{name}: {answer:?}");
    }

    /// Waits until it has said something.
    pub(crate) fn hears(&self, words: &str) {
        let _ = self.process.wait_for_words(words);
    }

    /// How often it has said something.
    pub(crate) fn times(&self, words: &str) -> usize {
        self.process.said().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until it has said something so many times.
    pub(crate) fn wait_for_times(&self, words: &str, times: usize) {
        self.process.wait_for_times(words, times);
    }

    /// Asks it over plain HTTP.
    pub(crate) fn http(&self, name: &str, path: &str) -> String {
        let url = format!("http://{}{path}", self.http);
        let answer = curl(&["--include", "--header", &format!("Host: {name}"), &url]);
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// Where an authority would ask for a proof.
    pub(crate) fn proof_url(&self, name: &str) -> String {
        format!("http://{name}:{}/.well-known/acme-challenge/token", self.http.port())
    }

    /// The page of metrics.
    pub(crate) fn metrics(&self) -> String {
        let answer = curl(&[&format!("http://{}/metrics", self.metrics)]);
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// Runs a command of the program against the one that runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix:{}", self.process.folder().join("admin.sock").display());
        let arguments = [arguments, &["--admin", &socket]].concat();
        self.offline(&arguments)
    }

    /// Runs a command of the program that asks nobody.
    pub(crate) fn offline(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(arguments)
            .current_dir(self.process.folder())
            .output()
            .expect("the program can be started")
    }
}

fn run(text: &str) -> Process {
    Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start()
        .expect("the program can be started")
}

fn configuration(
    data: &Path,
    pebble: &Pebble,
    metrics: SocketAddr,
    global: &str,
    sites: &str,
) -> String {
    let acme = if global.contains("acme https:") { String::new() } else { pebble.line() };
    format!(
        "doorman 1\nglobal {{\n  data {}\n  bind 127.0.0.1\n  workers 2\n  admin unix:admin.sock\n  \
         metrics {metrics}\n  http-port {}\n  https-port {}\n  {acme}\n  {global}\n}}\n{sites}\n",
        data.display(),
        pebble.http.port(),
        pebble.tls.port(),
    )
}

/// Runs curl without anybody's proxy.
pub(crate) fn curl(arguments: &[&str]) -> Output {
    Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(arguments)
        .output()
        .expect("curl is installed")
}
