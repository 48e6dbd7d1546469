//! Request heads: request line (RFC 9112 section 3), fields, framing, expectations.

use memchr::memrchr;

use doorman_http::desync::Anomaly;
use doorman_http::scan::find;
use doorman_http::{FieldId, HeadError, Method, RequestHead, TargetError, Upgrade, Version};

use crate::connection::{self, Options};
use crate::framing::{self, Declared};
use crate::lines::{self, Bounds, Ended, Seen, is_tchar};
use crate::{Framing, Limits, Progress};

/// Bytes of the longest method taken; the longest registered one has 17.
const METHOD_MAX: usize = 32;

/// Why a request is refused. The connection is always closed after one: what follows cannot be
/// told apart from the request's own bytes (RFC 9112 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with.
    pub status: u16,
    /// What was wrong, one sentence for the log.
    pub reason: &'static str,
}

/// What a request's head says about what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    /// Where the content ends.
    pub body: Framing,
    /// Whether the client lets the connection go on after this exchange.
    pub keep_alive: bool,
}

/// Reads a request head. The caller has cleared `head` and set its scheme; `head` is of use only
/// once the progress is [`Progress::Done`].
///
/// # Errors
/// Why the request must be refused: 400, 405, 413, 414, 417, 431, 501 or 505.
pub fn read_request(
    input: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Progress<RequestFraming>, Refusal> {
    let Some(skipped) = leading_lines(input, limits)? else { return Ok(Progress::Partial) };
    let input = &input[skipped..];
    let mut line = None;
    let bounds = Bounds { bytes: limits.head_bytes, fields: limits.fields };
    let layout = lines::scan(input, bounds, &mut head.fields, |bytes, ended| {
        line = StartLine::read(bytes, ended, limits)?;
        Ok(())
    })?;
    let (Some(layout), Some(line)) = (layout, line) else { return Ok(Progress::Partial) };

    let bytes = &input[..layout.end];
    let seen = lines::place_fields(&mut head.fields, bytes, &layout)?;
    head.method = Method::from_bytes(&bytes[..line.method]).ok_or(Refusal::METHOD)?;
    head.version = line.version;
    let framing = judge(head, &seen)?;
    head.set_target_at(line.method + 1..line.target).map_err(Refusal::from)?;
    if skipped > 0 {
        head.note(Anomaly::EmptyLine);
    }
    if !bytes.is_ascii() {
        head.note(Anomaly::NonAscii);
    }
    if bytes[line.method + 1] != b'/' && names_two_hosts(head) {
        head.note(Anomaly::TwoHosts);
    }
    Ok(Progress::Done { consumed: skipped + layout.end, framing })
}

/// Whether an absolute target names another host than the field, which loses (RFC 9112 section 3.2.2).
fn names_two_hosts(head: &RequestHead) -> bool {
    let host = head.fields.sole(FieldId::Host);
    host.is_some_and(|host| !host.eq_ignore_ascii_case(head.authority()))
}

/// What is odd about content of a method for which it means nothing.
fn odd_content(head: &mut RequestHead, body: Framing) {
    if matches!(head.method, Method::Get | Method::Head) {
        match body {
            Framing::Known(0) => head.note(Anomaly::ZeroLength),
            Framing::Known(_) | Framing::Chunked => head.note(Anomaly::UndefinedBody),
            Framing::Empty | Framing::UntilClose | Framing::Tunnel => {}
        }
    }
}

/// Empty lines ahead of the request line: how many bytes they take, or `None` while another one
/// may be on its way.
fn leading_lines(input: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        if byte != b'\r' && byte != b'\n' {
            return Ok(Some(at));
        }
        if at / 2 >= limits.leading_lines {
            return Err(Refusal::LEADING_LINES);
        }
        match (byte, input.get(at + 1)) {
            (b'\r', Some(b'\n')) => at += 2,
            (b'\r', None) => return Ok(None),
            _ => return Err(Refusal::BARE_LF),
        }
    }
    Ok(None)
}

