//! JSON, as arguments that are named by the way to them.
//!
//! `{"a": [1, {"b": null}]}` is `json.a.array_0=1` and `json.a.array_1.b=`. There is no tree and no
//! recursion: a name is one path that grows and shrinks with the document, and a level is a few bytes.
//!
//! What some reader would take although the grammar has none of it (apostrophes for quotes, names and
//! values without quotes, bytes that are no UTF-8) is a fault, and is read the way such a reader does.
//! Other faults end the reading; what was read is kept.

use std::io::Write as _;

use super::keeper::Keeper;
use super::utf8::{Utf8, push_char};
use super::{ArrayNames, End, Read};

/// Some servers skip it, so what follows is what rules have to see.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// What the next token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Value,
    /// The first of an array, or its end.
    Element,
    /// The first name of an object, or its end.
    Member,
    Name,
    Colon,
    /// A comma, or the end of an array or object.
    Next,
    /// Nothing: the document is complete.
    Done,
    /// Whatever: it was not understood.
    Nowhere,
}

/// The token that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    None,
    /// A number, `true`, `false`, `null`, or a word that is none of them.
    Bare,
    /// Text between these quotes.
    Text(u8, Escape),
}

/// How far a `\` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    /// The digits of a `\u`, and how many there are.
    Digits([u8; 4], u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    /// With the number of the element that is read.
    Array(u64),
}

/// An object or an array that is not closed.
#[derive(Debug)]
struct Level {
    kind: Kind,
    /// How long its own name is.
    path: usize,
}

/// A JSON document while it is read.
#[derive(Debug)]
pub(super) struct Json {
    keeper: Keeper,
    place: Place,
    token: Token,
    /// What has come of the token, decoded.
    text: Vec<u8>,
    /// The name of the value that is read, or was read last.
    path: Vec<u8>,
    levels: Vec<Level>,
    utf8: Utf8,
    /// The first half of a pair of surrogates.
    surrogate: Option<u16>,
    /// How many bytes were seen.
    seen: u64,
    /// How many of them were a byte order mark.
    mark: usize,
}

