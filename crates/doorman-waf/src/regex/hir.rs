//! A tree as what the linear engine is compiled from.
//!
//! Most of what backtracking engines add can be said without it, and is: a possessive repetition
//! whose next byte it could not have taken is a greedy one, and a look-ahead that ends a pattern is
//! a tail behind the match. What cannot be said is made *wider*: the result then matches wherever
//! the pattern does and perhaps elsewhere, which is what facts and a filter may be drawn from.

use regex_syntax::hir::{self, Capture, Class, ClassBytes, ClassBytesRange, Dot, Hir, Repetition};

use super::GROUPS;
use super::tree::{First, Kind, Look, Node, Repeat, Sense, Side};
use crate::operator::ByteSet;

/// The group that holds the match if a tail stands behind it.
#[expect(clippy::cast_possible_truncation, reason = "ten")]
pub(super) const BODY: u32 = GROUPS as u32;

/// Strings of a look-ahead that are made a tail, and the pieces of that tail.
const AHEAD_STRINGS_MAX: usize = 64;
const AHEAD_LENGTH_MAX: usize = 64;
const AHEAD_PIECES_MAX: usize = 1024;

/// A pattern for the linear engine.
pub(super) struct Lowered {
    pub(super) hir: Hir,
    pub(super) meaning: Meaning,
    /// Whether the match is the group [`BODY`], and what follows it in the whole is only asked for.
    pub(super) tail: bool,
}

/// How what was made compares with the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Same,
    /// It matches wherever the pattern does, and perhaps elsewhere.
    Wider,
}

/// Says a tree in the words of the linear engine.
pub(super) fn lower(node: &Node) -> Lowered {
    let mut builder = Builder { meaning: Meaning::Same };
    if let Some((body, tail, follow)) = builder.split(node) {
        let body = builder.concat(body, follow);
        let body = Hir::capture(Capture { index: BODY, name: None, sub: Box::new(body) });
        let hir = Hir::concat(vec![body, tail]);
        return Lowered { hir, meaning: builder.meaning, tail: true };
    }
    let hir = builder.node(node, Follow::NOTHING);
    Lowered { hir, meaning: builder.meaning, tail: false }
}

/// What comes behind a piece.
#[derive(Clone, Copy)]
struct Follow {
    /// The bytes it can begin with, and perhaps more.
    set: ByteSet,
    /// The same behind the repeated bytes that may be left out at its beginning.
    firm: ByteSet,
    rest: Rest,
}

/// Whether what follows takes a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It always does.
    Takes,
    /// It may match without, or fail.
    May,
    /// It cannot fail, wherever it begins.
    Holds,
}

impl Follow {
    const NOTHING: Self = Self { set: ByteSet::EMPTY, firm: ByteSet::EMPTY, rest: Rest::Holds };

    /// Anything may follow.
    fn unknown() -> Self {
        let all = ByteSet::EMPTY.complement();
        Self { set: all, firm: all, rest: Rest::May }
    }

    /// What follows the piece before a node that is followed by this.
    fn behind(self, node: &Node) -> Self {
        let First { set, empty } = node.first();
        if !empty {
            return Self { set, firm: set, rest: Rest::Takes };
        }
        let rest = match self.rest {
            Rest::Holds if !node.always_matches() => Rest::May,
            rest => rest,
        };
        let set = set.union(self.set);
        Self { set, firm: if may_be_left_out(node) { self.firm } else { set }, rest }
    }

    /// What follows one round of a repetition.
    fn round(self, repeat: &Repeat) -> Self {
        let set = repeat.node.first().set.union(self.set);
        let rest = if self.rest == Rest::Takes { Rest::Takes } else { Rest::May };
        Self { set, firm: set, rest }
    }
}

/// Whether it takes any number of bytes, and fewer of them will do.
fn may_be_left_out(node: &Node) -> bool {
    let Node::Repeat(repeat) = node else { return false };
    repeat.min == 0 && repeat.kind != Kind::Possessive && matches!(repeat.node, Node::Set(_))
}

struct Builder {
    meaning: Meaning,
}

