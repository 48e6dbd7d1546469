//! What begins with a backslash.

use super::{Error, Item, Look, Node, Parser, fault, named};
use crate::operator::ByteSet;

/// What an escape stands for in a class and outside of it alike.
pub(super) enum Escape {
    Byte(u8),
    Set(ByteSet),
}

impl Parser<'_> {
    /// An escape outside of a class.
    pub(super) fn escape(&mut self) -> Result<Item, Error> {
        let start = self.at;
        let Some(&byte) = self.pattern.get(start + 1) else {
            return Err(fault(start, "`\\` at the end"));
        };
        let look = match byte {
            b'A' | b'G' => Some(Look::Start),
            b'z' => Some(Look::End),
            b'Z' => Some(Look::EndOrNewline),
            b'b' => Some(Look::WordBoundary),
            b'B' => Some(Look::NotWordBoundary),
            _ => None,
        };
        if let Some(look) = look {
            self.at += 2;
            return Ok(Item::Fixed(Node::Look(look)));
        }
        let node = match byte {
            b'1'..=b'9' => self.digits()?,
            b'g' => self.reference()?,
            b'k' => self.named_reference()?,
            b'R' => {
                self.at += 2;
                any_newline()
            }
            b'N' if !self.rest()[2..].starts_with(b"{U") => {
                self.at += 2;
                Node::Set(named::not_newline())
            }
            b'C' => {
                self.at += 2;
                Node::Set(named::all())
            }
            b'K' => return Err(fault(start, "`\\K` is not supported")),
            b'X' => return Err(fault(start, "`\\X` is not supported: patterns are over bytes")),
            _ => match self.simple_escape()? {
                Escape::Byte(byte) => self.byte(byte),
                Escape::Set(set) => Node::Set(set),
            },
        };
        Ok(Item::Repeatable(node))
    }

    /// An escape that means the same everywhere: a byte or a set of them.
    pub(super) fn simple_escape(&mut self) -> Result<Escape, Error> {
        let start = self.at;
        let Some(&byte) = self.pattern.get(start + 1) else {
            return Err(fault(start, "`\\` at the end"));
        };
        self.at += 2;
        let set = match byte {
            b'd' => named::digit(),
            b'D' => named::digit().complement(),
            b'w' => named::word(),
            b'W' => named::word().complement(),
            b's' => named::space(),
            b'S' => named::space().complement(),
            b'h' => named::horizontal(),
            b'H' => named::horizontal().complement(),
            b'v' => named::vertical(),
            b'V' => named::vertical().complement(),
            _ => return self.byte_escape(start, byte).map(Escape::Byte),
        };
        Ok(Escape::Set(set))
    }

    fn byte_escape(&mut self, start: usize, byte: u8) -> Result<u8, Error> {
        Ok(match byte {
            b'a' => 0x07,
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0'..=b'7' => {
                self.at -= 1;
                self.octal(start)?
            }
            b'o' => self.braced(start, 8)?,
            b'x' if self.peek() == Some(b'{') => self.braced(start, 16)?,
            b'x' => self.hexadecimal(),
            b'c' => match self.peek() {
                Some(byte @ b' '..=b'~') => {
                    self.at += 1;
                    byte.to_ascii_uppercase() ^ 0x40
                }
                _ => return Err(fault(start, "`\\c` without a printable letter behind it")),
            },
            b'p' | b'P' => {
                let text = "Unicode properties are not supported: patterns are over bytes";
                return Err(fault(start, text));
            }
            b'8' | b'9' => byte,
            _ if byte.is_ascii_alphanumeric() => {
                return Err(fault(start, format!("unknown escape `\\{}`", char::from(byte))));
            }
            _ => byte,
        })
    }

    /// Up to three octal digits.
    fn octal(&mut self, start: usize) -> Result<u8, Error> {
        let digits = self.rest().iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
        let (length, number) = digits.fold((0, 0), |(length, number), byte| {
            (length + 1, number * 8 + u32::from(byte - b'0'))
        });
        self.at += length;
        u8::try_from(number).map_err(|_| fault(start, "octal number beyond \\377: not a byte"))
    }

    /// Up to two hexadecimal digits; none is a zero.
    fn hexadecimal(&mut self) -> u8 {
        let mut number = 0;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|byte| value(byte, 16)) else { break };
            number = number << 4 | digit;
            self.at += 1;
        }
        number
    }

    /// A number in braces.
    fn braced(&mut self, start: usize, base: u8) -> Result<u8, Error> {
        if !self.eat(b"{") {
            return Err(fault(start, "`\\o` without `{`"));
        }
        let first = self.at;
        let mut number = 0_u32;
        while let Some(digit) = self.peek().and_then(|byte| value(byte, base)) {
            number = number.saturating_mul(base.into()).saturating_add(digit.into());
            self.at += 1;
        }
        if self.at == first || !self.eat(b"}") {
            return Err(fault(start, "number of a byte without digits or without its `}`"));
        }
        u8::try_from(number)
            .map_err(|_| fault(start, "number beyond 0xff: patterns are over bytes"))
    }

    /// `\1` and on: a reference to a group, or a byte in octal if there is no such group.
    fn digits(&mut self) -> Result<Node, Error> {
        let start = self.at;
        let mut at = start + 1;
        let mut number = 0_u32;
        while let Some(digit) = self.pattern.get(at).filter(|byte| byte.is_ascii_digit()) {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            at += 1;
        }
        let first = self.pattern[start + 1];
        if number < 10 || matches!(first, b'8' | b'9') || number <= self.groups {
            self.at = at;
            return Ok(self.refer(number, start));
        }
        self.at += 1;
        let byte = self.octal(start)?;
        Ok(self.byte(byte))
    }

    /// `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`.
    fn reference(&mut self) -> Result<Node, Error> {
        let start = self.at;
        self.at += 2;
        if matches!(self.peek(), Some(b'<' | b'\'')) {
            return Err(fault(start, "recursion is not supported"));
        }
        let braced = self.eat(b"{");
        let relative = self.eat(b"-");
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|byte| value(byte, 10)) {
            number = Some(number.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit.into()));
            self.at += 1;
        }
        let Some(number) = number else {
            if braced && !relative {
                return self.name_reference(b'}');
            }
            return Err(fault(start, "`\\g` without a group"));
        };
        if braced && !self.eat(b"}") {
            return Err(fault(start, "`\\g{` without its `}`"));
        }
        let group = if relative { (self.groups + 1).checked_sub(number) } else { Some(number) };
        match group {
            Some(group) if group > 0 && !(relative && number == 0) => Ok(self.refer(group, start)),
            _ => Err(fault(start, "reference to a group that does not exist")),
        }
    }

    /// `\k<name>`, `\k'name'`, `\k{name}`.
    fn named_reference(&mut self) -> Result<Node, Error> {
        let start = self.at;
        self.at += 2;
        for (open, close) in [(b"<", b'>'), (b"'", b'\''), (b"{", b'}')] {
            if self.eat(open) {
                return self.name_reference(close);
            }
        }
        Err(fault(start, "`\\k` without a name"))
    }
}

fn value(byte: u8, base: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(base.into())?;
    u8::try_from(digit).ok()
}

/// `\R`: a carriage return keeps the line feed behind it.
fn any_newline() -> Node {
    let pair = vec![Node::Set(named::one(b'\r')), Node::Set(named::one(b'\n'))];
    let one = Node::Set(named::vertical());
    Node::Atomic(Box::new(Node::Alternate(vec![Node::Concat(pair), one])))
}
