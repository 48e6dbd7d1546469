//! Trailer sections (RFC 9112 section 7.1.2).
//!
//! A trailer is read when the head has long been judged, so nothing in it may change what was
//! decided: fields that frame, route, authenticate or describe the content are left out
//! (RFC 9110 section 6.5.1).

use memchr::memchr;

use doorman_http::{FieldId, Fields};

use crate::lines::{self, Bounds};
use crate::{BodyFault, Refusal};

/// Collects the lines of a trailer section and reads them once it is whole.
#[derive(Debug, Default)]
pub(crate) struct Section {
    bytes: Vec<u8>,
    lines: usize,
    line_start: usize,
    pub(crate) fields: Option<Fields>,
}

impl Section {
    /// Takes what of `input` belongs to the section. Returns how much that was, and whether the
    /// section is whole.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        bounds: Bounds,
    ) -> Result<(usize, bool), BodyFault> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            let feed = memchr(b'\n', rest);
            let part = &rest[..feed.map_or(rest.len(), |feed| feed + 1)];
            if self.bytes.len() + part.len() > bounds.bytes {
                return Err(TRAILER_BYTES);
            }
            self.bytes.extend_from_slice(part);
            used += part.len();
            if feed.is_some() && self.line_ends(bounds)? {
                self.read(bounds)?;
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// A line feed came: whether it ends the section.
    fn line_ends(&mut self, bounds: Bounds) -> Result<bool, BodyFault> {
        let line = &self.bytes[self.line_start..];
        match line {
            b"\r\n" => return Ok(true),
            [.., b'\r', b'\n'] => {}
            _ => return Err(Refusal::BARE_LF.into()),
        }
        self.lines += 1;
        if self.lines > bounds.fields {
            return Err(TRAILER_FIELDS);
        }
        self.line_start = self.bytes.len();
        Ok(false)
    }

    fn read(&mut self, bounds: Bounds) -> Result<(), BodyFault> {
        let mut fields = Fields::new();
        let Some(layout) = lines::section(&self.bytes, 0, bounds, &mut fields)? else {
            return Ok(());
        };
        lines::place_fields(&mut fields, &self.bytes, &layout)?;
        let mut kept = Fields::new();
        for (id, name, value) in fields.iter() {
            if may_trail(id, name) {
                kept.push(name, value);
            }
        }
        self.fields = (!kept.is_empty()).then_some(kept);
        Ok(())
    }
}

/// Whether a field of this name may stand in a trailer section, on whatever wire.
#[must_use]
pub fn may_be_trailer(name: &[u8]) -> bool {
    may_trail(FieldId::of(name), name)
}

/// Whether a field may stand in a trailer. Every name that the proxy knows decides something, but
/// for the entity tag; `Content-Digest` is made for trailers (RFC 9530 section 2).
fn may_trail(id: FieldId, name: &[u8]) -> bool {
    const NEVER: [&[u8]; 6] = [
        b"cookie2",
        b"pragma",
        b"set-cookie2",
        b"warning",
        b"x-http-method-override",
        b"x-forwarded",
    ];
    match id {
        FieldId::Etag => true,
        FieldId::Other => {
            let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
            let describes = name.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"content-"));
            !FieldId::is_imitated_by(name)
                && (!describes || is(b"content-digest"))
                && !NEVER.iter().any(|never| is(never))
        }
        _ => false,
    }
}

const TRAILER_BYTES: BodyFault = BodyFault { reason: "trailer section is too large" };
const TRAILER_FIELDS: BodyFault = BodyFault { reason: "trailer section has too many fields" };
