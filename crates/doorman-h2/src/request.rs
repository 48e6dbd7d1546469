//! Header blocks of requests (RFC 9113 section 8.3.1) to heads. Where the RFC calls a request
//! malformed it is refused here, so that nothing behind this crate sees it.

use doorman_http::scan::is_target;
use doorman_http::{
    FieldId, Fields, HeadError, Method, RequestHead, Scheme, TargetError, Version, imitation,
};

use crate::Limits;
use crate::hpack::{Bounds, Decoder, Line, Name, Trouble, Value};

/// Why a header block is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It is malformed: a stream error of type PROTOCOL_ERROR (RFC 9113 section 8.1.1).
    Malformed(&'static str),
    /// It is answered with this status.
    Refused(u16, &'static str),
}

use RequestFault::{Malformed, Refused};

/// What a header block beyond the bound on heads may still become before the connection ends for it:
/// so many times the bound. Up to there the client gets an answer.
const READ_TIMES: usize = 4;

const TOO_LARGE: RequestFault = Refused(431, "header section is too large");
const TOO_MANY: RequestFault = Refused(431, "too many header fields");

/// What was made of a header block.
pub(crate) struct Read {
    /// The length that the head declares, or why it is no request.
    pub(crate) verdict: Result<Option<u64>, RequestFault>,
    /// What the head takes, as RFC 9113 section 6.5.2 counts; little if it was refused for its size.
    pub(crate) size: usize,
}

pub(crate) const fn bounds(bytes: usize) -> Bounds {
    Bounds { kept: bytes, read: bytes.saturating_mul(READ_TIMES) }
}

/// Reads a request's head. `head` is empty and gets its fields whatever comes, for the log.
pub(crate) fn read_request(
    decoder: &mut Decoder,
    block: &[u8],
    scheme: Scheme,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Read, Trouble> {
    head.version = Version::Http2;
    head.scheme = scheme;
    let mut gathered = Gathered::default();
    let bounds = bounds(limits.head_bytes);
    let size = decoder.decode(block, bounds, |line| {
        // What was refused is read on for the table's sake alone.
        if gathered.fault.is_none()
            && let Err(fault) = gathered.line(line, limits.fields, head)
        {
            gathered.fault = Some(fault);
        }
    })?;
    if size > bounds.kept && gathered.fault.is_none() {
        gathered.fault = Some(TOO_LARGE);
    }
    if let Some(method) = gathered.method.take() {
        head.method = method;
        gathered.has_method = true;
    }
    if !gathered.cookies.is_empty() {
        head.fields.push_id(FieldId::Cookie, &gathered.cookies);
    }
    // The target too is wanted in the log, whatever else is wrong.
    let target = gathered.target(head);
    if matches!(gathered.fault, Some(TOO_LARGE | TOO_MANY)) {
        keep_target(head);
        let size = head.fields.size();
        return Ok(Read { verdict: gathered.fault.map_or(Ok(None), Err), size });
    }
    let verdict = match gathered.fault {
        Some(fault) => Err(fault),
        None => gathered.judge(target, head),
    };
    Ok(Read { verdict, size })
}

/// Drops the fields: of a request that was refused for its size nothing may wait for a slow reader.
fn keep_target(head: &mut RequestHead) {
    const PATH_MAX: usize = 1024;
    let authority = head.authority().to_vec();
    let path: Vec<u8> = head.received_path().iter().take(PATH_MAX).copied().collect();
    let mut fields = Fields::new();
    std::mem::swap(&mut head.fields, &mut fields);
    drop(fields);
    let method = std::mem::replace(&mut head.method, Method::Get);
    let (version, scheme) = (head.version, head.scheme);
    head.clear();
    (head.method, head.version, head.scheme) = (method, version, scheme);
    // Both were taken before; what a cut made invalid is left out.
    let _ = head.set_authority(&authority);
    if path.starts_with(b"/") {
        let _ = head.set_path_and_query(&path);
    }
}

/// What is gathered from field lines beside the head.
#[derive(Default)]
struct Gathered {
    method: Option<Method>,
    has_method: bool,
    scheme: Option<Result<(), RequestFault>>,
    authority: Option<Result<(), TargetError>>,
    /// What came of the path, or that it is `*`, which not every method may have.
    path: Option<Path>,
    protocol: Option<IsWebSocket>,
    length: Option<u64>,
    cookies: Vec<u8>,
    /// Field lines, those that are dropped included.
    lines: usize,
    fault: Option<RequestFault>,
}

#[derive(Clone, Copy)]
enum Path {
    Taken,
    Asterisk,
    Wrong(RequestFault),
}

#[derive(Clone, Copy)]
struct IsWebSocket(bool);

const MALFORMED_TARGET: RequestFault = Refused(400, "request target or authority is not valid");

impl Gathered {
    #[inline]
    fn line(
        &mut self,
        line: Line<'_>,
        fields_max: usize,
        head: &mut RequestHead,
    ) -> Result<(), RequestFault> {
        if line.kind.is_pseudo() {
            return self.pseudo(line, head);
        }
        self.lines += 1;
        if self.lines > fields_max {
            return Err(TOO_MANY);
        }
        self.field(line, head)
    }

    /// Pseudo-header fields come once each and ahead of all others (section 8.3).
    fn pseudo(&mut self, line: Line<'_>, head: &mut RequestHead) -> Result<(), RequestFault> {
        if self.lines > 0 {
            return Err(Malformed("pseudo-header field behind a field"));
        }
        let value = line.value;
        let is_second = match line.kind {
            Name::Method => {
                let method =
                    Method::from_bytes(value).ok_or(Refused(400, "method is not a token"))?;
                self.method.replace(method).is_some()
            }
            // The connection decides how the request came, not what the client writes: https on a
            // plain port would make rules believe in a security that is not there.
            Name::Scheme => {
                let expected: &[u8] = match head.scheme {
                    Scheme::Http => b"http",
                    Scheme::Https => b"https",
                };
                let scheme = if value.eq_ignore_ascii_case(expected) {
                    Ok(())
                } else {
                    Err(Refused(400, ":scheme is not the connection's"))
                };
                self.scheme.replace(scheme).is_some()
            }
            Name::Authority => self.authority.replace(head.set_authority(value)).is_some(),
            Name::Path => self.path.replace(path(value, head)).is_some(),
            Name::Protocol => {
                let is = IsWebSocket(value.eq_ignore_ascii_case(b"websocket"));
                self.protocol.replace(is).is_some()
            }
            _ => return Err(Malformed("unknown pseudo-header field")),
        };
        if is_second { Err(Malformed("pseudo-header field given twice")) } else { Ok(()) }
    }

    #[inline]
    fn field(&mut self, line: Line<'_>, head: &mut RequestHead) -> Result<(), RequestFault> {
        let Line { kind, name, value, judged } = line;
        let id = match kind {
            Name::Field(id) => id,
            Name::Imitation => FieldId::Other,
            Name::Wrong(reason) => return Err(Malformed(reason)),
            _ => return Err(Malformed("unknown pseudo-header field")),
        };
        match judged {
            Value::Good => {}
            Value::Spaced => {
                return Err(Refused(400, "field value begins or ends with white space"));
            }
            Value::Wrong => return Err(Malformed("byte not allowed in a field value")),
        }
        match id {
            FieldId::Cookie => {
                // Crumbs become one line again (section 8.2.3).
                if !self.cookies.is_empty() {
                    self.cookies.extend_from_slice(b"; ");
                }
                self.cookies.extend_from_slice(value);
                return Ok(());
            }
            FieldId::ContentLength => self.declare(value)?,
            FieldId::Te => {
                if !value.eq_ignore_ascii_case(b"trailers") {
                    return Err(Malformed("TE other than trailers"));
                }
                head.takes_trailers = true;
            }
            FieldId::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refused(417, "Expect other than 100-continue"));
                }
                head.expects_continue = true;
                return Ok(());
            }
            // Section 8.2.2.
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade => {
                return Err(Malformed("connection-specific field in HTTP/2"));
            }
            FieldId::Http2Settings => {
                return Err(Refused(400, "connection-specific field in HTTP/2"));
            }
            _ => {}
        }
        if kind == Name::Imitation {
            imitation(name).into_iter().for_each(|anomaly| head.note(anomaly));
        } else {
            head.fields.push_line(id, name, value);
        }
        Ok(())
    }

    fn declare(&mut self, value: &[u8]) -> Result<(), RequestFault> {
        let n = digits(value).ok_or(Malformed("Content-Length is not a number"))?;
        match self.length.replace(n) {
            None => Ok(()),
            Some(before) if before == n => Err(Refused(400, "more than one Content-Length")),
            Some(_) => Err(Malformed("Content-Length that contradicts another")),
        }
    }

    /// `:authority` wins, and a `Host` that says something else is refused (section 8.3.1).
    fn target(&self, head: &mut RequestHead) -> Result<(), RequestFault> {
        const NONE: RequestFault = Refused(400, "no authority");
        let refuse = |error| match error {
            HeadError::Target(_) => MALFORMED_TARGET,
            HeadError::Host => NONE,
        };
        if head.fields.has(FieldId::Host) || self.authority.is_none() {
            let mut hosts = head.fields.all(FieldId::Host);
            let host = hosts.next().map(<[u8]>::to_vec).ok_or(NONE)?;
            let several = hosts.next().is_some();
            drop(hosts);
            if several {
                return Err(Refused(400, "more than one Host"));
            }
            match self.authority {
                None => head.set_authority(&host).map_err(|_| MALFORMED_TARGET)?,
                Some(Ok(())) if !head.authority().eq_ignore_ascii_case(&host) => {
                    return Err(Refused(400, "Host and :authority differ"));
                }
                Some(_) => {}
            }
        }
        if let Some(Err(_)) = self.authority {
            return Err(MALFORMED_TARGET);
        }
        match self.path {
            Some(Path::Taken) => Ok(()),
            Some(Path::Asterisk) if head.method == Method::Options => {
                head.set_asterisk().map_err(refuse)
            }
            Some(Path::Asterisk) => Err(Refused(400, ":path does not begin with a slash")),
            Some(Path::Wrong(fault)) => Err(fault),
            None => Err(Malformed("no :path")),
        }
    }

    /// What is there and what must not be there.
    fn judge(
        &self,
        target: Result<(), RequestFault>,
        head: &mut RequestHead,
    ) -> Result<Option<u64>, RequestFault> {
        if !self.has_method {
            return Err(Malformed("no :method"));
        }
        if head.method == Method::Connect {
            match self.protocol {
                // RFC 8441 section 4.
                Some(is) => self.tunnel(is, head)?,
                None if self.scheme.is_some() || self.path.is_some() => {
                    return Err(Malformed("CONNECT with :scheme or :path"));
                }
                None => return Err(Refused(501, "CONNECT is not offered")),
            }
        } else if self.protocol.is_some() {
            return Err(Malformed(":protocol without CONNECT"));
        }
        if head.method == Method::Trace {
            return Err(Refused(405, "TRACE is not offered"));
        }
        self.scheme.ok_or(Malformed("no :scheme"))??;
        target?;
        Ok(self.length)
    }

    /// A CONNECT that asks for a WebSocket (RFC 8441 section 4).
    fn tunnel(
        &self,
        IsWebSocket(is): IsWebSocket,
        head: &mut RequestHead,
    ) -> Result<(), RequestFault> {
        if !is {
            return Err(Refused(501, ":protocol other than websocket"));
        }
        if self.length.is_some() || head.expects_continue {
            return Err(Refused(400, "Content-Length or Expect of a tunnel"));
        }
        head.ask_for_websocket().map_err(|reason| Refused(400, reason))
    }
}

