//! Heads and chunk framing, written.
//!
//! Framing and hop-by-hop fields are made here from values, never copied from what was received.
//! Every head is checked as a whole after it was written: a control byte that got into a field by
//! a mistake elsewhere costs that field, not a second message on the wire (RFC 9112 section 11.1).

use doorman_http::{
    FieldId, FieldSet, Fields, Length, Method, RequestHead, ResponseHead, Upgrade, Version,
    is_field_value, is_token,
};

use crate::lines::count_controls;
use crate::{Refusal, connection};

/// What of a request line and `Host` the route decides.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The `Host` to send; every received one is replaced. May be empty.
    pub host: &'a [u8],
}

/// To whom a response is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The version that the client spoke.
    pub client: Version,
    /// Whether the request was HEAD, whose answer has no content.
    pub head_request: bool,
    /// Whether the connection is to go on.
    pub keep_alive: bool,
}

/// How the content that follows a response head must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Coding {
    /// There is none to write.
    None,
    /// As it is; the head told its length.
    Sized,
    /// In chunks.
    Chunked,
    /// As it is, and then the connection closes: an HTTP/1.0 client and a length that is not
    /// known, or a tunnel after 101.
    UntilClose,
}

/// What ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Bytes that a head takes beside its fields, at the most; only a guess for reserving.
const HEAD_EXTRA: usize = 192;

/// Appends a request head for an origin, always HTTP/1.1 in origin form (or `*`).
pub fn write_request_head(
    out: &mut Vec<u8>,
    head: &RequestHead,
    line: &RequestLine<'_>,
    body: Length,
) {
    checked(out, head.fields.size(), |lines| {
        lines.start(&[head.method.as_str().as_bytes(), b" "]);
        match (&head.method, head.query()) {
            (Method::Connect, _) => lines.target(&[head.authority()]),
            (_, None) => lines.target(&[head.path()]),
            (_, Some(query)) => lines.target(&[head.path(), b"?", query]),
        }
        lines.end(b" HTTP/1.1\r\n");
        lines.field(b"host", line.host);
        lines.kept(&head.fields);
        lines.framing(body);
        if head.expects_continue {
            lines.end(b"expect: 100-continue\r\n");
        }
        let protocol = head.upgrade.and_then(|upgrade| token(upgrade, &head.fields));
        match (protocol, head.takes_trailers) {
            (Some(_), true) => lines.end(b"connection: upgrade, te\r\n"),
            (Some(_), false) => lines.end(b"connection: upgrade\r\n"),
            (None, true) => lines.end(b"connection: te\r\n"),
            (None, false) => {}
        }
        if let Some(protocol) = protocol {
            lines.field(b"upgrade", protocol);
        }
        if head.takes_trailers {
            lines.end(b"te: trailers\r\n");
        }
        lines.end(b"\r\n");
    });
}

/// Appends a final response head, or 101, for a client. Says how the content is to be written.
pub fn write_response_head(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    reply: &Reply,
    body: Length,
) -> Coding {
    let coding = coding(head, *reply, body);
    checked(out, head.fields.size(), |lines| {
        lines.status(head);
        lines.kept(&head.fields);
        if head.status == 101 {
            if let Some(protocol) = head.upgrade.and_then(|u| token(u, &head.fields)) {
                lines.end(b"connection: upgrade\r\n");
                lines.field(b"upgrade", protocol);
            }
            lines.end(b"\r\n");
            return;
        }
        match coding {
            Coding::None => {
                if let Some(length) = length_without_content(head, *reply, body) {
                    lines.framing(Length::Known(length));
                }
            }
            Coding::Sized | Coding::Chunked => lines.framing(body),
            Coding::UntilClose => {}
        }
        if !reply.keep_alive || coding == Coding::UntilClose {
            lines.end(b"connection: close\r\n");
        } else if reply.client < Version::Http11 {
            lines.end(b"connection: keep-alive\r\n");
        }
        lines.end(b"\r\n");
    });
    coding
}

/// Appends an interim response (1xx but 101). HTTP/1.0 clients must get none (RFC 9110 section
/// 15.2): that is for the caller to see.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead) {
    checked(out, head.fields.size(), |lines| {
        lines.status(head);
        lines.kept(&head.fields);
        lines.end(b"\r\n");
    });
}

/// Appends the answer to a request that could not be read; the caller closes after it. `request_id`
/// goes into the body, so that a person can name the request.
pub fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal, request_id: Option<&str>) {
    let reason = reason_phrase(refusal.status);
    let mut text = Vec::with_capacity(80);
    decimal(&mut text, u64::from(refusal.status));
    text.push(b' ');
    text.extend_from_slice(reason.as_bytes());
    if let Some(id) = request_id {
        text.extend_from_slice(b"\nrequest ");
        text.extend_from_slice(id.as_bytes());
    }
    text.push(b'\n');
    let mut head = ResponseHead::new(refusal.status);
    head.fields.push_id(FieldId::ContentType, b"text/plain; charset=utf-8");
    if refusal.status == 405 {
        // RFC 9110 section 15.5.6 demands it.
        head.fields.push(b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    let reply = Reply { client: Version::Http11, head_request: false, keep_alive: false };
    let _ = write_response_head(out, &head, &reply, Length::Known(text.len() as u64));
    out.extend_from_slice(&text);
}

/// Appends the line ahead of `len` bytes of chunk data, which [`CHUNK_END`] follows. Nothing for
/// zero bytes: that would end the body.
pub fn write_chunk_head(out: &mut Vec<u8>, len: usize) {
    if len == 0 {
        return;
    }
    let mut shift = usize::BITS - len.leading_zeros();
    shift = shift.next_multiple_of(4);
    while shift > 0 {
        shift -= 4;
        out.push(DIGITS[len >> shift & 0xF]);
    }
    out.extend_from_slice(CHUNK_END);
}

/// Appends the last chunk and the trailer section.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    match trailers {
        None => out.extend_from_slice(CHUNK_END),
        Some(fields) => checked(out, fields.size(), |lines| {
            lines.kept(fields);
            lines.end(b"\r\n");
        }),
    }
}

