//! Values in a MaxMind DB: the data section and the metadata are written alike (MaxMind DB File Format 2.0,
//! "Output Data Section").
//!
//! Only what is sought is decoded; everything else is stepped over. Each step is counted against an allowance, so
//! that maps within maps and pointers that share them cannot make a small file take long.

use super::GeoError;

/// Values, and how many more of them may be looked at.
pub(super) struct Section<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file, to tell places.
    offset: usize,
    steps: u64,
}

/// What stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(&'a [u8]),
    Number(u64),
    Map(Map),
    /// Anything else.
    Other,
}

/// So many pairs of keys and values, from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Map {
    pairs: usize,
    at: usize,
}

/// Kinds of values, by the numbers of the format.
const POINTER: u8 = 1;
const TEXT: u8 = 2;
const MAP: u8 = 7;
const ARRAY: u8 = 11;
const BOOLEAN: u8 = 14;

/// The first bytes of a value.
struct Control {
    kind: u8,
    /// Bytes, pairs or items; where a pointer points.
    size: usize,
    /// Where its contents begin.
    at: usize,
}

impl<'a> Section<'a> {
    pub(super) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        // Records are small and many share what they point to: some steps for each byte are plenty.
        Self { bytes, offset, steps: 4_096 + 8 * bytes.len() as u64 }
    }

    fn broken(&self, what: &'static str, at: usize) -> GeoError {
        GeoError::Broken(what, self.offset.saturating_add(at))
    }

    /// The value at this place, or the one that is pointed to from it.
    pub(super) fn value(&mut self, at: usize) -> Result<Value<'a>, GeoError> {
        let mut control = self.control(at)?;
        if control.kind == POINTER {
            control = self.control(control.size)?;
            if control.kind == POINTER {
                return Err(self.broken("a pointer to a pointer", at));
            }
        }
        let Control { kind, size, at } = control;
        Ok(match kind {
            TEXT => Value::Text(self.take(at, size)?),
            MAP => Value::Map(Map { pairs: size, at }),
            // Of 16, 32 and 64 bits; leading zeros are left out.
            5 | 6 | 9 if size <= 8 => {
                let number = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
                Value::Number(self.take(at, size)?.iter().fold(0, number))
            }
            5 | 6 | 9 => return Err(self.broken("a number of too many bytes", at)),
            _ => Value::Other,
        })
    }

    /// The value of this name in a map.
    pub(super) fn field(&mut self, map: Map, name: &str) -> Result<Option<Value<'a>>, GeoError> {
        let mut at = map.at;
        for _ in 0..map.pairs {
            let Value::Text(key) = self.value(at)? else {
                return Err(self.broken("a key that is no text", at));
            };
            at = self.skip(at)?;
            if key == name.as_bytes() {
                return self.value(at).map(Some);
            }
            at = self.skip(at)?;
        }
        Ok(None)
    }

    /// Where the value at this place ends.
    pub(super) fn skip(&mut self, mut at: usize) -> Result<usize, GeoError> {
        let mut pending = 1_u64;
        while pending > 0 {
            pending -= 1;
            let control = self.control(at)?;
            at = control.at;
            match control.kind {
                // Their contents stand elsewhere, or in the size.
                POINTER | BOOLEAN => {}
                MAP => pending += 2 * control.size as u64,
                ARRAY => pending += control.size as u64,
                _ => {
                    self.take(at, control.size)?;
                    at += control.size;
                }
            }
        }
        Ok(at)
    }

    fn control(&mut self, at: usize) -> Result<Control, GeoError> {
        self.steps =
            self.steps.checked_sub(1).ok_or_else(|| self.broken("values without end", at))?;
        let first = self.take(at, 1)?[0];
        let mut next = at + 1;
        let mut kind = first >> 5;
        if kind == POINTER {
            return self.pointer(first, next);
        }
        if kind == 0 {
            kind = self.take(next, 1)?[0].saturating_add(7);
            next += 1;
        }
        let (more, base) = match first & 31 {
            29 => (1, 29),
            30 => (2, 29 + 256),
            31 => (3, 29 + 256 + 65_536),
            size => (0, usize::from(size)),
        };
        let size = base + big_endian(self.take(next, more)?);
        Ok(Control { kind, size, at: next + more })
    }

    fn pointer(&self, first: u8, at: usize) -> Result<Control, GeoError> {
        let more = usize::from(first >> 3 & 3) + 1;
        let low = big_endian(self.take(at, more)?);
        // The longest kind has its number in the bytes behind alone.
        let high = if more == 4 { 0 } else { usize::from(first & 7) << (8 * more) };
        let base = [0, 2_048, 526_336, 0][more - 1];
        Ok(Control { kind: POINTER, size: base + (high | low), at: at + more })
    }

    fn take(&self, at: usize, size: usize) -> Result<&'a [u8], GeoError> {
        let end = at.checked_add(size);
        end.and_then(|end| self.bytes.get(at..end))
            .ok_or_else(|| self.broken("a value behind the end", at.min(self.bytes.len())))
    }
}

/// No more than four bytes.
fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte))
}

/// The country of a record; zeros if it has none.
pub(super) fn country(section: &mut Section<'_>, at: usize) -> Result<[u8; 2], GeoError> {
    let Value::Map(record) = section.value(at)? else { return Ok([0; 2]) };
    let code = match section.field(record, "country")? {
        Some(Value::Map(country)) => section.field(country, "iso_code")?.and_then(letters),
        Some(text) => letters(text),
        None => None,
    };
    let code = match code {
        None => section.field(record, "country_code")?.and_then(letters),
        code => code,
    };
    Ok(code.unwrap_or_default())
}

fn letters(value: Value<'_>) -> Option<[u8; 2]> {
    let Value::Text(text) = value else { return None };
    let code: [u8; 2] = text.try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|byte| byte.to_ascii_uppercase()))
}

/// The autonomous system of a record; 0 if it has none.
pub(super) fn asn(section: &mut Section<'_>, at: usize) -> Result<u32, GeoError> {
    const NAME: &str = "autonomous_system_number";
    let Value::Map(record) = section.value(at)? else { return Ok(0) };
    let mut found = section.field(record, NAME)?;
    if found.is_none()
        && let Some(Value::Map(traits)) = section.field(record, "traits")?
    {
        found = section.field(traits, NAME)?;
    }
    if found.is_none() {
        found = section.field(record, "asn")?;
    }
    Ok(found.and_then(number).unwrap_or(0))
}

fn number(value: Value<'_>) -> Option<u32> {
    match value {
        Value::Number(number) => u32::try_from(number).ok(),
        Value::Text(text) => {
            let text = std::str::from_utf8(text).ok()?;
            text.strip_prefix("AS").unwrap_or(text).parse().ok()
        }
        Value::Map(_) | Value::Other => None,
    }
}
