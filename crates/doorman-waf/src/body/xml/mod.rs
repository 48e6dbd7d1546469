//! XML, as its texts and the values of its attributes: `XML:/*` and `XML://@*`.
//!
//! No tree is built, so no other path can be asked for. There are no document types: what they declare
//! is expanded or fetched by whoever believes in them, so one is a fault, and an entity beyond the five
//! that XML has stays as it is written and is a fault too. All other faults are read over, as a reader
//! of HTML would, for rules to see what stands behind them.

mod encoding;

use std::collections::BTreeSet;

use super::cookies::is_space;
use super::keeper::Keeper;
use super::utf8::{Utf8, push_char};
use super::{End, Read};

/// Longer references are none: `&#x0010FFFF;` is the longest that is used.
const REFERENCE_MAX: usize = 32;

/// Attributes of one tag that are compared with each other.
const ATTRIBUTES_MAX: usize = 256;

/// Bytes of an instruction that are kept. A declaration of XML is shorter.
const INSTRUCTION_MAX: usize = 256;

/// Some servers skip it.
const MARK: &[u8] = b"\xEF\xBB\xBF";

const CDATA: &[u8] = b"[CDATA[";
const COMMENT: &[u8] = b"--";

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// With the number of `]` before it.
    Text(u8),
    /// Behind `<`.
    Open,
    /// Behind `<!`.
    Bang,
    /// With the number of `-` before it.
    Comment(u8),
    /// With the number of `]` before it.
    Cdata(usize),
    /// Within `<!` and `>`: the number of `[` that are open, and the quote.
    Declaration(u32, Option<u8>),
    /// Within `<?`; whether a `?` stands before it.
    Instruction(Question),
    StartName,
    /// Within a start tag, where an attribute may begin.
    Tag,
    AttributeName,
    /// Behind an attribute's name.
    Equals,
    /// Behind its `=`.
    Quote,
    /// Within its value; without a quote it ends at a space or a `>`.
    Value(Option<u8>),
    /// Behind the `/` of a start tag.
    Slash,
    /// Behind `</`.
    EndName,
    /// Behind the name of an end tag.
    EndSpace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    None,
    Seen,
}

/// An XML document while it is read.
#[derive(Debug)]
pub(super) struct Xml {
    keeper: Keeper,
    place: Place,
    text: Vec<u8>,
    /// The name of the tag, of the attribute, or what stands behind `<!` or `<?`.
    name: Vec<u8>,
    value: Vec<u8>,
    /// The names of the attributes of the tag.
    attributes: BTreeSet<Vec<u8>>,
    /// A reference behind its `&`, which may still be none.
    reference: Option<Vec<u8>>,
    /// The names of the elements that are open, and where each begins.
    names: Vec<u8>,
    starts: Vec<usize>,
    /// Elements that are open and deeper than what is read.
    beyond: u64,
    /// Whether there was an element.
    rooted: bool,
    /// Whether the byte before was a carriage return.
    returned: bool,
    /// `None` when the document says that it is in another encoding.
    utf8: Option<Utf8>,
    seen: u64,
    /// Where the first `<` has to stand for a declaration.
    mark: usize,
    /// Whether the instruction stands at the start of the document.
    first: bool,
}