/// Where the parts of a request line end.
#[derive(Clone, Copy)]
struct StartLine {
    method: usize,
    target: usize,
    version: Version,
}

impl StartLine {
    /// Every check is made in the order of the bytes, so that a line refused before its end is
    /// refused for the same reason with it.
    fn read(line: &[u8], ended: Ended, limits: &Limits) -> Result<Option<Self>, Refusal> {
        let method = method(line)?;
        let Some(line) = whole_line(line, ended, limits)? else { return Ok(None) };
        let Some(method) = method else { return Err(Refusal::REQUEST_LINE) };
        let rest = method + 1;
        let (target, version) = match line.split_last_chunk() {
            Some((front, b" HTTP/1.1")) if front.len() > method => (front.len(), Version::Http11),
            Some((front, b" HTTP/1.0")) if front.len() > method => (front.len(), Version::Http10),
            _ => {
                let space = memrchr(b' ', &line[rest..]).ok_or(Refusal::NO_VERSION)?;
                return Err(foreign_version(&line[rest + space + 1..]));
            }
        };
        if target <= rest || find(b' ', &line[rest..target]).is_some() {
            return Err(Refusal::REQUEST_LINE);
        }
        Ok(Some(Self { method, target, version }))
    }
}

/// Where the method ends; `None` if the line has no end of it yet.
#[inline]
fn method(line: &[u8]) -> Result<Option<usize>, Refusal> {
    if line.starts_with(b"GET ") {
        return Ok(Some(3));
    }
    for (at, &byte) in line.iter().enumerate() {
        if byte == b' ' && at > 0 {
            return Ok(Some(at));
        }
        if !is_tchar(byte) {
            return Err(Refusal::METHOD);
        }
        if at == METHOD_MAX {
            return Err(Refusal::METHOD_BYTES);
        }
    }
    Ok(None)
}

/// The line without its carriage return, once it has ended; its length is judged before.
fn whole_line<'a>(
    line: &'a [u8],
    ended: Ended,
    limits: &Limits,
) -> Result<Option<&'a [u8]>, Refusal> {
    if line.len() > limits.request_line.saturating_add(1) {
        return Err(Refusal::REQUEST_LINE_BYTES);
    }
    if ended == Ended::No {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r").ok_or(Refusal::BARE_LF)?;
    if line.len() > limits.request_line {
        return Err(Refusal::REQUEST_LINE_BYTES);
    }
    Ok(Some(line))
}

/// `HTTP/` with one digit, a dot and one digit is a version that is not spoken here; anything else
/// is none.
fn foreign_version(version: &[u8]) -> Refusal {
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::FOREIGN_VERSION
        }
        _ => Refusal::VERSION,
    }
}

/// Turns what belongs to this hop into values, and decides what follows the head.
fn judge(head: &mut RequestHead, seen: &Seen) -> Result<RequestFraming, Refusal> {
    // A reverse proxy opens no tunnels for clients, and TRACE shows a client what the proxy and
    // its origin say to each other (RFC 9110 sections 9.3.6 and 9.3.8).
    match head.method {
        Method::Connect => return Err(Refusal::CONNECT),
        Method::Trace => return Err(Refusal::TRACE),
        _ => {}
    }
    let body = match framing::declared(&head.fields, seen, head.version)? {
        Declared::Nothing => Framing::Empty,
        Declared::Length(n) => Framing::Known(n),
        Declared::Chunked => Framing::Chunked,
    };
    let options = connection::options(&mut head.fields, seen)?;
    odd_content(head, body);
    if seen.marks
        && let Some(anomaly) = head.fields.hide_imitations()
    {
        head.note(anomaly);
    }
    // An old client has no framing that could carry them, whatever it says.
    if seen.te && head.version != Version::Http10 {
        head.takes_trailers = connection::takes_trailers(&head.fields);
    }
    if seen.expect {
        expectation(head, body)?;
    }
    if seen.upgrade {
        head.upgrade = upgrade(head, options, body);
    }
    Ok(RequestFraming { body, keep_alive: options.persist(head.version) })
}

