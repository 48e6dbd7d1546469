//! HTML made smaller while it passes.
//!
//! This is the tokenizer of the HTML standard (section 13.2.5), as much of it as tells text from tags
//! and comments, and no tree. A rewriter that builds selectors and tokens would have to be told about
//! every byte it must not touch, and could fail in the middle of an answer; this machine cannot fail: what
//! it does not hold it has passed on, it holds at most [`HELD_MAX`] bytes twice, and where it cannot be
//! sure what a browser reads, the rest of the document passes unchanged.
//!
//! What goes, and why nobody sees it:
//!
//! - Comments of people that follow a tag: those that begin with white space and a word that ends as words
//!   of people do. Everything shorter or stranger may speak to a script in the page (`<!---->`, `<!--$-->`,
//!   `<!-- ko -->`, `<!-- HTML_TAG_START -->`, `<!-- react-text: 1 -->`), to an old browser or to a server.
//! - White space within tags, around attributes: it is no part of the document.
//! - Spaces and tabs in text that is nothing but white space, stands between two tags of block level and
//!   has a line end, which stays; without one a single space stays. That is how the indentation of
//!   sources looks. It is invisible under `white-space: normal`, `nowrap` and `pre-line`. Under `pre`,
//!   `pre-wrap` and `break-spaces` it is visible if the style is set on an element that has blocks for
//!   children, by a style sheet, which is not seen here: that is the one case that is not covered.
//!
//! Text that has a word in it is never touched, nor anything in `pre`, `textarea`, scripts, styles, SVG, or
//! behind an element that can be edited.

mod names;

use names::{is_block, is_in_svg, is_raw};

/// Bytes of white space, and of a comment or the name of a tag, that are held until it is known what
/// they are. What is longer passes unchanged.
pub const HELD_MAX: usize = 4096;

/// Makes one document smaller, piece by piece. Where pieces begin and end makes no difference.
#[derive(Debug)]
pub struct Html {
    state: State,
    /// White space that follows a tag.
    pub(super) space: Vec<u8>,
    /// The start of a tag or a comment.
    pub(super) token: Vec<u8>,
    /// Name of the tag, or of the element whose text is read; in small letters.
    name: Vec<u8>,
    /// The last bytes of raw text in small letters, the latest lowest; or of a long comment.
    tail: u128,
    /// The name of the attribute, as its last bytes.
    attribute: u128,
    is_end: bool,
    is_self_closing: bool,
    /// Whether white space within the tag waits for what follows it.
    has_tag_space: bool,
    /// Whether the text so far is white space, and the tag before it is of block level.
    is_blank: bool,
    is_behind_block: bool,
    /// Whether the script has come to where a `<script` in it would count.
    is_escaped: bool,
    can_be_edited: bool,
    is_select: bool,
    is_svg_title: bool,
    pre: usize,
    svg: usize,
    /// Whether anything has come.
    is_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Behind `<`, `</` and `<!`.
    Open,
    EndOpen,
    Markup,
    Name,
    /// Within a tag.
    BeforeAttribute,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    AfterQuoted,
    Slash,
    Comment,
    /// A comment that was too long to be held.
    LongComment,
    /// Whatever ends with the next `>`.
    Declaration,
    Raw,
    /// Everything passes.
    Pass,
}

impl Default for Html {
    fn default() -> Self {
        Self {
            state: State::Text,
            space: Vec::new(),
            token: Vec::new(),
            name: Vec::new(),
            tail: 0,
            attribute: 0,
            is_end: false,
            is_self_closing: false,
            has_tag_space: false,
            is_blank: true,
            is_behind_block: true,
            is_escaped: false,
            can_be_edited: false,
            is_select: false,
            is_svg_title: false,
            pre: 0,
            svg: 0,
            is_begun: false,
        }
    }
}

