//! Reads a pattern as PCRE would, over bytes.
//!
//! The pattern is read once from left to right into a [`Tree`]; options act where they stand, so no
//! option outlives this file. What PCRE knows and no rule needs (recursion, conditions, verbs,
//! callouts, `\K`, Unicode properties) is refused by name and place, never passed over. Where PCRE 1
//! and 2 differ, what either accepts is read as that one reads it.

use super::Error;
use super::named;
use super::tree::{Around, Case, Kind, Look, Node, Repeat, Sense, Side, Tree};
use crate::operator::ByteSet;

mod class;
mod escape;
mod group;

/// Bytes of a pattern. The longest of the Core Rule Set has 12 KiB.
const PATTERN_MAX: usize = 1 << 16;
/// Groups within groups: what bounds the recursion of all who walk a tree.
const DEPTH_MAX: u32 = 128;
/// PCRE's bound on the numbers of `{n,m}`.
const REPEAT_MAX: u32 = 65_535;
/// Bytes that a look-behind may go back.
const BEHIND_MAX: usize = 255;

/// Reads a pattern.
pub(super) fn parse(pattern: &[u8]) -> Result<Tree, Error> {
    if pattern.len() > PATTERN_MAX {
        return Err(fault(PATTERN_MAX, format!("pattern longer than {PATTERN_MAX} bytes")));
    }
    let mut parser = Parser {
        pattern,
        at: 0,
        options: Options { dot_all: true, ..Options::default() },
        quoting: false,
        depth: 0,
        groups: 0,
        names: Vec::new(),
        reference_max: None,
    };
    let node = parser.alternation()?;
    if parser.at < pattern.len() {
        return Err(fault(parser.at, "`)` that closes nothing"));
    }
    if let Some((group, at)) = parser.reference_max
        && group > parser.groups
    {
        return Err(fault(at, format!("reference to group {group}, which does not exist")));
    }
    Ok(Tree { node, groups: parser.groups })
}

/// What `(?imsxnU)` has set.
#[derive(Clone, Copy, Default)]
struct Options {
    fold: bool,
    multi_line: bool,
    dot_all: bool,
    extended: bool,
    /// `xx`: spaces and tabs in classes are nothing either.
    extended_class: bool,
    lazy: bool,
    no_groups: bool,
}

struct Parser<'a> {
    pattern: &'a [u8],
    at: usize,
    options: Options,
    /// Between `\Q` and `\E`.
    quoting: bool,
    depth: u32,
    groups: u32,
    names: Vec<(&'a [u8], u32)>,
    /// The highest group that is referred to, and where.
    reference_max: Option<(u32, usize)>,
}

/// What stands at a place.
enum Item {
    /// Nothing that matches: a setting of options.
    Setting,
    /// What no quantifier may follow.
    Fixed(Node),
    Repeatable(Node),
}

fn fault(at: usize, text: impl Into<String>) -> Error {
    Error { at, text: text.into() }
}

impl<'a> Parser<'a> {
    fn alternation(&mut self) -> Result<Node, Error> {
        let mut branches = vec![self.concat()?];
        while self.eat(b"|") {
            branches.push(self.concat()?);
        }
        Ok(match branches.len() {
            1 => branches.swap_remove(0),
            _ => Node::Alternate(branches),
        })
    }

