//! The JSON twin: the same statements for machines.
//!
//! A configuration is `{"statements": [...]}`, a statement an object with its name and a list of its values, in file
//! order: `{"server": ["10.0.0.11:3000"], "block": [{"weight": ["2"]}]}`, with `"off": true` for one that is switched
//! off. Folded lines become blocks; comments and the spelling of values are all that is lost.

use serde_json::{Map, Value as Json, json};

use crate::faults::Faults;
use crate::fold;
use crate::lexer;
use crate::parse::{DEPTH_MAX, is_name};
use crate::table::{self, Directive, Within};
use crate::tree::{
    Block, BlockShape, Entry, EntryKind, LoadKind, Name, Part, Statement, Style, Tree, Value,
};
use crate::{FileId, Span, format_tree};

/// Where a document is not the twin of a configuration, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// A path such as `/statements/2/block/0`.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at {})", self.reason, if self.at.is_empty() { "/" } else { &self.at })
    }
}

impl std::error::Error for JsonError {}

/// The twin of a tree. What is loaded from elsewhere stays named: no secret is in it.
#[must_use]
pub fn to_json(tree: &Tree) -> Json {
    json!({ "statements": statements(tree, Some(Within::Top)) })
}

fn statements(tree: &Tree, within: Option<Within>) -> Vec<Json> {
    tree.statements().map(|statement| statement_json(statement, within)).collect()
}

fn statement_json(statement: &Statement, within: Option<Within>) -> Json {
    let unfolded = match within {
        Some(within) => fold::unfold(statement, within),
        None => statement.clone(),
    };
    let values: Vec<Json> = unfolded.values.iter().map(|value| text_of(value).into()).collect();
    let mut object = Map::new();
    object.insert(unfolded.name.text.clone(), values.into());
    if let Some(block) = &unfolded.block {
        let directive = within.and_then(|within| table::find(&unfolded.name.text, within));
        let inner = directive.and_then(|directive| directive.block);
        object.insert(BLOCK.to_owned(), statements(&block.tree, inner).into());
    }
    if statement.off.is_some() {
        object.insert(OFF.to_owned(), true.into());
    }
    object.into()
}

const BLOCK: &str = "block";
const OFF: &str = "off";

/// A value as JSON shows it: `${kind:name}` is loaded, `$${` stands for a literal `${`.
fn text_of(value: &Value) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.replace("${", "$${"),
        Part::Load(kind, name) => format!("${{{}:{name}}}", kind.word()),
    };
    value.parts.iter().map(part).collect()
}

/// The text of the configuration whose twin this is.
///
/// # Errors
/// The first place where the document is no twin.
pub fn text_from_json(json: &str) -> Result<String, JsonError> {
    let document: Json = serde_json::from_str(json)
        .map_err(|error| JsonError { at: String::new(), reason: error.to_string() })?;
    Ok(format_tree(&from_json(&document)?))
}

/// The tree whose twin this is. Its spans are empty: format and parse it for real ones.
///
/// # Errors
/// The first place where the document is no twin.
pub fn from_json(document: &Json) -> Result<Tree, JsonError> {
    let wrong = |at: &str, reason: &str| JsonError { at: at.to_owned(), reason: reason.to_owned() };
    let object = document.as_object().ok_or_else(|| wrong("", "an object was expected"))?;
    let unknown = object.keys().find(|key| !matches!(key.as_str(), "$schema" | "statements"));
    if let Some(key) = unknown {
        return Err(wrong(
            "",
            &format!("`{}` is neither $schema nor statements", lexer::printable(key)),
        ));
    }
    let list = object.get("statements").ok_or_else(|| wrong("", "`statements` is missing"))?;
    tree(list, Some(Within::Top), "/statements", 0)
}

fn tree(list: &Json, within: Option<Within>, at: &str, depth: usize) -> Result<Tree, JsonError> {
    let wrong = |reason: &str| JsonError { at: at.to_owned(), reason: reason.to_owned() };
    if depth > DEPTH_MAX {
        return Err(wrong("blocks are nested too deep"));
    }
    let list = list.as_array().ok_or_else(|| wrong("a list of statements was expected"))?;
    let mut entries = Vec::new();
    for (number, json) in list.iter().enumerate() {
        let statement = statement(json, within, &format!("{at}/{number}"), depth)?;
        let blank_before = depth == 0 && number > 0;
        entries.push(Entry { blank_before, kind: EntryKind::Statement(statement) });
    }
    Ok(Tree { entries })
}