impl Html {
    /// Takes a piece and appends what can be passed on.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if !self.is_begun && !piece.is_empty() {
            self.is_begun = true;
            // The mark of UTF-16.
            if matches!(piece.first(), Some(0xFE | 0xFF)) {
                self.give_up(out);
            }
        }
        // These bytes stand in encodings in which others do not mean themselves.
        let odd = memchr::memchr2(0, 0x1B, piece).unwrap_or(piece.len());
        let (mut rest, odd) = piece.split_at_checked(odd).unwrap_or((piece, &[]));
        while let Some((&byte, behind)) = rest.split_first() {
            let plain = self.plain(rest);
            if plain > 0 {
                let (copied, behind) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
                out.extend_from_slice(copied);
                rest = behind;
                continue;
            }
            self.byte(byte, out);
            rest = behind;
        }
        if !odd.is_empty() {
            self.give_up(out);
            out.extend_from_slice(odd);
        }
    }

    /// Ends the document: what is held passes as it is.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_up(out);
    }

    /// How many bytes can be copied without a look at each.
    fn plain(&self, rest: &[u8]) -> usize {
        let found = match self.state {
            State::Pass => None,
            State::Text if !self.is_blank => memchr::memchr(b'<', rest),
            State::Quoted(quote) => memchr::memchr(quote, rest),
            State::Declaration => memchr::memchr(b'>', rest),
            _ => Some(0),
        };
        found.unwrap_or(rest.len())
    }

    /// From here on everything passes.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.space);
        out.append(&mut self.token);
        if std::mem::take(&mut self.has_tag_space) {
            out.push(b' ');
        }
        self.state = State::Pass;
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Text => self.text(byte, out),
            State::Open => self.open(byte, out),
            State::EndOpen => self.end_open(byte, out),
            State::Markup => self.markup(byte, out),
            State::Name => self.tag_name(byte, out),
            State::Comment => self.comment(byte, out),
            State::LongComment => {
                out.push(byte);
                self.tail = (self.tail << 8) | u128::from(byte);
                if ends_comment(self.tail) {
                    self.begin_text(false);
                }
            }
            State::Declaration => {
                out.push(byte);
                if byte == b'>' {
                    self.begin_text(true);
                }
            }
            State::Raw => self.raw(byte, out),
            State::Pass => out.push(byte),
            _ => self.tag(byte, out),
        }
    }

    /// Text begins, behind something of block level or not.
    fn begin_text(&mut self, is_behind_block: bool) {
        self.state = State::Text;
        self.is_blank = true;
        self.is_behind_block = is_behind_block;
    }

    /// Whether what is invisible goes here.
    fn is_touched(&self) -> bool {
        self.pre == 0 && self.svg == 0 && !self.can_be_edited
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'<' => {
                self.token.push(byte);
                self.state = State::Open;
            }
            _ if self.is_blank && is_space(byte) && self.space.len() < HELD_MAX => {
                self.space.push(byte);
            }
            _ => {
                self.is_blank = false;
                out.append(&mut self.space);
                out.push(byte);
            }
        }
    }

    /// What was taken for the start of a tag is text.
    fn no_tag(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.append(&mut self.space);
        out.append(&mut self.token);
        self.is_blank = false;
        self.state = State::Text;
        self.text(byte, out);
    }

    fn open(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.is_end = false;
        match byte {
            b'!' => self.held(byte, State::Markup),
            b'/' => self.held(byte, State::EndOpen),
            b'?' => self.declaration(byte, out),
            _ if byte.is_ascii_alphabetic() => self.begin_tag(byte),
            _ => self.no_tag(byte, out),
        }
    }

    fn end_open(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.is_end = true;
        if byte.is_ascii_alphabetic() {
            self.begin_tag(byte);
        } else {
            self.declaration(byte, out);
        }
    }

    fn held(&mut self, byte: u8, state: State) {
        self.token.push(byte);
        self.state = state;
    }

    fn begin_tag(&mut self, byte: u8) {
        self.name.clear();
        self.name.push(byte.to_ascii_lowercase());
        self.is_self_closing = false;
        self.held(byte, State::Name);
    }

    /// A doctype, or what browsers make a comment of.
    fn declaration(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.append(&mut self.space);
        out.append(&mut self.token);
        self.state = State::Declaration;
        self.byte(byte, out);
    }

    /// Behind `<!`: a comment if two dashes follow.
    fn markup(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (byte, self.token.as_slice()) {
            (b'-', b"<!") => self.held(byte, State::Markup),
            (b'-', b"<!-") => self.held(byte, State::Comment),
            // Text in SVG, a comment elsewhere.
            (b'[', b"<!") => {
                self.give_up(out);
                out.push(byte);
            }
            _ => self.declaration(byte, out),
        }
    }

    fn comment(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.token.push(byte);
        let body = self.token.get(4..).unwrap_or_default();
        let has_ended = byte == b'>'
            && (matches!(body, b">" | b"->") || body.ends_with(b"-->") || body.ends_with(b"--!>"));
        if has_ended {
            // Behind text it stays: without it the text would go on, and `<` or `&am` become more than
            // they are.
            if self.is_touched() && self.is_blank && is_for_people(body) {
                self.token.clear();
                self.state = State::Text;
                return;
            }
            out.append(&mut self.space);
            out.append(&mut self.token);
            self.begin_text(false);
        } else if self.token.len() >= HELD_MAX {
            self.tail = body
                .iter()
                .rev()
                .take(4)
                .rev()
                .fold(0, |tail, byte| (tail << 8) | u128::from(*byte));
            out.append(&mut self.space);
            out.append(&mut self.token);
            self.state = State::LongComment;
        }
    }

    fn tag_name(&mut self, byte: u8, out: &mut Vec<u8>) {
        if !is_space(byte) && !matches!(byte, b'/' | b'>') {
            self.token.push(byte);
            if self.name.len() < NAME_MAX {
                self.name.push(byte.to_ascii_lowercase());
            }
            if self.token.len() >= HELD_MAX {
                self.give_up(out);
            }
            return;
        }
        let goes = self.is_touched() && self.is_behind_block && self.is_blank;
        if goes && is_block(&self.name) {
            indent(&self.space, out);
            self.space.clear();
        } else {
            out.append(&mut self.space);
        }
        out.append(&mut self.token);
        if self.is_unsure() {
            self.give_up(out);
            out.push(byte);
            return;
        }
        self.state = State::BeforeAttribute;
        self.tag(byte, out);
    }

    /// Whether a browser may go on in a way that is not known here.
    fn is_unsure(&self) -> bool {
        let name = self.name.as_slice();
        let is_strange = self.svg > 0 && (self.is_svg_title && !self.is_end || !is_in_svg(name));
        let is_raw_in_select =
            self.is_select && !self.is_end && (is_raw(name) && name != b"script" || name == b"svg");
        is_strange || is_raw_in_select || matches!(name, b"plaintext" | b"frameset" | b"math")
    }

    /// Within a tag, behind its name.
    fn tag(&mut self, byte: u8, out: &mut Vec<u8>) {
        if let State::Quoted(quote) = self.state {
            out.push(byte);
            if byte == quote {
                self.state = State::AfterQuoted;
            }
            return;
        }
        if is_space(byte) {
            if self.state == State::Slash {
                // Without it the next `>` would end an element that is not ended here.
                out.push(b' ');
                self.state = State::BeforeAttribute;
                return;
            }
            self.has_tag_space = true;
            self.state = match self.state {
                State::Attribute | State::AfterAttribute => State::AfterAttribute,
                State::BeforeValue => State::BeforeValue,
                _ => State::BeforeAttribute,
            };
            return;
        }
        if byte == b'>' {
            self.has_tag_space = false;
            self.is_self_closing = self.state == State::Slash;
            out.push(byte);
            self.end_tag();
            return;
        }
        if std::mem::take(&mut self.has_tag_space) {
            out.push(b' ');
        }
        out.push(byte);
        self.state = match (self.state, byte) {
            (State::Unquoted, _) => State::Unquoted,
            (State::BeforeValue, b'"' | b'\'') => State::Quoted(byte),
            (State::BeforeValue, _) => State::Unquoted,
            (_, b'/') => State::Slash,
            (State::Attribute | State::AfterAttribute, b'=') => State::BeforeValue,
            (State::Attribute, _) => {
                self.attribute = (self.attribute << 8) | u128::from(byte.to_ascii_lowercase());
                State::Attribute
            }
            _ => {
                self.attribute = u128::from(byte.to_ascii_lowercase());
                State::Attribute
            }
        };
        self.can_be_edited |= self.attribute == EDITABLE;
    }

    /// Behind the `>` of a tag.
    fn end_tag(&mut self) {
        self.attribute = 0;
        let name = self.name.as_slice();
        self.is_behind_block = is_block(name);
        self.state = State::Text;
        self.is_blank = true;
        match (name, self.is_end) {
            (b"pre" | b"listing", false) => self.pre = self.pre.saturating_add(1),
            (b"pre" | b"listing", true) => self.pre = self.pre.saturating_sub(1),
            (b"select", is_end) => self.is_select = !is_end,
            (b"svg", false) if !self.is_self_closing => self.svg = self.svg.saturating_add(1),
            (b"svg", true) => self.svg = self.svg.saturating_sub(1),
            (b"title", is_end) if self.svg > 0 => {
                self.is_svg_title = !is_end && !self.is_self_closing;
            }
            (_, false) if self.svg == 0 && is_raw(name) => {
                self.state = State::Raw;
                self.tail = 0;
                self.is_escaped = false;
            }
            _ => {}
        }
    }

    /// Text of an element in which tags do not count, up to the one that ends it.
    fn raw(&mut self, byte: u8, out: &mut Vec<u8>) {
        if is_space(byte) || matches!(byte, b'/' | b'>') {
            if tail_is(self.tail, b"</", &self.name) {
                self.is_end = true;
                self.is_self_closing = false;
                self.state = State::BeforeAttribute;
                self.tag(byte, out);
                return;
            }
            if self.is_escaped && tail_is(self.tail, b"<", b"script") {
                // An end tag within would not count; where it counts again is not worth knowing.
                self.give_up(out);
                out.push(byte);
                return;
            }
        }
        out.push(byte);
        self.tail = (self.tail << 8) | u128::from(byte.to_ascii_lowercase());
        if self.name == b"script" {
            if tail_is(self.tail, b"", b"<!--") {
                self.is_escaped = true;
            } else if tail_is(self.tail, b"", b"-->") {
                self.is_escaped = false;
            }
        }
    }
}

