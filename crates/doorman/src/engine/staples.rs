//! OCSP stapling, from the plan to the thread that asks responders.

use std::sync::Arc;

use doorman_control::ocsp::{self, Stapler};
use doorman_net::tls::CertificateSource;
use doorman_proxy::{Ground, Plan};

/// Staples what is on disk, before anything is served.
pub(super) fn fill(plan: &Plan, ground: &Ground) {
    let sources = sources(plan);
    if !sources.is_empty() {
        ocsp::fill(&ground.data, ground.clock, &sources);
    }
}

/// Starts the stapler if there is something to ask about.
pub(super) fn start(plan: &Plan, ground: &Ground) -> Option<Stapler> {
    let sources = sources(plan);
    if sources.is_empty() {
        return None;
    }
    match Stapler::start(&ground.data, Arc::clone(&ground.keyring), ground.clock, sources) {
        Ok(stapler) => Some(stapler),
        Err(error) => {
            tracing::error!("nothing can be stapled: {error}");
            None
        }
    }
}

/// The certificates of a plan that may be asked about.
pub(super) fn sources(plan: &Plan) -> Vec<CertificateSource> {
    plan.listeners.iter().flat_map(|listener| listener.stapled.iter().cloned()).collect()
}
