//! The program with a store, in front of one origin that counts what it is asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Answer, Origin, Script, Seen, answering, reply};
use doorman_testkit::process::{Process, Program, folder, free_address};
use doorman_testkit::raw::{self, Raw};
use doorman_testkit::reply::Asked;
use doorman_testkit::tls::Tls;
use rustix::process::Signal;
use rustls::ServerConfig;
use tempfile::TempDir;

pub(crate) use crate::ask::{Ask, Got};

/// The longest that something takes which happens by itself.
const SOON: Duration = Duration::from_secs(20);

/// What a house is made of.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Lines of the `global` block beside ours.
    pub(crate) global: &'a str,
    /// Lines of the `store` block, in which `@DISK` is a folder that outlives the process.
    pub(crate) store: &'a str,
    /// Lines of the `cache` block.
    pub(crate) cache: &'a str,
    /// What a site holds; `@CACHE` stands for the cache.
    pub(crate) site: &'a str,
    /// Lines of the `upstream` block.
    pub(crate) upstream: &'a str,
    /// Whether there is a site under TLS, too.
    pub(crate) secure: bool,
    /// What a shell does before it becomes the program.
    pub(crate) shell: Option<&'a str>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            global: "",
            store: "memory 32MiB",
            cache: "",
            site: "@CACHE; proxy web",
            upstream: "",
            secure: false,
            shell: None,
        }
    }
}

/// A front to come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Plain,
    H1,
    H2,
    H3,
}

pub(crate) const FRONTS: [Front; 4] = [Front::Plain, Front::H1, Front::H2, Front::H3];

/// A response that is fresh for a minute.
pub(crate) fn fresh(fields: &str, body: impl AsRef<[u8]>) -> Script {
    said(&format!("Cache-Control: max-age=60\r\n{fields}"), body)
}

/// A response with these fields, each with its line's end.
pub(crate) fn said(fields: &str, body: impl AsRef<[u8]>) -> Script {
    reply("200 OK", fields, body.as_ref())
}

/// A response without content: to HEAD, or with a status that has none.
pub(crate) fn bare(status: &str, fields: &str) -> Script {
    Script::new().send(format!("HTTP/1.1 {status}\r\n{fields}\r\n"))
}

/// An answer that knows how often its target was asked for before.
pub(crate) fn counted(answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static) -> Answer {
    let times: Mutex<HashMap<String, usize>> = Mutex::default();
    Arc::new(move |seen| {
        let n = {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            let n = times.entry(seen.target().to_owned()).or_default();
            *n += 1;
            *n - 1
        };
        answer(n, seen)
    })
}

/// The program, and its origin.
pub(crate) struct House {
    process: Option<Process>,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) metrics: SocketAddr,
    address: SocketAddr,
    origin: Option<Origin>,
    answer: Answer,
    /// What outlives the process.
    pub(crate) data: TempDir,
}

impl House {
    /// With a cache block of these lines.
    pub(crate) fn caching(
        cache: &str,
        answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::start(&Setup { cache, ..Setup::default() }, answer)
    }

    /// With a site under TLS, so that there are all fronts.
    pub(crate) fn fronted(
        cache: &str,
        answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::start(&Setup { cache, secure: true, ..Setup::default() }, answer)
    }

    pub(crate) fn start(
        setup: &Setup<'_>,
        answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        let answer = counted(answer);
        let origin = Origin::start(answering(Arc::clone(&answer)));
        Self::before(setup, answer, origin, "")
    }

    /// In front of an origin under TLS, whose authority is in `@DATA/ca.pem`.
    pub(crate) fn trusting(
        setup: &Setup<'_>,
        authority: &str,
        answer: Answer,
        tls: Arc<ServerConfig>,
    ) -> Self {
        let origin = Origin::start_tls(answering(Arc::clone(&answer)), tls);
        Self::before(setup, answer, origin, authority)
    }

    fn before(setup: &Setup<'_>, answer: Answer, origin: Origin, authority: &str) -> Self {
        let mut house = Self {
            process: None,
            plain: free_address(),
            secure: free_address(),
            metrics: free_address(),
            address: origin.address(),
            origin: Some(origin),
            answer,
            data: folder(),
        };
        std::fs::write(house.data.path().join("ca.pem"), authority).expect("our own folder");
        house.open(setup);
        house
    }

