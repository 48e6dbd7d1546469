//! A block is a folded line. This unfolds lines: what follows the values of a directive on its line and names
//! directives of its block becomes statements of that block, so that nobody after this sees the difference.

use crate::table::{self, Directive, Within};
use crate::tree::{Block, BlockShape, Entry, EntryKind, Name, Statement, Style, Tree, Value};

/// The statement with its own values only; what was folded into its line stands first in its block. Statements of
/// directives that the table doesn't know stay as they are.
pub(crate) fn unfold(statement: &Statement, within: Within) -> Statement {
    let mut unfolded = statement.clone();
    let Some(directive) = table::find(&statement.name.text, within) else { return unfolded };
    let mut line = Line { values: &statement.values, at: 0, around: Vec::new() };
    let (values, mut folded) = line.take(directive);
    if folded.is_empty() {
        return unfolded;
    }
    unfolded.values = values;
    match &mut unfolded.block {
        Some(block) => {
            folded.append(&mut block.tree.entries);
            block.tree.entries = folded;
        }
        None => {
            let tree = Tree { entries: folded };
            unfolded.block = Some(Block { tree, shape: BlockShape::OneLine, comment: None });
        }
    }
    unfolded
}

struct Line<'v> {
    values: &'v [Value],
    at: usize,
    /// The blocks whose words end the values of the directive at hand, outermost first.
    around: Vec<Within>,
}

impl Line<'_> {
    /// Takes the values of a directive off the line, and then its folded children. A bare word that names a directive
    /// of the block, or of a block around it on the same line, ends the values; those that must be there come first.
    fn take(&mut self, directive: &Directive) -> (Vec<Value>, Vec<Entry>) {
        let depth = self.around.len();
        self.around.extend(directive.block);
        let values = self.take_values(directive.values_min());
        let mut children = Vec::new();
        while let (Some(value), Some(block)) = (self.values.get(self.at), directive.block) {
            let Some(word) = word(value).filter(|word| is_known(word, block)) else { break };
            self.at += 1;
            let (values, inner) = match table::find(word, block) {
                Some(child) => self.take(child),
                None => (self.take_values(0), Vec::new()),
            };
            let last =
                self.values.get(self.at.saturating_sub(1)).map_or(value.span, |last| last.span);
            children.push(child(value, values, inner, last));
        }
        self.around.truncate(depth);
        (values, children)
    }

    fn take_values(&mut self, least: usize) -> Vec<Value> {
        let first = self.at;
        while let Some(value) = self.values.get(self.at) {
            let begins = word(value)
                .is_some_and(|word| self.around.iter().any(|within| is_known(word, *within)));
            if begins && self.at - first >= least {
                break;
            }
            self.at += 1;
        }
        self.values[first..self.at].to_vec()
    }
}

fn child(name: &Value, values: Vec<Value>, inner: Vec<Entry>, last: crate::Span) -> Entry {
    let block = (!inner.is_empty()).then_some(Block {
        tree: Tree { entries: inner },
        shape: BlockShape::OneLine,
        comment: None,
    });
    let statement = Statement {
        off: None,
        name: Name { text: name.plain().unwrap_or_default().to_owned(), span: name.span },
        values,
        block,
        comment: None,
        span: name.span.to(last),
    };
    Entry { blank_before: false, kind: EntryKind::Statement(statement) }
}

/// Whether a word begins a statement of a block, now or in a later version.
fn is_known(word: &str, within: Within) -> bool {
    table::find(word, within).is_some() || table::later(word, within).is_some()
}

fn word(value: &Value) -> Option<&str> {
    value.plain().filter(|_| value.style == Style::Bare)
}

/// Whether a value would begin a folded statement if it stood bare at that position of a directive's values.
pub(crate) fn would_fold(text: &str, at: usize, directive: &Directive) -> bool {
    at >= directive.values_min() && directive.block.is_some_and(|block| is_known(text, block))
}
