//! The answer: `OCSPResponse` (RFC 6960 section 4.2.1).

use crate::der::{
    BOOLEAN, CONTEXT, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, OBJECT_IDENTIFIER,
    OCTET_STRING, Reader, SEQUENCE, Signed, signed,
};
use crate::time::unix_seconds;

/// Certificates that one answer may speak of. A server that staples asks about one; some responders answer about a few.
pub const ANSWERS_MAX: usize = 16;
/// Certificates that may come with an answer: the one that signed it, and what led to that.
pub const CERTIFICATES_MAX: usize = 8;

/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1.
const BASIC: [u8; 9] = [0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1];
const SHA1: [u8; 5] = [0x2B, 0x0E, 3, 2, 0x1A];
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// What a responder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// What it knows, under a signature.
    Answer(Answer<'a>),
    /// Nothing, for the reason that this word of the standard names. Nobody has signed it.
    Refused(&'static str),
}

/// What a responder knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What is signed.
    pub signed: Signed<'a>,
    /// Who says that he has signed it.
    pub responder: Responder<'a>,
    /// By certificate.
    pub singles: Vec<Single<'a>>,
    /// Certificates that may be needed to verify the signature.
    pub certificates: Vec<&'a [u8]>,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responder<'a> {
    /// By his distinguished name, as DER.
    Name(&'a [u8]),
    /// By the SHA-1 of his key.
    Key(&'a [u8]),
}

/// How certificates are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// Another.
    Other,
}

/// What is known of one certificate. Times are unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single<'a> {
    /// What the hashes are made by.
    pub hash: Hash,
    /// The hash of its issuer's name.
    pub name_hash: &'a [u8],
    /// The hash of its issuer's key.
    pub key_hash: &'a [u8],
    /// Its serial number, the content of an INTEGER.
    pub serial: &'a [u8],
    /// How it stands.
    pub status: Status,
    /// When that was known to be so.
    pub this_update: u64,
    /// When there is newer knowledge at the latest.
    pub next_update: Option<u64>,
}

/// How it stands with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// Since when, unix seconds.
        at: u64,
        /// The number of the reason (RFC 5280 section 5.3.1), if one is given.
        reason: Option<u8>,
    },
    /// The responder does not know it.
    Unknown,
}

/// Reads what a responder sent.
///
/// # Errors
///
/// When it is no answer, asks to understand what is not understood here, or is larger than one that a server needs.
pub fn read_reply(bytes: &[u8]) -> Result<Reply<'_>, Malformed> {
    let mut outer = Reader::new(bytes);
    let mut inner = outer.inside(SEQUENCE)?;
    outer.end()?;
    let refused = match inner.take(ENUMERATED)?.content {
        [0] => None,
        [1] => Some("malformedRequest"),
        [2] => Some("internalError"),
        [3] => Some("tryLater"),
        [5] => Some("sigRequired"),
        [6] => Some("unauthorized"),
        _ => return Err(Malformed),
    };
    if let Some(refused) = refused {
        // Whatever else is said is not signed.
        return Ok(Reply::Refused(refused));
    }
    let mut explicit = inner.inside(CONTEXT[0])?;
    inner.end()?;
    let mut typed = explicit.inside(SEQUENCE)?;
    explicit.end()?;
    if typed.take(OBJECT_IDENTIFIER)?.content != BASIC {
        return Err(Malformed);
    }
    let response = typed.take(OCTET_STRING)?.content;
    typed.end()?;
    basic(response).map(Reply::Answer)
}

fn basic(bytes: &[u8]) -> Result<Answer<'_>, Malformed> {
    let mut outer = Reader::new(bytes);
    let mut inner = outer.inside(SEQUENCE)?;
    outer.end()?;
    let signed = signed(&mut inner)?;
    let mut certificates = Vec::new();
    if let Some(explicit) = inner.optional(CONTEXT[0])? {
        let mut explicit = Reader::new(explicit.content);
        let mut list = explicit.inside(SEQUENCE)?;
        explicit.end()?;
        while !list.is_empty() {
            if certificates.len() == CERTIFICATES_MAX {
                return Err(Malformed);
            }
            certificates.push(list.take(SEQUENCE)?.whole);
        }
    }
    inner.end()?;
    let (responder, singles) = data(signed.message)?;
    Ok(Answer { signed, responder, singles, certificates })
}

