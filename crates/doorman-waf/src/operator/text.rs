//! Operators that compare a value with a text.

use memchr::memmem;

/// `@within`: whether the value stands somewhere in the list. An empty one always does.
#[must_use]
pub fn is_within(value: &[u8], list: &[u8]) -> bool {
    memmem::find(list, value).is_some()
}

/// `@containsWord`: whether the word is in the value with no letter before it or behind it. An empty
/// word is in every value.
#[must_use]
pub fn contains_word(value: &[u8], word: &[u8]) -> bool {
    if word.is_empty() {
        return true;
    }
    let Some(first) = memmem::find(value, word) else { return false };
    let is_free = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphabetic);
    // Occurrences may overlap, and each has to be looked at: the table keeps that linear.
    let borders = borders(word);
    let mut matched = 0;
    for (place, byte) in value.iter().enumerate().skip(first) {
        while matched > 0 && word.get(matched) != Some(byte) {
            matched = borders[matched - 1];
        }
        matched += usize::from(word[matched] == *byte);
        if matched == word.len() {
            let before = (place + 1).checked_sub(matched + 1).and_then(|at| value.get(at));
            if is_free(before) && is_free(value.get(place + 1)) {
                return true;
            }
            matched = borders[matched - 1];
        }
    }
    false
}

/// For each prefix of the word, how long the longest of its beginnings is that it also ends with.
fn borders(word: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; word.len()];
    let mut length = 0;
    for place in 1..word.len() {
        while length > 0 && word[length] != word[place] {
            length = borders[length - 1];
        }
        length += usize::from(word[length] == word[place]);
        borders[place] = length;
    }
    borders
}

/// What a value is worth as a number: white space, a sign and digits at its front; 0 where there are
/// no digits, and the nearest that fits where there are too many.
#[must_use]
pub fn number(value: &[u8]) -> i64 {
    let (digits, sign) = match skip_space(value) {
        [b'-', digits @ ..] => (digits, -1),
        [b'+', digits @ ..] => (digits, 1),
        digits => (digits, 1),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |number, digit| {
        number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'))
    })
}

/// White space as C knows it: what ASCII knows, and the vertical tab.
fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t'..=b'\r', after @ ..] = rest {
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |value: &[u8], word: &[u8], expected| {
            assert_eq!(contains_word(value, word), expected, "{:?} {:?}", value, word);
        };
        check(b"", b"", true);
        check(b"", b"a", false);
        check(b"select", b"select", true);
        check(b"a select b", b"select", true);
        check(b"1select2", b"select", true);
        check(b"selected", b"select", false);
        check(b"xselect select", b"select", true);
        check(b"preselect", b"select", false);
        check(b"aa-aa-aa", b"aa-aa", true);
        check(b"aa-aa-aab", b"aa-aa", true);
        check(b"xaa-aa-aa", b"aa-aa", true);
        check(b"x1x1x1x", b"1x1", false);
        check(b"-a-a-b", b"-a-b", false);
        check(b"1-a-a-b", b"-a-b", false);
        check(b"--a--b", b"-", true);
    }

    #[test]
    fn within() {
        assert!(is_within(b"", b""));
        assert!(is_within(b"", b"GET POST"));
        assert!(is_within(b"GET", b"GET POST"));
        assert!(!is_within(b"PUT", b"GET POST"));
        assert!(!is_within(b"GET POST PUT", b"GET POST"));
    }

    #[test]
    fn numbers() {
        let check = |value: &[u8], expected| assert_eq!(number(value), expected, "{value:?}");
        check(b"", 0);
        check(b"12", 12);
        check(b" \t\x0b+12abc", 12);
        check(b"\x0b 7", 7);
        check(b"-3.5", -3);
        check(b"- 3", 0);
        check(b"--3", 0);
        check(b"abc", 0);
        check(b"0x10", 0);
        check(b"99999999999999999999", i64::MAX);
        check(b"-99999999999999999999", i64::MIN);
        check(b"-9223372036854775808", i64::MIN);
    }
}
