//! Certificates of clients in the plan: the rules of each site, and the names under which identities are passed on.
//!
//! An upstream that believes a field believes it from every route. So a name under which any route passes on who a
//! client proved to be is taken off the requests of all routes, whether they ask for certificates or not: no site of
//! the configuration is a way around another.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use doorman_config::{ClientAuthMode as Mode, ClientCert, Config, HeaderEdit, Site};
use doorman_http::template::{Part, Template};
use doorman_net::tls::{ClientAuth, ClientAuthMode, SiteClients};

use super::compile::{Faults, code};
use super::{Ground, PlanSite};

/// The fields of RFC 9440 section 2.
pub(crate) const CLIENT_CERT: &str = "client-cert";
/// The rest of the chain.
pub(crate) const CLIENT_CERT_CHAIN: &str = "client-cert-chain";

/// The rules of each site of the configuration, in its order.
pub(super) fn compile(
    config: &Config,
    ground: &Ground,
    faults: &mut Faults,
) -> Vec<Option<SiteClients>> {
    config.sites.iter().map(|site| one(site, ground, faults)).collect()
}

fn one(site: &Site, ground: &Ground, faults: &mut Faults) -> Option<SiteClients> {
    let asked = site.tls.as_ref()?.options.client_auth.as_ref()?;
    let mode = match asked.value.mode {
        Mode::Require => ClientAuthMode::Require,
        Mode::Optional => ClientAuthMode::Optional,
    };
    let crl = asked.value.crl.as_ref().map(|crl| crl.value.as_path());
    let paths: Vec<&Path> = [asked.value.ca.value.as_path()].into_iter().chain(crl).collect();
    let kind = format!("clients {mode:?}");
    let loaded = ground
        .material(&kind, &paths, faults, || ClientAuth::load(mode, &asked.value.ca.value, crl));
    match loaded {
        Ok(auth) => {
            for warning in auth.warnings(ground.now()) {
                faults.warning(code::CLIENT_CA_WARNING, asked.span, warning.to_string());
            }
            Some(SiteClients::new(&site.name, auth))
        }
        Err(error) => {
            faults.error(code::CLIENT_CA, asked.span, error.to_string());
            None
        }
    }
}

/// Gives sites their rules, and routes the names that clients may not use.
pub(super) fn place(config: &Config, clients: &[Option<SiteClients>], sites: &mut [PlanSite]) {
    let names: Arc<[Box<str>]> = identities(config).into_iter().map(Box::from).collect();
    for site in &mut *sites {
        for route in &mut site.routes {
            route.edits.identities = Arc::clone(&names);
        }
    }
    for (site, clients) in sites.iter_mut().zip(clients) {
        site.clients.clone_from(clients);
    }
}

/// Every name under which a route passes on who a client proved to be.
fn identities(config: &Config) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for site in &config.sites {
        let asks = site.tls.as_ref().is_some_and(|tls| tls.options.client_auth.is_some());
        let shows = |form| site.routes.iter().any(|route| route.options.client_cert.value == form);
        if asks || shows(ClientCert::Rfc9440) {
            names.extend([CLIENT_CERT, CLIENT_CERT_CHAIN]);
        }
        for edit in site.routes.iter().flat_map(|route| &route.options.request_headers) {
            if let HeaderEdit::Set { name, value } | HeaderEdit::Add { name, value } = &edit.value
                && names_client(value)
            {
                names.insert(name.as_str());
            }
        }
    }
    names
}

fn names_client(template: &Template) -> bool {
    let is_client = |part: &Part| match part {
        Part::Text(_) => false,
        Part::Value(placeholder) => placeholder.is_client_cert(),
    };
    template.parts().iter().any(is_client)
}
