//! Fields between the crate's maps and ours.

use std::sync::OnceLock;

use bytes::Bytes;
use doorman_h1::Limits;
use doorman_http::{FieldId, Fields, is_field_value, is_token};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// A number in decimal digits and nothing else.
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Trailer fields of a message, without those that may not stand in one (RFC 9110 section 6.5.1).
pub(crate) fn trailers(map: &HeaderMap, limits: &Limits) -> Result<Fields, &'static str> {
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

/// Trailer fields as the crate wants them.
pub(crate) fn trailer_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    copy(fields, &mut map);
    map
}

/// Appends fields to a map. Fields that HTTP/2 has no place for are left out; a value that the crate
/// refuses cannot come from a codec of ours and is left out as well.
pub(crate) fn copy(fields: &Fields, map: &mut HeaderMap) {
    // One copy of all bytes, of which each value is a part: no allocation for each.
    let bytes = Bytes::copy_from_slice(fields.bytes());
    for (id, name, value) in fields.places() {
        if is_of_connection(id) {
            continue;
        }
        let name = match known(id) {
            Some(name) => name.clone(),
            None => match HeaderName::from_bytes(bytes.get(name).unwrap_or_default()) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        let value = if value.is_empty() { Bytes::new() } else { bytes.slice(value) };
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            map.append(name, value);
        }
    }
}

/// The crate's name for one of ours: parsing it anew costs more than all else about a field.
fn known(id: FieldId) -> Option<&'static HeaderName> {
    static NAMES: OnceLock<Vec<HeaderName>> = OnceLock::new();
    let names = NAMES
        .get_or_init(|| FieldId::ALL.iter().map(|id| HeaderName::from_static(id.name())).collect());
    names.get((id as usize).checked_sub(1)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_names_and_values() {
        let mut fields = Fields::new();
        fields.push(b"Via", b"1.1 a");
        fields.push(b"X-Own", b"1");
        fields.push(b"Connection", b"close");
        fields.push(b"via", b"1.1 b");
        fields.push_id(FieldId::XRequestId, b"7");
        fields.push(b"Empty", b"");
        let map = trailer_map(&fields);
        let via: Vec<_> = map.get_all("via").iter().collect();
        assert_eq!(via, ["1.1 a", "1.1 b"]);
        assert_eq!(
            (&map["x-own"], &map["x-request-id"], &map["empty"]),
            (
                &HeaderValue::from_static("1"),
                &HeaderValue::from_static("7"),
                &HeaderValue::from_static(""),
            )
        );
        assert!(!map.contains_key("connection"));
    }

    #[test]
    fn every_known_name_is_the_crates_own() {
        for id in FieldId::ALL {
            assert_eq!(known(*id).map(HeaderName::as_str), Some(id.name()));
        }
        assert_eq!(known(FieldId::Other), None);
    }
}
