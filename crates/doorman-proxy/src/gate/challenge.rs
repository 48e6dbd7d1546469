//! Who has to do some work first.
//!
//! Only what asks for a page is asked for work: programs that call an interface have nobody to look at the page. That
//! is a cheap way past it for whoever writes one, and so a challenge stands beside limits and in place of none.

use doorman_auth::work::{Client, Puzzle, STATUS, Verdict};
use doorman_http::{FieldId, Fields, Method, RequestHead};

use super::browsers::transport;
use crate::exchange::Exchange;
use crate::record::End;
use crate::stage::answer;
use crate::stop::Stop;

/// A puzzle, and who gets it.
pub(crate) struct PlanChallenge {
    pub(crate) puzzle: Puzzle,
    pub(crate) asked: ChallengeFor,
}

/// Who gets a puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChallengeFor {
    /// Everybody.
    All,
    /// Everybody, while there is more to do than can be done.
    Busy,
    /// Those whose requests look like no browser's.
    Suspicious,
}

impl ChallengeFor {
    /// The configuration's word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::All => "always",
            Self::Busy => "when-busy",
            Self::Suspicious => "suspicious",
        }
    }
}

impl PlanChallenge {
    /// Whether who sends this has to have paid.
    pub(crate) fn asks(&self, is_busy: bool, head: &RequestHead) -> bool {
        let is_meant = match self.asked {
            ChallengeFor::All => true,
            ChallengeFor::Busy => is_busy,
            ChallengeFor::Suspicious => !looks_like_a_browser(&head.fields),
        };
        matches!(head.method, Method::Get | Method::Head)
            && head.upgrade.is_none()
            && wants_page(&head.fields)
            && is_meant
    }

    /// Lets pass who has paid, or asks for it.
    pub(super) fn check(
        &self,
        exchange: &mut Exchange,
        is_busy: bool,
        mut dice: impl FnMut() -> u64,
    ) -> Result<(), Stop> {
        if !self.asks(is_busy, &exchange.head) {
            return Ok(());
        }
        let fields = &exchange.head.fields;
        let mut chance = [0; 16];
        chance[..8].copy_from_slice(&dice().to_le_bytes());
        chance[8..].copy_from_slice(&dice().to_le_bytes());
        let client = Client {
            address: exchange.client(),
            user_agent: fields.first(FieldId::UserAgent).unwrap_or_default(),
            transport: transport(exchange),
        };
        match self.puzzle.check(&client, fields, exchange.started(), &chance) {
            Verdict::Pass(_) => Ok(()),
            Verdict::Admit(_, cookies) => {
                let marks = exchange.marks();
                marks.is_private = true;
                cookies.into_iter().for_each(|cookie| marks.field(b"set-cookie", cookie));
                Ok(())
            }
            Verdict::Ask(ask) => {
                let record = exchange.record();
                (record.end, record.proof_failed) = (End::Challenged, ask.failed);
                let mut response = answer::plain(STATUS, ask.page.into());
                for (name, value) in ask.fields {
                    let _ = response.head.fields.append(name.as_bytes(), value.as_bytes());
                }
                Err(Stop::Answer(Box::new(response)))
            }
        }
    }
}

/// Whether an answer in HTML is asked for by name, as browsers do for pages and for nothing else.
fn wants_page(fields: &Fields) -> bool {
    fields.all(FieldId::Accept).any(|accept| {
        accept.split(|&byte| byte == b',').any(|range| {
            let kind = range.split(|&byte| byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"text/html")
        })
    })
}

/// Whether a request for a page has what every browser of today sends with one: a name, and languages.
fn looks_like_a_browser(fields: &Fields) -> bool {
    let agent = fields.sole(FieldId::UserAgent).unwrap_or_default();
    agent.starts_with(b"Mozilla/5.0 (") && fields.first_named(b"accept-language").is_some()
}
