//! What a change makes out of date (RFC 9111 section 4.4).

use doorman_http::{FieldId, Method, RequestHead, ResponseHead, Scheme, path, target};

/// A target on the origin of a request, whose stored responses are out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path in its normal form.
    pub path: Vec<u8>,
    /// The query without its question mark.
    pub query: Option<Vec<u8>>,
}

/// The targets whose stored responses an answered request makes out of date: none unless its method is
/// unsafe and the answer is no error; then its own target first, and those that `Location` and
/// `Content-Location` name if they are on the same origin. Another origin's are never touched: whoever
/// can make one origin answer could empty the cache of all others.
///
/// `request` is as the client sent it, before a route's edits, and so is the answer.
pub fn invalidates(
    method: &Method,
    status: u16,
    request: &RequestHead,
    response: &ResponseHead,
) -> impl Iterator<Item = Target> {
    let changes = !method.is_safe() && *method != Method::Connect && matches!(status, 200..=399);
    let own = (changes && !request.is_asterisk()).then(|| Target {
        path: request.path().to_vec(),
        query: request.query().map(<[u8]>::to_vec),
    });
    let named = [FieldId::Location, FieldId::ContentLocation]
        .into_iter()
        .filter(move |_| changes)
        .filter_map(|id| resolve(response.fields.first(id)?, request));
    own.into_iter().chain(named)
}

/// The target that a reference names (RFC 3986 section 5.2), if it is on the origin of the request.
fn resolve(reference: &[u8], request: &RequestHead) -> Option<Target> {
    let reference = reference.split(|&b| b == b'#').next().unwrap_or_default();
    let rest = match scheme(reference) {
        Some((scheme, rest)) if Scheme::from_bytes(scheme) == Some(request.scheme) => {
            // `http:path` is a relative reference to some and a fault to others: not ours to decide.
            rest.starts_with(b"//").then_some(rest)?
        }
        Some(_) => return None,
        None => reference,
    };
    let (rest, is_whole) = match rest.strip_prefix(b"//") {
        None => (rest, false),
        Some(rest) => {
            let end = rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            is_authority_of(authority, request).then_some((rest, true))?
        }
    };
    let mark = rest.iter().position(|&b| b == b'?');
    let (path, query) = rest.split_at(mark.unwrap_or(rest.len()));
    let query = if mark.is_some() { Some(&query[1..]) } else { None };
    let query = match (path, query, is_whole) {
        (b"", None, false) => request.query(),
        (_, query, _) => query,
    };
    let mut normal = Vec::new();
    path::normalise(&absolute(path, is_whole, request), &mut normal).ok()?;
    Some(Target { path: normal, query: query.map(<[u8]>::to_vec) })
}

/// The scheme in front of a reference, without its colon, and what follows it.
fn scheme(reference: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = reference.iter().position(|b| b":/?".contains(b))?;
    (reference[end] == b':' && end > 0).then(|| (&reference[..end], &reference[end + 1..]))
}

fn is_authority_of(authority: &[u8], request: &RequestHead) -> bool {
    let Ok(parsed) = target::authority(authority) else { return false };
    let default = |port: Option<u16>| {
        port.unwrap_or(match request.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    };
    authority[..parsed.host_len].eq_ignore_ascii_case(request.host())
        && default(parsed.port) == default(request.port())
}

/// The path of a reference, made absolute with that of the request.
fn absolute(path: &[u8], is_whole: bool, request: &RequestHead) -> Vec<u8> {
    let base = request.path();
    match path {
        b"" if is_whole => b"/".to_vec(),
        b"" => base.to_vec(),
        [b'/', ..] => path.to_vec(),
        _ => {
            let folder = base.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
            [&base[..folder], path].concat()
        }
    }
}
