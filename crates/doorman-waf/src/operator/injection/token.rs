//! Tokens of SQL, of all its dialects at once.
//!
//! What a byte begins is decided by the byte alone; everything that is read is passed over, so that a
//! value is read once from its start to its end. The end of a word is kept, because a word may be
//! given out in many pieces.

use memchr::{memchr, memmem};

use super::words;

/// A letter for each kind of token: it is the fingerprint's.
pub(super) type Kind = u8;

/// The kinds. What has no name here is only known to the table of words.
pub(super) mod kind {
    use super::Kind;

    pub(in super::super) const NONE: Kind = 0;
    pub(in super::super) const KEYWORD: Kind = b'k';
    pub(in super::super) const UNION: Kind = b'U';
    pub(in super::super) const GROUP: Kind = b'B';
    pub(in super::super) const EXPRESSION: Kind = b'E';
    pub(in super::super) const TYPE: Kind = b't';
    pub(in super::super) const FUNCTION: Kind = b'f';
    pub(in super::super) const BAREWORD: Kind = b'n';
    pub(in super::super) const NUMBER: Kind = b'1';
    pub(in super::super) const VARIABLE: Kind = b'v';
    pub(in super::super) const STRING: Kind = b's';
    pub(in super::super) const OPERATOR: Kind = b'o';
    pub(in super::super) const LOGIC: Kind = b'&';
    pub(in super::super) const COMMENT: Kind = b'c';
    pub(in super::super) const COLLATE: Kind = b'A';
    pub(in super::super) const LEFT: Kind = b'(';
    pub(in super::super) const RIGHT: Kind = b')';
    pub(in super::super) const LEFT_BRACE: Kind = b'{';
    pub(in super::super) const RIGHT_BRACE: Kind = b'}';
    pub(in super::super) const DOT: Kind = b'.';
    pub(in super::super) const COMMA: Kind = b',';
    pub(in super::super) const COLON: Kind = b':';
    pub(in super::super) const SEMICOLON: Kind = b';';
    pub(in super::super) const TSQL: Kind = b'T';
    pub(in super::super) const UNKNOWN: Kind = b'?';
    pub(in super::super) const EVIL: Kind = b'X';
    pub(in super::super) const BACKSLASH: Kind = b'\\';
}

/// Bytes that are kept of a token; no word that is looked for is longer.
pub(super) const VALUE_MAX: usize = 31;

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The quote that a string begins with, a letter for some; 0 where it is not there.
    pub(super) open: u8,
    /// The same at its end.
    pub(super) close: u8,
    length: u8,
    bytes: [u8; VALUE_MAX + 1],
}

impl Token {
    pub(super) const NONE: Self =
        Self { kind: kind::NONE, open: 0, close: 0, length: 0, bytes: [0; VALUE_MAX + 1] };

    /// A token of this text, of which the beginning is kept.
    pub(super) fn new(kind: Kind, text: &[u8]) -> Self {
        let mut token = Self { kind, ..Self::NONE };
        token.keep(text);
        token
    }

    pub(super) fn keep(&mut self, text: &[u8]) {
        let length = text.len().min(VALUE_MAX);
        self.bytes = [0; VALUE_MAX + 1];
        self.bytes[..length].copy_from_slice(&text[..length]);
        #[expect(clippy::cast_possible_truncation, reason = "at most VALUE_MAX")]
        {
            self.length = length as u8;
        }
    }

    fn quoted(mut self, open: u8, close: u8) -> Self {
        (self.open, self.close) = (open, close);
        self
    }

    /// What is kept of it.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether it is one of these words, in any case.
    pub(super) fn is_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(self.text()))
    }

    pub(super) fn is_unary(&self) -> bool {
        self.kind == kind::OPERATOR
            && (matches!(self.text(), b"+" | b"-" | b"!" | b"~" | b"!!") || self.is_word(&["NOT"]))
    }

    pub(super) fn is_arithmetic(&self) -> bool {
        self.kind == kind::OPERATOR && matches!(self.text(), b"*" | b"/" | b"-" | b"+" | b"%")
    }
}

/// Where dialects differ in what a comment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `--` always begins one.
    Ansi,
    /// `#` begins one; `--` only before white space.
    MySql,
}

