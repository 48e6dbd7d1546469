//! Where users sign in.

use std::sync::Arc;
use std::time::Duration;

use doorman_auth::jwt::Algorithms;
use doorman_auth::oidc::{Client, SealKeys, Settings, Unauthenticated};
use doorman_auth::seal::Secret;
use doorman_auth::{Challenge, Scheme};
use doorman_config::{Oidc, Span, Unauthenticated as Written};
use doorman_net::seal::secret_words;
use doorman_route::{Captures, Found, Query, RouteIndex};

use super::compile::{Faults, code};
use super::identity::authorities;
use super::{Ground, Plan, PlanRoute};
use crate::gate::{PlanGate, PlanIdentity, PlanSignIn};
use crate::provider::{ProviderSeen, RemoteProvider};

/// How far a provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// The gate of an `oidc` block.
pub(super) fn gate(written: &Oidc, ground: &Ground, faults: &mut Faults) -> Option<PlanGate> {
    // Kept in the data folder: a restart signs nobody out.
    let seal = ground.seal_key(written.span, faults)?.seal(&[b"oidc"]);
    let secret = Secret::new(&chance(written.span, faults)?);
    let tls = authorities(written.ca.as_ref(), ground, faults)?;
    let provider = ground.providers.get(&written.issuer.value, tls.as_ref());
    let client = SealKeys::new(&[seal])
        .map_err(|error| error.to_string())
        .and_then(|seals| Client::new(settings(written), seals).map_err(|error| error.to_string()));
    let client = client.map_err(|error| faults.error(code::GUARD, written.span, error)).ok()?;
    let claims = written.forward.iter().map(|told| &told.value);
    let claim_fields = claims.map(|told| (told.claim.as_str().into(), told.field.as_str().into()));
    let sign_in = PlanSignIn {
        client,
        provider,
        errands: Arc::clone(&ground.errands),
        challenge: Challenge::new(Scheme::Cookie, "sign-in").ok()?,
        secret,
        allows_nobody: written.unauthenticated.value == Written::Allow,
    };
    Some(PlanGate {
        identity: PlanIdentity::SignIn(Box::new(sign_in)),
        name_field: None,
        claim_fields: claim_fields.collect(),
    })
}

/// Paths of the house's own that gates of routes take, and by which of them: the first, where several have the same.
pub(super) fn own_paths(routes: &[PlanRoute]) -> Vec<(Box<str>, usize)> {
    let mut paths: Vec<(Box<str>, usize)> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let gates = route.guard.iter().flat_map(|guard| &guard.identity);
        for path in gates.filter_map(PlanGate::sign_in).flat_map(|gate| gate.client.own_paths()) {
            if !paths.iter().any(|(known, _)| **known == *path) {
                paths.push((path.into(), index));
            }
        }
    }
    paths
}

/// 32 bytes that nobody outside knows.
fn chance(span: Span, faults: &mut Faults) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for half in bytes.chunks_exact_mut(16) {
        let Ok([first, second]) = secret_words() else {
            faults.error(code::SEAL_KEY, span, "the system gives no random numbers");
            return None;
        };
        half[..8].copy_from_slice(&first.to_le_bytes());
        half[8..].copy_from_slice(&second.to_le_bytes());
    }
    Some(bytes)
}

fn settings(written: &Oidc) -> Settings {
    let text = |text: &String| Box::from(text.as_str());
    Settings {
        issuer: text(&written.issuer.value),
        client_id: text(&written.client_id.value),
        client_secret: written.client_secret.as_ref().map(|secret| text(&secret.value.0)),
        scopes: written.scopes.value.iter().map(text).collect(),
        session: written.session.value,
        cookie: text(&written.cookie.value),
        callback: text(&written.callback.value),
        logout: text(&written.logout.value),
        unauthenticated: match written.unauthenticated.value {
            Written::Redirect => Unauthenticated::Redirect,
            Written::Allow => Unauthenticated::Allow,
            Written::Deny => Unauthenticated::Deny,
        },
        refresh: written.refresh.value,
        algorithms: Algorithms::PUBLIC,
        keep: written.forward.iter().map(|told| text(&told.value.claim)).collect(),
        leeway: LEEWAY,
    }
}

impl Plan {
    /// Where a request goes: by the table, but for paths of its site that are the house's own.
    pub(crate) fn find(&self, query: &Query<'_>) -> Found {
        let found = self.table.find(query);
        if let Found::Route(site, ..) | Found::NoRoute(site) = &found {
            let path = query.head.path();
            let own = self.sites[site.0].sign_ins.iter().find(|(own, _)| own.as_bytes() == path);
            if let Some((_, route)) = own {
                return Found::Route(*site, RouteIndex(*route), Captures::default());
            }
        }
        found
    }

    /// The OpenID providers at which its users sign in, each once, in the order of the file.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderSeen> {
        let mut seen: Vec<&Arc<RemoteProvider>> = Vec::new();
        let gates = self.guards().flat_map(|guard| &guard.identity);
        for sign_in in gates.filter_map(PlanGate::sign_in) {
            if !seen.iter().any(|known| Arc::ptr_eq(known, &sign_in.provider)) {
                seen.push(&sign_in.provider);
            }
        }
        seen.into_iter().map(|provider| provider.seen()).collect()
    }
}
