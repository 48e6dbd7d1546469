//! A blocking connection that sends bytes as given, and reads messages as strictly as a peer should.
//!
//! A body counts as whole only if its framing says so: "cut" is decided here and nowhere else.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use doorman_testkit::sums::Sum;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use socket2::SockRef;

use super::PATIENCE;

/// A stream, plain or under TLS.
pub(crate) enum Lane {
    Plain(TcpStream),
    Unix(UnixStream),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    UnixClient(Box<StreamOwned<ClientConnection, UnixStream>>),
}

impl Lane {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Plain(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
            Self::Server(tls) => SockRef::from(&tls.sock),
            Self::Client(tls) => SockRef::from(&tls.sock),
            Self::UnixClient(tls) => SockRef::from(&tls.sock),
        }
    }

    fn says_goodbye(&mut self) {
        match self {
            Self::Plain(_) | Self::Unix(_) => {}
            Self::Server(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
            Self::Client(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
            Self::UnixClient(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    }
}

impl Read for Lane {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
            Self::Server(tls) => tls.read(room),
            Self::Client(tls) => tls.read(room),
            Self::UnixClient(tls) => tls.read(room),
        }
    }
}

impl Write for Lane {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Server(tls) => tls.write(bytes),
            Self::Client(tls) => tls.write(bytes),
            Self::UnixClient(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Server(tls) => tls.flush(),
            Self::Client(tls) => tls.flush(),
            Self::UnixClient(tls) => tls.flush(),
        }
    }
}

/// A head, byte for byte and split.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) raw: Vec<u8>,
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

/// How a body's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What a body came to. Of a long one only the beginning is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) kept: Vec<u8>,
    pub(crate) sum: Sum,
    pub(crate) trailers: Vec<(String, String)>,
}

/// Bytes of a body that are kept.
const KEPT_MAX: usize = 1 << 20;

impl Content {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.sum.add(piece);
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    pub(crate) fn length(&self) -> u64 {
        self.sum.length()
    }
}

/// Longer than a peer that reads lets us wait.
const STUCK: Duration = Duration::from_millis(500);

/// A connection with what was read ahead.
pub(crate) struct Wire {
    pub(crate) lane: Lane,
    input: Vec<u8>,
    at: usize,
    tap: Option<Box<dyn FnMut(&[u8]) + Send>>,
}

impl Wire {
    pub(crate) fn new(lane: Lane) -> Self {
        let socket = lane.socket();
        let _ = socket.set_read_timeout(Some(PATIENCE));
        let _ = socket.set_write_timeout(Some(PATIENCE));
        let _ = socket.set_tcp_nodelay(true);
        Self { lane, input: Vec::new(), at: 0, tap: None }
    }

    pub(crate) fn tap(&mut self, tap: impl FnMut(&[u8]) + Send + 'static) {
        self.tap = Some(Box::new(tap));
    }

    /// How long a read waits from now on.
    pub(crate) fn wait_at_most(&self, time: Duration) {
        let _ = self.lane.socket().set_read_timeout(Some(time));
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.lane.write_all(bytes.as_ref())?;
        self.lane.flush()
    }

    /// Sends until the peer has taken nothing for a while, and says how much it has taken: the rest
    /// is given up.
    pub(crate) fn send_until_stuck(&mut self, bytes: &[u8]) -> usize {
        let _ = self.lane.socket().set_write_timeout(Some(STUCK));
        let mut sent = 0;
        while let Ok(n @ 1..) = self.lane.write(&bytes[sent..]) {
            sent += n;
        }
        sent
    }

    /// Ends our direction in order.
    pub(crate) fn finish(&mut self) {
        self.lane.says_goodbye();
        let _ = self.lane.socket().shutdown(Shutdown::Write);
    }

    /// Ends our direction by a FIN alone, which under TLS is a cut.
    pub(crate) fn cut(&mut self) {
        let _ = self.lane.socket().shutdown(Shutdown::Write);
    }

