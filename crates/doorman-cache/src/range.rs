//! Parts of a stored response that a client asks for (RFC 9110 section 14).
//!
//! A `Range` is a wish: one that cannot be read, that asks for too many pieces, or that came with a
//! condition that does not hold is answered with the whole. Positions are ranges with their end behind
//! the last byte, and lie within the length that they are held against; what has more digits than a
//! number of 64 bits has is as large as such a number can be.

use std::ops::Range;

use doorman_http::{FieldId, Fields, Method, RequestHead, ResponseHead};

use crate::precondition::{Comparison, any_tag, is_strong_date, is_tag};

mod parts;
mod write;

pub use parts::{ContentRange, NotCombined, PARTS_MAX, Parts, TooMany, combines, storable};
pub use write::{BOUNDARY_MAX, Multipart, content_range, make_partial, unsatisfiable};

/// Ranges of one request that are answered. A reader of documents asks for two or three; a request for
/// more is for the whole (RFC 9110 section 14.2 warns of those that ask for many).
pub const RANGES_MAX: usize = 16;

/// Bytes between two ranges up to which they are sent as one: about what the head of a part costs.
const GAP: u64 = 80;

/// What to send of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of it, with its own status.
    Whole,
    /// 206 with this range.
    One(Range<u64>),
    /// 206 with these ranges, two to [`RANGES_MAX`] that do not overlap, in the order in which they
    /// were asked for.
    Several(Vec<Range<u64>>),
    /// 416: nothing of what is asked for is there.
    Unsatisfiable,
}

/// What a request wants of a stored response of `length` bytes. Only GET asks for ranges, and only what
/// was answered with 200 has any. The request's other conditions come before this
/// ([`crate::evaluate`]).
#[must_use]
pub fn of(request: &RequestHead, stored: &ResponseHead, length: u64) -> Ranges {
    if request.method != Method::Get || stored.status != 200 {
        return Ranges::Whole;
    }
    let Some(specifiers) = specifiers(&request.fields) else { return Ranges::Whole };
    if !if_range(&request.fields, &stored.fields) {
        return Ranges::Whole;
    }
    parse(specifiers, length)
}

/// Whether the request asks for ranges at all: nothing else need be looked at if it does not.
#[must_use]
pub fn is_asked(request: &RequestHead) -> bool {
    request.fields.has(FieldId::Range)
}

/// What stands behind `bytes=`; `None` for other units and for more than one field.
fn specifiers(asked: &Fields) -> Option<&[u8]> {
    if !asked.has(FieldId::Range) {
        return None;
    }
    let mut lines = asked.all(FieldId::Range);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (unit, specifiers) = line.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(specifiers)
}

/// Whether the condition on the ranges holds (RFC 9110 section 13.1.5): none, or the very validator of
/// the stored response, if that is a strong one.
fn if_range(asked: &Fields, stored: &Fields) -> bool {
    if !asked.has(FieldId::IfRange) {
        return true;
    }
    let mut lines = asked.all(FieldId::IfRange);
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    if line.starts_with(b"\"") || line.starts_with(b"W/") {
        let mut tags = 0;
        let is_first = any_tag(line, |is_weak, opaque| {
            tags += 1;
            tags == 1 && is_tag(stored, is_weak, opaque, Comparison::Strong)
        });
        // One tag, and nothing behind it.
        return is_first
            && line.last() == Some(&b'"')
            && line.iter().filter(|&&b| b == b'"').count() == 2;
    }
    is_strong_date(stored, line)
}

/// One of the ranges that are asked for.
enum Wanted {
    /// Within the length.
    Bytes(Range<u64>),
    /// Behind its end, or no byte at all.
    Nothing,
}

fn parse(specifiers: &[u8], length: u64) -> Ranges {
    let mut ranges = Vec::new();
    let mut count = 0;
    for specifier in specifiers.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
        if specifier.is_empty() {
            continue;
        }
        count += 1;
        match wanted(specifier, length) {
            Some(_) if count > RANGES_MAX => return Ranges::Whole,
            Some(Wanted::Bytes(range)) => join(&mut ranges, range),
            Some(Wanted::Nothing) => {}
            // One that cannot be read makes all of them invalid.
            None => return Ranges::Whole,
        }
    }
    match ranges.len() {
        0 if count == 0 => Ranges::Whole,
        0 => Ranges::Unsatisfiable,
        1 => ranges.pop().filter(|range| !range.is_empty()).map_or(Ranges::Whole, Ranges::One),
        _ => Ranges::Several(ranges),
    }
}

/// Reads `first-last`, `first-` or `-count`.
fn wanted(specifier: &[u8], length: u64) -> Option<Wanted> {
    let dash = specifier.iter().position(|&b| b == b'-')?;
    let (first, last) = (specifier.get(..dash)?, specifier.get(dash + 1..)?);
    if first.is_empty() {
        return Some(match number(last)? {
            0 => Wanted::Nothing,
            count => Wanted::Bytes(length.saturating_sub(count)..length),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    let inside = first < length;
    Some(if inside {
        Wanted::Bytes(first..last.saturating_add(1).min(length))
    } else {
        Wanted::Nothing
    })
}

/// Digits, and nothing but digits; at most what 64 bits hold.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add =
        |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// Adds a range; those that overlap or nearly touch become one, in the place of the first of them.
fn join(ranges: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let mut place = None;
    // What it has grown by may touch another: each turn takes one out.
    while let Some(at) = ranges.iter().position(|other| {
        range.start <= other.end.saturating_add(GAP) && other.start <= range.end.saturating_add(GAP)
    }) {
        let other = ranges.remove(at);
        range = range.start.min(other.start)..range.end.max(other.end);
        place = Some(place.map_or(at, |place: usize| place.min(at)));
    }
    ranges.insert(place.unwrap_or(ranges.len()), range);
}

#[cfg(test)]
mod tests;