/// RFC 9110 section 10.1.1. The field itself is hidden: the writer makes it anew from the value.
fn expectation(head: &mut RequestHead, body: Framing) -> Result<(), Refusal> {
    let mut lines = head.fields.all(FieldId::Expect);
    let value = lines.next().unwrap_or_default();
    let is_known = value.eq_ignore_ascii_case(b"100-continue") && lines.next().is_none();
    drop(lines);
    if !is_known {
        return Err(Refusal::EXPECT);
    }
    let has_content = !matches!(body, Framing::Empty | Framing::Known(0));
    head.expects_continue = has_content && head.version >= Version::Http11;
    head.fields.hide(FieldId::Expect);
    Ok(())
}

/// The upgrade that the request asks for, or `None` if it is to be ignored, which RFC 9110 section
/// 7.8 always allows: not nominated by `Connection`, HTTP/1.0, content on its way that would have
/// to be told from the new protocol's bytes, or a WebSocket handshake that is not valid.
fn upgrade(head: &RequestHead, options: Options, body: Framing) -> Option<Upgrade> {
    let has_content = !matches!(body, Framing::Empty | Framing::Known(0));
    if !options.upgrade || head.version < Version::Http11 || has_content {
        return None;
    }
    match connection::upgrade(connection::protocol(&head.fields)?) {
        Upgrade::WebSocket if !is_websocket(head) => None,
        upgrade => Some(upgrade),
    }
}

/// RFC 6455 section 4.2.1: GET, one key of 16 bytes in Base64, version 13.
fn is_websocket(head: &RequestHead) -> bool {
    let only = |id| {
        let mut all = head.fields.all(id);
        all.next().filter(|_| all.next().is_none())
    };
    let is_key = |key: &[u8]| {
        let digits = key.strip_suffix(b"==").unwrap_or_default();
        let is_digit = |&b: &u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        digits.len() == 22 && digits.iter().all(is_digit)
    };
    head.method == Method::Get
        && only(FieldId::SecWebSocketKey).is_some_and(is_key)
        && only(FieldId::SecWebSocketVersion) == Some(b"13")
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Self::bad(match error {
            HeadError::Host => return Self::HOST,
            HeadError::Target(error) => match error {
                TargetError::Form => "request target has no valid form",
                TargetError::Byte => "byte not allowed in a request target",
                TargetError::Fragment => "request target holds a fragment",
                TargetError::Scheme => "request target's scheme is not the connection's",
                TargetError::UserInfo => "authority holds user information",
                TargetError::Host => "host is not a name or an address",
                TargetError::Port => "port is not a number from 1 to 65535",
                TargetError::DotSegment => "path holds an ambiguous dot segment",
                TargetError::Escape => "path holds an invalid percent escape",
            },
        })
    }
}

impl Refusal {
    /// Why the request could be understood in different ways; `None` if it could not, and is only too large or asks
    /// for what is not offered.
    #[must_use]
    pub fn anomaly(&self) -> Option<Anomaly> {
        Some(match *self {
            Self::BARE_LF => Anomaly::BareLineFeed,
            Self::CONTROL | Self::NAME => Anomaly::ControlByte,
            Self::EMPTY_NAME | Self::NO_COLON => Anomaly::NamelessField,
            Self::FOLD => Anomaly::FoldedLine,
            Self::SPACE_IN_NAME => Anomaly::SpaceInName,
            Self::BOTH_LENGTHS => Anomaly::LengthAndCoding,
            Self::CODING | Self::CODING_TWICE | Self::CODING_IN_10 | Self::CODING_UNKNOWN => {
                Anomaly::BadCoding
            }
            Self::LENGTH | Self::LENGTH_TWICE | Self::LENGTH_RANGE => Anomaly::BadLength,
            Self::OPTION | Self::OPTION_COUNT | Self::NOMINATES_FRAMING => Anomaly::BadConnection,
            Self::LEADING_LINES => Anomaly::EmptyLines,
            Self::METHOD | Self::METHOD_BYTES => Anomaly::BadMethod,
            Self::REQUEST_LINE | Self::NO_VERSION => Anomaly::BadRequestLine,
            Self::VERSION | Self::FOREIGN_VERSION => Anomaly::BadVersion,
            Self::HOST => Anomaly::BadHost,
            // What is left of these is wrong with the target.
            Self { status: 400, .. } => Anomaly::BadTarget,
            _ => return None,
        })
    }

