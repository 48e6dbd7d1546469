//! What is wrong with guards that are right by themselves, once they have come together in a route of a site.

use std::collections::HashSet;

use super::Decoder;
use super::keys::{of_claims, of_users};
use crate::{
    ClientAuthMode, Diagnostic, Global, Guard, HostPattern, LimitKey, Scheme, Site, SiteAddress,
    Spanned,
};

impl Decoder<'_> {
    /// Bounds by something that no client of the route has.
    pub(super) fn check_keys(&mut self, site: &Site) {
        let mut said = HashSet::new();
        let asked = site.tls.as_ref().and_then(|tls| tls.options.client_auth.as_ref());
        let all_certified = asked.is_some_and(|asked| asked.value.mode == ClientAuthMode::Require);
        for options in site.routes.iter().map(|route| &route.options) {
            let guard = &options.guard;
            let has_claims = guard.jwt.is_some() || guard.oidc.is_some();
            let told = guard.forward_auth.as_ref().is_some_and(|asked| asked.user.is_some());
            let has_user = has_claims
                || guard.basic_auth.is_some()
                || guard.api_key.is_some()
                || told
                || all_certified
                || options.mtls.is_some();
            for keys in keys_of(guard) {
                let users = of_users(keys).filter(|_| !has_user);
                let claims = of_claims(keys).filter(|_| !has_claims);
                for (span, what, words) in users
                    .map(|span| (span, "users", "basic-auth, api-key, jwt or oidc"))
                    .chain(claims.map(|span| (span, "claims", "jwt or oidc")))
                    .filter(|(span, ..)| said.insert(*span))
                {
                    let message =
                        format!("a bound by {what} where nobody has any: all count as one");
                    let warning = Diagnostic::warning("W0324", span, message);
                    self.say(
                        warning.help(format!("write {words} in the route, its site or a policy")),
                    );
                }
            }
        }
    }

    /// Passwords, keys and sessions that everybody on the way can read. Behind a proxy that is trusted, TLS may have
    /// ended
    /// there.
    pub(super) fn check_plain(&mut self, site: &Site, global: &Global) {
        let mut plain = site.addresses.iter().filter(|address| is_open(&address.value));
        let Some(address) = plain.next().filter(|_| global.trusted_proxies.is_empty()) else {
            return;
        };
        let mut said = HashSet::new();
        for guard in site.routes.iter().map(|route| &route.options.guard) {
            let words = [
                ("passwords", guard.basic_auth.as_ref().map(|auth| auth.span)),
                ("keys", guard.api_key.as_ref().map(|auth| auth.span)),
                ("sessions", guard.oidc.as_ref().map(|auth| auth.span)),
            ];
            let words = words.into_iter().filter_map(|(what, span)| Some((what, span?)));
            for (what, span) in words.filter(|(_, span)| said.insert(*span)) {
                let message = format!("{what} would come without TLS");
                let warning = Diagnostic::warning("W0325", span, message);
                self.say(warning.also(address.span, "this is plain HTTP").help(
                    "write the site's address as https://; behind a proxy that ends TLS, name it in `trusted-proxies`",
                ));
            }
        }
    }
}

/// Keys of bounds in one route.
fn keys_of(guard: &Guard) -> impl Iterator<Item = &[Spanned<LimitKey>]> {
    let limits = guard.limits.iter().map(|limit| limit.per.as_slice());
    limits.chain(guard.concurrency.iter().map(|limit| limit.per.as_slice()))
}

/// Whether an address takes requests without TLS from other machines.
fn is_open(address: &SiteAddress) -> bool {
    let is_local = match &address.host {
        HostPattern::Any => false,
        HostPattern::Name(name) | HostPattern::Wildcard(name) => {
            name == "localhost" || name.ends_with(".localhost")
        }
        HostPattern::Ip(ip) => ip.is_loopback(),
    };
    address.scheme == Scheme::Http && !is_local
}
