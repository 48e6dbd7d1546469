//! Injections of SQL.
//!
//! The value is read as it stands, and as if it began within a string. Of its first tokens those are
//! folded away that change nothing (`1 + 1` is as good as `1`); the kinds of the five that are left
//! are its fingerprint, and fingerprints of injections are known. Reading ends as soon as five are
//! left, which for most values is long before their end.

use memchr::{memchr, memmem};

use super::fold::{Folded, fold};
use super::token::{Dialect, Token, kind};
use super::words;

/// The kinds of the first tokens of a value that is an injection of SQL, a letter for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    letters: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl Fingerprint {
    /// The most letters one has.
    pub const LENGTH_MAX: usize = 5;

    /// Its letters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.letters[..usize::from(self.length)]
    }

    fn of(tokens: &[Token]) -> Self {
        let mut print = Self { letters: [0; Self::LENGTH_MAX], length: 0 };
        if tokens.iter().any(|token| token.kind == kind::EVIL) {
            (print.letters[0], print.length) = (kind::EVIL, 1);
            return print;
        }
        for (letter, token) in print.letters.iter_mut().zip(tokens) {
            *letter = token.kind;
            print.length += 1;
        }
        print
    }
}

/// `@detectSQLi`: the fingerprint of the value, if it would inject SQL.
#[must_use]
pub fn detect_sqli(value: &[u8]) -> Option<Fingerprint> {
    if may_be_sqli(value) { look(value) } else { None }
}

/// [`detect_sqli`], asked of everything.
pub(super) fn look(value: &[u8]) -> Option<Fingerprint> {
    let has = |quote| memchr(quote, value).is_some();
    both(value, None)
        .or_else(|| has(b'\'').then(|| both(value, Some(b'\''))).flatten())
        .or_else(|| has(b'"').then(|| read(value, Dialect::MySql, Some(b'"')).0).flatten())
}

/// Whether [`detect_sqli`] is worth asking: one word or one number is no injection.
#[must_use]
pub fn may_be_sqli(value: &[u8]) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match value.first() {
        None => false,
        Some(b'0'..=b'9') => !value.iter().all(u8::is_ascii_digit),
        Some(_) => !value.iter().all(|&byte| is_name(byte)),
    }
}

/// As one dialect reads it, and as another if that makes a difference.
fn both(value: &[u8], quote: Option<u8>) -> Option<Fingerprint> {
    let (found, is_ambiguous) = read(value, Dialect::Ansi, quote);
    found.or_else(|| is_ambiguous.then(|| read(value, Dialect::MySql, quote).0).flatten())
}

fn read(value: &[u8], dialect: Dialect, quote: Option<u8>) -> (Option<Fingerprint>, bool) {
    let folded = fold(value, dialect, quote);
    let print = Fingerprint::of(folded.tokens());
    let is_injection = words::is_print(print.as_bytes()) && !is_harmless(value, &print, &folded);
    (is_injection.then_some(print), folded.is_ambiguous)
}

/// Fingerprints of two or three tokens are those of plain text, too: it takes a closer look.
fn is_harmless(value: &[u8], print: &Fingerprint, folded: &Folded) -> bool {
    let letters = print.as_bytes();
    // SQL Server leaves lines with this word out of its log: it is there to hide.
    if matches!(letters, [_, .., kind::COMMENT]) && memmem::find(value, b"sp_password").is_some() {
        return false;
    }
    match folded.tokens() {
        [first, second] if letters.len() == 2 => {
            is_harmless_pair(value, first, second, folded.count)
        }
        [first, second, third] if letters.len() == 3 => match letters {
            // `...foo' + 'bar...`: no quote opens it, none closes it.
            b"sos" | b"s&s" => !(first.open == 0 && third.close == 0 && first.close == third.open),
            // `sexy and 17`, but not `sexy and 17<18`.
            b"s&n" | b"n&1" | b"1&1" | b"1&v" | b"1&s" => folded.count == 3,
            _ => {
                second.kind == kind::KEYWORD
                    && !(second.text().len() >= 5
                        && second.text()[..4].eq_ignore_ascii_case(b"INTO"))
            }
        },
        _ => false,
    }
}

fn is_harmless_pair(value: &[u8], first: &Token, second: &Token, count: usize) -> bool {
    if second.kind == kind::UNION {
        return count == 2;
    }
    let comment = second.text();
    let is_block = comment.first() == Some(&b'/');
    if comment.first() == Some(&b'#') {
        return true;
    }
    if second.kind == kind::COMMENT && first.kind == kind::BAREWORD && !is_block {
        return true;
    }
    if second.kind == kind::COMMENT && first.kind == kind::NUMBER {
        // `1234-ABC--` is as often the form of something encoded; `1234--` is not.
        let behind = value.get(first.text().len()..).unwrap_or_default();
        let is_plain = match behind {
            [] | [0..=b' ' | 0x80.., ..] => false,
            _ => !behind.starts_with(b"/*") && !behind.starts_with(b"--"),
        };
        return !is_block && count <= 2 && is_plain;
    }
    // Many write `--` in text; it counts only at the end.
    comment.len() > 2 && comment[0] == b'-'
}
