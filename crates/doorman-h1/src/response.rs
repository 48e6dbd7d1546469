//! Response heads: status line (RFC 9112 section 4), fields, framing.
//!
//! What follows a response's head depends on what was asked (RFC 9112 section 6.3), so the reader
//! is told. An origin that breaks the rules is as dangerous as a client that does: its surplus
//! bytes would answer the next request.

use doorman_http::{FieldId, Method, RequestHead, ResponseHead, Upgrade, Version};

use crate::connection::{self, Options};
use crate::framing::{self, Declared};
use crate::lines::{self, Bounds, Ended, Seen};
use crate::{Framing, Limits, Progress, Refusal};

/// What of a request's method matters to the framing of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedMethod {
    /// HEAD: no content follows, whatever the head declares.
    Head,
    /// CONNECT: success makes a tunnel.
    Connect,
    /// Any other.
    Other,
}

impl From<&Method> for AskedMethod {
    fn from(method: &Method) -> Self {
        match method {
            Method::Head => Self::Head,
            Method::Connect => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// What the response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The request's method.
    pub method: AskedMethod,
    /// The upgrade that the request sent to the origin asked for.
    pub upgrade: Option<AskedUpgrade<'a>>,
}

/// What a 101 has to say to open a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedUpgrade<'a> {
    /// WebSocket, and the `Sec-WebSocket-Accept` that the request's key calls for.
    WebSocket([u8; ACCEPT]),
    /// The protocol of that name.
    Other(&'a [u8]),
}

impl<'a> Asked<'a> {
    /// What a response to `head` answers. The hash is an argument, because this crate has no
    /// cryptography of its own; it is called for a WebSocket handshake only.
    #[must_use]
    pub fn of(head: &'a RequestHead, sha1: fn(&[u8]) -> [u8; 20]) -> Self {
        let upgrade = head.upgrade.map(|upgrade| match upgrade {
            Upgrade::WebSocket => {
                let key = head.fields.first(FieldId::SecWebSocketKey).unwrap_or_default();
                AskedUpgrade::WebSocket(websocket_accept(key, sha1))
            }
            Upgrade::Other => {
                AskedUpgrade::Other(connection::protocol(&head.fields).unwrap_or_default())
            }
        });
        Self { method: AskedMethod::from(&head.method), upgrade }
    }
}

/// Bytes of a `Sec-WebSocket-Accept`: 20 in Base64.
const ACCEPT: usize = 28;

/// The `Sec-WebSocket-Accept` that a `Sec-WebSocket-Key` calls for (RFC 6455 section 4.2.2): the key
/// and a fixed text, hashed, in Base64.
#[must_use]
pub fn websocket_accept(key: &[u8], sha1: fn(&[u8]) -> [u8; 20]) -> [u8; ACCEPT] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hash = sha1(&[key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat());
    // The padding is already there: 20 bytes are six groups of three, and two more.
    let mut text = [b'='; ACCEPT];
    for (bytes, place) in hash.chunks(3).zip(text.chunks_mut(4)) {
        let group = bytes.iter().fold(0, |group, &byte| group << 8 | usize::from(byte));
        let group = group << (8 * (3 - bytes.len()));
        for (n, digit) in place[..=bytes.len()].iter_mut().enumerate() {
            *digit = DIGITS[group >> (18 - 6 * n) & 63];
        }
    }
    text
}

/// Why a response cannot be used; its connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFault {
    /// What was wrong, one sentence for the log.
    pub reason: &'static str,
}

impl From<Refusal> for ResponseFault {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason }
    }
}

/// What a response's head says about what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    /// Where the content ends.
    pub body: Framing,
    /// Whether the origin lets the connection go on after this exchange.
    pub keep_alive: bool,
}

/// Reads a response head. The caller has cleared `head`; `head` is of use only once the progress
/// is [`Progress::Done`]. Interim responses (1xx but 101) come like others, with
/// [`Framing::Empty`]: the caller reads on for the final one, and bounds how many it takes.
///
/// # Errors
/// Why the response cannot be used: 502 for the client.
pub fn read_response(
    input: &[u8],
    limits: &Limits,
    asked: &Asked<'_>,
    head: &mut ResponseHead,
) -> Result<Progress<ResponseFraming>, ResponseFault> {
    let mut line = None;
    let bounds = Bounds { bytes: limits.head_bytes, fields: limits.fields };
    let layout = lines::scan(input, bounds, &mut head.fields, |bytes, ended| {
        line = StatusLine::read(bytes, ended)?;
        Ok(())
    })?;
    let (Some(layout), Some(line)) = (layout, line) else { return Ok(Progress::Partial) };

    let bytes = &input[..layout.end];
    let seen = lines::place_fields(&mut head.fields, bytes, &layout)?;
    head.status = line.status;
    head.version = line.version;
    let reason = line.reason..layout.start_line;
    if doorman_http::is_field_value(bytes.get(reason.clone()).unwrap_or_default()) {
        head.set_reason(reason);
    }
    let framing = judge(head, &seen, asked)?;
    Ok(Progress::Done { consumed: layout.end, framing })
}

