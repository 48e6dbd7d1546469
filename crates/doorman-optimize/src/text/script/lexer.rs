//! Tokens of scripts, and what may stand behind each of them.
//!
//! The lexer knows as much of the grammar as it takes to tell a regular expression from a division:
//! the token before, and of every open bracket what it is. Whatever stays unknown is kept as
//! [`Follow::Unsure`], and matters only if a `/` comes next.

use super::Refusal;

mod word;

/// A stretch of the text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    Space,
    LineEnd,
    Comment,
    Token(Class),
}

/// What of a token matters to what may stand beside it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Class {
    /// It ends like a name: names, keywords, numbers, flags of regular expressions.
    pub(super) is_name: bool,
    pub(super) is_number: bool,
    /// It is made of the signs of operators.
    pub(super) is_operator: bool,
    /// No statement can end behind it, or it makes no difference whether one does.
    pub(super) continues: bool,
    /// No statement can end in front of it, or it makes no difference whether one does.
    pub(super) is_continuation: bool,
    /// `++` or `--`, which a line's end binds to what follows.
    pub(super) is_step: bool,
}

/// What a `/` behind a token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    Expression,
    Division,
    Unsure,
}

/// What a `{` behind a token begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brace {
    Block,
    Object,
    Unsure,
    /// A block if statements stand here, which inside of parentheses they do not.
    BlockInBlock,
    /// An object, unless the line ends before it.
    ObjectInLine,
}

/// An open bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Parenthesis,
    /// Of `if`, `for`, `with`, `switch`, `catch`: a statement or a block follows.
    Control,
    /// Of `while`: what follows is the same, but a loop that began with `do` ends there.
    While,
    Square,
    Block,
    Object,
    /// A brace that is one or the other.
    Brace,
    /// `${` within a template.
    Template,
}

/// What a keyword has to do with the bracket behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Control,
    While,
    /// `for`, behind which `await` may stand.
    For,
    /// `.` or `?.`: a name follows, whatever it looks like.
    Point,
}

pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Open>,
    depth: usize,
    follow: Follow,
    brace: Brace,
    before: Before,
    /// Whether a line ended since the token before, or there was none.
    is_new_line: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8], at: usize, depth: usize) -> Self {
        Self {
            text,
            at,
            open: Vec::new(),
            depth,
            follow: Follow::Expression,
            brace: Brace::Block,
            before: Before::Nothing,
            is_new_line: true,
        }
    }

    /// The next piece, where it begins and where it ends.
    pub(super) fn next(&mut self) -> Result<Option<(Piece, usize, usize)>, Refusal> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(&first) = rest.first() else {
            return if self.open.is_empty() { Ok(None) } else { Err(Refusal::Malformed) };
        };
        let (piece, length) = match (wide(rest), first) {
            (Wide::Space(length), _) => (Piece::Space, length),
            (Wide::LineEnd(length), _) => {
                self.is_new_line = true;
                (Piece::LineEnd, length)
            }
            (_, b'/') if rest.starts_with(b"//") => (Piece::Comment, line(rest)),
            (_, b'/') if rest.starts_with(b"/*") => {
                let inner = rest.get(2..).unwrap_or_default();
                let length = memchr::memmem::find(inner, b"*/").ok_or(Refusal::Malformed)? + 4;
                self.is_new_line |= has_line_end(rest.get(..length).unwrap_or_default());
                (Piece::Comment, length)
            }
            _ => {
                let (class, length) = self.token(rest, first)?;
                self.is_new_line = false;
                (Piece::Token(class), length)
            }
        };
        self.at = start + length;
        Ok(Some((piece, start, self.at)))
    }

    fn token(&mut self, rest: &[u8], first: u8) -> Result<(Class, usize), Refusal> {
        let is_number = first.is_ascii_digit()
            || (first == b'.' && rest.get(1).is_some_and(u8::is_ascii_digit));
        if is_number {
            let length = rest.iter().take_while(|&&byte| is_number_byte(byte)).count();
            return Ok((self.operand(Class { is_name: true, is_number, ..NONE }), length));
        }
        match first {
            b'"' | b'\'' => Ok((self.operand(NONE), string(rest, first)?)),
            b'`' => self.template(rest),
            b'}' if self.open.last() == Some(&Open::Template) => {
                self.open.pop();
                self.template(rest)
            }
            b'/' => match self.follow {
                Follow::Expression => {
                    let length = expression(rest)?;
                    Ok((self.operand(Class { is_name: true, ..NONE }), length))
                }
                Follow::Division => Ok(self.operator(if rest.starts_with(b"/=") { 2 } else { 1 })),
                Follow::Unsure => Err(Refusal::Unsure),
            },
            b'(' | b'[' | b'{' => Ok((self.enter(first)?, 1)),
            b')' | b']' | b'}' => Ok((self.leave(first)?, 1)),
            b'#' | b'\\' | b'$' | b'_' | 0x80.. => self.word(rest),
            _ if first.is_ascii_alphabetic() => self.word(rest),
            _ => self.sign(rest, first),
        }
    }

    /// What ends an operand.
    fn operand(&mut self, class: Class) -> Class {
        self.follow = Follow::Division;
        self.brace = Brace::Unsure;
        self.before = Before::Nothing;
        class
    }

    /// A piece of a template, from its quote or from the brace that ends an expression in it.
    fn template(&mut self, rest: &[u8]) -> Result<(Class, usize), Refusal> {
        let mut at = 1;
        loop {
            match (*rest.get(at).ok_or(Refusal::Malformed)?, rest.get(at + 1)) {
                (b'`', _) => return Ok((self.operand(NONE), at + 1)),
                (b'$', Some(b'{')) => {
                    self.push(Open::Template)?;
                    self.follow = Follow::Expression;
                    self.brace = Brace::Object;
                    self.before = Before::Nothing;
                    return Ok((Class { continues: true, ..NONE }, at + 2));
                }
                (b'\\', _) => at += 2,
                _ => at += 1,
            }
        }
    }

    fn push(&mut self, open: Open) -> Result<(), Refusal> {
        if self.open.len() >= self.depth {
            return Err(Refusal::TooDeep);
        }
        self.open.push(open);
        Ok(())
    }

    fn enter(&mut self, first: u8) -> Result<Class, Refusal> {
        let open = match (first, self.before) {
            (b'(', Before::Control | Before::For) => Open::Control,
            (b'(', Before::While) => Open::While,
            (b'(', _) => Open::Parenthesis,
            (b'[', _) => Open::Square,
            _ => self.braced(),
        };
        self.push(open)?;
        self.follow = Follow::Expression;
        self.brace = if first == b'{' { Brace::Block } else { Brace::Object };
        self.before = Before::Nothing;
        Ok(Class { continues: true, ..NONE })
    }

    fn braced(&self) -> Open {
        match self.brace {
            Brace::Block => Open::Block,
            Brace::Object => Open::Object,
            Brace::Unsure => Open::Brace,
            Brace::BlockInBlock => match self.open.last() {
                None | Some(Open::Block | Open::Brace) => Open::Block,
                _ => Open::Brace,
            },
            Brace::ObjectInLine if self.is_new_line => Open::Brace,
            Brace::ObjectInLine => Open::Object,
        }
    }

    fn leave(&mut self, first: u8) -> Result<Class, Refusal> {
        let open = self.open.pop().ok_or(Refusal::Malformed)?;
        let closes = match open {
            Open::Parenthesis | Open::Control | Open::While => b')',
            Open::Square => b']',
            Open::Block | Open::Object | Open::Brace | Open::Template => b'}',
        };
        if closes != first {
            return Err(Refusal::Malformed);
        }
        (self.follow, self.brace) = match open {
            Open::Control | Open::While | Open::Block => (Follow::Expression, Brace::Block),
            Open::Brace => (Follow::Unsure, Brace::Unsure),
            _ => (Follow::Division, Brace::Unsure),
        };
        self.before = Before::Nothing;
        let continues = matches!(open, Open::Control | Open::Block);
        Ok(Class { continues, is_continuation: true, ..NONE })
    }

    fn sign(&mut self, rest: &[u8], first: u8) -> Result<(Class, usize), Refusal> {
        if rest.starts_with(b"<!--") || (self.is_new_line && rest.starts_with(b"-->")) {
            return Err(Refusal::Unsure);
        }
        if rest.starts_with(b"++") || rest.starts_with(b"--") {
            // Behind an operand in the same line it ends that operand, else it begins one.
            if self.follow == Follow::Division && self.is_new_line {
                self.follow = Follow::Expression;
            }
            self.brace = Brace::Unsure;
            self.before = Before::Nothing;
            return Ok((Class { is_operator: true, is_step: true, ..NONE }, 2));
        }
        match first {
            b';' | b',' => {
                self.follow = Follow::Expression;
                self.brace = if first == b';' { Brace::BlockInBlock } else { Brace::Object };
                self.before = Before::Nothing;
                Ok((Class { continues: true, is_continuation: true, ..NONE }, 1))
            }
            _ => {
                let length = operator(rest).ok_or(Refusal::Malformed)?;
                Ok(self.operator_of(rest.get(..length).unwrap_or_default()))
            }
        }
    }

    fn operator(&mut self, length: usize) -> (Class, usize) {
        self.follow = Follow::Expression;
        self.brace = Brace::Object;
        self.before = Before::Nothing;
        (Class { is_operator: true, continues: true, ..NONE }, length)
    }

    fn operator_of(&mut self, sign: &[u8]) -> (Class, usize) {
        let (mut class, length) = self.operator(sign.len());
        match sign {
            b"." | b"?." => {
                self.before = Before::Point;
                self.brace = Brace::Unsure;
            }
            // A label, a case, a function's body: what follows may be either.
            b":" | b"=>" | b"@" => self.brace = Brace::Unsure,
            _ => {}
        }
        // The others may begin a statement, or a member of a class.
        class.is_continuation =
            !matches!(sign, b"+" | b"-" | b"!" | b"~" | b"*" | b"**" | b"=>" | b"..." | b"@");
        (class, length)
    }

    fn word(&mut self, rest: &[u8]) -> Result<(Class, usize), Refusal> {
        let length = word::length(rest)?;
        let word = rest.get(..length).unwrap_or_default();
        let class = Class { is_name: true, ..NONE };
        if self.before == Before::Point {
            return Ok((self.operand(class), length));
        }
        let is_for = self.before == Before::For;
        let (follow, brace, before) = word::keyword(word);
        (self.follow, self.brace, self.before) = (follow, brace, before);
        if is_for && word == b"await" {
            self.before = Before::Control;
        }
        Ok((class, length))
    }
}

