//! A stream that a client reads piece by piece, and writes where it is a tunnel: what is never over, or
//! whose pieces must not wait for each other. The same over every front.

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use doorman_testkit::h3::{Ended, RawH3, RawStream, frames};
use doorman_testkit::websocket::{KEY, accept};
use h2::ext::Protocol;
use http::{Method, Request};

use super::client::{H2, tls};
use super::wire::bad;
use super::{Front, House, Wire};

/// A stream that is open.
pub(crate) struct Flow {
    way: Way,
    input: Vec<u8>,
}

enum Way {
    Bytes(Box<Wire>),
    Chunks(Box<Wire>),
    H2(Box<H2>, h2::SendStream<Bytes>, h2::RecvStream),
    H3(Box<RawH3>, RawStream, Vec<u8>),
}

/// H3_REQUEST_CANCELLED.
const CANCELLED: u32 = 0x10c;

impl Flow {
    /// Asks for a WebSocket as the house's front wants it; the status where it gets none.
    pub(crate) fn websocket(house: &House, path: &str) -> Result<Self, u16> {
        match house.front {
            Front::H1 | Front::H1Tls => websocket_h1(house, path),
            Front::H2 | Front::H2c => {
                let h2 = H2::connect(house);
                let sender = h2.sender.clone();
                let request = Request::builder()
                    .method(Method::CONNECT)
                    .extension(Protocol::from_static("websocket"))
                    .uri(house.uri(path))
                    .header("sec-websocket-version", "13");
                let (answer, send) = h2.run(async {
                    // Not before the house has said that it takes it (RFC 8441 section 3).
                    while !sender.is_extended_connect_protocol_enabled() {
                        tokio::task::yield_now().await;
                    }
                    let mut sender = sender.ready().await.expect("a connection");
                    let request = request.body(()).expect("a request");
                    sender.send_request(request, false).expect("a request")
                });
                answered_h2(h2, answer, send)
            }
            Front::H3 => {
                let head = frames::headers(&[
                    (":method", "CONNECT"),
                    (":protocol", "websocket"),
                    (":scheme", "https"),
                    (":authority", "localhost"),
                    (":path", path),
                    ("sec-websocket-version", "13"),
                ]);
                let h3 = RawH3::connect(house.address, &tls(house)).expect("a handshake");
                let stream = h3.stream(&head).expect("a connection");
                answered_h3(h3, stream)
            }
        }
    }

    /// Asks for an answer that goes on; the status where it is another than 200.
    pub(crate) fn get(house: &House, path: &str) -> Result<Self, u16> {
        match house.front {
            Front::H1 | Front::H1Tls => {
                let mut wire = Box::new(Wire::connect(house));
                wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                    .expect("a connection");
                let head = wire.head().expect("an answer").expect("an answer");
                match status(&head.line) {
                    200 => {
                        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
                        Ok(Self::new(Way::Chunks(wire)))
                    }
                    other => Err(other),
                }
            }
            Front::H2 | Front::H2c => {
                let h2 = H2::connect(house);
                let sender = h2.sender.clone();
                let request = Request::get(house.uri(path)).body(()).expect("a request");
                let (answer, send) = h2.run(async {
                    let mut sender = sender.ready().await.expect("a connection");
                    sender.send_request(request, true).expect("a request")
                });
                answered_h2(h2, answer, send)
            }
            Front::H3 => {
                let h3 = RawH3::connect(house.address, &tls(house)).expect("a handshake");
                let head = frames::request("GET", "localhost", path, &[]);
                let stream = h3.request(&head).expect("a connection");
                answered_h3(h3, stream)
            }
        }
    }

