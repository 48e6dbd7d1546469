//! What the gates of a route say of a request. Nothing is taken from a limit by asking, and no password is hashed.

use doorman_auth::jwt::Standing;
use doorman_limit::Priority;

use crate::exchange::Exchange;
use crate::gate::{ChallengeFor, KeysFrom, PlanGuard, PlanIdentity, PlanLimit, key};
use crate::plan::{Plan, PlanRoute};
use crate::remote_keys::KeysSeen;

/// What one gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The word of the configuration that it is for.
    pub word: &'static str,
    /// What it lets pass.
    pub rule: String,
    /// What it says of this request, and of now.
    pub says: String,
    /// Whether it refuses it.
    pub refuses: bool,
}

impl Guarded {
    fn new(word: &'static str, rule: impl Into<String>, says: impl Into<String>) -> Self {
        Self { word, rule: rule.into(), says: says.into(), refuses: false }
    }

    fn refusing(self, refuses: bool) -> Self {
        Self { refuses, ..self }
    }
}

/// Asks the gates, in their order.
pub(super) fn guards(guard: &PlanGuard, exchange: &Exchange) -> Vec<Guarded> {
    let mut said = Vec::new();
    for ban in &*guard.bans {
        let until = ban.until(exchange);
        let says = until.map_or_else(
            || "the client is not kept out".to_owned(),
            |seconds| format!("the client is kept out for {seconds} s more"),
        );
        said.push(Guarded::new("ban", &*ban.name, says).refusing(until.is_some()));
    }
    for access in &guard.access {
        let verdict = access.judge(exchange);
        let word = if access.access.deny.is_empty() { "allow" } else { "deny" };
        let names: Vec<_> =
            access.access.deny.iter().chain(&access.access.allow).map(|one| &*one.name).collect();
        let refuses = !verdict.is_pass();
        said.push(Guarded::new(word, names.join(", "), verdict.to_string()).refusing(refuses));
    }
    if let Some(connections) = &guard.connections {
        let rule = format!("{} of a client", connections.most);
        said.push(Guarded::new("connections", rule, "counted when it comes"));
    }
    said.extend(guard.limits.list.iter().map(|limit| self::limit(limit, exchange)));
    if let Some(challenge) = &guard.challenge {
        let asked = challenge.asks(true, &exchange.head);
        let says = match (asked, challenge.asked) {
            (false, _) => "not asked",
            (true, ChallengeFor::Busy) => "asked to pay first while there is too much to do",
            (true, _) => "asked to pay first, unless it has",
        };
        said.push(Guarded::new("challenge", challenge.asked.word(), says));
    }
    if let Some(csrf) = &guard.csrf {
        let checked = csrf.check(&exchange.head);
        let says =
            checked.map_or_else(|refusal| refusal.word().to_owned(), |()| "passes".to_owned());
        said.push(Guarded::new("csrf", "on", says).refusing(checked.is_err()));
    }
    said.extend(guard.identity.iter().map(|gate| identity(&gate.identity, exchange)));
    if let Some(forward) = &guard.forward {
        said.push(Guarded::new("forward-auth", &*forward.name, "asked when it comes"));
    }
    said.extend(
        guard
            .own_limits
            .list
            .iter()
            .map(|limit| Guarded::new("limit", &*limit.name, "counted once it is known who asks")),
    );
    if let Some(concurrency) = &guard.concurrency {
        let bounds = concurrency.bounds;
        let rule = format!("{} at once, {} more may wait", bounds.places, bounds.queue);
        said.push(Guarded::new("concurrency", rule, "counted when it comes"));
    }
    if let Some(throttle) = guard.throttle {
        let rule = format!("{} bytes a second after {}", throttle.rate, throttle.after);
        said.push(Guarded::new("throttle", rule, "slows the response"));
    }
    said
}

/// What becomes of requests of a route while there is more to do than can be done, where that is written.
pub(super) fn overload(plan: &Plan, route: &PlanRoute) -> Option<Guarded> {
    let is_on = plan.overload.is_some_and(|overload| overload.sheds) || plan.memory.is_some();
    if !is_on && route.priority == Priority::Normal {
        return None;
    }
    let (rule, says) = match route.priority {
        Priority::Low => ("low", "refused first while there is more to do than can be done"),
        Priority::Normal => ("normal", "refused after all of low priority"),
        Priority::High => ("high", "refused last while there is more to do than can be done"),
    };
    let says = if is_on { says } else { "nothing is refused for it: there is no `overload`" };
    Some(Guarded::new("priority", rule, says))
}

fn limit(limit: &PlanLimit, exchange: &Exchange) -> Guarded {
    let now = exchange.started().instant;
    let key = key(limit.secret, &limit.parts, exchange);
    let level = limit.books.table.show(key, &limit.rate, now);
    let says = format!("{} of {} left", level.left, limit.rate.burst());
    let shadow = if limit.shadow { " (a shadow)" } else { "" };
    Guarded::new("limit", format!("{}{shadow}", limit.name), says)
        .refusing(level.left == 0 && !limit.shadow)
}

fn identity(identity: &PlanIdentity, exchange: &Exchange) -> Guarded {
    const WAY: &str = "one way to be let in";
    let word = match identity {
        PlanIdentity::Basic(..) => "basic-auth",
        PlanIdentity::Key(_) => "api-key",
        PlanIdentity::Token(token) => match &token.keys.from {
            KeysFrom::Here(_) => "jwt",
            KeysFrom::Remote(remote) => {
                let seen = remote.seen(exchange.started().instant);
                return Guarded::new("jwt", format!("{WAY}, by keys of {}", seen.url), keys(&seen));
            }
        },
        PlanIdentity::SignIn(sign_in) => {
            let seen = sign_in.provider.seen();
            let how = match (seen.is_known, seen.trouble) {
                (true, None) => String::new(),
                (true, Some(why)) => format!(" (now: {why})"),
                (false, Some(why)) => format!(" (nobody can sign in now: {why})"),
                (false, None) => " (not asked yet)".to_owned(),
            };
            return Guarded::new(
                "oidc",
                format!("at {}{how}", seen.issuer),
                sign_in.says(exchange),
            );
        }
    };
    Guarded::new(word, WAY, "checked when it comes")
}

/// How keys stand that are fetched.
fn keys(seen: &KeysSeen) -> String {
    let age = seen.age.unwrap_or_default().as_secs();
    let why = seen.trouble.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    match seen.standing {
        Standing::None if seen.trouble.is_none() => "no keys have been fetched here yet".to_owned(),
        Standing::None => format!("there are no keys{why}, so it answers 503"),
        Standing::Fresh => format!("checked when it comes; {} keys, {age} s old", seen.keys),
        Standing::Stale => {
            format!("checked when it comes; {} keys, {age} s old; no others came{why}", seen.keys)
        }
        Standing::Over => {
            format!("the keys are {age} s old, too old to be used{why}: it answers 503")
        }
    }
}
