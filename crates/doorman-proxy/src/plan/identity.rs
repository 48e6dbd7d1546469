//! Who is asked who somebody is, and what browsers are told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use doorman_auth::basic::{Accounts, Basic};
use doorman_auth::cors::{Listed, Policy, Settings};
use doorman_auth::csrf::Csrf;
use doorman_auth::identity::Names;
use doorman_auth::jwt::{
    Algorithm, Algorithms, JWKS_BYTES_MAX, KeySet, Keys, Place, Required, Rules, Verifier,
};
use doorman_auth::key::{ApiKey, Keys as ApiKeys, Places};
use doorman_auth::preset::Preset;
use doorman_auth::seal::Secret as Secret32;
use doorman_auth::{BadLines, Challenge, Scheme};
use doorman_config::{
    BasicAuth, Cors, CorsFields, CredentialList, CredentialPlace, Guard, Jwt, JwtKeys, Origin,
    SecurityHeaders, Spanned,
};
use doorman_net::seal::secret_words;
use doorman_net::tls::{ClientTls, ClientTlsOptions, Roots};

use super::Ground;
use super::access::material;
use super::compile::{Faults, code};
use crate::gate::{KeysFrom, PasswordDesk, PlanGate, PlanIdentity, PlanToken, TokenKeys};

/// Most bytes of a list of users or keys.
const LIST_BYTES: usize = 32 << 20;
/// Most bytes of a file of authorities: all of the web's have a quarter of a MiB.
const CA_BYTES: usize = 4 << 20;

const NO_CHANCE: &str = "the system gives no random numbers";

/// Keys of files and secrets get numbers of their own, so that what was remembered of tokens goes with them.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// The gates of a route, all of which are alternatives, and the fields by which they tell origins who asks.
pub(super) fn gates(guard: &Guard, ground: &Ground, faults: &mut Faults) -> (Vec<PlanGate>, Names) {
    let mut gates = Vec::new();
    gates.extend(guard.basic_auth.as_ref().and_then(|basic| self::basic(basic, ground, faults)));
    gates.extend(guard.api_key.as_ref().and_then(|key| self::key(key, ground, faults)));
    gates.extend(guard.jwt.as_ref().and_then(|jwt| token(jwt, ground, faults)));
    gates.extend(guard.oidc.as_ref().and_then(|oidc| super::sign_in::gate(oidc, ground, faults)));
    let mut names = Names::new();
    for gate in &gates {
        let claims = gate.claim_fields.iter().map(|(_, field)| field);
        for name in gate.name_field.iter().chain(claims) {
            // Names of fields were checked when they were read.
            let _ = names.add(name);
        }
    }
    (gates, names)
}

/// The text of a list. What is no list of that kind is told of here, so that a file that is broken while the proxy runs
/// leaves its predecessor in force, and everything else as it is.
fn text(
    list: &Spanned<CredentialList>,
    kind: &str,
    check: fn(&[u8]) -> Result<(), BadLines>,
    ground: &Ground,
    faults: &mut Faults,
) -> Option<Arc<Vec<u8>>> {
    match &list.value {
        CredentialList::File(path) => {
            let file = Spanned { value: path.clone(), span: list.span };
            material(ground, kind, &file, LIST_BYTES, faults, |bytes| {
                check(&bytes).map_err(|lines| lines.to_string())?;
                Ok(bytes)
            })
        }
        CredentialList::Lines(lines) => Some(Arc::new(lines.0.clone().into_bytes())),
    }
}