fn statement(
    json: &Json,
    within: Option<Within>,
    at: &str,
    depth: usize,
) -> Result<Statement, JsonError> {
    let wrong = |reason: String| JsonError { at: at.to_owned(), reason };
    let object = json.as_object().ok_or_else(|| wrong("a statement is an object".to_owned()))?;
    let mut names = object.iter().filter(|(key, _)| !matches!(key.as_str(), BLOCK | OFF));
    let (Some((name, values)), None) = (names.next(), names.next()) else {
        return Err(wrong("a statement has one name, and may have `block` and `off`".to_owned()));
    };
    if !is_name(name) {
        return Err(wrong(format!("`{}` cannot be a name", lexer::printable(name))));
    }
    let off = match object.get(OFF) {
        None | Some(Json::Bool(false)) => None,
        Some(Json::Bool(true)) => Some(NOWHERE),
        Some(_) => return Err(wrong("`off` is true or false".to_owned())),
    };
    let directive = within.and_then(|within| table::find(name, within));
    let single = std::slice::from_ref(values);
    let list = values.as_array().map_or(single, Vec::as_slice);
    let mut spelled = Vec::new();
    for (position, json) in list.iter().enumerate() {
        let text = match json {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            _ => return Err(wrong("a value is a string or a number".to_owned())),
        };
        spelled.push(value(&text, position, directive).map_err(wrong)?);
    }
    let inner = directive.and_then(|directive| directive.block);
    let block = match object.get(BLOCK) {
        None => None,
        Some(list) => {
            let tree = tree(list, inner, &format!("{at}/block"), depth + 1)?;
            let shape = shape(&tree, depth);
            Some(Block { tree, shape, comment: None })
        }
    };
    let name = Name { text: name.clone(), span: NOWHERE };
    Ok(Statement { off, name, values: spelled, block, comment: None, span: NOWHERE })
}

const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

/// Small blocks of small statements stand on one line, as people write them.
fn shape(tree: &Tree, depth: usize) -> BlockShape {
    /// More than this is easier to read line by line.
    const ONE_LINE_MAX: usize = 3;
    let nested = tree.statements().any(|statement| statement.block.is_some());
    let small = depth > 0 && !nested && tree.entries.len() <= ONE_LINE_MAX;
    if small { BlockShape::OneLine } else { BlockShape::Lines }
}

/// A value with the spelling that it has in text: bare where that is the same.
fn value(text: &str, position: usize, directive: Option<&Directive>) -> Result<Value, String> {
    let mut diagnostics = Faults::default();
    let parts = lexer::parts_of(text, &mut diagnostics);
    if let Some(fault) = diagnostics.first() {
        return Err(fault.message.clone());
    }
    let folds = directive.is_some_and(|directive| fold::would_fold(text, position, directive));
    if !folds && is_bare(text) {
        return Ok(Value { parts, style: Style::Bare, spelling: text.to_owned(), span: NOWHERE });
    }
    let spelling = quoted(&parts);
    Ok(Value { parts, style: Style::Quoted, spelling, span: NOWHERE })
}

/// Whether a text can stand without quotes.
fn is_bare(text: &str) -> bool {
    let begins = text.starts_with(['"', '\'', '#', '\\']) || text.starts_with("<<");
    let special = |c: char| c.is_whitespace() || c.is_control() || c == ';' || c == '\u{feff}';
    if text.is_empty() || begins || text.ends_with('\\') || text.contains(special) {
        return false;
    }
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '$']) {
        let here = &rest[at..];
        let load = here.strip_prefix("${").and_then(|inner| Some(inner.find('}')? + 3));
        let length = match load {
            Some(length) => length,
            None if here.starts_with('$') => 1,
            None => lexer::placeholder(here),
        };
        if length == 0 || here.starts_with('}') || here.starts_with("$${") {
            return false;
        }
        rest = &here[length..];
    }
    true
}

/// Parts as quoted text.
fn quoted(parts: &[Part]) -> String {
    let mut text = String::from("\"");
    for part in parts {
        match part {
            Part::Load(kind, name) => load(*kind, name, &mut text),
            Part::Text(plain) => {
                for c in plain.chars() {
                    match c {
                        '"' | '\\' | '$' => text.extend(['\\', c]),
                        '\n' => text.push_str("\\n"),
                        '\r' => text.push_str("\\r"),
                        '\t' => text.push_str("\\t"),
                        c if c.is_control() => {
                            text.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
                        }
                        c => text.push(c),
                    }
                }
            }
        }
    }
    text.push('"');
    text
}

fn load(kind: LoadKind, name: &str, text: &mut String) {
    text.push_str("${");
    text.push_str(kind.word());
    text.push(':');
    text.push_str(name);
    text.push('}');
}