    const fn bad(reason: &'static str) -> Self {
        Self { status: 400, reason }
    }

    pub(crate) const BARE_LF: Self = Self::bad("line does not end with CR LF");
    pub(crate) const CONTROL: Self = Self::bad("control byte in a field");
    pub(crate) const EMPTY_NAME: Self = Self::bad("field without a name");
    pub(crate) const FOLD: Self = Self::bad("folded field line");
    pub(crate) const SPACE_IN_NAME: Self =
        Self::bad("whitespace in a field name or before its colon");
    pub(crate) const NAME: Self = Self::bad("byte not allowed in a field name");
    pub(crate) const NO_COLON: Self = Self::bad("field line without a colon");
    pub(crate) const BOTH_LENGTHS: Self = Self::bad("both Content-Length and Transfer-Encoding");
    pub(crate) const CODING: Self = Self::bad("Transfer-Encoding is not chunked, once and last");
    pub(crate) const CODING_TWICE: Self = Self::bad("more than one Transfer-Encoding");
    pub(crate) const CODING_IN_10: Self = Self::bad("Transfer-Encoding in HTTP/1.0");
    pub(crate) const LENGTH: Self = Self::bad("Content-Length is not a decimal number");
    pub(crate) const LENGTH_TWICE: Self = Self::bad("more than one Content-Length");
    pub(crate) const OPTION: Self = Self::bad("Connection option is not a token");
    pub(crate) const OPTION_COUNT: Self = Self::bad("too many Connection options");
    pub(crate) const NOMINATES_FRAMING: Self = Self::bad("Connection names a framing field");
    const HOST: Self = Self::bad("HTTP/1.1 request without exactly one Host");
    const LEADING_LINES: Self = Self::bad("too many empty lines before a request");
    const METHOD: Self = Self::bad("method is not a token");
    const REQUEST_LINE: Self = Self::bad("request line is not method, target and version");
    const NO_VERSION: Self = Self::bad("request line without a version");
    const VERSION: Self = Self::bad("version is malformed");
    pub(crate) const CODING_UNKNOWN: Self =
        Self { status: 501, reason: "transfer coding other than chunked" };
    const METHOD_BYTES: Self = Self { status: 501, reason: "method is too long" };
    const CONNECT: Self = Self { status: 501, reason: "CONNECT is not offered" };
    const TRACE: Self = Self { status: 405, reason: "TRACE is not offered" };
    pub(crate) const LENGTH_RANGE: Self =
        Self { status: 413, reason: "Content-Length is larger than any body can be" };
    const REQUEST_LINE_BYTES: Self = Self { status: 414, reason: "request line is too long" };
    const EXPECT: Self = Self { status: 417, reason: "expectation other than 100-continue" };
    pub(crate) const HEAD_BYTES: Self = Self { status: 431, reason: "head is too large" };
    pub(crate) const FIELD_COUNT: Self = Self { status: 431, reason: "head has too many fields" };
    const FOREIGN_VERSION: Self =
        Self { status: 505, reason: "version other than HTTP/1.0 and HTTP/1.1" };
}
