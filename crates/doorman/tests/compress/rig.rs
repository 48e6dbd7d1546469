//! The program in front of one origin that says what a story wants.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::thread;

use bytes::Bytes;
use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Origin, Script, Seen, answering, reply};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::{self, Raw};
use doorman_testkit::reply::{Asked, Reply};
use doorman_testkit::sums::Dice;
use doorman_testkit::tls::Tls;
use rustix::process::Signal;

use crate::decode::{decode, prefix};

/// A front to come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Plain,
    H1,
    H2,
    H3,
}

pub(crate) const FRONTS: [Front; 4] = [Front::Plain, Front::H1, Front::H2, Front::H3];

/// A text as texts are: words that come again, so much of it.
pub(crate) fn text(seed: u64, length: usize) -> Vec<u8> {
    static WORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let word = |n: u64| {
            let mut letters = Dice::new(n);
            (0..2 + n % 9).map(|_| b'a' + letters.below(26).to_le_bytes()[0]).collect()
        };
        (0..2_000).map(word).collect()
    });
    let mut dice = Dice::new(seed);
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        // Few words come often and many come seldom, as in any language.
        let word = dice.below(2_000).min(dice.below(2_000)).min(dice.below(2_000));
        text.extend_from_slice(&WORDS[usize::try_from(word).unwrap_or(0)]);
        text.push(if dice.one_in(12) { b'\n' } else { b' ' });
    }
    text.truncate(length);
    text
}

/// A 200 with these fields, each with its line's end, and this content.
pub(crate) fn said(fields: &str, body: impl AsRef<[u8]>) -> Script {
    reply("200 OK", fields, body.as_ref())
}

/// A text of type `text/plain`.
pub(crate) fn page(fields: &str, body: impl AsRef<[u8]>) -> Script {
    said(&format!("Content-Type: text/plain\r\n{fields}"), body)
}

/// A head that announces chunks.
pub(crate) fn chunks(fields: &str) -> Script {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
    Script::new().send(format!("{head}{fields}\r\n"))
}

/// A chunk as it goes over the wire.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The end of chunks.
pub(crate) const LAST: &str = "0\r\n\r\n";

/// The program and its origin.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    metrics: SocketAddr,
    pub(crate) origin: Origin,
}

impl House {
    /// With these lines in its site.
    pub(crate) fn with(
        site: &str,
        answer: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::before(site, Origin::start(answering(Arc::new(answer))))
    }

    /// In front of this origin.
    pub(crate) fn before(site: &str, origin: Origin) -> Self {
        let (plain, secure, metrics) = (free_address(), free_address(), free_address());
        let text = text_of(site, plain, secure, metrics, &origin);
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        Self { process, plain, secure, metrics, origin }
    }

    /// Makes the process read a configuration with these lines in its site.
    pub(crate) fn reload(&self, site: &str) {
        let count =
            |words: &str| self.process.said().iter().filter(|line| line.contains(words)).count();
        let before = count(" is in force");
        let text = text_of(site, self.plain, self.secure, self.metrics, &self.origin);
        let file = self.process.folder().join("doorman.conf");
        std::fs::write(file, text).expect("our own folder");
        self.process.signal(Signal::HUP).expect("our own child");
        self.process.wait_for_times(" is in force", before + 1);
    }

