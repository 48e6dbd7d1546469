//! What is inspected, and by which rules.

use std::path::PathBuf;

use super::PathPattern;
use crate::{Setting, Span, Spanned};

/// A `waf` line that names rules, with every exclusion that holds for its route.
#[derive(Clone, Debug)]
pub struct Waf {
    /// Which rules.
    pub base: Spanned<WafBase>,
    /// Paranoia of the rules that count, 1 to 4.
    pub level: Setting<u8>,
    /// Paranoia of the rules that are run, not below `level`; `None`: the same.
    pub detect_level: Option<Spanned<u8>>,
    /// Whether anything is refused.
    pub mode: Setting<WafMode>,
    /// Score at which a request is refused; `None`: that of the rules.
    pub threshold: Option<Spanned<u32>>,
    /// Score at which a response is refused; `None`: that of the rules.
    pub outbound_threshold: Option<Spanned<u32>>,
    /// Whether a request is refused as soon as its head has the score.
    pub early_blocking: Setting<bool>,
    /// What the rules do not look at: those of the line itself, then those of lines that add to it, in order.
    pub exclusions: Vec<WafExclusion>,
    /// Files of rules that run behind the others.
    pub rules: Vec<Spanned<PathBuf>>,
    /// Bytes of a request's body that are held back; 1 MiB.
    pub body_max: Setting<u64>,
    /// What becomes of longer ones; they are refused.
    pub over_limit: Setting<WafOverLimit>,
    /// Whether bodies of responses are looked at.
    pub response: Setting<bool>,
    /// What becomes of what cannot be inspected; `None`: closed, or open in the mode that refuses nothing.
    pub on_error: Option<Spanned<WafOnError>>,
    /// Methods that the rules allow, in upper case; empty: the list of the rules.
    pub methods: Vec<Spanned<String>>,
    /// The line.
    pub span: Span,
}

impl Waf {
    /// Bytes of a request's body that are held back where nothing is written.
    pub const BODY_BYTES: u64 = 1 << 20;

    /// What becomes of what cannot be inspected.
    #[must_use]
    pub fn on_error(&self) -> WafOnError {
        let by_mode = match self.mode.value {
            WafMode::Block => WafOnError::Closed,
            WafMode::Detect => WafOnError::Open,
        };
        self.on_error.as_ref().map_or(by_mode, |written| written.value)
    }
}

/// Which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WafBase {
    /// The Core Rule Set that is installed on the machine.
    Crs,
    /// What is built in.
    Starter,
    /// The files of this folder.
    Folder(PathBuf),
}

/// Whether anything is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WafMode {
    /// What the rules find is refused.
    Block,
    /// It is only told of.
    Detect,
}

impl WafMode {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Detect => "detect",
        }
    }
}

/// What becomes of bodies that are longer than what is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WafOverLimit {
    /// They are refused.
    Reject,
    /// Their first part is looked at.
    Partial,
}

impl WafOverLimit {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Partial => "partial",
        }
    }
}

/// What becomes of what cannot be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WafOnError {
    /// It passes.
    Open,
    /// It is refused.
    Closed,
}

impl WafOnError {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// `exclude`: what some rules do not look at.
#[derive(Clone, Debug)]
pub struct WafExclusion {
    /// Which rules.
    pub rules: WafRules,
    /// What of a request; `None`: they are not run at all.
    pub target: Option<Spanned<WafTarget>>,
    /// Only on this path or those below it; `None`: on all.
    pub path: Option<Spanned<PathPattern>>,
    /// Only for these methods, in upper case; empty: for all.
    pub methods: Vec<Spanned<String>>,
    /// As it was written, without the word `exclude`.
    pub written: String,
    /// The line.
    pub span: Span,
}

/// Which rules an exclusion means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WafRules {
    /// Those with these numbers: the first and the last of each range.
    Ids(Vec<(u32, u32)>),
    /// Those with this tag.
    Tag(String),
}

/// What of a request an exclusion means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WafTarget {
    /// The kind of thing.
    pub kind: WafTargetKind,
    /// Which of them.
    pub names: WafNames,
}

/// The kind of thing that an exclusion means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WafTargetKind {
    /// Arguments, of the query and of bodies.
    Arg,
    /// Fields of requests.
    Header,
    /// Cookies.
    Cookie,
}

/// Which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WafNames {
    /// All.
    All,
    /// This one.
    Exact(String),
    /// Those in which this regex is found. The syntax is checked, the size is not.
    Regex(String),
}