fn basic(written: &BasicAuth, ground: &Ground, faults: &mut Faults) -> Option<PlanGate> {
    let mut accounts = Accounts::new();
    for list in &written.lists {
        let check = |text: &[u8]| Accounts::new().add_file(text);
        let text = text(list, "users", check, ground, faults)?;
        if let Err(lines) = accounts.add_file(&text) {
            faults.error(code::GUARD, list.span, lines.to_string());
        }
    }
    for user in &written.users {
        let (name, hash) = &user.value;
        if let Err(error) = accounts.add(name, &hash.0) {
            faults.error(code::GUARD, user.span, error.to_string());
        }
    }
    let Some(verified) = ground.guards.verified() else {
        faults.error(code::SEAL_KEY, written.span, NO_CHANCE);
        return None;
    };
    let desk = PasswordDesk { verified, places: ground.guards.hashing() };
    match Basic::new(accounts, &written.realm.value) {
        Ok(basic) => Some(PlanGate {
            identity: PlanIdentity::Basic(Arc::new(basic), Arc::new(desk)),
            name_field: written.forward.value.as_deref().map(Into::into),
            claim_fields: Vec::new(),
        }),
        Err(error) => {
            faults.error(code::GUARD, written.span, error.to_string());
            None
        }
    }
}

fn key(written: &doorman_config::ApiKey, ground: &Ground, faults: &mut Faults) -> Option<PlanGate> {
    let mut keys = ApiKeys::new();
    for list in &written.lists {
        let check = |text: &[u8]| ApiKeys::new().add_file(text);
        let text = text(list, "keys", check, ground, faults)?;
        if let Err(lines) = keys.add_file(&text) {
            faults.error(code::GUARD, list.span, lines.to_string());
        }
    }
    for one in &written.keys {
        let (name, hash) = &one.value;
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Err(error) = keys.add(name, &format!("sha256:{hash}")) {
            faults.error(code::GUARD, one.span, error.to_string());
        }
    }
    let (mut header, mut query) = (None, None);
    for place in &written.places {
        match place {
            CredentialPlace::Header { name, .. } => header = Some(name.as_str()),
            CredentialPlace::Query(name) => query = Some(name.as_str()),
            CredentialPlace::Cookie(_) => {}
        }
    }
    let gate = Places::new(header, query).map(|places| ApiKey::new(keys, places, "api"));
    match gate {
        Some(Ok(gate)) => Some(PlanGate {
            identity: PlanIdentity::Key(gate),
            name_field: written.forward.value.as_deref().map(Into::into),
            claim_fields: Vec::new(),
        }),
        Some(Err(error)) => {
            faults.error(code::GUARD, written.span, error.to_string());
            None
        }
        None => {
            faults.error(code::GUARD, written.span, "keys are looked for nowhere");
            None
        }
    }
}

fn token(written: &Jwt, ground: &Ground, faults: &mut Faults) -> Option<PlanGate> {
    let mut algorithms = Algorithms::NONE;
    for algorithm in &written.algorithms.value {
        match Algorithm::read(algorithm.word()) {
            Some(known) => algorithms = algorithms.with(known),
            None => {
                let text = format!(
                    "{} is not taken: use ES256, RS256, PS256 or EdDSA, or HS256 with a secret",
                    algorithm.word()
                );
                faults.error(code::GUARD, written.span, text);
                return None;
            }
        }
    }
    let required = |rule: &Spanned<doorman_config::ClaimRule>| Required {
        claim: rule.value.claim.as_str().into(),
        values: rule.value.values.iter().map(|value| value.as_str().into()).collect(),
    };
    let limited = written.forward.iter().map(|told| told.value.claim.as_str().into());
    let rules = Rules {
        issuer: written.issuer.as_ref().map(|issuer| issuer.value.as_str().into()),
        audiences: written.audiences.iter().map(|one| one.value.as_str().into()).collect(),
        required: written.claims.iter().map(required).collect(),
        keep: limited.collect(),
        leeway: written.leeway.value,
    };
    let keys = token_keys(written, algorithms, &rules, ground, faults)?;
    let challenge = Challenge::new(Scheme::Bearer, "token").ok()?;
    let claim_fields = written
        .forward
        .iter()
        .map(|told| (told.value.claim.as_str().into(), told.value.field.as_str().into()));
    Some(PlanGate {
        identity: PlanIdentity::Token(PlanToken {
            verifier: Verifier { algorithms, rules },
            places: written.places.iter().filter_map(place).collect(),
            keys,
            challenge,
            strip: written.strip.value,
        }),
        name_field: None,
        claim_fields: claim_fields.collect(),
    })
}

