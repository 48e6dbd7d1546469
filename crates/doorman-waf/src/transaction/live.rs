//! What rules change while they run.

use std::borrow::Cow;
use std::sync::Arc;

use doorman_http::Now;

use super::control::Controls;
use super::engine::Engine;
use super::journal::Journal;
use super::named::Named;
use super::outcome::{FaultKind, Refusal};
use super::store::Opened;
use crate::regex::GROUPS;
use crate::rule::{Collection, EngineMode, Rule, Settings, Variable};

/// Collections that are not TX.
const PERSISTENT: usize = 5;

/// All that rules have written, matched and switched so far.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) now: Now,
    pub(crate) tx: Tx,
    opened: [Option<Opened>; PERSISTENT],
    pub(crate) environment: Named,
    /// What matched last before the current rule.
    before: Option<Matched>,
    /// A match that nobody looks back to any more: the next is written in its memory.
    blank: Option<Matched>,
    /// All that the current rule matched.
    pub(crate) matched_vars: Vec<Matched>,
    /// What the current rule added to scores.
    pub(crate) score: i64,
    pub(crate) controls: Controls,
    pub(crate) journal: Journal,
    pub(crate) budget: Budget,
    /// Whether a pattern took more steps than it may.
    pub(crate) over_match_limit: bool,
}

/// A value that matched.
#[derive(Clone, Debug)]
pub(crate) struct Matched {
    pub(crate) variable: Variable,
    /// Such as `ARGS:q`.
    pub(crate) name: Vec<u8>,
    /// After transformations.
    pub(crate) value: Vec<u8>,
    /// An excerpt of it, about the place where something was found.
    pub(crate) excerpt: Vec<u8>,
    /// An excerpt of it before them.
    pub(crate) raw: Vec<u8>,
}

impl Matched {
    /// Whether it is what a client or an origin said, and not what rules have made of that.
    pub(crate) const fn is_original(&self) -> bool {
        !matches!(
            self.variable,
            Variable::Tx
                | Variable::MatchedVar
                | Variable::MatchedVarName
                | Variable::MatchedVars
                | Variable::MatchedVarsNames
        )
    }
}

/// TX: what the last capture found, and what rules set.
#[derive(Debug, Default)]
pub(crate) struct Tx {
    pub(crate) captures: [Option<Vec<u8>>; GROUPS],
    pub(crate) named: Named,
}

impl Tx {
    /// The value of a name in lower case.
    pub(crate) fn get(&self, lower: &[u8], now: u64) -> Option<&[u8]> {
        match capture_index(lower) {
            Some(index) => self.captures[index].as_deref(),
            None => self.named.get(lower, now),
        }
    }

    /// The name as it was written, and the value, of a name in lower case.
    pub(crate) fn entry<'t>(&'t self, lower: &'t [u8], now: u64) -> Option<(&'t [u8], &'t [u8])> {
        match capture_index(lower) {
            Some(index) => Some((lower, self.captures[index].as_deref()?)),
            None => self.named.entry(lower, now),
        }
    }

    /// Captures that found something, with their names.
    pub(crate) fn captured(&self) -> impl Iterator<Item = ([u8; 1], &[u8])> {
        let names = b'0'..=b'9';
        let all = names.zip(&self.captures);
        all.filter_map(|(name, found)| Some(([name], found.as_deref()?)))
    }
}