/// Bytes of a name that matter; all that mean something are shorter.
const NAME_MAX: usize = 24;

/// `contenteditable`, as the last bytes of the name of an attribute.
const EDITABLE: u128 = {
    let name = b"contenteditable";
    let mut packed = 0;
    let mut at = 0;
    while at < name.len() {
        packed = (packed << 8) | name[at] as u128;
        at += 1;
    }
    packed
};

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0C')
}

/// Whether the last bytes are these.
fn tail_is(tail: u128, start: &[u8], end: &[u8]) -> bool {
    let length = start.len() + end.len();
    let wanted =
        start.iter().chain(end).fold(0u128, |packed, byte| (packed << 8) | u128::from(*byte));
    length < 16 && tail & ((1u128 << (8 * length)) - 1) == wanted
}

fn ends_comment(tail: u128) -> bool {
    tail_is(tail, b"", b"-->") || tail_is(tail, b"", b"--!>")
}

/// What stays of white space between blocks: its line ends, or one space.
fn indent(space: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    out.extend(space.iter().filter(|byte| matches!(byte, b'\n' | b'\r')));
    if out.len() == before && !space.is_empty() {
        out.push(b' ');
    }
}

/// Whether a comment, from behind its `<!--` to its end, speaks to nobody but people.
fn is_for_people(body: &[u8]) -> bool {
    if !body.first().is_some_and(|&byte| is_space(byte)) {
        return false;
    }
    let words = body.trim_ascii_start();
    let end = words.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(words.len());
    let (first, behind) = words.split_at_checked(end).unwrap_or((words, &[]));
    // Frameworks that take a page over look for marks of their own, which are words with signs in them.
    let is_word = behind.first().is_some_and(|&byte| is_space(byte) || b",.!?".contains(&byte))
        || matches!(behind, b"-->" | b"--!>");
    // Knockout, ESI and search engines; licences.
    let is_known = |known: &&[u8]| first.eq_ignore_ascii_case(known);
    let speaks = [&b"ko"[..], b"esi", b"noindex", b"googleoff", b"googleon"].iter().any(is_known);
    !first.is_empty()
        && is_word
        && !speaks
        && [&b"@license"[..], b"@preserve", b"opyright"]
            .iter()
            .all(|mark| memchr::memmem::find(body, mark).is_none())
}
