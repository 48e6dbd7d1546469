//! Each value looked at once, for all rules of a phase that look at it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::bits::Bits;
use super::layout::{Asked, Layout, Node, TargetSet};
use crate::operator::ByteSet;
use crate::rule::{Rule, Transformation};
use crate::transaction::{ByPlace, Run, Stop, Value};

/// Bytes of made forms that are kept while a phase runs. Whoever sends one long value would have as many
/// copies of it as there are chains; past this, values are run through the rules as they are written,
/// which makes two forms at a time.
const MADE_MAX: usize = 4 << 20;
/// Bytes of made forms whose memory a worker keeps for the next phase.
const KEPT_MAX: usize = 1 << 20;

/// Values of which a worker keeps the memory of what was known. A body may have many more of them than
/// ordinary ones do, and what is known of one takes more than the few bytes of it.
const RAWS_MAX: usize = 1024;
/// Room for values, before it grows: the heads of most requests have fewer.
const VALUES: usize = 48;
/// Candidates whose memory a worker keeps for the next phase.
const CANDIDATES_MAX: usize = 1 << 14;

/// A form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The value itself.
    Raw,
    /// The made form of this number.
    Made(u32),
    /// Not made: the rule is run on the value as it is written.
    Unmade,
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
    /// Forms that transformations have made; the first `made_count` are of this phase.
    made: Vec<Vec<u8>>,
    made_count: usize,
    /// Bytes of those.
    made_bytes: usize,
    /// What is known of values; the first `raw_count` are of this phase.
    raws: Vec<Raw>,
    raw_count: usize,
    /// Which of `raws` is about bytes that lie here: values that several lists have are looked at once.
    places: HashMap<(usize, usize), usize, ByPlace>,
    next: Vec<u8>,
    any: Bits,
    /// What was looked at of each target list; `None` of those that no rule has asked about.
    looked: Vec<Option<Looked>>,
    candidates: Vec<Candidate>,
}

/// What is known of one value.
#[derive(Debug, Default)]
struct Raw {
    /// Its forms, itself first; the first `count` are of it.
    distinct: Vec<Known>,
    count: usize,
    /// For each node of the tree, which of `distinct` it is; `UNKNOWN` if that is not known yet.
    at: Vec<u16>,
}

const UNKNOWN: u16 = u16::MAX;

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
    /// Values of all target lists.
    values: Vec<Value<'a>>,
    /// Those of one, before it is looked at.
    fresh: Vec<Value<'a>>,
}

/// The values of a target list, and who may match.
#[derive(Clone, Debug)]
struct Looked {
    /// Where the first value is.
    values: usize,
    /// By gate, then by value.
    candidates: Range<usize>,
}

impl<'p, 'a> Look<'p, 'a> {
    pub(super) fn new(layout: &'p Layout, room: &'p mut Room) -> Self {
        (room.made_count, room.made_bytes, room.raw_count) = (0, 0, 0);
        room.places.clear();
        room.any.reset(layout.gates.len());
        room.candidates.clear();
        room.looked.clear();
        room.looked.resize(layout.sets.len(), None);
        Self { layout, room, values: Vec::new(), fresh: Vec::new() }
    }

    /// Looks at the values of a rule's targets, unless that has been done.
    pub(super) fn at(&mut self, run: &mut Run<'a>, rule: &Rule, gate: usize) -> Result<(), Stop> {
        let number = self.layout.gates[gate].set;
        match self.room.looked[number] {
            Some(_) => Ok(()),
            None => self.list(run, rule, number),
        }
    }

    /// Looks at the values of a list of targets, which are those of the rule.
    fn list(&mut self, run: &mut Run<'a>, rule: &Rule, number: usize) -> Result<(), Stop> {
        let set = &self.layout.sets[number];
        run.blame(rule);
        if self.values.capacity() == 0 {
            self.values.reserve(VALUES);
            self.fresh.reserve(VALUES);
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        run.all_values(rule, &mut fresh)?;
        let from = self.room.candidates.len();
        for (index, value) in fresh.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.value(run, set, index, value)?;
        }
        let Room { candidates, any, .. } = &mut *self.room;
        let own = &mut candidates[from..];
        own.sort_unstable_by_key(|candidate| (candidate.gate, candidate.value));
        own.iter().for_each(|candidate| any.insert(candidate.gate as usize));
        let candidates = from..candidates.len();
        self.room.looked[number] = Some(Looked { values: self.values.len(), candidates });
        self.values.append(&mut fresh);
        self.fresh = fresh;
        Ok(())
    }

    /// Whether any value passes the gate. Its values were looked at.
    pub(super) fn any(&self, gate: usize) -> bool {
        self.room.any.contains(gate)
    }

