//! The `Content-Disposition` of a part.
//!
//! Only what every reader understands alike is taken without a fault; what was read before the fault is
//! kept.

use crate::body::Flags;
use crate::body::urlencoded::nibble;

/// What a part is.
#[derive(Debug, Default)]
pub(super) struct Disposition {
    /// All of `name`. One is right.
    pub(super) names: Vec<Vec<u8>>,
    /// All of `filename`.
    pub(super) filenames: Vec<Vec<u8>>,
    /// `filename*`, decoded: who knows it prefers it.
    pub(super) extended: Option<Vec<u8>>,
}

impl Disposition {
    /// Reads the value of the field.
    pub(super) fn read(&mut self, value: &[u8], flags: &mut Flags) -> Result<(), &'static str> {
        let Some(rest) = value.strip_prefix(b"form-data") else {
            return Err("a Content-Disposition that is not form-data");
        };
        let mut cursor = Cursor(rest);
        cursor.skip_blanks();
        match cursor.next() {
            None => return self.check(value),
            Some(b';') => {}
            Some(_) => return Err("a Content-Disposition that is not form-data"),
        }
        while !cursor.0.is_empty() {
            self.parameter(&mut cursor, flags)?;
        }
        self.check(value)
    }

    /// Whether it says what it has to, for readers of any kind.
    fn check(&self, value: &[u8]) -> Result<(), &'static str> {
        let said = |values: &[Vec<u8>]| values.first().is_some_and(|value| !value.is_empty());
        if !said(&self.names) {
            return Err("a Content-Disposition without a name");
        }
        if self.extended.is_some() && !said(&self.filenames) {
            return Err("a Content-Disposition with filename*, but without filename");
        }
        // Some readers look for the parameter without reading the field; they have to find it.
        if said(&self.filenames) && memchr::memmem::find(value, b"filename=").is_none() {
            return Err("a Content-Disposition with a blank behind filename");
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        cursor: &mut Cursor<'_>,
        flags: &mut Flags,
    ) -> Result<(), &'static str> {
        cursor.skip_blanks();
        let name = cursor.take_while(|byte| !matches!(byte, b'=' | b'\t' | b' '));
        cursor.skip_blanks();
        if cursor.next() != Some(b'=') {
            return Err("a Content-Disposition with a parameter without a value");
        }
        cursor.skip_blanks();
        if cursor.0.is_empty() {
            return Err("a Content-Disposition that ends before a value");
        }
        match name {
            b"name" => one(&mut self.names, cursor.value(flags)?)?,
            b"filename" => one(&mut self.filenames, cursor.value(flags)?)?,
            b"filename*" => {
                if self.extended.replace(cursor.extended()?).is_some() {
                    return Err("a Content-Disposition that says the same twice");
                }
            }
            _ => return Err("a Content-Disposition with an unknown parameter"),
        }
        cursor.skip_blanks();
        match cursor.next() {
            None | Some(b';') => Ok(()),
            Some(_) => {
                flags.invalid_quoting = true;
                Err("a Content-Disposition with something behind a value")
            }
        }
    }
}

/// Keeps a value, also one too many, for rules to look at.
fn one(values: &mut Vec<Vec<u8>>, value: Vec<u8>) -> Result<(), &'static str> {
    values.push(value);
    match values.len() {
        1 => Ok(()),
        _ => Err("a Content-Disposition that says the same twice"),
    }
}

/// What is left of the field.
struct Cursor<'f>(&'f [u8]);

impl<'f> Cursor<'f> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'f [u8] {
        let end = self.0.iter().position(|&byte| !wanted(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// A token or a quoted value. Apostrophes quote for some readers, and are flagged.
    fn value(&mut self, flags: &mut Flags) -> Result<Vec<u8>, &'static str> {
        match self.0 {
            [quote @ b'"', rest @ ..] | [quote @ b'\'', rest @ ..] => {
                self.0 = rest;
                flags.invalid_quoting |= *quote == b'\'';
                self.quoted(*quote)
            }
            _ => {
                let token = self.take_while(is_token);
                flags.invalid_quoting |= token.contains(&b'\'');
                Ok(token.to_vec())
            }
        }
    }

    /// A quoted value behind its first quote. Only a quote and a backslash are escaped: clients send
    /// paths with backslashes as they are.
    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, &'static str> {
        let mut value = Vec::new();
        loop {
            match self.next() {
                None => return Err("a Content-Disposition with a quote that nothing closes"),
                Some(byte) if byte == quote => return Ok(value),
                Some(b'\\') if matches!(self.0, [next, ..] if *next == quote || *next == b'\\') => {
                    value.extend(self.next());
                }
                Some(byte) => value.push(byte),
            }
        }
    }

    /// `charset'language'value` of RFC 8187, decoded.
    fn extended(&mut self) -> Result<Vec<u8>, &'static str> {
        const FAULT: &str = "a Content-Disposition with a filename* that is none";
        let charset = self.take_while(|byte| is_of(byte, b"!#$%&+-^_`{}~"));
        if charset.is_empty() || self.next() != Some(b'\'') {
            return Err(FAULT);
        }
        self.take_while(|byte| byte != b'\'');
        if self.next() != Some(b'\'') {
            return Err(FAULT);
        }
        let mut value = Vec::new();
        loop {
            match self.0 {
                [] | [b';', ..] => return Ok(value),
                [b'%', high, low, rest @ ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    value.push(nibble(*high) << 4 | nibble(*low));
                    self.0 = rest;
                }
                [byte, rest @ ..] if is_of(*byte, b"!#$&+-.^_`~") => {
                    value.push(*byte);
                    self.0 = rest;
                }
                _ => return Err(FAULT),
            }
        }
    }
}

fn is_of(byte: u8, special: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || special.contains(&byte)
}

/// RFC 2045, section 5.1, and braces as everywhere.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
