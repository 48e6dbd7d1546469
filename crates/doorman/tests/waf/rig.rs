//! The program with rules in front of one origin that counts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Origin, Script, Seen, answering, reply};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::{self, Raw};
use doorman_testkit::reply::{Asked, Reply};
use doorman_testkit::tls::Tls;
use rustix::process::Signal;

/// A front to come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Plain,
    H1,
    H2,
    H3,
}

pub(crate) const FRONTS: [Front; 4] = [Front::Plain, Front::H1, Front::H2, Front::H3];

/// Rules of which each story knows exactly what they find.
pub(crate) const RULES: &str = r#"
SecRule ARGS|REQUEST_HEADERS:X-Probe "@contains attack" \
    "id:100,phase:2,deny,status:403,log,msg:'An attack',severity:CRITICAL,tag:'story',logdata:'%{MATCHED_VAR_NAME}'"
SecRule RESPONSE_BODY "@contains secret-leak" \
    "id:101,phase:4,deny,status:502,log,msg:'A leak',severity:ERROR"
SecRule RESPONSE_HEADERS:X-Leak "@rx ." \
    "id:102,phase:3,deny,status:502,log,msg:'A leak of the head',severity:ERROR"
SecRule REQUEST_HEADERS:X-Elsewhere "@rx ." \
    "id:103,phase:1,redirect:'https://elsewhere.test/why',status:302,log,msg:'Elsewhere'"
SecRule REQUEST_HEADERS:X-Teapot "@rx ." \
    "id:104,phase:1,deny,status:418,log,msg:'A teapot'"
"#;

/// A 200 with these fields, each with its line's end, and this content.
pub(crate) fn said(fields: &str, body: impl AsRef<[u8]>) -> Script {
    reply("200 OK", fields, body.as_ref())
}

/// Says how much it got, and what, in sums.
pub(crate) fn counted(seen: &Seen) -> Script {
    let fields = format!(
        "Content-Type: text/plain\r\nX-Body-Length: {}\r\nX-Body-Sum: {:016x}\r\n",
        seen.body_length, seen.body_sum
    );
    said(&fields, "fine")
}

/// The program and its origin.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    metrics: SocketAddr,
    pub(crate) origin: Origin,
}

impl House {
    /// With these lines in its site, and an origin that says how much it got.
    pub(crate) fn with(site: &str) -> Self {
        Self::before(site, counted)
    }

    /// In front of an origin that answers so.
    pub(crate) fn before(
        site: &str,
        answer: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::start(answering(Arc::new(answer)));
        let (plain, secure, metrics) = (free_address(), free_address(), free_address());
        let text = text_of(site, plain, secure, metrics, &origin);
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .file("own.conf", RULES)
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        Self { process, plain, secure, metrics, origin }
    }

