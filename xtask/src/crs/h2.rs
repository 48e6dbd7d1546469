//! Requests over HTTP/2 (RFC 9113), on a connection under TLS each. Frames are written by hand, because no
//! client would send what the suite sends: fields hold whatever a test puts in them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use doorman_h2::{Connection, Content, Event, Limits, RequestFault, Settings};
use doorman_http::{Instant, RequestHead, Scheme, huffman, integer};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::h1::{Answered, WAIT};
use super::message::{self, Refused};
use super::translate::{Field, Request};
use crate::failure::{During, Failure};
use crate::wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame, as long as the server does not take more.
const FRAME: usize = 16 * 1024;
/// Bytes of DATA that may go out before the server says more.
const WINDOW: i64 = 65_535;
/// The only stream.
const STREAM: u32 = 1;
const PROTOCOL_ERROR: &[u8] = &[0, 0, 0, 1];

/// Types of frames (section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How the client shakes hands.
///
/// # Errors
/// TLS is not to be had.
pub(crate) fn tls() -> Result<Arc<ClientConfig>, Failure> {
    let mut config = wire::tls_config()?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Sends a request, and reads until the answer's head is there, or the stream has ended.
///
/// # Errors
/// There is no server at the address, or none that speaks HTTP/2.
pub(crate) fn send(
    server: SocketAddr,
    tls: &Arc<ClientConfig>,
    request: &Request,
) -> Result<Answered, Failure> {
    let during = || format!("connecting to {server}");
    let tcp = TcpStream::connect_timeout(&server, WAIT).during(during())?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(WAIT))?;
    tcp.set_write_timeout(Some(WAIT))?;
    let session = ClientConnection::new(Arc::clone(tls), ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(session, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).during(during())?;
    }
    if stream.conn.alpn_protocol() != Some(b"h2") {
        return Err(Failure::new(format!("{server} does not speak HTTP/2")));
    }
    let mut talk = Talk::new(stream);
    // Whatever ends the connection early: what came until then is what counts.
    _ = talk.exchange(request);
    Ok(talk.answered)
}

/// One request and its answer on a connection.
struct Talk<S> {
    stream: S,
    /// How much may be sent on the stream, and on the connection.
    windows: [i64; 2],
    block: Vec<u8>,
    answered: Answered,
    has_ended: bool,
}

impl<S: Read + Write> Talk<S> {
    fn new(stream: S) -> Self {
        let answered = Answered::default();
        Self { stream, windows: [WINDOW; 2], block: Vec::new(), answered, has_ended: false }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<()> {
        self.stream.write_all(&opening(request))?;
        let mut rest = request.content.as_slice();
        while !self.has_ended {
            let room = self.windows.into_iter().min().unwrap_or_default();
            let room = usize::try_from(room).unwrap_or_default().min(FRAME).min(rest.len());
            if room > 0 {
                let (piece, behind) = rest.split_at(room);
                rest = behind;
                self.windows = self.windows.map(|window| window - room as i64);
                // A server that refuses early need not take all; its answer is what counts.
                if self.stream.write_all(&data(piece, rest.is_empty())).is_err() {
                    rest = &[];
                }
                continue;
            }
            self.stream.flush()?;
            self.read()?;
        }
        Ok(())
    }

    /// Takes the next frame.
    fn read(&mut self) -> io::Result<()> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        self.stream.read_exact(&mut payload)?;
        let is_ours = u32::from_be_bytes(stream) == STREAM;
        match kind {
            kind::SETTINGS if flags & ACK == 0 => {
                self.windows[0] += settled(&payload) - WINDOW;
                self.stream.write_all(&frame(kind::SETTINGS, ACK, 0, &[]))?;
            }
            kind::PING if flags & ACK == 0 => {
                self.stream.write_all(&frame(kind::PING, ACK, 0, &payload))?;
            }
            kind::WINDOW_UPDATE => {
                let more = payload.first_chunk().map_or(0, |more| u32::from_be_bytes(*more));
                self.windows[usize::from(!is_ours)] += i64::from(more);
            }
            kind::HEADERS | kind::CONTINUATION if is_ours => {
                self.block.extend_from_slice(&payload);
                if flags & END_HEADERS != 0 {
                    self.take_head();
                }
            }
            kind::RST_STREAM if is_ours => {
                self.answered.is_reset = payload == PROTOCOL_ERROR;
                self.has_ended = true;
            }
            kind::GOAWAY => self.has_ended = true,
            _ => {}
        }
        Ok(())
    }