    /// One GET with these fields on a plain connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str, fields: &[(&str, &str)]) -> Got {
        self.ask(Front::Plain, "GET", target, fields)
    }

    /// One GET by a client that takes this coding.
    #[track_caller]
    pub(crate) fn taking(&self, target: &str, coding: &str) -> Got {
        self.get(target, &[("accept-encoding", coding)])
    }

    /// One exchange on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        front: Front,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> Got {
        self.try_ask(front, method, target, fields)
            .unwrap_or_else(|error| panic!("{front:?} {method} {target} {fields:?}: {error}"))
    }

    pub(crate) fn try_ask(
        &self,
        front: Front,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> io::Result<Got> {
        let request = || {
            let uri = format!("https://localhost:{}{target}", self.secure.port());
            let mut request = http::Request::builder().method(method).uri(uri);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            request.body(Bytes::new()).expect("a request")
        };
        match front {
            Front::Plain => exchange(&mut self.connect(), &self.head(method, target, fields)),
            Front::H1 => {
                let mut raw = Raw::connect_tls(self.secure, &tls())?;
                exchange(&mut raw, &self.head(method, target, fields))
            }
            Front::H2 => {
                let got = H2::connect_tls(self.secure, &tls())?.request(request())?;
                let trailers = got.trailers.as_ref().map(pairs).unwrap_or_default();
                let whole = got.is_complete();
                let fields = pairs(&got.fields);
                Ok(Got { status: got.status, fields, body: got.body, trailers, whole })
            }
            Front::H3 => {
                let got = H3::connect(self.secure, &tls())?.request(request())?;
                let trailers = got.trailers.as_ref().map(pairs).unwrap_or_default();
                let whole = got.is_complete();
                let fields = pairs(&got.fields);
                Ok(Got { status: got.status, fields, body: got.body, trailers, whole })
            }
        }
    }

    fn head(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> String {
        let host = format!("localhost:{}", self.plain.port());
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.plain).expect("a house that is open")
    }

    /// Sends a GET on a plain connection, whose answer is read as it comes.
    pub(crate) fn begin(&self, target: &str, coding: &str) -> Begun {
        let mut raw = self.connect();
        let head = self.head("GET", target, &[("accept-encoding", coding)]);
        raw.send(head).expect("an open connection");
        let head = raw.take_until(b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&head).to_lowercase();
        Begun { raw, head, coding: coding.to_owned(), coded: Vec::new() }
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

    /// A page that nobody codes is there, if the origin has it.
    #[track_caller]
    pub(crate) fn still_serves(&self) {
        self.get("/still", &[]).is("identity", b"still");
    }

    /// Most memory that the process has had, KiB.
    pub(crate) fn resident_most(&self) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it has memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let said = self.process.said();
        let panicked = said.iter().find(|line| line.contains("panicked"));
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
    // What stands above the sites is written first, up to a line of dashes.
    let (top, site) = site.split_once("---\n").unwrap_or(("", site));
    let site = if site.contains("proxy") { site.to_owned() } else { format!("{site}\nproxy web") };
    format!(
        "doorman 1\n\
         global {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 2; drain 3s\n\
         metrics {metrics}; log access json stdout }}\n\
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

fn exchange(raw: &mut Raw, head: &str) -> io::Result<Got> {
    raw.send(head)?;
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
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether it ended as its framing said.
    pub(crate) whole: bool,
}

impl Got {
    fn of_reply(reply: Reply) -> Self {
        let whole = reply.is_complete();
        let pairs = |fields: &[(String, Vec<u8>)]| {
            let pair = |(name, value): &(String, Vec<u8>)| {
                (name.to_lowercase(), String::from_utf8_lossy(value).into_owned())
            };
            fields.iter().map(pair).collect()
        };
        let (fields, trailers) = (pairs(&reply.fields), pairs(&reply.trailers));
        Self { status: reply.status, fields, body: reply.body, trailers, whole }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The values of all fields with that name, in one line.
    pub(crate) fn all(&self, name: &str) -> String {
        let same = self.fields.iter().filter(|(other, _)| other == name);
        same.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The coding that it says it has.
    pub(crate) fn coding(&self) -> &str {
        self.field("content-encoding").unwrap_or("identity")
    }

    /// What it is once its coding is undone.
    #[track_caller]
    pub(crate) fn content(&self) -> Vec<u8> {
        assert!(self.whole, "not whole: {:?}", self.fields);
        decode(self.coding(), &self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.fields))
    }

    /// A whole 200 in this coding with this content.
    #[track_caller]
    pub(crate) fn is(&self, coding: &str, content: &[u8]) {
        assert_eq!((self.status, self.coding()), (200, coding), "{:?}", self.fields);
        assert!(self.content() == content, "another content: {:?}", self.fields);
    }
}

/// An answer of which the head has come.
pub(crate) struct Begun {
    pub(crate) raw: Raw,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) coding: String,
    coded: Vec<u8>,
}

impl Begun {
    /// Takes chunks until so much can be read as this; false when the last chunk comes before.
    #[track_caller]
    pub(crate) fn reads(&mut self, content: &[u8]) -> bool {
        while prefix(&self.coding, &self.coded).len() < content.len() {
            match self.chunk() {
                Some(bytes) if bytes.is_empty() => return false,
                Some(bytes) => self.coded.extend_from_slice(&bytes),
                None => return false,
            }
        }
        prefix(&self.coding, &self.coded) == content
    }

    /// The next chunk; empty for the last one, `None` when the connection ends before.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.raw.take_until(b"\r\n").ok()?;
        let line = String::from_utf8_lossy(&line);
        let length = usize::from_str_radix(line.trim(), 16).expect("a length of a chunk");
        let mut bytes = self.raw.take_exactly(length + 2).ok()?;
        bytes.truncate(length);
        Some(bytes)
    }

    /// Takes all the rest; the whole content, `None` when the connection ends before.
    pub(crate) fn rest(mut self) -> Option<Vec<u8>> {
        loop {
            let bytes = self.chunk()?;
            if bytes.is_empty() {
                return decode(&self.coding, &self.coded).ok();
            }
            self.coded.extend_from_slice(&bytes);
        }
    }
}
