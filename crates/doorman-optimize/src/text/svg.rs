//! SVG without comments and without the white space between its elements (XML 1.0, SVG 2).
//!
//! White space alone between two tags is drawn nowhere but in text, so it goes everywhere else; so
//! does white space around attributes. What has a meaning of its own stays as it is: text and whatever
//! is in it, styles, scripts, other languages, sections of character data, and everything once `xml:space` is
//! named. A document that declares entities is refused: what they stand for is not known here.

use super::{BYTE_ORDER_MARK, Bounds, Refusal, is_kept_comment, readable, smaller};

/// An image without its white space and comments.
///
/// # Errors
///
/// Why the original is to be served.
pub fn svg(text: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    readable(text, bounds)?;
    let mut reader = Reader {
        text,
        at: 0,
        made: Vec::with_capacity(text.len()),
        open: Vec::new(),
        kept: None,
        keeps_space: memchr::memmem::find(text, b"xml:space").is_some(),
        bounds,
    };
    reader.read()?;
    smaller(reader.made, text)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    made: Vec<u8>,
    /// Names of the elements that are open.
    open: Vec<&'a [u8]>,
    /// How many were open where the outermost one began whose content is kept.
    kept: Option<usize>,
    keeps_space: bool,
    bounds: &'a Bounds,
}

