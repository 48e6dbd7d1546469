//! Series of users who sign in.

use doorman_proxy::SignIn;

use super::text::{Kind, Page};
use crate::engine::Engine;

/// Writes them for the OpenID providers of the plan in force.
pub(super) fn write(page: &mut Page, engine: &Engine) {
    let mut all = engine.plan().providers();
    all.truncate(super::SERIES_MAX);
    if all.is_empty() {
        return;
    }
    let help =
        "Whether it is known what an OpenID provider says of itself: without that nobody signs in.";
    page.family("doorman_oidc_provider_known", help, Kind::Gauge);
    for provider in &all {
        page.sample("", &[("issuer", &*provider.issuer)], u64::from(provider.is_known));
    }
    let help = "Times that an OpenID provider was asked what it says of itself and did not say it.";
    page.family("doorman_oidc_provider_failures_total", help, Kind::Counter);
    for provider in &all {
        page.sample("", &[("issuer", &*provider.issuer)], provider.failed);
    }
    let help = "What happened to users of an OpenID provider and their sessions.";
    page.family("doorman_oidc_sign_ins_total", help, Kind::Counter);
    for provider in &all {
        for (what, count) in SignIn::ALL.iter().zip(provider.sign_ins) {
            let labels = [("issuer", &*provider.issuer), ("outcome", what.word())];
            page.sample("", &labels, count);
        }
    }
}