/// What tokens are checked with. A line that says the same as before goes on with the same, and so with what is
/// remembered of tokens.
fn token_keys(
    written: &Jwt,
    algorithms: Algorithms,
    rules: &Rules,
    ground: &Ground,
    faults: &mut Faults,
) -> Option<Arc<TokenKeys>> {
    let Ok(chance) = secret_words() else {
        faults.error(code::SEAL_KEY, written.span, NO_CHANCE);
        return None;
    };
    let span = written.keys.span;
    let fixed = |set| {
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        KeysFrom::Here(Keys::fixed(set, generation))
    };
    // The name holds the address of what it names: that stays there as long as somebody holds what has this name.
    let (name, from) = match &written.keys.value {
        JwtKeys::Url(url) => {
            let tls = authorities(written.ca.as_ref(), ground, faults)?;
            let (refresh, now) = (written.refresh.value, ground.clock.instant());
            let remote = ground.keys.get(&url.written, algorithms, refresh, tls.as_ref(), now);
            (format!("url {:p}", Arc::as_ptr(&remote)), KeysFrom::Remote(remote))
        }
        JwtKeys::File(path) => {
            let file = Spanned { value: path.clone(), span };
            let kind = format!("keys {algorithms:?}");
            let set = material(ground, &kind, &file, JWKS_BYTES_MAX, faults, |bytes| {
                KeySet::read(&bytes, algorithms).map_err(|error| error.to_string())
            })?;
            (format!("file {:p}", Arc::as_ptr(&set)), fixed(set))
        }
        JwtKeys::Secret(secret) => match KeySet::secret(secret.0.as_bytes()) {
            Ok(set) => {
                // A name is kept; the secret itself is in no more places than it has to be.
                let seal = Secret32::new(&[0; 32]).seal("jwt", &[secret.0.as_bytes()]);
                (format!("secret {seal:?}"), fixed(Arc::new(set)))
            }
            Err(error) => {
                faults.error(code::GUARD, span, error.to_string());
                return None;
            }
        },
    };
    let label = format!("{name} {algorithms:?} {rules:?}");
    Some(ground.guards.tokens(label, || TokenKeys { from, chance }))
}

/// Whose certificates are believed where keys are fetched; `Some(None)`: those of the web.
#[expect(clippy::option_option, reason = "a fault that is told is the other nothing")]
pub(super) fn authorities(
    ca: Option<&Spanned<PathBuf>>,
    ground: &Ground,
    faults: &mut Faults,
) -> Option<Option<Arc<ClientTls>>> {
    let Some(ca) = ca else { return Some(None) };
    let clock = Arc::new(ground.clock);
    let made = material(ground, "authorities", ca, CA_BYTES, faults, |bytes| {
        let roots = Roots::Pem { path: ca.value.clone(), bytes };
        let options = ClientTlsOptions { roots, alpn: Vec::new(), ..ClientTlsOptions::new(clock) };
        ClientTls::new(options).map_err(|error| error.to_string())
    });
    made.map(Some)
}

fn place(place: &CredentialPlace) -> Option<Place> {
    Some(match place {
        CredentialPlace::Header { name, scheme } => Place::Field {
            name: name.as_bytes().into(),
            scheme: scheme.as_ref().map(|scheme| scheme.as_bytes().into()),
        },
        CredentialPlace::Cookie(name) => Place::Cookie(name.as_bytes().into()),
        CredentialPlace::Query(_) => return None,
    })
}

/// Whose pages may use what is here.
pub(super) fn cors(written: &Cors, faults: &mut Faults) -> Option<Policy> {
    let settings = Settings {
        origins: written.origins.iter().map(|origin| origin_words(&origin.value)).collect(),
        methods: Listed::These(written.methods.value.iter().map(|m| m.as_str().into()).collect()),
        headers: match &written.headers.value {
            CorsFields::Any => Listed::Any,
            CorsFields::These(names) => {
                Listed::These(names.iter().map(|name| name.as_str().into()).collect())
            }
        },
        expose: written.expose.iter().map(|name| name.value.as_str().into()).collect(),
        credentials: written.credentials.value,
        max_age: Some(written.max_age.value),
        private_network: written.private_network.value,
    };
    let policy = Policy::new(&settings);
    policy.map_err(|error| faults.error(code::GUARD, written.span, error.to_string())).ok()
}

