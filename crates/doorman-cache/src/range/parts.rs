//! Responses that are stored in parts (RFC 9111 sections 3.3 and 3.4).
//!
//! Parts belong together only if they all have one strong validator: then they are parts of one
//! representation, byte for byte. A partial response without one is passed on and not stored.

use std::ops::Range;

use doorman_http::{FieldId, Fields, ResponseHead};

use super::number;
use crate::precondition::{is_strong_date, strong_date};
use crate::validator;

/// Parts of one response that are kept apart; a client that jumps about more gets no more stored.
pub const PARTS_MAX: usize = 64;

/// There are [`PARTS_MAX`] parts already, and the new one touches none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// Which bytes of a response are there: ranges in order, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(Vec<Range<u64>>);

impl Parts {
    /// Adds bytes, which may be there in part or as a whole. An empty range adds nothing.
    ///
    /// # Errors
    /// [`TooMany`]; nothing was added.
    pub fn insert(&mut self, range: Range<u64>) -> Result<(), TooMany> {
        if range.is_empty() {
            return Ok(());
        }
        let first = self.0.partition_point(|part| part.end < range.start);
        let behind = self.0.partition_point(|part| part.start <= range.end);
        let touched = self.0.get(first..behind).unwrap_or_default();
        if touched.is_empty() && self.0.len() >= PARTS_MAX {
            return Err(TooMany);
        }
        let start = touched.first().map_or(range.start, |part| part.start.min(range.start));
        let end = touched.last().map_or(range.end, |part| part.end.max(range.end));
        self.0.splice(first..behind, std::iter::once(start..end));
        Ok(())
    }

    /// Whether all bytes of a range are there.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.missing(range).next().is_none()
    }

    /// The bytes of a range that are not there, in order.
    pub fn missing(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let (start, end) = (range.start, range.end);
        let first = self.0.partition_point(|part| part.end <= start);
        let parts = self.0.get(first..).unwrap_or_default();
        let inside = parts.iter().take_while(move |part| part.start < end);
        let starts = std::iter::once(start).chain(inside.clone().map(|part| part.end));
        let ends = inside.map(|part| part.start).chain(std::iter::once(end));
        starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end)
    }

    /// The ranges that are there, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().cloned()
    }

    /// How many bytes are there.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().fold(0u64, |sum, part| sum.saturating_add(part.end - part.start))
    }
}

/// What a `Content-Range` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The bytes that came.
    pub range: Range<u64>,
    /// Bytes of the whole, if the origin knows them.
    pub length: Option<u64>,
}

impl ContentRange {
    /// What a 206 says of the part that it is; `None` if it has several parts, or says nothing that can
    /// be true.
    #[must_use]
    pub fn of(head: &ResponseHead) -> Option<Self> {
        if head.status != 206 {
            return None;
        }
        let mut lines = head.fields.all(FieldId::ContentRange);
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let (unit, rest) = line.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|&b| b == b'/')?;
        let (range, length) = (rest.get(..slash)?, rest.get(slash + 1..)?);
        let dash = range.iter().position(|&b| b == b'-')?;
        let first = number(range.get(..dash)?)?;
        // A number that was cut to 64 bits leaves no room for its end.
        let end = number(range.get(dash + 1..)?)?.checked_add(1)?;
        let length = if length == b"*" { None } else { Some(number(length)?) };
        let is_true = first < end && length.is_none_or(|length| end <= length && length < u64::MAX);
        is_true.then_some(Self { range: first..end, length })
    }
}

/// Why a partial response is not stored, or not put together with what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCombined {
    /// It is no 206, or has several parts, or its `Content-Range` cannot be true.
    Range,
    /// Its body has another length than its range.
    Length,
    /// It does not say how long the whole is, or says something else than what is stored.
    Whole,
    /// It has no strong validator, or another than what is stored.
    Validator,
}

/// Whether a 206 may be stored as a part (RFC 9111 section 3.3), and which part it is. `body` is the
/// length of its body, if that is known.
///
/// # Errors
/// Why not.
pub fn storable(head: &ResponseHead, body: Option<u64>) -> Result<ContentRange, NotCombined> {
    let part = ContentRange::of(head).ok_or(NotCombined::Range)?;
    if body.is_some_and(|body| body != part.range.end - part.range.start) {
        return Err(NotCombined::Length);
    }
    if part.length.is_none() {
        return Err(NotCombined::Whole);
    }
    if !has_strong_validator(&head.fields) {
        return Err(NotCombined::Validator);
    }
    Ok(part)
}

/// Whether a 206 may be put together with what is stored (RFC 9111 section 3.4): the head of a 200 or a
/// 206 of which parts are there, and the bytes of the whole.
///
/// # Errors
/// Why not. [`NotCombined::Validator`] and [`NotCombined::Whole`] say that what is stored is of another
/// time, if the 206 is the newer one.
pub fn combines(
    stored: &ResponseHead,
    length: u64,
    head: &ResponseHead,
    body: Option<u64>,
) -> Result<ContentRange, NotCombined> {
    let part = storable(head, body)?;
    if part.length != Some(length) {
        return Err(NotCombined::Whole);
    }
    if !matches!(stored.status, 200 | 206) || !is_same(&stored.fields, &head.fields) {
        return Err(NotCombined::Validator);
    }
    Ok(part)
}

fn has_strong_validator(fields: &Fields) -> bool {
    match fields.has(FieldId::Etag) {
        true => validator::tag(fields).is_some_and(|tag| !tag.is_weak),
        false => strong_date(fields).is_some(),
    }
}

/// Whether both have the same strong validator, and the same coding: an origin that codes on the fly
/// and keeps the tag is wrong, but it must not be us who make garbage of it.
fn is_same(stored: &Fields, newer: &Fields) -> bool {
    let coding =
        |fields: &Fields| fields.first(FieldId::ContentEncoding).map(<[u8]>::to_ascii_lowercase);
    let is_same = match (stored.has(FieldId::Etag), newer.has(FieldId::Etag)) {
        (true, true) => match (validator::tag(stored), validator::tag(newer)) {
            (Some(one), Some(other)) => {
                !one.is_weak && !other.is_weak && one.opaque == other.opaque
            }
            _ => false,
        },
        (false, false) => match newer.first(FieldId::LastModified) {
            Some(text) => is_strong_date(stored, text) && strong_date(newer).is_some(),
            None => false,
        },
        _ => false,
    };
    is_same && coding(stored) == coding(newer)
}