    fn take_head(&mut self) {
        let block = std::mem::take(&mut self.block);
        let answered = answered(&block).unwrap_or_default();
        // An interim one is not what was asked for.
        self.has_ended = !matches!(answered.status, Some(100..=199));
        if self.has_ended {
            self.answered = answered;
        }
    }
}

/// All up to the content: no table for the answer's fields, and no pushes.
fn opening(request: &Request) -> Vec<u8> {
    const SETTINGS: &[u8] = &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(kind::SETTINGS, 0, 0, SETTINGS));
    let block = block(&request.fields);
    let mut pieces = block.chunks(FRAME).peekable();
    let mut kind = kind::HEADERS;
    let mut flags = if request.content.is_empty() { END_STREAM } else { 0 };
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            flags |= END_HEADERS;
        }
        bytes.extend(frame(kind, flags, STREAM, piece));
        (kind, flags) = (kind::CONTINUATION, 0);
    }
    bytes
}

fn data(piece: &[u8], is_last: bool) -> Vec<u8> {
    frame(kind::DATA, if is_last { END_STREAM } else { 0 }, STREAM, piece)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let head = [&length[..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Literals without indexing, and without Huffman's code (RFC 7541 section 6.2.2).
fn block(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer::write(text.len() as u64, 7, 0, &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// The window of streams that a server announces.
fn settled(settings: &[u8]) -> i64 {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let mut pairs = settings.chunks_exact(6);
    let found = pairs.find(|pair| pair[..2] == INITIAL_WINDOW_SIZE);
    let value = found.and_then(|pair| pair.last_chunk().copied());
    value.map_or(WINDOW, |value| i64::from(u32::from_be_bytes(value)))
}

/// What is of interest of an answer's head; `None` if it cannot be read.
fn answered(mut block: &[u8]) -> Option<Answered> {
    /// Values of `:status` that the static table holds, from entry 8 on (RFC 7541 appendix A).
    const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    const FIRST: u64 = 8;
    let mut answered = Answered::default();
    while let Some(&first) = block.first() {
        if first & 0x80 != 0 {
            let index = integer::read(&mut block, 7).ok()?.checked_sub(FIRST);
            let known = index.and_then(|index| KNOWN.get(usize::try_from(index).ok()?));
            answered.status = known.copied().or(answered.status);
            continue;
        }
        if first & 0xE0 == 0x20 {
            integer::read(&mut block, 5).ok()?;
            continue;
        }
        // With indexing, for which there is no table, or without.
        let bits = if first & 0x40 == 0 { 4 } else { 6 };
        let index = integer::read(&mut block, bits).ok()?;
        let name = if index == 0 { string(&mut block)? } else { Vec::new() };
        let value = string(&mut block)?;
        let value = String::from_utf8_lossy(&value);
        if (FIRST..FIRST + KNOWN.len() as u64).contains(&index) {
            answered.status = value.parse().ok();
        } else if name == b"x-request-id" {
            answered.request_id = Some(value.into_owned());
        }
    }
    Some(answered)
}

fn string(block: &mut &[u8]) -> Option<Vec<u8>> {
    let is_coded = block.first()? & 0x80 != 0;
    let length = usize::try_from(integer::read(block, 7).ok()?).ok()?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    if !is_coded {
        return Some(text.to_vec());
    }
    let mut plain = Vec::new();
    huffman::decode(text, &mut plain).ok()?;
    Some(plain)
}

/// Whether the house's own parser takes what [`send`] sends.
pub(crate) fn judge(request: &Request) -> Result<(), Refused> {
    let limits = doorman_h1::Limits::default();
    let limits = Limits { head_bytes: limits.head_bytes, fields: limits.fields, streams: 1 };
    let settings = Settings {
        limits,
        scheme: Scheme::Https,
        head: Box::<RequestHead>::default,
        may_trail: doorman_h1::may_be_trailer,
    };
    let now = Instant::default();
    let mut connection = Connection::new(settings, now);
    let opening = opening(request);
    let mut input = opening.as_slice();
    let ended = |reason| Refused { status: 400, reason, is_reset: true };
    let opened = loop {
        match connection.read(&mut input, now).map_err(|fault| ended(fault.reason))? {
            Some(Event::Request(opened)) => break opened,
            Some(_) => {}
            None => return Err(ended("the head does not end")),
        }
    };
    opened.verdict.map_err(|fault| match fault {
        RequestFault::Malformed(reason) => Refused { status: 400, reason, is_reset: true },
        RequestFault::Refused(status, reason) => Refused { status, reason, is_reset: false },
    })?;
    let mut pieces = request.content.chunks(FRAME).peekable();
    while let Some(piece) = pieces.next() {
        let bytes = data(piece, pieces.peek().is_none());
        let mut input = bytes.as_slice();
        while connection.read(&mut input, now).map_err(|fault| ended(fault.reason))?.is_some() {}
        while let Content::Data(_) = connection.content(opened.stream, now) {}
    }
    match connection.content(opened.stream, now) {
        Content::Cut(reason) => Err(ended(reason.unwrap_or(message::CUT))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_judged(request: &Request, expected: Option<(u16, &str, bool)>) {
        let told = judge(request).err();
        assert_eq!(told.map(|told| (told.status, told.reason, told.is_reset)), expected);
    }

    #[test]
    fn the_house_judges() {
        check_judged(&Request::post(&[], b""), None);
        check_judged(&Request::post(&[], &[b'a'; 200_000]), None);
        check_judged(&Request::post(&[("long", &"v".repeat(20_000))], b"abc"), None);
        check_judged(&Request::post(&[("content-length", "3")], b"abc"), None);
        check_judged(
            &Request::post(&[("connection", "close")], b""),
            Some((400, "connection-specific field in HTTP/2", true)),
        );
        check_judged(
            &Request::post(&[("host", "i")], b""),
            Some((400, "Host and :authority differ", false)),
        );
        for length in ["2", "4"] {
            let told = judge(&Request::post(&[("content-length", length)], b"abc"));
            assert!(told.is_err_and(|told| told.is_reset), "{length}");
        }
    }

    #[track_caller]
    fn check_answered(block: &[u8], expected: Option<(Option<u16>, Option<&str>)>) {
        let read = answered(block);
        let read = read.as_ref().map(|read| (read.status, read.request_id.as_deref()));
        assert_eq!(read, expected, "{block:02x?}");
    }

    #[test]
    fn heads_of_answers_are_read() {
        let id = b"\x00\x0cx-request-id\x027a";
        check_answered(&[b"\x20\x88", &id[..]].concat(), Some((Some(200), Some("7a"))));
        check_answered(&[b"\x48\x03418", &id[..]].concat(), Some((Some(418), Some("7a"))));
        // 403 as RFC 7541's code of Huffman has it, and a field of the static table.
        check_answered(b"\x08\x83\x68\x0c\xff\x5f\x01a", Some((Some(403), None)));
        check_answered(b"\x8d", Some((Some(404), None)));
        check_answered(b"\x48\x0341", None);
    }

    /// What a server said, and what it was told.
    struct Scripted(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Scripted {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The answer, and how many bytes of content went out.
    #[track_caller]
    fn check_exchange(frames: &[Vec<u8>], expected: Answered, sent: usize) {
        let request = Request::post(&[], &[b'a'; 100_000]);
        let mut talk = Talk::new(Scripted(io::Cursor::new(frames.concat()), Vec::new()));
        _ = talk.exchange(&request);
        assert_eq!(talk.answered, expected);
        let written = talk.stream.1.iter().filter(|byte| **byte == b'a').count();
        // One letter is in the name of the authority's field.
        assert_eq!(written, sent + block(&request.fields).iter().filter(|b| **b == b'a').count());
    }

    #[test]
    fn content_goes_out_as_windows_allow() {
        let ok = Answered { status: Some(200), ..Answered::default() };
        let head = frame(kind::HEADERS, END_HEADERS, STREAM, &[0x88]);
        let interim = frame(kind::HEADERS, END_HEADERS, STREAM, b"\x48\x03100");
        check_exchange(std::slice::from_ref(&head), ok.clone(), 65_535);
        let more = |stream| frame(kind::WINDOW_UPDATE, 0, stream, &50_000_u32.to_be_bytes());
        check_exchange(&[more(STREAM), head.clone()], ok.clone(), 65_535);
        check_exchange(&[more(0), more(STREAM), interim, head.clone()], ok.clone(), 100_000);
        let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 2, 0, 0]);
        check_exchange(&[settings, more(0), head], ok, 100_000);
        let reset = frame(kind::RST_STREAM, 0, STREAM, PROTOCOL_ERROR);
        let told = Answered { is_reset: true, ..Answered::default() };
        check_exchange(&[reset], told, 65_535);
    }
}
