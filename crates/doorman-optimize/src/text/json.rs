//! JSON without the white space between its tokens (RFC 8259 section 2).
//!
//! Every token is copied byte for byte: numbers that no double holds, names that come twice and
//! escapes that need not be are the business of whoever reads the text. All of it is checked
//! against the grammar on the way, because what is not JSON (comments, two texts in a row, single
//! quotes) is read by rules that are not known here.

use super::{Bounds, Refusal, readable, smaller};

/// JSON without its white space.
///
/// # Errors
///
/// Why the original is to be served.
pub fn json(text: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    // RFC 8259 section 8.1: a mark must not stand in front, and who reads may take it for an error;
    // so does the reader below.
    readable(text, bounds)?;
    let mut reader =
        Reader { text, at: 0, made: Vec::with_capacity(text.len()), open: Vec::new(), bounds };
    reader.read()?;
    smaller(reader.made, text)
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value or the end of an array that is empty.
    FirstValue,
    /// A name or the end of an object that is empty.
    FirstName,
    Name,
    Colon,
    /// A comma, or the end of what is open; the end of the text if nothing is.
    Separator,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    made: Vec<u8>,
    /// Brackets that are open, by the byte that closes them.
    open: Vec<u8>,
    bounds: &'a Bounds,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Refusal> {
        let mut expect = Expect::Value;
        loop {
            self.skip_space();
            let Some(&byte) = self.text.get(self.at) else {
                let is_whole = expect == Expect::Separator && self.open.is_empty();
                return if is_whole { Ok(()) } else { Err(Refusal::Malformed) };
            };
            expect = match (expect, byte) {
                (Expect::Value | Expect::FirstValue, b'{') => {
                    self.enter(b'}', Expect::FirstName)?
                }
                (Expect::Value | Expect::FirstValue, b'[') => {
                    self.enter(b']', Expect::FirstValue)?
                }
                (Expect::FirstValue, b']') | (Expect::FirstName, b'}') => self.leave(byte)?,
                (Expect::Value | Expect::FirstValue, _) => {
                    self.scalar(byte)?;
                    Expect::Separator
                }
                (Expect::Name | Expect::FirstName, b'"') => {
                    self.string()?;
                    Expect::Colon
                }
                (Expect::Colon, b':') => self.take(Expect::Value),
                (Expect::Separator, b',') => match self.open.last() {
                    Some(b'}') => self.take(Expect::Name),
                    Some(_) => self.take(Expect::Value),
                    None => return Err(Refusal::Malformed),
                },
                (Expect::Separator, b']' | b'}') => self.leave(byte)?,
                _ => return Err(Refusal::Malformed),
            };
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes one byte over.
    fn take(&mut self, next: Expect) -> Expect {
        self.copy(self.at + 1);
        next
    }

    fn copy(&mut self, end: usize) {
        self.made.extend_from_slice(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn enter(&mut self, closes: u8, next: Expect) -> Result<Expect, Refusal> {
        if self.open.len() >= self.bounds.depth {
            return Err(Refusal::TooDeep);
        }
        self.open.push(closes);
        Ok(self.take(next))
    }

    fn leave(&mut self, byte: u8) -> Result<Expect, Refusal> {
        if self.open.pop() != Some(byte) {
            return Err(Refusal::Malformed);
        }
        Ok(self.take(Expect::Separator))
    }

    fn scalar(&mut self, byte: u8) -> Result<(), Refusal> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = match byte {
            b'"' => return self.string(),
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            _ => number(rest).ok_or(Refusal::Malformed)?,
        };
        self.copy(self.at + length);
        Ok(())
    }

    /// RFC 8259 section 7.
    fn string(&mut self) -> Result<(), Refusal> {
        let mut end = self.at + 1;
        loop {
            let byte = *self.text.get(end).ok_or(Refusal::Malformed)?;
            end += 1;
            match byte {
                b'"' => break,
                b'\\' => end += escape(self.text.get(end..).unwrap_or_default())?,
                0..=0x1F => return Err(Refusal::Malformed),
                _ => {}
            }
        }
        self.copy(end);
        Ok(())
    }
}

/// How many bytes of an escape stand behind its backslash.
fn escape(rest: &[u8]) -> Result<usize, Refusal> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(1),
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => Ok(5),
        _ => Err(Refusal::Malformed),
    }
}

/// How long the number is that a text begins with (RFC 8259 section 6).
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = usize::from(text.first() == Some(&b'-'));
    match (text.get(end), digits(end)) {
        (_, 0) => return None,
        // A zero in front of other digits would be octal to some.
        (Some(b'0'), count) if count > 1 => return None,
        (_, count) => end += count,
    }
    if text.get(end) == Some(&b'.') {
        let count = digits(end + 1);
        end += 1 + (count > 0).then_some(count)?;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let count = digits(end + 1 + sign);
        end += 1 + sign + (count > 0).then_some(count)?;
    }
    Some(end)
}