    /// Numbers of the candidates that pass the gate.
    pub(super) fn candidates(&self, gate: usize) -> Range<usize> {
        let of = self.looked(gate).map_or(0..0, |looked| looked.candidates.clone());
        let (from, all) = (of.start, &self.room.candidates[of]);
        let start = all.partition_point(|candidate| (candidate.gate as usize) < gate);
        let end = all.partition_point(|candidate| candidate.gate as usize <= gate);
        from + start..from + end
    }

    /// The value of a candidate, and its form if there is only one to ask about.
    pub(super) fn candidate(&self, gate: usize, number: usize) -> (&Value<'a>, Option<&[u8]>) {
        let looked = self.looked(gate).expect("candidates come of values that were looked at");
        let candidate = self.room.candidates[number];
        let value = &self.values[looked.values + candidate.value as usize];
        let many = self.layout.gates[gate].many;
        let form = match candidate.form {
            Form::Raw => &value.bytes[..],
            Form::Made(made) => &self.room.made[made as usize],
            Form::Unmade => return (value, None),
        };
        (value, (!many).then_some(form))
    }

    fn looked(&self, gate: usize) -> Option<&Looked> {
        self.room.looked[self.layout.gates[gate].set].as_ref()
    }

    /// Looks at one value in all forms that the rules of its set ask about.
    fn value(
        &mut self,
        run: &mut Run<'a>,
        set: &TargetSet,
        index: u32,
        value: &Value<'_>,
    ) -> Result<(), Stop> {
        let raw = &*value.bytes;
        run.live.budget.take(raw.len())?;
        let room = &mut *self.room;
        let own = room.raw(value, self.layout.nodes.len());
        let from = room.candidates.len();
        for asked in &set.forms {
            if room.made_bytes > MADE_MAX {
                room.unmade(index, &asked.gates, from);
                continue;
            }
            let known = room.node(run, self.layout, own, asked.node, raw)?;
            room.open(run, self.layout, (own, known), raw)?;
            room.ask(self.layout, asked, (own, known), index, (raw, from));
        }
        Ok(())
    }
}

impl Room {
    /// Lets a form of a value pass those gates that it may. What else is known of the value begins at `from`.
    fn ask(
        &mut self,
        layout: &Layout,
        asked: &Asked,
        (own, known): (usize, usize),
        value: u32,
        (raw, from): (&[u8], usize),
    ) {
        let Self { raws, made, candidates, .. } = self;
        let Known { form, present, opened, .. } = &raws[own].distinct[known];
        let length = match form {
            Form::Made(made_form) => made[*made_form as usize].len(),
            Form::Raw | Form::Unmade => raw.len(),
        };
        let mut pass = |gate: usize| {
            let rule = &layout.gates[gate];
            let is_in = |known: &Candidate| known.gate as usize == gate;
            let twice = rule.many && candidates[from..].iter().any(is_in);
            if !twice && rule.needs.allow(length, present) {
                let gate = u32::try_from(gate).unwrap_or(u32::MAX);
                candidates.push(Candidate { gate, value, form: *form });
            }
        };
        opened.both(&asked.gates).for_each(&mut pass);
        asked.open.iter().copied().for_each(&mut pass);
        if asked.bytes.intersects(present) {
            asked.choosy.iter().copied().for_each(&mut pass);
        }
    }

    /// Lets a value pass all of these gates, each once.
    fn unmade(&mut self, value: u32, gates: &Bits, from: usize) {
        for gate in gates.both(gates).filter_map(|gate| u32::try_from(gate).ok()) {
            if !self.candidates[from..].iter().any(|known| known.gate == gate) {
                self.candidates.push(Candidate { gate, value, form: Form::Unmade });
            }
        }
    }

    /// The number of what is known of a value: what is borrowed of the request is known by its place.
    fn raw(&mut self, value: &Value<'_>, nodes: usize) -> usize {
        let fresh = self.raw_count;
        if let Cow::Borrowed(bytes) = value.bytes {
            let known = *self.places.entry((bytes.as_ptr().addr(), bytes.len())).or_insert(fresh);
            if known != fresh {
                return known;
            }
        }
        if self.raws.len() == fresh {
            self.raws.push(Raw::default());
        }
        self.raw_count += 1;
        let raw = &mut self.raws[fresh];
        raw.at.clear();
        raw.at.resize(nodes, UNKNOWN);
        (raw.at[0], raw.count) = (0, 0);
        raw.learn(Form::Raw, ByteSet::present(&value.bytes));
        fresh
    }

    fn bytes<'r>(&'r self, form: Form, raw: &'r [u8]) -> &'r [u8] {
        match form {
            Form::Raw => raw,
            Form::Made(made) => &self.made[made as usize],
            Form::Unmade => raw,
        }
    }

