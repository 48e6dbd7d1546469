//! The program in front of several origins, each of which says who it is and what it was sent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use doorman_testkit::h2::H2;
use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Answer, Origin, answering, reply};
use doorman_testkit::process::{Process, Program, folder, free_address};
use doorman_testkit::raw::{self, Raw};
use doorman_testkit::tls::Tls;
use http::Request;
use rustix::process::Signal;
use tempfile::TempDir;

/// The program, and its origins by number.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) plain: SocketAddr,
    secure: SocketAddr,
    metrics: SocketAddr,
    addresses: Vec<SocketAddr>,
    origins: Vec<Option<Origin>>,
    answers: Vec<Answer>,
    /// What outlives the process.
    data: TempDir,
}

/// Answers with a number, and the cookies that came.
pub(crate) fn number(n: usize) -> Answer {
    Arc::new(move |seen| {
        let cookies = seen.all("cookie").join("|");
        reply("200 OK", "", format!("{n} {cookies}").as_bytes())
    })
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) cookies: Vec<String>,
    pub(crate) text: String,
}

impl Said {
    /// The number of the origin that answered.
    pub(crate) fn who(&self) -> usize {
        let number = self.text.split(' ').next().and_then(|n| n.parse().ok());
        number.unwrap_or_else(|| panic!("an origin answered: {self:?}"))
    }

    /// The cookies that the origin was sent.
    pub(crate) fn sent(&self) -> &str {
        self.text.split_once(' ').map_or("", |(_, sent)| sent)
    }