    /// Closes by a reset.
    pub(crate) fn reset(self) {
        let _ = self.lane.socket().set_linger(Some(Duration::ZERO));
    }

    /// Reads more; `false` at the peer's orderly end.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.at > 0 {
            self.input.drain(..self.at);
            self.at = 0;
        }
        let known = self.input.len();
        self.input.resize(known + 64 * 1024, 0);
        let read = loop {
            match self.lane.read(&mut self.input[known..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let n = *read.as_ref().unwrap_or(&0);
        self.input.truncate(known + n);
        if let Some(tap) = &mut self.tap {
            tap(&self.input[known..]);
        }
        read.map(|n| n > 0)
    }

    fn waiting(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// Takes up to and with `needle`.
    pub(crate) fn until(&mut self, needle: &[u8]) -> io::Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            let place =
                self.waiting()[looked..].windows(needle.len()).position(|window| window == needle);
            if let Some(place) = place {
                return self.exactly(looked + place + needle.len());
            }
            looked = self.waiting().len().saturating_sub(needle.len());
            if !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.waiting().len() < n {
            if !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let taken = self.waiting()[..n].to_vec();
        self.at += n;
        Ok(taken)
    }

    /// What has come or comes next; nothing at the peer's orderly end.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.waiting().is_empty() && !self.more()? {
            return Ok(Vec::new());
        }
        self.exactly(self.waiting().len())
    }

    /// Everything up to the end, and whether the end was orderly.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let end = loop {
            match self.more() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (std::mem::take(&mut self.input).split_off(std::mem::take(&mut self.at)), end)
    }

    /// A head; `None` when the peer ends before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        while self.waiting().is_empty() {
            if !self.more()? {
                return Ok(None);
            }
        }
        let raw = self.until(b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&raw[..raw.len() - 4]).into_owned();
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines
            .map(|line| {
                let (name, value) = line.split_once(':').ok_or_else(|| bad(line))?;
                Ok((name.to_owned(), value.trim().to_owned()))
            })
            .collect::<io::Result<_>>()?;
        Ok(Some(Head { raw, line, fields }))
    }

    /// Reads a body into `content`; an error if its end is not the one that was announced.
    pub(crate) fn body(&mut self, framing: Framing, content: &mut Content) -> io::Result<()> {
        match framing {
            Framing::Length(length) => self.counted(length, content),
            Framing::Chunked => self.chunked(content),
            Framing::UntilClose => loop {
                content.add(&self.input[self.at..]);
                self.at = self.input.len();
                if !self.more()? {
                    return Ok(());
                }
            },
        }
    }

    fn counted(&mut self, length: u64, content: &mut Content) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.waiting().is_empty() && !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(self.waiting().len());
            content.add(&self.input[self.at..self.at + n]);
            self.at += n;
            left -= n as u64;
        }
        Ok(())
    }

    fn chunked(&mut self, content: &mut Content) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n")?;
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = u64::from_str_radix(&digits, 16).map_err(|_| bad(&digits))?;
            if size > 0 {
                self.counted(size, content)?;
                if self.exactly(2)? != b"\r\n" {
                    return Err(bad("no line end behind a chunk"));
                }
                continue;
            }
            loop {
                let line = self.until(b"\r\n")?;
                let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
                if line.is_empty() {
                    return Ok(());
                }
                let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
                content.trailers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("against the grammar: {what:?}"))
}

/// The framing that the fields announce; an error where they are in doubt.
pub(crate) fn framing(head: &Head, without: Framing) -> io::Result<Framing> {
    match (head.all("transfer-encoding").as_slice(), head.all("content-length").as_slice()) {
        ([], []) => Ok(without),
        ([], [length]) => length.parse().map(Framing::Length).map_err(|_| bad(length)),
        (["chunked"], []) => Ok(Framing::Chunked),
        other => Err(bad(&format!("{other:?}"))),
    }
}
