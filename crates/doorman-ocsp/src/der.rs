//! DER, as far as answers of OCSP and the outside of certificates go: tags of one byte, definite lengths in their
//! shortest form (X.690 sections 8.1 and 10.1). Whatever else comes is refused.

use std::fmt;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0A;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]`, `[1]` and `[2]` around something.
pub(crate) const CONTEXT: [u8; 3] = [0xA0, 0xA1, 0xA2];

/// The bytes are not what the standard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed")
    }
}

impl std::error::Error for Malformed {}

/// Elements, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    pub(crate) fn element(&mut self) -> Result<Element<'a>, Malformed> {
        let bytes = self.rest;
        let (&tag, after) = bytes.split_first().ok_or(Malformed)?;
        // A tag of several bytes has all of these bits; nothing here has one.
        if tag & 0x1F == 0x1F {
            return Err(Malformed);
        }
        let (length, after) = length(after)?;
        let content = after.get(..length).ok_or(Malformed)?;
        self.rest = after.get(length..).ok_or(Malformed)?;
        let whole = bytes.get(..bytes.len() - self.rest.len()).ok_or(Malformed)?;
        Ok(Element { tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.element()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed) }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// What is inside of the next element, which must have this tag.
    pub(crate) fn inside(&mut self, tag: u8) -> Result<Self, Malformed> {
        Ok(Self::new(self.take(tag)?.content))
    }
}

/// The length of an element, and what comes behind it.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (&first, after) = bytes.split_first().ok_or(Malformed)?;
    if first < 0x80 {
        return Ok((usize::from(first), after));
    }
    // 0x80 is the indefinite form; three bytes count up to 16 MiB, which no answer has.
    let count = usize::from(first & 0x7F);
    if !(1..=3).contains(&count) {
        return Err(Malformed);
    }
    let (digits, after) = after.split_at_checked(count).ok_or(Malformed)?;
    let length = digits.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let is_shortest = digits.first() != Some(&0) && length >= 0x80;
    if is_shortest { Ok((length, after)) } else { Err(Malformed) }
}

/// The bits of a BIT STRING of whole bytes.
pub(crate) fn whole_bytes(content: &[u8]) -> Result<&[u8], Malformed> {
    match content.split_first() {
        Some((0, bytes)) => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// Something signed: the outside of a certificate (RFC 5280 section 4.1) and of an answer (RFC 6960 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The bytes that are signed.
    pub message: &'a [u8],
    /// The content of the signature's `AlgorithmIdentifier`.
    pub algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Reads the outside of a certificate.
///
/// # Errors
///
/// When it is no certificate.
pub fn read_signed(bytes: &[u8]) -> Result<Signed<'_>, Malformed> {
    let mut outer = Reader::new(bytes);
    let mut inner = outer.inside(SEQUENCE)?;
    outer.end()?;
    let signed = signed(&mut inner)?;
    inner.end()?;
    Ok(signed)
}

pub(crate) fn signed<'a>(inner: &mut Reader<'a>) -> Result<Signed<'a>, Malformed> {
    let message = inner.take(SEQUENCE)?.whole;
    let algorithm = inner.take(SEQUENCE)?.content;
    let signature = whole_bytes(inner.take(BIT_STRING)?.content)?;
    Ok(Signed { message, algorithm, signature })
}

/// A `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The content of its `AlgorithmIdentifier`.
    pub algorithm: &'a [u8],
    /// The key.
    pub key: &'a [u8],
}

/// Reads a `SubjectPublicKeyInfo`.
///
/// # Errors
///
/// When it is none.
pub fn public_key(bytes: &[u8]) -> Result<PublicKey<'_>, Malformed> {
    let mut outer = Reader::new(bytes);
    let mut inner = outer.inside(SEQUENCE)?;
    outer.end()?;
    let algorithm = inner.take(SEQUENCE)?.content;
    let key = whole_bytes(inner.take(BIT_STRING)?.content)?;
    inner.end()?;
    Ok(PublicKey { algorithm, key })
}

/// The features that the extension of RFC 7633 asks for, as far as they are numbers that TLS has.
///
/// # Errors
///
/// When it is no such extension.
pub fn features(value: &[u8]) -> Result<Vec<u16>, Malformed> {
    let mut outer = Reader::new(value);
    let mut inner = outer.inside(SEQUENCE)?;
    outer.end()?;
    let mut found = Vec::new();
    while !inner.is_empty() {
        match *inner.take(INTEGER)?.content {
            [low] => found.push(u16::from(low)),
            [high, low] => found.push(u16::from_be_bytes([high, low])),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let check = |bytes: &[u8], expect: Option<(u8, usize)>| {
            let element = Reader::new(bytes).element().ok();
            let found = element.map(|element| (element.tag, element.content.len()));
            assert_eq!(found, expect, "{bytes:02x?}");
        };
        check(&[0x02, 1, 7], Some((2, 1)));
        check(&[0x02, 0], Some((2, 0)));
        check(&[0x02, 2, 7], None);
        check(&[0x02], None);
        check(&[], None);
        // A tag of more than one byte.
        check(&[0x1F, 1, 0], None);
        check(&[0xBF, 1, 0], None);
        // Lengths that are indefinite, not the shortest, or too long.
        check(&[0x30, 0x80, 0, 0], None);
        check(&[0x30, 0x81, 1, 0], None);
        check(&[&[0x30, 0x82, 0, 0x80][..], &[0; 128]].concat(), None);
        check(&[&[0x30, 0x81, 0x80][..], &[0; 128]].concat(), Some((0x30, 128)));
        check(&[&[0x30, 0x82, 1, 0][..], &[0; 256]].concat(), Some((0x30, 256)));
        check(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], None);
        check(&[0x30, 0x83, 0xFF, 0xFF, 0xFF], None);
    }

    #[test]
    fn features_of_a_certificate() {
        assert_eq!(features(&[0x30, 3, 2, 1, 5]), Ok(vec![5]));
        assert_eq!(features(&[0x30, 6, 2, 1, 5, 2, 1, 17]), Ok(vec![5, 17]));
        assert_eq!(features(&[0x30, 0]), Ok(Vec::new()));
        assert_eq!(features(&[0x30, 3, 2, 1]), Err(Malformed));
        assert_eq!(features(&[0x30, 3, 4, 1, 5]), Err(Malformed));
    }
}