    /// `name=value` of the one cookie that was set.
    pub(crate) fn pair(&self) -> &str {
        assert_eq!(self.cookies.len(), 1, "{self:?}");
        self.cookies[0].split(';').next().expect("a cookie")
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

impl House {
    /// In front of so many origins; `@0` and so on are their addresses in `upstreams`, and everything
    /// goes by the line `route`.
    pub(crate) fn start(answers: Vec<Answer>, upstreams: &str, route: &str) -> Self {
        let origins: Vec<_> = answers
            .iter()
            .map(|answer| Some(Origin::start(answering(Arc::clone(answer)))))
            .collect();
        let addresses = origins.iter().flatten().map(Origin::address).collect();
        let (plain, secure, metrics) = (free_address(), free_address(), free_address());
        let data = folder();
        let mut house = Self {
            process: Program::new("/bin/true").start().expect("a program"),
            plain,
            secure,
            metrics,
            addresses,
            origins,
            answers,
            data,
        };
        house.restart(upstreams, route);
        house
    }

    /// In front of origins that say their numbers, as the upstream `web` with this line in it.
    pub(crate) fn numbered(count: usize, line: &str) -> Self {
        let text = Self::web(count, line);
        Self::start((0..count).map(number).collect(), &text, "proxy web")
    }

    /// An upstream of so many origins with this line in it.
    pub(crate) fn web(count: usize, line: &str) -> String {
        let servers: String =
            (0..count).map(|n| format!("server @{n} {{ name web-{n} }}\n")).collect();
        format!("upstream web {{\n{servers}{line}\n}}")
    }

    fn text(&self, upstreams: &str, route: &str) -> String {
        let data = self.data.path().join("data").display().to_string();
        let (plain, secure) = (self.plain.port(), self.secure.port());
        let mut text = format!(
            "global {{ data {data}; bind 127.0.0.1; admin unix:admin.sock; workers 2; drain 3s\n\
             trusted-proxies 127.0.0.0/8\n\
             metrics {}; log access json stdout }}\n\
             {upstreams}\n\
             site http://localhost:{plain} {{ {route} }}\n\
             site https://localhost:{secure} {{ tls internal; {route} }}\n",
            self.metrics
        );
        text = text.replace("@PLAIN", &self.plain.to_string());
        for (n, address) in self.addresses.iter().enumerate() {
            text = text.replace(&format!("@{n}"), &address.to_string());
        }
        text
    }

    /// Ends the process, and starts another one on the same data.
    pub(crate) fn restart(&mut self, upstreams: &str, route: &str) {
        let text = self.text(upstreams, route);
        let _ = self.process.stop();
        self.process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = self.process.wait_for_words("doorman is ready");
    }

    /// Makes the process read another configuration.
    pub(crate) fn reload(&self, upstreams: &str, route: &str) {
        let said = |process: &Process| {
            process.said().iter().filter(|line| line.contains(" is in force")).count()
        };
        let before = said(&self.process);
        std::fs::write(self.file(), self.text(upstreams, route)).expect("our own folder");
        self.process.signal(Signal::HUP).expect("our own child");
        self.process.wait_for_times(" is in force", before + 1);
    }

    fn file(&self) -> PathBuf {
        self.process.folder().join("doorman.conf")
    }

    /// The key that seals cookies.
    pub(crate) fn key(&self) -> Vec<u8> {
        std::fs::read(self.data.path().join("data/sticky.key")).expect("the key is there")
    }

    pub(crate) fn stop_origin(&mut self, n: usize) {
        self.origins[n] = None;
    }

    pub(crate) fn start_origin(&mut self, n: usize) {
        let plan = answering(Arc::clone(&self.answers[n]));
        let origin = Origin::start_at(self.addresses[n], plan, None).expect("its own port");
        self.origins[n] = Some(origin);
    }

    pub(crate) fn origin(&self, n: usize) -> &Origin {
        self.origins[n].as_ref().expect("an origin that runs")
    }

    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        self.addresses[n]
    }

    /// One exchange by that front on a connection of its own, with these cookies.
    pub(crate) fn by(&self, front: Front, cookies: &str) -> Said {
        self.ask(front, "/", &[("cookie", cookies)])
    }

    /// One exchange with these fields, where they are not empty.
    pub(crate) fn ask(&self, front: Front, path: &str, fields: &[(&str, &str)]) -> Said {
        let fields = || fields.iter().filter(|(_, value)| !value.is_empty());
        let tls = Tls::unverified("localhost");
        let uri = format!("https://localhost:{}{path}", self.secure.port());
        let request = || {
            let request =
                fields().fold(Request::get(&uri), |all, (name, value)| all.header(*name, *value));
            request.body(Bytes::new()).expect("a request")
        };
        let told = |status, fields: &http::HeaderMap, text| Said {
            status,
            cookies: fields
                .get_all("set-cookie")
                .iter()
                .map(|value| value.to_str().expect("text").to_owned())
                .collect(),
            text,
        };
        match front {
            Front::H2 => {
                let mut h2 = H2::connect_tls(self.secure, &tls).expect("a handshake");
                let reply = h2.request(request()).expect("a response");
                told(reply.status, &reply.fields, reply.text())
            }
            Front::H3 => {
                let mut h3 = H3::connect(self.secure, &tls).expect("a handshake");
                let reply = h3.request(request()).expect("a response");
                told(reply.status, &reply.fields, reply.text())
            }
            Front::Plain | Front::H1 => {
                let (mut raw, port) = if front == Front::H1 {
                    (Raw::connect_tls(self.secure, &tls), self.secure.port())
                } else {
                    (Raw::connect(self.plain), self.plain.port())
                };
                let raw = raw.as_mut().expect("a connection");
                let lines: String =
                    fields().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{lines}\r\n");
                let reply = raw.exchange(head).expect("a response");
                let cookies = reply.all("set-cookie").into_iter().map(str::to_owned).collect();
                Said { status: reply.status, cookies, text: reply.text() }
            }
        }
    }

    /// Many exchanges on one plain connection, each with these lines in its head.
    pub(crate) fn ask_all(&self, lines: impl Iterator<Item = String>) -> Vec<Said> {
        let mut raw = Raw::connect(self.plain).expect("a connection");
        let port = self.plain.port();
        lines
            .map(|lines| {
                let head = format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n{lines}\r\n");
                let reply = raw.exchange(head).expect("a response");
                let cookies = reply.all("set-cookie").into_iter().map(str::to_owned).collect();
                Said { status: reply.status, cookies, text: reply.text() }
            })
            .collect()
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

    /// What `doorman explain` says of a request with these cookies.
    pub(crate) fn explain(&self, cookies: &str) -> String {
        let url = format!("http://localhost:{}/", self.plain.port());
        let cookies = format!("Cookie: {cookies}");
        let told = std::process::Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["explain", &url, "-c"])
            .arg(self.file())
            .args(["-H", &cookies])
            .output()
            .expect("the program runs");
        String::from_utf8_lossy(&told.stdout).into_owned()
    }
}
