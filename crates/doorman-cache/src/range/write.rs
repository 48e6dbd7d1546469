//! Heads of 206 and 416, and what stands between the parts of `multipart/byteranges` (RFC 9110
//! sections 14.4, 14.6, 15.3.7 and 15.5.17).

use std::ops::Range;

use doorman_http::{FieldId, ResponseHead, is_token};

use super::Ranges;

/// Bytes of a boundary at most (RFC 2046 section 5.1.1).
pub const BOUNDARY_MAX: usize = 70;

/// Appends the value of a `Content-Range`: `bytes 0-9/100`. An empty range has none.
pub fn content_range(range: &Range<u64>, length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes ");
    decimal(range.start, out);
    out.push(b'-');
    decimal(range.end.saturating_sub(1), out);
    out.push(b'/');
    decimal(length, out);
}

/// The head of a 416 for a response of `length` bytes.
#[must_use]
pub fn unsatisfiable(length: u64) -> ResponseHead {
    let mut value = b"bytes */".to_vec();
    decimal(length, &mut value);
    let mut head = ResponseHead::new(416);
    head.fields.push_id(FieldId::ContentRange, &value);
    head
}

/// Makes the head of a stored 200 the head of a 206 with these ranges. Returns the bytes of its body;
/// `None`, and nothing is changed, if the whole or nothing is to be sent, or if the boundary is none.
///
/// `boundary` is for several ranges; it must not occur in the body, so it is drawn for each response.
pub fn make_partial(
    head: &mut ResponseHead,
    ranges: &Ranges,
    length: u64,
    boundary: &[u8],
) -> Option<u64> {
    let body = match ranges {
        Ranges::Whole | Ranges::Unsatisfiable => return None,
        Ranges::One(range) => {
            let mut value = Vec::new();
            content_range(range, length, &mut value);
            head.fields.remove_id(FieldId::ContentRange);
            head.fields.push_id(FieldId::ContentRange, &value);
            range.end.saturating_sub(range.start)
        }
        Ranges::Several(ranges) => {
            let content_type = head.fields.first(FieldId::ContentType);
            let multipart = Multipart::new(ranges, length, boundary, content_type)?;
            let body = multipart.body_length();
            let value = [&b"multipart/byteranges; boundary="[..], boundary].concat();
            head.fields.remove_id(FieldId::ContentRange);
            head.fields.remove_id(FieldId::ContentType);
            head.fields.push_id(FieldId::ContentType, &value);
            body
        }
    };
    head.status = 206;
    // The origin's phrase was for its 200.
    head.set_reason(0..0);
    Some(body)
}

/// A body of several ranges: for each its head and its bytes, and then the end.
#[derive(Clone, Copy, Debug)]
pub struct Multipart<'a> {
    ranges: &'a [Range<u64>],
    length: u64,
    boundary: &'a [u8],
    content_type: Option<&'a [u8]>,
}

impl<'a> Multipart<'a> {
    /// Ranges of a response of `length` bytes with this `Content-Type`. `None` if the boundary is not a
    /// token of at most [`BOUNDARY_MAX`] bytes: every token may stand in a field without quotes.
    #[must_use]
    pub fn new(
        ranges: &'a [Range<u64>],
        length: u64,
        boundary: &'a [u8],
        content_type: Option<&'a [u8]>,
    ) -> Option<Self> {
        let valid = is_token(boundary) && boundary.len() <= BOUNDARY_MAX;
        valid.then_some(Self { ranges, length, boundary, content_type })
    }

    /// Appends what stands in front of the bytes of a range.
    pub fn part_head(&self, range: &Range<u64>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary);
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(content_type);
        }
        out.extend_from_slice(b"\r\nContent-Range: ");
        content_range(range, self.length, out);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends what stands behind the bytes of the last range.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary);
        out.extend_from_slice(b"--\r\n");
    }

    /// Bytes of the whole body.
    #[must_use]
    pub fn body_length(&self) -> u64 {
        let mut texts = Vec::new();
        let mut bytes = 0u64;
        for range in self.ranges {
            self.part_head(range, &mut texts);
            bytes = bytes.saturating_add(range.end.saturating_sub(range.start));
        }
        self.end(&mut texts);
        bytes.saturating_add(texts.len() as u64)
    }
}

fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        at -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}
