//! The entity tag of a response that came without a validator, made of its content (RFC 9110 section
//! 8.8.3).
//!
//! What shaped it: the same content has the same tag on every machine and after every restart, so
//! nothing else goes in. It is a strong tag, by which clients put parts of two answers together: so
//! it is 128 bits of SHA-256, by which nobody can make two contents one, not even an author of both.
//! A faster hash would save a few tenths of a millisecond for each MiB, once, while that is fetched.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// Bytes of the digest that are in the tag.
const BYTES: usize = 16;

/// A tag that is being made, as the content comes.
pub(crate) struct BodyTag(Context);

impl fmt::Debug for BodyTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyTag").finish_non_exhaustive()
    }
}

impl BodyTag {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Takes more of the content in.
    pub(crate) fn take(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The tag, in its quotes.
    pub(crate) fn finish(self) -> Vec<u8> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Vec::with_capacity(2 * BYTES + 2);
        text.push(b'"');
        for byte in self.0.finish().as_ref().iter().take(BYTES) {
            text.push(DIGITS[usize::from(byte >> 4)]);
            text.push(DIGITS[usize::from(byte & 15)]);
        }
        text.push(b'"');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of FIPS 180-4: what is in caches of clients is compared with these by later
    /// releases, too.
    #[test]
    fn tags_stay_what_they_are() {
        let check = |parts: &[&str], expect: &str| {
            let mut tag = BodyTag::new();
            parts.iter().for_each(|part| tag.take(part.as_bytes()));
            assert_eq!(String::from_utf8(tag.finish()).unwrap(), expect);
        };
        check(&[], "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        check(&["abc"], "\"ba7816bf8f01cfea414140de5dae2223\"");
        check(&["a", "", "bc"], "\"ba7816bf8f01cfea414140de5dae2223\"");
    }
}