impl Json {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self {
            keeper,
            place: Place::Value,
            token: Token::None,
            text: Vec::new(),
            path: b"json".to_vec(),
            levels: Vec::new(),
            utf8: Utf8::default(),
            surrogate: None,
            seen: 0,
            mark: 0,
        }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let within = self.keeper.count(data.len());
        for &byte in &data[..within] {
            self.byte(byte);
            self.seen += 1;
        }
        if within < data.len() {
            self.keeper.over_bytes();
        }
    }

    pub(super) fn finish(mut self, end: End) -> Read {
        if self.token == Token::Bare && end == End::Whole {
            self.end_bare();
        }
        if !matches!(self.place, Place::Done | Place::Nowhere) && end == End::Whole && self.seen > 0
        {
            self.keeper.malformed(format_args!("the document is not complete"));
        }
        if self.token != Token::None {
            self.end_token();
        }
        self.keep_name();
        self.keeper.finish()
    }

    fn byte(&mut self, byte: u8) {
        match self.token {
            Token::Text(quote, escape) => self.text_byte(byte, quote, escape),
            Token::Bare if is_bare(byte) => self.text.push(byte),
            Token::Bare => {
                self.end_bare();
                self.structure(byte);
            }
            Token::None => self.structure(byte),
        }
    }

    /// A byte between tokens.
    fn structure(&mut self, byte: u8) {
        if self.seen == self.mark as u64 && MARK.get(self.mark) == Some(&byte) {
            self.mark += 1;
            return;
        }
        if matches!(self.mark, 1 | 2) {
            return self.stop();
        }
        match (self.place, byte) {
            (Place::Nowhere, _) | (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (Place::Value | Place::Element, b'{') => self.open(Kind::Object),
            (Place::Value | Place::Element, b'[') => self.open(Kind::Array(0)),
            (Place::Value | Place::Element | Place::Name | Place::Member, _)
                if starts_token(byte) =>
            {
                self.start_token(byte);
            }
            (Place::Element, b']') | (Place::Member, b'}') => self.close_empty(),
            (Place::Colon, b':') => self.place = Place::Value,
            (Place::Next, _) => self.next(byte),
            _ => self.stop(),
        }
    }

    /// What follows a value in an array or an object.
    fn next(&mut self, byte: u8) {
        match (self.levels.last_mut(), byte) {
            (Some(Level { kind: Kind::Object, .. }), b',') => self.place = Place::Name,
            (Some(Level { kind: Kind::Array(number), .. }), b',') => {
                *number += 1;
                self.name_element();
                self.place = Place::Value;
            }
            (Some(Level { kind: Kind::Object, .. }), b'}')
            | (Some(Level { kind: Kind::Array(_), .. }), b']') => self.close(),
            _ => self.stop(),
        }
    }

    /// Ends the reading at a byte that has no place.
    fn stop(&mut self) {
        let at = self.seen;
        self.keeper.malformed(format_args!("byte {at} is not where it could be"));
        self.keep_name();
        self.place = Place::Nowhere;
    }

    /// Keeps a name that will have no value.
    fn keep_name(&mut self) {
        let object = matches!(self.levels.last(), Some(Level { kind: Kind::Object, .. }));
        if object && matches!(self.place, Place::Colon | Place::Value) {
            self.keeper.argument_at(&self.path, Vec::new());
        }
    }

    fn open(&mut self, kind: Kind) {
        if self.levels.len() >= self.keeper.bounds.depth_max {
            self.keeper.over_depth();
            self.place = Place::Nowhere;
            return;
        }
        self.levels.push(Level { kind, path: self.path.len() });
        match kind {
            Kind::Object => self.place = Place::Member,
            Kind::Array(_) => {
                self.name_element();
                self.place = Place::Element;
            }
        }
    }

    fn close(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.path.truncate(level.path);
        }
        self.end_value();
    }

    /// Closes what has nothing in it. Its name would be seen by no rule without an argument.
    fn close_empty(&mut self) {
        self.close();
        if !self.levels.is_empty() {
            self.keeper.argument_at(&self.path, Vec::new());
        }
    }

    fn end_value(&mut self) {
        self.place = if self.levels.is_empty() { Place::Done } else { Place::Next };
    }

    /// Names the element of the innermost array that comes next.
    fn name_element(&mut self) {
        let Some(Level { kind: Kind::Array(number), path }) = self.levels.last() else { return };
        self.path.truncate(*path);
        let _ = match self.keeper.bounds.array_names {
            ArrayNames::Prefixed => write!(self.path, ".array_{number}"),
            ArrayNames::Plain => write!(self.path, ".{number}"),
        };
    }

    fn start_token(&mut self, byte: u8) {
        self.text.clear();
        self.token = match byte {
            b'"' | b'\'' => Token::Text(byte, Escape::None),
            _ => {
                self.text.push(byte);
                Token::Bare
            }
        };
        if byte == b'\'' {
            self.keeper.malformed(format_args!("an apostrophe for a quote"));
        }
    }

    fn end_bare(&mut self) {
        let name = matches!(self.place, Place::Name | Place::Member);
        let literal = matches!(&self.text[..], b"null" | b"true" | b"false");
        if name || !(literal || is_number(&self.text)) {
            self.keeper.malformed(format_args!("a word that is none of JSON's"));
        }
        if self.text == b"null" && !name {
            self.text.clear();
        }
        self.end_token();
    }

    /// The token is a name or a value.
    fn end_token(&mut self) {
        self.token = Token::None;
        if !matches!(self.place, Place::Name | Place::Member) {
            self.keeper.argument_at(&self.path, std::mem::take(&mut self.text));
            return self.end_value();
        }
        let length = self.levels.last().map_or(self.path.len(), |level| level.path);
        self.path.truncate(length);
        self.path.push(b'.');
        match &self.text[..] {
            [] => self.path.extend_from_slice(b"empty-key"),
            name => self.path.extend_from_slice(name),
        }
        self.place = Place::Colon;
    }

    fn text_byte(&mut self, byte: u8, quote: u8, escape: Escape) {
        if !self.utf8.push(byte) {
            self.keeper.malformed(format_args!("bytes that are not UTF-8"));
        }
        let next = match (escape, byte) {
            (Escape::Backslash, b'u') => Escape::Digits([0; 4], 0),
            (Escape::Backslash, _) => {
                self.escaped(byte, quote);
                Escape::None
            }
            (Escape::Digits(mut digits, count), _) if byte.is_ascii_hexdigit() => {
                digits[usize::from(count)] = byte;
                match count {
                    3 => {
                        self.unit(digits);
                        Escape::None
                    }
                    _ => Escape::Digits(digits, count + 1),
                }
            }
            (Escape::Digits(digits, count), _) => {
                self.bad_escape();
                self.end_surrogate();
                self.text.extend_from_slice(b"\\u");
                self.text.extend_from_slice(&digits[..usize::from(count)]);
                return self.plain(byte, quote);
            }
            (Escape::None, _) => return self.plain(byte, quote),
        };
        self.token = Token::Text(quote, next);
    }

    /// A byte that no backslash stands before.
    fn plain(&mut self, byte: u8, quote: u8) {
        if byte == b'\\' {
            self.token = Token::Text(quote, Escape::Backslash);
            return;
        }
        self.end_surrogate();
        if byte == quote {
            return self.end_token();
        }
        if byte < b' ' {
            self.keeper.malformed(format_args!("a control character in a text"));
        }
        self.text.push(byte);
        self.token = Token::Text(quote, Escape::None);
    }

    /// A byte that a backslash stands before.
    fn escaped(&mut self, byte: u8, quote: u8) {
        self.end_surrogate();
        match byte {
            b'"' | b'\\' | b'/' => self.text.push(byte),
            b'b' => self.text.push(8),
            b'f' => self.text.push(12),
            b'n' => self.text.push(b'\n'),
            b'r' => self.text.push(b'\r'),
            b't' => self.text.push(b'\t'),
            _ => {
                self.bad_escape();
                if byte != quote {
                    self.text.push(b'\\');
                }
                self.text.push(byte);
            }
        }
    }

    fn bad_escape(&mut self) {
        self.keeper.malformed(format_args!("an escape that is none of JSON's"));
    }

    /// Four digits of a `\u`. Half a pair of surrogates is no character; readers put another for it.
    fn unit(&mut self, digits: [u8; 4]) {
        let digit =
            |number: u16, &digit: &u8| number << 4 | u16::from(super::urlencoded::nibble(digit));
        let unit = digits.iter().fold(0, digit);
        if let (Some(high), 0xDC00..=0xDFFF) = (self.surrogate, unit) {
            self.surrogate = None;
            let number = 0x10000 + (u32::from(high - 0xD800) << 10) + u32::from(unit - 0xDC00);
            push_char(number, &mut self.text);
            return;
        }
        self.end_surrogate();
        match unit {
            0xD800..=0xDBFF => self.surrogate = Some(unit),
            _ => {
                push_char(u32::from(unit), &mut self.text);
            }
        }
    }

    /// A first half that no second half follows.
    fn end_surrogate(&mut self) {
        if let Some(half) = self.surrogate.take() {
            push_char(u32::from(half), &mut self.text);
        }
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._$".contains(&byte)
}

fn starts_token(byte: u8) -> bool {
    is_bare(byte) || matches!(byte, b'"' | b'\'')
}

/// RFC 8259, section 6.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    let rest = match rest {
        [b'.', fraction @ ..] => match digits(fraction) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        _ => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            matches!(digits(exponent), ([_, ..], []))
        }
        _ => false,
    }
}

/// The digits that a text starts with, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
