//! What is known of a request and its response, as rules see it.
//!
//! Nothing here changes while a phase runs: what rules change is in [`super::live`]. So values that
//! rules look at can be borrowed from here while their effects are made.

use std::net::SocketAddr;

use doorman_http::Now;

use crate::body::{self, Pair, Read};
use crate::rule::Settings;

/// What is known of a transaction before its first byte.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who asks.
    pub client: SocketAddr,
    /// Who is asked.
    pub server: SocketAddr,
    /// When it began.
    pub now: Now,
    /// What nobody else's transaction is called.
    pub unique_id: String,
}

/// All that has been told.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    pub(crate) request: Request,
    pub(crate) response: Response,
}

/// What is known of the request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    /// As on the wire.
    pub(crate) target: Vec<u8>,
    pub(crate) protocol: Vec<u8>,
    pub(crate) line: Vec<u8>,
    /// Where path and query begin in the target.
    uri: usize,
    /// The path, with percent escapes decoded once.
    pub(crate) filename: Vec<u8>,
    /// The query without its question mark; `None` where there is none.
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) fields: Vec<Pair>,
    pub(crate) cookies: Vec<Pair>,
    /// Arguments of the query.
    pub(crate) arguments: Vec<Pair>,
    pub(crate) query_error: bool,
    /// Whether the query has more arguments than are read.
    pub(crate) query_over: bool,
    pub(crate) body: RequestBody,
}

/// What is known of the request's body.
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    pub(crate) read: Read,
    /// Bytes told of, with those past the limit.
    pub(crate) length: u64,
    /// REQUEST_BODY, where it is made.
    pub(crate) raw: Option<Vec<u8>>,
    /// Whether it went over its limit.
    pub(crate) over: bool,
}

/// What is known of the response.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: Option<u16>,
    pub(crate) protocol: Vec<u8>,
    pub(crate) fields: Vec<Pair>,
    /// RESPONSE_BODY, where it is looked at.
    pub(crate) body: Option<Vec<u8>>,
    /// Bytes told of, with those past the limit.
    pub(crate) length: u64,
    pub(crate) over: bool,
}

impl Seen {
    pub(crate) fn new(facts: Facts) -> Self {
        Self { facts, request: Request::default(), response: Response::default() }
    }
}

impl Request {
    /// Takes the request line in.
    pub(crate) fn take_line(
        &mut self,
        method: &[u8],
        target: &[u8],
        protocol: &[u8],
        settings: &Settings,
    ) {
        self.line = [method, b" ", target, b" ", protocol].concat();
        self.method = method.to_vec();
        self.protocol = protocol.to_vec();
        self.target = target.to_vec();
        self.uri = authority_end(target);
        let uri = &self.target[self.uri..];
        let mark = memchr::memchr(b'?', uri);
        self.filename = percent_decoded(&uri[..mark.unwrap_or(uri.len())]);
        self.query = mark.map(|mark| uri[mark + 1..].to_vec());
        let bounds = body::Bounds::of(settings);
        let separator = settings.argument_separator;
        let query = self.query.as_deref().unwrap_or_default();
        self.arguments.clear();
        self.query_error = body::query(query, separator, &bounds, &mut self.arguments);
        // Behind the last separator there is an argument only if there is anything.
        let separators = memchr::memchr_iter(separator, query).count();
        let last = query.last().is_some_and(|byte| *byte != separator);
        self.query_over = separators + usize::from(last) > bounds.arguments_max;
    }

