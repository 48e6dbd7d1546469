//! The application's side of FastCGI, blocking: it reads requests and makes records.
//!
//! It shares no code with what it tests: a mistake that both sides made would be seen by nobody.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// A request as an application read it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The meta-variables.
    pub params: BTreeMap<String, String>,
    /// How many there were; more than in `params` if a name came twice.
    pub params_count: usize,
    /// The body.
    pub stdin: Vec<u8>,
    /// Whether the connection is to be kept.
    pub keep: bool,
}

impl Request {
    /// A variable; empty if there is none.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Reads a record: its type and content. `None` at the end of the connection.
///
/// # Errors
/// The connection broke, or what came is no record of request 1.
pub fn read_record(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 8];
    if from.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..])?;
    if (head[0], head[2], head[3]) != (1, 0, 1) {
        return Err(bad("not a record of version 1 and request 1"));
    }
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
    from.read_exact(&mut content)?;
    let mut padding = vec![0; usize::from(head[6])];
    from.read_exact(&mut padding)?;
    Ok(Some((head[1], content)))
}

/// Reads a request without its body.
///
/// # Errors
/// As [`read_record`], or the records come in another order than they must.
pub fn read_head(from: &mut impl Read) -> io::Result<Option<Request>> {
    let Some((kind, begin)) = read_record(from)? else { return Ok(None) };
    if kind != 1 || begin.len() != 8 || begin[..2] != [0, 1] {
        return Err(bad("does not begin a request to a responder"));
    }
    let mut request = Request { keep: begin[2] & 1 == 1, ..Request::default() };
    let mut pairs = Vec::new();
    loop {
        match read_record(from)? {
            Some((4, part)) if part.is_empty() => break,
            Some((4, part)) => pairs.extend(part),
            _ => return Err(bad("no variables")),
        }
    }
    let mut rest = &pairs[..];
    while !rest.is_empty() {
        let (name, value) = (length(&mut rest)?, length(&mut rest)?);
        let name = take(&mut rest, name)?;
        let value = take(&mut rest, value)?;
        request.params.insert(name, value);
        request.params_count += 1;
    }
    Ok(Some(request))
}

/// Reads a whole request. `None` at the end of the connection.
///
/// # Errors
/// As [`read_head`].
pub fn read_request(from: &mut impl Read) -> io::Result<Option<Request>> {
    let Some(mut request) = read_head(from)? else { return Ok(None) };
    loop {
        match read_record(from)? {
            Some((5, part)) if part.is_empty() => return Ok(Some(request)),
            Some((5, part)) => request.stdin.extend(part),
            _ => return Err(bad("the body is cut")),
        }
    }
}

fn length(rest: &mut &[u8]) -> io::Result<usize> {
    let mut first = [0];
    rest.read_exact(&mut first)?;
    if first[0] < 128 {
        return Ok(usize::from(first[0]));
    }
    let mut more = [0; 3];
    rest.read_exact(&mut more)?;
    let all = u32::from_be_bytes([first[0] & 127, more[0], more[1], more[2]]);
    usize::try_from(all).map_err(|_| bad("a length"))
}

fn take(rest: &mut &[u8], n: usize) -> io::Result<String> {
    let mut bytes = vec![0; n.min(rest.len())];
    rest.read_exact(&mut bytes)?;
    if bytes.len() < n {
        return Err(bad("a pair is cut"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A record of any kind, with so much padding.
#[must_use]
pub fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = [1, kind, 0, 1, high, low, padding, 0];
    [&head[..], content, &vec![0xEE; usize::from(padding)]].concat()
}

/// Output, in records of at most `size` bytes, each with another padding.
#[must_use]
pub fn stdout(bytes: &[u8], size: usize) -> Vec<u8> {
    let parts = bytes.chunks(size).zip((0..=255).cycle());
    parts.flat_map(|(part, padding)| record(6, part, padding)).collect()
}

/// A complaint.
#[must_use]
pub fn stderr(bytes: &[u8]) -> Vec<u8> {
    record(7, bytes, 0)
}

/// The end of a request, with a protocol status.
#[must_use]
pub fn end(protocol: u8) -> Vec<u8> {
    record(3, &[0, 0, 0, 0, protocol, 0, 0, 0], 0)
}

/// A whole response.
#[must_use]
pub fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let output = [head.as_bytes(), b"\r\n", body].concat();
    [stdout(&output, 65_535), record(6, b"", 0), end(0)].concat()
}
