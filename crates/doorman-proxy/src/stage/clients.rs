//! Whether a connection may be used for a site and a route, as far as certificates of clients go.
//!
//! A browser that has a connection to one name uses it for every other name of the certificate (RFC 9113 section
//! 9.1.1), and any client can ask for another host than it named in its handshake. What was checked in the handshake
//! holds only for sites with the same rules; elsewhere the answer is 421 (RFC 9110 section 15.5.20).

use doorman_http::{ClientRules, Conn};
use doorman_net::tls::{ClientAuthMode, SiteClients};

use crate::exchange::Exchange;
use crate::plan::PlanRoute;
use crate::stop::Fault;

/// Checks connection and route.
pub(crate) fn check(
    site: Option<&SiteClients>,
    route: &PlanRoute,
    exchange: &Exchange,
) -> Result<(), Fault> {
    connection(site, exchange)?;
    if route.mtls && exchange.conn_ref().tls.as_ref().is_none_or(|tls| tls.client.is_none()) {
        return Err(Fault::NoClientCertificate);
    }
    Ok(())
}

/// Checks the connection alone.
pub(crate) fn connection(site: Option<&SiteClients>, exchange: &Exchange) -> Result<(), Fault> {
    let conn = exchange.conn_ref();
    let made = conn.tls.as_ref().and_then(|tls| tls.client_rules.get());
    match (made, site) {
        (None, None) => Ok(()),
        (Some(made), Some(site)) if made.settings == site.rules.settings => Ok(()),
        (Some(made), Some(site)) if is_renewed(made, site, conn, exchange) => Ok(()),
        _ => Err(Fault::Misdirected),
    }
}

/// Whether the site is still the one of the handshake, its rules have changed since, and what the client showed is good
/// under the new ones. A renewed revocation list must not end the connections of those who are not on it.
fn is_renewed(made: ClientRules, site: &SiteClients, conn: &Conn, exchange: &Exchange) -> bool {
    let Some(tls) = conn.tls.as_ref().filter(|_| made.site == site.rules.site) else {
        return false;
    };
    let is_good = match &tls.client {
        Some(client) => site.auth.accepts(client, exchange.started().unix_seconds()),
        None => site.auth.mode() == ClientAuthMode::Optional,
    };
    if is_good {
        tls.client_rules.set(Some(site.rules));
    }
    is_good
}
