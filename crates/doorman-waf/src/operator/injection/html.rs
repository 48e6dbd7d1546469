//! HTML as browsers read it, old ones too: just enough of it to find what runs script.
//!
//! Every state reads on until there is a token, and none calls back into one that called it, so that
//! neither the stack nor the time grows with nested or repeated marks.
//!
//! ```text
//! Data -> TagOpen -> (tag name) -> BeforeName -> (name) -> AfterName -> BeforeValue -> (value)
//!   ^                                  ^  ^                                 |
//!   +------- NameClose, SelfClosing ---+  +------------- AfterQuoted -------+
//! ```

use memchr::memchr;

use super::names;

/// What the value of an attribute can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Danger {
    /// Nothing.
    None,
    /// It runs, whatever it is.
    Always,
    /// It runs if it is an address of some schemes.
    Url,
    /// It is the name of an attribute.
    Name,
}

/// Where in a page the value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Between tags.
    Text,
    /// Where an attribute would begin.
    Tag,
    /// In the value of an attribute, in these quotes.
    Quoted(u8),
}

/// Whether the value brings script into a page if it stands there.
pub(super) fn runs_script(value: &[u8], context: Context) -> bool {
    let mut reader = Reader::new(value, context);
    let mut danger = Danger::None;
    while let Some(token) = reader.next() {
        let of_name = std::mem::replace(&mut danger, Danger::None);
        let is_script = match token {
            Token::Other => false,
            Token::Doctype => true,
            Token::TagName(name) => names::is_dangerous_tag(name),
            Token::Comment(text) => is_dangerous_comment(text),
            Token::AttributeName(name) => {
                danger = names::danger(name);
                false
            }
            Token::AttributeValue(text) => match of_name {
                Danger::None => false,
                Danger::Always => true,
                Danger::Url => super::address::runs(text),
                Danger::Name => names::danger(text) != Danger::None,
            },
        };
        if is_script {
            return true;
        }
    }
    false
}

