//! Scripts and modules without comments and without the white space that separates nothing
//! (ECMA-262 section 12).
//!
//! Three things make this more than skipping blanks, and each is decided by the grammar or the
//! script is refused:
//!
//! - A `/` begins a regular expression or divides. The token before it tells, and where that is a
//!   bracket, what stood in front of the one that opened it. `}` ends a block, an object or a
//!   function; where it cannot be told which, a `/` behind it is refused.
//! - A line's end may end a statement. It goes only where no statement can end (behind an operator) or
//!   where it makes no difference (in front of a closing bracket, or of an operator that continues);
//!   elsewhere it stays, at the price of the semicolon that a printer would have written.
//! - `<!--` and `-->` begin comments in scripts and are operators in modules. Where they could be
//!   either, the script is refused.
//!
//! What can tell the difference all the same: a script that reads its own comments with
//! `Function.prototype.toString`, and a source map, whose lines are those of the original.

mod lexer;

use super::{BYTE_ORDER_MARK, Bounds, Refusal, is_kept_comment, readable, smaller};
use lexer::{Class, Lexer, Piece};

/// A script without its white space and comments.
///
/// # Errors
///
/// Why the original is to be served.
pub fn js(text: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    readable(text, bounds)?;
    let mut writer =
        Writer { text, made: Vec::with_capacity(text.len()), before: None, gap: Gap::default() };
    let mut lexer = Lexer::new(text, writer.prologue(), bounds.depth);
    while let Some((piece, start, end)) = lexer.next()? {
        let bytes = text.get(start..end).unwrap_or_default();
        match piece {
            Piece::Space => writer.gap.is_wide = true,
            Piece::LineEnd => writer.gap.line_end(),
            Piece::Comment => writer.comment(bytes),
            Piece::Token(class) => writer.token(bytes, class),
        }
    }
    smaller(writer.made, text)
}

/// What stands between the token before and the next one, as far as it was not written.
#[derive(Debug, Clone, Copy, Default)]
struct Gap {
    is_wide: bool,
    has_line_end: bool,
    /// Whether a comment was written, which separates like white space; and whether it takes the end
    /// of the line to end it.
    has_comment: bool,
    is_in_line: bool,
}

impl Gap {
    fn line_end(&mut self) {
        self.is_wide = true;
        self.has_line_end = true;
    }
}

struct Writer<'a> {
    text: &'a [u8],
    made: Vec<u8>,
    /// The last byte of the token before, and what it was.
    before: Option<(u8, Class)>,
    gap: Gap,
}

impl Writer<'_> {
    /// Writes what may stand in front of everything: the mark of the encoding, and the line that
    /// names an interpreter.
    fn prologue(&mut self) -> usize {
        let mut at = 0;
        if self.text.starts_with(BYTE_ORDER_MARK) {
            at = BYTE_ORDER_MARK.len();
        }
        let rest = self.text.get(at..).unwrap_or_default();
        if rest.starts_with(b"#!") {
            at += lexer::line(rest);
        }
        let prologue = self.text.get(..at).unwrap_or_default();
        self.made.extend_from_slice(prologue);
        if prologue.contains(&b'#') {
            // Its end ends the line.
            self.gap.line_end();
            if at < self.text.len() {
                self.made.push(b'\n');
            }
        }
        at
    }

    fn comment(&mut self, comment: &[u8]) {
        let has_line_end = lexer::has_line_end(comment);
        if !is_kept_comment(comment) {
            self.gap.is_wide = true;
            self.gap.has_line_end |= has_line_end;
            return;
        }
        match self.before {
            _ if self.gap.is_in_line => self.made.push(b'\n'),
            Some(_) if self.gap.has_line_end => self.made.push(b'\n'),
            // A division and a comment would make another comment.
            Some((b'/', _)) => self.made.push(b' '),
            _ => {}
        }
        self.made.extend_from_slice(comment);
        let is_in_line = comment.starts_with(b"//");
        self.gap = Gap { has_comment: true, is_in_line, ..Gap::default() };
    }

    fn token(&mut self, token: &[u8], class: Class) {
        let (Some(&first), Some(&last)) = (token.first(), token.last()) else { return };
        if self.gap.is_in_line {
            self.made.push(b'\n');
        } else if let Some((before, before_class)) = self.before {
            let is_needed = !self.gap.has_comment && separates(before, before_class, first, class);
            let may_end = self.gap.has_line_end
                && !before_class.continues
                && (!class.is_continuation || before_class.is_step);
            if self.gap.is_wide && (is_needed || may_end) {
                self.made.push(if self.gap.has_line_end { b'\n' } else { b' ' });
            }
        }
        self.made.extend_from_slice(token);
        self.before = Some((last, class));
        self.gap = Gap::default();
    }
}

/// Whether two tokens would be read as others if nothing stood between them.
fn separates(last: u8, before: Class, first: u8, class: Class) -> bool {
    let is_name = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#' | b'\\' | 0x80..)
    };
    if before.is_name {
        // A point behind a number belongs to it.
        return is_name(first) || (before.is_number && first == b'.');
    }
    if !before.is_operator {
        return false;
    }
    if matches!(last, b'?' | b'.') && class.is_number {
        return true;
    }
    match (last, first) {
        // Signs that begin no other operator with what stands before them.
        (b'=' | b'&' | b'|' | b'?' | b':', b'!' | b'~' | b'-' | b'+' | b'/') => false,
        _ => is_operator_byte(first),
    }
}

const fn is_operator_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'&'
            | b'|'
            | b'^'
            | b'<'
            | b'>'
            | b'='
            | b'!'
            | b'?'
            | b'~'
            | b'.'
            | b':'
            | b'@'
            | b'#'
    )
}
