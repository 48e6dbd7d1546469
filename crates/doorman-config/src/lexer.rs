//! Bytes to tokens. The lexer never stops: what it cannot read becomes a diagnostic and the nearest sensible token, so
//! that one slip of a quote doesn't hide the other errors of the file.

use crate::faults::Faults;
use crate::tree::{LoadKind, Part, Style, Value};
use crate::{Diagnostic, FileId, Span};

/// After so many heredocs without an end no further end is looked for, so that a file of nothing else
/// takes no time that grows with its square.
const ENDLESS_MAX: usize = 16;

/// Characters of `${kind:name}`, paths included. Without a bound a file of nothing but `${` would be searched to
/// its end from each of them.
const LOAD_CHARS_MAX: usize = 4_096;

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// What a token is.
#[derive(Clone, Debug)]
pub(crate) enum TokenKind {
    Value(Value),
    Open,
    Close,
    Semicolon,
    Newline,
    Comment(String),
}

/// Splits a text. The text is shorter than 4 GiB: the loader refuses far smaller ones.
pub(crate) fn tokens(file: FileId, text: &str, diagnostics: &mut Faults) -> Vec<Token> {
    let mut lexer = Lexer { file, text, at: 0, tokens: Vec::new(), endless: 0, diagnostics };
    if text.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    /// Heredocs without an end so far; each was looked for in the rest of the file.
    endless: usize,
    diagnostics: &'a mut Faults,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return };
        match first {
            ' ' | '\t' => self.at += 1,
            '\n' => self.push(1, TokenKind::Newline),
            '\r' if rest.starts_with("\r\n") => self.push(2, TokenKind::Newline),
            '\\' if continues(rest) > 0 => self.at += continues(rest),
            '#' => {
                let end = line_end(rest);
                self.check_controls(start, start + end);
                self.push(end, TokenKind::Comment(rest[1..end].trim_end().to_owned()));
            }
            ';' => self.push(1, TokenKind::Semicolon),
            '}' => self.push(1, TokenKind::Close),
            '{' if placeholder(rest) == 0 => self.push(1, TokenKind::Open),
            '"' => self.quoted(),
            '\'' => self.raw(),
            '<' if heredoc_tag(rest) > 0 => self.heredoc(),
            first if first.is_control() => {
                self.check_controls(start, start + first.len_utf8());
                self.at += first.len_utf8();
            }
            _ => self.bare(),
        }
    }

    fn push(&mut self, length: usize, kind: TokenKind) {
        let span = self.span(self.at, self.at + length);
        self.tokens.push(Token { kind, span });
        self.at += length;
    }

    /// A word without quotes: to white space, `;`, `{` or `}`, with placeholders kept whole.
    fn bare(&mut self) {
        let start = self.at;
        let mut parts = Parts::default();
        while let Some(next) = self.text[self.at..].chars().next() {
            let rest = &self.text[self.at..];
            match next {
                ' ' | '\t' | '\n' | '\r' | ';' | '}' => break,
                '\\' if continues(rest) > 0 => break,
                '{' => match placeholder(rest) {
                    0 => break,
                    length => {
                        parts.text.push_str(&rest[..length]);
                        self.at += length;
                    }
                },
                '$' => self.dollar(&mut parts),
                next if next.is_control() => {
                    self.check_controls(self.at, self.at + next.len_utf8());
                    self.at += next.len_utf8();
                }
                next => {
                    parts.text.push(next);
                    self.at += next.len_utf8();
                }
            }
        }
        if self.text[start..self.at].ends_with('\\') {
            let span = self.span(self.at - 1, self.at);
            self.diagnostics.push(
                Diagnostic::error("E0116", span, "a `\\` at the end of a word")
                    .help("to go on in the next line, let nothing stand behind the `\\`; else put the word in 'single quotes'"),
            );
        }
        self.value(start, parts.done(), Style::Bare);
    }

    /// `"text"` with escapes, on one line.
    fn quoted(&mut self) {
        let start = self.at;
        let mut parts = Parts::default();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(next) = rest.chars().next().filter(|next| *next != '\n') else {
                self.unclosed(start, "\"");
                return self.value(start, Vec::new(), Style::Quoted);
            };
            match next {
                '"' => {
                    self.at += 1;
                    self.needs_space(start);
                    break;
                }
                '\\' => self.escape(&mut parts),
                '$' => self.dollar(&mut parts),
                next if next.is_control() && next != '\t' => {
                    if !rest.starts_with("\r\n") {
                        self.check_controls(self.at, self.at + next.len_utf8());
                    }
                    self.at += next.len_utf8();
                }
                next => {
                    parts.text.push(next);
                    self.at += next.len_utf8();
                }
            }
        }
        self.value(start, parts.done(), Style::Quoted);
    }

    fn escape(&mut self, parts: &mut Parts) {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let (length, text) = match rest.chars().next() {
            Some('n') => (1, Some('\n')),
            Some('r') => (1, Some('\r')),
            Some('t') => (1, Some('\t')),
            Some(same @ ('"' | '\\' | '$')) => (1, Some(same)),
            Some('u') => unicode(rest),
            Some('\n' | '\r') | None => (0, None),
            Some(other) => (other.len_utf8(), None),
        };
        self.at = start + 1 + length;
        match text {
            Some(text) => parts.text.push(text),
            None => {
                let span = self.span(start, self.at);
                self.diagnostics.push(
                    Diagnostic::error("E0102", span, "unknown escape in quoted text")
                        .help("escapes are \\n \\r \\t \\\" \\\\ \\$ and \\u{1F600}")
                        .help(
                            "a regex is easier to write in 'single quotes', which have no escapes",
                        ),
                );
            }
        }
    }

    /// `'text'` as it stands, on one line.
    fn raw(&mut self) {
        let start = self.at;
        let line = line_end(&self.text[start..]);
        let content = &self.text[start + 1..start + line];
        let text = match content.find('\'') {
            Some(end) => {
                self.at = start + 1 + end + 1;
                self.needs_space(start);
                &content[..end]
            }
            None => {
                self.at = start + line;
                self.unclosed(start, "'");
                return self.value(start, Vec::new(), Style::Raw);
            }
        };
        self.check_controls(start, self.at);
        let parts = Parts { text: text.to_owned(), done: Vec::new() }.done();
        self.value(start, parts, Style::Raw);
    }

    /// `<<TAG` to a line that holds only `TAG`; the indentation of that line is taken off all lines.
    fn heredoc(&mut self) {
        let start = self.at;
        let tag = self.text[start + 2..start + heredoc_tag(&self.text[start..])].to_owned();
        let head_end = start + line_end(&self.text[start..]);
        let mut lines: Vec<(usize, &str)> = Vec::new();
        let mut at = next_line(self.text, head_end);
        let mut close = None;
        while at < self.text.len() && self.endless < ENDLESS_MAX {
            let end = at + line_end(&self.text[at..]);
            let line = &self.text[at..end];
            if line.trim() == tag {
                close = Some((end, &line[..line.len() - line.trim_start().len()]));
                break;
            }
            lines.push((at, line));
            at = next_line(self.text, end);
        }
        let Some((end, indent)) = close else {
            self.endless += 1;
            self.at = head_end;
            let span = self.span(start, start + 2 + tag.len());
            let message = format!("no line with only {tag} ends this text");
            self.diagnostics.push(Diagnostic::error("E0103", span, message).here("begins here"));
            return self.value(start, Vec::new(), Style::Heredoc);
        };
        let mut text = String::new();
        for (number, (at, line)) in lines.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            let shown = match line.strip_prefix(indent) {
                Some(shown) => shown,
                None if line.trim().is_empty() => "",
                None => {
                    let span = self.span(*at, at + line.len());
                    let message =
                        format!("this line is indented less than the {tag} that ends the text");
                    self.diagnostics.push(Diagnostic::error("E0104", span, message));
                    line
                }
            };
            self.check_controls(*at, at + line.len());
            text.push_str(shown);
        }
        self.after_tag(start + 2 + tag.len(), head_end);
        self.at = end;
        let parts = Parts { text, done: Vec::new() }.done();
        let span = self.span(start, start + 2 + tag.len());
        let value = Value { parts, style: Style::Heredoc, spelling: tag, span };
        self.tokens.push(Token { kind: TokenKind::Value(value), span });
    }

    fn after_tag(&mut self, from: usize, to: usize) {
        let rest = self.text[from..to].trim_end();
        if !rest.is_empty() {
            let span = self.span(from, from + rest.len());
            self.diagnostics.push(
                Diagnostic::error("E0105", span, "nothing may follow the tag on its line")
                    .help("a heredoc is the last value of its statement"),
            );
        }
    }

    /// `$`: a value that is loaded (`${kind:name}`), a literal `${` (`$${`), or a dollar.
    fn dollar(&mut self, parts: &mut Parts) {
        let start = self.at;
        let rest = &self.text[start..];
        if rest.starts_with("$${") {
            parts.text.push_str("${");
            self.at += 3;
            return;
        }
        if !rest.starts_with("${") {
            parts.text.push('$');
            self.at += 1;
            return;
        }
        let name_end = rest
            .char_indices()
            .take(if self.diagnostics.is_full() { 0 } else { LOAD_CHARS_MAX })
            .find(|(_, c)| matches!(c, '}' | '"') || c.is_whitespace())
            .map(|(at, _)| at);
        let Some(end) = name_end.filter(|end| rest[*end..].starts_with('}')) else {
            self.at += 2;
            let span = self.span(start, start + 2);
            self.diagnostics.push(
                Diagnostic::error("E0112", span, "`${` without its `}`")
                    .help("a literal `${` is written `$${`, or in 'single quotes'"),
            );
            return;
        };
        self.at = start + end + 1;
        let inner = &rest[2..end];
        let load = inner
            .split_once(':')
            .and_then(|(kind, name)| Some((LoadKind::of(kind)?, name)))
            .filter(|(_, name)| !name.is_empty() && !name.chars().any(char::is_control));
        match load {
            Some(_) if parts.text.ends_with('$') => {
                let span = self.span(start, self.at);
                self.diagnostics.push(
                    Diagnostic::error(
                        "E0112",
                        span,
                        "a `$` directly in front of a value that is loaded",
                    )
                    .help("put the `$` into the loaded value"),
                );
            }
            Some((kind, name)) => parts.load(kind, name),
            None => {
                let span = self.span(start, self.at);
                let message =
                    format!("`${{{}}}` names nothing that can be loaded", printable(inner));
                self.diagnostics.push(
                    Diagnostic::error("E0112", span, message)
                        .help("write ${env:NAME}, ${file:PATH} or ${secret:NAME}")
                        .note("what is filled in at each request has no dollar: {host}"),
                );
            }
        }
    }

    fn needs_space(&mut self, start: usize) {
        let next = self.text[self.at..].chars().next();
        if next.is_none_or(|next| matches!(next, ' ' | '\t' | '\n' | '\r' | ';' | '{' | '}')) {
            return;
        }
        let span = self.span(start, self.at);
        self.diagnostics.push(
            Diagnostic::error("E0109", span, "a space is missing behind this quoted value")
                .help("if both belong together, put the quotes around all of it"),
        );
    }

    fn unclosed(&mut self, start: usize, quote: &str) {
        let end = start + line_end(&self.text[start..]);
        let span = self.span(start, end);
        let message = format!("no closing {quote} on this line");
        self.diagnostics.push(
            Diagnostic::error("E0101", span, message)
                .help("a text of several lines is written <<TAG ... TAG"),
        );
    }

    fn value(&mut self, start: usize, parts: Vec<Part>, style: Style) {
        let span = self.span(start, self.at.max(start));
        let spelling = self.text[start..self.at].to_owned();
        let value = Value { parts, style, spelling, span };
        self.tokens.push(Token { kind: TokenKind::Value(value), span });
    }

    /// Control characters are refused everywhere: they hide text from the eye and break headers and logs.
    fn check_controls(&mut self, start: usize, end: usize) {
        let found =
            self.text[start..end].char_indices().find(|(_, c)| c.is_control() && *c != '\t');
        if let Some((at, control)) = found {
            let span = self.span(start + at, start + at + control.len_utf8());
            let message = format!("control character U+{:04X} in the text", u32::from(control));
            self.diagnostics.push(
                Diagnostic::error("E0108", span, message)
                    .help("in \"quoted text\" it can be written as an escape, such as \\u{7}"),
            );
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file: self.file, start: short(start), end: short(end) }
    }
}

