//! What a field's name says, found once: when it enters the table, not each time that it is referred
//! to.

use doorman_http::{FieldId, is_field_value, is_token};

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    /// A pseudo-header field that no request has.
    UnknownPseudo,
    Field(FieldId),
    /// Not a known field, but one for an origin that reads marks as hyphens.
    Imitation,
    /// No field can have it.
    Wrong(&'static str),
}

impl Name {
    pub(crate) fn of(name: &[u8]) -> Self {
        if name.first() == Some(&b':') {
            return match name {
                b":method" => Self::Method,
                b":scheme" => Self::Scheme,
                b":authority" => Self::Authority,
                b":path" => Self::Path,
                b":protocol" => Self::Protocol,
                _ => Self::UnknownPseudo,
            };
        }
        // RFC 9113 section 8.2.1.
        if !is_token(name) {
            return Self::Wrong("field name is not a token");
        }
        if name.iter().any(u8::is_ascii_uppercase) {
            return Self::Wrong("field name in upper case");
        }
        match FieldId::of(name) {
            FieldId::Other if FieldId::is_imitated_by(name) => Self::Imitation,
            id => Self::Field(id),
        }
    }

    pub(crate) const fn is_pseudo(self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::Scheme
                | Self::Authority
                | Self::Path
                | Self::Protocol
                | Self::UnknownPseudo
        )
    }
}

/// What a field's value is (RFC 9113 section 8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Good,
    /// White space at its ends.
    Spaced,
    /// It has a byte that no value may have.
    Wrong,
}

impl Value {
    pub(crate) fn of(value: &[u8]) -> Self {
        if !is_field_value(value) {
            return Self::Wrong;
        }
        let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if is_space(value.first()) || is_space(value.last()) { Self::Spaced } else { Self::Good }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_are_for_an_origin_too() {
        let check = |name: &str, expected: Name| assert_eq!(Name::of(name.as_bytes()), expected);
        check(":path", Name::Path);
        check(":status", Name::UnknownPseudo);
        check(":", Name::UnknownPseudo);
        check("cookie", Name::Field(FieldId::Cookie));
        check("x-a", Name::Field(FieldId::Other));
        check("x_real_ip", Name::Imitation);
        check("Cookie", Name::Wrong("field name in upper case"));
        check("", Name::Wrong("field name is not a token"));
        check("a b", Name::Wrong("field name is not a token"));
    }

    #[test]
    fn values_have_no_space_at_their_ends_and_no_control_bytes() {
        let check = |value: &[u8], expected: Value| assert_eq!(Value::of(value), expected);
        check(b"", Value::Good);
        check(b"a b", Value::Good);
        check(b"a\tb", Value::Good);
        check(b"\xff", Value::Good);
        check(b" a", Value::Spaced);
        check(b"a\t", Value::Spaced);
        check(b"a\0", Value::Wrong);
        check(b"a\r\n", Value::Wrong);
    }
}
