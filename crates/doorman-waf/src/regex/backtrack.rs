//! The engine of the few patterns that look around, refer back or keep what they took.
//!
//! It tries, and goes back to what it has not tried; with such patterns nothing better is known. So
//! each step is counted and a search that takes too many is cut. Nothing recurses: what there is to
//! try and what there is to undo lie on one stack, whose height is bounded too.

use std::ops::Range;

use super::named::is_word;
use super::program::{Lazy, Place, Program, Step};
use super::tree::{Case, Kind, Look};
use super::{Groups, OverBudget};

/// Entries of the stack: 4 MiB at most, while a search lasts.
const STACK_MAX: usize = 1 << 17;
/// A cell that holds nothing.
const NONE: usize = usize::MAX;

/// Finds the first match.
pub(super) fn search(
    program: &Program,
    hay: &[u8],
    steps_max: u32,
) -> Result<Option<Groups>, OverBudget> {
    let mut machine = Machine {
        program,
        hay,
        stack: Vec::new(),
        cells: vec![NONE; program.cells],
        left: steps_max,
    };
    for start in 0..=hay.len() {
        if let Some(first) = &program.first
            && !hay.get(start).is_some_and(|byte| first.contains(*byte))
        {
            continue;
        }
        // A failed try has undone all that it did, so the next begins anew.
        if machine.run(start)? {
            return Ok(Some(machine.groups()));
        }
    }
    Ok(None)
}

/// What lies on the stack.
enum Entry {
    /// Something that has not been tried.
    Try { step: usize, at: usize },
    /// A run that may give bytes back, down to the lowest place.
    Give { step: usize, at: usize, low: usize },
    /// A run that may take bytes more.
    Take { step: usize, at: usize, left: u32 },
    /// What a cell held.
    Undo { cell: usize, value: usize },
}

struct Machine<'a> {
    program: &'a Program,
    hay: &'a [u8],
    stack: Vec<Entry>,
    cells: Vec<usize>,
    left: u32,
}

/// What a step leads to.
enum Next {
    Go(usize, usize),
    Fail,
    Matched,
}