/// Collects the parts of a value.
#[derive(Default)]
struct Parts {
    text: String,
    done: Vec<Part>,
}

impl Parts {
    fn load(&mut self, kind: LoadKind, name: &str) {
        if !self.text.is_empty() {
            self.done.push(Part::Text(std::mem::take(&mut self.text)));
        }
        self.done.push(Part::Load(kind, name.to_owned()));
    }

    fn done(mut self) -> Vec<Part> {
        if !self.text.is_empty() {
            self.done.push(Part::Text(self.text));
        }
        self.done
    }
}

/// Splits what stands in a JSON string into parts, by the rule of quoted text: `${kind:name}` is loaded, `$${` is a
/// literal `${`.
pub(crate) fn parts_of(text: &str, diagnostics: &mut Faults) -> Vec<Part> {
    let mut lexer =
        Lexer { file: FileId(0), text, at: 0, tokens: Vec::new(), endless: 0, diagnostics };
    let mut parts = Parts::default();
    while let Some(next) = text[lexer.at..].chars().next() {
        if next == '$' {
            lexer.dollar(&mut parts);
        } else {
            parts.text.push(next);
            lexer.at += next.len_utf8();
        }
    }
    parts.done()
}

/// Bytes of the placeholder `{name}` at the start of `rest`; 0 if there is none.
pub(crate) fn placeholder(rest: &str) -> usize {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = rest.bytes().skip(1).take_while(inner).count();
    let closed = rest.as_bytes().get(length + 1) == Some(&b'}');
    if length > 0 && closed { length + 2 } else { 0 }
}

