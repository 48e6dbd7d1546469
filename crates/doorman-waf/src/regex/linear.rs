//! The engine of nearly all patterns: linear in the input, whatever the pattern.
//!
//! It is put together from the parts of `regex-automata` rather than taken as its `meta` engine,
//! for the sake of memory: a set has hundreds of patterns, each worker has a cache for each, and few
//! of them are ever run. Here a pattern is one NFA; a worker's cache is made when it is first used
//! and stays small; and whatever serves to find groups is made when a match asks for them.

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::hybrid::dfa;
use regex_automata::nfa::thompson::backtrack::BoundedBacktracker;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::{Groups, OverBudget};

/// Bytes of a compiled pattern. The largest of the Core Rule Set takes a twentieth.
const SIZE_MAX: usize = 8 << 20;
/// Bytes of a worker's cache for one pattern, at least and at most; between them, twice what the
/// pattern holds. A cache that is too small is made anew over and over, and the states of large
/// patterns are large.
const CACHE_MIN: usize = 256 << 10;
const CACHE_MAX: usize = 512 << 10;
/// Bytes of the table by which groups are found in short inputs.
const TABLE_MAX: usize = 32 << 10;
/// Places of groups: two each for all groups and the body before a tail.
const SLOTS: usize = 2 * (super::GROUPS + 1);

/// A compiled pattern.
pub(super) struct Linear {
    forward: dfa::DFA,
    /// Finds where a match begins from where it ends; made when it is first needed.
    backward: OnceLock<Option<dfa::DFA>>,
    /// Whether a match has something to tell beside where it lies.
    has_groups: bool,
    tail: bool,
}

/// What one worker needs to search with one pattern.
#[derive(Debug, Default)]
pub(super) struct Cache {
    forward: Option<dfa::Cache>,
    backward: Option<dfa::Cache>,
}

impl Cache {
    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        self.forward.iter().chain(&self.backward).map(dfa::Cache::memory_usage).sum()
    }
}

impl Linear {
    /// Compiles a pattern.
    pub(super) fn new(hir: &Hir, tail: bool) -> Result<Self, String> {
        let config = thompson::Config::new().which_captures(WhichCaptures::All);
        let nfa = compile(hir, config)?;
        Ok(Self {
            forward: automaton(nfa, dfa::Config::new())?,
            backward: OnceLock::new(),
            has_groups: hir.properties().explicit_captures_len() > 0,
            tail,
        })
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let backward = self.backward.get().and_then(Option::as_ref);
        let nfa = |dfa: &dfa::DFA| dfa.memory_usage() + dfa.get_nfa().memory_usage();
        nfa(&self.forward) + backward.map_or(0, nfa)
    }

    pub(super) fn is_match(&self, cache: &mut Cache, hay: &[u8]) -> Result<bool, OverBudget> {
        let input = Input::new(hay).earliest(true);
        self.end(cache, &input).map(|end| end.is_some())
    }

    /// Where a match and its groups lie. `hir` says the pattern once more, if that is needed.
    pub(super) fn groups(
        &self,
        cache: &mut Cache,
        hay: &[u8],
        hir: impl FnOnce() -> Option<Hir>,
    ) -> Result<Option<Groups>, OverBudget> {
        let Some(end) = self.end(cache, &Input::new(hay))? else { return Ok(None) };
        let nfa = self.forward.get_nfa();
        let input = Input::new(hay).range(0..end);
        if nfa.is_always_start_anchored() || fits(nfa, end) {
            return self.slots(&input).map(Some);
        }
        let start = self.start(cache, &input, hir)?;
        if !self.has_groups {
            let mut groups = Groups::default();
            groups[0] = Some(start..end);
            return Ok(Some(groups));
        }
        self.slots(&Input::new(hay).range(start..end).anchored(Anchored::Yes)).map(Some)
    }

    fn end(&self, cache: &mut Cache, input: &Input<'_>) -> Result<Option<usize>, OverBudget> {
        let cache = cache.forward.get_or_insert_with(|| self.forward.create_cache());
        let found = self.forward.try_search_fwd(cache, input);
        // It has no byte at which it would give up, and no limit on clearing its cache.
        found.map(|found| found.map(|half| half.offset())).map_err(|_| OverBudget)
    }

    fn start(
        &self,
        cache: &mut Cache,
        input: &Input<'_>,
        hir: impl FnOnce() -> Option<Hir>,
    ) -> Result<usize, OverBudget> {
        let backward = self.backward.get_or_init(|| {
            let config = thompson::Config::new().reverse(true).which_captures(WhichCaptures::None);
            let nfa = compile(&hir()?, config).ok()?;
            automaton(nfa, dfa::Config::new().match_kind(MatchKind::All)).ok()
        });
        let backward = backward.as_ref().ok_or(OverBudget)?;
        let cache = cache.backward.get_or_insert_with(|| backward.create_cache());
        let found = backward.try_search_rev(cache, &input.clone().anchored(Anchored::Yes));
        found.ok().flatten().map(|half| half.offset()).ok_or(OverBudget)
    }

    /// The groups of a match that is known to be in the input and to end with it.
    fn slots(&self, input: &Input<'_>) -> Result<Groups, OverBudget> {
        let nfa = self.forward.get_nfa();
        let mut slots = [None; SLOTS];
        let span = input.get_span();
        if fits(nfa, span.len()) {
            let engine = BoundedBacktracker::builder()
                .configure(BoundedBacktracker::config().visited_capacity(TABLE_MAX))
                .build_from_nfa(nfa.clone())
                .map_err(|_| OverBudget)?;
            let mut cache = engine.create_cache();
            engine.try_search_slots(&mut cache, input, &mut slots).map_err(|_| OverBudget)?;
        } else {
            let engine = PikeVM::new_from_nfa(nfa.clone()).map_err(|_| OverBudget)?;
            engine.search_slots(&mut engine.create_cache(), input, &mut slots);
        }
        let mut groups: Groups = std::array::from_fn(|i| range(&slots, i));
        if self.tail {
            groups[0] = range(&slots, super::GROUPS);
        }
        Ok(groups)
    }
}

fn range(slots: &[Option<NonMaxUsize>; SLOTS], group: usize) -> Option<Range<usize>> {
    Some(slots[2 * group]?.get()..slots[2 * group + 1]?.get())
}

/// Whether the table of states and places is small enough to search it through.
fn fits(nfa: &NFA, length: usize) -> bool {
    nfa.states().len().saturating_mul(length + 1) < TABLE_MAX * 8 - 64
}

fn compile(hir: &Hir, config: thompson::Config) -> Result<NFA, String> {
    thompson::Compiler::new()
        .configure(config.utf8(false).nfa_size_limit(Some(SIZE_MAX)))
        .build_from_hir(hir)
        .map_err(|error| match error.size_limit() {
            Some(_) => format!("pattern would take more than {} MiB compiled", SIZE_MAX >> 20),
            None => error.to_string(),
        })
}

fn automaton(nfa: NFA, config: dfa::Config) -> Result<dfa::DFA, String> {
    let capacity = (2 * nfa.memory_usage()).clamp(CACHE_MIN, CACHE_MAX);
    // If a pattern cannot do with that, it gets the least that it can do with.
    let config = config.cache_capacity(capacity).skip_cache_capacity_check(true);
    dfa::Builder::new().configure(config).build_from_nfa(nfa).map_err(|error| error.to_string())
}