/// Elements whose content is kept.
const KEPT: [&[u8]; 7] =
    [b"text", b"style", b"script", b"foreignObject", b"title", b"desc", b"metadata"];

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, length: usize) {
        let rest = self.rest();
        self.made.extend_from_slice(rest.get(..length).unwrap_or(rest));
        self.at += length;
    }

    fn read(&mut self) -> Result<(), Refusal> {
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.copy(BYTE_ORDER_MARK.len());
        }
        let mut has_root = false;
        while !self.rest().is_empty() {
            let rest = self.rest();
            if rest.first() != Some(&b'<') {
                self.characters()?;
            } else if rest.starts_with(b"<!--") {
                let inner = rest.get(4..).unwrap_or_default();
                let length = 7 + memchr::memmem::find(inner, b"-->").ok_or(Refusal::Malformed)?;
                let comment = rest.get(2..length).unwrap_or_default();
                if self.kept.is_some() || is_kept_comment(comment) {
                    self.copy(length);
                } else {
                    self.at += length;
                }
            } else if rest.starts_with(b"<![CDATA[") && !self.open.is_empty() {
                self.copy_through(b"]]>")?;
            } else if rest.starts_with(b"<?") {
                self.instruction()?;
            } else if rest.starts_with(b"<!") {
                self.doctype(has_root)?;
            } else if rest.starts_with(b"</") {
                self.end()?;
            } else {
                if has_root && self.open.is_empty() {
                    return Err(Refusal::Malformed);
                }
                has_root = true;
                self.start()?;
            }
        }
        if has_root && self.open.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
    }

    fn copy_through(&mut self, end: &[u8]) -> Result<(), Refusal> {
        let found = memchr::memmem::find(self.rest(), end).ok_or(Refusal::Malformed)?;
        self.copy(found + end.len());
        Ok(())
    }

    /// Text up to the next tag.
    fn characters(&mut self) -> Result<(), Refusal> {
        let rest = self.rest();
        let length = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        let characters = rest.get(..length).unwrap_or_default();
        let is_blank = characters.iter().all(|&byte| is_space(byte));
        if !is_blank && self.open.is_empty() {
            return Err(Refusal::Malformed);
        }
        if is_blank && self.kept.is_none() && !self.keeps_space {
            self.at += length;
        } else {
            self.copy(length);
        }
        Ok(())
    }

    /// The declaration of XML, which may name an encoding, and what speaks to applications.
    fn instruction(&mut self) -> Result<(), Refusal> {
        let rest = self.rest();
        let length = 2 + memchr::memmem::find(rest, b"?>").ok_or(Refusal::Malformed)?;
        let instruction = rest.get(..length).unwrap_or_default();
        if instruction.starts_with(b"<?xml ") {
            let is_other = memchr::memmem::find(instruction, b"encoding").is_some_and(|at| {
                let value = instruction.get(at + 8..).unwrap_or_default().trim_ascii_start();
                let value = value.strip_prefix(b"=").unwrap_or_default().trim_ascii_start();
                let name = value.get(1..6).unwrap_or_default();
                !name.eq_ignore_ascii_case(b"utf-8")
            });
            if is_other {
                return Err(Refusal::Charset);
            }
        }
        self.copy(length);
        Ok(())
    }

    /// A doctype that only names what everybody knows.
    fn doctype(&mut self, has_root: bool) -> Result<(), Refusal> {
        let rest = self.rest();
        let length = 1 + memchr::memchr(b'>', rest).ok_or(Refusal::Malformed)?;
        let doctype = rest.get(..length).unwrap_or_default();
        if has_root || !doctype.starts_with(b"<!DOCTYPE") || doctype.contains(&b'[') {
            return Err(Refusal::Unsure);
        }
        self.copy(length);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let rest = self.rest();
        let length = memchr::memchr(b'>', rest).ok_or(Refusal::Malformed)?;
        let name = rest.get(2..length).unwrap_or_default().trim_ascii_end();
        if self.open.pop() != Some(name) {
            return Err(Refusal::Malformed);
        }
        if self.kept == Some(self.open.len()) {
            self.kept = None;
        }
        self.made.extend_from_slice(b"</");
        self.made.extend_from_slice(name);
        self.made.push(b'>');
        self.at += length + 1;
        Ok(())
    }

    fn start(&mut self) -> Result<(), Refusal> {
        let rest = self.rest();
        let name = rest.get(1..1 + name_length(rest.get(1..).unwrap_or_default())?);
        let name = name.unwrap_or_default();
        self.copy(1 + name.len());
        loop {
            let spaces = self.rest().iter().take_while(|&&byte| is_space(byte)).count();
            self.at += spaces;
            match self.rest() {
                [b'>', ..] => {
                    self.copy(1);
                    return self.enter(name);
                }
                [b'/', b'>', ..] => {
                    self.copy(2);
                    return Ok(());
                }
                _ if spaces == 0 => return Err(Refusal::Malformed),
                _ => self.attribute()?,
            }
        }
    }

    fn enter(&mut self, name: &'a [u8]) -> Result<(), Refusal> {
        if self.open.len() >= self.bounds.depth {
            return Err(Refusal::TooDeep);
        }
        // A prefix may stand for SVG too.
        let local = name.rsplit(|&byte| byte == b':').next().unwrap_or_default();
        if self.kept.is_none() && KEPT.contains(&local) {
            self.kept = Some(self.open.len());
        }
        self.open.push(name);
        Ok(())
    }

    fn attribute(&mut self) -> Result<(), Refusal> {
        self.made.push(b' ');
        self.copy(name_length(self.rest())?);
        self.skip_space();
        if self.rest().first() != Some(&b'=') {
            return Err(Refusal::Malformed);
        }
        self.copy(1);
        self.skip_space();
        let rest = self.rest();
        let quote = match rest.first() {
            Some(&quote @ (b'"' | b'\'')) => quote,
            _ => return Err(Refusal::Malformed),
        };
        let inner = rest.get(1..).unwrap_or_default();
        let length = memchr::memchr2(quote, b'<', inner).ok_or(Refusal::Malformed)?;
        if inner.get(length) == Some(&b'<') {
            return Err(Refusal::Malformed);
        }
        self.copy(length + 2);
        Ok(())
    }

    fn skip_space(&mut self) {
        self.at += self.rest().iter().take_while(|&&byte| is_space(byte)).count();
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How long a name is; which characters may stand in one is left to who reads it.
fn name_length(rest: &[u8]) -> Result<usize, Refusal> {
    let is_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.' | 0x80..)
    };
    match rest.iter().take_while(|byte| is_name(byte)).count() {
        0 => Err(Refusal::Malformed),
        length => Ok(length),
    }
}