    /// Takes a field in.
    pub(crate) fn take_field(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"cookie") {
            body::cookies(value, &mut self.cookies);
        }
        self.fields.push(Pair { name: name.to_vec(), value: value.to_vec() });
    }

    /// Path and query as they are on the wire, without scheme and authority.
    pub(crate) fn uri(&self) -> &[u8] {
        &self.target[self.uri..]
    }

    /// What follows the last slash of the path.
    pub(crate) fn basename(&self) -> &[u8] {
        let slash = memchr::memrchr2(b'/', b'\\', &self.filename);
        &self.filename[slash.map_or(0, |slash| slash + 1)..]
    }

    /// The host that is asked, without a port.
    pub(crate) fn server_name(&self) -> &[u8] {
        let authority = match &self.target[..self.uri] {
            [] => value_of(&self.fields, b"host").unwrap_or_default(),
            absolute => {
                let slashes = memchr::memmem::find(absolute, b"//").map_or(0, |at| at + 2);
                &absolute[slashes..]
            }
        };
        let bracket = memchr::memrchr(b']', authority).map_or(0, |at| at + 1);
        let port = memchr::memchr(b':', &authority[bracket..]);
        &authority[..port.map_or(authority.len(), |port| bracket + port)]
    }

    /// The type of its body as it was told, parameters and all.
    pub(crate) fn content_type(&self) -> &[u8] {
        value_of(&self.fields, b"content-type").unwrap_or_default()
    }

    /// Arguments of query and body.
    pub(crate) fn all_arguments(&self) -> impl Iterator<Item = &Pair> {
        self.arguments.iter().chain(&self.body.read.arguments)
    }
}

impl Response {
    /// The type of its body as it was told, parameters and all.
    pub(crate) fn content_type(&self) -> Option<&[u8]> {
        value_of(&self.fields, b"content-type")
    }
}

/// The first value of a name in lower case.
fn value_of<'a>(fields: &'a [Pair], lower: &[u8]) -> Option<&'a [u8]> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(lower))?;
    Some(&field.value)
}

/// A type without its parameters, in lower case.
pub(crate) fn media_type(content_type: &[u8]) -> Vec<u8> {
    let end = memchr::memchr2(b';', b',', content_type).unwrap_or(content_type.len());
    content_type[..end].trim_ascii().to_ascii_lowercase()
}

/// Percent escapes decoded once; what is no escape stays, and so does `+`.
fn percent_decoded(raw: &[u8]) -> Vec<u8> {
    let digit = |at: usize| raw.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        let escape = if byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        let value = escape.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    decoded
}

/// Where path and query begin: after scheme and authority, if the target has them.
fn authority_end(target: &[u8]) -> usize {
    if target.first().is_none_or(|byte| *byte == b'/') {
        return 0;
    }
    let Some(colon) = memchr::memmem::find(target, b"://") else { return 0 };
    if !target[..colon].iter().all(u8::is_ascii_alphanumeric) {
        return 0;
    }
    let authority = &target[colon + 3..];
    let end = memchr::memchr3(b'/', b'?', b'#', authority).unwrap_or(authority.len());
    colon + 3 + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        let check = |target: &str, uri: &str, name: &str, base: &str, query: Option<&str>| {
            let mut request = Request::default();
            request.take_line(b"GET", target.as_bytes(), b"HTTP/1.1", &Settings::default());
            assert_eq!(request.uri(), uri.as_bytes(), "{target}");
            assert_eq!(request.filename, name.as_bytes(), "{target}");
            assert_eq!(request.basename(), base.as_bytes(), "{target}");
            assert_eq!(request.query.as_deref(), query.map(str::as_bytes), "{target}");
        };
        check("/", "/", "/", "", None);
        check("/a%2fb/c.d?x=/y", "/a%2fb/c.d?x=/y", "/a/b/c.d", "c.d", Some("x=/y"));
        check("http://h:1/a?b", "/a?b", "/a", "a", Some("b"));
        check("http://h?b", "?b", "", "", Some("b"));
        check("http://h", "", "", "", None);
        check("*", "*", "*", "*", None);
        check("h:443", "h:443", "h:443", "h:443", None);
        check("/x://y?", "/x://y?", "/x://y", "y", Some(""));
    }

    #[test]
    fn a_server_has_a_name() {
        let check = |target: &str, host: &str, name: &str| {
            let mut request = Request::default();
            request.take_line(b"GET", target.as_bytes(), b"HTTP/1.1", &Settings::default());
            request.take_field(b"Host", host.as_bytes());
            assert_eq!(request.server_name(), name.as_bytes(), "{target} {host}");
        };
        check("/", "a.example:80", "a.example");
        check("/", "[::1]:80", "[::1]");
        check("http://b:1/", "a", "b");
        check("/", "", "");
    }
}
