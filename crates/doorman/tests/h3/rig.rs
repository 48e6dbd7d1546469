//! The program in front of a scripted origin.

use std::net::SocketAddr;
use std::sync::Arc;

use doorman_testkit::h3::{H3, RawH3, frames};
use doorman_testkit::origin::{Answer, Origin, Script, Step, answering, echo, reply};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw;
use doorman_testkit::sums::Pattern;
use doorman_testkit::tls::Tls;
use rustix::process::Signal;

/// Error codes (RFC 9114 section 8.1, RFC 9204 section 6).
pub(crate) mod code {
    pub(crate) const NO_ERROR: u64 = 0x100;
    pub(crate) const INTERNAL_ERROR: u64 = 0x102;
    pub(crate) const STREAM_CREATION_ERROR: u64 = 0x103;
    pub(crate) const CLOSED_CRITICAL_STREAM: u64 = 0x104;
    pub(crate) const FRAME_UNEXPECTED: u64 = 0x105;
    pub(crate) const FRAME_ERROR: u64 = 0x106;
    pub(crate) const EXCESSIVE_LOAD: u64 = 0x107;
    pub(crate) const ID_ERROR: u64 = 0x108;
    pub(crate) const SETTINGS_ERROR: u64 = 0x109;
    pub(crate) const MISSING_SETTINGS: u64 = 0x10a;
    pub(crate) const REQUEST_REJECTED: u64 = 0x10b;
    pub(crate) const REQUEST_CANCELLED: u64 = 0x10c;
    pub(crate) const REQUEST_INCOMPLETE: u64 = 0x10d;
    pub(crate) const MESSAGE_ERROR: u64 = 0x10e;
    pub(crate) const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
    pub(crate) const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
    pub(crate) const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;
}

/// The program and its origin.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    pub(crate) origin: Origin,
}

/// The program in front of an origin that answers by path.
pub(crate) fn house() -> House {
    house_with("workers 1", Origin::start(answering(by_path())))
}

/// As [`house`], with lines of the block `global` and another origin.
pub(crate) fn house_with(global: &str, origin: Origin) -> House {
    let address = free_address();
    start(address, global, origin, |global, origin| configuration(address, global, "", origin))
}

/// As [`house`], with lines of the block `site`.
pub(crate) fn house_with_site(global: &str, site: &str) -> House {
    house_with_site_before(global, site, Origin::start(answering(by_path())))
}

/// As [`house_with_site`], with another origin. `PORT` in the lines is the port of the house.
pub(crate) fn house_with_site_before(global: &str, site: &str, origin: Origin) -> House {
    let address = free_address();
    let site = site.replace("PORT", &address.port().to_string());
    start(address, global, origin, |global, origin| configuration(address, global, &site, origin))
}

/// As [`house`], with a listener that speaks these protocols.
pub(crate) fn house_speaking(protocols: &str) -> House {
    let (address, origin) = (free_address(), Origin::start(answering(by_path())));
    start(address, "workers 1", origin, |global, origin| {
        let listen = format!("\nlisten :{} protocols {protocols}\n", address.port());
        configuration(address, global, "", origin) + &listen
    })
}

fn start(
    address: SocketAddr,
    global: &str,
    origin: Origin,
    text: impl Fn(&str, &Origin) -> String,
) -> House {
    let metrics = free_address();
    let global = format!("  metrics {metrics}\n  {global}");
    let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text(&global, &origin))
        .arguments(&["run", "-c", "doorman.conf"])
        .start()
        .expect("the program can be started");
    let _ = process.wait_for_words("doorman is ready");
    House { process, address, metrics, origin }
}

/// Puts another configuration in force.
pub(crate) fn reload(house: &House, text: &str) {
    std::fs::write(house.process.folder().join("doorman.conf"), text).expect("a file");
    house.process.signal(Signal::HUP).expect("the process runs");
    let _ = house.process.wait_for_words("in force");
}

/// A configuration with more lines of the blocks `global` and `site`.
pub(crate) fn configuration(
    address: SocketAddr,
    global: &str,
    site: &str,
    origin: &Origin,
) -> String {
    let tls = if site.contains("tls") { "" } else { "  tls internal" };
    let proxy = format!("proxy {}", origin.address());
    let ending = if site.contains("route") { "" } else { proxy.as_str() };
    format!(
        "doorman 1\nglobal {{\n  data data\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
         log access json stdout\n{global}\n}}\n\
         site https://localhost:{} {{\n{tls}\n{site}\n  {ending}\n}}\n",
        address.port(),
    )
}

/// What the origin of these tests says to a path.
pub(crate) fn by_path() -> Answer {
    let echo = echo();
    Arc::new(move |seen| {
        let target = seen.target();
        if let Some(length) = target.strip_prefix("/big/") {
            let length = length.parse().expect("a number");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            return Script::new().send(head).then(Step::SendPattern(Pattern { seed: 7 }, length));
        }
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: sum\r\n\r\n5\r\nhello\r\n";
        match target {
            "/echo" => echo(seen),
            "/204" => Script::new().send("HTTP/1.1 204 No Content\r\n\r\n"),
            "/304" => Script::new().send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
            "/head" => Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"),
            "/trailers" => Script::new().send(format!("{chunks}0\r\nSum: 5\r\n\r\n")),
            "/empty" => {
                Script::new().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            }
            "/hints" => Script::new()
                .send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            "/cut" => {
                Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").close()
            }
            "/cut-chunked" => Script::new().send(chunks).close(),
            "/hold" => Script::new().hold().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            "/wait" => Script::new().then(Step::ReadEnd),
            "/begin-and-wait" => Script::new().send(chunks).then(Step::ReadEnd),
            _ => reply("200 OK", "", b"hello"),
        }
    })
}

impl House {
    pub(crate) fn authority(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    pub(crate) fn tls() -> Tls {
        Tls::unverified("localhost")
    }

    /// A well-behaved client.
    pub(crate) fn h3(&self) -> H3 {
        H3::connect(self.address, &Self::tls()).expect("a connection")
    }

    /// A client that has said what it must and goes on as it is told.
    pub(crate) fn raw(&self) -> RawH3 {
        RawH3::connect(self.address, &Self::tls()).expect("a connection")
    }

    /// A client that has said nothing.
    pub(crate) fn silent(&self) -> RawH3 {
        RawH3::silent(self.address, &Self::tls()).expect("a connection")
    }

    /// HEADERS of a GET.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        frames::request("GET", &self.authority(), path, &[])
    }

    /// HEADERS of a POST with more fields.
    pub(crate) fn post(&self, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        frames::request("POST", &self.authority(), path, more)
    }

    /// The value of a series on the page of metrics.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let host = self.metrics.to_string();
        let page = raw::fetch(self.metrics, &host, "/metrics").expect("a page").text();
        let line = page.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit_once(' ')).expect("a series").1;
        value.parse().expect("a whole number")
    }

    /// The program still serves.
    pub(crate) fn still_serves(&self) {
        assert_eq!(self.h3().get(&self.uri("/still")).expect("an answer").status, 200);
    }

    /// Memory of the process, KiB.
    pub(crate) fn resident(&self) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    }
}
