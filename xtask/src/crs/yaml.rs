//! YAML as the tests are written in it: a tree of texts, with the line of each. The parser below it gives
//! events, and no scalar is ever guessed to be a number or a truth value, because `version: 1.1` and
//! `Content-Length: 033` must reach the wire as they were written.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// Levels of nesting; the tests have nine.
const DEPTH_MAX: usize = 64;

/// One node, and the line it begins on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A scalar as written, quotes and escapes resolved.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; names may repeat, as fields of requests do.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The first entry of that name, if this is a map that has one.
    pub(crate) fn entry(&self, name: &str) -> Option<&Self> {
        self.entries().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All entries, in order; none if this is no map.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let pairs = if let Value::Map(pairs) = &self.value { pairs.as_slice() } else { &[] };
        pairs.iter().filter_map(|(key, value)| Some((key.text()?, value)))
    }

    /// The elements of a list; none if this is no list.
    pub(crate) fn elements(&self) -> &[Self] {
        if let Value::List(elements) = &self.value { elements } else { &[] }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }
}

/// Reads the first document of `text`; `None` if there is nothing in it but comments.
///
/// # Errors
/// One sentence with the line.
pub(crate) fn read(text: &str) -> Result<Option<Node>, String> {
    Builder { events: Parser::new_from_str(text), anchors: HashMap::new() }.document()
}

struct Builder<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Option<Node>, String> {
        loop {
            match self.event()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
                (event, line) => {
                    let node = self.node(event, line, 0)?;
                    let nothing = node.text() == Some("");
                    return Ok((!nothing).then_some(node));
                }
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'a>, usize), String> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("line {line}: nested deeper than {DEPTH_MAX} levels"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (Value::Text(text.into_owned()), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known.ok_or_else(|| format!("line {line}: an alias of nothing"));
            }
            _ => return Err(format!("line {line}: ends too early")),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut elements = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(elements)),
                (event, line) => elements.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let mut pairs = Vec::new();
        loop {
            let key = match self.event()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(pairs)),
                (event, line) => self.node(event, line, depth + 1)?,
            };
            let (event, line) = self.event()?;
            pairs.push((key, self.node(event, line, depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in one line: `{a: [b, c]}`.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Text(text) => format!("{text:?}"),
            Value::List(elements) => {
                format!("[{}]", elements.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            Value::Map(pairs) => {
                let pairs =
                    pairs.iter().map(|(key, value)| format!("{}: {}", shown(key), shown(value)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let node = read(text).expect("YAML").expect("a document");
        assert_eq!(shown(&node), expected, "{text}");
    }

    #[test]
    fn scalars_stay_as_they_were_written() {
        check("a: 033", r#"{"a": "033"}"#);
        check("a: 1.10", r#"{"a": "1.10"}"#);
        check("a: true\nb: ~\nc:", r#"{"a": "true", "b": "~", "c": ""}"#);
        check(r#"a: "tab\tx\x41\r\n""#, r#"{"a": "tab\txA\r\n"}"#);
        check("a: 'it''s \\n'", r#"{"a": "it's \\n"}"#);
        check("a: |\n  one\n  two\n", r#"{"a": "one\ntwo\n"}"#);
        check("a: |-\n  one\n\n  two\n", r#"{"a": "one\n\ntwo"}"#);
        check("a: [1, 'x']", r#"{"a": ["1", "x"]}"#);
    }

    #[test]
    fn names_may_repeat_and_keep_their_order() {
        check("b: 1\na: 2\nb: 3", r#"{"b": "1", "a": "2", "b": "3"}"#);
    }

    #[test]
    fn what_is_empty_is_no_document() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("---\n# nothing\n"), Ok(None));
    }

    #[test]
    fn lines_are_told() {
        let node = read("---\na:\n  - b\n  - c: d\n").expect("YAML").expect("a document");
        let list = node.entry("a").expect("an entry").elements();
        assert_eq!(list.iter().map(|node| node.line).collect::<Vec<_>>(), [3, 4]);
        let told = read("a: [b").expect_err("no end");
        assert!(told.starts_with("line "), "{told}");
    }

    #[test]
    fn nesting_has_a_bound() {
        let deep = "[".repeat(100);
        assert!(read(&deep).is_err());
    }
}
