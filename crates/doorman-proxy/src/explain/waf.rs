//! By which rules a request would be inspected, and what they say of its head.

use doorman_http::{Body, Length};
use doorman_waf::{Transaction, Verdict};

use crate::exchange::Exchange;
use crate::inspection::{Desk, Finding, Inspection, Passes, Scores, WafAction};
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
    /// What became of it.
    pub action: WafAction,
    /// What kept rules from being run to their end.
    pub faults: Vec<&'static str>,
}

/// Tells the rules of a body that is here as a whole.
fn tell_body(inspection: &mut Inspection, body: &[u8]) -> Passes {
    let told = inspection.with(|transaction, _| {
        if body.is_empty() || transaction.wants_request_body().is_none() {
            return Verdict::Pass;
        }
        transaction.request_body(body).err().unwrap_or(Verdict::Pass)
    });
    inspection.passes(told)
}

/// Asks the rules.
pub(super) fn waf(waf: &PlanWaf, exchange: &Exchange, body: &[u8], clock: Clock) -> Waf {
    let desk = Desk::new(&waf.set.engine);
    let post = Post { waf, desk: &desk, clock };
    let mut inspection = post.begin(exchange);
    let length = exchange.body.as_ref().map_or(Length::Absent, Body::length);
    inspection.with(|transaction, _| tell_head(transaction, &exchange.head, length));
    if matches!(inspection.phase(Transaction::request_head), Passes::Yes)
        && matches!(tell_body(&mut inspection, body), Passes::Yes)
    {
        // What comes of it is in the report.
        let _ = inspection.phase(Transaction::request_end);
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
        action: inspected.action,
        faults: told.faults,
    }
}