const BAD_VERSION: Refusal = fault("response does not begin with HTTP/1.0 or HTTP/1.1");
const BAD_STATUS: Refusal = fault("status is not three digits from 100 to 599");

const fn fault(reason: &'static str) -> Refusal {
    Refusal { status: 502, reason }
}

#[derive(Clone, Copy)]
struct StatusLine {
    version: Version,
    status: u16,
    /// Where the reason phrase begins.
    reason: usize,
}

/// Bytes of the shortest status line: version, space, three digits.
const STATUS_END: usize = "HTTP/1.1 200".len();

impl StatusLine {
    /// Garbage is seen at its first wrong byte, not only when a line end comes.
    fn read(line: &[u8], ended: Ended) -> Result<Option<Self>, Refusal> {
        let begins_well = line.iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
            && line.get(7).is_none_or(|minor| matches!(minor, b'0' | b'1'))
            && line.get(8).is_none_or(|&space| space == b' ');
        if !begins_well {
            return Err(BAD_VERSION);
        }
        if ended == Ended::No {
            return Ok(None);
        }
        let line = line.strip_suffix(b"\r").ok_or(Refusal::BARE_LF)?;
        let Some(&[b'1'..=b'5', b'0'..=b'9', b'0'..=b'9']) = line.get(9..STATUS_END) else {
            return Err(if line.len() < 9 { BAD_VERSION } else { BAD_STATUS });
        };
        // Some origins leave out the space before an empty reason phrase; nothing is ambiguous.
        if line.get(STATUS_END).is_some_and(|&space| space != b' ') {
            return Err(BAD_STATUS);
        }
        let digits = line[9..STATUS_END].iter();
        let status = digits.fold(0, |n, &digit| n * 10 + u16::from(digit - b'0'));
        let version = if line[7] == b'1' { Version::Http11 } else { Version::Http10 };
        Ok(Some(Self { version, status, reason: (STATUS_END + 1).min(line.len()) }))
    }
}

/// RFC 9112 section 6.3.
fn judge(
    head: &mut ResponseHead,
    seen: &Seen,
    asked: &Asked<'_>,
) -> Result<ResponseFraming, Refusal> {
    let declared = framing::declared(&head.fields, seen, head.version)?;
    let options = connection::options(&mut head.fields, seen)?;
    let persist = options.persist(head.version);
    let without_body = |keep_alive| Ok(ResponseFraming { body: Framing::Empty, keep_alive });
    let length = match declared {
        Declared::Length(n) => Some(n),
        Declared::Nothing | Declared::Chunked => None,
    };
    match head.status {
        101 => return switch(head, options, asked),
        100..=199 if !matches!(declared, Declared::Nothing | Declared::Length(0)) => {
            return Err(fault("interim response declares content"));
        }
        100..=199 => return without_body(persist),
        200..=299 if asked.method == AskedMethod::Connect => {
            return Ok(ResponseFraming { body: Framing::Tunnel, keep_alive: false });
        }
        // An origin that declares content where none can be may send it, too: the connection is
        // not used again.
        204 => {
            let is_honest = matches!(declared, Declared::Nothing | Declared::Length(0));
            return without_body(persist && is_honest);
        }
        304 => {
            head.declared_length = length;
            return without_body(persist && declared != Declared::Chunked);
        }
        _ => {}
    }
    if asked.method == AskedMethod::Head {
        head.declared_length = length;
        return without_body(persist);
    }
    Ok(match declared {
        Declared::Length(n) => ResponseFraming { body: Framing::Known(n), keep_alive: persist },
        Declared::Chunked => ResponseFraming { body: Framing::Chunked, keep_alive: persist },
        Declared::Nothing => ResponseFraming { body: Framing::UntilClose, keep_alive: false },
    })
}

/// A tunnel needs both sides: the request asked for the protocol, and the origin switches to it
/// (RFC 9110 section 7.8, RFC 6455 section 4.1). An answer that only looks like a switch would let
/// the client's next bytes past the rules (H1P-15).
fn switch(
    head: &mut ResponseHead,
    options: Options,
    asked: &Asked<'_>,
) -> Result<ResponseFraming, Refusal> {
    let Some(asked) = asked.upgrade else {
        return Err(fault("101 to a request without Upgrade"));
    };
    let protocol = connection::protocol(&head.fields).filter(|_| options.upgrade);
    let (name, upgrade): (&[u8], _) = match asked {
        AskedUpgrade::WebSocket(_) => (b"websocket", Upgrade::WebSocket),
        AskedUpgrade::Other(name) => (name, Upgrade::Other),
    };
    if !protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(name)) {
        return Err(fault("101 to another protocol than was asked for"));
    }
    if let AskedUpgrade::WebSocket(accept) = asked {
        let mut lines = head.fields.all(FieldId::SecWebSocketAccept);
        if lines.next() != Some(accept.as_slice()) || lines.next().is_some() {
            return Err(fault("101 whose Sec-WebSocket-Accept does not fit the key"));
        }
    }
    head.upgrade = Some(upgrade);
    Ok(ResponseFraming { body: Framing::Tunnel, keep_alive: false })
}
