//! Messages as clients and origins of the simulation write and read them. On purpose not the
//! proxy's own codec: a reader that shares its mistakes would see none.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request as a client means it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Sent {
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }
}

/// How a message's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// At its declared end.
    Whole,
    /// With the connection, which was its declared end.
    WithConnection,
    /// Before its end.
    Cut,
}

/// A message as it was read.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: Ended,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(n, _)| n == name).count()
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

/// Reads messages from a stream, one after the other.
pub(crate) struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
}

/// How the body of a message is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    /// The response to HEAD.
    Bodiless,
}

/// Content of one message never comes near this.
const BODY_MAX: usize = 4 << 20;

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    async fn more(&mut self) -> io::Result<bool> {
        let n = self.stream.read_buf(&mut self.buffer).await?;
        assert!(self.buffer.len() <= BODY_MAX, "somebody invents bytes");
        Ok(n > 0)
    }

    /// The next head, parsed strictly: a byte out of place is a panic, since the proxy must never
    /// send one. `None` when the stream ends before a whole head.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let text = std::str::from_utf8(&head[..end]).expect("heads are ASCII here");
        let mut lines = text.split("\r\n");
        let start = lines.next().expect("a first line").to_owned();
        let fields = lines.map(|line| {
            let (name, value) =
                line.split_once(": ").unwrap_or_else(|| panic!("a strange line: {line:?}"));
            assert!(!name.is_empty() && !name.contains(' '), "a strange name: {line:?}");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Some(Message { start, fields: fields.collect(), body: Vec::new(), ended: Ended::Cut })
    }

    /// Reads the body that belongs to a head.
    pub(crate) async fn body(&mut self, message: &mut Message, kind: Kind) {
        let lengths = message.count("content-length");
        let codings = message.count("transfer-encoding");
        assert!(lengths + codings <= 1, "I2: framing is ambiguous: {message:?}");
        if kind == Kind::Bodiless
            || matches!(message.status(), 100..=199 | 204 | 304) && kind == Kind::Response
        {
            message.ended = Ended::Whole;
        } else if let Some(length) = message.field("content-length") {
            let length = length.parse().expect("a length");
            message.ended = self.sized(length, &mut message.body).await;
        } else if codings == 1 {
            assert_eq!(message.field("transfer-encoding"), Some("chunked"));
            message.ended = self.chunked(&mut message.body).await;
        } else if kind == Kind::Request {
            message.ended = Ended::Whole;
        } else {
            message.ended = loop {
                match self.more().await {
                    Ok(true) => {}
                    Ok(false) => break Ended::WithConnection,
                    Err(_) => break Ended::Cut,
                }
            };
            message.body = std::mem::take(&mut self.buffer);
        }
    }

    async fn sized(&mut self, length: usize, body: &mut Vec<u8>) -> Ended {
        while self.buffer.len() < length {
            if !self.more().await.unwrap_or(false) {
                *body = std::mem::take(&mut self.buffer);
                return Ended::Cut;
            }
        }
        *body = self.buffer.drain(..length).collect();
        Ended::Whole
    }

    async fn chunked(&mut self, body: &mut Vec<u8>) -> Ended {
        loop {
            let Some(line) = self.line().await else { return Ended::Cut };
            let size = usize::from_str_radix(&line, 16)
                .unwrap_or_else(|_| panic!("a strange chunk: {line:?}"));
            let mut chunk = Vec::new();
            if size == 0 {
                // No trailers are sent in these stories.
                return match self.line().await {
                    Some(line) if line.is_empty() => Ended::Whole,
                    Some(line) => panic!("a strange trailer: {line:?}"),
                    None => Ended::Cut,
                };
            }
            let ended = self.sized(size, &mut chunk).await;
            body.extend_from_slice(&chunk);
            if ended == Ended::Cut {
                return Ended::Cut;
            }
            match self.line().await {
                Some(line) => assert!(line.is_empty(), "a chunk is longer than its size"),
                None => return Ended::Cut,
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8(line[..at].to_vec()).ok();
            }
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
    }
}

/// Bytes that belong to one request alone.
pub(crate) fn pattern(id: u64, length: usize) -> Vec<u8> {
    let mut state = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length);
    for _ in 0..length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(b'a' + u8::try_from(state % 26).expect("below 26"));
    }
    bytes
}

/// A number drawn from a seed and a place.
pub(crate) fn draw(seed: u64, place: u64, below: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % below
}

/// One of these, drawn from a seed and a place.
pub(crate) fn drawn<T: Clone>(seed: u64, place: u64, values: &[T]) -> T {
    let index = draw(seed, place, values.len() as u64);
    values[usize::try_from(index).expect("small")].clone()
}

/// A body in chunks of drawn sizes.
pub(crate) fn chunks(body: &[u8], seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    let mut place = 0;
    while !rest.is_empty() {
        place += 1;
        let size = usize::try_from(draw(seed, place, 5000)).expect("small").clamp(1, rest.len());
        out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        out.extend_from_slice(&rest[..size]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[size..];
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
