//! Every code that compiling a plan can give is explained, and its examples are what they claim.

use std::sync::Arc;

use doorman_config::{MemorySource, load, plan_explanations};
use doorman_net::Clock;
use doorman_net::tls::TicketKeys;
use doorman_proxy::{Ground, Plan};

fn codes(text: &str, data: &std::path::Path) -> Vec<&'static str> {
    let loaded = load(&MemorySource::new().file("doorman.conf", text), "doorman.conf");
    let config = match loaded.config {
        Some(config) => Arc::new(config),
        None => return loaded.diagnostics.iter().map(|d| d.code).collect(),
    };
    let clock = Clock::system();
    let tickets = TicketKeys::new(Arc::new(clock)).expect("the system has randomness");
    let data = config.global.data.as_ref().map_or(data, |data| data.value.as_path());
    let ground = Ground::new(data.to_owned(), clock, tickets);
    Plan::compile(&config, &ground).diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn examples_are_what_they_claim() {
    let data = tempfile::tempdir().expect("a temporary folder");
    for known in plan_explanations() {
        assert_eq!(codes(known.right, data.path()), Vec::<&str>::new(), "{}: right", known.code);
        if ["W0604", "W0610", "W0611"].contains(&known.code) {
            // They need a certificate that ends soon, which doorman-net's own tests make, or a key.
            continue;
        }
        assert!(codes(known.wrong, data.path()).contains(&known.code), "{}: wrong", known.code);
    }
}