/// Whether pages of others may change something.
pub(super) fn csrf(written: &doorman_config::Csrf, faults: &mut Faults) -> Option<Csrf> {
    let trusted: Vec<_> = written.allow.iter().map(|one| origin_words(&one.value)).collect();
    let guard = Csrf::new(trusted.iter().map(String::as_str));
    guard.map_err(|error| faults.error(code::GUARD, written.span, error.to_string())).ok()
}

fn origin_words(origin: &Origin) -> String {
    match origin {
        Origin::Any => "*".to_owned(),
        Origin::Exact(text) => text.clone(),
        Origin::Below { scheme, suffix } => format!("{scheme}*{suffix}"),
    }
}

/// Which fields make browsers careful.
pub(super) const fn preset(written: SecurityHeaders) -> Preset {
    match written {
        SecurityHeaders::Basic => Preset::Basic,
        SecurityHeaders::Strict => Preset::Strict,
    }
}

#[cfg(test)]
mod tests {
    use doorman_config::{MemorySource, load};
    use doorman_net::Clock;
    use doorman_net::tls::TicketKeys;

    use super::*;
    use crate::plan::Plan;

    const SITE: &str = "
upstream o { server 10.0.0.1:80 }
site http://*:80 {
    route /a { basic-auth user alice $2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy; proxy o }
    route /b { jwt secret 0123456789abcdef0123456789abcdef issuer a audience b; proxy o }
    route /c { jwt jwks https://id.test/keys issuer a audience b; proxy o }
}
";

    fn compile(ground: &Ground, text: &str) -> Plan {
        let loaded = load(&MemorySource::new().file("a.conf", text), "a.conf");
        let config = Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
        let compiled = Plan::compile(&config, ground);
        compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
    }

    /// Where what is remembered of each gate lies.
    fn remembered(plan: &Plan) -> Vec<usize> {
        let routes = plan.sites.iter().flat_map(|site| &site.routes);
        let gates = routes.filter_map(|route| route.guard.as_ref()?.identity.first());
        let place = |gate: &PlanGate| match &gate.identity {
            PlanIdentity::Basic(_, desk) => Arc::as_ptr(&desk.verified).addr(),
            PlanIdentity::Token(token) => Arc::as_ptr(&token.keys).addr(),
            _ => 0,
        };
        gates.map(place).collect()
    }

    #[test]
    fn a_reload_forgets_what_was_made_of_something_else_and_nothing_more() {
        let clock = Clock::system();
        let tickets = TicketKeys::new(Arc::new(clock)).expect("chance");
        let ground = Ground::new("/nonexistent".into(), clock, tickets);
        let first = compile(&ground, SITE);
        let known = remembered(&first);
        assert!(known.len() == 3 && !known.contains(&0), "{known:?}");
        let same =
            compile(&ground, &SITE.replace("route /a", "route /other { respond 204 }\nroute /a"));
        assert_eq!(remembered(&same), known);
        // Which of the three are still the same.
        for (words, others, expect) in [
            (
                "0123456789abcdef0123456789abcdef",
                "0123456789abcdef0123456789abcdeF",
                [true, false, true],
            ),
            ("issuer a audience b", "issuer a audience c", [true, false, false]),
            ("id.test/keys", "id.test/others", [true, true, false]),
            ("id.test/keys", "id.test/keys algorithms ES256", [true, true, false]),
            ("user alice", "user bob", [true, true, true]),
        ] {
            let other = remembered(&compile(&ground, &SITE.replace(words, others)));
            let found: Vec<_> = other.iter().zip(&known).map(|(a, b)| a == b).collect();
            assert_eq!(found, expect, "{others}");
        }
    }
}