    fn concat(&mut self) -> Result<Node, Error> {
        let mut nodes = Vec::new();
        loop {
            self.skip()?;
            let Some(byte) = self.peek() else { break };
            if !self.quoting && matches!(byte, b'|' | b')') {
                break;
            }
            match self.item(byte)? {
                Item::Setting => {}
                Item::Fixed(node) => {
                    self.skip()?;
                    nodes.push(node);
                }
                Item::Repeatable(node) => {
                    self.skip()?;
                    nodes.push(self.repeated(node)?);
                }
            }
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.swap_remove(0),
            _ => Node::Concat(nodes),
        })
    }

    /// Goes past all that stands for nothing: comments, marks of quotes, space if it is extended.
    fn skip(&mut self) -> Result<(), Error> {
        loop {
            if self.eat(b"\\E") {
                self.quoting = false;
            } else if self.quoting {
                return Ok(());
            } else if self.eat(b"\\Q") {
                self.quoting = true;
            } else if self.rest().starts_with(b"(?#") {
                let start = self.at;
                let Some(length) = memchr::memchr(b')', self.rest()) else {
                    return Err(fault(start, "comment without its `)`"));
                };
                self.at += length + 1;
            } else if self.options.extended {
                match self.peek() {
                    Some(byte) if named::space().contains(byte) => self.at += 1,
                    Some(b'#') => {
                        let line = memchr::memchr(b'\n', self.rest());
                        self.at += line.map_or(self.rest().len(), |length| length + 1);
                    }
                    _ => return Ok(()),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn item(&mut self, byte: u8) -> Result<Item, Error> {
        if self.quoting {
            return Ok(self.literal(byte));
        }
        let fixed = |parser: &mut Self, look| {
            parser.at += 1;
            Ok(Item::Fixed(Node::Look(look)))
        };
        match byte {
            b'(' => self.group(),
            b'[' => Ok(Item::Repeatable(Node::Set(self.class()?))),
            b'\\' => self.escape(),
            b'^' if self.options.multi_line => fixed(self, Look::LineStart),
            b'^' => fixed(self, Look::Start),
            b'$' if self.options.multi_line => fixed(self, Look::LineEnd),
            b'$' => fixed(self, Look::End),
            b'.' => {
                self.at += 1;
                let set = if self.options.dot_all { named::all() } else { named::not_newline() };
                Ok(Item::Repeatable(Node::Set(set)))
            }
            b'*' | b'+' | b'?' => Err(self.nothing_to_repeat(byte)),
            b'{' if self.braces()?.is_some() => Err(self.nothing_to_repeat(byte)),
            _ => Ok(self.literal(byte)),
        }
    }

    fn nothing_to_repeat(&self, byte: u8) -> Error {
        fault(self.at, format!("`{}` with nothing before it to repeat", char::from(byte)))
    }

    fn literal(&mut self, byte: u8) -> Item {
        self.at += 1;
        Item::Repeatable(self.byte(byte))
    }

    /// The node of a byte that stands for itself.
    fn byte(&self, byte: u8) -> Node {
        Node::Set(self.folded(named::one(byte)))
    }

    fn folded(&self, set: ByteSet) -> ByteSet {
        if self.options.fold { named::fold(set) } else { set }
    }

    fn repeated(&mut self, node: Node) -> Result<Node, Error> {
        if self.quoting {
            return Ok(node);
        }
        let (min, max) = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => match self.braces()? {
                Some((min, max, end)) => {
                    self.at = end - 1;
                    (min, max)
                }
                None => return Ok(node),
            },
            _ => return Ok(node),
        };
        self.at += 1;
        let kind = if self.eat(b"+") {
            Kind::Possessive
        } else if self.eat(b"?") != self.options.lazy {
            Kind::Lazy
        } else {
            Kind::Greedy
        };
        Ok(Node::Repeat(Box::new(Repeat { node, min, max, kind })))
    }

    /// The numbers of `{n}`, `{n,}` or `{n,m}` and where it ends. `None`: these are plain braces.
    fn braces(&self) -> Result<Option<(u32, Option<u32>, usize)>, Error> {
        let Some((min, at)) = self.count(self.at + 1)? else { return Ok(None) };
        let (max, at) = match self.pattern.get(at) {
            Some(b',') => match self.count(at + 1)? {
                Some((max, at)) => (Some(max), at),
                None => (None, at + 1),
            },
            _ => (Some(min), at),
        };
        if self.pattern.get(at) != Some(&b'}') {
            return Ok(None);
        }
        if max.is_some_and(|max| max < min) {
            return Err(fault(self.at, "numbers of a repetition are out of order"));
        }
        Ok(Some((min, max, at + 1)))
    }

    fn count(&self, start: usize) -> Result<Option<(u32, usize)>, Error> {
        let mut at = start;
        let mut number = 0;
        while let Some(digit) = self.pattern.get(at).filter(|byte| byte.is_ascii_digit()) {
            number = number * 10 + u32::from(digit - b'0');
            if number > REPEAT_MAX {
                return Err(fault(start, format!("repetition of more than {REPEAT_MAX}")));
            }
            at += 1;
        }
        Ok((at > start).then_some((number, at)))
    }

    fn refer(&mut self, group: u32, at: usize) -> Node {
        if self.reference_max.is_none_or(|(max, _)| group > max) {
            self.reference_max = Some((group, at));
        }
        Node::Back(group, if self.options.fold { Case::Fold } else { Case::Exact })
    }

    fn rest(&self) -> &'a [u8] {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }
}