impl Builder {
    /// The body and the tail of a pattern that ends with a look-ahead, and what the body sees of it.
    fn split<'a>(&mut self, node: &'a Node) -> Option<(&'a [Node], Hir, Follow)> {
        let nodes = match node {
            Node::Concat(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        let (last, body) = nodes.split_last()?;
        match last {
            Node::Look(Look::EndOrNewline) => {
                let newline = Hir::alternation(vec![Hir::look(hir::Look::End), last_newline()]);
                Some((body, newline, Follow::unknown()))
            }
            Node::Around(around) if around.side == Side::Ahead => match around.sense {
                Sense::Must => {
                    let tail = self.node(&around.node, Follow::NOTHING);
                    Some((body, tail, Follow::unknown().behind(&around.node)))
                }
                Sense::MustNot => Some((body, complement(&around.node)?, Follow::unknown())),
            },
            _ => None,
        }
    }

    fn node(&mut self, node: &Node, follow: Follow) -> Hir {
        match node {
            Node::Empty => Hir::empty(),
            Node::Set(set) => class(set),
            Node::Look(look) => self.look(*look, follow),
            Node::Group(index, node) if *index < BODY => {
                let sub = Box::new(self.node(node, follow));
                Hir::capture(Capture { index: *index, name: None, sub })
            }
            Node::Group(_, node) => self.node(node, follow),
            Node::Concat(nodes) => self.concat(nodes, follow),
            Node::Alternate(nodes) => {
                Hir::alternation(nodes.iter().map(|node| self.node(node, follow)).collect())
            }
            Node::Repeat(repeat) => self.repeat(repeat, follow),
            Node::Atomic(node) => {
                if !node.has_one_way() && follow.rest != Rest::Holds {
                    self.meaning = Meaning::Wider;
                }
                self.node(node, follow)
            }
            // What is asked for beside a match says nothing of it.
            Node::Around(_) => {
                self.meaning = Meaning::Wider;
                Hir::empty()
            }
            Node::Back(..) => {
                self.meaning = Meaning::Wider;
                let sub = Box::new(Hir::dot(Dot::AnyByte));
                Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub })
            }
        }
    }

    fn concat(&mut self, nodes: &[Node], follow: Follow) -> Hir {
        let mut follow = follow;
        let mut hirs = Vec::with_capacity(nodes.len());
        for node in nodes.iter().rev() {
            hirs.push(self.node(node, follow));
            follow = follow.behind(node);
        }
        hirs.reverse();
        Hir::concat(hirs)
    }

    fn look(&mut self, look: Look, follow: Follow) -> Hir {
        Hir::look(match look {
            Look::Start => hir::Look::Start,
            Look::End => hir::Look::End,
            Look::LineEnd => hir::Look::EndLF,
            Look::LineStart => {
                // It is none at the very end, where the other engine has one: a byte has to follow.
                if follow.rest != Rest::Takes {
                    self.meaning = Meaning::Wider;
                }
                hir::Look::StartLF
            }
            Look::EndOrNewline => {
                self.meaning = Meaning::Wider;
                hir::Look::EndLF
            }
            Look::WordBoundary => hir::Look::WordAscii,
            Look::NotWordBoundary => hir::Look::WordAsciiNegate,
        })
    }

    fn repeat(&mut self, repeat: &Repeat, follow: Follow) -> Hir {
        let Repeat { node, min, max, kind } = repeat;
        if *kind == Kind::Possessive && !keeps_nothing(repeat, follow) {
            self.meaning = Meaning::Wider;
        }
        let sub = Box::new(self.node(node, follow.round(repeat)));
        let greedy = *kind != Kind::Lazy;
        Hir::repetition(Repetition { min: *min, max: *max, greedy, sub })
    }
}

/// Whether a possessive repetition is but a greedy one, since what it gives back helps nothing.
///
/// So it is if what follows cannot fail, or if there is one number of rounds only. And so it is if
/// what follows cannot begin with what is given back. If single bytes are given back, then what
/// follows may begin with repetitions that take them: it would match without them as well, one step
/// later, and that was tried before.
fn keeps_nothing(repeat: &Repeat, follow: Follow) -> bool {
    let one_way = repeat.node.has_one_way();
    let First { set, empty } = repeat.node.first();
    let begins = if matches!(repeat.node, Node::Set(_)) { follow.firm } else { follow.set };
    follow.rest == Rest::Holds
        || one_way && repeat.max == Some(repeat.min)
        || one_way && !empty && follow.rest == Rest::Takes && !begins.intersects(&set)
}

