//! Rules that requests are inspected by, ready to run.
//!
//! Making a set ready takes time and memory, so equal ones are made once: by what went into them, over all
//! routes of a plan and over plans. What went in is looked at again with each new configuration, files
//! that rules name too; when a plan is only made anew because servers or certificates changed, the sets
//! of the configuration stay as they are.

mod files;
mod seen;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use doorman_config::{
    Diagnostic, PathPattern, Span, Waf, WafBase, WafExclusion, WafMode, WafNames, WafOnError,
    WafOverLimit, WafRules, WafTargetKind,
};
use doorman_waf::assemble::{
    Base, Excluded, Exclusion, Level, Name, Rules, Wanted, assemble, crs_version,
};
use doorman_waf::rule::{EngineMode, IdRange, Item, Notice, OverLimit, Place, RuleSet};
use doorman_waf::seclang::Source;
use doorman_waf::{Engine, Options, Store};

use super::compile::{Faults, code};
use super::materials::Broken;
use crate::inspection::{Events, OnError};
use files::{Disk, Found, Seen, hash};
pub use seen::{InspectedRoute, RuleSeen, RuleSetSeen, level_of};

/// Bytes of a response's body that are looked at: pages of errors, which are what leaks, are shorter.
const RESPONSE_BYTES: u64 = 512 << 10;

/// Faults of one set that are told. More would not be read.
const FAULTS_TOLD: usize = 20;

/// What a place in the configuration is called while rules are made; lines are told by their spans.
const LINE: &str = "(waf)";

/// A set of rules that is ready.
pub(crate) struct PlanRules {
    pub(crate) engine: Arc<Engine>,
    /// What it is called, for people.
    pub(crate) name: String,
    /// How many rules it has.
    pub(crate) rules: usize,
}

/// How a route's requests are inspected.
pub(crate) struct PlanWaf {
    pub(crate) set: Arc<PlanRules>,
    /// Its place among the plan's sets.
    pub(crate) index: usize,
    pub(crate) on_error: OnError,
    pub(crate) refuses_long: bool,
    /// Whether the servers of the route may take calls of gRPC.
    pub(crate) takes_calls: bool,
    /// `block` or `detect`.
    pub(crate) mode: &'static str,
    /// Whether bodies of answers are looked at.
    pub(crate) response: bool,
    pub(crate) level: u8,
    pub(crate) detect_level: u8,
    /// What rules do not look at, as it was written.
    pub(crate) exclusions: Vec<String>,
    pub(crate) events: Arc<Events>,
}

/// What outlives plans: sets that are ready, and what rules keep for longer than a request.
#[derive(Default)]
pub(crate) struct RuleGround {
    known: Mutex<HashMap<String, Known>>,
    store: Arc<Store>,
    pub(crate) events: Arc<Events>,
}

/// A set that was made, and of what.
struct Known {
    /// Settings and texts.
    print: (u64, u64),
    /// What rules read besides.
    seen: Seen,
    set: Weak<PlanRules>,
}

/// Makes the sets of one plan.
pub(super) struct Maker<'g> {
    ground: &'g RuleGround,
    /// By what the line says.
    made: HashMap<String, Option<Arc<PlanRules>>>,
    /// In the order of the plan.
    pub(super) sets: Vec<Arc<PlanRules>>,
}

impl<'g> Maker<'g> {
    pub(super) fn new(ground: &'g RuleGround) -> Self {
        Self { ground, made: HashMap::new(), sets: Vec::new() }
    }