    fn new(way: Way) -> Self {
        Self { way, input: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        match &mut self.way {
            Way::Bytes(wire) | Way::Chunks(wire) => wire.send(bytes).expect("a connection"),
            Way::H2(h2, send, _) => h2.run(async {
                let mut left = Bytes::copy_from_slice(bytes);
                while !left.is_empty() {
                    send.reserve_capacity(left.len());
                    let room = poll_fn(|cx| send.poll_capacity(cx)).await;
                    let room = room.expect("an open stream").expect("an open stream");
                    let part = left.split_to(room.min(left.len()));
                    send.send_data(part, false).expect("an open stream");
                }
            }),
            Way::H3(h3, stream, _) => {
                let frame = frames::frame(frames::kind::DATA, bytes);
                assert_eq!(h3.write(stream, &frame).expect("patience"), Ended::Whole);
            }
        }
    }

    /// Ends our direction in order.
    pub(crate) fn finish(&mut self) {
        match &mut self.way {
            Way::Bytes(wire) | Way::Chunks(wire) => wire.finish(),
            Way::H2(h2, send, _) => h2.run(async {
                send.send_data(Bytes::new(), true).expect("an open stream");
            }),
            Way::H3(h3, stream, _) => h3.finish(stream),
        }
    }

    /// Gives up both directions. What is given back has to live until that has been noticed.
    pub(crate) fn cut(self) -> Option<Box<RawH3>> {
        match self.way {
            Way::Bytes(wire) | Way::Chunks(wire) => wire.reset(),
            Way::H2(h2, mut send, recv) => {
                send.send_reset(h2::Reason::CANCEL);
                drop((send, recv));
                let _ = h2.closed();
            }
            Way::H3(h3, mut stream, _) => {
                h3.cancel(&mut stream, CANCELLED);
                return Some(h3);
            }
        }
        None
    }

    /// Reads more; `false` at the peer's orderly end.
    fn more(&mut self) -> io::Result<bool> {
        let piece = match &mut self.way {
            Way::Bytes(wire) => wire.some()?,
            Way::Chunks(wire) => chunk(wire)?,
            Way::H2(h2, _, recv) => h2.run(async {
                match recv.data().await {
                    None => Ok(Vec::new()),
                    Some(Err(error)) => Err(io::Error::other(error)),
                    Some(Ok(data)) => {
                        let _ = recv.flow_control().release_capacity(data.len());
                        Ok(data.to_vec())
                    }
                }
            })?,
            Way::H3(h3, stream, input) => match frame(h3, stream, input)? {
                Some((frames::kind::DATA, payload)) => payload,
                Some((kind, _)) => return Err(bad(&format!("a frame of type {kind}"))),
                None => Vec::new(),
            },
        };
        self.input.extend_from_slice(&piece);
        Ok(!piece.is_empty())
    }

    #[track_caller]
    pub(crate) fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.input.len() < n {
            assert!(self.more().expect("more of it"), "it ended behind {:?}", self.input);
        }
        self.input.drain(..n).collect()
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
        (std::mem::take(&mut self.input), end)
    }
}

fn status(line: &str) -> u16 {
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.unwrap_or_else(|| panic!("no status line: {line:?}"))
}

fn websocket_h1(house: &House, path: &str) -> Result<Flow, u16> {
    let mut wire = Box::new(Wire::connect(house));
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    ))
    .expect("a connection");
    let head = wire.head().expect("an answer").expect("an answer");
    match status(&head.line) {
        101 => {
            assert_eq!(head.field("sec-websocket-accept"), Some(accept(KEY).as_str()));
            assert_eq!(head.field("upgrade"), Some("websocket"));
            Ok(Flow::new(Way::Bytes(wire)))
        }
        other => Err(other),
    }
}

fn answered_h2(
    h2: H2,
    answer: h2::client::ResponseFuture,
    send: h2::SendStream<Bytes>,
) -> Result<Flow, u16> {
    let response = h2.run(answer).expect("an answer");
    match response.status().as_u16() {
        200 => {
            for name in ["upgrade", "connection", "sec-websocket-accept"] {
                assert_eq!(response.headers().get(name), None);
            }
            Ok(Flow::new(Way::H2(Box::new(h2), send, response.into_body())))
        }
        other => Err(other),
    }
}

fn answered_h3(h3: RawH3, mut stream: RawStream) -> Result<Flow, u16> {
    let mut input = Vec::new();
    loop {
        let frame = frame(&h3, &mut stream, &mut input).expect("an answer");
        let (kind, section) = frame.expect("an answer");
        assert_eq!(kind, frames::kind::HEADERS);
        match frames::status(&section).expect("a status") {
            100..=199 => {}
            200 => return Ok(Flow::new(Way::H3(Box::new(h3), stream, input))),
            other => return Err(other),
        }
    }
}

/// The next frame; `None` at an orderly end.
fn frame(
    h3: &RawH3,
    stream: &mut RawStream,
    input: &mut Vec<u8>,
) -> io::Result<Option<(u64, Vec<u8>)>> {
    loop {
        if let Some((kind, payload, length)) = first_frame(input) {
            input.drain(..length);
            return Ok(Some((kind, payload)));
        }
        match h3.more(stream)? {
            Ok(bytes) => input.extend_from_slice(&bytes),
            Err(Ended::Whole) if input.is_empty() => return Ok(None),
            Err(ended) => return Err(io::Error::other(format!("{ended:?}"))),
        }
    }
}

/// Type, payload and whole length of the frame that `input` begins with.
fn first_frame(input: &[u8]) -> Option<(u64, Vec<u8>, usize)> {
    let (kind, rest) = frames::read_varint(input)?;
    let (length, rest) = frames::read_varint(rest)?;
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    Some((kind, payload.to_vec(), input.len() - rest.len() + payload.len()))
}

/// The next chunk; nothing for the last.
fn chunk(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let line = wire.until(b"\r\n")?;
    let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
    let size = usize::from_str_radix(&digits, 16).map_err(|_| bad(&digits))?;
    let piece = wire.exactly(size)?;
    wire.until(b"\r\n")?;
    Ok(piece)
}
