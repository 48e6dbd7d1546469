//! Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), as tokens, keys and cookies are written.
//!
//! Reading is strict: one text for each sequence of bytes. Padding, other characters and bits that are left over are
//! refused, so nobody can write one token in two ways and have it counted as two.

use base64ct::{Base64UrlUnpadded, Encoding};

/// The digits of these bytes.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; Base64UrlUnpadded::encoded_len(bytes)];
    // The length is right, so this cannot fail.
    Base64UrlUnpadded::encode(bytes, &mut digits).unwrap_or_default().to_owned()
}

/// The bytes that these digits say; `None`: they say nothing, or what other digits say too.
pub(crate) fn read(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 4 * 3 + 3];
    let length = Base64UrlUnpadded::decode(digits, &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors() {
        // RFC 4648 section 10 without padding, and RFC 7515 appendix C.
        for (bytes, digits) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[3, 236, 255, 224, 193], "A-z_4ME"),
        ] {
            assert_eq!(text(bytes), digits);
            assert_eq!(read(digits.as_bytes()).as_deref(), Some(bytes), "{digits}");
        }
    }

    #[test]
    fn what_is_not_strict_is_refused() {
        for digits in ["Z", "Zg==", "Zh", "Zm9", "Zm9vY", "Zm+v", "Zm/v", "Zm9 ", "Zm9v\n", "Zé"] {
            assert_eq!(read(digits.as_bytes()), None, "{digits}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads(bytes: Vec<u8>) {
            prop_assert_eq!(read(text(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn what_reads_is_written_so(digits in "[A-Za-z0-9_-]{0,9}") {
            if let Some(bytes) = read(digits.as_bytes()) {
                prop_assert_eq!(text(&bytes), digits);
            }
        }
    }
}