/// Reads a value token by token.
pub(super) struct Tokens<'v> {
    value: &'v [u8],
    at: usize,
    dialect: Dialect,
    /// The value begins within a string in these quotes.
    quote: Option<u8>,
    /// Where the word that was read last ends.
    word_end: usize,
    /// Tokens so far.
    pub(super) count: usize,
    /// Another dialect would have read it otherwise.
    pub(super) is_ambiguous: bool,
}

impl<'v> Tokens<'v> {
    pub(super) fn new(value: &'v [u8], dialect: Dialect, quote: Option<u8>) -> Self {
        Self { value, at: 0, dialect, quote, word_end: 0, count: 0, is_ambiguous: false }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Option<Token> {
        if let Some(quote) = self.quote.take() {
            self.count += 1;
            return Some(self.string(quote, 0));
        }
        while let Some(&byte) = self.value.get(self.at) {
            if is_skipped(byte) {
                self.at += 1;
                continue;
            }
            self.count += 1;
            return Some(self.token(byte));
        }
        None
    }

    fn token(&mut self, byte: u8) -> Token {
        match byte {
            b'0'..=b'9' | b'.' => self.number(),
            b'\'' | b'"' => self.string(byte, 1).quoted_open(byte),
            b'`' => self.tick(),
            b'@' => self.variable(),
            b'$' => self.money(),
            b'[' => self.bracketed(),
            b'(' | b')' | b'{' | b'}' | b',' | b';' => self.take(byte, 1),
            b'+' | b'%' | b'^' | b'~' => self.take(kind::OPERATOR, 1),
            b'!' | b'&' | b'*' | b':' | b'<' | b'=' | b'>' | b'|' => self.operator(),
            b'-' => self.dash(),
            b'#' => self.hash(),
            b'/' => self.slash(),
            b'\\' => self.backslash(),
            b'?' | b']' => self.take(kind::UNKNOWN, 1),
            b'b' | b'B' => self.digits_quoted(|byte| matches!(byte, b'0' | b'1')),
            b'x' | b'X' => self.digits_quoted(|byte| byte.is_ascii_hexdigit()),
            b'e' | b'E' => self.escaped_string(),
            b'n' | b'N' => match self.peek(1) {
                Some(b'\'') if self.peek(2).is_some() => self.escaped_string(),
                _ => self.custom_string(1),
            },
            b'q' | b'Q' => self.custom_string(0),
            b'u' | b'U' => self.unicode_string(),
            _ => self.word(),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.value.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'v [u8] {
        &self.value[self.at..]
    }

    /// A token of the next so many bytes.
    fn take(&mut self, kind: Kind, length: usize) -> Token {
        let token = Token::new(kind, &self.value[self.at..self.at + length]);
        self.at += length;
        token
    }

    /// How many bytes from there on are like this.
    fn span(&self, ahead: usize, accept: impl Fn(u8) -> bool) -> usize {
        self.rest().iter().skip(ahead).take_while(|&&byte| accept(byte)).count()
    }

    /// To the end of the line.
    fn line_comment(&mut self) -> Token {
        let end = memchr(b'\n', self.rest());
        let token = self.take(kind::COMMENT, end.unwrap_or(self.rest().len()));
        self.at += usize::from(end.is_some());
        token
    }

    fn hash(&mut self) -> Token {
        self.is_ambiguous = true;
        match self.dialect {
            Dialect::MySql => self.line_comment(),
            Dialect::Ansi => self.take(kind::OPERATOR, 1),
        }
    }

    fn dash(&mut self) -> Token {
        if self.peek(1) != Some(b'-') {
            return self.take(kind::OPERATOR, 1);
        }
        if self.peek(2).is_none_or(is_white) {
            return self.line_comment();
        }
        match self.dialect {
            Dialect::Ansi => {
                self.is_ambiguous = true;
                self.line_comment()
            }
            Dialect::MySql => self.take(kind::OPERATOR, 1),
        }
    }

    fn slash(&mut self) -> Token {
        let Some(comment) = self.rest().strip_prefix(b"/*") else {
            return self.take(kind::OPERATOR, 1);
        };
        let end = memmem::find(comment, b"*/");
        // One within another is a comment to some and not to others, and `/*!` is none to MySQL:
        // nobody writes them for a good reason.
        let is_nested = end.is_some_and(|end| memmem::find(&comment[..=end], b"/*").is_some());
        let kind = match is_nested || comment.starts_with(b"!") {
            true => kind::EVIL,
            false => kind::COMMENT,
        };
        self.take(kind, end.map_or(comment.len(), |end| end + 2) + 2)
    }

    fn backslash(&mut self) -> Token {
        match self.peek(1) {
            // MySQL's other word for NULL.
            Some(b'N') => self.take(kind::NUMBER, 2),
            _ => self.take(kind::BACKSLASH, 1),
        }
    }

    fn operator(&mut self) -> Token {
        let rest = self.rest();
        if rest.starts_with(b"<=>") {
            return self.take(kind::OPERATOR, 3);
        }
        if let Some(kind) = rest.get(..2).and_then(words::kind) {
            return self.take(kind, 2);
        }
        match rest {
            [b':', _, ..] => self.take(kind::COLON, 1),
            _ => self.take(kind::OPERATOR, 1),
        }
    }

    /// A string whose text begins so many bytes ahead, up to a quote that is neither escaped nor
    /// doubled.
    fn string(&mut self, quote: u8, ahead: usize) -> Token {
        let text = self.value.get(self.at + ahead..).unwrap_or_default();
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| memchr(quote, rest)) {
            let end = from + found;
            let slashes = text[..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
            if slashes % 2 == 1 {
                from = end + 1;
            } else if text.get(end + 1) == Some(&quote) {
                from = end + 2;
            } else {
                self.at += ahead + end + 1;
                return Token::new(kind::STRING, &text[..end]).quoted(0, quote);
            }
        }
        self.at = self.value.len();
        Token::new(kind::STRING, text)
    }

    /// `e'...'`, `n'...'`.
    fn escaped_string(&mut self) -> Token {
        if self.peek(1) != Some(b'\'') || self.peek(2).is_none() {
            return self.word();
        }
        self.string(b'\'', 2).quoted_open(b'\'')
    }

    /// `u&'...'`.
    fn unicode_string(&mut self) -> Token {
        if !self.rest().starts_with(b"u&'") && !self.rest().starts_with(b"U&'") {
            return self.word();
        }
        let token = self.string(b'\'', 3);
        let close = if token.close == b'\'' { b'u' } else { token.close };
        token.quoted(b'u', close)
    }

    /// Oracle's `q'(...)'`, and `nq'(...)'`.
    fn custom_string(&mut self, ahead: usize) -> Token {
        let open = match self.rest().get(ahead..) {
            Some([b'q' | b'Q', b'\'', open, ..]) if (33..128).contains(open) => *open,
            _ => return self.word(),
        };
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        self.at += ahead + 3;
        self.until(&[close, b'\''], b'q')
    }

    /// A string that ends with these bytes.
    fn until(&mut self, end: &[u8], mark: u8) -> Token {
        let text = self.rest();
        match memmem::find(text, end) {
            Some(length) => {
                self.at += length + end.len();
                Token::new(kind::STRING, &text[..length]).quoted(mark, mark)
            }
            None => {
                self.at = self.value.len();
                Token::new(kind::STRING, text).quoted(mark, 0)
            }
        }
    }

    /// `b'01'`, `x'2f'`.
    fn digits_quoted(&mut self, is_digit: impl Fn(u8) -> bool) -> Token {
        if self.peek(1) == Some(b'\'') {
            let length = 2 + self.span(2, |byte| byte == 0 || is_digit(byte));
            if self.peek(2).is_some() && self.peek(length) == Some(b'\'') {
                return self.take(kind::NUMBER, length + 1);
            }
        }
        self.word()
    }

    /// `[name]`.
    fn bracketed(&mut self) -> Token {
        let length = memchr(b']', self.rest()).map_or(self.rest().len(), |end| end + 1);
        self.take(kind::BAREWORD, length)
    }

    fn word(&mut self) -> Token {
        if self.at >= self.word_end {
            self.word_end = self.at + self.span(0, |byte| !ENDS_WORD[usize::from(byte)]);
        }
        let word = &self.value[self.at..self.word_end];
        let kept = &word[..word.len().min(VALUE_MAX)];
        // `SELECT.1` and ``SELECT`a` `` begin with a keyword.
        for length in memchr::memchr2_iter(b'.', b'`', kept) {
            if let Some(kind) = words::kind(&kept[..length])
                && kind != kind::BAREWORD
            {
                return self.take(kind, length);
            }
        }
        let kind = if word.len() <= VALUE_MAX { words::kind(word) } else { None };
        self.take(kind.unwrap_or(kind::BAREWORD), word.len())
    }

    /// `` `name` ``: a function, or a name.
    fn tick(&mut self) -> Token {
        let mut token = self.string(b'`', 1).quoted_open(b'`');
        token.kind = match words::kind(token.text()) {
            Some(kind::FUNCTION) => kind::FUNCTION,
            _ => kind::BAREWORD,
        };
        token
    }

    /// `@name`, `@@name`, with quotes or without.
    fn variable(&mut self) -> Token {
        self.at += if self.peek(1) == Some(b'@') { 2 } else { 1 };
        let mut token = match self.peek(0) {
            Some(b'`') => self.tick(),
            Some(quote @ (b'\'' | b'"')) => self.string(quote, 1).quoted_open(quote),
            _ => {
                let length = self.span(0, |byte| !ends_variable(byte));
                self.take(kind::VARIABLE, length)
            }
        };
        token.kind = kind::VARIABLE;
        token
    }

    /// `$1,000.00`, `$$...$$`, `$tag$...$tag$`.
    fn money(&mut self) -> Token {
        let length = self.span(1, |byte| matches!(byte, 0 | b'0'..=b'9' | b'.' | b','));
        match (length, self.peek(1)) {
            (1, Some(b'.')) => return self.word(),
            (1.., _) => return self.take(kind::NUMBER, 1 + length),
            (0, Some(b'$')) => {
                self.at += 2;
                return self.until(b"$$", b'$');
            }
            (0, _) => {}
        }
        let length = self.span(1, |byte| byte == 0 || byte.is_ascii_alphabetic());
        if length == 0 || self.peek(1 + length) != Some(b'$') {
            return self.take(kind::BAREWORD, 1);
        }
        let tag = &self.rest()[..length + 2];
        self.at += tag.len();
        self.until(tag, b'$')
    }

    fn number(&mut self) -> Token {
        let is_digit: Option<fn(u8) -> bool> = match self.rest() {
            [b'0', b'x' | b'X', ..] => Some(|byte| byte == 0 || byte.is_ascii_hexdigit()),
            [b'0', b'b' | b'B', ..] => Some(|byte| matches!(byte, 0 | b'0' | b'1')),
            _ => None,
        };
        if let Some(is_digit) = is_digit {
            let length = self.span(2, is_digit);
            let kind = if length == 0 { kind::BAREWORD } else { kind::NUMBER };
            return self.take(kind, 2 + length);
        }
        let digits = |from| self.span(from, |byte| byte.is_ascii_digit());
        let mut length = digits(0);
        if self.peek(length) == Some(b'.') {
            length += 1 + digits(length + 1);
            if length == 1 {
                return self.take(kind::DOT, 1);
            }
        }
        let mut kind = kind::NUMBER;
        if matches!(self.peek(length), Some(b'e' | b'E')) {
            length += 1 + usize::from(matches!(self.peek(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length);
            length += exponent;
            // `1.e` is a word.
            kind = if exponent == 0 { kind::BAREWORD } else { kind };
        }
        // Oracle's suffix, where something else could not begin with it.
        if matches!(self.peek(length), Some(b'd' | b'D' | b'f' | b'F')) {
            let is_suffix = |byte| is_white(byte) || matches!(byte, b';' | b'u' | b'U');
            length += usize::from(self.peek(length + 1).is_none_or(is_suffix));
        }
        self.take(kind, length)
    }
}

impl Token {
    fn quoted_open(self, open: u8) -> Self {
        let close = self.close;
        self.quoted(open, close)
    }
}

/// Bytes that begin nothing.
const fn is_skipped(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x7f | 0xa0)
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t'..=b'\r' | 0xa0)
}

/// [`ends_word`], in one look: most bytes of most values are asked.
static ENDS_WORD: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0_u8;
    loop {
        ends[byte as usize] = ends_word(byte);
        if byte == u8::MAX {
            break ends;
        }
        byte += 1;
    }
};

const fn ends_word(byte: u8) -> bool {
    is_white(byte)
        || matches!(byte, b'!'..=b'#' | b'%'..=b'-' | b'/' | b':'..=b'@')
        || matches!(byte, b'[' | b'\\' | b']' | b'^' | b'{'..=b'~')
}

fn ends_variable(byte: u8) -> bool {
    byte != 0xa0 && is_white(byte)
        || matches!(byte, b'!'..=b'#' | b'%'..=b'-' | b'/' | b':'..=b'@')
        || matches!(byte, b'\\' | b'^' | b'`' | b'|' | b'~')
}