impl Machine<'_> {
    /// Tries from one place on. A failure leaves stack and cells as they were.
    fn run(&mut self, start: usize) -> Result<bool, OverBudget> {
        let (mut step, mut at) = (0, start);
        loop {
            self.spend(1)?;
            match self.step(step, at)? {
                Next::Go(to, place) => (step, at) = (to, place),
                Next::Matched => return Ok(true),
                Next::Fail => match self.retreat()? {
                    Some(to) => (step, at) = to,
                    None => return Ok(false),
                },
            }
        }
    }

    fn step(&mut self, index: usize, at: usize) -> Result<Next, OverBudget> {
        let program = self.program;
        let go = Next::Go(index + 1, at);
        Ok(match &program.steps[index] {
            Step::Set(set) => match self.hay.get(at) {
                Some(byte) if set.contains(*byte) => Next::Go(index + 1, at + 1),
                _ => Next::Fail,
            },
            Step::Look(look) if self.sees(*look, at) => go,
            Step::Look(_) => Next::Fail,
            Step::Save(cell) => {
                self.write(*cell, at)?;
                go
            }
            Step::Close { cell, begun } => {
                self.write(*cell, self.cells[*begun])?;
                self.write(cell + 1, at)?;
                go
            }
            Step::Jump(to) => Next::Go(*to, at),
            Step::Split { to } => {
                self.push(Entry::Try { step: *to, at })?;
                go
            }
            Step::Run { set, min, max, kind } => {
                let longest = if *kind == Kind::Lazy { *min } else { *max };
                let rest = self.hay[at..].iter().take(longest as usize);
                let taken = rest.take_while(|byte| set.contains(**byte)).count();
                self.spend(taken)?;
                let low = at + *min as usize;
                if at + taken < low {
                    return Ok(Next::Fail);
                }
                let at = at + taken;
                match kind {
                    Kind::Lazy => self.push(Entry::Take { step: index, at, left: max - min })?,
                    Kind::Greedy if at > low => {
                        self.push(Entry::Give { step: index, at, low })?;
                    }
                    _ => {}
                }
                Next::Go(index + 1, at)
            }
            Step::LoopStart { cell } => {
                self.write(*cell, 0)?;
                self.write(cell + 1, NONE)?;
                go
            }
            Step::Loop { cell, min, max, lazy, exit } => {
                self.decide(index, at, (*cell, *min, *max), *lazy, *exit)?
            }
            Step::Round { cell } => {
                self.write(*cell, self.cells[*cell] + 1)?;
                self.write(cell + 1, at)?;
                go
            }
            Step::Enter { cell } => {
                self.mark(*cell, at)?;
                go
            }
            Step::EnterNot { cell, after } => {
                self.mark(*cell, at)?;
                self.push(Entry::Try { step: *after, at })?;
                go
            }
            Step::Commit { cell, place } => {
                let height = self.cells[*cell];
                let mark = self.cells[cell + 1];
                self.forget(height)?;
                if *place == Place::Mark { Next::Go(index + 1, mark) } else { go }
            }
            Step::CommitNot { cell } => {
                self.unwind(self.cells[*cell])?;
                Next::Fail
            }
            Step::Back { group, case } => match self.again(*group, *case, at)? {
                Some(at) => Next::Go(index + 1, at),
                None => Next::Fail,
            },
            Step::Behind(length) => match at.checked_sub(*length) {
                Some(at) => Next::Go(index + 1, at),
                None => Next::Fail,
            },
            Step::Match => Next::Matched,
        })
    }

    fn decide(
        &mut self,
        index: usize,
        at: usize,
        (cell, min, max): (usize, u32, u32),
        lazy: Lazy,
        exit: usize,
    ) -> Result<Next, OverBudget> {
        let count = self.cells[cell];
        if count < min as usize {
            return Ok(Next::Go(index + 1, at));
        }
        // After a round that took nothing the next would take nothing, for ever.
        if self.cells[cell + 1] == at || count >= max as usize {
            return Ok(Next::Go(exit, at));
        }
        let (now, later) = if lazy == Lazy::Yes { (exit, index + 1) } else { (index + 1, exit) };
        self.push(Entry::Try { step: later, at })?;
        Ok(Next::Go(now, at))
    }

    /// Marks a place and the height of the stack, the undoing of the mark not counted.
    fn mark(&mut self, cell: usize, at: usize) -> Result<(), OverBudget> {
        self.write(cell + 1, at)?;
        let height = self.stack.len() + 1;
        self.write(cell, height)
    }

    /// Takes from the stack what there is to try above a height, and leaves what there is to undo.
    fn forget(&mut self, height: usize) -> Result<(), OverBudget> {
        self.spend(self.stack.len() - height)?;
        let mut kept = height;
        for i in height..self.stack.len() {
            if matches!(self.stack[i], Entry::Undo { .. }) {
                self.stack.swap(kept, i);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        Ok(())
    }

    /// Undoes what lies on the stack above a height.
    fn unwind(&mut self, height: usize) -> Result<(), OverBudget> {
        self.spend(self.stack.len() - height)?;
        while self.stack.len() > height {
            if let Some(Entry::Undo { cell, value }) = self.stack.pop() {
                self.cells[cell] = value;
            }
        }
        Ok(())
    }

    /// Goes back to what has not been tried last.
    fn retreat(&mut self) -> Result<Option<(usize, usize)>, OverBudget> {
        while let Some(entry) = self.stack.pop() {
            self.spend(1)?;
            match entry {
                Entry::Undo { cell, value } => self.cells[cell] = value,
                Entry::Try { step, at } => return Ok(Some((step, at))),
                Entry::Give { step, at, low } => {
                    let at = at - 1;
                    if at > low {
                        self.push(Entry::Give { step, at, low })?;
                    }
                    return Ok(Some((step + 1, at)));
                }
                Entry::Take { step, at, left } => {
                    let Step::Run { set, .. } = &self.program.steps[step] else { continue };
                    if left == 0 || !self.hay.get(at).is_some_and(|byte| set.contains(*byte)) {
                        continue;
                    }
                    self.push(Entry::Take { step, at: at + 1, left: left - 1 })?;
                    return Ok(Some((step + 1, at + 1)));
                }
            }
        }
        Ok(None)
    }

    fn write(&mut self, cell: usize, value: usize) -> Result<(), OverBudget> {
        self.push(Entry::Undo { cell, value: self.cells[cell] })?;
        self.cells[cell] = value;
        Ok(())
    }

    fn push(&mut self, entry: Entry) -> Result<(), OverBudget> {
        if self.stack.len() >= STACK_MAX {
            return Err(OverBudget);
        }
        self.stack.push(entry);
        Ok(())
    }

    fn spend(&mut self, steps: usize) -> Result<(), OverBudget> {
        let steps = u32::try_from(steps).map_err(|_| OverBudget)?;
        self.left = self.left.checked_sub(steps).ok_or(OverBudget)?;
        Ok(())
    }

    fn sees(&self, look: Look, at: usize) -> bool {
        let hay = self.hay;
        let before = at.checked_sub(1).and_then(|at| hay.get(at)).copied();
        let after = hay.get(at).copied();
        let boundary = before.is_some_and(is_word) != after.is_some_and(is_word);
        match look {
            Look::Start => at == 0,
            Look::End => after.is_none(),
            Look::EndOrNewline => matches!(&hay[at..], [] | [b'\n']),
            Look::LineStart => at == 0 || before == Some(b'\n') && after.is_some(),
            Look::LineEnd => matches!(after, None | Some(b'\n')),
            Look::WordBoundary => boundary,
            Look::NotWordBoundary => !boundary,
        }
    }

    /// Where what a group matched ends if it stands here once more.
    fn again(&mut self, group: u32, case: Case, at: usize) -> Result<Option<usize>, OverBudget> {
        let hay = self.hay;
        let Some(matched) = self.range(group as usize) else { return Ok(None) };
        let matched = &hay[matched];
        let Some(here) = hay.get(at..at + matched.len()) else { return Ok(None) };
        self.spend(matched.len())?;
        let equal = match case {
            Case::Exact => here == matched,
            Case::Fold => here.eq_ignore_ascii_case(matched),
        };
        Ok(equal.then_some(at + matched.len()))
    }

    fn range(&self, group: usize) -> Option<Range<usize>> {
        let start = *self.cells.get(2 * group)?;
        let end = *self.cells.get(2 * group + 1)?;
        (end != NONE && start <= end).then_some(start..end)
    }

    fn groups(&self) -> Groups {
        let count = self.program.group_cells / 2;
        std::array::from_fn(|i| (i < count).then(|| self.range(i)).flatten())
    }
}
