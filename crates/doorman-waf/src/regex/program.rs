//! A tree as the steps of the backtracking matcher.
//!
//! Counters and marks live in cells beside the groups' places, numbered when the program is made,
//! so that one log of old values undoes all of them alike.

use super::tree::{Around, Case, Kind, Look, Node, Repeat, Sense, Side, Tree};
use crate::operator::ByteSet;

/// A compiled pattern.
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// Cells: two for each group and the whole, then counters and marks.
    pub(super) cells: usize,
    /// How many of them are of groups.
    pub(super) group_cells: usize,
    /// The bytes a match can begin with. `None`: it may be empty.
    pub(super) first: Option<ByteSet>,
}

/// One step. Numbers named `to`, `exit` and `after` are places of steps.
#[derive(Debug)]
pub(super) enum Step {
    Set(ByteSet),
    Look(Look),
    Save(usize),
    /// Ends a group: its places are that which was saved, and here. Until then it has what it had.
    Close {
        cell: usize,
        begun: usize,
    },
    Jump(usize),
    /// Goes on with the next step; if that fails, with the other.
    Split {
        to: usize,
    },
    /// A set some number of times, in one step.
    Run {
        set: ByteSet,
        min: u32,
        max: u32,
        kind: Kind,
    },
    /// Sets the counter and the mark behind it to nothing.
    LoopStart {
        cell: usize,
    },
    /// Decides on another round. The next step begins one.
    Loop {
        cell: usize,
        min: u32,
        max: u32,
        lazy: Lazy,
        exit: usize,
    },
    /// Counts a round and marks its place.
    Round {
        cell: usize,
    },
    /// Marks the place and what there is to try.
    Enter {
        cell: usize,
    },
    /// Forgets what there was to try since the mark; stays or goes back to its place.
    Commit {
        cell: usize,
        place: Place,
    },
    /// As `Enter`, and if what comes fails, goes on after it at its place.
    EnterNot {
        cell: usize,
        after: usize,
    },
    /// What must not match did: undoes all since the mark and fails.
    CommitNot {
        cell: usize,
    },
    Back {
        group: u32,
        case: Case,
    },
    /// Goes back some bytes.
    Behind(usize),
    Match,
}

/// Whether another round is tried last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lazy {
    No,
    Yes,
}

/// Where a match of a group that gives nothing back leaves off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    Mark,
}

impl Program {
    pub(super) fn new(tree: &Tree) -> Self {
        let groups = 2 * (tree.groups as usize + 1);
        let mut program =
            Self { steps: Vec::new(), cells: groups, group_cells: groups, first: None };
        let first = tree.node.first();
        program.first = (!first.empty).then_some(first.set);
        program.steps.push(Step::Save(0));
        program.node(&tree.node);
        program.steps.push(Step::Save(1));
        program.steps.push(Step::Match);
        program
    }

    pub(super) fn memory(&self) -> usize {
        self.steps.capacity() * size_of::<Step>()
    }

    /// The first of some new cells.
    fn cells(&mut self, count: usize) -> usize {
        self.cells += count;
        self.cells - count
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Set(set) => self.steps.push(Step::Set(*set)),
            Node::Look(look) => self.steps.push(Step::Look(*look)),
            Node::Group(index, node) => {
                let cell = 2 * *index as usize;
                let begun = self.cells(1);
                self.steps.push(Step::Save(begun));
                self.node(node);
                self.steps.push(Step::Close { cell, begun });
            }
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Alternate(nodes) => self.alternate(nodes, Self::node),
            Node::Repeat(repeat) => self.repeat(repeat),
            Node::Atomic(node) => self.atomic(|program| program.node(node)),
            Node::Around(around) => self.around(around),
            Node::Back(group, case) => {
                self.steps.push(Step::Back { group: *group, case: *case });
            }
        }
    }

    fn alternate(&mut self, nodes: &[Node], each: fn(&mut Self, &Node)) {
        let mut ends = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                each(self, node);
                break;
            }
            let split = self.hole();
            each(self, node);
            ends.push(self.hole());
            self.steps[split] = Step::Split { to: self.steps.len() };
        }
        for end in ends {
            self.steps[end] = Step::Jump(self.steps.len());
        }
    }

    /// The place of a step that is filled in once it is known where it leads.
    fn hole(&mut self) -> usize {
        self.steps.push(Step::Match);
        self.steps.len() - 1
    }

    fn repeat(&mut self, repeat: &Repeat) {
        let Repeat { node, min, max, kind } = repeat;
        let (min, max) = (*min, max.unwrap_or(u32::MAX));
        if let Node::Set(set) = node {
            self.steps.push(Step::Run { set: *set, min, max, kind: *kind });
            return;
        }
        match kind {
            Kind::Possessive => self.atomic(|program| program.rounds(node, min, max, Lazy::No)),
            Kind::Greedy => self.rounds(node, min, max, Lazy::No),
            Kind::Lazy => self.rounds(node, min, max, Lazy::Yes),
        }
    }

    fn rounds(&mut self, node: &Node, min: u32, max: u32, lazy: Lazy) {
        let cell = self.cells(2);
        self.steps.push(Step::LoopStart { cell });
        let decide = self.hole();
        self.steps.push(Step::Round { cell });
        self.node(node);
        self.steps.push(Step::Jump(decide));
        let exit = self.steps.len();
        self.steps[decide] = Step::Loop { cell, min, max, lazy, exit };
    }

    fn atomic(&mut self, inside: impl FnOnce(&mut Self)) {
        let cell = self.cells(2);
        self.steps.push(Step::Enter { cell });
        inside(self);
        self.steps.push(Step::Commit { cell, place: Place::Here });
    }

    fn around(&mut self, around: &Around) {
        let cell = self.cells(2);
        let Around { side, sense, node } = around;
        let enter = self.hole();
        match (side, node) {
            (Side::Ahead, node) => self.node(node),
            (Side::Behind, Node::Alternate(nodes)) => self.alternate(nodes, Self::behind),
            (Side::Behind, node) => self.behind(node),
        }
        let (first, last) = match sense {
            Sense::Must => (Step::Enter { cell }, Step::Commit { cell, place: Place::Mark }),
            Sense::MustNot => {
                let after = self.steps.len() + 1;
                (Step::EnterNot { cell, after }, Step::CommitNot { cell })
            }
        };
        self.steps[enter] = first;
        self.steps.push(last);
    }

    /// An alternative of a look-behind: it begins as many bytes back as it takes, a number that the
    /// parser has made sure of.
    fn behind(&mut self, node: &Node) {
        self.steps.push(Step::Behind(node.width().unwrap_or(0)));
        self.node(node);
    }
}
