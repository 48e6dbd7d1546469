//! The encoding that a document says it is in.
//!
//! Only encodings are read in which a byte of ASCII is what it looks like. In others a `<` can be
//! written in ways that no rule knows.

use crate::body::cookies::is_space;

/// How bytes beyond ASCII are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    /// Each is a character.
    Single,
    /// In a way that is not read.
    Other,
}

impl Encoding {
    /// Of what stands between `<?xml` and `?>`.
    pub(super) fn of(declaration: &[u8]) -> Self {
        const NAME: &[u8] = b"encoding";
        let mut places = memchr::memmem::find_iter(declaration, NAME);
        match (places.next(), places.next()) {
            (None, _) => Self::Utf8,
            (Some(at), None) => match quoted(&declaration[at + NAME.len()..]) {
                Some(name) => Self::named(name),
                None => Self::Other,
            },
            (Some(_), Some(_)) => Self::Other,
        }
    }

    fn named(name: &[u8]) -> Self {
        let name = name.to_ascii_lowercase();
        match &name[..] {
            b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => Self::Utf8,
            b"latin1" | [b'i', b's', b'o', b'-', b'8', b'8', b'5', b'9', b'-', ..] => Self::Single,
            _ if name.starts_with(b"windows-125") => Self::Single,
            _ => Self::Other,
        }
    }
}

/// The value of `= "value"`.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let text = trim(trim(text).strip_prefix(b"=")?);
    let (&quote, rest) = text.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    rest.split_at_checked(memchr::memchr(quote, rest)?).map(|(value, _)| value)
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    &text[start..]
}
