//! Who may come.

use std::sync::Arc;

use doorman_route::Geo;
use doorman_route::access::{Access, Verdict, Visitor};

use crate::exchange::Exchange;
use crate::stop::Fault;

/// The `allow` and `deny` lines of one block.
pub(crate) struct PlanAccess {
    pub(crate) access: Access,
    pub(crate) geo: Arc<Geo>,
    /// What those get who are denied, and those who are not allowed.
    pub(crate) statuses: (u16, u16),
}

impl PlanAccess {
    /// What it says of a request.
    pub(crate) fn judge(&self, exchange: &Exchange) -> Verdict<'_> {
        let visitor = Visitor { address: exchange.client(), head: Some(&exchange.head) };
        self.access.judge(&visitor, &self.geo)
    }

    /// Keeps out who may not come.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(), Fault> {
        match self.judge(exchange) {
            Verdict::Pass { .. } => Ok(()),
            Verdict::Denied { by } => Err(Fault::Denied(Some(by.into()), self.statuses.0)),
            Verdict::NotAllowed => Err(Fault::Denied(None, self.statuses.1)),
        }
    }
}
