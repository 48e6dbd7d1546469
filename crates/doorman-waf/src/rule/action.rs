//! What rules do.

use std::sync::Arc;

use super::{EngineMode, Processor, Target, Template};

/// How grave a match is, by the words of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Severity {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Severity {
    /// Its number, 0 to 7.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its word, in upper case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Emergency => "EMERGENCY",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// What becomes of the transaction when a whole rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// Nothing.
    Pass,
    /// Refused with the rule's status.
    Deny,
    /// The connection is closed.
    Drop,
    /// Answered with a redirect to this place, with the rule's status.
    Redirect(Template),
    /// Nothing more of this scope is looked at.
    Allow(Scope),
}

/// How much `allow` lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `allow`: all phases but the logging one.
    Transaction,
    /// `allow:phase`.
    Phase,
    /// `allow:request`: phases 1 and 2.
    Request,
}

/// A collection that rules write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Of this transaction alone.
    Tx,
    /// Of all transactions.
    Global,
    /// Of those whose `initcol` gave the same key.
    Ip,
    /// The same.
    Resource,
    /// The same; `setsid` gives its key.
    Session,
    /// The same; `setuid` gives its key.
    User,
}

/// A change that a matching link makes.
#[derive(Clone, Debug)]
pub enum Effect {
    /// `setvar`.
    Set {
        /// Where.
        collection: Collection,
        /// Names are case-insensitive.
        name: Template,
        /// What to.
        to: SetTo,
    },
    /// `expirevar`: gone after this many seconds.
    Expire {
        /// Where.
        collection: Collection,
        /// Which.
        name: Template,
        /// Seconds, read as a number when it is expanded.
        after: Template,
    },
    /// `initcol`, `setsid`, `setuid`.
    Open {
        /// Which.
        collection: Collection,
        /// Its key.
        key: Template,
    },
    /// `setenv`: kept for log lines.
    Environment {
        /// Its name.
        name: Template,
        /// Its value.
        value: Template,
    },
    /// `ctl`.
    Control(Control),
    /// `sanitiseArg` and its like: values of this target are hidden in events.
    Redact(Target),
    /// `sanitiseMatched`: what this link matched is hidden in events.
    RedactMatched,
}

/// What `setvar` sets a variable to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetTo {
    /// This text; `1` where none was written.
    Value(Template),
    /// So much more; what is no number counts as 0.
    Add(Template),
    /// So much less.
    Subtract(Template),
    /// Away with it.
    Unset,
}

/// From and to, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl IdRange {
    /// Whether it has this id in it.
    #[must_use]
    pub const fn contains(self, id: u32) -> bool {
        self.first <= id && id <= self.last
    }
}

/// Which tags (or messages) a removal means.
#[derive(Clone, Debug)]
pub enum TagMatch {
    /// This one.
    Exact(Arc<str>),
    /// Those in which this is found.
    Regex(Arc<crate::regex::Regex>),
}

/// What `ctl` changes for the rest of the transaction.
#[derive(Clone, Debug)]
pub enum Control {
    /// `ruleEngine`.
    Engine(EngineMode),
    /// `auditEngine`: whether this transaction is worth an audit record whatever matches; `None` is
    /// `RelevantOnly`.
    Audit(Option<bool>),
    /// `auditLogParts`: which parts; a record always has all that are known, so it changes nothing.
    AuditParts,
    /// `forceRequestBodyVariable`.
    ForceRequestBody(bool),
    /// `requestBodyAccess`.
    RequestBody(bool),
    /// `responseBodyAccess`.
    ResponseBody(bool),
    /// `requestBodyLimit`, in bytes.
    RequestBodyLimit(u64),
    /// `responseBodyLimit`, in bytes.
    ResponseBodyLimit(u64),
    /// `requestBodyProcessor`.
    Processor(Processor),
    /// `ruleRemoveById`.
    RemoveById(Vec<IdRange>),
    /// `ruleRemoveByTag`.
    RemoveByTag(TagMatch),
    /// `ruleRemoveByMsg`.
    RemoveByMsg(TagMatch),
    /// `ruleRemoveTargetById`.
    RemoveTargetById(Vec<IdRange>, Target),
    /// `ruleRemoveTargetByTag`.
    RemoveTargetByTag(TagMatch, Target),
    /// `ruleRemoveTargetByMsg`.
    RemoveTargetByMsg(TagMatch, Target),
}
