//! How the servers of an upstream stand with the balancer, for whoever looks.

use doorman_balance::{Balancer, Verdict};
use doorman_http::Instant;

use crate::plan::{PlanServer, PlanUpstream};

impl PlanUpstream {
    /// For each server, in the plan's order: whether a request that is bound to nobody may get it now, and if not, why.
    ///
    /// It asks a balancer of its own over the states that all cores share: what it says is what each core says, and no
    /// turn is taken and no place reserved by it.
    #[must_use]
    pub fn verdicts(&self, now: Instant) -> Vec<Verdict> {
        let members = self.servers.iter().map(PlanServer::member).collect();
        let balancer = Balancer::new(&self.group, self.method, members);
        balancer.why_not(now).map(|(_, verdict)| verdict).collect()
    }
}