/// Comments that old browsers look into, or end where others do not.
fn is_dangerous_comment(text: &[u8]) -> bool {
    if memchr(b'`', text).is_some() {
        return true;
    }
    let begins =
        |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    text.len() > 3 && (begins(b"[if") || begins(b"xml")) || begins(b"import") || begins(b"entity")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'v> {
    TagName(&'v [u8]),
    AttributeName(&'v [u8]),
    AttributeValue(&'v [u8]),
    Comment(&'v [u8]),
    Doctype,
    /// Text and ends of tags.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    TagOpen,
    NameClose,
    SelfClosing,
    BeforeName,
    AfterName,
    BeforeValue,
    AfterQuoted,
    /// The value begins within one in these quotes.
    Within(u8),
    End,
}

struct Reader<'v> {
    value: &'v [u8],
    at: usize,
    state: State,
    /// The tag began with `</`.
    closing: bool,
}

impl<'v> Reader<'v> {
    fn new(value: &'v [u8], context: Context) -> Self {
        let state = match context {
            Context::Text => State::Data,
            Context::Tag => State::BeforeName,
            Context::Quoted(quote) => State::Within(quote),
        };
        Self { value, at: 0, state, closing: false }
    }

    fn next(&mut self) -> Option<Token<'v>> {
        match self.state {
            State::Data => self.data(),
            State::TagOpen => self.tag_open(),
            State::NameClose => Some(self.name_close()),
            State::SelfClosing => self.self_closing(),
            State::BeforeName => self.before_name(),
            State::AfterName => self.after_name(),
            State::BeforeValue => self.before_value(),
            State::AfterQuoted => self.after_quoted(),
            State::Within(quote) => Some(self.quoted(quote)),
            State::End => None,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    fn rest(&self) -> &'v [u8] {
        &self.value[self.at..]
    }

    /// Takes so many bytes, passes over some more, and goes on there.
    fn take(&mut self, length: usize, passed: usize, state: State) -> &'v [u8] {
        let taken = &self.value[self.at..self.at + length];
        self.at += length + passed;
        self.state = state;
        taken
    }

    /// Takes all that is left.
    fn take_rest(&mut self) -> &'v [u8] {
        self.take(self.value.len() - self.at, 0, State::End)
    }

    fn pass(&mut self, state: State) -> Option<Token<'v>> {
        self.take(0, 1, state);
        Some(Token::Other)
    }

    fn data(&mut self) -> Option<Token<'v>> {
        match memchr(b'<', self.rest()) {
            Some(0) => {
                self.take(0, 1, State::TagOpen);
                self.tag_open()
            }
            Some(length) => {
                self.take(length, 1, State::TagOpen);
                Some(Token::Other)
            }
            None => {
                self.take_rest();
                None
            }
        }
    }

    fn tag_open(&mut self) -> Option<Token<'v>> {
        match self.peek()? {
            b'!' => {
                self.at += 1;
                Some(self.markup())
            }
            b'/' => {
                self.at += 1;
                self.closing = true;
                self.end_tag_open()
            }
            b'?' => {
                self.at += 1;
                Some(self.bogus_comment())
            }
            b'%' => {
                self.at += 1;
                Some(self.percent_comment())
            }
            b'a'..=b'z' | b'A'..=b'Z' | 0 => Some(self.tag_name()),
            _ => {
                self.state = State::Data;
                Some(Token::Other)
            }
        }
    }

    fn end_tag_open(&mut self) -> Option<Token<'v>> {
        match self.peek()? {
            b'>' => self.data(),
            b'a'..=b'z' | b'A'..=b'Z' => Some(self.tag_name()),
            _ => {
                self.closing = false;
                Some(self.bogus_comment())
            }
        }
    }

    fn tag_name(&mut self) -> Token<'v> {
        let is_end = |&byte: &u8| matches!(byte, b'/' | b'>') || byte != 0 && is_space(byte);
        let Some(length) = self.rest().iter().position(is_end) else {
            return Token::TagName(self.take_rest());
        };
        match self.value[self.at + length] {
            b'>' if self.closing => {
                self.closing = false;
                self.take(length, 1, State::Data);
                Token::Other
            }
            b'>' => Token::TagName(self.take(length, 0, State::NameClose)),
            b'/' => Token::TagName(self.take(length, 1, State::SelfClosing)),
            _ => Token::TagName(self.take(length, 1, State::BeforeName)),
        }
    }

    fn name_close(&mut self) -> Token<'v> {
        self.closing = false;
        self.take(0, 1, State::Data);
        Token::Other
    }

    fn self_closing(&mut self) -> Option<Token<'v>> {
        match self.peek()? {
            b'>' => self.pass(State::Data),
            _ => self.before_name(),
        }
    }

    /// What is next that is no white space.
    fn skip_space(&mut self) -> Option<u8> {
        let length = self.rest().iter().take_while(|&&byte| is_space(byte)).count();
        self.at += length;
        self.peek()
    }

    fn before_name(&mut self) -> Option<Token<'v>> {
        loop {
            match self.skip_space()? {
                b'/' => self.at += 1,
                b'>' => return self.pass(State::Data),
                _ => return Some(self.attribute_name()),
            }
        }
    }

    fn attribute_name(&mut self) -> Token<'v> {
        let is_end = |&byte: &u8| matches!(byte, b'/' | b'=' | b'>') || is_space(byte);
        // The first byte is of the name whatever it is.
        let Some(length) = self.rest().iter().skip(1).position(is_end) else {
            return Token::AttributeName(self.take_rest());
        };
        let length = length + 1;
        Token::AttributeName(match self.value[self.at + length] {
            b'/' => self.take(length, 1, State::SelfClosing),
            b'=' => self.take(length, 1, State::BeforeValue),
            b'>' => self.take(length, 0, State::NameClose),
            _ => self.take(length, 1, State::AfterName),
        })
    }

    fn after_name(&mut self) -> Option<Token<'v>> {
        match self.skip_space()? {
            b'/' => {
                self.at += 1;
                self.self_closing()
            }
            b'=' => {
                self.at += 1;
                self.before_value()
            }
            b'>' => Some(self.name_close()),
            _ => Some(self.attribute_name()),
        }
    }

    fn before_value(&mut self) -> Option<Token<'v>> {
        match self.skip_space()? {
            quote @ (b'"' | b'\'' | b'`') => {
                self.at += 1;
                Some(self.quoted(quote))
            }
            _ => Some(self.unquoted()),
        }
    }

    fn quoted(&mut self, quote: u8) -> Token<'v> {
        Token::AttributeValue(match memchr(quote, self.rest()) {
            Some(length) => self.take(length, 1, State::AfterQuoted),
            None => self.take_rest(),
        })
    }

    fn unquoted(&mut self) -> Token<'v> {
        let is_end = |&byte: &u8| byte == b'>' || is_space(byte);
        let Some(length) = self.rest().iter().position(is_end) else {
            return Token::AttributeValue(self.take_rest());
        };
        Token::AttributeValue(match self.value[self.at + length] {
            b'>' => self.take(length, 0, State::NameClose),
            _ => self.take(length, 1, State::BeforeName),
        })
    }

    fn after_quoted(&mut self) -> Option<Token<'v>> {
        match self.peek()? {
            b'/' => {
                self.at += 1;
                self.self_closing()
            }
            b'>' => self.pass(State::Data),
            _ => self.before_name(),
        }
    }

    fn markup(&mut self) -> Token<'v> {
        let rest = self.rest();
        if rest.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"DOCTYPE")) {
            return Token::Doctype;
        }
        if rest.starts_with(b"[CDATA[") {
            self.at += 7;
            return self.character_data();
        }
        if rest.starts_with(b"--") {
            self.at += 2;
            return self.comment();
        }
        self.bogus_comment()
    }

    /// Up to `>`.
    fn bogus_comment(&mut self) -> Token<'v> {
        Token::Comment(match memchr(b'>', self.rest()) {
            Some(length) => self.take(length, 1, State::Data),
            None => self.take_rest(),
        })
    }

    /// Up to `%>`.
    fn percent_comment(&mut self) -> Token<'v> {
        Token::Comment(match memchr::memmem::find(self.rest(), b"%>") {
            Some(length) => self.take(length, 2, State::Data),
            None => self.take_rest(),
        })
    }

    /// Up to `-->` or `-!>`, with NULs behind the first dash.
    fn comment(&mut self) -> Token<'v> {
        let rest = self.rest();
        for dash in memchr::memchr_iter(b'-', rest) {
            let behind = &rest[dash + 1..];
            let nulls = behind.iter().take_while(|&&byte| byte == 0).count();
            if matches!(behind[nulls..], [b'-' | b'!', b'>', ..]) {
                return Token::Comment(self.take(dash, 1 + nulls + 2, State::Data));
            }
        }
        Token::Comment(self.take_rest())
    }

    fn character_data(&mut self) -> Token<'v> {
        match memchr::memmem::find(self.rest(), b"]]>") {
            Some(length) => self.take(length, 3, State::Data),
            None => self.take_rest(),
        };
        Token::Other
    }
}

/// White space between attributes; old browsers pass over NULs there.
const fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t'..=b'\r')
}
