//! By which rules a request would be inspected, and what they say of its head.

use doorman_http::Length;
use doorman_waf::Transaction;

use crate::exchange::Exchange;
use crate::inspection::{Desk, Finding, Passes, Scores};
use crate::plan::PlanWaf;
use crate::stage::inspect::{Post, tell_head};
use doorman_net::Clock;

/// How a route's requests are inspected, and what became of this one.
#[derive(Debug)]
pub struct Waf {
    /// What the rules are called.
    pub set: String,
    /// How many there are.
    pub rules: usize,
    /// Paranoia of the rules that count, and of those that are run.
    pub levels: (u8, u8),
    /// `block` or `detect`.
    pub mode: &'static str,
    /// Whether bodies of answers are looked at.
    pub response: bool,
    /// What rules do not look at, as it was written.
    pub exclusions: Vec<String>,
    /// What rules match of this request, as far as its head tells.
    pub findings: Vec<Finding>,
    /// Sums of the rules' scores.
    pub scores: Scores,
    /// The rule that refuses it, or would in another mode, and the status.
    pub refusal: Option<(u32, u16)>,
    /// What became of it: `pass`, `detect`, `block` or `error`.
    pub action: &'static str,
}

/// Asks the rules.
pub(super) fn waf(waf: &PlanWaf, exchange: &Exchange, clock: Clock) -> Waf {
    let desk = Desk::new(&waf.set.engine);
    let post = Post { waf, desk: &desk, clock };
    let mut inspection = post.begin(exchange);
    inspection.with(|transaction, _| tell_head(transaction, &exchange.head, Length::Absent));
    for phase in [Transaction::request_head, Transaction::request_end] {
        if !matches!(inspection.phase(phase), Passes::Yes) {
            break;
        }
    }
    let (inspected, told) = inspection.finish();
    Waf {
        set: waf.set.name.clone(),
        rules: waf.set.rules,
        levels: (waf.level, waf.detect_level),
        mode: waf.mode,
        response: waf.response,
        exclusions: waf.exclusions.clone(),
        findings: told.findings,
        scores: inspected.scores,
        refusal: told.refusal.map(|refusal| (refusal.rule, refusal.status)),
        action: inspected.action.as_str(),
    }
}
