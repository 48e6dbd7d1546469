//! What stands in brackets.

use super::escape::Escape;
use super::{Error, Parser, fault, named};
use crate::operator::ByteSet;

impl Parser<'_> {
    /// A class, from its `[` to its `]`.
    pub(super) fn class(&mut self) -> Result<ByteSet, Error> {
        let start = self.at;
        if self.posix_end().is_some() {
            return Err(fault(start, "a named class stands only within brackets: `[[:name:]]`"));
        }
        self.at += 1;
        let negated = self.eat(b"^");
        let mut set = ByteSet::default();
        let mut first = true;
        let mut quoting = false;
        loop {
            if self.eat(b"\\E") {
                quoting = false;
                continue;
            }
            if !quoting && self.eat(b"\\Q") {
                quoting = true;
                continue;
            }
            let Some(byte) = self.peek() else {
                return Err(fault(start, "`[` without its `]`"));
            };
            if byte == b']' && !first && !quoting {
                self.at += 1;
                break;
            }
            if self.options.extended_class && !quoting && matches!(byte, b' ' | b'\t') {
                self.at += 1;
                continue;
            }
            first = false;
            let at = self.at;
            match self.member(&mut quoting)? {
                Escape::Set(other) => set = set.union(other),
                Escape::Byte(low) => {
                    let high = self.range_end(&mut quoting)?.unwrap_or(low);
                    if high < low {
                        return Err(fault(at, "range of a class is out of order"));
                    }
                    set = set.union(ByteSet::range(low, high));
                }
            }
        }
        let set = self.folded(set);
        Ok(if negated { set.complement() } else { set })
    }

    fn member(&mut self, quoting: &mut bool) -> Result<Escape, Error> {
        let start = self.at;
        let Some(byte) = self.peek() else {
            return Err(fault(start, "`[` without its `]`"));
        };
        if *quoting {
            self.at += 1;
            return Ok(Escape::Byte(byte));
        }
        if byte == b'[' {
            if let Some(set) = self.posix()? {
                return Ok(Escape::Set(set));
            }
        } else if byte == b'\\' {
            return match self.pattern.get(start + 1) {
                Some(b'b') => {
                    self.at += 2;
                    Ok(Escape::Byte(0x08))
                }
                Some(b'B' | b'R' | b'X' | b'N') => {
                    Err(fault(start, "escape that has no meaning within a class"))
                }
                _ => self.simple_escape(),
            };
        }
        self.at += 1;
        Ok(Escape::Byte(byte))
    }

    /// The end of a range whose beginning has been read, if there is one. A hyphen at the end of a
    /// class or before a set stands for itself.
    fn range_end(&mut self, quoting: &mut bool) -> Result<Option<u8>, Error> {
        let before = (self.at, *quoting);
        while self.eat(b"\\E") {
            *quoting = false;
        }
        if *quoting || self.peek() != Some(b'-') {
            (self.at, *quoting) = before;
            return Ok(None);
        }
        self.at += 1;
        loop {
            if self.eat(b"\\E") {
                *quoting = false;
            } else if !*quoting && self.eat(b"\\Q") {
                *quoting = true;
            } else {
                break;
            }
        }
        if !*quoting && matches!(self.peek(), Some(b']') | None) {
            (self.at, *quoting) = before;
            return Ok(None);
        }
        match self.member(quoting)? {
            Escape::Byte(high) => Ok(Some(high)),
            Escape::Set(_) => {
                (self.at, *quoting) = before;
                Ok(None)
            }
        }
    }

    /// A named class that begins here.
    fn posix(&mut self) -> Result<Option<ByteSet>, Error> {
        let start = self.at;
        let Some(end) = self.posix_end() else { return Ok(None) };
        if self.pattern[start + 1] != b':' {
            return Err(fault(start, "collating elements are not supported"));
        }
        let name = &self.pattern[start + 2..end - 2];
        let (name, negated) = match name.strip_prefix(b"^") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some(set) = named::posix(name) else {
            let text = format!("unknown named class `{}`", name.escape_ascii());
            return Err(fault(start, text));
        };
        // Without regard to case, upper and lower are all letters; what is negated is folded first.
        let set = self.folded(set);
        self.at = end;
        Ok(Some(if negated { set.complement() } else { set }))
    }

    /// Where the named class or collating element that begins here ends, if one does.
    fn posix_end(&self) -> Option<usize> {
        let [b'[', kind @ (b':' | b'.' | b'='), rest @ ..] = self.rest() else { return None };
        let close = [*kind, b']'];
        for (i, byte) in rest.iter().enumerate() {
            if rest[i..].starts_with(&close) {
                return Some(self.at + 2 + i + 2);
            }
            if matches!(byte, b']' | b'\\' | b'[') {
                return None;
            }
        }
        None
    }
}
