//! Which of the stored responses for a URL a request may get (RFC 9111 section 4.1).
//!
//! Everything that tells them apart is written into one run of bytes, the selector: who made the
//! response, the fields and cookies that the operator chose, the names of `Vary`, and the values that
//! the request had for all of them. Each part has its length in front, and what is absent is not what
//! is empty, so that two selectors are equal only if all of their parts are. A request is matched by
//! writing the selector that it would have and comparing bytes.
//!
//! Values are compared in a form in which only what cannot matter is made equal: lines are joined,
//! white space at commas goes, languages are in lower case, and of codings that are accepted the set
//! counts. An origin is asked with that same set ([`normal_accept_encoding`]), so it cannot answer by
//! what was left out.

use doorman_http::{FieldId, Method, RequestHead};

use crate::vary::VaryNames;

mod coding;
mod tell;

pub use coding::{coding_is_acceptable, normal_accept_encoding};
pub use tell::{Part, PartKind, Told, tell};

/// What else than the URL the operator chose to tell responses apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Names of request fields, lower case.
    pub headers: Box<[Box<[u8]>]>,
    /// Names of cookies, as they are written.
    pub cookies: Box<[Box<[u8]>]>,
    /// Whether the method counts.
    pub method: bool,
}

/// The length that stands for a part that is absent.
const ABSENT: [u8; 4] = u32::MAX.to_be_bytes();

/// Appends the selector of a request. `place` is who answers for it (site, route and upstream), as a
/// number that the caller makes; `vary` are the names of the response that is matched or stored.
pub fn selector(
    place: u64,
    chosen: &Chosen,
    vary: VaryNames<'_>,
    request: &RequestHead,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&place.to_be_bytes());
    append(out, |out| out.extend_from_slice(vary.0));
    if chosen.method {
        append(out, |out| out.extend_from_slice(method(&request.method).as_bytes()));
    }
    for name in &chosen.headers {
        header(name, request, out);
    }
    for name in &chosen.cookies {
        cookie(name, request, out);
    }
    for name in vary.iter() {
        header(name, request, out);
    }
}

/// HEAD asks for the head of what GET would get (RFC 9110 section 9.3.2).
fn method(method: &Method) -> &str {
    if *method == Method::Head { Method::Get.as_str() } else { method.as_str() }
}

/// The names of `Vary` that a stored selector was made with.
#[must_use]
pub fn vary_of(selector: &[u8]) -> VaryNames<'_> {
    let names = selector.get(8..12).and_then(|len| {
        let len = u32::from_be_bytes(len.try_into().ok()?);
        selector.get(12..)?.get(..usize::try_from(len).ok()?)
    });
    VaryNames(names.unwrap_or_default())
}

/// Whether a stored response, by its selector, was made for requests such as this. `scratch` is memory
/// to work in.
#[must_use]
pub fn is_selected(
    stored: &[u8],
    place: u64,
    chosen: &Chosen,
    request: &RequestHead,
    scratch: &mut Vec<u8>,
) -> bool {
    scratch.clear();
    selector(place, chosen, vary_of(stored), request, scratch);
    scratch == stored
}

/// Appends a part with its length in front.
fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&ABSENT);
    write(out);
    // Heads are bounded to some KiB.
    let len = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX - 1);
    if let Some(room) = out.get_mut(at..at + 4) {
        room.copy_from_slice(&len.to_be_bytes());
    }
}

fn header(name: &[u8], request: &RequestHead, out: &mut Vec<u8>) {
    let id = FieldId::of(name);
    if id == FieldId::AcceptEncoding {
        match coding::normal(request) {
            Some(normal) => append(out, |out| normal.write(out)),
            None => out.extend_from_slice(&ABSENT),
        }
        return;
    }
    let mut lines = values(id, name, request);
    let Some(first) = lines.next() else {
        out.extend_from_slice(&ABSENT);
        return;
    };
    append(out, |out| {
        let start = out.len();
        first.write(out);
        for line in lines {
            // Lines of a list are one list (RFC 9110 section 5.3).
            out.push(b',');
            line.write(out);
        }
        if name == b"accept-language" {
            out[start..].make_ascii_lowercase();
        }
    });
}

/// A value that the origin sees under a name, or under one that it may take for it.
struct Value<'a> {
    is_imitation: bool,
    bytes: &'a [u8],
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        if self.is_imitation {
            // Which no value can hold.
            out.push(0);
        }
        spaceless(self.bytes, out);
    }
}

/// The values that are forwarded. A field that `Connection` names is not: the origin answers as if it
/// had not been sent, and that answer must not be found by those who do send it. A name with other
/// marks for its hyphens is the same name to some origins; of those that the proxy knows none is
/// forwarded.
fn values<'a>(
    id: FieldId,
    name: &'a [u8],
    request: &'a RequestHead,
) -> impl Iterator<Item = Value<'a>> {
    let is_there = id == FieldId::Other || request.fields.has(id);
    let all = is_there.then(|| request.fields.iter()).into_iter().flatten();
    all.filter(move |(other, ..)| *other == id).filter_map(move |(_, other, bytes)| {
        let is_it = id != FieldId::Other || other.eq_ignore_ascii_case(name);
        let is_imitation = !is_it && imitates(other, name);
        (is_it || is_imitation).then_some(Value { is_imitation, bytes })
    })
}

fn imitates(other: &[u8], name: &[u8]) -> bool {
    let same = |(&a, &b): (&u8, &u8)| {
        a.eq_ignore_ascii_case(&b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric())
    };
    other.len() == name.len() && other.iter().zip(name).all(same)
}

/// Appends a value without the white space around it and at its commas; what is in quotes stays.
fn spaceless(value: &[u8], out: &mut Vec<u8>) {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let start = out.len();
    // Behind what may not be taken back: a comma of the value, or the end of a quoted string.
    let mut kept = start;
    for &byte in value {
        let is_space = matches!(byte, b' ' | b'\t');
        if is_quoted {
            out.push(byte);
            kept = out.len();
            is_quoted = is_escaped || byte != b'"';
            is_escaped = byte == b'\\' && !is_escaped;
            continue;
        }
        if is_space && out.len() == kept && (kept == start || out.last() == Some(&b',')) {
            continue;
        }
        if byte == b',' {
            trim_spaces(out, kept);
        }
        out.push(byte);
        is_quoted = byte == b'"';
        if byte == b',' || is_quoted {
            kept = out.len();
        }
    }
    trim_spaces(out, kept);
}

/// Takes white space off the end, but nothing in front of `kept`.
fn trim_spaces(out: &mut Vec<u8>, kept: usize) {
    while out.len() > kept && matches!(out.last(), Some(b' ' | b'\t')) {
        out.pop();
    }
}

/// Every cookie of that name: an origin may read the first or the last.
fn cookie(name: &[u8], request: &RequestHead, out: &mut Vec<u8>) {
    let lines = values(FieldId::Cookie, b"cookie", request);
    let pairs = lines.flat_map(|line| line.bytes.split(|&b| b == b';'));
    let values = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (key, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        (key.trim_ascii() == name).then(|| value.trim_ascii())
    });
    for value in values {
        append(out, |out| out.extend_from_slice(value));
    }
    out.extend_from_slice(&ABSENT);
}

#[cfg(test)]
mod tests;