/// Bytes of a `\` with the line end behind it; 0 if that is not what stands there.
fn continues(rest: &str) -> usize {
    if rest.starts_with("\\\n") {
        2
    } else if rest.starts_with("\\\r\n") {
        3
    } else {
        0
    }
}

/// Bytes of `<<TAG`; 0 if that is not what stands there. The tag ends wherever a bare word would end: `<<a;` is no
/// other word than `<<a`, or the formatter, which puts each statement on its own line, would change what it is.
fn heredoc_tag(rest: &str) -> usize {
    let Some(tag) = rest.strip_prefix("<<") else { return 0 };
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = tag.bytes().take_while(inner).count();
    let rest = &tag[length..];
    let ends = match rest.chars().next() {
        None | Some(';' | '}') => true,
        Some('{') => placeholder(rest) == 0,
        Some('\\') => continues(rest) > 0,
        Some(next) => next.is_whitespace(),
    };
    if first && ends { length + 2 } else { 0 }
}

/// Bytes to the end of the line, without the line end.
fn line_end(rest: &str) -> usize {
    let end = rest.find('\n').unwrap_or(rest.len());
    if rest[..end].ends_with('\r') && end < rest.len() { end - 1 } else { end }
}

/// Where the line after the one that ends at `end` begins.
fn next_line(text: &str, end: usize) -> usize {
    text[end..].find('\n').map_or(text.len(), |at| end + at + 1)
}

/// `u{1F600}`: its length and its character.
fn unicode(rest: &str) -> (usize, Option<char>) {
    const UNICODE_BYTES_MAX: usize = 12;
    let Some(inner) = rest.strip_prefix("u{") else { return (1, None) };
    let digits = inner.bytes().take_while(u8::is_ascii_hexdigit).take(8).count();
    if inner.as_bytes().get(digits) != Some(&b'}') {
        // The whole escape is skipped, so that its brace is not taken for one of a placeholder.
        let end = inner.find('}').filter(|end| *end <= UNICODE_BYTES_MAX);
        return (end.map_or(2 + digits, |end| end + 3), None);
    }
    let number = u32::from_str_radix(&inner[..digits], 16).ok();
    (digits + 3, number.and_then(char::from_u32))
}

/// For messages: control characters shown as escapes, and not without end.
pub(crate) fn printable(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown.replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\")
}