    /// Writes a file into its folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.process.folder().join(name), text).expect("our own folder");
    }

    /// Puts these lines into its site; they count with the next reload.
    pub(crate) fn configure(&self, site: &str) {
        let text = text_of(site, self.plain, self.secure, self.metrics, &self.origin);
        self.write("doorman.conf", &text);
    }

    /// Makes the process read its configuration, and waits for what it says of it.
    pub(crate) fn reload(&self, words: &str) {
        let count = |said: Vec<String>| said.iter().filter(|line| line.contains(words)).count();
        let before = count(self.process.said());
        self.process.signal(Signal::HUP).expect("our own child");
        self.process.wait_for_times(words, before + 1);
    }

    /// One GET on a plain connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str, fields: &[(&str, &str)]) -> Got {
        self.ask(Front::Plain, "GET", target, fields, b"")
    }

    /// One POST of this type on a plain connection of its own.
    #[track_caller]
    pub(crate) fn post(&self, front: Front, target: &str, kind: &str, body: &[u8]) -> Got {
        self.ask(front, "POST", target, &[("content-type", kind)], body)
    }

    /// One exchange on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        front: Front,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Got {
        self.try_ask(front, method, target, fields, body)
            .unwrap_or_else(|error| panic!("{front:?} {method} {target} {fields:?}: {error}"))
    }

    fn try_ask(
        &self,
        front: Front,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Got> {
        let request = || {
            let uri = format!("https://localhost:{}{target}", self.secure.port());
            let mut request = http::Request::builder().method(method).uri(uri);
            for (name, value) in [("user-agent", "story"), ("accept", "*/*")].iter().chain(fields) {
                request = request.header(*name, *value);
            }
            request.body(Bytes::copy_from_slice(body)).expect("a request")
        };
        match front {
            Front::Plain => {
                exchange(&mut self.connect(), &self.head(method, target, fields, body), body)
            }
            Front::H1 => {
                let mut raw = Raw::connect_tls(self.secure, &tls())?;
                exchange(&mut raw, &self.head(method, target, fields, body), body)
            }
            Front::H2 => {
                let got = H2::connect_tls(self.secure, &tls())?.request(request())?;
                Ok(Got { status: got.status, fields: pairs(&got.fields), body: got.body })
            }
            Front::H3 => {
                let got = H3::connect(self.secure, &tls())?.request(request())?;
                Ok(Got { status: got.status, fields: pairs(&got.fields), body: got.body })
            }
        }
    }

    /// The head of a request as it goes over the wire of HTTP/1.1.
    pub(crate) fn head(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> String {
        let host = format!("localhost:{}", self.plain.port());
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: story\r\nAccept: */*\r\n"
        );
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head + "\r\n"
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.plain).expect("a house that is open")
    }

    /// How many requests the origin has had.
    pub(crate) fn asked(&self) -> usize {
        self.origin.ledger().requests().len()
    }

    /// Waits until the log of rules has a line about a path with these words in it.
    #[track_caller]
    pub(crate) fn told(&self, path: &str, words: &str) -> String {
        let file = self.process.folder().join("waf.log");
        let end = Instant::now() + raw::PATIENCE;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            if let Some(line) = lines.find(|line| line.contains(path) && line.contains(words)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "no line about {path} with {words} in {text}");
            thread::yield_now();
        }
    }

    /// The value of a series on the page of metrics; 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = raw::fetch(self.metrics, &self.metrics.to_string(), "/metrics").expect("a page");
        let text = page.text();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| {
            value.parse().unwrap_or_else(|_| panic!("a number in {line:?}"))
        })
    }

    /// The line of the access log about this path.
    #[track_caller]
    pub(crate) fn line(&self, path: &str) -> String {
        self.process.wait_for_words(&format!("\"path\":\"{path}\""))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let said = self.process.said();
        let panicked = said.iter().find(|line| line.contains("panic in"));
        assert!(panicked.is_none(), "the program panicked: {panicked:?}");
    }
}

fn text_of(
    site: &str,
    plain: SocketAddr,
    secure: SocketAddr,
    metrics: SocketAddr,
    origin: &Origin,
) -> String {
    // What stands in `global` is written first, up to a line of equals signs, and then what stands above the sites, up
    // to one of dashes.
    let (own, site) = site.split_once("===\n").unwrap_or(("", site));
    let (top, site) = site.split_once("---\n").unwrap_or(("", site));
    // What the story says about the whole process comes first of it.
    let (global, top) = match top.strip_prefix("global { ") {
        Some(rest) => rest.split_once(" }\n").unwrap_or((rest, "")),
        None => ("", top),
    };
    let workers = if global.contains("workers") { "" } else { "workers 2;" };
    let site = if site.contains("proxy") { site.to_owned() } else { format!("{site}\nproxy web") };
    format!(
        "doorman 1\n\
         global {{ data data; bind 127.0.0.1; admin unix:admin.sock; {workers} drain 3s; {global}\n{own}\n\
         metrics {metrics}; log access json stdout; log waf json waf.log }}\n\
         upstream web {{ server {} }}\n{top}\
         site http://*:{} {{\n{site}\n}}\n\
         site https://localhost:{} {{\ntls internal\n{site}\n}}\n",
        origin.address(),
        plain.port(),
        secure.port(),
    )
}

/// What clients under TLS believe.
pub(crate) fn tls() -> Tls {
    Tls::unverified("localhost")
}

fn exchange(raw: &mut Raw, head: &str, body: &[u8]) -> io::Result<Got> {
    raw.send([head.as_bytes(), body].concat())?;
    let asked = if head.starts_with("HEAD") { Asked::Head } else { Asked::Other };
    raw.response_to(asked).map(Got::of_reply)
}

fn pairs(map: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// An answer as a client got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    fn of_reply(reply: Reply) -> Self {
        let pair = |(name, value): &(String, Vec<u8>)| {
            (name.to_lowercase(), String::from_utf8_lossy(value).into_owned())
        };
        Self {
            status: reply.status,
            fields: reply.fields.iter().map(pair).collect(),
            body: reply.body,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}
