//! Base64 as the tests have it (RFC 4648 section 4): whole requests and bodies, broken into lines or not.

/// The bytes; `None` if the text is none of it. White space is skipped.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits, mut digits, mut padding) = (0_u32, 0_u32, 0_usize, 0_usize);
    for &letter in text.iter().filter(|letter| !letter.is_ascii_whitespace()) {
        if letter == b'=' {
            padding += 1;
            continue;
        }
        if padding > 0 {
            return None;
        }
        held = held << 6 | digit(letter)?;
        bits += 6;
        digits += 1;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    ((digits + padding) % 4 == 0 && padding <= 2).then_some(bytes)
}

fn digit(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(decode(text.as_bytes()).as_deref(), expected, "{text}");
    }

    #[test]
    fn texts_become_bytes() {
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9v\nYmFy", Some(b"foobar"));
        check("/+8=", Some(&[0xff, 0xef]));
    }

    #[test]
    fn what_is_none_of_it_is_refused() {
        check("Zg", None);
        check("Zg=", None);
        check("Zg==Zg==", None);
        check("Zm-v", None);
        check("====", None);
    }
}