const NONE: Class = Class {
    is_name: false,
    is_number: false,
    is_operator: false,
    continues: false,
    is_continuation: false,
    is_step: false,
};

/// What a text begins with, where that is white space.
enum Wide {
    Space(usize),
    LineEnd(usize),
    No,
}

/// White space of scripts (sections 12.2 and 12.3), in UTF-8.
fn wide(rest: &[u8]) -> Wide {
    match rest {
        [b' ' | b'\t' | 0x0B | 0x0C, ..] => Wide::Space(1),
        [b'\n' | b'\r', ..] => Wide::LineEnd(1),
        [0xC2, 0xA0, ..] => Wide::Space(2),
        [0xE2, 0x80, 0xA8 | 0xA9, ..] => Wide::LineEnd(3),
        [0xE2, 0x80, 0x80..=0x8A | 0xAF, ..]
        | [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..]
        | [0xEF, 0xBB, 0xBF, ..] => Wide::Space(3),
        _ => Wide::No,
    }
}

/// How long the line is that a text begins with, without its end.
pub(super) fn line(rest: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = rest.get(at..).unwrap_or_default();
        match memchr::memchr3(b'\n', b'\r', 0xE2, rest) {
            None => return at + rest.len(),
            Some(found) => {
                at += found;
                if matches!(wide(rest.get(found..).unwrap_or_default()), Wide::LineEnd(_)) {
                    return at;
                }
                at += 1;
            }
        }
    }
}

/// Whether a line ends within a text.
pub(super) fn has_line_end(text: &[u8]) -> bool {
    line(text) < text.len()
}

const fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$')
}

/// How long a string is (section 12.9.4).
fn string(rest: &[u8], quote: u8) -> Result<usize, Refusal> {
    let mut at = 1;
    loop {
        match *rest.get(at).ok_or(Refusal::Malformed)? {
            b'\\' if rest.get(at + 1..at + 3) == Some(b"\r\n") => at += 3,
            b'\\' => at += 2,
            b'\n' | b'\r' => return Err(Refusal::Malformed),
            byte => {
                at += 1;
                if byte == quote {
                    return Ok(at);
                }
            }
        }
    }
}

/// How long a regular expression is, with its flags (section 12.9.5).
fn expression(rest: &[u8]) -> Result<usize, Refusal> {
    let mut at = 1;
    let mut is_class = false;
    loop {
        let rest = rest.get(at..).unwrap_or_default();
        if matches!(wide(rest), Wide::LineEnd(_)) {
            return Err(Refusal::Malformed);
        }
        match (*rest.first().ok_or(Refusal::Malformed)?, is_class) {
            (b'\\', _) if matches!(wide(rest.get(1..).unwrap_or_default()), Wide::LineEnd(_)) => {
                return Err(Refusal::Malformed);
            }
            (b'\\', _) => at += 1,
            (b'[', _) => is_class = true,
            (b']', _) => is_class = false,
            (b'/', false) => break,
            _ => {}
        }
        at += 1;
    }
    let flags = rest.get(at + 1..).unwrap_or_default();
    Ok(at + 1 + flags.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count())
}

/// How long the operator is that a text begins with: the longest there is (section 12.8).
fn operator(rest: &[u8]) -> Option<usize> {
    if let [b'?', b'.', b'0'..=b'9', ..] = rest {
        return Some(1);
    }
    let is_one = |length: &usize| {
        rest.get(..*length).is_some_and(|sign| match length {
            1 => b"<>+-*%&|^!~?:=.@".contains(&sign[0]),
            2 => PAIRS.iter().any(|pair| sign == *pair),
            3 => TRIPLES.iter().any(|triple| sign == *triple),
            _ => sign == b">>>=",
        })
    };
    (1..=4).rev().find(is_one)
}

const PAIRS: [&[u8; 2]; 20] = [
    b"=>", b"==", b"!=", b"<=", b">=", b"&&", b"||", b"??", b"?.", b"+=", b"-=", b"*=", b"%=",
    b"&=", b"|=", b"^=", b"<<", b">>", b"**", b"/=",
];

const TRIPLES: [&[u8; 3]; 10] =
    [b"...", b"===", b"!==", b"**=", b"<<=", b">>=", b">>>", b"&&=", b"||=", b"??="];
