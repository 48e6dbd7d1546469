//! Each value looked at once, for all rules of a phase that look at it.

use aho_corasick::AhoCorasick;

use super::bits::Bits;
use super::layout::{Layout, TargetSet};
use crate::operator::ByteSet;
use crate::rule::Rule;
use crate::transaction::{Run, Stop, Value};

/// A form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The value itself.
    Raw,
    /// The made form of this number.
    Made(u32),
}

/// A value that may match a rule, in the form that the rule asks about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    gate: u32,
    value: u32,
    form: Form,
}

/// Memory that phases use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Forms that transformations have made; the first `used` are of this phase.
    made: Vec<Vec<u8>>,
    used: usize,
    /// What the forms of the value that is looked at are, and what is known of each.
    distinct: Vec<Known>,
    known: usize,
    /// For each node of the tree, which of `distinct` it is.
    at: Vec<usize>,
    next: Vec<u8>,
    any: Bits,
}

/// What is known of a form.
#[derive(Debug)]
struct Known {
    form: Form,
    present: ByteSet,
    /// Gates that its literals open.
    opened: Bits,
    scanned: bool,
}

/// What has been looked at in this phase so far.
pub(super) struct Look<'p, 'a> {
    layout: &'p Layout,
    room: &'p mut Room,
    sets: Vec<Option<Looked<'a>>>,
}

/// The values of a target list, and who may match.
struct Looked<'a> {
    values: Vec<Value<'a>>,
    /// By gate, then by value.
    candidates: Vec<Candidate>,
}

impl<'p, 'a> Look<'p, 'a> {
    pub(super) fn new(layout: &'p Layout, room: &'p mut Room) -> Self {
        room.used = 0;
        room.any.reset(layout.gates.len());
        let sets = layout.sets.iter().map(|_| None).collect();
        Self { layout, room, sets }
    }

    /// Looks at the values of a rule's targets, unless that has been done.
    pub(super) fn at(&mut self, run: &mut Run<'a>, rule: &Rule, gate: usize) -> Result<(), Stop> {
        let number = self.layout.gates[gate].set;
        if self.sets[number].is_some() {
            return Ok(());
        }
        let set = &self.layout.sets[number];
        let values = run.all_values(rule)?;
        let mut candidates = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.value(run, set, index, &value.bytes, &mut candidates)?;
        }
        candidates.sort_by_key(|candidate| (candidate.gate, candidate.value));
        candidates.iter().for_each(|candidate| self.room.any.insert(candidate.gate as usize));
        self.sets[number] = Some(Looked { values, candidates });
        Ok(())
    }

    /// Whether any value passes the gate. Its values were looked at.
    pub(super) fn any(&self, gate: usize) -> bool {
        self.room.any.contains(gate)
    }

    /// Numbers of the candidates that pass the gate.
    pub(super) fn candidates(&self, gate: usize) -> std::ops::Range<usize> {
        let all = self.looked(gate).map_or(&[][..], |looked| &looked.candidates);
        let start = all.partition_point(|candidate| (candidate.gate as usize) < gate);
        let end = all.partition_point(|candidate| candidate.gate as usize <= gate);
        start..end
    }

    /// The value of a candidate, and its form if there is only one to ask about.
    pub(super) fn candidate(&self, gate: usize, number: usize) -> (&Value<'a>, Option<&[u8]>) {
        let looked = self.looked(gate).expect("candidates come of values that were looked at");
        let candidate = looked.candidates[number];
        let value = &looked.values[candidate.value as usize];
        let many = self.layout.gates[gate].many;
        let form = match candidate.form {
            Form::Raw => &value.bytes[..],
            Form::Made(made) => &self.room.made[made as usize],
        };
        (value, (!many).then_some(form))
    }

    fn looked(&self, gate: usize) -> Option<&Looked<'a>> {
        self.sets[self.layout.gates[gate].set].as_ref()
    }

    /// Looks at one value in all forms that the rules of its set ask about.
    fn value(
        &mut self,
        run: &mut Run<'a>,
        set: &TargetSet,
        index: u32,
        raw: &[u8],
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), Stop> {
        run.live.budget.take(raw.len())?;
        let room = &mut *self.room;
        room.begin(self.layout.nodes.len(), raw);
        for node in &set.nodes[1..] {
            room.form(run, self.layout, *node, raw)?;
        }
        for (node, gates) in &set.forms {
            let known = room.at[*node];
            room.open(run, self.layout, known, raw)?;
            let Known { form, present, opened, .. } = &room.distinct[known];
            let length = room.bytes(*form, raw).len();
            for gate in opened.both(gates) {
                let rule = &self.layout.gates[gate];
                let own = candidates.iter().rev().take_while(|known| known.value == index);
                let twice = rule.many && own.into_iter().any(|known| known.gate as usize == gate);
                if !twice && rule.needs.allow(length, present) {
                    let gate = u32::try_from(gate).unwrap_or(u32::MAX);
                    candidates.push(Candidate { gate, value: index, form: *form });
                }
            }
        }
        Ok(())
    }
}

