//! The static table (RFC 9204 appendix A).

use doorman_http::{FieldId, Method};

/// Its entries, by index.
const ENTRIES: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

/// Name and value of an entry.
pub(super) fn entry(index: u64) -> Result<(&'static [u8], &'static [u8]), &'static str> {
    let entry = usize::try_from(index).ok().and_then(|index| ENTRIES.get(index));
    let (name, value) = entry.ok_or("no such entry in the static table")?;
    Ok((name.as_bytes(), value.as_bytes()))
}

/// No entry has this name.
const NONE: u8 = u8::MAX;

/// The first entry with the name of a known field.
const NAMED: [u8; 256] = {
    let mut named = [NONE; 256];
    let mut id = 0;
    while id < FieldId::ALL.len() {
        let name = FieldId::ALL[id].name().as_bytes();
        let mut index = ENTRIES.len();
        while index > 0 {
            index -= 1;
            if is_same(ENTRIES[index].0.as_bytes(), name) {
                #[expect(clippy::cast_possible_truncation, reason = "99 entries")]
                {
                    named[FieldId::ALL[id] as usize] = index as u8;
                }
            }
        }
        id += 1;
    }
    named
};

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The entry whose name is that of a known field, if there is one.
pub(crate) const fn named(id: FieldId) -> Option<u64> {
    match NAMED[id as usize] {
        NONE => None,
        index => Some(index as u64),
    }
}

/// The first entries with the names of pseudo-header fields of requests, but for the scheme, of
/// which there is one for each value.
pub(crate) const AUTHORITY: u64 = 0;
pub(crate) const PATH: u64 = 1;
pub(crate) const METHOD: u64 = 15;
pub(crate) const SCHEME_HTTPS: u64 = 23;

/// The entry for a method, if there is one.
pub(crate) const fn method(method: &Method) -> Option<u64> {
    Some(match method {
        Method::Connect => 15,
        Method::Delete => 16,
        Method::Get => 17,
        Method::Head => 18,
        Method::Options => 19,
        Method::Post => 20,
        Method::Put => 21,
        _ => return None,
    })
}

/// The first entry that is a status.
pub(crate) const STATUS: u64 = 24;

/// The entry for a status, if there is one.
pub(crate) const fn status(status: u16) -> Option<u64> {
    Some(match status {
        103 => 24,
        200 => 25,
        304 => 26,
        404 => 27,
        503 => 28,
        100 => 63,
        204 => 64,
        206 => 65,
        302 => 66,
        400 => 67,
        403 => 68,
        421 => 69,
        425 => 70,
        500 => 71,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_names_lead_to_their_entries() {
        for number in 100..600 {
            if let Some(index) = status(number) {
                let text = number.to_string();
                assert_eq!(entry(index).unwrap(), (&b":status"[..], text.as_bytes()));
            }
        }
        assert_eq!(entry(STATUS).unwrap().0, b":status");
        for (index, name) in [(AUTHORITY, ":authority"), (PATH, ":path"), (METHOD, ":method")] {
            assert_eq!(entry(index).unwrap().0, name.as_bytes());
        }
        assert_eq!(entry(SCHEME_HTTPS).unwrap(), (&b":scheme"[..], &b"https"[..]));
        for known in ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "X"] {
            let by_search = ENTRIES.iter().position(|entry| *entry == (":method", known));
            let index = method(&Method::from_bytes(known.as_bytes()).unwrap());
            assert_eq!(index, by_search.map(|index| index as u64), "{known}");
        }
        for id in FieldId::ALL {
            let by_search = ENTRIES.iter().position(|entry| entry.0 == id.name());
            assert_eq!(named(*id), by_search.map(|index| index as u64), "{}", id.name());
        }
        assert_eq!(named(FieldId::ContentType), Some(44));
        assert_eq!(named(FieldId::Other), None);
        assert!(entry(99).is_err());
    }
}
