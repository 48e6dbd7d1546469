//! Between doorman's messages and the crate's (RFC 9113 section 8), seen from a client.

use doorman_h1::Limits;
use doorman_http::{
    FieldId, Length, Method, RequestHead, ResponseHead, Version, is_field_value, is_token,
};
use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::dial::DialError;
use crate::http2::fields::{copy, digits};

const UNSENDABLE: DialError = DialError::Unsendable("HTTP/2 cannot carry the request's target");

/// How a request goes to the origin.
pub(super) struct Manner<'a> {
    /// What `:authority` says.
    pub(super) host: &'a [u8],
    /// Whether the connection is under TLS.
    pub(super) secure: bool,
    /// Whether it opens a tunnel by extended CONNECT (RFC 8441 section 4).
    pub(super) tunnel: bool,
}

/// A request's head.
pub(super) fn request(
    head: &RequestHead,
    manner: &Manner<'_>,
    length: Length,
) -> Result<http::Request<()>, DialError> {
    let mut request = http::Request::new(());
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = uri(head, manner)?;
    *request.method_mut() = if manner.tunnel {
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        http::Method::CONNECT
    } else {
        method(&head.method)?
    };
    let map = request.headers_mut();
    map.reserve(head.fields.len() + 2);
    copy(&head.fields, map);
    map.remove(http::header::HOST);
    map.remove(EXPECT);
    if manner.tunnel {
        // The stream is the proof that the origin understood (RFC 8441 section 5).
        map.remove(http::header::SEC_WEBSOCKET_KEY);
    } else if let Length::Known(n) = length {
        map.insert(CONTENT_LENGTH, n.into());
    }
    if head.expects_continue {
        map.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if head.takes_trailers {
        map.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

fn method(method: &Method) -> Result<http::Method, DialError> {
    Ok(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
        Method::Patch => http::Method::PATCH,
        // CONNECT has no meaning towards an origin but to open a tunnel.
        Method::Connect => return Err(UNSENDABLE),
        Method::Trace | Method::Other(_) => http::Method::from_bytes(method.as_str().as_bytes())
            .map_err(|_| DialError::Unsendable("HTTP/2 cannot carry the request's method"))?,
    })
}

fn uri(head: &RequestHead, manner: &Manner<'_>) -> Result<http::Uri, DialError> {
    let mut target =
        Vec::with_capacity(head.path().len() + head.query().map_or(0, <[u8]>::len) + 1);
    escape(head.path(), &mut target);
    if let Some(query) = head.query() {
        target.push(b'?');
        escape(query, &mut target);
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if manner.secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(manner.host).map_err(|_| UNSENDABLE)?);
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(target).map_err(|_| UNSENDABLE)?);
    http::Uri::from_parts(parts).map_err(|_| UNSENDABLE)
}

/// Some bytes that browsers send in queries are not of a URI's (RFC 3986 section 2), and the crate
/// refuses them. Written in escapes they mean the same.
fn escape(part: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in part {
        if matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' | b'\\') {
            out.extend_from_slice(&[
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        } else {
            out.push(byte);
        }
    }
}

/// Reads a response's head into an empty one; the length that it declares.
pub(super) fn response(
    status: http::StatusCode,
    map: &http::HeaderMap,
    limits: &Limits,
    head: &mut ResponseHead,
) -> Result<Option<u64>, &'static str> {
    if status.as_u16() > 599 {
        return Err("status is not from 100 to 599");
    }
    if map.len() > limits.fields {
        return Err("too many header fields");
    }
    head.status = status.as_u16();
    head.version = Version::Http2;
    let mut length = None;
    for (name, value) in map {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if !is_token(name) {
            return Err("field name is not a token");
        }
        if value.trim_ascii().len() != value.len() || !is_field_value(value) {
            return Err("field value begins or ends with white space");
        }
        match FieldId::of(name) {
            FieldId::ContentLength => {
                let n = digits(value).ok_or("Content-Length is not a number")?;
                if length.replace(n).is_some_and(|other| other != n) {
                    return Err("more than one Content-Length");
                }
            }
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade => return Err("connection-specific field in HTTP/2"),
            _ => {
                head.fields.push(name, value);
            }
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(head: &RequestHead, length: Length) -> http::Request<()> {
        let manner = Manner { host: b"origin.test:81", secure: false, tunnel: false };
        request(head, &manner, length).unwrap()
    }

    #[test]
    fn a_request_keeps_what_belongs_to_it_and_nothing_of_the_hop() {
        let mut head = RequestHead::default();
        head.method = Method::Post;
        for (name, value) in [("host", "a"), ("connection", "x"), ("te", "gzip"), ("X-A", "b")] {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        head.set_target(b"/a%20b?c=\"<d>|{e}`").unwrap();
        head.takes_trailers = true;
        let request = sent(&head, Length::Known(3));
        assert_eq!(request.uri(), "http://origin.test:81/a%20b?c=%22%3Cd%3E%7C%7Be%7D%60");
        let mut names: Vec<_> =
            request.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        names.sort_unstable();
        assert_eq!(names, [("content-length", "3"), ("te", "trailers"), ("x-a", "b")]);
    }

    #[test]
    fn a_server_can_be_asked_about_itself() {
        let mut head = RequestHead::default();
        head.method = Method::Options;
        head.fields.push(b"host", b"a");
        head.set_target(b"*").unwrap();
        assert_eq!(sent(&head, Length::Absent).uri().path(), "*");
    }

    #[test]
    fn responses_are_judged() {
        let check = |status: u16, fields: &[(&'static str, &'static str)]| {
            let mut map = http::HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, HeaderValue::from_static(value));
            }
            let mut head = ResponseHead::new(200);
            let status = http::StatusCode::from_u16(status).unwrap();
            response(status, &map, &Limits::default(), &mut head)
                .map(|length| (head.status, length))
        };
        assert_eq!(check(204, &[("a", "b")]), Ok((204, None)));
        assert_eq!(check(200, &[("content-length", "17")]), Ok((200, Some(17))));
        assert!(check(600, &[]).is_err());
        assert!(check(200, &[("content-length", "+17")]).is_err());
        assert!(check(200, &[("content-length", "1"), ("content-length", "2")]).is_err());
        assert!(check(200, &[("connection", "close")]).is_err());
        assert!(check(200, &[("a", " b")]).is_err());
    }
}
