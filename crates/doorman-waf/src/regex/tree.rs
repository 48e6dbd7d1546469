//! What a pattern says, as a tree over bytes.
//!
//! Case, named sets and escapes are gone when a pattern is a tree: whatever matches one byte is a
//! [`ByteSet`]. So the two engines that are made from a tree cannot differ in what a letter means.

use crate::operator::ByteSet;

/// A pattern that has been read.
pub(super) struct Tree {
    pub(super) node: Node,
    /// How many groups it has, without the whole.
    pub(super) groups: u32,
}

/// A piece of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    /// One byte of the set. An empty set matches nothing.
    Set(ByteSet),
    Look(Look),
    /// A group that is told of, by its number from 1.
    Group(u32, Box<Node>),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat(Box<Repeat>),
    /// Matches what its inside matches first, and nothing else.
    Atomic(Box<Node>),
    Around(Box<Around>),
    /// What a group matched, once more. A group that matched nothing yet never matches.
    Back(u32, Case),
}

/// A piece some number of times.
#[derive(Clone, Debug)]
pub(super) struct Repeat {
    pub(super) node: Node,
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) kind: Kind,
}

/// Which number of times is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Greedy,
    Lazy,
    /// Greedy, and what it took it keeps.
    Possessive,
}

/// A look-around.
#[derive(Clone, Debug)]
pub(super) struct Around {
    pub(super) side: Side,
    pub(super) sense: Sense,
    pub(super) node: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ahead,
    Behind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    Must,
    MustNot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Fold,
}

/// What is asked of a place without taking a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Start,
    End,
    /// The end, or before a line feed that is the last byte: `\Z`.
    EndOrNewline,
    /// The start, or behind a line feed that is not the last byte.
    LineStart,
    LineEnd,
    WordBoundary,
    NotWordBoundary,
}

/// How a piece can begin: never less than it can.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) set: ByteSet,
    /// Whether it may match without a byte.
    pub(super) empty: bool,
}

impl Node {
    /// Whether a repetition in it may have a round without a byte: there the linear engine may choose
    /// another match that begins at the same place.
    pub(super) fn has_empty_rounds(&self) -> bool {
        match self {
            Self::Empty | Self::Set(_) | Self::Look(_) | Self::Back(..) => false,
            Self::Group(_, node) | Self::Atomic(node) => node.has_empty_rounds(),
            Self::Concat(nodes) | Self::Alternate(nodes) => {
                nodes.iter().any(Self::has_empty_rounds)
            }
            Self::Around(around) => around.node.has_empty_rounds(),
            Self::Repeat(repeat) => repeat.node.first().empty || repeat.node.has_empty_rounds(),
        }
    }

    /// How it can begin.
    pub(super) fn first(&self) -> First {
        let nothing = First { set: ByteSet::default(), empty: true };
        match self {
            Self::Empty | Self::Look(_) | Self::Around(_) => nothing,
            Self::Set(set) => First { set: *set, empty: false },
            Self::Group(_, node) | Self::Atomic(node) => node.first(),
            Self::Concat(nodes) => {
                let mut first = nothing;
                for node in nodes {
                    let next = node.first();
                    first.set = first.set.union(next.set);
                    if !next.empty {
                        return First { empty: false, ..first };
                    }
                }
                first
            }
            Self::Alternate(nodes) => nodes.iter().map(Self::first).fold(
                First { empty: false, ..nothing },
                |one, other| First {
                    set: one.set.union(other.set),
                    empty: one.empty || other.empty,
                },
            ),
            Self::Repeat(repeat) if repeat.max == Some(0) => nothing,
            Self::Repeat(repeat) => {
                let first = repeat.node.first();
                First { empty: first.empty || repeat.min == 0, ..first }
            }
            Self::Back(..) => First { set: ByteSet::default().complement(), empty: true },
        }
    }

    /// How many bytes it matches, if that is one number.
    pub(super) fn width(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::Look(_) | Self::Around(_) => Some(0),
            Self::Set(_) => Some(1),
            Self::Group(_, node) | Self::Atomic(node) => node.width(),
            Self::Concat(nodes) => {
                nodes.iter().try_fold(0, |sum: usize, node| sum.checked_add(node.width()?))
            }
            Self::Alternate(nodes) => {
                let mut widths = nodes.iter().map(Self::width);
                let width = widths.next()??;
                widths.all(|other| other == Some(width)).then_some(width)
            }
            Self::Repeat(repeat) if repeat.max == Some(repeat.min) => {
                repeat.node.width()?.checked_mul(repeat.min as usize)
            }
            Self::Repeat(_) | Self::Back(..) => None,
        }
    }

    /// Whether it matches the empty string everywhere, if nothing else.
    pub(super) fn always_matches(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Set(_) | Self::Look(_) | Self::Around(_) | Self::Back(..) => false,
            Self::Group(_, node) | Self::Atomic(node) => node.always_matches(),
            Self::Concat(nodes) => nodes.iter().all(Self::always_matches),
            Self::Alternate(nodes) => nodes.iter().any(Self::always_matches),
            Self::Repeat(repeat) => repeat.min == 0 || repeat.node.always_matches(),
        }
    }

    /// Whether from each place it matches in at most one way, so that nothing is lost if it keeps
    /// the first.
    pub(super) fn has_one_way(&self) -> bool {
        match self {
            Self::Empty | Self::Set(_) | Self::Look(_) | Self::Around(_) => true,
            Self::Atomic(_) | Self::Back(..) => true,
            Self::Group(_, node) => node.has_one_way(),
            Self::Concat(nodes) => nodes.iter().all(Self::has_one_way),
            Self::Alternate(nodes) => {
                let mut seen = ByteSet::default();
                nodes.iter().all(|node| {
                    let first = node.first();
                    let apart = !first.empty && !first.set.intersects(&seen);
                    seen = seen.union(first.set);
                    apart && node.has_one_way()
                })
            }
            Self::Repeat(repeat) => {
                repeat.kind == Kind::Possessive
                    || repeat.max == Some(repeat.min) && repeat.node.has_one_way()
            }
        }
    }
}
