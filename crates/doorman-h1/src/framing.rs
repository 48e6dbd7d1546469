//! How a message's end is found: `Content-Length` and `Transfer-Encoding` (RFC 9112 section 6).

use doorman_http::{FieldId, Fields, Length, Version};

use crate::Refusal;
use crate::lines::{Once, Seen, is_tchar};

/// Where a message's content ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no content, and nothing declared any.
    Empty,
    /// Exactly this many bytes; zero if the head said so.
    Known(u64),
    /// In chunks (RFC 9112 section 7.1).
    Chunked,
    /// Until the connection closes (responses only).
    UntilClose,
    /// No message any more: raw bytes after an upgrade or CONNECT.
    Tunnel,
}

impl Framing {
    /// The same as a body's length, for the other side.
    #[must_use]
    pub const fn length(self) -> Length {
        match self {
            Self::Empty => Length::Absent,
            Self::Known(n) => Length::Known(n),
            Self::Chunked | Self::UntilClose | Self::Tunnel => Length::Unknown,
        }
    }
}

/// What a head's fields say about its framing, before method and status are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Largest length taken: sums of it with a head or a count cannot overflow 64 bits.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// Judges both fields together; everything that two readers could see in different ways is refused.
pub(crate) fn declared(
    fields: &Fields,
    seen: &Seen,
    version: Version,
) -> Result<Declared, Refusal> {
    if seen.transfer_encoding {
        // RFC 9112 section 6.1 lets a server prefer chunked over a length: an origin may not.
        if seen.content_length != Once::Never {
            return Err(Refusal::BOTH_LENGTHS);
        }
        if version < Version::Http11 {
            return Err(Refusal::CODING_IN_10);
        }
        return chunked(fields);
    }
    match seen.content_length {
        Once::Never => Ok(Declared::Nothing),
        Once::At(index) => length(fields.value(index)).map(Declared::Length),
        Once::Several => Err(Refusal::LENGTH_TWICE),
    }
}

fn chunked(fields: &Fields) -> Result<Declared, Refusal> {
    let mut lines = fields.all(FieldId::TransferEncoding);
    let value = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        return Err(Refusal::CODING_TWICE);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Declared::Chunked);
    }
    // A list that ends in chunked and names codings that are not known here is a fair request that
    // cannot be served (RFC 9112 section 6.1); the rest is malformed.
    let is_token = |t: &[u8]| !t.is_empty() && t.iter().all(|&b| is_tchar(b));
    let mut codings = value.rsplit(|&b| b == b',').map(<[u8]>::trim_ascii);
    let last = codings.next().unwrap_or_default();
    let mut count = 0;
    let others = codings.all(|coding| {
        count += 1;
        is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked")
    });
    let ends_well = last.eq_ignore_ascii_case(b"chunked") || count == 0;
    if is_token(last) && others && ends_well {
        return Err(Refusal::CODING_UNKNOWN);
    }
    Err(Refusal::CODING)
}

/// RFC 9110 section 8.6. A list of equal values may be taken as one; it is refused, because no
/// client sends it and it shows that another reader already merged two messages' fields.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() {
        return Err(Refusal::LENGTH);
    }
    let mut length = 0u64;
    for &digit in value {
        if !digit.is_ascii_digit() {
            return Err(Refusal::LENGTH);
        }
        length = length
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .filter(|&n| n <= LENGTH_MAX)
            .ok_or(Refusal::LENGTH_RANGE)?;
    }
    Ok(length)
}