/// `ResponseData`.
fn data(bytes: &[u8]) -> Result<(Responder<'_>, Vec<Single<'_>>), Malformed> {
    let mut inner = Reader::new(bytes).inside(SEQUENCE)?;
    if let Some(version) = inner.optional(CONTEXT[0])? {
        let mut version = Reader::new(version.content);
        // Version 1, which some write though it is the default.
        if version.take(INTEGER)?.content != [0] {
            return Err(Malformed);
        }
        version.end()?;
    }
    let who = inner.element()?;
    let mut explicit = Reader::new(who.content);
    let responder = match who.tag {
        tag if tag == CONTEXT[1] => Responder::Name(explicit.take(SEQUENCE)?.whole),
        tag if tag == CONTEXT[2] => Responder::Key(explicit.take(OCTET_STRING)?.content),
        _ => return Err(Malformed),
    };
    explicit.end()?;
    // When it was signed says nothing that the times of the certificates do not.
    unix_seconds(inner.take(GENERALIZED_TIME)?.content)?;
    let mut list = inner.inside(SEQUENCE)?;
    let mut singles = Vec::new();
    while !list.is_empty() {
        if singles.len() == ANSWERS_MAX {
            return Err(Malformed);
        }
        singles.push(single(list.inside(SEQUENCE)?)?);
    }
    extensions(&mut inner)?;
    inner.end()?;
    Ok((responder, singles))
}

fn single(mut inner: Reader<'_>) -> Result<Single<'_>, Malformed> {
    let mut id = inner.inside(SEQUENCE)?;
    let hash = match id.inside(SEQUENCE)?.take(OBJECT_IDENTIFIER)?.content {
        name if name == SHA1 => Hash::Sha1,
        name if name == SHA256 => Hash::Sha256,
        _ => Hash::Other,
    };
    let name_hash = id.take(OCTET_STRING)?.content;
    let key_hash = id.take(OCTET_STRING)?.content;
    let serial = id.take(INTEGER)?.content;
    id.end()?;
    let status = status(&mut inner)?;
    let this_update = unix_seconds(inner.take(GENERALIZED_TIME)?.content)?;
    let next_update = match inner.optional(CONTEXT[0])? {
        None => None,
        Some(explicit) => {
            let mut explicit = Reader::new(explicit.content);
            let time = unix_seconds(explicit.take(GENERALIZED_TIME)?.content)?;
            explicit.end()?;
            Some(time)
        }
    };
    extensions(&mut inner)?;
    inner.end()?;
    Ok(Single { hash, name_hash, key_hash, serial, status, this_update, next_update })
}

/// `CertStatus`. Its variants are implicit, so the tag of what is inside is gone.
fn status(inner: &mut Reader<'_>) -> Result<Status, Malformed> {
    let element = inner.element()?;
    match (element.tag, element.content) {
        (0x80, []) => Ok(Status::Good),
        (0x82, []) => Ok(Status::Unknown),
        (0xA1, content) => {
            let mut info = Reader::new(content);
            let at = unix_seconds(info.take(GENERALIZED_TIME)?.content)?;
            let reason = match info.optional(CONTEXT[0])? {
                None => None,
                Some(explicit) => match *Reader::new(explicit.content).take(ENUMERATED)?.content {
                    [reason] => Some(reason),
                    _ => return Err(Malformed),
                },
            };
            info.end()?;
            Ok(Status::Revoked { at, reason })
        }
        _ => Err(Malformed),
    }
}

/// Reads over extensions behind `[1]`. One that must be understood is not (RFC 5280 section 4.2).
fn extensions(inner: &mut Reader<'_>) -> Result<(), Malformed> {
    let Some(explicit) = inner.optional(CONTEXT[1])? else { return Ok(()) };
    let mut explicit = Reader::new(explicit.content);
    let mut list = explicit.inside(SEQUENCE)?;
    explicit.end()?;
    while !list.is_empty() {
        let mut extension = list.inside(SEQUENCE)?;
        extension.take(OBJECT_IDENTIFIER)?;
        if let Some(critical) = extension.optional(BOOLEAN)?
            && critical.content != [0]
        {
            return Err(Malformed);
        }
        extension.take(OCTET_STRING)?;
        extension.end()?;
    }
    Ok(())
}