fn path(value: &[u8], head: &mut RequestHead) -> Path {
    if value == b"*" {
        return Path::Asterisk;
    }
    if value.is_empty() {
        return Path::Wrong(Malformed(":path is empty"));
    }
    if !value.starts_with(b"/") {
        return Path::Wrong(Refused(400, ":path does not begin with a slash"));
    }
    if !is_target(value) {
        return Path::Wrong(Refused(400, "byte not allowed in :path"));
    }
    match head.set_path_and_query(value) {
        Ok(()) => Path::Taken,
        Err(_) => Path::Wrong(MALFORMED_TARGET),
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Reads a request's trailers and keeps the fields that `keep` takes by their names.
pub(crate) fn read_trailers(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &Limits,
    keep: fn(&[u8]) -> bool,
) -> Result<Result<Fields, &'static str>, Trouble> {
    let mut fields = Fields::new();
    let (mut lines, mut fault) = (0, None);
    let bounds = bounds(limits.head_bytes);
    let size = decoder.decode(block, bounds, |line| {
        lines += 1;
        fault = fault.or(match (line.kind, line.judged) {
            _ if lines > limits.fields => Some("too many trailer fields"),
            (kind, _) if kind.is_pseudo() => Some("pseudo-header field in trailers"),
            (Name::Wrong(reason), _) => Some(reason),
            (_, Value::Spaced | Value::Wrong) => Some("byte not allowed in a trailer's value"),
            _ => None,
        });
        if fault.is_none() && keep(line.name) {
            fields.push(line.name, line.value);
        }
    })?;
    Ok(match fault {
        Some(reason) => Err(reason),
        None if size > bounds.kept => Err("trailer section is too large"),
        None => Ok(fields),
    })
}