/// Which capture a name is.
pub(crate) fn capture_index(name: &[u8]) -> Option<usize> {
    match name {
        [digit @ b'0'..=b'9'] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

impl Live {
    fn new(now: Now, settings: &Settings, budget: Budget) -> Self {
        Self {
            now,
            tx: Tx::default(),
            opened: [const { None }; PERSISTENT],
            environment: Named::default(),
            before: None,
            blank: None,
            matched_vars: Vec::new(),
            score: 0,
            controls: Controls::new(settings),
            journal: Journal::default(),
            budget,
            over_match_limit: false,
        }
    }

    /// What is there when a transaction of this engine begins.
    pub(crate) fn of(engine: &Engine, now: Now) -> Self {
        let options = engine.options();
        let budget = Budget::new(options.steps_max, options.memory_max);
        let mut live = Self::new(now, &engine.rules().settings, budget);
        live.tx.named = engine.plan().base();
        live
    }

    /// The value of a name of TX in lower case.
    pub(crate) fn tx_value(&self, lower: &[u8]) -> Option<&[u8]> {
        self.tx.get(lower, self.seconds())
    }

    /// Seconds since the epoch.
    pub(crate) fn seconds(&self) -> u64 {
        self.now.unix_seconds()
    }

    /// A persistent collection, if a rule has opened it.
    pub(crate) fn opened(&self, collection: Collection) -> Option<&Opened> {
        self.opened[slot(collection)?].as_ref()
    }

    /// The same, to change it.
    pub(crate) fn opened_mut(&mut self, collection: Collection) -> Option<&mut Opened> {
        self.opened[slot(collection)?].as_mut()
    }

    /// Keeps a collection that was opened.
    pub(crate) fn open(&mut self, collection: Collection, opened: Opened) {
        if let Some(slot) = slot(collection) {
            self.opened[slot] = Some(opened);
        }
    }

    /// The key that a collection was opened with.
    pub(crate) fn opened_key<'s>(&self, collection: Collection) -> Option<Cow<'s, [u8]>> {
        let opened = self.opened(collection)?;
        opened.named.get(b"key", self.seconds()).map(|key| Cow::Owned(key.to_vec()))
    }

    /// Begins a rule: what the one before it matched is forgotten, but for the last value.
    pub(crate) fn begin_rule(&mut self) {
        if let Some(last) = self.matched_vars.pop() {
            self.blank = self.before.replace(last);
            self.matched_vars.clear();
        }
        self.score = 0;
    }

    /// A match of which nothing is written yet.
    pub(crate) fn blank(&mut self, variable: Variable) -> Matched {
        let mut matched = self.blank.take().unwrap_or_else(|| Matched {
            variable,
            name: Vec::new(),
            value: Vec::new(),
            excerpt: Vec::new(),
            raw: Vec::new(),
        });
        matched.variable = variable;
        let Matched { name, value, excerpt, raw, .. } = &mut matched;
        [name, value, excerpt, raw].into_iter().for_each(Vec::clear);
        matched
    }

    /// What matched last, in this rule or one before it.
    pub(crate) fn matched(&self) -> Option<&Matched> {
        self.matched_vars.last().or(self.before.as_ref())
    }

    /// Writes captures: all groups anew, so that none of an earlier match is left.
    pub(crate) fn capture(&mut self, captures: [Option<Vec<u8>>; GROUPS]) {
        self.tx.captures = captures;
    }

    /// Refuses, if matches are obeyed; whether they are. The first refusal is the one that is told.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> bool {
        let obeyed = self.controls.mode == EngineMode::On;
        let journal = &mut self.journal;
        let slot = if obeyed { &mut journal.refused } else { &mut journal.would_refuse };
        slot.get_or_insert(refusal);
        obeyed
    }

    /// Bytes that rules have written.
    pub(crate) fn written(&self) -> usize {
        let opened = self.opened.iter().flatten().map(|opened| opened.named.bytes());
        self.tx.named.bytes() + self.environment.bytes() + opened.sum::<usize>()
    }
}

fn slot(collection: Collection) -> Option<usize> {
    Some(match collection {
        Collection::Tx => return None,
        Collection::Global => 0,
        Collection::Ip => 1,
        Collection::Resource => 2,
        Collection::Session => 3,
        Collection::User => 4,
    })
}

/// How much work and memory a transaction has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    steps: u64,
    memory: usize,
}

/// Why a phase ends before its last rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop(pub(crate) FaultKind);

impl Budget {
    pub(crate) const fn new(steps: u64, memory: usize) -> Self {
        Self { steps, memory }
    }

    /// Takes steps: one for each byte looked at or made, and one for the asking.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        let steps = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Stop(FaultKind::OverSteps))
            }
        }
    }

    /// Whether so many bytes may be kept.
    pub(crate) const fn allows(&self, written: usize) -> Result<(), Stop> {
        if written > self.memory { Err(Stop(FaultKind::OverMemory)) } else { Ok(()) }
    }

    /// Lets the logging phase run after a phase that used all up.
    pub(crate) fn refill(&mut self, steps: u64) {
        self.steps = self.steps.max(steps);
    }
}

/// A rule as effects name it: which one, which of its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'r> {
    pub(crate) rule: &'r Arc<Rule>,
    pub(crate) link: usize,
}
