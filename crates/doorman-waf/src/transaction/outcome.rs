//! What a transaction answers: verdicts while it lasts, and a report at its end.
//!
//! A report owns all it tells, in bounded excerpts, so that it can be written down long after the
//! request's bytes are gone.

use std::sync::Arc;

use crate::rule::{Phase, Rule};

/// Bytes of a matched value that a report keeps.
pub const EXCERPT_MAX: usize = 200;
/// Bytes of a message or of log data that a report keeps.
pub const TEXT_MAX: usize = 1_024;

/// Names of further values that a match tells of.
pub const OTHERS_MAX: usize = 8;

/// Whether a phase lets the transaction go on.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It ends here.
    Refuse(Refusal),
}

/// Why and how a transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused; 0 where a bound did and no rule.
    pub rule: u32,
    /// The status of the answer.
    pub status: u16,
    /// What is done.
    pub how: How,
    /// When it was decided.
    pub phase: Phase,
}

/// What a refusal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Answers with the status.
    Deny,
    /// Closes the connection without an answer.
    Drop,
    /// Answers with a redirect to this place: printable ASCII without spaces.
    Redirect(String),
}

/// All that is to be told of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rules that matched and are to be told of, in the order in which they did.
    pub matches: Vec<Match>,
    /// The refusal, if there was one.
    pub refused: Option<Refusal>,
    /// The first refusal that there would have been, were matches obeyed.
    pub would_refuse: Option<Refusal>,
    /// What the rules' own variables say.
    pub score: Scores,
    /// What went wrong.
    pub faults: Vec<Fault>,
    /// Whether the rules think it worth an audit record.
    pub audit: bool,
}

/// Sums of the rules' own scoring, by the names that the Core Rule Set gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// Of the request.
    pub inbound: i64,
    /// Of the response.
    pub outbound: i64,
    /// Of the request, with the levels that are run and do not count.
    pub inbound_run: i64,
    /// Of the response, with them.
    pub outbound_run: i64,
    /// The highest level that counts, and the highest that is run, 1 to 4.
    pub levels: (u8, u8),
    /// From where on requests are refused.
    pub inbound_threshold: Option<i64>,
    /// From where on responses are refused.
    pub outbound_threshold: Option<i64>,
}

impl Scores {
    /// Whether it would be refused if all levels that are run counted, and is not with those that do.
    #[must_use]
    pub fn is_shadowed(&self) -> bool {
        let crosses = |score: i64, run: i64, threshold: Option<i64>| {
            threshold.is_some_and(|threshold| score < threshold && run >= threshold)
        };
        crosses(self.inbound, self.inbound_run, self.inbound_threshold)
            || crosses(self.outbound, self.outbound_run, self.outbound_threshold)
    }
}

/// A rule that matched. Where it matched several values it tells of the last of them that a client or an
/// origin said, or else of the last that the rules have made.
#[derive(Clone, Debug)]
pub struct Match {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Where, such as `ARGS:q`.
    pub variable: String,
    /// Where else, of a rule that is no chain: at most [`OTHERS_MAX`] names, none twice.
    pub others: Vec<String>,
    /// What was asked about, after transformations: an excerpt of at most [`EXCERPT_MAX`] bytes.
    pub value: Vec<u8>,
    /// The same before them.
    pub raw: Vec<u8>,
    /// Its message, at most [`TEXT_MAX`] bytes.
    pub msg: String,
    /// Its log data, at most [`TEXT_MAX`] bytes.
    pub data: String,
    /// What it added to a score, over all values that it matched.
    pub score: i64,
    /// When.
    pub phase: Phase,
}

/// Something that kept rules from being run as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The rule that was run.
    pub rule: Option<u32>,
    /// When.
    pub phase: Phase,
}

/// What went wrong. The first three end the phase; after them, and after the two that tell of a request
/// that was not read as a whole, [`OnError`](super::OnError) decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The transaction took more steps than it may.
    OverSteps,
    /// Its rules keep more bytes than they may.
    OverMemory,
    /// One pattern took more steps on one value than it may.
    OverMatchLimit,
    /// The request's body is not what it says it is, and no rule has refused it.
    BodyMalformed,
    /// The request has more arguments, or what its body says has more of something else, than is read,
    /// and no rule has refused it.
    BodyOverBounds,
    /// A pattern with macros in it says nothing that can be compiled: it matches nothing.
    BadPattern,
    /// The request's body is longer than its limit.
    RequestBodyOverLimit,
    /// The response's body is longer than its limit.
    ResponseBodyOverLimit,
}

impl FaultKind {
    /// A word for logs that does not change.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OverSteps => "over-steps",
            Self::OverMemory => "over-memory",
            Self::OverMatchLimit => "over-match-limit",
            Self::BodyMalformed => "body-malformed",
            Self::BodyOverBounds => "body-over-bounds",
            Self::BadPattern => "bad-pattern",
            Self::RequestBodyOverLimit => "request-body-over-limit",
            Self::ResponseBodyOverLimit => "response-body-over-limit",
        }
    }
}
