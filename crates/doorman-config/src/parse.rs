//! Tokens to a tree. Like the lexer it never stops: a statement that makes no sense is reported and left out.

use crate::faults::Faults;
use crate::lexer::{Token, TokenKind, tokens};
use crate::tree::{Block, BlockShape, Entry, EntryKind, Name, Statement, Style, Tree, Value};
use crate::{Diagnostic, FileId, SourceMap, Span};

/// Depth of blocks. The language itself needs five.
pub const DEPTH_MAX: usize = 16;

/// Statements of one file: a hundred times the largest file seen, and little memory.
pub const STATEMENTS_MAX: usize = 200_000;

/// Reads a file that is in the map already. The tree holds everything that could be understood.
#[must_use]
pub fn parse(sources: &SourceMap, file: FileId) -> (Tree, Vec<Diagnostic>) {
    let mut diagnostics = Faults::default();
    let tokens = tokens(file, sources.text(file), &mut diagnostics);
    let mut parser = Parser { tokens, at: 0, statements: 0, diagnostics };
    let mut tree = parser.entries(0);
    // Only a brace too many ends the outermost level early.
    while parser.at < parser.tokens.len() {
        let span = parser.tokens[parser.at].span;
        parser.at += 1;
        parser.diagnostics.push(
            Diagnostic::error("E0107", span, "`}` closes nothing")
                .help("remove it, or look for a `{` that is missing above"),
        );
        tree.entries.extend(parser.entries(0).entries);
    }
    let mut diagnostics = parser.diagnostics.into_kept();
    diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span.start);
    (tree, diagnostics)
}

/// Reads a text alone: for the formatter and the JSON twin.
///
/// # Errors
/// Everything that is wrong with the text's grammar.
pub fn parse_text(path: &str, text: &str) -> Result<Tree, (Vec<Diagnostic>, SourceMap)> {
    let mut sources = SourceMap::new();
    let file = sources.add(path, text);
    let (tree, diagnostics) = parse(&sources, file);
    if diagnostics.iter().any(Diagnostic::is_error) {
        Err((diagnostics, sources))
    } else {
        Ok(tree)
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    statements: usize,
    diagnostics: Faults,
}

impl Parser {
    /// Statements to the end of the block, whose brace is left for the caller, or of the file.
    fn entries(&mut self, depth: usize) -> Tree {
        let mut tree = Tree::default();
        let mut newlines = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            let span = token.span;
            match &token.kind {
                TokenKind::Close => break,
                TokenKind::Newline => {
                    newlines += 1;
                    self.at += 1;
                    continue;
                }
                TokenKind::Semicolon => self.at += 1,
                TokenKind::Comment(text) => {
                    let text = text.clone();
                    self.at += 1;
                    tree.entries
                        .push(Entry { blank_before: newlines > 1, kind: EntryKind::Comment(text) });
                }
                TokenKind::Open => {
                    self.diagnostics.push(
                        Diagnostic::error("E0106", span, "a block without a directive in front")
                            .help("the `{` stands at the end of the line that it belongs to"),
                    );
                    self.at += 1;
                    // What is inside is still checked for its grammar.
                    self.block_rest(span, depth);
                }
                TokenKind::Value(_) => {
                    if let Some(statement) = self.statement(depth) {
                        tree.entries.push(Entry {
                            blank_before: newlines > 1,
                            kind: EntryKind::Statement(statement),
                        });
                    }
                }
            }
            newlines = 0;
        }
        tree
    }

    fn statement(&mut self, depth: usize) -> Option<Statement> {
        let mut words = Vec::new();
        while let Some(TokenKind::Value(value)) = self.tokens.get(self.at).map(|token| &token.kind)
        {
            words.push(value.clone());
            self.at += 1;
        }
        let span = words.first()?.span.to(words.last()?.span);
        let block = match self.tokens.get(self.at) {
            Some(Token { kind: TokenKind::Open, span }) => {
                let open = *span;
                self.at += 1;
                self.block_rest(open, depth)
            }
            _ => None,
        };
        if matches!(self.kind(), Some(TokenKind::Semicolon)) {
            self.at += 1;
        }
        let comment = self.comment();
        self.statements += 1;
        if self.statements == STATEMENTS_MAX + 1 {
            let message = format!("more than {STATEMENTS_MAX} statements");
            self.diagnostics.push(Diagnostic::error("E0110", span, message));
        }
        if self.statements > STATEMENTS_MAX {
            return None;
        }
        let mut words = words.into_iter();
        let mut first = words.next()?;
        let off =
            (first.style == Style::Bare && first.plain() == Some("off")).then_some(first.span);
        if let Some(off) = off {
            let Some(second) = words.next() else {
                self.diagnostics.push(
                    Diagnostic::error("E0111", off, "`off` stands alone")
                        .help("`off` in front of a statement switches that statement off"),
                );
                return None;
            };
            first = second;
        }
        let name = self.name(&first)?;
        Some(Statement { off, name, values: words.collect(), block, comment, span })
    }

    fn name(&mut self, first: &Value) -> Option<Name> {
        let text = first.plain().filter(|_| first.style == Style::Bare).unwrap_or_default();
        if is_name(text) {
            return Some(Name { text: text.to_owned(), span: first.span });
        }
        let message = "a line begins with the plain name of a directive";
        let help = if text.contains(['=', ':']) {
            "a line is a name and its values with spaces between, without `=` or `:`"
        } else {
            "a line that ends in `\\` goes on in the next one"
        };
        self.diagnostics.push(Diagnostic::error("E0106", first.span, message).help(help));
        None
    }

    /// The rest of a block behind its `{`. `None` if it is nested too deeply.
    fn block_rest(&mut self, open: Span, depth: usize) -> Option<Block> {
        if depth + 1 > DEPTH_MAX {
            let message = format!("blocks are nested more than {DEPTH_MAX} deep");
            self.diagnostics.push(Diagnostic::error("E0110", open, message));
            self.skip_block();
            return None;
        }
        let first = self.at;
        let comment = self.comment();
        let tree = self.entries(depth + 1);
        let newline = |token: &Token| matches!(token.kind, TokenKind::Newline);
        let shape = match self.tokens[first..self.at].iter().any(newline) {
            true => BlockShape::Lines,
            false => BlockShape::OneLine,
        };
        match self.kind() {
            Some(TokenKind::Close) => self.at += 1,
            _ => self.diagnostics.push(
                Diagnostic::error("E0107", open, "this block is never closed")
                    .here("opened here")
                    .help("add a `}`"),
            ),
        }
        Some(Block { tree, shape, comment })
    }

    /// Goes behind the brace that closes the block which is open, without recursion.
    fn skip_block(&mut self) {
        let mut open = 1_usize;
        while let Some(kind) = self.kind() {
            match kind {
                TokenKind::Open => open += 1,
                TokenKind::Close => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    fn comment(&mut self) -> Option<String> {
        let Some(TokenKind::Comment(text)) = self.kind() else { return None };
        let text = text.clone();
        self.at += 1;
        Some(text)
    }

    fn kind(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }
}

/// Whether a word can begin a statement.
pub(crate) fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(good)
}