    /// How a route is inspected; `None` if it is not, or cannot be.
    pub(super) fn compile(
        &mut self,
        written: Option<&Waf>,
        faults: &mut Faults,
    ) -> Option<Box<PlanWaf>> {
        let waf = written?;
        let words = format!("{waf:?}");
        let set = match self.made.get(&words) {
            Some(made) => made.clone(),
            None => {
                let made = self.make(&words, waf, faults);
                self.made.insert(words, made.clone());
                made
            }
        }?;
        let index = self.sets.iter().position(|known| Arc::ptr_eq(known, &set));
        let index = index.unwrap_or_else(|| {
            self.sets.push(Arc::clone(&set));
            self.sets.len() - 1
        });
        let (level, detect) = (waf.level.value, waf.detect_level.map(|level| level.value));
        let blocks = waf.mode.value == WafMode::Block;
        Some(Box::new(PlanWaf {
            set,
            index,
            on_error: on_error(waf),
            refuses_long: blocks && waf.over_limit.value == WafOverLimit::Reject,
            takes_calls: false,
            mode: waf.mode.value.word(),
            response: waf.response.value,
            level,
            detect_level: detect.unwrap_or(level),
            exclusions: waf.exclusions.iter().map(|one| one.written.clone()).collect(),
            events: Arc::clone(&self.ground.events),
        }))
    }

    fn make(&self, words: &str, waf: &Waf, faults: &mut Faults) -> Option<Arc<PlanRules>> {
        let mut known = self.ground.known.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.broken == Broken::Outlived
            && let Some(set) = known.get(words).and_then(|known| known.set.upgrade())
        {
            return Some(set);
        }
        let (wanted, name) = wanted(waf, faults)?;
        let print = print(&wanted, waf);
        let same = known.values().find(|known| known.print == print && known.seen.still_holds());
        if let Some((seen, set)) =
            same.and_then(|same| Some((same.seen.clone(), same.set.upgrade()?)))
        {
            let weak = Arc::downgrade(&set);
            known.insert(words.to_owned(), Known { print, seen, set: weak });
            return Some(set);
        }
        let disk = Disk::default();
        let options = Options { on_error: engine_on_error(waf), ..Options::default() };
        let rules =
            assemble(&wanted, &disk).map_err(|notices| refuse(waf, &notices, faults)).ok()?;
        warn(waf, &rules.warnings, faults);
        let (name, count) = (named(name, &rules), count(&rules));
        let engine = Engine::with(rules, options, Arc::clone(&self.ground.store))
            .map_err(|notices| refuse(waf, &notices, faults))
            .ok()?;
        let set = Arc::new(PlanRules { engine: Arc::new(engine), name, rules: count });
        known.retain(|_, known| known.set.strong_count() > 0);
        let made = Known { print, seen: disk.into_seen(), set: Arc::downgrade(&set) };
        known.insert(words.to_owned(), made);
        Some(set)
    }
}

fn on_error(waf: &Waf) -> OnError {
    match waf.on_error() {
        WafOnError::Open => OnError::Open,
        WafOnError::Closed => OnError::Closed,
    }
}

fn engine_on_error(waf: &Waf) -> doorman_waf::OnError {
    match waf.on_error() {
        WafOnError::Open => doorman_waf::OnError::Open,
        WafOnError::Closed => doorman_waf::OnError::Closed,
    }
}

/// What a set is called: what it says of itself, and where it is.
fn named(place: String, rules: &RuleSet) -> String {
    match crs_version(rules) {
        Some((name, version)) => format!("{name} {version} ({place})"),
        None => place,
    }
}

fn count(rules: &RuleSet) -> usize {
    rules.items.iter().filter(|item| matches!(item, Item::Rule(_))).count()
}