impl Room {
    /// Begins with a value: nothing is known of it but itself.
    fn begin(&mut self, nodes: usize, raw: &[u8]) {
        self.known = 0;
        self.at.clear();
        self.at.resize(nodes, 0);
        self.learn(Form::Raw, ByteSet::present(raw));
    }

    fn learn(&mut self, form: Form, present: ByteSet) -> usize {
        match self.distinct.get_mut(self.known) {
            Some(known) => {
                (known.form, known.present, known.scanned) = (form, present, false);
            }
            None => {
                let opened = Bits::default();
                self.distinct.push(Known { form, present, opened, scanned: false });
            }
        }
        self.known += 1;
        self.known - 1
    }

    fn bytes<'r>(&'r self, form: Form, raw: &'r [u8]) -> &'r [u8] {
        match form {
            Form::Raw => raw,
            Form::Made(made) => &self.made[made as usize],
        }
    }

    /// Makes the form of a node, whose parent's is made, unless it is the same as another.
    fn form(
        &mut self,
        run: &mut Run<'_>,
        layout: &Layout,
        node: usize,
        raw: &[u8],
    ) -> Result<(), Stop> {
        let parent = self.at[layout.nodes[node].parent];
        self.at[node] = parent;
        let Some(transformation) = layout.nodes[node].transformation else { return Ok(()) };
        let Known { form, present, .. } = &self.distinct[parent];
        if transformation.leaves(present) {
            return Ok(());
        }
        let form = *form;
        let mut next = std::mem::take(&mut self.next);
        let input = self.bytes(form, raw);
        run.live.budget.take(input.len())?;
        if transformation.apply(input, &mut next) {
            run.live.budget.take(next.len())?;
            self.at[node] = self.made(&mut next, raw);
        }
        self.next = next;
        Ok(())
    }

    /// The number of a made form among those of the value: of one that is the same, or a new one.
    fn made(&mut self, next: &mut Vec<u8>, raw: &[u8]) -> usize {
        let same =
            (0..self.known).find(|known| self.bytes(self.distinct[*known].form, raw) == next);
        if let Some(same) = same {
            return same;
        }
        let present = ByteSet::present(next);
        let number = u32::try_from(self.used).unwrap_or(u32::MAX);
        match self.made.get_mut(self.used) {
            Some(made) => std::mem::swap(made, next),
            None => self.made.push(std::mem::take(next)),
        }
        self.used += 1;
        self.learn(Form::Made(number), present)
    }

    /// Finds out which gates the literals of a form open, unless that is known.
    fn open(
        &mut self,
        run: &mut Run<'_>,
        layout: &Layout,
        known: usize,
        raw: &[u8],
    ) -> Result<(), Stop> {
        if self.distinct[known].scanned {
            return Ok(());
        }
        let mut opened = std::mem::take(&mut self.distinct[known].opened);
        opened.reset(layout.gates.len());
        opened.extend(&layout.open);
        let bytes = self.bytes(self.distinct[known].form, raw);
        run.live.budget.take(bytes.len())?;
        if let Some(scanner) = &layout.scanner {
            scan(scanner, bytes, &layout.opens, &mut opened);
        }
        let known = &mut self.distinct[known];
        (known.opened, known.scanned) = (opened, true);
        Ok(())
    }
}

fn scan(scanner: &AhoCorasick, bytes: &[u8], opens: &[Bits], opened: &mut Bits) {
    for found in scanner.find_overlapping_iter(bytes) {
        opened.extend(&opens[found.pattern().as_usize()]);
    }
}