fn last_newline() -> Hir {
    Hir::concat(vec![Hir::literal(&b"\n"[..]), Hir::look(hir::Look::End)])
}

fn class(set: &ByteSet) -> Hir {
    let mut ranges: Vec<ClassBytesRange> = Vec::new();
    for byte in set.iter() {
        match ranges.last_mut() {
            Some(last) if u16::from(last.end()) + 1 == u16::from(byte) => {
                *last = ClassBytesRange::new(last.start(), byte);
            }
            _ => ranges.push(ClassBytesRange::new(byte, byte)),
        }
    }
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}

/// A tail that matches where none of a node's strings does. `None`: they are not few and short.
fn complement(node: &Node) -> Option<Hir> {
    let mut pieces = AHEAD_PIECES_MAX;
    complement_of(&strings(node)?, &mut pieces)
}

/// The strings that a node matches, each a sequence of sets.
fn strings(node: &Node) -> Option<Vec<Vec<ByteSet>>> {
    let found = match node {
        Node::Empty => vec![Vec::new()],
        Node::Set(set) => vec![vec![*set]],
        Node::Group(_, node) | Node::Atomic(node) => strings(node)?,
        Node::Concat(nodes) => {
            nodes.iter().try_fold(vec![Vec::new()], |found, node| product(found, strings(node)?))?
        }
        Node::Alternate(nodes) => {
            let mut found = Vec::new();
            for node in nodes {
                found.extend(strings(node)?);
            }
            found
        }
        Node::Repeat(repeat) => {
            let max = repeat.max.filter(|max| *max as usize <= AHEAD_LENGTH_MAX)?;
            let round = strings(&repeat.node)?;
            let mut rounds = vec![Vec::new()];
            let mut found = Vec::new();
            for count in 0..=max {
                if count >= repeat.min {
                    found.extend(rounds.iter().cloned());
                }
                rounds = product(rounds, round.clone())?;
            }
            found
        }
        Node::Look(_) | Node::Around(_) | Node::Back(..) => return None,
    };
    let fits = found.len() <= AHEAD_STRINGS_MAX
        && found.iter().all(|string| string.len() <= AHEAD_LENGTH_MAX);
    fits.then_some(found)
}

fn product(heads: Vec<Vec<ByteSet>>, tails: Vec<Vec<ByteSet>>) -> Option<Vec<Vec<ByteSet>>> {
    if heads.len() * tails.len() > AHEAD_STRINGS_MAX {
        return None;
    }
    Some(
        heads.iter().flat_map(|head| tails.iter().map(|tail| [&head[..], tail].concat())).collect(),
    )
}

/// Where none of the strings begins: the end, a byte that begins none, or a byte that begins some
/// and then where none of their rests begins.
fn complement_of(strings: &[Vec<ByteSet>], pieces: &mut usize) -> Option<Hir> {
    *pieces = pieces.checked_sub(1)?;
    if strings.iter().any(Vec::is_empty) {
        return Some(Hir::fail());
    }
    let mut kinds: Vec<(Vec<usize>, ByteSet)> = Vec::new();
    for byte in 0..=u8::MAX {
        let begun: Vec<usize> =
            (0..strings.len()).filter(|i| strings[*i][0].contains(byte)).collect();
        match kinds.iter_mut().find(|(other, _)| *other == begun) {
            Some((_, set)) => set.insert(byte),
            None => kinds.push((begun, std::iter::once(byte).collect())),
        }
    }
    let mut choices = vec![Hir::look(hir::Look::End)];
    for (begun, set) in kinds {
        if begun.is_empty() {
            choices.push(class(&set));
            continue;
        }
        let rests: Vec<_> = begun.iter().map(|i| strings[*i][1..].to_vec()).collect();
        if rests.iter().any(Vec::is_empty) {
            continue;
        }
        choices.push(Hir::concat(vec![class(&set), complement_of(&rests, pieces)?]));
    }
    Some(Hir::alternation(choices))
}
