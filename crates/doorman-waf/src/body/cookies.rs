//! `name=value; name=value` of a `Cookie` field.
//!
//! Values are not decoded: a cookie has no encoding of its own, and quotes are part of the value.

use super::Pair;

/// The cookies of one `Cookie` field: REQUEST_COOKIES. A cookie without `=` has an empty value, one
/// without a name is dropped. They are bounded by the field, which the caller bounds; `into` is not
/// emptied first.
pub fn cookies(raw: &[u8], into: &mut Vec<Pair>) {
    for cookie in raw.split(|&byte| byte == b';') {
        let (name, value) = match memchr::memchr(b'=', cookie) {
            Some(at) => (&cookie[..at], &cookie[at + 1..]),
            None => (cookie, &[][..]),
        };
        let start = name.iter().position(|&byte| !is_space(byte)).unwrap_or(name.len());
        let name = &name[start..];
        if !name.is_empty() {
            into.push(Pair { name: name.to_vec(), value: value.to_vec() });
        }
    }
}

/// `isspace` of C.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
