//! The program in front of a scripted origin, and a client that says what became of a stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use doorman_testkit::h2::{Frame, H2, flag, hpack, kind};
use doorman_testkit::origin::{Answer, Origin, Script, Step, answering, echo, reply};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use doorman_testkit::sums::Pattern;
use doorman_testkit::tls::Tls;

/// Error codes (RFC 9113 section 7).
pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0;
    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
    pub(crate) const STREAM_CLOSED: u32 = 5;
    pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
    pub(crate) const REFUSED_STREAM: u32 = 7;
    pub(crate) const COMPRESSION_ERROR: u32 = 9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
}

/// The largest window (RFC 9113 section 6.9.1).
pub(crate) const WINDOW_MAX: u32 = (1 << 31) - 1;
/// SETTINGS_INITIAL_WINDOW_SIZE.
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// The program and its origin.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) origin: Origin,
}

/// The program in front of an origin that answers by path.
pub(crate) fn house() -> House {
    house_with("", Origin::start(answering(by_path())))
}

/// As [`house`], with lines of the block `global` and another origin.
pub(crate) fn house_with(global: &str, origin: Origin) -> House {
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{\n  data data\n  workers 1\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
         log access json stdout\n{global}\n}}\n\
         site https://localhost:{} {{\n  tls internal\n  proxy {}\n}}\n",
        address.port(),
        origin.address()
    );
    let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    House { process, address, origin }
}

/// What the origin of these tests says to a path.
fn by_path() -> Answer {
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
            "/cut-reset" => Script::new().send(chunks).reset(),
            "/bad-chunk" => Script::new().send(format!("{chunks}zz\r\n")).close(),
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

    pub(crate) fn tls() -> Tls {
        Tls::unverified("localhost").offering(&["h2"])
    }

    /// A connection on which nothing was said yet.
    pub(crate) fn silent(&self) -> Client {
        let raw = Raw::connect_tls(self.address, &Self::tls()).expect("a handshake");
        assert_eq!(raw.alpn(), Some(&b"h2"[..]));
        Client { raw, authority: self.authority() }
    }

    /// A connection with preface, these SETTINGS and the widest window.
    pub(crate) fn greeted(&self, settings: &[(u16, u32)]) -> Client {
        let mut client = self.silent();
        client.raw.call(async |wire| wire.greet(settings).await).expect("the greeting");
        client.send(&[Frame::window(0, WINDOW_MAX - 65_535)]);
        client
    }

    /// A connection whose streams have the widest window as well.
    pub(crate) fn client(&self) -> Client {
        self.greeted(&[(INITIAL_WINDOW, WINDOW_MAX)])
    }

    /// A well-behaved client.
    pub(crate) fn h2(&self) -> H2 {
        H2::connect_tls(self.address, &Self::tls()).expect("a handshake")
    }

    /// The program still serves.
    pub(crate) fn still_serves(&self) {
        let mut client = self.client();
        let get = client.get(1, "/still");
        client.send(&[get]);
        assert_eq!(client.outcome(1).status, Some(200));
    }

    /// Memory of the process, KiB.
    pub(crate) fn resident(&self) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    }
}

/// How a stream ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// By END_STREAM.
    Whole,
    /// By RST_STREAM with this code.
    Reset(u32),
    /// By GOAWAY with this code.
    Away(u32),
    /// By the connection's end alone.
    Cut,
}

/// What became of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) interim: Vec<u16>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: bool,
    pub(crate) over: Over,
}

/// A client that writes frames.
pub(crate) struct Client {
    pub(crate) raw: Raw,
    authority: String,
}

impl Client {
    pub(crate) fn get(&self, stream: u32, path: &str) -> Frame {
        Frame::get(stream, &self.authority, path)
    }

    /// HEADERS of a POST with more fields behind the pseudo-header.
    pub(crate) fn post(&self, stream: u32, path: &str, more: &[(&str, &str)]) -> Frame {
        let mut fields: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", self.authority.as_bytes()),
            (b":path", path.as_bytes()),
        ];
        fields.extend(more.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        Frame::headers(stream, 0, &fields)
    }

    /// Sends what the peer may refuse to read: that it closed is seen when its frames are read.
    pub(crate) fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        let _ = self.raw.send_while_reading(bytes);
    }

    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        self.raw.call(async |wire| wire.frame().await)
    }

    /// Reads until the stream is over.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let mut outcome = Outcome {
            status: None,
            interim: Vec::new(),
            body: Vec::new(),
            trailers: false,
            over: Over::Cut,
        };
        while let Ok(frame) = self.frame() {
            if frame.kind == kind::GOAWAY && frame.code() != Some(code::NO_ERROR) {
                outcome.over = Over::Away(frame.code().expect("GOAWAY has a code"));
                return outcome;
            }
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                kind::HEADERS if outcome.status.is_some() => outcome.trailers = true,
                kind::HEADERS => match frame.status().expect("a status") {
                    status @ 100..=199 => outcome.interim.push(status),
                    status => outcome.status = Some(status),
                },
                kind::DATA => outcome.body.extend_from_slice(&frame.payload),
                kind::RST_STREAM => {
                    outcome.over = Over::Reset(frame.code().expect("RST_STREAM has a code"));
                    return outcome;
                }
                _ => continue,
            }
            if frame.flags & flag::END_STREAM != 0 {
                outcome.over = Over::Whole;
                return outcome;
            }
        }
        outcome
    }

    /// Reads until the connection ends; the code of the last GOAWAY.
    pub(crate) fn farewell(&mut self) -> Option<u32> {
        let mut last = None;
        loop {
            match self.frame() {
                Ok(frame) if frame.kind == kind::GOAWAY => last = frame.code(),
                Ok(_) => {}
                Err(error) => {
                    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "the connection stays open");
                    return last;
                }
            }
        }
    }
}

/// HEADERS without END_HEADERS.
pub(crate) fn open_headers(stream: u32, fields: &[(&[u8], &[u8])]) -> Frame {
    Frame::new(kind::HEADERS, flag::END_STREAM, stream, hpack::literals(fields))
}

pub(crate) fn data(stream: u32, flags: u8, payload: &[u8]) -> Frame {
    Frame::new(kind::DATA, flags, stream, payload)
}