    fn text(&self, setup: &Setup<'_>) -> String {
        let data = self.data.path().display().to_string();
        let (plain, secure) = (self.plain.port(), self.secure.port());
        let site = setup
            .site
            .replace("@CACHE", &format!("cache main {{\nstatus-header on\n{}\n}}", setup.cache));
        let under_tls = if setup.secure {
            format!("site https://localhost:{secure} {{\ntls internal\n{site}\n}}\n")
        } else {
            String::new()
        };
        let text = format!(
            "doorman 1\n\
             global {{ data {data}/data; bind 127.0.0.1; admin unix:admin.sock; workers 2; drain 3s\n\
             metrics {}; log access json stdout\n{}\n}}\n\
             store main {{\n{}\n}}\n\
             upstream web {{\nserver @SCHEME{}\n{}\n}}\n\
             site http://*:{plain} {{\n{site}\n}}\n{under_tls}",
            self.metrics, setup.global, setup.store, self.address, setup.upstream
        );
        let scheme = if setup.upstream.contains("tls") { "https://" } else { "" };
        text.replace("@SCHEME", scheme)
            .replace("@DISK", &format!("{data}/store"))
            .replace("@DATA", &data)
    }

    /// Starts a process on what there is.
    pub(crate) fn open(&mut self, setup: &Setup<'_>) {
        let binary = env!("CARGO_BIN_EXE_doorman");
        let run = ["run", "-c", "doorman.conf"];
        let program = match setup.shell {
            None => Program::new(binary).arguments(&run),
            Some(before) => {
                let script = format!("{before}; exec \"$0\" \"$@\"");
                Program::new("/bin/sh").arguments(&["-c", &script, binary]).arguments(&run)
            }
        };
        let program = program.file("doorman.conf", self.text(setup));
        let process = program.start().expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        self.process = Some(process);
    }

    /// Asks the process to end, and does not wait for it.
    pub(crate) fn terminate(&self) {
        self.process().signal(Signal::TERM).expect("our own child");
    }

    /// Ends the process in order.
    pub(crate) fn finish(&mut self) {
        let _ = self.running().stop();
    }

    /// Ends the process in order, and starts another one on the same data.
    pub(crate) fn restart(&mut self, setup: &Setup<'_>) {
        self.finish();
        self.open(setup);
    }

    /// Kills the process, and starts another one on the same data.
    pub(crate) fn crash(&mut self, setup: &Setup<'_>) {
        self.running().signal(Signal::KILL).expect("our own child");
        let _ = self.running().wait();
        self.open(setup);
    }

    /// Makes the process read another configuration.
    pub(crate) fn reload(&self, setup: &Setup<'_>) {
        let count = |words: &str| self.said().iter().filter(|line| line.contains(words)).count();
        let before = count(" is in force");
        let file = self.process().folder().join("doorman.conf");
        std::fs::write(file, self.text(setup)).expect("our own folder");
        self.process().signal(Signal::HUP).expect("our own child");
        self.process().wait_for_times(" is in force", before + 1);
    }

    fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("a process that runs")
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("a process that runs")
    }

    /// What the process has said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.process().said()
    }

    pub(crate) fn origin(&self) -> &Origin {
        self.origin.as_ref().expect("an origin that runs")
    }

    pub(crate) fn stop_origin(&mut self) {
        self.origin = None;
    }

    /// Starts the origin anew, which has then been asked nothing.
    pub(crate) fn start_origin(&mut self) {
        let plan = answering(Arc::clone(&self.answer));
        let origin = Origin::start_at(self.address, plan, None).expect("its own port");
        self.origin = Some(origin);
    }

    /// What the origin was asked for this target.
    pub(crate) fn requests(&self, target: &str) -> Vec<Seen> {
        let mut requests = self.origin().requests();
        requests.retain(|seen| seen.target() == target);
        requests
    }

    /// How often the origin was asked for this target.
    pub(crate) fn asked(&self, target: &str) -> usize {
        self.requests(target).len()
    }

    /// One GET on a plain connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Got {
        self.ask(Front::Plain, &Ask::get(target))
    }

    /// One GET with these fields on a plain connection of its own.
    #[track_caller]
    pub(crate) fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Got {
        self.ask(Front::Plain, &Ask::get(target).all(fields))
    }

    /// One exchange on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, front: Front, ask: &Ask) -> Got {
        self.try_ask(front, ask).unwrap_or_else(|error| panic!("{front:?} {ask:?}: {error}"))
    }

    pub(crate) fn try_ask(&self, front: Front, ask: &Ask) -> io::Result<Got> {
        let port = self.secure.port();
        match front {
            Front::H2 => {
                let mut h2 = H2::connect_tls(self.secure, &tls())?;
                let got = h2.request(ask.request(port))?;
                let whole = got.is_complete();
                Ok(Got::of_map(got.status, &got.fields, got.body, whole))
            }
            Front::H3 => {
                let mut h3 = H3::connect(self.secure, &tls())?;
                let got = h3.request(ask.request(port))?;
                let whole = got.is_complete();
                Ok(Got::of_map(got.status, &got.fields, got.body, whole))
            }
            Front::Plain => exchange(&mut self.connect(), ask, self.plain.port()),
            Front::H1 => exchange(&mut Raw::connect_tls(self.secure, &tls())?, ask, port),
        }
    }

    /// Sends exactly these bytes on a plain connection of its own; the answer, if there is one.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> io::Result<Got> {
        self.connect().exchange(bytes).map(Got::of_reply)
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.plain).expect("a house that is open")
    }

    /// Sends a request on a plain connection, whose answer is read when a story wants it.
    pub(crate) fn begin(&self, ask: &Ask) -> Begun {
        let mut raw = self.connect();
        raw.send(ask.bytes(self.plain.port())).expect("an open connection");
        Begun { raw }
    }

    /// Many requests one after another on one plain connection.
    pub(crate) fn in_turn(&self, asks: &[Ask]) -> Vec<Got> {
        let mut raw = self.connect();
        let port = self.plain.port();
        asks.iter().map(|ask| exchange(&mut raw, ask, port).expect("an answer")).collect()
    }

    /// One request on a plain connection that goes on.
    pub(crate) fn on(&self, raw: &mut Raw, ask: &Ask) -> Got {
        exchange(raw, ask, self.plain.port()).expect("an answer")
    }

    /// Many requests at once, each on a plain connection of its own.
    pub(crate) fn at_once(&self, asks: &[Ask]) -> Vec<Begun> {
        asks.iter().map(|ask| self.begin(ask)).collect()
    }

    /// The value of a series on the page of metrics; 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let page = raw::fetch(self.metrics, &self.metrics.to_string(), "/metrics").expect("a page");
        let text = page.text();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit_once(' ')).map_or(0, |(_, value)| {
            value.parse().unwrap_or_else(|_| panic!("a whole number in {line:?}"))
        })
    }

    /// Requests that the cache has counted under this word.
    pub(crate) fn results(&self, word: &str) -> u64 {
        let labels = format!("store=\"main\",result=\"{word}\"");
        self.metric(&format!("doorman_cache_requests_total{{{labels}}}"))
    }

    /// Waits until so many requests have waited for another one's fetch.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, length: u64) {
        let waits = "doorman_cache_waits_total{store=\"main\"}";
        self.until("a line", || self.metric(waits) >= length);
    }

    /// Objects in memory or on disk.
    pub(crate) fn objects(&self, tier: &str) -> u64 {
        self.metric(&format!("doorman_cache_objects{{store=\"main\",tier=\"{tier}\"}}"))
    }

    /// Looks until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < SOON, "not so: {what}");
            thread::yield_now();
        }
    }

    /// The lines of the access log about this path: all of them, once the process has ended.
    pub(crate) fn lines(&self, path: &str) -> Vec<String> {
        let words = format!("\"path\":\"{path}\"");
        self.said().into_iter().filter(|line| line.contains(&words)).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let said = self.process.as_ref().map(Process::said).unwrap_or_default();
        let panicked = said.iter().find(|line| line.contains("panicked"));
        assert!(panicked.is_none(), "the program panicked: {panicked:?}");
    }
}

/// What clients under TLS believe.
pub(crate) fn tls() -> Tls {
    Tls::unverified("localhost")
}

fn exchange(raw: &mut Raw, ask: &Ask, port: u16) -> io::Result<Got> {
    let sent = raw.call(async |wire| wire.send_while_reading(ask.bytes(port).as_bytes()).await);
    let asked = if ask.method == "HEAD" { Asked::Head } else { Asked::Other };
    raw.response_to(asked).map_err(|error| sent.err().unwrap_or(error)).map(Got::of_reply)
}

/// A request that is under way.
pub(crate) struct Begun {
    pub(crate) raw: Raw,
}

impl Begun {
    /// The whole answer.
    #[track_caller]
    pub(crate) fn got(mut self) -> Got {
        self.raw.response().map(Got::of_reply).expect("an answer")
    }

    /// Waits for these bytes.
    #[track_caller]
    pub(crate) fn wait(&mut self, bytes: &str) -> String {
        let taken = self.raw.take_until(bytes.as_bytes()).expect("so many bytes");
        String::from_utf8_lossy(&taken).into_owned()
    }
}
