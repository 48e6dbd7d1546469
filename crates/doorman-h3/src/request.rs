//! Field sections of requests (RFC 9114 section 4.3.1) to heads. Where the RFC calls a request
//! malformed it is refused here, so that nothing behind this crate sees it.

use doorman_http::{
    FieldId, Fields, HeadError, Method, RequestHead, Scheme, Version, imitation, is_field_value,
    is_token,
};

use crate::Limits;
use crate::code::{Code, Fault};
use crate::qpack::{self, Trouble};

/// Why a field section is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It cannot be decoded, which ends the connection (RFC 9204 section 2.2).
    Connection(Fault),
    /// It is malformed: a stream error of type [`Code::MessageError`] (RFC 9114 section 4.1.2).
    Malformed(&'static str),
    /// It is answered with this status.
    Refused(u16, &'static str),
}

use RequestFault::{Malformed, Refused};

/// Pseudo-header fields of a request, as they were received.
#[derive(Default)]
struct Pseudo {
    method: Option<Method>,
    is_https: Option<bool>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
}

/// What is gathered from field lines beside the head.
#[derive(Default)]
struct Gathered {
    pseudo: Pseudo,
    length: Option<u64>,
    cookies: Vec<u8>,
    /// Field lines, those that are dropped included.
    lines: usize,
}

/// Reads a request's head and gives the length that it declares. `head` is empty and gets its fields
/// whatever comes, for the log.
///
/// # Errors
/// Why it is no request.
pub fn read_request(
    section: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<u64>, RequestFault> {
    head.version = Version::Http3;
    head.scheme = Scheme::Https;
    let mut gathered = Gathered::default();
    let end = qpack::decode(section, limits.section_bytes, |name, value| {
        if name.first() == Some(&b':') {
            return gathered.pseudo(name, value);
        }
        gathered.lines += 1;
        if gathered.lines > limits.fields {
            return Err(Refused(431, "too many header fields"));
        }
        gathered.field(name, value, head)
    });
    if !gathered.cookies.is_empty() {
        head.fields.push_id(FieldId::Cookie, &gathered.cookies);
    }
    if let Some(method) = &gathered.pseudo.method {
        head.method = method.clone();
    }
    // The target too is wanted in the log, whatever else is wrong.
    let target = target(&gathered.pseudo, head);
    match end {
        Ok(()) => {}
        Err(Trouble::Broken(reason)) => return Err(broken(reason)),
        Err(Trouble::TooLarge) => return Err(Refused(431, "header section is too large")),
        Err(Trouble::Refused(fault)) => return Err(fault),
    }
    let pseudo = &gathered.pseudo;
    match (&pseudo.method, &pseudo.protocol) {
        (None, _) => return Err(Malformed("no :method")),
        (Some(Method::Connect), None) => return Err(connect(pseudo)),
        (Some(Method::Connect), Some(_)) => {}
        (Some(_), Some(_)) => return Err(Malformed(":protocol without CONNECT")),
        (Some(Method::Trace), None) => return Err(Refused(405, "TRACE is not offered")),
        (Some(_), None) => {}
    }
    match pseudo.is_https {
        None => return Err(Malformed("no :scheme")),
        Some(false) => return Err(Malformed(":scheme is not https")),
        Some(true) => {}
    }
    target?;
    if let Some(protocol) = &pseudo.protocol {
        tunnel(protocol, gathered.length, head)?;
    }
    Ok(gathered.length)
}

/// A CONNECT to somewhere else (RFC 9114 section 4.4), which is refused whether it is well formed or
/// not.
const fn connect(pseudo: &Pseudo) -> RequestFault {
    if pseudo.is_https.is_some() || pseudo.path.is_some() {
        return Malformed(":scheme or :path of a CONNECT without :protocol");
    }
    if pseudo.authority.is_none() {
        return Malformed("CONNECT without :authority");
    }
    Refused(501, "CONNECT is not offered")
}

/// A CONNECT that asks for a WebSocket (RFC 9220 section 3).
fn tunnel(
    protocol: &[u8],
    length: Option<u64>,
    head: &mut RequestHead,
) -> Result<(), RequestFault> {
    if !is_token(protocol) {
        return Err(Malformed(":protocol is not a token"));
    }
    if !protocol.eq_ignore_ascii_case(b"websocket") {
        return Err(Refused(501, ":protocol other than websocket"));
    }
    // Nothing in a tunnel is content (RFC 9114 section 4.4).
    if length.is_some() || head.expects_continue {
        return Err(Malformed("Content-Length or Expect of a tunnel"));
    }
    head.ask_for_websocket().map_err(|reason| Refused(400, reason))
}

const fn broken(reason: &'static str) -> RequestFault {
    RequestFault::Connection(undecoded(reason))
}

/// A field section that cannot be decoded ends the connection (RFC 9204 section 2.2).
pub(crate) const fn undecoded(reason: &'static str) -> Fault {
    Fault::new(Code::QpackDecompressionFailed, reason)
}

impl Gathered {
    /// Pseudo-header fields come once each and ahead of all others (section 4.3).
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
        if self.lines > 0 {
            return Err(Malformed("pseudo-header field behind a field"));
        }
        let pseudo = &mut self.pseudo;
        let is_second = match name {
            b":method" => {
                let method = Method::from_bytes(value).ok_or(Malformed("method is not a token"))?;
                pseudo.method.replace(method).is_some()
            }
            b":scheme" => pseudo.is_https.replace(value.eq_ignore_ascii_case(b"https")).is_some(),
            b":authority" => pseudo.authority.replace(value.to_vec()).is_some(),
            b":path" => pseudo.path.replace(value.to_vec()).is_some(),
            b":protocol" => pseudo.protocol.replace(value.to_vec()).is_some(),
            _ => return Err(Malformed("unknown pseudo-header field")),
        };
        if is_second { Err(Malformed("pseudo-header field given twice")) } else { Ok(()) }
    }

    fn field(
        &mut self,
        name: &[u8],
        value: &[u8],
        head: &mut RequestHead,
    ) -> Result<(), RequestFault> {
        check(name, value).map_err(Malformed)?;
        match FieldId::of(name) {
            FieldId::Cookie => {
                // Crumbs become one line again (RFC 9114 section 4.2.1).
                if !self.cookies.is_empty() {
                    self.cookies.extend_from_slice(b"; ");
                }
                self.cookies.extend_from_slice(value);
                return Ok(());
            }
            FieldId::ContentLength => {
                let n = digits(value).ok_or(Malformed("Content-Length is not a number"))?;
                if self.length.replace(n).is_some() {
                    return Err(Malformed("more than one Content-Length"));
                }
            }
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
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Http2Settings => {
                return Err(Malformed("connection-specific field in HTTP/3"));
            }
            FieldId::Other => {
                if let Some(anomaly) = imitation(name) {
                    head.note(anomaly);
                    return Ok(());
                }
            }
            _ => {}
        }
        head.fields.push(name, value);
        Ok(())
    }
}

/// What holds for every field (RFC 9114 section 4.2, 10.3).
pub(crate) fn check(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if !is_token(name) {
        return Err("field name is not a token");
    }
    if name.iter().any(u8::is_ascii_uppercase) {
        return Err("field name in upper case");
    }
    if value.trim_ascii().len() != value.len() {
        return Err("field value begins or ends with white space");
    }
    if !is_field_value(value) {
        return Err("byte not allowed in a field value");
    }
    Ok(())
}

/// `:authority` wins, and a `Host` that says something else is refused (section 4.3.1).
fn target(pseudo: &Pseudo, head: &mut RequestHead) -> Result<(), RequestFault> {
    let refuse = |error| match error {
        HeadError::Target(_) => Malformed("request target or authority is not valid"),
        HeadError::Host => Malformed("no authority"),
    };
    let mut hosts = head.fields.all(FieldId::Host);
    let host = hosts.next().map(<[u8]>::to_vec);
    let several = hosts.next().is_some();
    drop(hosts);
    let chosen = match (&pseudo.authority, &host) {
        _ if several => return Err(Malformed("more than one Host")),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return Err(Malformed("Host and :authority differ"));
        }
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) => return Err(Malformed("no authority")),
    };
    head.set_authority(chosen).map_err(|error| refuse(HeadError::Target(error)))?;
    let path = pseudo.path.as_deref().ok_or(Malformed("no :path"))?;
    if path == b"*" && head.method == Method::Options {
        return head.set_asterisk().map_err(refuse);
    }
    if !path.starts_with(b"/") {
        return Err(Malformed(":path does not begin with a slash"));
    }
    if path.iter().any(|b| !(0x21..=0x7E).contains(b) || *b == b'#') {
        return Err(Malformed("byte not allowed in :path"));
    }
    head.set_path_and_query(path).map_err(refuse)
}

pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Reads a message's trailers and keeps the fields that `keep` takes by their names.
///
/// # Errors
/// As [`read_request`].
pub fn read_trailers(
    section: &[u8],
    limits: &Limits,
    keep: impl Fn(&[u8]) -> bool,
) -> Result<Fields, RequestFault> {
    let mut fields = Fields::new();
    let mut lines = 0;
    let end = qpack::decode(section, limits.section_bytes, |name, value| {
        lines += 1;
        if lines > limits.fields {
            return Err(Malformed("too many trailer fields"));
        }
        if name.first() == Some(&b':') {
            return Err(Malformed("pseudo-header field in trailers"));
        }
        check(name, value).map_err(Malformed)?;
        if keep(name) {
            fields.push(name, value);
        }
        Ok(())
    });
    match end {
        Ok(()) => Ok(fields),
        Err(Trouble::Broken(reason)) => Err(broken(reason)),
        Err(Trouble::TooLarge) => Err(Malformed("trailer section is too large")),
        Err(Trouble::Refused(fault)) => Err(fault),
    }
}
