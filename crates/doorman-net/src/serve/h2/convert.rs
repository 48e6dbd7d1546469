//! Between the crate's messages and doorman's (RFC 9113 section 8).

use doorman_h1::Limits;
use doorman_http::{
    FieldId, Fields, HeadError, Length, Method, RequestHead, ResponseHead, Scheme, Version,
    is_field_value, is_token,
};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::serve::Refused;

const fn malformed(reason: &'static str) -> Refused {
    Refused { status: 400, reason }
}

/// Reads a request's head. `head` is empty and gets its fields whatever comes, for the log.
pub(super) fn request(
    parts: &http::request::Parts,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<u64>, Refused> {
    head.version = Version::Http2;
    head.scheme = Scheme::Https;
    head.method = Method::from_bytes(parts.method.as_str().as_bytes())
        .ok_or(malformed("method is not a token"))?;
    // Each crumb of a cookie counts (RFC 9113 section 8.2.3), and each field that is dropped later.
    if parts.headers.len() > limits.fields {
        return Err(Refused { status: 431, reason: "too many header fields" });
    }
    // HTTP/2 comes over TLS only.
    if parts.uri.scheme().is_some_and(|scheme| *scheme != http::uri::Scheme::HTTPS) {
        return Err(malformed(":scheme is not https"));
    }
    let length = fields(&parts.headers, head)?;
    match head.method {
        Method::Connect => return Err(Refused { status: 501, reason: "CONNECT is not offered" }),
        Method::Trace => return Err(Refused { status: 405, reason: "TRACE is not offered" }),
        _ => {}
    }
    target(parts, head)?;
    Ok(length)
}

/// `:authority` wins, and a `Host` that says something else is refused (RFC 9113 section 8.3.1).
fn target(parts: &http::request::Parts, head: &mut RequestHead) -> Result<(), Refused> {
    let refuse = |error| match error {
        HeadError::Target(_) => malformed("request target or authority is not valid"),
        HeadError::Host => malformed("no authority"),
    };
    let mut hosts = head.fields.all(FieldId::Host);
    let host = hosts.next().map(<[u8]>::to_vec);
    let several = hosts.next().is_some();
    drop(hosts);
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    let chosen = match (authority, &host) {
        _ if several => return Err(malformed("more than one Host")),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return Err(malformed("Host and :authority differ"));
        }
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) => return Err(malformed("no authority")),
    };
    head.set_authority(chosen).map_err(|error| refuse(HeadError::Target(error)))?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if path == "*" && head.method == Method::Options {
        return head.set_asterisk().map_err(refuse);
    }
    if !path.starts_with('/') {
        return Err(malformed(":path does not begin with a slash"));
    }
    if path.bytes().any(|b| !(0x21..=0x7E).contains(&b) || b == b'#') {
        return Err(malformed("byte not allowed in :path"));
    }
    head.set_path_and_query(path.as_bytes()).map_err(refuse)
}

fn fields(map: &HeaderMap, head: &mut RequestHead) -> Result<Option<u64>, Refused> {
    let mut length = None;
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in map {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        // The crate takes quotation marks for part of a token.
        if !is_token(name) {
            return Err(malformed("field name is not a token"));
        }
        if value.trim_ascii().len() != value.len() || !is_field_value(value) {
            return Err(malformed("field value begins or ends with white space"));
        }
        match FieldId::of(name) {
            FieldId::Cookie => {
                // Crumbs become one line again (RFC 9113 section 8.2.3).
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value);
                continue;
            }
            FieldId::ContentLength => {
                let n = digits(value).ok_or(malformed("Content-Length is not a number"))?;
                if length.replace(n).is_some() {
                    return Err(malformed("more than one Content-Length"));
                }
            }
            FieldId::Te => {
                if !value.eq_ignore_ascii_case(b"trailers") {
                    return Err(malformed("TE other than trailers"));
                }
                head.takes_trailers = true;
            }
            FieldId::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refused { status: 417, reason: "Expect other than 100-continue" });
                }
                head.expects_continue = true;
                continue;
            }
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Http2Settings => {
                return Err(malformed("connection-specific field in HTTP/2"));
            }
            FieldId::Other if FieldId::is_imitated_by(name) => continue,
            _ => {}
        }
        head.fields.push(name, value);
    }
    if !cookies.is_empty() {
        head.fields.push_id(FieldId::Cookie, &cookies);
    }
    Ok(length)
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Trailer fields of a request, without those that may not stand in one (RFC 9110 section 6.5.1).
pub(super) fn trailers(map: &HeaderMap, limits: &Limits) -> Result<Fields, &'static str> {
    if map.len() > limits.fields {
        return Err("too many trailer fields");
    }
    let mut fields = Fields::new();
    for (name, value) in map {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if value.trim_ascii().len() != value.len() || !is_field_value(value) {
            return Err("trailer value begins or ends with white space");
        }
        if is_token(name) && doorman_h1::may_be_trailer(name) {
            fields.push(name, value);
        }
    }
    Ok(fields)
}

/// A response's head as the crate wants it. Fields that HTTP/2 has no place for are left out; a
/// value that the crate refuses cannot come from a codec of ours and is left out as well.
pub(super) fn response(head: &ResponseHead, length: Length) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() =
        http::StatusCode::from_u16(head.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let map = response.headers_mut();
    map.reserve(head.fields.len() + 1);
    copy(&head.fields, map);
    let declared = match length {
        Length::Known(n) => Some(n),
        Length::Absent => head.declared_length,
        Length::Unknown => None,
    };
    if let Some(n) = declared.filter(|_| !matches!(head.status, 100..=199 | 204)) {
        map.insert(http::header::CONTENT_LENGTH, n.into());
    }
    response
}

/// Trailer fields as the crate wants them.
pub(super) fn trailer_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    copy(fields, &mut map);
    map
}

fn copy(fields: &Fields, map: &mut HeaderMap) {
    for (id, name, value) in fields.iter() {
        if is_of_connection(id) {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
}

/// Fields that HTTP/2 has no place for (RFC 9113 section 8.2.2). An operator may have set one; the
/// crate would refuse the whole response for it.
const fn is_of_connection(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Te
    )
}
