//! What rules say, once they are read: no text is parsed after this, no name is looked up, and what
//! cannot be written down here cannot be run.

mod action;
mod operator;
mod settings;
mod template;
mod variable;
mod word;

use std::fmt;
use std::sync::Arc;

pub use action::{
    Collection, Control, Disruption, Effect, IdRange, Scope, SetTo, Severity, TagMatch,
};
pub use operator::{Operator, Pattern, Phrases, Transformation};
pub use settings::{EngineMode, OverLimit, Processor, Settings};
pub use template::{Part, RuleField, Template};
pub use variable::{Selector, Target, Use, Variable};

/// Where something was written: for people, in errors and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as it was handed over.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// When a rule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 1: the request's head is known.
    RequestHead,
    /// 2: its body is known, or there is none.
    RequestBody,
    /// 3: the response's head is known.
    ResponseHead,
    /// 4: its body is known.
    ResponseBody,
    /// 5: all is over; nothing can be refused any more.
    Logging,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 5] = [
        Self::RequestHead,
        Self::RequestBody,
        Self::ResponseHead,
        Self::ResponseBody,
        Self::Logging,
    ];

    /// Its number in rules, 1 to 5.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// All that one set of files says.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules and markers of all phases, in the order of the files.
    pub items: Vec<Item>,
    /// What directives other than rules set.
    pub settings: Settings,
    /// What `SecComponentSignature` says of the set: name and version.
    pub signatures: Vec<String>,
    /// What is odd and does no harm: a marker that is nowhere, an update of a rule that is not there.
    pub warnings: Vec<Notice>,
}

/// Something to tell the operator of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub place: Place,
    /// The id of the rule, if it had one.
    pub id: Option<u32>,
    /// What, why, and what to do.
    pub text: String,
}

/// One step of the list.
#[derive(Clone, Debug)]
pub enum Item {
    /// A rule, with the links of its chain.
    Rule(Arc<Rule>),
    /// A place to skip to.
    Marker(Arc<str>),
}

/// A rule; a chain is one rule with several links. `SecAction` is a rule whose one link has no targets
/// and [`Operator::UnconditionalMatch`].
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its number; unique in a set.
    pub id: u32,
    /// When it runs.
    pub phase: Phase,
    /// Where its first link was written.
    pub place: Place,
    /// What it says when it matches.
    pub msg: Option<Template>,
    /// What of the request it tells.
    pub logdata: Option<Template>,
    /// How grave a match is.
    pub severity: Option<Severity>,
    /// `ver`.
    pub ver: Option<Arc<str>>,
    /// `rev`.
    pub rev: Option<Arc<str>>,
    /// `maturity`.
    pub maturity: Option<u8>,
    /// `accuracy`.
    pub accuracy: Option<u8>,
    /// Its tags, in order.
    pub tags: Vec<Arc<str>>,
    /// What a match of the whole chain does to the transaction. `block` is resolved already.
    pub disruption: Disruption,
    /// The status of a refusal.
    pub status: u16,
    /// Where a match of the whole chain goes on.
    pub skip: Option<Skip>,
    /// Whether a match is told at all.
    pub log: bool,
    /// Whether a match makes the transaction worth an audit record.
    pub audit: bool,
    /// One for each condition; never empty.
    pub links: Vec<Link>,
}

/// A jump forward within the phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Over so many rules of the phase.
    Rules(u32),
    /// Past the marker: to this index of [`RuleSet::items`], which is their number where there is no
    /// such marker after the rule.
    After {
        /// The marker's name.
        marker: Arc<str>,
        /// Where to go on.
        item: usize,
    },
}

/// One condition of a rule, and what its match does at once, whether later links match or not.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where it was written.
    pub place: Place,
    /// What is looked at; exclusions and updates of other directives are in here already.
    pub targets: Vec<Target>,
    /// What is asked of each value.
    pub operator: Operator,
    /// Whether a match is that the operator says no.
    pub negated: bool,
    /// What is done to each value first; `t:none` and defaults are resolved.
    pub transformations: Vec<Transformation>,
    /// Whether the operator is asked after each transformation that changed something, too.
    pub multi_match: bool,
    /// Whether a match sets TX.0 to TX.9.
    pub capture: bool,
    /// What each match does, in the order written.
    pub effects: Vec<Effect>,
}
