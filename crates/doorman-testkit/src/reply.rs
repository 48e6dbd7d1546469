//! Responses as a strict client reads them, with how each came to its end.
//!
//! The reader normalises nothing and believes nothing: fields keep their order, case and bytes,
//! and a body counts as complete only if its framing says so.

use std::io;

use doorman_net::seam::Stream;

use crate::sums::Sum;
use crate::wire::{End, Wire};

/// Longer heads are an error: no test needs them, and a loop would otherwise read for ever.
const HEAD_MAX: usize = 1 << 20;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The first line, without its line end.
    pub line: String,
    /// The status code.
    pub status: u16,
    /// Fields in order; values without the blanks around them.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The 1xx responses before it.
    pub interim: Vec<Self>,
    /// How its length was told.
    pub framing: Framing,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// How it ended.
    pub ending: Ending,
}

/// How a body's length was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By a count.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the connection's end.
    UntilClose,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As its framing said.
    Complete,
    /// The connection ended before.
    Cut(End),
    /// What came is against the framing's grammar.
    Malformed,
}

impl Reply {
    /// The value of the first field with that name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields with that name that are text.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The checksum of the body.
    #[must_use]
    pub fn sum(&self) -> u64 {
        Sum::of(&self.body)
    }

    /// Whether it ended as its framing said.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ending == Ending::Complete
    }
}

pub(crate) fn values<'a>(fields: &'a [(String, Vec<u8>)], name: &str) -> Vec<&'a str> {
    let same = fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    same.filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect()
}

/// Whether the method's responses have a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By HEAD: there is never one.
    Head,
    /// By CONNECT: after a 2xx the bytes are a tunnel's.
    Connect,
    /// By any other method.
    Other,
}

impl<S: Stream> Wire<S> {
    /// Reads one response and the 1xx before it.
    ///
    /// # Errors
    /// The connection ended within a head, or what came is no response; the bytes are kept in
    /// [`Wire::received`].
    pub async fn response(&mut self, asked: Asked) -> io::Result<Reply> {
        let mut interim = Vec::new();
        loop {
            let mut reply = self.response_head().await?;
            if (100..200).contains(&reply.status) && reply.status != 101 {
                interim.push(reply);
                continue;
            }
            reply.interim = std::mem::take(&mut interim);
            reply.framing = framing_of(&reply, asked)?;
            let mut body = BodyReader::default();
            reply.ending = match reply.framing {
                Framing::None => Ending::Complete,
                Framing::Length(length) => self.counted(length, &mut body).await,
                Framing::Chunked => self.chunked(&mut body).await,
                Framing::UntilClose => {
                    let end = self.read_to_end().await;
                    let rest = self.waiting().len();
                    body.bytes.extend_from_slice(self.take(rest));
                    if end == End::Finished { Ending::Complete } else { Ending::Cut(end) }
                }
            };
            reply.body = body.bytes;
            reply.trailers = body.trailers;
            return Ok(reply);
        }
    }

    async fn response_head(&mut self) -> io::Result<Reply> {
        let head = self.take_head().await?;
        let Head { line, fields } = Head::split(&head)?;
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| invalid(format!("no status line: {line:?}")))?;
        Ok(Reply {
            line,
            status,
            fields,
            interim: Vec::new(),
            framing: Framing::None,
            body: Vec::new(),
            trailers: Vec::new(),
            ending: Ending::Complete,
        })
    }

    /// Takes a head, to the empty line and with it.
    pub(crate) async fn take_head(&mut self) -> io::Result<Vec<u8>> {
        let head = self.take_until(b"\r\n\r\n").await?;
        if head.len() > HEAD_MAX {
            return Err(invalid("the head is too long".into()));
        }
        Ok(head.to_vec())
    }

    pub(crate) async fn counted(&mut self, length: u64, body: &mut BodyReader) -> Ending {
        let mut left = length;
        while left > 0 {
            if self.waiting().is_empty() && !self.more().await {
                return Ending::Cut(self.end().unwrap_or(End::Finished));
            }
            let piece = self.take(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            body.add(piece);
            self.forget_if(body);
        }
        Ending::Complete
    }

    pub(crate) async fn chunked(&mut self, body: &mut BodyReader) -> Ending {
        loop {
            let Ok(line) = self.take_until(b"\r\n").await else {
                return Ending::Cut(self.end().unwrap_or(End::Finished));
            };
            let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b' ')).next();
            let size = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let Some(size) = size.and_then(|size| u64::from_str_radix(size, 16).ok()) else {
                return Ending::Malformed;
            };
            if size == 0 {
                return self.trailers(body).await;
            }
            let ending = self.counted(size, body).await;
            if ending != Ending::Complete {
                return ending;
            }
            match self.take_exactly(2).await {
                Ok(b"\r\n") => {}
                Ok(_) => return Ending::Malformed,
                Err(_) => return Ending::Cut(self.end().unwrap_or(End::Finished)),
            }
        }
    }

    async fn trailers(&mut self, body: &mut BodyReader) -> Ending {
        loop {
            let Ok(line) = self.take_until(b"\r\n").await else {
                return Ending::Cut(self.end().unwrap_or(End::Finished));
            };
            if line == b"\r\n" {
                return Ending::Complete;
            }
            let Some(field) = split_field(&line[..line.len() - 2]) else {
                return Ending::Malformed;
            };
            body.trailers.push(field);
        }
    }

    fn forget_if(&mut self, body: &BodyReader) {
        if body.keep.is_some() {
            self.forget();
        }
    }
}

/// Where a body goes.
#[derive(Default)]
pub(crate) struct BodyReader {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    pub(crate) sum: Sum,
    /// How many bytes are kept; all if there is no number.
    pub(crate) keep: Option<usize>,
}

impl BodyReader {
    fn add(&mut self, piece: &[u8]) {
        self.sum.add(piece);
        let room = self.keep.map_or(usize::MAX, |keep| keep.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// The lines of a head.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    pub(crate) fn split(head: &[u8]) -> io::Result<Self> {
        let text = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
        let mut lines =
            text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let fields = lines
            .map(|line| {
                let shown = String::from_utf8_lossy(line);
                split_field(line).ok_or_else(|| invalid(format!("no field: {shown:?}")))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { line, fields })
    }
}

fn split_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(line[..colon].to_vec()).ok()?;
    Some((name, line[colon + 1..].trim_ascii().to_vec()))
}

/// RFC 9112 section 6.3.
fn framing_of(reply: &Reply, asked: Asked) -> io::Result<Framing> {
    let tunnel = asked == Asked::Connect && (200..300).contains(&reply.status);
    if asked == Asked::Head || tunnel || matches!(reply.status, 101 | 204 | 304) {
        return Ok(Framing::None);
    }
    let (codings, lengths) = (reply.all("transfer-encoding"), reply.all("content-length"));
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Framing::UntilClose),
        ([], [length]) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| invalid(format!("no length: {length:?}"))),
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        _ => Err(invalid(format!("framing in doubt: {codings:?}, {lengths:?}"))),
    }
}

pub(crate) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