/// RFC 9112 section 6.3, seen from the writer's side.
fn coding(head: &ResponseHead, reply: Reply, body: Length) -> Coding {
    match body {
        _ if head.status == 101 => Coding::UntilClose,
        _ if reply.head_request || head.is_bodiless() => Coding::None,
        Length::Absent => Coding::None,
        Length::Known(_) => Coding::Sized,
        Length::Unknown if reply.client >= Version::Http11 => Coding::Chunked,
        Length::Unknown => Coding::UntilClose,
    }
}

/// The length that a head without content declares (RFC 9110 section 8.6): the one that GET would
/// have had; none with 204.
fn length_without_content(head: &ResponseHead, reply: Reply, body: Length) -> Option<u64> {
    let known = match body {
        Length::Known(n) => Some(n),
        Length::Absent | Length::Unknown => None,
    };
    match head.status {
        100..=199 | 204 => None,
        304 => head.declared_length,
        _ if reply.head_request => head.declared_length.or(known),
        // Without it, the client would wait for content until the connection closes.
        _ => Some(0),
    }
}

/// Writes a head, then looks at it as a whole: it must hold the control bytes of its own line ends
/// and no other. Cheaper than to look at every field, and nothing can be forgotten. If one got in,
/// the head is written again, and each part is looked at.
fn checked(out: &mut Vec<u8>, size: usize, write: impl Fn(&mut Lines<'_>)) {
    let start = out.len();
    out.reserve(size + HEAD_EXTRA);
    let mut lines = Lines { out, count: 0, trust: Trust::Entered };
    write(&mut lines);
    let expected = lines.count * 2;
    if count_controls(&out[start..]) == expected {
        return;
    }
    debug_assert!(false, "a control byte came as far as the writer");
    out.truncate(start);
    write(&mut Lines { out, count: 0, trust: Trust::None });
}

/// Whether a head's parts are believed to be valid.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Every name and value was validated where it entered.
    Entered,
    /// One was not: each is looked at, and a bad one left out.
    None,
}

/// The lines of a head, as they are written; counts them.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
    trust: Trust,
}

impl Lines<'_> {
    /// The beginning of a line.
    fn start(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    /// A request target.
    fn target(&mut self, parts: &[&[u8]]) {
        let is_visible = |part: &&[u8]| part.iter().all(u8::is_ascii_graphic);
        if self.trust == Trust::None && !parts.iter().all(is_visible) {
            self.out.push(b'/');
            return;
        }
        self.start(parts);
    }

    /// The end of a line, or a whole one; `line` ends with CR LF.
    fn end(&mut self, line: &[u8]) {
        self.out.extend_from_slice(line);
        self.count += 1;
    }

    #[inline]
    fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.trust == Trust::None && !(is_token(name) && is_field_value(value)) {
            return;
        }
        let out = &mut *self.out;
        out.reserve(name.len() + value.len() + 4);
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
        self.count += 1;
    }

    /// The fields to forward, but those that are made anew.
    fn kept(&mut self, fields: &Fields) {
        const ANEW: FieldSet = FieldSet::of(&[FieldId::Host, FieldId::Expect]);
        if self.trust == Trust::Entered {
            self.count += fields.write_lines(ANEW, self.out);
            return;
        }
        for (id, name, value) in fields.iter() {
            if !ANEW.has(id) {
                self.field(name, value);
            }
        }
    }

    fn framing(&mut self, body: Length) {
        match body {
            Length::Absent => {}
            Length::Known(length) => {
                self.out.extend_from_slice(b"content-length: ");
                decimal(self.out, length);
                self.end(b"\r\n");
            }
            Length::Unknown => self.end(b"transfer-encoding: chunked\r\n"),
        }
    }

    /// The origin's reason phrase is kept if it has one; the reader took only a harmless one.
    fn status(&mut self, head: &ResponseHead) {
        self.out.extend_from_slice(b"HTTP/1.1 ");
        decimal(self.out, u64::from(head.status));
        self.out.push(b' ');
        let reason = head.reason();
        if reason.is_empty() || self.trust == Trust::None {
            self.out.extend_from_slice(reason_phrase(head.status).as_bytes());
        } else {
            self.out.extend_from_slice(reason);
        }
        self.end(b"\r\n");
    }
}

/// The protocol's name, as it goes into `Upgrade`.
fn token(upgrade: Upgrade, fields: &Fields) -> Option<&[u8]> {
    match upgrade {
        Upgrade::WebSocket => Some(b"websocket"),
        Upgrade::Other => connection::protocol(fields),
    }
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    // 2^64 has 20 digits.
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = DIGITS[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The registered reason phrase; empty for a status without one.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}