/// What the line asks for, with the texts of all its files, and what its rules are called.
fn wanted(waf: &Waf, faults: &mut Faults) -> Option<(Wanted, String)> {
    let before = faults.list.len();
    let (base, name, setup_before, setup_after) = base(waf, faults)?;
    let place = Place { file: LINE.into(), line: 1 };
    let mut own = setup_after;
    for file in &waf.rules {
        match files::source(&file.value) {
            Ok(source) => own.push(source),
            Err(why) => {
                let text = format!("cannot read {}: {why}", file.value.display());
                faults.error(code::FILE, file.span, text);
            }
        }
    }
    let methods: Vec<String> = waf.methods.iter().map(|method| method.value.clone()).collect();
    let level = Level::new(waf.level.value);
    let wanted = Wanted {
        mode: match waf.mode.value {
            WafMode::Block => EngineMode::On,
            WafMode::Detect => EngineMode::DetectionOnly,
        },
        // What nobody wrote is left to the rules' own setup.
        level: level.filter(|_| waf.level.span.is_some()),
        detect_level: waf.detect_level.and_then(|level| Level::new(level.value)),
        threshold: waf.threshold.map(|score| score.value),
        outbound_threshold: waf.outbound_threshold.map(|score| score.value),
        early_blocking: waf.early_blocking.value,
        methods: (!methods.is_empty()).then_some(methods),
        request_body_max: waf.body_max.value,
        over_limit: match waf.over_limit.value {
            WafOverLimit::Reject => OverLimit::Reject,
            WafOverLimit::Partial => OverLimit::Partial,
        },
        on_error: engine_on_error(waf),
        response_body_max: waf.response.value.then_some(RESPONSE_BYTES),
        exclusions: waf.exclusions.iter().enumerate().map(exclusion).collect(),
        before: setup_before,
        own,
        ..Wanted::new(place, base)
    };
    (faults.list.len() == before).then_some((wanted, name))
}

type BaseFound = (Base, String, Vec<Source>, Vec<Source>);

fn base(waf: &Waf, faults: &mut Faults) -> Option<BaseFound> {
    let found = match &waf.base.value {
        WafBase::Starter => {
            return Some((Base::Starter, "starter".to_owned(), Vec::new(), Vec::new()));
        }
        WafBase::Folder(folder) => files::folder(folder),
        WafBase::Crs => files::crs(),
    };
    match found {
        Ok(Found { root, setup, before, plugins_before, rules, plugins_after, after }) => {
            let name = root.to_string();
            let base = Base::Crs { root, setup, plugins_before, rules, plugins_after };
            Some((base, name, before, after))
        }
        Err(why) => {
            let mut error = Diagnostic::error(code::FILE, waf.base.span, why);
            if waf.base.value == WafBase::Crs {
                error = error
                    .help("install it: apt-get install modsecurity-crs")
                    .help("or unpack a release of it in /etc/doorman/crs, or name its folder: waf /path/to/it")
                    .help("waf starter needs no files");
            }
            faults.list.push(error);
            None
        }
    }
}

/// An exclusion as rules have it.
fn exclusion((index, written): (usize, &WafExclusion)) -> Exclusion {
    let place = Place { file: exclusion_file(index).into(), line: 1 };
    let name = |names: &WafNames| match names {
        WafNames::All => Name::All,
        WafNames::Exact(name) => Name::Exact(name.clone()),
        WafNames::Regex(regex) => Name::Regex(regex.clone()),
    };
    let target = written.target.as_ref().map(|target| {
        let name = name(&target.value.names);
        match target.value.kind {
            WafTargetKind::Arg => Excluded::Argument(name),
            WafTargetKind::Header => Excluded::Header(name),
            WafTargetKind::Cookie => Excluded::Cookie(name),
        }
    });
    let path = written.path.as_ref().and_then(|path| match &path.value {
        PathPattern::Exact(path) => Some(doorman_waf::assemble::Path::Exact(path.clone())),
        PathPattern::Prefix(path) => Some(doorman_waf::assemble::Path::Below(path.clone())),
        // Refused where it was read, or no condition at all.
        PathPattern::Any | PathPattern::Wildcard { .. } | PathPattern::Regex(_) => None,
    });
    let rules = match &written.rules {
        WafRules::Tag(tag) => Rules::Tag(tag.clone()),
        WafRules::Ids(ranges) => {
            Rules::Ids(ranges.iter().map(|&(first, last)| IdRange { first, last }).collect())
        }
    };
    let methods = written.methods.iter().map(|method| method.value.clone()).collect();
    Exclusion { place, rules, target, path, methods }
}

fn exclusion_file(index: usize) -> String {
    format!("(exclude {index})")
}

