//! The boundary that a `Content-Type` names.
//!
//! Origins read this field in many ways, and a body that is divided otherwise there than here hides
//! what it likes. Whatever two readers could disagree about is therefore told as a flag or a fault,
//! even where the grammar of parameters allows it.

use crate::body::Flags;
use crate::body::cookies::is_space;

const TYPE: &[u8] = b"multipart/form-data";
const OTHERS: &[u8] = b"multipart/";
const PARAMETER: &[u8] = b"boundary";

/// Longer ones are nobody's.
const FIELD_MAX: usize = 1024;

/// Whether a body that is read as a multipart one is that of a form. It is not if it has another
/// multipart type.
#[must_use]
pub fn is_form(field: &[u8]) -> bool {
    has_type(field, TYPE) || !has_type(field, OTHERS)
}

/// Whether a type names a boundary at all.
pub(super) fn names_one(field: &[u8]) -> bool {
    count(field) > 0
}

fn has_type(field: &[u8], kind: &[u8]) -> bool {
    field.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// The boundary of a multipart type that is no form's. Its parameters are many and stand in any order;
/// only that there are two boundaries could divide readers.
fn of_others(field: &[u8]) -> Result<Vec<u8>, &'static str> {
    if !has_type(field, OTHERS) {
        return Err("the Content-Type is another one");
    }
    let parameters = &field[OTHERS.len()..];
    if count(parameters) > 1 {
        return Err("the Content-Type has several boundaries");
    }
    let named = parameters
        .windows(PARAMETER.len())
        .position(|name| name.eq_ignore_ascii_case(PARAMETER))
        .ok_or("the Content-Type has no boundary")?;
    let behind = trimmed(&parameters[named + PARAMETER.len()..]);
    let Some(value) = behind.strip_prefix(b"=") else {
        return Err("the boundary has no value");
    };
    let value = match trimmed(value) {
        [b'"', quoted @ ..] => &quoted[..memchr::memchr(b'"', quoted).unwrap_or(quoted.len())],
        token => &token[..memchr::memchr2(b';', b',', token).unwrap_or(token.len())],
    };
    match value.trim_ascii_end() {
        [] => Err("the boundary is empty"),
        boundary => Ok(boundary.to_vec()),
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    &text[start..]
}

/// The boundary, without the hyphens before it.
pub(super) fn boundary(field: &[u8], flags: &mut Flags) -> Result<Vec<u8>, &'static str> {
    if field.is_empty() {
        return Err("there is no Content-Type");
    }
    if field.len() > FIELD_MAX {
        return Err("the Content-Type is too long");
    }
    if !has_type(field, TYPE) {
        return of_others(field);
    }
    let parameters = &field[TYPE.len()..];
    let named = count(parameters);
    if named > 1 {
        return Err("the Content-Type has several boundaries");
    }
    let Some(at) = memchr::memmem::find(parameters, PARAMETER) else {
        return Err(match named {
            0 => "the Content-Type has no boundary",
            _ => "the boundary's name is not in lower case",
        });
    };
    before(&parameters[..at], flags)?;
    let rest = &parameters[at + PARAMETER.len()..];
    let Some(equals) = memchr::memchr(b'=', rest) else {
        return Err("the boundary has no value");
    };
    if !rest[..equals].iter().copied().all(is_space) {
        return Err("the boundary's name goes on");
    }
    let spaced = &rest[equals + 1..];
    let start = spaced.iter().position(|&byte| !is_space(byte)).unwrap_or(spaced.len());
    flags.boundary_whitespace |= equals > 0 || start > 0;
    value(&spaced[start..], flags)
}

/// What stands between the type and the boundary: one semicolon.
fn before(between: &[u8], flags: &mut Flags) -> Result<(), &'static str> {
    let mut others = between.iter().filter(|&&byte| !is_space(byte));
    match (others.next(), others.next()) {
        (None, _) => {
            flags.missing_semicolon = true;
            Ok(())
        }
        (Some(b';'), None) => Ok(()),
        _ => Err("something stands before the boundary in the Content-Type"),
    }
}

fn value(value: &[u8], flags: &mut Flags) -> Result<Vec<u8>, &'static str> {
    let mut boundary = match value {
        [b'"', quoted @ .., b'"'] => {
            flags.boundary_quoted = true;
            quoted
        }
        [b'"', ..] | [.., b'"'] => return Err("the boundary is quoted on one side"),
        _ => value,
    };
    if count(boundary) > 0 {
        return Err("the boundary names a boundary");
    }
    if !is_valid(boundary) {
        // Some clients put a charset behind it, which is not worth a refusal.
        let end = memchr::memchr(b';', boundary).unwrap_or(boundary.len());
        boundary = &boundary[..end];
    }
    match (boundary, is_valid(boundary)) {
        ([], _) => Err("the boundary is empty"),
        (_, false) => Err("the boundary has characters that none has"),
        (_, true) => Ok(boundary.to_vec()),
    }
}

/// How often a boundary is named, in any case, with a `=` anywhere behind it.
fn count(text: &[u8]) -> usize {
    let Some(last) = memchr::memrchr(b'=', text) else { return 0 };
    text[..last]
        .windows(PARAMETER.len())
        .filter(|name| name.eq_ignore_ascii_case(PARAMETER))
        .count()
}

/// RFC 2046, section 5.1.1.
fn is_valid(boundary: &[u8]) -> bool {
    let of_any = |&byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    boundary.iter().all(of_any) && boundary.last() != Some(&b' ')
}