impl Xml {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self {
            keeper,
            place: Place::Text(0),
            text: Vec::new(),
            name: Vec::new(),
            value: Vec::new(),
            attributes: BTreeSet::new(),
            reference: None,
            names: Vec::new(),
            starts: Vec::new(),
            beyond: 0,
            rooted: false,
            returned: false,
            utf8: Some(Utf8::default()),
            seen: 0,
            mark: 0,
            first: false,
        }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let within = self.keeper.count(data.len());
        for &byte in &data[..within] {
            if self.utf8.as_mut().is_some_and(|utf8| !utf8.push(byte)) {
                self.malformed("bytes that are not UTF-8");
            }
            if self.seen == self.mark as u64 && MARK.get(self.mark) == Some(&byte) {
                self.mark += 1;
            } else {
                self.line(byte);
            }
            self.seen += 1;
        }
        if within < data.len() {
            self.keeper.over_bytes();
        }
    }

    pub(super) fn finish(mut self, end: End) -> Read {
        let pending = self.reference.is_some() || self.utf8.is_some_and(|utf8| !utf8.is_complete());
        let between = matches!(self.place, Place::Text(_)) && self.is_outside() && self.rooted;
        if end == End::Whole && self.seen > 0 && (pending || !between) {
            self.malformed("the document is not complete");
        }
        if let Some(reference) = self.reference.take() {
            self.literal(b"&", &reference, b"");
        }
        if let Place::Value(_) = self.place {
            self.end_attribute();
        }
        if self.rooted || !self.text.is_empty() {
            self.keeper.read.xml_texts.push(self.text);
        }
        self.keeper.finish()
    }

    fn malformed(&mut self, what: &str) {
        self.keeper.malformed(format_args!("{what}"));
    }

    /// Whether no element is open.
    fn is_outside(&self) -> bool {
        self.starts.is_empty() && self.beyond == 0
    }

    /// Makes every end of a line a newline, as XML says.
    fn line(&mut self, byte: u8) {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match byte {
            b'\n' if returned => {}
            b'\r' => self.byte(b'\n'),
            b'\t' | b'\n' | b' '.. => self.byte(byte),
            _ => {
                self.malformed("a control character");
                self.byte(byte);
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.reference_byte(byte) {
            return;
        }
        match self.place {
            Place::Text(brackets) => self.text_byte(byte, brackets),
            Place::Open => self.opened(byte),
            Place::Bang => self.bang(byte),
            Place::Comment(hyphens) => self.comment(byte, hyphens),
            Place::Cdata(brackets) => self.cdata(byte, brackets),
            Place::Declaration(depth, quote) => self.declaration(byte, depth, quote),
            Place::Instruction(question) => self.instruction(byte, question),
            Place::StartName => self.start_name(byte),
            Place::Tag => self.tag(byte),
            Place::AttributeName => self.attribute_name(byte),
            Place::Equals => self.equals(byte),
            Place::Quote => self.quote(byte),
            Place::Value(quote) => self.value_byte(byte, quote),
            Place::Slash => self.slash(byte),
            Place::EndName | Place::EndSpace => self.end_name(byte),
        }
    }

    /// A byte behind a `&`; `false` when it does not belong to it.
    fn reference_byte(&mut self, byte: u8) -> bool {
        let Some(reference) = &mut self.reference else { return false };
        if reference.len() < REFERENCE_MAX && (is_name(byte) || byte == b'#') {
            reference.push(byte);
            return true;
        }
        let reference = std::mem::take(reference);
        self.reference = None;
        if byte == b';' {
            self.resolve(&reference);
            return true;
        }
        self.malformed("a & that begins no reference");
        self.literal(b"&", &reference, b"");
        false
    }

    fn resolve(&mut self, reference: &[u8]) {
        let character = match reference {
            b"lt" => b'<',
            b"gt" => b'>',
            b"amp" => b'&',
            b"quot" => b'"',
            b"apos" => b'\'',
            [b'#', b'x', digits @ ..] => return self.numbered(reference, digits, 16),
            [b'#', digits @ ..] => return self.numbered(reference, digits, 10),
            _ => {
                self.malformed("an entity that is none of XML's");
                return self.literal(b"&", reference, b";");
            }
        };
        self.sink().push(character);
    }

    fn numbered(&mut self, reference: &[u8], digits: &[u8], radix: u32) {
        let all = !digits.is_empty() && digits.iter().all(|&byte| char::from(byte).is_digit(radix));
        if !all {
            self.malformed("a & that begins no reference");
            return self.literal(b"&", reference, b";");
        }
        let next = |sum: u32, &byte: &u8| {
            let digit = char::from(byte).to_digit(radix).unwrap_or(0);
            sum.saturating_mul(radix).saturating_add(digit)
        };
        let number = digits.iter().fold(0, next);
        let is_text = matches!(number, 9 | 10 | 13 | 32..0xFFFE | 0x1_0000..);
        if !(push_char(number, self.sink()) && is_text) {
            self.malformed("a reference to no character");
        }
    }

    /// Where text and references go.
    fn sink(&mut self) -> &mut Vec<u8> {
        match self.place {
            Place::Value(_) => &mut self.value,
            _ => &mut self.text,
        }
    }

    /// Keeps a reference as it is written.
    fn literal(&mut self, before: &[u8], reference: &[u8], after: &[u8]) {
        let sink = self.sink();
        [before, reference, after].iter().for_each(|bytes| sink.extend_from_slice(bytes));
    }

    fn text_byte(&mut self, byte: u8, brackets: u8) {
        self.place = Place::Text(match byte {
            b']' => brackets.saturating_add(1),
            _ => 0,
        });
        if byte == b'<' {
            self.place = Place::Open;
            return;
        }
        if self.is_outside() {
            if is_space(byte) {
                return;
            }
            self.malformed("text beside the root element");
        }
        match byte {
            b'&' => self.reference = Some(Vec::new()),
            _ => self.text.push(byte),
        }
        if byte == b'>' && brackets > 1 {
            self.malformed("the end of CDATA without its start");
        }
    }

    fn opened(&mut self, byte: u8) {
        self.name.clear();
        self.place = match byte {
            b'/' => Place::EndName,
            b'!' => Place::Bang,
            b'?' => {
                self.first = self.seen == self.mark as u64 + 1;
                Place::Instruction(Question::None)
            }
            _ if starts_name(byte) => {
                self.name.push(byte);
                Place::StartName
            }
            _ => {
                self.malformed("a < that begins nothing");
                self.text.push(b'<');
                return self.text_byte(byte, 0);
            }
        };
    }

    fn bang(&mut self, byte: u8) {
        self.name.push(byte);
        if self.name == COMMENT {
            self.place = Place::Comment(0);
        } else if self.name == CDATA {
            if self.is_outside() {
                self.malformed("text beside the root element");
            }
            self.place = Place::Cdata(0);
        } else if !COMMENT.starts_with(&self.name) && !CDATA.starts_with(&self.name) {
            self.malformed("a document type, or another declaration");
            self.place = Place::Declaration(0, None);
            for byte in std::mem::take(&mut self.name) {
                self.byte(byte);
            }
        }
    }

    fn comment(&mut self, byte: u8, hyphens: u8) {
        if hyphens == 2 && byte == b'>' {
            self.place = Place::Text(0);
            return;
        }
        if hyphens == 2 {
            self.malformed("hyphens within a comment");
        }
        self.place = Place::Comment(match byte {
            b'-' => (hyphens + 1).min(2),
            _ => 0,
        });
    }

    fn cdata(&mut self, byte: u8, brackets: usize) {
        if byte == b']' {
            self.place = Place::Cdata(brackets + 1);
            return;
        }
        let end = byte == b'>' && brackets > 1;
        let kept = if end { brackets - 2 } else { brackets };
        self.text.resize(self.text.len() + kept, b']');
        if end {
            self.place = Place::Text(0);
        } else {
            self.text.push(byte);
            self.place = Place::Cdata(0);
        }
    }

    /// It is a fault already; rules see what it says.
    fn declaration(&mut self, byte: u8, depth: u32, quote: Option<u8>) {
        self.text.push(byte);
        self.place = match (quote, byte) {
            (Some(quote), _) if byte == quote => Place::Declaration(depth, None),
            (Some(_), _) => return,
            (None, b'"' | b'\'') => Place::Declaration(depth, Some(byte)),
            (None, b'[') => Place::Declaration(depth.saturating_add(1), None),
            (None, b']') => Place::Declaration(depth.saturating_sub(1), None),
            (None, b'>') if depth == 0 => Place::Text(0),
            (None, _) => return,
        };
    }

    fn instruction(&mut self, byte: u8, question: Question) {
        if question == Question::Seen && byte == b'>' {
            self.place = Place::Text(0);
            return self.end_instruction();
        }
        if self.name.len() < INSTRUCTION_MAX {
            self.name.push(byte);
        }
        self.place = Place::Instruction(match byte {
            b'?' => Question::Seen,
            _ => Question::None,
        });
    }

    fn end_instruction(&mut self) {
        let end = self.name.iter().position(|&byte| !is_name(byte)).unwrap_or(self.name.len());
        let (target, rest) = self.name.split_at(end);
        if !target.first().copied().is_some_and(starts_name) {
            return self.malformed("an instruction without a name");
        }
        if !target.eq_ignore_ascii_case(b"xml") {
            return;
        }
        let encoding = encoding::Encoding::of(rest);
        if !self.first || target != b"xml" || self.name.len() == INSTRUCTION_MAX {
            self.malformed("a declaration of XML that is none");
        }
        match encoding {
            encoding::Encoding::Utf8 => {}
            encoding::Encoding::Single => self.utf8 = None,
            encoding::Encoding::Other => self.malformed("an encoding that is not read"),
        }
    }

    fn start_name(&mut self, byte: u8) {
        match byte {
            b'>' | b'/' => {
                self.begin_element();
                self.tag(byte);
            }
            _ if is_space(byte) => {
                self.begin_element();
                self.place = Place::Tag;
            }
            _ => self.name_byte(byte),
        }
    }

    fn name_byte(&mut self, byte: u8) {
        if !is_name(byte) {
            self.malformed("a name with a character that none has");
        }
        self.name.push(byte);
    }

    fn begin_element(&mut self) {
        if self.is_outside() && std::mem::replace(&mut self.rooted, true) {
            self.malformed("more than one root element");
        }
        if self.beyond > 0 || self.starts.len() >= self.keeper.bounds.depth_max {
            self.keeper.over_depth();
            self.beyond += 1;
        } else {
            self.starts.push(self.names.len());
            self.names.extend_from_slice(&self.name);
        }
        self.attributes.clear();
    }

    fn tag(&mut self, byte: u8) {
        self.place = match byte {
            b'>' => Place::Text(0),
            b'/' => Place::Slash,
            _ if is_space(byte) => Place::Tag,
            _ => {
                self.name.clear();
                self.name.push(byte);
                if !starts_name(byte) {
                    self.malformed("a name with a character that none has");
                }
                Place::AttributeName
            }
        };
    }

    fn attribute_name(&mut self, byte: u8) {
        match byte {
            b'=' => self.place = Place::Quote,
            b'>' | b'/' => self.equals(byte),
            _ if is_space(byte) => self.place = Place::Equals,
            _ => self.name_byte(byte),
        }
    }

    fn equals(&mut self, byte: u8) {
        match byte {
            b'=' => self.place = Place::Quote,
            _ if is_space(byte) => {}
            _ => {
                self.malformed("an attribute without a value");
                self.end_attribute();
                self.tag(byte);
            }
        }
    }

    fn quote(&mut self, byte: u8) {
        match byte {
            b'"' | b'\'' => self.place = Place::Value(Some(byte)),
            _ if is_space(byte) => {}
            _ => {
                self.malformed("an attribute's value without quotes");
                self.place = Place::Value(None);
                self.value_byte(byte, None);
            }
        }
    }

    fn value_byte(&mut self, byte: u8, quote: Option<u8>) {
        match quote {
            Some(quote) if byte == quote => {
                self.end_attribute();
                self.place = Place::Tag;
                return;
            }
            None if byte == b'>' || is_space(byte) => {
                self.end_attribute();
                return self.tag(byte);
            }
            _ => {}
        }
        match byte {
            b'&' => self.reference = Some(Vec::new()),
            b'\t' | b'\n' => self.value.push(b' '),
            _ => self.value.push(byte),
        }
        if byte == b'<' {
            self.malformed("a < within a value");
        }
    }

    /// Declarations of namespaces are no attributes to a path.
    fn end_attribute(&mut self) {
        let name = std::mem::take(&mut self.name);
        let value = std::mem::take(&mut self.value);
        if name != b"xmlns" && !name.starts_with(b"xmlns:") {
            self.keeper.xml_attribute(value);
        }
        if self.attributes.len() < ATTRIBUTES_MAX && !self.attributes.insert(name) {
            self.malformed("an attribute that stands twice");
        }
    }

    fn slash(&mut self, byte: u8) {
        if byte != b'>' {
            self.malformed("a / within a tag");
            return self.tag(byte);
        }
        self.place = Place::Text(0);
        self.close();
    }

    fn end_name(&mut self, byte: u8) {
        match byte {
            b'>' => self.end_tag(),
            _ if is_space(byte) => self.place = Place::EndSpace,
            _ if self.place == Place::EndName => self.name_byte(byte),
            _ => self.malformed("something behind the name of an end tag"),
        }
    }

    fn end_tag(&mut self) {
        self.place = Place::Text(0);
        if self.is_outside() {
            return self.malformed("an end tag without a start tag");
        }
        let known = self.beyond == 0;
        if known && self.starts.last().is_some_and(|&start| self.names[start..] != self.name) {
            self.malformed("an end tag of another element");
        }
        self.close();
    }

    /// Closes the innermost element.
    fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if let Some(start) = self.starts.pop() {
            self.names.truncate(start);
        }
    }
}

/// Bytes beyond ASCII belong to names: the few characters that do not are of no use to anyone.
fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..)
}

fn is_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}
