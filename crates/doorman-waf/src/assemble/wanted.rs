//! What a `waf` directive asks for, as values: words of a configuration are read elsewhere.

use std::sync::Arc;

use crate::OnError;
use crate::rule::{EngineMode, IdRange, OverLimit, Place};
use crate::seclang::Source;

/// What a `waf` directive asks for, resolved. All texts of the base are in it; what they name in turn
/// is read through [`Files`](crate::seclang::Files).
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where the directive stands: what is made here and cannot be laid to one of its lines is said to
    /// have been written there.
    pub place: Place,
    /// The rules.
    pub base: Base,
    /// `mode`. It holds whatever the rules' files say.
    pub mode: EngineMode,
    /// `level`: up to which level rules count; `None` leaves it to the rules, which is 1.
    pub level: Option<Level>,
    /// `detect-level`: up to which level rules run and are told of, not below `level`.
    pub detect_level: Option<Level>,
    /// `threshold`: the score at which a request is refused; `None` leaves it to the rules, which is 5.
    pub threshold: Option<u32>,
    /// `outbound-threshold`: that of responses; `None` leaves it to the rules, which is 4.
    pub outbound_threshold: Option<u32>,
    /// `early-blocking`: whether the score is looked at after the head, too.
    pub early_blocking: bool,
    /// `methods`; `None` leaves it to the rules.
    pub methods: Option<Vec<String>>,
    /// `body max`: bytes of a request's body that are looked at.
    pub request_body_max: u64,
    /// `body over-limit`. Where nothing is refused ([`EngineMode::DetectionOnly`]), it is
    /// [`OverLimit::Partial`] whatever is said.
    pub over_limit: OverLimit,
    /// `on-error`: whether a request passes of which rules could not see all. [`OnError::Open`] lets a
    /// body through that cannot be read as what its type says.
    pub on_error: OnError,
    /// `response`: bytes of a response's body that are looked at; `None`: responses' bodies are not.
    pub response_body_max: Option<u64>,
    /// `exclude`, at most [`EXCLUSIONS_MAX`](super::EXCLUSIONS_MAX).
    pub exclusions: Vec<Exclusion>,
    /// Rules of the operator's that run ahead of the base, and behind its settings.
    pub before: Vec<Source>,
    /// `rules`: those that run behind the base.
    pub own: Vec<Source>,
}

impl Wanted {
    /// What a directive without a block asks for.
    #[must_use]
    pub fn new(place: Place, base: Base) -> Self {
        Self {
            place,
            base,
            mode: EngineMode::On,
            level: None,
            detect_level: None,
            threshold: None,
            outbound_threshold: None,
            early_blocking: false,
            methods: None,
            request_body_max: 1 << 20,
            over_limit: OverLimit::Reject,
            on_error: OnError::Closed,
            response_body_max: None,
            exclusions: Vec::new(),
            before: Vec::new(),
            own: Vec::new(),
        }
    }
}

/// The rules to start with.
#[derive(Clone, Debug)]
pub enum Base {
    /// Those that come with the program.
    Starter,
    /// The Core Rule Set, or any set that is laid out as it is.
    Crs {
        /// Its directory, for messages.
        root: Arc<str>,
        /// Its `crs-setup.conf`, if there is one.
        setup: Option<Source>,
        /// Plugins' `*-config.conf` and `*-before.conf`, sorted, in this order.
        plugins_before: Vec<Source>,
        /// Its `rules/*.conf`, sorted.
        rules: Vec<Source>,
        /// Plugins' `*-after.conf`, sorted.
        plugins_after: Vec<Source>,
    },
    /// None but the operator's own.
    Own,
}

/// A paranoia level, 1 to 4: how much is looked for at the price of how many false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// The level of this number, if there is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if matches!(number, 1..=4) { Some(Self(number)) } else { None }
    }

    /// Its number, 1 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// `exclude`: rules that are not to look at something. What is not said is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Where it was written.
    pub place: Place,
    /// Which rules.
    pub rules: Rules,
    /// What they are not to look at; `None`: they do not run at all.
    pub target: Option<Excluded>,
    /// For which paths.
    pub path: Option<Path>,
    /// For which methods; empty: all.
    pub methods: Vec<String>,
}

/// Which rules an exclusion means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Those of these ids, at least one range: `942100` or `920000-920999`.
    Ids(Vec<IdRange>),
    /// Those with this tag: `tag attack-xss`.
    Tag(String),
}

/// What rules are not to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excluded {
    /// `arg`: a parameter of the query or of the body.
    Argument(Name),
    /// `header`: a field of the request.
    Header(Name),
    /// `cookie`.
    Cookie(Name),
}

/// Which of them, whatever their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// All of them: `*`.
    All,
    /// That of this name.
    Exact(String),
    /// `~RE`: those in whose name this is found.
    Regex(String),
}

/// Paths, after they are decoded and `.` and `..` are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// This one.
    Exact(String),
    /// `/blog/*` is `/blog` here: this one and what is below it, as with routes. Empty: all.
    Below(String),
}