    /// Bytes of forms that it holds.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.made.iter().map(Vec::capacity).sum()
    }

    /// Values of which it holds what was known.
    #[cfg(test)]
    pub(super) fn raws(&self) -> usize {
        self.raws.len()
    }

    /// Gives memory back that only a long value needed.
    pub(super) fn release(&mut self) {
        if self.made_bytes > KEPT_MAX {
            self.made = Vec::new();
            self.next = Vec::new();
        }
        if self.raws.len() > RAWS_MAX {
            self.raws.truncate(RAWS_MAX);
            self.raws.shrink_to_fit();
            self.places = HashMap::default();
        }
        if self.candidates.capacity() > CANDIDATES_MAX {
            self.candidates = Vec::new();
        }
    }

    /// Which of a value's forms a node of the tree is; made if it was not asked for before.
    fn node(
        &mut self,
        run: &mut Run<'_>,
        layout: &Layout,
        own: usize,
        node: usize,
        raw: &[u8],
    ) -> Result<usize, Stop> {
        let known = self.raws[own].at[node];
        if known != UNKNOWN {
            return Ok(usize::from(known));
        }
        let Node { parent, transformation } = layout.nodes[node];
        // Chains are as long as a rule's list of transformations.
        let parent = self.node(run, layout, own, parent, raw)?;
        let form = match transformation {
            Some(transformation) => self.form(run, transformation, (own, parent), raw)?,
            None => parent,
        };
        self.raws[own].at[node] = u16::try_from(form).unwrap_or(UNKNOWN);
        Ok(form)
    }

    /// What a transformation makes of a form.
    fn form(
        &mut self,
        run: &mut Run<'_>,
        transformation: Transformation,
        (own, parent): (usize, usize),
        raw: &[u8],
    ) -> Result<usize, Stop> {
        let Known { form, present, .. } = &self.raws[own].distinct[parent];
        if transformation.leaves(present) {
            return Ok(parent);
        }
        let form = *form;
        let mut next = std::mem::take(&mut self.next);
        let input = self.bytes(form, raw);
        run.live.budget.take(input.len())?;
        let mut made = parent;
        if transformation.apply(input, &mut next) {
            run.live.budget.take(next.len())?;
            made = self.made(own, &mut next, raw);
        }
        self.next = next;
        Ok(made)
    }

    /// The number of a made form among those of the value: of one that is the same, or a new one.
    fn made(&mut self, own: usize, next: &mut Vec<u8>, raw: &[u8]) -> usize {
        let known = &self.raws[own].distinct[..self.raws[own].count];
        let same = known.iter().position(|known| self.bytes(known.form, raw) == next);
        if let Some(same) = same {
            return same;
        }
        let present = ByteSet::present(next);
        let number = u32::try_from(self.made_count).unwrap_or(u32::MAX);
        match self.made.get_mut(self.made_count) {
            Some(made) => std::mem::swap(made, next),
            None => self.made.push(std::mem::take(next)),
        }
        self.made_count += 1;
        self.made_bytes += self.made[number as usize].len();
        self.raws[own].learn(Form::Made(number), present)
    }

    /// Finds out which gates the literals of a form open, unless that is known.
    fn open(
        &mut self,
        run: &mut Run<'_>,
        layout: &Layout,
        (own, known): (usize, usize),
        raw: &[u8],
    ) -> Result<(), Stop> {
        let of = &mut self.raws[own].distinct[known];
        if of.scanned {
            return Ok(());
        }
        let mut opened = std::mem::take(&mut of.opened);
        let form = of.form;
        opened.reset(layout.gates.len());
        let bytes = self.bytes(form, raw);
        run.live.budget.take(bytes.len())?;
        if let Some(scanner) = &layout.scanner {
            scan(scanner, bytes, &layout.opens, &mut opened);
        }
        let of = &mut self.raws[own].distinct[known];
        (of.opened, of.scanned) = (opened, true);
        Ok(())
    }
}

impl Raw {
    fn learn(&mut self, form: Form, present: ByteSet) -> usize {
        match self.distinct.get_mut(self.count) {
            Some(known) => {
                (known.form, known.present, known.scanned) = (form, present, false);
            }
            None => {
                let opened = Bits::default();
                self.distinct.push(Known { form, present, opened, scanned: false });
            }
        }
        self.count += 1;
        self.count - 1
    }
}

fn scan(scanner: &AhoCorasick, bytes: &[u8], opens: &[Bits], opened: &mut Bits) {
    for found in scanner.find_overlapping_iter(bytes) {
        opened.extend(&opens[found.pattern().as_usize()]);
    }
}
