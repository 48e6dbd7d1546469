//! The one layout of a configuration. It works on the tree, so comments and the operator's spelling of values stay; it
//! decides on white space only. Formatting a second time changes nothing.

use crate::tree::{Block, BlockShape, Entry, EntryKind, Part, Statement, Style, Tree, Value};
use crate::{Diagnostic, SourceMap, parse_text};

/// Columns of a line where it can be helped.
pub const COLUMNS_MAX: usize = 100;

/// Names longer than this are not lined up: the gap behind the short ones would grow too wide.
const ALIGNED_MAX: usize = 12;

const INDENT: usize = 4;

/// The text in the one layout.
///
/// # Errors
/// What is wrong with the grammar of the text; unknown directives don't matter.
pub fn format(path: &str, text: &str) -> Result<String, (Vec<Diagnostic>, SourceMap)> {
    Ok(format_tree(&parse_text(path, text)?))
}

/// A tree as text.
#[must_use]
pub fn format_tree(tree: &Tree) -> String {
    let mut text = String::new();
    entries(tree, 0, &mut text);
    text
}

fn entries(tree: &Tree, depth: usize, out: &mut String) {
    let widths = name_widths(tree);
    for (at, entry) in tree.entries.iter().enumerate() {
        if entry.blank_before && at > 0 {
            out.push('\n');
        }
        match &entry.kind {
            EntryKind::Comment(text) => {
                indent(depth, out);
                comment(text, out);
                out.push('\n');
            }
            EntryKind::Statement(statement) => {
                print(statement, depth, widths[at], out);
            }
        }
    }
}

/// For each entry the width of its name: neighbours without a block between two blank lines or comments are lined up.
fn name_widths(tree: &Tree) -> Vec<usize> {
    let mut widths = vec![0; tree.entries.len()];
    let mut start = 0;
    while start < tree.entries.len() {
        let run = tree.entries[start..]
            .iter()
            .enumerate()
            .take_while(|(at, entry)| (*at == 0 || !entry.blank_before) && aligned(entry).is_some())
            .count();
        let widest = tree.entries[start..start + run].iter().filter_map(aligned).max();
        for width in &mut widths[start..start + run] {
            *width = widest.unwrap_or(0);
        }
        start += run.max(1);
    }
    widths
}

/// The width of an entry's name, if it may be lined up with its neighbours.
fn aligned(entry: &Entry) -> Option<usize> {
    let EntryKind::Statement(statement) = &entry.kind else { return None };
    let width = statement.name.text.chars().count();
    let heredoc = statement.values.iter().any(|value| value.style == Style::Heredoc);
    let simple = statement.block.is_none() && statement.off.is_none() && !heredoc;
    (simple && width <= ALIGNED_MAX && !statement.values.is_empty()).then_some(width)
}

fn print(statement: &Statement, depth: usize, width: usize, out: &mut String) {
    if let Some(line) = one_line(statement, depth) {
        indent(depth, out);
        out.push_str(&line);
    } else {
        head(statement, depth, width, out);
        if let Some(block) = &statement.block {
            open(block, depth, out);
        }
    }
    if let Some(text) = &statement.comment {
        out.push_str("  ");
        comment(text, out);
    }
    out.push('\n');
}

/// A statement with its one-line block as one line, if it fits.
fn one_line(statement: &Statement, depth: usize) -> Option<String> {
    statement.block.as_ref()?;
    let line = flat(statement)?;
    (depth * INDENT + line.chars().count() <= COLUMNS_MAX).then_some(line)
}

/// A statement without line ends; `None` if its block has lines or comments.
fn flat(statement: &Statement) -> Option<String> {
    let mut line = String::new();
    if statement.off.is_some() {
        line.push_str("off ");
    }
    line.push_str(&statement.name.text);
    for value in &statement.values {
        if value.style == Style::Heredoc {
            return None;
        }
        line.push(' ');
        line.push_str(&value.spelling);
    }
    let Some(block) = &statement.block else { return Some(line) };
    if block.shape == BlockShape::Lines || block.comment.is_some() {
        return None;
    }
    line.push_str(" {");
    for (at, entry) in block.tree.entries.iter().enumerate() {
        let EntryKind::Statement(inner) = &entry.kind else { return None };
        if inner.comment.is_some() {
            return None;
        }
        line.push_str(if at == 0 { " " } else { "; " });
        line.push_str(&flat(inner)?);
    }
    line.push_str(" }");
    Some(line)
}

/// Name and values; what does not fit goes on in further lines.
fn head(statement: &Statement, depth: usize, width: usize, out: &mut String) {
    indent(depth, out);
    let off = if statement.off.is_some() { "off " } else { "" };
    let padded = if statement.values.is_empty() { 0 } else { width };
    let start = format!("{off}{:<padded$}", statement.name.text);
    out.push_str(&start);
    let mut column = depth * INDENT + start.chars().count();
    let mut heredoc = None;
    for value in &statement.values {
        let spelled = match value.style {
            Style::Heredoc => {
                heredoc = Some(value);
                format!("<<{}", value.spelling)
            }
            _ => value.spelling.clone(),
        };
        // Room for the ` \` behind it, or for the ` {`.
        let length = spelled.chars().count();
        if column + 1 + length + 2 > COLUMNS_MAX {
            out.push_str(" \\\n");
            indent(depth + 2, out);
            out.push_str(&spelled);
            column = (depth + 2) * INDENT + length;
        } else {
            out.push(' ');
            out.push_str(&spelled);
            column += 1 + length;
        }
    }
    if let Some(value) = heredoc {
        heredoc_lines(value, depth + 1, out);
    }
}

fn heredoc_lines(value: &Value, depth: usize, out: &mut String) {
    out.push('\n');
    let text: String = value
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Load(..) => "",
        })
        .collect();
    if !text.is_empty() {
        for line in text.split('\n') {
            if !line.is_empty() {
                indent(depth, out);
                out.push_str(line);
            }
            out.push('\n');
        }
    }
    indent(depth, out);
    out.push_str(&value.spelling);
}

fn open(block: &Block, depth: usize, out: &mut String) {
    out.push_str(" {");
    if let Some(text) = &block.comment {
        out.push_str("  ");
        comment(text, out);
    }
    out.push('\n');
    entries(&block.tree, depth + 1, out);
    indent(depth, out);
    out.push('}');
}

fn comment(text: &str, out: &mut String) {
    out.push('#');
    out.push_str(text);
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth * INDENT {
        out.push(' ');
    }
}
