//! Distinguished names as text (RFC 4514), so that two names never read the same and none can end a line of a head.
//!
//! The most specific part comes first, as in `CN=ann,OU=ops,O=Example`. Everything but printable ASCII is escaped. An
//! attribute without a short name, or with a value that is no text, is written as the number of its type and the
//! hexadecimal of its value.

use std::fmt::Write;

use x509_parser::der_parser::asn1_rs::{Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The longest name, in bytes of text. Names have a hundred or two; each connection holds its own.
const NAME_TEXT_MAX: usize = 4096;

/// Types that have a short name: those of RFC 4514 section 3, and the address that tools write as `emailAddress`.
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.5", "serialNumber"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The text of a name; `None` if it would be too long.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> Option<String> {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            write_attribute(attribute, &mut text);
            if text.len() > NAME_TEXT_MAX {
                return None;
            }
        }
    }
    Some(text)
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == number).map(|(_, short)| *short);
    let is_text = matches!(
        attribute.attr_value().tag(),
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString
    );
    if let Some(short) = short.filter(|_| is_text) {
        text.push_str(short);
        text.push('=');
        return write_value(attribute.as_slice(), text);
    }
    text.push_str(&number);
    text.push_str("=#");
    // What was parsed from DER can be written as DER again.
    for byte in attribute.attr_value().to_der_vec().unwrap_or_default() {
        let _ = write!(text, "{byte:02x}");
    }
}

/// RFC 4514 section 2.4.
fn write_value(value: &[u8], text: &mut String) {
    for (index, &byte) in value.iter().enumerate() {
        let first = index == 0;
        let last = index + 1 == value.len();
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'#' if first => text.push_str("\\#"),
            b' ' if first || last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_be_taken_for_something_else() {
        let check = |value: &str, expect: &str| {
            let mut text = String::new();
            write_value(value.as_bytes(), &mut text);
            assert_eq!(text, expect);
        };
        check("ann", "ann");
        check("ann,O=root", "ann\\,O\\=root");
        check(" a b ", "\\ a b\\ ");
        check("#a#", "\\#a#");
        check("a\r\nX: y", "a\\0d\\0aX: y");
        check("caf\u{e9}", "caf\\c3\\a9");
        check("a+b;\"<>\\", "a\\+b\\;\\\"\\<\\>\\\\");
        check("", "");
    }
}