/// What tells one set from another: its settings and its texts.
fn print(wanted: &Wanted, waf: &Waf) -> (u64, u64) {
    let mut words = format!("{:?}", waf.on_error());
    let Wanted { mode, level, detect_level, threshold, outbound_threshold, early_blocking, .. } =
        wanted;
    let scores = (level, detect_level, threshold, outbound_threshold, early_blocking);
    let bodies = (wanted.request_body_max, wanted.over_limit, wanted.response_body_max);
    // Writing to a `String` cannot fail.
    let _ = write!(words, "{mode:?}{scores:?}{bodies:?}{:?}", wanted.methods);
    for one in &wanted.exclusions {
        let _ = write!(words, "{:?}", (&one.rules, &one.target, &one.path, &one.methods));
    }
    let (setup, mut texts): (Option<&Source>, Vec<&Source>) = match &wanted.base {
        Base::Crs { setup, plugins_before, rules, plugins_after, .. } => {
            words.push_str("set");
            let all = plugins_before.iter().chain(rules).chain(plugins_after);
            (setup.as_ref(), all.collect())
        }
        Base::Starter => {
            words.push_str("starter");
            (None, Vec::new())
        }
        Base::Own => (None, Vec::new()),
    };
    texts.extend(setup);
    texts.extend(wanted.before.iter().chain(&wanted.own));
    let mut print = hash(words.as_bytes());
    for source in texts {
        let (name, text) = (hash(source.name.as_bytes()), hash(&source.text));
        let bytes: Vec<u8> = [print.0, print.1, name.0, name.1, text.0, text.1]
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        print = hash(&bytes);
    }
    print
}

/// Where in the configuration something about a set was written.
fn span_of(waf: &Waf, place: &Place) -> Option<Span> {
    if &*place.file == LINE {
        return Some(waf.span);
    }
    let named = |index: &usize| *place.file == *exclusion_file(*index);
    (0..waf.exclusions.len()).find(named).map(|index| waf.exclusions[index].span)
}

/// What a notice says, with its place if that is in a file of rules.
fn told(waf: &Waf, notice: &Notice) -> (Span, String) {
    let rule = notice.id.map_or_else(String::new, |id| format!("rule {id}: "));
    match span_of(waf, &notice.place) {
        Some(span) => (span, format!("{rule}{}", notice.text)),
        None => (waf.base.span, format!("{}: {rule}{}", notice.place, notice.text)),
    }
}

fn refuse(waf: &Waf, notices: &[Notice], faults: &mut Faults) {
    for notice in notices.iter().take(FAULTS_TOLD) {
        let (span, text) = told(waf, notice);
        faults.error(code::RULES, span, text);
    }
    if notices.len() > FAULTS_TOLD {
        let more = notices.len() - FAULTS_TOLD;
        faults.error(code::RULES, waf.base.span, format!("{more} more faults of these rules"));
    }
}

fn warn(waf: &Waf, notices: &[Notice], faults: &mut Faults) {
    for notice in notices.iter().take(FAULTS_TOLD) {
        let (span, text) = told(waf, notice);
        faults.warning(code::RULES_WARNING, span, text);
    }
    if notices.len() > FAULTS_TOLD {
        let more = notices.len() - FAULTS_TOLD;
        let text = format!("{more} more warnings about these rules");
        faults.warning(code::RULES_WARNING, waf.base.span, text);
    }
}

/// The files that a line names, and those of the folders that it names: what may change what it says.
#[must_use]
pub fn rule_files(waf: &Waf) -> Vec<PathBuf> {
    let mut all: Vec<_> = waf.rules.iter().map(|file| file.value.clone()).collect();
    let found = match &waf.base.value {
        WafBase::Starter => return all,
        WafBase::Folder(folder) => files::folder(folder),
        WafBase::Crs => files::crs(),
    };
    let Ok(found) = found else { return all };
    all.extend(found.names().map(|name| Path::new(name).to_owned()));
    let mut folders: Vec<PathBuf> =
        all.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
    folders.sort();
    folders.dedup();
    all.extend(folders.iter().flat_map(|folder| files::data(folder)));
    all
}

#[cfg(test)]
mod tests;
